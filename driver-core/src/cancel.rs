//! Ending a wait of another thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends an HGCM call that another thread is in, or keeps one that is yet to come from beginning.
///
/// A handle: clones are the same canceller. It serves one call, and stays cancelled.
#[derive(Clone, Default)]
pub struct Canceller {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    /// Wakes the thread that is in the call.
    wake: Option<Box<dyn Fn() + Send>>,
}

impl Canceller {
    /// One that nobody has used yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends the call.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        if let Some(wake) = &state.wake {
            wake();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// While the guard lives, [`cancel`](Self::cancel) calls `wake`, from whatever thread it is called
    /// in, and with the canceller locked: `wake` must not use it. `None` when it was cancelled before.
    pub(crate) fn arm(&self, wake: impl Fn() + Send + 'static) -> Option<Armed<'_>> {
        let mut state = self.lock();
        if state.cancelled {
            return None;
        }
        state.wake = Some(Box::new(wake));
        Some(Armed(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Canceller::arm`]. Once it is dropped, nothing is woken any more.
pub(crate) struct Armed<'a>(&'a Canceller);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.0.lock().wake = None;
    }
}

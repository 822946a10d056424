//! Panics of any thread, which a thread's end alone would hide.

use std::sync::atomic::{AtomicUsize, Ordering};

use libtest_mimic::Failed;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Begins to count.
pub fn count() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
}

/// Whether no thread has panicked since the last call.
///
/// # Errors
/// How many did.
pub fn none(seed: u64) -> Result<(), Failed> {
    match PANICS.swap(0, Ordering::Relaxed) {
        0 => Ok(()),
        panics => Err(format!("Seed {seed}: {panics} threads panicked").into()),
    }
}

//! Pending event bits, who may take them, and who holds which capability.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::wire::{Capabilities, Events};
use crate::{CapabilityState, Wake};

/// Names one session of the device.
pub(super) type SessionId = u64;

/// The state that all sessions share. Bits are a latch, not a queue: they are OR-ed, so that nothing
/// grows and nothing is lost.
#[derive(Default)]
pub(super) struct Latch {
    state: Mutex<State>,
    changed: Condvar,
}

/// See [`Latch`].
#[derive(Default)]
pub(super) struct State {
    pending: Events,
    acquire_mode: Capabilities,
    sessions: BTreeMap<SessionId, Session>,
    last_id: SessionId,
    closed: bool,
}

/// What one session asked for.
#[derive(Default, Clone)]
pub(super) struct Session {
    pub(super) filter: Events,
    pub(super) set: Capabilities,
    pub(super) acquired: Capabilities,
    waiters: usize,
    cancels: u64,
    cancel_owed: bool,
}

/// The device is gone.
pub(super) struct Closed;

impl Latch {
    /// Adds bits to the pending ones and wakes whoever waits for them.
    pub(super) fn raise(&self, events: Events) {
        // What the kernel's driver keeps to itself has no taker here either.
        let events = events - Events::KERNEL;
        if !events.is_empty() {
            self.lock().pending |= events;
            self.changed.notify_all();
        }
    }

    /// Ends all waits, for good.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    pub(super) fn open_session(&self) -> SessionId {
        let mut state = self.lock();
        state.last_id += 1;
        let id = state.last_id;
        state.sessions.insert(id, Session::default());
        id
    }

    pub(super) fn close_session(&self, id: SessionId) {
        self.lock().sessions.remove(&id);
    }

    /// See [`Driver::wait`](crate::Driver::wait).
    pub(super) fn wait(
        &self,
        id: SessionId,
        mask: Events,
        timeout: Option<Duration>,
    ) -> Result<Wake, Closed> {
        // A time-out too long for the clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut state = self.lock();
        let session = state.session(id);
        if std::mem::take(&mut session.cancel_owed) {
            return Ok(Wake::Cancelled);
        }
        session.waiters += 1;
        let cancels = session.cancels;
        let outcome = loop {
            if state.closed {
                break Err(Closed);
            }
            if state.session(id).cancels != cancels {
                break Ok(Wake::Cancelled);
            }
            let events = state.take(id, mask);
            if !events.is_empty() {
                break Ok(Wake::Events(events));
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => break Ok(Wake::TimedOut),
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        };
        state.session(id).waiters -= 1;
        outcome
    }

    /// See [`Driver::cancel_waits`](crate::Driver::cancel_waits).
    pub(super) fn cancel(&self, id: SessionId) {
        let mut state = self.lock();
        let session = state.session(id);
        session.cancels += 1;
        session.cancel_owed = session.waiters == 0;
        self.changed.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the waiters, for whom something other than a bit may have changed.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }
}

impl State {
    /// A session's record; one that is not there is made anew, empty.
    pub(super) fn session(&mut self, id: SessionId) -> &mut Session {
        self.sessions.entry(id).or_default()
    }

    /// The union of all sessions' filters.
    pub(super) fn filter(&self) -> Events {
        self.sessions.values().fold(Events::empty(), |all, session| all | session.filter)
    }

    /// The union of all sessions' capabilities: what the host is told.
    pub(super) fn capabilities(&self) -> Capabilities {
        self.sessions
            .values()
            .fold(Capabilities::empty(), |all, session| all | session.set | session.acquired)
    }

    /// A session's capabilities, and everybody's.
    pub(super) fn capability_state(&mut self, id: SessionId) -> CapabilityState {
        let session = self.session(id);
        let own = session.set | session.acquired;
        CapabilityState { session: own, global: self.capabilities() }
    }

    /// Capabilities that are in acquire mode: exclusive, for as long as the device is serviced.
    pub(super) fn acquire_mode(&mut self) -> &mut Capabilities {
        &mut self.acquire_mode
    }

    /// Whether a session other than `id` acquired one of `wanted`.
    pub(super) fn acquired_elsewhere(&self, id: SessionId, wanted: Capabilities) -> bool {
        self.sessions.iter().any(|(other, session)| *other != id && session.acquired.intersects(wanted))
    }

    /// Whether any session set one of `wanted` in the shared way.
    pub(super) fn set_anywhere(&self, wanted: Capabilities) -> bool {
        self.sessions.values().any(|session| session.set.intersects(wanted))
    }

    /// Makes bits pending without the host's doing.
    pub(super) fn pend(&mut self, events: Events) {
        self.pending |= events;
    }

    fn take(&mut self, id: SessionId, mask: Events) -> Events {
        let events = self.pending & (mask - self.withheld(id));
        self.pending -= events;
        events
    }

    /// The events that belong to a capability in acquire mode which this session does not hold.
    fn withheld(&mut self, id: SessionId) -> Events {
        const OWNED: [(Capabilities, Events); 2] = [
            (Capabilities::GRAPHICS, Events::DISPLAY_CHANGE),
            (Capabilities::SEAMLESS, Events::SEAMLESS_MODE_CHANGE),
        ];
        let missing = self.acquire_mode - self.session(id).acquired;
        OWNED
            .iter()
            .filter(|(capability, _)| missing.contains(*capability))
            .fold(Events::empty(), |all, (_, event)| all | *event)
    }
}

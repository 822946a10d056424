//! Waiting for events, and being cancelled.
//!
//! The kernel's driver cancels a whole session, for good: every wait in it fails from then on. So the
//! waits have a session of their own. A cancel ends that one, and the next wait opens another, while
//! the session with the filter, the shared capabilities and the HGCM clients stays as it is: pending
//! bits belong to the machine, so none is lost in between.
//!
//! Acquired capabilities do live in the session of the waits, because events that belong to one are
//! only shown to the session that holds it. They are acquired again when it is opened again, which
//! cannot be before the last wait left the old one: until that is closed they are still taken.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use zerocopy::little_endian::U32;

use super::header::Fault;
use super::ioctl::{acquire_guest_capabilities, exchange, interrupt_all_waits, wait_for_events};
use super::node::{Node, Nodes};
use super::reopen;
use crate::wire::{Capabilities, Events, Status};
use crate::{Error, Result, Wake};

const DOING: &str = "wait for events";

/// The time-out that never passes.
const FOR_EVER: u32 = u32::MAX;

/// The longest time-out in milliseconds that the kernel takes by the letter; longer ones are for ever
/// to it.
const LONGEST: u32 = i32::MAX as u32;

/// The session of the waits.
#[derive(Default)]
pub(super) struct Waiting {
    state: Mutex<State>,
    left: Condvar,
}

#[derive(Default)]
struct State {
    /// `None` before the first wait, and after a cancel.
    node: Option<Arc<dyn Node>>,
    acquired: Capabilities,
    /// How many waits are in the driver.
    waiters: usize,
    cancels: u64,
    /// A cancel that found no wait to end, which the next one will answer for.
    cancel_owed: bool,
}

/// A wait on its way into the driver.
struct Turn {
    node: Arc<dyn Node>,
    cancels: u64,
}

impl Waiting {
    /// See [`Driver::wait`](crate::Driver::wait).
    pub(super) fn wait(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        mask: Events,
        timeout: Option<Duration>,
    ) -> Result<Wake> {
        // A time-out too long for the clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let Some(turn) = self.enter(nodes, path)? else { return Ok(Wake::Cancelled) };
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let ask = wait_for_events::Ask {
                milliseconds: left.map_or(FOR_EVER, milliseconds).into(),
                mask: mask.bits().into(),
            };
            let answer = exchange(&*turn.node, &ask);
            let cancelled = self.leave(turn, &answer);
            match answer {
                Ok(answer) => return taken(answer.events.get()),
                Err(_) if cancelled => return Ok(Wake::Cancelled),
                // Time passed, all of it or what the kernel can count at once; or a signal came.
                Err(fault) if matches!(fault.status(), Status::TIMEOUT | Status::INTERRUPTED) => {
                    if left.is_some() && deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                        return Ok(Wake::TimedOut);
                    }
                }
                Err(fault) => return Err(fault.error(DOING)),
            }
        }
    }

    /// See [`Driver::cancel_waits`](crate::Driver::cancel_waits).
    pub(super) fn cancel(&self) {
        let mut state = self.lock();
        state.cancels += 1;
        state.cancel_owed |= state.waiters == 0;
        if state.waiters > 0 {
            state.retire();
        }
        // Who waits for the old session to be left is cancelled too.
        self.left.notify_all();
    }

    /// See [`Driver::acquire_capabilities`](crate::Driver::acquire_capabilities).
    pub(super) fn acquire(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        add: Capabilities,
        remove: Capabilities,
    ) -> Result<()> {
        let mut state = self.lock();
        while state.node.is_none() && state.waiters > 0 {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let node = state.ready(nodes, path)?;
        match acquire(&*node, add, remove - add) {
            Ok(()) => {
                state.acquired = (state.acquired - remove) | add;
                Ok(())
            }
            Err(fault) => {
                if fault.is_gone() {
                    state.retire();
                }
                Err(fault.error("acquire guest capabilities"))
            }
        }
    }

    /// The capabilities that were acquired.
    pub(super) fn acquired(&self) -> Capabilities {
        self.lock().acquired
    }

    /// Begins a wait; `None` when it was cancelled.
    fn enter(&self, nodes: &dyn Nodes, path: &Path) -> Result<Option<Turn>> {
        let mut state = self.lock();
        let cancels = state.cancels;
        while state.node.is_none() && state.waiters > 0 {
            state = self.left.wait(state).unwrap_or_else(PoisonError::into_inner);
            if state.cancels != cancels {
                state.cancel_owed = false;
                return Ok(None);
            }
        }
        if std::mem::take(&mut state.cancel_owed) {
            return Ok(None);
        }
        let node = state.ready(nodes, path)?;
        state.waiters += 1;
        Ok(Some(Turn { node, cancels: state.cancels }))
    }

    /// Ends a wait, and says whether it was cancelled meanwhile.
    fn leave(&self, turn: Turn, answer: &Result<wait_for_events::Answer, Fault>) -> bool {
        let mut state = self.lock();
        let cancelled = state.cancels != turn.cancels;
        // Events came before the cancel did, which then found nothing under way.
        state.cancel_owed |= cancelled && answer.is_ok();
        if answer.as_ref().is_err_and(|fault| fault.is_gone()) {
            state.retire();
        }
        // The last to leave a session that was retired closes it, before anyone opens another.
        drop(turn.node);
        state.waiters -= 1;
        // Nobody waits for a session to be left that goes on.
        let retired = state.node.is_none();
        drop(state);
        if retired {
            self.left.notify_all();
        }
        cancelled
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The session, opened anew where there is none. No wait may be in an old one.
    fn ready(&mut self, nodes: &dyn Nodes, path: &Path) -> Result<Arc<dyn Node>> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let node = reopen(nodes, path)?;
        if !self.acquired.is_empty()
            && let Err(fault) = acquire(&*node, self.acquired, Capabilities::empty())
        {
            // Other events are still to be had; the next time may go better.
            tracing::warn!("{}", fault.error("acquire guest capabilities again"));
        }
        self.node = Some(node.clone());
        Ok(node)
    }

    /// Ends the session and every wait in it.
    fn retire(&mut self) {
        if let Some(node) = self.node.take()
            && let Err(fault) = exchange(&*node, &interrupt_all_waits::Ask {})
        {
            tracing::warn!("{}", fault.error("cancel the waits"));
        }
    }
}

fn acquire(node: &dyn Node, add: Capabilities, remove: Capabilities) -> Result<(), Fault> {
    let ask = acquire_guest_capabilities::Ask {
        flags: U32::ZERO,
        or: add.bits().into(),
        not: remove.bits().into(),
    };
    exchange(node, &ask).map(drop)
}

/// The kernel's time-out for what is left of ours: rounded up, so that the last of it is no poll.
fn milliseconds(left: Duration) -> u32 {
    u32::try_from(left.as_nanos().div_ceil(1_000_000)).map_or(LONGEST, |left| left.min(LONGEST))
}

fn taken(bits: u32) -> Result<Wake> {
    let events = Events::from_bits_truncate(bits);
    if events.is_empty() {
        // Never seen; going on waiting could keep a processor busy.
        return Err(Error::new(format!("{DOING} (woken for {bits:#x})"), Status::INTERNAL_ERROR));
    }
    Ok(Wake::Events(events))
}

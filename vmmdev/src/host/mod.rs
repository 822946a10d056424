//! The host application: what a person does at the host, and what the host knows of its guest.

mod clipboard;
mod misdeeds;
mod properties;
mod wishes;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use driver_core::wire::Events;
use serde::Serialize;

use crate::device::Device;
use crate::hgcm::{HgcmClientReport, Store};
use crate::journal::Seen;
use crate::memory::{GuestMemory, SharedMemory};
use crate::report::GuestReport;
use crate::settings::Settings;
use crate::state::State;
pub(crate) use clipboard::LARGEST;
pub use clipboard::{ClipboardError, ClipboardReport};
pub use properties::PropertyRefused;
pub use wishes::{Credentials, Hint, NoSuchDisplay};

/// A host with one machine, whose device a [`carrier`](crate::carrier) brings to the guest.
///
/// A handle: clones are the same host. Every function may be called from any thread and none waits
/// for the guest, except those whose name begins with `wait` and
/// [`clipboard_get`](Host::clipboard_get).
#[derive(Debug, Clone, Default)]
pub struct Host {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    inner: Mutex<Inner>,
    /// The interrupt line went up, or a waiter should look again.
    line_up: Condvar,
    /// The guest did something.
    guest_acted: Condvar,
}

#[derive(Debug)]
struct Inner {
    device: Device,
    /// Where interrupts go, when nobody waits for them.
    wire: Option<Box<dyn Wire>>,
    /// The guest's memory, for as long as its carrier has it.
    memory: Option<Weak<Mutex<dyn GuestMemory + Send>>>,
    /// How many threads wait for which. Waking nobody would cost a system call per request.
    line_waiters: usize,
    guest_waiters: usize,
    /// How often the machine was reset.
    resets: u64,
}

impl Default for Shared {
    fn default() -> Self {
        let device = Device::new(Settings::default());
        Self {
            inner: Mutex::new(Inner {
                device,
                wire: None,
                memory: None,
                line_waiters: 0,
                guest_waiters: 0,
                resets: 0,
            }),
            line_up: Condvar::new(),
            guest_acted: Condvar::new(),
        }
    }
}

/// What a carrier ties to the device's interrupt pin when it has to act on an interrupt at once.
pub trait Wire: std::fmt::Debug + Send {
    /// The device has changed: an interrupt is due, or none is. The device is locked meanwhile, so
    /// this must neither wait nor call the host.
    fn settle(&mut self, due: bool) -> Sent;
}

/// What a [`Wire`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: no interrupt is due, or it is held back.
    Nothing,
    /// It sent an interrupt.
    Interrupt,
    /// It sent the last interrupt again, because that one may not have reached the guest.
    Again,
}

/// How often things happened since the host was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// The host raised events.
    pub events: u64,
    /// The host raised the interrupt line for no reason.
    pub strays: u64,
    /// An interrupt was sent over a [`Wire`].
    pub interrupts: u64,
    /// One was sent again, before the guest had noticed it. The guest sees one of the two.
    pub repeats: u64,
}

/// The machine's state as [`Host::save`] found it.
#[derive(Debug, Clone)]
pub struct Saved {
    state: Box<State>,
    properties: Store,
}

/// What was waited for did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Guest did not do what was waited for within {timeout:?}")]
pub struct TimedOut {
    /// How long was waited.
    pub timeout: Duration,
}

impl Host {
    /// A host of this kind, with its machine just powered on.
    pub fn new(settings: Settings) -> Self {
        let host = Self::default();
        host.configure(|old| *old = settings);
        host
    }

    /// Changes what kind of host this is, from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        self.with_device(|device| {
            change(&mut device.state.settings);
            device.hgcm.services.properties.store.announce(&device.state.settings);
        });
    }

    /// Resets the machine: the guest begins anew, with a new session id.
    pub fn reset(&self) {
        self.with_device(Device::restart);
        self.lock().resets += 1;
        self.wake_line_waiters();
    }

    /// Saves the machine's state. The machine goes on.
    pub fn save(&self) -> Saved {
        let device = &self.lock().device;
        Saved {
            state: Box::new(device.state.clone()),
            properties: device.hgcm.services.properties.store.saved(),
        }
    }

    /// Puts a saved state back: the guest is told so and has a new session id. What kind of host
    /// this is does not change: that was never the machine's. Nor does the guest's memory, so its HGCM
    /// connections and the calls under way go on.
    pub fn restore(&self, saved: &Saved) {
        self.with_device(|device| {
            let (settings, counters) = (device.state.settings.clone(), device.state.counters);
            device.state = State { settings, counters, ..(*saved.state).clone() };
            device.state.restored();
            device.hgcm.services.properties.store.restore(&saved.properties);
            device.hgcm.restored(device.state.session_id);
            if device.hgcm.in_use() {
                // The guest wants to hear of its calls, whenever the state was saved.
                device.state.change_filter(Events::HGCM.bits(), 0);
            }
        });
    }

    // What the host knows.

    /// Everything that the guest has reported.
    pub fn guest(&self) -> GuestReport {
        self.lock().device.state.guest.clone()
    }

    /// The guest's connections to services, oldest first.
    pub fn hgcm_clients(&self) -> Vec<HgcmClientReport> {
        self.lock().device.hgcm.report()
    }

    /// The current session id (request 217).
    pub fn session_id(&self) -> u64 {
        self.lock().device.state.session_id
    }

    /// The requests that are still remembered, oldest first.
    pub fn journal(&self) -> Vec<Seen> {
        self.lock().device.journal.since(0).copied().collect()
    }

    /// How often things happened.
    pub fn counters(&self) -> Counters {
        self.lock().device.state.counters
    }

    /// The number that the next request will have: where to begin waiting for it.
    pub fn journal_position(&self) -> u64 {
        self.lock().device.journal.next()
    }

    /// Waits until the guest has reported what is wanted, and returns that report. `wanted` must not
    /// call the host, which is locked while it looks.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_guest(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&GuestReport) -> bool,
    ) -> Result<GuestReport, TimedOut> {
        self.wait_acted(timeout, |device| {
            let guest = &device.state.guest;
            wanted(guest).then(|| guest.clone())
        })
    }

    /// Waits for a request, among those numbered `since` and later, that is the wanted one. `wanted`
    /// must not call the host, which is locked while it looks.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_request(
        &self,
        since: u64,
        timeout: Duration,
        mut wanted: impl FnMut(&Seen) -> bool,
    ) -> Result<Seen, TimedOut> {
        let mut next = since;
        self.wait_acted(timeout, |device| {
            let found = device.journal.since(next).find(|seen| wanted(seen)).copied();
            next = next.max(device.journal.next());
            found
        })
    }

    // What carries the device.

    /// Ties the interrupt pin to something, or to nothing. There is one pin: the last one counts.
    pub fn wire(&self, wire: Option<Box<dyn Wire>>) {
        self.lock().wire = wire;
        self.with_device(|_| ());
    }

    /// Makes the guest's memory known, for as long as the carrier keeps it. There is one guest: the last
    /// one counts.
    pub fn attach_memory(&self, memory: &SharedMemory) {
        self.lock().memory = Some(Arc::downgrade(memory));
    }

    // How threads meet.

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.with_device(|device| change(&mut device.state))
    }

    /// Does something to the device, writes what it answered to calls that waited, and wakes whoever
    /// waits for what came of it. Locks the guest's memory after the device.
    pub(crate) fn with_device<R>(&self, act: impl FnOnce(&mut Device) -> R) -> R {
        let mut inner = self.lock();
        let result = act(&mut inner.device);
        if inner.device.has_answers()
            && let Some(memory) = inner.memory.as_ref().and_then(Weak::upgrade)
        {
            inner.device.deliver(&mut *memory.lock().unwrap_or_else(PoisonError::into_inner));
        }
        let due = inner.device.interrupt_due();
        let sent = inner.wire.as_mut().map_or(Sent::Nothing, |wire| wire.settle(due));
        let counters = &mut inner.device.state.counters;
        match sent {
            Sent::Nothing => {}
            Sent::Interrupt => counters.interrupts += 1,
            Sent::Again => counters.repeats += 1,
        }
        if inner.line_waiters != 0 && inner.device.interrupt_line() {
            self.shared.line_up.notify_all();
        }
        if inner.guest_waiters != 0 {
            self.shared.guest_acted.notify_all();
        }
        result
    }

    /// How often the machine was reset.
    pub(crate) fn resets(&self) -> u64 {
        self.lock().resets
    }

    /// Waits until the interrupt line is up, and tells whether it is; `given_up`, which is given how
    /// often the machine was reset, ends it, after [`wake_line_waiters`](Self::wake_line_waiters).
    pub(crate) fn wait_line(&self, deadline: Option<Instant>, given_up: impl Fn(u64) -> bool) -> bool {
        let mut inner = self.lock();
        loop {
            let up = inner.device.interrupt_line();
            if given_up(inner.resets) || up {
                return up;
            }
            let Some(left) = time_left(deadline) else {
                return false;
            };
            inner.line_waiters += 1;
            inner = wait(&self.shared.line_up, inner, left);
            inner.line_waiters -= 1;
        }
    }

    /// Makes those who wait for the interrupt line look whether they were given up.
    pub(crate) fn wake_line_waiters(&self) {
        // Whoever is about to wait holds the lock and has looked already, or will look after it.
        let _inner = self.lock();
        self.shared.line_up.notify_all();
    }

    fn wait_acted<R>(
        &self,
        timeout: Duration,
        mut look: impl FnMut(&mut Device) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let deadline = Instant::now().checked_add(timeout);
        let mut inner = self.lock();
        loop {
            if let Some(found) = look(&mut inner.device) {
                return Ok(found);
            }
            let Some(left) = time_left(deadline) else {
                return Err(TimedOut { timeout });
            };
            inner.guest_waiters += 1;
            inner = wait(&self.shared.guest_acted, inner, left);
            inner.guest_waiters -= 1;
        }
    }
}

/// How long is left until a deadline: `None` when it has passed, `Some(None)` when there is none.
fn time_left(deadline: Option<Instant>) -> Option<Option<Duration>> {
    match deadline {
        None => Some(None),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() { None } else { Some(Some(left)) }
        }
    }
}

fn wait<'a>(
    condition: &Condvar,
    inner: MutexGuard<'a, Inner>,
    left: Option<Duration>,
) -> MutexGuard<'a, Inner> {
    match left {
        None => condition.wait(inner).unwrap_or_else(PoisonError::into_inner),
        Some(left) => condition.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
    }
}

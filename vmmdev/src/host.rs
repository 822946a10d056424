//! The host application: what a person does at the host, and what the host knows of its guest.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use driver_core::wire::{
    CpuEvent, DisplayDef, DisplayFlags, Events, MAX_DISPLAYS, MouseButtons, MouseFeatures, RequestType,
    Status, VrdpExperience,
};
use serde::Serialize;

use crate::device::Device;
use crate::faults::{Fault, Times};
use crate::hgcm::{HgcmClientReport, Store};
use crate::journal::Seen;
use crate::memory::{GuestMemory, SharedMemory};
use crate::report::GuestReport;
use crate::settings::Settings;
use crate::state::{CpuRequest, State};

/// A host with one machine, whose device a [`carrier`](crate::carrier) brings to the guest.
///
/// A handle: clones are the same host. Every function may be called from any thread and none waits
/// for the guest, except those whose name begins with `wait`.
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

/// What the host would like of a display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    /// Which display, from 0.
    pub display: u32,
    /// Whether it is to be on.
    pub enabled: bool,
    /// Whether it is to be the primary display.
    pub primary: bool,
    /// Its upper left corner in pixels; `None` leaves that to the guest.
    pub origin: Option<(i32, i32)>,
    /// Pixels; `None` leaves it as it is.
    pub width: Option<u32>,
    /// Pixels; `None` leaves it as it is.
    pub height: Option<u32>,
    /// Bits per pixel; `None` leaves it as it is.
    pub depth: Option<u32>,
}

impl Hint {
    /// A display that is on, of this size, wherever the guest likes it.
    pub fn new(display: u32, width: u32, height: u32) -> Self {
        Self {
            display,
            enabled: true,
            primary: false,
            origin: None,
            width: Some(width),
            height: Some(height),
            depth: None,
        }
    }

    /// A display that is off.
    pub fn off(display: u32) -> Self {
        Self { enabled: false, width: None, height: None, ..Self::new(display, 0, 0) }
    }

    /// The same with its upper left corner at a place, in pixels.
    pub fn at(self, x: i32, y: i32) -> Self {
        Self { origin: Some((x, y)), ..self }
    }

    /// The same as the primary display.
    pub fn primary(self) -> Self {
        Self { primary: true, ..self }
    }

    fn on_the_wire(&self) -> DisplayDef {
        let mut flags = DisplayFlags::empty();
        flags.set(DisplayFlags::PRIMARY, self.primary);
        flags.set(DisplayFlags::DISABLED, !self.enabled);
        flags.set(DisplayFlags::ORIGIN, self.origin.is_some());
        flags.set(DisplayFlags::WIDTH, self.width.is_some());
        flags.set(DisplayFlags::HEIGHT, self.height.is_some());
        flags.set(DisplayFlags::DEPTH, self.depth.is_some());
        let (x, y) = self.origin.unwrap_or_default();
        DisplayDef {
            flags: flags.bits().into(),
            id: self.display.into(),
            x: x.into(),
            y: y.into(),
            width: self.width.unwrap_or_default().into(),
            height: self.height.unwrap_or_default().into(),
            bits_per_pixel: self.depth.unwrap_or_default().into(),
        }
    }
}

/// A hint for a display that no machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Display {display} does not exist: ids are 0 to {}", MAX_DISPLAYS - 1)]
pub struct NoSuchDisplay {
    /// The id that was asked for.
    pub display: u32,
}

/// What somebody logs on with.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// At most 127 bytes; more are cut.
    pub user: String,
    /// At most 127 bytes; more are cut.
    pub password: String,
    /// At most 127 bytes; more are cut.
    pub domain: String,
    /// Whether the guest may be logged on to locally as well.
    pub local_logon: bool,
}

impl std::fmt::Debug for Credentials {
    /// Without the password: this ends up in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .field("domain", &self.domain)
            .field("local_logon", &self.local_logon)
            .finish_non_exhaustive()
    }
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

    // What a person does.

    /// Asks the guest for a change of one display; whether it was rung for it. It is not when it last
    /// read the very same.
    ///
    /// # Errors
    /// [`NoSuchDisplay`].
    pub fn set_video_mode_hint(&self, hint: Hint) -> Result<bool, NoSuchDisplay> {
        self.set_video_mode_hints(&[hint])
    }

    /// Asks for changes of several displays and rings once for all of them.
    ///
    /// # Errors
    /// [`NoSuchDisplay`]; then nothing was asked.
    pub fn set_video_mode_hints(&self, hints: &[Hint]) -> Result<bool, NoSuchDisplay> {
        self.hint(hints, false)
    }

    /// As [`set_video_mode_hints`](Self::set_video_mode_hints), but rings also when the guest last
    /// read the very same.
    ///
    /// # Errors
    /// [`NoSuchDisplay`]; then nothing was asked.
    pub fn force_video_mode_hints(&self, hints: &[Hint]) -> Result<bool, NoSuchDisplay> {
        self.hint(hints, true)
    }

    fn hint(&self, hints: &[Hint], forced: bool) -> Result<bool, NoSuchDisplay> {
        if let Some(hint) = hints.iter().find(|hint| hint.display >= MAX_DISPLAYS) {
            return Err(NoSuchDisplay { display: hint.display });
        }
        Ok(self.change(|state| {
            let mut news = false;
            for hint in hints {
                news |= state.displays.want(hint.on_the_wire(), forced).unwrap_or(false);
            }
            if news {
                state.raise(Events::DISPLAY_CHANGE);
            }
            news
        }))
    }

    /// Switches seamless mode; whether the guest was rung for it.
    pub fn set_seamless(&self, on: bool) -> bool {
        self.change(|state| {
            let news = state.seamless.want(on);
            if news {
                state.raise(Events::SEAMLESS_MODE_CHANGE);
            }
            news
        })
    }

    /// Wants statistics every so many seconds, 0 for none; whether the guest was rung for it.
    pub fn set_statistics_interval(&self, seconds: u32) -> bool {
        self.change(|state| {
            let news = state.statistics_interval.want(seconds);
            if news {
                state.raise(Events::STATISTICS_INTERVAL_CHANGE);
            }
            news
        })
    }

    /// Wants so many MiB of the guest's memory back; whether the guest was rung for it.
    pub fn set_balloon(&self, mib: u32) -> bool {
        self.change(|state| {
            let news = state.balloon.want(mib);
            if news {
                state.raise(Events::BALLOON_CHANGE);
            }
            news
        })
    }

    /// Changes the host's own abilities regarding the pointer; the guest's bits are left alone.
    pub fn set_mouse(&self, features: MouseFeatures) {
        self.change(|state| {
            let old = state.pointer.features;
            let new = (old & MouseFeatures::GUEST_MASK) | (features - MouseFeatures::GUEST_MASK);
            state.pointer.features = new;
            if new != old {
                state.raise(Events::MOUSE_CAPABILITIES_CHANGED);
            }
        });
    }

    /// Moves the pointer to 0 to 0xFFFF of the screen's width and height, with these buttons down.
    pub fn move_pointer(&self, x: u16, y: u16, buttons: MouseButtons) {
        self.change(|state| {
            state.pointer.x = x.into();
            state.pointer.y = y.into();
            state.pointer.buttons = buttons;
            state.raise(Events::MOUSE_POSITION_CHANGED);
        });
    }

    /// Turns the wheel by steps, vertically and horizontally.
    pub fn turn_wheel(&self, vertical: i32, horizontal: i32) {
        self.change(|state| {
            state.pointer.wheel = state.pointer.wheel.saturating_add(vertical);
            state.pointer.tilt = state.pointer.tilt.saturating_add(horizontal);
            state.raise(Events::MOUSE_POSITION_CHANGED);
        });
    }

    /// Switches remote display; only on and off ring, a change of experience does not.
    pub fn set_vrdp(&self, active: bool, experience: VrdpExperience) {
        self.change(|state| {
            let (was_active, _) = std::mem::replace(&mut state.vrdp, (active, experience.0));
            if was_active != active {
                state.raise(Events::VRDP);
            }
        });
    }

    /// Has credentials ready for logging on to the guest, or no longer.
    pub fn set_credentials(&self, credentials: Option<Credentials>) {
        self.change(|state| state.credentials = credentials);
    }

    /// Asks the guest whether credentials are good.
    pub fn judge_credentials(&self, credentials: Credentials) {
        self.change(|state| {
            state.judged = Some(credentials);
            state.raise(Events::JUDGE_CREDENTIALS);
        });
    }

    /// Asks the guest to take a processor in or to let it go.
    ///
    /// # Errors
    /// `VERR_VMMDEV_CPU_HOTPLUG_NOT_MONITORED_BY_GUEST` when the guest does not want to hear of
    /// processors.
    pub fn hot_plug_cpu(&self, event: CpuEvent, core: u32, package: u32) -> Result<(), Status> {
        self.change(|state| {
            if !state.guest.cpu_notifications {
                return Err(Status::CPU_HOTPLUG_NOT_MONITORED);
            }
            state.cpu = CpuRequest { event, core, package };
            state.raise(Events::CPU_HOTPLUG);
            Ok(())
        })
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
        });
    }

    /// Sets a guest property, with flags such as `TRANSIENT, RDONLYGUEST`; an empty text for none.
    ///
    /// # Errors
    /// What the service of guest properties would answer: `VERR_PERMISSION_DENIED` for one that the
    /// host may not change, `VERR_TOO_MUCH_DATA` for one too many.
    pub fn set_property(&self, name: &str, value: &str, flags: &str) -> Result<(), Status> {
        self.with_device(|device| {
            let (services, answers) = device.hgcm.services();
            services.properties.set_by_host(name, value, flags, answers)
        })
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

    // How the host misbehaves.

    /// Makes something go wrong with requests of a type. Faults of the same type strike one after
    /// the other, in the order in which they were injected.
    pub fn inject(&self, request_type: RequestType, fault: Fault, times: Times) {
        self.with_device(|device| device.faults.arm(request_type, fault, times));
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.with_device(|device| device.faults.clear());
    }

    /// Sets event bits and nothing else: no display, no mode, no interval changes. Bits that the
    /// guest does not want stay pending, as ever.
    pub fn raise_events(&self, events: Events) {
        self.change(|state| state.raise(events));
    }

    /// Brings event bits to the guest whether or not it wants them, unknown ones included. None at
    /// all gives an interrupt that says it has events and has none.
    pub fn force_events(&self, bits: u32) {
        self.change(|state| {
            state.counters.events += 1;
            state.events.force(bits);
        });
    }

    /// Raises the interrupt line although the device has nothing to say, as another device on the
    /// same line would. It falls when the guest has looked.
    pub fn raise_stray_interrupt(&self) {
        self.change(|state| {
            state.counters.strays += 1;
            state.events.pulse();
        });
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
        mut look: impl FnMut(&Device) -> Option<R>,
    ) -> Result<R, TimedOut> {
        let deadline = Instant::now().checked_add(timeout);
        let mut inner = self.lock();
        loop {
            if let Some(found) = look(&inner.device) {
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

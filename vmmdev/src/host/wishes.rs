//! What a person at the host wants of the machine, and of its guest.

use driver_core::wire::{
    CpuEvent, DisplayDef, DisplayFlags, Events, MAX_DISPLAYS, MouseButtons, MouseFeatures, Status,
    VrdpExperience,
};

use super::Host;
use crate::state::CpuRequest;

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

impl Host {
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
}

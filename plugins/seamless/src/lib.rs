//! The seamless plugin: while the host shows the guest's windows among its own, it is told where they
//! are.
//!
//! What it *decides* is in two modules that know neither host nor desktop: [`region`] says what of the
//! screen windows cover, and [`pace`] when to report. This file only asks and acts.
//!
//! It needs these grants: `requests = ["seamless", "guest"]`, `desktop = ["windows"]`, the events
//! `seamless-mode-change` and `restored`, and the capability `seamless`.

#![deny(missing_docs)]

pub mod config;
pub mod pace;
pub mod region;

use bellhop_plugin::guest::{self, Facility, Status};
use bellhop_plugin::seamless::{self, Mode};
use bellhop_plugin::{
    Capabilities, Error, Events, HostEvents, Plugin, Rectangle, Subscription, TimerEvents, Token,
    WindowEvents, clock, debug, info, plugin, timers, trace, warn, windows,
};

use config::Config;
use pace::{Pace, Step};

/// The plugin, and all that it remembers.
#[derive(Debug)]
pub struct Seamless {
    config: Config,
    /// There while seamless mode is on, and forgotten with it.
    session: Option<Session>,
}

/// One time that seamless mode is on.
#[derive(Debug)]
struct Session {
    /// Whether the desktop agreed to tell us of changes.
    watching: bool,
    /// The region that the host was last told.
    told: Option<Vec<Rectangle>>,
    pace: Pace,
    /// Why the host could not be told last time: to be said once, not at every change.
    trouble: Option<Error>,
}

plugin!(Seamless: HostEvents, TimerEvents, WindowEvents);

impl Plugin for Seamless {
    type Config = Config;

    fn start(config: Config) -> Result<(Self, Subscription), String> {
        config.check()?;
        let mut plugin = Seamless { config, session: None };

        // A desktop that is not there yet may come. One that keeps its windows to itself will not change
        // its mind, and the host's users are better not offered what nobody can do.
        let (capabilities, status) = match windows::look() {
            Err(error @ Error::NotSupported(_)) => {
                info!("The host is not offered seamless mode: {error}");
                (Capabilities::empty(), Status::Inactive)
            }
            _ => (Capabilities::SEAMLESS, Status::Active),
        };

        // The mode may have changed before we were there, and the host does not ring for it again.
        if let Err(error) = plugin.follow() {
            warn!("Not ready yet, waiting for the host to ring: {error}");
        }

        // It says whether the mode could be switched on, and not whether it is: hosts let their users do
        // so only while it is active.
        if let Err(error) = guest::report_status(Facility::Seamless, status) {
            warn!("The host does not know whether there is seamless mode: {error}");
        }

        let events = Events::SEAMLESS_MODE_CHANGE | Events::RESTORED;
        Ok((plugin, Subscription { events, capabilities }))
    }
}

impl HostEvents for Seamless {
    fn on_host_events(&mut self, events: Events) -> Result<(), String> {
        // After a restore it is another host process, which was never told of any region.
        if events.contains(Events::RESTORED)
            && let Some(session) = &mut self.session
        {
            session.told = None;
        }
        Ok(self.follow()?)
    }
}

impl WindowEvents for Seamless {
    fn on_windows_changed(&mut self) -> Result<(), String> {
        Ok(self.refresh()?)
    }
}

impl TimerEvents for Seamless {
    fn on_timer(&mut self, timer: Token) -> Result<(), String> {
        if self.session.as_mut().is_some_and(|session| session.pace.fired(timer)) {
            self.refresh()?;
        }
        Ok(())
    }
}

impl Seamless {
    /// Asks for the mode, and is then in it.
    fn follow(&mut self) -> Result<(), Error> {
        // The answer is a state and not a change: whoever acts on it has missed nothing, and may
        // acknowledge it whatever the reason for which it was asked for.
        match seamless::fetch(true)? {
            Mode::VisibleRegion => self.enter()?,
            Mode::Disabled => self.leave(),
            Mode::HostWindow => {
                warn!("The host wants each window in one of its own, which is not supported");
                self.leave();
            }
        }
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Error> {
        if self.session.is_none() {
            info!("Seamless mode is on");
            let pace = Pace::new(self.config.rate);
            self.session = Some(Session { watching: false, told: None, pace, trouble: None });
        }
        self.refresh()
    }

    fn leave(&mut self) {
        let Some(session) = self.session.take() else { return };
        info!("Seamless mode is off");
        if let Some(timer) = session.pace.timer() {
            timers::cancel(timer);
        }
        if session.watching
            && let Err(error) = windows::watch(false)
        {
            debug!("The desktop may go on telling of changes: {error}");
        }
    }

    /// Has the host told what is to be seen: now, or as soon as the pace allows.
    fn refresh(&mut self) -> Result<(), Error> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let now = clock::monotonic();
        match session.pace.changed(now) {
            Step::Report => session.report(now, &self.config),
            Step::Wait(left) => session.pace.armed(timers::set(left)?),
            Step::Nothing => {}
        }
        Ok(())
    }
}

impl Session {
    /// Tells the host what is to be seen, or the log why not. What failed is tried again when windows
    /// change or the host rings.
    fn report(&mut self, now: u64, config: &Config) {
        match self.tell(now, config) {
            Ok(()) if self.trouble.take().is_some() => info!("The host knows the windows again"),
            Ok(()) => {}
            Err(error) if self.trouble.as_ref() == Some(&error) => {}
            Err(error) => {
                warn!("The host does not know the windows for now: {error}");
                self.trouble = Some(error);
            }
        }
    }

    fn tell(&mut self, now: u64, config: &Config) -> Result<(), Error> {
        // Before the look, so that no change falls between the two.
        if !self.watching {
            windows::watch(true)?;
            self.watching = true;
        }
        let region = region::visible(&windows::look()?, config);
        if self.told.as_ref() == Some(&region) {
            return Ok(());
        }
        trace!("{} rectangles are to be seen", region.len());
        // Also for a report that is refused: the next is not to come at once.
        self.pace.reported(now);
        seamless::report_region(&region)?;
        self.told = Some(region);
        Ok(())
    }
}

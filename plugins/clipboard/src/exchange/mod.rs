//! The exchange: what the host and the guest's programs tell each other, and what is done about it.
//!
//! `link` listens to the host; `guest` is what the guest's programs have and the host wants;
//! `host` the other way round; `work` is what is being converted. Nothing here waits: each piece of
//! news changes the state, starts what can be started, and is done. So everything that is under way is
//! a value with a token in it, and the agent's answer finds it by that token; an answer to what was
//! given up finds nothing, and is dropped.
//!
//! Of two sides that both have something new, the last one wins.
//!
//! Nothing may be lost track of for ever: what is under way has a bound of its own, and beside that a
//! watchdog looks after it. Idle is one pending call and no timer.

mod guest;
mod host;
mod link;
mod pace;
pub mod policy;
#[cfg(test)]
mod tests;
pub mod wire;
mod work;

use std::time::Duration;

use bellhop_plugin::clipboard::{Owner, Selection};
use bellhop_plugin::hgcm::Completion;
use bellhop_plugin::log::Level;
use bellhop_plugin::{Error, Token};

use crate::bytes::Bytes;
use crate::config::Config;
use guest::Guest;
use host::Host;
use link::Link;
use policy::Policy;
use wire::Outcome;
use work::Work;

/// What the watchdog looks after is looked at this often, as long as there is any.
const LOOK: Duration = Duration::from_secs(15);

/// How old the agent's answer may be at most: longer than every bound that something has of its own.
const STALE: Duration = Duration::from_secs(40);

/// The pauses before something is tried again that may succeed then: it doubles from the first to the
/// longest.
#[derive(Debug, Clone, Copy)]
struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// The pause after so many failures.
    fn after(self, failures: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.min(16));
        doubled.min(self.longest)
    }
}

/// A parameter of a call to the host's service.
#[derive(Debug, PartialEq, Eq)]
pub enum Parameter<'a, B> {
    /// A 32-bit value; the service may change it.
    Value32(u32),
    /// A 64-bit value; the service may change it.
    Value64(u64),
    /// Bytes for the service.
    Bytes(&'a [u8]),
    /// Room for so many bytes from the service.
    Room(u32),
    /// Bytes for the service, of a buffer.
    FromBuffer(&'a B),
    /// Room for so many bytes from the service, which the buffer then holds.
    IntoBuffer(&'a B, u32),
}

/// What the exchange asks of the agent: its imports, as far as they are needed. Errors are the agent's.
#[expect(missing_docs, clippy::missing_errors_doc, reason = "they are those of the SDK")]
pub trait Agent {
    type Buffer: Bytes;

    fn now(&self) -> Duration;
    fn log(&mut self, level: Level, line: &str);
    fn create(&mut self) -> Result<Self::Buffer, Error>;
    fn set_timer(&mut self, after: Duration) -> Result<Token, Error>;
    fn cancel_timer(&mut self, timer: Token);
    /// A number that changes whenever the machine was restored.
    fn session(&mut self) -> Result<u64, Error>;
    /// Connects to the service, in the place of the connection there was.
    fn connect(&mut self) -> Result<(), Error>;
    fn disconnect(&mut self);
    fn submit(
        &mut self,
        function: u32,
        parameters: &[Parameter<'_, Self::Buffer>],
        timeout: Option<Duration>,
    ) -> Result<Token, Error>;
    fn cancel(&mut self, call: Token);
    fn watch(&mut self, selection: Selection) -> Result<(), Error>;
    fn read(&mut self, selection: Selection, format: &str) -> Result<Token, Error>;
    /// Offers on the clipboard.
    fn offer(&mut self, formats: &[&str]) -> Result<(), Error>;
    fn withdraw(&mut self) -> Result<(), Error>;
    fn answer(&mut self, wanted: Token, content: Self::Buffer) -> Result<(), Error>;
    fn refuse(&mut self, wanted: Token);
}

/// The exchange, and all that it remembers.
pub struct Exchange<A: Agent> {
    agent: A,
    config: Config,
    policy: Policy,
    /// Tries again to watch the desktop's selections, which was not there.
    watching: Option<Token>,
    watch_failures: u32,
    link: Link,
    guest: Guest,
    host: Host<A::Buffer>,
    work: Work<A::Buffer>,
    watchdog: Option<Token>,
    /// What was last warned of: to be said once, and not each time.
    warned: String,
}

impl<A: Agent> Exchange<A> {
    /// The pauses before a desktop that is not there is asked again.
    const DESKTOP: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(120) };

    /// An exchange that has not begun.
    pub fn new(agent: A, config: Config) -> Self {
        let policy = Policy::new(&config);
        Exchange {
            agent,
            config,
            policy,
            watching: None,
            watch_failures: 0,
            link: Link::default(),
            guest: Guest::default(),
            host: Host::default(),
            work: Work::default(),
            watchdog: None,
            warned: String::new(),
        }
    }

    /// Begins: watches the desktop, and connects to the host.
    pub fn start(&mut self) {
        self.watch();
        self.connect();
        self.tend();
    }

    /// The machine came back from a saved state, with another host process beside it.
    pub fn restored(&mut self) {
        self.resynchronise();
        self.tend();
    }

    /// A call ended.
    pub fn completed(&mut self, call: Token, outcome: Result<Completion, Error>) {
        let outcome = Outcome::from(outcome);
        let is_known = self.listened(call, &outcome)
            || self.reported(call, &outcome)
            || self.delivered(call, &outcome)
            || self.fetched(call, &outcome);
        if !is_known {
            self.say(Level::Trace, "A call ended that was given up");
        }
        self.tend();
    }

    /// The time of a timer has come.
    pub fn fired(&mut self, timer: Token) {
        if self.watchdog == Some(timer) {
            self.watchdog = None;
            self.look_after();
        } else if self.watching == Some(timer) {
            self.watching = None;
            self.watch();
        } else if self.work.timer == Some(timer) {
            self.work.timer = None;
            self.work_on();
        } else {
            let _ = self.listen_again(timer)
                || self.guest_timer(timer)
                || self.hold_no_longer(timer)
                || self.fetch_again(timer);
        }
        self.tend();
    }

    /// A selection has another owner, or its owner other content.
    pub fn changed(&mut self, selection: Selection, owner: Owner, formats: &[String]) {
        self.owner_changed(selection, owner, formats);
        self.tend();
    }

    /// A read of the desktop ended.
    pub fn read(&mut self, read: Token, outcome: Result<A::Buffer, Error>) {
        self.content_read(read, outcome);
        self.tend();
    }

    /// Somebody in the guest pastes what the host has.
    pub fn wanted(&mut self, wanted: Token, format: &str) {
        self.content_wanted(wanted, format);
        self.tend();
    }

    /// The machine's window got the host's focus, or lost it.
    pub fn focused(&mut self, focused: bool) {
        if self.policy.focus(focused) {
            self.policy_changed();
        }
        self.tend();
    }

    /// The desktop's session was locked, or unlocked.
    pub fn locked(&mut self, locked: bool) {
        if self.policy.lock(locked) {
            self.policy_changed();
        }
        self.tend();
    }

    fn policy_changed(&mut self) {
        match self.policy.closed() {
            Some(reason) => {
                self.say(Level::Info, &format!("Nothing crosses for now: {reason}"));
                self.refuse_host(reason);
                self.refuse_guest(reason);
            }
            None => {
                self.say(Level::Info, "What is copied crosses again");
                self.offer_pending();
            }
        }
    }

    /// Watches the selections, now or when the desktop is there.
    fn watch(&mut self) {
        let primary = self.config.primary.then_some(Selection::Primary);
        for selection in [Selection::Clipboard].into_iter().chain(primary) {
            match self.agent.watch(selection) {
                Ok(()) => {}
                Err(error) if error.is_temporary() => {
                    self.warn(format!("The desktop's clipboard is not watched yet: {error}"));
                    let pause = Self::DESKTOP.after(self.watch_failures);
                    self.watch_failures += 1;
                    self.watching = self.set_timer(pause);
                    return;
                }
                Err(error) => {
                    // A desktop without one is no trouble.
                    let level =
                        if matches!(error, Error::NotSupported(_)) { Level::Info } else { Level::Error };
                    self.say(level, &format!("The desktop's clipboard cannot be watched: {error}"));
                    return;
                }
            }
        }
        self.watch_failures = 0;
    }

    /// Starts what can be started. Every piece of news ends here, so that nothing depends on which of
    /// them it was.
    fn tend(&mut self) {
        self.keep_listening();
        if !self.work.is_empty() && self.work.timer.is_none() {
            self.work_on();
        }
        self.report();
        self.fetch();
        let is_busy =
            self.link.is_busy() || self.guest.is_busy() || self.host.is_busy() || !self.work.is_empty();
        match (is_busy, self.watchdog) {
            (true, None) => self.watchdog = self.set_timer(LOOK),
            (false, Some(timer)) => {
                self.agent.cancel_timer(timer);
                self.watchdog = None;
            }
            _ => {}
        }
    }

    /// Gives up what should have ended long ago.
    fn look_after(&mut self) {
        let Some(before) = self.agent.now().checked_sub(STALE) else { return };
        self.look_after_link(before);
        self.look_after_guest(before);
        self.look_after_host(before);
    }

    fn submit(
        &mut self,
        (function, parameters): wire::Call<'_, A::Buffer>,
        timeout: Option<Duration>,
    ) -> Result<Token, Error> {
        self.agent.submit(function, &parameters, timeout)
    }

    /// Sets a timer. Without one something waits for the next news, or for the watchdog.
    fn set_timer(&mut self, after: Duration) -> Option<Token> {
        match self.agent.set_timer(after) {
            Ok(timer) => Some(timer),
            Err(error) => {
                self.warn(format!("There is no timer to be had: {error}"));
                None
            }
        }
    }

    fn say(&mut self, level: Level, line: &str) {
        self.agent.log(level, line);
    }

    /// Says what went wrong, once until something else does.
    fn warn(&mut self, line: String) {
        let level = if line == self.warned { Level::Debug } else { Level::Warn };
        self.agent.log(level, &line);
        self.warned = line;
    }
}

//! Listening to the host.
//!
//! One call at a time is under way: it asks for the next message, takes it, or skips it. At the
//! beginning, and after a restore, messages are taken that are there already before the guest says what
//! it has; otherwise both sides would take over the other's content and have none.

use std::time::Duration;

use bellhop_plugin::log::Level;
use bellhop_plugin::{Error, Token};

use super::pace::Pace;
use super::wire::{self, Kind, Message, Outcome, status};
use super::{Agent, Backoff, Exchange};

/// How long the service may take for what it answers at once.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The pauses before the host is connected to again.
const RECONNECT: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(300) };

/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(60);

/// The connection to the host.
#[derive(Debug)]
pub(super) struct Link {
    doing: Doing,
    session: u64,
    /// The host knows no contexts.
    is_old: bool,
    /// Messages that were there already were taken.
    pub caught_up: bool,
    /// What the host has to say is from before it took over what the guest has.
    is_crossed: bool,
    messages: Pace,
    trouble: Pace,
    /// Connections in a row that did not last.
    failures: u32,
    /// When this one was made.
    since: Duration,
}

/// What the link does.
#[derive(Debug)]
enum Doing {
    /// Nothing, until the machine is restored: this host does not have the service.
    Resting,
    /// It will connect.
    Reconnecting(Option<Token>),
    /// It will do this.
    Pausing(Option<Token>, Step),
    /// It will do this once it is known what became of what the host is being told.
    Holding(Step),
    /// It does this, since then.
    Calling(Token, Step, Duration),
}

/// What the link asks of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Says what the guest can do, and asks what the host can.
    Features,
    /// Asks which message is next: waits for it, once those were taken that are there.
    Peek,
    /// Takes a message.
    Get(u64, Vec<Kind>),
    /// Asks what the parameters of a message are, to skip it.
    PeekKinds(u64, u32),
    /// Skips a message.
    Skip(u64, Vec<Kind>),
    /// Makes the host forget a message that cannot be skipped, and all others.
    Reset,
    /// Ends a wait that only the service still knows of.
    Cancel,
}

impl Default for Link {
    fn default() -> Self {
        Link {
            doing: Doing::Resting,
            session: 0,
            is_old: false,
            caught_up: false,
            is_crossed: false,
            messages: Pace::of_messages(),
            trouble: Pace::of_trouble(),
            failures: 0,
            since: Duration::ZERO,
        }
    }
}

impl Link {
    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        matches!(self.doing, Doing::Pausing(..) | Doing::Holding(_) | Doing::Calling(..))
    }

    /// Whether the host may be told what the guest has: after all that it said before was heard.
    pub fn may_tell(&self) -> bool {
        self.caught_up && matches!(self.doing, Doing::Pausing(..) | Doing::Calling(_, Step::Peek, _))
    }

    /// Whether something is under way that should end soon.
    pub fn is_busy(&self) -> bool {
        match &self.doing {
            Doing::Resting | Doing::Reconnecting(Some(_)) | Doing::Pausing(Some(_), _) => false,
            // Without a timer, because none was to be had.
            Doing::Reconnecting(None) | Doing::Pausing(None, _) | Doing::Holding(_) => true,
            Doing::Calling(_, step, _) => !(*step == Step::Peek && self.caught_up),
        }
    }
}

impl<A: Agent> Exchange<A> {
    /// Connects to the host.
    pub(super) fn connect(&mut self) {
        let connected = self.agent.connect();
        if let Err(error) = connected {
            let is_temporary = error.is_temporary() || matches!(error, Error::Host(_) | Error::Other(_));
            if wire::status_of(&error) == status::SERVICE_NOT_FOUND || !is_temporary {
                self.link.doing = Doing::Resting;
                self.say(Level::Error, &format!("The host's clipboard cannot be had: {error}"));
            } else {
                self.reconnect(&error.to_string());
            }
            return;
        }
        self.link.since = self.agent.now();
        self.link.session = match self.agent.session() {
            Ok(session) => session,
            Err(error) => {
                self.warn(format!("A restored machine may go unnoticed: {error}"));
                // By this the host does not check it.
                0
            }
        };
        self.begin();
    }

    /// Begins, perhaps anew, with what the host knows of the guest.
    fn begin(&mut self) {
        self.link.caught_up = false;
        self.announce();
        self.go_slowly(Step::Features);
    }

    /// Sees to it that the host is known anew after a restore, unless that was done.
    pub(super) fn resynchronise(&mut self) {
        match &self.link.doing {
            Doing::Resting => self.connect(),
            Doing::Reconnecting(timer) => {
                if let Some(timer) = *timer {
                    self.agent.cancel_timer(timer);
                }
                // What failed before says nothing of the host that there is now.
                self.link.failures = 0;
                self.connect();
            }
            Doing::Pausing(..) | Doing::Holding(_) | Doing::Calling(..) => {
                let session = self.agent.session();
                if session.as_ref().is_ok_and(|session| *session == self.link.session) {
                    return;
                }
                self.link.session = session.unwrap_or(0);
                match self.link.doing {
                    Doing::Pausing(Some(timer), _) => self.agent.cancel_timer(timer),
                    Doing::Calling(call, ..) => self.agent.cancel(call),
                    _ => {}
                }
                self.begin();
            }
        }
    }

    /// Gives up the connection, and all that depends on it; there will be another one.
    fn lose(&mut self, reason: &str) {
        match self.link.doing {
            Doing::Pausing(Some(timer), _) => self.agent.cancel_timer(timer),
            Doing::Calling(call, ..) => self.agent.cancel(call),
            _ => {}
        }
        if self.agent.now().saturating_sub(self.link.since) > GOOD {
            self.link.failures = 0;
        }
        self.agent.disconnect();
        self.lost_guest();
        self.lost_host();
        self.reconnect(reason);
    }

    fn reconnect(&mut self, reason: &str) {
        let pause = RECONNECT.after(self.link.failures);
        self.link.failures = self.link.failures.saturating_add(1);
        self.warn(format!("No connection to the host's clipboard, which is tried again: {reason}"));
        let timer = self.set_timer(pause);
        self.link.doing = Doing::Reconnecting(timer);
    }

    /// Does the next step.
    fn go(&mut self, step: Step) {
        let Link { session, is_old, caught_up, .. } = self.link;
        let (call, timeout) = match &step {
            Step::Features => (wire::report_features(), Some(TIMEOUT)),
            Step::Peek if is_old => (wire::old_get_wait(), None),
            Step::Peek => (wire::peek(session, caught_up), (!caught_up).then_some(TIMEOUT)),
            Step::Get(id, kinds) | Step::Skip(id, kinds) => (wire::get(*id, kinds), Some(TIMEOUT)),
            Step::PeekKinds(_, count) => (wire::peek_kinds(session, *count), Some(TIMEOUT)),
            Step::Reset => (wire::error(), Some(TIMEOUT)),
            Step::Cancel => (wire::cancel(), Some(TIMEOUT)),
        };
        match self.submit(call, timeout) {
            Ok(call) => self.link.doing = Doing::Calling(call, step, self.agent.now()),
            Err(error) => self.lose(&error.to_string()),
        }
    }

    /// Listens for the next message, after one that is of use.
    fn listen(&mut self) {
        let pause = self.link.messages.pause(self.agent.now());
        let is_first = self.link.messages.is_first();
        self.go_after(pause, is_first, Step::Peek);
    }

    /// Goes on after something that is of no use.
    fn go_slowly(&mut self, step: Step) {
        let pause = self.link.trouble.pause(self.agent.now());
        let is_first = self.link.trouble.is_first();
        self.go_after(pause, is_first, step);
    }

    fn go_after(&mut self, pause: Duration, is_first: bool, step: Step) {
        if pause.is_zero() {
            return self.go(step);
        }
        if is_first {
            self.say(Level::Warn, "The host has ever more to say, and is heard more seldom");
        }
        self.link.doing = Doing::Pausing(self.set_timer(pause), step);
    }

    /// Goes on after a pause, if this timer was it.
    pub(super) fn listen_again(&mut self, timer: Token) -> bool {
        match &self.link.doing {
            Doing::Reconnecting(Some(reconnect)) if *reconnect == timer => self.connect(),
            Doing::Pausing(Some(pause), step) if *pause == timer => {
                let step = step.clone();
                self.go(step);
            }
            _ => return false,
        }
        true
    }

    /// Goes on with what has no timer that would see to it.
    pub(super) fn keep_listening(&mut self) {
        match &self.link.doing {
            Doing::Reconnecting(timer @ None) => {
                let timer = timer.or_else(|| self.set_timer(RECONNECT.longest));
                self.link.doing = Doing::Reconnecting(timer);
            }
            Doing::Pausing(None, step) => {
                let step = step.clone();
                let timer = self.set_timer(RECONNECT.first);
                self.link.doing = Doing::Pausing(timer, step);
            }
            Doing::Holding(step) if !self.guest.is_telling() => {
                let step = step.clone();
                self.link.is_crossed = self.guest.is_heard();
                self.go(step);
            }
            _ => {}
        }
    }

    /// Gives up a call that should have ended.
    pub(super) fn look_after_link(&mut self, before: Duration) {
        if let Doing::Calling(_, step, since) = &self.link.doing
            && self.link.is_busy()
            && *since < before
        {
            let line = format!("no answer ever came to {step:?}");
            self.lose(&line);
        }
    }

    /// Goes on after a call, if this was the one.
    pub(super) fn listened(&mut self, call: Token, outcome: &Outcome) -> bool {
        match &mut self.link.doing {
            Doing::Calling(calling, step, _) if *calling == call => {
                let step = std::mem::replace(step, Step::Peek);
                self.ended(step, outcome);
                true
            }
            _ => false,
        }
    }

    fn ended(&mut self, step: Step, outcome: &Outcome) {
        if outcome.is_gone() {
            return self.lose(&outcome.text);
        }
        if outcome.status == status::VM_RESTORED {
            self.link.session = outcome.value(0).unwrap_or(0);
            return self.begin();
        }
        match step {
            Step::Features => {
                self.link.is_old = !outcome.has_contexts();
                if self.link.is_old {
                    self.say(Level::Info, "An old host, which is spoken to in the old way");
                    // It cannot be asked whether there is a message.
                    self.link.caught_up = true;
                }
                self.go_slowly(Step::Peek);
            }
            Step::Peek => self.peeked(outcome),
            Step::Get(id, _) if outcome.is_ok() => self.heard(outcome.message(id)),
            Step::Get(id, kinds) => {
                let is_another = [status::MISMATCH, status::TRY_AGAIN].contains(&outcome.status);
                if is_another || outcome.is_interrupted() {
                    self.go_slowly(Step::Peek);
                } else {
                    self.skip(id, u32::try_from(kinds.len()).unwrap_or(u32::MAX));
                }
            }
            Step::PeekKinds(..) => match (outcome.peeked(), outcome.kinds()) {
                (Some((id, _)), Some(kinds)) if outcome.is_ok() => self.go(Step::Skip(id, kinds)),
                _ if outcome.status == status::TRY_AGAIN => self.go_slowly(Step::Peek),
                _ => self.go(Step::Reset),
            },
            Step::Skip(id, _) => {
                if outcome.is_ok() {
                    self.say(Level::Debug, &format!("Skipped a message that is of no use: number {id}"));
                    self.go_slowly(Step::Peek);
                } else {
                    self.warn(format!(
                        "Message {id} cannot be skipped, so the host is made to forget it: {}",
                        outcome.text
                    ));
                    self.go(Step::Reset);
                }
            }
            Step::Reset if outcome.is_ok() => self.begin(),
            Step::Reset => self.lose(&outcome.text),
            Step::Cancel => self.go_slowly(Step::Peek),
        }
    }

    fn peeked(&mut self, outcome: &Outcome) {
        match outcome.status {
            status::RESOURCE_BUSY => self.go_slowly(Step::Cancel),
            _ if outcome.is_interrupted() => self.go_slowly(Step::Cancel),
            0.. if self.link.is_old => {
                let message = outcome.value(0).unwrap_or(0);
                self.heard(outcome.message(message));
            }
            0.. => match outcome.peeked() {
                Some((0, _)) => self.nothing(),
                Some((id, count)) => match (wire::at_once(id), wire::known_kinds(id, count)) {
                    (Some(message), _) => self.heard(message),
                    (None, Some(kinds)) => {
                        let step = Step::Get(id, kinds);
                        // What comes of it depends on whether the host took note of what it is told.
                        if self.guest.is_telling() {
                            self.link.doing = Doing::Holding(step);
                        } else {
                            self.link.is_crossed = false;
                            self.go(step);
                        }
                    }
                    (None, None) => self.skip(id, count),
                },
                None => self.lose("the host's answer is not what was asked for"),
            },
            // A host that cannot say that there is none has those that there are in time.
            _ if !self.link.caught_up => self.nothing(),
            status::TRY_AGAIN => self.nothing(),
            _ => self.lose(&outcome.text),
        }
    }

    /// There is no message: waits for one.
    fn nothing(&mut self) {
        self.link.caught_up = true;
        self.go_slowly(Step::Peek);
    }

    /// Skips a message.
    fn skip(&mut self, id: u64, count: u32) {
        let step = if count <= wire::MOST_PARAMETERS { Step::PeekKinds(id, count) } else { Step::Reset };
        self.go_slowly(step);
    }

    /// Acts on a message, and listens for the next one.
    fn heard(&mut self, message: Message) {
        // A host that asks for what the guest has, has nothing newer itself.
        self.link.caught_up |= matches!(message, Message::Read { .. });
        match message {
            Message::Read { .. } | Message::Formats(_) => self.listen(),
            Message::Quit | Message::Canceled | Message::Other(_) => self.go_slowly(Step::Peek),
        }
        match message {
            Message::Quit => self.lose("the host ended it"),
            Message::Read { context, formats } => self.content_requested(context, formats),
            Message::Formats(formats) => {
                let is_crossed = std::mem::take(&mut self.link.is_crossed);
                if !is_crossed || !self.reassert() {
                    self.formats_reported(formats);
                }
            }
            Message::Canceled => {}
            Message::Other(id) => {
                self.say(Level::Debug, &format!("Ignored a message that is not understood: number {id}"));
            }
        }
    }
}

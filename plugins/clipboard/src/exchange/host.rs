//! What the host has: it is offered to the guest's programs, and fetched when one of them pastes it.

use std::rc::Rc;
use std::time::Duration;

use bellhop_plugin::Token;
use bellhop_plugin::clipboard::{Owner, Selection};
use bellhop_plugin::log::Level;

use super::wire::{self, Outcome, status};
use super::work::For;
use super::{Agent, Backoff, Exchange};
use crate::bytes::Bytes;
use crate::convert;
use crate::formats::{Format, Mask, Mime};

/// How long the desktop may take to say that an offer holds.
const TAKING: Duration = Duration::from_millis(500);

/// How many of the guest's programs are served at once.
const WANTS: usize = 16;

/// The room that is offered to the host first, in bytes.
const ROOM: u32 = 64 << 10;

/// How often the host may name another size, because its content changed.
const SIZES: u32 = 4;

/// The pauses before the host is asked again for what it could not give, and how often it is.
const ASK_AGAIN: Backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(2) };
const ASKS: u32 = 6;

/// How long the host may take: less than a program of the guest is left waiting.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What the host has, and who wants it.
pub(super) struct Host<B> {
    /// What the guest's programs are offered, or were before another one took over.
    offered: Mask,
    /// What they are to be offered when that may be.
    pending: Option<Mask>,
    /// The clipboard is about to be ours.
    taking: Option<Taking>,
    wants: Vec<Want>,
    fetch: Option<Fetch<B>>,
}

/// An offer of which the desktop has not said yet that it holds.
///
/// What it says of another owner until then may be from before. That is held back for a moment: taken
/// for news, it would make each side believe that the other has what was copied last.
#[derive(Debug, Default)]
struct Taking {
    held: Option<(Owner, Vec<String>)>,
    timer: Option<Token>,
}

/// A program that wants something.
#[derive(Debug)]
struct Want {
    token: Token,
    mime: Mime,
    /// What was fetched is being converted.
    is_converting: bool,
    since: Duration,
}

/// What is being fetched from the host.
struct Fetch<B> {
    format: Format,
    buffer: B,
    room: u32,
    doing: Doing,
    sizes: u32,
    asks: u32,
    since: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Calling(Token),
    Pausing(Option<Token>),
}

impl<B> Default for Host<B> {
    fn default() -> Self {
        Host { offered: 0, pending: None, taking: None, wants: Vec::new(), fetch: None }
    }
}

impl<B> Host<B> {
    /// Whether something is under way that should end soon.
    pub fn is_busy(&self) -> bool {
        !self.wants.is_empty() || self.fetch.is_some()
    }
}

impl<A: Agent> Exchange<A> {
    /// The host has something new.
    pub(super) fn formats_reported(&mut self, formats: Mask) {
        self.host.pending = Some(formats & self.config.allowed());
        // A host that has nothing does not outdo a guest that has something.
        if formats != 0 {
            self.guest.is_outdone();
        }
        self.offer_pending();
    }

    /// Offers what the host has, if that may be.
    pub(super) fn offer_pending(&mut self) {
        if self.policy.closed().is_some() {
            return;
        }
        match self.host.pending.take() {
            None => {}
            Some(0) => self.withdraw(),
            Some(formats) => {
                let mimes = Format::all(formats).flat_map(Format::mimes);
                let names: Vec<&str> = mimes.map(|mime| mime.name()).collect();
                match self.agent.offer(&names) {
                    Ok(()) => {
                        self.host.offered = formats;
                        self.host.taking.get_or_insert_default();
                        self.say(Level::Debug, &format!("The guest is offered {}", names.join(", ")));
                    }
                    Err(error) => {
                        // A desktop that comes back says who owns its clipboard.
                        self.host.pending = error.is_temporary().then_some(formats);
                        self.warn(format!("What the host copied cannot be offered: {error}"));
                    }
                }
            }
        }
    }

    fn withdraw(&mut self) {
        if self.host.offered == 0 {
            return;
        }
        self.host.offered = 0;
        if let Err(error) = self.agent.withdraw() {
            self.warn(format!("What the host does not have any more is still offered: {error}"));
        }
    }

    /// Takes note that the clipboard is ours, or holds back that it is not if that may be from before.
    pub(super) fn held_back(&mut self, owner: Owner, names: &[String]) -> bool {
        let Some(Taking { timer, .. }) = self.host.taking else { return false };
        if owner == Owner::Plugin {
            self.host.taking = None;
            if let Some(timer) = timer {
                self.agent.cancel_timer(timer);
            }
            return false;
        }
        let timer = timer.or_else(|| self.set_timer(TAKING));
        let held = Some((owner, names.to_vec()));
        self.host.taking = timer.is_some().then_some(Taking { held, timer });
        timer.is_some()
    }

    /// What was held back is news after all, if this timer says so.
    pub(super) fn hold_no_longer(&mut self, timer: Token) -> bool {
        let is_it = self.host.taking.as_ref().is_some_and(|taking| taking.timer == Some(timer));
        if is_it && let Some((owner, names)) = self.host.taking.take().and_then(|taking| taking.held) {
            self.owner_changed(Selection::Clipboard, owner, &names);
        }
        is_it
    }

    /// The clipboard is no more ours: another program holds it, or nobody.
    pub(super) fn clipboard_taken(&mut self, by_another: bool) {
        if by_another {
            self.host.pending = None;
        } else {
            self.offer_pending();
        }
    }

    /// A program of the guest pastes what the host has.
    pub(super) fn content_wanted(&mut self, token: Token, name: &str) {
        let mime = Mime::named(name).filter(|mime| self.host.offered & mime.format().bit() != 0);
        let refused = match (self.policy.closed(), mime) {
            (Some(reason), _) => reason,
            (None, None) => "the host does not have it",
            _ if !self.link.is_up() => "there is no connection to the host",
            _ if self.host.wants.len() >= WANTS => "too much is pasted at once",
            (None, Some(mime)) => {
                let since = self.agent.now();
                return self.host.wants.push(Want { token, mime, is_converting: false, since });
            }
        };
        self.say(Level::Debug, &format!("{name} is refused: {refused}"));
        self.agent.refuse(token);
    }

    /// Fetches what is wanted next: one at a time.
    pub(super) fn fetch(&mut self) {
        while self.host.fetch.is_none()
            && let Some(want) = self.host.wants.iter().find(|want| !want.is_converting)
        {
            let format = want.mime.format();
            match self.agent.create() {
                Ok(buffer) => {
                    let since = self.agent.now();
                    let doing = Doing::Pausing(None);
                    self.host.fetch =
                        Some(Fetch { format, buffer, room: ROOM, doing, sizes: 0, asks: 0, since });
                    self.ask();
                }
                Err(error) => self.not_fetched(format, &error.to_string()),
            }
        }
    }

    /// Asks the host for what is being fetched.
    fn ask(&mut self) {
        let Some(fetch) = &mut self.host.fetch else { return };
        let (function, parameters) = wire::data_read(fetch.format.bit(), &fetch.buffer, fetch.room);
        match self.agent.submit(function, &parameters, Some(TIMEOUT)) {
            Ok(call) => fetch.doing = Doing::Calling(call),
            Err(error) => {
                let format = fetch.format;
                self.not_fetched(format, &error.to_string());
            }
        }
    }

    /// Asks again after a pause, if this timer was it.
    pub(super) fn fetch_again(&mut self, timer: Token) -> bool {
        let is_it = self.host.fetch.as_ref().is_some_and(|fetch| fetch.doing == Doing::Pausing(Some(timer)));
        if is_it {
            self.ask();
        }
        is_it
    }

    /// Goes on after the host was asked, if this call was that.
    pub(super) fn fetched(&mut self, call: Token, outcome: &Outcome) -> bool {
        let Some(fetch) = &mut self.host.fetch else { return false };
        if fetch.doing != Doing::Calling(call) {
            return false;
        }
        let format = fetch.format;
        let most = self.config.for_host(format).bytes;
        let needed = outcome.word(2).unwrap_or(0);
        let reason = match outcome.status {
            0.. if needed == 0 => "the host has none".to_owned(),
            // Whether it says that there was too little room does not matter: it also does when there
            // was just enough.
            0.. if needed <= fetch.room => {
                self.convert_for_guest(needed.into());
                return true;
            }
            0.. if u64::from(needed) > most => {
                format!("{needed} bytes are more than can become what is allowed")
            }
            0.. if fetch.sizes < SIZES => {
                fetch.sizes += 1;
                fetch.room = needed;
                self.ask();
                return true;
            }
            0.. => "its size never stays the same".to_owned(),
            status::TRY_AGAIN if fetch.asks < ASKS => {
                let pause = ASK_AGAIN.after(fetch.asks);
                fetch.asks += 1;
                let timer = self.set_timer(pause);
                if let Some(fetch) = &mut self.host.fetch {
                    fetch.doing = Doing::Pausing(timer);
                }
                return true;
            }
            status::OUT_OF_RANGE => {
                format!("{} bytes are more than the kernel's driver carries, which are 24 MiB", fetch.room)
            }
            status::ACCESS_DENIED => "the host is set not to give it".to_owned(),
            _ => outcome.text.clone(),
        };
        self.not_fetched(format, &reason);
        true
    }

    /// Refuses a format to those who wait for it.
    fn not_fetched(&mut self, format: Format, reason: &str) {
        self.warn(format!("What the host copied cannot be pasted: {reason}"));
        self.host.fetch = None;
        let refused =
            self.host.wants.extract_if(.., |want| !want.is_converting && want.mime.format() == format);
        for want in refused {
            self.agent.refuse(want.token);
        }
    }

    /// Converts what was fetched for all who wait for it.
    fn convert_for_guest(&mut self, size: u64) {
        let Some(Fetch { format, buffer, .. }) = self.host.fetch.take() else { return };
        match buffer.size() {
            Ok(there) if there >= size => {}
            Ok(there) => {
                return self
                    .not_fetched(format, &format!("only {there} bytes came of the {size} that there are"));
            }
            Err(error) => return self.not_fetched(format, &error.to_string()),
        }
        let source = Rc::new(buffer);
        let mut waiting = Vec::new();
        for want in
            self.host.wants.iter_mut().filter(|want| !want.is_converting && want.mime.format() == format)
        {
            want.is_converting = true;
            waiting.push((want.token, want.mime));
        }
        for (token, mime) in waiting {
            match self.agent.create() {
                Ok(target) => {
                    let target = Rc::new(target);
                    let limits = self.config.for_guest();
                    let conversion = convert::to_guest(mime, source.clone(), size, target.clone(), limits);
                    self.convert(For::Guest(token), conversion, target);
                }
                Err(error) => self.converted_for_guest(token, Err(error.into())),
            }
        }
    }

    /// Answers who wanted it, after it was converted.
    pub(super) fn converted_for_guest(&mut self, token: Token, content: Result<A::Buffer, convert::Error>) {
        let Some(index) = self.host.wants.iter().position(|want| want.token == token) else { return };
        let want = self.host.wants.swap_remove(index);
        let answered = content.and_then(|content| Ok(self.agent.answer(token, content)?));
        match answered {
            Ok(()) => self.say(Level::Debug, &format!("{} was pasted", want.mime)),
            Err(error) => {
                self.warn(format!("What the host copied cannot be pasted as {}: {error}", want.mime));
                self.agent.refuse(token);
            }
        }
    }

    /// Nothing of the host's may come to the guest any more.
    pub(super) fn refuse_guest(&mut self, reason: &str) {
        if let Some(Fetch { doing, .. }) = self.host.fetch.take() {
            match doing {
                Doing::Calling(call) => self.agent.cancel(call),
                Doing::Pausing(Some(timer)) => self.agent.cancel_timer(timer),
                Doing::Pausing(None) => {}
            }
        }
        for want in std::mem::take(&mut self.host.wants) {
            self.say(Level::Debug, &format!("{} is refused: {reason}", want.mime));
            self.work.give_up(For::Guest(want.token));
            self.agent.refuse(want.token);
        }
    }

    /// The host is gone, and with it what it had.
    pub(super) fn lost_host(&mut self) {
        self.refuse_guest("there is no connection to the host any more");
        self.host.pending = None;
        self.withdraw();
    }

    /// Gives up what should have ended.
    pub(super) fn look_after_host(&mut self, before: Duration) {
        if let Some(fetch) = &self.host.fetch
            && fetch.since < before
        {
            let (format, doing) = (fetch.format, fetch.doing);
            if let Doing::Calling(call) = doing {
                self.agent.cancel(call);
            }
            self.not_fetched(format, "the host never answered");
        }
        let stale = |want: &mut Want| want.since < before;
        for want in self.host.wants.extract_if(.., stale).collect::<Vec<_>>() {
            self.warn(format!("{} was wanted, and never converted", want.mime));
            self.work.give_up(For::Guest(want.token));
            self.agent.refuse(want.token);
        }
    }
}

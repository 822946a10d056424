//! What the guest's programs have: the host is told of it, and asks for it.

use std::rc::Rc;
use std::time::Duration;

use bellhop_plugin::clipboard::{Owner, Selection};
use bellhop_plugin::log::Level;
use bellhop_plugin::{Error, Token};

use super::wire::{self, Outcome, status};
use super::work::For;
use super::{Agent, Backoff, Exchange};
use crate::bytes::Bytes;
use crate::convert;
use crate::formats::{self, Format, Mask, Mime};

/// How long an owner may take to deliver what the host waits for, which gives up after 5 seconds.
/// What was delivered and takes longer to convert still goes there: some hosts do not give up.
const DEADLINE: Duration = Duration::from_millis(4500);

/// How many requests of the host are served at once; it has a thread for each that waits.
const REQUESTS: usize = 8;

/// How often content is read anew because its owner changed meanwhile.
const REREADS: u32 = 2;

/// The pauses before the host is told once more what there is, and how often that is done.
const RETELL: Backoff = Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(4) };
const RETELLINGS: u32 = 5;

/// How long the service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the guest's programs have, and what the host asked of it.
#[derive(Debug, Default)]
pub(super) struct Guest {
    /// What another program holds: on the clipboard, and on what is selected.
    clipboard: Option<Holding>,
    primary: Option<Holding>,
    /// The host is told of what is selected, because that changed last.
    is_primary: bool,
    /// What the host is still to be told.
    report: Option<Mask>,
    /// What it was told.
    told: Mask,
    telling: Option<(Token, Mask, Duration)>,
    failures: u32,
    retry: Option<Token>,
    /// It was told once more what it gave up for something of its own.
    is_reasserted: bool,
    requests: Vec<Request>,
    last_request: u64,
    writes: Vec<Write>,
}

/// What another program holds.
#[derive(Debug)]
struct Holding {
    mimes: Vec<Mime>,
    mask: Mask,
}

/// Something that the host asked for.
#[derive(Debug)]
struct Request {
    number: u64,
    context: Option<u64>,
    /// Any of these will do.
    formats: Mask,
    /// The one that it gets, and as what else it may be read, the best last.
    format: Format,
    candidates: Vec<Mime>,
    reading: Option<(Token, Mime)>,
    rereads: u32,
    /// When the owner is given up.
    deadline: Option<Token>,
    since: Duration,
}

/// An answer that is on its way to the host.
#[derive(Debug)]
struct Write {
    call: Token,
    context: Option<u64>,
    formats: Mask,
    /// Not an empty one.
    has_content: bool,
    since: Duration,
}

impl Guest {
    fn holding(&self) -> Option<&Holding> {
        if self.is_primary { self.primary.as_ref() } else { self.clipboard.as_ref() }
    }

    fn mask(&self) -> Mask {
        self.holding().map_or(0, |holding| holding.mask)
    }

    /// Whether something is under way that should end soon.
    pub fn is_busy(&self) -> bool {
        self.telling.is_some() || !self.requests.is_empty() || !self.writes.is_empty()
    }

    /// Whether the host is being told what there is.
    pub fn is_telling(&self) -> bool {
        self.telling.is_some()
    }

    /// Whether it took note of something.
    pub fn is_heard(&self) -> bool {
        self.told != 0
    }

    /// The host has something newer.
    pub fn is_outdone(&mut self) {
        self.report = None;
        self.told = 0;
        self.is_reasserted = false;
    }

    fn request(&mut self, number: u64) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.number == number)
    }
}

impl<A: Agent> Exchange<A> {
    /// Takes note of who holds a selection.
    pub(super) fn owner_changed(&mut self, selection: Selection, owner: Owner, names: &[String]) {
        let is_primary = selection == Selection::Primary;
        if is_primary && !self.config.primary || !is_primary && self.held_back(owner, names) {
            return;
        }
        let allowed = self.config.allowed();
        let guest = &mut self.guest;
        let place = if is_primary { &mut guest.primary } else { &mut guest.clipboard };
        *place = (owner == Owner::Other).then(|| {
            let mimes: Vec<Mime> = names.iter().filter_map(|name| Mime::named(name)).collect();
            let mask = formats::mask(&mimes) & allowed;
            Holding { mimes, mask }
        });
        let is_news = match owner {
            Owner::Other => {
                guest.is_primary = is_primary;
                true
            }
            Owner::Nobody if guest.is_primary == is_primary => {
                // The other selection may still hold something.
                guest.is_primary = guest.clipboard.is_none() && guest.primary.is_some();
                true
            }
            // What is ours the host has, and what it was not told of it need not forget.
            Owner::Plugin | Owner::Nobody => false,
        };
        if is_news {
            guest.report = Some(guest.mask());
            guest.is_reasserted = false;
            guest.failures = 0;
        }
        if !is_primary && owner != Owner::Plugin {
            self.clipboard_taken(owner == Owner::Other);
        }
    }

    /// Has the host told what there is, because it does not know any more. Nothing is what it assumes.
    pub(super) fn announce(&mut self) {
        let mask = self.guest.mask();
        self.guest.report = (mask != 0).then_some(mask);
        self.guest.told = 0;
        self.guest.failures = 0;
    }

    /// Has the host told once more what there is. Not if there is nothing, nor if that was done: a host
    /// that takes over whatever it is told of would never end.
    ///
    /// It said what it has while it was told what the guest has. Whichever it took for the newer, by
    /// now it may have given up its own; if the guest did the same, both would offer what neither has.
    pub(super) fn reassert(&mut self) -> bool {
        let mask = self.guest.mask();
        if mask == 0 || std::mem::replace(&mut self.guest.is_reasserted, true) {
            return false;
        }
        self.say(Level::Debug, "Both sides copied at once: what the guest has counts");
        self.guest.report.get_or_insert(mask);
        true
    }

    /// Tells the host what there is, as soon as it can be told.
    pub(super) fn report(&mut self) {
        let is_waiting = self.guest.telling.is_some() || self.guest.retry.is_some();
        if is_waiting || !self.link.may_tell() || self.policy.closed().is_some() {
            return;
        }
        let Some(mask) = self.guest.report.take() else { return };
        if mask == 0 && self.guest.told == 0 {
            return;
        }
        match self.submit(wire::report_formats(mask), Some(TIMEOUT)) {
            Ok(call) => self.guest.telling = Some((call, mask, self.agent.now())),
            Err(error) => self.warn(format!("The host does not know what can be pasted: {error}")),
        }
    }

    /// Goes on after the host was told, if this call was that.
    pub(super) fn reported(&mut self, call: Token, outcome: &Outcome) -> bool {
        let mask = match self.guest.telling {
            Some((telling, mask, _)) if telling == call => mask,
            _ => return false,
        };
        self.guest.telling = None;
        self.guest.told = 0;
        match outcome.status {
            0.. => {
                self.guest.told = mask;
                self.guest.failures = 0;
                self.say(Level::Debug, &format!("The host knows what can be pasted: formats {mask:#x}"));
            }
            status::TRY_AGAIN if self.guest.failures < RETELLINGS => {
                // Unless there is something newer.
                self.guest.report.get_or_insert(mask);
                let pause = RETELL.after(self.guest.failures);
                self.guest.failures += 1;
                self.guest.retry = self.set_timer(pause);
            }
            status::ACCESS_DENIED => {
                self.warn("The host does not want what is copied in the guest: it is set so".to_owned());
            }
            _ => self.warn(format!("The host does not know what can be pasted: {}", outcome.text)),
        }
        true
    }

    /// The host wants content, in any of some formats.
    pub(super) fn content_requested(&mut self, context: Option<u64>, formats: Mask) {
        let closed = self.policy.closed();
        let (format, candidates) = match self.candidates(formats) {
            Some(found) if closed.is_none() && self.guest.requests.len() < REQUESTS => found,
            found => {
                let reason = closed.unwrap_or(if found.is_some() {
                    "it asks for too much at once"
                } else {
                    "the guest has none of it"
                });
                self.say(Level::Debug, &format!("The host gets nothing for formats {formats:#x}: {reason}"));
                return self.deliver(context, formats, None);
            }
        };
        self.guest.last_request += 1;
        let number = self.guest.last_request;
        let since = self.agent.now();
        let request = Request {
            number,
            context,
            formats,
            format,
            candidates,
            reading: None,
            rereads: 0,
            deadline: None,
            since,
        };
        self.guest.requests.push(request);
        self.read_for(number);
    }

    /// The first of the formats that the guest has, and as what it can be read: the best last.
    fn candidates(&self, formats: Mask) -> Option<(Format, Vec<Mime>)> {
        let holding = self.guest.holding()?;
        let format = Format::all(formats & holding.mask).next()?;
        let has = |mime: &Mime| holding.mimes.contains(mime);
        let candidates = format.mimes().iter().rev().copied().filter(has).collect();
        Some((format, candidates))
    }

    /// Reads what a request is for, as the next best of what it can be read as.
    fn read_for(&mut self, number: u64) {
        let selection = if self.guest.is_primary { Selection::Primary } else { Selection::Clipboard };
        loop {
            let Some(request) = self.guest.request(number) else { return };
            let Some(mime) = request.candidates.pop() else {
                return self.fail(number);
            };
            match self.agent.read(selection, mime.name()) {
                Ok(read) => return self.reads(number, read, mime),
                Err(error) => self.warn(format!("The guest's {mime} cannot be read: {error}")),
            }
        }
    }

    /// Takes note of a read, for so long as the host waits.
    fn reads(&mut self, number: u64, read: Token, mime: Mime) {
        let now = self.agent.now();
        let Some(request) = self.guest.request(number) else { return };
        request.reading = Some((read, mime));
        let left = DEADLINE.saturating_sub(now.saturating_sub(request.since));
        let deadline = self.set_timer(left);
        if let Some(request) = self.guest.request(number) {
            request.deadline = deadline;
        }
    }

    /// Goes on after content was read.
    pub(super) fn content_read(&mut self, read: Token, outcome: Result<A::Buffer, Error>) {
        let is_it = |request: &&mut Request| request.reading.is_some_and(|(reading, _)| reading == read);
        let Some(request) = self.guest.requests.iter_mut().find(is_it) else {
            return self.say(Level::Debug, "Content came for which nobody waits any more");
        };
        let Some((_, mime)) = request.reading.take() else { return };
        let (number, formats, rereads) = (request.number, request.formats, request.rereads);
        if let Some(deadline) = request.deadline.take() {
            self.agent.cancel_timer(deadline);
        }
        match outcome {
            Ok(content) => self.convert_for_host(number, mime, content),
            Err(Error::Busy(_)) if rereads < REREADS => {
                // What is new may be there in other formats.
                let Some((format, candidates)) = self.candidates(formats) else { return self.fail(number) };
                if let Some(request) = self.guest.request(number) {
                    request.rereads += 1;
                    (request.format, request.candidates) = (format, candidates);
                }
                self.read_for(number);
            }
            Err(error) => {
                self.warn(format!("The guest's {mime} could not be read: {error}"));
                self.read_for(number);
            }
        }
    }

    fn convert_for_host(&mut self, number: u64, mime: Mime, content: A::Buffer) {
        let limits = self.config.for_host(mime.format());
        let largest = self.config.largest.0;
        let prepared = content.size().map_err(convert::Error::from).and_then(|size| {
            if size > largest {
                return Err(convert::Error::TooLarge(largest));
            }
            Ok((size, Rc::new(self.agent.create()?)))
        });
        match prepared {
            Ok((size, target)) => {
                let conversion = convert::to_host(mime, Rc::new(content), size, target.clone(), limits);
                self.convert(For::Host(number), conversion, target);
            }
            Err(error) => self.converted_for_host(number, Err(error)),
        }
    }

    /// Goes on after content was converted.
    pub(super) fn converted_for_host(&mut self, number: u64, content: Result<A::Buffer, convert::Error>) {
        match content {
            Ok(content) => {
                if let Some((context, _, format)) = self.end_request(number) {
                    self.deliver(context, format.bit(), Some(&content));
                }
            }
            Err(error) => {
                self.warn(format!("What the host asked for cannot be converted: {error}"));
                self.read_for(number);
            }
        }
    }

    /// Answers a request with nothing, so that the host does not wait.
    fn fail(&mut self, number: u64) {
        if let Some((context, formats, _)) = self.end_request(number) {
            self.deliver(context, formats, None);
        }
    }

    /// Forgets a request: its context, the formats that would have done, and that which was chosen.
    fn end_request(&mut self, number: u64) -> Option<(Option<u64>, Mask, Format)> {
        let index = self.guest.requests.iter().position(|request| request.number == number)?;
        let Request { context, formats, format, deadline, .. } = self.guest.requests.swap_remove(index);
        if let Some(deadline) = deadline {
            self.agent.cancel_timer(deadline);
        }
        self.work.give_up(For::Host(number));
        Some((context, formats, format))
    }

    /// Gives the host what it asked for.
    fn deliver(&mut self, context: Option<u64>, formats: Mask, content: Option<&A::Buffer>) {
        match self.submit(wire::data_write(context, formats, content), Some(TIMEOUT)) {
            Ok(call) => {
                let has_content = content.is_some();
                let since = self.agent.now();
                self.guest.writes.push(Write { call, context, formats, has_content, since });
            }
            Err(error) => {
                self.warn(format!("The host cannot be given what it asked for: {error}"));
                if content.is_some() {
                    self.deliver(context, formats, None);
                }
            }
        }
    }

    /// Goes on after the host was given something, if this call was that.
    pub(super) fn delivered(&mut self, call: Token, outcome: &Outcome) -> bool {
        let Some(index) = self.guest.writes.iter().position(|write| write.call == call) else { return false };
        let Write { context, formats, has_content, .. } = self.guest.writes.swap_remove(index);
        if outcome.is_ok() {
            let what = if has_content { "content" } else { "nothing" };
            self.say(Level::Debug, &format!("The host was given {what} for formats {formats:#x}"));
            return true;
        }
        let reason = match outcome.status {
            status::OUT_OF_RANGE => "it is larger than the kernel's driver carries, which is 24 MiB",
            status::ACCESS_DENIED => "it is set not to take it",
            _ => &outcome.text,
        };
        self.warn(format!("The host did not take what it asked for: {reason}"));
        // It may still wait.
        if has_content && !outcome.is_gone() && self.link.is_up() {
            self.deliver(context, formats, None);
        }
        true
    }

    /// Goes on after a pause or a deadline, if this timer was one.
    pub(super) fn guest_timer(&mut self, timer: Token) -> bool {
        if self.guest.retry == Some(timer) {
            self.guest.retry = None;
            return true;
        }
        let is_it = |request: &&Request| request.deadline == Some(timer);
        let Some(request) = self.guest.requests.iter().find(is_it) else { return false };
        let number = request.number;
        self.warn("The host gets nothing, before it gives up: the owner of the clipboard hangs".to_owned());
        self.fail(number);
        true
    }

    /// Nothing of the guest's may go to the host any more.
    pub(super) fn refuse_host(&mut self, reason: &str) {
        while let Some(request) = self.guest.requests.first() {
            let number = request.number;
            self.say(Level::Debug, &format!("The host gets nothing: {reason}"));
            self.fail(number);
        }
    }

    /// The host is gone, and with it everything that it waited for.
    pub(super) fn lost_guest(&mut self) {
        while let Some(request) = self.guest.requests.first() {
            let number = request.number;
            self.end_request(number);
        }
        self.guest.writes.clear();
        self.guest.telling = None;
        if let Some(retry) = self.guest.retry.take() {
            self.agent.cancel_timer(retry);
        }
    }

    /// Gives up what should have ended.
    pub(super) fn look_after_guest(&mut self, before: Duration) {
        if let Some((call, mask, since)) = self.guest.telling
            && since < before
        {
            self.warn("No answer ever came from the host to what can be pasted; it is told anew".to_owned());
            self.agent.cancel(call);
            self.guest.telling = None;
            self.guest.report.get_or_insert(mask);
        }
        let is_stale = |request: &&Request| request.since < before;
        while let Some(request) = self.guest.requests.iter().find(is_stale) {
            let number = request.number;
            self.warn("Content was never read nor converted, and the host gets nothing".to_owned());
            self.fail(number);
        }
        let writes = self.guest.writes.len();
        self.guest.writes.retain(|write| write.since >= before);
        if self.guest.writes.len() < writes {
            self.warn("No answer ever came from the host to what it was given".to_owned());
        }
    }
}

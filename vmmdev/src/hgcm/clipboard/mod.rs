//! The service of the shared clipboard, `VBoxSharedClipboard`.
//!
//! Whoever copied last has the clipboard. The host announces what it has to every client, and serves
//! it; what the guest has it asks of the client that reported it last. Files are not transferred.

mod client;
mod message;

use std::collections::BTreeMap;
use std::sync::Arc;

use driver_core::wire::Status;
use driver_core::wire::shared_clipboard::{
    FEATURES_UNANSWERED, Formats, Function, GuestFeatures, HostFeatures, Mode,
};

use super::{Answers, Call, CallId, Service};
use client::Client;
use message::Message;

/// What this host can do.
const FEATURES: HostFeatures = HostFeatures::CONTEXT_IDS;
/// How many answers of guests the host waits for at most.
const MOST_READS: usize = 64;
/// The source of all events of this host: the clipboard, and no transfer.
const SOURCE: u64 = 1;

/// What has been put into the clipboard at the host, by format and as it goes over the wire.
pub(crate) type Contents = BTreeMap<u32, Arc<Vec<u8>>>;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Clipboard {
    mode: Mode,
    clients: BTreeMap<u32, Client>,
    /// What the host has; nothing once the guest has something.
    contents: Contents,
    /// What the guest reported last, and by which client.
    reported: Option<(u32, Formats)>,
    last_event: u32,
    reads: BTreeMap<u32, Read>,
}

/// Something that the host wants of a guest's clipboard.
#[derive(Debug)]
struct Read {
    client: u32,
    formats: Formats,
    /// Whether the guest knows the event.
    with_context: bool,
    outcome: Option<ReadOutcome>,
}

/// How a guest answered: with data in a format, or with its own status.
pub(crate) type ReadOutcome = Result<(Formats, Vec<u8>), Status>;

impl Default for Clipboard {
    fn default() -> Self {
        Self {
            mode: Mode::BIDIRECTIONAL,
            clients: BTreeMap::new(),
            contents: Contents::new(),
            reported: None,
            last_event: 0,
            reads: BTreeMap::new(),
        }
    }
}

impl Service for Clipboard {
    fn connect(&mut self, number: u32) {
        let mut client = Client::default();
        let formats = self.host_formats();
        if self.to_guest() && !formats.is_empty() {
            // There is no call of a new client that could wait.
            client.tell(Message::Formats(formats), &mut Answers::default());
        }
        self.clients.insert(number, client);
    }

    fn call(&mut self, mut call: Call, session: u64, answers: &mut Answers) {
        let Some(client) = self.clients.get_mut(&call.client) else {
            return answers.give(call, Status::INVALID_CLIENT_ID);
        };
        let outcome = match Function(call.function) {
            Function::MESSAGE_OLD_GET_WAIT => return client.old_wait(call, answers),
            Function::MESSAGE_PEEK_NO_WAIT | Function::MESSAGE_PEEK_WAIT => {
                return client.peek(call, session, answers);
            }
            Function::MESSAGE_GET => return client.get(call, answers),
            Function::MESSAGE_CANCEL if call.len() != 0 => Err(Status::WRONG_PARAMETER_COUNT),
            Function::MESSAGE_CANCEL => match client.cancel(answers) {
                true => Ok(()),
                false => Err(Status::WARN_NOT_FOUND),
            },
            Function::REPORT_FEATURES => self.features(&mut call, true),
            Function::QUERY_FEATURES => self.features(&mut call, false),
            Function::NEGOTIATE_CHUNK_SIZE => Client::negotiate(&mut call),
            Function::REPORT_FORMATS => self.report(&call),
            Function::DATA_READ => self.read(&mut call),
            Function::DATA_WRITE => self.write(&mut call),
            Function::ERROR => self.error(&call, answers),
            // Files are not transferred; who knows no contexts knows nothing of files either.
            Function(first) if (Function::REPLY.0..=Function::OBJECT_WRITE.0).contains(&first) => {
                Err(if client.knows_contexts() { Status::ACCESS_DENIED } else { Status::NOT_IMPLEMENTED })
            }
            _ => Err(Status::NOT_IMPLEMENTED),
        };
        answers.give(call, outcome.map_or_else(|status| status, |()| Status::SUCCESS));
    }

    fn cancelled(&mut self, call: CallId) {
        for client in self.clients.values_mut() {
            client.cancelled(call);
        }
    }

    fn disconnect(&mut self, number: u32, answers: &mut Answers) {
        if let Some(mut client) = self.clients.remove(&number) {
            client.quit(answers);
        }
        if self.reported.is_some_and(|(reporter, _)| reporter == number) {
            self.reported = None;
        }
        self.fail_reads(number, Status::CLIPBOARD_NO_DATA);
    }

    fn reset(&mut self) {
        let numbers: Vec<u32> = self.clients.keys().copied().collect();
        for number in numbers {
            self.disconnect(number, &mut Answers::default());
        }
    }

    fn restored(&mut self, session: u64, answers: &mut Answers) {
        for client in self.clients.values_mut() {
            client.restored(session, answers);
        }
    }
}

/// What a guest calls.
impl Clipboard {
    fn features(&mut self, call: &mut Call, reports: bool) -> Result<(), Status> {
        if call.len() != 2 {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let (Some(features), Some(more)) = (call.u64(0), call.u64(1)) else {
            return Err(Status::WRONG_PARAMETER_TYPE);
        };
        if reports {
            if more & FEATURES_UNANSWERED == 0 {
                return Err(Status::INVALID_PARAMETER);
            }
            if let Some(client) = self.clients.get_mut(&call.client) {
                client.features = GuestFeatures::from_bits_truncate(features);
            }
        }
        call.set(0, FEATURES.bits());
        call.set(1, 0);
        Ok(())
    }

    /// The guest's clipboard has something, or nothing any more.
    fn report(&mut self, call: &Call) -> Result<(), Status> {
        if !self.to_host() {
            return Err(Status::ACCESS_DENIED);
        }
        if call.len() != 1 {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let formats = call.u32(0).ok_or(Status::WRONG_PARAMETER_TYPE)?;
        // Unknown ones are ignored, as 7.2.22 does.
        let formats = Formats::from_bits_truncate(formats);
        self.reported = Some((call.client, formats));
        if !formats.is_empty() {
            self.contents.clear();
        }
        Ok(())
    }

    /// The guest pastes what the host has.
    fn read(&mut self, call: &mut Call) -> Result<(), Status> {
        if !self.to_guest() {
            return Err(Status::ACCESS_DENIED);
        }
        if call.len() != 3 {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let (Some(format), Some(buffer), Some(_)) = (call.u32(0), call.buffer(1), call.u32(2)) else {
            return Err(Status::WRONG_PARAMETER_TYPE);
        };
        match single(format) {
            None => return Err(Status::INVALID_PARAMETER),
            Some(Formats::URI_LIST) => return Err(Status::ACCESS_DENIED),
            Some(_) => {}
        }
        let data = self.contents.get(&format).ok_or(Status::CLIPBOARD_NO_DATA)?.clone();
        let (room, size) = (buffer.room as usize, data.len());
        call.set(2, size as u64);
        if size <= room {
            call.send(1, data);
        }
        // VirtualBox errs when it fits exactly: it is sent, and said not to fit.
        if size >= room { Err(Status::INFO_BUFFER_OVERFLOW) } else { Ok(()) }
    }

    /// The guest answers what the host wanted of its clipboard.
    fn write(&mut self, call: &mut Call) -> Result<(), Status> {
        if !self.to_host() {
            return Err(Status::ACCESS_DENIED);
        }
        let knows_contexts = self.clients.get(&call.client).is_some_and(Client::knows_contexts);
        // The context comes before the rest.
        let at = usize::from(knows_contexts);
        if call.len() != at + 2 {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let context = if knows_contexts { call.u64(0) } else { Some(0) };
        let (Some(context), Some(format), Some(buffer)) = (context, call.u32(at), call.buffer(at + 1)) else {
            return Err(Status::WRONG_PARAMETER_TYPE);
        };
        // Who has nothing to send may name all the formats that were wanted.
        if single(format).is_none() && buffer.room != 0 {
            return Err(Status::INVALID_PARAMETER);
        }
        let format = Formats::from_bits_truncate(format);
        let event = if knows_contexts {
            let event = context as u32;
            if context != context_of(call.client, event) {
                return Err(Status::INVALID_CONTEXT);
            }
            event
        } else {
            let wanted = |read: &Read| {
                read.client == call.client && !read.with_context && read.formats.intersects(format)
            };
            let found = self.reads.iter().find(|(_, read)| wanted(read) && read.outcome.is_none());
            *found.ok_or(Status::INVALID_CONTEXT)?.0
        };
        let data = call.take_sent(at + 1).unwrap_or_default();
        // Nobody waits for what comes too late.
        if let Some(read) = self.reads.get_mut(&event).filter(|read| read.client == call.client) {
            read.outcome.get_or_insert(Ok((format, data)));
        }
        Ok(())
    }

    /// The guest is at a loss, and begins anew.
    fn error(&mut self, call: &Call, answers: &mut Answers) -> Result<(), Status> {
        if call.len() != 2 {
            return Err(Status::INVALID_PARAMETER);
        }
        let (Some(context), Some(status)) = (call.u64(0), call.u32(1)) else {
            return Err(Status::INVALID_PARAMETER);
        };
        if context >> 48 != context_of(call.client, 0) >> 48 {
            return Err(Status::INVALID_CONTEXT);
        }
        tracing::info!(status = %Status(status.cast_signed()), "Guest reports an error of its clipboard");
        if let Some(client) = self.clients.get_mut(&call.client) {
            client.cancel(answers);
            *client = Client::default();
        }
        self.fail_reads(call.client, Status(status.cast_signed()));
        Ok(())
    }

    fn fail_reads(&mut self, client: u32, status: Status) {
        for read in self.reads.values_mut().filter(|read| read.client == client) {
            read.outcome.get_or_insert(Err(status));
        }
    }
}

/// What a person does at the host.
impl Clipboard {
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Whether the guest may have what the host has.
    pub(crate) fn to_guest(&self) -> bool {
        matches!(self.mode, Mode::HOST_TO_GUEST | Mode::BIDIRECTIONAL)
    }

    /// Whether the host may have what the guest has.
    pub(crate) fn to_host(&self) -> bool {
        matches!(self.mode, Mode::GUEST_TO_HOST | Mode::BIDIRECTIONAL)
    }

    /// What the host has.
    pub(crate) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// What the guest reported last; `None` when it did not.
    pub(crate) fn reported(&self) -> Option<Formats> {
        self.reported.map(|(_, formats)| formats)
    }

    fn host_formats(&self) -> Formats {
        Formats::from_bits_truncate(self.contents.keys().fold(0, |all, format| all | format))
    }

    /// Puts something into the clipboard and announces it to the guest.
    pub(crate) fn put(&mut self, contents: Contents, answers: &mut Answers) {
        self.contents = contents;
        // What the guest has is not what would be pasted at the host any more.
        self.reported = None;
        let formats = self.host_formats();
        for client in self.clients.values_mut() {
            if !client.tell(Message::Formats(formats), answers) {
                tracing::warn!("Guest does not fetch the clipboard's messages");
            }
        }
    }

    /// Asks the guest for what it has in a format; the event by which to look for the answer. The
    /// client is the one that reported last, or the newest when none did.
    pub(crate) fn ask(&mut self, formats: Formats, answers: &mut Answers) -> Result<u32, Status> {
        let reporter = self.reported.map(|(reporter, _)| reporter);
        let number = reporter.or_else(|| self.clients.keys().next_back().copied());
        let client = number.and_then(|number| Some((number, self.clients.get_mut(&number)?)));
        let (number, client) = client.ok_or(Status::CLIPBOARD_NO_DATA)?;
        if self.reads.len() >= MOST_READS {
            return Err(Status::CLIPBOARD_MAX_EVENTS);
        }
        // Zero is no event, and none that is still waited for is given out again.
        loop {
            self.last_event = self.last_event.wrapping_add(1).max(1);
            if !self.reads.contains_key(&self.last_event) {
                break;
            }
        }
        let event = self.last_event;
        let with_context = client.knows_contexts();
        let message = read_message(number, event, formats, with_context);
        if !client.tell(message, answers) {
            return Err(Status::CLIPBOARD_MAX_EVENTS);
        }
        self.reads.insert(event, Read { client: number, formats, with_context, outcome: None });
        Ok(event)
    }

    /// The answer to an event, once.
    pub(crate) fn answer(&mut self, event: u32) -> Option<ReadOutcome> {
        self.reads.get_mut(&event)?.outcome.take().inspect(|_| {
            self.reads.remove(&event);
        })
    }

    /// Nobody waits for the answer to an event any more.
    pub(crate) fn give_up(&mut self, event: u32) {
        let Some(Read { client, formats, with_context, .. }) = self.reads.remove(&event) else { return };
        if let Some(teller) = self.clients.get_mut(&client) {
            teller.untell(read_message(client, event, formats, with_context));
        }
    }
}

fn read_message(client: u32, event: u32, formats: Formats, with_context: bool) -> Message {
    let context = if with_context { context_of(client, event) } else { 0 };
    Message::Read { formats, context }
}

/// The context of an event: session, source and event. A session of the clipboard is a client's.
fn context_of(client: u32, event: u32) -> u64 {
    u64::from(client & 0xFFFF) << 48 | SOURCE << 32 | u64::from(event)
}

/// A format, when it is exactly one.
fn single(bits: u32) -> Option<Formats> {
    let formats = Formats::from_bits_truncate(bits);
    (formats.bits() == bits && bits.is_power_of_two()).then_some(formats)
}

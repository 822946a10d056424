//! What the host's service understands: functions, messages and statuses, by their numbers.

use bellhop_plugin::Error;
use bellhop_plugin::hgcm::{Completion, Value};

use super::Parameter;
use crate::formats::Mask;

/// The service's name.
pub const SERVICE: &str = "VBoxSharedClipboard";

/// The service's functions.
pub mod function {
    /// Waits for a message, as hosts had it that know no contexts.
    pub const OLD_GET_WAIT: u32 = 1;
    /// Says which formats the guest has.
    pub const REPORT_FORMATS: u32 = 2;
    /// Asks for the host's content in a format.
    pub const DATA_READ: u32 = 3;
    /// Delivers the guest's content in a format.
    pub const DATA_WRITE: u32 = 4;
    /// Says what the guest can do, and asks the same of the host.
    pub const REPORT_FEATURES: u32 = 6;
    /// Asks which message is next, if any is.
    pub const PEEK_NOWAIT: u32 = 8;
    /// Waits for a message, and asks which it is.
    pub const PEEK_WAIT: u32 = 9;
    /// Takes the next message.
    pub const GET: u32 = 10;
    /// Ends a wait.
    pub const CANCEL: u32 = 26;
    /// Makes the host forget all messages, and what it knows of the guest.
    pub const ERROR: u32 = 27;
}

/// The host's statuses that make a difference here.
pub mod status {
    /// Something failed.
    pub const GENERAL_FAILURE: i32 = -1;
    /// The connection's number means nothing to the host.
    pub const INVALID_HANDLE: i32 = -4;
    /// The host's setting forbids this direction.
    pub const ACCESS_DENIED: i32 = -38;
    /// The call was interrupted.
    pub const INTERRUPTED: i32 = -39;
    /// The call timed out.
    pub const TIMEOUT: i32 = -40;
    /// Later, perhaps.
    pub const TRY_AGAIN: i32 = -52;
    /// More than the kernel's driver carries.
    pub const OUT_OF_RANGE: i32 = -54;
    /// The call was cancelled.
    pub const CANCELLED: i32 = -70;
    /// Somebody waits already.
    pub const RESOURCE_BUSY: i32 = -138;
    /// The service is going away.
    pub const SEM_DESTROYED: i32 = -363;
    /// The machine came back from a saved state.
    pub const VM_RESTORED: i32 = -1025;
    /// The host does not have the service.
    pub const SERVICE_NOT_FOUND: i32 = -2900;
    /// The connection is gone.
    pub const INVALID_CLIENT: [i32; 2] = [-2905, -22417];
    /// No message is the one that was asked for.
    pub const MISMATCH: i32 = -22408;
}

/// The host and the guest use context ids: the bit of the first word of features.
const CONTEXT_IDS: u64 = 1;
/// Set by the guest in the second word, and cleared by a host that knows of features.
const MUST_BE_ONE: u64 = 1 << 63;

/// The messages that are understood; a wait that was cancelled brings one of its own.
const MESSAGE_QUIT: u64 = 1;
const MESSAGE_READ: u64 = 2;
const MESSAGE_FORMATS: u64 = 3;
const MESSAGE_CANCELED: u64 = 4;
const MESSAGE_READ_IN_CONTEXT: u64 = 5;

/// The most parameters of a message that can be skipped: as many as a call may have, but for two.
pub const MOST_PARAMETERS: u32 = 30;

/// The most bytes of a parameter that is only taken to be thrown away, so that all of them fit into the
/// plugin's memory.
const ROOM: u32 = 64 << 10;

/// What a message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// The service is going away.
    Quit,
    /// The host wants the guest's content, in one of these formats.
    Read {
        /// To be echoed; older hosts have none.
        context: Option<u64>,
        /// Any of these will do.
        formats: Mask,
    },
    /// The host has content in these formats.
    Formats(Mask),
    /// A wait was cancelled.
    Canceled,
    /// One of no interest, or of a newer host.
    Other(u64),
}

/// What a parameter of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 32 bits.
    Word,
    /// 64 bits.
    Long,
    /// So many bytes.
    Bytes(u32),
}

/// A function and its parameters.
pub type Call<'a, B> = (u32, Vec<Parameter<'a, B>>);

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// Negative for a failure.
    pub status: i32,
    /// What the parameters have become, if the call reached the service.
    pub values: Vec<Value>,
    /// The status, for people.
    pub text: String,
}

impl From<Result<Completion, Error>> for Outcome {
    fn from(outcome: Result<Completion, Error>) -> Self {
        match outcome {
            Ok(Completion { status, values }) => {
                Outcome { status, values, text: format!("the host's status is {status}") }
            }
            Err(error) => Outcome { values: Vec::new(), text: error.to_string(), status: status_of(&error) },
        }
    }
}

/// The status that an error is, or a general failure.
pub fn status_of(error: &Error) -> i32 {
    match error {
        Error::Host((status, _)) => *status,
        _ => status::GENERAL_FAILURE,
    }
}

impl Outcome {
    /// Whether the call did what it should.
    pub fn is_ok(&self) -> bool {
        self.status >= 0
    }

    /// Whether the connection is of no use any more.
    pub fn is_gone(&self) -> bool {
        let gone = [status::INVALID_HANDLE, status::SEM_DESTROYED, status::SERVICE_NOT_FOUND];
        gone.contains(&self.status) || status::INVALID_CLIENT.contains(&self.status)
    }

    /// Whether the call was ended before its time.
    pub fn is_interrupted(&self) -> bool {
        [status::CANCELLED, status::INTERRUPTED, status::TIMEOUT].contains(&self.status)
    }

    /// A value of 32 or 64 bits.
    pub fn value(&self, index: usize) -> Option<u64> {
        match self.values.get(index)? {
            Value::Value32(value) => Some((*value).into()),
            Value::Value64(value) => Some(*value),
            _ => None,
        }
    }

    /// A value of 32 bits.
    pub fn word(&self, index: usize) -> Option<u32> {
        match self.values.get(index)? {
            Value::Value32(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether the host uses contexts, by its answer to [`report_features`].
    pub fn has_contexts(&self) -> bool {
        let features = (self.value(0).unwrap_or(0), self.value(1).unwrap_or(MUST_BE_ONE));
        self.is_ok() && features.0 & CONTEXT_IDS != 0 && features.1 & MUST_BE_ONE == 0
    }

    /// The message that is next and how many parameters it has, by the answer to [`peek`].
    pub fn peeked(&self) -> Option<(u64, u32)> {
        Some((self.value(0)?, self.word(1)?))
    }

    /// What the parameters of the next message are, by the answer to [`peek_kinds`].
    pub fn kinds(&self) -> Option<Vec<Kind>> {
        let (_, count) = self.peeked()?;
        let sizes = (0..count.min(MOST_PARAMETERS)).map(|index| self.word(index as usize + 2));
        let kinds: Option<Vec<Kind>> = sizes.map(|size| size.map(Kind::of)).collect();
        kinds.filter(|kinds| !kinds.iter().any(|kind| matches!(kind, Kind::Bytes(ROOM..))))
    }

    /// What the message says, by the answer to [`get`] or [`old_get_wait`].
    pub fn message(&self, id: u64) -> Message {
        let second = self.word(1);
        match (id, second) {
            (MESSAGE_QUIT, _) => Message::Quit,
            (MESSAGE_CANCELED, _) => Message::Canceled,
            (MESSAGE_READ, Some(formats)) => Message::Read { context: None, formats },
            (MESSAGE_READ_IN_CONTEXT, Some(formats)) => match self.value(0) {
                Some(context) => Message::Read { context: Some(context), formats },
                None => Message::Other(id),
            },
            (MESSAGE_FORMATS, Some(formats)) => Message::Formats(formats),
            _ => Message::Other(id),
        }
    }
}

impl Kind {
    /// By what the host says of a parameter: a buffer's size, or the complement of an integer's.
    fn of(size: u32) -> Self {
        const WORD: u32 = !4;
        const LONG: u32 = !8;
        match size {
            WORD => Kind::Word,
            LONG => Kind::Long,
            size => Kind::Bytes(size),
        }
    }
}

/// What a peeked message is, if that is known without taking it.
pub fn at_once(id: u64) -> Option<Message> {
    match id {
        MESSAGE_QUIT => Some(Message::Quit),
        MESSAGE_CANCELED => Some(Message::Canceled),
        _ => None,
    }
}

/// What the parameters of a message are, if it is one that is understood and has so many.
pub fn known_kinds(id: u64, count: u32) -> Option<Vec<Kind>> {
    match (id, count) {
        (MESSAGE_READ | MESSAGE_FORMATS, 2) => Some(vec![Kind::Word, Kind::Word]),
        (MESSAGE_READ_IN_CONTEXT, 2) => Some(vec![Kind::Long, Kind::Word]),
        _ => None,
    }
}

/// Says that the guest uses contexts, and transfers no files.
pub fn report_features<'a, B>() -> Call<'a, B> {
    (function::REPORT_FEATURES, vec![Parameter::Value64(CONTEXT_IDS), Parameter::Value64(MUST_BE_ONE)])
}

/// Waits for the next message, or asks whether there is one. A machine that was restored since the
/// session that is given learns of it.
pub fn peek<'a, B>(session: u64, wait: bool) -> Call<'a, B> {
    let function = if wait { function::PEEK_WAIT } else { function::PEEK_NOWAIT };
    (function, vec![Parameter::Value64(session), Parameter::Value32(0)])
}

/// Asks what the parameters of the next message are.
pub fn peek_kinds<'a, B>(session: u64, count: u32) -> Call<'a, B> {
    let (function, mut parameters) = peek(session, false);
    parameters.extend((0..count.min(MOST_PARAMETERS)).map(|_| Parameter::Value32(0)));
    (function, parameters)
}

/// Takes the next message, which must be this one.
pub fn get<'a, B>(id: u64, kinds: &[Kind]) -> Call<'a, B> {
    let parameter = |(index, kind): (usize, &Kind)| {
        // The first one says which message is expected.
        let expected = if index == 0 { id } else { 0 };
        match *kind {
            Kind::Word => Parameter::Value32(u32::try_from(expected).unwrap_or(u32::MAX)),
            Kind::Long => Parameter::Value64(expected),
            Kind::Bytes(size) => Parameter::Room(size),
        }
    };
    (function::GET, kinds.iter().enumerate().map(parameter).collect())
}

/// Waits for a message of a host that knows no contexts.
pub fn old_get_wait<'a, B>() -> Call<'a, B> {
    (function::OLD_GET_WAIT, vec![Parameter::Value32(0), Parameter::Value32(0)])
}

/// Ends a wait that the driver has given up and the service has not.
pub fn cancel<'a, B>() -> Call<'a, B> {
    (function::CANCEL, Vec::new())
}

/// Makes the host start over.
pub fn error<'a, B>() -> Call<'a, B> {
    let status = status::GENERAL_FAILURE.cast_unsigned();
    (function::ERROR, vec![Parameter::Value64(0), Parameter::Value32(status)])
}

/// Says which formats the guest has.
pub fn report_formats<'a, B>(formats: Mask) -> Call<'a, B> {
    (function::REPORT_FORMATS, vec![Parameter::Value32(formats)])
}

/// Asks for the host's content in one format.
pub fn data_read<B>(format: Mask, buffer: &B, room: u32) -> Call<'_, B> {
    let into = Parameter::IntoBuffer(buffer, room);
    (function::DATA_READ, vec![Parameter::Value32(format), into, Parameter::Value32(0)])
}

/// Delivers the guest's content, or an empty one: there is none.
pub fn data_write<B>(context: Option<u64>, format: Mask, content: Option<&B>) -> Call<'_, B> {
    let content = content.map_or(Parameter::Bytes(&[]), Parameter::FromBuffer);
    let context = context.map(Parameter::Value64);
    let parameters = context.into_iter().chain([Parameter::Value32(format), content]);
    (function::DATA_WRITE, parameters.collect())
}

//! What the host has to say to a client of the clipboard.

use driver_core::wire::Status;
use driver_core::wire::shared_clipboard::{Formats, Message as Id};

use crate::hgcm::{Call, Parameter};

/// A message, as it waits to be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// The host's clipboard has something in these formats.
    Formats(Formats),
    /// The host wants what the guest's clipboard has in one of these formats.
    Read {
        formats: Formats,
        /// With which the guest is to answer; 0 for one that knows no contexts.
        context: u64,
    },
}

/// A value of a message, of the width that its parameter has.
#[derive(Debug, Clone, Copy)]
enum Value {
    U32(u32),
    U64(u64),
}

impl Message {
    fn id(self) -> Id {
        match self {
            Self::Formats(_) => Id::FORMATS_REPORT,
            Self::Read { context: 0, .. } => Id::READ_DATA,
            Self::Read { .. } => Id::READ_DATA_WITH_CONTEXT,
        }
    }

    fn values(self) -> [Value; 2] {
        match self {
            Self::Formats(formats) => [Value::U32(self.id().0), Value::U32(formats.bits())],
            Self::Read { formats, context: 0 } => [Value::U32(self.id().0), Value::U32(formats.bits())],
            Self::Read { formats, context } => [Value::U64(context), Value::U32(formats.bits())],
        }
    }

    /// Answers a peek: which message it is, how many parameters it has, and as far as the guest asks
    /// the size of each, inverted because they are numbers.
    pub(super) fn show(self, call: &mut Call) {
        let values = self.values();
        call.set(0, self.id().0.into());
        call.set(1, values.len() as u64);
        for (index, value) in values.into_iter().enumerate() {
            let size: u32 = match value {
                Value::U32(_) => 4,
                Value::U64(_) => 8,
            };
            call.set(2 + index, u64::from(!size));
        }
    }

    /// Answers the wait of a guest that knows nothing newer.
    pub(super) fn show_old(self, call: &mut Call) {
        let formats = match self {
            Self::Formats(formats) | Self::Read { formats, .. } => formats,
        };
        call.set(0, self.id().0.into());
        call.set(1, formats.bits().into());
    }

    /// Hands the message over, when the call is for this one.
    pub(super) fn hand_over(self, call: &mut Call) -> Result<(), Status> {
        let expected = match call.parameters().first() {
            Some(Parameter::U32(id)) if *id != u32::MAX => Some(u64::from(*id)),
            Some(Parameter::U64(id)) if *id != u64::from(u32::MAX) => Some(*id),
            _ => None,
        };
        if expected.is_some_and(|expected| expected != u64::from(self.id().0)) {
            return Err(Status::MISMATCH);
        }
        let values = self.values();
        if call.len() != values.len() {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let same = |(parameter, value): (&Parameter, &Value)| {
            matches!(
                (parameter, value),
                (Parameter::U32(_), Value::U32(_)) | (Parameter::U64(_), Value::U64(_))
            )
        };
        if !call.parameters().iter().zip(&values).all(same) {
            return Err(Status::WRONG_PARAMETER_TYPE);
        }
        for (index, value) in values.into_iter().enumerate() {
            match value {
                Value::U32(value) => call.set(index, value.into()),
                Value::U64(value) => call.set(index, value),
            }
        }
        Ok(())
    }
}

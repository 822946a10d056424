//! One error for everything a driver does: what was being done, and what came of it.

use std::borrow::Cow;

use crate::wire::Status;

/// A [`Driver`](crate::Driver) operation that failed.
///
/// `doing` completes the sentence "Cannot …"; `status` is the VBox status that the host, the kernel's
/// driver or this crate gave for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Cannot {doing}: {status}")]
pub struct Error {
    /// What was being done, as a phrase that follows "cannot".
    pub doing: Cow<'static, str>,
    /// Why it failed, as a VBox status code (always a failure).
    pub status: Status,
}

impl Error {
    /// An error of `status` while `doing` something.
    pub fn new(doing: impl Into<Cow<'static, str>>, status: Status) -> Self {
        Self { doing: doing.into(), status }
    }
}

/// The result of a driver operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

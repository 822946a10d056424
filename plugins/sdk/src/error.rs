//! Why a request to the host or the desktop came to nothing.

use std::fmt;

/// Why a request came to nothing.
///
/// Within a [`Plugin`](crate::Plugin)'s functions `?` turns it into its text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The grants of this plugin do not cover it. The text names the grant that would.
    Denied(String),
    /// Somebody else holds what was asked for, or the plugin has as much of it as its limits allow; it may
    /// be free later.
    Busy(String),
    /// Neither this host nor this desktop can do it.
    NotSupported(String),
    /// An argument is wrong; the text says which and what would be right.
    Invalid(String),
    /// It is gone for now; it may come back.
    Unavailable(String),
    /// The host refused: its VBox status (negative), and that status's name.
    Host((i32, String)),
    /// Anything else.
    Other(String),
}

impl Error {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Error::Busy(_) | Error::Unavailable(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Denied(text) => write!(f, "Not granted: {text}"),
            Error::Busy(text) => write!(f, "Busy: {text}"),
            Error::NotSupported(text) => write!(f, "Not supported: {text}"),
            Error::Invalid(text) => write!(f, "Invalid: {text}"),
            Error::Unavailable(text) => write!(f, "Unavailable: {text}"),
            Error::Host((status, name)) => write!(f, "The host refused: {name} ({status})"),
            Error::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> String {
        error.to_string()
    }
}

/// The contract's `types`, for the bindings.
pub(crate) mod types {
    pub use super::Error;
    pub type Events = u32;
    pub type Capabilities = u32;
    /// Names something that a plugin began: a call, a timer, a read. Never the same twice.
    pub type Token = u64;
    pub type Buffer = u64;

    /// A rectangle, in pixels.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Rectangle {
        /// The left edge.
        pub x: i32,
        /// The upper edge.
        pub y: i32,
        /// Its width.
        pub width: u32,
        /// Its height.
        pub height: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_a_sentence_with_its_number() {
        let error = Error::Host((-12, "VERR_NOT_IMPLEMENTED".into()));
        assert_eq!(String::from(error), "The host refused: VERR_NOT_IMPLEMENTED (-12)");
    }

    #[test]
    fn only_what_may_pass_by_itself_is_temporary() {
        assert!(Error::Unavailable("the X server ended".into()).is_temporary());
        assert!(Error::Busy("another session has it".into()).is_temporary());
        assert!(!Error::Invalid("width 0".into()).is_temporary());
        assert!(!Error::Other("no".into()).is_temporary());
    }
}

//! What is wrong with bytes that are not what they should be.

/// A packet that cannot be what it claims to be, or that cannot be built from what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There are too few bytes for the part that is named.
    #[error("{what} needs {needed} bytes, found {found}")]
    TooShort {
        /// The part of the packet.
        what: &'static str,
        /// How many bytes it takes.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// The length contradicts the counts inside.
    #[error("{what} must have exactly {needed} bytes, found {found}")]
    WrongSize {
        /// The part of the packet.
        what: &'static str,
        /// How many bytes its own counts ask for.
        needed: usize,
        /// How many there are.
        found: usize,
    },
    /// A count or a length is over its limit.
    #[error("{what} may be at most {limit}, found {found}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The largest that is allowed.
        limit: usize,
        /// What was found.
        found: usize,
    },
    /// The header says that this is another request.
    #[error("Request type {found} found where {needed} belongs")]
    WrongType {
        /// The type that belongs here.
        needed: u32,
        /// The type found.
        found: u32,
    },
    /// A text is not UTF-8, lacks its terminating zero byte, or has one inside.
    #[error("{what} is not a zero-terminated UTF-8 text")]
    NotText {
        /// The part of the packet.
        what: &'static str,
    },
    /// A text is not the decimal number that it should be.
    #[error("{what} is not a decimal number of at most 64 bits")]
    NotNumber {
        /// The part of the packet.
        what: &'static str,
    },
}

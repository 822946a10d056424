//! Content as it comes in from an owner: in one property, or by INCR in many.

use x11rb::protocol::xproto::Atom;

use super::conversion::{LONGEST, PATIENCE};

/// What a property was found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Property {
    /// There is none.
    Absent,
    /// The announcement of content that comes in parts.
    Incr,
    /// A value of this type, in units of so many bits.
    Value(Atom, u8),
    /// More bytes than may be.
    TooLong,
    /// The server would not give it out.
    Unreadable,
}

/// Content that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) bytes: Vec<u8>,
    /// What its owner says that it is.
    pub(super) kind: Atom,
    /// 8, 16 or 32 bits; the bytes are in this machine's order.
    pub(super) unit: u8,
}

/// Why there is no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it refused")]
    Refused,
    #[error("it said that it had answered, and had not")]
    Absent,
    #[error("it has more than {0} bytes")]
    TooLong(usize),
    #[error("its answer is in units of {found} bits and not {expected}")]
    Unit { found: u8, expected: u8 },
    #[error("it offers nothing that can be read")]
    Empty,
    #[error("its text is written in a way that is not known here")]
    Unreadable,
    #[error("it was silent for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it did not come to an end within {} s", LONGEST.as_secs())]
    Endless,
}

/// Content on its way. Whoever reads the properties appends what they hold to [`bytes`](Self::bytes).
#[derive(Debug)]
pub(super) struct Incoming {
    limit: usize,
    pub(super) bytes: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The owner did not answer yet.
    Asked,
    /// It sends parts; of the first, the type and unit.
    Parts(Option<(Atom, u8)>),
}

impl Incoming {
    /// Content of which at most `limit` bytes are wanted.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, bytes: Vec::new(), state: State::Asked }
    }

    /// How many bytes there may be.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether the owner answered, so that its property means something.
    pub(super) fn answered(&self) -> bool {
        self.state != State::Asked
    }

    /// What the property was, after the owner's answer or after it wrote another part. `length` bytes
    /// were appended. `None` while there is more to come.
    pub(super) fn took(&mut self, property: Property, length: usize) -> Option<Result<Content, Fault>> {
        match (property, self.state) {
            (Property::TooLong, _) => Some(Err(Fault::TooLong(self.limit))),
            (Property::Unreadable, _) => Some(Err(Fault::Refused)),
            (Property::Absent, State::Asked) => Some(Err(Fault::Absent)),
            // The news of a part that was read already.
            (Property::Absent, State::Parts(_)) => None,
            (Property::Incr, State::Asked) => self.announced(),
            (Property::Incr, State::Parts(_)) => Some(Err(Fault::Absent)),
            (Property::Value(kind, unit), State::Asked) => Some(Ok(self.complete(kind, unit))),
            (Property::Value(kind, unit), State::Parts(first)) => {
                let (kind, expected) = first.unwrap_or((kind, unit));
                if length == 0 {
                    return Some(Ok(self.complete(kind, expected)));
                }
                self.state = State::Parts(Some((kind, expected)));
                (unit != expected).then_some(Err(Fault::Unit { found: unit, expected }))
            }
        }
    }

    /// The announcement holds a lower bound of the size, or nothing. Nobody keeps to it, so it serves to
    /// refuse early and to have room.
    fn announced(&mut self) -> Option<Result<Content, Fault>> {
        let size = self.bytes.first_chunk().map_or(0, |&size| u32::from_ne_bytes(size));
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.bytes.clear();
        self.state = State::Parts(None);
        if size > self.limit {
            return Some(Err(Fault::TooLong(self.limit)));
        }
        // Where there is no room now there may be for what really comes.
        let _ = self.bytes.try_reserve_exact(size);
        None
    }

    fn complete(&mut self, kind: Atom, unit: u8) -> Content {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.shrink_to_fit();
        Content { bytes, kind, unit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Atom = 31;
    const TEXT: Property = Property::Value(KIND, 8);

    /// Appends bytes and tells of them, as whoever reads the property does.
    fn take(incoming: &mut Incoming, property: Property, bytes: &[u8]) -> Option<Result<Content, Fault>> {
        incoming.bytes.extend_from_slice(bytes);
        incoming.took(property, bytes.len())
    }

    fn announced(size: u32) -> Incoming {
        let mut incoming = Incoming::new(10);
        assert_eq!(take(&mut incoming, Property::Incr, &size.to_ne_bytes()), None);
        incoming
    }

    fn complete(bytes: &[u8]) -> Option<Result<Content, Fault>> {
        Some(Ok(Content { bytes: bytes.to_vec(), kind: KIND, unit: 8 }))
    }

    #[test]
    fn one_property_is_complete_at_once() {
        assert_eq!(take(&mut Incoming::new(10), TEXT, b"text"), complete(b"text"));
        assert_eq!(take(&mut Incoming::new(10), TEXT, b""), complete(b""));
    }

    #[test]
    fn parts_are_complete_with_an_empty_one() {
        let mut incoming = announced(4);
        assert_eq!(take(&mut incoming, TEXT, b"te"), None);
        assert_eq!(take(&mut incoming, TEXT, b"xt"), None);
        assert_eq!(take(&mut incoming, TEXT, b""), complete(b"text"));
        assert_eq!(take(&mut announced(0), TEXT, b""), complete(b""));
    }

    #[test]
    fn an_announcement_of_no_size_will_do() {
        let mut incoming = Incoming::new(10);
        assert_eq!(take(&mut incoming, Property::Incr, b""), None);
        assert_eq!(take(&mut incoming, TEXT, b"text"), None);
        assert_eq!(take(&mut incoming, TEXT, b""), complete(b"text"));
    }

    #[test]
    fn a_wrong_size_is_no_fault_unless_it_is_too_much() {
        let mut incoming = announced(9);
        assert_eq!(take(&mut incoming, TEXT, b"text"), None);
        assert_eq!(take(&mut incoming, TEXT, b""), complete(b"text"));

        let refused = take(&mut Incoming::new(10), Property::Incr, &11_u32.to_ne_bytes());
        assert_eq!(refused, Some(Err(Fault::TooLong(10))));
    }

    #[test]
    fn late_news_of_a_part_that_was_read_is_ignored() {
        let mut incoming = announced(4);
        assert_eq!(take(&mut incoming, Property::Absent, b""), None);
        assert_eq!(take(&mut incoming, TEXT, b"text"), None);
        assert_eq!(take(&mut incoming, Property::Absent, b""), None);
        assert_eq!(take(&mut incoming, TEXT, b""), complete(b"text"));
    }

    #[test]
    fn what_makes_no_sense_is_a_fault() {
        let mut changes_unit = announced(4);
        assert_eq!(take(&mut changes_unit, TEXT, b"te"), None);
        let cases = [
            (Incoming::new(10), Property::Absent, Fault::Absent),
            (Incoming::new(10), Property::TooLong, Fault::TooLong(10)),
            (Incoming::new(10), Property::Unreadable, Fault::Refused),
            (announced(4), Property::Incr, Fault::Absent),
            (announced(4), Property::TooLong, Fault::TooLong(10)),
            (changes_unit, Property::Value(KIND, 32), Fault::Unit { found: 32, expected: 8 }),
        ];
        for (mut incoming, property, fault) in cases {
            assert_eq!(take(&mut incoming, property, b"text"), Some(Err(fault)), "{property:?}");
        }
    }
}

//! Asking a selection's owner for one target, with a window of its own for the answer: whatever an owner
//! still does when nobody waits for it any more goes nowhere.

use std::time::{Duration, Instant};

use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, EventMask, SelectionNotifyEvent, Timestamp, Window,
};

use super::incoming::{Content, Fault, Incoming, Property};
use super::names::Atoms;
use super::window;
use crate::x11::connection::{Failure, Server};

/// How long an owner may take for its answer, and for each part of it.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long it may take for all of it.
pub(super) const LONGEST: Duration = Duration::from_secs(120);

/// How much of a property is read at once, in the protocol's units of four bytes: 1 MiB, so that what is
/// held twice for a moment is little.
const PIECE: u32 = 1024 * 1024 / 4;

/// How a conversion ended; `None` while it goes on.
pub(super) type Ended = Option<Result<Content, Fault>>;

/// A conversion under way. Its window is to be destroyed in any case, as [`end`](Self::end) does.
#[derive(Debug)]
pub(super) struct Conversion {
    window: Window,
    property: Atom,
    incoming: Incoming,
    /// When the owner's patience ends, unless it does something.
    until: Instant,
    /// When it ends whatever the owner does.
    at_last: Instant,
}

impl Conversion {
    /// Asks. Whoever owns the selection gets to know `time`, and refuses if it was not the owner then.
    pub(super) fn begin(
        server: &Server,
        atoms: &Atoms,
        (selection, target): (Atom, Atom),
        time: Timestamp,
        limit: usize,
    ) -> Result<Self, Failure> {
        let window = window::create(server, EventMask::PROPERTY_CHANGE)?;
        let property = atoms._BELLHOP_CONTENT;
        server.x.convert_selection(window, selection, target, property, time)?;
        let now = Instant::now();
        let incoming = Incoming::new(limit);
        Ok(Self { window, property, incoming, until: now + PATIENCE, at_last: now + LONGEST })
    }

    /// Whether an event at this window is this conversion's.
    pub(super) fn is_at(&self, window: Window) -> bool {
        self.window == window
    }

    /// The window at which the owner answers.
    pub(super) fn window(&self) -> Window {
        self.window
    }

    /// The owner answered.
    pub(super) fn answered(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        answer: &SelectionNotifyEvent,
    ) -> Result<Ended, Failure> {
        if self.incoming.answered() {
            return Ok(None);
        }
        if answer.property != self.property {
            return Ok(Some(Err(Fault::Refused)));
        }
        self.take(server, atoms)
    }

    /// The property has a new value.
    pub(super) fn written(&mut self, server: &Server, atoms: &Atoms) -> Result<Ended, Failure> {
        // Before its answer the owner is not done with the property.
        if self.incoming.answered() { self.take(server, atoms) } else { Ok(None) }
    }

    /// When [`due`](Self::due) has something to say.
    pub(super) fn deadline(&self) -> Instant {
        self.until.min(self.at_last)
    }

    /// Whether the owner took too long.
    pub(super) fn due(&self, now: Instant) -> Ended {
        match (self.at_last <= now, self.until <= now) {
            (true, _) => Some(Err(Fault::Endless)),
            (false, true) => Some(Err(Fault::Silent)),
            (false, false) => None,
        }
    }

    /// Frees what the server keeps for it.
    pub(super) fn end(self, server: &Server) -> Result<(), Failure> {
        window::destroy(server, self.window)
    }

    fn take(&mut self, server: &Server, atoms: &Atoms) -> Result<Ended, Failure> {
        let before = self.incoming.bytes.len();
        let property = self.read(server, atoms)?;
        let length = self.incoming.bytes.len().saturating_sub(before);
        let ended = self.incoming.took(property, length);
        if property != Property::Absent {
            self.until = Instant::now() + PATIENCE;
        }
        Ok(ended)
    }

    /// Appends the property to what came in so far, and deletes it, by which its owner knows that it was
    /// read.
    fn read(&mut self, server: &Server, atoms: &Atoms) -> Result<Property, Failure> {
        let limit = self.incoming.limit();
        let bytes = &mut self.incoming.bytes;
        let mut offset = 0;
        loop {
            let (window, property) = (self.window, self.property);
            let piece = server.x.get_property(true, window, property, AtomEnum::ANY, offset, PIECE)?;
            let piece = match piece.reply() {
                Ok(piece) => piece,
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
                // The property shrank meanwhile, or the server has no memory left.
                Err(ReplyError::X11Error(_)) => return Ok(Property::Unreadable),
            };
            if piece.type_ == x11rb::NONE {
                return Ok(Property::Absent);
            }
            if piece.type_ == atoms.INCR {
                bytes.extend(piece.value.iter().take(size_of::<u32>()));
                return Ok(Property::Incr);
            }
            let after = usize::try_from(piece.bytes_after).unwrap_or(usize::MAX);
            if bytes.len().saturating_add(piece.value.len()).saturating_add(after) > limit {
                return Ok(Property::TooLong);
            }
            bytes.reserve(piece.value.len() + after);
            bytes.extend_from_slice(&piece.value);
            if after == 0 {
                return Ok(Property::Value(piece.type_, piece.format));
            }
            offset += PIECE;
        }
    }
}

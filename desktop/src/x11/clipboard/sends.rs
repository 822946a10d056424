//! Content that is too long for one property, sent by INCR: a part whenever whoever asked deleted the
//! one before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use x11rb::connection::RequestConnection as _;
use x11rb::protocol::xproto::{
    Atom, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, PropMode, Window,
};
use x11rb::wrapper::ConnectionExt as _;

use super::names::Atoms;
use crate::x11::connection::{Failure, Server};

/// How many transfers can be under way at a time; more are refused.
const MOST_SENDS: usize = 64;

/// How many bytes they may hold; more are refused, unless nothing else is under way. Who asks for the
/// same at the same time shares it, and it counts once.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// How long whoever asked may take for a part.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest part, if the server takes requests of that length.
const LONGEST_PART: usize = 1024 * 1024;

/// What a request needs beside its part, and more.
const REQUEST: usize = 64;

/// Content as a target writes it.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) bytes: Arc<Vec<u8>>,
    /// The property's type.
    pub(super) kind: Atom,
    /// 8, 16 or 32 bits; the bytes are in this machine's order.
    pub(super) unit: u8,
}

/// The transfers under way, at most [`MOST_SENDS`].
#[derive(Debug)]
pub(super) struct Sends {
    sends: Vec<Send>,
    part: usize,
}

#[derive(Debug)]
struct Send {
    requestor: Window,
    property: Atom,
    content: Written,
    sent: usize,
    until: Instant,
}

impl Sends {
    pub(super) fn new(server: &Server) -> Self {
        let part = server.x.maximum_request_bytes().saturating_sub(REQUEST).min(LONGEST_PART);
        // Whole units.
        let part = part & !3;
        Self { sends: Vec::new(), part }
    }

    /// Writes content to a property: all of it, or the announcement of its parts. False when it would be
    /// one transfer too many.
    pub(super) fn write(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        (requestor, property): (Window, Atom),
        content: Written,
    ) -> Result<bool, Failure> {
        // Who asks anew for the same property does not wait for the rest of what it was sent.
        let place = (requestor, property);
        if self.sends.extract_if(.., |send| (send.requestor, send.property) == place).count() > 0 {
            self.deselect(server, requestor)?;
        }
        let length = content.bytes.len();
        if length <= self.part {
            content.put(server, requestor, property, &content.bytes)?;
            return Ok(true);
        }
        if self.sends.len() >= MOST_SENDS || self.held_with(&content) > MOST_BYTES.max(length) {
            tracing::debug!(
                "Window {requestor:#x} is refused {length} bytes: {} long transfers are under way",
                self.sends.len()
            );
            return Ok(false);
        }
        let events = EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY;
        select(server, requestor, events)?;
        let size = u32::try_from(length).unwrap_or(u32::MAX);
        server.x.change_property32(PropMode::REPLACE, requestor, property, atoms.INCR, &[size])?;
        let until = Instant::now() + PATIENCE;
        self.sends.push(Send { requestor, property, content, sent: 0, until });
        Ok(true)
    }

    /// Whoever asked deleted a property: the next part, of which the last is empty.
    pub(super) fn deleted(
        &mut self,
        server: &Server,
        requestor: Window,
        property: Atom,
    ) -> Result<(), Failure> {
        let asked = |send: &Send| (send.requestor, send.property) == (requestor, property);
        let Some(at) = self.sends.iter().position(asked) else { return Ok(()) };
        let Some(send) = self.sends.get_mut(at) else { return Ok(()) };
        let rest = send.content.bytes.get(send.sent..).unwrap_or_default();
        let part = rest.get(..self.part).unwrap_or(rest);
        send.content.put(server, requestor, property, part)?;
        send.sent += part.len();
        send.until = Instant::now() + PATIENCE;
        if part.is_empty() {
            self.sends.swap_remove(at);
            self.deselect(server, requestor)?;
        }
        Ok(())
    }

    /// Whoever asked is gone.
    pub(super) fn gone(&mut self, requestor: Window) {
        self.sends.retain(|send| {
            let gone = send.requestor == requestor;
            if gone {
                tracing::debug!("{} went away; it is sent no more", send.who());
            }
            !gone
        });
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sends.iter().map(|send| send.until).min()
    }

    /// The time has come.
    pub(super) fn due(&mut self, server: &Server, now: Instant) -> Result<(), Failure> {
        let late: Vec<Send> = self.sends.extract_if(.., |send| send.until <= now).collect();
        for send in late {
            tracing::warn!(
                "{} took no part of it for {} s; it is sent no more",
                send.who(),
                PATIENCE.as_secs()
            );
            self.deselect(server, send.requestor)?;
        }
        Ok(())
    }

    /// How many bytes would be held with these.
    fn held_with(&self, content: &Written) -> usize {
        let mut held = vec![&content.bytes];
        for send in &self.sends {
            if !held.iter().any(|bytes| Arc::ptr_eq(bytes, &send.content.bytes)) {
                held.push(&send.content.bytes);
            }
        }
        held.iter().map(|bytes| bytes.len()).sum()
    }

    /// Hears no more of a window, unless it is sent something else.
    fn deselect(&self, server: &Server, requestor: Window) -> Result<(), Failure> {
        if self.sends.iter().any(|send| send.requestor == requestor) {
            return Ok(());
        }
        select(server, requestor, EventMask::NO_EVENT)
    }
}

impl Written {
    /// Writes a part of it to a property.
    fn put(&self, server: &Server, window: Window, property: Atom, part: &[u8]) -> Result<(), Failure> {
        let units = part.len() / usize::from((self.unit / 8).max(1));
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        server.x.change_property(PropMode::REPLACE, window, property, self.kind, self.unit, units, part)?;
        Ok(())
    }
}

impl Send {
    /// Who is sent what, for the log.
    fn who(&self) -> String {
        let (sent, all) = (self.sent, self.content.bytes.len());
        format!("Window {:#x}, which was sent {sent} of {all} bytes,", self.requestor)
    }
}

fn select(server: &Server, window: Window, events: EventMask) -> Result<(), Failure> {
    let attributes = ChangeWindowAttributesAux::new().event_mask(events);
    server.x.change_window_attributes(window, &attributes)?;
    Ok(())
}

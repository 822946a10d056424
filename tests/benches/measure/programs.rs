//! Two programs of a desktop, reduced to what the clipboard needs of them: one in which something was copied,
//! and one that pastes. Between the two nothing is converted, so that they are what the agent is held against.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{ConnectionExt as _, SelectionEventMask};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode,
    Property, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::Outcome;

/// How much goes into one property; there is an announcement and several of them for what is longer.
const PART: usize = 1 << 20;

x11rb::atom_manager! {
    /// The names that matter.
    Atoms: AtomsCookie {
        CLIPBOARD,
        INCR,
        TARGETS,
        UTF8_STRING,
        PASTED,
        image_png: b"image/png",
    }
}

/// A connection with a window.
struct Client {
    x: RustConnection,
    window: Window,
    atoms: Atoms,
}

impl Client {
    fn connect(display: &str) -> Outcome<Self> {
        let (x, screen) = x11rb::connect(Some(display))?;
        let root = x.setup().roots.get(screen).ok_or("no screen")?.root;
        let atoms = Atoms::new(&x)?.reply()?;
        let window = x.generate_id()?;
        let attributes = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        x.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &attributes)?.check()?;
        Ok(Self { x, window, atoms })
    }
}

/// What is copied and pasted.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Png,
}

impl Kind {
    fn target(self, atoms: &Atoms) -> Atom {
        match self {
            Self::Text => atoms.UTF8_STRING,
            Self::Png => atoms.image_png,
        }
    }
}

/// A program that pastes.
pub struct Paster(Client);

impl Paster {
    /// One that is not told of anything but what it asked for.
    pub fn connect(display: &str) -> Outcome<Self> {
        Ok(Self(Client::connect(display)?))
    }

    /// Has itself told whenever the clipboard gets an owner.
    pub fn watch(&self) -> Outcome<()> {
        let Client { x, window, atoms } = &self.0;
        x.xfixes_query_version(5, 0)?.reply()?;
        let mask = SelectionEventMask::SET_SELECTION_OWNER;
        Ok(x.xfixes_select_selection_input(*window, atoms.CLIPBOARD, mask)?.check()?)
    }

    /// Waits until the clipboard has a new owner, or the same once more.
    pub fn offered(&self) -> Outcome<()> {
        loop {
            if let Event::XfixesSelectionNotify(event) = self.0.x.wait_for_event()?
                && event.owner != x11rb::NONE
            {
                return Ok(());
            }
        }
    }

    /// How long it takes from the request to the last byte. The bytes are handed over as they come.
    pub fn paste(&self, kind: Kind, mut take: impl FnMut(&[u8])) -> Outcome<Duration> {
        let Client { x, window, atoms } = &self.0;
        let began = Instant::now();
        let target = kind.target(atoms);
        x.convert_selection(*window, atoms.CLIPBOARD, target, atoms.PASTED, x11rb::CURRENT_TIME)?;
        x.flush()?;
        loop {
            match x.wait_for_event()? {
                Event::SelectionNotify(event) if event.property == x11rb::NONE => {
                    return Err("the paste is refused".into());
                }
                Event::SelectionNotify(_) => break,
                _ => {}
            }
        }
        let property = || -> Outcome<_> {
            Ok(x.get_property(true, *window, atoms.PASTED, AtomEnum::ANY, 0, u32::MAX / 4)?.reply()?)
        };
        let first = property()?;
        if first.type_ != atoms.INCR {
            take(&first.value);
            return Ok(began.elapsed());
        }
        loop {
            match x.wait_for_event()? {
                Event::PropertyNotify(event)
                    if event.atom == atoms.PASTED && event.state == Property::NEW_VALUE => {}
                _ => continue,
            }
            let part = property()?;
            // The news of the announcement comes late, when that is gone.
            if part.type_ == x11rb::NONE {
                continue;
            }
            if part.value.is_empty() {
                return Ok(began.elapsed());
            }
            take(&part.value);
        }
    }

    /// What is pasted.
    pub fn pasted(&self, kind: Kind) -> Outcome<Vec<u8>> {
        let mut all = Vec::new();
        self.paste(kind, |bytes| all.extend_from_slice(bytes))?;
        Ok(all)
    }
}

/// A program in which something was copied. It gives that out until something else is copied, or it is
/// dropped.
pub struct Copier {
    client: Arc<Client>,
    thread: Option<JoinHandle<()>>,
}

impl Copier {
    /// Copies.
    pub fn copy(display: &str, kind: Kind, content: Arc<Vec<u8>>) -> Outcome<Self> {
        let client = Arc::new(Client::connect(display)?);
        let Client { x, window, atoms } = &*client;
        x.set_selection_owner(*window, atoms.CLIPBOARD, x11rb::CURRENT_TIME)?.check()?;
        let server = client.clone();
        let thread = std::thread::spawn(move || {
            if let Err(error) = serve(&server, kind, &content) {
                eprintln!("Who copied is gone: {error}");
            }
        });
        Ok(Self { client, thread: Some(thread) })
    }

    fn give_up(&self) -> Outcome<()> {
        let Client { x, window, atoms } = &*self.client;
        if x.get_selection_owner(atoms.CLIPBOARD)?.reply()?.owner == *window {
            x.set_selection_owner(x11rb::NONE, atoms.CLIPBOARD, x11rb::CURRENT_TIME)?.check()?;
        }
        Ok(())
    }
}

impl Drop for Copier {
    fn drop(&mut self) {
        if self.give_up().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// What goes out in parts.
struct Sending {
    request: SelectionRequestEvent,
    sent: usize,
}

fn serve(client: &Client, kind: Kind, content: &[u8]) -> Outcome<()> {
    let Client { x, atoms, .. } = client;
    let target = kind.target(atoms);
    let mut sending: Vec<Sending> = Vec::new();
    loop {
        match x.wait_for_event()? {
            Event::SelectionClear(_) => return Ok(()),
            Event::SelectionRequest(request) if request.target == atoms.TARGETS => {
                let (window, property) = (request.requestor, request.property);
                let all = [atoms.TARGETS, target];
                x.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &all)?;
                answer(x, &request, property)?;
            }
            Event::SelectionRequest(request) if request.target == target => {
                let (window, property) = (request.requestor, request.property);
                if content.len() <= PART {
                    x.change_property8(PropMode::REPLACE, window, property, target, content)?;
                } else {
                    let events = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
                    x.change_window_attributes(window, &events)?;
                    let size = [u32::try_from(content.len())?];
                    x.change_property32(PropMode::REPLACE, window, property, atoms.INCR, &size)?;
                    sending.push(Sending { request, sent: 0 });
                }
                answer(x, &request, property)?;
            }
            Event::SelectionRequest(request) => answer(x, &request, x11rb::NONE)?,
            Event::PropertyNotify(event) if event.state == Property::DELETE => {
                let place = (event.window, event.atom);
                let found =
                    sending.iter().position(|send| (send.request.requestor, send.request.property) == place);
                let Some(send) = found.and_then(|at| sending.get_mut(at)) else { continue };
                let rest = content.get(send.sent..).unwrap_or_default();
                let part = rest.get(..PART).unwrap_or(rest);
                x.change_property8(PropMode::REPLACE, event.window, event.atom, target, part)?;
                x.flush()?;
                send.sent += part.len();
                if part.is_empty() {
                    sending.retain(|send| (send.request.requestor, send.request.property) != place);
                }
            }
            _ => {}
        }
    }
}

fn answer(x: &RustConnection, request: &SelectionRequestEvent, property: Atom) -> Outcome<()> {
    let SelectionRequestEvent { time, requestor, selection, target, .. } = *request;
    let event = SelectionNotifyEvent {
        response_type: SELECTION_NOTIFY_EVENT,
        sequence: 0,
        time,
        requestor,
        selection,
        target,
        property,
    };
    x.send_event(false, requestor, EventMask::NO_EVENT, event)?;
    Ok(x.flush()?)
}

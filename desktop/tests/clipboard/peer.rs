//! Another client of the server, in which every step of the protocol is taken by hand, so that any can
//! be taken wrongly.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Instant;

use libtest_mimic::Failed;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, GetPropertyReply, PropMode, Property,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Timestamp, Window, WindowClass,
};
use x11rb::rust_connection::{DefaultStream, RustConnection};
use x11rb::wrapper::ConnectionExt as _;

use crate::desk::PATIENCE;

/// A client with a window.
pub struct Peer {
    pub x: RustConnection<DefaultStream>,
    pub window: Window,
}

impl Peer {
    pub fn connect(display: &str) -> Result<Self, Failed> {
        let (x, screen) = RustConnection::connect(Some(display))?;
        let root = x.setup().roots[screen].root;
        let window = x.generate_id()?;
        let attributes = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        let class = WindowClass::INPUT_ONLY;
        x.create_window(0, window, root, 0, 0, 1, 1, 0, class, 0, &attributes)?.check()?;
        Ok(Self { x, window })
    }

    pub fn atom(&self, name: &str) -> Result<Atom, Failed> {
        Ok(self.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    pub fn atoms(&self, names: &[&str]) -> Result<Vec<Atom>, Failed> {
        names.iter().map(|name| self.atom(name)).collect()
    }

    /// Waits until the server did all that was asked of it.
    pub fn sync(&self) -> Result<(), Failed> {
        self.x.get_input_focus()?.reply()?;
        Ok(())
    }

    /// The windows that there are, of all clients.
    pub fn windows(&self) -> Result<Vec<Window>, Failed> {
        let root = self.x.setup().roots[0].root;
        Ok(self.x.query_tree(root)?.reply()?.children)
    }

    /// Waits until there are so many windows.
    pub fn windows_become(&self, count: usize) -> Result<(), Failed> {
        let until = Instant::now() + PATIENCE;
        while self.windows()?.len() != count {
            if until <= Instant::now() {
                return Err(format!("found windows {:?}, expected {count}", self.windows()?).into());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Ok(())
    }

    /// Waits until nobody wants to know any more whether the window is destroyed.
    pub fn given_up(&self) -> Result<(), Failed> {
        let until = Instant::now() + PATIENCE;
        while self.x.get_window_attributes(self.window)?.reply()?.all_event_masks
            & EventMask::STRUCTURE_NOTIFY
            != EventMask::NO_EVENT
        {
            if until <= Instant::now() {
                return Err("somebody still wants to know of the window".into());
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        Ok(())
    }

    /// The next event.
    pub fn event(&self) -> Result<Event, Failed> {
        let until = Instant::now() + PATIENCE;
        self.x.flush()?;
        loop {
            if let Some(event) = self.x.poll_for_event()? {
                return Ok(event);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("no event came".into());
            }
            let stream: BorrowedFd<'_> = self.x.stream().as_fd();
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            poll(&mut [PollFd::new(stream, PollFlags::POLLIN)], left)?;
        }
    }

    /// The time, as the server has it.
    pub fn time(&self) -> Result<Timestamp, Failed> {
        let clock = self.atom("CLOCK")?;
        self.x.change_property8(PropMode::APPEND, self.window, clock, AtomEnum::STRING, &[])?;
        loop {
            if let Event::PropertyNotify(event) = self.event()?
                && event.atom == clock
            {
                return Ok(event.time);
            }
        }
    }

    /// Owns the clipboard.
    pub fn own(&self) -> Result<(), Failed> {
        let (time, clipboard) = (self.time()?, self.atom("CLIPBOARD")?);
        self.x.set_selection_owner(self.window, clipboard, time)?.check()?;
        Ok(())
    }

    /// The next who asks for what is owned.
    pub fn request(&self) -> Result<SelectionRequestEvent, Failed> {
        loop {
            if let Event::SelectionRequest(event) = self.event()? {
                return Ok(event);
            }
        }
    }

    /// The next who asks for a certain target; others are refused.
    pub fn request_for(&self, target: &str) -> Result<SelectionRequestEvent, Failed> {
        let target = self.atom(target)?;
        loop {
            let request = self.request()?;
            if request.target == target {
                return Ok(request);
            }
            self.refuse(&request)?;
        }
    }

    /// Tells who asked that it has been answered, or with no property, that it has not.
    pub fn notify(&self, request: &SelectionRequestEvent, property: Atom) -> Result<(), Failed> {
        let SelectionRequestEvent { time, requestor, selection, target, .. } = *request;
        let response_type = SELECTION_NOTIFY_EVENT;
        let event =
            SelectionNotifyEvent { response_type, sequence: 0, time, requestor, selection, target, property };
        self.x.send_event(false, requestor, EventMask::NO_EVENT, event)?;
        self.x.flush()?;
        Ok(())
    }

    pub fn refuse(&self, request: &SelectionRequestEvent) -> Result<(), Failed> {
        self.notify(request, x11rb::NONE)
    }

    /// Answers in one piece.
    pub fn answer(&self, request: &SelectionRequestEvent, kind: Atom, bytes: &[u8]) -> Result<(), Failed> {
        self.put(request, kind, bytes)?;
        self.notify(request, request.property)
    }

    /// Writes bytes to the property of who asked.
    pub fn put(&self, request: &SelectionRequestEvent, kind: Atom, bytes: &[u8]) -> Result<(), Failed> {
        let (window, property) = (request.requestor, request.property);
        self.x.change_property8(PropMode::REPLACE, window, property, kind, bytes)?;
        self.x.flush()?;
        Ok(())
    }

    /// Answers with atoms, of this type.
    pub fn answer_atoms(
        &self,
        request: &SelectionRequestEvent,
        kind: impl Into<Atom>,
        atoms: &[Atom],
    ) -> Result<(), Failed> {
        let (window, property) = (request.requestor, request.property);
        self.x.change_property32(PropMode::REPLACE, window, property, kind.into(), atoms)?;
        self.notify(request, request.property)
    }

    /// Tells the next who wants to know what there is.
    pub fn tell(&self, targets: &[&str]) -> Result<(), Failed> {
        let request = self.request_for("TARGETS")?;
        self.answer_atoms(&request, AtomEnum::ATOM, &self.atoms(targets)?)
    }

    /// Owns the clipboard, and tells who asks what there is.
    pub fn own_and_tell(&self, targets: &[&str]) -> Result<(), Failed> {
        self.own()?;
        self.tell(targets)
    }

    /// Announces content in parts, of this size as it says.
    pub fn announce(&self, request: &SelectionRequestEvent, size: u32) -> Result<(), Failed> {
        let events = x11rb::protocol::xproto::ChangeWindowAttributesAux::new();
        let events = events.event_mask(EventMask::PROPERTY_CHANGE);
        self.x.change_window_attributes(request.requestor, &events)?;
        self.answer_atoms(request, self.atom("INCR")?, &[size])
    }

    /// Sends the next part, once the one before was taken.
    pub fn part(&self, request: &SelectionRequestEvent, kind: Atom, part: &[u8]) -> Result<(), Failed> {
        loop {
            if let Event::PropertyNotify(event) = self.event()?
                && (event.window, event.atom) == (request.requestor, request.property)
                && event.state == Property::DELETE
            {
                return self.put(request, kind, part);
            }
        }
    }

    /// Asks for a target of the clipboard, to be put there.
    pub fn ask(&self, target: &str, property: &str) -> Result<(), Failed> {
        self.ask_at(target, property, x11rb::CURRENT_TIME)
    }

    pub fn ask_at(&self, target: &str, property: &str, time: Timestamp) -> Result<(), Failed> {
        let [clipboard, target, property] =
            [self.atom("CLIPBOARD")?, self.atom(target)?, self.atom(property)?];
        self.x.convert_selection(self.window, clipboard, target, property, time)?.check()?;
        Ok(())
    }

    /// The next answer to what was asked for: its target, and the property if it was not refused.
    pub fn answered(&self) -> Result<(Atom, Option<Atom>), Failed> {
        loop {
            if let Event::SelectionNotify(event) = self.event()? {
                let property = Some(event.property).filter(|&property| property != x11rb::NONE);
                return Ok((event.target, property));
            }
        }
    }

    /// What a property holds, and deletes it.
    pub fn take(&self, property: &str) -> Result<GetPropertyReply, Failed> {
        self.take_atom(self.atom(property)?)
    }

    pub fn take_atom(&self, property: Atom) -> Result<GetPropertyReply, Failed> {
        let reply = self.x.get_property(true, self.window, property, AtomEnum::ANY, 0, u32::MAX / 4)?;
        Ok(reply.reply()?)
    }

    /// Content that comes in parts, after its announcement, to the end.
    pub fn receive(&self, property: &str) -> Result<Vec<u8>, Failed> {
        let property = self.atom(property)?;
        let announced = self.take_atom(property)?;
        if announced.type_ != self.atom("INCR")? {
            return Err(format!("found type {}, expected INCR", announced.type_).into());
        }
        let mut received = Vec::new();
        loop {
            self.written(property)?;
            let part = self.take_atom(property)?;
            match part.value.len() {
                0 if part.type_ != x11rb::NONE => return Ok(received),
                _ => received.extend(part.value),
            }
        }
    }

    /// Waits until a property of the window is written.
    pub fn written(&self, property: Atom) -> Result<(), Failed> {
        loop {
            if let Event::PropertyNotify(event) = self.event()?
                && event.atom == property
                && event.state == Property::NEW_VALUE
            {
                return Ok(());
            }
        }
    }
}

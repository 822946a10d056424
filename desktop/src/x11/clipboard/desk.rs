//! The client of the event loop: it hands events and orders to whom they concern, and tells the listener
//! what came of it.

use std::time::Instant;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::screensaver::{self, ConnectionExt as _, State};
use x11rb::protocol::xfixes::{self, ConnectionExt as _, SelectionEvent, SelectionEventMask};
use x11rb::protocol::xproto::{
    ConnectionExt as _, EventMask, Property, PropertyNotifyEvent, SelectionNotifyEvent, Timestamp, Window,
};
use x11rb::protocol::{ErrorKind, Event};

use super::holder::Holder;
use super::names::{Atoms, Names};
use super::offers::{Offers, ask_for_the_time, atom};
use super::reads::{Reads, Wish};
use super::requests::{Requests, is_before};
use super::{Both, Overrun, SELECTIONS, window};
use crate::Error;
use crate::clipboard::{Content, Listener, Selection, WantedId};
use crate::x11::connection::{Failure, Server, refusal};
use crate::x11::event_loop::Client;

/// Any XFixes tells of selections; a server has to be asked for one before it does.
const XFIXES: (u32, u32) = (1, 0);

/// What other threads ask for.
pub(super) enum Order {
    Watch(Selection, bool),
    Read(Wish),
    Offer(Selection, Vec<String>),
    Withdraw(Selection),
    Answer(WantedId, Option<Vec<u8>>),
    /// Some reads found no room among the orders.
    Overrun,
}

impl Order {
    /// What it is, for the log, which content is never to be found in.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Watch(..) => "to watch",
            Self::Read(_) | Self::Overrun => "to read",
            Self::Offer(..) => "to offer",
            Self::Withdraw(_) => "to withdraw",
            Self::Answer(..) => "to answer",
        }
    }
}

/// Everything, over all connections.
pub(super) struct Desk {
    listener: Box<dyn Listener>,
    overrun: Overrun,
    watched: Both<bool>,
    /// What was offered while there was no server: it is, once there is one again.
    meanwhile: Both<Option<Vec<String>>>,
    locked: bool,
    session: Option<Session>,
}

impl Desk {
    pub(super) fn new(listener: Box<dyn Listener>, overrun: Overrun) -> Self {
        Self {
            listener,
            overrun,
            watched: Both::default(),
            meanwhile: Both::default(),
            locked: false,
            session: None,
        }
    }

    fn tell_locked(&mut self, locked: bool) {
        if self.locked != locked {
            self.locked = locked;
            self.listener.locked(locked);
        }
    }

    /// Does without a server what can be done.
    fn order_in_vain(&mut self, order: Order) {
        match order {
            Order::Watch(selection, on) => {
                *self.watched.of_mut(selection) = on;
                if on {
                    self.listener.changed(selection, Content::Nothing);
                }
            }
            Order::Read(wish) => {
                let text = "The X server went away; it is looked for until it is back".to_owned();
                self.listener.read(wish.id, Err(Error::Unavailable(text)));
            }
            Order::Offer(selection, formats) => *self.meanwhile.of_mut(selection) = Some(formats),
            Order::Withdraw(selection) => *self.meanwhile.of_mut(selection) = None,
            Order::Answer(..) => {
                tracing::debug!("An order {} is left undone: the X server went away", order.name());
            }
            Order::Overrun => {}
        }
    }
}

impl Client for Desk {
    type Order = Order;

    /// Each may take or bring a part of 1 MiB, while others wait.
    const EVENTS_A_ROUND: usize = 64;

    fn connected(&mut self, server: &Server) -> Result<(), Failure> {
        let mut session = Session::begin(server)?;
        for selection in SELECTIONS {
            if let Some(formats) = self.meanwhile.of(selection) {
                let selected = atom(&session.atoms, selection);
                // Who has taken it since the server is back came later.
                if server.x.get_selection_owner(selected)?.reply()?.owner == x11rb::NONE {
                    session.offers.offer(server, &session.atoms, selection, formats.clone())?;
                }
            }
        }
        self.meanwhile = Both::default();
        for selection in SELECTIONS {
            if *self.watched.of(selection) {
                session.inquire(&*self.listener, selection);
            }
        }
        self.tell_locked(is_locked(server)?);
        self.session = Some(session);
        Ok(())
    }

    fn event(&mut self, server: &Server, event: Event) -> Result<(), Failure> {
        // Each has time of its own, of which a part of 1 MiB may need much.
        server.x.stream().begin_call();
        // What another client sent is none of the server's news, but for the one that is always sent.
        if event.sent_event() && !matches!(event, Event::SelectionNotify(_)) {
            return Ok(());
        }
        if let Event::ScreensaverNotify(event) = &event {
            self.tell_locked(event.state != State::OFF);
        }
        let Some(session) = &mut self.session else { return Ok(()) };
        let listener = &*self.listener;
        match event {
            Event::XfixesSelectionNotify(event) => {
                session.owner_changed(server, listener, &event, &self.watched)
            }
            Event::SelectionNotify(answer) => session.answered(server, listener, &answer),
            Event::PropertyNotify(event) => session.property_changed(server, listener, &event),
            Event::SelectionRequest(event) => {
                let Session { atoms, offers, requests, .. } = session;
                requests.asked(server, atoms, listener, offers.by_window(event.owner), event)
            }
            Event::SelectionClear(event) => session.offers.cleared(server, event.owner),
            Event::DestroyNotify(event) if session.offers.is_clock(event.window) => {
                // Without it nothing is heard of selections any more.
                Err(Failure::Refused(
                    "the window that hears of selections was destroyed by somebody".to_owned(),
                ))
            }
            Event::DestroyNotify(event) => {
                session.requests.sends.gone(event.window);
                Ok(())
            }
            Event::Error(error) => {
                tracing::debug!("X server {} refused: {}", server.display(), refusal(&error));
                if error.error_kind == ErrorKind::Window {
                    session.requests.sends.gone(error.bad_value);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn order(&mut self, server: Option<&Server>, order: Order) -> Result<(), Failure> {
        for read in self.overrun.take() {
            let text = "Too much is asked of the clipboard at once; ask again later".to_owned();
            self.listener.read(read, Err(Error::Busy(text)));
        }
        let (Some(server), Some(session)) = (server, &mut self.session) else {
            self.order_in_vain(order);
            return Ok(());
        };
        let Session { atoms, offers, requests, .. } = session;
        match order {
            Order::Watch(selection, on) => {
                *self.watched.of_mut(selection) = on;
                session.holders.of_mut(selection).forget(server)?;
                if on {
                    session.inquire(&*self.listener, selection);
                }
                Ok(())
            }
            Order::Read(wish) => session.read(server, &*self.listener, wish),
            Order::Offer(selection, formats) => offers.offer(server, atoms, selection, formats),
            Order::Withdraw(selection) => offers.withdraw(server, selection),
            Order::Answer(id, content) => requests.answer(server, atoms, id, content),
            Order::Overrun => Ok(()),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let Session { holders, reads, requests, .. } = self.session.as_ref()?;
        let holders = [holders.clipboard.deadline(), holders.primary.deadline()];
        holders.into_iter().chain([reads.deadline(), requests.deadline()]).flatten().min()
    }

    fn due(&mut self, server: Option<&Server>) -> Result<(), Failure> {
        match (server, &mut self.session) {
            (Some(server), Some(session)) => session.due(server, &*self.listener),
            _ => Ok(()),
        }
    }

    /// Owners are asked here, after all news: of an owner that changes often the last state is enough.
    fn settle(&mut self, server: &Server) -> Result<(), Failure> {
        let Some(Session { atoms, time, holders, .. }) = &mut self.session else { return Ok(()) };
        holders.clipboard.ask(server, atoms, *time)?;
        holders.primary.ask(server, atoms, *time)
    }

    fn lost(&mut self, why: &Error) {
        if let Some(session) = self.session.take() {
            for (read, outcome) in session.reads.lost(why) {
                self.listener.read(read, outcome);
            }
        }
        for selection in SELECTIONS {
            if *self.watched.of(selection) {
                self.listener.changed(selection, Content::Nothing);
            }
        }
    }
}

/// What one connection knows.
struct Session {
    atoms: Atoms,
    names: Names,
    /// A time of the server's at which all owners that are known were so already.
    time: Timestamp,
    holders: Both<Holder>,
    reads: Reads,
    offers: Offers,
    requests: Requests,
}

impl Session {
    fn begin(server: &Server) -> Result<Self, Failure> {
        let x = &server.x;
        if x.extension_information(xfixes::X11_EXTENSION_NAME)?.is_none() {
            let text =
                format!("X server {} does not tell of its clipboard: it has no XFixes", server.display());
            return Err(Error::NotSupported(text).into());
        }
        x.xfixes_query_version(XFIXES.0, XFIXES.1)?.reply()?;
        let atoms = Atoms::new(x)?.reply()?;
        let clock = window::create(server, EventMask::PROPERTY_CHANGE | EventMask::STRUCTURE_NOTIFY)?;
        let time = first_time(server, &atoms, clock)?;
        Ok(Self {
            holders: Both {
                clipboard: holder(server, &atoms, clock, Selection::Clipboard)?,
                primary: holder(server, &atoms, clock, Selection::Primary)?,
            },
            atoms,
            names: Names::default(),
            time,
            reads: Reads::default(),
            offers: Offers::new(clock),
            requests: Requests::new(server),
        })
    }

    /// Begins to find out what a selection holds, to tell it.
    fn inquire(&mut self, listener: &dyn Listener, selection: Selection) {
        let ours = self.offers.window(selection);
        if let Some(content) = self.holders.of_mut(selection).inquire(ours) {
            listener.changed(selection, content);
        }
    }

    fn read(&mut self, server: &Server, listener: &dyn Listener, wish: Wish) -> Result<(), Failure> {
        let holder = self.holders.of(wish.selection);
        if let Some((read, outcome)) = self.reads.begin(server, &self.atoms, holder, self.time, wish)? {
            listener.read(read, outcome);
        }
        Ok(())
    }

    fn owner_changed(
        &mut self,
        server: &Server,
        listener: &dyn Listener,
        event: &xfixes::SelectionNotifyEvent,
        watched: &Both<bool>,
    ) -> Result<(), Failure> {
        self.passed(event.timestamp);
        let is_meant = |selection: &Selection| atom(&self.atoms, *selection) == event.selection;
        let Some(selection) = SELECTIONS.into_iter().find(is_meant) else { return Ok(()) };
        let is_set = event.subtype == SelectionEvent::SET_SELECTION_OWNER;
        let owner = if is_set { event.owner } else { x11rb::NONE };
        self.holders.of_mut(selection).changed(server, owner)?;
        for (read, outcome) in self.reads.changed(server, selection)? {
            listener.read(read, outcome);
        }
        if *watched.of(selection) {
            self.inquire(listener, selection);
        }
        Ok(())
    }

    fn answered(
        &mut self,
        server: &Server,
        listener: &dyn Listener,
        answer: &SelectionNotifyEvent,
    ) -> Result<(), Failure> {
        let Self { atoms, names, holders, reads, .. } = self;
        for holder in holders.each_mut() {
            if let Some(content) = holder.answered(server, names, atoms, answer)? {
                listener.changed(holder.selection, content);
            }
        }
        if let Some((read, outcome)) = reads.answered(server, atoms, answer)? {
            listener.read(read, outcome);
        }
        Ok(())
    }

    fn property_changed(
        &mut self,
        server: &Server,
        listener: &dyn Listener,
        event: &PropertyNotifyEvent,
    ) -> Result<(), Failure> {
        self.passed(event.time);
        let PropertyNotifyEvent { window, atom, state, .. } = *event;
        if state == Property::DELETE {
            return self.requests.sends.deleted(server, window, atom);
        }
        if self.offers.is_clock(window) {
            return self.offers.told_the_time(server, &self.atoms, event.time);
        }
        self.written(server, listener, window)
    }

    /// A property of this window has a new value.
    fn written(&mut self, server: &Server, listener: &dyn Listener, window: Window) -> Result<(), Failure> {
        let Self { atoms, names, holders, reads, .. } = self;
        for holder in holders.each_mut() {
            if let Some(content) = holder.written(server, names, atoms, window)? {
                listener.changed(holder.selection, content);
            }
        }
        if let Some((read, outcome)) = reads.written(server, atoms, window)? {
            listener.read(read, outcome);
        }
        Ok(())
    }

    fn due(&mut self, server: &Server, listener: &dyn Listener) -> Result<(), Failure> {
        let now = Instant::now();
        let Self { atoms, names, holders, reads, requests, .. } = self;
        for holder in holders.each_mut() {
            if let Some(content) = holder.due(server, names, now)? {
                listener.changed(holder.selection, content);
            }
        }
        while let Some((read, outcome)) = reads.due(server, atoms, now)? {
            listener.read(read, outcome);
        }
        requests.due(server, atoms, now)
    }

    /// The server told the time.
    fn passed(&mut self, time: Timestamp) {
        if is_before(self.time, time) {
            self.time = time;
        }
    }
}

/// Asks the server for the time, and waits for it. No other events were asked for yet.
fn first_time(server: &Server, atoms: &Atoms, clock: Window) -> Result<Timestamp, Failure> {
    ask_for_the_time(server, atoms, clock)?;
    server.x.get_input_focus()?.reply()?;
    let mut time = x11rb::CURRENT_TIME;
    while let Some(event) = server.x.poll_for_event()? {
        match event {
            Event::PropertyNotify(event) if event.window == clock => time = event.time,
            _ => {}
        }
    }
    Ok(time)
}

/// Asks for the news of a selection, and then for its owner, so that no change is missed.
fn holder(server: &Server, atoms: &Atoms, at: Window, selection: Selection) -> Result<Holder, Failure> {
    let atom = atom(atoms, selection);
    let news = SelectionEventMask::SET_SELECTION_OWNER
        | SelectionEventMask::SELECTION_WINDOW_DESTROY
        | SelectionEventMask::SELECTION_CLIENT_CLOSE;
    server.x.xfixes_select_selection_input(at, atom, news)?;
    let owner = server.x.get_selection_owner(atom)?.reply()?.owner;
    Ok(Holder::new(selection, atom, owner))
}

/// Asks for the news of the screen saver, and then whether it is on now. A server without one is never
/// locked.
fn is_locked(server: &Server) -> Result<bool, Failure> {
    if server.x.extension_information(screensaver::X11_EXTENSION_NAME)?.is_none() {
        return Ok(false);
    }
    server.x.screensaver_select_input(server.root, screensaver::Event::NOTIFY_MASK)?;
    let state = server.x.screensaver_query_info(server.root)?.reply()?.state;
    Ok(State::from(state) == State::ON)
}

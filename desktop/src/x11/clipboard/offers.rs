//! What we own.
//!
//! Each offer has a window of its own, which owns the selection: a request says by it which offer it
//! means, and destroying it gives the selection up exactly if it is still ours.

use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, EventMask, PropMode, Timestamp, Window};
use x11rb::wrapper::ConnectionExt as _;

use super::names::{Atoms, intern_all};
use super::targets::{Encoding, is_format, shown, to_offer};
use super::{Both, SELECTIONS, window};
use crate::clipboard::{MOST_FORMATS, Selection};
use crate::x11::connection::{Failure, Server};

/// What is offered, of which selections.
#[derive(Debug)]
pub(super) struct Offers {
    /// Whose property tells the time.
    clock: Window,
    own: Both<Option<Offer>>,
    /// What is to be offered once the time is known.
    next: Both<Option<Vec<String>>>,
    /// How often the server was asked for the time and did not tell it yet.
    asked: usize,
}

/// A selection that is ours.
#[derive(Debug)]
pub(super) struct Offer {
    pub(super) window: Window,
    pub(super) selection: Selection,
    pub(super) since: Timestamp,
    pub(super) targets: Vec<Offered>,
}

/// A target that can be asked for.
#[derive(Debug)]
pub(super) struct Offered {
    pub(super) target: Atom,
    pub(super) format: String,
    pub(super) encoding: Encoding,
}

impl Offers {
    pub(super) fn new(clock: Window) -> Self {
        Self { clock, own: Both::default(), next: Both::default(), asked: 0 }
    }

    /// The offer whose window this is, if it still owns its selection.
    pub(super) fn by_window(&self, window: Window) -> Option<&Offer> {
        let own = [&self.own.clipboard, &self.own.primary];
        own.into_iter().flatten().find(|offer| offer.window == window)
    }

    /// The window that owns a selection for us.
    pub(super) fn window(&self, selection: Selection) -> Option<Window> {
        self.own.of(selection).as_ref().map(|offer| offer.window)
    }

    /// Takes a selection over, as soon as the time is known: ownership begins at a time of the server's.
    pub(super) fn offer(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        selection: Selection,
        formats: Vec<String>,
    ) -> Result<(), Failure> {
        *self.next.of_mut(selection) = Some(formats);
        self.asked += 1;
        ask_for_the_time(server, atoms, self.clock)
    }

    /// Whether an event at this window tells the time that was asked for.
    pub(super) fn is_clock(&self, window: Window) -> bool {
        window == self.clock
    }

    /// The time, for what was to be offered.
    pub(super) fn told_the_time(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        time: Timestamp,
    ) -> Result<(), Failure> {
        self.asked = self.asked.saturating_sub(1);
        // What is offered later than this was asked waits for a later time.
        if self.asked > 0 {
            return Ok(());
        }
        for selection in SELECTIONS {
            if let Some(formats) = self.next.of_mut(selection).take() {
                self.take_over(server, atoms, selection, formats, time)?;
            }
        }
        Ok(())
    }

    /// Gives a selection up.
    pub(super) fn withdraw(&mut self, server: &Server, selection: Selection) -> Result<(), Failure> {
        self.next.of_mut(selection).take();
        match self.own.of_mut(selection).take() {
            Some(offer) => window::destroy(server, offer.window),
            None => Ok(()),
        }
    }

    /// A window of ours owns its selection no more.
    pub(super) fn cleared(&mut self, server: &Server, owner: Window) -> Result<(), Failure> {
        for own in self.own.each_mut() {
            if let Some(offer) = own.take_if(|offer| offer.window == owner) {
                window::destroy(server, offer.window)?;
            }
        }
        Ok(())
    }

    fn take_over(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        selection: Selection,
        formats: Vec<String>,
        since: Timestamp,
    ) -> Result<(), Failure> {
        let targets = offered(server, formats)?;
        let window = window::create(server, EventMask::NO_EVENT)?;
        let atom = atom(atoms, selection);
        server.x.set_selection_owner(window, atom, since)?;
        let owner = server.x.get_selection_owner(atom)?.reply()?.owner;
        if owner != window {
            tracing::debug!("{selection:?} is not ours: window {owner:#x} took it a moment later");
            return window::destroy(server, window);
        }
        let offer = Offer { window, selection, since, targets };
        match self.own.of_mut(selection).replace(offer) {
            Some(before) => window::destroy(server, before.window),
            None => Ok(()),
        }
    }
}

/// The selection's name.
pub(super) fn atom(atoms: &Atoms, selection: Selection) -> Atom {
    match selection {
        Selection::Clipboard => atoms.CLIPBOARD,
        Selection::Primary => AtomEnum::PRIMARY.into(),
    }
}

/// Appends nothing to a property of this window, which must have asked for such events: the server
/// tells of it with its time.
pub(super) fn ask_for_the_time(server: &Server, atoms: &Atoms, clock: Window) -> Result<(), Failure> {
    server.x.change_property8(PropMode::APPEND, clock, atoms._BELLHOP_TIME, AtomEnum::STRING, &[])?;
    Ok(())
}

/// All targets of these formats, in their order.
fn offered(server: &Server, formats: Vec<String>) -> Result<Vec<Offered>, Failure> {
    let good = formats.into_iter().filter(|format| {
        let good = is_format(format);
        if !good {
            tracing::warn!("'{}' is not offered: formats are MIME types", shown(format));
        }
        good
    });
    let mut formats = Vec::new();
    let mut targets = Vec::new();
    for format in good.take(MOST_FORMATS) {
        for target in to_offer(&format) {
            if !targets.contains(&target.name) {
                formats.push((format.clone(), target.encoding));
                targets.push(target.name);
            }
        }
    }
    let atoms = intern_all(server, &targets)?;
    let offered = atoms.into_iter().zip(formats);
    Ok(offered.map(|(target, (format, encoding))| Offered { target, format, encoding }).collect())
}

//! Who holds a selection, and what it has to offer.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use x11rb::protocol::xproto::{Atom, ConnectionExt as _, SelectionNotifyEvent, Timestamp, Window};

use super::conversion::{Conversion, Ended};
use super::incoming::{Content as Answer, Fault};
use super::names::{Atoms, Names};
use super::targets::formats;
use super::window;
use crate::clipboard::{Content, Selection};
use crate::x11::connection::{Failure, Server};

/// How often an owner that names no targets is asked; some own a selection before they have them.
const TRIES: u32 = 4;

/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(150);

/// How many targets an owner may name.
const MOST_TARGETS: usize = 1024;

/// So many questions that were superseded can still be answered.
const MOST_SUPERSEDED: usize = 64;

/// The size of an atom in a property.
const ATOM: usize = size_of::<Atom>();

/// What is known of a selection's owner.
#[derive(Debug)]
pub(super) struct Holder {
    pub(super) selection: Selection,
    pub(super) atom: Atom,
    /// Its window; [`x11rb::NONE`] when nobody owns it.
    pub(super) owner: Window,
    /// What it named, once it did.
    pub(super) targets: Option<Vec<String>>,
    inquiry: Inquiry,
    /// The windows of questions that nobody waits for any more. Whoever is to answer one of them may die of
    /// its window's absence, as xclip does.
    superseded: VecDeque<Window>,
}

/// How far the question is what the owner has.
#[derive(Debug)]
enum Inquiry {
    /// Nobody wants to know, or it is known.
    Idle,
    /// To be asked for this time, not before then.
    Due { attempt: u32, at: Instant },
    /// Asked.
    Asked { attempt: u32, conversion: Conversion },
}

impl Holder {
    pub(super) fn new(selection: Selection, atom: Atom, owner: Window) -> Self {
        Self { selection, atom, owner, targets: None, inquiry: Inquiry::Idle, superseded: VecDeque::new() }
    }

    /// Another owner, or the same with other content.
    pub(super) fn changed(&mut self, server: &Server, owner: Window) -> Result<(), Failure> {
        self.owner = owner;
        self.targets = None;
        self.forget(server)
    }

    /// Ends an inquiry that nobody wants any more.
    pub(super) fn forget(&mut self, server: &Server) -> Result<(), Failure> {
        if let Inquiry::Asked { conversion, .. } = std::mem::replace(&mut self.inquiry, Inquiry::Idle) {
            self.superseded.push_back(conversion.window());
        }
        self.keep_superseded(server, MOST_SUPERSEDED)
    }

    /// Destroys the windows of old questions, but for as many.
    fn keep_superseded(&mut self, server: &Server, most: usize) -> Result<(), Failure> {
        let gone = self.superseded.len().saturating_sub(most);
        self.superseded.drain(..gone).try_for_each(|old| window::destroy(server, old))
    }

    /// Begins to find out what there is. What is clear at once is told at once.
    pub(super) fn inquire(&mut self, ours: Option<Window>) -> Option<Content> {
        if self.owner == x11rb::NONE {
            return Some(Content::Nothing);
        }
        if Some(self.owner) == ours {
            return Some(Content::Ours);
        }
        self.inquiry = Inquiry::Due { attempt: 1, at: Instant::now() };
        None
    }

    /// Asks the owner if it is time to.
    pub(super) fn ask(&mut self, server: &Server, atoms: &Atoms, time: Timestamp) -> Result<(), Failure> {
        let Inquiry::Due { attempt, at } = self.inquiry else { return Ok(()) };
        if at > Instant::now() {
            return Ok(());
        }
        // Where news of another owner is still on its way here, that one would be asked, and asked again.
        if server.x.get_selection_owner(self.atom)?.reply()?.owner != self.owner {
            self.inquiry = Inquiry::Idle;
            return Ok(());
        }
        let what = (self.atom, atoms.TARGETS);
        let conversion = Conversion::begin(server, atoms, what, time, MOST_TARGETS * ATOM)?;
        self.inquiry = Inquiry::Asked { attempt, conversion };
        Ok(())
    }

    /// The owner answered somebody; what is told, if that was this inquiry's end.
    pub(super) fn answered(
        &mut self,
        server: &Server,
        names: &mut Names,
        atoms: &Atoms,
        answer: &SelectionNotifyEvent,
    ) -> Result<Option<Content>, Failure> {
        let Some(conversion) = self.conversion(answer.requestor) else { return Ok(None) };
        let ended = conversion.answered(server, atoms, answer)?;
        self.ended(server, names, ended)
    }

    /// A property of this window has a new value.
    pub(super) fn written(
        &mut self,
        server: &Server,
        names: &mut Names,
        atoms: &Atoms,
        window: Window,
    ) -> Result<Option<Content>, Failure> {
        let Some(conversion) = self.conversion(window) else { return Ok(None) };
        let ended = conversion.written(server, atoms)?;
        self.ended(server, names, ended)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.inquiry {
            Inquiry::Idle => None,
            Inquiry::Due { at, .. } => Some(*at),
            Inquiry::Asked { conversion, .. } => Some(conversion.deadline()),
        }
    }

    /// The time has come.
    pub(super) fn due(
        &mut self,
        server: &Server,
        names: &mut Names,
        now: Instant,
    ) -> Result<Option<Content>, Failure> {
        let Inquiry::Asked { conversion, .. } = &self.inquiry else { return Ok(None) };
        let ended = conversion.due(now);
        self.ended(server, names, ended)
    }

    fn conversion(&mut self, window: Window) -> Option<&mut Conversion> {
        match &mut self.inquiry {
            Inquiry::Asked { conversion, .. } if conversion.is_at(window) => Some(conversion),
            _ => None,
        }
    }

    /// Makes sense of an answer, and asks again where there is hope.
    fn ended(
        &mut self,
        server: &Server,
        names: &mut Names,
        ended: Ended,
    ) -> Result<Option<Content>, Failure> {
        let (Some(outcome), Inquiry::Asked { attempt, .. }) = (ended, &self.inquiry) else {
            return Ok(None);
        };
        let attempt = *attempt;
        self.forget(server)?;
        let in_vain = matches!(outcome, Err(Fault::Silent | Fault::Endless));
        if !in_vain {
            // Owners answer in turn: what was asked before is answered as well.
            self.keep_superseded(server, 0)?;
        }
        let fault = match outcome.and_then(atoms) {
            Ok(atoms) => {
                let targets = names.of(server, &atoms)?;
                let formats = formats(&targets);
                if !formats.is_empty() {
                    self.targets = Some(targets);
                    return Ok(Some(Content::Theirs(formats)));
                }
                Fault::Empty
            }
            Err(fault) => fault,
        };
        let (selection, owner) = (self.selection, self.owner);
        if attempt >= TRIES || in_vain {
            tracing::warn!(
                "{selection:?}: what its owner, window {owner:#x}, has cannot be told: {fault}; it counts as \
                 nothing until there is another"
            );
            return Ok(Some(Content::Nothing));
        }
        tracing::debug!("{selection:?}: its owner, window {owner:#x}, is asked again what it has: {fault}");
        self.inquiry = Inquiry::Due { attempt: attempt + 1, at: Instant::now() + PAUSE };
        Ok(None)
    }
}

/// The atoms in an answer. Their type is ATOM, or TARGETS with owners that are wrong about it.
fn atoms(answer: Answer) -> Result<Vec<Atom>, Fault> {
    const BITS: u8 = 32;
    if answer.unit != BITS && !answer.bytes.is_empty() {
        return Err(Fault::Unit { found: answer.unit, expected: BITS });
    }
    Ok(answer.bytes.as_chunks().0.iter().map(|&atom| Atom::from_ne_bytes(atom)).collect())
}

//! Reads under way.

use std::collections::VecDeque;
use std::time::Instant;

use x11rb::protocol::xproto::{Atom, SelectionNotifyEvent, Timestamp, Window};

use super::conversion::{Conversion, Ended};
use super::holder::Holder;
use super::incoming::{Content, Fault};
use super::names::{Atoms, intern};
use super::targets::{Encoding, Target, is_format, shown, to_ask};
use super::text::{Told, decode};
use super::window;
use crate::Error;
use crate::clipboard::{MOST_READS, ReadId, Selection};
use crate::x11::connection::{Failure, Server};

/// What a read came to.
pub(super) type Outcome = (ReadId, Result<Vec<u8>, Error>);

/// The reads under way, at most [`MOST_READS`].
#[derive(Debug, Default)]
pub(super) struct Reads {
    reads: Vec<Read>,
}

/// What somebody wants to read.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) id: ReadId,
    pub(super) selection: Selection,
    pub(super) format: String,
    pub(super) limit: usize,
}

#[derive(Debug)]
struct Read {
    wish: Wish,
    owner: Window,
    selection: Atom,
    time: Timestamp,
    /// How the target that was asked for writes the format.
    encoding: Encoding,
    /// The targets that could be asked for if the owner refuses.
    others: VecDeque<Target>,
    conversion: Conversion,
}

impl Reads {
    /// Begins a read. What is clear at once is told at once.
    pub(super) fn begin(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        holder: &Holder,
        time: Timestamp,
        wish: Wish,
    ) -> Result<Option<Outcome>, Failure> {
        let (target, others) = match self.admit(server, holder, &wish) {
            Ok(targets) => targets,
            Err(error) => {
                tracing::debug!("{error}");
                return Ok(Some((wish.id, Err(error))));
            }
        };
        let (owner, selection) = (holder.owner, holder.atom);
        let what = (selection, intern(server, &target.name)?);
        let conversion = Conversion::begin(server, atoms, what, time, wish.limit)?;
        let encoding = target.encoding;
        self.reads.push(Read { wish, owner, selection, time, encoding, others, conversion });
        Ok(None)
    }

    /// The target by which to read, and others in case it is refused.
    fn admit(
        &self,
        server: &Server,
        holder: &Holder,
        wish: &Wish,
    ) -> Result<(Target, VecDeque<Target>), Error> {
        let Wish { selection, format, .. } = wish;
        if !is_format(format) {
            let format = shown(format);
            return Err(Error::Invalid(format!("'{format}' is no format; formats are MIME types")));
        }
        if holder.owner == x11rb::NONE {
            return Err(Error::Failed(format!("Nothing to read: nobody owns {selection:?}")));
        }
        if window::is_ours(server, holder.owner) {
            let text = format!("Nothing to read: {selection:?} holds what was offered here");
            return Err(Error::Invalid(text));
        }
        if self.reads.len() >= MOST_READS {
            let text = format!("{MOST_READS} reads are under way already; ask again when one has ended");
            return Err(Error::Busy(text));
        }
        let mut targets = VecDeque::from(to_ask(format, holder.targets.as_deref()));
        let none = || Error::Failed(format!("{selection:?} has no {format}; it has what was told last"));
        Ok((targets.pop_front().ok_or_else(none)?, targets))
    }

    /// The owner answered somebody.
    pub(super) fn answered(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        answer: &SelectionNotifyEvent,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(at) = self.at(answer.requestor) else { return Ok(None) };
        let Some(read) = self.reads.get_mut(at) else { return Ok(None) };
        match read.conversion.answered(server, atoms, answer)? {
            Some(Err(Fault::Refused)) if read.ask_for_another(server, atoms)? => Ok(None),
            ended => self.ended(server, atoms, at, ended),
        }
    }

    /// A property of this window has a new value.
    pub(super) fn written(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        window: Window,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(at) = self.at(window) else { return Ok(None) };
        let Some(read) = self.reads.get_mut(at) else { return Ok(None) };
        let ended = read.conversion.written(server, atoms)?;
        self.ended(server, atoms, at, ended)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.reads.iter().map(|read| read.conversion.deadline()).min()
    }

    /// The time has come; one read that it ends.
    pub(super) fn due(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        now: Instant,
    ) -> Result<Option<Outcome>, Failure> {
        let due = |read: &Read| read.conversion.due(now).is_some();
        let Some(at) = self.reads.iter().position(due) else { return Ok(None) };
        let Some(read) = self.reads.get(at) else { return Ok(None) };
        let ended = read.conversion.due(now);
        self.ended(server, atoms, at, ended)
    }

    /// The selection's owner changed: the reads that end by it.
    pub(super) fn changed(&mut self, server: &Server, selection: Selection) -> Result<Vec<Outcome>, Failure> {
        let ends = |read: &mut Read| read.wish.selection == selection;
        let ended = self.reads.extract_if(.., ends).map(|read| {
            let Read { wish: Wish { id, format, .. }, owner, conversion, .. } = read;
            conversion.end(server)?;
            let text = format!(
                "{selection:?} changed while its {format} was read from window {owner:#x}; ask for what is \
                 there now"
            );
            tracing::debug!("{text}");
            Ok((id, Err(Error::Busy(text))))
        });
        ended.collect()
    }

    /// The server is gone: all reads end.
    pub(super) fn lost(self, why: &Error) -> impl Iterator<Item = Outcome> {
        self.reads.into_iter().map(|read| (read.wish.id, Err(Error::Unavailable(why.to_string()))))
    }

    fn at(&self, window: Window) -> Option<usize> {
        self.reads.iter().position(|read| read.conversion.is_at(window))
    }

    /// Ends a read, if it ended.
    fn ended(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        at: usize,
        ended: Ended,
    ) -> Result<Option<Outcome>, Failure> {
        let Some(outcome) = ended else { return Ok(None) };
        let Read { wish, owner, encoding, conversion, .. } = self.reads.swap_remove(at);
        conversion.end(server)?;
        let Wish { id, selection, format, limit } = wish;
        let read = outcome.and_then(|content| content_of(content, encoding, limit, atoms));
        let read = read.map_err(|fault| {
            let text =
                format!("Cannot read {format} from {selection:?}, owned by window {owner:#x}: {fault}");
            tracing::debug!("{text}");
            match fault {
                Fault::TooLong(_) => Error::Invalid(text),
                _ => Error::Failed(text),
            }
        });
        Ok(Some((id, read)))
    }
}

impl Read {
    /// Asks for the next target. False when there is none.
    fn ask_for_another(&mut self, server: &Server, atoms: &Atoms) -> Result<bool, Failure> {
        let Some(Target { name, encoding }) = self.others.pop_front() else { return Ok(false) };
        let what = (self.selection, intern(server, &name)?);
        let next = Conversion::begin(server, atoms, what, self.time, self.wish.limit)?;
        std::mem::replace(&mut self.conversion, next).end(server)?;
        self.encoding = encoding;
        Ok(true)
    }
}

/// Makes of a target's content that of its format.
fn content_of(content: Content, encoding: Encoding, limit: usize, atoms: &Atoms) -> Result<Vec<u8>, Fault> {
    const BITS: u8 = 8;
    let Content { bytes, kind, unit } = content;
    if unit != BITS && !bytes.is_empty() {
        return Err(Fault::Unit { found: unit, expected: BITS });
    }
    let told = if kind == atoms.COMPOUND_TEXT { Told::Compound } else { Told::Nothing };
    let bytes = decode(encoding, told, bytes).ok_or(Fault::Unreadable)?;
    if bytes.len() > limit { Err(Fault::TooLong(limit)) } else { Ok(bytes) }
}

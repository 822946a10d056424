//! `clipboard`: what programs of the desktop copy and paste.

use std::collections::BTreeMap;

use bellhop_desktop::clipboard::{Listener, ReadId, WantedId};
use bellhop_desktop::{Clipboard, Content, Selection as Ours};

use super::Host;
use super::bindings::bellhop::guest::clipboard::{self, Selection};
use super::bindings::bellhop::guest::types::Error;
use super::bindings::exports::bellhop::guest::clipboard_events::Owner;
use crate::mailbox::{Item, Poster, Token};

/// The most formats of one offer.
const MOST_FORMATS: usize = 16;

/// The most reads that are under way.
const MOST_READS: usize = 16;

/// The most of those who paste that are remembered; the desktop refuses who waits too long.
const MOST_WANTED: usize = 256;

/// The clipboard as one plugin has it. The desktop's is opened when it is first used.
#[derive(Default)]
pub struct Clip {
    open: Option<Box<dyn Clipboard>>,
    reads: BTreeMap<ReadId, Token>,
    wanted: BTreeMap<Token, WantedId>,
}

/// A read that ended.
#[derive(Debug)]
pub struct ClipboardRead {
    read: ReadId,
    outcome: Result<Vec<u8>, bellhop_desktop::Error>,
}

/// Somebody who pastes.
#[derive(Debug)]
pub struct ClipboardWanted {
    wanted: WantedId,
    selection: Ours,
    format: String,
}

/// Leaves the desktop's news in the plugin's mailbox.
struct Forward(Poster);

impl Listener for Forward {
    fn changed(&self, selection: Ours, content: Content) {
        self.0.clipboard(selection, content);
    }

    fn read(&self, read: ReadId, outcome: Result<Vec<u8>, bellhop_desktop::Error>) {
        self.0.item(Item::Read(ClipboardRead { read, outcome }));
    }

    fn wanted(&self, wanted: WantedId, selection: Ours, format: &str) {
        let format = format.to_owned();
        self.0.item(Item::Wanted(ClipboardWanted { wanted, selection, format }));
    }

    fn locked(&self, locked: bool) {
        self.0.locked(locked);
    }
}

impl Clip {
    /// How many reads are under way.
    pub(super) fn reads(&self) -> usize {
        self.reads.len()
    }
}

impl Host {
    /// The desktop's clipboard, opened if need be, once the grant allows this use of it.
    fn clip(&mut self, selection: Selection, to_host: bool) -> Result<&dyn Clipboard, Error> {
        let primary = matches!(selection, Selection::Primary);
        self.authority.clipboard.permit(to_host, primary).map_err(Error::Denied)?;
        let desktop = self.outside.desktop()?;
        let open = match self.clip.open.take() {
            Some(open) => open,
            None => desktop.clipboards.open(Box::new(Forward(self.poster.clone())))?,
        };
        Ok(&**self.clip.open.insert(open))
    }

    /// Makes the end of a read into what the plugin is called with.
    pub(crate) fn clipboard_read(&mut self, end: ClipboardRead) -> Option<(Token, Result<u64, Error>)> {
        let read = self.clip.reads.remove(&end.read)?;
        let outcome = end.outcome.map_err(Error::from).and_then(|bytes| {
            let buffer = self.token();
            self.buffers.admit(buffer, bytes).map(|()| buffer)
        });
        Some((read, outcome))
    }

    /// Makes somebody's wish into what the plugin is called with.
    pub(crate) fn clipboard_wanted(&mut self, wish: ClipboardWanted) -> (Token, Selection, String) {
        let wanted = self.token();
        if self.clip.wanted.len() >= MOST_WANTED {
            self.clip.wanted.pop_first();
        }
        self.clip.wanted.insert(wanted, wish.wanted);
        (wanted, wish.selection.into(), wish.format)
    }
}

impl clipboard::Host for Host {
    fn watch(&mut self, selection: Selection, on: bool) -> Result<(), Error> {
        self.clip(selection, true)?.watch(selection.into(), on);
        Ok(())
    }

    fn read(&mut self, selection: Selection, format: String) -> Result<Token, Error> {
        if self.clip.reads.len() >= MOST_READS {
            return Err(Error::Busy(format!("{MOST_READS} reads of the clipboard are under way")));
        }
        self.permit_handle()?;
        let limit = self.authority.clipboard.largest.get();
        let read = self.clip(selection, true)?.read(selection.into(), &format, limit);
        let token = self.token();
        self.clip.reads.insert(read, token);
        Ok(token)
    }

    fn offer(&mut self, selection: Selection, formats: Vec<String>) -> Result<(), Error> {
        if formats.is_empty() || formats.len() > MOST_FORMATS {
            let count = formats.len();
            return Err(Error::Invalid(format!("{count} formats; an offer has 1 to {MOST_FORMATS}")));
        }
        self.clip(selection, false)?.offer(selection.into(), &formats);
        Ok(())
    }

    fn withdraw(&mut self, selection: Selection) -> Result<(), Error> {
        // Nothing was ever offered through a clipboard that was not opened.
        if let Some(open) = &self.clip.open {
            open.withdraw(selection.into());
        }
        Ok(())
    }

    fn answer(&mut self, wanted: Token, content: u64) -> Result<(), Error> {
        let content = self.buffers.give_away(content)?;
        let Some(wanted) = self.clip.wanted.remove(&wanted) else { return Ok(()) };
        let Some(open) = &self.clip.open else { return Ok(()) };
        let largest = self.authority.clipboard.largest;
        if content.len() as u64 > largest.0 {
            open.answer(wanted, None);
            let size = content.len();
            return Err(Error::Denied(format!(
                "{size} bytes are more than the grant's `largest`, {largest}"
            )));
        }
        open.answer(wanted, Some(content));
        Ok(())
    }

    fn refuse(&mut self, wanted: Token) {
        if let (Some(wanted), Some(open)) = (self.clip.wanted.remove(&wanted), &self.clip.open) {
            open.answer(wanted, None);
        }
    }
}

/// Who holds a selection, and what can be read of it, in the contract's words.
pub(crate) fn told(content: Content) -> (Owner, Vec<String>) {
    match content {
        Content::Nothing => (Owner::Nobody, Vec::new()),
        Content::Ours => (Owner::Plugin, Vec::new()),
        Content::Theirs(formats) => (Owner::Other, formats),
    }
}

impl From<Selection> for Ours {
    fn from(selection: Selection) -> Self {
        match selection {
            Selection::Clipboard => Self::Clipboard,
            Selection::Primary => Self::Primary,
        }
    }
}

impl From<Ours> for Selection {
    fn from(selection: Ours) -> Self {
        match selection {
            Ours::Clipboard => Self::Clipboard,
            Ours::Primary => Self::Primary,
        }
    }
}

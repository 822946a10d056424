//! The clipboard: what programs of the desktop copy and paste.
//!
//! Formats are MIME types. `text/plain` is UTF-8 with line feeds, whatever a desktop's own names and
//! encodings for text are.

use std::time::Duration;

use crate::Error;

/// The most formats that an offer, ours or another program's, is told with.
pub const MOST_FORMATS: usize = 64;

/// The longest name of a format, in bytes; longer ones are not told.
pub const LONGEST_FORMAT: usize = 255;

/// The most reads that can be under way in one [`Clipboard`].
pub const MOST_READS: usize = 16;

/// How long an answer to [`Listener::wanted`] is waited for.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Which of the desktop's clipboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Selection {
    /// What is copied and pasted.
    Clipboard,
    /// What is selected with the mouse.
    Primary,
}

/// What a selection holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// Nobody owns it, or nobody that could be asked.
    Nothing,
    /// What was given to [`Clipboard::offer`].
    Ours,
    /// What another program offers, in these formats, its favourite first.
    Theirs(Vec<String>),
}

/// Names a read, from its start to its end. Never the same twice in one [`Clipboard`].
pub type ReadId = u64;

/// Names somebody who wants what is offered. Never the same twice in one [`Clipboard`].
pub type WantedId = u64;

/// Who is told of a clipboard's news. It is called from a thread of the desktop's, must not wait, and
/// may call the clipboard, whose functions only leave an order.
pub trait Listener: Send + Sync {
    /// A watched selection holds something else now, or the same owner offers anew. Told once at the
    /// start of a watch.
    fn changed(&self, selection: Selection, content: Content);

    /// A read ended. [`Error::Busy`] means that the owner changed meanwhile, so that what there was can
    /// not be had any more, or that more than [`MOST_READS`] were asked for; [`Error::Invalid`] that there
    /// is more than its limit, or that it is our own; [`Error::Failed`] that nobody owns the selection, or
    /// its owner has no such format, refuses, is silent or makes no sense; [`Error::Unavailable`] that the
    /// desktop went away.
    fn read(&self, read: ReadId, outcome: Result<Vec<u8>, Error>);

    /// Another program wants what is offered. It is to be answered within [`ANSWER_WITHIN`] by
    /// [`Clipboard::answer`]; then it is refused.
    fn wanted(&self, wanted: WantedId, selection: Selection, format: &str);

    /// The desktop's screen saver began or ended, by which a desktop that is locked can be told. Told at
    /// the start if it is on. It says nothing of a desktop that is locked without its screen saver.
    fn locked(&self, locked: bool) {
        let _ = locked;
    }
}

/// The clipboard of one desktop, as one user of it has it.
///
/// Its functions leave an order with the desktop and return at once; what comes of it is told to the
/// [`Listener`]. Dropping it gives up what it owns and ends what is under way; its listener is not called
/// any more once that returned.
pub trait Clipboard: Send + Sync {
    /// Begins or ends to tell of a selection. To begin anew has it told anew.
    fn watch(&self, selection: Selection, on: bool);

    /// Asks whoever owns a selection for its content, of at most `limit` bytes. It need not be watched.
    fn read(&self, selection: Selection, format: &str, limit: usize) -> ReadId;

    /// Takes a selection over, and offers its content in these formats, the best first. What was asked of
    /// an earlier offer can still be answered.
    fn offer(&self, selection: Selection, formats: &[String]);

    /// Gives a selection up, if it is still ours.
    fn withdraw(&self, selection: Selection);

    /// Answers somebody; `None` when there is nothing to be had. Who asked may be gone by now.
    fn answer(&self, wanted: WantedId, content: Option<Vec<u8>>);
}

/// A desktop that has a clipboard.
pub trait Clipboards: Send + Sync {
    /// Which desktop this is, for people.
    fn describe(&self) -> String;

    /// Begins to use the clipboard. A desktop that goes away is looked for until it is back, at a slow
    /// pace, and then watched as before; what was owned or under way is gone, and told so.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the desktop cannot be reached now, [`Error::NotSupported`] when it has
    /// no clipboard.
    fn open(&self, listener: Box<dyn Listener>) -> Result<Box<dyn Clipboard>, Error>;
}

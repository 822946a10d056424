//! What a host answers to a word.

use serde::Serialize;

use super::Word;
use crate::content::BadContent;
use crate::hgcm::{HgcmClientReport, Property, PropertyChange};
use crate::host::{ClipboardError, ClipboardReport, Counters, NoSuchDisplay, PropertyRefused, TimedOut};
use crate::journal::Seen;
use crate::report::GuestReport;

/// What came of a word. Written down, it is the bare content, without the variant's name.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// It was done.
    Done {},
    /// It was done, and perhaps the guest was rung for it: not when it last read the very same.
    Rang {
        /// Whether the guest was rung.
        rang: bool,
    },
    /// What is known of the guest.
    State {
        /// The session id (request 217).
        session_id: u64,
        /// What it reported.
        guest: Box<GuestReport>,
        /// Its connections to services.
        hgcm: Vec<HgcmClientReport>,
        /// What the clipboard holds, without its contents.
        clipboard: ClipboardReport,
    },
    /// What the guest asked.
    Journal {
        /// The number that the next request will have.
        next: u64,
        /// Those that are remembered, oldest first.
        requests: Vec<Seen>,
    },
    /// The request that was waited for.
    Seen(Seen),
    /// How often things happened.
    Counters(Counters),
    /// What the guest reported last of its clipboard.
    Formats {
        /// Formats with `|` between them; `None` when it never reported any.
        formats: Option<String>,
    },
    /// What the guest had in its clipboard.
    Pasted {
        /// How much it was, in bytes of a file.
        bytes: usize,
        /// The text itself, when no file was named for it and it is no longer than 64 KiB.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// A guest property.
    Property(Property),
    /// Guest properties.
    Properties {
        /// In the order of their names.
        properties: Vec<Property>,
    },
    /// The change of a guest property that was waited for.
    Changed(PropertyChange),
    /// What can be said.
    Help {
        /// How each word is said, and what it does.
        words: Vec<(String, &'static str)>,
    },
    /// Whoever took the line is to end.
    Quit {},
}

/// Why a word was not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such word.
    #[error("No word is called {0:?}; `help` lists them")]
    Unknown(String),
    /// A word in quotes does not end.
    #[error("A word begins with \" and has no end")]
    Unended,
    /// What follows the word makes no sense.
    #[error("{wrong}. Usage: {usage}")]
    Usage {
        /// What is wrong.
        wrong: String,
        /// How it is said.
        usage: String,
    },
    /// A display that no machine has.
    #[error(transparent)]
    NoSuchDisplay(#[from] NoSuchDisplay),
    /// There is nothing to be restored.
    #[error("Nothing was saved; say `save` first")]
    NothingSaved,
    /// What was waited for did not come.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
    /// A file cannot be read or written, or is not what it is said to be.
    #[error("Cannot use the file {path:?}: {error}")]
    File {
        /// Which file.
        path: String,
        /// What is wrong.
        error: String,
    },
    /// The clipboard did not do it.
    #[error(transparent)]
    Clipboard(#[from] ClipboardError),
    /// What the guest had in its clipboard is not what it said it was.
    #[error("Guest's clipboard: {0}")]
    BadContent(#[from] BadContent),
    /// There is no property of this name.
    #[error("No property is called {0:?}")]
    NoSuchProperty(String),
    /// The property was not changed.
    #[error(transparent)]
    Property(#[from] PropertyRefused),
}

impl Refused {
    pub(super) fn usage(wrong: impl Into<String>) -> Self {
        Self::Usage { wrong: wrong.into(), usage: String::new() }
    }

    pub(super) fn with_usage(self, word: &Word) -> Self {
        match self {
            Self::Usage { wrong, .. } => Self::Usage { wrong, usage: word.usage() },
            other => other,
        }
    }
}

impl Word {
    /// How it is said.
    pub fn usage(&self) -> String {
        format!("{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

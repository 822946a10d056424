//! What a host answers to a word.

use serde::Serialize;

use super::Word;
use crate::host::{Counters, NoSuchDisplay, TimedOut};
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

//! What can go wrong, with what is merely not installed kept apart from what failed.

/// Something that this machine lacks; a test that needs it is skipped, not failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// A program is not on the path.
    #[error("No program '{program}' here; on Debian: apt-get install {package}")]
    Program {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Xorg has no driver of this name.
    #[error("Xorg has no driver '{driver}' here; on Debian: apt-get install {package}")]
    Driver {
        /// Its name.
        driver: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Xorg did not start, and the likely reason is that its wrapper lets only root, or a person at
    /// the console, start it.
    #[error("Xorg does not start for this user; run as root. It said: {said}")]
    Root {
        /// The last that Xorg said.
        said: String,
    },
}

/// Why there is no X server, or no view of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is not installed.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// A file or a process could not be made.
    #[error("Cannot {what}")]
    Io {
        /// What was attempted.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The server did not come up in time, or ended at once.
    #[error("{program} did not get ready: {why}; its log ends with: {said}")]
    NotReady {
        /// The server's program.
        program: &'static str,
        /// Ended, or out of time.
        why: String,
        /// The end of its log.
        said: String,
    },
    /// A program that looks at a server failed.
    #[error("{program} on display {display} failed: {said}")]
    Look {
        /// The program.
        program: &'static str,
        /// The display it looked at.
        display: String,
        /// What it said.
        said: String,
    },
}

impl Error {
    /// What this machine lacks, if that is the reason.
    #[must_use]
    pub fn missing(&self) -> Option<&Missing> {
        match self {
            Self::Missing(missing) => Some(missing),
            _ => None,
        }
    }

    /// For `map_err`: names what was attempted.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// A program could not be started: it is missing, or something else is wrong.
    pub(crate) fn spawn(program: &'static str, package: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            std::io::ErrorKind::NotFound => Missing::Program { program, package }.into(),
            _ => Self::Io { what: format!("start {program}"), source },
        }
    }
}

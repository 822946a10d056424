//! Which desktop to drive.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use crate::headless::Headless;
use crate::x11::{self, X11, X11Clipboards, X11Windows};
use crate::{Clipboards, Outputs, Windows};

/// How many outputs [`choose`] gives a headless desktop.
const HEADLESS_OUTPUTS: usize = 16;

/// Which desktop to drive, as an administrator names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Backend {
    /// X11 where there is a display, else headless.
    #[default]
    Auto,
    /// The X server that `DISPLAY` names.
    X11,
    /// No desktop: layouts are written down, and nobody sees them.
    Headless,
}

/// A name that no backend has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("No desktop is called '{0}'; there are: auto, x11, headless")]
pub struct UnknownBackend(String);

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(name: &str) -> Result<Self, UnknownBackend> {
        match name {
            "auto" => Ok(Self::Auto),
            "x11" => Ok(Self::X11),
            "headless" => Ok(Self::Headless),
            other => Err(UnknownBackend(other.to_owned())),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::X11 => "x11",
            Self::Headless => "headless",
        })
    }
}

/// What of a desktop can be reached.
#[derive(Clone)]
pub struct Desktop {
    /// Its outputs.
    pub outputs: Arc<dyn Outputs>,
    /// Its windows.
    pub windows: Arc<dyn Windows>,
    /// Its clipboard.
    pub clipboards: Arc<dyn Clipboards>,
}

impl Desktop {
    /// A desktop that nobody sees, with so many outputs.
    #[must_use]
    pub fn headless(outputs: usize) -> Self {
        let headless = Arc::new(Headless::new(outputs));
        Self { outputs: headless.clone(), windows: headless.clone(), clipboards: headless }
    }
}

/// What of the machine a desktop opens again while it is used, so that a process may give up the rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that are read, or folders with such.
    pub read: Vec<PathBuf>,
    /// Folders with sockets that are connected to by their path.
    pub sockets: Vec<PathBuf>,
    /// TCP ports of other machines that are connected to, after a look-up of their names.
    pub ports: Vec<u16>,
}

/// The desktop that was chosen.
pub struct Chosen {
    /// What of it can be reached.
    pub desktop: Desktop,
    /// Which kind it is; never [`Backend::Auto`].
    pub backend: Backend,
    /// Why this one, for the log.
    pub reason: String,
    /// What it takes to reach it again.
    pub needs: Needs,
}

/// Chooses the desktop to drive. `display` is the value of `DISPLAY`.
///
/// Never fails: an X server that is not there is waited for, in that each call tries it again.
#[must_use]
pub fn choose(backend: Backend, display: Option<&str>) -> Chosen {
    let display = display.filter(|display| !display.is_empty());
    let (backend, reason) = match (backend, display) {
        (Backend::Auto, Some(display)) => (Backend::X11, format!("DISPLAY is {display}")),
        (Backend::Auto, None) => (Backend::Headless, "DISPLAY is not set".to_owned()),
        (Backend::X11, None) => {
            (Backend::X11, "configured; DISPLAY is not set, so it will not be reached".to_owned())
        }
        (configured, _) => (configured, "configured".to_owned()),
    };
    let desktop = match backend {
        Backend::X11 => Desktop {
            outputs: Arc::new(X11::new(display)),
            windows: Arc::new(X11Windows::new(display)),
            clipboards: Arc::new(X11Clipboards::new(display)),
        },
        Backend::Headless | Backend::Auto => Desktop::headless(HEADLESS_OUTPUTS),
    };
    let needs = match (backend, display) {
        (Backend::X11, Some(display)) => x11::needs(display),
        _ => Needs::default(),
    };
    Chosen { desktop, backend, reason, needs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_named_as_it_is_written() {
        for name in ["auto", "x11", "headless"] {
            assert_eq!(name.parse::<Backend>().map(|backend| backend.to_string()), Ok(name.into()));
        }
        assert!("X11".parse::<Backend>().is_err());
    }

    #[test]
    fn auto_is_x11_exactly_where_there_is_a_display() {
        let cases = [
            (Backend::Auto, Some(":7"), "X server :7"),
            (Backend::Auto, Some(""), "headless"),
            (Backend::Auto, None, "headless"),
            (Backend::X11, None, "X server (no DISPLAY)"),
            (Backend::Headless, Some(":7"), "headless"),
        ];
        for (backend, display, described) in cases {
            let Chosen { desktop, reason, .. } = choose(backend, display);
            let Desktop { outputs, windows, clipboards } = desktop;
            for of in [outputs.describe(), windows.describe(), clipboards.describe()] {
                assert!(of.starts_with(described), "{backend} {display:?}: {of}, {reason}");
            }
        }
    }

    #[test]
    fn a_server_is_reached_again_by_the_folder_of_its_socket_or_by_its_port() {
        let needs = |display| choose(Backend::X11, Some(display)).needs;

        assert_eq!(needs(":7").sockets, [PathBuf::from("/tmp/.X11-unix")]);
        assert_eq!((needs(":7").ports, needs("host:7.1").ports), (vec![], vec![6007]));
        assert_eq!(choose(Backend::Headless, Some(":7")).needs, Needs::default());
    }
}

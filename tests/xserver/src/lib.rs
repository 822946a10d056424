//! Real X servers for tests and the demo, programs that run on them, and ways to look at them that share
//! nothing with Bellhop.
//!
//! ```no_run
//! let server = bellhop_xserver::XServer::dummy()?;
//! let seen = bellhop_xserver::outputs_by_xrandr(server.display())?;
//! assert_eq!(seen.outputs[0].name, "DUMMY0");
//! # Ok::<(), bellhop_xserver::Error>(())
//! ```
//!
//! Whoever cannot run because something is not installed gets [`Error::Missing`], which says what and
//! how to install it, so that a test can be shown as skipped with the reason.

mod error;
mod guard;
mod look;
mod program;
mod server;

pub use error::{Error, Missing};
pub use look::{Geometry, Seen, SeenOutput, SeenWindow, outputs_by_xrandr, screenshot, windows_by_xwininfo};
pub use program::{Program, Running, openbox};
pub use server::XServer;

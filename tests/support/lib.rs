//! What whole-system tests are made of.

mod daemon;
pub mod fixtures;
mod log;
pub mod numbers;
pub mod process;
mod rig;
pub mod suite;

use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use daemon::Daemon;
pub use log::lines_of;
pub use rig::{Rig, RigBuilder, Setup};

/// How long a test waits for something that must happen. Generous: it is reached only in failure.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Event bits as plugins see them.
pub const DISPLAY_CHANGE: u32 = 0x4;
/// See [`DISPLAY_CHANGE`].
pub const RESTORED: u32 = 0x10;

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`PATIENCE`].
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "Not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until the log has a line about a plugin with this text.
///
/// # Panics
/// When it has none within [`PATIENCE`].
pub fn says(plugin: &str, text: &str) {
    let said = || lines_of(plugin).iter().any(|line| line.contains(text));
    let end = Instant::now() + PATIENCE;
    while !said() {
        assert!(Instant::now() < end, "Not within {PATIENCE:?}: {text}\nIt says: {:#?}", lines_of(plugin));
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A plugin's component, as `cargo xtask build` makes it.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn plugin_component(name: &str) -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins"));
    let path = folder.join(name).with_extension("wasm");
    assert!(path.is_file(), "{} is missing: run `cargo xtask build` first", path.display());
    path
}

/// The `bellhop` binary of this build, which lies beside the tests' folder.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn bellhop() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let path = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps").join("bellhop");
    assert!(path.is_file(), "{} is missing: run `cargo build --workspace` first", path.display());
    path
}

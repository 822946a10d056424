//! The scene that `bellhop demo` plays.

use anyhow::Result;
use vmmdev::Hint;

use super::stage::Stage;
use super::{clipboard, windows};

/// A wish of the host's, in words and in hints, and the name of the picture after it.
type Act = (&'static str, &'static [fn() -> Hint], &'static str);

const ACTS: [Act; 4] = [
    ("\"Make the screen 1280x800.\"", &[|| Hint::new(0, 1280, 800)], "1-resized"),
    (
        "\"Two monitors, 1366x777 and 1024x768, side by side.\"",
        &[|| Hint::new(0, 1366, 777).at(0, 0), || Hint::new(1, 1024, 768).at(1366, 0)],
        "2-two-monitors",
    ),
    ("\"Switch the second one off.\"", &[|| Hint::off(1)], "3-one-off"),
    (
        "\"Make the screen 2147483648 pixels wide.\" (absurd: it must be refused)",
        &[|| Hint::new(0, 1 << 31, 800)],
        "4-refused",
    ),
];

/// Plays all acts.
pub(super) fn play(stage: &Stage) -> Result<()> {
    say!("\nBefore the first ring");
    stage.show_screens();
    stage.photograph("0-before");
    for (wish, hints, picture) in ACTS {
        let hints: Vec<_> = hints.iter().map(|hint| hint()).collect();
        stage.ask(wish, |host| Ok(host.set_video_mode_hints(&hints)?))?;
        stage.show_screens();
        stage.photograph(picture);
    }
    windows::play(stage)?;
    clipboard::play(stage)
}

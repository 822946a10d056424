//! What a scene and a prompt act on: the host, the guest's desktop, and the record of each ring.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_desktop::{Backend, Chosen};
use vmmdev::{Hint, Host};

use super::recorder::{Recorder, Step};

/// How long a ring may take before the demo stops waiting for it.
const LONGEST_RING: Duration = Duration::from_secs(10);

/// How long the screen's own programs get to draw themselves anew before a picture is taken.
const REDRAW: Duration = Duration::from_millis(800);

/// See the module's documentation.
pub(super) struct Stage {
    pub(super) host: Host,
    desktop: Chosen,
    recorder: Recorder,
    screenshots: Option<PathBuf>,
}

impl Stage {
    pub(super) fn new(host: Host, desktop: Chosen, recorder: Recorder, screenshots: Option<PathBuf>) -> Self {
        Self { host, desktop, recorder, screenshots }
    }

    /// Asks for displays as a host does, and shows what comes of it.
    pub(super) fn ask(&self, wish: &str, hints: &[Hint]) -> Result<()> {
        say!("\nThe host: {wish}");
        let watch = self.watch(wish);
        self.host.set_video_mode_hints(hints)?;
        if !watch.show() {
            say!("  It does not ring: the guest has read the very same before.");
        }
        Ok(())
    }

    /// Begins to watch: what the host does next is step 1 of a ring, if it rings.
    pub(super) fn watch<'a>(&'a self, wish: &'a str) -> Watch<'a> {
        self.recorder.clear();
        Watch { recorder: &self.recorder, wish, began: Instant::now() }
    }

    /// The guest's screens as the X server tells another client, or as the headless desktop has them.
    pub(super) fn show_screens(&self) {
        match xrandr() {
            Some(lines) if self.is_x11() => {
                say!("  The X server, asked by xrandr:");
                lines.iter().for_each(|line| say!("    {line}"));
            }
            _ => {
                say!("  {} says:", self.desktop.desktop.outputs.describe());
                match self.desktop.desktop.outputs.enumerate() {
                    Err(error) => say!("    {error}"),
                    Ok(outputs) => {
                        for output in outputs {
                            let Some(area) = output.area else { continue };
                            let primary = if output.primary { " primary" } else { "" };
                            let (width, height) = (area.width, area.height);
                            say!("    {}{primary} {width}x{height}+{}+{}", output.name, area.x, area.y);
                        }
                    }
                }
            }
        }
    }

    /// What the guest last told the host.
    pub(super) fn host_view(&self) -> String {
        let guest = self.host.guest();
        format!(
            "event filter {}, capabilities {}, monitors at {:?}",
            guest.filter, guest.capabilities, guest.monitor_positions
        )
    }

    /// Writes a picture of the X screen, if pictures were asked for.
    pub(super) fn photograph(&self, name: &str) {
        let Some(folder) = &self.screenshots else { return };
        let file = folder.join(format!("{name}.png"));
        if !self.is_x11() {
            say!("  SKIPPED screenshot {name}: the desktop is headless, there is nothing to see");
            return;
        }
        std::thread::sleep(REDRAW);
        match Command::new("import").args(["-window", "root"]).arg(&file).output() {
            Ok(output) if output.status.success() => say!("  Picture: {}", file.display()),
            Ok(output) => say!(
                "  SKIPPED screenshot {name}: import failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            ),
            Err(error) => {
                say!("  SKIPPED screenshot {name}: cannot run import (package imagemagick): {error}")
            }
        }
    }

    fn is_x11(&self) -> bool {
        self.desktop.backend == Backend::X11
    }
}

/// A ring that may be about to begin.
pub(super) struct Watch<'a> {
    recorder: &'a Recorder,
    wish: &'a str,
    began: Instant,
}

impl Watch<'_> {
    /// If the host rang, waits for the guest to be done, shows the steps, and returns true.
    pub(super) fn show(self) -> bool {
        // The device raises its line in the very call that makes it ring.
        if !self.recorder.rang() {
            return false;
        }
        let steps = self.recorder.wait_for_end(LONGEST_RING);
        say!("  step        µs");
        say!("     1       0.0  {}", self.wish);
        for step in &steps {
            say!("{}", line(step, self.began));
        }
        if !steps.iter().any(|step| step.number.is_none()) {
            say!("  No plugin was called for it within {LONGEST_RING:?}.");
        }
        true
    }
}

fn line(step: &Step, began: Instant) -> String {
    let number = step.number.map_or(String::new(), |number| number.to_string());
    let micros = step.at.saturating_duration_since(began).as_secs_f64() * 1e6;
    format!("  {number:>4}  {micros:>8.1}  {}{}", step.message, step.details)
}

/// The screen's size and the outputs that are on, in xrandr's words.
fn xrandr() -> Option<Vec<String>> {
    let output = Command::new("xrandr").arg("--current").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let telling =
        |line: &&str| line.starts_with("Screen") || (line.contains(" connected") && line.contains('+'));
    Some(text.lines().filter(telling).map(str::to_owned).collect())
}

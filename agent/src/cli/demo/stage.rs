//! What a scene and a prompt act on: the host, the guest's desktop, and the record of each ring.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use bellhop_desktop::{Backend, Chosen};
use vmmdev::Host;

use super::picture::Picture;
use super::programs::IMPORT;
use super::recorder::{DESKTOP_ANSWERED, Recorder, Step, ended};
use super::region::Region;

/// How long the demo waits for what must come, before it says that it did not.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

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

    /// Asks for something as a host does, and shows what comes of it.
    pub(super) fn ask(&self, wish: &str, ask: impl FnOnce(&Host) -> Result<bool>) -> Result<()> {
        say!("\nThe host: {wish}");
        let watch = self.watch(wish);
        ask(&self.host)?;
        if watch.show().is_none() {
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

    /// Shows which parts of its screen the guest told the host to show, and what that looks like, if
    /// pictures were asked for.
    pub(super) fn show_region(&self, name: &str) {
        let picture = self.photograph(name);
        let Some(rectangles) = self.host.guest().visible_region else {
            say!("  The host was never told of a region.");
            return;
        };
        let (width, height) = self.size();
        let region = Region { rectangles, width, height };
        say!("  The host shows {}", region.list());
        if !region.rectangles.is_empty() {
            region.map().iter().for_each(|line| say!("    {line}"));
        }
        let Some(screen) = picture else { return };
        let name = format!("{name}-at-the-host");
        match Picture::read(&screen).and_then(|screen| region.cut_from(&screen).file()) {
            Ok(file) => self.keep(&name, &file),
            Err(error) => say!("  SKIPPED picture {name}: {error:#}"),
        }
    }

    /// Writes a picture of the X screen, if pictures were asked for, and gives it back.
    pub(super) fn photograph(&self, name: &str) -> Option<Vec<u8>> {
        self.screenshots.as_ref()?;
        if !self.is_x11() {
            say!("  SKIPPED screenshot {name}: the desktop is headless, there is nothing to see");
            return None;
        }
        std::thread::sleep(REDRAW);
        match self.screenshot() {
            Ok(file) => {
                self.keep(name, &file);
                Some(file)
            }
            Err(error) => {
                say!("  SKIPPED screenshot {name}: {error:#}");
                None
            }
        }
    }

    /// A picture of the X screen, as a PNG file.
    pub(super) fn screenshot(&self) -> Result<Vec<u8>> {
        IMPORT.run(&["-window", "root", "png:-"])
    }

    /// Writes a picture, if pictures were asked for.
    pub(super) fn keep(&self, name: &str, png: &[u8]) {
        let Some(folder) = &self.screenshots else { return };
        let file = folder.join(format!("{name}.png"));
        match std::fs::write(&file, png) {
            Ok(()) => say!("  Picture: {}", file.display()),
            Err(error) => say!("  SKIPPED picture {name}: Cannot write {}: {error}", file.display()),
        }
    }

    /// The whole screen's size, in pixels: where the last output ends.
    fn size(&self) -> (u32, u32) {
        let outputs = self.desktop.desktop.outputs.enumerate().unwrap_or_default();
        let areas = outputs.iter().filter_map(|output| output.area);
        areas.fold((0, 0), |(width, height), area| {
            let right = area.width.saturating_add_signed(area.x);
            let bottom = area.height.saturating_add_signed(area.y);
            (right.max(width), bottom.max(height))
        })
    }

    pub(super) fn is_x11(&self) -> bool {
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
    /// If the host rang, waits for the guest to be done, shows the steps, and tells whom it asked.
    pub(super) fn show(self) -> Option<Asked> {
        // The device raises its line in the very call that makes it ring.
        if !self.recorder.rang() {
            return None;
        }
        let steps = self.recorder.wait_for_end(LONGEST_RING);
        say!("  step        µs");
        say!("     1       0.0  {}", self.wish);
        for step in &steps {
            say!("{}", line(step, self.began));
        }
        if !ended(&steps) {
            say!("  No plugin was called for it within {LONGEST_RING:?}.");
        }
        let desktop = steps.iter().any(|step| step.number == Some(DESKTOP_ANSWERED));
        Some(if desktop { Asked::Desktop } else { Asked::Nothing })
    }
}

/// Whom the guest asked for a ring's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Its desktop, for a layout of the outputs.
    Desktop,
    /// Nobody.
    Nothing,
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

//! What a server's own clients see of it: the view that tests assert on.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::error::Error;
use crate::program::Program;

/// Size and place of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The left edge.
    pub x: i32,
    /// The upper edge.
    pub y: i32,
}

/// One output as `xrandr` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenOutput {
    /// Its name.
    pub name: String,
    /// Whether a monitor is plugged in.
    pub connected: bool,
    /// Where it is; `None` when it is off.
    pub geometry: Option<Geometry>,
    /// Whether it is the primary one.
    pub primary: bool,
}

/// A server as `xrandr` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Width and height of the whole screen.
    pub screen: (u32, u32),
    /// All outputs in the server's order.
    pub outputs: Vec<SeenOutput>,
    /// Exactly what `xrandr --query` wrote.
    pub raw: String,
}

impl Seen {
    /// The outputs that are on, as `DUMMY0 1366x777+0+0 primary`: easy to compare and to read.
    #[must_use]
    pub fn on(&self) -> Vec<String> {
        let line = |output: &SeenOutput| {
            let Geometry { width, height, x, y } = output.geometry?;
            let primary = if output.primary { " primary" } else { "" };
            Some(format!("{} {width}x{height}+{x}+{y}{primary}", output.name))
        };
        self.outputs.iter().filter_map(line).collect()
    }
}

/// The outputs of a display, by the real `xrandr`.
///
/// # Errors
/// [`Error::Missing`] without `xrandr`; [`Error::Look`] when it fails.
pub fn outputs_by_xrandr(display: &str) -> Result<Seen, Error> {
    let output = Command::new("xrandr")
        .args(["--display", display, "--query"])
        .stdin(Stdio::null())
        .output()
        .map_err(Error::spawn("xrandr", "x11-xserver-utils"))?;
    let raw = succeeded("xrandr", display, output)?;
    parse(&raw).ok_or_else(|| Error::Look {
        program: "xrandr",
        display: display.into(),
        said: format!("no screen in: {raw}"),
    })
}

/// Writes what a display shows to a file, whose extension says in which format.
///
/// # Errors
/// [`Error::Missing`] without ImageMagick; [`Error::Look`] when it fails.
pub fn screenshot(display: &str, path: &Path) -> Result<(), Error> {
    let output = Command::new("import")
        .args(["-display", display, "-window", "root"])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::spawn("import", "imagemagick"))?;
    succeeded("import", display, output).map(drop)
}

/// A child of the root window, as `xwininfo` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenWindow {
    /// Its number.
    pub id: u32,
    /// Its place, that of its border's corner, and its size inside its border.
    pub geometry: Geometry,
    /// The numbers of all windows inside it.
    pub inside: Vec<u32>,
}

/// The children of a display's root window from the bottom to the top, mapped or not, by the real
/// `xwininfo`.
///
/// # Errors
/// [`Error::Missing`] without `xwininfo`; [`Error::Look`] when it fails.
pub fn windows_by_xwininfo(display: &str) -> Result<Vec<SeenWindow>, Error> {
    let raw = Program::XWININFO.run(display, &["-root", "-tree"])?;
    Ok(parse_windows(&raw))
}

/// Standard output, or the failure with standard error.
pub(crate) fn succeeded(program: &'static str, display: &str, output: Output) -> Result<String, Error> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::Look { program, display: display.into(), said })
}

fn parse(raw: &str) -> Option<Seen> {
    let (_, size) = raw.lines().find(|line| line.starts_with("Screen "))?.split_once("current ")?;
    let (width, rest) = size.split_once(" x ")?;
    let (height, _) = rest.split_once(',')?;
    let screen = (width.parse().ok()?, height.parse().ok()?);
    let outputs = raw.lines().filter_map(parse_output).collect();
    Some(Seen { screen, outputs, raw: raw.to_owned() })
}

/// `DUMMY0 connected primary 1366x777+0+0 (normal …) 0mm x 0mm`
fn parse_output(line: &str) -> Option<SeenOutput> {
    let mut words = line.split(' ');
    let name = words.next().filter(|name| !name.is_empty())?.to_owned();
    let connected = match words.next()? {
        "connected" | "unknown" => true,
        "disconnected" => false,
        _ => return None,
    };
    let rest: Vec<&str> = words.take_while(|word| !word.starts_with('(')).collect();
    let primary = rest.contains(&"primary");
    let geometry = rest.iter().find_map(|word| parse_geometry(word));
    Some(SeenOutput { name, connected, geometry, primary })
}

/// `1366x777+1024+0`
fn parse_geometry(word: &str) -> Option<Geometry> {
    let mut parts = word.split(['x', '+']);
    let width = parts.next()?.parse().ok()?;
    let height = parts.next()?.parse().ok()?;
    let x = parts.next()?.parse().ok()?;
    let y = parts.next()?.parse().ok()?;
    Some(Geometry { width, height, x, y })
}

/// Each window has a line under that of its parent, those further up in the stack first, with its
/// number, its name in quotes or a word about it in parentheses, and at the end its geometry from its
/// parent's corner, and its place from the screen's:
/// `     0x6002c2 "xterm": ("xterm" "XTerm")  486x341+269+276  +269+276`
fn parse_windows(raw: &str) -> Vec<SeenWindow> {
    let mut windows: Vec<SeenWindow> = Vec::new();
    let mut outermost = 0;
    for line in raw.lines() {
        let text = line.trim_start();
        let depth = line.len() - text.len();
        let mut words = text.split_whitespace();
        let id = words.next().and_then(|word| word.strip_prefix("0x"));
        let Some(id) = id.and_then(|id| u32::from_str_radix(id, 16).ok()) else { continue };
        let Some(geometry) = words.nth_back(1).and_then(parse_geometry) else { continue };
        if outermost == 0 {
            outermost = depth;
        }
        match windows.last_mut().filter(|_| depth > outermost) {
            Some(window) => window.inside.push(id),
            None => windows.push(SeenWindow { id, geometry, inside: Vec::new() }),
        }
    }
    windows.reverse();
    windows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xrandr_writes_is_understood() {
        let raw = "Screen 0: minimum 64 x 64, current 2390 x 777, maximum 32767 x 32767\n\
                   DUMMY0 connected primary 1366x777+0+0 (normal left) 0mm x 0mm\n   \
                   1366x777      59.98*\n\
                   DUMMY1 connected 1024x768+1366+0 0mm x 0mm\n\
                   DUMMY2 disconnected (normal left inverted)\n  \
                   640x480_x (0x51) 23.750MHz\n        \
                   h: width   640 start  688\n";

        let seen = parse(raw).expect("a screen");

        assert_eq!(seen.screen, (2390, 777));
        assert_eq!(seen.on(), ["DUMMY0 1366x777+0+0 primary", "DUMMY1 1024x768+1366+0"]);
        assert_eq!(seen.outputs.len(), 3);
        assert!(!seen.outputs[2].connected);
    }

    #[test]
    fn what_xwininfo_writes_is_understood() {
        let raw = "\nxwininfo: Window id: 0x50d (the root window) (has no name)\n\n  \
                   Root window id: 0x50d (the root window) (has no name)\n  \
                   Parent window id: 0x0 (none)\n     \
                   2 children:\n     \
                   0x6002c2 (has no name): ()  486x341+-9+276  +-9+276\n        \
                   1 child:\n        \
                   0x40000c \"a 1x1+2+3  +4+5\": (\"xterm\" \"XTerm\")  484x316+1+20  +270+296\n           \
                   1 child:\n           \
                   0x40001b (has no name): ()  484x316+0+0  +270+296\n     \
                   0x600261 (has no name): ()  152x125+0+0  +0+0\n";

        let seen = parse_windows(raw);

        let ids: Vec<u32> = seen.iter().map(|window| window.id).collect();
        assert_eq!(ids, [0x60_0261, 0x60_02c2]);
        assert_eq!(seen[1].geometry, Geometry { width: 486, height: 341, x: -9, y: 276 });
        assert_eq!(seen[1].inside, [0x40_000c, 0x40_001b]);
    }
}

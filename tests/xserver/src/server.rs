//! Starting X servers.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::error::{Error, Missing};
use crate::guard::Guarded;

/// How long a server may take to accept connections. It takes a tenth of a second on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// Xorg without hardware: the driver keeps the screen in memory and skips the console. `VideoRam` is in
/// KiB and bounds the screen: 256000 carries 8192x4096 at 4 bytes a pixel, nearly twice over. The sync
/// ranges are wide, so that modes of any size pass.
const DUMMY_CONFIG: &str = r#"
Section "ServerFlags"
    Option "AutoAddDevices" "false"
    Option "AutoAddGPU" "false"
EndSection
Section "Device"
    Identifier "device"
    Driver "dummy"
    VideoRam 256000
EndSection
Section "Monitor"
    Identifier "monitor"
    HorizSync 5.0-1000.0
    VertRefresh 5.0-200.0
EndSection
Section "Screen"
    Identifier "screen"
    Device "device"
    Monitor "monitor"
    DefaultDepth 24
    SubSection "Display"
        Depth 24
        Virtual 8192 4096
    EndSubSection
EndSection
"#;

/// Which server, and how it is started.
#[derive(Debug)]
struct Recipe {
    program: &'static str,
    package: &'static str,
    arguments: Vec<String>,
}

/// An X server of one's own; it ends when this value is dropped, or when this process ends.
///
/// It asks for no authorization, so any user of this machine can reach it while it runs.
#[derive(Debug)]
pub struct XServer {
    // Ends before the folder that holds its log goes.
    process: Option<Guarded>,
    display: String,
    recipe: Recipe,
    folder: tempfile::TempDir,
}

impl XServer {
    /// Xorg with the dummy driver: sixteen outputs, `DUMMY0` to `DUMMY15`, that take any mode, of which
    /// the first is on at the start.
    ///
    /// # Errors
    /// [`Error::Missing`] when Xorg or its driver is not installed or this user may not start it.
    pub fn dummy() -> Result<Self, Error> {
        let folder = folder()?;
        let config = folder.path().join("xorg.conf");
        fs::write(&config, DUMMY_CONFIG).map_err(Error::io("write Xorg's configuration"))?;
        let recipe = Recipe {
            program: "Xorg",
            package: "xserver-xorg-core xserver-xorg-video-dummy",
            arguments: vec![
                "-config".into(),
                config.display().to_string(),
                "-logfile".into(),
                folder.path().join("xorg.log").display().to_string(),
                // GLX loads a whole software renderer, and nobody here draws with it.
                "-extension".into(),
                "GLX".into(),
            ],
        };
        Self::start(folder, recipe).map_err(dummy_error)
    }

    /// Xvfb: one output, `screen`, that starts at this size and can never be larger.
    ///
    /// # Errors
    /// [`Error::Missing`] when Xvfb is not installed.
    pub fn virtual_framebuffer(width: u32, height: u32) -> Result<Self, Error> {
        let recipe = Recipe {
            program: "Xvfb",
            package: "xvfb",
            arguments: vec!["-screen".into(), "0".into(), format!("{width}x{height}x24")],
        };
        Self::start(folder()?, recipe)
    }

    /// Xvfb that lets in only who shows a [`cookie`](Self::cookie).
    ///
    /// # Errors
    /// [`Error::Missing`] when Xvfb is not installed.
    pub fn with_cookie() -> Result<Self, Error> {
        let folder = folder()?;
        let file = folder.path().join("cookies");
        fs::write(&file, Self::cookie()).map_err(Error::io("write the X server's cookie"))?;
        let arguments = vec!["-auth".into(), file.display().to_string()];
        Self::start(folder, Recipe { program: "Xvfb", package: "xvfb", arguments })
    }

    /// An `.Xauthority` file with that cookie, for any server: a family, then four strings with their
    /// lengths, all in big-endian numbers of 16 bits.
    #[must_use]
    pub fn cookie() -> Vec<u8> {
        const ANY_SERVER: [u8; 2] = [0xff, 0xff];
        let mut file = ANY_SERVER.to_vec();
        for text in [&b""[..], b"", b"MIT-MAGIC-COOKIE-1", b"nobody shows me!"] {
            file.extend([0, u8::try_from(text.len()).unwrap_or(0)]);
            file.extend(text);
        }
        file
    }

    /// Its display, as `:7`.
    #[must_use]
    pub fn display(&self) -> &str {
        &self.display
    }

    /// All that the server said so far.
    #[must_use]
    pub fn log(&self) -> String {
        log(self.folder.path())
    }

    /// Its process, unless it was killed.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Guarded::id)
    }

    /// Ends it on the spot, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            drop(process);
            sweep(&self.display);
        }
    }

    /// Starts it again on the same display; ends it first if it runs.
    ///
    /// # Errors
    /// [`Error::NotReady`] when it does not come up, as when somebody else took the display.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.process = None;
        self.process = Some(launch(&self.recipe, self.folder.path(), &self.display)?);
        Ok(())
    }

    /// Stops the process without ending it: it accepts connections, and answers nothing.
    pub fn suspend(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGSTOP);
        }
    }

    /// Lets it go on after [`XServer::suspend`].
    pub fn resume(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::SIGCONT);
        }
    }

    /// Starts a server on a display of its own: not the lowest that is free, which is what everybody
    /// else takes, so that the display is still free at a [`XServer::restart`].
    fn start(folder: tempfile::TempDir, recipe: Recipe) -> Result<Self, Error> {
        const TRIES: u32 = 8;
        let mut tries = 0;
        loop {
            tries += 1;
            let display = format!(":{}", next_number());
            match launch(&recipe, folder.path(), &display) {
                Ok(process) => {
                    let process = Some(process);
                    return Ok(Self { process, display, recipe, folder });
                }
                Err(Error::NotReady { said, .. }) if said.contains(DISPLAY_TAKEN) && tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a server says when another one has its display.
const DISPLAY_TAKEN: &str = "Cannot establish any listening sockets";

/// A display's number that nobody else is likely to take: another for each server of each process.
fn next_number() -> u32 {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed);
    100 + std::process::id().wrapping_mul(41).wrapping_add(started) % 9900
}

/// A folder of the server's own, for its configuration and its log.
fn folder() -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix("bellhop-xserver-")
        .tempdir()
        .map_err(Error::io("make a folder for the X server"))
}

/// Starts a server and waits until it is ready.
fn launch(recipe: &Recipe, folder: &Path, display: &str) -> Result<Guarded, Error> {
    // Anew each time, so that the reason for a failure is not an earlier one's.
    let said = fs::File::create(said_path(folder)).map_err(Error::io("open the X server's output"))?;
    let mut command = Command::new(recipe.program);
    command
        .args([display, "-displayfd", "1", "-noreset", "-nolisten", "tcp"])
        .args(&recipe.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(said);
    let mut process = Guarded::spawn(&mut command, &[folder, &socket(display)])
        .map_err(Error::spawn(recipe.program, recipe.package))?;
    match wait_until_ready(&mut process) {
        Ok(()) => Ok(process),
        Err(why) => {
            drop(process);
            let said = last_lines(&log(folder));
            Err(Error::NotReady { program: recipe.program, why, said })
        }
    }
}

/// A server writes its display's number, with a newline, once it accepts connections.
fn wait_until_ready(process: &mut Guarded) -> Result<(), String> {
    let mut pipe = process.stdout().ok_or("no pipe to it")?;
    let deadline = Instant::now() + READY_WITHIN;
    let mut text = Vec::new();
    while !text.ends_with(b"\n") {
        let left = deadline.saturating_duration_since(Instant::now());
        let patience = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let readable = {
            let mut watched = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            poll(&mut watched, patience).map_err(|error| error.to_string())?
        };
        if readable == 0 {
            return Err(format!("out of time after {} s", READY_WITHIN.as_secs()));
        }
        let mut part = [0; 16];
        match pipe.read(&mut part).map_err(|error| error.to_string())? {
            0 => return Err("it ended".into()),
            length => text.extend_from_slice(&part[..length]),
        }
    }
    Ok(())
}

/// Where a display's clients connect.
fn socket(display: &str) -> PathBuf {
    PathBuf::from(format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':')))
}

/// Removes what only a server that ended in peace removes itself.
fn sweep(display: &str) {
    let _ = fs::remove_file(socket(display));
}

/// Tells what is missing from what Xorg said.
fn dummy_error(error: Error) -> Error {
    let Error::NotReady { said, .. } = &error else {
        return error;
    };
    if said.contains("Failed to load module \"dummy\"") || said.contains("No drivers available") {
        Missing::Driver { driver: "dummy", package: "xserver-xorg-video-dummy" }.into()
    } else if !nix::unistd::geteuid().is_root() {
        Missing::Root { said: said.clone() }.into()
    } else {
        error
    }
}

fn said_path(folder: &Path) -> PathBuf {
    folder.join("stderr")
}

fn log(folder: &Path) -> String {
    let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = read(said_path(folder)).unwrap_or_default();
    let logged = read(folder.join("xorg.log")).unwrap_or_default();
    logged + &said
}

/// What of a log fits into an error: its errors, or else its end.
fn last_lines(log: &str) -> String {
    const SHOWN: usize = 8;
    let marked = log.lines().filter_map(|line| line.split_once("(EE) "));
    let errors = marked.filter(|(before, _)| !before.contains("(WW)"));
    let mut lines: Vec<&str> = errors.map(|(_, text)| text.trim()).collect();
    lines.retain(|line| !line.is_empty());
    if lines.is_empty() {
        lines = log.lines().rev().take(2).collect();
    }
    lines.dedup();
    lines.truncate(SHOWN);
    lines.join(" | ")
}

impl Drop for XServer {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            drop(process);
            sweep(&self.display);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{DISPLAY_TAKEN, last_lines};

    #[test]
    fn the_errors_are_found_in_a_log() {
        let log = "\t(WW) warning, (EE) error, (NI) not implemented, (??) unknown.\n\
                   _XSERVTransMakeAllCOTSServerListeners: server already running\n\
                   (EE) \n\
                   Fatal server error:\n\
                   (EE) Cannot establish any listening sockets - Make sure an X server isn't \
                   already running(EE) \n\
                   [  31.2] (EE) No drivers available.\n\
                   [  31.2] (EE) No drivers available.\n";

        let said = last_lines(log);

        assert!(said.starts_with(DISPLAY_TAKEN), "{said}");
        assert!(said.ends_with("| No drivers available."), "{said}");
    }
}

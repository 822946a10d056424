//! The X server that the demo is played on.

use std::process::{Command, Stdio};

use bellhop_xserver::XServer;

use crate::process::{self, Running};
use crate::{interrupt, packages};

/// What the terminals show: the outputs, as the X server itself reports them.
const SHOW_OUTPUTS: &str = "while :; do clear; xrandr --listmonitors; sleep 0.5; done";

/// Where the terminals stand: one on each of the outputs that the demo makes.
const TERMINALS: [&str; 2] = ["72x14+60+60", "72x14+1440+60"];

/// Where the demo is shown.
pub enum Screen {
    /// On a server of ours. The windows are ended before it, so that they do not complain.
    Ours { windows: Vec<Running>, server: XServer },
    /// On a server that somebody named.
    Theirs(String),
    /// Nowhere: the layout of the outputs is only written down.
    None,
}

impl Screen {
    /// Starts a server of our own. When there can be none, says why, and what that means.
    pub fn start() -> Self {
        packages::ensure(packages::X_SERVER);
        match interrupt::unblocked(XServer::dummy) {
            Ok(server) => {
                println!("Started an X server, {}, without a graphics card", server.display());
                let windows = windows(server.display());
                Self::Ours { windows, server }
            }
            Err(missing) => {
                println!("SKIPPED X server: {missing}");
                println!("The demo goes on without: the layout of the outputs is only written down.");
                Self::None
            }
        }
    }

    /// The server's name, as `DISPLAY` has it.
    pub fn display(&self) -> Option<&str> {
        match self {
            Self::Ours { server, .. } => Some(server.display()),
            Self::Theirs(display) => Some(display),
            Self::None => None,
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Ours { windows, .. } = self {
            windows.clear();
        }
    }
}

/// Puts something on the screen, as far as this machine has the programs for it.
fn windows(display: &str) -> Vec<Running> {
    let on = |program: &str| {
        let mut command = Command::new(program);
        command.env("DISPLAY", display).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    // Decoration: a demo without it is still a demo.
    let _ = process::run(on("xsetroot").args(["-solid", "#2b4560"]));
    let terminal = |place: &&str| {
        let mut command = on("xterm");
        command.args(["-title", "Outputs", "-bg", "#10202c", "-fg", "#e8eef2"]);
        command.args(["-geometry", *place, "-e", "sh", "-c", SHOW_OUTPUTS]);
        Running::start(&mut command).ok()
    };
    TERMINALS.iter().filter_map(terminal).collect()
}

//! The X server that the demo is played on.

use std::process::{Command, Stdio};

use bellhop_xserver::{self as xserver, XServer, openbox};

use crate::process::{self, Running};
use crate::{interrupt, packages};

/// What the terminals show: the outputs, as the X server itself reports them.
const SHOW_OUTPUTS: &str = "while :; do clear; xrandr --listmonitors; sleep 0.5; done";

/// Where the terminals stand: one on each of the outputs that the demo makes. A window manager brings
/// windows back that an output leaves behind when it goes, so the second is none of its business.
const TERMINALS: [(&str, &[&str]); 2] =
    [("48x9+60+60", &[]), ("48x9+1440+60", &["-xrm", "*overrideRedirect: true"])];

/// Where the demo is shown.
pub enum Screen {
    /// On a server of ours. The windows are ended before it, so that they do not complain.
    Ours { windows: Vec<Running>, manager: Option<xserver::Running>, server: Box<XServer> },
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
                // Windows that are mapped while it starts are lost to it, so it comes first.
                let manager = interrupt::unblocked(|| openbox(server.display(), &[]));
                let manager =
                    manager.inspect_err(|missing| println!("SKIPPED window manager: {missing}")).ok();
                let windows = windows(server.display());
                Self::Ours { windows, manager, server: Box::new(server) }
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
        if let Self::Ours { windows, manager, .. } = self {
            windows.clear();
            *manager = None;
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
    let terminal = |(place, more): &(&str, &[&str])| {
        let mut command = on("xterm");
        command.args(["-title", "Outputs", "-bg", "#10202c", "-fg", "#e8eef2"]);
        command.args(["-fa", "Monospace", "-fs", "11", "-geometry", *place]).args(*more);
        command.args(["-e", "sh", "-c", SHOW_OUTPUTS]);
        Running::start(&mut command).ok()
    };
    TERMINALS.iter().filter_map(terminal).collect()
}

//! `cargo xtask demo`: the whole path of one ring of the bell, on a real X server where there can be
//! one.

mod machine;
mod screen;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::bail;
use clap::Args;

use self::screen::Screen;
use crate::build;
use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::process::{self, Running};

/// Build Bellhop and run `bellhop demo` with agent.toml
///
/// It runs on an X server of its own, which never touches the desktop of whoever calls it. Where no
/// such server can be started, it goes on without, and says what is missing.
#[derive(Args)]
pub struct Options {
    /// Write pictures to this folder: of the X server's screen, of what the host shows of it, and of what
    /// was pasted
    #[arg(long, value_name = "DIR")]
    screenshots: Option<PathBuf>,

    /// Take commands from the terminal instead of playing the demo's own
    #[arg(long)]
    interactive: bool,

    /// Run without an X server: the layout of the outputs is only written down
    #[arg(long, conflicts_with_all = ["screenshots", "display"])]
    headless: bool,

    /// Run on this X server, and let the demo change its outputs
    #[arg(long, value_name = ":N")]
    display: Option<String>,

    /// Play the scene in a virtual machine, on the kernel's own driver, instead
    #[arg(long, conflicts_with_all = ["screenshots", "interactive", "headless", "display", "arguments"])]
    vm: bool,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,

    /// More arguments for `bellhop demo`
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    if options.vm {
        machine::play(&workspace, options.plugin_toolchain)?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = workspace.root.join("agent.toml");
    if !config.is_file() {
        bail!("{} is missing: it is what the demo runs", workspace.shown(&config));
    }
    build::all(&workspace, Profile::Dev, options.plugin_toolchain)?;

    let screen = match (&options.display, options.headless) {
        (Some(display), _) => Screen::Theirs(display.clone()),
        (None, true) => Screen::None,
        (None, false) => Screen::start(),
    };
    let mut command = Command::new(workspace.bellhop(Profile::Dev));
    command.arg("demo").arg("--config").arg(&config);
    if options.interactive {
        command.arg("--interactive");
    }
    match (screen.display(), &options.screenshots) {
        (Some(_), Some(folder)) => {
            command.arg("--screenshots").arg(folder);
        }
        (None, Some(_)) => println!("SKIPPED screenshots: there is no X server to take them of"),
        (_, None) => {}
    }
    match screen.display() {
        Some(display) => command.env("DISPLAY", display),
        None => command.env_remove("DISPLAY"),
    };
    command.env_remove("WAYLAND_DISPLAY").args(&options.arguments);

    println!("Running: {}\n", process::line(&command));
    let mut running = if options.interactive {
        Running::start_at_terminal(&mut command)?
    } else {
        Running::start(&mut command)?
    };
    let status = running.wait()?;
    drop(screen);
    process::succeeded(&command, status)?;
    Ok(ExitCode::SUCCESS)
}

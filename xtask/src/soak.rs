//! `cargo xtask soak`: a long life of the agent, shortened.

use std::process::ExitCode;

use clap::Args;

use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, packages, process};

/// Let the agent live through many events, faults and restarts, and see whether it takes more and more
#[derive(Args)]
pub struct Options {
    /// How many events the host raises
    #[arg(long, default_value_t = 1_000_000)]
    events: u64,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    build::all(&workspace, Profile::Dev, options.plugin_toolchain)?;
    packages::ensure(packages::X_SERVER);
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--test", "soak", "--", "--nocapture"]);
    command.env("BELLHOP_SOAK", options.events.to_string());
    process::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

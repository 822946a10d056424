//! `cargo xtask fuzz`: what takes hostile bytes apart, fed with bytes at random.

use std::process::{Command, ExitCode};

use clap::Args;

use crate::cargo::{Profile, Workspace};
use crate::process;

/// Feed what takes hostile bytes apart with bytes at random, on a stable compiler
#[derive(Args)]
pub struct Options {
    /// The targets; all of them, unless some are named
    targets: Vec<String>,

    /// How long each is run
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,

    /// Where the random bytes begin: the same seed gives the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    // The whole workspace, because one package alone would have its dependencies built anew.
    process::run(workspace.cargo().args(["build", "--workspace", "--bin", "fuzz"]))?;
    let mut command = Command::new(workspace.bellhop(Profile::Dev).with_file_name("fuzz"));
    command.args(["--minutes", &options.minutes.to_string(), "--seed", &options.seed.to_string()]);
    command.args(&options.targets);
    process::run(&mut command)?;
    Ok(ExitCode::SUCCESS)
}

//! `cargo xtask vm test`: the tests that boot machines.

use std::process::{Command, ExitCode};

use clap::Args;

use super::setup;
use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, process};

/// Run the tests in virtual machines
///
/// What they need is brought first. Where that cannot be done, every test says that it was skipped,
/// and why.
#[derive(Args)]
pub struct Options {
    /// Build nothing: the programs of the last build are tested
    #[arg(long)]
    no_build: bool,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,

    /// For the tests' harness: a part of a name, `--list`, `--exact`, …
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    harness: Vec<String>,
}

/// Runs the command.
pub fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<ExitCode> {
    run_with(workspace, options, None, || Ok(()))
}

/// Runs the tests that a word of the environment asks for, with what is to be brought for them
/// besides a kit.
pub fn run_with(
    workspace: &Workspace,
    options: &Options,
    wanted: Option<&str>,
    bring: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    if !options.no_build {
        build::all(workspace, Profile::Dev, options.plugin_toolchain)?;
    }
    let mut command = command_with(workspace, !options.no_build, bring)?;
    command.envs(wanted.map(|word| (word, "1")));
    let status = process::run_by_line(command.args(&options.harness), |line| println!("{line}"))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Brings what the tests need, as far as can be, and the command that runs them. They find out
/// themselves what is missing; what they cannot know is why.
pub fn command(workspace: &Workspace, build: bool) -> anyhow::Result<Command> {
    command_with(workspace, build, || Ok(()))
}

fn command_with(
    workspace: &Workspace,
    build: bool,
    bring: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Command> {
    let lacking = setup::run(false).and_then(|_| bring()).err();
    crate::interrupt::check()?;
    if build {
        build_device(workspace)?;
    }
    let mut command = workspace.cargo();
    command.args(["test", "--package", "bellhop-vm-tests", "--test", "vm", "--"]);
    if let Some(lacking) = lacking {
        println!("Virtual machines cannot be set up: {lacking:#}");
        command.env(vm::kit::LACKING, format!("{lacking:#}"));
    }
    Ok(command)
}

/// Builds the device, which is no part of what `cargo xtask build` makes.
pub fn build_device(workspace: &Workspace) -> anyhow::Result<()> {
    let device = ["build", "--package", "vmmdev", "--features", "vfio-user", "--bin", "vmmdev"];
    process::run(workspace.cargo().args(device))
}

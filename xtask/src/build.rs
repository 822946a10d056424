//! `cargo xtask build`: the program and its plugins.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::cargo::{Profile, Workspace};
use crate::plugins::{self, Choice, Toolchain};
use crate::{process, say};

/// Build the `bellhop` program and every plugin
///
/// The plugins end up as components in target/plugins/NAME.wasm.
#[derive(Args)]
pub struct Options {
    /// Build the program for use and measurements: slow to compile, quick to run
    #[arg(long)]
    release: bool,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let profile = if options.release { Profile::Release } else { Profile::Dev };
    all(&Workspace::find()?, profile, options.plugin_toolchain)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds everything, saying what is built, how large it became, and how long it took.
pub fn all(workspace: &Workspace, profile: Profile, choice: Choice) -> anyhow::Result<()> {
    let plugins = plugins::all(workspace);
    let steps = plugins.len() + 1;

    let ours = if profile == Profile::Bench { ", our own crates optimised" } else { "" };
    println!("[1/{steps}] bellhop: {} profile{ours}", profile.name());
    let started = Instant::now();
    // With the whole workspace chosen, as the tests choose it, features are the same and so is wasmtime.
    let package = ["build", "--workspace", "--bin", "bellhop", "--profile", profile.name()];
    process::run(workspace.cargo_with(profile).args(package))?;
    let program = workspace.bellhop(profile);
    let size = std::fs::metadata(&program).map_or(0, |file| file.len());
    let (program, time) = (workspace.shown(&program), say::duration(started.elapsed()));
    println!("      {program}: {}, {time}", say::size(size));

    if plugins.is_empty() {
        return Ok(());
    }
    let toolchain = Toolchain::find(choice, workspace)?;
    for (index, plugin) in plugins.into_iter().enumerate() {
        let step = index + 2;
        println!("[{step}/{steps}] plugin {}: {}", plugin.name, toolchain.name());
        plugins::build(workspace, plugin, &toolchain)?;
    }
    Ok(())
}

//! `cargo xtask vm`: virtual machines with the kernel's own driver.

mod apt;
mod desktop;
mod image;
mod setup;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

pub use self::setup::run as set_up;
pub use self::test::{build_device, command};
use crate::cargo::Workspace;

/// Bring what virtual machines need, or run the tests in them
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Options),
    Test(test::Options),
    Desktop(desktop::Options),
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    match &options.command {
        Command::Setup(options) => {
            setup::run(options.renew)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Test(options) => test::run(&Workspace::find()?, options),
        Command::Desktop(options) => desktop::run(&Workspace::find()?, options),
    }
}

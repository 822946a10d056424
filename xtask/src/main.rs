//! `cargo xtask`: builds, demonstrates, tests and measures Bellhop.
//!
//! Each command is a module of its name. What they share: [`cargo`] knows the workspace, [`process`]
//! runs other programs and ends them in time, [`plugins`] finds a way to compile to WebAssembly, and
//! [`packages`] asks the distribution for what is missing.

mod bench;
mod build;
mod cargo;
mod demo;
mod fuzz;
mod interrupt;
mod invariants;
mod packages;
mod plugins;
mod process;
mod say;
mod soak;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::interrupt::Interrupted;

/// Builds, demonstrates, tests and measures Bellhop.
///
/// Exit codes: 0 all went well, 1 something failed, 2 the command was not understood,
/// 130 interrupted.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Build(build::Options),
    Demo(demo::Options),
    Test(test::Options),
    Vm(vm::Options),
    Bench(bench::Options),
    Fuzz(fuzz::Options),
    Soak(soak::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = interrupt::watch().and_then(|()| match &cli.command {
        Command::Build(options) => build::run(options),
        Command::Demo(options) => demo::run(options),
        Command::Test(options) => test::run(options),
        Command::Vm(options) => vm::run(options),
        Command::Bench(options) => bench::run(options),
        Command::Fuzz(options) => fuzz::run(options),
        Command::Soak(options) => soak::run(options),
    });
    match outcome {
        Ok(code) => code,
        Err(error) if error.is::<Interrupted>() || interrupt::happened() => {
            eprintln!("Interrupted; what was started has been ended.");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_unknown_argument_is_refused_with_the_code_for_misuse() {
        let error = Cli::try_parse_from(["xtask", "build", "--frobnicate"]).err().map(|e| e.exit_code());

        assert_eq!(error, Some(2));
    }
}

//! The command line: one file a command.

/// Prints a line. Unlike `println!`, it takes a reader that went away for the end, not for a panic.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::say(format_args!($($argument)*)) };
}

mod authority;
mod check;
mod competitors;
#[cfg(feature = "simulated")]
mod demo;
mod drivers;
mod explain;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use bellhop_agent::config::{Config, ConfigError, DEFAULT_PATH, LogFormat, LogLevel};
use bellhop_agent::sandbox::compile::{self, Compiler};
use bellhop_agent::sandbox::engine;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// The guest agent of a VirtualBox machine, whose features are sandboxed WebAssembly plugins.
///
/// Bellhop listens to the VMMDev device. When the host rings, it calls the plugins that subscribed to
/// the event, each of which can do exactly what agent.toml grants it.
#[derive(Debug, Parser)]
#[command(name = "bellhop", version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit status:
  0   all is well
  1   something failed while running
  2   the command line is wrong
  69  there is no VMMDev device that can be driven
  75  another agent has what every plugin needs for itself
  78  agent.toml, or a component that it names, is wrong";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until SIGTERM or SIGINT
    Run(run::Options),
    /// Check agent.toml and hold every component against its grants, without running any
    Check(ConfigOption),
    /// Show what a component could do: its imports, its exports, and the grants that cover them
    ///
    /// Reads the component's type only; nothing of it is run or compiled.
    Explain(explain::Options),
    /// Play a host and a guest in one process, and show each step of each ring
    #[cfg(feature = "simulated")]
    Demo(demo::Options),
    /// Print a completion script for a shell
    Completions {
        /// The shell that will read it
        shell: clap_complete::Shell,
    },
    /// Compile a component from standard input to standard output
    #[command(hide = true)]
    Compile {
        /// How much processor time it may take
        #[arg(long, default_value_t = compile::CPU_SECONDS)]
        cpu_seconds: u64,
    },
}

#[derive(Debug, Args)]
struct ConfigOption {
    /// The configuration file
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct LogOptions {
    /// The least important lines to log, instead of what agent.toml says
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LogLevel>,
    /// The form of the log, instead of what agent.toml says
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

/// What a command comes to when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Well,
    /// It said what is wrong with the configuration, or with a component.
    Wrong,
}

/// No device, or none that can be driven.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoDevice(String);

/// Another agent has what every plugin needs.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Taken(String);

/// Runs a command and turns what came of it into an exit status.
pub fn main(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options.config),
        Command::Explain(options) => explain::explain(&options),
        #[cfg(feature = "simulated")]
        Command::Demo(options) => demo::demo(&options),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "bellhop", &mut std::io::stdout());
            Ok(Verdict::Well)
        }
        Command::Compile { cpu_seconds } => compile_child(cpu_seconds).map(|()| Verdict::Well),
    };
    match outcome {
        Ok(Verdict::Well) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::from(78),
        Err(error) => {
            // A wrong configuration's lines begin with the place, as editors expect it.
            if let Some(wrong @ ConfigError::Wrong { .. }) = error.downcast_ref() {
                eprintln!("{wrong}");
            } else {
                eprintln!("bellhop: {error:#}");
            }
            ExitCode::from(status(&error))
        }
    }
}

/// The exit status of a failure: the numbers are those of `<sysexits.h>`.
fn status(error: &anyhow::Error) -> u8 {
    match () {
        () if error.is::<NoDevice>() => 69,
        () if error.is::<Taken>() => 75,
        () if error.is::<ConfigError>() => 78,
        () => 1,
    }
}

fn compile_child(cpu_seconds: u64) -> Result<()> {
    // The daemon blocks the signals that it waits for, and a child inherits that.
    nix::sys::signal::SigSet::all().thread_unblock().context("Cannot unblock signals")?;
    compile::child(&engine::compiler().map_err(anyhow::Error::from)?, cpu_seconds)
}

fn say(line: std::fmt::Arguments<'_>) {
    use std::io::{ErrorKind, Write};
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            eprintln!("bellhop: Cannot write to standard output: {error}");
            std::process::exit(1);
        }
    }
}

fn load(path: &Path) -> Result<Config> {
    Ok(Config::load(path)?)
}

/// This very binary, as a compiler.
fn compiler() -> Result<Compiler> {
    Ok(Compiler::new(std::env::current_exe().context("Cannot find the bellhop binary")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

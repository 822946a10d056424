//! The command line: one file a command.

/// Prints a line. Unlike `println!`, it takes a reader that went away for the end, not for a panic.
macro_rules! say {
    ($($argument:tt)*) => { $crate::cli::say(format_args!($($argument)*)) };
}

mod agent;
mod authority;
mod check;
mod competitors;
#[cfg(feature = "simulated")]
mod demo;
mod drivers;
mod explain;
mod metrics;
mod plugin;
mod quantities;
mod record;
mod reload;
mod replay;
mod run;
mod status;
mod top;
mod trace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use bellhop_agent::config::{Config, ConfigError, DEFAULT_PATH, LogFormat, LogLevel};
use bellhop_agent::confine::Unconfined;
use bellhop_agent::confine::user::UserError;
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
  1   something failed while running; of status and top, a plugin does not do well; of replay, the
      plugin asks for something else than it did; of plugin test, a scenario failed
  2   the command line is wrong
  69  there is no VMMDev device that can be driven, or no agent that answers
  75  another agent has what every plugin needs for itself
  78  agent.toml, a file of scenarios, or a component that it names, is wrong";

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
    /// Show how the running agent and its plugins are
    ///
    /// A table of the plugins: what state each is in, what it was called for, what it asked for, what it uses
    /// of its limits, and its last fault with the functions it happened in. Exits with 0 when every plugin
    /// runs and hears all that it subscribed to, with 1 when one does not, and with 69 when no agent answers.
    Status(status::Options),
    /// Show the same again and again, until Ctrl-C
    ///
    /// Exits as status does, after the last look.
    Top(top::Options),
    /// Show what happens in the running agent, as it happens, until Ctrl-C
    ///
    /// Each event of the host, each call of a plugin (>) and its outcome (<), what the plugin calls
    /// meanwhile, and the requests and services of the host that it reaches by that, each with its time. Of
    /// bytes only the number is shown. A reader that is too slow loses lines, and is told how many; the agent
    /// never waits for it.
    Trace(trace::Options),
    /// Print the running agent's counts in the text format of Prometheus
    Metrics(agent::AgentOption),
    /// Record what plugins of the running agent do, for a replay, until Ctrl-C
    ///
    /// Starts the plugins anew, because a replay has to begin where they do, and writes all that they are
    /// called with, ask for and are answered, in order and with its time, as JSON lines: first a header with
    /// versions, the components' digests, their configuration and grants, then one object for each step. The
    /// file is the user's alone. It has what plugins say and see, as names of windows and values of guest
    /// properties, but of bytes, as those of the clipboard, only the number, unless --contents is given.
    Record(record::Options),
    /// Play a record into a component, offline, and compare what it does with what was recorded
    ///
    /// The component is called as the recorded plugin was, and its calls are answered from the record: there
    /// is no device, no desktop, and no time but the record's. What it asks for and returns is compared, but
    /// not what it logs nor how often it looks at the clock, so that the component may be one that was
    /// written anew, in any language. Exits with 0 when there is no difference, and with 1 at the first one,
    /// which is shown with its place.
    Replay(replay::Options),
    /// Let the running agent read its configuration again
    ///
    /// Prints what changed. When the new configuration, or a plugin of it, is wrong, all stays as it is, and
    /// it says why.
    Reload(agent::AgentOption),
    /// Write, build, test and hand on a plugin
    #[command(subcommand)]
    Plugin(plugin::Command),
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
    /// It showed something that is not as it should be.
    Unwell,
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
        Command::Status(options) => status::status(&options),
        Command::Top(options) => top::top(&options),
        Command::Trace(options) => trace::trace(&options),
        Command::Metrics(options) => metrics::metrics(&options),
        Command::Record(options) => record::record(&options),
        Command::Replay(options) => replay::replay(&options),
        Command::Reload(options) => reload::reload(&options),
        Command::Plugin(command) => plugin::plugin(&command),
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
        Ok(Verdict::Unwell) => ExitCode::FAILURE,
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
        () if error.is::<NoDevice>() || agent::is_absent(error) => 69,
        () if error.is::<Taken>() => 75,
        () if error.is::<ConfigError>() || error.is::<UserError>() || error.is::<Unconfined>() => 78,
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

/// This very binary, as a compiler: by what runs, and not by a path that may lead to another by now.
fn compiler() -> Compiler {
    Compiler::new(PathBuf::from("/proc/self/exe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

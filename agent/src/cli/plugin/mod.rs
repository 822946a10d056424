//! `bellhop plugin`: what the authors of plugins need, one file a command.

mod scenario;
mod test;

use anyhow::Result;
use clap::Subcommand;

use super::Verdict;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Play scenarios: a TOML file is the host, and a plugin is tested without a machine
    ///
    /// A file names a component with its grants and configuration, as agent.toml does, and has steps: what happens
    /// to the plugin, what it is expected to ask for, and how that is answered. Time is virtual, and each run is
    /// the same. A step that fails is shown with its line, what was expected above what was seen. Exits with 0
    /// when all scenarios passed, with 1 when one did not, and with 78 when a file, or the component that it
    /// names, is wrong. docs/scenarios.md describes the files.
    Test(test::Options),
    /// Make a scenario of a record, on standard output
    ///
    /// What the plugin was called with becomes what happens to it, and what it asked for what is expected of it,
    /// answered as it was then.
    Scenario(scenario::Options),
}

pub(super) fn plugin(command: &Command) -> Result<Verdict> {
    match command {
        Command::Test(options) => test::test(options),
        Command::Scenario(options) => scenario::scenario(options),
    }
}

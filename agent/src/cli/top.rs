//! `bellhop top`: the status again and again.

use std::io::{IsTerminal, stdout};
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::agent::{self, AgentOption};
use super::{Verdict, status};

/// Moves a terminal's cursor to the upper left, and erases all below.
const HOME: &str = "\u{1b}[H\u{1b}[J";

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    agent: AgentOption,
    /// Seconds from one look to the next
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = interval)]
    interval: Duration,
    /// Look so often, and then end
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,
}

fn interval(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(interval) if interval >= Duration::from_millis(50) => Ok(interval),
        _ => Err("expected at least 0.05 seconds".to_owned()),
    }
}

pub(super) fn top(options: &Options) -> Result<Verdict> {
    let mut client = options.agent.connect()?;
    let mut looks = 0;
    loop {
        let status = agent::status(&mut client)?;
        let remarks: Vec<_> = status.plugins.iter().flat_map(status::remarks).collect();
        let home = if stdout().is_terminal() { HOME } else { "" };
        say!("{home}{}\n{}", status::table(&status), remarks.join("\n"));
        looks += 1;
        if options.count.is_some_and(|count| looks >= count) {
            return Ok(if status.is_well() { Verdict::Well } else { Verdict::Unwell });
        }
        std::thread::sleep(options.interval);
    }
}

//! `bellhop trace`: what happens, as it happens.

use anyhow::Result;
use bellhop_agent::control::protocol::{Ask, Line, Said};
use bellhop_agent::observe::values::cut;
use bellhop_agent::observe::{AGENT, Notice, What};
use clap::Args;
use driver_core::wire::Events;
use serde_json::Value;

use super::agent::{self, AgentOption};
use super::{Verdict, quantities};

/// The longest list of arguments, or result, that is shown to people, in characters.
const LONGEST: usize = 160;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    agent: AgentOption,
    /// Show this plugin only; may be given several times
    #[arg(short, long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// Print one JSON object a line: times in nanoseconds, since the agent started
    #[arg(long)]
    json: bool,
    /// End after so many lines
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,
}

pub(super) fn trace(options: &Options) -> Result<Verdict> {
    let mut client = options.agent.connect()?;
    let plugins = options.plugins.iter().cloned().collect();
    let Said::Tracing(_) = client.ask(Ask::Trace { plugins })? else { return Err(agent::confused()) };
    eprintln!("bellhop: Tracing until Ctrl-C");
    let mut shown = 0;
    while options.count.is_none_or(|count| shown < count) {
        let Some(line) = client.next_line()? else { anyhow::bail!("The agent ended") };
        if options.json {
            say!("{}", String::from_utf8_lossy(&line));
        } else {
            match serde_json::from_slice(&line)? {
                Line::Lost { lost } => {
                    say!("{:>14}  … {lost} lines are missing: this reader is too slow", "")
                }
                Line::Notice(notice) => say!("{}", in_words(&notice)),
            }
        }
        shown += 1;
    }
    Ok(Verdict::Well)
}

/// A notice in one line.
fn in_words(notice: &Notice) -> String {
    let plugin = if notice.plugin == AGENT { "(agent)" } else { &notice.plugin };
    let what = match &notice.what {
        What::Events(events) => format!("the host raised {events}"),
        What::Call { function, arguments } => format!("> {function}({})", called_with(function, arguments)),
        What::Return { function, result, fault, took } => {
            format!("< {function}: {}", outcome(result, fault.as_deref(), *took))
        }
        What::Host { function, arguments, result, fault, took } => {
            let arguments = list(arguments);
            format!("  {function}({arguments}): {}", outcome(result, fault.as_deref(), *took))
        }
        What::Request { request, status, took, .. } => {
            format!("    request {request}: {status}, {}", quantities::span(*took))
        }
        What::Hgcm { service, function: Some(function), status, took, .. } => {
            format!("    service {service}, function {function}: {status}, {}", quantities::span(*took))
        }
        What::Hgcm { service, status, took, .. } => {
            format!("    service {service}, connect: {status}, {}", quantities::span(*took))
        }
    };
    let (seconds, micros) = (notice.at / 1_000_000_000, notice.at / 1_000 % 1_000_000);
    format!("{seconds:>7}.{micros:06}  {plugin:<10}  {what}")
}

/// The arguments of a call; events by their names.
fn called_with(function: &str, arguments: &[Value]) -> String {
    match (function, arguments) {
        ("host-events.on-host-events", [Value::Number(bits)]) => {
            let bits = bits.as_u64().and_then(|bits| u32::try_from(bits).ok()).unwrap_or_default();
            Events::from_bits_retain(bits).to_string()
        }
        _ => list(arguments),
    }
}

fn list(values: &[Value]) -> String {
    cut(values.iter().map(Value::to_string).collect::<Vec<_>>().join(", "), LONGEST)
}

fn outcome(result: &Value, fault: Option<&str>, took: u64) -> String {
    let result = match (fault, result) {
        (Some(fault), _) => format!("FAULT {}", cut(fault.to_owned(), LONGEST)),
        (None, Value::Null) => "done".to_owned(),
        (None, result) => cut(result.to_string(), LONGEST),
    };
    format!("{result}, {}", quantities::span(took))
}

//! `bellhop status`: how the agent and its plugins are.

use anyhow::Result;
use bellhop_agent::control::status::{Budget, PluginStatus, Status, Unit};
use clap::Args;

use super::agent::{self, AgentOption};
use super::{Verdict, quantities};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    agent: AgentOption,
    /// Print all that is known, as one JSON object: times in nanoseconds, sizes in bytes
    #[arg(long)]
    json: bool,
}

pub(super) fn status(options: &Options) -> Result<Verdict> {
    let status = agent::status(&mut options.agent.connect()?)?;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        say!("{}", table(&status));
        for plugin in &status.plugins {
            remarks(plugin).iter().for_each(|remark| say!("{remark}"));
        }
    }
    Ok(if status.is_well() { Verdict::Well } else { Verdict::Unwell })
}

/// The agent in a line, and its plugins in a table.
pub(super) fn table(status: &Status) -> String {
    let facts = &status.agent;
    let events = if status.events.is_empty() {
        "none yet".to_owned()
    } else {
        let events: Vec<_> = status.events.iter().map(|(name, count)| format!("{count} {name}")).collect();
        events.join(", ")
    };
    let head = format!(
        "bellhop {}, process {}, up {}\nDriver   {}\nDesktop  {}\nEngine   {}\nEvents   {events}\n",
        facts.version,
        facts.process,
        quantities::span(status.uptime),
        facts.driver,
        facts.desktop,
        facts.engine,
    );
    let mut rows = vec![
        [
            "PLUGIN", "STATE", "INSTANCE", "EVENTS", "CALLS", "FAILED", "LONGEST", "CPU", "REQUESTS", "HGCM",
            "MEMORY", "BUFFERS",
        ]
        .map(str::to_owned),
    ];
    rows.extend(status.plugins.iter().map(row));
    head + "\n" + &aligned(&rows)
}

fn row(plugin: &PluginStatus) -> [String; 12] {
    let [calls, requests, services] =
        [&plugin.calls, &plugin.requests, &plugin.services].map(PluginStatus::sum);
    let budget = |limit: &str| {
        let found = plugin.budgets.iter().find(|budget| budget.limit == limit);
        found.map_or_else(String::new, of_budget)
    };
    [
        plugin.name.clone(),
        plugin.state.clone(),
        plugin.incarnation.to_string(),
        plugin.events.values().sum::<u64>().to_string(),
        calls.count.to_string(),
        calls.failed.to_string(),
        quantities::span(calls.longest),
        budget("cpu-per-event"),
        requests.count.to_string(),
        services.count.to_string(),
        budget("memory"),
        budget("buffers"),
    ]
}

/// What is used of a limit, and the limit.
fn of_budget(budget: &Budget) -> String {
    let show = match budget.unit {
        Unit::Bytes => quantities::bytes,
        Unit::Nanoseconds => quantities::span,
        Unit::Items => |items: u64| items.to_string(),
    };
    format!("{} of {}", show(budget.used), show(budget.most))
}

/// What is wrong with a plugin, a line each.
pub(super) fn remarks(plugin: &PluginStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |text: String| remarks.push(format!("{}: {text}", plugin.name));
    match (&plugin.reason, plugin.again_in) {
        (_, Some(pause)) => remark(format!("is tried again in {}", quantities::span(pause))),
        (Some(reason), _) if plugin.state != "running" => remark(format!("does not run: {reason}")),
        _ => {}
    }
    if !plugin.masked.is_empty() {
        remark(format!(
            "is not called for {} any more, because that stopped it twice",
            plugin.masked.join(", ")
        ));
    }
    for (count, what) in [
        (plugin.requests_refused, "requests were refused, because they were too many in a second"),
        (plugin.lines_dropped, "lines were not logged, because they were too many in a second"),
    ] {
        if count > 0 {
            remark(format!("{count} {what}"));
        }
    }
    if let Some(fault) = &plugin.last_fault {
        let mut place = fault.export.as_ref().map_or_else(String::new, |export| format!(" in {export}"));
        if !fault.events.is_empty() {
            place += &format!(" for {}", fault.events.join(", "));
        }
        let count = plugin.faults;
        let faults = if count == 1 { "fault" } else { "faults" };
        remark(format!(
            "{count} {faults}; the last{place}, of instance {}: {}",
            fault.incarnation, fault.text
        ));
    }
    remarks
}

/// Rows with their columns below each other.
fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

//! `bellhop metrics`: the counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use bellhop_agent::control::status::{Count, PluginStatus, Status, Unit};

use super::Verdict;
use super::agent::{self, AgentOption};

pub(super) fn metrics(options: &AgentOption) -> Result<Verdict> {
    let status = agent::status(&mut options.connect()?)?;
    say!("{}", text(&status).trim_end());
    Ok(Verdict::Well)
}

/// Metrics under construction: each name has its samples together, below its help and type.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<_> =
            labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

/// A label's value as it stands between quotes.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Which table of counts of a plugin.
type Table = fn(&PluginStatus) -> &BTreeMap<String, Count>;

/// What a count, a plugin, or an amount in a limit's unit comes to.
type Column = fn(&Count) -> String;
type Measure = fn(&PluginStatus) -> u64;
type Show = fn(u64) -> String;

/// Tables of counts: the stem of their metrics' names, the label, and what is counted.
const TABLES: [(&str, &str, &str, Table); 3] = [
    ("bellhop_plugin_calls", "export", "calls of a plugin's exports", |plugin| &plugin.calls),
    ("bellhop_plugin_requests", "request", "requests of a plugin to the host", |plugin| &plugin.requests),
    ("bellhop_plugin_service_calls", "service", "calls of services of the host by a plugin", |plugin| {
        &plugin.services
    }),
];

/// Columns of a table of counts: the ending of the metric's name, and what it says of what is counted.
const COLUMNS: [(&str, &str, Column); 3] = [
    ("total", "Number of", |count| count.count.to_string()),
    ("failed_total", "Failures among", |count| count.failed.to_string()),
    ("seconds_total", "Time taken by", |count| seconds(count.took)),
];

/// What a plugin is measured by, each a number a plugin.
const GAUGES: [(&str, &str, &str, Measure); 6] = [
    ("bellhop_plugin_up", "gauge", "Whether a plugin runs.", |plugin| u64::from(plugin.state == "running")),
    ("bellhop_plugin_instances_total", "counter", "Instances that were made of a plugin.", |plugin| {
        plugin.incarnation
    }),
    ("bellhop_plugin_faults_total", "counter", "Faults of a plugin.", |plugin| plugin.faults),
    (
        "bellhop_plugin_requests_refused_total",
        "counter",
        "Requests of a plugin that were refused, because they were too many in a second.",
        |plugin| plugin.requests_refused,
    ),
    (
        "bellhop_plugin_lines_dropped_total",
        "counter",
        "Lines of a plugin that were not logged, because they were too many in a second.",
        |plugin| plugin.lines_dropped,
    ),
    ("bellhop_plugin_host_calls_total", "counter", "Calls of host functions by a plugin.", |plugin| {
        plugin.host_calls
    }),
];

/// Limits by their unit: the ending of the metrics' names.
const UNITS: [(Unit, &str, Show); 3] = [
    (Unit::Bytes, "bytes", |bytes| bytes.to_string()),
    (Unit::Nanoseconds, "seconds", seconds),
    (Unit::Items, "items", |items| items.to_string()),
];

fn text(status: &Status) -> String {
    let mut page = Page::default();
    let facts = &status.agent;
    page.family("bellhop_info", "gauge", "What runs here; always 1.");
    page.sample("bellhop_info", &[("version", &facts.version), ("driver", &facts.driver)], 1);
    page.family("bellhop_uptime_seconds", "gauge", "Time since the agent started.");
    page.sample("bellhop_uptime_seconds", &[], seconds(status.uptime));
    page.family("bellhop_host_events_total", "counter", "Events that the host raised.");
    for (event, count) in &status.events {
        page.sample("bellhop_host_events_total", &[("event", event)], count);
    }
    for (name, kind, help, measure) in GAUGES {
        page.family(name, kind, help);
        for plugin in &status.plugins {
            page.sample(name, &[("plugin", &plugin.name)], measure(plugin));
        }
    }
    page.family("bellhop_plugin_events_total", "counter", "Host events that a plugin was called for.");
    for plugin in &status.plugins {
        for (event, count) in &plugin.events {
            let labels = [("plugin", plugin.name.as_str()), ("event", event)];
            page.sample("bellhop_plugin_events_total", &labels, count);
        }
    }
    page.family("bellhop_plugin_masked", "gauge", "Host events that a plugin is not called for any more.");
    for plugin in &status.plugins {
        for event in &plugin.masked {
            page.sample("bellhop_plugin_masked", &[("plugin", &plugin.name), ("event", event)], 1);
        }
    }
    for (stem, label, what, table) in TABLES {
        for (ending, says, column) in COLUMNS {
            let name = format!("{stem}_{ending}");
            page.family(&name, "counter", &format!("{says} {what}."));
            for plugin in &status.plugins {
                for (key, count) in table(plugin) {
                    page.sample(&name, &[("plugin", &plugin.name), (label, key)], column(count));
                }
            }
        }
    }
    for (unit, ending, show) in UNITS {
        for (stem, help, value) in [
            ("used", "What a plugin uses of a limit; of a limit of time, the most that a call took.", true),
            ("limit", "What a plugin may use.", false),
        ] {
            let name = format!("bellhop_plugin_{stem}_{ending}");
            page.family(&name, "gauge", help);
            for plugin in &status.plugins {
                for budget in plugin.budgets.iter().filter(|budget| budget.unit == unit) {
                    let labels = [("plugin", plugin.name.as_str()), ("limit", &budget.limit)];
                    page.sample(&name, &labels, show(if value { budget.used } else { budget.most }));
                }
            }
        }
    }
    page.0
}

/// Nanoseconds as seconds, exactly.
fn seconds(nanoseconds: u64) -> String {
    format!("{}.{:09}", nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_seconds_exact() {
        let mut page = Page::default();

        page.sample("x_total", &[("a", "b\"c\\d\ne")], seconds(1_000_000_001));

        assert_eq!(page.0, "x_total{a=\"b\\\"c\\\\d\\ne\"} 1.000000001\n");
    }
}

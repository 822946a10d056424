//! How the agent and its plugins are, as it is told over the control socket.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use driver_core::wire::Events;
use serde::{Deserialize, Serialize};

use crate::observe::{AGENT, Board, Counts, Tally, nanoseconds};
use crate::plugin::{Phase, State};

/// The whole agent. Times are in nanoseconds, sizes in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Status {
    /// What it is.
    pub agent: Facts,
    /// How long it has been running.
    pub uptime: u64,
    /// Events that the host raised, by their names.
    pub events: BTreeMap<String, u64>,
    /// Each plugin that is to run.
    pub plugins: Vec<PluginStatus>,
}

/// What does not change while an agent runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Facts {
    /// Its version.
    pub version: String,
    /// Its process.
    pub process: u32,
    /// The driver and the host.
    pub driver: String,
    /// The desktop.
    pub desktop: String,
    /// The configuration file.
    pub config: String,
}

/// One plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PluginStatus {
    /// Its name in `agent.toml`.
    pub name: String,
    /// `starting`, `running`, `backing-off`, `quarantined`, `disabled` or `stopped`.
    pub state: String,
    /// Why, where it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long until it is tried again, where it is backing off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_in: Option<u64>,
    /// Which of its instances this is, from 1.
    pub incarnation: u64,
    /// Faults since it was started.
    pub faults: u64,
    /// The last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<FaultStatus>,
    /// The events that it subscribed to.
    pub subscribed: Vec<String>,
    /// Those that it is not called for any more, because they stopped it twice.
    pub masked: Vec<String>,
    /// How often it was called for each event.
    pub events: BTreeMap<String, u64>,
    /// Calls of its exports.
    pub calls: BTreeMap<String, Count>,
    /// Its requests to the host.
    pub requests: BTreeMap<String, Count>,
    /// Its calls of services of the host.
    pub services: BTreeMap<String, Count>,
    /// How often it called a host function.
    pub host_calls: u64,
    /// Requests that were refused, because they were too many in a second.
    pub requests_refused: u64,
    /// Lines that were not logged, because they were too many in a second.
    pub lines_dropped: u64,
    /// What it uses of its limits.
    pub budgets: Vec<Budget>,
}

/// A fault that has happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct FaultStatus {
    /// When, since the Unix epoch.
    pub at: u64,
    /// What it was; of a trap, with the functions it happened in, innermost first.
    pub text: String,
    /// In which incarnation.
    pub incarnation: u64,
    /// The export that was being called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub export: Option<String>,
    /// The events that it was called for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
}

/// How often something was done, and how it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How often.
    pub count: u64,
    /// How often it failed.
    pub failed: u64,
    /// How long it took in all.
    pub took: u64,
    /// How long it took when it took longest.
    pub longest: u64,
}

/// What is used of one limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The limit's name in `agent.toml`.
    pub limit: String,
    /// What is used of it now; of a limit of time, the most that a call took.
    pub used: u64,
    /// The limit.
    pub most: u64,
    /// In which unit.
    pub unit: Unit,
}

/// What a [`Budget`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Nanoseconds.
    Nanoseconds,
    /// Things.
    Items,
}

impl Status {
    /// Looks at everything.
    pub(super) fn of(facts: &Facts, board: &Board) -> Self {
        let plugins = board.plugins().into_iter().map(|known| {
            let name = &known.config.name;
            PluginStatus::of(name, &known.state, &board.tap(name).counts())
        });
        Self {
            agent: facts.clone(),
            uptime: nanoseconds(board.started().elapsed()),
            events: owned(&board.tap(AGENT).counts().events, |count| *count),
            plugins: plugins.collect(),
        }
    }

    /// Whether every plugin runs, and hears all that it subscribed to.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.plugins.iter().all(PluginStatus::is_well)
    }
}

impl PluginStatus {
    fn of(name: &str, state: &State, counts: &Counts) -> Self {
        let (phase, again_in) = match state.phase {
            Phase::Starting => ("starting", None),
            Phase::Running => ("running", None),
            Phase::BackingOff { until } => {
                ("backing-off", Some(nanoseconds(until.saturating_duration_since(Instant::now()))))
            }
            Phase::Quarantined => ("quarantined", None),
            Phase::Disabled => ("disabled", None),
            Phase::Stopped => ("stopped", None),
        };
        Self {
            name: name.to_owned(),
            state: phase.to_owned(),
            reason: state.reason.clone(),
            again_in,
            incarnation: state.incarnation,
            faults: state.faults,
            last_fault: state.last_fault.as_ref().map(|fault| FaultStatus {
                at: since_epoch(fault.at),
                text: fault.text.clone(),
                incarnation: fault.incarnation,
                export: fault.attempt.as_ref().map(|attempt| attempt.export.to_owned()),
                events: fault.attempt.as_ref().map_or_else(Vec::new, |attempt| names(attempt.events)),
            }),
            subscribed: names(state.subscribed),
            masked: names(state.masked),
            events: owned(&counts.events, |count| *count),
            calls: owned(&counts.calls, count),
            requests: owned(&counts.requests, count),
            services: owned(&counts.services, count),
            host_calls: counts.host_calls,
            requests_refused: state.requests_refused,
            lines_dropped: state.lines_dropped,
            budgets: budgets(state),
        }
    }

    /// Whether it runs, and hears all that it subscribed to.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.state == "running" && self.masked.is_empty()
    }

    /// The sum of a table of counts.
    #[must_use]
    pub fn sum(counts: &BTreeMap<String, Count>) -> Count {
        counts.values().fold(Count::default(), |sum, each| Count {
            count: sum.count + each.count,
            failed: sum.failed + each.failed,
            took: sum.took + each.took,
            longest: sum.longest.max(each.longest),
        })
    }
}

/// What is used of each limit, under its name in `agent.toml`.
fn budgets(state: &State) -> Vec<Budget> {
    let (used, limits, highest) = (&state.used, &state.limits, &state.highest_call);
    let cpu = (nanoseconds(highest.cpu), nanoseconds(limits.cpu_per_event.0));
    let wall = (nanoseconds(highest.wall), nanoseconds(limits.wall_per_event.0));
    [
        ("memory", used.memory, limits.memory.0, Unit::Bytes),
        ("table-elements", used.table_elements, limits.table_elements.into(), Unit::Items),
        ("buffers", used.buffers, limits.buffers.0, Unit::Bytes),
        ("handles", used.handles, limits.handles.into(), Unit::Items),
        ("timers", used.timers, limits.timers.into(), Unit::Items),
        ("hgcm-clients", used.hgcm_clients, limits.hgcm_clients.into(), Unit::Items),
        ("calls", used.calls, limits.calls.into(), Unit::Items),
        ("call-bytes", used.call_bytes, limits.call_bytes.0, Unit::Bytes),
        ("cpu-per-event", cpu.0, cpu.1, Unit::Nanoseconds),
        ("wall-per-event", wall.0, wall.1, Unit::Nanoseconds),
    ]
    .map(|(limit, used, most, unit)| Budget { limit: limit.to_owned(), used, most, unit })
    .into()
}

fn count(tally: &Tally) -> Count {
    Count {
        count: tally.count,
        failed: tally.failed,
        took: nanoseconds(tally.took),
        longest: nanoseconds(tally.longest),
    }
}

fn owned<K: ToString, V, T>(table: &BTreeMap<K, V>, make: impl Fn(&V) -> T) -> BTreeMap<String, T> {
    table.iter().map(|(name, value)| (name.to_string(), make(value))).collect()
}

fn names(events: Events) -> Vec<String> {
    events.iter().filter_map(Events::name).map(str::to_owned).collect()
}

pub(super) fn since_epoch(time: SystemTime) -> u64 {
    nanoseconds(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

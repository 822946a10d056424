//! What is counted of one plugin, always.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_core::wire::Events;

/// So many request types and services are counted apart; a plugin that is granted more has the rest
/// counted as one.
const MOST_NAMES: usize = 64;

/// What the rest is called.
const OTHERS: &str = "others";

/// How often something was done, and how it went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How often.
    pub count: u64,
    /// How often it failed.
    pub failed: u64,
    /// How long it took in all.
    pub took: Duration,
    /// How long it took when it took longest.
    pub longest: Duration,
}

/// The counts of one plugin.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Calls of its exports.
    pub calls: BTreeMap<&'static str, Tally>,
    /// Host events that it was called for, by their names.
    pub events: BTreeMap<&'static str, u64>,
    /// Requests to the host, by their names.
    pub requests: BTreeMap<String, Tally>,
    /// Calls of services of the host, by the services' names.
    pub services: BTreeMap<String, Tally>,
    /// Host calls of all kinds.
    pub host_calls: u64,
}

impl Tally {
    /// Counts one.
    pub fn count(&mut self, well: bool, took: Duration) {
        self.count += 1;
        self.failed += u64::from(!well);
        self.took += took;
        self.longest = self.longest.max(took);
    }
}

impl Counts {
    pub(super) fn count_events(&mut self, bits: u32) {
        let events = Events::from_bits_truncate(bits);
        for name in events.iter().filter_map(Events::name) {
            *self.events.entry(name).or_default() += 1;
        }
    }

    /// The tally of a name in a table that may not grow for ever.
    pub(super) fn tally<'a>(table: &'a mut BTreeMap<String, Tally>, name: &str) -> &'a mut Tally {
        let known = table.contains_key(name) || table.len() < MOST_NAMES;
        table.entry(if known { name } else { OTHERS }.to_owned()).or_default()
    }
}

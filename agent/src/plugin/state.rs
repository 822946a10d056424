//! What is known of a plugin outside its store: so that it outlives every incarnation, says what a fault
//! happened in, and can be read by other threads at any time.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use driver_core::wire::Events;

use crate::bucket::Bucket;
use crate::config::{self, Limits};
use crate::sync::lock;

/// A plugin as it is now.
#[derive(Debug, Clone)]
pub struct State {
    /// Whether it runs, and if not, why not.
    pub phase: Phase,
    /// The SHA-256 digest of its component, in hexadecimal, once it was admitted.
    pub sha256: Option<String>,
    /// What led to the phase, where that is a plugin that does not run.
    pub reason: Option<String>,
    /// Which of its instances this is, from 1; 0 before the first.
    pub incarnation: u64,
    /// How long that instance took to be made and initialised.
    pub built_in: Duration,
    /// Faults since it was started.
    pub faults: u64,
    /// Faults without a healthy minute between them.
    pub faults_in_a_row: u32,
    /// The last fault.
    pub last_fault: Option<PastFault>,
    /// The event bits that it subscribed to.
    pub subscribed: Events,
    /// Those of them that it is not called for any more, because they stopped it twice.
    pub masked: Events,
    /// What its last call took.
    pub last_call: Clocks,
    /// The most that a call took, each clock for itself.
    pub highest_call: Clocks,
    /// The call that is under way.
    pub attempt: Option<Attempt>,
    /// Requests that were refused, because they were too many in a second.
    pub requests_refused: u64,
    /// Lines that were not logged, because they were too many in a second.
    pub lines_dropped: u64,
    /// What it uses, as of the end of its last call.
    pub used: Used,
    /// What it may use.
    pub limits: Limits,
}

/// Whether a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is being admitted, instantiated and initialised.
    Starting,
    /// It is called for news.
    Running,
    /// It faulted, and is rebuilt then.
    BackingOff {
        /// When.
        until: Instant,
    },
    /// It faulted too often, and is left off until the configuration is read again.
    Quarantined,
    /// It cannot start, or was to be left off after a fault, and is until the configuration is read again.
    Disabled,
    /// It was told to stop.
    Stopped,
}

impl Phase {
    /// Whether it runs, or is to.
    #[must_use]
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::BackingOff { .. })
    }
}

/// A fault that has happened.
#[derive(Debug, Clone)]
pub struct PastFault {
    /// When.
    pub at: SystemTime,
    /// What it was, with a trap's backtrace, innermost function first.
    pub text: String,
    /// In which incarnation.
    pub incarnation: u64,
    /// In which call.
    pub attempt: Option<Attempt>,
}

/// A call of an export.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// The export.
    pub export: &'static str,
    /// The events that it is called for; none when it is not called for events.
    pub events: Events,
    /// The host function that it called last, or is in, by interface and name.
    pub host_call: Option<Arc<str>>,
    /// When the call began.
    pub since: Instant,
}

/// What a call took, by both clocks of its budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Clocks {
    /// Processor time of its own code, in whole [ticks](crate::sandbox::ticker::TICK): zero for a call
    /// that no tick found running.
    pub cpu: Duration,
    /// Time from its start to its end, host calls included.
    pub wall: Duration,
}

/// What a plugin uses of its [`Limits`], which have the same names and units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Bytes of linear memory, all of its memories together.
    pub memory: u64,
    /// Elements of its tables, all together.
    pub table_elements: u64,
    /// Bytes in its buffers.
    pub buffers: u64,
    /// Buffers, watches of properties and reads of the clipboard.
    pub handles: u64,
    /// Timers that are set.
    pub timers: u64,
    /// Connections to services of the host.
    pub hgcm_clients: u64,
    /// HGCM calls that are under way.
    pub calls: u64,
    /// Bytes of the parameters of those calls.
    pub call_bytes: u64,
}

/// What a plugin may do in a second. It outlives incarnations, so that a fault brings no new one.
struct Buckets {
    requests: Bucket,
    log: Bucket,
}

impl Buckets {
    fn new(limits: &Limits) -> Self {
        Self {
            requests: Bucket::new(limits.requests_per_second.into()),
            log: Bucket::new(limits.log_per_second.0),
        }
    }
}

/// Where the state of one plugin is kept.
pub struct Record {
    plugin: Arc<str>,
    state: Mutex<State>,
    made_of: Mutex<Option<(config::Plugin, String)>>,
    /// What it has left of what it may do in a second.
    buckets: Mutex<Buckets>,
    /// Written at each host call, which is not to wait for whoever reads the state.
    host_call: Mutex<Option<Arc<str>>>,
}

impl Record {
    /// The record of a plugin, by its name, that is about to start.
    #[must_use]
    pub fn new(plugin: Arc<str>, limits: Limits) -> Self {
        let state = State {
            phase: Phase::Starting,
            sha256: None,
            reason: None,
            incarnation: 0,
            built_in: Duration::ZERO,
            faults: 0,
            faults_in_a_row: 0,
            last_fault: None,
            subscribed: Events::empty(),
            masked: Events::empty(),
            last_call: Clocks::default(),
            highest_call: Clocks::default(),
            attempt: None,
            requests_refused: 0,
            lines_dropped: 0,
            used: Used::default(),
            limits,
        };
        let buckets = Mutex::new(Buckets::new(&limits));
        Self {
            plugin,
            state: Mutex::new(state),
            made_of: Mutex::default(),
            buckets,
            host_call: Mutex::new(None),
        }
    }

    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &Arc<str> {
        &self.plugin
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> State {
        let mut state = lock(&self.state).clone();
        if let Some(attempt) = &mut state.attempt {
            attempt.host_call = self.host_call();
        }
        state
    }

    /// Changes the state.
    pub(crate) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut lock(&self.state));
    }

    /// Enters another phase.
    pub(crate) fn enter(&self, phase: Phase, reason: Option<String>) {
        self.change(|state| (state.phase, state.reason) = (phase, reason));
    }

    /// An export is about to be called.
    pub(crate) fn attempt(&self, export: &'static str, events: Events) {
        *lock(&self.host_call) = None;
        self.change(|state| {
            state.attempt = Some(Attempt { export, events, host_call: None, since: Instant::now() });
        });
    }

    /// What it is made of: its configuration, and the digest of its component.
    pub(crate) fn made_of(&self, config: &config::Plugin, digest: &str) {
        *lock(&self.made_of) = Some((config.clone(), digest.to_owned()));
        let mut buckets = lock(&self.buckets);
        buckets.requests.set_rate(config.limits.requests_per_second.into());
        buckets.log.set_rate(config.limits.log_per_second.0);
        drop(buckets);
        self.change(|state| (state.limits, state.sha256) = (config.limits, Some(digest.to_owned())));
    }

    /// Whether it is made of these.
    pub(crate) fn is_made_of(&self, config: &config::Plugin, digest: &str) -> bool {
        lock(&self.made_of).as_ref().is_some_and(|(ours, made)| ours == config && made == digest)
    }

    /// Another has taken the place of the instance that there was.
    pub(crate) fn succeeded(&self) {
        self.change(|state| {
            state.incarnation += 1;
            (state.faults_in_a_row, state.masked) = (0, Events::empty());
        });
    }

    /// A host function is about to be called.
    pub(crate) fn calls_host(&self, function: &Arc<str>) {
        *lock(&self.host_call) = Some(function.clone());
    }

    /// The call of an export has ended, and did not fault.
    pub(crate) fn ended(&self, took: Clocks, used: Used) {
        self.change(|state| {
            state.attempt = None;
            state.last_call = took;
            state.highest_call.cpu = state.highest_call.cpu.max(took.cpu);
            state.highest_call.wall = state.highest_call.wall.max(took.wall);
            state.used = used;
        });
    }

    /// The attempt that is under way faulted. Says what it was.
    pub(crate) fn faulted(&self, text: String) -> Option<Attempt> {
        let host_call = self.host_call();
        let mut state = lock(&self.state);
        let attempt = state.attempt.take().map(|attempt| Attempt { host_call, ..attempt });
        state.faults += 1;
        let incarnation = state.incarnation;
        state.last_fault =
            Some(PastFault { at: SystemTime::now(), text, incarnation, attempt: attempt.clone() });
        state.used = Used::default();
        attempt
    }

    /// Whether another request is within its limit: if so it counts, else its refusal does.
    pub(crate) fn may_request(&self) -> bool {
        lock(&self.buckets).requests.take(1, Instant::now())
    }

    /// Whether another line of so many bytes is within its limit, likewise.
    pub(crate) fn may_log(&self, bytes: usize) -> bool {
        lock(&self.buckets).log.take(bytes as u64, Instant::now())
    }

    /// When it can be called and have requests to make: a plugin that has made too many is let rest, and
    /// its news waits, and becomes one.
    pub(crate) fn rested_at(&self) -> Instant {
        lock(&self.buckets).requests.usable_at()
    }

    /// When [`settle`](Self::settle) will have something to say, if ever.
    pub(crate) fn settles_at(&self) -> Option<Instant> {
        let buckets = lock(&self.buckets);
        [buckets.requests.settles_at(), buckets.log.settles_at()].into_iter().flatten().min()
    }

    /// Says once what was refused, as soon as there is enough again.
    pub(crate) fn settle(&self) {
        self.settle_at(Instant::now());
    }

    /// Says what was refused now, because nobody will be there to say it later.
    pub(crate) fn settle_now(&self) {
        self.settle_at(self.settles_at().unwrap_or_else(Instant::now) + Duration::from_secs(2));
    }

    fn settle_at(&self, now: Instant) {
        let (requests, lines) = {
            let mut buckets = lock(&self.buckets);
            (buckets.requests.settle(now), buckets.log.settle(now))
        };
        let Limits { requests_per_second, log_per_second, .. } = lock(&self.state).limits;
        if let Some(count) = requests {
            tracing::warn!(
                plugin = &*self.plugin,
                count,
                "Requests were refused: it may make {requests_per_second} a second (`requests-per-second`)"
            );
            self.change(|state| state.requests_refused += count);
        }
        if let Some(count) = lines {
            tracing::warn!(
                plugin = &*self.plugin,
                count,
                "Lines of its log were dropped: it may log {log_per_second} a second (`log-per-second`)"
            );
            self.change(|state| state.lines_dropped += count);
        }
    }

    fn host_call(&self) -> Option<Arc<str>> {
        lock(&self.host_call).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_with_what_was_being_attempted() {
        let record = Record::new("plugin".into(), Limits::default());
        record.attempt("on-host-events", Events::RESTORED);
        record.calls_host(&"display.fetch".into());

        record.faulted("unreachable".to_owned());

        let state = record.state();
        let attempt = state.last_fault.and_then(|fault| fault.attempt).expect("there was one");
        assert_eq!((attempt.export, attempt.events), ("on-host-events", Events::RESTORED));
        assert_eq!(attempt.host_call.as_deref(), Some("display.fetch"));
        assert!(state.attempt.is_none());
    }

    #[test]
    fn each_clock_keeps_its_own_highest() {
        let record = Record::new("plugin".into(), Limits::default());
        let millis = Duration::from_millis;

        record.ended(Clocks { cpu: millis(5), wall: millis(9) }, Used::default());
        record.ended(Clocks { cpu: millis(10), wall: millis(2) }, Used::default());

        let state = record.state();
        assert_eq!(state.last_call, Clocks { cpu: millis(10), wall: millis(2) });
        assert_eq!(state.highest_call, Clocks { cpu: millis(10), wall: millis(9) });
    }
}

//! One plugin's life: its thread, its incarnations, what becomes of its faults.

mod state;

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driver_core::wire::{Capabilities, Events};

use crate::config;
use crate::host::{Host, World};
use crate::mailbox::{Mailbox, News, Stop};
use crate::sandbox::engine::WASM_STACK;
use crate::sandbox::{Fault, Instance, Program, Sandbox};

pub use state::{Attempt, Clocks, PastFault, Phase, Record, State, Used};

/// The thread's stack: the plugin's own, and as much again for host functions and the agent.
const STACK: usize = 2 * WASM_STACK + 512 * 1024;

/// The pause before an instance is rebuilt, doubled with each fault in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// So many faults in a row, and a plugin is given up.
const MOST_FAULTS: u32 = 5;

/// This long without a fault, and earlier ones are forgotten.
const HEALTHY: Duration = Duration::from_secs(60);

/// What all plugins share.
#[derive(Clone)]
pub struct Surroundings {
    /// Where components are compiled and run.
    pub sandbox: Arc<Sandbox>,
    /// What they act on.
    pub world: World,
}

/// A plugin that was started; its thread ends when told, or when it gives up.
pub struct Plugin {
    record: Arc<Record>,
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

/// How a plugin's first start went, sent once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It runs.
    Running,
    /// It does not: it was given up, or faulted and is to be tried again.
    Failed,
}

impl Plugin {
    /// Starts a plugin on a thread of its own, and returns at once. `started` hears how it went.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn spawn(
        config: config::Plugin,
        surroundings: Surroundings,
        started: mpsc::Sender<Started>,
    ) -> std::io::Result<Self> {
        let name: Arc<str> = config.name.as_str().into();
        let mailbox = Arc::new(Mailbox::default());
        surroundings.world.dispatcher.enrol(&name, &mailbox);
        let record = Arc::new(Record::new(name.clone(), config.limits));
        surroundings.world.board.enlist(&record, &mailbox, &config);
        let life = Life {
            name: name.clone(),
            record: record.clone(),
            mailbox: mailbox.clone(),
            config,
            surroundings,
            faults: Faults::default(),
        };
        let thread = std::thread::Builder::new()
            .name(thread_name(&name))
            .stack_size(STACK)
            .spawn(move || life.run(started))?;
        Ok(Self { record, mailbox, thread: Some(thread) })
    }

    /// Its name in `agent.toml`.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        self.record.plugin()
    }

    /// How it fares.
    #[must_use]
    pub fn state(&self) -> State {
        self.record.state()
    }

    /// Tells the plugin to end; it is not waited for.
    pub fn stop(&self) {
        self.mailbox.stop();
    }

    /// Waits until its thread has ended.
    pub fn join(mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(plugin = &**self.name(), "Its thread panicked");
        }
    }
}

/// What a plugin's thread knows.
struct Life {
    name: Arc<str>,
    record: Arc<Record>,
    mailbox: Arc<Mailbox>,
    config: config::Plugin,
    surroundings: Surroundings,
    faults: Faults,
}

/// The faults of a plugin, and what they led to.
#[derive(Default)]
struct Faults {
    in_a_row: u32,
    last: Option<Instant>,
    /// The events that the last fault happened on.
    suspect: Events,
    /// Events that killed it twice: it is no longer called for them.
    masked: Events,
}

/// Why an incarnation ended.
enum End {
    /// It was told to stop.
    Stop,
    /// It faulted while it was given these events; none when it was starting.
    Fault(Fault, Events),
    /// It is to begin anew.
    Again,
    /// It cannot start, and will not on another try either.
    Hopeless(String),
}

impl Life {
    fn run(mut self, started: mpsc::Sender<Started>) {
        let plugin = &*self.name.clone();
        let program = match self.surroundings.sandbox.link(&self.config) {
            Ok(program) => program,
            Err(error) => {
                tracing::error!(plugin, component = %self.config.component.display(), "Not admitted: {error:#}");
                self.record.enter(Phase::Disabled, Some(format!("Not admitted: {error:#}")));
                self.surroundings.world.dispatcher.dismiss(plugin);
                let _ = started.send(Started::Failed);
                return;
            }
        };
        self.record.change(|state| state.sha256 = Some(program.sha256().to_owned()));
        // Taken, and so dropped, by the first to send: the agent waits until all senders are gone.
        let mut started = Some(started);
        let outcome = loop {
            match self.incarnation(&program, &mut started) {
                End::Stop => break Started::Running,
                End::Again => {
                    tracing::info!(plugin, "Started anew");
                    self.withdraw_capabilities();
                }
                End::Hopeless(reason) => {
                    tracing::error!(plugin, "Given up: {reason}");
                    self.record.enter(Phase::Disabled, Some(reason));
                    break Started::Failed;
                }
                End::Fault(Fault::Stopped, _) => break Started::Running,
                End::Fault(fault, events) => {
                    self.record.faulted(fault.to_string());
                    // It may yet come round, but nobody is to wait for that.
                    if let Some(started) = started.take() {
                        let _ = started.send(Started::Failed);
                    }
                    let Some(pause) = self.faults.record(events) else {
                        tracing::error!(plugin, %events, "Given up after {MOST_FAULTS} faults in a row; the last: {fault}");
                        let reason = format!("{MOST_FAULTS} faults in a row; the last: {fault}");
                        self.record.enter(Phase::Quarantined, Some(reason));
                        break Started::Failed;
                    };
                    tracing::error!(plugin, %events, "Fault: {fault}");
                    if self.faults.masked.intersects(events) {
                        tracing::warn!(plugin, events = %self.faults.masked, "No longer called for events that stopped it twice");
                    }
                    tracing::info!(plugin, "Rebuilt in {pause:?}");
                    let (faults, masked) = (self.faults.in_a_row, self.faults.masked);
                    self.record.change(|state| {
                        (state.faults_in_a_row, state.masked) = (faults, masked);
                        state.phase = Phase::BackingOff { until: Instant::now() + pause };
                    });
                    if self.mailbox.stopped_within(pause) {
                        break Started::Running;
                    }
                    self.withdraw_capabilities();
                    // What it was given is not lost with the instance.
                    self.mailbox.post(events - self.faults.masked);
                }
            }
        };
        self.surroundings.world.dispatcher.dismiss(plugin);
        self.record.change(|state| {
            if !matches!(state.phase, Phase::Quarantined | Phase::Disabled) {
                state.phase = Phase::Stopped;
            }
        });
        if let Some(started) = started {
            let _ = started.send(outcome);
        }
    }

    /// Builds an instance and serves it until it ends, one way or another.
    fn incarnation(&self, program: &Program, started: &mut Option<mpsc::Sender<Started>>) -> End {
        let mut instance = match self.begin(program) {
            Ok(instance) => instance,
            Err(end) => return end,
        };
        if let Some(started) = started.take() {
            let _ = started.send(Started::Running);
        }
        loop {
            let rest = self.record.rested_at().saturating_duration_since(Instant::now());
            if !rest.is_zero() && self.mailbox.stopped_within(rest) {
                return End::Stop;
            }
            let (news, events) = match self.mailbox.take(self.record.settles_at()) {
                Err(Stop) => return End::Stop,
                Ok(None) => {
                    self.record.settle();
                    continue;
                }
                Ok(Some(News::Again)) => return End::Again,
                Ok(Some(News::Events(events))) => {
                    let events = events - self.faults.masked;
                    if events.is_empty() {
                        continue;
                    }
                    (News::Events(events), events)
                }
                Ok(Some(news)) => (news, Events::empty()),
            };
            if let Err(fault) = self.deliver(&mut instance, news) {
                return End::Fault(fault, events);
            }
        }
    }

    /// Makes an instance, calls its `init`, and subscribes it.
    fn begin(&self, program: &Program) -> Result<Instance, End> {
        let plugin = &*self.name;
        let starting = |fault| End::Fault(fault, Events::empty());
        let span = tracing::debug_span!("call", plugin, export = "init", outcome = tracing::field::Empty);
        let _entered = span.enter();
        self.record.change(|state| {
            (state.phase, state.incarnation) = (Phase::Starting, state.incarnation + 1);
        });
        self.record.attempt("init", Events::empty());
        let mut instance = program.start(self.host(), self.mailbox.stop_flag()).map_err(starting)?;
        let subscription = instance.init(&self.config.config).map_err(starting)?.map_err(|reason| {
            End::Hopeless(format!("`init` returned: {}", crate::host::printable(reason)))
        })?;

        let events = Events::from_bits_retain(subscription.events);
        let capabilities = Capabilities::from_bits_retain(subscription.capabilities);
        let authority = &self.config.authority;
        authority
            .permit_events(events)
            .and_then(|()| authority.permit_capabilities(capabilities))
            .map_err(|reason| End::Hopeless(format!("its subscription is {reason}")))?;
        if !events.is_empty() && !instance.handles_host_events() {
            let reason = "it subscribes to events and does not export `host-events`";
            return Err(End::Hopeless(reason.to_owned()));
        }
        let dispatcher = &self.surroundings.world.dispatcher;
        dispatcher.subscribe(plugin, events).map_err(|error| End::Hopeless(error.to_string()))?;
        dispatcher.announce(plugin, capabilities);
        self.record.ended(instance.took(), instance.used());
        self.record.change(|state| (state.phase, state.subscribed) = (Phase::Running, events));
        tracing::info!(plugin, %events, %capabilities, "Plugin runs");
        Ok(instance)
    }

    /// Calls the plugin for news.
    fn deliver(&self, instance: &mut Instance, news: News) -> Result<(), Fault> {
        let plugin = &*self.name;
        let export = news.export();
        let span = tracing::debug_span!("call", plugin, export);
        let _entered = span.enter();
        if let News::Events(events) = &news {
            tracing::trace!(target: "bellhop::ring", step = 5u64, plugin, %events, "Export called");
        }
        self.record.attempt(export, if let News::Events(events) = &news { *events } else { Events::empty() });
        let answer = instance.deliver(news);
        let Clocks { cpu, wall: took } = instance.took();
        match &answer {
            Ok(Ok(())) => tracing::debug!(outcome = "done", ?cpu, ?took, "Call ended"),
            Ok(Err(reason)) => {
                let reason = crate::host::printable(reason.clone());
                tracing::warn!(plugin, export, outcome = "error", ?took, "Handler returned: {reason}");
            }
            Err(fault) => tracing::debug!(outcome = "fault", ?cpu, ?took, "Call ended: {fault}"),
        }
        if answer.is_ok() {
            self.record.ended(instance.took(), instance.used());
        }
        tracing::trace!(target: "bellhop::ring", plugin, export, ?took, "Call ended");
        answer.map(drop)
    }

    /// Takes back what a faulted instance announced; the next one announces anew.
    fn withdraw_capabilities(&self) {
        let dispatcher = &self.surroundings.world.dispatcher;
        if let Err(error) =
            dispatcher.change_capabilities(&self.name, Capabilities::empty(), Capabilities::all())
        {
            tracing::warn!(plugin = &*self.name, "{error}");
        }
    }

    fn host(&self) -> Host {
        Host::new(self.record.clone(), &self.config, &self.surroundings.world, self.mailbox.begin())
    }
}

impl Faults {
    /// Records a fault on `events`; the pause before the next try, or `None` when there is none.
    fn record(&mut self, events: Events) -> Option<Duration> {
        if self.last.is_some_and(|last| last.elapsed() > HEALTHY) {
            self.in_a_row = 0;
            self.suspect = Events::empty();
        }
        self.last = Some(Instant::now());
        self.in_a_row += 1;
        self.masked |= self.suspect & events;
        self.suspect = events;
        (self.in_a_row < MOST_FAULTS).then(|| FIRST_PAUSE * 2_u32.pow(self.in_a_row - 1))
    }
}

/// Linux keeps fifteen bytes of a thread's name.
fn thread_name(plugin: &str) -> String {
    plugin.chars().take(15).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_stops_a_plugin_twice_is_masked() {
        let mut faults = Faults::default();

        faults.record(Events::DISPLAY_CHANGE);
        assert_eq!(faults.masked, Events::empty());
        faults.record(Events::DISPLAY_CHANGE | Events::RESTORED);

        assert_eq!(faults.masked, Events::DISPLAY_CHANGE);
    }

    #[test]
    fn the_pause_doubles_until_the_plugin_is_given_up() {
        let mut faults = Faults::default();

        let pauses: Vec<_> = (0..MOST_FAULTS).map(|_| faults.record(Events::empty())).collect();

        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(pauses, [millis(100), millis(200), millis(400), millis(800), None]);
    }
}

//! One plugin's life: its thread, its incarnations, what becomes of its faults.

mod faults;
mod state;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use driver_core::wire::{Capabilities, Events};

use crate::config::{self, OnFailure};
use crate::ending::Ending;
use crate::host::{Host, World};
use crate::mailbox::{Mailbox, News, Stop};
use crate::sandbox::engine::WASM_STACK;
use crate::sandbox::{Fault, Instance, Program, Sandbox};
use faults::{Faults, Sequel};

pub use state::{Attempt, Clocks, PastFault, Phase, Record, State, Used};

/// The thread's stack: the plugin's own, and as much again for host functions and the agent.
const STACK: usize = 2 * WASM_STACK + 512 * 1024;

/// What all plugins share.
#[derive(Clone)]
pub struct Surroundings {
    /// Where components are compiled and run.
    pub sandbox: Arc<Sandbox>,
    /// What they act on.
    pub world: World,
    /// Where a plugin whose failure is to end the agent says so.
    pub ending: Arc<Ending>,
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

/// Why an incarnation ended.
enum End {
    /// It was told to stop.
    Stop,
    /// It faulted in what its record says was attempted.
    Fault(Fault),
    /// It cannot start, and will not on another try either.
    Hopeless(String),
}

/// A plugin that is left off: in which phase, and why.
struct GivenUp(Phase, String);

impl Life {
    fn run(mut self, started: mpsc::Sender<Started>) {
        let plugin = &*self.name.clone();
        // Taken, and so dropped, by the first to send: the agent waits until all senders are gone.
        let mut started = Some(started);
        let outcome = self.live(&mut started);
        self.surroundings.world.dispatcher.dismiss(plugin);
        self.record.settle_now();
        let outcome = match outcome {
            Ok(Stop) => {
                self.record.enter(Phase::Stopped, None);
                Started::Running
            }
            Err(GivenUp(phase, reason)) => {
                tracing::error!(plugin, "{reason}");
                self.record.enter(phase, Some(reason.clone()));
                if self.config.on_failure == OnFailure::Exit {
                    self.surroundings.ending.demand(format!("Plugin {plugin} failed: {reason}"));
                }
                Started::Failed
            }
        };
        if let Some(started) = started {
            let _ = started.send(outcome);
        }
    }

    /// Admits the component, and has one instance after the other until it is told to stop or is given up.
    fn live(&mut self, started: &mut Option<mpsc::Sender<Started>>) -> Result<Stop, GivenUp> {
        let program = self.surroundings.sandbox.link(&self.config).map_err(|error| {
            let component = self.config.component.display();
            GivenUp(Phase::Disabled, format!("Not admitted: {component}: {error:#}"))
        })?;
        loop {
            // A panic is the agent's own fault, and no reason for the other plugins to end with it.
            let end = catch_unwind(AssertUnwindSafe(|| self.incarnation(&program, started)));
            let fault = match end.unwrap_or_else(|panic| End::Fault(Fault::of_panic(&*panic))) {
                End::Stop | End::Fault(Fault::Stopped) => return Ok(Stop),
                End::Hopeless(reason) => {
                    return Err(GivenUp(Phase::Disabled, format!("Given up: {reason}")));
                }
                End::Fault(fault) => fault,
            };
            // It may yet come round, but nobody is to wait for that.
            if let Some(started) = started.take() {
                let _ = started.send(Started::Failed);
            }
            let resumes = self.faulted(&fault)?;
            if self.mailbox.pause(resumes).is_err() {
                return Ok(Stop);
            }
        }
    }

    /// Deals with a fault: takes back what the instance left behind, says what happened in what, and when
    /// there is to be another instance.
    fn faulted(&mut self, fault: &Fault) -> Result<Instant, GivenUp> {
        let plugin = &*self.name;
        self.mailbox.abandon();
        self.withdraw_capabilities();
        let attempt = self.record.faulted(fault.to_string());
        let events = attempt.as_ref().map_or(Events::empty(), |attempt| attempt.events);
        tracing::error!(
            plugin,
            export = attempt.as_ref().map(|attempt| attempt.export),
            %events,
            host_call = attempt.as_ref().and_then(|attempt| attempt.host_call.as_deref()),
            "Fault: {fault}"
        );
        const AGAIN: &str = "mend or replace it, and reload the configuration to try it again";
        if self.config.on_failure != OnFailure::Restart {
            let reason = format!("Given up after a fault, as `on-failure` says: {fault}; {AGAIN}");
            return Err(GivenUp(Phase::Disabled, reason));
        }
        let now = Instant::now();
        let sequel = self.faults.record(events, now);
        self.record.change(|state| {
            (state.faults_in_a_row, state.masked) = (self.faults.in_a_row, self.faults.masked);
        });
        let Sequel::Rebuild { pause, masked } = sequel else {
            let most = faults::MOST;
            let reason = format!("Given up after {most} faults in a row, and quarantined: {fault}; {AGAIN}");
            return Err(GivenUp(Phase::Quarantined, reason));
        };
        if !masked.is_empty() {
            tracing::warn!(plugin, events = %masked, "No longer called for events that stopped it twice");
        }
        // What it was given is not lost with the instance.
        self.mailbox.post(events);
        tracing::info!(plugin, "Rebuilt in {pause:?}");
        self.record.enter(Phase::BackingOff { until: now + pause }, None);
        Ok(now + pause)
    }

    /// Builds an instance and serves it until it ends, one way or another.
    fn incarnation(&mut self, program: &Program, started: &mut Option<mpsc::Sender<Started>>) -> End {
        let before = Instant::now();
        let mut instance = match self.begin(program) {
            Ok(instance) => instance,
            Err(end) => return end,
        };
        self.record.change(|state| state.built_in = before.elapsed());
        if let Some(started) = started.take() {
            let _ = started.send(Started::Running);
        }
        loop {
            self.forget_faults();
            let until = self.record.settles_at().into_iter().chain(self.faults.healthy_at()).min();
            let news = match self.mailbox.take(self.record.rested_at(), until) {
                Err(Stop) => return End::Stop,
                Ok(None) => {
                    self.record.settle();
                    continue;
                }
                Ok(Some(News::Events(events))) => {
                    let (now, next) = self.faults.divide(events);
                    self.mailbox.post(next);
                    if now.is_empty() {
                        continue;
                    }
                    News::Events(now)
                }
                Ok(Some(news)) => news,
            };
            if let Err(fault) = self.deliver(&mut instance, news) {
                return End::Fault(fault);
            }
        }
    }

    /// After a healthy minute nothing is left of earlier faults.
    fn forget_faults(&mut self) {
        if self.faults.healthy_at().is_none_or(|at| at > Instant::now()) {
            return;
        }
        let (back, missed) = self.faults.forget();
        let masked = self.faults.masked;
        self.record.change(|state| (state.faults_in_a_row, state.masked) = (0, masked));
        if !back.is_empty() {
            tracing::info!(plugin = &*self.name, events = %back, "Healthy again: called for masked events once more");
        }
        self.mailbox.post(missed);
    }

    /// Makes an instance, calls its `init`, and subscribes it.
    fn begin(&self, program: &Program) -> Result<Instance, End> {
        let plugin = &*self.name;
        let span = tracing::debug_span!("call", plugin, export = "init", outcome = tracing::field::Empty);
        let _entered = span.enter();
        self.record.change(|state| {
            (state.phase, state.incarnation) = (Phase::Starting, state.incarnation + 1);
        });
        self.record.attempt("init", Events::empty());
        let mut instance = program.start(self.host(), self.mailbox.stop_flag()).map_err(End::Fault)?;
        let subscription = instance.init(&self.config.config).map_err(End::Fault)?.map_err(|reason| {
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

/// Linux keeps fifteen bytes of a thread's name.
fn thread_name(plugin: &str) -> String {
    plugin.chars().take(15).collect()
}

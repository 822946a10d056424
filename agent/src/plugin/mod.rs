//! One plugin's life: its thread, its incarnations, what becomes of its faults.

pub(crate) mod faults;
mod state;
mod succession;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use driver_core::wire::{Capabilities, Events};

use crate::config::{self, OnFailure};
use crate::ending::Ending;
use crate::host::{Host, World};
use crate::mailbox::{Mailbox, News, Poster, Stop, Turn};
use crate::sandbox::engine::WASM_STACK;
use crate::sandbox::{Fault, Instance, Program, Sandbox};
use crate::sync::lock;
use faults::{Faults, Sequel};

pub use state::{Attempt, Clocks, PastFault, Phase, Record, State, Used};
pub use succession::Successor;

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
    thread: Mutex<Option<JoinHandle<()>>>,
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
        Ok(Self { record, mailbox, thread: Mutex::new(Some(thread)) })
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

    /// Whether it runs, or may again by itself, and is made of this configuration and the component with
    /// this digest.
    #[must_use]
    pub fn is_made_of(&self, config: &config::Plugin, digest: &str) -> bool {
        self.record.is_made_of(config, digest)
    }

    /// Has a successor put in its place, which happens between two calls.
    ///
    /// # Errors
    /// When the plugin has ended: the successor.
    pub fn replace(&self, successor: Successor) -> Result<(), Box<Successor>> {
        self.mailbox.replace(Box::new(successor))
    }

    /// Whether its thread has ended, or is about to: it was stopped or left off.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.mailbox.is_closed()
    }

    /// Tells the plugin to end; it is not waited for.
    pub fn stop(&self) {
        self.mailbox.stop();
    }

    /// Waits until its thread has ended.
    pub fn join(&self) {
        let thread = lock(&self.thread).take();
        if let Some(thread) = thread
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

/// Nobody looks into the mailbox any more when this is dropped, by a panic too.
struct Closing(Arc<Mailbox>);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What an instance wants to hear of and announce, within its grants.
struct Wants {
    events: Events,
    capabilities: Capabilities,
}

/// Why an incarnation ended.
enum End {
    /// It was told to stop.
    Stop,
    /// It is to begin anew.
    Again,
    /// It failed.
    Failed(Failure),
}

/// How an instance failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// In what its record says was attempted.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It cannot start, and will not on another try either.
    #[error("{0}")]
    Hopeless(String),
}

/// A plugin that is left off: in which phase, and why.
struct GivenUp(Phase, String);

impl Life {
    fn run(mut self, started: mpsc::Sender<Started>) {
        let plugin = &*self.name.clone();
        let _closing = Closing(self.mailbox.clone());
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
                tracing::error!(plugin, component = %self.config.component.display(), "{reason}");
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
        let mut program = self
            .surroundings
            .sandbox
            .link(&self.config)
            .map_err(|error| GivenUp(Phase::Disabled, format!("Not admitted: {error:#}")))?;
        self.record.made_of(&self.config, program.sha256());
        let mut ready = None;
        loop {
            // A panic is the agent's own fault, and no reason for the other plugins to end with it.
            let end =
                catch_unwind(AssertUnwindSafe(|| self.incarnation(&mut program, ready.take(), started)));
            let fault = match end.unwrap_or_else(|panic| End::Failed(Fault::of_panic(&*panic).into())) {
                End::Stop | End::Failed(Failure::Fault(Fault::Stopped)) => return Ok(Stop),
                End::Again => {
                    tracing::info!(plugin = &*self.name, "Started anew");
                    self.mailbox.abandon();
                    self.withdraw_capabilities(Capabilities::all());
                    continue;
                }
                End::Failed(Failure::Hopeless(reason)) => {
                    return Err(GivenUp(Phase::Disabled, format!("Given up: {reason}")));
                }
                End::Failed(Failure::Fault(fault)) => fault,
            };
            // It may yet come round, but nobody is to wait for that.
            if let Some(started) = started.take() {
                let _ = started.send(Started::Failed);
            }
            let resumes = self.faulted(&fault)?;
            ready = match self.pause(&mut program, resumes) {
                Ok(ready) => ready,
                Err(Stop) => return Ok(Stop),
            };
        }
    }

    /// Waits until the next instance is to be made. A successor need not wait, if it is of use.
    fn pause(&mut self, program: &mut Program, until: Instant) -> Result<Option<Instance>, Stop> {
        while let Some(successor) = self.mailbox.pause(until)? {
            let ready = self.replace(None, program, *successor);
            if let Ok(Some(instance)) = ready {
                return Ok(Some(instance));
            }
        }
        Ok(None)
    }

    /// Deals with a fault: takes back what the instance left behind, says what happened in what, and when
    /// there is to be another instance.
    fn faulted(&mut self, fault: &Fault) -> Result<Instant, GivenUp> {
        let plugin = &*self.name;
        self.mailbox.abandon();
        self.withdraw_capabilities(Capabilities::all());
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

    /// Builds an instance, unless one is ready, and serves it until it ends, one way or another.
    fn incarnation(
        &mut self,
        program: &mut Program,
        ready: Option<Instance>,
        started: &mut Option<mpsc::Sender<Started>>,
    ) -> End {
        let mut instance = match ready.map_or_else(|| self.start(program), Ok) {
            Ok(instance) => instance,
            Err(failure) => return End::Failed(failure),
        };
        if let Some(started) = started.take() {
            let _ = started.send(Started::Running);
        }
        loop {
            self.forget_faults();
            let until = self.record.settles_at().into_iter().chain(self.faults.healthy_at()).min();
            let news = match self.mailbox.take(self.record.rested_at(), until) {
                Err(Stop) => return End::Stop,
                Ok(Turn::Nothing) => {
                    self.record.settle();
                    continue;
                }
                Ok(Turn::News(News::Again)) => return End::Again,
                Ok(Turn::Replace(successor)) => {
                    match self.replace(Some(&mut instance), program, *successor) {
                        Ok(Some(successor)) => instance = successor,
                        Ok(None) => {}
                        Err(fault) => return End::Failed(fault.into()),
                    }
                    continue;
                }
                Ok(Turn::News(News::Events(events))) => {
                    let (now, next) = self.faults.divide(events);
                    self.mailbox.post(next);
                    if now.is_empty() {
                        continue;
                    }
                    News::Events(now)
                }
                Ok(Turn::News(news)) => news,
            };
            if let Err(fault) = self.deliver(&mut instance, news) {
                return End::Failed(fault.into());
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

    /// Makes the next instance, the one that is called for news.
    fn start(&self, program: &Program) -> Result<Instance, Failure> {
        self.record.change(|state| {
            (state.phase, state.incarnation) = (Phase::Starting, state.incarnation + 1);
        });
        let before = Instant::now();
        let (mut instance, wants) = self.begin(&self.config, program, self.mailbox.begin())?;
        self.settle_in(&mut instance, &wants)?;
        self.record.change(|state| state.built_in = before.elapsed());
        Ok(instance)
    }

    /// Makes an instance, calls its `init`, and says what it wants, which is within its grants.
    fn begin(
        &self,
        config: &config::Plugin,
        program: &Program,
        poster: Poster,
    ) -> Result<(Instance, Wants), Failure> {
        let plugin = &*self.name;
        let span = tracing::debug_span!("call", plugin, export = "init", outcome = tracing::field::Empty);
        let _entered = span.enter();
        self.record.attempt("init", Events::empty());
        let host = Host::new(self.record.clone(), config, &self.surroundings.world, poster);
        let mut instance = program.start(host, self.mailbox.stop_flag())?;
        let subscription = instance.init(&config.config)?.map_err(|reason| {
            Failure::Hopeless(format!("`init` returned: {}", crate::host::printable(reason)))
        })?;

        let events = Events::from_bits_retain(subscription.events);
        let capabilities = Capabilities::from_bits_retain(subscription.capabilities);
        let authority = &config.authority;
        authority
            .permit_events(events)
            .and_then(|()| authority.permit_capabilities(capabilities))
            .map_err(|reason| Failure::Hopeless(format!("its subscription is {reason}")))?;
        if !events.is_empty() && !instance.handles_host_events() {
            let reason = "it subscribes to events and does not export `host-events`";
            return Err(Failure::Hopeless(reason.to_owned()));
        }
        Ok((instance, Wants { events, capabilities }))
    }

    /// Subscribes an instance to what it wants, in the place of what was subscribed to before.
    fn settle_in(&self, instance: &mut Instance, wants: &Wants) -> Result<(), Failure> {
        let plugin = &*self.name;
        let Wants { events, capabilities } = *wants;
        let dispatcher = &self.surroundings.world.dispatcher;
        dispatcher.subscribe(plugin, events).map_err(|error| Failure::Hopeless(error.to_string()))?;
        dispatcher.announce(plugin, capabilities);
        self.withdraw_capabilities(Capabilities::all() - capabilities - instance.host_mut().announced());
        self.record.ended(instance.took(), instance.used());
        self.record.change(|state| (state.phase, state.subscribed) = (Phase::Running, events));
        tracing::info!(plugin, %events, %capabilities, "Plugin runs");
        Ok(())
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

    /// Takes back what earlier instances announced.
    fn withdraw_capabilities(&self, capabilities: Capabilities) {
        let dispatcher = &self.surroundings.world.dispatcher;
        if let Err(error) = dispatcher.change_capabilities(&self.name, Capabilities::empty(), capabilities) {
            tracing::warn!(plugin = &*self.name, "{error}");
        }
    }
}

/// Linux keeps fifteen bytes of a thread's name.
fn thread_name(plugin: &str) -> String {
    plugin.chars().take(15).collect()
}

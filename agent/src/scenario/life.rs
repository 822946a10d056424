//! A plugin's life in virtual time: what happens to it in the agent, one thing after the other.
//!
//! What follows a fault is decided by the agent's own rules ([`Faults`]), and what an instance may do by the
//! plugin's own [`Limits`](crate::config::Limits). Only processor time is counted otherwise, in instructions.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use driver_core::wire::{Capabilities, Events};
use serde_json::Value;

use super::cost::Cost;
use super::pattern::resolved;
use super::report::{Failure, Played};
use super::step::{Expected, Happening, Kind, Standing, Step, What};
use super::world::World;
use crate::config::{OnFailure, Plugin};
use crate::host::printable;
use crate::observe::nanoseconds;
use crate::plugin::faults::{Faults, MOST, Sequel};
use crate::replay::stage::{Meter, Scene, Stage};
use crate::sandbox::Fault;
use crate::sync::lock;

/// A nanosecond of processor time is taken for so many instructions.
const INSTRUCTIONS_PER_NANOSECOND: u64 = 1;

/// So many calls of a plugin come of one step at most: one that sets a timer for now in each timer would never
/// come to an end.
const MOST_CALLS: u64 = 100_000;

/// The stage on which scenarios play.
pub(super) type Theatre = Stage<Arc<Mutex<World>>>;

/// A plugin whose scenario is being played.
pub(super) struct Life<'a> {
    stage: &'a Theatre,
    plugin: &'a Plugin,
    world: Arc<Mutex<World>>,
    pub(super) scene: Option<Scene<Arc<Mutex<World>>>>,
    pub(super) phase: Phase,
    pub(super) reason: Option<String>,
    pub(super) incarnation: u64,
    pub(super) subscribed: Events,
    pub(super) capabilities: Capabilities,
    pub(super) faults: Faults,
    pub(super) faulted: u64,
    pub(super) last_fault: Option<String>,
    /// Events that it is still to be called for.
    pending: Events,
    pub(super) since: Since,
    cost: &'a mut Cost,
    played: Played,
}

/// Whether it runs: [`crate::plugin::Phase`], by another clock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Stopped,
    Running,
    BackingOff(Duration),
    Disabled,
    Quarantined,
}

impl Phase {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::BackingOff(_) => "backing-off",
            Self::Disabled => "disabled",
            Self::Quarantined => "quarantined",
        }
    }
}

/// What came of what happened last.
#[derive(Default)]
pub(super) struct Since {
    pub(super) calls: u64,
    pub(super) host_calls: u64,
    pub(super) instructions: u64,
    /// The first error that the plugin returned, with what returned it.
    error: Option<String>,
    /// The first fault, likewise.
    fault: Option<String>,
}

/// What came of a step: a failure ends the scenario.
pub(super) type Outcome<T> = Result<T, Box<Failure>>;

impl<'a> Life<'a> {
    /// A plugin that has not been started.
    pub(super) fn new(stage: &'a Theatre, plugin: &'a Plugin, name: &str, cost: &'a mut Cost) -> Self {
        Self {
            stage,
            plugin,
            world: Arc::new(Mutex::new(World::new(stage.imports(), plugin))),
            scene: None,
            phase: Phase::Stopped,
            reason: None,
            incarnation: 0,
            subscribed: Events::empty(),
            capabilities: Capabilities::empty(),
            faults: Faults::default(),
            faulted: 0,
            last_fault: None,
            pending: Events::empty(),
            since: Since::default(),
            cost,
            played: Played { name: name.to_owned(), steps: 0, calls: 0, failure: None },
        }
    }

    /// Plays the steps up to the first that fails.
    pub(super) fn play(mut self, steps: &[Step]) -> Played {
        let mut rest = steps;
        while let Some((step, following)) = rest.split_first() {
            rest = following;
            self.played.steps += 1;
            let outcome = match &step.kind {
                Kind::Happens(happening) => {
                    let count = rest.iter().take_while(|step| matches!(step.kind, Kind::Expect(_))).count();
                    let (expected, following) = rest.split_at(count);
                    rest = following;
                    self.played.steps += count;
                    self.happens(happening, expected)
                }
                Kind::Expect(_) => Err(failure(
                    "Nothing happens that this could come of: it follows what makes the plugin ask",
                    "something that happens",
                    "an expectation alone",
                )),
                Kind::Answer(standing) => {
                    self.world().answer_with(standing.clone());
                    Ok(())
                }
                Kind::Buffer(name, bytes) => {
                    self.world().fill(name, bytes);
                    Ok(())
                }
                Kind::Check(check) => self.check(check),
            };
            if let Err(mut failure) = outcome {
                failure.line.get_or_insert(step.line);
                self.played.failure = Some(*failure);
                break;
            }
        }
        self.played
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    /// Lets something happen, and looks whether all came of it that was to.
    fn happens(&mut self, happening: &Happening, expected: &[Step]) -> Outcome<()> {
        let expected = expected.iter().filter_map(|step| match &step.kind {
            Kind::Expect(expected) => Some(expected.clone()),
            _ => None,
        });
        let expected: Vec<Expected> = expected.collect();
        self.since = Since::default();
        self.world().begin(expected);
        self.make_happen(&happening.what)?;
        // What the plugin said comes before what it did not ask for, which may have come of that.
        for (kind, wanted, seen) in [
            ("an error", &happening.fails, &self.since.error),
            ("a fault", &happening.faults, &self.since.fault),
        ] {
            match (wanted, seen) {
                (None, Some(seen)) => {
                    return Err(failure(&format!("There was {kind}"), "a call that ends well", seen));
                }
                (Some(wanted), seen) if seen.as_ref().is_none_or(|seen| !seen.contains(wanted.as_str())) => {
                    let seen = seen.as_deref().unwrap_or("(none)");
                    return Err(failure(&format!("There was to be {kind} with this text"), wanted, seen));
                }
                _ => {}
            }
        }
        self.world().end().map_or(Ok(()), |failure| Err(Box::new(failure)))
    }

    fn make_happen(&mut self, what: &What) -> Outcome<()> {
        let started = self.incarnation > 0;
        match what {
            What::Start if started => {
                Err(failure("It is started already", "`restart` or `replace`", "`start`"))
            }
            What::Start => {
                self.start(None)?;
                self.serve()
            }
            _ if !started && !matches!(what, What::Advance(_)) => {
                Err(failure("The plugin was not started", "`start = true` before this", "this"))
            }
            What::Restart => {
                self.leave();
                self.start(None)?;
                self.serve()
            }
            What::Replace => self.replace(),
            What::Events(events) => self.raise(*events),
            What::Hint(changes) => {
                self.world().hint(changes);
                self.raise(Events::DISPLAY_CHANGE)
            }
            What::Seamless(answer) => {
                self.answer("seamless.fetch", answer);
                self.raise(Events::SEAMLESS_MODE_CHANGE)
            }
            What::Windows(answer) => {
                self.answer("windows.look", answer);
                if self.world().watches_windows && self.phase == Phase::Running {
                    self.call("window-events.on-windows-changed", &[], Events::empty())?;
                }
                self.serve()
            }
            What::Call(function, arguments) => {
                if self.phase != Phase::Running {
                    return Err(failure("The plugin does not run", "running", self.phase.name()));
                }
                let arguments = {
                    let names = &self.world().names;
                    arguments.iter().map(|argument| resolved(argument, names)).collect::<Result<Vec<_>, _>>()
                };
                let arguments =
                    arguments.map_err(|error| failure("The call cannot be made", "a value", &error))?;
                self.call(function, &arguments, Events::empty())?;
                self.serve()
            }
            What::Advance(span) => self.advance(*span),
        }
    }

    fn answer(&self, function: &str, answer: &Value) {
        let standing = Standing { function: function.to_owned(), arguments: None, answer: answer.clone() };
        self.world().answer_with(standing);
    }

    /// The host raises events: those that the plugin subscribed to wait until it can be called.
    fn raise(&mut self, events: Events) -> Outcome<()> {
        self.pending |= events & self.subscribed;
        self.serve()
    }

    /// Makes an instance, handed what its predecessor saved if there was one. What goes wrong with it becomes
    /// the plugin's state.
    fn start(&mut self, saved: Option<Value>) -> Outcome<()> {
        self.incarnation += 1;
        self.world().abandon();
        let most = self.most_instructions();
        let limits = &self.plugin.limits;
        match self.stage.begin(self.world.clone(), true, limits, most) {
            Ok(scene) => {
                self.cost.instantiated(scene.meter().instructions);
                self.scene = Some(scene);
            }
            Err(error) => return self.fault("its start", error, Events::empty()),
        }
        let config = [Value::String(self.plugin.config.clone())];
        let Some(said) = self.made("lifecycle.init", &config, Events::empty())? else { return Ok(()) };
        let subscription = match said {
            Ok(subscription) => subscription,
            Err(reason) => {
                self.give_up(format!("`init` returned: {reason}"));
                return Ok(());
            }
        };
        if let Some(saved) = saved
            && let Some(Err(reason)) = self.made("hand-over.restore", &[saved], Events::empty())?
        {
            self.give_up(format!("`restore` returned: {reason}"));
        }
        if self.scene.is_none() {
            return Ok(());
        }
        let bits = |name: &str| subscription.get(name).and_then(Value::as_u64).unwrap_or(0) as u32;
        let events = Events::from_bits_retain(bits("events"));
        let capabilities = Capabilities::from_bits_retain(bits("capabilities"));
        let authority = &self.plugin.authority;
        let permitted =
            authority.permit_events(events).and_then(|()| authority.permit_capabilities(capabilities));
        if let Err(reason) = permitted {
            self.since.error.get_or_insert(format!("its subscription is {reason}"));
            self.give_up(format!("its subscription is {reason}"));
            return Ok(());
        }
        if !events.is_empty() && self.stage.export("host-events.on-host-events").is_none() {
            let reason = "it subscribes to events and does not export `host-events`";
            self.since.error.get_or_insert(reason.to_owned());
            self.give_up(reason.to_owned());
            return Ok(());
        }
        (self.subscribed, self.capabilities) = (events, capabilities);
        self.pending &= events;
        self.phase = Phase::Running;
        Ok(())
    }

    /// Another instance takes this one's place, and is handed what this one saves, if both can do that.
    fn replace(&mut self) -> Outcome<()> {
        let hands_over = self.phase == Phase::Running && self.stage.export("hand-over.save").is_some();
        let saved = if hands_over {
            let largest = self.plugin.limits.hand_over.0;
            match self.made("hand-over.save", &[largest.into()], Events::empty())? {
                Some(Ok(saved)) => Some(saved),
                _ => return Ok(()),
            }
        } else {
            None
        };
        self.leave();
        self.faults = Faults::default();
        self.start(saved)?;
        self.serve()
    }

    /// The instance that there is ends.
    fn leave(&mut self) {
        self.scene = None;
        self.phase = Phase::Stopped;
        self.reason = None;
        self.capabilities = Capabilities::empty();
        self.world().abandon();
    }

    fn give_up(&mut self, reason: String) {
        self.leave();
        self.subscribed = Events::empty();
        self.phase = Phase::Disabled;
        self.reason = Some(reason);
    }

    /// Calls the plugin for what waits, as far as it can be called now.
    fn serve(&mut self) -> Outcome<()> {
        loop {
            let now = self.world().now;
            if let Phase::BackingOff(until) = self.phase
                && until <= now
            {
                self.start(None)?;
                continue;
            }
            if self.faults.healthy_at().is_some_and(|at| self.world().at(at) <= now) {
                let (_, missed) = self.faults.forget();
                self.pending |= missed;
            }
            if self.phase != Phase::Running || self.world().rested_at() > now {
                return Ok(());
            }
            let (events, next) = self.faults.divide(self.pending);
            self.pending = next;
            if !events.is_empty() {
                self.call("host-events.on-host-events", &[events.bits().into()], events)?;
                continue;
            }
            let due = self.world().due_timer();
            match due {
                Some(timer) if self.stage.export("timer-events.on-timer").is_some() => {
                    self.call("timer-events.on-timer", &[timer.into()], Events::empty())?;
                }
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    /// Lets time pass, from one thing that is due to the next.
    fn advance(&mut self, span: Duration) -> Outcome<()> {
        let end = self.world().now.saturating_add(span);
        loop {
            let next = self.next_due().filter(|at| *at <= end);
            {
                let mut world = self.world();
                world.now = next.map_or(end, |at| at.max(world.now));
            }
            self.serve()?;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// When something is to be done next.
    fn next_due(&self) -> Option<Duration> {
        let world = self.world();
        let waits = world.next_timer().or_else(|| (!self.pending.is_empty()).then_some(world.now));
        let due = match self.phase {
            Phase::BackingOff(until) => Some(until),
            Phase::Running => waits.map(|at| at.max(world.rested_at())),
            _ => None,
        };
        due.into_iter().chain(self.faults.healthy_at().map(|at| world.at(at))).min()
    }

    /// Calls a handler, whose own word is kept.
    fn call(&mut self, function: &str, arguments: &[Value], events: Events) -> Outcome<()> {
        self.made(function, arguments, events).map(drop)
    }

    /// Calls an export. Gives the plugin's own word, or nothing if the call ended with a fault.
    fn made(
        &mut self,
        function: &str,
        arguments: &[Value],
        events: Events,
    ) -> Outcome<Option<Result<Value, String>>> {
        self.since.calls += 1;
        self.played.calls += 1;
        if self.since.calls > MOST_CALLS {
            let seen = format!("{} calls", self.since.calls);
            return Err(failure("This comes to no end", &format!("at most {MOST_CALLS} calls"), &seen));
        }
        let most = self.most_instructions();
        let Some(scene) = &mut self.scene else { return Ok(None) };
        let outcome = self.stage.call(scene, function, arguments, most);
        let (meter, memory) = (scene.meter().clone(), scene.memory());
        let Meter { instructions, host_calls, .. } = &meter;
        self.since.instructions += instructions;
        self.since.host_calls += host_calls.values().sum::<u64>();
        self.cost.called(function, &meter, memory);
        if let Some(failure) = self.world().failure.take() {
            return Err(Box::new(failure));
        }
        match outcome {
            Err(error) => self.fault(function, error, events).map(|()| None),
            Ok(Value::Object(mut said)) if said.contains_key("err") => {
                let reason = said.remove("err").and_then(|reason| reason.as_str().map(str::to_owned));
                let reason = printable(reason.unwrap_or_default());
                self.since.error.get_or_insert(format!("{function} returned: {reason}"));
                Ok(Some(Err(reason)))
            }
            Ok(mut said) => Ok(Some(Ok(said.get_mut("ok").map(Value::take).unwrap_or(said)))),
        }
    }

    /// Deals with a fault as the agent does.
    fn fault(&mut self, function: &str, error: wasmtime::Error, events: Events) -> Outcome<()> {
        if let Some(unfit) = error.downcast_ref::<crate::replay::values::Unfit>() {
            let (wanted, found) = (unfit.wanted.clone(), unfit.found.clone());
            return Err(failure("The plugin cannot be handed this", &wanted, &found));
        }
        let fault = Fault::of(error, &self.plugin.limits).to_string();
        self.since.fault.get_or_insert(format!("{function}: {fault}"));
        self.faulted += 1;
        self.last_fault = Some(fault.clone());
        if self.plugin.on_failure != OnFailure::Restart {
            self.give_up(format!("Given up after a fault, as `on-failure` says: {fault}"));
            return Ok(());
        }
        let now = self.world().instant();
        let sequel = self.faults.record(events, now);
        self.leave();
        match sequel {
            Sequel::Rebuild { pause, .. } => {
                let now = self.world().now;
                self.phase = Phase::BackingOff(now + pause);
                self.pending |= events;
            }
            Sequel::Quarantine => {
                self.phase = Phase::Quarantined;
                self.reason =
                    Some(format!("Given up after {MOST} faults in a row, and quarantined: {fault}"));
            }
        }
        Ok(())
    }

    /// How many instructions a call may take.
    fn most_instructions(&self) -> u64 {
        nanoseconds(self.plugin.limits.cpu_per_event.0).saturating_mul(INSTRUCTIONS_PER_NANOSECOND)
    }
}

/// A step that fails, at its own line.
pub(super) fn failure(what: &str, expected: &str, seen: &str) -> Box<Failure> {
    Box::new(Failure {
        line: None,
        what: what.to_owned(),
        expected: expected.to_owned(),
        seen: seen.to_owned(),
    })
}

//! What steps hold to be so: of the log, of what was asked for, of the plugin's state and of what it took.

use driver_core::wire::{Capabilities, Events};
use serde_json::{Value, json};

use super::life::{Life, Outcome, failure};
use super::report::Failure;
use super::step::{Check, LEVELS};
use super::world::World;
use crate::observe::values::bytes;
use crate::replay::stage::Scene;

/// What is known of a plugin, as `expect-state` names it.
pub(super) const STATE: [&str; 11] = [
    "phase",
    "reason",
    "incarnation",
    "subscribed",
    "capabilities",
    "masked",
    "faults",
    "last-fault",
    "timers",
    "buffers",
    "watches-windows",
];

/// Those of which a part will do.
const TEXTS: [&str; 2] = ["reason", "last-fault"];

/// What is otherwise than a step says, if anything is.
type Wrong = Option<Box<Failure>>;

impl Life<'_> {
    /// Looks whether something is so.
    pub(super) fn check(&self, check: &Check) -> Outcome<()> {
        let world = self.world();
        let wrong = match check {
            Check::None(patterns) => asked(&world, patterns),
            Check::Log(text, level) => not_logged(&world, text, level.as_deref()),
            Check::NoLog(level) => logged(&world, level),
            Check::State(wanted) => differs(&self.state(&world), wanted),
            Check::Within(limits) => limits.iter().find_map(|(name, most)| {
                let used = self.used(&world, name);
                let is = |number: u64| format!("{name} = {number}");
                (used > *most).then(|| failure("The plugin took more", &is(*most), &is(used)))
            }),
            Check::Buffer(name, wanted) => holds_other(&world, name, wanted),
        };
        wrong.map_or(Ok(()), Err)
    }

    /// What it took of what `expect-within` names.
    fn used(&self, world: &World, name: &str) -> u64 {
        match name {
            "calls" => self.since.calls,
            "host-calls" => self.since.host_calls,
            "requests" => world.since.requests,
            "instructions" => self.since.instructions,
            "log" => world.since.log,
            _ => self.scene.as_ref().map_or(0, Scene::memory),
        }
    }

    /// What is known of the plugin, under the names of [`STATE`].
    fn state(&self, world: &World) -> Value {
        let events = |events: Events| events.iter().filter_map(Events::name).collect::<Vec<_>>();
        let capabilities: Vec<_> = self.capabilities.iter().filter_map(Capabilities::name).collect();
        let mut state = json!({
            "phase": self.phase.name(),
            "reason": self.reason,
            "incarnation": self.incarnation,
            "subscribed": events(self.subscribed),
            "capabilities": capabilities,
            "masked": events(self.faults.masked),
            "faults": self.faulted,
            "last-fault": self.last_fault,
        });
        for (name, value) in world.used() {
            state[name] = value;
        }
        state
    }
}

/// A call of a function that is not to be called.
fn asked(world: &World, patterns: &[String]) -> Wrong {
    let meant = |asked: &&String| {
        let function = asked.split('(').next().unwrap_or_default();
        patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => function.starts_with(start),
            None => function == pattern,
        })
    };
    let asked = world.since.asked.iter().find(meant)?;
    Some(failure("The plugin asks for what it is not to", "(nothing)", asked))
}

/// That no line has this text.
fn not_logged(world: &World, text: &str, level: Option<&str>) -> Wrong {
    let lines = &world.since.lines;
    let meant = |(at, line): &(String, String)| line.contains(text) && level.is_none_or(|level| level == at);
    if lines.iter().any(meant) {
        return None;
    }
    let wanted = level.map_or_else(|| text.to_owned(), |level| format!("{level}: {text}"));
    let said: Vec<_> = lines.iter().map(|(level, line)| format!("{level}: {line}")).collect();
    // One under the other.
    let said = if said.is_empty() { "(nothing)".to_owned() } else { said.join("\n            ") };
    Some(failure("The log does not say this", &wanted, &said))
}

/// A line that is too important.
fn logged(world: &World, level: &str) -> Wrong {
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    let (at, line) = world.since.lines.iter().find(|(at, _)| rank(at) >= rank(level))?;
    let wanted = format!("(nothing at `{level}` or above)");
    Some(failure("The log says something", &wanted, &format!("{at}: {line}")))
}

/// A field of the state that is another.
fn differs(state: &Value, wanted: &Value) -> Wrong {
    wanted.as_object()?.iter().find_map(|(key, wanted)| {
        let seen = state.get(key).unwrap_or(&Value::Null);
        let is_part = TEXTS.contains(&key.as_str())
            && wanted.as_str().zip(seen.as_str()).is_some_and(|(part, text)| text.contains(part));
        let is = |value: &Value| format!("{key} = {value}");
        (wanted != seen && !is_part).then(|| failure("The plugin's state is another", &is(wanted), &is(seen)))
    })
}

/// A buffer that holds something else, or that there is not.
fn holds_other(world: &World, name: &str, wanted: &[u8]) -> Wrong {
    let shown = |content: &[u8]| match str::from_utf8(content) {
        Ok(text) => format!("{text:?}"),
        Err(_) => bytes(content, true).to_string(),
    };
    let seen = match world.content(name) {
        Some(seen) if seen == wanted => return None,
        Some(seen) => shown(seen),
        None => "(no such buffer)".to_owned(),
    };
    Some(failure("The buffer has something else", &shown(wanted), &seen))
}

//! The world as a plugin in a scenario finds it: what it asks for is held against what is expected, and
//! answered as the scenario says.
//!
//! What is the agent's own, the log, the clock, timers and buffers, is there without a word, within the
//! plugin's limits. What the grants do not cover is denied, and a request beyond the limit refused, as the
//! agent would. All else is answered by the step that expects it, or else by the last standing answer; what
//! neither knows ends the scenario.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use driver_core::wire::{Capabilities, RequestType};
use serde_json::{Value, json};

use super::pattern::{Names, as_bytes, matches, resolved};
use super::report::Failure;
use super::step::{Expected, Standing, usual};
use crate::bucket::Bucket;
use crate::config::Plugin;
use crate::grants::Authority;
use crate::host::{LARGEST_READ, printable};
use crate::observe::nanoseconds;
use crate::observe::values::bytes;
use crate::replay::stage::{Answer, Functions, Prompter};
use crate::replay::tape::written;
use crate::sandbox::admission;
use crate::sync::lock;

/// When a scenario begins, in nanoseconds since the Unix epoch: the beginning of the year 2026.
const BEGINNING: u64 = 1_767_225_600_000_000_000;

/// What is there without a word.
const OWN: [&str; 4] = ["log.", "clock.", "timers.", "buffers."];

/// What beside it costs nothing: it only ends something.
const FREE: [&str; 6] = [
    "hgcm.cancel",
    "hgcm.disconnect",
    "properties.unwatch",
    "clipboard.withdraw",
    "clipboard.answer",
    "clipboard.refuse",
];

/// What is answered with a number that names what was begun, unless something else is said.
const BEGINS: [&str; 4] = ["hgcm.connect", "hgcm.submit", "properties.watch", "clipboard.read"];

/// What host calls act on, shared with whoever plays the scenario.
pub(super) struct World {
    imports: Functions,
    plugin: Plugin,
    /// An instant for the zero of virtual time: only differences are looked at.
    zero: Instant,
    /// Virtual time since then.
    pub(super) now: Duration,
    last_token: u64,
    /// When each timer fires.
    timers: BTreeSet<(Duration, u64)>,
    buffers: BTreeMap<u64, Vec<u8>>,
    /// Buffers whose bytes were given to the host, or to somebody who pastes, as they were then.
    given: BTreeMap<u64, Vec<u8>>,
    /// The services of clients.
    clients: BTreeMap<u64, String>,
    pub(super) watches_windows: bool,
    requests: Bucket,
    log: Bucket,
    pub(super) names: Names,
    expected: VecDeque<Expected>,
    standing: Vec<Standing>,
    wishes: Option<Wishes>,
    /// Host calls that were expected and made, since what happened last.
    met: u64,
    pub(super) since: Since,
    pub(super) failure: Option<Failure>,
}

/// What was seen since what happened last.
#[derive(Default)]
pub(super) struct Since {
    /// Lines of the log, with their levels.
    pub(super) lines: Vec<(String, String)>,
    /// Calls of what is not the agent's own, as they are written.
    pub(super) asked: Vec<String>,
    /// Those of them that are paid for.
    pub(super) requests: u64,
    /// Bytes of the log.
    pub(super) log: u64,
}

/// What the host wants of its displays, by hints.
#[derive(Default)]
struct Wishes {
    all: BTreeMap<u64, Value>,
    /// Those that were not acknowledged.
    new: BTreeMap<u64, Value>,
}

impl Prompter for Arc<Mutex<World>> {
    fn answer(&mut self, function: &str, arguments: Vec<Value>) -> Answer {
        let mut world = lock(self);
        match world.asked(function, &arguments) {
            Ok(value) => Answer::Returns(value),
            Err(failure) => {
                world.failure = Some(*failure);
                Answer::Differs
            }
        }
    }
}

impl World {
    pub(super) fn new(imports: &Functions, plugin: &Plugin) -> Self {
        let requests = Bucket::new(plugin.limits.requests_per_second.into());
        let log = Bucket::new(plugin.limits.log_per_second.0);
        Self {
            imports: imports.clone(),
            plugin: plugin.clone(),
            // After the buckets, which are full from when they were made.
            zero: Instant::now(),
            now: Duration::ZERO,
            last_token: 0,
            timers: BTreeSet::new(),
            buffers: BTreeMap::new(),
            given: BTreeMap::new(),
            clients: BTreeMap::new(),
            watches_windows: false,
            requests,
            log,
            names: Names::new(),
            expected: VecDeque::new(),
            standing: Vec::new(),
            wishes: None,
            met: 0,
            since: Since::default(),
            failure: None,
        }
    }

    /// The moment that virtual time has come to, for what counts in moments.
    pub(super) fn instant(&self) -> Instant {
        self.zero + self.now
    }

    /// The virtual time of such a moment.
    pub(super) fn at(&self, instant: Instant) -> Duration {
        instant.saturating_duration_since(self.zero)
    }

    /// Something is about to happen, of which this is expected.
    pub(super) fn begin(&mut self, expected: Vec<Expected>) {
        self.expected = expected.into();
        self.met = 0;
        self.since = Since::default();
    }

    /// It has happened: the first thing that was expected and did not come.
    pub(super) fn end(&mut self) -> Option<Failure> {
        let failure = self.failure.take();
        failure.or_else(|| self.expected.pop_front().map(|missed| self.differs(Some(&missed), None)))
    }

    /// Forgets what an instance began, which goes with it.
    pub(super) fn abandon(&mut self) {
        self.last_token = 0;
        self.timers.clear();
        self.buffers.clear();
        self.clients.clear();
        self.watches_windows = false;
    }

    /// From now on a function is answered so.
    pub(super) fn answer_with(&mut self, standing: Standing) {
        // The last word counts.
        if standing.function == "display.fetch" && standing.arguments.is_none() {
            self.wishes = None;
        }
        self.standing.push(standing);
    }

    /// The host wants this of its displays.
    pub(super) fn hint(&mut self, changes: &[Value]) {
        let wishes = self.wishes.get_or_insert_default();
        for change in changes {
            let id = change.get("id").and_then(Value::as_u64).unwrap_or(0);
            for table in [&mut wishes.all, &mut wishes.new] {
                table.insert(id, change.clone());
            }
        }
    }

    /// Gives a buffer of this name these bytes, and makes it if there is none.
    pub(super) fn fill(&mut self, name: &str, bytes: &[u8]) {
        let known = self.names.get(name).and_then(Value::as_u64);
        let number = known.unwrap_or_else(|| self.token());
        self.names.insert(name.to_owned(), number.into());
        self.buffers.insert(number, bytes.to_vec());
    }

    /// The bytes of a buffer of this name, also of one that was given away.
    pub(super) fn content(&self, name: &str) -> Option<&Vec<u8>> {
        let number = self.names.get(name)?.as_u64()?;
        self.buffers.get(&number).or_else(|| self.given.get(&number))
    }

    /// When the next timer fires.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A timer whose time has come.
    pub(super) fn due_timer(&mut self) -> Option<u64> {
        let due = self.timers.first().is_some_and(|(at, _)| *at <= self.now);
        if due { self.timers.pop_first().map(|(_, timer)| timer) } else { None }
    }

    /// When the plugin has requests to make again.
    pub(super) fn rested_at(&self) -> Duration {
        self.at(self.requests.usable_at())
    }

    /// What it uses of its limits.
    pub(super) fn used(&self) -> [(&'static str, Value); 3] {
        [
            ("timers", self.timers.len().into()),
            ("buffers", self.buffers.values().map(Vec::len).sum::<usize>().into()),
            ("watches-windows", self.watches_windows.into()),
        ]
    }

    /// Answers a host call.
    fn asked(&mut self, function: &str, arguments: &[Value]) -> Result<Value, Box<Failure>> {
        let is_own = OWN.iter().any(|interface| function.starts_with(interface));
        if !is_own {
            self.since.asked.push(written(function, arguments));
        }
        if let Err(denied) = permitted(&self.plugin.authority, &self.clients, function, arguments) {
            return self.denied(function, arguments, denied);
        }
        if !is_own && !FREE.contains(&function) {
            self.since.requests += 1;
            let now = self.instant();
            if !self.requests.take(1, now) {
                let rate = self.plugin.limits.requests_per_second;
                let text =
                    format!("more than {rate} requests a second, as many as the limit `requests-per-second`");
                return Ok(json!({"err": {"busy": text}}));
            }
        }
        let answer = match self.front_for(function) {
            Some(expected) => {
                if !self.is_met(&expected, arguments) {
                    return Err(Box::new(self.differs(Some(&expected), Some(written(function, arguments)))));
                }
                self.met += 1;
                let answer = match &expected.answer {
                    Some(answer) => Some(resolved(answer, &self.names).map_err(|error| {
                        Box::new(self.fails(expected.line, "The answer cannot be given", error))
                    })?),
                    None => self.usual(function, arguments),
                };
                if let (Some(name), Some(answer)) = (&expected.name, &answer) {
                    let value = answer.get("ok").unwrap_or(answer).clone();
                    self.names.insert(name.clone(), value);
                }
                answer.ok_or_else(|| {
                    let reason = format!("`{function}` has no answer: give it `ok` or `err`");
                    Box::new(self.fails(expected.line, "The plugin cannot be answered", reason))
                })?
            }
            None => match self.unexpected(function, arguments) {
                Some(answer) => answer,
                None => {
                    let front = self.expected.pop_front();
                    return Err(Box::new(self.differs(front.as_ref(), Some(written(function, arguments)))));
                }
            },
        };
        self.note(function, arguments, &answer);
        Ok(answer)
    }

    /// What is expected next, if it is a call of this function.
    fn front_for(&mut self, function: &str) -> Option<Expected> {
        self.expected.pop_front_if(|expected| expected.function == function)
    }

    fn is_met(&mut self, expected: &Expected, arguments: &[Value]) -> bool {
        let names = &mut self.names;
        expected.arguments.as_ref().is_none_or(|wanted| {
            wanted.len() == arguments.len()
                && wanted.iter().zip(arguments).all(|(wanted, seen)| matches(wanted, seen, names))
        })
    }

    /// A call that the grants do not cover is answered so, whether it was expected or not.
    fn denied(&mut self, function: &str, arguments: &[Value], reason: String) -> Result<Value, Box<Failure>> {
        if let Some(expected) = self.front_for(function) {
            let wants_more = expected.answer.as_ref().is_some_and(|answer| answer.get("ok").is_some());
            if wants_more || !self.is_met(&expected, arguments) {
                let seen = format!("{} {reason}", written(function, arguments));
                return Err(Box::new(self.differs(Some(&expected), Some(seen))));
            }
            self.met += 1;
        }
        // What returns nothing only ends something.
        let returns = self.imports.get(function).is_some_and(|ty| ty.results().len() > 0);
        Ok(if returns { json!({"err": {"denied": reason}}) } else { Value::Null })
    }

    /// The answer to what is not expected just now, if it may be asked nevertheless.
    fn unexpected(&mut self, function: &str, arguments: &[Value]) -> Option<Value> {
        if let Some(answer) = self.own(function, arguments) {
            return Some(answer);
        }
        // What is expected later must not come earlier.
        if self.expected.iter().any(|later| later.function == function) {
            return None;
        }
        self.stands(function, arguments).or_else(|| {
            // Nothing can be told from what returns nothing.
            self.imports.get(function).filter(|ty| ty.results().len() == 0).map(|_| Value::Null)
        })
    }

    /// The answer to what is expected without an answer of its own.
    fn usual(&mut self, function: &str, arguments: &[Value]) -> Option<Value> {
        if let Some(answer) = self.own(function, arguments).or_else(|| self.stands(function, arguments)) {
            return Some(answer);
        }
        if BEGINS.contains(&function) {
            return Some(json!({ "ok": self.token() }));
        }
        usual(self.imports.get(function)?)
    }

    /// The standing answer, the last that was given.
    fn stands(&mut self, function: &str, arguments: &[Value]) -> Option<Value> {
        let Self { standing, names, wishes, .. } = self;
        if function == "display.fetch"
            && let Some(wishes) = wishes
        {
            return Some(wishes.fetch(arguments.first() == Some(&Value::Bool(true))));
        }
        let fits = |standing: &&Standing, names: &mut Names| {
            standing.function == function
                && standing
                    .arguments
                    .as_ref()
                    .is_none_or(|wanted| wanted.iter().zip(arguments).all(|(w, s)| matches(w, s, names)))
        };
        let found = standing.iter().rev().find(|standing| fits(standing, names))?;
        resolved(&found.answer, names).ok()
    }

    /// What the agent does by itself.
    fn own(&mut self, function: &str, arguments: &[Value]) -> Option<Value> {
        let limits = self.plugin.limits;
        let number = |index: usize| arguments.get(index).and_then(Value::as_u64).unwrap_or(0);
        let busy = |used: usize, limit: &str| json!({"err": {"busy": format!("{used} are in use, as many as the limit `{limit}`")}});
        let unknown = || json!({"err": {"invalid": format!("there is no buffer {}", number(0))}});
        Some(match function {
            "log.write" => {
                let text = |index: usize| arguments.get(index).and_then(Value::as_str).unwrap_or_default();
                self.write(text(0), text(1));
                Value::Null
            }
            "clock.monotonic" => nanoseconds(self.now).into(),
            "clock.wall" => BEGINNING.saturating_add(nanoseconds(self.now)).into(),
            "timers.set" if self.timers.len() >= limits.timers as usize => busy(self.timers.len(), "timers"),
            "timers.set" => {
                let timer = self.token();
                self.timers.insert((self.now.saturating_add(Duration::from_nanos(number(0))), timer));
                json!({ "ok": timer })
            }
            "timers.cancel" => {
                self.timers.retain(|(_, timer)| *timer != number(0));
                Value::Null
            }
            "buffers.create" if self.buffers.len() >= limits.handles as usize => {
                busy(self.buffers.len(), "handles")
            }
            "buffers.create" => {
                let buffer = self.token();
                self.buffers.insert(buffer, Vec::new());
                json!({ "ok": buffer })
            }
            "buffers.size" => match self.buffers.get(&number(0)) {
                Some(held) => json!({ "ok": held.len() }),
                None => unknown(),
            },
            "buffers.read" => match self.buffers.get(&number(0)) {
                Some(held) => {
                    let start = usize::try_from(number(1)).unwrap_or(usize::MAX).min(held.len());
                    let most = usize::try_from(number(2)).unwrap_or(usize::MAX).min(LARGEST_READ as usize);
                    let piece: Vec<_> = held.iter().skip(start).take(most).copied().collect();
                    json!({ "ok": if piece.is_empty() { json!([]) } else { bytes(&piece, true) } })
                }
                None => unknown(),
            },
            "buffers.write" => self.overwrite(number(0), number(1), arguments.get(2)).unwrap_or_else(unknown),
            "buffers.drop" => {
                self.buffers.remove(&number(0));
                Value::Null
            }
            _ => return None,
        })
    }

    /// Writes to a buffer, if there is one of this number.
    fn overwrite(&mut self, buffer: u64, offset: u64, bytes: Option<&Value>) -> Option<Value> {
        let used: u64 = self.buffers.values().map(|held| held.len() as u64).sum();
        let most = self.plugin.limits.buffers.0;
        let held = self.buffers.get_mut(&buffer)?;
        let bytes = bytes.and_then(as_bytes).unwrap_or_default();
        let end = offset.saturating_add(bytes.len() as u64);
        let more = end.saturating_sub(held.len() as u64);
        if used.saturating_add(more) > most {
            let text = format!(
                "{more} bytes more are beyond the limit `buffers`, which is {most} and of which {used} are in use"
            );
            return Some(json!({"err": {"invalid": text}}));
        }
        // Within the limit, so they fit.
        let (start, end) = (offset as usize, end as usize);
        if held.len() < end {
            held.resize(end, 0);
        }
        held[start..end].copy_from_slice(&bytes);
        Some(json!({"ok": null}))
    }

    fn write(&mut self, level: &str, line: &str) {
        let line = printable(line.to_owned());
        let now = self.instant();
        if self.log.take(line.len() as u64, now) {
            self.since.log += line.len() as u64;
            self.since.lines.push((level.to_owned(), line));
        }
    }

    /// Remembers what later calls depend on.
    fn note(&mut self, function: &str, arguments: &[Value], answer: &Value) {
        let first = arguments.first();
        match (function, answer.get("ok")) {
            ("hgcm.connect", Some(client)) => {
                let service = first.and_then(Value::as_str).unwrap_or_default();
                self.clients.insert(client.as_u64().unwrap_or(0), service.to_owned());
            }
            ("windows.watch", Some(_)) => self.watches_windows = first == Some(&Value::Bool(true)),
            // The bytes are lent: the plugin may give the buffer up before they are back.
            ("hgcm.submit", Some(_)) => {
                let parameters = arguments.get(2).and_then(Value::as_array);
                let buffers = parameters.into_iter().flatten();
                for number in buffers.filter_map(|parameter| parameter.get("from-buffer")?.as_u64()) {
                    self.given.extend(self.buffers.get(&number).map(|bytes| (number, bytes.clone())));
                }
            }
            ("clipboard.answer", _) => {
                let buffer = arguments.get(1).and_then(Value::as_u64).unwrap_or(0);
                self.given.extend(self.buffers.remove(&buffer).map(|bytes| (buffer, bytes)));
            }
            _ => {}
        }
    }

    fn token(&mut self) -> u64 {
        self.last_token += 1;
        self.last_token
    }

    /// A difference between what was expected and what came.
    fn differs(&self, expected: Option<&Expected>, seen: Option<String>) -> Failure {
        let nothing = || "(nothing more)".to_owned();
        let arguments = |expected: &Expected| match &expected.arguments {
            Some(arguments) => {
                let named = |value| resolved(value, &self.names).unwrap_or_else(|_| value.clone());
                written(&expected.function, &arguments.iter().map(named).collect::<Vec<_>>())
            }
            None => format!("{}(…)", expected.function),
        };
        let what = match (expected, &seen) {
            (None, _) => "The plugin asks for what is neither expected nor answered",
            (_, None) => "The plugin does not ask for what is expected",
            _ => "The plugin asks for something else than is expected",
        };
        Failure {
            line: expected.map(|expected| expected.line),
            what: match self.met {
                0 => what.to_owned(),
                met => format!("{what}, after {met} of the expected calls"),
            },
            expected: expected.map_or_else(nothing, arguments),
            seen: seen.unwrap_or_else(nothing),
        }
    }

    fn fails(&self, line: usize, what: &str, seen: String) -> Failure {
        Failure { line: Some(line), what: what.to_owned(), expected: "an answer".to_owned(), seen }
    }
}

impl Wishes {
    /// What is wanted; with `acknowledge`, what is new, which then is not any more.
    fn fetch(&mut self, acknowledge: bool) -> Value {
        let changes: Vec<_> = if acknowledge {
            std::mem::take(&mut self.new).into_values().collect()
        } else {
            self.all.values().cloned().collect()
        };
        json!({"ok": {"announced": changes.len(), "changes": changes}})
    }
}

/// The checks that are finer than an interface, by what is asked.
fn permitted(
    authority: &Authority,
    clients: &BTreeMap<u64, String>,
    function: &str,
    arguments: &[Value],
) -> Result<(), String> {
    let text = |index: usize| arguments.get(index).and_then(Value::as_str).unwrap_or_default();
    let bits = |index: usize| arguments.get(index).and_then(Value::as_u64).unwrap_or(0) as u32;
    let interface = function.split('.').next().unwrap_or_default();
    if let Some(denied) = authority.denied().find(|denied| denied.name == interface) {
        return Err(admission::refusal(denied));
    }
    match function {
        "guest.change-capabilities" => {
            authority.permit_capabilities(Capabilities::from_bits_retain(bits(0) | bits(1)))
        }
        "raw-requests.submit" => authority.permit_request(RequestType(bits(0))),
        "hgcm.connect" => authority.permit_service(text(0)),
        "hgcm.submit" => match clients.get(&bits(0).into()) {
            Some(service) => authority.permit_function(service, bits(1)),
            None => Ok(()),
        },
        "properties.get" => authority.properties.permit_read(text(0)),
        "properties.set" | "properties.delete" => authority.properties.permit_write(text(0)),
        "clipboard.watch" | "clipboard.read" => authority.clipboard.permit(true, text(0) == "primary"),
        "clipboard.offer" => authority.clipboard.permit(false, text(0) == "primary"),
        _ => Ok(()),
    }
}

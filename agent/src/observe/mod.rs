//! Seeing inside: what each plugin is called with, what it asks for, and what came of it.
//!
//! Everything that passes between a plugin and the world passes by its [`Tap`]: calls of its exports
//! ([`Tap::calling`]), its host calls ([`Tap::asked`], for all interfaces at one place), and what its host
//! functions ask of the driver ([`Watched`]). A tap counts always; it tells only while somebody listens.
//! [`Board`] has the taps of all plugins and those who listen.

mod counts;
mod driver;
mod listener;
mod notice;
pub mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

pub use counts::{Counts, Tally};
pub use driver::Watched;
pub use listener::{Listener, Taken};
pub use notice::{Notice, What, nanoseconds};

use crate::config;
use crate::host::PACKAGE;
use crate::mailbox::Mailbox;
use crate::plugin::{Record, State};
use crate::sync::lock;

/// The name under which the agent's own doings are told: no plugin has it.
pub const AGENT: &str = "";

/// Somebody listens.
const LISTENED: u8 = 1;
/// Somebody listens who is to see contents.
const CONTENTS: u8 = 2;

/// All taps, and all who listen.
pub struct Board {
    exchange: Arc<Exchange>,
    taps: Mutex<BTreeMap<Arc<str>, Arc<Tap>>>,
    plugins: Mutex<BTreeMap<Arc<str>, Enlisted>>,
}

/// A plugin as the board knows it, for as long as its thread or its owner does.
struct Enlisted {
    record: Weak<Record>,
    mailbox: Weak<Mailbox>,
    config: Arc<config::Plugin>,
}

/// A plugin that there is.
pub struct Known {
    /// How it fares.
    pub state: State,
    /// What it was started with.
    pub config: Arc<config::Plugin>,
    /// Where its news waits.
    pub mailbox: Arc<Mailbox>,
}

impl Known {
    /// Whether it runs or is to, and of which component is known.
    #[must_use]
    pub fn can_be_recorded(&self) -> bool {
        self.state.phase.is_alive() && self.state.sha256.is_some()
    }
}

/// What taps share: those who listen, and the clock.
struct Exchange {
    started: Instant,
    listeners: Mutex<Vec<Arc<Listener>>>,
}

/// Where everything passes by that is between one plugin and the world.
pub struct Tap {
    plugin: Arc<str>,
    exchange: Arc<Exchange>,
    listened: AtomicU8,
    host_calls: AtomicU64,
    counts: Mutex<Counts>,
}

/// Listening, for as long as this lives.
pub struct Subscription {
    board: Arc<Board>,
    /// Where what is told waits.
    pub listener: Arc<Listener>,
}

impl Board {
    /// A board without taps, whose clock begins at `started`.
    #[must_use]
    pub fn new(started: Instant) -> Arc<Self> {
        let exchange = Arc::new(Exchange { started, listeners: Mutex::default() });
        Arc::new(Self { exchange, taps: Mutex::default(), plugins: Mutex::default() })
    }

    /// When the agent started.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.exchange.started
    }

    /// The tap of a plugin, made if it has none yet. It outlives the plugin's incarnations.
    pub fn tap(&self, plugin: &str) -> Arc<Tap> {
        let mut taps = lock(&self.taps);
        if let Some(tap) = taps.get(plugin) {
            return tap.clone();
        }
        let plugin: Arc<str> = plugin.into();
        let tap = Arc::new(Tap {
            plugin: plugin.clone(),
            exchange: self.exchange.clone(),
            listened: AtomicU8::new(0),
            host_calls: AtomicU64::new(0),
            counts: Mutex::default(),
        });
        tap.look(&lock(&self.exchange.listeners));
        taps.insert(plugin, tap.clone());
        tap
    }

    /// Makes a plugin known, in the place of another of its name.
    pub fn enlist(&self, record: &Arc<Record>, mailbox: &Arc<Mailbox>, config: &config::Plugin) {
        let enlisted = Enlisted {
            record: Arc::downgrade(record),
            mailbox: Arc::downgrade(mailbox),
            config: Arc::new(config.clone()),
        };
        lock(&self.plugins).insert(record.plugin().clone(), enlisted);
    }

    /// All plugins that there are, by their names.
    #[must_use]
    pub fn plugins(&self) -> Vec<Known> {
        let mut plugins = lock(&self.plugins);
        // Those that a reload left out are gone.
        plugins.retain(|_, enlisted| enlisted.record.strong_count() > 0);
        let known = plugins.values().filter_map(|enlisted| {
            let (record, mailbox) = (enlisted.record.upgrade()?, enlisted.mailbox.upgrade()?);
            Some(Known { state: record.state(), config: enlisted.config.clone(), mailbox })
        });
        known.collect()
    }

    /// Begins to listen to the plugins that are named, or to all and the agent itself.
    #[must_use]
    pub fn listen(self: &Arc<Self>, listener: Listener) -> Subscription {
        let listener = Arc::new(listener);
        self.change(|listeners| listeners.push(listener.clone()));
        Subscription { board: self.clone(), listener }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Listener>>)) {
        // Locked first, as by `tap`, so that a tap that is made meanwhile sees the change.
        let taps = lock(&self.taps);
        let mut listeners = lock(&self.exchange.listeners);
        change(&mut listeners);
        for tap in taps.values() {
            tap.look(&listeners);
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.board.change(|listeners| listeners.retain(|other| !Arc::ptr_eq(other, &self.listener)));
    }
}

impl Tap {
    /// The plugin's name.
    #[must_use]
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Whether anybody listens: a look at an atomic.
    #[must_use]
    pub fn is_listened_to(&self) -> bool {
        self.listened.load(Ordering::Relaxed) != 0
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts { host_calls: self.host_calls.load(Ordering::Relaxed), ..self.lock().clone() }
    }

    /// Counts a host call.
    pub fn count_host_call(&self) {
        self.host_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts host events: those that a plugin is called for, or all that the agent took.
    pub fn count_events(&self, bits: u32) {
        self.lock().count_events(bits);
    }

    /// Says that an export is about to be called.
    #[must_use]
    pub fn calling<P: Serialize>(&self, export: &'static str, params: &P) -> Calling<'_> {
        if self.is_listened_to() {
            let arguments = arguments(params, self.shows_contents());
            self.tell(What::Call { function: export.to_owned(), arguments });
        }
        Calling { tap: self, export, begun: Instant::now() }
    }

    /// Says that the plugin calls a host function.
    #[must_use]
    pub fn asked<'a, P: Serialize>(&'a self, function: &'a str, params: &P) -> Asked<'a> {
        let arguments = arguments(params, self.shows_contents());
        Asked { tap: self, function, arguments, begun: Instant::now() }
    }

    /// Tells all who listen to this plugin.
    pub fn tell(&self, what: What) {
        let at = nanoseconds(self.exchange.started.elapsed());
        let mut notice = Notice { at, plugin: self.plugin.to_string(), what };
        let listeners = lock(&self.exchange.listeners);
        // With contents first: they are then taken out for the others.
        for contents in [true, false] {
            let mut those = listeners
                .iter()
                .filter(|listener| listener.contents == contents && listener.hears(&self.plugin))
                .peekable();
            if those.peek().is_none() {
                continue;
            }
            if !contents {
                notice.redact();
            }
            let Ok(line) = serde_json::to_string(&notice) else { continue };
            let line: Arc<str> = line.into();
            those.for_each(|listener| listener.push(&line));
        }
    }

    fn shows_contents(&self) -> bool {
        self.listened.load(Ordering::Relaxed) & CONTENTS != 0
    }

    /// Looks who listens.
    fn look(&self, listeners: &[Arc<Listener>]) {
        let those = listeners.iter().filter(|listener| listener.hears(&self.plugin));
        let listened = those
            .fold(0, |listened, listener| listened | LISTENED | if listener.contents { CONTENTS } else { 0 });
        self.listened.store(listened, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

/// A call of an export that is under way.
pub struct Calling<'a> {
    tap: &'a Tap,
    export: &'static str,
    begun: Instant,
}

impl Calling<'_> {
    /// It returned: the plugin's own word.
    pub fn returned<T: Serialize>(self, answer: &Result<T, String>) {
        self.end(answer.is_ok(), |contents| Ok(values::shown(answer, contents)));
    }

    /// It did not return.
    pub fn faulted(self, fault: &str) {
        self.end(false, |_| Err(fault.to_owned()));
    }

    fn end(self, well: bool, outcome: impl FnOnce(bool) -> Result<Value, String>) {
        let Self { tap, export, begun } = self;
        let took = begun.elapsed();
        tap.lock().calls.entry(export).or_default().count(well, took);
        if tap.is_listened_to() {
            let (result, fault) = apart(outcome(tap.shows_contents()));
            let took = nanoseconds(took);
            tap.tell(What::Return { function: export.to_owned(), result, fault, took });
        }
    }
}

/// A host call that is under way.
pub struct Asked<'a> {
    tap: &'a Tap,
    function: &'a str,
    arguments: Vec<Value>,
    begun: Instant,
}

impl Asked<'_> {
    /// It ended.
    pub fn answered<R: Serialize>(self, answer: &wasmtime::Result<R>) {
        let Self { tap, function, arguments, begun } = self;
        let took = nanoseconds(begun.elapsed());
        let outcome = match answer {
            // What bindings return is a tuple of one result, or of none.
            Ok(results) => Ok(self::arguments(results, tap.shows_contents()).pop().unwrap_or_default()),
            Err(error) => Err(error.to_string()),
        };
        let (result, fault) = apart(outcome);
        tap.tell(What::Host { function: function.to_owned(), arguments, result, fault, took });
    }
}

/// The values of a tuple.
fn arguments<P: Serialize>(params: &P, contents: bool) -> Vec<Value> {
    match values::shown(params, contents) {
        Value::Array(values) => values,
        // The empty tuple.
        _ => Vec::new(),
    }
}

fn apart(outcome: Result<Value, String>) -> (Value, Option<String>) {
    match outcome {
        Ok(value) => (value, None),
        Err(fault) => (Value::Null, Some(fault)),
    }
}

/// The name of a function in traces and records: `display.fetch` for one of the contract's, and all of it
/// for another's.
#[must_use]
pub fn short_name(interface: &str, function: &str) -> String {
    let ours = interface.strip_prefix(PACKAGE).and_then(|rest| rest.strip_prefix('/'));
    match ours {
        Some(rest) => format!("{}.{function}", rest.split('@').next().unwrap_or(rest)),
        None => format!("{interface}.{function}"),
    }
}

/// Which plugins a listener hears: those that are named, or all.
pub type Names = BTreeSet<String>;

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn lines(subscription: &Subscription) -> Vec<String> {
        subscription.listener.take(usize::MAX).lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tap_tells_those_who_hear_its_plugin_and_shows_contents_to_whom_it_may() {
        let board = Board::new(Instant::now());
        let (display, clipboard) = (board.tap("display"), board.tap("clipboard"));
        let all = board.listen(Listener::new(Names::new(), false, 1 << 20, || ()));
        let one = board.listen(Listener::new(Names::from(["clipboard".into()]), true, 1 << 20, || ()));

        assert!(display.is_listened_to() && clipboard.is_listened_to());
        let bytes = (vec![0x68_u8],);
        display.asked("a", &bytes).answered(&wasmtime::Result::Ok((Ok::<u32, String>(1),)));
        clipboard.asked("b", &bytes).answered(&wasmtime::Result::Ok(()));

        let (all_lines, one_lines) = (lines(&all), lines(&one));
        assert_eq!((all_lines.len(), one_lines.len()), (2, 1));
        assert!(all_lines[0].contains(r#""result":{"ok":1}"#), "{all_lines:?}");
        assert!(all_lines.iter().all(|line| line.contains(r#"{"$bytes":1}"#)), "{all_lines:?}");
        assert!(one_lines[0].contains(r#"{"$bytes":"68"}"#), "{one_lines:?}");

        drop(all);
        assert!(!display.is_listened_to() && clipboard.is_listened_to());
        drop(one);
        assert!(!clipboard.is_listened_to());
    }

    #[test]
    fn what_a_slow_listener_lost_is_counted_and_it_is_woken_once() {
        static WOKEN: AtomicUsize = AtomicUsize::new(0);
        let board = Board::new(Instant::now());
        let tap = board.tap("display");
        let slow = board.listen(Listener::new(Names::new(), false, 500, || {
            WOKEN.fetch_add(1, Ordering::Relaxed);
        }));

        for _ in 0..100 {
            tap.asked("f", &()).answered(&wasmtime::Result::Ok(()));
        }

        let taken = slow.listener.take(usize::MAX);
        assert!(taken.lines.iter().map(|line| line.len()).sum::<usize>() <= 500);
        assert_eq!(taken.lines.len() as u64 + taken.lost, 100);
        assert_eq!(WOKEN.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn calls_are_counted_whether_anybody_listens_or_not() {
        let board = Board::new(Instant::now());
        let tap = board.tap("display");

        tap.calling("host-events.on-host-events", &(4_u32,)).returned(&Ok::<(), String>(()));
        tap.calling("host-events.on-host-events", &(4_u32,)).returned(&Err::<(), _>("no".to_owned()));
        tap.calling("host-events.on-host-events", &(4_u32,)).faulted("trap");

        let counts = tap.counts();
        let tally = counts.calls["host-events.on-host-events"];
        assert_eq!((tally.count, tally.failed), (3, 2));
    }

    #[test]
    fn functions_of_the_contract_have_short_names() {
        assert_eq!(short_name("bellhop:guest/display@0.1.0", "fetch"), "display.fetch");
        assert_eq!(short_name("wasi:clocks/wall-clock@0.2.0", "now"), "wasi:clocks/wall-clock@0.2.0.now");
    }
}

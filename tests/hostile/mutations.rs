//! A first-party plugin with a thousand mutations: it is refused, or it runs harmlessly.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use bellhop_agent::config::{Config, Plugin};
use bellhop_agent::dispatch::Dispatcher;
use bellhop_agent::host::{Host, World};
use bellhop_agent::mailbox::{Mailbox, News};
use bellhop_agent::observe::Board;
use bellhop_agent::plugin::Record;
use bellhop_agent::sandbox::cache::Cache;
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::{self, Target};
use bellhop_agent::sandbox::{Sandbox, admission};
use bellhop_desktop::Desktop;
use driver_core::Driver;
use driver_core::wire::Events;
use support::numbers::Numbers;
use support::{Setup, bellhop, plugin_component};

/// So many are looked at.
const MUTATIONS: usize = 1000;

/// So many of those that are admitted are compiled and run, which takes a process each.
const MOST_RUN: usize = 25;

/// Changes a component as a bad disk would, or somebody who looks for a way in.
fn mutate(whole: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match numbers.below(8) {
        0 => bytes.truncate(numbers.index(bytes.len())),
        1 => {
            let (from, to) = (numbers.index(bytes.len()), numbers.index(bytes.len()));
            bytes.drain(from.min(to)..from.max(to));
        }
        2 => {
            let (from, to) = (numbers.index(bytes.len()), numbers.index(bytes.len()));
            let piece = bytes[from.min(to)..from.max(to)].to_vec();
            let at = numbers.index(bytes.len());
            bytes.splice(at..at, piece);
        }
        _ => {
            for _ in 0..=numbers.below(3) {
                let at = numbers.index(bytes.len());
                bytes[at] ^= 1 << numbers.below(8);
            }
        }
    }
    bytes
}

/// What the plugins of this file are started with.
struct Lab {
    plugin: Plugin,
    sandbox: Arc<Sandbox>,
    world: World,
    setup: Setup,
}

impl Lab {
    fn new() -> Self {
        let setup = Setup::new();
        let path = setup.folder().join("it.wasm");
        std::fs::write(&path, b"").expect("a component can be written");
        let text = "[plugins.it]\ncomponent = \"it.wasm\"\nlimits = { cpu-per-event = \"20 ms\" }\ngrants = { \
                    events = [\"display-change\", \"restored\"], capabilities = [\"graphics\"], \
                    requests = [\"display\", \"guest\"], desktop = [\"outputs\"] }";
        let config = Config::parse(text, &setup.folder().join("agent.toml")).expect("it is right");
        let plugin = config.plugins.into_iter().next().expect("one plugin stands there");
        let engine = engine::engine(Target::Native).expect("wasmtime runs here");
        let cache =
            Cache::new(setup.folder().join("cache"), &engine, Compiler::new(bellhop()).with_cpu_seconds(5));
        let sandbox = Sandbox::new(engine, cache).expect("a thread can be had");
        let driver: Arc<dyn Driver> = Arc::new(setup.device.session());
        let dispatcher = Arc::new(Dispatcher::new(driver.clone()));
        let started = Instant::now();
        let board = Board::new(started);
        let world = World { dispatcher, driver, desktop: Desktop::headless(2), started, board };
        Self { plugin, sandbox, world, setup }
    }

    /// Runs a component that was admitted, and says how far it came.
    fn run(&self, component: &[u8]) -> &'static str {
        std::fs::write(&self.plugin.component, component).expect("a component can be written");
        let Ok(program) = self.sandbox.link(&self.plugin) else { return "did not link" };
        let poster = Arc::new(Mailbox::default()).begin();
        let record = Arc::new(Record::new("it".into(), self.plugin.limits));
        let host = Host::new(record, &self.plugin, &self.world, poster);
        let Ok(mut instance) = program.start(host, Arc::new(AtomicBool::new(false))) else {
            return "did not start";
        };
        match instance.init(&self.plugin.config) {
            Err(_) => return "faulted in init",
            Ok(Err(_)) => return "refused to start",
            Ok(Ok(_)) => {}
        }
        for _ in 0..3 {
            self.setup.host.force_events(support::DISPLAY_CHANGE);
            if instance.deliver(News::Events(Events::DISPLAY_CHANGE)).is_err() {
                return "faulted";
            }
        }
        "ran"
    }
}

#[test]
fn a_plugin_with_a_thousand_mutations_is_refused_or_harmless() {
    let whole = std::fs::read(plugin_component("display")).expect("the display plugin was built");
    let lab = Lab::new();
    let mut numbers = Numbers(1);
    let mut outcomes = std::collections::BTreeMap::new();
    let mut admitted = 0;

    assert_eq!(lab.run(&whole), "ran");
    for _ in 0..MUTATIONS {
        let mutated = mutate(&whole, &mut numbers);
        let outcome = match admission::examine(&mutated, &lab.plugin.authority) {
            Err(_) => "refused",
            Ok(_) if admitted == MOST_RUN => "admitted",
            Ok(_) => {
                admitted += 1;
                lab.run(&mutated)
            }
        };
        *outcomes.entry(outcome).or_insert(0) += 1;
    }

    println!("{outcomes:?}");
    // What was changed is found, and what was not found does nothing worse than to fault.
    assert!(outcomes["refused"] > MUTATIONS / 10, "{outcomes:?}");
    assert_eq!(admitted, MOST_RUN, "{outcomes:?}");
    assert_eq!(lab.run(&whole), "ran");
}

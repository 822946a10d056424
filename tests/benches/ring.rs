//! What the sandbox costs: one event, from the device to the handled request, four ways.
//!
//! - `component`: the display plugin as a component in its sandbox, compiled for this processor;
//! - `pulley`: the same, interpreted;
//! - `native`: the same logic, the very same crate, as native code on the same driver;
//! - `wire`: only the packets that both exchange with the host.
//!
//! None includes a thread of the agent, so that what differs is the sandbox alone. `ring` measures from
//! the host's wish and includes the interrupt; `handler` begins where the driver has handed the event
//! over, and leaves out the wake-up of a thread, which takes longer than all the rest and varies more.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bellhop_agent::config::Config;
use bellhop_agent::dispatch::Dispatcher;
use bellhop_agent::host::{self, World};
use bellhop_agent::mailbox::{Mailbox, News};
use bellhop_agent::observe::Board;
use bellhop_agent::plugin::Record;
use bellhop_agent::sandbox::cache::Cache;
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::{self, Target};
use bellhop_agent::sandbox::{Instance, Sandbox};
use bellhop_desktop::headless::Headless;
use bellhop_desktop::{Desktop, Outputs};
use bellhop_plugin::display::{Change, Position};
use bellhop_plugin::outputs as plugin_outputs;
use criterion::{Criterion, criterion_group, criterion_main};
use display::layout::Wanted;
use driver_core::pci::PciDevice;
use driver_core::requests::{self, DisplayChange};
use driver_core::wire::Events;
use driver_core::{Driver, Wake};
use support::plugin_component;
use vmmdev::carrier::InProcess;
use vmmdev::{Hint, Host};

/// Two sizes in turn, so that each wish is new.
const SIZES: [(u32, u32); 2] = [(1280, 800), (1024, 768)];

struct Bench {
    host: Host,
    driver: Arc<dyn Driver>,
    desktop: Arc<Headless>,
    turn: Cell<usize>,
}

impl Bench {
    fn new() -> Self {
        let host = Host::default();
        let device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("the device is in order");
        let driver: Arc<dyn Driver> = Arc::new(device.session());
        driver.change_filter(Events::DISPLAY_CHANGE, Events::empty()).expect("a filter");
        Self { host, driver, desktop: Arc::new(Headless::new(1)), turn: Cell::new(0) }
    }

    /// The host rings, and the event is taken from the driver.
    fn ring(&self) -> Events {
        let (width, height) = SIZES[self.turn.get() % 2];
        self.turn.set(self.turn.get() + 1);
        self.host.set_video_mode_hint(Hint::new(0, width, height)).expect("display 0 exists");
        match self.driver.wait(Events::DISPLAY_CHANGE, None) {
            Ok(Wake::Events(events)) => events,
            other => panic!("An event was expected, not {other:?}"),
        }
    }
}

fn instance(bench: &Bench, target: Target) -> Instance {
    let component = plugin_component("display");
    // As fast as it goes, and faster than any host rings.
    let text = format!(
        "[limits]\nrequests-per-second = 1000000\nlog-per-second = \"64 MiB\"\n[plugins.display]\ncomponent = {component:?}\n[plugins.display.grants]\nevents = [\"display-change\", \
         \"restored\"]\ncapabilities = [\"graphics\"]\nrequests = [\"display\", \"guest\"]\ndesktop = [\"outputs\"]"
    );
    let config = Config::parse(&text, &component).expect("the configuration is right");
    let plugin = &config.plugins[0];
    let engine = engine::engine(target).expect("wasmtime runs here");
    let folder = std::env::temp_dir().join(format!("bellhop-bench-{}", nix::unistd::geteuid()));
    let cache = Cache::new(folder, &engine, Compiler::new(support::bellhop()));
    let sandbox = Sandbox::new(engine, cache).expect("a thread can be had");
    let program = sandbox.link(plugin).expect("the display plugin links");
    let name: Arc<str> = plugin.name.as_str().into();
    let dispatcher = Arc::new(Dispatcher::new(bench.driver.clone()));
    dispatcher.enrol(&name, &Arc::new(Mailbox::default()));
    let world = World {
        dispatcher,
        driver: bench.driver.clone(),
        desktop: Desktop { outputs: bench.desktop.clone(), ..Desktop::headless(1) },
        started: Instant::now(),
        board: Board::new(Instant::now()),
    };
    let poster = Arc::new(Mailbox::default()).begin();
    let record = Arc::new(Record::new(name, plugin.limits));
    let host = host::Host::new(record, plugin, &world, poster);
    let mut instance = program.start(host, Arc::new(AtomicBool::new(false))).expect("it starts");
    instance.init(&plugin.config).expect("no fault").expect("it is content");
    instance
}

/// Handles events as one of the ways does.
type Handler<'a> = Box<dyn FnMut(Events) + 'a>;

fn component(bench: &Bench) -> Handler<'_> {
    sandboxed(bench, Target::Native)
}

fn pulley(bench: &Bench) -> Handler<'_> {
    sandboxed(bench, Target::Pulley)
}

fn sandboxed(bench: &Bench, target: Target) -> Handler<'_> {
    let mut instance = instance(bench, target);
    Box::new(move |events| {
        instance.deliver(News::Events(events)).expect("no fault").expect("it is content");
    })
}

fn native(bench: &Bench) -> Handler<'_> {
    let config = display::config::Config::default();
    let mut wanted = Wanted::default();
    Box::new(move |_| {
        let outputs = bench.desktop.enumerate().expect("headless").into_iter().map(to_plugin);
        let outputs = config.managed(outputs.collect());
        let wishes = requests::display_wishes(&*bench.driver, true).expect("the host answers");
        let changes: Vec<_> = wishes.changes.into_iter().map(to_change).collect();
        wanted.merge(&changes, &outputs, &config);
        let layout = wanted.arrange(&outputs).expect("a layout");
        let placements: Vec<_> = layout.placements().into_iter().map(to_desktop).collect();
        let outcome = bench.desktop.apply(&placements).expect("headless");
        // The component says in its log what it did.
        black_box(layout.to_string());
        let outputs: Vec<_> = outcome.outputs.into_iter().map(to_plugin).collect();
        let places =
            layout.positions(&outputs).into_iter().map(|place| place.map(|Position { x, y }| (x, y)));
        requests::report_monitor_positions(&*bench.driver, &places.collect::<Vec<_>>())
            .expect("the host answers");
    })
}

fn wire(bench: &Bench) -> Handler<'_> {
    Box::new(|_| {
        black_box(requests::display_wishes(&*bench.driver, true).expect("the host answers"));
        requests::report_monitor_positions(&*bench.driver, &[Some((0, 0))]).expect("the host answers");
    })
}

/// Makes a handler on a bench.
type Way = fn(&Bench) -> Handler<'_>;

const WAYS: [(&str, Way); 4] =
    [("component", component), ("pulley", pulley), ("native", native), ("wire", wire)];

/// From the host's wish to the handled request, the interrupt and its thread included.
fn ring(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ring");
    for (name, way) in WAYS {
        let bench = Bench::new();
        let mut handle = way(&bench);
        group.bench_function(name, |bencher| bencher.iter(|| handle(bench.ring())));
    }
}

/// From the event taken to the handled request: no thread wakes another, so that a difference of
/// less than a microsecond can be seen.
fn handler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handler");
    for (name, way) in WAYS {
        let bench = Bench::new();
        let mut handle = way(&bench);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rings| {
                let mut spent = Duration::ZERO;
                for _ in 0..rings {
                    let events = bench.ring();
                    let taken = Instant::now();
                    handle(events);
                    spent += taken.elapsed();
                }
                spent
            });
        });
    }
}

fn to_change(change: DisplayChange) -> Change {
    Change {
        id: change.id,
        disabled: change.disabled,
        primary: change.primary,
        origin: change.origin.map(|(x, y)| Position { x, y }),
        width: change.width,
        height: change.height,
        bits_per_pixel: change.bits_per_pixel,
    }
}

fn to_plugin(output: bellhop_desktop::Output) -> plugin_outputs::Output {
    let area = output.area.map(|area| plugin_outputs::Area {
        x: area.x,
        y: area.y,
        width: area.width,
        height: area.height,
    });
    plugin_outputs::Output { name: output.name, area, primary: output.primary }
}

fn to_desktop(placement: plugin_outputs::Placement) -> bellhop_desktop::Placement {
    let area = placement.area.map(|area| bellhop_desktop::Area {
        x: area.x,
        y: area.y,
        width: area.width,
        height: area.height,
    });
    bellhop_desktop::Placement { name: placement.name, area, primary: placement.primary }
}

criterion_group!(benches, ring, handler);
criterion_main!(benches);

//! Where plugins run: what is admitted, how it is compiled and loaded, and what bounds it.
//!
//! The way of a component: [`admission`] reads its file and holds its type against its grants;
//! [`cache`] loads its compiled form, which [`compile`] makes in another process when there is none;
//! [`Sandbox::link`] links what was granted and nothing else; [`Program::start`] makes an
//! [`Instance`], whose every call has a budget of two clocks, kept by the [`ticker`]; news becomes a call
//! in `handlers`.

pub mod admission;
pub(crate) mod bounds;
pub mod cache;
pub mod compile;
pub mod engine;
mod handlers;
mod load;
pub mod packed;
mod spelling;
pub mod surface;
pub mod ticker;
mod wasi;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Runtime;
use wasmtime::component::{ComponentNamedList, InstancePre, Lift, Lower, TypedFunc};
use wasmtime::{Engine, Store, Trap, UpdateDeadline, WasmBacktrace};

use crate::config::{Limits, Plugin};
use crate::grants;
use crate::host::bindings::exports::bellhop::guest::lifecycle;
use crate::host::{Host, Linker, printable};
use crate::plugin::{Clocks, Used};
use bounds::Bounds;
use cache::{Cache, Loaded};
use handlers::{Handlers, Indices};
use ticker::{TICK, Ticker};

pub use lifecycle::Subscription;

/// So many functions of a trap's backtrace are shown.
const MOST_FRAMES: usize = 8;

/// The engine, its ticker, and the compiled components.
pub struct Sandbox {
    engine: Engine,
    ticker: Ticker,
    cache: Cache,
}

/// An admitted component, linked to what was granted to it.
pub struct Program {
    sandbox: Arc<Sandbox>,
    pre: InstancePre<Guest>,
    lifecycle: lifecycle::GuestIndices,
    handlers: Indices,
    clock: wasi::Clock,
    sha256: String,
    limits: Limits,
}

/// What a store holds: the world outside, and the bounds.
pub struct Guest {
    /// What host functions act on.
    pub host: Host,
    bounds: Bounds,
    budget: Budget,
    stop: Arc<AtomicBool>,
    clock: wasi::Clock,
    wasi: Option<Box<wasi::Wasi>>,
}

/// What is left of the current call's two clocks.
struct Budget {
    /// Ticks that found guest code running, and how many may.
    ticks: u64,
    most_ticks: u64,
    /// When the call must have ended, host calls included.
    deadline: Instant,
}

/// A running plugin: one store.
pub struct Instance {
    sandbox: Arc<Sandbox>,
    store: Store<Guest>,
    lifecycle: lifecycle::Guest,
    /// Shared, because a call borrows the whole instance.
    handlers: Arc<Handlers>,
    limits: Limits,
    clock: wasi::Clock,
    took: Clocks,
}

/// A plugin's own word on a call.
type Said<T> = Result<T, String>;

/// A call that ended badly. The instance is of no further use.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its own code ran too long.
    #[error("Used more than {0:?} of processor time")]
    Cpu(Duration),
    /// It took too long in all.
    #[error("Took longer than {0:?}")]
    Wall(Duration),
    /// The agent is stopping.
    #[error("Stopped")]
    Stopped,
    /// It trapped, or exceeded its memory.
    #[error("{0}")]
    Trap(String),
    /// A host function panicked.
    #[error("The agent's own code panicked: {0}")]
    Panic(String),
}

/// Carried through a trap by the epoch callback, to tell why.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Overrun {
    #[error("processor time exceeded")]
    Cpu,
    #[error("time exceeded")]
    Wall,
    #[error("stopping")]
    Stopped,
}

impl Sandbox {
    /// A sandbox on `engine` whose compiled components are in `cache`.
    ///
    /// # Errors
    /// When there is no timer or thread to be had.
    pub fn new(engine: Engine, cache: Cache) -> std::io::Result<Arc<Self>> {
        let ticker = Ticker::start(engine.clone())?;
        Ok(Arc::new(Self { engine, ticker, cache }))
    }

    /// Admits a plugin's component and links it.
    ///
    /// # Errors
    /// A [`Refusal`](admission::Refusal), or what the compiler or the linker say.
    pub fn link(self: &Arc<Self>, plugin: &Plugin) -> anyhow::Result<Program> {
        let bytes = admission::read(plugin)?;
        let surface = admission::examine(&bytes, &plugin.authority)?;
        let before = Instant::now();
        let Loaded { component, compiled, sha256 } = self.cache.load(&self.engine, &bytes)?;
        tracing::debug!(plugin = plugin.name, compiled, took = ?before.elapsed(), "Component loaded");
        let mut linker = Linker::new(&self.engine);
        for interface in plugin.authority.linked() {
            (interface.link)(&mut linker).map_err(anyhow::Error::from)?;
        }
        let clock = match plugin.authority.wasi {
            Some(grants::Wasi::Minimal) => {
                wasi::link(&mut linker).map_err(anyhow::Error::from)?;
                Some(wasi::clock()?)
            }
            None => None,
        };
        let pre = linker.instantiate_pre(&component).map_err(anyhow::Error::from)?;
        Ok(Program {
            sandbox: self.clone(),
            lifecycle: lifecycle::GuestIndices::new(&pre).map_err(anyhow::Error::from)?,
            handlers: Indices::new(&pre, &surface).map_err(anyhow::Error::from)?,
            pre,
            sha256,
            limits: plugin.limits,
            clock,
        })
    }
}

impl Program {
    /// The SHA-256 digest of the component, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether an instance can be told what its predecessor knew.
    #[must_use]
    pub fn takes_over(&self) -> bool {
        self.handlers.hand_over.is_some()
    }

    /// Makes an instance with a store of its own. `stop` ends whatever call is under way.
    ///
    /// # Errors
    /// When the component's own start-up code traps or exceeds a limit.
    pub fn start(&self, host: Host, stop: Arc<AtomicBool>) -> Result<Instance, Fault> {
        let limits = &self.limits;
        let guest = Guest {
            host,
            bounds: Bounds::new(limits),
            budget: Budget::new(limits),
            stop,
            clock: self.clock.clone(),
            wasi: None,
        };
        let mut store = Store::new(&self.sandbox.engine, guest);
        store.limiter(|guest| &mut guest.bounds);
        store.set_hostcall_fuel(limits.host_call_allocation.get());
        store.epoch_deadline_callback(|mut context| {
            let guest = context.data_mut();
            match guest.overrun() {
                Some(overrun) => Err(overrun.into()),
                None => Ok(UpdateDeadline::Continue(1)),
            }
        });
        store.set_epoch_deadline(1);
        let _running = self.sandbox.ticker.running();
        let _clock = self.clock.as_deref().map(Runtime::enter);
        let made = self.pre.instantiate(&mut store).and_then(|instance| {
            let lifecycle = self.lifecycle.load(&mut store, &instance)?;
            Ok((lifecycle, self.handlers.load(&mut store, &instance)?))
        });
        match made {
            Ok((lifecycle, handlers)) => Ok(Instance {
                sandbox: self.sandbox.clone(),
                store,
                lifecycle,
                handlers: Arc::new(handlers),
                limits: self.limits,
                clock: self.clock.clone(),
                took: Clocks::default(),
            }),
            Err(error) => Err(Fault::of(error, &self.limits)),
        }
    }
}

impl Instance {
    /// Calls `init`. The inner result is the plugin's own word.
    ///
    /// # Errors
    /// A [`Fault`], after which the instance is of no use.
    pub fn init(&mut self, config: &str) -> Result<Result<Subscription, String>, Fault> {
        let lifecycle = self.lifecycle.clone();
        self.call("lifecycle.init", lifecycle.func_init(), (config,))
    }

    /// Makes one call within a fresh budget: the one place that every call of an export goes through.
    fn call<P, T>(
        &mut self,
        export: &'static str,
        function: TypedFunc<P, (Said<T>,)>,
        params: P,
    ) -> Result<Said<T>, Fault>
    where
        P: ComponentNamedList + Lower + Serialize,
        T: Serialize,
        (Said<T>,): ComponentNamedList + Lift,
    {
        let tap = self.store.data().host.tap.clone();
        let calling = tap.calling(export, &params);
        self.store.data_mut().budget = Budget::new(&self.limits);
        self.store.set_epoch_deadline(1);
        let _running = self.sandbox.ticker.running();
        let _clock = self.clock.as_deref().map(Runtime::enter);
        let before = Instant::now();
        let outcome = function.call(&mut self.store, params);
        let wall = before.elapsed();
        let ticks = u32::try_from(self.store.data().budget.ticks).unwrap_or(u32::MAX);
        self.took = Clocks { cpu: TICK.saturating_mul(ticks), wall };
        match outcome {
            Ok((said,)) => {
                calling.returned(&said);
                Ok(said)
            }
            Err(error) => {
                let fault = Fault::of(error, &self.limits);
                calling.faulted(&fault.to_string());
                Err(fault)
            }
        }
    }

    /// What its host functions act on.
    pub(crate) fn host_mut(&mut self) -> &mut Host {
        &mut self.store.data_mut().host
    }

    /// What the last call took.
    #[must_use]
    pub fn took(&self) -> Clocks {
        self.took
    }

    /// What it uses of its limits.
    #[must_use]
    pub fn used(&self) -> Used {
        let Guest { host, bounds, .. } = self.store.data();
        Used { memory: bounds.memory as u64, table_elements: bounds.table_elements as u64, ..host.used() }
    }
}

impl Guest {
    /// What it has of WASI, made when it is first used.
    fn wasi(&mut self) -> &mut wasi::Wasi {
        let Self { host, clock, wasi, .. } = self;
        wasi.get_or_insert_with(|| Box::new(wasi::Wasi::new(host, clock.clone())))
    }

    /// Charges one tick, and says which clock it exceeds. Called when guest code is running as the
    /// epoch changes, so that what a host call takes counts as one tick at most.
    fn overrun(&mut self) -> Option<Overrun> {
        self.budget.ticks += 1;
        if self.stop.load(Ordering::Relaxed) {
            Some(Overrun::Stopped)
        } else if Instant::now() >= self.budget.deadline {
            Some(Overrun::Wall)
        } else if self.budget.ticks > self.budget.most_ticks {
            Some(Overrun::Cpu)
        } else {
            None
        }
    }
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        // The first tick may come at once: it is on the house.
        let most_ticks = limits.cpu_per_event.0.as_nanos().div_ceil(TICK.as_nanos()) + 1;
        let now = Instant::now();
        Self {
            ticks: 0,
            most_ticks: u64::try_from(most_ticks).unwrap_or(u64::MAX),
            deadline: now.checked_add(limits.wall_per_event.0).unwrap_or(now),
        }
    }
}

impl Fault {
    /// The fault that a panic of the agent's is.
    pub(crate) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Self::Panic(text.or_else(|| panic.downcast_ref().copied()).unwrap_or("no reason given").to_owned())
    }

    pub(crate) fn of(error: wasmtime::Error, limits: &Limits) -> Self {
        match error.downcast_ref::<Overrun>() {
            Some(Overrun::Cpu) => Self::Cpu(limits.cpu_per_event.0),
            Some(Overrun::Wall) => Self::Wall(limits.wall_per_event.0),
            Some(Overrun::Stopped) => Self::Stopped,
            // Only of an engine that counts instructions.
            None if error.downcast_ref() == Some(&Trap::OutOfFuel) => Self::Cpu(limits.cpu_per_event.0),
            None => Self::Trap(format!("{}{}", error.root_cause(), whereabouts(&error))),
        }
    }
}

/// Where in the plugin it happened, innermost function first. The names are the plugin's own words.
fn whereabouts(error: &wasmtime::Error) -> String {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return String::new() };
    let names: Vec<_> = backtrace
        .frames()
        .iter()
        .take(MOST_FRAMES)
        .map(|frame| match frame.func_name() {
            Some(name) => printable(name.to_owned()),
            None => format!("function {}", frame.func_index()),
        })
        .collect();
    if names.is_empty() { String::new() } else { format!(", in {}", names.join(" < ")) }
}

//! Where plugins run: what is admitted, how it is compiled and loaded, and what bounds it.
//!
//! The way of a component: [`admission`] reads its file and holds its type against its grants;
//! [`cache`] loads its compiled form, which [`compile`] makes in another process when there is none;
//! [`Sandbox::link`] links what was granted and nothing else; [`Program::start`] makes an
//! [`Instance`], whose every call has a budget of two clocks, kept by the [`ticker`]; news becomes a call
//! in `handlers`.

pub mod admission;
pub mod cache;
pub mod compile;
pub mod engine;
mod handlers;
mod load;
mod spelling;
pub mod surface;
pub mod ticker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline, WasmBacktrace};

use crate::config::{Limits, Plugin};
use crate::host::bindings::exports::bellhop::guest::lifecycle;
use crate::host::{Host, printable};
use cache::{Cache, Loaded};
use handlers::{Handlers, Indices};
use ticker::{TICK, Ticker};

pub use lifecycle::Subscription;

/// Core instances, memories and tables that a component may be made of. A component from a language's
/// usual tools has a handful.
const MOST_PARTS: usize = 64;

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
    limits: Limits,
}

/// What a store holds: the world outside, and the bounds.
pub struct Guest {
    /// What host functions act on.
    pub host: Host,
    limits: StoreLimits,
    budget: Budget,
    stop: Arc<AtomicBool>,
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
    handlers: Handlers,
    limits: Limits,
}

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
        let Loaded { component, compiled } = self.cache.load(&self.engine, &bytes)?;
        tracing::debug!(plugin = plugin.name, compiled, took = ?before.elapsed(), "Component loaded");
        let mut linker = Linker::new(&self.engine);
        for interface in plugin.authority.linked() {
            (interface.link)(&mut linker).map_err(anyhow::Error::from)?;
        }
        let pre = linker.instantiate_pre(&component).map_err(anyhow::Error::from)?;
        Ok(Program {
            sandbox: self.clone(),
            lifecycle: lifecycle::GuestIndices::new(&pre).map_err(anyhow::Error::from)?,
            handlers: Indices::new(&pre, &surface).map_err(anyhow::Error::from)?,
            pre,
            limits: plugin.limits,
        })
    }
}

impl Program {
    /// Makes an instance with a store of its own. `stop` ends whatever call is under way.
    ///
    /// # Errors
    /// When the component's own start-up code traps or exceeds a limit.
    pub fn start(&self, host: Host, stop: Arc<AtomicBool>) -> Result<Instance, Fault> {
        let limits = &self.limits;
        let guest = Guest {
            host,
            limits: StoreLimitsBuilder::new()
                .memory_size(limits.memory.get())
                .table_elements(limits.table_elements as usize)
                .instances(MOST_PARTS)
                .memories(MOST_PARTS)
                .tables(MOST_PARTS)
                .trap_on_grow_failure(true)
                .build(),
            budget: Budget::new(limits),
            stop,
        };
        let mut store = Store::new(&self.sandbox.engine, guest);
        store.limiter(|guest| &mut guest.limits);
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
        let made = self.pre.instantiate(&mut store).and_then(|instance| {
            let lifecycle = self.lifecycle.load(&mut store, &instance)?;
            Ok((lifecycle, self.handlers.load(&mut store, &instance)?))
        });
        match made {
            Ok((lifecycle, handlers)) => Ok(Instance {
                sandbox: self.sandbox.clone(),
                store,
                lifecycle,
                handlers,
                limits: self.limits,
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
        self.call(|store| lifecycle.call_init(store, config))
    }

    /// Makes one call within a fresh budget.
    fn call<T>(&mut self, call: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<T>) -> Result<T, Fault> {
        self.store.data_mut().budget = Budget::new(&self.limits);
        self.store.set_epoch_deadline(1);
        let _running = self.sandbox.ticker.running();
        call(&mut self.store).map_err(|error| Fault::of(error, &self.limits))
    }
}

impl Guest {
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
        let most_ticks = limits.cpu_per_event.as_nanos().div_ceil(TICK.as_nanos()) + 1;
        let now = Instant::now();
        Self {
            ticks: 0,
            most_ticks: u64::try_from(most_ticks).unwrap_or(u64::MAX),
            deadline: now.checked_add(limits.wall_per_event).unwrap_or(now),
        }
    }
}

impl Fault {
    fn of(error: wasmtime::Error, limits: &Limits) -> Self {
        match error.downcast_ref::<Overrun>() {
            Some(Overrun::Cpu) => Self::Cpu(limits.cpu_per_event),
            Some(Overrun::Wall) => Self::Wall(limits.wall_per_event),
            Some(Overrun::Stopped) => Self::Stopped,
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

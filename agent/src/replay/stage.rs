//! The stage on which a component plays offline: every import is answered by a [`Prompter`], and every export
//! can be called by its name. Values go both ways as JSON, by their types in the component.
//!
//! A replay has a [`Tape`](super::tape::Tape) for its prompter, a scenario a world that it scripts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Instance, InstancePre, Linker, Val};
use wasmtime::{Engine, GuestProfiler, Store, StoreContextMut, UpdateDeadline};

use super::ReplayError;
use super::values::{Unfit, from_json, to_json};
use crate::config::Limits;
use crate::observe::short_name;
use crate::sandbox::bounds::Bounds;
use crate::sandbox::ticker::{TICK, Ticker};
use crate::sync::lock;

/// How long one call may take: a plugin that runs on must not keep whoever plays it for ever.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// What answers the host calls of a component.
pub(crate) trait Prompter: 'static {
    /// Answers a host call.
    fn answer(&mut self, function: &str, arguments: Vec<Value>) -> Answer;
}

/// What a host call comes to.
pub(crate) enum Answer {
    /// It returns this.
    Returns(Value),
    /// It traps.
    Traps(String),
    /// It is not as it should be, which the prompter has noted: the play is over.
    Differs,
}

/// Carried through a trap by a host function that was not to be called.
#[derive(Debug, thiserror::Error)]
#[error("asked for something else than was expected")]
struct Diverged;

/// A component that can be played.
pub(crate) struct Stage<P: 'static> {
    engine: Engine,
    ticker: Ticker,
    pre: InstancePre<Played<P>>,
    imports: Functions,
    exports: BTreeMap<String, Export>,
    counts_instructions: bool,
    profiler: Option<Arc<Mutex<GuestProfiler>>>,
}

/// Functions by their short names, with their types.
pub(crate) type Functions = BTreeMap<String, ComponentFunc>;

struct Export {
    interface: String,
    function: String,
    ty: ComponentFunc,
}

/// An instance that plays.
pub(crate) struct Scene<P: 'static> {
    store: Store<Played<P>>,
    instance: Instance,
}

/// What a store holds.
struct Played<P> {
    prompter: P,
    contents: bool,
    bounds: Bounds,
    deadline: Instant,
    meter: Meter,
}

/// What one call took.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    /// Instructions of the component's own code, where the engine counts them.
    pub(crate) instructions: u64,
    /// Bytes of what the component was handed: the arguments of the call, and what host calls returned.
    pub(crate) bytes_in: u64,
    /// Bytes of what it handed over: the arguments of host calls, and what it returned.
    pub(crate) bytes_out: u64,
    /// Host calls, by their names.
    pub(crate) host_calls: BTreeMap<String, u64>,
}

impl<P: Prompter> Stage<P> {
    /// Prepares a component. An engine that counts instructions has them counted and bounded.
    ///
    /// # Errors
    /// When it imports something else than functions, or cannot be linked.
    pub(crate) fn new(
        engine: &Engine,
        component: &Component,
        counts_instructions: bool,
    ) -> Result<Self, ReplayError> {
        let mut linker = Linker::new(engine);
        let ty = component.component_type();
        let mut imports = Functions::new();
        for (name, import) in ty.imports(engine) {
            let ComponentItem::ComponentInstance(instance) = import.ty else {
                return Err(ReplayError::Import(name.to_owned()));
            };
            let mut inner = linker.instance(name)?;
            for (function, item) in instance.exports(engine) {
                match item.ty {
                    ComponentItem::ComponentFunc(ty) => {
                        let full_name = short_name(name, function);
                        imports.insert(full_name.clone(), ty);
                        inner.func_new(function, move |store, ty, params, results| {
                            answer::<P>(store, &full_name, &ty, params, results)
                        })?;
                    }
                    ComponentItem::Type(_) => {}
                    _ => return Err(ReplayError::Import(short_name(name, function))),
                }
            }
        }
        let mut exports = BTreeMap::new();
        for (name, export) in ty.exports(engine) {
            let ComponentItem::ComponentInstance(instance) = export.ty else { continue };
            for (function, item) in instance.exports(engine) {
                if let ComponentItem::ComponentFunc(ty) = item.ty {
                    let export = Export { interface: name.to_owned(), function: function.to_owned(), ty };
                    exports.insert(short_name(name, function), export);
                }
            }
        }
        let pre = linker.instantiate_pre(component)?;
        let ticker = Ticker::start(engine.clone()).map_err(wasmtime::Error::from)?;
        Ok(Self {
            engine: engine.clone(),
            ticker,
            pre,
            imports,
            exports,
            counts_instructions,
            profiler: None,
        })
    }

    /// Has it looked, at each tick, which functions are being called.
    ///
    /// # Errors
    /// When the component's code cannot be looked at.
    pub(crate) fn profiled(mut self, name: &str, component: &Component) -> wasmtime::Result<Self> {
        let profiler = GuestProfiler::new_component(&self.engine, name, TICK, component.clone(), [])?;
        self.profiler = Some(Arc::new(Mutex::new(profiler)));
        Ok(self)
    }

    /// Writes what was seen, as the Firefox Profiler reads it. No instance may be left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write_profile(self, output: impl std::io::Write) -> wasmtime::Result<()> {
        let profiler = self.profiler.and_then(Arc::into_inner);
        let profiler = profiler.ok_or_else(|| wasmtime::Error::msg("the plugin was not profiled"))?;
        profiler.into_inner().unwrap_or_else(PoisonError::into_inner).finish(output)
    }

    /// The functions that the component imports.
    pub(crate) fn imports(&self) -> &Functions {
        &self.imports
    }

    /// The type of a function that the component exports.
    pub(crate) fn export(&self, function: &str) -> Option<&ComponentFunc> {
        self.exports.get(function).map(|export| &export.ty)
    }

    /// The functions that the component exports, by name.
    pub(crate) fn exports(&self) -> impl Iterator<Item = &str> {
        self.exports.keys().map(String::as_str)
    }

    /// Makes an instance. `contents` says whether the prompter sees bytes, or only how many there are; `most`
    /// is how many instructions its start may take.
    ///
    /// # Errors
    /// When its start traps or exceeds a limit.
    pub(crate) fn begin(
        &self,
        prompter: P,
        contents: bool,
        limits: &Limits,
        most: u64,
    ) -> wasmtime::Result<Scene<P>> {
        let played = Played {
            prompter,
            contents,
            bounds: Bounds::new(limits),
            deadline: Instant::now() + LONGEST_CALL,
            meter: Meter::default(),
        };
        let mut store = Store::new(&self.engine, played);
        store.limiter(|played| &mut played.bounds);
        store.set_hostcall_fuel(limits.host_call_allocation.get());
        let profiler = self.profiler.clone();
        store.epoch_deadline_callback(move |context| {
            if let Some(profiler) = &profiler {
                lock(profiler).sample(&context, TICK);
            }
            if Instant::now() < context.data().deadline {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg(format!("took longer than {LONGEST_CALL:?}")))
            }
        });
        store.set_epoch_deadline(1);
        if self.counts_instructions {
            store.set_fuel(most)?;
        }
        let _running = self.ticker.running();
        let instance = self.pre.instantiate(&mut store)?;
        if self.counts_instructions {
            store.data_mut().meter.instructions = most.saturating_sub(store.get_fuel()?);
        }
        Ok(Scene { store, instance })
    }

    /// Calls an export, which may take so many instructions, and gives back what it returned.
    ///
    /// # Errors
    /// When there is no such export, the arguments do not [fit](Unfit) it, or the call does not return.
    pub(crate) fn call(
        &self,
        scene: &mut Scene<P>,
        function: &str,
        arguments: &[Value],
        most: u64,
    ) -> wasmtime::Result<Value> {
        let Scene { store, instance } = scene;
        let export =
            self.exports.get(function).ok_or_else(|| wasmtime::Error::msg("there is no such export"))?;
        let params = arguments.iter().zip(export.ty.params()).map(|(value, (_, ty))| from_json(value, &ty));
        let params = params.collect::<Result<Vec<_>, Unfit>>()?;
        let interface = instance.get_export_index(&mut *store, None, &export.interface);
        let function = interface
            .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), &export.function))
            .and_then(|function| instance.get_func(&mut *store, function))
            .ok_or_else(|| wasmtime::Error::msg("the export is no function"))?;
        let mut results = vec![Val::Bool(false); export.ty.results().len()];
        let played = store.data_mut();
        played.deadline = Instant::now() + LONGEST_CALL;
        played.meter = Meter { bytes_in: weight(&params), ..Meter::default() };
        let _running = self.ticker.running();
        store.set_epoch_deadline(1);
        if self.counts_instructions {
            store.set_fuel(most)?;
        }
        let outcome = function.call(&mut *store, &params, &mut results);
        if self.counts_instructions {
            store.data_mut().meter.instructions = most.saturating_sub(store.get_fuel()?);
        }
        outcome?;
        let played = store.data_mut();
        played.meter.bytes_out += weight(&results);
        Ok(results.first().map_or(Value::Null, |result| to_json(result, played.contents)))
    }
}

impl<P> Scene<P> {
    /// Who answers its host calls.
    pub(crate) fn prompter(&mut self) -> &mut P {
        &mut self.store.data_mut().prompter
    }

    /// What the last call took.
    pub(crate) fn meter(&self) -> &Meter {
        &self.store.data().meter
    }

    /// Bytes of its linear memories, which never shrink.
    pub(crate) fn memory(&self) -> u64 {
        self.store.data().bounds.memory as u64
    }
}

/// Has a host call answered.
fn answer<P: Prompter>(
    mut store: StoreContextMut<'_, Played<P>>,
    function: &str,
    ty: &ComponentFunc,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let Played { prompter, contents, meter, .. } = store.data_mut();
    *meter.host_calls.entry(function.to_owned()).or_default() += 1;
    meter.bytes_out += weight(params);
    let arguments = params.iter().map(|param| to_json(param, *contents)).collect();
    let value = match prompter.answer(function, arguments) {
        Answer::Returns(value) => value,
        Answer::Traps(reason) => return Err(wasmtime::Error::msg(reason)),
        Answer::Differs => return Err(Diverged.into()),
    };
    for (result, ty) in results.iter_mut().zip(ty.results()) {
        *result = from_json(&value, &ty)?;
    }
    meter.bytes_in += weight(results);
    Ok(())
}

/// How many bytes values have, without what the component model adds to them.
fn weight(values: &[Val]) -> u64 {
    let inner =
        |value: &Option<Box<Val>>| value.as_deref().map_or(0, |value| weight(std::slice::from_ref(value)));
    values
        .iter()
        .map(|value| match value {
            Val::Bool(_) | Val::S8(_) | Val::U8(_) | Val::Enum(_) => 1,
            Val::S16(_) | Val::U16(_) => 2,
            Val::S64(_) | Val::U64(_) | Val::Float64(_) => 8,
            Val::String(text) => text.len() as u64,
            Val::List(items) | Val::FixedLengthList(items) | Val::Tuple(items) => weight(items),
            Val::Record(fields) => fields.iter().map(|(_, value)| weight(std::slice::from_ref(value))).sum(),
            Val::Variant(_, value) | Val::Option(value) | Val::Result(Ok(value) | Err(value)) => {
                1 + inner(value)
            }
            _ => 4,
        })
        .sum()
}

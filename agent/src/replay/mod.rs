//! Replay: a plugin is called as it was in a [`record`], its host calls are answered from there, and what
//! it asks for is held against what was asked for then.
//!
//! There is no device, no desktop and no clock: time is what the record says. Values are handed over by
//! their types in the component, whatever they are, so that no interface needs anything here, and a plugin
//! that was written anew, in another language perhaps, is held against the old one's record as it is.

pub mod record;
mod tape;
mod values;

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::Value;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, Instance, InstancePre, Linker, Val};
use wasmtime::{Engine, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder, UpdateDeadline};

use crate::control::protocol::Recorded;
use crate::host::printable;
use crate::observe::short_name;
use crate::sandbox::ticker::Ticker;
use record::{Call, End, INIT, Record, RecordError};
use tape::{Answer, Tape, written};
use values::{Unfit, from_json, to_json};

/// How long one call may take: a plugin that runs on must not keep whoever replays it for ever.
const LONGEST_CALL: Duration = Duration::from_secs(60);

/// Why a replay cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The record is wrong.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The component cannot be run.
    #[error("Cannot run the component: {0:#}")]
    Component(#[from] wasmtime::Error),
    /// The component wants what no record has.
    #[error("Cannot replay the component: it imports {0}, which cannot be answered from a record")]
    Import(String),
    /// The record does not fit the component.
    #[error("Cannot replay line {line} of the record: {reason}")]
    Unfit {
        /// The line of the record.
        line: u64,
        /// Why.
        reason: String,
    },
}

/// Where the plugin did something else than it did then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The line of the record that has what it did then.
    pub line: Option<u64>,
    /// How many host calls of this call were the same before.
    pub after: u64,
    /// What it did then.
    pub recorded: String,
    /// What it does now.
    pub replayed: String,
}

/// What came of a replay.
#[derive(Debug, Default)]
pub struct Replayed {
    /// How many calls were made.
    pub calls: u64,
    /// How many host calls were made in them, those of the log and the clock apart.
    pub host_calls: u64,
    /// The call with the first difference, as it is written, and the difference.
    pub difference: Option<(String, Difference)>,
}

/// What a store holds.
struct Stage {
    tape: Tape,
    contents: bool,
    limits: StoreLimits,
    deadline: Instant,
}

/// Carried through a trap by a host function that was not called then.
#[derive(Debug, thiserror::Error)]
#[error("asked for something else than was recorded")]
struct Diverged;

/// A component that is to be replayed.
pub struct Player {
    engine: Engine,
    ticker: Ticker,
    pre: InstancePre<Stage>,
    exports: BTreeMap<String, Export>,
}

struct Export {
    interface: String,
    function: String,
    ty: ComponentFunc,
}

impl Player {
    /// Prepares a component. Whatever it imports is answered from a record.
    ///
    /// # Errors
    /// When it imports something else than functions, or cannot be linked.
    pub fn new(engine: &Engine, component: &Component) -> Result<Self, ReplayError> {
        let mut linker = Linker::new(engine);
        let ty = component.component_type();
        for (name, import) in ty.imports(engine) {
            let ComponentItem::ComponentInstance(instance) = import.ty else {
                return Err(ReplayError::Import(name.to_owned()));
            };
            let mut inner = linker.instance(name)?;
            for (function, item) in instance.exports(engine) {
                match item.ty {
                    ComponentItem::ComponentFunc(_) => {
                        let full_name = short_name(name, function);
                        inner.func_new(function, move |store, ty, params, results| {
                            answer(store, &full_name, &ty, params, results)
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
        Ok(Self { engine: engine.clone(), ticker, pre, exports })
    }

    /// Replays what a record has of a plugin, up to the first difference.
    ///
    /// # Errors
    /// When the record is wrong, or the component cannot be run.
    pub fn replay<R: BufRead>(
        &self,
        record: &mut Record<R>,
        plugin: &Recorded,
    ) -> Result<Replayed, ReplayError> {
        let mut replayed = Replayed::default();
        let mut running: Option<(Store<Stage>, Instance)> = None;
        while let Some(mut call) = record.next_call(&plugin.name)? {
            let Some(end) = call.end.take() else { break };
            let begins = call.function == INIT;
            let mut next = if begins { Some(self.begin(record, plugin)?) } else { running.take() };
            // What comes before belongs to an instance whose beginning was not recorded.
            let Some((store, instance)) = &mut next else { continue };
            let call_written = written(&call.function, &call.arguments);
            let difference = self.make(store, *instance, call, &end)?;
            replayed.calls += 1;
            replayed.host_calls += store.data().tape.made;
            if let Some(difference) = difference {
                replayed.difference = Some((call_written, difference));
                break;
            }
            // One that would have taken another's place, and came to nothing, leaves it there.
            let stays = if begins { end.answer.as_ref().is_ok_and(is_ok) } else { end.answer.is_ok() };
            if stays {
                running = next;
            }
        }
        Ok(replayed)
    }

    /// Makes an instance.
    fn begin<R>(
        &self,
        record: &Record<R>,
        plugin: &Recorded,
    ) -> Result<(Store<Stage>, Instance), ReplayError> {
        let memory = usize::try_from(plugin.memory).unwrap_or(usize::MAX);
        let stage = Stage {
            tape: Tape::new(record.header.started),
            contents: record.header.contents,
            limits: StoreLimitsBuilder::new().memory_size(memory).trap_on_grow_failure(true).build(),
            deadline: Instant::now() + LONGEST_CALL,
        };
        let mut store = Store::new(&self.engine, stage);
        store.limiter(|stage| &mut stage.limits);
        store.epoch_deadline_callback(|context| {
            if Instant::now() < context.data().deadline {
                Ok(UpdateDeadline::Continue(1))
            } else {
                Err(wasmtime::Error::msg(format!("took longer than {LONGEST_CALL:?}")))
            }
        });
        store.set_epoch_deadline(1);
        let _running = self.ticker.running();
        let instance = self.pre.instantiate(&mut store)?;
        Ok((store, instance))
    }

    /// Makes one call again, and says what was different.
    fn make(
        &self,
        store: &mut Store<Stage>,
        instance: Instance,
        call: Call,
        end: &End,
    ) -> Result<Option<Difference>, ReplayError> {
        let differs = |after, recorded, replayed| {
            Ok(Some(Difference { line: Some(end.line), after, recorded, replayed }))
        };
        let Some(export) = self.exports.get(&call.function) else {
            return differs(0, format!("exports {}", call.function), "(does not)".to_owned());
        };
        let unfit = |reason: String| ReplayError::Unfit { line: call.line, reason };
        if export.ty.params().len() != call.arguments.len() {
            let (found, wanted) = (call.arguments.len(), export.ty.params().len());
            return Err(unfit(format!("it has {found} arguments, and {} takes {wanted}", call.function)));
        }
        let params = call.arguments.iter().zip(export.ty.params());
        let params = params.map(|(argument, (_, ty))| from_json(argument, &ty));
        let params: Vec<_> = params.collect::<Result<_, _>>().map_err(|error| unfit(error.to_string()))?;

        store.data_mut().tape.wind(call.at, call.asked);
        store.data_mut().deadline = Instant::now() + LONGEST_CALL;
        let outcome = self.call(store, instance, export, &params);
        let tape = &mut store.data_mut().tape;
        if let Some(difference) = tape.difference.take() {
            return Ok(Some(difference));
        }
        if let Some(unfit) = outcome.as_ref().err().and_then(|error| error.downcast_ref::<Unfit>()) {
            return Err(ReplayError::Unfit { line: call.line, reason: unfit.to_string() });
        }
        // What was not asked for comes before what was said in the end.
        if let (Some(difference), Ok(_)) = (tape.left(), &outcome) {
            return Ok(Some(difference));
        }
        let returns = |value: &Value| format!("returns {value}");
        let faults = |text: &str| format!("faults: {text}");
        match (&end.answer, outcome) {
            (Ok(then), Ok(now)) if *then == now => Ok(None),
            // A fault is a fault: its text may be that of another language.
            (Err(_), Err(_)) => Ok(None),
            (Ok(then), Ok(now)) => differs(tape.made, returns(then), returns(&now)),
            (Err(then), Ok(now)) => differs(tape.made, faults(then), returns(&now)),
            (Ok(then), Err(now)) => {
                let now = printable(now.root_cause().to_string());
                differs(tape.made, returns(then), faults(&now))
            }
        }
    }

    /// Calls an export, and gives back what it returned.
    fn call(
        &self,
        store: &mut Store<Stage>,
        instance: Instance,
        export: &Export,
        params: &[Val],
    ) -> wasmtime::Result<Value> {
        let interface = instance.get_export_index(&mut *store, None, &export.interface);
        let function = interface
            .and_then(|interface| instance.get_export_index(&mut *store, Some(&interface), &export.function))
            .and_then(|function| instance.get_func(&mut *store, function))
            .ok_or_else(|| wasmtime::Error::msg("the export is no function"))?;
        let mut results = vec![Val::Bool(false); export.ty.results().len()];
        let _running = self.ticker.running();
        store.set_epoch_deadline(1);
        function.call(&mut *store, params, &mut results)?;
        let contents = store.data().contents;
        Ok(results.first().map_or(Value::Null, |result| to_json(result, contents)))
    }
}

/// Whether a result is a success.
fn is_ok(result: &Value) -> bool {
    result.get("ok").is_some()
}

/// Answers a host call from the record.
fn answer(
    mut store: StoreContextMut<'_, Stage>,
    function: &str,
    ty: &ComponentFunc,
    params: &[Val],
    results: &mut [Val],
) -> wasmtime::Result<()> {
    let stage = store.data_mut();
    let contents = stage.contents;
    let arguments: Vec<_> = params.iter().map(|param| to_json(param, contents)).collect();
    let value = match stage.tape.answer(function, &arguments) {
        Answer::Returns(value) => value,
        Answer::Traps(reason) => return Err(wasmtime::Error::msg(reason)),
        Answer::Differs => return Err(Diverged.into()),
    };
    for (result, ty) in results.iter_mut().zip(ty.results()) {
        *result = from_json(&value, &ty)?;
    }
    Ok(())
}

//! Replay: a plugin is called as it was in a [`record`], its host calls are answered from there, and what
//! it asks for is held against what was asked for then.
//!
//! There is no device, no desktop and no clock: time is what the record says. Values are handed over by
//! their types in the component, whatever they are, so that no interface needs anything here, and a plugin
//! that was written anew, in another language perhaps, is held against the old one's record as it is.

pub mod record;
pub(crate) mod stage;
pub(crate) mod tape;
pub(crate) mod values;

use std::io::BufRead;

use serde_json::Value;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::config::{Bytes, Limits};
use crate::control::protocol::{Header, Recorded};
use crate::host::printable;
use record::{Call, End, INIT, Record, RecordError};
use stage::{Scene, Stage};
use tape::{Tape, written};
use values::Unfit;

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

/// A component that is to be replayed.
pub struct Player {
    stage: Stage<Tape>,
}

impl Player {
    /// Prepares a component. Whatever it imports is answered from a record.
    ///
    /// # Errors
    /// When it imports something else than functions, or cannot be linked.
    pub fn new(engine: &Engine, component: &Component) -> Result<Self, ReplayError> {
        Ok(Self { stage: Stage::new(engine, component, false)? })
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
        let mut running: Option<Scene<Tape>> = None;
        while let Some(mut call) = record.next_call(&plugin.name)? {
            let Some(end) = call.end.take() else { break };
            let begins = call.function == INIT;
            let mut next = if begins { Some(self.begin(record, plugin)?) } else { running.take() };
            // What comes before belongs to an instance whose beginning was not recorded.
            let Some(scene) = &mut next else { continue };
            let call_written = written(&call.function, &call.arguments);
            let difference = self.make(scene, call, &end)?;
            replayed.calls += 1;
            replayed.host_calls += scene.prompter().made;
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
    fn begin<R>(&self, record: &Record<R>, plugin: &Recorded) -> Result<Scene<Tape>, ReplayError> {
        // A record tells of memory alone.
        let limits = Limits {
            memory: Bytes(plugin.memory),
            table_elements: u32::MAX,
            host_call_allocation: Bytes(u64::MAX),
            ..Limits::default()
        };
        let Header { started, contents, .. } = record.header;
        Ok(self.stage.begin(Tape::new(started), contents, &limits, 0)?)
    }

    /// Makes one call again, and says what was different.
    fn make(
        &self,
        scene: &mut Scene<Tape>,
        call: Call,
        end: &End,
    ) -> Result<Option<Difference>, ReplayError> {
        let differs = |after, recorded, replayed| {
            Ok(Some(Difference { line: Some(end.line), after, recorded, replayed }))
        };
        let Some(export) = self.stage.export(&call.function) else {
            return differs(0, format!("exports {}", call.function), "(does not)".to_owned());
        };
        let unfit = |reason: String| ReplayError::Unfit { line: call.line, reason };
        if export.params().len() != call.arguments.len() {
            let (found, wanted) = (call.arguments.len(), export.params().len());
            return Err(unfit(format!("it has {found} arguments, and {} takes {wanted}", call.function)));
        }
        scene.prompter().wind(call.at, call.asked);
        let outcome = self.stage.call(scene, &call.function, &call.arguments, 0);
        let tape = scene.prompter();
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
}

/// Whether a result is a success.
fn is_ok(result: &Value) -> bool {
    result.get("ok").is_some()
}

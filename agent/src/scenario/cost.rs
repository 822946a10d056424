//! What a plugin costs: of each handler how often it was called, what it took, and what it asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::observe::nanoseconds;
use crate::replay::stage::Meter;

/// What a plugin took in all scenarios that it was played in. All but the two times is the same at every run.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Cost {
    /// Bytes of the component.
    pub component: u64,
    /// How long it took to compile and prepare it, in nanoseconds.
    pub load: u64,
    /// How many instances were made.
    pub instances: u64,
    /// The most instructions that the start of one took, before `init`.
    pub instantiate: u64,
    /// Its handlers, by their names.
    pub handlers: BTreeMap<String, HandlerCost>,
}

/// What a handler took in all its calls.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct HandlerCost {
    /// How often it was called.
    pub calls: u64,
    /// Instructions of the plugin's own code, in all calls.
    pub instructions: u64,
    /// Those of the call with the most.
    pub most_instructions: u64,
    /// The most bytes of linear memory that there were at the end of a call.
    pub memory: u64,
    /// Bytes that it was handed, as arguments and by host calls.
    pub bytes_in: u64,
    /// Bytes that it handed over, in host calls and as results.
    pub bytes_out: u64,
    /// Host calls, by their names.
    pub host_calls: BTreeMap<String, u64>,
}

impl Cost {
    pub(super) fn of(component: usize, load: Duration) -> Self {
        Self { component: component as u64, load: nanoseconds(load), ..Self::default() }
    }

    pub(super) fn instantiated(&mut self, instructions: u64) {
        self.instances += 1;
        self.instantiate = self.instantiate.max(instructions);
    }

    pub(super) fn called(&mut self, function: &str, meter: &Meter, memory: u64) {
        let cost = self.handlers.entry(function.to_owned()).or_default();
        cost.calls += 1;
        cost.instructions += meter.instructions;
        cost.most_instructions = cost.most_instructions.max(meter.instructions);
        cost.memory = cost.memory.max(memory);
        cost.bytes_in += meter.bytes_in;
        cost.bytes_out += meter.bytes_out;
        for (name, count) in &meter.host_calls {
            *cost.host_calls.entry(name.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, load, instances, instantiate, handlers } = self;
        writeln!(
            f,
            "{component} bytes of component, compiled and prepared in {:.1?}\n\
             {instances} instances, each made with at most {instantiate} instructions",
            Duration::from_nanos(*load)
        )?;
        let width = handlers.keys().map(String::len).max().unwrap_or(0);
        writeln!(
            f,
            "{:width$}  {:>6}  {:>12}  {:>12}  {:>10}  {:>10}  {:>10}",
            "HANDLER", "CALLS", "INSTRUCTIONS", "MOST", "MEMORY", "BYTES IN", "BYTES OUT"
        )?;
        for (name, cost) in handlers {
            let HandlerCost {
                calls,
                instructions,
                most_instructions,
                memory,
                bytes_in,
                bytes_out,
                host_calls,
            } = cost;
            writeln!(
                f,
                "{name:width$}  {calls:>6}  {instructions:>12}  {most_instructions:>12}  {memory:>10}  \
                 {bytes_in:>10}  {bytes_out:>10}"
            )?;
            for (function, count) in host_calls {
                writeln!(f, "{count:>10} {function}")?;
            }
        }
        Ok(())
    }
}

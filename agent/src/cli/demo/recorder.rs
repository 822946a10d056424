//! Writes down the steps of a ring, with when each one happened.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::Registry;

use bellhop_agent::sync::lock;

/// The target of the steps' events, in every crate.
const TARGET: &str = "bellhop::ring";

/// The step in which the device raises its interrupt line.
const INTERRUPT_RAISED: u64 = 2;

/// The step in which the desktop has the layout that a plugin decided on.
pub(super) const DESKTOP_ANSWERED: u64 = 10;

/// So many steps of one ring are kept; a ring has a dozen.
const MOST_STEPS: usize = 200;

/// One thing that happened in a ring.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its number in ARCHITECTURE.md's table; `None` for the end of a call.
    pub(super) number: Option<u64>,
    /// When.
    pub(super) at: Instant,
    /// What.
    pub(super) message: String,
    /// The particulars, as `name=value`.
    pub(super) details: String,
}

/// The reading end of the record.
#[derive(Clone, Default)]
pub(super) struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    steps: Mutex<Vec<Step>>,
    added: Condvar,
}

impl Recorder {
    /// A recorder, and the layer that writes to it.
    pub(super) fn new() -> (Self, Box<dyn Layer<Registry> + Send + Sync>) {
        let recorder = Self::default();
        let layer = Writer(recorder.shared.clone()).boxed();
        (recorder, layer)
    }

    /// Forgets what was recorded.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// Whether the device has raised its interrupt line since.
    pub(super) fn rang(&self) -> bool {
        self.lock().iter().any(|step| step.number == Some(INTERRUPT_RAISED))
    }

    /// Waits until a plugin that was called for the ring is done, and gives back the steps so far.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> Vec<Step> {
        let (steps, _) = self
            .shared
            .added
            .wait_timeout_while(self.lock(), timeout, |steps| !ended(steps))
            .unwrap_or_else(PoisonError::into_inner);
        steps.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Step>> {
        lock(&self.shared.steps)
    }
}

/// Whether a call has ended that was made for the ring; others may come in between, as plugins have timers
/// and windows change. A call to a service comes to its end by an event, and is told to who made it.
pub(super) fn ended(steps: &[Step]) -> bool {
    let is = |step: &Step, number: Option<u64>, detail: &str| {
        step.number == number && step.details.contains(detail)
    };
    let service = steps.iter().any(|step| is(step, Some(INTERRUPT_RAISED), "events=hgcm"));
    let export = if service { "export=on-completion" } else { "export=on-host-events" };
    steps.iter().any(|step| is(step, None, export))
}

struct Writer(Arc<Shared>);

impl<S: Subscriber> Layer<S> for Writer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { Interest::sometimes() }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != TARGET || *event.metadata().level() != Level::TRACE {
            return;
        }
        let mut step =
            Step { number: None, at: Instant::now(), message: String::new(), details: String::new() };
        event.record(&mut step);
        let mut steps = lock(&self.0.steps);
        if steps.len() < MOST_STEPS {
            steps.push(step);
            self.0.added.notify_all();
        }
    }
}

impl Visit for Step {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "step" {
            self.number = Some(value);
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.details, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: Option<u64>, details: &str) -> Step {
        Step { number, at: Instant::now(), message: String::new(), details: details.to_owned() }
    }

    #[test]
    fn a_ring_ends_with_the_call_that_was_made_for_it() {
        let of_host = step(Some(2), " bits=4 events=display-change");
        let of_service = step(Some(2), " bits=2 events=hgcm");
        let completion = step(None, " plugin=clipboard export=on-completion took=1ms");
        let handler = step(None, " plugin=display export=on-host-events took=1ms");

        assert!(!ended(&[of_host.clone(), completion.clone()]));
        assert!(ended(&[of_host, completion.clone(), handler.clone()]));
        assert!(!ended(&[of_service.clone(), handler]));
        assert!(ended(&[of_service, completion]));
    }
}

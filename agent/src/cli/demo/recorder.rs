//! Writes down the steps of a ring, with when each one happened.

use std::fmt::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::Registry;

/// The target of the steps' events, in every crate.
const TARGET: &str = "bellhop::ring";

/// The step in which the device raises its interrupt line.
const INTERRUPT_RAISED: u64 = 2;

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

    /// Waits until a plugin's call has ended, and gives back the steps so far.
    pub(super) fn wait_for_end(&self, timeout: Duration) -> Vec<Step> {
        let unended = |steps: &mut Vec<Step>| !steps.iter().any(|step| step.number.is_none());
        let (steps, _) = self
            .shared
            .added
            .wait_timeout_while(self.lock(), timeout, unended)
            .unwrap_or_else(PoisonError::into_inner);
        steps.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Step>> {
        self.shared.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        let mut steps = self.0.steps.lock().unwrap_or_else(PoisonError::into_inner);
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

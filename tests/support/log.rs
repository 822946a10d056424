//! What the agent logged, by plugin.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

static LINES: Mutex<BTreeMap<String, VecDeque<String>>> = Mutex::new(BTreeMap::new());

/// So many lines of a plugin are remembered, the last ones: some plugins of the tests write without end.
const MOST_LINES: usize = 10_000;

/// Starts to record the log of this process; later calls do nothing.
pub(super) fn record() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let filter = tracing_subscriber::filter::LevelFilter::INFO;
        let subscriber = tracing_subscriber::registry().with(Recorder.with_filter(filter));
        tracing::subscriber::set_global_default(subscriber).expect("nobody else records");
    });
}

/// The last lines logged about a plugin or by it, as `LEVEL message name=value …`.
#[must_use]
pub fn lines_of(plugin: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.get(plugin).into_iter().flatten().cloned().collect()
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let text = format!("{} {}{}", event.metadata().level(), line.message, line.details);
        let mut all = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = all.entry(line.plugin).or_default();
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(text);
    }
}

#[derive(Default)]
struct Line {
    plugin: String,
    message: String,
    details: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "plugin" {
            value.clone_into(&mut self.plugin);
        } else {
            self.record_debug(field, &format_args!("{value}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.details, " {name}={value:?}"),
        };
    }
}

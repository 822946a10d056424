//! The steps of one ring that the device leaves in the trace: 2 when it rings, 8 when it answers.

mod guest;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use driver_core::wire::{Events, GetHostTime, Request};
use guest::Guest;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Writes down the fields of every event of the target.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "bellhop::ring"
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().expect("not poisoned").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_ring_and_an_answer_leave_one_line_each() {
    let guest = Guest::wanting(Events::VRDP | Events::RESTORED);
    let steps = Steps::default();

    tracing::subscriber::with_default(steps.clone(), || {
        guest.host.raise_events(Events::VRDP);
        guest.host.raise_events(Events::RESTORED);
        guest.acknowledge();
        guest.ask(GetHostTime::new());
    });

    let lines = steps.0.lock().expect("not poisoned");
    let [ring, answer] = &lines[..] else { panic!("two lines: {lines:?}") };
    assert!(ring.contains("step=2 ") && ring.contains("bits=256 "), "{ring}");
    assert!(answer.contains("step=8 ") && answer.contains("\"GetHostTime\""), "{answer}");
    assert!(answer.contains("VINF_SUCCESS"), "{answer}");
}

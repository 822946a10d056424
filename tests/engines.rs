//! What plugins are compiled for, native code or Pulley's, makes no difference to what they can do and what
//! becomes of them.

use std::fs;

use bellhop_agent::sandbox::engine::Target;
use support::fixtures::{Fixture, ok};
use support::{RESTORED, Setup, lines_of, says};

const EVENTS: &str = "grants = { events = [\"restored\"] }";

/// A name for a plugin on each engine.
const BOTH: [(&str, Target); 2] = [("native", Target::Native), ("pulley", Target::Pulley)];

fn named(what: &str, on: &str) -> String {
    format!("{what}-on-{on}")
}

#[test]
fn a_wish_is_followed() {
    for (on, engine) in BOTH {
        let name = named("wish", on);
        let rig = Setup::new().rig().engine(engine).display(&name).start();

        rig.follows(1001);
        rig.follows(1002);

        assert_eq!(rig.state(&name).faults, 0);
    }
}

/// Functions that call each other, of which the innermost does this.
fn nested(innermost: &str) -> Fixture {
    let functions =
        format!("(func $inner (param i32) {innermost}) (func $outer (call $inner (i32.const 0)))");
    Fixture::subscribing(RESTORED).with_fields(&functions).on_host_events(format!("(call $outer) {}", ok()))
}

#[test]
fn what_stops_a_plugin_is_told_with_the_export_and_the_functions() {
    let cases = [
        ("unreachable", "(unreachable)", "unreachable"),
        ("outside", "(drop (i32.load (i32.const -8)))", "out of bounds memory access"),
        ("overwrites", "(i32.store (i32.const 0x7fffffff) (i32.const 1))", "out of bounds memory access"),
        ("zero", "(drop (i32.div_u (i32.const 1) (local.get 0)))", "integer divide by zero"),
        ("deep", "(call $inner (local.get 0))", "call stack exhausted"),
        ("endless", "(loop $again (br $again))", "Used more than 20ms of processor time"),
    ];
    for (on, engine) in BOTH {
        for (what, innermost, expected) in cases {
            let name = named(what, on);
            let table = format!("{EVENTS}\nlimits = {{ cpu-per-event = \"20 ms\" }}");
            let component = nested(innermost).component();
            let rig = Setup::new().rig().engine(engine).plugin(&name, &component, &table).start();

            rig.host.force_events(RESTORED);

            says(&name, "Fault:");
            let fault = rig.state(&name).last_fault.expect("it is remembered");
            assert!(fault.text.contains(expected), "{name}: {}", fault.text);
            assert_eq!(fault.attempt.map(|attempt| attempt.export), Some("on-host-events"), "{name}");
            // What is stopped by the clock is no trap with a place.
            if what != "endless" {
                assert!(fault.text.contains("in inner"), "{name}: {}", fault.text);
            }
            if !["endless", "deep"].contains(&what) {
                assert!(fault.text.contains("inner < outer < on-host-events"), "{name}: {}", fault.text);
            }
        }
    }
}

#[test]
fn a_plugin_that_takes_too_much_memory_is_stopped() {
    for (on, engine) in BOTH {
        let name = named("hog", on);
        let grows = format!("(drop (memory.grow (i32.const 1000))) {}", ok());
        let component = Fixture::subscribing(RESTORED).on_host_events(grows).component();
        let rig = Setup::new().rig().engine(engine).plugin(&name, &component, EVENTS).start();

        rig.host.force_events(RESTORED);

        says(&name, "Fault:");
        let fault = rig.state(&name).last_fault.expect("it is remembered");
        assert!(fault.text.contains("memory"), "{name}: {}", fault.text);
    }
}

/// A cache may have been the other engine's before, and may be again.
#[test]
fn one_cache_keeps_what_was_compiled_for_either() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let component = Fixture::default().component();
    let start = |on: &str, engine| {
        let name = named("cached", on);
        let rig = Setup::new().rig().cache(folder.path().join("cache"));
        let rig = rig.engine(engine).plugin(&name, &component, "").start();
        assert_eq!(rig.running(), (1, 1), "{:#?}", lines_of(&name));
    };
    let compiled = || {
        let files = fs::read_dir(folder.path().join("cache")).expect("it is there");
        let mut files: Vec<_> = files
            .map(|file| file.expect("a file"))
            .map(|file| (file.path(), file.metadata().and_then(|of| of.modified()).expect("a time")))
            .collect();
        files.sort();
        files
    };

    BOTH.iter().for_each(|(on, engine)| start(on, *engine));
    let made = compiled();
    BOTH.iter().for_each(|(on, engine)| start(on, *engine));

    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(compiled(), made);
}

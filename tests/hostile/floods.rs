//! Plugins that ask without end: of the log, of the host, of the agent, of the timers.

use support::fixtures::{Fixture, ok, subscribe};
use support::{DISPLAY_CHANGE, says};

use super::{GUEST, HASTY, LOG, TIMERS, beside_display};

/// A body that calls something for ever.
fn for_ever(call: &str) -> String {
    format!("(loop $again {call} (br $again)) (unreachable)")
}

const TABLE: &str = r#"grants = { events = ["display-change", "restored"], requests = ["guest"] }
limits = { cpu-per-event = "20 ms", wall-per-event = "500 ms" }"#;

#[test]
fn a_flood_of_lines_ends_with_the_call() {
    let fixture = Fixture::subscribing(DISPLAY_CHANGE)
        .importing(LOG, "write", "(param i32 i32 i32)", "log")
        .on_host_events(for_ever("(call $log (i32.const 2) (i32.const 16) (i32.const 13))"));
    let rig = beside_display("flood-log", &fixture, HASTY).start();

    for width in 1001..1006 {
        rig.shows(width);
    }

    says("flood-log", "Fault:");
}

#[test]
fn a_flood_of_requests_ends_with_the_call() {
    let cases = [
        ("flood-time", "host-time", "(param i32)", "(call $host-time (i32.const 2048))"),
        (
            "flood-status",
            "report-status",
            "(param i32 i32 i32)",
            "(call $report-status (i32.const 0) (i32.const 2) (i32.const 2048))",
        ),
    ];
    for (name, function, signature, call) in cases {
        let fixture = Fixture::subscribing(DISPLAY_CHANGE)
            .importing(GUEST, function, signature, function)
            .on_host_events(for_ever(call));
        let rig = beside_display(name, &fixture, TABLE).start();

        for width in 1001..1006 {
            rig.shows(width);
        }

        says(name, "Fault:");
    }
}

#[test]
fn a_storm_of_host_calls_ends_with_the_call() {
    let cases = [
        ("storm-clock", "bellhop:guest/clock@0.1.0", "monotonic", "(result i64)", "(drop (call $monotonic))"),
        ("storm-buffers", super::BUFFERS, "create", "(param i32)", "(call $create (i32.const 2048))"),
        ("storm-drops", super::BUFFERS, "drop", "(param i64)", "(call $drop (i64.const 7))"),
        ("storm-timers", TIMERS, "cancel", "(param i64)", "(call $cancel (i64.const 7))"),
    ];
    for (name, interface, function, signature, call) in cases {
        let fixture = Fixture::subscribing(DISPLAY_CHANGE)
            .importing(interface, function, signature, function)
            .on_host_events(for_ever(call));
        let rig = beside_display(name, &fixture, TABLE).start();

        for width in 1001..1006 {
            rig.shows(width);
        }

        says(name, "Used more than 20ms of processor time");
    }
}

#[test]
fn timers_that_beget_timers_hold_nobody_up() {
    let set = "(call $set (i64.const 0) (i32.const 2048))";
    let fixture = Fixture::default()
        .exporting(&["lifecycle", "timer-events"])
        .importing(TIMERS, "set", "(param i64 i32)", "set")
        .init(format!("{set} {set} {}", subscribe(0, 0)))
        .body("on-timer", format!("{set} {}", ok()));
    let mut rig = beside_display("timers-beget", &fixture, "").start();

    for width in 1001..1101 {
        rig.shows(width);
    }

    assert_eq!(rig.running(), (2, 2));
    rig.stop();
}

//! Plugins that do not stop.

use support::fixtures::{Fixture, ok};
use support::{DISPLAY_CHANGE, RESTORED, Setup, says};

use super::{ENDLESS, EVENTS, HASTY, beside_display};

#[test]
fn a_plugin_that_does_not_stop_is_stopped_and_delays_no_other() {
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events(ENDLESS);
    let rig = beside_display("endless-handler", &fixture, HASTY).start();

    rig.follows(1001);

    says("endless-handler", "Used more than 20ms of processor time");
    rig.follows(1002);
}

#[test]
fn a_plugin_that_starts_for_ever_is_stopped() {
    let fixture = Fixture::default().start("(loop $again (br $again))");
    let rig = beside_display("endless-start", &fixture, HASTY).start();

    assert_eq!(rig.running(), (1, 2));
    says("endless-start", "Used more than 20ms of processor time");
}

#[test]
fn a_call_that_takes_too_long_in_all_is_stopped() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events(ENDLESS);
    let table = r#"grants = { events = ["restored"] }
limits = { cpu-per-event = "1 min", wall-per-event = "30 ms" }"#;
    let rig = Setup::new().rig().plugin("slow-handler", &fixture.component(), table).start();

    rig.host.force_events(RESTORED);

    says("slow-handler", "Took longer than 30ms");
}

#[test]
fn the_agent_stops_while_a_plugin_runs_on() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events(ENDLESS);
    let table = r#"grants = { events = ["restored"] }
limits = { cpu-per-event = "60 min", wall-per-event = "60 min" }"#;
    let mut rig = Setup::new().rig().plugin("stop-endless", &fixture.component(), table).start();
    rig.host.force_events(RESTORED);

    rig.stop();

    assert_eq!(rig.host.guest().filter.bits(), 0);
}

#[test]
fn an_endless_recursion_ends_in_its_own_stack() {
    let body = format!("(drop (call $on-host-events (local.get 0))) {}", ok());
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events(body);
    let rig = beside_display("deep-handler", &fixture, EVENTS).start();

    rig.follows(1001);

    says("deep-handler", "call stack exhausted");
    rig.follows(1002);
}

#[test]
fn an_init_that_does_not_end_is_stopped() {
    let rig = beside_display("endless-init", &Fixture::default().init(ENDLESS), HASTY).start();

    assert_eq!(rig.running(), (1, 2));
    says("endless-init", "Used more than 20ms of processor time");
    rig.follows(1001);
}

#[test]
fn a_recursion_in_init_and_at_the_start_ends_in_its_own_stack() {
    let deep = "(func $deep (param i64 i64 i64) (result i64)
      (i64.add (local.get 0) (call $deep (local.get 1) (local.get 2) (i64.const 1))))";
    let dive = "(drop (call $deep (i64.const 1) (i64.const 2) (i64.const 3)))";
    let fixture = Fixture::default().with_fields(deep);
    let cases = [
        ("deep-init", fixture.clone().init(format!("{dive} {}", ok()))),
        ("deep-start", fixture.start(dive)),
    ];
    for (name, fixture) in cases {
        let rig = beside_display(name, &fixture, EVENTS).start();

        assert_eq!(rig.running(), (1, 2), "{name}");
        says(name, "call stack exhausted");
        rig.follows(1001);
    }
}

#[test]
fn an_allocator_that_does_not_end_is_stopped() {
    let rig = beside_display("endless-allocator", &Fixture::default().realloc(ENDLESS), HASTY).start();

    assert_eq!(rig.running(), (1, 2));
    says("endless-allocator", "Used more than 20ms of processor time");
    rig.follows(1001);
}

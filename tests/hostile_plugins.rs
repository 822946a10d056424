//! Plugins that trap, run on, grow and lie: each harms itself alone.

use driver_core::wire::Capabilities;
use support::fixtures::{FAILURE, Fixture, fail, ok, subscribe};
use support::{DISPLAY_CHANGE, RESTORED, RigBuilder, Setup, eventually, lines_of, says};
use vmmdev::Hint;

const EVENTS: &str = r#"grants = { events = ["display-change", "restored"], capabilities = ["graphics"] }"#;
/// The same with little processor time.
const HASTY: &str = r#"grants = { events = ["display-change", "restored"] }
limits = { cpu-per-event = "20 ms" }"#;
const ENDLESS: &str = "(loop $again (br $again)) (unreachable)";

/// A rig with a hostile plugin and, beside it, the display plugin.
fn beside_display(name: &str, fixture: &Fixture, table: &str) -> RigBuilder {
    Setup::new().rig().plugin(name, &fixture.component(), table).display(&format!("{name}-neighbour"))
}

fn count(plugin: &str, text: &str) -> usize {
    lines_of(plugin).iter().filter(|line| line.contains(text)).count()
}

#[test]
fn a_trap_in_a_handler_is_survived_by_all_and_masked_when_it_recurs() {
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events("(unreachable)");
    let rig = beside_display("trap-handler", &fixture, EVENTS).start();

    rig.follows(1001);

    says("trap-handler", "unreachable");
    says("trap-handler", "No longer called for events that stopped it twice");
    rig.follows(1002);
    assert_eq!(count("trap-handler", "Fault:"), 2, "{:#?}", lines_of("trap-handler"));
}

#[test]
fn an_event_that_harms_is_masked_and_others_still_come() {
    // Traps for a display change; is content with everything else.
    let body =
        format!("(if (i32.and (local.get 0) (i32.const {DISPLAY_CHANGE})) (then (unreachable))) {}", fail());
    let fixture = Fixture::subscribing(DISPLAY_CHANGE | RESTORED).on_host_events(body);
    let rig = beside_display("trap-one-event", &fixture, EVENTS).start();
    rig.follows(1001);
    says("trap-one-event", "No longer called for events that stopped it twice");

    rig.host.force_events(RESTORED);

    says("trap-one-event", FAILURE);
}

#[test]
fn a_plugin_that_traps_in_init_is_given_up_after_some_tries() {
    let fixture = Fixture::default().init("(unreachable)");
    let rig = beside_display("trap-init", &fixture, EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("trap-init", "Given up after 5 faults");
    rig.follows(1001);
}

#[test]
fn an_error_from_init_is_shown_to_the_administrator() {
    let rig = beside_display("init-error", &Fixture::default().init(fail()), EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("init-error", &format!("`init` returned: {FAILURE}"));
}

#[test]
fn an_error_from_a_handler_is_logged_and_the_plugin_goes_on() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events(fail());
    let rig = Setup::new().rig().plugin("handler-error", &fixture.component(), EVENTS).start();

    rig.host.force_events(RESTORED);
    eventually("one error", || count("handler-error", FAILURE) == 1);
    rig.host.force_events(RESTORED);
    eventually("two errors", || count("handler-error", FAILURE) == 2);

    assert_eq!(count("handler-error", "Fault:"), 0);
}

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
fn memory_beyond_the_limit_is_refused() {
    let grow = format!("(drop (memory.grow (i32.const 1000))) {}", ok());
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events(grow);
    let rig = beside_display("memory-hog", &fixture, EVENTS).start();

    rig.follows(1001);

    says("memory-hog", "Fault:");
    rig.follows(1002);
}

#[test]
fn an_endless_recursion_ends_in_its_own_stack() {
    let body = format!("(drop (call $self (local.get 0))) {}", ok());
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events(body);
    let rig = beside_display("deep-handler", &fixture, EVENTS).start();

    rig.follows(1001);

    says("deep-handler", "call stack exhausted");
    rig.follows(1002);
}

#[test]
fn a_host_call_with_arguments_beyond_the_allowance_is_refused() {
    let table = r#"grants = { events = ["restored"] }
limits = { host-call-allocation = "16 KiB" }"#;
    let body = format!("(call $log (i32.const 2) (i32.const 0) (i32.const 131072)) {}", ok());
    let fixture = Fixture::subscribing(RESTORED)
        .importing("bellhop:guest/log@0.1.0", "write", "(param i32 i32 i32)", "log")
        .on_host_events(body);
    let rig = Setup::new().rig().plugin("long-line", &fixture.component(), table).start();

    rig.host.force_events(RESTORED);

    says("long-line", "Fault:");
}

#[test]
fn a_pointer_outside_its_memory_is_the_plugin_s_own_fault() {
    let body = format!("(call $log (i32.const 2) (i32.const -16) (i32.const 32)) {}", ok());
    let fixture = Fixture::subscribing(RESTORED)
        .importing("bellhop:guest/log@0.1.0", "write", "(param i32 i32 i32)", "log")
        .on_host_events(body);
    let rig = Setup::new().rig().plugin("bad-pointer", &fixture.component(), EVENTS).start();

    rig.host.force_events(RESTORED);

    says("bad-pointer", "Fault:");
}

#[test]
fn a_subscription_beyond_the_grants_ends_the_plugin() {
    let cases = [
        ("beyond-event", subscribe(0x20, 0), r#"not granted: events = ["seamless-mode-change"]"#),
        ("beyond-kernel", subscribe(0x2, 0), "not granted: events"),
        ("beyond-unknown", subscribe(0x8000_0000, 0), "bit 0x80000000, which has no name"),
        ("beyond-capability", subscribe(0, 1), r#"not granted: capabilities = ["seamless"]"#),
    ];
    for (name, init, expected) in cases {
        let rig = beside_display(name, &Fixture::default().init(init), EVENTS).start();

        assert_eq!(rig.running(), (1, 2), "{name}");
        says(name, expected);
    }
}

#[test]
fn a_subscriber_without_a_handler_ends() {
    let fixture = Fixture::subscribing(RESTORED).exporting(&["lifecycle"]);
    let rig = beside_display("no-handler", &fixture, EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("no-handler", "does not export `host-events`");
}

#[test]
fn a_plugin_that_wants_no_events_needs_no_handler() {
    let fixture = Fixture::default().exporting(&["lifecycle"]);
    let rig = Setup::new().rig().plugin("quiet", &fixture.component(), "").start();

    assert_eq!(rig.running(), (1, 1));
}

#[test]
fn what_a_dead_plugin_announced_is_withdrawn_and_its_neighbour_s_stays() {
    let fixture = Fixture::default().init(subscribe(DISPLAY_CHANGE, 1)).on_host_events("(unreachable)");
    let table = r#"grants = { events = ["display-change"], capabilities = ["seamless"] }"#;
    let rig = beside_display("dead-caps", &fixture, table).start();
    let both = Capabilities::GRAPHICS | Capabilities::SEAMLESS;
    rig.wait_guest("both announced", |guest| guest.capabilities == both);

    rig.host.set_video_mode_hint(Hint::new(0, 1001, 700)).expect("display 0 exists");

    rig.wait_guest("one withdrawn", |guest| guest.capabilities == Capabilities::GRAPHICS);
}

#[test]
fn a_line_cannot_forge_another() {
    let table = r#"grants = { events = ["restored"] }"#;
    let body = format!(
        "(i32.store8 (i32.const 20) (i32.const 10)) (call $log (i32.const 2) (i32.const 16) (i32.const 13)) {}",
        ok()
    );
    let fixture = Fixture::subscribing(RESTORED)
        .importing("bellhop:guest/log@0.1.0", "write", "(param i32 i32 i32)", "log")
        .on_host_events(body);
    let rig = Setup::new().rig().plugin("forger", &fixture.component(), table).start();

    rig.host.force_events(RESTORED);

    says("forger", "it i\\n raining");
}

//! Plugins that take all there is: memory, tables, and what the agent keeps for them.

use support::fixtures::{FAILURE, Fixture, fail, ok};
use support::{DISPLAY_CHANGE, RESTORED, Setup, says};

use super::{BUFFERS, EVENTS, HGCM, LOG, PROPERTIES, SERVICE, TIMERS, beside_display, counting};

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
fn a_table_beyond_the_limit_is_refused() {
    let grow = format!("(drop (table.grow $hog (ref.null func) (i32.const 100000000))) {}", ok());
    let fixture =
        Fixture::subscribing(DISPLAY_CHANGE).with_fields("(table $hog 1 funcref)").on_host_events(grow);
    let rig = beside_display("table-hog", &fixture, EVENTS).start();

    rig.follows(1001);

    says("table-hog", "Fault:");
    rig.follows(1002);
}

#[test]
fn a_string_of_four_gigabytes_is_the_plugin_s_own_fault() {
    let body = format!("(call $log (i32.const 2) (i32.const 0) (i32.const -1)) {}", ok());
    let fixture = Fixture::subscribing(DISPLAY_CHANGE)
        .importing(LOG, "write", "(param i32 i32 i32)", "log")
        .on_host_events(body);
    let rig = beside_display("long-string", &fixture, EVENTS).start();

    rig.follows(1001);

    says("long-string", "Fault:");
    rig.follows(1002);
}

#[test]
fn of_each_kind_of_handle_there_are_so_many_and_no_more() {
    let buffer = "(call $create (i32.const 2048))";
    let timer = "(call $set (i64.const 1000000000000) (i32.const 2048))";
    let client = "(call $connect (i32.const 64) (i32.const 16) (i32.const 2048))";
    let watch = "(call $watch (i32.const 80) (i32.const 1) (i32.const 2048))";
    let cases = [
        ("hog-buffers", BUFFERS, "create", "(param i32)", buffer, 256),
        ("hog-timers", TIMERS, "set", "(param i64 i32)", timer, 64),
        ("hog-clients", HGCM, "connect", "(param i32 i32 i32)", client, 8),
        ("hog-watches", PROPERTIES, "watch", "(param i32 i32 i32)", watch, 8),
    ];
    let table = r#"grants = { events = ["restored"], hgcm = { VBoxGuestPropSvc = "all" }, properties = { read = ["*"] } }"#;
    for (name, interface, function, signature, call, most) in cases {
        let fixture = Fixture::subscribing(RESTORED)
            .with_fields(SERVICE)
            .importing(interface, function, signature, function)
            .on_host_events(format!("{} {}", counting(1000, call, most), fail()));
        let mut rig = beside_display(name, &fixture, table).start();

        rig.host.force_events(RESTORED);

        says(name, FAILURE);
        rig.follows(1001);
        rig.stop();
        assert!(rig.host.hgcm_clients().is_empty(), "{name}: {:?}", rig.host.hgcm_clients());
    }
}

#[test]
fn calls_that_are_under_way_are_bounded_and_end_with_the_plugin() {
    // Whoever waits for a notification of a pattern that nothing matches waits for ever; the parameters
    // are a pattern, the time of the last one, room, and how much was needed.
    let parameters = r#"
      (data (i32.const 128) "\02\00\00\00\00\00\00\00\50\00\00\00\01\00\00\00")
      (data (i32.const 144) "\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
      (data (i32.const 160) "\03\00\00\00\00\00\00\00\00\04\00\00\00\00\00\00")
      (data (i32.const 176) "\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")"#;
    let submit = "(call $submit (i32.load (i32.const 3004)) (i32.const 6) (i32.const 128) (i32.const 4)
        (i32.const 0) (i64.const 0) (i32.const 2048))";
    let connect = "(call $connect (i32.const 64) (i32.const 16) (i32.const 3000))";
    let fixture = Fixture::subscribing(RESTORED)
        .with_fields(SERVICE)
        .with_fields(parameters)
        .importing(HGCM, "connect", "(param i32 i32 i32)", "connect")
        .importing(HGCM, "submit", "(param i32 i32 i32 i32 i32 i64 i32)", "submit")
        .on_host_events(format!(
            "{} {}",
            counting(1000, submit, 16).replacen("(loop $again", &format!("{connect} (loop $again"), 1),
            fail()
        ));
    let table = r#"grants = { events = ["restored"], hgcm = { VBoxGuestPropSvc = "all" } }"#;
    let mut rig = beside_display("hog-calls", &fixture, table).start();

    rig.host.force_events(RESTORED);

    says("hog-calls", FAILURE);
    rig.follows(1001);
    rig.stop();
    assert!(rig.host.hgcm_clients().is_empty(), "{:?}", rig.host.hgcm_clients());
}

#[test]
fn a_buffer_is_as_large_as_its_limit_and_no_offset_makes_it_larger() {
    // Each write begins further out: at 0, 1 MiB, 2 MiB and so on, and wraps around at the end.
    let write = "(call $write (i64.const 1)
        (i64.sub (i64.shl (i64.extend_i32_u (local.get $nth)) (i64.const 20)) (i64.const 1))
        (i32.const 0) (i32.const 1) (i32.const 2048))";
    let fixture = Fixture::subscribing(RESTORED)
        .importing(BUFFERS, "create", "(param i32)", "create")
        .importing(BUFFERS, "write", "(param i64 i64 i32 i32 i32)", "write")
        .on_host_events(format!(
            "{} {}",
            // The first is at the end of all numbers; then 1 MiB to 16 MiB fit.
            counting(5000, write, 16).replacen(
                "(loop $again",
                "(call $create (i32.const 3000)) (loop $again",
                1
            ),
            fail()
        ));
    let rig = beside_display("hog-bytes", &fixture, EVENTS).start();

    rig.host.force_events(RESTORED);

    says("hog-bytes", FAILURE);
    rig.follows(1001);
}

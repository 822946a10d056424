//! Plugins that forge: pointers, sizes, handles, and lines of the log.

use support::fixtures::{FAILURE, Fixture, fail, ok, subscribe};
use support::{RESTORED, Setup, eventually, plugin_component, says};

use super::{
    BUFFERS, CLIPBOARD, DISPLAY, EVENTS, HGCM, OUTPUTS, SEAMLESS, SERVICE, beside_display, count, counting,
};

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

#[test]
fn handles_that_were_never_given_out_name_nothing() {
    let size = "(call $size (i64.extend_i32_s (i32.sub (local.get $nth) (i32.const 8))) (i32.const 2048))";
    let submit =
        "(call $submit (i32.sub (local.get $nth) (i32.const 8)) (i32.const 1) (i32.const 0) (i32.const 0)
        (i32.const 0) (i64.const 0) (i32.const 2048))";
    let answer = "(call $answer (i64.extend_i32_s (local.get $nth)) (i64.extend_i32_s (local.get $nth))
        (i32.const 2048))";
    let cases = [
        ("forged-buffer", BUFFERS, "size", "(param i64 i32)", size),
        ("forged-client", HGCM, "submit", "(param i32 i32 i32 i32 i32 i64 i32)", submit),
        ("forged-wanted", CLIPBOARD, "answer", "(param i64 i64 i32)", answer),
    ];
    let table =
        r#"grants = { events = ["restored"], hgcm = { VBoxGuestPropSvc = "all" }, desktop = ["clipboard"] }"#;
    for (name, interface, function, signature, call) in cases {
        let fixture = Fixture::subscribing(RESTORED)
            .importing(interface, function, signature, function)
            .on_host_events(format!("{} {}", counting(4096, call, 0), fail()));
        // Whose handles would be there to be found.
        let holder = format!("{name}-holder");
        let steps = r#"grants = { hgcm = { VBoxGuestPropSvc = "all" }, properties = { read = [""] } }
            config.steps = [{ connect = "VBoxGuestPropSvc" }, { call-into = [1, "/VirtualBox/HostInfo/VBoxVer", 64] }]"#;
        let rig = beside_display(name, &fixture, table)
            .component(&holder, plugin_component("probe"), steps)
            .start();
        says(&holder, "the buffer has");

        rig.host.force_events(RESTORED);

        says(name, FAILURE);
        rig.follows(1001);
    }
}

#[test]
fn a_handle_of_an_earlier_incarnation_names_nothing() {
    let submit = "(call $submit (local.get $nth) (i32.const 1) (i32.const 0) (i32.const 0)
        (i32.const 0) (i64.const 0) (i32.const 2048))";
    let connect = "(call $connect (i32.const 64) (i32.const 16) (i32.const 3000))";
    let fixture = Fixture::default()
        .with_fields(SERVICE)
        .importing(HGCM, "connect", "(param i32 i32 i32)", "connect")
        .importing(HGCM, "submit", "(param i32 i32 i32 i32 i32 i64 i32)", "submit")
        // Nothing is there at its start; what it then leaves behind is not there at its next.
        .init(format!("{} {connect} {}", counting(256, submit, 0), subscribe(RESTORED, 0)))
        .on_host_events("(unreachable)");
    let table = r#"grants = { events = ["restored"], hgcm = { VBoxGuestPropSvc = "all" } }"#;
    let rig = beside_display("stale-client", &fixture, table).start();

    rig.host.force_events(RESTORED);

    // Once more for the same event, and then without it.
    eventually("it runs again", || count("stale-client", "Plugin runs") == 3);
    assert_eq!(rig.host.hgcm_clients().len(), 1, "{:?}", rig.host.hgcm_clients());
    rig.follows(1001);
}

#[test]
fn a_client_that_was_given_up_names_nothing() {
    let again = "(call $disconnect (i32.load (i32.const 3004)))
        (call $submit (i32.load (i32.const 3004)) (i32.const 1) (i32.const 0) (i32.const 0)
          (i32.const 0) (i64.const 0) (i32.const 2048))";
    let connect = "(call $connect (i32.const 64) (i32.const 16) (i32.const 3000)) (loop $again";
    let fixture = Fixture::subscribing(RESTORED)
        .with_fields(SERVICE)
        .importing(HGCM, "connect", "(param i32 i32 i32)", "connect")
        .importing(HGCM, "disconnect", "(param i32)", "disconnect")
        .importing(HGCM, "submit", "(param i32 i32 i32 i32 i32 i64 i32)", "submit")
        .on_host_events(format!(
            "{} {}",
            counting(100, again, 0).replacen("(loop $again", connect, 1),
            fail()
        ));
    let table = r#"grants = { events = ["restored"], hgcm = { VBoxGuestPropSvc = "all" } }"#;
    let rig = beside_display("given-up-client", &fixture, table).start();

    rig.host.force_events(RESTORED);

    says("given-up-client", FAILURE);
    assert!(rig.host.hgcm_clients().is_empty());
    rig.follows(1001);
}

#[test]
fn lists_beyond_their_bounds_are_refused() {
    // Memory for the longest of them, which is 1 MiB.
    let room = "(drop (memory.grow (i32.const 20)))";
    let positions = "(call $report-positions (i32.const 65536) (i32.const 65) (i32.const 2048))";
    let region = "(call $report-region (i32.const 65536) (i32.const 65535) (i32.const 2048))";
    let layout = "(call $apply (i32.const 65536) (i32.const 65) (i32.const 2048))";
    let offer = "(call $offer (i32.const 0) (i32.const 65536) (i32.const 17) (i32.const 2048))";
    let nothing = "(call $offer (i32.const 0) (i32.const 65536) (i32.const 0) (i32.const 2048))";
    let triple = "(param i32 i32 i32)";
    let cases = [
        ("long-positions", DISPLAY, "report-positions", triple, positions),
        ("long-region", SEAMLESS, "report-region", triple, region),
        ("long-layout", OUTPUTS, "apply", triple, layout),
        ("long-offer", CLIPBOARD, "offer", "(param i32 i32 i32 i32)", offer),
        ("no-offer", CLIPBOARD, "offer", "(param i32 i32 i32 i32)", nothing),
    ];
    let table = r#"grants = { events = ["restored"], requests = ["display", "seamless"], desktop = ["outputs", "clipboard"] }"#;
    for (name, interface, function, signature, call) in cases {
        let fixture = Fixture::subscribing(RESTORED)
            .importing(interface, function, signature, function)
            .on_host_events(format!("{} {}", counting(1, &format!("{room} {call}"), 0), fail()));
        let rig = beside_display(name, &fixture, table).start();
        let before = rig.host.guest();

        rig.host.force_events(RESTORED);

        says(name, FAILURE);
        assert_eq!(rig.host.guest().visible_region, before.visible_region, "{name}");
        rig.follows(1001);
    }
}

#[test]
fn lists_that_no_memory_holds_are_the_plugin_s_own_fault() {
    let triple = "(param i32 i32 i32)";
    let cases = [
        ("vast-positions", DISPLAY, "report-positions"),
        ("vast-region", SEAMLESS, "report-region"),
        ("vast-layout", OUTPUTS, "apply"),
    ];
    let table =
        r#"grants = { events = ["restored"], requests = ["display", "seamless"], desktop = ["outputs"] }"#;
    for (name, interface, function) in cases {
        for length in ["-1", "0x10000000", "0x15555556", "0x80000000"] {
            let body =
                format!("(call ${function} (i32.const 0) (i32.const {length}) (i32.const 2048)) {}", ok());
            let fixture = Fixture::subscribing(RESTORED)
                .importing(interface, function, triple, function)
                .on_host_events(body);
            let name = format!("{name}-{length}").replace("-0x", "-x").replace("--1", "-all");
            let rig = beside_display(&name, &fixture, table).start();

            rig.host.force_events(RESTORED);

            says(&name, "Fault:");
            rig.follows(1001);
        }
    }
}

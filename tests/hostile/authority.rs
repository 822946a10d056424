//! Plugins that want what was not granted to them.

use support::fixtures::{FAILURE, Fixture, fail, subscribe};
use support::{RESTORED, Setup, says};

use super::{CLIPBOARD, EVENTS, GUEST, HGCM, PROPERTIES, SERVICE, beside_display, counting};

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
fn a_component_that_imports_what_was_not_granted_does_not_run() {
    let fixture = Fixture::default()
        .importing(HGCM, "connect", "(param i32 i32 i32)", "connect")
        .init("(call $connect (i32.const 64) (i32.const 16) (i32.const 2048)) (unreachable)");
    let rig = beside_display("beyond-interface", &fixture, EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("beyond-interface", "imports bellhop:guest/hgcm@0.1.0, which is not granted");
    rig.follows(1001);
}

#[test]
fn services_functions_properties_and_capabilities_beyond_the_grants_are_denied() {
    let connect = "(call $connect (i32.const 64) (i32.const 16) (i32.const 2048))";
    let cases = [
        ("beyond-service", HGCM, "connect", "(param i32 i32 i32)", connect, 0),
        // The service is granted with one function, and each is called.
        (
            "beyond-function",
            HGCM,
            "submit",
            "(param i32 i32 i32 i32 i32 i64 i32)",
            "(call $submit (i32.load (i32.const 3004)) (local.get $nth) (i32.const 0) (i32.const 0)
               (i32.const 0) (i64.const 0) (i32.const 2048))",
            1,
        ),
        (
            "beyond-property",
            PROPERTIES,
            "get",
            "(param i32 i32 i32)",
            "(call $get (i32.const 64) (local.get $nth) (i32.const 2048))",
            0,
        ),
        (
            "beyond-announced",
            GUEST,
            "change-capabilities",
            "(param i32 i32 i32)",
            "(call $change-capabilities (i32.shl (i32.const 1) (local.get $nth)) (i32.const 0)
               (i32.const 2048))",
            0,
        ),
        (
            "beyond-direction",
            CLIPBOARD,
            "watch",
            "(param i32 i32 i32)",
            "(call $watch (i32.and (local.get $nth) (i32.const 1)) (i32.const 1) (i32.const 2048))",
            0,
        ),
    ];
    for (name, interface, function, signature, call, granted) in cases {
        let grants = match name {
            "beyond-service" => r#"hgcm = { Other = "all" }"#,
            "beyond-function" => r#"hgcm = { VBoxGuestPropSvc = [7] }"#,
            "beyond-property" => r#"properties = { write = ["*"] }"#,
            "beyond-announced" => r#"requests = ["guest"]"#,
            _ => r#"desktop = ["clipboard"], clipboard = { direction = "host-to-guest" }"#,
        };
        let mut fixture =
            Fixture::default().with_fields(SERVICE).importing(interface, function, signature, function);
        let mut before = "";
        if name == "beyond-function" {
            fixture = fixture.importing(HGCM, "connect", "(param i32 i32 i32)", "connect");
            before = "(call $connect (i32.const 64) (i32.const 16) (i32.const 3000))";
        }
        let each = call.to_string();
        let body = counting(32, &each, granted);
        // Locals stand first in a body.
        let body = body.replacen("(loop $again", &format!("{before} (loop $again"), 1);
        let fixture = fixture.init(format!("{body} {}", fail()));

        let rig = beside_display(name, &fixture, &format!("grants = {{ {grants} }}")).start();

        says(name, FAILURE);
        rig.follows(1001);
    }
}

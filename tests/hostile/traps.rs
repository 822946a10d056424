//! Plugins that trap: in each of their functions, in each of their incarnations.

use std::sync::Arc;

use bellhop_desktop::clipboard::{Listener, ReadId, WantedId};
use bellhop_desktop::{Clipboard, Clipboards, Content, Desktop, Error, Selection, View, Windows};
use driver_core::wire::Capabilities;
use support::fixtures::{FAILURE, Fixture, fail, subscribe};
use support::{DISPLAY_CHANGE, RESTORED, Setup, eventually, lines_of, says};

use super::{CLIPBOARD, EVENTS, HGCM, LOG, PROPERTIES, SERVICE, TIMERS, WINDOWS, beside_display, count};

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
fn what_a_dead_plugin_announced_is_withdrawn_and_its_neighbour_s_stays() {
    // It traps again and again, until it is given up.
    let set = "(call $set (i64.const 50000000) (i32.const 2048))";
    let fixture = Fixture::default()
        .exporting(&["lifecycle", "timer-events"])
        .importing(TIMERS, "set", "(param i64 i32)", "set")
        .init(format!("{set} {}", subscribe(0, 1)))
        .body("on-timer", "(unreachable)");
    let rig = beside_display("dead-caps", &fixture, r#"grants = { capabilities = ["seamless"] }"#).start();
    let both = Capabilities::GRAPHICS | Capabilities::SEAMLESS;
    rig.wait_guest("both announced", |guest| guest.capabilities == both);

    says("dead-caps", "Given up");

    rig.wait_guest("one withdrawn", |guest| guest.capabilities == Capabilities::GRAPHICS);
    rig.follows(1001);
}

/// A desktop that has news of everything as soon as it is asked.
struct Restless;

impl Windows for Restless {
    fn describe(&self) -> String {
        "restless".to_owned()
    }

    fn look(&self) -> Result<View, Error> {
        Ok(View { width: 0, height: 0, windows: Vec::new() })
    }

    fn watch(&self, changed: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Send>, Error> {
        changed();
        Ok(Box::new(()))
    }
}

impl Clipboards for Restless {
    fn describe(&self) -> String {
        "restless".to_owned()
    }

    fn open(&self, listener: Box<dyn Listener>) -> Result<Box<dyn Clipboard>, Error> {
        Ok(Box::new(RestlessClipboard(listener)))
    }
}

struct RestlessClipboard(Box<dyn Listener>);

impl Clipboard for RestlessClipboard {
    fn watch(&self, selection: Selection, _: bool) {
        match selection {
            Selection::Clipboard => self.0.changed(selection, Content::Theirs(vec!["text/plain".to_owned()])),
            Selection::Primary => self.0.locked(true),
        }
    }

    fn read(&self, _: Selection, _: &str, _: usize) -> ReadId {
        self.0.read(1, Ok(vec![1; 100]));
        1
    }

    fn offer(&self, selection: Selection, _: &[String]) {
        self.0.wanted(1, selection, "text/plain");
    }

    fn withdraw(&self, _: Selection) {}

    fn answer(&self, _: WantedId, _: Option<Vec<u8>>) {}
}

/// An export that traps, and what an `init` does to be called there.
struct Provoked {
    name: &'static str,
    export: &'static str,
    interface: &'static str,
    import: [&'static str; 3],
    provoke: &'static str,
}

const PROVOKED: [Provoked; 8] = [
    Provoked {
        name: "trap-completion",
        export: "on-completion",
        interface: "hgcm-completions",
        import: [HGCM, "submit", "(param i32 i32 i32 i32 i32 i64 i32)"],
        // Wrong as it is, it reaches the service, which says so.
        provoke: "(call $connect (i32.const 64) (i32.const 16) (i32.const 3000))
            (call $submit (i32.load (i32.const 3004)) (i32.const 1) (i32.const 0) (i32.const 0)
              (i32.const 0) (i64.const 0) (i32.const 2048))",
    },
    Provoked {
        name: "trap-timer",
        export: "on-timer",
        interface: "timer-events",
        import: [TIMERS, "set", "(param i64 i32)"],
        provoke: "(call $set (i64.const 0) (i32.const 2048))",
    },
    Provoked {
        name: "trap-property",
        export: "on-property-changed",
        interface: "property-events",
        import: [PROPERTIES, "watch", "(param i32 i32 i32)"],
        provoke: "(call $watch (i32.const 80) (i32.const 1) (i32.const 2048))",
    },
    Provoked {
        name: "trap-windows",
        export: "on-windows-changed",
        interface: "window-events",
        import: [WINDOWS, "watch", "(param i32 i32)"],
        provoke: "(call $watch (i32.const 1) (i32.const 2048))",
    },
    Provoked {
        name: "trap-changed",
        export: "on-changed",
        interface: "clipboard-events",
        import: [CLIPBOARD, "watch", "(param i32 i32 i32)"],
        provoke: "(call $watch (i32.const 0) (i32.const 1) (i32.const 2048))",
    },
    Provoked {
        name: "trap-locked",
        export: "on-locked",
        interface: "clipboard-events",
        import: [CLIPBOARD, "watch", "(param i32 i32 i32)"],
        provoke: "(call $watch (i32.const 1) (i32.const 1) (i32.const 2048))",
    },
    Provoked {
        name: "trap-read",
        export: "on-read",
        interface: "clipboard-events",
        import: [CLIPBOARD, "read", "(param i32 i32 i32 i32)"],
        provoke: "(call $read (i32.const 0) (i32.const 64) (i32.const 4) (i32.const 2048))",
    },
    Provoked {
        name: "trap-wanted",
        export: "on-wanted",
        interface: "clipboard-events",
        import: [CLIPBOARD, "offer", "(param i32 i32 i32 i32)"],
        // One format, whose name stands where a pointer to it and its length stand.
        provoke: "(i32.store (i32.const 3000) (i32.const 64)) (i32.store (i32.const 3004) (i32.const 4))
            (call $offer (i32.const 0) (i32.const 3000) (i32.const 1) (i32.const 2048))",
    },
];

#[test]
fn a_trap_in_any_export_is_survived_by_all_but_the_plugin() {
    let table = r#"grants = { hgcm = { VBoxGuestPropSvc = "all" }, properties = { read = ["*"] }, desktop = ["windows", "clipboard"], clipboard = { primary = true } }"#;
    for Provoked { name, export, interface, import: [from, function, signature], provoke } in PROVOKED {
        let fixture = Fixture::default()
            .exporting(&["lifecycle", interface])
            .with_fields(SERVICE)
            .importing(HGCM, "connect", "(param i32 i32 i32)", "connect")
            .importing(from, function, signature, function)
            .init(format!("{provoke} {}", subscribe(0, 0)))
            .body(export, "(unreachable)");
        let desktop =
            Desktop { windows: Arc::new(Restless), clipboards: Arc::new(Restless), ..Desktop::headless(1) };
        let rig = beside_display(name, &fixture, table).desktop(desktop).start();

        // A watch has begun some time after it was asked for.
        eventually("it traps", || {
            rig.host.set_property("/Trap/It", "now", "").expect("a property");
            count(name, "unreachable") > 0
        });
        rig.follows(1001);
    }
}

#[test]
fn a_trap_in_the_allocator_is_the_plugin_s_own_fault() {
    let rig = beside_display("trap-allocator", &Fixture::default().realloc("(unreachable)"), EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("trap-allocator", "unreachable");
    rig.follows(1001);
}

#[test]
fn an_allocator_that_gives_room_outside_its_memory_is_the_plugin_s_own_fault() {
    for (name, place) in [("wild-end", "131071"), ("wild-far", "-1"), ("wild-odd", "3")] {
        let fixture = Fixture::default().realloc(format!("(i32.const {place})"));
        let table = format!("{EVENTS}\nconfig.text = \"a configuration that has to be put somewhere\"");
        let rig = beside_display(name, &fixture, &table).start();

        rig.follows(1001);
        // A string may stand anywhere within.
        assert_eq!(rig.running().0, if name == "wild-odd" { 2 } else { 1 }, "{name}");
    }
}

#[test]
fn nothing_is_called_from_within_the_allocator() {
    let fixture = Fixture::default()
        .importing(LOG, "write", "(param i32 i32 i32)", "log")
        .realloc("(call $log (i32.const 2) (i32.const 16) (i32.const 13)) (i32.const 4096)");
    let rig = beside_display("re-entrance", &fixture, EVENTS).start();

    assert_eq!(rig.running(), (1, 2));
    says("re-entrance", "cannot leave component instance");
    assert_eq!(count("re-entrance", FAILURE), 0);
    rig.follows(1001);
}

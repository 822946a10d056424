//! What hostile plugins took is there again when they are gone: memory, descriptors, threads.
//!
//! Alone in its process, because it looks at the whole of it.

use support::fixtures::{Fixture, subscribe};
use support::process::Process;
use support::{DISPLAY_CHANGE, Setup, says};

/// What takes something and then traps, and the imports of it.
const HOGS: [(&str, &[[&str; 4]], &str); 5] = [
    (
        "returns-memory",
        &[],
        "(drop (memory.grow (i32.const 250)))
         (memory.fill (i32.const 131072) (i32.const 1) (i32.const 16000000))",
    ),
    (
        "returns-buffers",
        &[
            ["bellhop:guest/buffers@0.1.0", "create", "(param i32)", "create"],
            ["bellhop:guest/buffers@0.1.0", "write", "(param i64 i64 i32 i32 i32)", "write"],
        ],
        "(call $create (i32.const 2048))
         (call $write (i64.const 1) (i64.const 16000000) (i32.const 0) (i32.const 1) (i32.const 2048))",
    ),
    (
        "returns-clients",
        &[["bellhop:guest/hgcm@0.1.0", "connect", "(param i32 i32 i32)", "connect"]],
        "(call $connect (i32.const 64) (i32.const 16) (i32.const 2048))
         (call $connect (i32.const 64) (i32.const 16) (i32.const 2048))",
    ),
    (
        "returns-watches",
        &[["bellhop:guest/properties@0.1.0", "watch", "(param i32 i32 i32)", "watch"]],
        "(call $watch (i32.const 80) (i32.const 1) (i32.const 2048))
         (call $watch (i32.const 80) (i32.const 1) (i32.const 2048))",
    ),
    ("returns-nothing", &[], ""),
];

const TABLE: &str = r#"grants = { events = ["display-change"], hgcm = { VBoxGuestPropSvc = "all" }, properties = { read = ["*"] } }"#;

/// One run of all of them, each until it is no longer called for the event.
fn all(round: u32) {
    for (name, imports, take) in HOGS {
        let name = format!("{name}-{round}");
        let mut fixture = Fixture::default()
            .init(subscribe(DISPLAY_CHANGE, 0))
            .with_fields(r#"(data (i32.const 64) "VBoxGuestPropSvc*")"#)
            .on_host_events(format!("{take} (unreachable)"));
        for [interface, function, signature, alias] in imports.iter().copied() {
            fixture = fixture.importing(interface, function, signature, alias);
        }
        let component = fixture.component();
        let mut rig =
            Setup::new().rig().plugin(&name, &component, TABLE).display(&format!("{name}-display")).start();

        rig.follows(1001);
        says(&name, "No longer called for events that stopped it twice");
        rig.follows(1002);

        rig.stop();
        assert!(rig.host.hgcm_clients().is_empty(), "{name}: {:?}", rig.host.hgcm_clients());
    }
}

#[test]
fn what_hostile_plugins_took_is_there_again() {
    // What is made once in a process is made in the first ones.
    (0..4).for_each(all);
    let before = Process::now();

    (4..10).for_each(all);

    let after = Process::now();
    println!("{before:?}\n{after:?}");
    assert_eq!((after.threads, after.descriptors), (before.threads, before.descriptors));
    // Each run took six times 16 MB for a while. The C library keeps some of what was freed for the next
    // who wants it, in a place for each thread; that does not grow with the runs.
    assert!(after.resident < before.resident + (64 << 20), "{before:?} {after:?}");
}

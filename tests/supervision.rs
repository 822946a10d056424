//! What becomes of a plugin that faults: it is rebuilt, told apart from what it was called for, left off
//! in the end, and leaves nothing behind.

use std::path::Path;
use std::time::Duration;

use bellhop_agent::plugin::Phase;
use driver_core::wire::{Events, Facility, FacilityStatus};
use support::fixtures::{Fixture, ok, subscribe};
use support::{DISPLAY_CHANGE, RESTORED, Rig, RigBuilder, Setup, eventually, lines_of, says};
use vmmdev::Hint;

const EVENTS: &str = r#"grants = { events = ["display-change", "restored"], requests = ["seamless"] }"#;

fn rig(name: &str, fixture: &Fixture, table: &str) -> RigBuilder {
    Setup::new().rig().plugin(name, &fixture.component(), &format!("{EVENTS}\n{table}"))
}

/// A body that traps for one event and is content with others.
fn traps_for(event: u32) -> String {
    format!("(if (i32.and (local.get 0) (i32.const {event})) (then (unreachable))) {}", ok())
}

fn count(plugin: &str, text: &str) -> usize {
    lines_of(plugin).iter().filter(|line| line.contains(text)).count()
}

#[test]
fn a_fault_is_told_with_the_export_the_event_and_the_host_call() {
    let body = "(call $log (i32.const 2) (i32.const 16) (i32.const 13)) (unreachable)";
    let fixture = Fixture::subscribing(RESTORED)
        .importing("bellhop:guest/log@0.1.0", "write", "(param i32 i32 i32)", "log")
        .on_host_events(body);
    let rig = rig("attributed", &fixture, "").start();

    rig.host.force_events(RESTORED);

    says("attributed", "Fault:");
    let line = lines_of("attributed").into_iter().find(|line| line.contains("Fault:")).expect("it was said");
    for part in ["unreachable", "export=on-host-events", "events=restored", "host_call=log.write"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    let fault = rig.state("attributed").last_fault.expect("it is remembered");
    assert!(fault.text.contains("unreachable"), "{}", fault.text);
    assert_eq!(fault.attempt.map(|attempt| attempt.events), Some(Events::RESTORED));
}

#[test]
fn of_two_events_that_came_together_only_the_one_that_harms_is_masked() {
    let fixture = Fixture::subscribing(DISPLAY_CHANGE | RESTORED).on_host_events(traps_for(DISPLAY_CHANGE));
    let rig = rig("innocent", &fixture, "").start();

    rig.host.force_events(DISPLAY_CHANGE | RESTORED);

    eventually("one is masked", || rig.state("innocent").masked == Events::DISPLAY_CHANGE);
    rig.host.force_events(RESTORED);
    eventually("it runs", || rig.state("innocent").phase == Phase::Running);
    assert_eq!(rig.state("innocent").faults, 2);
}

#[test]
fn a_plugin_that_keeps_failing_is_quarantined_with_what_to_do() {
    let rig = rig("hopeless", &Fixture::default().init("(unreachable)"), "").start();

    says("hopeless", "Given up after 5 faults in a row, and quarantined");
    says("hopeless", "reload the configuration to try it again");
    eventually("it is left off", || rig.state("hopeless").phase == Phase::Quarantined);

    let state = rig.state("hopeless");
    assert_eq!((state.faults, state.incarnation), (5, 5));
    assert!(state.reason.is_some_and(|reason| reason.contains("unreachable")));
    assert_eq!(count("hopeless", "quarantined"), 1);
}

#[test]
fn a_plugin_is_left_off_after_one_fault_if_that_is_wanted() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events("(unreachable)");
    let rig = rig("disabled", &fixture, "on-failure = \"disable\"").start();

    rig.host.force_events(RESTORED);

    eventually("it is left off", || rig.state("disabled").phase == Phase::Disabled);
    assert_eq!(rig.state("disabled").faults, 1);
    rig.wait_guest("nothing is subscribed", |guest| guest.filter.is_empty());
}

#[test]
fn the_agent_ends_over_a_plugin_if_that_is_wanted() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events("(unreachable)");
    let rig = rig("essential", &fixture, "on-failure = \"exit\"").start();
    let (sender, receiver) = std::sync::mpsc::channel();
    let agent = rig.agent().expect("it runs");
    agent.ending().on_demand(move || sender.send(()).expect("it is waited for"));

    rig.host.force_events(RESTORED);

    receiver.recv_timeout(support::PATIENCE).expect("the end is demanded");
    let reason = agent.ending().reason().expect("with a reason");
    assert!(reason.contains("essential") && reason.contains("unreachable"), "{reason}");
}

#[test]
fn the_daemon_ends_with_a_failure_over_a_plugin_if_that_is_wanted() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let component = Fixture::default().init("(unreachable)").component();
    std::fs::write(folder.path().join("bad.wasm"), component).expect("a file");
    let text = "driver = \"simulated\"\ncache = \"cache\"\ncontrol = false\n[plugins.bad]\ncomponent = \"bad.wasm\"\non-failure = \"exit\"";
    std::fs::write(folder.path().join("agent.toml"), text).expect("a file");

    let output = run(folder.path());

    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("bellhop: Ended, as `on-failure` says. Plugin bad failed"), "{said}");
}

fn run(folder: &Path) -> std::process::Output {
    std::process::Command::new(support::bellhop())
        .args(["run", "--config", "agent.toml"])
        .current_dir(folder)
        .env_remove("DISPLAY")
        .env_remove("JOURNAL_STREAM")
        .output()
        .expect("bellhop can be started")
}

#[test]
fn a_facility_is_active_for_as_long_as_its_plugin_is() {
    let mut rig = Setup::new().rig().display("facility").start();
    let graphics = |rig: &Rig| rig.host.guest().facility(Facility::GRAPHICS);
    assert_eq!(graphics(&rig), Some(FacilityStatus::ACTIVE));

    rig.stop();

    assert_eq!(graphics(&rig), Some(FacilityStatus::INACTIVE));
}

#[test]
fn the_region_of_a_plugin_that_faulted_is_taken_back() {
    // One rectangle at 256 of its memory: 0, 0, 100, 100.
    let report = "(i32.store offset=8 (i32.const 256) (i32.const 100))
        (i32.store offset=12 (i32.const 256) (i32.const 100))
        (call $report (i32.const 256) (i32.const 1) (i32.const 512))";
    let fixture = Fixture::default()
        .importing("bellhop:guest/seamless@0.1.0", "report-region", "(param i32 i32 i32)", "report")
        .init(format!("{report} {}", subscribe(RESTORED, 0)))
        .on_host_events("(unreachable)");
    let rig = rig("regional", &fixture, "on-failure = \"disable\"").start();
    rig.wait_guest("a region", |guest| guest.visible_region.as_ref().is_some_and(|region| region.len() == 1));

    rig.host.force_events(RESTORED);

    rig.wait_guest("no region", |guest| guest.visible_region.as_ref().is_some_and(Vec::is_empty));
}

/// What a restart costs is printed; what is asserted is that it is bounded.
#[test]
fn a_restart_loop_costs_little_and_ends() {
    let fixture = Fixture::subscribing(RESTORED).on_host_events("(unreachable)");
    let rig = rig("loop", &fixture, "").start();

    rig.host.force_events(RESTORED);
    eventually("it is masked", || rig.state("loop").masked == Events::RESTORED);
    eventually("it runs again", || rig.state("loop").phase == Phase::Running);

    let state = rig.state("loop");
    println!(
        "Rebuilt and initialised in {:?}, of which `init` took {:?}",
        state.built_in, state.last_call.wall
    );
    assert_eq!((state.incarnation, state.faults), (3, 2));
    assert!(state.built_in > Duration::ZERO);
}

#[test]
fn a_neighbour_follows_all_along() {
    let fixture = Fixture::subscribing(DISPLAY_CHANGE).on_host_events("(unreachable)");
    let rig = rig("noisy", &fixture, "").display("noisy-neighbour").start();

    for width in 1001..1011 {
        rig.host.set_video_mode_hint(Hint::new(0, width, 700)).expect("display 0 exists");
        rig.follows(width + 100);
    }

    eventually("the other faults", || rig.state("noisy").faults > 0);
    assert_eq!(rig.state("noisy-neighbour").faults, 0);
}

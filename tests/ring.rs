//! From a host's wish to a changed desktop, and back: the whole system in one process.

use std::sync::Arc;

use bellhop_agent::dispatch::Dispatcher;
use bellhop_desktop::headless::Headless;
use bellhop_desktop::{Area, Output, Outputs};
use driver_core::Driver;
use driver_core::wire::{Capabilities, Events, Facility, FacilityStatus, RequestType, Status};
use support::{PATIENCE, Rig, Setup, eventually, lines_of};
use vmmdev::Hint;

fn on(desktop: &Headless) -> Vec<(String, Area, bool)> {
    let outputs = desktop.enumerate().expect("a headless desktop is always there");
    outputs
        .into_iter()
        .filter_map(|Output { name, area, primary }| area.map(|area| (name, area, primary)))
        .collect()
}

fn area(x: i32, y: i32, width: u32, height: u32) -> Area {
    Area { x, y, width, height }
}

/// A rig with the display plugin, and its desktop.
fn desktop(name: &str) -> (Rig, Arc<Headless>) {
    let desktop = Arc::new(Headless::new(16));
    let rig = Setup::new().rig().display(name).outputs(desktop.clone()).start();
    (rig, desktop)
}

#[test]
fn a_size_that_the_host_wants_becomes_the_desktop_s() {
    let (rig, desktop) = desktop("ring-size");

    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800)).expect("display 0 exists");
    let guest = rig.wait_guest("positions are reported", |guest| !guest.monitor_positions.is_empty());

    assert_eq!(on(&desktop), [("HEADLESS0".to_owned(), area(0, 0, 1280, 800), true)]);
    assert_eq!(guest.monitor_positions, [(0, 0)]);
}

#[test]
fn several_displays_are_laid_out_and_their_places_reported() {
    let (rig, desktop) = desktop("ring-several");

    let hints = [Hint::new(0, 1366, 777).at(0, 0), Hint::new(1, 1024, 768).at(1366, 0)];
    rig.host.set_video_mode_hints(&hints).expect("both exist");
    rig.wait_guest("both places", |guest| guest.monitor_positions == [(0, 0), (1366, 0)]);
    rig.host.set_video_mode_hint(Hint::off(1)).expect("display 1 exists");
    rig.wait_guest("one place", |guest| guest.monitor_positions != [(0, 0), (1366, 0)]);

    assert_eq!(on(&desktop), [("HEADLESS0".to_owned(), area(0, 0, 1366, 777), true)]);
}

#[test]
fn a_wish_from_before_the_agent_started_is_fulfilled() {
    let desktop = Arc::new(Headless::new(1));
    let setup = Setup::new();
    setup.host.set_video_mode_hint(Hint::new(0, 1600, 900)).expect("display 0 exists");

    let rig = setup.rig().display("ring-before").outputs(desktop.clone()).start();
    rig.wait_guest("positions are reported", |guest| !guest.monitor_positions.is_empty());

    assert_eq!(on(&desktop)[0].1, area(0, 0, 1600, 900));
}

#[test]
fn a_burst_of_wishes_ends_in_the_last_one() {
    let (rig, desktop) = desktop("ring-burst");

    for step in 0..500 {
        rig.host.set_video_mode_hint(Hint::new(0, 800 + step, 600)).expect("display 0 exists");
    }

    eventually("the last size is reached", || on(&desktop)[0].1 == area(0, 0, 1299, 600));
    assert!(desktop.layouts_applied() <= 500);
}

#[test]
fn a_host_that_repeats_itself_does_not_ring() {
    let (rig, _) = desktop("ring-repeat");
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800)).expect("display 0 exists");
    rig.wait_guest("positions are reported", |guest| !guest.monitor_positions.is_empty());

    let rang = rig.host.set_video_mode_hint(Hint::new(0, 1280, 800)).expect("display 0 exists");

    assert!(!rang, "the acknowledged wish was remembered");
}

#[test]
fn a_capability_that_another_agent_has_is_announced_once_that_one_lets_go() {
    let setup = Setup::new();
    let other = setup.device.session();
    other.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    let rig = setup.rig().display("ring-busy").start();
    assert_eq!(rig.awaited_by_all(), Capabilities::GRAPHICS);

    drop(other);
    rig.host.raise_events(Events::RESTORED);

    rig.wait_guest("graphics", |guest| guest.capabilities == Capabilities::GRAPHICS);
    rig.follows(1280);
    assert_eq!(rig.awaited_by_all(), Capabilities::empty());
}

#[test]
fn capabilities_of_which_one_is_another_agent_s_are_not_announced_in_part() {
    let setup = Setup::new();
    let other = setup.device.session();
    other.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    let dispatcher = Dispatcher::new(Arc::new(setup.device.session()));
    dispatcher.enrol(&"ring-part".into(), &Arc::default());
    let both = Capabilities::SEAMLESS | Capabilities::GRAPHICS;

    let refused = dispatcher.change_capabilities("ring-part", both, Capabilities::empty());

    assert_eq!(refused.expect_err("one is taken").status, Status::RESOURCE_BUSY);
    assert_eq!(setup.host.guest().capabilities, Capabilities::GRAPHICS);
    drop(other);
    dispatcher.change_capabilities("ring-part", both, Capabilities::empty()).expect("both are free");
    assert_eq!(setup.host.guest().capabilities, both);
}

#[test]
fn a_restored_machine_is_brought_up_to_date() {
    let (rig, desktop) = desktop("ring-restore");
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800)).expect("display 0 exists");
    rig.wait_guest("positions are reported", |guest| !guest.monitor_positions.is_empty());
    let saved = rig.host.save();
    let position = rig.host.journal_position();

    rig.host.restore(&saved);
    rig.host
        .wait_request(position, PATIENCE, |seen| {
            seen.request_type == RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI
        })
        .expect("the plugin asks again what is wanted");

    assert_eq!(on(&desktop)[0].1, area(0, 0, 1280, 800));
}

#[test]
fn the_host_sees_the_agent_come_and_go() {
    let mut rig = Rig::with_display("ring-come-and-go");
    let guest = rig.wait_guest("the agent is active", |guest| {
        guest.facility(Facility::SERVICE) == Some(FacilityStatus::ACTIVE)
    });
    assert_eq!(guest.facility(Facility::GRAPHICS), Some(FacilityStatus::ACTIVE));
    assert!(guest.capabilities.contains(Capabilities::GRAPHICS));
    assert!(guest.filter.contains(Events::DISPLAY_CHANGE | Events::RESTORED));

    rig.stop();

    let guest = rig.host.guest();
    assert_eq!(guest.facility(Facility::SERVICE), Some(FacilityStatus::TERMINATED));
    assert_eq!(guest.capabilities, Capabilities::empty());
    assert_eq!(guest.filter, Events::empty());
}

#[test]
fn the_plugin_says_what_it_did() {
    let (rig, _) = desktop("ring-log");

    rig.host.set_video_mode_hint(Hint::new(0, 1281, 801)).expect("display 0 exists");

    eventually("a line with the new size", || {
        lines_of("ring-log").iter().any(|line| line.starts_with("INFO") && line.contains("1281x801"))
    });
}

#[test]
fn an_absurd_wish_is_refused_and_the_desktop_stays() {
    let (rig, desktop) = desktop("ring-absurd");
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800)).expect("display 0 exists");
    rig.wait_guest("positions are reported", |guest| !guest.monitor_positions.is_empty());

    rig.host.set_video_mode_hint(Hint::new(0, 1 << 31, 800)).expect("display 0 exists");

    eventually("a line that says so", || {
        lines_of("ring-absurd").iter().any(|line| line.starts_with("WARN") && line.contains("2147483648"))
    });
    assert_eq!(on(&desktop)[0].1, area(0, 0, 1280, 800));
}

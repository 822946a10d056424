//! A host that errs, lies and babbles: the agent says so, and goes on.

use driver_core::wire::{Capabilities, RequestType, Status};
use support::{PATIENCE, Rig, Setup, says};
use vmmdev::{Fault, Hint, Times};

const LAYOUT: RequestType = RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI;

#[test]
fn a_host_that_refuses_a_request_is_quoted() {
    let rig = Rig::with_display("device-refuses");
    rig.host.inject(LAYOUT, Fault::Fail(Status::OUT_OF_RESOURCES), Times::Next(1));

    rig.host.set_video_mode_hint(Hint::new(0, 1000, 700)).expect("display 0 exists");

    says("device-refuses", "VERR_OUT_OF_RESOURCES (-80)");
    rig.follows(1001);
}

#[test]
fn a_host_that_does_not_answer_is_an_error_not_a_hang() {
    let rig = Rig::with_display("device-silent");
    rig.host.inject(LAYOUT, Fault::Ignore, Times::Next(1));

    rig.host.set_video_mode_hint(Hint::new(0, 1000, 700)).expect("display 0 exists");

    says("device-silent", "VERR_GENERAL_FAILURE (-1)");
    rig.follows(1001);
}

#[test]
fn a_count_beyond_the_packet_is_clamped_and_said() {
    for (name, count) in [("device-65", 65), ("device-max", u32::MAX)] {
        let rig = Rig::with_display(name);
        rig.host.inject(LAYOUT, Fault::announce_displays(count), Times::Next(1));

        rig.host.set_video_mode_hint(Hint::new(0, 1000, 700)).expect("display 0 exists");

        says(name, &format!("{count}"));
        rig.follows(1001);
    }
}

#[test]
fn no_displays_at_all_change_nothing() {
    let rig = Rig::with_display("device-none");
    rig.host.inject(LAYOUT, Fault::announce_displays(0), Times::Next(1));
    let since = rig.host.journal_position();

    rig.host.set_video_mode_hint(Hint::new(0, 1000, 700)).expect("display 0 exists");
    // The wish is lost with the lie, so it must have been asked for before the next one.
    rig.host.wait_request(since, PATIENCE, |seen| seen.request_type == LAYOUT).expect("the guest asks");

    rig.follows(1001);
}

#[test]
fn rubbish_in_an_answer_is_survived() {
    let rig = Rig::with_display("device-rubbish");

    for seed in 0..50 {
        rig.host.inject(LAYOUT, Fault::Rubbish { seed }, Times::Next(1));
        rig.host.force_events(support::DISPLAY_CHANGE);
        let since = rig.host.journal_position();
        rig.host
            .wait_request(since.saturating_sub(1), PATIENCE, |seen| seen.request_type == LAYOUT)
            .expect("it asks");
    }

    rig.host.clear_faults();
    let hints = [Hint::new(0, 1000, 700).at(0, 0)];
    rig.host.force_video_mode_hints(&hints).expect("display 0 exists");
    rig.follows(1001);
    assert_eq!(rig.running(), (1, 1));
}

#[test]
fn unknown_bits_and_empty_interrupts_are_survived() {
    let rig = Rig::with_display("device-bits");

    rig.host.force_events(0xffff_f800);
    rig.host.force_events(0);
    rig.host.raise_stray_interrupt();
    for _ in 0..100 {
        rig.host.raise_stray_interrupt();
    }

    rig.follows(1001);
}

#[test]
fn a_host_without_status_reports_has_an_agent_all_the_same() {
    let setup = Setup::new();
    let refused = Fault::Fail(Status::OUT_OF_RESOURCES);
    setup.host.inject(RequestType::REPORT_GUEST_STATUS, refused, Times::Always);

    let rig = setup.rig().display("device-no-status").start();

    assert_eq!(rig.running(), (1, 1));
    rig.follows(1001);
}

#[test]
fn a_host_that_takes_no_event_filter_has_no_plugin_and_is_told_why() {
    let setup = Setup::new();
    setup.host.inject(RequestType::CTL_GUEST_FILTER_MASK, Fault::Fail(Status::NO_MEMORY), Times::Always);

    let rig = setup.rig().display("device-no-filter").start();

    assert_eq!(rig.running(), (0, 1));
    says("device-no-filter", "VERR_NO_MEMORY (-8)");
}

#[test]
fn capabilities_that_are_refused_are_done_without() {
    let setup = Setup::new();
    let refused = Fault::Fail(Status::OUT_OF_RESOURCES);
    setup.host.inject(RequestType::SET_GUEST_CAPABILITIES, refused, Times::Always);

    let rig = setup.rig().display("device-no-caps").start();

    says("device-no-caps", "going on without, and trying again");
    rig.follows(1001);
}

#[test]
fn a_capability_that_was_busy_once_is_acquired() {
    let setup = Setup::new();
    let busy = Fault::Fail(Status::RESOURCE_BUSY);
    setup.host.inject(RequestType::SET_GUEST_CAPABILITIES, busy, Times::Next(1));

    let rig = setup.rig().display("device-busy-caps").start();

    rig.wait_guest("announced", |guest| guest.capabilities == Capabilities::GRAPHICS);
    rig.follows(1001);
}

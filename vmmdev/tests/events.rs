//! How the host rings (protocol reference, 1.4), seen from the guest.

mod guest;

use std::time::{Duration, Instant};

use driver_core::pci::{Bus, Interrupt};
use driver_core::wire::{
    Capabilities, Events, GetMouseStatus, GetSeamlessChangeRequest, MouseFeatures, Request,
    SetGuestCapabilities, SetMouseStatus, Status,
};
use guest::{Guest, SOON, TO_FALL_ASLEEP, report_guest_info};
use vmmdev::Hint;

#[test]
fn a_wanted_event_raises_the_line_and_the_flag_until_it_is_acknowledged() {
    let guest = Guest::wanting(Events::SEAMLESS_MODE_CHANGE);
    assert!(!guest.line() && !guest.have_events());

    guest.host.set_seamless(true);

    assert!(guest.line() && guest.have_events());
    assert_eq!(guest.acknowledge(), 0x20);
    assert!(!guest.line() && !guest.have_events());
}

#[test]
fn a_hint_from_before_the_subscription_is_delivered_on_subscription() {
    let guest = Guest::reported();
    guest.host.set_video_mode_hint(Hint::new(0, 800, 600)).expect("display 0");
    assert!(!guest.line());

    guest.change_filter(Events::DISPLAY_CHANGE.bits(), 0);

    assert!(guest.line());
    assert_eq!(guest.acknowledge(), 0x4);
}

#[test]
fn acknowledging_returns_only_what_is_wanted() {
    let guest = Guest::wanting(Events::RESTORED);
    guest.host.raise_events(Events::all());

    assert_eq!(guest.acknowledge(), 0x10);
    assert_eq!(guest.acknowledge(), 0);
}

#[test]
fn a_filter_changed_before_the_acknowledgement_takes_effect_with_it() {
    let guest = Guest::wanting(Events::RESTORED);
    guest.host.raise_events(Events::RESTORED | Events::VRDP);

    guest.change_filter(Events::VRDP.bits(), Events::RESTORED.bits());

    assert_eq!(guest.host.guest().filter, Events::RESTORED);
    assert_eq!(guest.acknowledge(), 0x10);
    assert_eq!(guest.host.guest().filter, Events::VRDP);
    assert!(guest.line());
    assert_eq!(guest.acknowledge(), 0x100);
}

#[test]
fn reading_port_8_acknowledges_as_the_request_does() {
    let guest = Guest::wanting(Events::VRDP);
    guest.host.raise_events(Events::VRDP);

    assert_eq!(guest.bus.read_port(8), Ok(0x100));

    assert!(!guest.line());
    assert_eq!(guest.bus.read_port(8), Ok(0));
}

#[test]
fn reading_port_8_is_refused_before_the_report_and_with_the_old_interface() {
    let guest = Guest::silent();
    assert_eq!(guest.bus.read_port(8), Ok(u32::MAX));

    guest.ask(report_guest_info(0x0001_0003));

    assert_eq!(guest.bus.read_port(8), Ok(u32::MAX));
}

#[test]
fn device_memory_has_version_1_and_a_size_that_linux_accepts() {
    let guest = Guest::silent();
    let size = guest.bus.read_memory(0).expect("inside the bar");

    assert_eq!(guest.bus.read_memory(4), Ok(1));
    assert!((32..=guest.bus.memory_len()).contains(&size));
    assert!(guest.bus.read_memory(guest.bus.memory_len() - 4).is_ok());
    assert!(guest.bus.read_memory(guest.bus.memory_len() - 3).is_err());
}

#[test]
fn reset_voids_what_the_guest_said_and_keeps_an_unread_display_hint() {
    let guest = Guest::wanting(Events::all());
    let mut capabilities = SetGuestCapabilities::new();
    capabilities.or_mask = Capabilities::all().bits().into();
    guest.ask(capabilities);
    guest.host.set_video_mode_hint(Hint::new(0, 800, 600)).expect("display 0");
    guest.host.set_seamless(true);
    let session = guest.host.session_id();

    guest.host.reset();

    assert!(!guest.line());
    assert_ne!(guest.host.session_id(), session);
    let report = guest.host.guest();
    assert_eq!(report.info, None);
    assert_eq!((report.filter, report.capabilities), (Events::empty(), Capabilities::empty()));
    guest.ask(report_guest_info(0x0001_0004));
    guest.change_filter(0x7FF, 0);
    assert_eq!(guest.acknowledge(), 0x4);
}

#[test]
fn after_a_reset_the_host_s_wishes_are_news_and_the_guest_s_pointer_bits_are_gone() {
    let guest = Guest::wanting(Events::all());
    guest.host.set_mouse(MouseFeatures::HOST_WANTS_ABSOLUTE);
    let mut mouse = SetMouseStatus::new();
    mouse.features = MouseFeatures::GUEST_MASK.bits().into();
    guest.ask(mouse);
    guest.host.set_seamless(true);
    let mut seamless = GetSeamlessChangeRequest::new();
    seamless.acknowledge = Events::SEAMLESS_MODE_CHANGE.bits().into();
    guest.ask(seamless);
    assert!(!guest.host.set_seamless(true));

    guest.host.reset();

    assert!(guest.host.set_seamless(true));
    guest.ask(report_guest_info(0x0001_0004));
    let features = guest.ask(GetMouseStatus::new()).1.features.get();
    assert_eq!(features, MouseFeatures::HOST_WANTS_ABSOLUTE.bits());
}

#[test]
fn restoring_a_saved_state_rings_and_changes_the_session() {
    let guest = Guest::wanting(Events::RESTORED);
    let saved = guest.host.save();
    let session = guest.host.session_id();

    guest.host.restore(&saved);

    assert_ne!(guest.host.session_id(), session);
    assert_eq!(guest.acknowledge(), 0x10);
}

#[test]
fn a_waiter_is_woken_by_the_host() {
    let guest = Guest::wanting(Events::VRDP);
    std::thread::scope(|threads| {
        let began = Instant::now();
        let waiter = threads.spawn(|| guest.bus.wait_interrupt(Some(SOON)));
        std::thread::sleep(TO_FALL_ASLEEP);
        guest.host.raise_events(Events::VRDP);
        assert_eq!(waiter.join().expect("no panic"), Interrupt::Raised);
        assert!(began.elapsed() < SOON, "woken, not timed out");
    });
}

#[test]
fn waiting_ends_with_its_time_and_with_the_bus() {
    let guest = Guest::reported();
    let began = Instant::now();
    assert_eq!(guest.bus.wait_interrupt(Some(Duration::from_millis(20))), Interrupt::TimedOut);
    assert!(began.elapsed() >= Duration::from_millis(20));

    std::thread::scope(|threads| {
        let waiter = threads.spawn(|| guest.bus.wait_interrupt(None));
        std::thread::sleep(TO_FALL_ASLEEP);
        guest.bus.close();
        assert_eq!(waiter.join().expect("no panic"), Interrupt::Closed);
    });
    assert_eq!(guest.bus.wait_interrupt(None), Interrupt::Closed);
}

#[test]
fn forced_bits_arrive_unasked_and_unknown() {
    let guest = Guest::reported();
    guest.host.force_events(0x8000_0804);
    assert!(guest.line() && guest.have_events());
    assert_eq!(guest.acknowledge(), 0x8000_0804);
    assert!(!guest.line());
}

#[test]
fn forcing_no_bits_is_an_interrupt_without_events() {
    let guest = Guest::reported();
    guest.host.force_events(0);
    assert!(guest.line() && guest.have_events());
    assert_eq!(guest.acknowledge(), 0);
    assert!(!guest.line());
}

#[test]
fn a_stray_interrupt_falls_when_the_guest_has_looked() {
    let guest = Guest::reported();
    guest.host.raise_stray_interrupt();
    assert!(guest.line());
    assert!(!guest.have_events());
    assert!(!guest.line());
}

#[test]
fn the_hgcm_bit_cannot_be_unsubscribed_and_comes_with_the_first_use() {
    let guest = Guest::reported();
    let connect = driver_core::wire::HgcmConnect::new();

    assert_eq!(guest.ask(connect).0, Status::HGCM_SERVICE_NOT_FOUND);

    assert_eq!(guest.host.guest().filter, Events::HGCM);
    guest.change_filter(0, 0x7FF);
    assert_eq!(guest.host.guest().filter, Events::HGCM);
}

#[test]
fn hosts_and_guests_in_many_threads_do_not_block_each_other() {
    let guest = Guest::wanting(Events::DISPLAY_CHANGE | Events::VRDP);
    let rounds = 0..2000;
    std::thread::scope(|threads| {
        threads.spawn(|| rounds.clone().for_each(|_| guest.host.raise_events(Events::VRDP)));
        threads.spawn(|| {
            rounds.clone().for_each(|round| {
                let hint = Hint::new(0, 800 + round, 600);
                guest.host.force_video_mode_hints(&[hint]).expect("display 0");
            });
        });
        threads.spawn(|| {
            rounds.clone().for_each(|_| assert_ne!(guest.bus.read_port(8), Ok(u32::MAX)));
        });
        threads.spawn(|| {
            rounds.clone().for_each(|_| assert!(guest.host.guest().info.is_some()));
        });
        rounds.clone().for_each(|_| assert_eq!(guest.acknowledge() & !0x104, 0));
    });
    guest.bus.read_port(8).expect("a port");
    assert!(!guest.line());
}

//! A host that misbehaves, and one that is watched.

mod guest;

use std::time::{Duration, Instant};

use driver_core::wire::{Events, GetHostTime, GetSessionId, Request, RequestType, Status, display};
use guest::{Guest, SOON, TO_FALL_ASLEEP, bare};
use vmmdev::{Fault, Hint, Times};

#[test]
fn a_request_fails_as_often_as_wanted() {
    let guest = Guest::reported();
    let fault = Fault::Fail(Status::NO_MEMORY);
    guest.host.inject(RequestType::GET_HOST_TIME, fault, Times::Next(2));

    let statuses = [(); 3].map(|()| guest.ask(GetHostTime::new()).0);

    assert_eq!(statuses, [Status::NO_MEMORY, Status::NO_MEMORY, Status::SUCCESS]);
    assert_eq!(guest.ask(GetSessionId::new()).0, Status::SUCCESS);
}

#[test]
fn faults_end_when_they_are_taken_back() {
    let guest = Guest::reported();
    guest.host.inject(RequestType::GET_HOST_TIME, Fault::Ignore, Times::Always);
    assert_eq!(guest.ask(GetHostTime::new()).0, Status::GENERAL_FAILURE, "untouched");

    guest.host.clear_faults();

    assert_eq!(guest.ask(GetHostTime::new()).0, Status::SUCCESS);
}

#[test]
fn more_displays_are_announced_than_there_can_be() {
    let guest = Guest::wanting(Events::DISPLAY_CHANGE);
    guest.host.set_video_mode_hint(Hint::new(0, 800, 600)).expect("display 0");
    let kind = RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI;
    guest.host.inject(kind, Fault::announce_displays(65), Times::Next(1));

    let (_, packet) = guest.ask_bytes(&display::multi_request(Events::DISPLAY_CHANGE, 64));

    let displays = display::parse_multi(&packet).expect("well-formed");
    assert_eq!((displays.announced, displays.entries.len()), (65, 64));
}

#[test]
fn rubbish_fills_the_body_and_claims_success() {
    let guest = Guest::reported();
    let kind = RequestType::GET_SESSION_ID;
    let answer_of = |seed: u64| {
        guest.host.inject(kind, Fault::Rubbish { seed }, Times::Next(1));
        guest.ask_bytes(&bare(kind.0, 32))
    };

    let [one, again, other] = [1, 1, 2].map(answer_of);

    assert_eq!(one.0, Status::SUCCESS);
    assert_eq!(one.1[..12], bare(kind.0, 32)[..12], "the header stays");
    assert_eq!(one, again);
    assert_ne!(one.1[24..], other.1[24..]);
}

#[test]
fn requests_are_in_the_journal_in_order() {
    let guest = Guest::reported();
    let since = guest.host.journal_position();
    guest.ask(GetHostTime::new());
    guest.ask_bytes(&bare(999, 24));

    let journal = guest.host.journal();

    let [time, unknown] = &journal[since as usize..] else { panic!("two entries") };
    assert_eq!((time.request_type.0, time.size, time.status), (10, 32, Some(Status::SUCCESS)));
    assert_eq!((unknown.request_type.0, unknown.status), (999, Some(Status::NOT_IMPLEMENTED)));
    assert_eq!((time.number + 1, time.at <= unknown.at), (unknown.number, true));
}

#[test]
fn waiting_for_a_request_sees_past_and_future_ones() {
    let guest = Guest::reported();
    let is_time = |seen: &vmmdev::Seen| seen.request_type == RequestType::GET_HOST_TIME;
    guest.ask(GetHostTime::new());
    let past = guest.host.wait_request(0, Duration::ZERO, is_time).expect("it was made");

    std::thread::scope(|threads| {
        let began = Instant::now();
        let waiter = threads.spawn(|| guest.host.wait_request(past.number + 1, SOON, is_time));
        std::thread::sleep(TO_FALL_ASLEEP);
        guest.ask(GetSessionId::new());
        guest.ask(GetHostTime::new());
        let future = waiter.join().expect("no panic").expect("in time");
        assert!(future.number > past.number);
        assert!(began.elapsed() < SOON, "woken, not timed out");
    });
}

#[test]
fn waiting_for_the_guest_returns_its_report_or_times_out() {
    let guest = Guest::reported();
    let short = Duration::from_millis(5);
    let error = guest.host.wait_guest(short, |report| !report.monitor_positions.is_empty());
    assert_eq!(
        error.expect_err("nothing was reported").to_string(),
        "Guest did not do what was waited for within 5ms"
    );

    std::thread::scope(|threads| {
        let waiter =
            threads.spawn(|| guest.host.wait_guest(SOON, |report| !report.monitor_positions.is_empty()));
        guest.ask_bytes(&display::positions_request(&[(5, 6)]));
        let report = waiter.join().expect("no panic").expect("in time");
        assert_eq!(report.monitor_positions, [(5, 6)]);
    });
}

#[test]
fn the_guest_s_report_is_json() {
    let guest = Guest::wanting(Events::DISPLAY_CHANGE | Events::RESTORED);
    guest.ask_bytes(&display::positions_request(&[(0, 0)]));

    let json = serde_json::to_value(guest.host.guest()).expect("serializable");

    assert_eq!(json["filter"], "display-change|restored");
    assert_eq!(json["info"]["os_type"], 0x5_3100);
    assert_eq!(json["facilities"][0]["status"], "inactive");
    assert_eq!(json["monitor_positions"], serde_json::json!([[0, 0]]));
}

//! What a plugin may use: what is beyond its limits is refused with their name, counted, and costs
//! nobody else anything.

use driver_core::wire::{RequestType, Status};
use support::{PATIENCE, Rig, Setup, eventually, lines_of, plugin_component, says};
use vmmdev::Hint;

const GRANTS: &str = r#"grants = { hgcm = { VBoxGuestPropSvc = "all" }, properties = { read = ["*"] } }"#;

/// A probe that takes steps at its start, within these limits.
fn probe(name: &str, limits: &str, steps: &str) -> Rig {
    let table = format!("{GRANTS}\nlimits = {{ {limits} }}\nconfig = {{ steps = [{steps}] }}");
    Setup::new().rig().component(name, plugin_component("probe"), &table).start()
}

fn count(plugin: &str, text: &str) -> usize {
    lines_of(plugin).iter().filter(|line| line.contains(text)).count()
}

#[test]
fn what_is_beyond_a_limit_is_refused_by_its_name() {
    let connect = r#"{ connect = "VBoxGuestPropSvc" }"#;
    let call = format!("{connect}, {{ call = [1, \"/A\", 501, 0] }}");
    let cases = [
        ("one-client", "hgcm-clients = 1", format!("{connect}, {connect}"), "limit `hgcm-clients`"),
        ("few-bytes", "call-bytes = \"500 B\"", call.clone(), "limit `call-bytes`, which is 500 B"),
        ("no-calls", "calls = 0", call, "limit `calls`"),
        ("two-timers", "timers = 2", "{ timer = 60000 }, ".repeat(3), "limit `timers`"),
        ("one-handle", "handles = 1", r#"{ watch = "/A" }, { watch = "/B" }"#.into(), "limit `handles`"),
        ("no-buffers", "handles = 0", "{ buffer = [0, 1] }".into(), "limit `handles`"),
    ];
    for (name, limits, steps, expected) in cases {
        let _rig = probe(name, limits, &steps);

        says(name, expected);
        assert_eq!(count(name, "failed: Busy:"), 1, "{:#?}", lines_of(name));
    }
}

#[test]
fn requests_beyond_the_budget_are_refused_and_told_of_once() {
    let rig = probe("many-requests", "requests-per-second = 10", &r#"{ get = "/A" }, "#.repeat(25));

    says("many-requests", "Requests were refused: it may make 10 a second");

    let refused = count("many-requests", "limit `requests-per-second`");
    assert!((1..=15).contains(&refused), "{:#?}", lines_of("many-requests"));
    says("many-requests", &format!("count={refused}"));
    let state = rig.state("many-requests");
    assert_eq!(state.requests_refused, refused as u64);
}

#[test]
fn lines_beyond_the_budget_are_dropped_and_counted() {
    // Each line has some 20 bytes.
    let rig = probe("many-lines", "log-per-second = \"200 B\"", &r#""cancel-timer", "#.repeat(50));

    says("many-lines", "Lines of its log were dropped: it may log 200 B a second");

    let logged = count("many-lines", "CancelTimer: done");
    assert!(logged < 30, "{:#?}", lines_of("many-lines"));
    let dropped = 50 - logged;
    says("many-lines", &format!("count={dropped}"));
    assert_eq!(rig.state("many-lines").lines_dropped, dropped as u64);
    assert_eq!(count("many-lines", "were dropped"), 1);
}

#[test]
fn what_the_host_wants_last_is_done_by_a_plugin_that_is_let_rest() {
    let rig = Setup::new().rig().reference("display", "rested", "limits.requests-per-second = 20").start();

    let mut last = rig.host.journal_position();
    for width in 1000..1400 {
        last = rig.host.journal_position();
        rig.host.set_video_mode_hint(Hint::new(0, width, 700)).expect("display 0 exists");
    }

    rig.host
        .wait_request(last, PATIENCE, |seen| {
            seen.request_type == RequestType::VIDEO_UPDATE_MONITOR_POSITIONS
                && seen.status == Some(Status::SUCCESS)
        })
        .expect("the last wish is followed");
    eventually("the last size", || count("rested", "1399x700") > 0);
    assert_eq!(rig.state("rested").requests_refused, 0);
    assert_eq!(count("rested", "Handler returned"), 0, "{:#?}", lines_of("rested"));
}

#[test]
fn what_a_call_took_is_known_by_both_clocks() {
    let rig = Rig::with_display("clocked");
    rig.follows(1001);

    eventually("the call has ended", || rig.state("clocked").attempt.is_none());
    let state = rig.state("clocked");
    assert!(!state.last_call.wall.is_zero());
    assert!(state.highest_call.wall >= state.last_call.wall);
    assert!(state.used.memory > 0);
}

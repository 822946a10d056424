//! What plugins reach of the host's services, and what the agent keeps for them: by the plugin `probe`,
//! which does what it is told and says what came of it.

use support::fixtures::{Fixture, subscribe};
use support::{Rig, Setup, eventually, lines_of, plugin_component, says};

/// A rig with the probe, told to take these steps.
fn probe(name: &str, grants: &str, steps: &str) -> Rig {
    told(Setup::new(), name, grants, steps)
}

fn told(setup: Setup, name: &str, grants: &str, steps: &str) -> Rig {
    // It imports both interfaces, so each must be granted in some way.
    let mut grants = grants.to_owned();
    for (key, least) in
        [("hgcm", r#"hgcm = { None = [] }"#), ("properties", r#"properties = { read = [""] }"#)]
    {
        if !grants.contains(key) {
            grants = [grants.as_str(), least]
                .into_iter()
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .join(", ");
        }
    }
    let table = format!("grants = {{ {grants} }}\nlimits = {{ calls = 2 }}\nconfig.steps = [{steps}]");
    setup.rig().component(name, plugin_component("probe"), &table).start()
}

const ALL: &str = r#"properties = { read = ["*"], write = ["*"] }"#;
const CALLS: &str = r#"hgcm = { VBoxGuestPropSvc = "all" }"#;

#[test]
fn a_property_that_is_set_is_the_host_s_too() {
    let rig = probe(
        "services-set",
        ALL,
        r#"{ set = ["/Test/A", "b", "TRANSIENT"] }, { get = "/Test/A" }, { get = "/Test/None" }"#,
    );

    says("services-set", "/Test/A=b [TRANSIENT]");
    says("services-set", "Get(\"/Test/None\"): none");
    assert_eq!(rig.host.property("/Test/A").expect("it is there").value, "b");
}

#[test]
fn a_property_that_is_deleted_is_gone() {
    let setup = Setup::new();
    setup.host.set_property("/Test/A", "b", "").expect("a property");
    let rig = told(setup, "services-delete", ALL, r#"{ delete = "/Test/A" }, { delete = "/Test/A" }"#);

    eventually("both are said", || {
        lines_of("services-delete").iter().filter(|line| line.contains("Delete")).count() == 2
    });
    assert_eq!(rig.host.property("/Test/A"), None);
    assert!(lines_of("services-delete").iter().all(|line| !line.contains("failed")));
}

#[test]
fn what_may_not_be_read_is_left_out_and_refused_by_the_grant_s_name() {
    let setup = Setup::new();
    setup.host.set_property("/Test/Open", "1", "").expect("a property");
    setup.host.set_property("/Secret/Closed", "2", "").expect("a property");
    let _rig = told(
        setup,
        "services-pattern",
        r#"properties = { read = ["/Test/*"] }"#,
        r#"{ enumerate = "*" }, { get = "/Secret/Closed" }, { set = ["/Test/Open", "3", ""] }"#,
    );

    says("services-pattern", "Enumerate(\"*\"): /Test/Open=1 []");
    says("services-pattern", "Not granted: not granted: properties = { read = [\"/Secret/Closed\"] }");
    says("services-pattern", "properties = { write = [\"/Test/Open\"] }");
}

#[test]
fn what_the_host_keeps_for_itself_is_refused_with_its_status() {
    let _rig = probe("services-reserved", ALL, r#"{ set = ["/VirtualBox/HostInfo/X", "1", ""] }"#);

    says("services-reserved", "VERR_PERMISSION_DENIED");
}

#[test]
fn a_watch_tells_of_changes_and_of_deletions() {
    let rig = probe("services-watch", ALL, r#"{ watch = "/Test/*" }"#);
    eventually("the watch has reached the host", || {
        rig.host.hgcm_clients().iter().any(|client| client.waiting.len() == 1)
    });

    rig.host.set_property("/Other/A", "x", "").expect("a property");
    rig.host.set_property("/Test/A", "y", "").expect("a property");
    says("services-watch", "/Test/A is Some(\"y\") now, missed false");
    rig.host.delete_property("/Test/A").expect("it is there");

    says("services-watch", "/Test/A is None now, missed false");
    assert!(lines_of("services-watch").iter().all(|line| !line.contains("/Other/A")));
}

#[test]
fn a_stopped_agent_leaves_no_client_at_the_host() {
    let mut rig = probe("services-stop", ALL, r#"{ watch = "/Test/*" }, { get = "/Test/A" }"#);
    eventually("two clients", || rig.host.hgcm_clients().len() == 2);

    rig.stop();

    assert_eq!(rig.host.hgcm_clients().len(), 0);
}

#[test]
fn a_call_is_completed_with_what_the_service_says() {
    let setup = Setup::new();
    setup.host.set_property("/Test/A", "b", "").expect("a property");
    let _rig = told(
        setup,
        "services-call",
        CALLS,
        r#"{ connect = "VBoxGuestPropSvc" }, { call = [1, "/Test/A", 3, 0] }, { call-into = [1, "/Test/A", 3] }"#,
    );

    says("services-call", "an earlier call ended with 0: sent, \"b\\0\\0\" of 3, some time, 3");
    says("services-call", "the last call ended with 0: sent, buffer of 3, some time, 3");
    says("services-call", "the buffer has \"b\\0\\0\"");
}

#[test]
fn a_call_s_failure_is_a_completion_and_its_room_is_named() {
    let setup = Setup::new();
    setup.host.set_property("/Test/A", "a longer value", "").expect("a property");
    let _rig = told(
        setup,
        "services-small",
        CALLS,
        r#"{ connect = "VBoxGuestPropSvc" }, { call = [1, "/Test/A", 3, 0] }"#,
    );

    says("services-small", "the last call ended with -41");
}

#[test]
fn a_call_that_waits_is_cancelled_or_times_out() {
    let _rig = probe(
        "services-cancel",
        CALLS,
        r#"{ connect = "VBoxGuestPropSvc" }, { call = [6, "/Test/*", 100, 50] }, { call = [6, "/Test/?", 100, 0] }, "cancel""#,
    );

    says("services-cancel", "an earlier call failed: The host refused: Cannot call HGCM function 6");
    says("services-cancel", "VERR_TIMEOUT");
    says("services-cancel", "VERR_CANCELLED");
}

#[test]
fn a_disconnected_client_s_calls_end() {
    let _rig = probe(
        "services-disconnect",
        CALLS,
        r#"{ connect = "VBoxGuestPropSvc" }, { call = [6, "/Test/*", 100, 0] }, "disconnect", { call = [1, "/Test/A", 9, 0] }"#,
    );

    says("services-disconnect", "the last call");
    says("services-disconnect", "failed: not connected");
}

#[test]
fn services_and_functions_that_were_not_granted_are_refused() {
    let _rig = probe(
        "services-grants",
        r#"hgcm = { VBoxGuestPropSvc = [1] }"#,
        r#"{ connect = "VBoxSharedFolders" }, { connect = "VBoxGuestPropSvc" }, { call = [6, "/Test/*", 9, 0] }"#,
    );

    says("services-grants", "not granted: hgcm = { \"VBoxSharedFolders\" = \"all\" }");
    says("services-grants", "not granted: hgcm = { \"VBoxGuestPropSvc\" = [6] }");
}

#[test]
fn a_service_that_the_host_does_not_have_is_named() {
    let _rig = probe("services-none", r#"hgcm = { Nobody = "all" }"#, r#"{ connect = "Nobody" }"#);

    says("services-none", "VERR_HGCM_SERVICE_NOT_FOUND");
}

#[test]
fn calls_beyond_the_limit_are_refused() {
    let waiting = r#"{ call = [6, "/Test/*", 9, 0] }"#;
    let different = r#"{ call = [6, "/Test/?", 9, 0] }"#;
    let _rig = probe(
        "services-many",
        CALLS,
        &format!(r#"{{ connect = "VBoxGuestPropSvc" }}, {waiting}, {different}, {waiting}"#),
    );

    says("services-many", "2 are in use, as many as the limit `calls`");
}

#[test]
fn a_timer_comes_unless_it_was_cancelled() {
    let _rig = probe("services-timer", "", r#"{ timer = 1 }, { timer = 30 }, { timer = 5 }, "cancel-timer""#);

    eventually("two timers", || {
        lines_of("services-timer").iter().filter(|line| line.contains("an earlier timer")).count() == 2
    });
    assert!(lines_of("services-timer").iter().all(|line| !line.contains("the last timer")));
}

#[test]
fn timers_beyond_the_limit_are_refused() {
    let steps: String = (0..65).map(|_| "{ timer = 600000 },").collect();
    let _rig = probe("services-timers", "", &steps);

    says("services-timers", "64 are in use, as many as the limit `timers`");
}

#[test]
fn a_buffer_grows_with_zeros_up_to_its_limit() {
    let _rig = probe(
        "services-buffer",
        "",
        r#"{ buffer = [1000, 10] }, { buffer = [16777206, 10] }, { buffer = [16777207, 10] }, { buffer = [9007199254740993, 1] }"#,
    );

    says("services-buffer", "Buffer(1000, 10): 1010 bytes, of which 11 were read from Some(0)");
    says("services-buffer", "Buffer(16777206, 10): 16777216 bytes");
    says(
        "services-buffer",
        "Buffer(16777207, 10): failed: Invalid: 16777217 bytes more are beyond the limit",
    );
    says("services-buffer", "Buffer(9007199254740993, 1): failed");
}

/// What becomes of a plugin that makes a request of this type, with a body of so many bytes, and starts only
/// if the host answers it.
fn with_raw_request(name: &str, request: u32, length: u32) -> Rig {
    const ANSWER: u32 = 4096;
    let submit = format!(
        "(call $submit (i32.const {request}) (i32.const 0) (i32.const {length}) (i32.const {ANSWER}))
         (if (i32.load8_u (i32.const {ANSWER})) (then (unreachable)))"
    );
    let fixture = Fixture::default()
        .importing("bellhop:guest/raw-requests@0.1.0", "submit", "(param i32 i32 i32 i32)", "submit")
        .init(submit + &subscribe(0, 0));
    let table = r#"grants = { raw-requests = ["GetHostTime"] }"#;
    Setup::new().rig().plugin(name, &fixture.component(), table).start()
}

#[test]
fn a_granted_request_is_made_as_bytes_and_no_other() {
    const CASES: [(&str, u32, u32, usize); 5] = [
        ("services-raw", 10, 8, 1),
        ("services-raw-size", 10, 9, 0),
        ("services-raw-grant", 217, 8, 0),
        ("services-raw-session", 41, 4, 0),
        ("services-raw-unknown", 9999, 8, 0),
    ];
    for (name, request, length, running) in CASES {
        let rig = with_raw_request(name, request, length);

        assert_eq!(rig.running(), (running, 1), "{name}");
    }
}

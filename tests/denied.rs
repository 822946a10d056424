//! Interfaces that a plugin imports and that are denied to it: it runs, and is refused what it asks of them.

use std::process::Command;

use bellhop_agent::reload::Outcome;
use support::fixtures::{Fixture, ok};
use support::{RESTORED, Setup, bellhop, eventually, lines_of, plugin_component, says};
use tempfile::TempDir;

const NEITHER: &str = r#"denied = ["hgcm", "properties"]"#;

/// A folder with an `agent.toml` that has the probe, and what a command says of it.
fn folder(table: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let text = format!("[plugins.it]\ncomponent = {:?}\n{table}\n", plugin_component("probe"));
    std::fs::write(folder.path().join("agent.toml"), text).expect("a file");
    folder
}

fn said(folder: &TempDir, command: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(bellhop())
        .args(command)
        .args(["--config", "agent.toml"])
        .current_dir(folder)
        .output()
        .expect("bellhop can be started");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_plugin_is_refused_what_is_denied_by_the_grant_s_name_and_goes_on() {
    let steps =
        r#"{ get = "/A" }, { set = ["/A", "b", ""] }, { watch = "*" }, { connect = "S" }, { timer = 1 }"#;
    let table = format!("{NEITHER}\nconfig.steps = [{steps}]");
    let rig = Setup::new().rig().component("denied", plugin_component("probe"), &table).start();

    says("denied", "the last timer");

    for (step, grant) in [
        ("Get", "properties = { read = [\"PATTERN\"] }"),
        ("Set", "properties = { read = [\"PATTERN\"] }"),
        ("Watch", "properties = { read = [\"PATTERN\"] }"),
        ("Connect", "hgcm = { SERVICE = \"all\" }"),
    ] {
        let refused = |line: &String| line.contains(step) && line.contains(&format!("not granted: {grant}"));
        assert!(lines_of("denied").iter().any(refused), "{step}: {:#?}", lines_of("denied"));
    }
    assert_eq!(rig.host.property("/A"), None);
    assert_eq!((rig.running(), rig.state("denied").faults), ((1, 1), 0));
}

/// No number can have been given out that they would end.
#[test]
fn what_ends_something_does_nothing_where_nothing_can_have_begun() {
    let table = format!("{NEITHER}\nconfig.steps = [\"unwatch\", \"cancel\", \"disconnect\"]");
    let rig = Setup::new().rig().component("ends-nothing", plugin_component("probe"), &table).start();

    for step in ["Unwatch", "Cancel", "Disconnect"] {
        says("ends-nothing", &format!("{step}: done"));
    }
    assert_eq!(rig.state("ends-nothing").faults, 0);
}

#[test]
fn what_is_denied_is_refused_to_that_plugin_alone() {
    let steps = r#"config.steps = [{ set = ["/A", "b", ""] }]"#;
    let granted = format!("grants.properties = {{ write = [\"*\"] }}\ndenied = [\"hgcm\"]\n{steps}");
    let denied = format!("{NEITHER}\n{steps}");
    let rig = Setup::new()
        .rig()
        .component("one-denied", plugin_component("probe"), &denied)
        .component("one-granted", plugin_component("probe"), &granted)
        .start();

    says("one-granted", "Set([\"/A\", \"b\", \"\"]): done");
    says("one-denied", "not granted: properties");
    assert_eq!(rig.running(), (2, 2));
}

/// A stranger's component whose handler wants the outputs: `result<list<output>, error>`, of which the case
/// is at 2048 and the case of its error at 2052.
#[test]
fn a_component_from_elsewhere_hears_which_error_it_is() {
    let trap_unless = |at: u32, expected: u32| {
        format!("(if (i32.ne (i32.load8_u (i32.const {at})) (i32.const {expected})) (then (unreachable)))")
    };
    let body = format!(
        "(i32.store8 (i32.const 2052) (i32.const 9)) (call $enumerate (i32.const 2048)) {} {} {}",
        trap_unless(2048, 1),
        trap_unless(2052, 0),
        ok()
    );
    let component = Fixture::subscribing(RESTORED)
        .importing("bellhop:guest/outputs@0.1.0", "enumerate", "(param i32)", "enumerate")
        .on_host_events(body)
        .component();
    let table = "grants = { events = [\"restored\"] }\ndenied = [\"outputs\"]";
    let rig = Setup::new().rig().plugin("stranger", &component, table).start();

    rig.host.force_events(RESTORED);

    let counts = || rig.agent().expect("it runs").board().tap("stranger").counts();
    eventually("it was called", || counts().calls.contains_key("host-events.on-host-events"));
    assert_eq!(rig.state("stranger").faults, 0, "{:#?}", lines_of("stranger"));
    assert_eq!(counts().host_calls, 1, "what is refused is counted like all else");
}

#[test]
fn a_denial_can_be_taken_back_while_the_agent_runs() {
    let table = format!("{NEITHER}\nconfig.steps = [{{ get = \"/A\" }}]");
    let rig = Setup::new().rig().component("regranted", plugin_component("probe"), &table).start();
    says("regranted", "Get(\"/A\"): failed: ");

    let granted = "denied = [\"hgcm\"]\ngrants.properties.read = [\"*\"]";
    let reloaded = rig.reload(&rig.agent_toml().replace(NEITHER, granted)).expect("it is right");

    assert_eq!(reloaded.plugins[0].1, Outcome::Replaced);
    says("regranted", "Get(\"/A\"): none");
}

#[test]
fn to_grant_and_to_deny_is_a_wrong_configuration_with_its_place() {
    let cases = [
        (
            "grants.desktop = [\"outputs\"]\ndenied = [\"outputs\"]",
            "agent.toml:4:11",
            "desktop = [\"outputs\"]",
        ),
        (
            "denied = [\"clipboard\", \"hgcm\"]\ngrants.hgcm = { S = [1] }",
            "agent.toml:3:24",
            "hgcm = { SERVICE = \"all\" }",
        ),
    ];
    for (table, place, grant) in cases {
        let (code, said) = said(&folder(table), &["check"]);

        assert_eq!(code, Some(78), "{said}");
        assert!(said.starts_with(place) && said.contains(grant) && said.contains("leave out one"), "{said}");
    }
}

#[test]
fn only_what_could_be_granted_can_be_denied() {
    for name in ["log", "clipbord", "wasi"] {
        let (code, said) = said(&folder(&format!("denied = [\"{name}\"]")), &["check"]);

        assert_eq!(code, Some(78), "{said}");
        let expected = format!("no interface that can be denied is called `{name}`; there are `display`");
        assert!(said.contains("agent.toml:3:11") && said.contains(&expected), "{said}");
    }
}

#[test]
fn what_is_denied_is_shown_and_suggested() {
    let denied = folder(NEITHER);
    let (code, said_by_check) = said(&denied, &["check"]);
    assert_eq!(code, Some(0), "{said_by_check}");
    assert!(
        said_by_check.contains("it: fits its grants: imports none; is denied hgcm, properties"),
        "{said_by_check}"
    );

    let (code, explained) = said(&denied, &["explain", "it"]);
    assert_eq!(code, Some(0), "{explained}");
    let line = explained.lines().find(|line| line.contains("bellhop:guest/hgcm@")).expect("a line");
    assert!(line.ends_with("DENIED: needs hgcm = { SERVICE = \"all\" }, and is refused"), "{line}");

    let (code, suggested) = said(&folder("denied = [\"hgcm\"]"), &["check"]);
    assert_eq!(code, Some(78), "{suggested}");
    assert!(suggested.contains("or denied = [\"properties\"] to its table to run it without"), "{suggested}");
    assert!(!suggested.contains("imports bellhop:guest/hgcm"), "{suggested}");
}

#[test]
fn a_denial_that_the_component_has_no_use_for_is_told() {
    let folder = folder(r#"denied = ["hgcm", "properties", "windows"]"#);

    let (code, checked) = said(&folder, &["check"]);
    assert_eq!(code, Some(0), "{checked}");
    assert!(checked.contains("it: does not import windows, which is denied; it can go"), "{checked}");

    let (_, explained) = said(&folder, &["explain", "it"]);
    assert!(explained.contains("\nDenied and not imported: windows\n"), "{explained}");
}

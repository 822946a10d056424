//! The configuration is read anew while plugins run: what changed is changed, what did not notices nothing,
//! and what is of no use leaves the old one in its place.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use bellhop_agent::plugin::Phase;
use bellhop_agent::reload::Outcome;
use driver_core::wire::{Capabilities, Facility, FacilityStatus, RequestType, Status};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::fixtures::{FAILURE, Fixture, fail, ok};
use support::{Daemon, PATIENCE, RESTORED, Rig, Setup, eventually, lines_of, plugin_component, says};
use vmmdev::Hint;

/// Reads a changed configuration, and gives back what became of a plugin.
fn changed(rig: &Rig, plugin: &str, from: &str, to: &str) -> Outcome {
    let before = rig.agent_toml();
    assert!(before.contains(from), "{from} does not stand in {before}");
    outcome(rig, plugin, &before.replace(from, to))
}

fn outcome(rig: &Rig, plugin: &str, agent_toml: &str) -> Outcome {
    let reloaded = rig.reload(agent_toml).unwrap_or_else(|error| panic!("{error}"));
    let found = reloaded.plugins.into_iter().find(|(name, _)| **name == *plugin);
    found.unwrap_or_else(|| panic!("Nothing became of {plugin}")).1
}

fn kept(outcome: Outcome) -> String {
    match outcome {
        Outcome::Kept(reason) => reason,
        other => panic!("The old one was to stay, and not: {other}"),
    }
}

fn probe(name: &str, config: &str) -> Rig {
    let grants = r#"grants = { hgcm = { S = "all" }, properties = { read = ["*"] } }"#;
    let table = format!("{grants}\nconfig = {{ {config} }}");
    Setup::new().rig().component(name, plugin_component("probe"), &table).start()
}

fn count(plugin: &str, text: &str) -> usize {
    lines_of(plugin).iter().filter(|line| line.contains(text)).count()
}

#[test]
fn what_did_not_change_runs_on() {
    let rig = Setup::new().rig().display("same").reference("display", "other", "").start();

    let outcome = changed(&rig, "same", "[plugins.other]", "[plugins.another]");

    assert_eq!(outcome, Outcome::Unchanged);
    assert_eq!((rig.state("same").incarnation, rig.state("another").incarnation), (1, 1));
    assert_eq!(count("another", "Reloaded: started"), 1);
    assert_eq!(count("other", "Reloaded: stopped"), 1);
    assert_eq!(rig.running(), (2, 2));
    rig.follows(1001);
}

#[test]
fn a_new_configuration_takes_the_place_of_the_old_one() {
    let rig = Setup::new().rig().reference("display", "wider", "config.maximum = [1000, 1000]").start();

    let outcome = changed(&rig, "wider", "1000, 1000", "4000, 4000");

    assert_eq!(outcome, Outcome::Replaced);
    rig.follows(1600);
    assert_eq!(rig.host.guest().facility(Facility::GRAPHICS), Some(FacilityStatus::ACTIVE));
    let state = rig.state("wider");
    assert_eq!((state.phase, state.incarnation, state.faults), (Phase::Running, 2, 0));
}

#[test]
fn a_component_with_other_bytes_is_a_change() {
    let old = Fixture::subscribing(RESTORED).component();
    let rig = Setup::new().rig().plugin("bytes", &old, "grants = { events = [\"restored\"] }").start();
    let new = Fixture::subscribing(RESTORED).on_host_events(fail()).component();
    std::fs::write(rig.file("bytes.wasm"), new).expect("a file can be written");

    assert_eq!(outcome(&rig, "bytes", &rig.agent_toml()), Outcome::Replaced);

    rig.host.force_events(RESTORED);
    says("bytes", FAILURE);
}

#[test]
fn nothing_that_the_host_wants_while_plugins_are_swapped_is_lost() {
    let rig = Setup::new().rig().reference("display", "swapped", "config.round-width-to = 1").start();
    let done = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let host = &rig.host;
        let wishes = scope.spawn(|| {
            let mut width = 1000;
            while !done.load(Ordering::Relaxed) {
                width = 1000 + (width + 1) % 500;
                host.set_video_mode_hint(Hint::new(0, width, 700)).expect("display 0 exists");
            }
            width
        });
        for (from, to) in [(1, 2), (2, 1)].into_iter().cycle().take(20) {
            let key = "round-width-to = ";
            let outcome = changed(&rig, "swapped", &format!("{key}{from}"), &format!("{key}{to}"));
            assert_eq!(outcome, Outcome::Replaced);
        }
        done.store(true, Ordering::Relaxed);
        wishes.join().expect("the host goes on")
    });

    eventually("the last wish is followed", || count("swapped", &format!("{last}x700")) > 0);
    let state = rig.state("swapped");
    assert_eq!((state.incarnation, state.faults), (21, 0));
    assert_eq!(count("swapped", "Handler returned"), 0, "{:#?}", lines_of("swapped"));
}

#[test]
fn an_event_that_comes_as_the_old_one_is_busy_reaches_its_successor() {
    // The old one is busy for its whole time, and the order to be replaced waits, as does the event.
    let old = Fixture::subscribing(RESTORED).on_host_events("(loop $again (br $again)) (unreachable)");
    let table = "grants = { events = [\"restored\"] }\nlimits = { cpu-per-event = \"300 ms\" }";
    let rig = Setup::new().rig().plugin("busy", &old.component(), table).start();
    let new = Fixture::subscribing(RESTORED).on_host_events(fail()).component();
    std::fs::write(rig.file("busy.wasm"), new).expect("a file can be written");
    rig.host.force_events(RESTORED);
    eventually("it is busy", || rig.state("busy").attempt.is_some());
    rig.host.force_events(RESTORED);

    assert_eq!(outcome(&rig, "busy", &rig.agent_toml()), Outcome::Replaced);

    says("busy", FAILURE);
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let rig = Rig::with_display("broken-file");
    let before = rig.agent_toml();

    for (text, expected) in [
        (format!("{before}\n= 3"), "agent.toml:"),
        (format!("{before}\n[limits]\ntimers = 5000"), "`timers` may be 4096 at most"),
        (format!("{before}\n[plugins.none]\ncomponent = \"none.wasm\""), "no component at"),
    ] {
        let error = rig.reload(&text).expect_err("it is wrong").to_string();
        assert!(error.contains(expected), "{error}");
    }

    assert_eq!(rig.state("broken-file").incarnation, 1);
    rig.follows(1001);
}

#[test]
fn a_successor_that_is_of_no_use_leaves_the_old_one_in_its_place() {
    let old = Fixture::subscribing(RESTORED).on_host_events(fail()).component();
    let grants = "grants = { events = [\"restored\"] }";
    let rig = Setup::new().rig().plugin("useless", &old, grants).start();
    let traps = Fixture::default().init("(unreachable)").component();
    let refuses = Fixture::default().init(fail()).component();
    let greedy = Fixture::subscribing(0x4).component();
    let endless = Fixture::default().start("(loop $again (br $again))").component();

    let cases: [(&[u8], &str); 6] = [
        (b"nonsense", "Not admitted: Not WebAssembly"),
        (&old[..old.len() / 2], "Not admitted: Not a valid component"),
        (&traps, "unreachable"),
        (&refuses, "`init` returned: it is raining"),
        (&greedy, "not granted: events"),
        (&endless, "of processor time"),
    ];
    for (component, expected) in cases {
        std::fs::write(rig.file("useless.wasm"), component).expect("a file can be written");

        let reason = kept(outcome(&rig, "useless", &rig.agent_toml()));

        assert!(reason.contains(expected), "{expected}: {reason}");
        let before = count("useless", FAILURE);
        rig.host.force_events(RESTORED);
        eventually("the old one is called", || count("useless", &format!("Handler returned: {FAILURE}")) > 0);
        eventually("and called again", || count("useless", FAILURE) > before);
    }
    let state = rig.state("useless");
    assert_eq!((state.phase, state.incarnation, state.faults), (Phase::Running, 1, 0));
}

#[test]
fn grants_that_became_fewer_are_not_enough_for_the_same_component() {
    let rig = Rig::with_display("fewer");

    let reason =
        kept(changed(&rig, "fewer", "requests = [\"display\", \"guest\"]", "requests = [\"guest\"]"));

    assert!(reason.contains("imports bellhop:guest/display@0.1.0, which is not granted"), "{reason}");
    rig.follows(1001);
}

#[test]
fn what_the_successor_does_not_announce_is_withdrawn_and_what_failed_announces_nothing() {
    let announces = |capabilities| {
        let init = support::fixtures::subscribe(RESTORED, capabilities);
        Fixture::default().init(init).on_host_events(ok()).component()
    };
    let grants = "grants = { events = [\"restored\"], capabilities = [\"seamless\", \"graphics\"] }";
    let rig = Setup::new().rig().plugin("caps", &announces(1), grants).start();
    rig.wait_guest("the old one's", |guest| guest.capabilities == Capabilities::SEAMLESS);

    std::fs::write(rig.file("caps.wasm"), announces(4)).expect("a file can be written");
    assert_eq!(outcome(&rig, "caps", &rig.agent_toml()), Outcome::Replaced);
    rig.wait_guest("the new one's", |guest| guest.capabilities == Capabilities::GRAPHICS);

    std::fs::write(rig.file("caps.wasm"), announces(2)).expect("a file can be written");
    kept(outcome(&rig, "caps", &rig.agent_toml()));
    assert_eq!(rig.host.guest().capabilities, Capabilities::GRAPHICS);
}

#[test]
fn what_a_plugin_knows_is_handed_over() {
    let rig = probe("handing", "knows = \"a secret\"");

    assert_eq!(changed(&rig, "handing", "knows = \"a secret\"", "steps = []"), Outcome::Replaced);

    says("handing", "was handed \"a secret\"");
    assert_eq!(changed(&rig, "handing", "steps = []", "refuses = false"), Outcome::Replaced);
    eventually("once more", || count("handing", "was handed \"a secret\"") == 2);
}

#[test]
fn what_is_too_long_to_hand_over_or_not_wanted_leaves_the_old_one() {
    let cases = [
        (
            "too-long",
            "hands_over = 1048577",
            "1048577 bytes that the old one hands over are more than the limit",
        ),
        // More than what the agent may allocate for the arguments of a host call.
        ("far-too-long", "hands_over = 5000000", "5000000 bytes that the old one hands over"),
        ("unwanted", "refuses = false", "`restore` returned: it wants to know nothing"),
    ];
    for (name, config, expected) in cases {
        let rig = probe(name, config);

        let reason = kept(changed(&rig, name, config, "refuses = true"));

        assert!(reason.contains(expected), "{reason}");
        let state = rig.state(name);
        assert_eq!((state.phase, state.incarnation, state.faults), (Phase::Running, 1, 0), "{name}");
    }
}

#[test]
fn an_old_one_that_faults_as_it_hands_over_is_built_anew() {
    // More than its memory can hold.
    let rig = probe("clumsy", "hands_over = 100000000");

    let reason = kept(changed(&rig, "clumsy", "hands_over = 100000000", "refuses = false"));

    assert!(reason.contains("The old one faulted as it handed over"), "{reason}");
    eventually("it is built anew", || rig.state("clumsy").incarnation == 2);
    eventually("it runs again", || rig.state("clumsy").phase == Phase::Running);
    let state = rig.state("clumsy");
    assert_eq!(state.faults, 1);
    assert_eq!(state.last_fault.and_then(|fault| fault.attempt).map(|attempt| attempt.export), Some("save"));
}

#[test]
fn what_fits_the_limit_to_the_byte_is_handed_over() {
    let rig = probe("just-fits", "hands_over = 1048576");

    assert_eq!(changed(&rig, "just-fits", "hands_over = 1048576", "refuses = false"), Outcome::Replaced);
}

#[test]
fn a_plugin_that_was_left_off_is_tried_again_and_one_that_faults_is_replaced_at_once() {
    let traps = Fixture::default().init("(unreachable)").component();
    let grants = "grants = { events = [\"restored\"] }";
    let rig =
        Setup::new().rig().plugin("mended", &traps, grants).plugin("off", &traps, "on-failure = \"disable\"");
    let rig = rig.start();
    eventually("one is off", || rig.state("off").phase == Phase::Disabled);

    let well = Fixture::subscribing(0).component();
    for name in ["mended", "off"] {
        std::fs::write(rig.file(&format!("{name}.wasm")), &well).expect("a file can be written");
    }
    let reloaded = rig.reload(&rig.agent_toml()).expect("it is right");

    assert!(reloaded.is_well(), "{reloaded:?}");
    assert_eq!(rig.running(), (2, 2));
}

#[test]
fn what_cannot_be_changed_while_it_runs_is_said() {
    let rig = Rig::with_display("ignored");

    let text = format!("{}\n[log]\nlevel = \"trace\"\n", rig.agent_toml());
    let reloaded = rig.reload(&text).expect("it is right");

    assert_eq!(reloaded.ignored, ["log"]);
    assert!(reloaded.is_well());
}

#[test]
fn what_the_process_and_its_engine_are_is_said_to_wait_for_a_restart() {
    let rig = Rig::with_display("restart");
    let before = rig.agent_toml();

    let pulley = before.replace("engine = \"native\"", "engine = \"pulley\"");
    let cases = [
        (pulley, "engine"),
        (format!("{before}\n[process]\nconfine = \"required\"\n"), "process"),
        (format!("{before}\n[process]\nuser = \"nobody\"\n"), "process"),
        (format!("{before}\n[process]\nread = [\"/srv\"]\n"), "process"),
        (format!("{before}\n[process]\nleave-out = [\"calls\"]\n"), "process"),
    ];
    for (text, key) in cases {
        let reloaded = rig.reload(&text).expect("it is right");

        assert_eq!(reloaded.ignored, [key], "{text}");
        assert_eq!(reloaded.plugins, [("restart".into(), Outcome::Unchanged)]);
        let said = bellhop_agent::control::protocol::Reloaded::from(reloaded);
        assert_eq!(
            said.lines.last().map(String::as_str),
            Some(&*format!("{key}: changes when Bellhop is restarted"))
        );
    }
    assert!(rig.reload(&before).expect("it is right").ignored.is_empty());
}

#[test]
fn the_daemon_reads_its_configuration_when_it_is_told() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("a file");
    let text = "driver = \"simulated\"\ncache = \"cache\"\ncontrol = \"own/control.sock\"\n\
                [plugins.quiet]\ncomponent = \"quiet.wasm\"\n";
    write("quiet.wasm", &Fixture::default().component());
    write("agent.toml", text.as_bytes());
    let mut daemon = Daemon::start(folder.path());
    daemon.log_until("Ready");
    let hang_up = || kill(Pid::from_raw(daemon.process().cast_signed()), Signal::SIGHUP).expect("it runs");
    let order = || {
        let mut reload = Command::new(support::bellhop());
        reload.args(["reload", "--socket", "own/control.sock"]).current_dir(folder.path());
        let output = reload.output().expect("it starts");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };

    write("agent.toml", format!("{text}limits.timers = 3\n").as_bytes());
    hang_up();
    daemon.log_until("Reloaded: replaced");
    write("agent.toml", b"= 3");
    let (code, said) = order();
    assert!(code == Some(1) && said.contains("agent.toml:1:1"), "{said}");
    daemon.log_until("Not reloaded, all stays as it is: agent.toml:1:1");

    write("agent.toml", text.as_bytes());
    assert_eq!(order(), (Some(0), "quiet: replaced\n".to_owned()));
    assert_eq!(order(), (Some(0), "quiet: unchanged\n".to_owned()));
    write("quiet.wasm", b"nonsense");
    let (code, said) = order();
    assert!(code == Some(1) && said.contains("quiet: the old one stays: Not admitted"), "{said}");

    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

#[test]
fn the_host_hears_of_the_successor_s_layout() {
    let rig = Setup::new().rig().reference("display", "layout", "config.maximum = [1000, 1000]").start();
    rig.follows(900);
    changed(&rig, "layout", "1000, 1000", "2000, 2000");

    let since = rig.host.journal_position();
    rig.host.set_video_mode_hint(Hint::new(0, 1500, 700)).expect("display 0 exists");

    rig.host
        .wait_request(since, PATIENCE, |seen| {
            seen.request_type == RequestType::VIDEO_UPDATE_MONITOR_POSITIONS
                && seen.status == Some(Status::SUCCESS)
        })
        .expect("the successor reports");
    says("layout", "1500x700");
}

//! The `bellhop` command as an administrator meets it, a broken `agent.toml` in hand.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use support::fixtures::Fixture;
use support::{Daemon, bellhop, plugin_component};
use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(bellhop())
        .args(arguments)
        .current_dir(folder)
        .env_remove("DISPLAY")
        .env_remove("JOURNAL_STREAM")
        .stdin(Stdio::null())
        .output()
        .expect("bellhop can be started")
}

/// Writes an `agent.toml`, checks it, and gives back the exit status and all that was said.
fn check(text: &str) -> (Option<i32>, String) {
    let folder = folder(text);
    let output = run(folder.path(), &["check", "--config", "agent.toml"]);
    (output.status.code(), said(&output))
}

fn folder(agent_toml: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("agent.toml"), agent_toml).expect("a file");
    std::fs::write(folder.path().join("quiet.wasm"), Fixture::default().component()).expect("a file");
    folder
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_configuration_that_is_right_is_said_to_be() {
    let (code, said) = check("[plugins.quiet]\ncomponent = \"quiet.wasm\"\n");

    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("quiet: fits its grants"), "{said}");
}

#[test]
fn an_empty_configuration_is_right() {
    let (code, said) = check("");

    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("agent.toml: 0 plugins, all well\n"), "{said}");
}

#[test]
fn what_the_process_would_give_up_is_said_unless_it_gives_up_nothing() {
    let (_, said) = check("");
    assert!(said.contains("confinement: this kernel can take away capabilities"), "{said}");

    let (_, said) = check("process.confine = \"off\"\n");
    assert!(said.contains("confinement: off\n"), "{said}");
}

#[test]
fn what_is_wrong_is_shown_with_its_place() {
    let cases = [
        ("driver = \"auto", "agent.toml:1:"),
        ("\n\n= 3\n", "agent.toml:3:1:"),
        ("drivr = \"auto\"", "agent.toml:1:1: unknown field `drivr`, expected one of `driver`"),
        ("driver = \"vmmdev\"", "agent.toml:1:10: unknown variant `vmmdev`, expected one of `auto`"),
        ("driver = 3", "agent.toml:1:10:"),
        ("[outputs]\nbackend = \"wayland\"", "agent.toml:2:11: unknown variant `wayland`, expected one of"),
        (
            "[limits]\nmemory = 16",
            "agent.toml:2:10: invalid type: integer `16`, expected a size with its unit",
        ),
        (
            "[limits]\nwall-per-event = \"5 h\"",
            "agent.toml:2:18: invalid value: string \"5 h\", expected a time",
        ),
        ("[limits]\ntimers = 4097", "agent.toml:2:10: `timers` may be 4096 at most"),
        ("[limits]\nlog-per-second = \"65 MiB\"", "agent.toml:2:18: `log-per-second` may be 64 MiB at most"),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\nlimits.wall-per-event = \"61 min\"",
            "agent.toml:3:25: `wall-per-event` may be 3600s at most",
        ),
        ("[process]\nconfine = \"on\"", "agent.toml:2:11: unknown variant `on`, expected one of `auto`"),
        ("[process]\nleave-out = [\"network\"]", "unknown variant `network`, expected one of `privileges`"),
        ("[plugins.quiet]\n", "missing field `component`"),
        ("[plugins.quiet]\ncomponent = \"nothing.wasm\"", "agent.toml:2:13: no component at nothing.wasm"),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\ngrants.event = []",
            "agent.toml:3:8: unknown field `event`, expected one of `events`",
        ),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\ngrants.events = [\"display-chang\"]",
            "agent.toml:3:18: no event that plugins may hear is called `display-chang`; there are `mouse-",
        ),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\ngrants.events = [\"hgcm\"]",
            "no event that plugins may hear is called `hgcm`",
        ),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\ngrants.requests = [\"outputs\"]",
            "no interface under `requests` is called `outputs`; there are `display`, `seamless`, `guest`",
        ),
        (
            "[plugins.quiet]\ncomponent = \"quiet.wasm\"\nsha256 = \"abc\"",
            "agent.toml:3:10: a SHA-256 digest is 64 hexadecimal digits",
        ),
        ("[plugins.\"a b\"]\ncomponent = \"quiet.wasm\"", "agent.toml:1:10: a plugin's name is at most 64"),
    ];
    for (text, expected) in cases {
        let (code, said) = check(text);
        assert_eq!(code, Some(78), "{text}: {said}");
        assert!(said.contains(expected), "{text}\nexpected: {expected}\nsaid: {said}");
    }
}

#[test]
fn all_problems_are_shown_at_once_with_the_lines_they_stand_in() {
    let (code, said) = check(
        "[plugins.quiet]\ncomponent = \"nothing.wasm\"\n[plugins.quiet.grants]\nevents = [\"x\"]\ndesktop = [\"y\"]\n",
    );

    assert_eq!(code, Some(78));
    for expected in
        ["agent.toml:2:13:", "agent.toml:4:11:", "agent.toml:5:12:", "  | events = [\"x\"]", "^^^"]
    {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().expect("there is room for a folder");

    for command in ["run", "check"] {
        let output = run(folder.path(), &[command, "--config", "missing.toml"]);
        assert_eq!(output.status.code(), Some(78));
        assert!(said(&output).contains("Cannot read the configuration missing.toml"), "{}", said(&output));
    }
}

#[test]
fn a_configuration_that_is_not_text_is_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("agent.toml"), [0xff, 0xfe, 0x00]).expect("a file");

    let output = run(folder.path(), &["check", "--config", "agent.toml"]);

    assert_eq!(output.status.code(), Some(78));
    assert!(said(&output).contains("it is not UTF-8 text"), "{}", said(&output));
}

#[test]
fn a_component_that_does_not_fit_fails_the_check_and_not_the_others() {
    let text = format!(
        "[plugins.quiet]\ncomponent = \"quiet.wasm\"\n[plugins.display]\ncomponent = {:?}\n",
        plugin_component("display")
    );

    let (code, said) = check(&text);

    assert_eq!(code, Some(78));
    assert!(said.contains("quiet: fits its grants"), "{said}");
    assert!(said.contains("add desktop = [\"outputs\"] to its grants"), "{said}");
}

#[test]
fn the_reference_configuration_is_right_and_explained() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let _ = plugin_component("display");

    let checked = run(root, &["check", "--config", "agent.toml"]);
    let explained = run(root, &["explain", "display", "--config", "agent.toml"]);

    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    assert!(!said(&checked).contains("does not use"), "{}", said(&checked));
    assert_eq!(explained.status.code(), Some(0), "{}", said(&explained));
    let text = said(&explained);
    for expected in
        ["granted by requests = [\"display\"]", "report-positions", "May hear      display-change|restored"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn all_that_a_plugin_may_do_is_explained() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let _ = plugin_component("clipboard");

    let explained = said(&run(root, &["explain", "clipboard", "--config", "agent.toml"]));
    let checked = said(&run(root, &["check", "--config", "agent.toml"]));

    for (verb, what) in [
        ("call", "VBoxSharedClipboard, all functions"),
        ("read", "guest properties /VirtualBox/GuestAdd/GuiOnFocus"),
        ("carry", "what host or guest copied, up to 64 MiB"),
    ] {
        assert!(explained.contains(&format!("\nMay {verb:<9} {what}\n")), "{verb}: {explained}");
        assert!(checked.contains(&format!("; may {verb} {what}")), "{verb}: {checked}");
    }
    assert!(
        explained.contains("512 MiB of buffers") && explained.contains("10s of processor time"),
        "{explained}"
    );
    assert!(!explained.contains("May write") && !explained.contains("not used"), "{explained}");
}

#[test]
fn grants_are_shown_as_narrow_as_they_are() {
    let folder = folder(
        "[plugins.quiet]\ncomponent = \"quiet.wasm\"\n[plugins.quiet.grants]\n\
         hgcm = { A = [3, 4], B = \"all\", C = [] }\nproperties = { write = [\"/Example/*\", \"/Other\"] }\n\
         desktop = [\"clipboard\"]\n\
         clipboard = { direction = \"guest-to-host\", largest = \"1 KiB\", primary = true }\n",
    );

    let explained = said(&run(folder.path(), &["explain", "quiet", "--config", "agent.toml"]));

    for expected in [
        "May call      A, functions 3, 4; B, all functions; C, no function\n",
        "May write     guest properties /Example/*, /Other\n",
        "May carry     what the guest selected or copied, up to 1 KiB\n",
    ] {
        assert!(explained.contains(expected), "{expected}: {explained}");
    }
    assert!(!explained.contains("May read"), "{explained}");
}

#[test]
fn grants_without_a_use_are_named_and_no_fault() {
    let folder = folder(
        "[plugins.quiet]\ncomponent = \"quiet.wasm\"\n[plugins.quiet.grants]\n\
         events = [\"restored\"]\nrequests = [\"guest\"]\nhgcm = { A = \"all\" }\n\
         properties = { read = [\"/*\"] }\nclipboard = { primary = true }\n",
    );
    let deaf = Fixture::default().exporting(&["lifecycle"]).component();
    std::fs::write(folder.path().join("quiet.wasm"), deaf).expect("a file");

    let output = run(folder.path(), &["check", "--config", "agent.toml"]);

    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for unused in ["requests = [\"guest\"]", "hgcm", "properties", "events", "clipboard"] {
        assert!(said.contains(&format!("quiet: does not use {unused}; it can go\n")), "{unused}: {said}");
    }
}

#[test]
fn explaining_a_file_names_the_grants_it_would_need() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let component = plugin_component("display");

    let output = run(folder.path(), &["explain", &component.to_string_lossy()]);

    assert_eq!(output.status.code(), Some(0));
    assert!(said(&output).contains("needs desktop = [\"outputs\"]"), "{}", said(&output));
}

#[test]
fn explaining_a_plugin_that_is_not_there_lists_those_that_are() {
    let folder = folder("[plugins.quiet]\ncomponent = \"quiet.wasm\"\n");

    let output = run(folder.path(), &["explain", "loud", "--config", "agent.toml"]);

    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("agent.toml has no such plugin; it has quiet"), "{}", said(&output));
}

#[test]
fn a_machine_without_the_device_has_an_exit_status_of_its_own() {
    // A path that is not there and one that is no device: machines that do have one run tests too.
    for (device, remedy) in [("missing", "modprobe vboxguest"), ("/dev/null", "/dev/vboxguest")] {
        let folder = folder(&format!("device = \"{device}\"\n"));

        let output = run(folder.path(), &["run", "--config", "agent.toml"]);

        assert_eq!(output.status.code(), Some(69), "{device}");
        for part in [device, remedy, "driver = \"simulated\""] {
            assert!(said(&output).contains(part), "{}", said(&output));
        }
    }
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("there is room for a folder");

    assert_eq!(run(folder.path(), &["sing"]).status.code(), Some(2));
    assert_eq!(run(folder.path(), &["--version"]).status.code(), Some(0));
    let help = run(folder.path(), &["--help"]);
    assert!(said(&help).contains("Exit status:"), "{}", said(&help));
}

#[test]
fn the_compiler_child_refuses_what_is_not_a_component() {
    let folder = tempfile::tempdir().expect("there is room for a folder");

    let output = run(folder.path(), &["compile"]);

    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert!(said(&output).starts_with("bellhop: "), "{}", said(&output));
}

const QUIET: &str =
    "driver = \"simulated\"\ncache = \"cache\"\n[plugins.quiet]\ncomponent = \"quiet.wasm\"\n";

#[test]
fn the_daemon_is_ready_and_stops_cleanly_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = folder(QUIET);
        let mut daemon = Daemon::start(folder.path());

        let ready = daemon.log_until("Ready").pop().expect("a line");

        assert!(ready.contains("\"running\":1") && ready.contains("\"wanted\":1"), "{ready}");
        assert_eq!(daemon.end(signal), Some(0), "{signal}");
    }
}

#[test]
fn an_idle_daemon_does_not_wake() {
    let folder = folder(QUIET);
    let mut daemon = Daemon::start(folder.path());
    daemon.log_until("Ready");
    // The last tick after `init` comes within milliseconds; then there is nothing left to do.
    std::thread::sleep(Duration::from_millis(500));

    let before = daemon.sleeps();
    std::thread::sleep(Duration::from_secs(2));
    let after = daemon.sleeps();

    assert_eq!(after - before, 0);
    daemon.end(Signal::SIGTERM);
}

#[test]
fn a_daemon_whose_plugin_is_refused_runs_on_and_says_why() {
    let folder = folder(&format!("{QUIET}[plugins.broken]\ncomponent = \"broken.wasm\"\n"));
    std::fs::write(folder.path().join("broken.wasm"), b"nonsense").expect("a file");
    let mut daemon = Daemon::start(folder.path());

    let log = daemon.log_until("Ready");

    let refusal = log.iter().find(|line| line.contains("Not admitted: Not WebAssembly"));
    assert!(refusal.is_some_and(|line| line.contains("broken.wasm")), "{log:#?}");
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
}

#[test]
fn a_doctor_says_what_is_ill_and_what_to_do() {
    let folder =
        folder("driver = \"simulated\"\ncache = \"cache\"\n[plugins.quiet]\ncomponent = \"quiet.wasm\"\n");
    let doctor = ["doctor", "--config", "agent.toml"];

    let output = run(folder.path(), &doctor);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for line in ["well  configuration", "note  device         simulated", "well  plugins        quiet fits"] {
        assert!(text.contains(line), "{line}: {text}");
    }

    std::fs::create_dir(folder.path().join("cache")).expect("a folder");
    std::fs::set_permissions(folder.path().join("cache"), Permissions::from_mode(0o777)).expect("a mode");
    std::fs::write(folder.path().join("quiet.wasm"), "nonsense").expect("a file");
    let output = run(folder.path(), &doctor);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("ILL   cache") && text.contains("chmod go-w"), "{text}");
    assert!(text.contains("ILL   plugins        quiet: Not WebAssembly"), "{text}");
}

#[test]
fn each_command_has_a_man_page() {
    let folder = folder("");

    let output = run(folder.path(), &["man", "."]);

    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for page in ["bellhop.1", "bellhop-run.1", "bellhop-plugin-new.1"] {
        let text = std::fs::read_to_string(folder.path().join(page)).expect("a page");
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

#[test]
fn a_demo_without_a_screen_plays_to_the_end() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let _ = plugin_component("display");

    let output = run(root, &["demo", "--config", "agent.toml"]);

    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for step in 1..=10 {
        assert!(text.contains(&format!("\n  {step:>4}  ")), "step {step}: {text}");
    }
    assert!(text.contains("HEADLESS1 1024x768+1366+0"), "{text}");
    assert!(text.contains("2147483648x800 is larger than the configured maximum"), "{text}");
    for skipped in ["windows that become regions", "text and pictures by the clipboard"] {
        assert!(text.contains(&format!("SKIPPED {skipped}: the desktop is headless")), "{skipped}: {text}");
    }
}

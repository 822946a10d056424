//! Scenarios: those of the first-party plugins and of the documentation pass, and those of this file show what a
//! plugin's author meets.

use std::path::{Path, PathBuf};
use std::process::Command;

use bellhop_agent::scenario::{self, Report, ScenarioError};
use serde_json::Value;
use support::fixtures::{FAILURE, Fixture, fail, subscribe};
use support::{DISPLAY_CHANGE, RESTORED, bellhop, plugin_component};
use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A folder with a file of scenarios.
struct Written {
    folder: TempDir,
    file: PathBuf,
}

fn write(text: &str) -> Written {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("scenarios.toml");
    std::fs::write(&file, text).expect("a file");
    Written { folder, file }
}

/// A file of one scenario of a component, with keys of its table.
fn written(component: &[u8], keys: &str, steps: &str) -> Written {
    let text = format!(
        "[plugins.tested]\ncomponent = \"tested.wasm\"\n{keys}\n\n[[scenario]]\nname = \"it\"\nsteps = [\n{steps}\n]\n"
    );
    let written = write(&text);
    std::fs::write(written.folder.path().join("tested.wasm"), component).expect("a file");
    written
}

fn played(component: &[u8], keys: &str, steps: &str) -> Report {
    let written = written(component, keys, steps);
    scenario::run(&written.file).unwrap_or_else(|error| panic!("{error}"))
}

fn passes(component: &[u8], keys: &str, steps: &str) {
    let report = played(component, keys, steps);
    assert!(report.is_well(), "{report}");
}

/// Runs `bellhop plugin` with arguments: the exit status, standard output and standard error.
fn plugin(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output =
        Command::new(bellhop()).arg("plugin").args(arguments).output().expect("bellhop can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn scenarios_of(plugin: &str) -> Vec<PathBuf> {
    let folder = Path::new(ROOT).join("plugins").join(plugin).join("scenarios");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

#[test]
fn the_first_party_plugins_pass_their_scenarios() {
    for plugin in ["clipboard", "display", "seamless"] {
        let files = scenarios_of(plugin);
        assert!(!files.is_empty(), "{plugin} has scenarios");
        for file in files {
            let report = scenario::run(&file).unwrap_or_else(|error| panic!("{error}"));
            assert!(report.is_well(), "{report}");
        }
    }
}

/// The fenced blocks of the documentation, each with what stands after its fence.
fn examples(page: &str) -> Vec<(String, String)> {
    let mut examples = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else { continue };
        let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        examples.push((kind.to_owned(), block.join("\n")));
    }
    examples
}

#[test]
fn every_example_of_the_documentation_passes() {
    let page = std::fs::read_to_string(Path::new(ROOT).join("docs/scenarios.md")).expect("the page");
    let target = std::fs::canonicalize(Path::new(ROOT).join("target")).expect("a folder");
    let here = |text: &str| {
        let text = text.replace("\"../../../target/", "\"target/");
        text.replace("\"target/", &format!("\"{}/", target.display()))
    };
    let mut run = 0;
    for (kind, block) in examples(&page) {
        let text = match kind.as_str() {
            "toml" => block,
            // Steps, which go on from how the scenarios of a plugin begin.
            _ => match kind.strip_prefix("toml ") {
                None => continue,
                Some(plugin) => {
                    let file = match plugin {
                        "display" => "display/scenarios/hints.toml",
                        "seamless" => "seamless/scenarios/modes.toml",
                        _ => "clipboard/scenarios/host-to-guest.toml",
                    };
                    let file = Path::new(ROOT).join("plugins").join(file);
                    let scenarios = std::fs::read_to_string(file).expect("a file");
                    let (head, _) = scenarios.split_once("[[scenario]]").expect("there is one");
                    format!("{head}[[scenario]]\nname = \"example\"\nsteps = [\n{block}\n]\n")
                }
            },
        };
        let written = write(&here(&text));
        let report =
            scenario::run(&written.file).unwrap_or_else(|error| panic!("{error}\n{block}", block = text));
        assert!(report.is_well(), "{report}\n{text}");
        run += 1;
    }
    assert_eq!(run, 6, "all examples are found");
}

const DISPLAY: &str = "grants = { events = [\"display-change\", \"restored\"], capabilities = [\"graphics\"], \
                       requests = [\"display\", \"guest\"], desktop = [\"outputs\"] }";

const ANSWERS: &str = "  { answer = \"outputs.enumerate\", ok = [{ name = \"A\", area = { x = 0, y = 0, width = 640, height = 480 }, primary = true }] },\n  \
                       { answer = \"display.fetch\", ok = { changes = [], announced = 0 } },\n  \
                       { answer = \"guest.report-status\" },\n  { start = true },\n";

fn display() -> Vec<u8> {
    std::fs::read(plugin_component("display")).expect("a component")
}

#[test]
fn a_step_that_fails_shows_its_line_and_what_was_expected_above_what_was_seen() {
    let steps = format!(
        "{ANSWERS}  {{ hint = {{ width = 800, height = 600 }} }},\n  \
         {{ expect = \"outputs.apply\", arguments = [[{{ name = \"A\", area = {{ x = 0, y = 0, width = 800, height = 601 }}, primary = true }}]] }},\n"
    );
    let written = written(&display(), DISPLAY, &steps);

    let (code, out, _) = plugin(&["test", &written.file.to_string_lossy()]);

    assert_eq!(code, Some(1), "{out}");
    let line = 1 + std::fs::read_to_string(&written.file)
        .expect("a file")
        .lines()
        .position(|line| line.contains("601"))
        .expect("it is there");
    let expected = format!(
        "{}:{line}: it: The plugin asks for something else than is expected\n  \
         expected  outputs.apply([{{\"area\":{{\"height\":601,\"width\":800,\"x\":0,\"y\":0}},\"name\":\"A\",\"primary\":true}}])\n  \
         seen      outputs.apply([{{\"area\":{{\"height\":600,\"width\":800,\"x\":0,\"y\":0}},\"name\":\"A\",\"primary\":true}}])\n            \
         {:35}^\n1 scenarios, 1 failed\n",
        written.file.display(),
        ""
    );
    assert_eq!(out, expected);
}

#[test]
fn what_does_not_come_and_what_comes_unasked_are_failures() {
    for (steps, what, expected, seen) in [
        (
            "{ expect = \"display.report-positions\" },",
            "The plugin does not ask for what is expected, after 0",
            "display.report-positions(…)",
            "(nothing more)",
        ),
        (
            "{ hint = { width = 800, height = 600 } },",
            "The plugin asks for what is neither expected nor answered",
            "(nothing more)",
            "outputs.apply(",
        ),
        (
            "{ expect-none = [\"outputs.*\"] },",
            "asks for what it is not to",
            "(nothing)",
            "outputs.enumerate()",
        ),
        (
            "{ expect-log = \"rain\" },",
            "The log does not say this",
            "rain",
            "info: 1 outputs follow the host",
        ),
        ("{ expect-no-log = \"info\" },", "The log says something", "at `info` or above", "info: 1 outputs"),
        (
            "{ expect-state = { phase = \"disabled\" } },",
            "state",
            "phase = \"disabled\"",
            "phase = \"running\"",
        ),
        ("{ expect-within = { requests = 2 } },", "took more", "requests = 2", "requests = 3"),
        ("{ start = true },", "It is started already", "`restart` or `replace`", "`start`"),
        (
            "{ answer = \"display.fetch\", err = { busy = \"now\" } },\n{ events = [\"display-change\"] },",
            "There was an error",
            "a call that ends well",
            "host-events.on-host-events returned: Busy: now",
        ),
        (
            "{ events = [\"restored\"], fails = \"now\" },",
            "There was to be an error with this text",
            "now",
            "(none)",
        ),
        ("{ expect-none = [] },\n{ expect = \"display.fetch\" },", "Nothing happens", "something", "alone"),
    ] {
        let report = played(&display(), DISPLAY, &format!("{ANSWERS}{steps}"));

        let failure = report.scenarios[0].failure.as_ref().unwrap_or_else(|| panic!("{steps}: {report}"));
        let what = what.trim_end_matches(", after 0");
        assert!(failure.what.contains(what), "{steps}: {failure}");
        assert!(failure.expected.contains(expected), "{steps}: {failure}");
        assert!(failure.seen.contains(seen), "{steps}: {failure}");
    }
}

#[test]
fn everything_that_is_wrong_in_a_file_is_said_with_its_place() {
    let steps = "  { strat = true },\n  { start = true, hint = {} },\n  { start = false },\n  \
                 { events = [\"restore\"] },\n  { hint = { widht = 3 } },\n  { expect = \"outputs.aply\" },\n  \
                 { expect = \"outputs.apply\", arguments = [] },\n  \
                 { expect = \"outputs.apply\", arguments = [[{ name = 3, primary = true }]] },\n  \
                 { expect = \"outputs.enumerate\", ok = [{ name = \"x\", primray = true }] },\n  \
                 { answer = \"outputs.enumerate\" },\n  { expect-state = { phse = \"running\" } },\n  \
                 { expect-within = { memory = \"1 MB\" } },\n  { expect-log = \"x\", levle = \"warn\" },\n  \
                 { advance = 5 },\n  { buffer = \"x\" },\n  { call = \"lifecycle.exit\" },\n";
    let written = written(&display(), DISPLAY, steps);

    let (code, out, err) = plugin(&["test", &written.file.to_string_lossy()]);

    assert_eq!(code, Some(78), "{out}{err}");
    let at = |line: usize| format!("{}:{}:", written.file.display(), line + 8);
    for (index, expected) in [
        "3: a step is one of `start`",
        "19: a step is one thing, and this is both",
        "13: expected `true`",
        "14: there is no `restore`; there are",
        "12: `ok`: `changes`: there is no field `widht`",
        "14: the plugin does not import `outputs.aply`; it imports",
        "43: found 0 arguments, expected layout",
        "43: `layout`: `name`: found 3, expected string",
        "40: `ok`: there is no field `primray`",
        "14: `outputs.enumerate` is answered with `ok` or `err`",
        "20: there is no `phse`; there are",
        "21: expected a count, or a size with its unit",
        "23: `expect-log` has no `levle`; it may have `level`",
        "15: invalid type: integer `5`, expected a time with its unit",
        "14: a buffer's content is its `text` or its `bytes`",
        "12: the plugin does not export `lifecycle.exit`; it exports",
    ]
    .into_iter()
    .enumerate()
    {
        let place = if index == 1 { at(index) } else { format!("{}{expected}", at(index)) };
        assert!(err.contains(&place), "{place}\n{err}");
    }
    assert!(err.contains("this is both"), "{err}");
}

#[test]
fn a_file_or_component_that_is_of_no_use_is_refused() {
    let cases = [
        ("nonsense", "scenarios.toml:1:"),
        (
            "[[scenario]]\nname = \"x\"\nsteps = []\n",
            "has one table [plugins.NAME], as agent.toml has, or stands in a plugin's project; found 0",
        ),
        ("[plugins.x]\ncomponent = \"gone.wasm\"\n", "2:13: no component at"),
        ("[plugins.x]\ncomponent = \"gone.wasm\"\ngrants = { event = [] }\n", "unknown field `event`"),
    ];
    for (text, expected) in cases {
        let written = write(text);
        let (code, out, err) = plugin(&["test", &written.file.to_string_lossy()]);
        assert_eq!(code, Some(78), "{text}: {out}{err}");
        assert!(err.contains(expected), "{text}: {err}");
    }

    let not_granted = written(&display(), "", "{ start = true }");
    let refused = scenario::run(&not_granted.file).expect_err("it is refused");
    assert!(matches!(refused, ScenarioError::Refused { .. }), "{refused}");
    assert!(refused.to_string().contains("add requests = [\"display\"] to its grants"), "{refused}");

    let (code, _, err) = plugin(&["test", "nowhere.toml"]);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("Cannot read the scenarios nowhere.toml: No such file"), "{err}");
}

#[test]
fn a_plugin_that_faults_is_made_anew_as_by_the_agent_and_in_the_end_left_off() {
    let traps = Fixture::subscribing(DISPLAY_CHANGE | RESTORED).on_host_events("(unreachable)").component();
    let grants = "grants = { events = [\"display-change\", \"restored\"] }";

    passes(
        &traps,
        grants,
        "{ start = true },
         { events = [\"restored\"], faults = \"unreachable\" },
         { expect-state = { phase = \"backing-off\", faults = 1, last-fault = \"unreachable\" } },
         { advance = \"99 ms\" },
         { expect-state = { phase = \"backing-off\", incarnation = 1 } },
         # It is made anew, and called for the event once more.
         { advance = \"1 ms\", faults = \"on-host-events\" },
         { expect-state = { incarnation = 2, faults = 2, masked = [\"restored\"] } },
         { advance = \"200 ms\" },
         { expect-state = { incarnation = 3, phase = \"running\", faults = 2 } },
         { events = [\"restored\"] },
         { expect-state = { phase = \"running\", faults = 2 } },
         { events = [\"display-change\"], faults = \"unreachable\" },
         { advance = \"10 s\", faults = \"unreachable\" },
         { expect-state = { faults = 4, phase = \"running\", masked = [\"display-change\", \"restored\"] } },
         # A minute without a fault gives both back, and the event that came meanwhile.
         { advance = \"60 s\", faults = \"unreachable\" },",
    );
    passes(
        &traps,
        &format!("{grants}\non-failure = \"disable\""),
        "{ start = true },
         { events = [\"restored\"], faults = \"unreachable\" },
         { expect-state = { phase = \"disabled\", reason = \"as `on-failure` says\" } },",
    );
    passes(
        &Fixture::default().init("(unreachable)").component(),
        "",
        "{ start = true, faults = \"unreachable\" },
         { advance = \"1 s\", faults = \"unreachable\" },
         { advance = \"10 s\", faults = \"unreachable\" },
         { expect-state = { phase = \"quarantined\", faults = 5, reason = \"5 faults in a row\" } },",
    );
    passes(
        &Fixture::default().init(fail()).component(),
        "",
        &format!(
            "{{ start = true, fails = \"{FAILURE}\" }},
             {{ expect-state = {{ phase = \"disabled\", reason = \"{FAILURE}\" }} }},"
        ),
    );
    passes(
        &Fixture::default().init(subscribe(RESTORED, 0)).component(),
        "",
        "{ start = true, fails = \"not granted: events = [\\\"restored\\\"]\" },
         { expect-state = { phase = \"disabled\" } },",
    );
}

#[test]
fn a_call_that_runs_on_is_ended_after_as_many_instructions_as_its_limit_allows() {
    let hog = Fixture::subscribing(RESTORED).on_host_events("(loop $on (br $on)) (unreachable)").component();

    let run = || {
        let keys = "grants = { events = [\"restored\"] }\nlimits = { cpu-per-event = \"1 ms\" }";
        let steps = "{ start = true }, { events = [\"restored\"], faults = \"Used more than 1ms of processor time\" }";
        let report = played(&hog, keys, steps);
        assert!(report.is_well(), "{report}");
        report.cost.handlers["host-events.on-host-events"].most_instructions
    };

    let first = run();
    assert!((1_000_000..1_001_000).contains(&first), "{first}");
    assert_eq!(run(), first);
}

#[test]
fn what_is_not_granted_is_denied_and_what_is_beyond_a_limit_refused() {
    let probe = std::fs::read(plugin_component("probe")).expect("a component");
    let grants = "grants = { hgcm = { Granted = [1] }, properties = { read = [\"/A\"] } }\n";
    let keys = |more: &str, steps: &str| format!("{grants}{more}\nconfig = {{ steps = [{steps}] }}");

    passes(
        &probe,
        &keys("", "{ connect = \"Other\" }, { get = \"/B\" }, { get = \"/A\" }, { connect = \"Granted\" }, { call = [2, \"/A\", 9, 0] }"),
        "{ start = true },
         { expect = \"properties.get\", arguments = [\"/B\"] },
         { expect = \"properties.get\", arguments = [\"/A\"], ok = { name = \"/A\", value = \"v\", timestamp = 1, flags = \"\" } },
         { expect = \"hgcm.connect\", arguments = [\"Granted\"], ok = 3 },
         { expect-log = \"Connect(\\\"Other\\\"): failed: Not granted\" },
         { expect-log = \"Get(\\\"/B\\\"): failed: Not granted\" },
         { expect-log = \"Get(\\\"/A\\\"): /A=v []\" },
         { expect-log = \"Call(2, \\\"/A\\\", 9, 0): failed: Not granted\" },",
    );
    passes(
        &probe,
        &keys(
            "limits = { requests-per-second = 1, timers = 1 }",
            "{ get = \"/A\" }, { get = \"/A\" }, { timer = 5 }, { timer = 7 }",
        ),
        "{ answer = \"properties.get\", ok = \"$none\" },
         { start = true },
         { expect-log = \"Get(\\\"/A\\\"): none\" },
         { expect-log = \"failed: Busy: more than 1 requests a second\" },
         { expect-log = \"1 are in use, as many as the limit `timers`\" },
         { expect-state = { timers = 1 } },
         # Until there are requests to be made, its news waits.
         { advance = \"5 ms\" },
         { expect-within = { calls = 0 } },
         { advance = \"1 s\" },
         { expect-log = \"timer\" },",
    );
    passes(
        &probe,
        &keys("limits = { buffers = \"8 B\" }", "{ buffer = [0, 8] }, { buffer = [4, 8] }"),
        "{ start = true },
         { expect-log = \"8 bytes, of which 8 were read from Some(7)\" },
         { expect-log = \"beyond the limit `buffers`\" },",
    );
}

#[test]
fn a_plugin_hands_over_when_it_is_replaced_and_not_when_it_is_restarted() {
    let probe = std::fs::read(plugin_component("probe")).expect("a component");
    let keys = "grants = { hgcm = { S = \"all\" }, properties = { read = [\"*\"] } }\n\
                config = { knows = \"much\", steps = [{ timer = 1000 }] }";

    passes(
        &probe,
        keys,
        "{ start = true },
         { replace = true },
         { expect-log = \"hands over at most 1048576 bytes\" },
         { expect-log = \"was handed \\\"much\\\"\" },
         { expect-state = { incarnation = 2, timers = 1 } },
         { restart = true },
         { expect-state = { incarnation = 3, timers = 1 } },
         { expect-within = { calls = 1 } },
         { advance = \"1 s\" },
         { expect-log = \"the last timer\" },
         { expect-state = { timers = 0 } },",
    );
}

#[test]
fn every_run_is_the_same_and_the_cost_tells_what_the_handlers_took() {
    let files: Vec<_> = ["clipboard", "seamless"].iter().flat_map(|plugin| scenarios_of(plugin)).collect();
    let run = || {
        let mut arguments = vec!["test", "--cost", "--json"];
        arguments.extend(files.iter().filter_map(|file| file.to_str()));
        let (code, out, err) = plugin(&arguments);
        assert_eq!(code, Some(0), "{out}{err}");
        let mut all: Value = serde_json::from_str(&out).expect("JSON");
        for file in all["files"].as_array_mut().expect("a list") {
            // How long it took to compile is another thing each time.
            file["cost"]["load"] = 0.into();
        }
        all
    };

    let first = run();

    let cost = &first["files"][0]["cost"];
    assert!(cost["component"].as_u64() > Some(100_000), "{cost}");
    let completion = &cost["handlers"]["hgcm-completions.on-completion"];
    for key in ["calls", "instructions", "most-instructions", "memory", "bytes-in", "bytes-out"] {
        assert!(completion[key].as_u64() > Some(0), "{key}: {completion}");
    }
    assert!(completion["host-calls"]["hgcm.submit"].as_u64() > Some(2), "{completion}");
    assert_eq!(run(), first);
}

#[test]
fn a_profile_names_the_functions_of_the_plugin() {
    let hog = Fixture::subscribing(RESTORED).on_host_events("(loop $on (br $on)) (unreachable)").component();
    let keys = "grants = { events = [\"restored\"] }";
    let written =
        written(&hog, keys, "{ start = true }, { events = [\"restored\"], faults = \"processor\" }");
    let profile = written.folder.path().join("profile.json");

    let (code, out, err) =
        plugin(&["test", &written.file.to_string_lossy(), "--profile", &profile.to_string_lossy()]);

    assert_eq!(code, Some(0), "{out}{err}");
    let text = std::fs::read_to_string(&profile).expect("a profile");
    let profile: Value = serde_json::from_str(&text).expect("JSON");
    assert!(profile["threads"][0]["samples"]["length"].as_u64() > Some(10), "{text}");
    assert!(text.contains("on-host-events"), "{text}");
}

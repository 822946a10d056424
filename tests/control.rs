//! The control socket as an administrator meets it, by the commands that ask it, and as one who means ill.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::fixtures::{Fixture, subscribe};
use support::{DISPLAY_CHANGE, Daemon, PATIENCE, Rig, Setup, bellhop, eventually, plugin_component};
use vmmdev::Hint;

fn ask(socket: &Path, arguments: &[&str]) -> Output {
    Command::new(bellhop())
        .args(arguments)
        .arg("--socket")
        .arg(socket)
        .stdin(Stdio::null())
        .output()
        .expect("bellhop can be started")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn status(socket: &Path) -> (Option<i32>, Value) {
    let output = ask(socket, &["status", "--json"]);
    let status = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    (output.status.code(), status)
}

/// A command that goes on, and what it says.
struct Ongoing {
    process: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    remarks: BufReader<ChildStderr>,
}

impl Ongoing {
    /// Starts a command, and waits until it says that it has begun.
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut process = Command::new(bellhop())
            .args(arguments)
            .arg("--socket")
            .arg(socket)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bellhop can be started");
        let lines = BufReader::new(process.stdout.take().expect("it was piped")).lines();
        let mut remarks = BufReader::new(process.stderr.take().expect("it was piped"));
        remarks.read_line(&mut String::new()).expect("it says that it has begun");
        Self { process, lines, remarks }
    }

    fn lines_until(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut read = Vec::new();
        while !read.last().is_some_and(|line: &String| wanted(line)) {
            let line = self.lines.next().unwrap_or_else(|| panic!("It ended: {read:#?}"));
            read.push(line.expect("text"));
        }
        read
    }

    fn end(mut self) -> String {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
        let mut remarks = String::new();
        self.remarks.read_to_string(&mut remarks).expect("text");
        remarks
    }
}

#[test]
fn a_status_tells_what_a_plugin_was_called_for_asked_for_and_uses() {
    let rig = Rig::with_display("status-display");
    let (_control, socket) = rig.control();
    rig.follows(1111);

    let (code, status) = status(&socket);
    let table = text(&ask(&socket, &["status"]));

    assert_eq!(code, Some(0), "{status:#}");
    let plugin = &status["plugins"][0];
    assert_eq!((&plugin["name"], &plugin["state"]), (&"status-display".into(), &"running".into()));
    assert_eq!(plugin["incarnation"], 1);
    assert_eq!(plugin["events"]["display-change"], 1);
    assert_eq!(plugin["calls"]["lifecycle.init"]["count"], 1);
    assert_eq!(plugin["calls"]["host-events.on-host-events"]["count"], 1);
    assert_eq!(plugin["requests"]["VideoUpdateMonitorPositions"]["failed"], 0);
    assert_eq!(status["events"]["display-change"], 1);
    let budgets = plugin["budgets"].as_array().expect("a list");
    let memory = budgets.iter().find(|budget| budget["limit"] == "memory").expect("a budget");
    assert!(memory["used"].as_u64() > Some(0) && memory["most"] == 16 << 20, "{memory}");
    assert!(table.contains("status-display  running  1"), "{table}");
}

#[test]
fn a_status_tells_the_last_fault_where_it_happened_and_what_is_masked() {
    let trap = Fixture::subscribing(DISPLAY_CHANGE).on_host_events("(unreachable)").component();
    let rig = Setup::new().rig().plugin("status-trap", &trap, "grants.events = [\"display-change\"]").start();
    let (_control, socket) = rig.control();

    let masked = |status: &Value| status["plugins"][0]["masked"] == serde_json::json!(["display-change"]);
    rig.host.set_video_mode_hint(Hint::new(0, 900, 700)).expect("display 0 exists");
    eventually("the event is masked", || masked(&status(&socket).1));

    let (code, status) = status(&socket);
    let output = ask(&socket, &["status"]);
    assert_eq!(code, Some(1), "{status:#}");
    let fault = &status["plugins"][0]["last-fault"];
    assert!(fault["text"].as_str().is_some_and(|text| text.contains("unreachable")), "{fault}");
    assert_eq!(fault["events"], serde_json::json!(["display-change"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("is not called for display-change any more"), "{}", text(&output));
}

#[test]
fn a_trace_tells_each_step_as_it_happens() {
    // Only one can take what the host wants.
    let other = Fixture::subscribing(DISPLAY_CHANGE).component();
    let grants = "grants.events = [\"display-change\"]";
    let rig = Setup::new().rig().display("trace-one").plugin("trace-two", &other, grants).start();
    let (_control, socket) = rig.control();
    let mut json = Ongoing::start(&socket, &["trace", "--json", "--plugin", "trace-one"]);
    let mut human = Ongoing::start(&socket, &["trace"]);

    rig.follows(1112);

    let lines = json.lines_until(|line| line.contains("\"return\""));
    let notices: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(notices.iter().all(|notice| notice["plugin"] == "trace-one"), "{lines:#?}");
    assert!(notices.is_sorted_by_key(|notice| notice["at"].as_u64()), "{lines:#?}");
    let first = notices.first().expect("a line");
    assert_eq!(first["call"]["function"], "host-events.on-host-events");
    assert_eq!(first["call"]["arguments"], serde_json::json!([DISPLAY_CHANGE]));
    let fetched = notices.iter().find(|notice| notice["host"]["function"] == "display.fetch");
    let fetched = &fetched.unwrap_or_else(|| panic!("{lines:#?}"))["host"];
    assert_eq!(fetched["result"]["ok"]["changes"][0]["width"], 1112, "{fetched}");
    let request = notices.iter().find(|notice| !notice["request"].is_null()).expect("a request");
    assert_eq!(request["request"]["failed"], false);
    assert_eq!(notices.last().expect("a line")["return"]["result"], serde_json::json!({"ok": null}));

    let lines = human.lines_until(|line| line.contains("trace-one") && line.contains("  < "));
    for expected in [
        "(agent)     the host raised display-change",
        "> host-events.on-host-events(display-change)",
        "outputs.apply(",
    ] {
        assert!(lines.iter().any(|line| line.contains(expected)), "{expected}: {lines:#?}");
    }
    json.end();
    human.end();
}

#[test]
fn a_reader_that_does_not_read_loses_lines_and_holds_nobody_up() {
    let rig = Rig::with_display("trace-slow");
    let (_control, socket) = rig.control();
    let mut slow = UnixStream::connect(&socket).expect("a connection");
    slow.write_all(b"{\"bellhop\":1,\"ask\":{\"trace\":{}}}\n").expect("a request");
    let mut reader = BufReader::new(slow);
    let mut line = String::new();
    reader.read_line(&mut line).expect("an answer");
    assert!(line.contains("\"tracing\""), "{line}");

    // Each is a dozen lines; a ring holds a mebibyte.
    for turn in 0..1000 {
        rig.follows(1200 + turn % 2 * 100);
    }

    let mut lines = reader.lines().map(|line| line.expect("text"));
    let lost = lines.find(|line| line.starts_with("{\"lost\":"));
    let lost: Value = serde_json::from_str(&lost.expect("a line")).expect("JSON");
    assert!(lost["lost"].as_u64() > Some(100), "{lost}");
    rig.follows(1401);
    assert!(lines.any(|line| line.contains("1401")), "what comes later is told");
}

#[test]
fn an_agent_that_is_asked_nothing_sensible_goes_on_and_keeps_nothing() {
    let rig = Rig::with_display("control-hostile");
    let (_control, socket) = rig.control();
    let connect = || UnixStream::connect(&socket).expect("a connection");
    let answer = |request: &[u8]| {
        let mut stream = connect();
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        // The agent may hang up before it has heard all of it.
        let _ = stream.write_all(request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };

    for (request, expected) in [
        (&b"\xff\xfe\n"[..], "Request is not JSON"),
        (b"GET / HTTP/1.1\r\n\r\n", "Request is not JSON"),
        (b"{\"bellhop\":9,\"ask\":\"status\"}", "version 9"),
        (
            b"{\"bellhop\":1,\"ask\":{\"trace\":{\"plugins\":[\"nobody\"]}}}",
            "No plugin nobody is to run; there are: control-hostile",
        ),
        (b"\n\n", ""),
    ] {
        let answer = answer(request);
        assert!(answer.contains(expected), "{expected}: {answer}");
    }
    assert!(answer(&[b'a'; 1 << 20]).contains("Request exceeds 16384 bytes"));
    assert!(answer("[".repeat(16_000).as_bytes()).contains("Request is not JSON"));
    let many = b"{\"bellhop\":1,\"ask\":\"status\"}\n".repeat(100);
    assert_eq!(answer(&many).lines().count(), 100, "each request of a queue is answered");
    let slow = b"{\"bellhop\":1,\"ask\":\"reload\"}\n";
    let behind = [slow, &many.repeat(10)[..], b"{\"bellhop\":1,\"ask\":\"status\"}"].concat();
    assert_eq!(answer(&behind).lines().count(), 1002, "each behind one that takes a while, and the last");

    // Half-open ones, and one that asks and never reads.
    let mut never = connect();
    never.set_nonblocking(true).expect("it can be");
    while never.write(b"{\"bellhop\":1,\"ask\":\"status\"}\n").is_ok() {}
    let threads = threads();
    let idle: Vec<_> = (0..1000).map(|_| connect()).collect();
    let (code, _) = status(&socket);
    assert_eq!(code, Some(0));
    rig.follows(1113);
    let open = idle.iter().filter(|stream| is_open(stream)).count();
    assert!(open <= 16, "{open} of 1000 idle connections are kept");
    assert_eq!(threads, self::threads(), "a connection costs no thread");
}

/// The threads of this process that serve control sockets.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("there are tasks");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "control").count()
}

fn is_open(stream: &UnixStream) -> bool {
    stream.set_nonblocking(true).expect("it can be");
    let mut stream = stream;
    stream.read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[test]
fn metrics_are_in_the_text_format_of_prometheus() {
    let rig = Rig::with_display("metrics-display");
    let (_control, socket) = rig.control();
    rig.follows(1114);

    let output = ask(&socket, &["metrics"]);

    let text = String::from_utf8(output.stdout).expect("text");
    let (mut types, mut seen) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and a type");
            assert!(types.insert(name, kind).is_none(), "{name} is declared twice");
        } else if !line.starts_with("# HELP ") {
            let name = line.split(['{', ' ']).next().expect("a name");
            let kind = types.get(name).unwrap_or_else(|| panic!("{line} comes before its type"));
            assert_eq!(name.ends_with("_total"), *kind == "counter", "{line}");
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
            assert!(value.is_some() && seen.insert(line.rsplit_once(' ')), "{line}");
        }
    }
    for expected in [
        "bellhop_host_events_total{event=\"display-change\"} 1",
        "bellhop_plugin_up{plugin=\"metrics-display\"} 1",
        "bellhop_plugin_requests_total{plugin=\"metrics-display\",request=\"VideoUpdateMonitorPositions\"} 1",
        "bellhop_plugin_limit_bytes{plugin=\"metrics-display\",limit=\"memory\"} 16777216",
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected}: {text}");
    }
}

#[test]
fn top_looks_as_often_as_it_is_told() {
    let rig = Rig::with_display("top-display");
    let (_control, socket) = rig.control();

    let output = ask(&socket, &["top", "--count", "2", "--interval", "0.1"]);

    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(text(&output).matches("top-display  running").count(), 2, "{}", text(&output));
}

/// Records the display plugin while it follows some wishes; gives back the record.
fn recorded(name: &str) -> String {
    let rig = Rig::with_display(name);
    let (_control, socket) = rig.control();
    let file = rig.folder().join("display.record");
    let recorder = Ongoing::start(&socket, &["record", &file.to_string_lossy()]);
    let record = || std::fs::read_to_string(&file).expect("a record");
    let returns = |function: &str| {
        record()
            .lines()
            .filter(|line| line.contains(&format!("\"return\":{{\"function\":\"{function}")))
            .count()
    };
    eventually("it has begun anew", || returns("lifecycle.init") == 1);
    for width in [1234, 800, 1024] {
        rig.follows(width);
    }
    eventually("all is recorded", || returns("host-events.on-host-events") >= 3);
    recorder.end();
    let mode = std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode, 0o600, "a record is its user's alone");
    record()
}

/// Replays a record into a component; gives back the exit status and what was said.
fn replay(record: &str, component: &Path) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let file = folder.path().join("record");
    std::fs::write(&file, record).expect("a file");
    let output = Command::new(bellhop())
        .arg("replay")
        .arg(&file)
        .arg("--plugin")
        .arg(component)
        .arg("--cache")
        .arg(folder.path().join("cache"))
        .output()
        .expect("bellhop can be started");
    (output.status.code(), text(&output))
}

#[test]
fn a_plugin_does_in_a_replay_what_it_did_when_it_was_recorded() {
    let record = recorded("record-display");

    let header: Value = serde_json::from_str(record.lines().next().expect("a header")).expect("JSON");
    assert_eq!((&header["bellhop-record"], &header["contract"]), (&1.into(), &"bellhop:guest@0.1.0".into()));
    assert_eq!(header["plugins"][0]["config"]["maximum"], serde_json::json!([16384, 16384]));
    let (code, said) = replay(&record, &plugin_component("display"));
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("record-display: 4 calls and ") && said.contains("no difference"), "{said}");
    assert!(!said.contains("another component"), "{said}");
}

#[test]
fn a_record_becomes_a_scenario_that_the_plugin_passes_and_another_does_not() {
    let record = recorded("scenario-display");
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let [file, scenario] = ["record", "scenario.toml"].map(|name| folder.path().join(name));
    std::fs::write(&file, record).expect("a file");
    let plugin = |arguments: &[&Path]| {
        Command::new(bellhop()).arg("plugin").args(arguments).output().expect("bellhop can be started")
    };

    let component = plugin_component("display");
    let made = plugin(&["scenario".as_ref(), &file, "--plugin".as_ref(), &component]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let made = text(&made);
    for expected in [
        "[plugins.scenario-display]",
        "events = [\"display-change\", \"restored\"]",
        "desktop = [\"outputs\"]",
        "  { start = true },",
        "  { events = [\"display-change\"] },",
        "    { expect = \"display.fetch\", arguments = [true], ok = ",
    ] {
        assert!(made.lines().any(|line| line.starts_with(expected)), "{expected}: {made}");
    }
    std::fs::write(&scenario, &made).expect("a file");
    let passed = plugin(&["test".as_ref(), &scenario]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));

    std::fs::write(&scenario, made.replace("width = 1234", "width = 1236")).expect("a file");
    let same = plugin(&["test".as_ref(), &scenario]);
    assert_eq!(same.status.code(), Some(0), "what is asked for changed with the answers: {}", text(&same));

    std::fs::write(&scenario, made.replacen("width = 1234", "width = 1236", 1)).expect("a file");
    let other = plugin(&["test".as_ref(), &scenario]);
    assert_eq!(other.status.code(), Some(1), "{}", text(&other));
    assert!(text(&other).contains("  seen      outputs.apply("), "{}", text(&other));
}

#[test]
fn a_replay_shows_where_a_plugin_does_something_else() {
    let record = recorded("replay-display");
    let display = plugin_component("display");

    // The host answers otherwise than it did: the plugin decides otherwise.
    let changed = record.replace("\"width\":1234", "\"width\":1236");
    let asked = |line: &&str| line.contains("outputs.apply") && line.contains("1236");
    let line = 1 + changed.lines().position(|line| asked(&line)).expect("it was applied");
    // What was asked for stays as it was recorded.
    let lines = changed.lines().map(|line| match asked(&line) {
        true => line.replacen("\"width\":1236", "\"width\":1234", 1),
        false => line.to_owned(),
    });
    let changed = lines.collect::<Vec<_>>().join("\n") + "\n";
    let (code, said) = replay(&changed, &display);
    assert_eq!(code, Some(1), "{said}");
    for expected in [
        format!("a difference in call 2, after 2 host calls in it, line {line} of the record"),
        "  recorded  outputs.apply([{\"area\":{\"height\":700,\"width\":1234,".to_owned(),
        "  replayed  outputs.apply([{\"area\":{\"height\":700,\"width\":1236,".to_owned(),
    ] {
        assert!(said.contains(&expected), "{expected}: {said}");
    }

    // Another plugin.
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let other = folder.path().join("other.wasm");
    std::fs::write(&other, Fixture::default().component()).expect("a file");
    let (code, said) = replay(&record, &other);
    assert_eq!(code, Some(1), "{said}");
    for expected in [
        "is another component than was recorded",
        "recorded  outputs.enumerate()",
        "replayed  (nothing more)",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }

    // One that traps.
    std::fs::write(&other, Fixture::default().init("(unreachable)").component()).expect("a file");
    let (code, said) = replay(&record, &other);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("replayed  faults: ") && said.contains("unreachable"), "{said}");
}

#[test]
fn a_record_that_is_wrong_is_refused_with_its_place() {
    let display = plugin_component("display");
    let record = recorded("wrong-display");
    let with = |line: &str| format!("{}\n{line}\n", record.lines().next().expect("a header"));

    let trap = Fixture::default().init("(unreachable)").component();
    let rig = Setup::new().rig().plugin("wrong-trap", &trap, "").start();
    let (_control, socket) = rig.control();
    eventually("it is given up", || status(&socket).1["plugins"][0]["state"] == "quarantined");
    let file = rig.folder().join("record");
    let refused = ask(&socket, &["record", &file.to_string_lossy()]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("No plugin runs that could be recorded"), "{}", text(&refused));
    assert!(!file.exists(), "nothing is left of it");

    for (record, expected) in [
        (String::new(), "Line 1 is not one of a record: the file is empty"),
        ("nonsense\n".to_owned(), "Line 1 is not one of a record"),
        (with("{\"lost\":7}"), "Record has a gap: 7 lines are missing at line 2"),
        (with("{}"), "Line 2 is not one of a record"),
        (with(""), "Line 2 is not one of a record"),
        (record.replacen("[\"{", "[7,\"{", 1), "it has 2 arguments, and lifecycle.init takes 1"),
        (record.replace("\"width\":1234", "\"width\":-1"), "the record has -1 where the component wants u32"),
        (
            record.lines().next().expect("a header").to_owned() + "\n",
            "has no call of wrong-display from its start",
        ),
    ] {
        let (code, said) = replay(&record, &display);
        assert_eq!(code, Some(1), "{expected}: {said}");
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn contents_are_recorded_only_if_they_are_asked_for() {
    const STEPS: &str = "grants = { hgcm = { VBoxGuestPropSvc = \"all\" }, properties = { read = [\"/*\"], write = [\"/*\"] } }\n\
                         config = { steps = [{ set = [\"/Example/A\", \"value\", \"\"] }, { buffer = [3, 8] }] }";
    for (contents, expected) in [(false, "{\"$bytes\":"), (true, "{\"$bytes\":\"")] {
        let name = format!("contents-{contents}");
        let rig = Setup::new().rig().component(&name, plugin_component("probe"), STEPS).start();
        let (_control, socket) = rig.control();
        let file = rig.folder().join("record");
        let path = file.to_string_lossy();
        let mut arguments = vec!["record", &path, "--count", "1"];
        arguments.extend(contents.then_some("--contents"));

        let recorder = ask(&socket, &arguments);

        assert_eq!(recorder.status.code(), Some(0), "{}", text(&recorder));
        let record = std::fs::read_to_string(&file).expect("a record");
        let bytes: Vec<_> = record.lines().filter(|line| line.contains("$bytes")).collect();
        assert!(!bytes.is_empty() && bytes.iter().all(|line| line.contains(expected)), "{record}");
        assert_eq!(bytes.iter().any(|line| line.contains("\"$bytes\":\"")), contents, "{bytes:#?}");
        let (code, said) = replay(&record, &plugin_component("probe"));
        assert_eq!(code, Some(0), "{said}");
    }
}

const DAEMON: &str = "driver = \"simulated\"\ncache = \"cache\"\ncontrol = \"own/control.sock\"\n\
                      [plugins.quiet]\ncomponent = \"quiet.wasm\"\n";

fn daemon_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("agent.toml"), DAEMON).expect("a file");
    std::fs::write(folder.path().join("quiet.wasm"), Fixture::default().init(subscribe(0, 0)).component())
        .expect("a file");
    folder
}

#[test]
fn a_daemon_s_socket_is_its_user_s_alone_and_found_by_its_configuration() {
    let folder = daemon_folder();
    let socket = folder.path().join("own/control.sock");
    let mut daemon = Daemon::start(folder.path());
    daemon.log_until("Ready");

    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(&folder.path().join("own"))), (0o600, 0o700));
    let config = folder.path().join("agent.toml");
    let output =
        Command::new(bellhop()).args(["status", "--config"]).arg(&config).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains(&format!("process {}", daemon.process())), "{}", text(&output));

    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    assert!(!socket.exists());
    let output = ask(&socket, &["status"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(text(&output).contains("No agent answers at "), "{}", text(&output));
}

#[test]
fn a_second_daemon_is_refused_the_socket_of_a_living_one_and_takes_a_dead_one_s() {
    let folder = daemon_folder();
    let socket = folder.path().join("own/control.sock");
    let mut first = Daemon::start(folder.path());
    first.log_until("Ready");

    let second = Command::new(bellhop())
        .args(["run", "--config", "agent.toml"])
        .current_dir(folder.path())
        .env_remove("DISPLAY")
        .output()
        .expect("it starts");
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second).contains("Another agent has the control socket"), "{}", text(&second));
    assert_eq!(status(&socket).0, Some(0), "the first is served");

    first.kill();
    assert!(socket.exists(), "a killed daemon tidies nothing up");
    let mut third = Daemon::start(folder.path());
    third.log_until("Ready");
    assert_eq!(status(&socket).1["agent"]["process"], third.process());
    third.end(Signal::SIGTERM);
}

#[test]
fn a_reload_is_answered_with_what_became_of_each_plugin() {
    let folder = daemon_folder();
    let socket = folder.path().join("own/control.sock");
    let configure = |more: &str| {
        std::fs::write(folder.path().join("agent.toml"), format!("{DAEMON}{more}")).expect("a file");
    };
    let mut daemon = Daemon::start(folder.path());
    daemon.log_until("Ready");

    configure("[plugins.second]\ncomponent = \"quiet.wasm\"\n");
    let reloaded = ask(&socket, &["reload"]);
    assert_eq!(reloaded.status.code(), Some(0), "{}", text(&reloaded));
    assert_eq!(text(&reloaded), "quiet: unchanged\nsecond: started\n");
    let plugins = status(&socket).1["plugins"].as_array().map(Vec::len);
    assert_eq!(plugins, Some(2), "the new one is known");

    configure("[plugins.second]\ncomponent = \"missing.wasm\"\n");
    let refused = ask(&socket, &["reload"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    assert!(text(&refused).contains("no component at "), "{}", text(&refused));

    configure("");
    let reloaded = ask(&socket, &["reload"]);
    assert_eq!(text(&reloaded), "second: stopped\nquiet: unchanged\n");
    let plugins = status(&socket).1["plugins"].as_array().map(Vec::len);
    assert_eq!(plugins, Some(1), "the old one is forgotten");
    daemon.end(Signal::SIGTERM);
}

#[test]
fn a_daemon_that_was_asked_sleeps_again() {
    let folder = daemon_folder();
    let socket = folder.path().join("own/control.sock");
    let mut daemon = Daemon::start(folder.path());
    daemon.log_until("Ready");
    status(&socket);
    let open = UnixStream::connect(&socket).expect("a connection");
    std::thread::sleep(Duration::from_millis(500));

    let before = daemon.sleeps();
    std::thread::sleep(Duration::from_secs(2));
    let after = daemon.sleeps();

    assert_eq!(after - before, 0);
    drop(open);
    daemon.end(Signal::SIGTERM);
}

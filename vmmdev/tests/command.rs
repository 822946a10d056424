//! The command `vmmdev`: what it serves, and what it answers to words.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use driver_core::wire::{RequestHeader, RequestType};
use vfio_user::Client;

/// A host that serves, and is ended with the test.
struct Serving {
    process: Child,
    folder: tempfile::TempDir,
}

impl Serving {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = serve(folder.path());
        Self { process, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ctl(&self, words: &str) -> Output {
        let mut command = command();
        command.arg("ctl").arg("--control").arg(self.path("control"));
        command.args(words.split(' ')).output().expect("an answer")
    }

    /// What a line gets that is said without the command.
    fn say(&self, line: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path("control")).expect("a connection");
        stream.write_all(line).expect("room");
        let mut reply = String::new();
        BufReader::new(stream).read_line(&mut reply).expect("a reply");
        reply
    }

    fn wait(&mut self) -> ExitStatus {
        self.process.wait().expect("an end")
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_vmmdev"))
}

/// Starts to serve in a folder, and waits until it does.
fn serve(folder: &Path) -> Child {
    let mut command = command();
    command.arg("serve").arg("--socket").arg(folder.join("device"));
    command.arg("--control").arg(folder.join("control")).arg("--log").arg(folder.join("log"));
    let mut process = command.stdout(Stdio::piped()).spawn().expect("a process");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert!(line.starts_with("Device at "), "{line}");
    process
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn its_sockets_are_the_owner_s_alone() {
    let serving = Serving::new();
    for name in ["device", "control"] {
        let mode = std::fs::metadata(serving.path(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn words_reach_the_host_and_its_answers_come_back() {
    let serving = Serving::new();

    assert_eq!(text(&serving.ctl("hint 0 1280 800 -5 0 --json").stdout), "{\"rang\":true}\n");
    assert_eq!(
        text(&serving.ctl("--json counters").stdout),
        "{\"events\":1,\"interrupts\":0,\"repeats\":0,\"strays\":0}\n"
    );
    assert!(text(&serving.ctl("help").stdout).contains("hint DISPLAY WIDTH HEIGHT [X Y]"));
}

#[test]
fn words_with_blanks_stay_words() {
    let serving = Serving::new();
    let ctl = |words: &[&str]| {
        let mut command = command();
        command.arg("ctl").arg("--control").arg(serving.path("control"));
        command.args(words).output().expect("an answer")
    };

    assert!(ctl(&["property", "set", "/a", "two words"]).status.success());
    assert!(ctl(&["property", "set", "/b", ""]).status.success());

    let properties = text(&ctl(&["property", "list", "/a|/b"]).stdout);
    let values: Vec<serde_json::Value> =
        properties.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert_eq!(values.len(), 2);
    assert_eq!((&values[0]["value"], &values[1]["value"]), (&"two words".into(), &"".into()));
}

#[test]
fn a_word_that_is_refused_says_why_and_fails() {
    let serving = Serving::new();

    let output = serving.ctl("hint 0");

    assert!(!output.status.success());
    let expected = "vmmdev: 3 or 5 numbers are wanted. Usage: hint DISPLAY WIDTH HEIGHT [X Y]\n";
    assert_eq!(text(&output.stderr), expected);
}

#[test]
fn what_a_guest_asks_is_waited_for_and_in_the_journal() {
    let serving = Serving::new();
    let mut client = Client::new(&serving.path("device")).expect("a connection");
    let waiting = std::thread::scope(|threads| {
        let waiting = threads.spawn(|| serving.ctl("wait request GetHostVersion --timeout 10s --json"));
        let memory = tempfile::tempfile().expect("a file");
        memory.set_len(0x1000).expect("room");
        let mut packet = zerocopy::IntoBytes::as_bytes(&RequestHeader::new(RequestType(4), 40)).to_vec();
        packet.resize(40, 0);
        std::os::unix::fs::FileExt::write_all_at(&memory, &packet, 0).expect("memory");
        client.dma_map(0, 0, 0x1000, std::os::fd::AsRawFd::as_raw_fd(&memory)).expect("mapped");
        client.region_write(0, 0, &[0; 4]).expect("a write");
        waiting.join().expect("no panic")
    });

    let seen: serde_json::Value = serde_json::from_slice(&waiting.stdout).expect("json");
    assert_eq!((&seen["request"], &seen["status"]), (&4.into(), &0.into()));
    let journal: serde_json::Value =
        serde_json::from_slice(&serving.ctl("journal --json").stdout).expect("json");
    assert_eq!(journal["requests"][0]["request"], 4);
    assert_eq!(journal["next"], 1);
}

#[test]
fn lines_that_are_no_words_get_an_error_each() {
    let serving = Serving::new();
    for (line, expected) in [
        (&b"\n"[..], "No word is called"),
        (b"\xFF\n", "UTF-8"),
        (&[b'x'; 3000], "at most 1024 bytes"),
        (b"nonsense\n", "No word is called"),
    ] {
        let reply = serving.say(line);
        assert!(reply.starts_with("{\"error\":") && reply.contains(expected), "{reply}");
    }
}

#[test]
fn one_client_says_several_lines_while_others_come_and_go() {
    let serving = Serving::new();
    let mut stream = UnixStream::connect(serving.path("control")).expect("a connection");
    stream.write_all(b"seamless on\n").expect("room");
    drop(UnixStream::connect(serving.path("control")).expect("a connection"));
    assert_eq!(serving.say(b"stray\n"), "{\"ok\":{}}\n");

    stream.write_all(b"seamless off\n").expect("room");
    stream.shutdown(std::net::Shutdown::Write).expect("half closed");

    let mut replies = String::new();
    stream.read_to_string(&mut replies).expect("replies");
    assert_eq!(replies, "{\"ok\":{\"rang\":true}}\n{\"ok\":{\"rang\":false}}\n");
}

#[test]
fn quitting_and_signals_remove_the_sockets() {
    let endings: [fn(&Serving); 2] = [
        |serving| assert!(serving.ctl("quit").status.success()),
        |serving| {
            let pid = nix::unistd::Pid::from_raw(serving.process.id().cast_signed());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("a signal");
        },
    ];
    for end in endings {
        let mut serving = Serving::new();

        end(&serving);

        assert!(serving.wait().success());
        assert!(!serving.path("device").exists() && !serving.path("control").exists());
    }
}

#[test]
fn a_dead_host_s_sockets_are_taken_over_and_a_living_one_s_are_not() {
    let mut serving = Serving::new();
    let again = |serving: &Serving| {
        let mut command = command();
        command.arg("serve").arg("--socket").arg(serving.path("device")).output().expect("an end")
    };
    let output = again(&serving);
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("Somebody listens at"), "{}", text(&output.stderr));

    serving.process.kill().expect("a signal");
    serving.wait();
    assert!(serving.path("device").exists());
    serving.process = serve(serving.folder.path());

    assert_eq!(
        serving.say(b"counters\n"),
        "{\"ok\":{\"events\":0,\"strays\":0,\"interrupts\":0,\"repeats\":0}}\n"
    );
}

#[test]
fn a_file_is_not_replaced_by_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("precious");
    std::fs::write(&path, "content").expect("a file");

    let output = command().arg("serve").arg("--socket").arg(&path).output().expect("an end");

    assert!(!output.status.success());
    assert_eq!(std::fs::read_to_string(&path).expect("a file"), "content");
}

#[test]
fn help_tells_how_to_attach_it_to_qemu() {
    let help = text(&command().arg("--help").output().expect("help").stdout);
    for needed in ["\"driver\":\"vfio-user-pci\"", "memory-backend-memfd", "share=on", "memory-backend=mem"] {
        assert!(help.contains(needed), "{needed} in {help}");
    }
}

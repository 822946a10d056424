//! The daemon as a service of systemd: what its manager hears, and whether its units are right.

use std::fs;
use std::io::{ErrorKind, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::fixtures::Fixture;
use support::{PATIENCE, bellhop};
use tempfile::TempDir;

/// The most that `systemd-analyze security` may say of a unit, of 10.
const MOST_EXPOSED: f32 = 2.0;

const PACKAGING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging");

/// A service manager, and the daemon that it started.
struct Managed {
    socket: UnixDatagram,
    daemon: Child,
    _folder: TempDir,
}

impl Managed {
    /// Starts a daemon with one plugin that reports to the socket at `address`.
    fn start(address: &SocketAddr, name: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let socket = UnixDatagram::bind_addr(address).expect("the address is free");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let config =
            "driver = \"simulated\"\ncache = \"cache\"\n[plugins.quiet]\ncomponent = \"quiet.wasm\"\n";
        fs::write(folder.path().join("agent.toml"), config).expect("a file");
        fs::write(folder.path().join("quiet.wasm"), Fixture::default().component()).expect("a file");
        let daemon = Command::new(bellhop())
            .args(["run", "--config", "agent.toml", "--log-format", "human"])
            .current_dir(folder.path())
            .env_remove("DISPLAY")
            .env("NOTIFY_SOCKET", name)
            .envs(environment.iter().copied())
            .stderr(Stdio::null())
            .spawn()
            .expect("bellhop can be started");
        Self { socket, daemon, _folder: folder }
    }

    /// What is heard next; nothing when the time-out passes first.
    fn hears(&self) -> Option<String> {
        let mut text = [0; 512];
        match self.socket.recv(&mut text) {
            Ok(length) => Some(String::from_utf8_lossy(&text[..length]).into_owned()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn stop(&mut self) -> Option<i32> {
        kill(Pid::from_raw(self.daemon.id().cast_signed()), Signal::SIGTERM).expect("it can be told");
        while self.hears().expect("it says that it stops") != "STOPPING=1" {}
        self.daemon.wait().expect("it ends").code()
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[test]
fn the_manager_hears_when_the_daemon_is_ready_that_it_is_well_and_when_it_stops() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let path = folder.path().join("notify");
    let address = SocketAddr::from_pathname(&path).expect("a short path");

    let mut managed = Managed::start(&address, &path.to_string_lossy(), &[("WATCHDOG_USEC", "100000")]);

    assert_eq!(managed.hears().as_deref(), Some("READY=1\nSTATUS=1 of 1 plugins run"));
    for _ in 0..3 {
        assert_eq!(managed.hears().as_deref(), Some("WATCHDOG=1"));
    }
    assert_eq!(managed.stop(), Some(0));
}

#[test]
fn a_manager_that_wants_no_sign_of_life_gets_none_and_may_have_an_abstract_address() {
    let name = format!("bellhop-test-service-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    // A watchdog of another process is no business of this one.
    let watchdog = [("WATCHDOG_USEC", "100000"), ("WATCHDOG_PID", "1")];

    let mut managed = Managed::start(&address, &format!("@{name}"), &watchdog);

    assert!(managed.hears().is_some_and(|ready| ready.starts_with("READY=1\n")));
    managed.socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a time-out");
    assert_eq!(managed.hears(), None);
    managed.socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    assert_eq!(managed.stop(), Some(0));
}

/// A unit as it is installed, but for the place of the program.
fn unit(folder: &Path, role: &str) -> PathBuf {
    let text = fs::read_to_string(format!("{PACKAGING}/systemd/{role}/bellhop.service")).expect("a unit");
    assert!(text.contains("ExecStart=/usr/bin/bellhop "), "{text}");
    let path = folder.join("bellhop.service");
    fs::write(&path, text.replace("/usr/bin/bellhop", &bellhop().to_string_lossy())).expect("a file");
    path
}

/// What a program of systemd's says and whether it is content, unless it is not there.
fn ask(test: &str, program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    match Command::new(program).args(arguments).env("XDG_RUNTIME_DIR", folder.path()).output() {
        Ok(output) => {
            let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
            Some((output.status.success(), said.concat()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED {test}: {program} is missing; the package systemd has it");
            None
        }
        Err(error) => panic!("{program}: {error}"),
    }
}

#[test]
fn systemd_has_nothing_to_say_against_the_units() {
    for (role, option) in [("system", "--system"), ("user", "--user")] {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let unit = unit(folder.path(), role);
        let arguments = ["verify", option, "--man=no", &unit.to_string_lossy()];
        let name = "systemd_has_nothing_to_say_against_the_units";
        let Some((content, said)) = ask(name, "systemd-analyze", &arguments) else { return };

        let about_it: Vec<_> = said.lines().filter(|line| line.contains("bellhop")).collect();
        assert!(content && about_it.is_empty(), "{role}: {said}");
    }
}

#[test]
fn the_system_role_is_hardly_exposed() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let unit = unit(folder.path(), "system");
    let threshold = format!("--threshold={}", MOST_EXPOSED * 10.0);
    let arguments = ["security", "--offline=true", "--no-pager", &threshold, &unit.to_string_lossy()];
    let Some((content, said)) = ask("the_system_role_is_hardly_exposed", "systemd-analyze", &arguments)
    else {
        return;
    };

    let overall = said.lines().find(|line| line.contains("Overall exposure level")).expect(&said);
    let level = overall.split_whitespace().find_map(|word| word.parse::<f32>().ok());
    assert!(content && level.is_some_and(|level| level < MOST_EXPOSED), "{said}");
}

#[test]
fn what_a_restart_would_not_mend_is_not_restarted() {
    let mut help = String::new();
    let mut program =
        Command::new(bellhop()).arg("--help").stdout(Stdio::piped()).spawn().expect("bellhop can be started");
    program.stdout.take().expect("it was piped").read_to_string(&mut help).expect("it is text");
    assert!(program.wait().expect("it ends").success());

    for role in ["system", "user"] {
        let unit = fs::read_to_string(format!("{PACKAGING}/systemd/{role}/bellhop.service")).expect("a unit");
        let statuses = unit.lines().find_map(|line| line.strip_prefix("RestartPreventExitStatus="));
        for status in statuses.expect("a line").split_whitespace() {
            assert!(help.contains(&format!("\n  {status}  ")), "{role}: {status} is no exit status");
        }
    }
}

//! What the process gives up: the daemon that still does its work, and what is refused to whoever takes
//! it over.
//!
//! The latter is tried by this program itself, started again as a child that confines itself as the daemon
//! does. What this machine's kernel cannot take away is shown as ignored, with the reason.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitCode, Output, Stdio};

use bellhop_agent::confine::{self, Confine, Needs};
use bellhop_xserver::{Program, XServer};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use support::fixtures::Fixture;
use support::{bellhop, eventually, plugin_component};
use tempfile::TempDir;

/// Set for the child: what it is to try.
const TRY: &str = "BELLHOP_TEST_TRY";

/// Set for the child where it is to become another user first.
const USER: &str = "BELLHOP_TEST_USER";

/// Somebody without any rights whom every machine has.
const NOBODY: &str = "nobody";

/// A test, and what keeps it from being run.
type Named = (&'static str, fn() -> Result<(), Failed>, fn() -> Option<String>);

const TESTS: [Named; 12] = [
    ("the_daemon_has_nothing_that_it_does_not_need", the_daemon_has_nothing_that_it_does_not_need, calls),
    (
        "a_daemon_whose_x_server_comes_back_reaches_it",
        a_daemon_whose_x_server_comes_back_reaches_it,
        x_server,
    ),
    ("a_part_that_is_left_out_is_kept", a_part_that_is_left_out_is_kept, || None),
    ("what_is_not_asked_for_is_not_done", what_is_not_asked_for_is_not_done, || None),
    (
        "a_daemon_of_root_becomes_the_user_that_is_named",
        a_daemon_of_root_becomes_the_user_that_is_named,
        root,
    ),
    (
        "a_user_that_is_not_there_is_a_wrong_configuration",
        a_user_that_is_not_there_is_a_wrong_configuration,
        || None,
    ),
    ("what_is_needed_is_still_there", what_is_needed_is_still_there, || None),
    ("files_programs_and_processes_are_refused", files_programs_and_processes_are_refused, files),
    ("other_machines_are_out_of_reach", other_machines_are_out_of_reach, calls),
    ("a_call_that_nobody_makes_ends_the_process", a_call_that_nobody_makes_ends_the_process, calls),
    ("a_compiler_can_compute_and_nothing_else", a_compiler_can_compute_and_nothing_else, calls),
    (
        "the_compiler_is_confined_before_it_reads_its_input",
        the_compiler_is_confined_before_it_reads_its_input,
        calls,
    ),
];

fn main() -> ExitCode {
    if let Ok(what) = std::env::var(TRY) {
        return child(&what);
    }
    let trials = TESTS.iter().map(|(name, test, lacking)| {
        let lacking = lacking();
        if let Some(reason) = &lacking {
            eprintln!("SKIPPED {name}: {reason}");
        }
        Trial::test(*name, *test).with_ignored_flag(lacking.is_some())
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn lacks(wanted: &[&str]) -> Option<String> {
    let (_, lacks) = confine::offer();
    let lacking: Vec<_> = wanted.iter().copied().filter(|part| lacks.contains(part)).collect();
    (!lacking.is_empty()).then(|| format!("this kernel cannot take away {}", lacking.join(", ")))
}

fn calls() -> Option<String> {
    lacks(&["system calls"])
}

fn files() -> Option<String> {
    lacks(&["files", "abstract sockets and signals"])
}

fn root() -> Option<String> {
    (!geteuid().is_root()).then(|| "only root can become another user".to_owned())
}

fn x_server() -> Option<String> {
    let lacking = Program::of("Xvfb", "xvfb").find().err()?;
    Some(lacking.to_string())
}

/// A daemon that runs, and its log.
struct Daemon {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
}

impl Daemon {
    fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let mut process = Command::new(bellhop())
            .args(["run", "--config", "agent.toml", "--log-format", "json"])
            .current_dir(folder)
            .env_remove("DISPLAY")
            .env_remove("XAUTHORITY")
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bellhop can be started");
        let log = BufReader::new(process.stderr.take().expect("it was piped")).lines();
        Self { process, log }
    }

    /// Reads the log up to a line with this text; gives back all that was read, that line last.
    fn log_until(&mut self, text: &str) -> Vec<String> {
        let mut read = Vec::new();
        while !read.last().is_some_and(|line: &String| line.contains(text)) {
            let line = self.log.next().unwrap_or_else(|| panic!("The log ended without {text}: {read:#?}"));
            read.push(line.expect("the log is text"));
        }
        read
    }

    /// What the kernel says of each of its threads.
    fn threads(&self) -> Vec<BTreeMap<String, String>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.process.id())).expect("it runs");
        tasks.map(|task| status(&task.expect("a task").path())).collect()
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM).expect("it can be told");
        self.log_until("Stopped");
        assert_eq!(self.process.wait().expect("it ends").code(), Some(0));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The fields of a `status` in `/proc`.
fn status(folder: &Path) -> BTreeMap<String, String> {
    let text = fs::read_to_string(folder.join("status")).expect("everybody may read it");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

const QUIET: &str =
    "driver = \"simulated\"\ncache = \"cache\"\n[plugins.quiet]\ncomponent = \"quiet.wasm\"\n";

/// A folder with an `agent.toml` and a component, that anybody may read.
fn folder(agent_toml: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::write(folder.path().join("agent.toml"), agent_toml).expect("a file");
    fs::write(folder.path().join("quiet.wasm"), Fixture::default().component()).expect("a file");
    folder
}

/// It compiles a component and runs it after it was confined.
fn the_daemon_has_nothing_that_it_does_not_need() -> Result<(), Failed> {
    let folder = folder(&format!("{QUIET}[process]\nconfine = \"auto\"\n"));
    let mut daemon = Daemon::start(folder.path(), &[]);

    let log = daemon.log_until("Ready");

    assert!(log.last().is_some_and(|ready| ready.contains("\"running\":1")), "{log:#?}");
    let threads = daemon.threads();
    assert!(threads.len() >= 4, "{threads:?}");
    for thread in threads {
        for (field, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
            assert_eq!(thread[field], expected, "{field} of {}", thread["Name"]);
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(thread[set], "0000000000000000", "{set} of {}", thread["Name"]);
        }
    }
    let proc = format!("/proc/{}", daemon.process.id());
    let limits = fs::read_to_string(format!("{proc}/limits"))?;
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).ok_or("a limit")?;
    assert_eq!(cores.split_whitespace().filter(|word| *word == "0").count(), 2, "{cores}");
    assert_eq!(fs::metadata(format!("{proc}/environ"))?.uid(), 0, "its memory is nobody's but root's");
    daemon.stop();
    Ok(())
}

/// The server wants a cookie, whose file is replaced by one that cannot be read any more.
fn a_daemon_whose_x_server_comes_back_reaches_it() -> Result<(), Failed> {
    let mut server = XServer::with_cookie()?;
    let folder = folder(&format!(
        "driver = \"simulated\"\ncache = \"cache\"\n[plugins.seamless]\ncomponent = {:?}\n\
         [plugins.seamless.grants]\nevents = [\"seamless-mode-change\", \"restored\"]\n\
         capabilities = [\"seamless\"]\nrequests = [\"seamless\", \"guest\"]\ndesktop = [\"windows\"]\n\
         [plugins.clipboard]\ncomponent = {:?}\n[plugins.clipboard.grants]\nevents = [\"restored\"]\n\
         requests = [\"guest\"]\ndesktop = [\"clipboard\"]\nhgcm = {{ VBoxSharedClipboard = \"all\" }}\n\
         properties = {{ read = [\"/VirtualBox/GuestAdd/GuiOnFocus\"] }}\n",
        plugin_component("seamless"),
        plugin_component("clipboard"),
    ));
    let home = tempfile::tempdir()?;
    let cookies = home.path().join(".Xauthority");
    fs::write(&cookies, XServer::cookie())?;
    let environment =
        [("DISPLAY", server.display()), ("HOME", home.path().to_str().ok_or("a path that is text")?)];
    let mut daemon = Daemon::start(folder.path(), &environment);
    let log = daemon.log_until("Ready");
    assert!(log.last().is_some_and(|ready| ready.contains("\"running\":2")), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("does not let us in")), "{log:#?}");

    server.kill();
    daemon.log_until("went away");
    fs::remove_file(&cookies)?;
    fs::write(&cookies, XServer::cookie())?;
    server.restart()?;

    daemon.log_until("is back");
    daemon.stop();
    Ok(())
}

fn a_part_that_is_left_out_is_kept() -> Result<(), Failed> {
    let folder = folder(&format!("{QUIET}[process]\nleave-out = [\"calls\", \"core-dumps\"]\n"));
    let mut daemon = Daemon::start(folder.path(), &[]);
    daemon.log_until("Ready");

    let status = status(&Path::new("/proc").join(daemon.process.id().to_string()));

    assert_eq!((status["Seccomp"].as_str(), status["NoNewPrivs"].as_str()), ("0", "1"));
    daemon.stop();
    Ok(())
}

fn what_is_not_asked_for_is_not_done() -> Result<(), Failed> {
    let folder = folder(&format!("{QUIET}[process]\nconfine = \"off\"\n"));
    let mut daemon = Daemon::start(folder.path(), &[]);
    let log = daemon.log_until("Ready");

    let confined = status(&Path::new("/proc").join(daemon.process.id().to_string()));

    let own = status(Path::new("/proc/self"));
    for field in ["Seccomp", "NoNewPrivs", "CapEff"] {
        assert_eq!(confined[field], own[field], "{field}");
    }
    assert!(log.iter().any(|line| line.contains("Not confined, as agent.toml says")), "{log:#?}");
    daemon.stop();
    Ok(())
}

fn a_daemon_of_root_becomes_the_user_that_is_named() -> Result<(), Failed> {
    let folder = folder(&format!("{QUIET}[process]\nuser = \"{NOBODY}\"\n"));
    let nobody = User::from_name(NOBODY)?.ok_or("there is nobody")?;
    let mut daemon = Daemon::start(folder.path(), &[]);

    let log = daemon.log_until("Ready");

    assert!(log.last().is_some_and(|ready| ready.contains("\"running\":1")), "{log:#?}");
    for thread in daemon.threads() {
        let ids = |id: u32| [id; 4].map(|id| id.to_string()).join("\t");
        assert_eq!((&thread["Uid"], &thread["Gid"]), (&ids(nobody.uid.as_raw()), &ids(nobody.gid.as_raw())));
        assert!(!thread["Groups"].split_whitespace().any(|group| group == "0"), "{}", thread["Groups"]);
    }
    assert_eq!(fs::metadata(folder.path().join("cache"))?.uid(), nobody.uid.as_raw());
    daemon.stop();
    Ok(())
}

fn a_user_that_is_not_there_is_a_wrong_configuration() -> Result<(), Failed> {
    let folder = folder(&format!("{QUIET}[process]\nuser = \"no-such-user\"\n"));

    let run =
        Command::new(bellhop()).args(["run", "--config", "agent.toml"]).current_dir(&folder).output()?;

    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(78), "{said}");
    assert!(said.contains("Cannot run as `no-such-user`") && said.contains("useradd"), "{said}");
    Ok(())
}

/// What a child came to that tried this, as the user that the tests run as, and as nobody.
fn try_it(what: &str, folder: &Path) -> Result<Vec<Output>, Failed> {
    let users = if geteuid().is_root() { vec![None, Some(NOBODY)] } else { vec![None] };
    let run = |user: Option<&str>| {
        let mut child = Command::new(std::env::current_exe()?);
        child.env(TRY, what).current_dir(folder).envs(user.map(|user| (USER, user)));
        Ok(child.output()?)
    };
    users.into_iter().map(run).collect()
}

/// Whether each child said that it came to this.
fn comes_to(what: &str, folder: &Path, expected: &str) -> Result<(), Failed> {
    for output in try_it(what, folder)? {
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), expected, "{what}: {output:?}");
    }
    Ok(())
}

/// What a child tries once it is confined to reading its folder and writing to a cache in it.
fn child(what: &str) -> ExitCode {
    let cache = Path::new("cache");
    if let Ok(user) = std::env::var(USER) {
        confine::user::switch_to(&user, cache).expect("root may become anybody");
    }
    if let Some(what) = what.strip_prefix("compiler ") {
        confine::confine_compiler();
        return told(attempt(what));
    }
    let needs = Needs { read: vec![".".into()], write: vec![cache.into()], ..Needs::default() };
    confine::confine(Confine::Auto, &[], &needs).expect("nothing was required");
    told(attempt(what))
}

fn told(outcome: Result<(), String>) -> ExitCode {
    let outcome = outcome.err().unwrap_or_else(|| "done".to_owned());
    writeln!(std::io::stdout(), "{outcome}").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Does it, and names the error that it came to.
fn attempt(what: &str) -> Result<(), String> {
    let (doing, with) = what.split_once(' ').unwrap_or((what, ""));
    let outcome = match doing {
        "compute" => {
            let sum: u64 = vec![7_u8; 8 << 20].iter().map(|byte| u64::from(*byte)).sum();
            if sum == 7 << 23 { Ok(()) } else { Err(std::io::Error::other(format!("{sum}"))) }
        }
        "read" => fs::read(with).map(drop),
        "write" => fs::write(with, "x"),
        "replace" => fs::write("cache/a", "x").and_then(|()| fs::rename("cache/a", "cache/b")),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(|thread| thread.join().expect("no panic")),
        "execute" => {
            // A child that got so far ends at once: it is this program, asked for nothing.
            let mut child = Command::new(with);
            child.env(TRY, "itself").stdout(Stdio::null()).status().map(drop)
        }
        "local" => UnixStream::pair().map(drop),
        "abstract" => SocketAddr::from_abstract_name(with)
            .and_then(|address| UnixStream::connect_addr(&address))
            .map(drop),
        "signal" => kill(Pid::parent(), None).map_err(Into::into),
        "tcp" => std::net::TcpStream::connect("127.0.0.1:9").map(drop),
        "udp" => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        "chroot" => nix::unistd::chroot(".").map_err(Into::into),
        _ => return Err(format!("{what} is nothing that can be tried")),
    };
    outcome.map_err(|error: std::io::Error| match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).to_string().split(':').next().unwrap_or_default().to_owned(),
        None => error.to_string(),
    })
}

/// A folder for children, in which nobody may write to the cache.
fn room() -> Result<TempDir, Failed> {
    let folder = folder("");
    let cache = folder.path().join("cache");
    fs::create_dir(&cache)?;
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777))?;
    Ok(folder)
}

fn what_is_needed_is_still_there() -> Result<(), Failed> {
    let room = room()?;
    let room = room.path();

    for what in ["compute", "read agent.toml", "replace", "thread", "local", "execute /proc/self/exe"] {
        // Files that the last user left in the cache are that user's.
        for file in ["cache/a", "cache/b"] {
            let _ = fs::remove_file(room.join(file));
        }
        for output in try_it(what, room)? {
            let _ = fs::remove_file(room.join("cache/b"));
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "done", "{what}: {output:?}");
        }
    }
    Ok(())
}

fn files_programs_and_processes_are_refused() -> Result<(), Failed> {
    let room = room()?;
    let outside = folder("");
    let outside = outside.path().join("agent.toml");
    let name = format!("bellhop-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
    let cases = [
        (format!("read {}", outside.display()), "EACCES"),
        ("read /etc/passwd".to_owned(), "EACCES"),
        ("write agent.toml".to_owned(), "EACCES"),
        ("write new".to_owned(), "EACCES"),
        ("execute /bin/true".to_owned(), "EACCES"),
        (format!("abstract {name}"), "EPERM"),
        ("signal".to_owned(), "EPERM"),
    ];

    for (what, expected) in cases {
        comes_to(&what, room.path(), expected)?;
    }
    Ok(())
}

fn other_machines_are_out_of_reach() -> Result<(), Failed> {
    let room = room()?;
    comes_to("tcp", room.path(), "ENOSYS")?;
    comes_to("udp", room.path(), "ENOSYS")
}

fn ends_by(what: &str, signal: Signal) -> Result<(), Failed> {
    let room = room()?;
    for output in try_it(what, room.path())? {
        assert_eq!(output.status.signal(), Some(signal as i32), "{what}: {output:?}");
    }
    Ok(())
}

fn a_call_that_nobody_makes_ends_the_process() -> Result<(), Failed> {
    ends_by("chroot", Signal::SIGSYS)
}

fn a_compiler_can_compute_and_nothing_else() -> Result<(), Failed> {
    comes_to("compiler compute", room()?.path(), "done")?;
    for what in ["read agent.toml", "thread", "execute /proc/self/exe", "local", "tcp"] {
        ends_by(&format!("compiler {what}"), Signal::SIGSYS)?;
    }
    Ok(())
}

fn the_compiler_is_confined_before_it_reads_its_input() -> Result<(), Failed> {
    let mut compiler = Command::new(bellhop())
        .arg("compile")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let proc = Path::new("/proc").join(compiler.id().to_string());

    eventually("it has given up what it can", || status(&proc)["Seccomp"] == "2");

    assert_eq!(status(&proc)["NoNewPrivs"], "1");
    let limits = fs::read_to_string(proc.join("limits"))?;
    for (limit, most) in [
        ("Max cpu time", "60"),
        ("Max file size", "0"),
        ("Max core file size", "0"),
        ("Max processes", "0"),
        ("Max address space", "4294967296"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).ok_or("a limit")?;
        assert!(line[limit.len()..].split_whitespace().next() == Some(most), "{line}");
    }
    compiler.stdin.take().ok_or("it was piped")?.write_all(&Fixture::default().component())?;
    let output = compiler.wait_with_output()?;
    assert!(output.status.success() && output.stdout.len() > 1000, "{:?}", output.status);
    Ok(())
}

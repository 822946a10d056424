//! A daemon in which no memory becomes executable: plugins run as Pulley's bytecode, and native code is refused
//! with what to do.
//!
//! The kernel forbids it by `PR_SET_MDWE`, as systemd's `MemoryDenyWriteExecute=` has it do, and the daemon
//! forbids it to itself.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use bellhop_agent::config::Config;
use bellhop_agent::confine::{self, Confine, Needs};
use bellhop_agent::sandbox::Sandbox;
use bellhop_agent::sandbox::cache::Cache;
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::{self, Target};
use libtest_mimic::{Arguments, Failed, Trial};
use nix::libc;
use nix::sys::signal::Signal;
use support::{Daemon, bellhop, plugin_component};
use tempfile::TempDir;

/// Set for the child: which engine it is to try.
const TRY: &str = "BELLHOP_TEST_TRY";

/// Has the kernel let no memory of this process become executable, by the system call of this number, and
/// becomes another program, which inherits that.
const DENYING: &str = "my ($call, $what, $how) = splice @ARGV, 0, 3;
    syscall($call + 0, $what + 0, $how + 0, 0, 0, 0) == 0 or die qq(it refuses: $!\\n);
    exec { $ARGV[0] } @ARGV or die qq(cannot start $ARGV[0]: $!\\n)";

/// A test, and what keeps it from being run.
type Named = (&'static str, fn() -> Result<(), Failed>, fn() -> Option<String>);

const TESTS: [Named; 5] = [
    (
        "a_daemon_runs_pulley_where_the_kernel_lets_nothing_become_executable",
        a_daemon_runs_pulley_where_the_kernel_lets_nothing_become_executable,
        mdwe,
    ),
    (
        "a_wish_is_followed_where_the_kernel_lets_nothing_become_executable",
        a_wish_is_followed_where_the_kernel_lets_nothing_become_executable,
        mdwe,
    ),
    ("native_code_is_refused_there_with_what_to_do", native_code_is_refused_there_with_what_to_do, mdwe),
    ("a_daemon_that_runs_pulley_forbids_it_to_itself", a_daemon_that_runs_pulley_forbids_it_to_itself, calls),
    (
        "nothing_of_a_daemon_that_runs_pulley_is_executable_but_its_files",
        nothing_is_executable_but_files,
        || None,
    ),
];

fn main() -> ExitCode {
    if let Ok(engine) = std::env::var(TRY) {
        return child(if engine == "pulley" { Target::Pulley } else { Target::Native });
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

/// A program that is started where nothing becomes executable.
fn denying(program: &Path) -> Command {
    let numbers = [libc::SYS_prctl, libc::PR_SET_MDWE.into(), libc::PR_MDWE_REFUSE_EXEC_GAIN.into()];
    let mut command = Command::new("perl");
    command.args(["-e", DENYING]).args(numbers.map(|number| number.to_string())).arg(program);
    command
}

fn mdwe() -> Option<String> {
    match denying(Path::new("true")).output() {
        Err(error) => Some(format!("perl, by which it is asked for, cannot be started: {error}")),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Some(format!("this kernel has no PR_SET_MDWE, which Linux has from 6.3 on: {said}"))
        }
        Ok(_) => None,
    }
}

fn calls() -> Option<String> {
    let (_, lacks) = confine::offer();
    lacks.contains(&"system calls").then(|| "this kernel cannot take away system calls".to_owned())
}

/// A folder with an `agent.toml` that has the display plugin.
fn folder(engine: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let text = format!(
        "driver = \"simulated\"\ncache = \"cache\"\ncontrol = \"own/control.sock\"\nengine = {engine:?}\n\
         [plugins.display]\ncomponent = {:?}\n[plugins.display.grants]\n\
         events = [\"display-change\", \"restored\"]\ncapabilities = [\"graphics\"]\n\
         requests = [\"display\", \"guest\"]\ndesktop = [\"outputs\"]\n",
        plugin_component("display"),
    );
    fs::write(folder.path().join("agent.toml"), text).expect("a file");
    folder
}

/// It compiles the component there as well, in its child.
fn a_daemon_runs_pulley_where_the_kernel_lets_nothing_become_executable() -> Result<(), Failed> {
    let folder = folder("pulley");
    let mut daemon = Daemon::start_by(denying(&bellhop()), folder.path());

    let log = daemon.log_until("Ready");

    assert!(log.last().is_some_and(|ready| ready.contains("\"running\":1")), "{log:#?}");
    let mut status = Command::new(bellhop());
    let status = status.args(["status", "--socket", "own/control.sock"]).current_dir(&folder).output()?;
    let said = String::from_utf8_lossy(&status.stdout);
    assert!(status.status.success() && said.contains("\nEngine   pulley\n"), "{said}");
    assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    Ok(())
}

/// The demo's host is the one that can be told what to wish; its agent is the daemon's.
fn a_wish_is_followed_where_the_kernel_lets_nothing_become_executable() -> Result<(), Failed> {
    let folder = folder("pulley");
    let mut bellhop = denying(&bellhop());
    let mut demo = bellhop
        .args(["demo", "--interactive", "--config", "agent.toml"])
        .current_dir(&folder)
        .env_remove("DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    demo.stdin.take().ok_or("it was piped")?.write_all(b"hint 0 1280 800\nquit\n")?;

    let output = demo.wait_with_output()?;

    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(said.contains("HEADLESS0 primary 1280x800+0+0"), "{said}");
    Ok(())
}

fn native_code_is_refused_there_with_what_to_do() -> Result<(), Failed> {
    let folder = folder("native");
    // What was compiled before is in the cache, and it is not the file that is at fault.
    for _ in 0..2 {
        let mut daemon = Daemon::start_by(denying(&bellhop()), folder.path());

        let log = daemon.log_until("Ready");

        assert!(log.last().is_some_and(|ready| ready.contains("\"running\":0")), "{log:#?}");
        let refused = log.iter().find(|line| line.contains("Not admitted")).ok_or("it is said")?;
        for part in ["Cannot make compiled code executable", "MemoryDenyWriteExecute=", "PR_SET_MDWE"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
        assert!(refused.contains(r#"Set `engine = \"pulley\"` in agent.toml"#), "{refused}");
        assert!(!log.iter().any(|line| line.contains("compiling anew")), "{log:#?}");
        assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
    }
    Ok(())
}

/// A sandbox whose cache is in this folder.
fn link(engine: Target, config: &Config, compiler: &Path) -> Result<(), String> {
    let engine = engine::engine(engine).expect("wasmtime runs here");
    let cache = Cache::new(config.cache.clone(), &engine, Compiler::new(compiler.to_owned()));
    let sandbox = Sandbox::new(engine, cache).expect("a thread can be had");
    sandbox.link(&config.plugins[0]).map(drop).map_err(|error| format!("{error:#}"))
}

/// Loads compiled code once it is confined as a daemon with Pulley is.
fn child(engine: Target) -> ExitCode {
    let config = Config::load(Path::new("agent.toml")).expect("it is right");
    let mut needs = Needs { read: vec![".".into()], write: vec![config.cache.clone()], ..Needs::default() };
    needs.read_beside(&config.plugins[0].component);
    confine::confine(Confine::Auto, &[], &needs).expect("nothing was required");
    let outcome = link(engine, &config, Path::new("none"));
    let outcome = outcome.err().unwrap_or_else(|| "done".to_owned());
    writeln!(std::io::stdout(), "{outcome}").map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Whoever took the daemon over would have to make memory executable, as native code does.
fn a_daemon_that_runs_pulley_forbids_it_to_itself() -> Result<(), Failed> {
    let folder = folder("pulley");
    let config = Config::load(&folder.path().join("agent.toml"))?;
    for (engine, name, expected) in [
        (Target::Native, "native", "Cannot make compiled code executable"),
        (Target::Pulley, "pulley", "done"),
    ] {
        link(engine, &config, &bellhop())?;

        let child = Command::new(std::env::current_exe()?).env(TRY, name).current_dir(&folder).output()?;

        let said = String::from_utf8_lossy(&child.stdout);
        assert!(said.starts_with(expected), "{name}: {child:?}");
    }
    Ok(())
}

fn nothing_is_executable_but_files() -> Result<(), Failed> {
    let executable = |engine: &str| {
        let folder = folder(engine);
        fs::write(
            folder.path().join("agent.toml"),
            // Else the kernel shows the process's memory to root alone.
            fs::read_to_string(folder.path().join("agent.toml"))?
                + "[process]\nleave-out = [\"core-dumps\"]\n",
        )?;
        let mut daemon = Daemon::start(folder.path());
        daemon.log_until("Ready");
        let maps = fs::read_to_string(format!("/proc/{}/maps", daemon.process()))?;
        assert_eq!(daemon.end(Signal::SIGTERM), Some(0));
        let lines =
            maps.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|of| of.contains('x')));
        Ok::<_, Failed>(lines.filter(|line| line.contains(".cwasm")).count())
    };

    assert_eq!(executable("pulley")?, 0);
    assert_eq!(executable("native")?, 1);
    Ok(())
}

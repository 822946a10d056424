//! `cargo xtask test`: everything that must hold before a change is good.

mod tally;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use self::tally::Tally;
use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, interrupt, invariants, packages, process, say, vm};

/// Check the format, the lints, the invariants, and run every test
///
/// Every step is run, also after one that failed. The last line sums up: a step that is no set of
/// tests of its own counts as one check.
#[derive(Args)]
pub struct Options {
    /// Run only this step; may be given several times
    #[arg(long, value_enum, value_name = "STEP")]
    only: Vec<Step>,

    /// Where to take the standard library for WebAssembly from
    #[arg(long, value_enum, default_value_t, value_name = "WAY")]
    plugin_toolchain: Choice,
}

/// A step, in the order in which they run: what is quick to fail comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// The source is formatted
    Fmt,
    /// The code's structure is what ARCHITECTURE.md says
    Invariants,
    /// The linter has nothing to say
    Clippy,
    /// The documentation's links lead somewhere
    Docs,
    /// The program and its plugins compile
    Build,
    /// All tests of all crates, and the examples in their documentation
    Tests,
    /// What the agent does on the kernel's own driver, in virtual machines
    Vm,
}

/// What became of a step.
struct Report {
    step: Step,
    time: Duration,
    tally: Tally,
    /// Why the step failed.
    failure: Option<String>,
}

/// Runs the command.
pub fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    let steps: Vec<Step> = Step::value_variants()
        .iter()
        .copied()
        .filter(|step| options.only.is_empty() || options.only.contains(step))
        .collect();
    if steps.contains(&Step::Tests) {
        packages::ensure(packages::X_SERVER);
        packages::ensure(packages::SERVICE);
    }
    let mut reports = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("[{}/{}] {}: {}", index + 1, steps.len(), step.name(), step.about());
        reports.push(step.run(&workspace, options)?);
        println!();
    }
    Ok(conclude(&reports))
}

impl Step {
    fn run(self, workspace: &Workspace, options: &Options) -> anyhow::Result<Report> {
        let started = Instant::now();
        let mut tally = Tally::default();
        let outcome = match self {
            Self::Fmt => process::run(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Invariants => invariants::check(workspace),
            Self::Clippy => process::run(clippy(workspace).args(["--", "--deny", "warnings"])),
            Self::Docs => process::run(&mut docs(workspace)),
            Self::Build => build::all(workspace, Profile::Dev, options.plugin_toolchain),
            Self::Tests => tests(workspace, &mut tally),
            Self::Vm => count(&mut vm::command(workspace, true)?, &mut tally),
        };
        interrupt::check()?;
        let failure = outcome.err().map(|error| format!("{error:#}"));
        if !matches!(self, Self::Tests | Self::Vm) {
            tally.passed += usize::from(failure.is_none());
        }
        // A set of tests that does not compile has no test that failed.
        if failure.is_some() && tally.failed.is_empty() {
            tally.failed.push(self.name().to_owned());
        }
        if let Some(failure) = &failure {
            println!("{}: {failure}", self.name());
        }
        Ok(Report { step: self, time: started.elapsed(), tally, failure })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Invariants => "invariants",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Build => "build",
            Self::Tests => "tests",
            Self::Vm => "vm",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Fmt => "the source is formatted",
            Self::Invariants => "the structure is what ARCHITECTURE.md says",
            Self::Clippy => "the linter has nothing to say",
            Self::Docs => "the documentation's links lead somewhere",
            Self::Build => "the program and its plugins compile",
            Self::Tests => "all tests of all crates",
            Self::Vm => "the agent on the kernel's own driver, in virtual machines",
        }
    }
}

/// What the device model's command and its carrier need beside the rest.
const DEVICE_COMMAND: &str = "vmmdev/vfio-user";

fn clippy(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.args(["clippy", "--workspace", "--all-targets", "--features", DEVICE_COMMAND, "--quiet"]);
    command
}

fn docs(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    // Contributors read the private parts too.
    command.args(["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"]);
    command.env("RUSTDOCFLAGS", "--deny warnings");
    command
}

/// Runs all tests that need no virtual machine.
///
/// `--show-output` is what lets a test that passed say that it skipped something; the tally swallows
/// the rest of what it makes the harness print.
fn tests(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--no-fail-fast", "--", "--show-output"]);
    // A test that needs a desktop starts its own, and never touches the user's.
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY").env_remove("XAUTHORITY");
    let all = count(&mut command, tally);
    // Apart, so that the daemon that is tested is the one that is shipped.
    let mut device = workspace.cargo();
    device.args(["test", "--package", "vmmdev", "--features", DEVICE_COMMAND]);
    device.args(["--test", "vfio_user", "--test", "command", "--", "--show-output"]);
    all.and(count(&mut device, tally))
}

/// Runs tests, and counts them.
fn count(command: &mut Command, tally: &mut Tally) -> anyhow::Result<()> {
    let status = process::run_by_line(command, |line| {
        if tally.line(line) {
            println!("{line}");
        }
    })?;
    process::succeeded(command, status)
}

/// Says what was skipped, how each step went, and the sum.
fn conclude(reports: &[Report]) -> ExitCode {
    let skipped: Vec<_> = reports.iter().flat_map(|report| &report.tally.skipped).collect();
    if !skipped.is_empty() {
        println!("Skipped:");
        for skip in &skipped {
            println!("  {}: {}", skip.name, skip.reason);
        }
        println!();
    }
    let failed: Vec<_> = reports.iter().flat_map(|report| &report.tally.failed).collect();
    if !failed.is_empty() {
        println!("Failed:");
        for name in &failed {
            println!("  {name}");
        }
        println!();
    }
    for report in reports {
        let outcome = if report.failure.is_some() { "FAILED" } else { "ok" };
        println!("{:<12}{outcome:<8}{:>12}", report.step.name(), say::duration(report.time));
    }
    let passed: usize = reports.iter().map(|report| report.tally.passed).sum();
    println!("\n{passed} passed, {} failed, {} skipped", failed.len(), skipped.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

//! Other programs: run to their end, asked for an answer, or kept running for a while.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, PipeReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::interrupt::{self, Reach};

/// How long a program that was asked to end may take before it is ended.
const PATIENCE: Duration = Duration::from_secs(5);

/// A program that runs. Dropped, it is ended.
pub struct Running {
    child: Child,
    pid: Pid,
    reach: Reach,
    said: String,
    ended: bool,
}

impl Running {
    /// Starts a program in a process group of its own, with nothing to read from.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn(command.stdin(Stdio::null()).process_group(0), Reach::Group)
    }

    /// Starts a program in a process group of its own, whose standard input is a pipe from us.
    pub fn start_with_pipe(command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn(command.stdin(Stdio::piped()).process_group(0), Reach::Group)
    }

    /// Starts a program that has the terminal to itself.
    pub fn start_at_terminal(command: &mut Command) -> anyhow::Result<Self> {
        Self::spawn(command, Reach::Terminal)
    }

    fn spawn(command: &mut Command, reach: Reach) -> anyhow::Result<Self> {
        interrupt::check()?;
        let said = line(command);
        let child = interrupt::unblocked(|| command.spawn()).with_context(|| format!("Starting `{said}`"))?;
        let number = i32::try_from(child.id()).context("The number of a process exceeds 31 bits")?;
        let pid = Pid::from_raw(number);
        interrupt::register(pid, reach);
        Ok(Self { child, pid, reach, said, ended: false })
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The process, to take its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = self.child.wait().with_context(|| format!("Waiting for `{}`", self.said))?;
        self.forget();
        interrupt::check()?;
        Ok(status)
    }

    /// Waits for its end until a moment has come; `None` when it still runs then.
    fn wait_until(&mut self, moment: Instant) -> anyhow::Result<Option<ExitStatus>> {
        loop {
            let status = self.child.try_wait().with_context(|| format!("Waiting for `{}`", self.said))?;
            if status.is_some() {
                self.forget();
                return Ok(status);
            }
            if Instant::now() >= moment {
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end, and ends it when it does not.
    pub fn end(&mut self) {
        if self.ended {
            return;
        }
        interrupt::signal(self.pid, self.reach, Signal::SIGTERM);
        if !matches!(self.wait_until(Instant::now() + PATIENCE), Ok(Some(_))) {
            interrupt::signal(self.pid, self.reach, Signal::SIGKILL);
            let _ = self.child.wait();
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.ended = true;
        interrupt::forget(self.pid);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// Runs a program to its end; what it writes goes where ours goes. An exit code other than 0 is an
/// error.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = Running::start(command)?.wait()?;
    succeeded(command, status)
}

/// Runs a program to its end and hands over each line that it writes, to stdout or stderr, in the
/// order in which they were written.
pub fn run_by_line(command: &mut Command, mut each: impl FnMut(&str)) -> anyhow::Result<ExitStatus> {
    let (mut running, reader) = start_joined(command)?;
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).context("Reading what a program writes")? > 0 {
        each(String::from_utf8_lossy(&bytes).trim_end_matches(['\n', '\r']));
        bytes.clear();
    }
    running.wait()
}

/// Runs a program for at most so long, and returns whether it succeeded, and what it wrote.
pub fn run_within(command: &mut Command, limit: Duration) -> anyhow::Result<(bool, String)> {
    let (mut running, mut reader) = start_joined(command)?;
    let collector = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = reader.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let status = running.wait_until(Instant::now() + limit)?;
    running.end();
    interrupt::check()?;
    let mut text = collector.join().unwrap_or_default();
    if status.is_none() {
        text.push_str(&format!("ended after {} s without a result", limit.as_secs()));
    }
    Ok((status.is_some_and(|s| s.success()), text))
}

/// What a program answers on stdout. An exit code other than 0 is an error, with the reason
/// that it gives on stderr.
pub fn ask(command: &mut Command) -> anyhow::Result<String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child =
        interrupt::unblocked(|| command.spawn()).with_context(|| format!("Starting `{}`", line(command)))?;
    let output = child.wait_with_output().with_context(|| format!("Waiting for `{}`", line(command)))?;
    interrupt::check()?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{}` failed: {}", line(command), reason(&complaint));
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` answered with something other than text", line(command)))
}

/// Where a program is found, by the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// An error unless the program exited with 0.
pub fn succeeded(command: &Command, status: ExitStatus) -> anyhow::Result<()> {
    if status.success() {
        return Ok(());
    }
    bail!("`{}` ended with {}", line(command), describe(status))
}

/// How a program ended, in words.
pub fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("signal {signal}"),
            Err(_) => format!("signal {signal}"),
        },
        (None, None) => "neither an exit code nor a signal".to_owned(),
    }
}

/// The line of a program's complaint that gives the reason: the last that calls itself an error, else
/// the last that says something.
pub fn reason(text: &str) -> &str {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_error = |line: &&str| ["error", "E: "].iter().any(|mark| line.starts_with(mark));
    lines().rfind(is_error).or_else(|| lines().next_back()).unwrap_or("it gave no reason")
}

/// A command as it would be typed, by the program's bare name.
pub fn line(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let mut words = vec![program.file_name().unwrap_or(program.as_os_str()).to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}

/// Starts a program whose stdout and stderr are one pipe, so that their order is kept.
fn start_joined(command: &mut Command) -> anyhow::Result<(Running, PipeReader)> {
    let (reader, writer) = std::io::pipe().context("Making a pipe")?;
    let second = writer.try_clone().context("Making a pipe")?;
    let running = Running::start(command.stdout(writer).stderr(second));
    // The command keeps its ends of the pipe, and reading would never come to an end.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    Ok((running?, reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_both_streams_keep_their_order() {
        let mut seen = Vec::new();
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; echo three; exit 3"]);

        let status = run_by_line(&mut command, |line| seen.push(line.to_owned())).unwrap();

        assert_eq!(seen, ["one", "two", "three"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended_with_its_children() {
        let started = Instant::now();

        let (succeeded, text) = run_within(
            Command::new("sh").args(["-c", "echo here; sleep 60; true"]),
            Duration::from_millis(200),
        )
        .unwrap();

        assert!(!succeeded);
        assert!(text.starts_with("here\n"), "{text}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_failed_question_gives_its_reason() {
        let error = ask(Command::new("sh").args(["-c", "echo context >&2; echo why >&2; exit 1"]));

        assert!(error.unwrap_err().to_string().ends_with("failed: why"));
    }

    #[test]
    fn a_reason_is_what_calls_itself_an_error() {
        for (text, expected) in [
            ("info: x\nerror: no such target\n  3: main\n", "error: no such target"),
            ("E: Unable to locate package x\n", "E: Unable to locate package x"),
            ("first\nlast\n\n", "last"),
            ("", "it gave no reason"),
        ] {
            assert_eq!(reason(text), expected);
        }
    }

    #[test]
    fn a_dropped_program_is_gone() {
        let running = Running::start(Command::new("sleep").arg("60")).unwrap();
        let folder = PathBuf::from(format!("/proc/{}", running.id()));
        assert!(folder.exists());

        drop(running);

        assert!(!folder.exists());
    }
}

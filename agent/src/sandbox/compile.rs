//! Compiles a component, in a process of its own.
//!
//! A compiler is large, and what an author sends to it is not bounded by the sandbox: wasmtime makes
//! no promise on how long it takes. So the daemon starts itself as `bellhop compile`, hands it the
//! component on standard input, and reads compiled code from its standard output. The child has limits on
//! time and memory, gives up files, networks and all system calls but those that compute before it reads
//! the first byte, and ends.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use wasmtime::Engine;

use super::engine::Target;
use crate::confine;

/// Processor seconds that compiling one component may take.
pub const CPU_SECONDS: u64 = 60;

/// Address space of the compiler, in bytes. An 18 MB component needs about 1 GiB.
const ADDRESS_SPACE: u64 = 4 << 30;

/// The largest compiled component that is taken, in bytes.
const LARGEST_OUTPUT: u64 = 512 << 20;

/// How to start a compiler.
#[derive(Debug, Clone)]
pub struct Compiler {
    program: PathBuf,
    cpu_seconds: u64,
}

impl Compiler {
    /// A compiler that is the `bellhop` binary at `program`.
    #[must_use]
    pub fn new(program: PathBuf) -> Self {
        Self { program, cpu_seconds: CPU_SECONDS }
    }

    /// The same with so many seconds of processor time for one component.
    #[must_use]
    pub fn with_cpu_seconds(self, cpu_seconds: u64) -> Self {
        Self { cpu_seconds, ..self }
    }

    /// Compiles `component` for `target` in a child process.
    ///
    /// # Errors
    /// When the child cannot be started, exceeds its limits, or finds the component wrong.
    pub(super) fn compile(&self, component: &[u8], target: Target) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .args(["compile", "--target", &target.to_string()])
            .args(["--cpu-seconds", &self.cpu_seconds.to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("Cannot start the compiler {}", self.program.display()))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (mut code, mut complaint) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            // A child that dies early breaks this pipe; its own words say why.
            scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(component)));
            scope.spawn(|| stderr.map(|pipe| pipe.take(64 << 10).read_to_end(&mut complaint)));
            stdout.map(|pipe| pipe.take(LARGEST_OUTPUT + 1).read_to_end(&mut code)).transpose()
        })
        .context("Cannot read compiled code")?;
        if code.len() as u64 > LARGEST_OUTPUT {
            child.kill().and_then(|()| child.wait()).context("Cannot end the compiler")?;
            bail!("Compiled code exceeds {LARGEST_OUTPUT} bytes");
        }
        let status = child.wait().context("Cannot wait for the compiler")?;
        if !status.success() {
            bail!("{}", self.verdict(status, &String::from_utf8_lossy(&complaint)));
        }
        Ok(code)
    }

    /// What is to be said of a compiler that did not end well: which limit it met, where one is known to end
    /// processes so, and else its own words.
    fn verdict(&self, status: ExitStatus, complaint: &str) -> String {
        let complaint = complaint.trim();
        let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
        match signal {
            Some(Signal::SIGXCPU) => format!("Compiling took more than {} s of processor time", self.cpu_seconds),
            Some(Signal::SIGKILL) => {
                "Compiler was killed from outside; the kernel's log says whether memory was short".to_owned()
            }
            Some(Signal::SIGSYS) => {
                "Compiler ended: it made a system call that compiling does not need, and was stopped. The kernel's \
                 log has its number (`audit: type=1326`)"
                    .to_owned()
            }
            Some(Signal::SIGABRT) if complaint.contains(OUT_OF_MEMORY) => {
                format!("Compiling took more than {} MiB of address space", ADDRESS_SPACE >> 20)
            }
            _ => format!("Compiler ended with {status}: {complaint}"),
        }
    }
}

/// How Rust says that it gets no more memory, before it aborts: "memory allocation of 8 bytes failed".
const OUT_OF_MEMORY: &str = "memory allocation of ";

/// The child's side: reads a component from standard input, writes compiled code to standard output.
///
/// # Errors
/// When the component is wrong or a limit is reached.
pub fn child(engine: &Engine, cpu_seconds: u64) -> Result<()> {
    for (resource, limit, hard) in [
        // At the hard limit a process is killed, and nobody is told why.
        (Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1)),
        (Resource::RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE),
        // What is written goes into a pipe, and there are no files to open.
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NOFILE, 16, 16),
        (Resource::RLIMIT_NPROC, 0, 0),
    ] {
        setrlimit(resource, limit, hard).with_context(|| format!("Cannot limit {resource:?}"))?;
    }
    confine::confine_compiler();
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component).context("Cannot read the component")?;
    let code = engine.precompile_component(&component).map_err(anyhow::Error::from)?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).context("Cannot write compiled code")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compiler_that_met_a_limit_is_said_to_have() {
        let cases = [
            (Signal::SIGXCPU as i32, "", "Compiling took more than 60 s of processor time"),
            (
                Signal::SIGABRT as i32,
                "memory allocation of 512 bytes failed\n",
                "Compiling took more than 4096 MiB of address space",
            ),
            (Signal::SIGSYS as i32, "", "a system call that compiling does not need"),
            (Signal::SIGKILL as i32, "", "killed from outside"),
            (Signal::SIGSEGV as i32, "", "Compiler ended with signal: 11 (SIGSEGV)"),
            (1 << 8, "bellhop: not a component\n", "exit status: 1: bellhop: not a component"),
        ];
        for (raw, complaint, expected) in cases {
            let said = Compiler::new("x".into()).verdict(ExitStatus::from_raw(raw), complaint);
            assert!(said.contains(expected), "{raw}: {said}");
        }
    }
}

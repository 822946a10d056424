//! Compiles a component, in a process of its own.
//!
//! A compiler is large, and what an author sends to it is not bounded by the sandbox: wasmtime makes
//! no promise on how long it takes. So the daemon starts itself as `bellhop compile`, hands it the
//! component on standard input, and reads compiled code from its standard output. The child needs no
//! file, has limits on time and memory, and ends.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use wasmtime::Engine;

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

    /// Compiles `component` in a child process.
    ///
    /// # Errors
    /// When the child cannot be started, exceeds its limits, or finds the component wrong.
    pub(super) fn compile(&self, component: &[u8]) -> Result<Vec<u8>> {
        let mut child = Command::new(&self.program)
            .args(["compile", "--cpu-seconds", &self.cpu_seconds.to_string()])
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
        if status.signal() == Some(Signal::SIGXCPU as i32) {
            bail!("Compiler took more than {} s of processor time", self.cpu_seconds);
        }
        if !status.success() {
            let complaint = String::from_utf8_lossy(&complaint);
            bail!("Compiler ended with {status}: {}", complaint.trim());
        }
        Ok(code)
    }
}

/// The child's side: reads a component from standard input, writes compiled code to standard output.
///
/// # Errors
/// When the component is wrong or a limit is reached.
pub fn child(engine: &Engine, cpu_seconds: u64) -> Result<()> {
    // Two limits, because the harder one ends it without saying which it was.
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds.saturating_add(1))
        .context("Cannot limit RLIMIT_CPU")?;
    for (resource, limit) in [
        (Resource::RLIMIT_AS, ADDRESS_SPACE),
        (Resource::RLIMIT_FSIZE, LARGEST_OUTPUT),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_NOFILE, 16),
    ] {
        setrlimit(resource, limit, limit).with_context(|| format!("Cannot limit {resource:?}"))?;
    }
    let mut component = Vec::new();
    std::io::stdin().lock().read_to_end(&mut component).context("Cannot read the component")?;
    let code = engine.precompile_component(&component).map_err(anyhow::Error::from)?;
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(&code).and_then(|()| stdout.flush()).context("Cannot write compiled code")
}

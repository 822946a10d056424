//! The daemon, started for a measurement.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Deserialize;

use crate::cargo::Workspace;
use crate::interrupt;
use crate::process::Running;

/// How the message starts that the daemon logs when it serves events.
const READY: &str = "Ready";

/// A folder with a configuration and a cache of its own. Dropped, it is gone.
pub struct Folder {
    path: PathBuf,
}

/// A daemon that is ready.
pub struct Daemon {
    /// From its start to its saying so.
    pub ready_after: Duration,
    running: Running,
}

/// One line of the log, as far as it is read.
#[derive(Deserialize)]
struct Event {
    message: String,
}

impl Folder {
    /// Makes the folder, for a daemon whose plugins run on `engine`.
    pub fn make(workspace: &Workspace, engine: &str) -> anyhow::Result<Self> {
        let path = workspace.target.join("bench-daemon");
        let component = workspace.root.join("target/plugins/display.wasm");
        fs::create_dir_all(&path).with_context(|| format!("Making {}", path.display()))?;
        let folder = Self { path };
        let config = folder.config();
        fs::write(&config, agent_toml(&component, engine))
            .with_context(|| format!("Writing {}", config.display()))?;
        Ok(folder)
    }

    /// Forgets what was compiled.
    pub fn empty_cache(&self) -> anyhow::Result<()> {
        let cache = self.path.join("cache");
        match fs::remove_dir_all(&cache) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("Removing {}", cache.display()))
            }
            _ => Ok(()),
        }
    }

    /// Starts a daemon, and waits until it is ready.
    pub fn start(&self, program: &Path) -> anyhow::Result<Daemon> {
        let mut command = Command::new(program);
        command.arg("run").arg("--config").arg(self.config()).args(["--log-format", "json"]);
        command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
        // Cargo's own, which would have the loader look into many folders first.
        command.env_remove("LD_LIBRARY_PATH");
        command.stdout(Stdio::null()).stderr(Stdio::piped());

        let started = Instant::now();
        let mut running = Running::start(&mut command)?;
        let log = running.child().stderr.take().context("The daemon has no stderr")?;
        let mut log = BufReader::new(log);
        let (mut said, mut line) = (String::new(), String::new());
        while log.read_line(&mut line).context("Reading the daemon's log")? > 0 {
            if is_ready(&line) {
                let ready_after = started.elapsed();
                // Read on, so that the daemon never waits for us.
                thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
                return Ok(Daemon { ready_after, running });
            }
            said.push_str(&line);
            line.clear();
        }
        interrupt::check()?;
        bail!("The daemon ended before it was ready. It said:\n{said}")
    }

    fn config(&self) -> PathBuf {
        self.path.join("agent.toml")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It stands in cargo's target folder: what is left there hurts nobody.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Daemon {
    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.running.id()
    }
}

/// The one in the middle; of an even number, the upper one.
pub fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

/// One plugin with what it needs, on a desktop that costs nothing.
fn agent_toml(component: &Path, engine: &str) -> String {
    // A JSON string is a TOML string.
    let component = serde_json::Value::from(component.to_string_lossy());
    format!(
        "driver = \"simulated\"\n\
         cache = \"cache\"\n\
         engine = \"{engine}\"\n\
         \n\
         [outputs]\n\
         backend = \"headless\"\n\
         \n\
         [plugins.display]\n\
         component = {component}\n\
         \n\
         [plugins.display.grants]\n\
         events = [\"display-change\", \"restored\"]\n\
         capabilities = [\"graphics\"]\n\
         requests = [\"display\", \"guest\"]\n\
         desktop = [\"outputs\"]\n"
    )
}

fn is_ready(line: &str) -> bool {
    serde_json::from_str::<Event>(line).is_ok_and(|event| event.message.starts_with(READY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_message_says_that_the_daemon_is_ready() {
        for (line, expected) in [
            (r#"{"level":"INFO","message":"Ready: 1 plugin"}"#, true),
            (r#"{"level":"INFO","message":"Not Ready"}"#, false),
            (r#"{"plugin":"Ready","message":"x"}"#, false),
            ("Ready", false),
        ] {
            assert_eq!(is_ready(line), expected, "{line}");
        }
    }

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        let times = [30, 10, 20].map(Duration::from_millis).to_vec();

        assert_eq!(median(times), Some(Duration::from_millis(20)));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_component_with_an_odd_path_is_still_named() {
        assert!(
            agent_toml(Path::new("/a \"b\"/c.wasm"), "native").contains(r#"component = "/a \"b\"/c.wasm""#)
        );
    }
}

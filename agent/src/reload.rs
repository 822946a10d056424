//! Reading the configuration anew: what changed is changed, and nothing else is touched.

use std::fmt;
use std::sync::{Arc, mpsc};

use crate::agent::Agent;
use crate::config::{self, Config, ConfigError};
use crate::control::protocol;
use crate::plugin::{Plugin, Started, Successor};
use crate::sandbox::{admission, cache};
use crate::sync::lock;

/// What became of each plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// By the plugins' names.
    pub plugins: Vec<(Arc<str>, Outcome)>,
    /// Keys of the file that changed, and that are read when the agent starts and then no more.
    pub ignored: Vec<&'static str>,
}

/// What became of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is the same as before, and runs on.
    Unchanged,
    /// A new one is in its place.
    Replaced,
    /// It was started.
    Started,
    /// It was stopped, because it is not there any more or switched off.
    Stopped,
    /// The new one is of no use, and the old one stays: why.
    Kept(String),
    /// It does not run: why.
    Failed(String),
}

impl Reloaded {
    /// Whether all plugins are as the file wants them.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.plugins.iter().all(|(_, outcome)| !matches!(outcome, Outcome::Kept(_) | Outcome::Failed(_)))
    }
}

impl Agent {
    /// Reads `agent.toml` anew and does what changed in it, or in the components that it names. Plugins
    /// that did not change run on and notice nothing; those that were left off are tried again.
    ///
    /// It takes as long as the plugins take that are replaced or started; who calls it meanwhile waits.
    ///
    /// # Errors
    /// When the file as a whole is wrong. Nothing changes then.
    pub fn reload(&self) -> Result<Reloaded, ConfigError> {
        let started_with = lock(&self.config);
        let config = Config::load(&started_with.path).inspect_err(|error| {
            tracing::error!("Not reloaded, all stays as it is: {error}");
        })?;
        let ignored = started_with.differences(&config);
        for key in &ignored {
            tracing::warn!(key, "Changed, and not read again until Bellhop is restarted");
        }
        let mut outcomes = Vec::new();
        let wanted = |name: &str| config.plugins.iter().any(|plugin| plugin.enabled && plugin.name == name);
        for plugin in self.remove(|plugin| !wanted(plugin.name())) {
            outcomes.push((plugin.name().clone(), Outcome::Stopped));
            plugin.stop();
            plugin.join();
        }
        for plugin in config.plugins.iter().filter(|plugin| plugin.enabled) {
            outcomes.push((plugin.name.as_str().into(), self.reload_plugin(plugin)));
        }
        for (plugin, outcome) in &outcomes {
            let plugin = &**plugin;
            match outcome {
                Outcome::Kept(_) | Outcome::Failed(_) => tracing::error!(plugin, "Reloaded: {outcome}"),
                outcome => tracing::info!(plugin, "Reloaded: {outcome}"),
            }
        }
        Ok(Reloaded { plugins: outcomes, ignored })
    }

    fn reload_plugin(&self, plugin: &config::Plugin) -> Outcome {
        if let Some(running) = self.find(&plugin.name) {
            // Read here as well as for linking, because the bytes decide whether there is anything to link.
            let digest = admission::read(plugin).map(|bytes| cache::digest(&bytes));
            let same = digest.as_ref().is_ok_and(|digest| running.is_made_of(plugin, digest));
            if same && !running.has_ended() {
                return Outcome::Unchanged;
            }
            if let Some(outcome) = self.replace(&running, plugin) {
                return outcome;
            }
            // Its thread has ended: it was left off. Another one begins from nothing.
            self.remove(|other| other.name() == running.name());
            running.join();
        }
        let (sender, receiver) = mpsc::channel();
        if let Err(error) = self.add(plugin, sender) {
            return Outcome::Failed(format!("{error:#}"));
        }
        match receiver.recv() {
            Ok(Started::Running) => Outcome::Started,
            _ => {
                let reason = self.find(&plugin.name).and_then(|plugin| plugin.state().reason);
                Outcome::Failed(reason.unwrap_or_else(|| "it ended".to_owned()))
            }
        }
    }

    /// Has a plugin replaced, unless its thread has ended.
    fn replace(&self, running: &Plugin, plugin: &config::Plugin) -> Option<Outcome> {
        if running.has_ended() {
            return None;
        }
        let program = match self.surroundings.sandbox.link(plugin) {
            Ok(program) => program,
            Err(error) => return Some(Outcome::Kept(format!("Not admitted: {error:#}"))),
        };
        let (reply, answer) = mpsc::channel();
        running.replace(Successor { config: plugin.clone(), program, reply }).ok()?;
        // Without an answer it ended before it came to that.
        match answer.recv().ok()? {
            Ok(()) => Some(Outcome::Replaced),
            Err(reason) => Some(Outcome::Kept(reason)),
        }
    }
}

impl From<Reloaded> for protocol::Reloaded {
    fn from(reloaded: Reloaded) -> Self {
        let plugins = reloaded.plugins.iter().map(|(plugin, outcome)| format!("{plugin}: {outcome}"));
        let ignored = reloaded.ignored.iter().map(|key| format!("{key}: changes when Bellhop is restarted"));
        Self { well: reloaded.is_well(), lines: plugins.chain(ignored).collect() }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unchanged => f.write_str("unchanged"),
            Self::Replaced => f.write_str("replaced"),
            Self::Started => f.write_str("started"),
            Self::Stopped => f.write_str("stopped"),
            Self::Kept(reason) => write!(f, "the old one stays: {reason}"),
            Self::Failed(reason) => write!(f, "does not run: {reason}"),
        }
    }
}

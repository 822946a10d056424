//! A host, a device, a driver and an agent in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellhop_agent::agent::Agent;
use bellhop_agent::config::{Config, ConfigError};
use bellhop_agent::control::Control;
use bellhop_agent::control::status::Facts;
use bellhop_agent::plugin::State;
use bellhop_agent::reload::Reloaded;
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::Target;
use bellhop_desktop::{Desktop, Outputs};
use driver_core::Driver;
use driver_core::pci::PciDevice;
use driver_core::wire::{Capabilities, RequestType, Status};
use tempfile::TempDir;
use toml::{Table, Value};
use vmmdev::carrier::InProcess;
use vmmdev::{GuestReport, Hint, Host};

use crate::{PATIENCE, bellhop, eventually, log, plugin_component};

/// A plugin of a rig: its name, its component, and the rest of its table in `agent.toml`.
struct PluginSpec {
    name: String,
    component: PathBuf,
    table: String,
}

/// A rig that is being set up. Each test names its plugins as nobody else does: the log is common.
pub struct RigBuilder {
    setup: Setup,
    plugins: Vec<PluginSpec>,
    desktop: Desktop,
    engine: Target,
    cache: PathBuf,
    compiler: Compiler,
}

/// The parts that exist before the agent does.
pub struct Setup {
    /// The host's end.
    pub host: Host,
    /// The guest's device, with its interrupt serviced.
    pub device: Arc<PciDevice>,
    folder: TempDir,
}

/// A running agent, and what is around it.
pub struct Rig {
    /// The host's end.
    pub host: Host,
    /// The guest's device, for sessions beside the agent's.
    pub device: Arc<PciDevice>,
    /// The guest's desktop.
    pub desktop: Desktop,
    /// The names of the plugins.
    pub names: Vec<String>,
    agent: Option<Agent>,
    folder: TempDir,
}

impl Setup {
    /// A host whose machine has just started.
    ///
    /// # Panics
    /// When the device model and the driver do not get on.
    #[must_use]
    pub fn new() -> Self {
        log::record();
        let host = Host::default();
        let device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("the device is in order");
        Self { host, device, folder: tempfile::tempdir().expect("there is room for a folder") }
    }

    /// Where a test may put files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Goes on to choose plugins.
    #[must_use]
    pub fn rig(self) -> RigBuilder {
        RigBuilder {
            setup: self,
            plugins: Vec::new(),
            desktop: Desktop::headless(16),
            engine: Target::default(),
            cache: common_cache(),
            compiler: Compiler::new(bellhop()),
        }
    }
}

impl Default for Setup {
    fn default() -> Self {
        Self::new()
    }
}

impl RigBuilder {
    /// Adds the display plugin under a name, as the reference `agent.toml` has it.
    #[must_use]
    pub fn display(self, name: &str) -> Self {
        self.reference("display", name, "")
    }

    /// Adds a plugin of the reference `agent.toml` under a name, with changes to its table, in TOML.
    ///
    /// # Panics
    /// When there is no such plugin, or the changes are no TOML.
    #[must_use]
    pub fn reference(self, plugin: &str, name: &str, changes: &str) -> Self {
        let reference: Table = include_str!("../../agent.toml").parse().expect("agent.toml is TOML");
        let mut table = reference["plugins"][plugin].as_table().expect("a table").clone();
        table.remove("component");
        merge(&mut table, changes.parse().expect("the changes are TOML"));
        // Tables in tables are written in braces, because this one is not where it will stand.
        let lines: String = table.iter().map(|(key, value)| format!("{key} = {}\n", inline(value))).collect();
        self.component(name, plugin_component(plugin), &lines)
    }

    /// Adds a plugin by its bytes, with further lines of its table.
    #[must_use]
    pub fn plugin(self, name: &str, component: &[u8], table: &str) -> Self {
        let path = self.setup.folder().join(format!("{name}.wasm"));
        std::fs::write(&path, component).expect("a component can be written");
        self.component(name, path, table)
    }

    /// Adds a plugin by its file, with further lines of its table.
    #[must_use]
    pub fn component(mut self, name: &str, component: PathBuf, table: &str) -> Self {
        self.plugins.push(PluginSpec { name: name.to_owned(), component, table: table.to_owned() });
        self
    }

    /// Replaces the headless desktop's outputs.
    #[must_use]
    pub fn outputs(mut self, outputs: Arc<dyn Outputs>) -> Self {
        self.desktop.outputs = outputs;
        self
    }

    /// Replaces the headless desktop.
    #[must_use]
    pub fn desktop(mut self, desktop: Desktop) -> Self {
        self.desktop = desktop;
        self
    }

    /// Has plugins compiled for something else than this machine.
    #[must_use]
    pub fn engine(mut self, engine: Target) -> Self {
        self.engine = engine;
        self
    }

    /// Has compiled components kept in a folder of their own, and not where those of all tests are.
    #[must_use]
    pub fn cache(mut self, folder: PathBuf) -> Self {
        self.cache = folder;
        self
    }

    /// Replaces the compiler.
    #[must_use]
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    fn agent_toml(&self) -> String {
        let mut text = format!("cache = {:?}\nengine = \"{}\"\n", self.cache, self.engine);
        for PluginSpec { name, component, table } in &self.plugins {
            text += &format!("[plugins.{name}]\ncomponent = {component:?}\n{table}\n");
        }
        text
    }

    /// Starts the agent.
    ///
    /// # Panics
    /// When the configuration is wrong or the agent does not start.
    #[must_use]
    pub fn start(self) -> Rig {
        let text = self.agent_toml();
        let Setup { host, device, folder } = self.setup;
        let path = folder.path().join("agent.toml");
        std::fs::write(&path, text).expect("a file can be written");
        let config =
            Config::load(&path).unwrap_or_else(|error| panic!("The rig's configuration is wrong: {error}"));
        let driver: Arc<dyn Driver> = Arc::new(device.session());
        let agent =
            Agent::start(&config, driver, self.desktop.clone(), self.compiler).expect("the agent starts");
        let names = self.plugins.into_iter().map(|plugin| plugin.name).collect();
        Rig { host, device, desktop: self.desktop, names, agent: Some(agent), folder }
    }
}

impl Rig {
    /// A rig with the display plugin on a headless desktop.
    #[must_use]
    pub fn with_display(name: &str) -> Self {
        Setup::new().rig().display(name).start()
    }

    /// How many plugins run, of how many that were to.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        self.agent.as_ref().map_or((0, 0), Agent::running)
    }

    /// The agent's configuration as it is read.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn agent_toml(&self) -> String {
        std::fs::read_to_string(self.file("agent.toml")).expect("the rig wrote it")
    }

    /// The place of a file of the rig's: `agent.toml`, or `NAME.wasm` of a plugin that was given by its bytes.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the agent's configuration and has it read.
    ///
    /// # Panics
    /// When there is no agent.
    pub fn reload(&self, agent_toml: &str) -> Result<Reloaded, ConfigError> {
        std::fs::write(self.file("agent.toml"), agent_toml).expect("a file can be written");
        self.agent.as_ref().expect("it runs").reload()
    }

    /// The agent, until it is stopped.
    #[must_use]
    pub fn agent(&self) -> Option<&Agent> {
        self.agent.as_ref()
    }

    /// How a plugin fares.
    ///
    /// # Panics
    /// When there is none of this name.
    #[must_use]
    pub fn state(&self, plugin: &str) -> State {
        let states = self.agent.as_ref().map(Agent::states).unwrap_or_default();
        let state = states.into_iter().find(|(name, _)| **name == *plugin);
        state.unwrap_or_else(|| panic!("There is no plugin {plugin}")).1
    }

    /// What all plugins wait to announce, because another agent has it.
    #[must_use]
    pub fn awaited_by_all(&self) -> Capabilities {
        self.agent.as_ref().map_or(Capabilities::empty(), Agent::awaited_by_all)
    }

    /// Serves the agent's control socket, for as long as what is returned lives, and says where it is.
    ///
    /// # Panics
    /// When it cannot be served, or the agent was stopped.
    #[must_use]
    pub fn control(&self) -> (Control, PathBuf) {
        let path = self.folder.path().join("control/control.sock");
        let facts = Facts {
            version: "test".to_owned(),
            process: std::process::id(),
            driver: "simulated".to_owned(),
            desktop: "headless".to_owned(),
            engine: Target::default(),
            config: "none".to_owned(),
        };
        let board = self.agent.as_ref().expect("the agent runs").board().clone();
        let reload = Arc::new(|| Err("a rig has no configuration file".to_owned()));
        (Control::start(&path, facts, board, reload).expect("the socket is served"), path)
    }

    /// Where a test may put files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until the guest has told its host what is wanted.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_guest(&self, what: &str, wanted: impl FnMut(&GuestReport) -> bool) -> GuestReport {
        self.host.wait_guest(PATIENCE, wanted).unwrap_or_else(|_| {
            panic!("Not within {PATIENCE:?}: {what}; the guest reported {:#?}", self.host.guest())
        })
    }

    /// Asks for a width of display 0 that it does not have, and waits until the display plugin has
    /// followed.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn follows(&self, width: u32) {
        let since = self.host.journal_position();
        self.host.set_video_mode_hint(Hint::new(0, width, 700)).expect("display 0 exists");
        self.host
            .wait_request(since, PATIENCE, |seen| {
                seen.request_type == RequestType::VIDEO_UPDATE_MONITOR_POSITIONS
                    && seen.status == Some(Status::SUCCESS)
            })
            .expect("the guest follows and reports where the display is");
    }

    /// Asks for a width of display 0, and waits until the first output has it: what [`follows`](Self::follows)
    /// does, where others make so many requests that the host forgets one before it was looked for.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn shows(&self, width: u32) {
        self.host.set_video_mode_hint(Hint::new(0, width, 700)).expect("display 0 exists");
        eventually("the output has the width", || {
            let outputs = self.desktop.outputs.enumerate().unwrap_or_default();
            outputs.first().and_then(|output| output.area).is_some_and(|area| area.width == width)
        });
    }

    /// Stops the agent.
    pub fn stop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One cache for all tests of a user, so that a component is compiled once.
fn common_cache() -> PathBuf {
    std::env::temp_dir().join(format!("bellhop-tests-{}", nix::unistd::geteuid()))
}

/// Lays changes over a table: tables are merged, all else is replaced.
fn merge(table: &mut Table, changes: Table) {
    for (key, value) in changes {
        match (table.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(changes)) => merge(inner, changes),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

/// A value as it is written within a line.
fn inline(value: &Value) -> String {
    match value {
        Value::Table(table) => {
            let pairs: Vec<_> =
                table.iter().map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        other => other.to_string(),
    }
}

//! The agent as a whole: start, run, stop.

use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result};
use bellhop_desktop::Desktop;
use driver_core::wire::{Capabilities, Facility, FacilityStatus};
use driver_core::{Driver, requests};

use crate::config::{self, Config};
use crate::dispatch::Dispatcher;
use crate::ending::Ending;
use crate::host::World;
use crate::observe::{self, Board, Watched};
use crate::plugin::{Phase, Plugin, Started, State, Surroundings};
use crate::sandbox::cache::Cache;
use crate::sandbox::compile::Compiler;
use crate::sandbox::{Sandbox, engine};
use crate::sync::lock;

/// A running agent, until [`stop`](Agent::stop) ends it.
pub struct Agent {
    pub(crate) surroundings: Surroundings,
    /// The configuration that it was started with, and who may read it anew: one at a time.
    pub(crate) config: Mutex<Config>,
    /// None once it is to stop, so that none is added any more.
    plugins: Mutex<Option<Vec<Arc<Plugin>>>>,
    waiter: Mutex<Option<JoinHandle<()>>>,
}

impl Agent {
    /// Starts every plugin that is enabled, each on its own, and waits until each one runs or has
    /// failed to. One that fails keeps none of the others from running.
    ///
    /// # Errors
    /// When the sandbox or a thread cannot be had; never because of a plugin.
    pub fn start(
        config: &Config,
        driver: Arc<dyn Driver>,
        desktop: Desktop,
        compiler: Compiler,
    ) -> Result<Self> {
        let started = Instant::now();
        report(&*driver, FacilityStatus::INIT);
        let engine = engine::engine(config.engine).map_err(anyhow::Error::from);
        let engine = engine.context("Cannot start WebAssembly")?;
        let cache = Cache::new(config.cache.clone(), &engine, compiler);
        let sandbox = Sandbox::new(engine, cache).context("Cannot start the sandbox")?;
        let board = Board::new(started);
        let watched = Watched::new(driver.clone(), board.tap(observe::AGENT));
        let dispatcher = Arc::new(Dispatcher::new(Arc::new(watched)));
        let world = World { dispatcher: dispatcher.clone(), driver, desktop, started, board };
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .stack_size(256 * 1024)
            .spawn(move || dispatcher.run())
            .context("Cannot start the thread that waits for events")?;
        let agent = Self {
            surroundings: Surroundings { sandbox, world, ending: Arc::default() },
            config: Mutex::new(config.clone()),
            plugins: Mutex::new(Some(Vec::new())),
            waiter: Mutex::new(Some(waiter)),
        };

        let (sender, receiver) = mpsc::channel();
        for plugin in config.plugins.iter().filter(|plugin| plugin.enabled) {
            agent.add(plugin, sender.clone())?;
        }
        drop(sender);
        // Each plugin sends once and then drops its sender, as does one whose thread panics.
        receiver.iter().for_each(drop);
        agent.surroundings.world.dispatcher.settle();
        report(&*agent.surroundings.world.driver, FacilityStatus::ACTIVE);
        Ok(agent)
    }

    /// How many plugins run, of how many that were to.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        let states = self.states();
        let running = states.iter().filter(|(_, state)| state.phase == Phase::Running);
        (running.count(), states.len())
    }

    /// How each plugin fares, by its name.
    #[must_use]
    pub fn states(&self) -> Vec<(Arc<str>, State)> {
        let plugins = self.lock();
        plugins.iter().flatten().map(|plugin| (plugin.name().clone(), plugin.state())).collect()
    }

    /// The end that a plugin's failure may demand.
    #[must_use]
    pub fn ending(&self) -> &Ending {
        &self.surroundings.ending
    }

    /// What can be seen of it while it runs.
    #[must_use]
    pub fn board(&self) -> &Arc<Board> {
        &self.surroundings.world.board
    }

    /// What every plugin that runs waits for, because another agent has it for itself: while that is so,
    /// none of them can work. Nothing when one can.
    #[must_use]
    pub fn awaited_by_all(&self) -> Capabilities {
        self.surroundings.world.dispatcher.awaited_by_all()
    }

    /// Whether events are still taken from the device and handed on. One that hangs does not return.
    #[must_use]
    pub fn is_well(&self) -> bool {
        let _ = self.awaited_by_all();
        let waiter = lock(&self.waiter);
        waiter.as_ref().is_some_and(|waiter| !waiter.is_finished())
    }

    /// Leaves announced what is, from now on, whatever becomes of the plugins: somebody keeps it for the
    /// next process, and withdraws it when there is none.
    pub fn leave_capabilities(&self) {
        self.surroundings.world.dispatcher.leave_capabilities();
    }

    /// Stops all plugins, withdraws what was subscribed and announced, and tells the host. The second time
    /// it does nothing.
    pub fn stop(&self) {
        let Some(plugins) = self.lock().take() else { return };
        let World { driver, dispatcher, .. } = &self.surroundings.world;
        report(&**driver, FacilityStatus::TERMINATING);
        plugins.iter().for_each(|plugin| plugin.stop());
        plugins.iter().for_each(|plugin| plugin.join());
        dispatcher.stop();
        let waiter = lock(&self.waiter).take();
        if waiter.is_some_and(|waiter| waiter.join().is_err()) {
            tracing::error!("The thread that waits for events panicked");
        }
        report(&**driver, FacilityStatus::TERMINATED);
    }

    /// Starts a plugin, and returns at once.
    pub(crate) fn add(&self, plugin: &config::Plugin, started: mpsc::Sender<Started>) -> Result<()> {
        let mut plugins = self.lock();
        let plugins = plugins.as_mut().context("The agent is stopping")?;
        let spawned = Plugin::spawn(plugin.clone(), self.surroundings.clone(), started);
        plugins
            .push(Arc::new(spawned.with_context(|| format!("Cannot start a thread for {}", plugin.name))?));
        Ok(())
    }

    /// The plugin of a name.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Plugin>> {
        self.lock().iter().flatten().find(|plugin| **plugin.name() == *name).cloned()
    }

    /// Takes plugins out, which are not stopped by that.
    pub(crate) fn remove(&self, which: impl Fn(&Plugin) -> bool) -> Vec<Arc<Plugin>> {
        let mut plugins = self.lock();
        let Some(plugins) = plugins.as_mut() else { return Vec::new() };
        plugins.extract_if(.., |plugin| which(plugin)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Arc<Plugin>>>> {
        lock(&self.plugins)
    }
}

/// Tells the host how the agent fares, as its predecessor VBoxService does. A host that does not want
/// to know is no reason to stop.
fn report(driver: &dyn Driver, status: FacilityStatus) {
    if let Err(error) = requests::report_status(driver, Facility::SERVICE, status) {
        tracing::debug!("{error}");
    }
}

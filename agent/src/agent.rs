//! The agent as a whole: start, run, stop.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::{Context, Result};
use bellhop_desktop::Desktop;
use driver_core::wire::{Capabilities, Facility, FacilityStatus};
use driver_core::{Driver, requests};

use crate::config::Config;
use crate::dispatch::Dispatcher;
use crate::ending::Ending;
use crate::host::World;
use crate::observe::{self, Board, Watched};
use crate::plugin::{Plugin, Started, State, Surroundings};
use crate::sandbox::cache::Cache;
use crate::sandbox::compile::Compiler;
use crate::sandbox::{Sandbox, engine};

/// A running agent. [`stop`](Agent::stop) ends it.
pub struct Agent {
    driver: Arc<dyn Driver>,
    dispatcher: Arc<Dispatcher>,
    board: Arc<Board>,
    waiter: JoinHandle<()>,
    plugins: Vec<Plugin>,
    ending: Arc<Ending>,
    running: usize,
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
        let engine = engine::engine().map_err(anyhow::Error::from).context("Cannot start WebAssembly")?;
        let cache = Cache::new(config.cache.clone(), &engine, compiler);
        let sandbox = Sandbox::new(engine, cache).context("Cannot start the sandbox")?;
        let board = Board::new(started);
        let watched = Watched::new(driver.clone(), board.tap(observe::AGENT));
        let dispatcher = Arc::new(Dispatcher::new(Arc::new(watched)));
        let world = World {
            dispatcher: dispatcher.clone(),
            driver: driver.clone(),
            desktop,
            started,
            board: board.clone(),
        };
        let ending = Arc::new(Ending::default());
        let surroundings = Surroundings { sandbox, world, ending: ending.clone() };
        let waiter = std::thread::Builder::new()
            .name("waiter".into())
            .stack_size(256 * 1024)
            .spawn({
                let dispatcher = dispatcher.clone();
                move || dispatcher.run()
            })
            .context("Cannot start the thread that waits for events")?;

        let (sender, receiver) = mpsc::channel();
        let mut plugins = Vec::new();
        for plugin in config.plugins.iter().filter(|plugin| plugin.enabled) {
            let spawned = Plugin::spawn(plugin.clone(), surroundings.clone(), sender.clone());
            plugins.push(spawned.with_context(|| format!("Cannot start a thread for {}", plugin.name))?);
        }
        drop(sender);
        // Each plugin sends once and then drops its sender, as does one whose thread panics.
        let running = receiver.iter().filter(|started| *started == Started::Running).count();
        report(&*driver, FacilityStatus::ACTIVE);
        Ok(Self { driver, dispatcher, board, waiter, plugins, ending, running })
    }

    /// How many plugins run, of how many that were to.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        (self.running, self.plugins.len())
    }

    /// How each plugin fares, by its name.
    #[must_use]
    pub fn states(&self) -> Vec<(Arc<str>, State)> {
        self.plugins.iter().map(|plugin| (plugin.name().clone(), plugin.state())).collect()
    }

    /// The end that a plugin's failure may demand.
    #[must_use]
    pub fn ending(&self) -> &Ending {
        &self.ending
    }

    /// What every plugin that runs waits for, because another agent has it for itself: while that is so,
    /// none of them can work. Nothing when one can.
    #[must_use]
    pub fn awaited_by_all(&self) -> Capabilities {
        self.dispatcher.awaited_by_all()
    }

    /// Stops all plugins, withdraws what was subscribed and announced, and tells the host.
    pub fn stop(self) {
        report(&*self.driver, FacilityStatus::TERMINATING);
        for plugin in &self.plugins {
            plugin.stop();
        }
        self.plugins.into_iter().for_each(Plugin::join);
        self.dispatcher.stop();
        if self.waiter.join().is_err() {
            tracing::error!("The thread that waits for events panicked");
        }
        report(&*self.driver, FacilityStatus::TERMINATED);
    }
}

/// Tells the host how the agent fares, as its predecessor VBoxService does. A host that does not want
/// to know is no reason to stop.
fn report(driver: &dyn Driver, status: FacilityStatus) {
    if let Err(error) = requests::report_status(driver, Facility::SERVICE, status) {
        tracing::debug!("{error}");
    }
}

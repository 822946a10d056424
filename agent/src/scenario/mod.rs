//! Scenarios: a TOML file plays the host, and a plugin is tested without a machine.
//!
//! A scenario and a [replay](crate::replay) are two prompters on one stage (`replay::stage`): a component
//! whose every import is answered from outside, and whose every export can be called, with values as JSON by
//! the types of the component. A replay's prompter is a tape, which has what was asked for and answered once. A
//! scenario's is a `world`, which is told what to expect and how to answer by the steps of the file, knows what
//! the plugin's grants and limits allow, and has virtual time. A record becomes a scenario by [`from_record`].
//!
//! `file` reads the file, whose plugin is a table as in `agent.toml`, read by the same code; `step` understands
//! its steps, by the component's types, before any is played; `life` plays them, and does to the plugin what
//! the agent would; `pattern` compares values; [`cost`] counts. Nothing depends on the machine, its clock or
//! chance: a scenario does the same at every run, and a call that runs on is ended after so many instructions.

pub mod cost;
mod file;
mod from_record;
mod life;
mod pattern;
mod report;
mod step;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::config::ConfigError;
use crate::replay::ReplayError;
use crate::sandbox::admission::{self, Refusal};
use crate::sandbox::engine;
use cost::Cost;
use life::{Life, Theatre};

pub use from_record::from_record;
pub use report::{Failure, Played, Report};

/// Why scenarios cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The file cannot be read.
    #[error("Cannot read the scenarios {path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is wrong: all that was found.
    #[error(transparent)]
    Wrong(ConfigError),
    /// The component does not fit its grants, or is none.
    #[error("{component}: {refusal}", component = component.display())]
    Refused {
        /// The component.
        component: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The component cannot be played.
    #[error("{component}: {error}", component = component.display())]
    Component {
        /// The component.
        component: PathBuf,
        /// Why.
        error: ReplayError,
    },
    /// Nothing can be played on this machine.
    #[error("Cannot make the engine: {0:#}")]
    Engine(wasmtime::Error),
}

/// Plays the scenarios of a file.
///
/// ```no_run
/// let report = bellhop_agent::scenario::run("scenarios/display.toml".as_ref()).expect("it can be played");
/// assert!(report.is_well(), "{report}");
/// ```
///
/// # Errors
/// When the file or the component that it names is wrong. A scenario that fails is not an error: see
/// [`Report::is_well`].
pub fn run(path: &Path) -> Result<Report, ScenarioError> {
    let file = file::read(path)?;
    let plugin = &file.plugin;
    let component = || plugin.component.clone();
    let refused = |refusal| ScenarioError::Refused { component: component(), refusal };
    let bytes = admission::read(plugin).map_err(refused)?;
    admission::examine(&bytes, &plugin.authority).map_err(refused)?;

    let begun = Instant::now();
    let engine = engine::author().map_err(ScenarioError::Engine)?;
    let stage = prepare(&engine, &bytes)
        .map_err(|error| ScenarioError::Component { component: component(), error })?;
    let mut cost = Cost::of(bytes.len(), begun.elapsed());

    let scenarios = file.understand(&stage)?;
    let play = |(name, steps): &(String, Vec<_>)| Life::new(&stage, plugin, name, &mut cost).play(steps);
    let scenarios = scenarios.iter().map(play).collect();
    Ok(Report { path: path.to_owned(), scenarios, cost })
}

/// Compiles a component, here and now: it is its author who waits.
fn prepare(engine: &Engine, bytes: &[u8]) -> Result<Theatre, ReplayError> {
    Theatre::new(engine, &Component::new(engine, bytes)?, true)
}

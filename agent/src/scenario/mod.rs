//! Scenarios: a TOML file plays the host, and a plugin is tested without a machine.
//!
//! A scenario and a [replay](crate::replay) are two prompters on one stage (`replay::stage`): a component
//! whose every import is answered from outside, and whose every export can be called, with values as JSON by
//! the types of the component. A replay's prompter is a tape, which has what was asked for and answered once. A
//! scenario's is a `world`, which is told what to expect and how to answer by the steps of the file, knows what
//! the plugin's grants and limits allow, and has virtual time. A record becomes a scenario by [`from_record()`].
//!
//! `file` reads the file, whose plugin is a table as in `agent.toml`, read by the same code; `step` understands
//! its steps, by the component's types, before any is played; `life` plays them, and does to the plugin what
//! the agent would; `check` looks what is so; `pattern` compares values; [`cost`] counts. Nothing depends on the machine, its clock or
//! chance: a scenario does the same at every run, and a call that runs on is ended after so many instructions.

mod check;
pub mod cost;
mod file;
mod from_record;
mod life;
mod pattern;
mod report;
mod step;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use wasmtime::component::Component;

use crate::config::{ConfigError, Plugin};
use crate::replay::ReplayError;
use crate::sandbox::admission::{self, Refusal};
use crate::sandbox::engine;
use cost::Cost;
use life::{Life, Theatre};
use step::Step;

pub use from_record::from_record;
pub use report::{Failure, Played, Report};

/// How long scenarios are played for a profile.
const PROFILED: Duration = Duration::from_secs(3);

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
    let (stage, _, mut cost) = prepare(&file.plugin)?;
    let scenarios = file.understand(&stage)?;
    let scenarios = play(&file.plugin, &scenarios, &stage, &mut cost);
    Ok(Report { path: path.to_owned(), scenarios, cost })
}

/// Plays the scenarios of a file again and again for a few seconds, and writes which of the plugin's functions ran
/// meanwhile, as <https://profiler.firefox.com> reads it: looked at every [`TICK`].
///
/// [`TICK`]: crate::sandbox::ticker::TICK
///
/// # Errors
/// When they cannot be played, or the profile cannot be written.
pub fn profile(path: &Path, output: impl Write) -> Result<(), ScenarioError> {
    let file = file::read(path)?;
    let (stage, component, mut cost) = prepare(&file.plugin)?;
    let unfit = |error: wasmtime::Error| ScenarioError::Component {
        component: file.plugin.component.clone(),
        error: error.into(),
    };
    let stage = stage.profiled(&file.plugin.name, &component).map_err(unfit)?;
    let scenarios = file.understand(&stage)?;
    let end = Instant::now() + PROFILED;
    while Instant::now() < end {
        play(&file.plugin, &scenarios, &stage, &mut cost);
    }
    stage.write_profile(output).map_err(unfit)
}

fn play(plugin: &Plugin, scenarios: &[(String, Vec<Step>)], stage: &Theatre, cost: &mut Cost) -> Vec<Played> {
    scenarios.iter().map(|(name, steps)| Life::new(stage, plugin, name, cost).play(steps)).collect()
}

/// Admits a plugin's component as the agent would, and compiles it, here and now: it is its author who waits.
fn prepare(plugin: &Plugin) -> Result<(Theatre, Component, Cost), ScenarioError> {
    let refused = |refusal| ScenarioError::Refused { component: plugin.component.clone(), refusal };
    let bytes = admission::read(plugin).map_err(refused)?;
    admission::examine(&bytes, &plugin.authority).map_err(refused)?;
    let begun = Instant::now();
    let engine = engine::author().map_err(ScenarioError::Engine)?;
    let prepared = Component::new(&engine, &bytes)
        .map_err(ReplayError::from)
        .and_then(|component| Ok((Theatre::new(&engine, &component, true)?, component)));
    let (stage, component) =
        prepared.map_err(|error| ScenarioError::Component { component: plugin.component.clone(), error })?;
    Ok((stage, component, Cost::of(bytes.len(), begun.elapsed())))
}

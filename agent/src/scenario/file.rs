//! A file of scenarios: the plugin, as in `agent.toml`, and what is to be played.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use super::ScenarioError;
use super::life::Theatre;
use super::step::{self, Step, StepTable, Wrong};
use crate::config::{self, ConfigError, Limits, LimitsTable, MANIFEST, Manifest, Plugin, PluginTables};

/// The whole file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    #[serde(default)]
    limits: LimitsTable,
    #[serde(default)]
    plugins: PluginTables,
    /// How every scenario begins.
    #[serde(default)]
    before: Vec<Spanned<StepTable>>,
    #[serde(default)]
    scenario: Vec<ScenarioTable>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ScenarioTable {
    name: Spanned<String>,
    steps: Vec<Spanned<StepTable>>,
}

/// A file whose plugin makes sense, and whose steps are not yet understood.
pub(super) struct File {
    path: PathBuf,
    text: String,
    pub(super) plugin: Plugin,
    before: Vec<Spanned<StepTable>>,
    scenarios: Vec<ScenarioTable>,
}

/// Reads a file.
pub(super) fn read(path: &Path) -> Result<File, ScenarioError> {
    let text = config::read(path).map_err(|error| match error {
        ConfigError::Unreadable { path, error } => ScenarioError::Unreadable { path, error },
        wrong @ ConfigError::Wrong { .. } => ScenarioError::Wrong(wrong),
    })?;
    let written: Written = toml::from_str(&text)
        .map_err(|error| ScenarioError::Wrong(ConfigError::malformed(path, &text, &error)))?;
    let mut found = Vec::new();
    let limits = written.limits.over(Limits::default(), &mut found);
    let count = written.plugins.len();
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut plugins = config::plugins(written.plugins, folder, limits, &mut found);
    match project(folder) {
        Some(project) if count == 0 => {
            plugins.push(Manifest::load(&project).map_err(ScenarioError::Wrong)?.plugin);
        }
        _ if count == 1 => {}
        _ => {
            let text = format!(
                "a file of scenarios has one table [plugins.NAME], as agent.toml has, or stands in a plugin's \
                 project; found {count}"
            );
            found.push(Spanned::new(0..0, text));
        }
    }
    if written.scenario.is_empty() {
        found.push(Spanned::new(0..0, "there is no [[scenario]] here".to_owned()));
    }
    match plugins.pop() {
        Some(plugin) if found.is_empty() => Ok(File {
            path: path.to_owned(),
            text,
            plugin,
            before: written.before,
            scenarios: written.scenario,
        }),
        _ => Err(wrong(path, &text, found)),
    }
}

/// The folder of the project that scenarios in this folder belong to: it, or the one around it.
fn project(folder: &Path) -> Option<PathBuf> {
    let folders = [folder.to_owned(), folder.join("..")];
    folders.into_iter().find(|folder| folder.join(MANIFEST).is_file())
}

impl File {
    /// The scenarios, by their names, with steps that fit the component.
    pub(super) fn understand(&self, stage: &Theatre) -> Result<Vec<(String, Vec<Step>)>, ScenarioError> {
        let mut found = Vec::new();
        let line = |at: usize| self.text.get(..at).map_or(0, |before| before.matches('\n').count()) + 1;
        let mut understand = |steps: &[Spanned<StepTable>]| {
            let understood = steps.iter().filter_map(|step| {
                step::understand(step, stage, line).map_err(|wrong| found.push(wrong)).ok()
            });
            understood.collect::<Vec<_>>()
        };
        let before = understand(&self.before);
        let mut scenarios = Vec::new();
        for ScenarioTable { name, steps } in &self.scenarios {
            let steps = [before.clone(), understand(steps)].concat();
            scenarios.push((name.get_ref().clone(), steps));
        }
        if found.is_empty() { Ok(scenarios) } else { Err(wrong(&self.path, &self.text, found)) }
    }
}

fn wrong(path: &Path, text: &str, found: Vec<Wrong>) -> ScenarioError {
    ScenarioError::Wrong(ConfigError::wrong(path, text, found))
}

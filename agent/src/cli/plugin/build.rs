//! `bellhop plugin build`: from sources to a component, as the plugin's own manifest says.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use bellhop_agent::config::{Build, MANIFEST, Manifest};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use super::{Verdict, check, place, read};

pub(super) fn build(folder: &Path) -> Result<Verdict> {
    let manifest = Manifest::load(folder)?;
    let Build { needs, run, makes } = &manifest.build;
    if run.is_empty() || makes.as_os_str().is_empty() {
        bail!(
            "{} does not say how to build {}: give it a table [build] with `run`, a list of commands, and \
             `makes`, the file that they make",
            folder.join(MANIFEST).display(),
            manifest.plugin.name
        );
    }
    let missing: Vec<_> = needs.iter().filter(|need| find(&need.program).is_none()).collect();
    if !missing.is_empty() {
        let lines = missing.iter().map(|need| format!("\n  {}: {}", need.program, need.get));
        bail!("To build {}, this is missing:{}", manifest.plugin.name, lines.collect::<String>());
    }
    for command in run {
        execute(command, folder)?;
    }
    let made = folder.join(makes);
    let bytes = read(&made).context("The commands of [build] did not make what `makes` says")?;
    let component = component(bytes).with_context(|| format!("Cannot use {}", made.display()))?;
    place(&manifest.plugin.component, &component)?;
    check::show(&manifest.plugin.component, &component, &manifest)
}

/// Runs a command in a folder, with what it prints on the screen.
fn execute(command: &[String], folder: &Path) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("An empty command in `run`") };
    let line = command.join(" ");
    say!("$ {line}");
    let status = Command::new(program).args(arguments).current_dir(folder).status();
    match status.with_context(|| format!("Cannot run `{line}`"))? {
        status if status.success() => Ok(()),
        status => bail!("`{line}` failed: {status}"),
    }
}

/// A component is taken as it is; a module becomes one, by the types that its bindings left in it.
fn component(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if !Parser::is_core_wasm(&bytes) {
        return Ok(bytes);
    }
    let encoder = ComponentEncoder::default().module(&bytes)?;
    encoder.validate(true).encode().context("No component can be made of the module")
}

/// Where a program is on the search path.
fn find(program: &str) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(OsStr::new(program))).find(|file| file.is_file())
}

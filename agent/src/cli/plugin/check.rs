//! `bellhop plugin check`: what is this plugin, and would it be let in?

use std::path::Path;

use anyhow::Result;
use bellhop_agent::config::Manifest;
use bellhop_agent::sandbox::admission;

use super::{Subject, Verdict, size};
use crate::cli::explain;

pub(super) fn check(path: &Path) -> Result<Verdict> {
    let subject = Subject::find(path)?;
    show(&subject.path, &subject.bytes, &subject.manifest)
}

/// Says all of it of a component, and whether it fits what its manifest asks for.
pub(super) fn show(path: &Path, bytes: &[u8], manifest: &Manifest) -> Result<Verdict> {
    let plugin = &manifest.plugin;
    let description = match &*manifest.description {
        "" => String::new(),
        text => format!(": {text}"),
    };
    say!("{} {}{description}", plugin.name, manifest.version);
    say!("Held against {} and the grants in its manifest", admission::contract_name());
    let verdict = explain::show(path, bytes, Some(plugin))?;
    let most = plugin.limits.component_size;
    if bytes.len() as u64 > most.0 {
        say!("\nIt would not be run: it has {}, and its `component-size` is {most}", size(bytes.len()));
        return Ok(Verdict::Wrong);
    }
    Ok(verdict)
}

//! `bellhop explain`: what could this component do?

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellhop_agent::config::Plugin;
use bellhop_agent::grants::Authority;
use bellhop_agent::sandbox::admission;
use bellhop_agent::sandbox::cache::digest;
use bellhop_agent::sandbox::surface::{InterfaceName, Surface};
use clap::Args;

use super::{ConfigOption, Verdict, authority, load};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A plugin's name in agent.toml, or a component's file
    #[arg(value_name = "PLUGIN")]
    plugin: String,
    #[command(flatten)]
    config: ConfigOption,
}

pub(super) fn explain(options: &Options) -> Result<Verdict> {
    // A path is one that looks like one: a plugin's name has neither dots nor slashes.
    if options.plugin.contains(['.', '/']) {
        let path = PathBuf::from(&options.plugin);
        let bytes = std::fs::read(&path).with_context(|| format!("Cannot read {}", path.display()))?;
        return show(&path, &bytes, None);
    }
    let config = load(&options.config.config)?;
    let Some(plugin) = config.plugins.iter().find(|plugin| plugin.name == options.plugin) else {
        let names: Vec<_> = config.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        bail!(
            "Cannot explain {}: {} has no such plugin; it has {}",
            options.plugin,
            options.config.config.display(),
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        );
    };
    match admission::read(plugin) {
        Ok(bytes) => show(&plugin.component, &bytes, Some(plugin)),
        Err(refusal) => {
            say!("{}: {refusal}", plugin.component.display());
            Ok(Verdict::Wrong)
        }
    }
}

/// Says all of it of a component, and holds it against a plugin's grants.
pub(super) fn show(path: &Path, bytes: &[u8], plugin: Option<&Plugin>) -> Result<Verdict> {
    say!("{}  {} bytes\nsha256 {}", path.display(), bytes.len(), digest(bytes));
    let surface = match Surface::of_component(bytes) {
        Ok(surface) => surface,
        Err(refusal) => {
            say!("{refusal}");
            return Ok(Verdict::Wrong);
        }
    };
    say!("{}", imports(&surface, plugin.map(|plugin| &plugin.authority)));
    say!("{}", exports(&surface));
    let Some(plugin) = plugin else { return Ok(Verdict::Well) };
    for (verb, what) in authority::in_words(&plugin.authority) {
        say!("May {verb:<9} {what}");
    }
    for limits in limits(plugin) {
        say!("May use       {limits}");
    }
    let unused = admission::unused(&surface, &plugin.authority);
    if !unused.is_empty() {
        say!("\nGranted and not used: {}", unused.join(", "));
    }
    let mismatches = admission::mismatches(&surface, &plugin.authority);
    if mismatches.is_empty() {
        return Ok(Verdict::Well);
    }
    say!("\nIt would not be run:");
    for mismatch in mismatches {
        say!("  - {mismatch}");
    }
    Ok(Verdict::Wrong)
}

/// What a plugin may use, in words.
fn limits(plugin: &Plugin) -> Vec<String> {
    let limits = &plugin.limits;
    let mut words = vec![
        format!(
            "{} of memory, {} of buffers, {} handles, {} timers",
            limits.memory, limits.buffers, limits.handles, limits.timers
        ),
        format!(
            "{} of processor time and {} in all for each event",
            limits.cpu_per_event, limits.wall_per_event
        ),
        format!("{} requests and {} of log a second", limits.requests_per_second, limits.log_per_second),
    ];
    // Who may call no service has no calls to be counted.
    if !plugin.authority.hgcm.is_empty() {
        words.push(format!(
            "{} connections to services, {} calls at a time with {} of parameters",
            limits.hgcm_clients, limits.calls, limits.call_bytes
        ));
    }
    words
}

fn imports(surface: &Surface, authority: Option<&Authority>) -> String {
    let mut text = String::from("\nImports\n");
    if surface.imports.is_empty() {
        text.push_str("  nothing\n");
    }
    let width = widest(surface.imports.keys());
    for (name, functions) in &surface.imports {
        // An interface of nothing but types gives no authority.
        if functions.is_empty() && admission::offered(name).is_some() {
            continue;
        }
        let standing = match (admission::offered(name), authority) {
            (None, _) => "not to be had".to_owned(),
            (Some((interface, _)), _) if interface.key.is_none() => "always there".to_owned(),
            (Some((interface, _)), None) => format!("needs {}", admission::grant(interface)),
            (Some((interface, _)), Some(authority)) if authority.has_interface(interface.name) => {
                format!("granted by {}", admission::grant(interface))
            }
            (Some((interface, _)), Some(_)) => format!("NOT GRANTED: needs {}", admission::grant(interface)),
        };
        let _ = writeln!(text, "  {:width$}  {standing}", name.to_string());
        for function in functions.keys() {
            let _ = writeln!(text, "    {function}");
        }
    }
    text
}

fn exports(surface: &Surface) -> String {
    let mut text = String::from("Exports\n");
    for (name, functions) in &surface.exports {
        let _ = writeln!(text, "  {name}");
        for function in functions.keys() {
            let _ = writeln!(text, "    {function}");
        }
    }
    text
}

fn widest<'a>(names: impl Iterator<Item = &'a InterfaceName>) -> usize {
    names.map(|name| name.to_string().len()).max().unwrap_or(0)
}

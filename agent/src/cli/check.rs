//! `bellhop check`: is `agent.toml` right, and does each component fit its grants?

use std::path::Path;

use anyhow::Result;
use bellhop_agent::grants::Authority;
use bellhop_agent::sandbox::admission;

use super::{Verdict, load};

pub(super) fn check(path: &Path) -> Result<Verdict> {
    let config = load(path)?;
    let mut verdict = Verdict::Well;
    for plugin in &config.plugins {
        let name = &plugin.name;
        if !plugin.enabled {
            println!("{name}: switched off");
            continue;
        }
        match admission::read(plugin).and_then(|bytes| admission::examine(&bytes, &plugin.authority)) {
            Ok(surface) => {
                println!("{name}: fits its grants: {}", authority(&plugin.authority));
                for grant in admission::unused(&surface, &plugin.authority) {
                    println!("{name}: does not use {grant}; it can go");
                }
            }
            Err(refusal) => {
                verdict = Verdict::Wrong;
                println!("{name}: {}: {refusal}", plugin.component.display());
            }
        }
    }
    let count = config.plugins.len();
    let plugins = if count == 1 { "plugin" } else { "plugins" };
    match verdict {
        Verdict::Well => println!("{}: {count} {plugins}, all well", path.display()),
        Verdict::Wrong => println!("{}: a plugin would not be run; see above", path.display()),
    }
    Ok(verdict)
}

/// What a plugin may do, in one line.
fn authority(authority: &Authority) -> String {
    let interfaces: Vec<_> = authority.linked().map(|interface| interface.name).collect();
    format!(
        "imports {}; hears {}; announces {}",
        interfaces.join(", "),
        authority.events,
        authority.capabilities
    )
}

//! `bellhop check`: is `agent.toml` right, and does each component fit its grants?

use std::path::Path;

use anyhow::Result;
use bellhop_agent::config::Process;
use bellhop_agent::confine::{self, Confine};
use bellhop_agent::grants::Authority;
use bellhop_agent::sandbox::admission;

use super::{Verdict, authority, load};

pub(super) fn check(path: &Path) -> Result<Verdict> {
    let config = load(path)?;
    let mut verdict = Verdict::Well;
    for plugin in &config.plugins {
        let name = &plugin.name;
        if !plugin.enabled {
            say!("{name}: switched off");
            continue;
        }
        match admission::read(plugin).and_then(|bytes| admission::examine(&bytes, &plugin.authority)) {
            Ok(surface) => {
                say!("{name}: fits its grants: {}", in_one_line(&plugin.authority));
                for grant in admission::unused(&surface, &plugin.authority) {
                    say!("{name}: does not use {grant}; it can go");
                }
                for denied in admission::denied_for_nothing(&surface, &plugin.authority) {
                    say!("{name}: does not import {denied}, which is denied; it can go from `denied`");
                }
            }
            Err(refusal) => {
                verdict = Verdict::Wrong;
                say!("{name}: {}: {refusal}", plugin.component.display());
            }
        }
    }
    confinement(&config.process);
    let count = config.plugins.len();
    let plugins = if count == 1 { "plugin" } else { "plugins" };
    match verdict {
        Verdict::Well => say!("{}: {count} {plugins}, all well", path.display()),
        _ => say!("{}: a plugin would not be run; see above", path.display()),
    }
    Ok(verdict)
}

/// What the daemon would give up on this machine, and what it would have to keep.
fn confinement(process: &Process) {
    if process.confine == Confine::Off {
        say!("confinement: off");
        return;
    }
    let (offers, lacks) = confine::offer();
    say!("confinement: this kernel can take away {}", offers.join(", "));
    if !lacks.is_empty() {
        say!("confinement: it cannot take away {}", lacks.join(", "));
    }
}

/// What a plugin may do beyond what is always there, in one line.
fn in_one_line(authority: &Authority) -> String {
    let granted = authority.linked().filter(|interface| interface.key.is_some());
    let interfaces: Vec<_> = granted.map(|interface| interface.name).collect();
    let interfaces = if interfaces.is_empty() { "none".to_owned() } else { interfaces.join(", ") };
    let denied: Vec<_> = authority.denied().map(|interface| interface.name).collect();
    let denied = if denied.is_empty() { String::new() } else { format!("; is denied {}", denied.join(", ")) };
    let may = authority::in_words(authority).into_iter().map(|(verb, what)| format!("; may {verb} {what}"));
    format!("imports {interfaces}{denied}{}", may.collect::<String>())
}

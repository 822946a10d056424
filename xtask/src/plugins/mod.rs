//! Plugins: from crates below `plugins/` to components in `target/plugins/`.

mod debian;
mod linker;
mod rust_src;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};

pub use self::toolchain::{Choice, Toolchain};
use crate::cargo::{Package, Workspace};
use crate::{process, say};

/// The SDK stands beside the plugins and is none.
const SDK: &str = "plugins/sdk";

/// These are for tests, and stand with them.
const PROBES: [&str; 2] = ["tests/probe", "tests/wasi-probe"];

/// A component starts with this: the magic number of WebAssembly, and the version and layer that tell
/// a component from a core module.
const COMPONENT: [u8; 8] = *b"\0asm\x0d\0\x01\0";

/// The crates that are plugins.
pub fn all(workspace: &Workspace) -> Vec<&Package> {
    let is_plugin = |package: &&Package| {
        let folder = workspace.folder(package);
        (folder.starts_with("plugins/") && folder != SDK) || PROBES.contains(&&*folder)
    };
    workspace.packages.iter().filter(is_plugin).collect()
}

/// Builds one plugin, and says how large it became, and how long it took.
pub fn build(workspace: &Workspace, plugin: &Package, toolchain: &Toolchain) -> anyhow::Result<()> {
    let started = Instant::now();
    let library = library(workspace, plugin)?;
    process::run(toolchain.command(workspace).args(["--package", &plugin.name, "--profile", "plugin"]))?;
    let built =
        toolchain.target(workspace).join(toolchain::TARGET).join("plugin").join(format!("{library}.wasm"));
    let component = place(workspace, plugin);
    let size = copy_if_different(&built, &component)?;
    let (component, time) = (workspace.shown(&component), say::duration(started.elapsed()));
    println!("      {component}: {}, {time}", say::size(size));
    Ok(())
}

/// Where a plugin's component ends up. Always below the root, wherever cargo builds: `agent.toml`
/// names it by its place relative to itself.
fn place(workspace: &Workspace, plugin: &Package) -> PathBuf {
    workspace.root.join("target/plugins").join(format!("{}.wasm", plugin.name))
}

/// The file name of what the linker makes of the crate.
fn library(workspace: &Workspace, plugin: &Package) -> anyhow::Result<String> {
    let is_cdylib = |target: &&crate::cargo::Target| target.crate_types.iter().any(|t| t == "cdylib");
    match plugin.targets.iter().find(is_cdylib) {
        Some(target) => Ok(target.name.replace('-', "_")),
        None => bail!(
            "{}/Cargo.toml builds nothing that could be a component: give it a [lib] with \
             crate-type = [\"cdylib\"]",
            workspace.folder(plugin)
        ),
    }
}

/// Copies a component unless it is there already, so that its time stamp tells when it last changed.
fn copy_if_different(from: &Path, to: &Path) -> anyhow::Result<u64> {
    let bytes = fs::read(from).with_context(|| format!("Reading {}", from.display()))?;
    if !bytes.starts_with(&COMPONENT) {
        bail!("{} is a core module, not a component: the linker was not wasm-component-ld", from.display());
    }
    if fs::read(to).ok().as_ref() != Some(&bytes) {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("Making {}", folder.display()))?;
        }
        // Renamed into place, because a daemon may be watching: it must never see half of it.
        let partial = to.with_extension("wasm.partial");
        fs::write(&partial, &bytes).with_context(|| format!("Writing {}", partial.display()))?;
        fs::rename(&partial, to).with_context(|| format!("Writing {}", to.display()))?;
    }
    Ok(bytes.len() as u64)
}

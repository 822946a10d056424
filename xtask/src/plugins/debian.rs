//! Route 3: Debian's compiler for its web browsers, with the sources of its standard library.
//!
//! `rustc-web` and `rust-web-src` are kept in step with each other and are recent even in a stable
//! release. They are unpacked into a cache folder and not installed: that needs no root, and leaves
//! alone a machine whose own compiler they would displace. The compiler knows where it stands, and
//! finds its standard library and the sources beside itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use super::toolchain::{Compiler, Std, cache, holds_std};
use crate::cargo::{Workspace, version};
use crate::{packages, process};

const COMPILER: &str = "rustc-web";
const SOURCES: &str = "rust-web-src";

/// Unpacks the packages unless they are there already.
pub fn prepare(compiler: &Compiler, workspace: &Workspace) -> anyhow::Result<Std> {
    let needed = workspace.rust_version();
    let cache = cache()?;
    if let Some(root) = unpacked(&cache, needed) {
        return usable(&root, compiler);
    }
    for program in ["apt-get", "dpkg-deb"] {
        if process::find(program).is_none() {
            bail!("there is no {program} here");
        }
    }
    let candidate = candidate(needed)?;
    let packages = closure(&candidate)?;
    println!("      unpacking Debian's {} into {}", packages.join(", "), cache.display());
    let root = cache.join(format!("{COMPILER}-{candidate}"));
    packages::unpack(&packages, &root)?;
    usable(&root, compiler)
}

/// The version of the compiler that Debian offers here, if it is recent enough.
fn candidate((major, minor): (u32, u32)) -> anyhow::Result<String> {
    let offered = || -> anyhow::Result<Option<String>> {
        let answer = process::ask(packages::apt_cache().args(["policy", COMPILER]))?;
        Ok(parse_candidate(&answer).map(str::to_owned))
    };
    let recent = |text: &String| version(text).is_some_and(|found| found >= (major, minor));
    let mut found = offered()?;
    if !found.as_ref().is_some_and(recent) && packages::may_install().is_ok() {
        packages::update()?;
        found = offered()?;
    }
    match found {
        Some(found) if recent(&found) => Ok(found),
        Some(found) => bail!("{COMPILER} is {found} here, and {major}.{minor} is needed"),
        None => bail!("no {COMPILER} is offered here; `apt-get update` may help"),
    }
}

/// The compiler, its sources, and of what they need that which is not installed.
fn closure(candidate: &str) -> anyhow::Result<Vec<String>> {
    let plan = process::ask(
        packages::apt_get()
            .args(["install", "--simulate", "--no-install-recommends"])
            .args([COMPILER, SOURCES].map(|name| format!("{name}={candidate}"))),
    )?;
    let packages = packages::parse_plan(&plan);
    if !packages.iter().any(|package| package.starts_with(COMPILER)) {
        bail!("{COMPILER} is installed here: set RUSTC to it and RUSTC_BOOTSTRAP to 1 instead");
    }
    Ok(packages)
}

/// A compiler that was unpacked before and is recent enough.
fn unpacked(cache: &Path, needed: (u32, u32)) -> Option<PathBuf> {
    let entries = fs::read_dir(cache).ok()?.flatten();
    let versions = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let found = version(name.strip_prefix(COMPILER)?.strip_prefix('-')?)?;
        (found >= needed && !name.ends_with(".partial")).then(|| (found, entry.path()))
    });
    versions.max().map(|(_, root)| root)
}

/// A toolchain of what was unpacked, if it runs.
fn usable(root: &Path, compiler: &Compiler) -> anyhow::Result<Std> {
    let rustc = root.join("usr/bin/rustc");
    let libraries = libraries(root)?;
    let description = process::ask(Command::new(&rustc).arg("-V").env("LD_LIBRARY_PATH", &libraries))?;
    let rustlib = root.join("usr/lib/rustlib");
    let host = rustlib.join(&compiler.host).join("lib");
    if !holds_std(&host) {
        bail!("{} holds no libstd-*.rlib", host.display());
    }
    let sources = rustlib.join("src/rust/library");
    if !sources.join("std/Cargo.toml").is_file() {
        bail!("{} does not hold the standard library's sources", sources.display());
    }
    let number = description.split_whitespace().nth(1).unwrap_or("of unknown version");
    Ok(Std {
        name: format!("Debian's {COMPILER} {number}, std compiled from {SOURCES}"),
        rustc: Some(rustc),
        libraries: Some(libraries),
        sources: Some(sources),
        target: Some("plugins-debian"),
    })
}

/// The folder of the compiler's own libraries, whose name is the architecture's.
fn libraries(root: &Path) -> anyhow::Result<PathBuf> {
    let parent = root.join("usr/lib");
    let entries = fs::read_dir(&parent).with_context(|| format!("Reading {}", parent.display()))?;
    let holds_driver = |folder: &PathBuf| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("librustc_driver"))
    };
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(holds_driver)
        .with_context(|| format!("{} holds no librustc_driver", parent.display()))
}

/// The candidate of `apt-cache policy`.
fn parse_candidate(policy: &str) -> Option<&str> {
    let candidate = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (candidate != "(none)").then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_candidate_is_read_from_the_policy() {
        let policy = "rustc-web:\n  Installed: (none)\n  Candidate: 1.96.0+dfsg1-1~deb12u2\n";

        assert_eq!(parse_candidate(policy), Some("1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(parse_candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"), None);
        assert_eq!(parse_candidate(""), None);
    }
}

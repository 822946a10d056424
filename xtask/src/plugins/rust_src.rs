//! Route 4: the sources of the very compiler in use, from its toolchain or from Debian.
//!
//! The version must be the same to the last digit: a standard library uses what its own compiler has
//! not yet made stable.

use std::path::{Path, PathBuf};
use std::{fs, slice};

use anyhow::{Context as _, bail};

use super::toolchain::{Compiler, Std, cache};
use crate::{packages, process};

/// The packages that hold such sources.
const PACKAGES: [&str; 2] = ["rust-src", "rust-web-src"];

/// Finds the sources, or unpacks them.
pub fn prepare(compiler: &Compiler) -> anyhow::Result<Std> {
    let own = compiler.sysroot.join("lib/rustlib/src/rust/library");
    let kept = cache()?.join(format!("rust-src-{}", compiler.release));
    let sources = match [Some(own), library_in(&kept)].into_iter().flatten().find(|s| complete(s)) {
        Some(sources) => sources,
        None => unpack(&compiler.release, &kept)?,
    };
    Ok(Std {
        name: format!("std compiled from the sources of {}", compiler.release),
        sources: Some(sources),
        target: Some("plugins-rust-src"),
        ..Std::default()
    })
}

fn unpack(release: &str, root: &Path) -> anyhow::Result<PathBuf> {
    for program in ["apt-cache", "dpkg-deb"] {
        if process::find(program).is_none() {
            bail!("the toolchain has no sources, and there is no {program} here");
        }
    }
    let offers = process::ask(packages::apt_cache().arg("madison").args(PACKAGES))?;
    let Some(package) = matching(&offers, release) else {
        bail!("the toolchain has no sources, and Debian offers none of {release} here");
    };
    println!("      unpacking Debian's {package} into {}", root.display());
    packages::unpack(slice::from_ref(&package), root)?;
    library_in(root)
        .filter(|library| complete(library))
        .with_context(|| format!("{package} does not hold the standard library's sources"))
}

/// The package `name=version` among the offers whose upstream version is this release.
fn matching(offers: &str, release: &str) -> Option<String> {
    offers.lines().find_map(|line| {
        let mut columns = line.split('|').map(str::trim);
        let (name, version) = (columns.next()?, columns.next()?);
        let rest = version.strip_prefix(release)?;
        rest.starts_with(['+', '-', '~']).then(|| format!("{name}={version}"))
    })
}

/// Debian's folder for sources, whose name holds the version.
fn library_in(root: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(root.join("usr/src")).ok()?.flatten();
    entries.map(|entry| entry.path().join("library")).find(|library| library.is_dir())
}

fn complete(sources: &Path) -> bool {
    sources.join("std/Cargo.toml").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_release_matches() {
        let offers = "  rust-src | 1.63.0+dfsg1-2 | Packages\n\
                      rust-web-src | 1.96.0+dfsg1-1~deb12u2 | Packages\n";

        assert_eq!(matching(offers, "1.96.0").as_deref(), Some("rust-web-src=1.96.0+dfsg1-1~deb12u2"));
        assert_eq!(matching(offers, "1.96"), None);
        assert_eq!(matching(offers, "1.95.0"), None);
    }
}

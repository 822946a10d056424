//! Cargo, and what it knows of the workspace.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde::Deserialize;

use crate::process;

/// The workspace, as `cargo metadata --no-deps` describes it.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// The folder of the root `Cargo.toml`.
    #[serde(rename = "workspace_root")]
    pub root: PathBuf,
    /// Where cargo builds. Not always `target` below the root: `CARGO_TARGET_DIR` moves it.
    #[serde(rename = "target_directory")]
    pub target: PathBuf,
    /// The crates of the workspace, by name.
    pub packages: Vec<Package>,
}

/// One crate of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    manifest_path: PathBuf,
    /// The Rust version that it asks for.
    pub rust_version: Option<String>,
    /// What it depends on.
    pub dependencies: Vec<Dependency>,
    /// What is built of it.
    pub targets: Vec<Target>,
}

/// What a crate depends on.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// The package's name.
    pub name: String,
    /// `None` for an ordinary one, else `dev` or `build`.
    pub kind: Option<String>,
    /// Whether only a feature brings it in.
    pub optional: bool,
}

/// What is built of a crate.
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name, which is its file's with `-` for `_`.
    pub name: String,
    /// `lib`, `bin`, `cdylib`, …
    pub crate_types: Vec<String>,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> anyhow::Result<Self> {
        let answer =
            process::ask(Command::new(program()).args(["metadata", "--format-version", "1", "--no-deps"]))?;
        Self::parse(&answer)
    }

    fn parse(json: &str) -> anyhow::Result<Self> {
        let mut workspace: Self = serde_json::from_str(json).context("Reading what `cargo metadata` says")?;
        workspace.packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(workspace)
    }

    /// A cargo command, run at the workspace's root.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new(program());
        command.current_dir(&self.root);
        command
    }

    /// The folder of a crate, relative to the root, with `/` between its parts.
    pub fn folder(&self, package: &Package) -> String {
        let folder = package.manifest_path.parent().unwrap_or(Path::new(""));
        folder.strip_prefix(&self.root).unwrap_or(folder).to_string_lossy().into_owned()
    }

    /// A cargo command that compiles with a profile; `--profile` with its name is still to be said.
    pub fn cargo_with(&self, profile: Profile) -> Command {
        let mut command = self.cargo();
        command.envs(profile.settings().iter().copied());
        command
    }

    /// A path to be shown: relative to the root where it is below it.
    pub fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }

    /// The `bellhop` program, as built with a profile.
    pub fn bellhop(&self, profile: Profile) -> PathBuf {
        self.target.join(profile.folder()).join("bellhop")
    }

    /// The lowest Rust version, as (major, minor), that every crate can be built with.
    pub fn rust_version(&self) -> (u32, u32) {
        let versions = self.packages.iter().filter_map(|p| version(p.rust_version.as_deref()?));
        versions.max().unwrap_or((1, 85))
    }
}

/// How a program is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For the tests and the demo, which share one build of wasmtime.
    Dev,
    /// For measurements: our own crates as for use, on the tests' build of what they depend on, which is
    /// optimised as well and takes minutes to make.
    Bench,
    /// For use.
    Release,
}

/// What measurements change of the profile `dev`; what we depend on has settings of its own there, which
/// stay as they are.
const BENCH: &[(&str, &str)] = &[
    ("CARGO_PROFILE_DEV_OPT_LEVEL", "3"),
    ("CARGO_PROFILE_DEV_DEBUG_ASSERTIONS", "false"),
    ("CARGO_PROFILE_DEV_OVERFLOW_CHECKS", "false"),
    ("CARGO_PROFILE_DEV_INCREMENTAL", "false"),
];

impl Profile {
    /// Cargo's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev | Self::Bench => "dev",
            Self::Release => "release",
        }
    }

    /// What cargo's environment says of it.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        if self == Self::Bench { BENCH } else { &[] }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Dev | Self::Bench => "debug",
            Self::Release => "release",
        }
    }
}

/// The first two parts of a version: `1.96.0+dfsg1-1` is (1, 96).
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The cargo that runs us, so that a toolchain named on the command line stays the one in use.
fn program() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_two_numbers() {
        assert_eq!(version("1.96.0+dfsg1-1~deb12u2"), Some((1, 96)));
        assert_eq!(version("1.95"), Some((1, 95)));
        assert_eq!(version("nightly"), None);
    }

    #[test]
    fn folders_are_relative_to_the_root() {
        let workspace = Workspace::parse(
            r#"{"workspace_root": "/w", "target_directory": "/t", "packages": [
                {"name": "sdk", "manifest_path": "/w/plugins/sdk/Cargo.toml",
                 "rust_version": "1.95", "dependencies": [], "targets": []}]}"#,
        )
        .unwrap();

        assert_eq!(workspace.folder(&workspace.packages[0]), "plugins/sdk");
        assert_eq!(workspace.rust_version(), (1, 95));
        assert_eq!(workspace.bellhop(Profile::Dev), Path::new("/t/debug/bellhop"));
    }
}

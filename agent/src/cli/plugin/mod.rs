//! `bellhop plugin`: for those who write plugins, and for those who are given one.

mod add;
mod build;
mod check;
mod inspect;
mod new;
mod pack;
#[cfg(feature = "simulated")]
mod run;
mod scenario;
mod templates;
mod test;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellhop_agent::config::{MANIFEST, Manifest};
use bellhop_agent::sandbox::packed::{self, NotPacked};
use clap::{Args, Subcommand};

use super::Verdict;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Begin a plugin: a folder with a project that builds
    ///
    /// It has a handler, a test, its grants and a README that says how to go on.
    New(new::Options),
    /// Build a plugin as its plugin.toml says, and check it
    ///
    /// Runs the commands of [build] in the plugin's folder, makes a component of what they make, and puts it
    /// where plugin.toml names it. A program that is missing is named, with how to get it.
    Build(FolderOption),
    /// Say what a plugin is, what it could do, and why it would be refused
    ///
    /// Holds the component against the grants in its plugin.toml. Nothing of it is run or compiled.
    Check(SubjectOption),
    /// Show what is in a component: imports, exports, modules, who produced it, and custom sections
    Inspect(inspect::Options),
    /// Play scenarios: a TOML file is the host, and a plugin is tested without a machine
    ///
    /// A file names a component with its grants and configuration, as agent.toml does, and has steps: what happens
    /// to the plugin, what it is expected to ask for, and how that is answered. Time is virtual, and each run is
    /// the same. A step that fails is shown with its line, what was expected above what was seen. Exits with 0
    /// when all scenarios passed, with 1 when one did not, and with 78 when a file, or the component that it
    /// names, is wrong. docs/scenarios.md describes the files.
    Test(test::Options),
    /// Make a scenario of a record, on standard output
    ///
    /// What the plugin was called with becomes what happens to it, and what it asked for what is expected of it,
    /// answered as it was then.
    Scenario(scenario::Options),
    /// Run a plugin on a simulated machine, at whose prompt you are the host
    ///
    /// The plugin's log is on the screen. When its component or its plugin.toml changes, the new one takes
    /// the old one's place.
    #[cfg(feature = "simulated")]
    Run(run::Options),
    /// Pack a plugin into one file: the component, and its plugin.toml in it
    ///
    /// The file is a component like any other. Prints its SHA-256 digest, to be published beside it.
    Pack(pack::Options),
    /// Put a packed plugin in its place, and print the lines for agent.toml to be reviewed
    ///
    /// Nothing is granted by that: agent.toml is not touched.
    Add(add::Options),
}

#[derive(Debug, Args)]
pub(super) struct FolderOption {
    /// The plugin's folder, with its plugin.toml
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct SubjectOption {
    /// A plugin's folder, with its plugin.toml, or a packed plugin
    #[arg(value_name = "PLUGIN", default_value = ".")]
    plugin: PathBuf,
}

pub(super) fn plugin(command: &Command) -> Result<Verdict> {
    match command {
        Command::New(options) => new::new(options),
        Command::Build(options) => build::build(&options.folder),
        Command::Check(options) => check::check(&options.plugin),
        Command::Inspect(options) => inspect::inspect(options),
        Command::Test(options) => test::test(options),
        Command::Scenario(options) => scenario::scenario(options),
        #[cfg(feature = "simulated")]
        Command::Run(options) => run::run(options),
        Command::Pack(options) => pack::pack(options),
        Command::Add(options) => add::add(options),
    }
}

/// A component with its manifest.
struct Subject {
    /// The component's file.
    path: PathBuf,
    /// All that is in it.
    bytes: Vec<u8>,
    manifest: Manifest,
}

impl Subject {
    /// The plugin of a folder that was built, or a packed plugin.
    fn find(path: &Path) -> Result<Self> {
        if path.is_dir() { Self::built(path) } else { Self::packed(path) }
    }

    fn built(folder: &Path) -> Result<Self> {
        let manifest = Manifest::load(folder)?;
        let path = manifest.plugin.component.clone();
        if !path.exists() {
            bail!("{} is not there: `bellhop plugin build` makes it", path.display());
        }
        Ok(Self { bytes: read(&path)?, path, manifest })
    }

    fn packed(path: &Path) -> Result<Self> {
        let bytes = read(path)?;
        let text = match packed::unpack(&bytes) {
            Ok((_, text)) => text,
            Err(error @ NotPacked::NoManifest) => {
                bail!("{}: {error}; `bellhop explain` shows what any component could do", path.display())
            }
            Err(error) => bail!("{}: {error}", path.display()),
        };
        // Its lines are told by where they stand.
        let manifest = Manifest::parse(text, &path.join(MANIFEST))?;
        Ok(Self { path: path.to_owned(), bytes, manifest })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("Cannot read {}", path.display()))
}

/// Writes a file so that whoever looks at its place sees the old one or all of the new.
fn place(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let write = || {
        std::fs::write(&partial, bytes)?;
        std::fs::rename(&partial, path)
    };
    write().with_context(|| format!("Cannot write {}", path.display()))
}

/// A size for people.
fn size(bytes: usize) -> String {
    super::quantities::bytes(bytes as u64)
}

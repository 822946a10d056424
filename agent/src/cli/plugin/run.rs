//! `bellhop plugin run`: a plugin on a simulated machine, while its author works on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bellhop_agent::agent::Agent;
use bellhop_agent::config::{LogLevel, MANIFEST};
use clap::Args;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::{FolderOption, Subject, Verdict, add, place};
use crate::cli::demo::{self, Play};

/// Where the `agent.toml` is that the plugin runs with, in the plugin's folder.
const FOLDER: &str = ".bellhop";

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    folder: FolderOption,
    /// The least important lines of the log to show
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: LogLevel,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let folder = options.folder.folder.canonicalize();
    let folder = folder.with_context(|| format!("Cannot find {}", options.folder.folder.display()))?;
    let (agent_toml, component) = configure(&folder)?;
    say!("Runs with {}", agent_toml.display());
    let play = Play {
        config: &agent_toml,
        log_level: Some(options.log_level),
        log_format: None,
        screenshots: None,
        interactive: true,
    };
    demo::play(&play, |agent| follow(agent, &folder, &component))
}

/// Writes an `agent.toml` for the plugin as it is now; returns it, and the component.
fn configure(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let subject = Subject::built(folder)?;
    let table = add::lines(&subject, &subject.path, None)?;
    let own = folder.join(FOLDER);
    std::fs::create_dir_all(&own).with_context(|| format!("Cannot make {}", own.display()))?;
    let path = own.join("agent.toml");
    let text = format!("driver = \"simulated\"\ncontrol = false\n\n{table}");
    place(&path, text.as_bytes())?;
    Ok((path, subject.path))
}

/// Has the plugin replaced whenever its component or its manifest was written anew, until the program ends.
fn follow(agent: &Arc<Agent>, folder: &Path, component: &Path) -> Result<()> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC).context("Cannot watch the plugin's files")?;
    let written = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO;
    let watched = [component.parent().unwrap_or(folder), folder];
    for path in watched {
        inotify.add_watch(path, written).with_context(|| format!("Cannot watch {}", path.display()))?;
    }
    let names = [component.file_name().map(ToOwned::to_owned), Some(MANIFEST.into())];
    let (agent, folder) = (Arc::downgrade(agent), folder.to_owned());
    let watch = move || {
        while let Ok(events) = inotify.read_events() {
            if !events.iter().any(|event| event.name.is_some() && names.contains(&event.name)) {
                continue;
            }
            let Some(agent) = agent.upgrade() else { return };
            match configure(&folder).and_then(|_| Ok(agent.reload()?)) {
                Ok(reloaded) => {
                    reloaded.plugins.iter().for_each(|(plugin, outcome)| say!("{plugin}: {outcome}"));
                }
                Err(error) => say!("All stays as it is: {error:#}"),
            }
        }
    };
    let thread = std::thread::Builder::new().name("files".to_owned());
    thread.spawn(watch).context("Cannot watch the plugin's files")?;
    Ok(())
}

//! `bellhop plugin new`: from nothing to a project that builds.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::Verdict;
use super::templates::{Language, files};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The plugin's name: letters, digits and hyphens
    #[arg(value_name = "NAME")]
    name: String,
    /// The language to write it in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// The folder to make, instead of one named after the plugin
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

pub(super) fn new(options: &Options) -> Result<Verdict> {
    let name = &options.name;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase())
        || !name.chars().all(is_plain)
        || name.ends_with('-')
        || name.len() > 64
    {
        bail!(
            "{name:?} cannot be a plugin's name: small letters, digits and hyphens, at most 64, and a letter first"
        );
    }
    let folder = options.folder.clone().unwrap_or_else(|| name.into());
    match std::fs::read_dir(&folder).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Ok(true) => {
            bail!("{} is there already, and not empty; give another with --folder", folder.display())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("Cannot make {}", folder.display())),
    }
    for (path, text) in files(options.lang, name) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("Cannot make {}", parent.display()))?;
        }
        std::fs::write(&path, text).with_context(|| format!("Cannot write {}", path.display()))?;
    }
    let folder = folder.display();
    say!("{folder} is a plugin that builds. Its README.md says how to go on; in short:\n");
    for (verb, what) in [
        ("build", "makes the component, and says what it could do"),
        ("test", "plays its scenarios"),
        ("run", "runs it on a simulated machine, and you are its host"),
        ("pack", "makes one file of it, to hand on"),
    ] {
        say!("  bellhop plugin {:width$}  {what}", format!("{verb} {folder}"), width = 7 + name.len());
    }
    Ok(Verdict::Well)
}

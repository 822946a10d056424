//! `bellhop plugin add`: an administrator takes a plugin in, and decides what it may do.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellhop_agent::config::DEFAULT_PATH;
use bellhop_agent::sandbox::cache::digest;
use clap::Args;

use super::{Subject, Verdict, check, place};

/// Where plugins are put for all users of a machine.
const FOR_ALL: &str = "/usr/local/lib/bellhop/plugins";

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The packed plugin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to put it in [default: /usr/local/lib/bellhop/plugins for root, else bellhop/plugins
    /// in the user's data folder]
    #[arg(long, value_name = "FOLDER")]
    into: Option<PathBuf>,
    /// Replace another file of the same name
    #[arg(long)]
    force: bool,
}

pub(super) fn add(options: &Options) -> Result<Verdict> {
    let subject = Subject::packed(&options.file)?;
    if check::show(&options.file, &subject.bytes, &subject.manifest)? == Verdict::Wrong {
        say!("\nNot added");
        return Ok(Verdict::Wrong);
    }
    let folder = match &options.into {
        Some(folder) => folder.clone(),
        None => usual_folder().context("Give the folder to put it in with --into FOLDER")?,
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("Cannot make {}", folder.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("Cannot find {}", folder.display()))?;
    let name = &subject.manifest.plugin.name;
    let target = folder.join(format!("{name}.wasm"));
    let same = std::fs::read(&target).map(|there| there == subject.bytes).ok();
    if same == Some(false) && !options.force {
        bail!(
            "{} is there already, and another: --force replaces it (an agent.toml that pins its digest will \
             not run the new one)",
            target.display()
        );
    }
    if same != Some(true) {
        place(&target, &subject.bytes)?;
    }
    say!("\nIt is in its place and may do nothing yet. Review these lines, and add them to");
    say!("{DEFAULT_PATH}, or to the agent.toml that you use:\n");
    say!("{}", lines(&subject, &target, Some(&digest(&subject.bytes)))?.trim_end());
    say!("\nThen `bellhop check` says whether all fits, and `bellhop reload` starts it.");
    Ok(Verdict::Well)
}

/// The plugin's table for `agent.toml`: its own, with its place, and with a digest if it is to be pinned.
pub(super) fn lines(subject: &Subject, component: &Path, sha256: Option<&str>) -> Result<String> {
    let name = &subject.manifest.plugin.name;
    let mut manifest: toml::Table =
        toml::from_str(&subject.manifest.text).context("Cannot read its manifest again")?;
    let table = manifest.remove("plugins").and_then(|plugins| plugins.get(name).cloned());
    let mut table = match table {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    let Some(component) = component.to_str() else { bail!("{} is no text", component.display()) };
    table.insert("component".to_owned(), component.into());
    if let Some(sha256) = sha256 {
        table.insert("sha256".to_owned(), sha256.into());
    }
    let plugins = toml::Table::from_iter([(name.clone(), toml::Value::Table(table))]);
    let file = toml::Table::from_iter([("plugins".to_owned(), toml::Value::Table(plugins))]);
    toml::to_string(&file).context("Cannot write its table")
}

fn usual_folder() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(FOR_ALL.into());
    }
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    Some(data.filter(|data| data.is_absolute()).or_else(home)?.join("bellhop/plugins"))
}

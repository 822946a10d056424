//! `bellhop replay`: a plugin is called as it was, and does the same, or not.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bellhop_agent::config;
use bellhop_agent::control::protocol::Recorded;
use bellhop_agent::replay::record::Record;
use bellhop_agent::replay::{Difference, Player};
use bellhop_agent::sandbox::cache::Cache;
use bellhop_agent::sandbox::engine::{self, Target};
use bellhop_agent::sandbox::surface::Surface;
use clap::Args;

use super::{Verdict, compiler};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The record
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The component to replay it into
    #[arg(short, long = "plugin", value_name = "COMPONENT")]
    component: PathBuf,
    /// Which of the record's plugins, if it has several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Where compiled components are kept, instead of the usual folder
    #[arg(long, value_name = "FOLDER")]
    cache: Option<PathBuf>,
}

pub(super) fn replay(options: &Options) -> Result<Verdict> {
    let component = options.component.display();
    let (mut record, plugin) = opened(&options.file, options.name.as_deref())?;
    let bytes = std::fs::read(&options.component).with_context(|| format!("Cannot read {component}"))?;
    Surface::of_component(&bytes).with_context(|| format!("Cannot replay {component}"))?;

    let engine = engine::engine(Target::Native).map_err(anyhow::Error::from)?;
    let folder = options.cache.clone().unwrap_or_else(config::default_cache);
    let loaded = Cache::new(folder, &engine, compiler()).load(&engine, &bytes)?;
    if loaded.sha256 != plugin.sha256 {
        say!("{component} is another component than was recorded");
    }
    if !record.header.contents {
        say!("Bytes are not in the record: the plugin sees as many zeros, and only their number is compared");
    }
    let player = Player::new(&engine, &loaded.component)?;
    let replayed = player.replay(&mut record, &plugin)?;
    let (calls, host_calls) = (replayed.calls, replayed.host_calls);
    match replayed.difference {
        _ if calls == 0 => bail!("The record has no call of {} from its start on", plugin.name),
        None => {
            say!("{}: {calls} calls and {host_calls} host calls in them, no difference", plugin.name);
            Ok(Verdict::Well)
        }
        Some((call, difference)) => {
            show(&plugin.name, calls, &call, &difference);
            Ok(Verdict::Unwell)
        }
    }
}

/// A record, and the plugin of it that is meant.
pub(super) fn opened(path: &Path, name: Option<&str>) -> Result<(Record<BufReader<File>>, Recorded)> {
    let file = File::open(path).with_context(|| format!("Cannot open the record {}", path.display()))?;
    let record = Record::open(BufReader::new(file))?;
    let plugin = chosen(name, &record.header.plugins)?.clone();
    Ok((record, plugin))
}

fn chosen<'a>(name: Option<&str>, plugins: &'a [Recorded]) -> Result<&'a Recorded> {
    let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    let names = names.join(", ");
    match (name, plugins) {
        (Some(name), _) => plugins
            .iter()
            .find(|plugin| plugin.name == name)
            .with_context(|| format!("The record has no plugin {name}; it has {names}")),
        (None, [only]) => Ok(only),
        (None, _) => bail!("The record has several plugins; choose one by --name: {names}"),
    }
}

fn show(plugin: &str, number: u64, call: &str, difference: &Difference) {
    let Difference { line, after, recorded, replayed } = difference;
    let line = line.map_or_else(String::new, |line| format!(", line {line} of the record"));
    say!("{plugin}: a difference in call {number}, after {after} host calls in it{line}");
    say!("  call      {call}");
    say!("  recorded  {recorded}");
    say!("  replayed  {replayed}");
    // Under the place from which on they differ.
    let same = recorded.chars().zip(replayed.chars()).take_while(|(then, now)| then == now).count();
    say!("            {:same$}^", "");
}

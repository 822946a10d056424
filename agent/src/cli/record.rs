//! `bellhop record`: a plugin's doings, for a replay.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use bellhop_agent::control::protocol::{Ask, Line, Said};
use bellhop_agent::observe::What;
use clap::Args;

use super::Verdict;
use super::agent::{self, AgentOption};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The file to write, which must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    agent: AgentOption,
    /// Record this plugin only; may be given several times
    #[arg(short, long = "plugin", value_name = "NAME")]
    plugins: Vec<String>,
    /// Record bytes as well, as those of the clipboard, and not only how many there are
    #[arg(long)]
    contents: bool,
    /// End after so many calls of plugins
    #[arg(short = 'n', long, value_name = "NUMBER")]
    count: Option<u64>,
}

pub(super) fn record(options: &Options) -> Result<Verdict> {
    let shown = options.file.display();
    let mut client = options.agent.connect()?;
    // Who has a clipboard in a file does not want others to read it.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&options.file)
        .with_context(|| format!("Cannot make {shown}"))?;
    let plugins = options.plugins.iter().cloned().collect();
    let said = client.ask(Ask::Record { plugins, contents: options.contents });
    let header = match said {
        Ok(Said::Recording(header)) => header,
        other => {
            // Nothing is in it.
            let _ = std::fs::remove_file(&options.file);
            other?;
            return Err(agent::confused());
        }
    };
    let names: Vec<_> = header.plugins.iter().map(|plugin| plugin.name.as_str()).collect();
    eprintln!("bellhop: Recording {}, started anew, until Ctrl-C", names.join(", "));
    let mut write = |mut line: Vec<u8>| {
        line.push(b'\n');
        // In one go, so that whoever is stopped leaves whole lines.
        file.write_all(&line).with_context(|| format!("Cannot write to {shown}"))
    };
    write(serde_json::to_vec(&header)?)?;
    let mut calls = 0;
    while options.count.is_none_or(|count| calls < count) {
        let Some(line) = client.next_line()? else {
            eprintln!("bellhop: The agent ended, and so does the record");
            break;
        };
        match serde_json::from_slice(&line)? {
            Line::Lost { lost } => eprintln!("bellhop: {lost} lines are missing: this disk is too slow"),
            Line::Notice(notice) => calls += u64::from(matches!(notice.what, What::Return { .. })),
        }
        write(line)?;
    }
    Ok(Verdict::Well)
}

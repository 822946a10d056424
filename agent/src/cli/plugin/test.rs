//! `bellhop plugin test`: scenarios are played, and say what came of them.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use bellhop_agent::scenario::{self, Report};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::Verdict;

/// Where a plugin's scenarios are, in its folder.
const FOLDER: &str = "scenarios";

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Files of scenarios, or plugins' folders, whose scenarios/*.toml are played
    #[arg(value_name = "FILE", default_value = ".")]
    files: Vec<PathBuf>,
    /// Tell what the plugin took: of each handler its calls, instructions, memory, bytes and host calls
    #[arg(long)]
    cost: bool,
    /// Print all that came of it as one JSON object: sizes in bytes, times in nanoseconds
    #[arg(long)]
    json: bool,
    /// Play a file again and again for a few seconds, and write which of the plugin's functions ran meanwhile, for
    /// the Firefox Profiler
    #[arg(long, value_name = "PROFILE")]
    profile: Option<PathBuf>,
}

pub(super) fn test(options: &Options) -> Result<Verdict> {
    let mut reports = Vec::new();
    let mut is_wrong = false;
    let files = found(&options.files)?;
    if options.profile.is_some() && files.len() > 1 {
        bail!("A profile is of one file of scenarios; there are {}", files.len());
    }
    for path in &files {
        match scenario::run(path) {
            Ok(report) => {
                if !options.json {
                    say!("{report}");
                    if options.cost {
                        say!("\n{}", report.cost);
                    }
                }
                reports.push(report);
            }
            // The other files are played nevertheless.
            Err(error) => {
                eprintln!("{error}");
                is_wrong = true;
            }
        }
    }
    if let (Some(profile), [path], false) = (&options.profile, files.as_slice(), is_wrong) {
        let shown = profile.display();
        let output = File::create(profile).with_context(|| format!("Cannot make {shown}"))?;
        scenario::profile(path, BufWriter::new(output)).with_context(|| format!("Cannot write {shown}"))?;
    }
    let failed: usize = reports.iter().map(Report::failed).sum();
    let count: usize = reports.iter().map(|report| report.scenarios.len()).sum();
    if options.json {
        let files: Vec<_> = reports.iter().map(as_json).collect();
        say!("{}", serde_json::to_string_pretty(&json!({ "files": files }))?);
    } else {
        say!("{count} scenarios, {failed} failed");
    }
    Ok(match (is_wrong, failed) {
        (true, _) => Verdict::Wrong,
        (false, 0) => Verdict::Well,
        (false, _) => Verdict::Unwell,
    })
}

/// The files that are named, and those of the folders that are.
fn found(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let folder = path.join(FOLDER);
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("{} has no scenarios", path.display()))?
            .collect::<Result<Vec<_>, _>>();
        let entries = entries.with_context(|| format!("Cannot read {}", folder.display()))?;
        let is_toml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
        let mut own: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(is_toml).collect();
        if own.is_empty() {
            bail!("{} has no scenarios: there is no TOML file", folder.display());
        }
        own.sort();
        files.append(&mut own);
    }
    Ok(files)
}

fn as_json(report: &Report) -> Value {
    let scenarios = report.scenarios.iter().map(|played| {
        let failure = played.failure.as_ref().map(|failure| {
            json!({
                "line": failure.line, "what": failure.what,
                "expected": failure.expected, "seen": failure.seen,
            })
        });
        json!({ "name": played.name, "steps": played.steps, "calls": played.calls, "failure": failure })
    });
    let scenarios: Vec<_> = scenarios.collect();
    json!({ "file": report.path, "scenarios": scenarios, "cost": report.cost })
}

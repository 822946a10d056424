//! `bellhop plugin scenario`: a record becomes a scenario.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellhop_agent::sandbox::surface::Surface;
use bellhop_agent::scenario;
use clap::Args;

use crate::cli::Verdict;
use crate::cli::replay::opened;

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The record
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The component that the scenario is to name
    #[arg(short, long = "plugin", value_name = "COMPONENT")]
    component: PathBuf,
    /// Which of the record's plugins, if it has several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(super) fn scenario(options: &Options) -> Result<Verdict> {
    let component = options.component.display();
    let (mut record, plugin) = opened(&options.file, options.name.as_deref())?;
    let bytes = std::fs::read(&options.component).with_context(|| format!("Cannot read {component}"))?;
    let surface = Surface::of_component(&bytes).with_context(|| format!("Cannot use {component}"))?;
    let path = std::path::absolute(&options.component).with_context(|| format!("Cannot name {component}"))?;
    let text = scenario::from_record(&mut record, &plugin, &path, &surface)?;
    say!("{}", text.trim_end());
    Ok(Verdict::Well)
}

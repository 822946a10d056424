//! `bellhop plugin pack`: one file to hand on.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellhop_agent::config::Manifest;
use bellhop_agent::sandbox::cache::digest;
use bellhop_agent::sandbox::packed;
use clap::Args;

use super::{FolderOption, Subject, Verdict, check, place, size};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    folder: FolderOption,
    /// Where to write it, instead of NAME-VERSION.wasm
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn pack(options: &Options) -> Result<Verdict> {
    let Subject { path, bytes, manifest } = Subject::built(&options.folder.folder)?;
    // Nobody could run what does not fit what it asks for itself.
    if check::show(&path, &bytes, &manifest)? == Verdict::Wrong {
        say!("\nNot packed");
        return Ok(Verdict::Wrong);
    }
    let Manifest { text, version, plugin, .. } = &manifest;
    let packed = packed::pack(&bytes, text).with_context(|| format!("Cannot pack {}", path.display()))?;
    let output = match &options.output {
        Some(output) => output.clone(),
        None => options.folder.folder.join(format!("{}-{version}.wasm", plugin.name)),
    };
    place(&output, &packed)?;
    say!("\nPacked {}, {}", output.display(), size(packed.len()));
    say!("sha256 {}", digest(&packed));
    Ok(Verdict::Well)
}

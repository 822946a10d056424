//! `bellhop plugin inspect`: what is in a component.

use std::path::PathBuf;

use anyhow::{Context, Result};
use bellhop_agent::sandbox::cache::digest;
use bellhop_agent::sandbox::packed;
use bellhop_agent::sandbox::surface::{Functions, InterfaceName, Surface};
use clap::Args;
use serde::Serialize;
use wasmparser::{KnownCustom, Parser, Payload};

use super::{Verdict, read, size};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Contents {
    /// Its size in bytes.
    size: usize,
    sha256: String,
    imports: Vec<Interface>,
    exports: Vec<Interface>,
    modules: Vec<Module>,
    /// Who made it, by role, each once.
    producers: Vec<(String, String)>,
    custom_sections: Vec<Section>,
    /// The manifest that it was packed with.
    manifest: Option<String>,
}

#[derive(Debug, Serialize)]
struct Interface {
    name: String,
    functions: Functions,
}

/// A core module.
#[derive(Debug, Default, Serialize)]
struct Module {
    /// Its size in bytes.
    size: usize,
    functions: u32,
    /// The pages of 64 KiB that its memory begins with.
    pages: u64,
}

#[derive(Debug, Serialize)]
struct Section {
    name: String,
    /// Its size in bytes.
    size: usize,
}

pub(super) fn inspect(options: &Options) -> Result<Verdict> {
    let path = options.file.display();
    let bytes = read(&options.file)?;
    let surface = Surface::of_component(&bytes).with_context(|| format!("Cannot inspect {path}"))?;
    let contents = Contents::of(&bytes, surface).with_context(|| format!("Cannot inspect {path}"))?;
    if options.json {
        say!("{}", serde_json::to_string_pretty(&contents)?);
    } else {
        say!("{path}");
        contents.show();
    }
    Ok(Verdict::Well)
}

impl Contents {
    fn of(bytes: &[u8], surface: Surface) -> Result<Self, wasmparser::BinaryReaderError> {
        let mut contents = Self {
            size: bytes.len(),
            sha256: digest(bytes),
            imports: surface.imports.into_iter().map(Interface::new).collect(),
            exports: surface.exports.into_iter().map(Interface::new).collect(),
            manifest: packed::unpack(bytes).ok().map(|(_, text)| text.to_owned()),
            ..Self::default()
        };
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::ModuleSection { unchecked_range, .. } => {
                    contents.modules.push(Module { size: unchecked_range.len(), ..Module::default() });
                }
                Payload::CodeSectionStart { count, .. } => {
                    if let Some(module) = contents.modules.last_mut() {
                        module.functions = count;
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        if let Some(module) = contents.modules.last_mut() {
                            module.pages = memory?.initial;
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    let (name, size) = (section.name().to_owned(), section.data().len());
                    match section.as_known() {
                        KnownCustom::Producers(fields) => contents.produced(fields)?,
                        _ => contents.custom_sections.push(Section { name, size }),
                    }
                }
                _ => {}
            }
        }
        Ok(contents)
    }

    fn produced(
        &mut self,
        fields: wasmparser::ProducersSectionReader<'_>,
    ) -> Result<(), wasmparser::BinaryReaderError> {
        for field in fields {
            let field = field?;
            for value in field.values {
                let value = value?;
                let by = format!("{} {}", value.name, value.version).trim_end().to_owned();
                let producer = (field.name.to_owned(), by);
                if !self.producers.contains(&producer) {
                    self.producers.push(producer);
                }
            }
        }
        Ok(())
    }

    fn show(&self) {
        say!("{} bytes ({}), sha256 {}", self.size, size(self.size), self.sha256);
        for (title, interfaces) in [("Imports", &self.imports), ("Exports", &self.exports)] {
            say!("\n{title}");
            for interface in interfaces {
                say!("  {}", interface.name);
                for (name, signature) in &interface.functions {
                    say!("    {name}: {signature}");
                }
            }
        }
        say!("\nModules");
        for Module { size: bytes, functions, pages } in &self.modules {
            let memory = size((*pages as usize).saturating_mul(64 << 10));
            say!("  {:>9}  {functions} functions, a memory of {memory} to begin with", size(*bytes));
        }
        say!("\nProduced");
        for (role, by) in &self.producers {
            say!("  {role:<12}  {by}");
        }
        say!("\nCustom sections");
        for Section { name, size: bytes } in &self.custom_sections {
            say!("  {:>9}  {name}", size(*bytes));
        }
        if let Some(manifest) = &self.manifest {
            say!("\nManifest");
            manifest.lines().for_each(|line| say!("  {line}"));
        }
    }
}

impl Interface {
    fn new((name, functions): (InterfaceName, Functions)) -> Self {
        Self { name: name.to_string(), functions }
    }
}

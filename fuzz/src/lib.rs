//! What takes hostile bytes apart, fed with bytes at random.
//!
//! A [`Target`] is a function of bytes that must neither panic nor hang, whatever they are. The same
//! targets are run in three ways: as a plain test over their corpus and a bounded number of mutations of
//! it; for as long as one likes by the program `fuzz`, which needs nothing beside a stable compiler; and
//! by `cargo fuzz`, which is led by coverage.

mod mutate;
mod targets;

pub use mutate::Mutator;
pub use targets::{TARGETS, Target, target};

use std::path::PathBuf;

impl Target {
    /// The inputs to begin with: what the target makes itself, and the files of its corpus.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn corpus(&self) -> std::io::Result<Vec<Vec<u8>>> {
        let mut inputs = (self.seeds)();
        let folder = self.folder();
        if folder.is_dir() {
            let mut files: Vec<_> =
                std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
            files.sort();
            for file in files {
                inputs.push(std::fs::read(file)?);
            }
        }
        Ok(inputs)
    }

    /// Where inputs are kept by which something was found.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).join(self.name)
    }
}

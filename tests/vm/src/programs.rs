//! Our own programs, as they were built last.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;

use crate::compiled::Compiled;
use crate::stripped::Stripped;

/// The environment's list of folders in which programs are looked for first.
const FOLDERS: &str = "BELLHOP_PROGRAMS";

/// Where our programs are, and what guests have in common that have them.
#[derive(Debug, Clone)]
pub struct Programs {
    folders: Vec<PathBuf>,
    pub(crate) stripped: Arc<Stripped>,
    pub(crate) compiled: Arc<Compiled>,
}

impl Programs {
    /// Those of this build: a test lies in `target/PROFILE/deps`.
    #[must_use]
    pub fn of_this_build() -> Self {
        let mut folders: Vec<PathBuf> =
            env::var_os(FOLDERS).map(|list| env::split_paths(&list).collect()).unwrap_or_default();
        let test = env::current_exe().ok();
        folders.extend(test.as_deref().and_then(|test| test.ancestors().nth(2)).map(Path::to_owned));
        Self::in_folders(folders)
    }

    /// Those that lie in a folder.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self::in_folders(vec![folder])
    }

    fn in_folders(folders: Vec<PathBuf>) -> Self {
        Self { folders, stripped: Arc::default(), compiled: Arc::default() }
    }

    /// The host's device, as a program that QEMU attaches.
    ///
    /// # Errors
    /// When it was not built.
    pub fn vmmdev(&self) -> anyhow::Result<PathBuf> {
        self.find("vmmdev")
    }

    /// The agent.
    ///
    /// # Errors
    /// When it was not built.
    pub fn bellhop(&self) -> anyhow::Result<PathBuf> {
        self.find("bellhop")
    }

    /// The component of a first-party plugin.
    ///
    /// # Errors
    /// When it was not built.
    pub fn plugin(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins"));
        let file = folder.join(format!("{name}.wasm"));
        if file.is_file() {
            return Ok(file);
        }
        self.find(&format!("{name}.wasm"))
    }

    fn find(&self, name: &str) -> anyhow::Result<PathBuf> {
        let files = self.folders.iter().map(|folder| folder.join(name));
        if let Some(file) = files.into_iter().find(|file| file.is_file()) {
            return Ok(file);
        }
        let folders: Vec<String> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        bail!("there is no {name} in {}: run `cargo xtask vm test`, which builds it", folders.join(" or "))
    }
}

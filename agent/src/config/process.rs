//! What the process itself may do.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::confine::{Confine, Part};

/// The daemon's process: whose it is, and what it gives up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Process {
    /// The user that it becomes when root started it.
    pub user: Option<String>,
    /// How far it confines itself.
    pub confine: Confine,
    /// What it keeps nevertheless.
    pub leave_out: Vec<Part>,
    /// What it may read besides what the configuration names: files, and folders with all that is in them.
    pub read: Vec<PathBuf>,
}

impl Process {
    /// With relative paths that start at `folder`.
    pub(super) fn at(mut self, folder: &Path) -> Self {
        self.read.iter_mut().for_each(|path| *path = folder.join(&*path));
        self
    }
}

//! Loads compiled code.

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Why compiled code cannot be had from a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    /// Its memory cannot be made executable. That is no fault of the file's.
    #[error(
        "Cannot make compiled code executable: it is forbidden to this process, as systemd's \
         MemoryDenyWriteExecute= and PR_SET_MDWE do ({0}). Set `engine = \"pulley\"` in agent.toml, which needs no \
         executable memory, or allow it"
    )]
    NotExecutable(String),
    /// It cannot be read, or was made by another engine.
    #[error("{0:#}")]
    Unfit(wasmtime::Error),
}

/// How `wasmtime` says that the kernel did not make memory executable.
const NOT_EXECUTABLE: &str = "unable to make memory executable";

/// Maps a compiled component from the cache.
///
/// # Errors
/// When the file is of no use, or no code is.
pub(super) fn compiled(engine: &Engine, file: &Path) -> Result<Component, LoadError> {
    // SAFETY: `deserialize_file` trusts its bytes to be the output of this engine's compiler, and the
    // file not to change while it is mapped. `Cache` lets nobody but the agent's own user write to
    // the folder (it checks owner and mode each time it opens it), puts a file there only by renaming
    // what the compiler child wrote, and never writes to one again.
    unsafe { Component::deserialize_file(engine, file) }.map_err(LoadError::of)
}

impl LoadError {
    fn of(error: wasmtime::Error) -> Self {
        match error.chain().any(|cause| cause.to_string() == NOT_EXECUTABLE) {
            true => Self::NotExecutable(error.root_cause().to_string()),
            false => Self::Unfit(error),
        }
    }
}

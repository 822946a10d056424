//! Loads compiled code.

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Maps a compiled component from the cache.
///
/// # Errors
/// When the file cannot be read, or was made by another engine.
pub(super) fn compiled(engine: &Engine, file: &Path) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize_file` trusts its bytes to be the output of this engine's compiler, and the
    // file not to change while it is mapped. `Cache` lets nobody but the agent's own user write to
    // the folder (it checks owner and mode each time it opens it), puts a file there only by renaming
    // what the compiler child wrote, and never writes to one again.
    unsafe { Component::deserialize_file(engine, file) }
}

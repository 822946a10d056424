//! The one engine that every plugin runs on, and its twin in the process that compiles.

use wasmtime::{Config, Engine, OptLevel};

/// Stack that a plugin's own code may use. Its thread's stack must be larger: host functions run on
/// what is left.
pub(crate) const WASM_STACK: usize = 512 * 1024;

/// The daemon's engine. It has no compiler: making one would bring megabytes of code and tables into
/// memory that the daemon never uses.
///
/// # Errors
/// When this processor or kernel cannot run it.
pub fn engine() -> wasmtime::Result<Engine> {
    Engine::new(config().enable_compiler(false))
}

/// The engine that compiles for [`engine`].
///
/// # Errors
/// When this processor or kernel cannot run it.
pub fn compiler() -> wasmtime::Result<Engine> {
    Engine::new(config().cranelift_opt_level(OptLevel::Speed))
}

/// The engine of a plugin's author, which compiles by itself and counts instructions, as many for the same run
/// on every machine.
///
/// # Errors
/// When this processor or kernel cannot run it.
pub fn author() -> wasmtime::Result<Engine> {
    Engine::new(config().cranelift_opt_level(OptLevel::Speed).consume_fuel(true))
}

/// What a plugin may use of WebAssembly, and the means to stop it.
fn config() -> Config {
    let mut config = Config::new();
    config
        // Every loop and call in a plugin checks a counter: see `ticker`.
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .wasm_component_model(true)
        // A memory's initial data is stored as an image only when it is dense: else two bytes, one at each
        // end of a memory, would be all of it in the compiled file.
        .memory_guaranteed_dense_image_size(0)
        // Plugins are single threaded, deterministic, and need none of the newest proposals.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

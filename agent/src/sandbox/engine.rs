//! The one engine that every plugin runs on.

use wasmtime::{Config, Engine, OptLevel};

/// Stack that a plugin's own code may use. Its thread's stack must be larger: host functions run on
/// what is left.
pub(crate) const WASM_STACK: usize = 512 * 1024;

/// The engine, with what a plugin may use of WebAssembly and the means to stop it.
///
/// # Errors
/// When this processor or kernel cannot run it.
pub fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        // Every loop and call in a plugin checks a counter: see `ticker`.
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .cranelift_opt_level(OptLevel::Speed)
        .wasm_component_model(true)
        // Plugins are single threaded, deterministic, and need none of the newest proposals.
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    Engine::new(&config)
}

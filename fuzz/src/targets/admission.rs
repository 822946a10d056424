//! Components, as they are looked at before anything of them is compiled.

use bellhop_agent::grants::Authority;
use bellhop_agent::sandbox::admission;
use bellhop_agent::sandbox::surface::Surface;

use super::Target;

pub const TARGET: Target = Target {
    name: "admission",
    about: "components, held against the contract and no grants",
    run,
    seeds,
    tries: 3_000,
};

fn run(bytes: &[u8]) {
    if let Err(refusal) = admission::examine(bytes, &Authority::default()) {
        drop(refusal.to_string());
    }
    if let Ok(surface) = Surface::of_component(bytes) {
        drop(admission::unused(&surface, &Authority::default()));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    // The contract itself is a component, of types alone.
    let contract = bellhop_agent::host::bindings::COMPONENT_TYPE.to_vec();
    let built = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/plugins"));
    let plugin = |name| std::fs::read(built.join(name)).ok();
    [Some(contract), plugin("display.wasm"), plugin("probe.wasm")].into_iter().flatten().collect()
}

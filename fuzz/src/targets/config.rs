//! `agent.toml`.

use std::path::Path;

use bellhop_agent::config::Config;

use super::Target;

pub const TARGET: Target = Target {
    name: "config",
    about: "agent.toml, and what is said of what is wrong in it",
    run,
    seeds,
    tries: 4_000,
};

fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match Config::parse(&text, Path::new("/etc/bellhop/agent.toml")) {
        Ok(config) => drop(format!("{config:?}")),
        Err(error) => drop(error.to_string()),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let reference = include_bytes!("../../../agent.toml");
    // Small ones too, because few changes of a large one are where something stands.
    let small = "[plugins.a]\ncomponent = \"a.wasm\"\nenabled = false\nsha256 = \"00\"\n\
                 grants = { events = [\"restored\"], hgcm = { S = [1] }, properties = { read = [\"*\"] } }\n\
                 limits = { memory = \"16 MiB\", cpu-per-event = \"50 ms\" }\n\
                 config = { a = [1, 2.5, true, 1979-05-27T07:32:00Z], \"\u{e9}\" = \"x\" }\n";
    vec![reference.to_vec(), small.as_bytes().to_vec(), b"[limits]\nmemory = \"999999999 GiB\"".to_vec()]
}

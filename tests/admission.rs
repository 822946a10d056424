//! What becomes a plugin and what does not, and what is said of it.

use std::path::{Path, PathBuf};

use bellhop_agent::config::{Config, ConfigError, Plugin};
use bellhop_agent::sandbox::Sandbox;
use bellhop_agent::sandbox::admission::{self, Mismatch, Refusal};
use bellhop_agent::sandbox::cache::{Cache, digest};
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::{self, Target};
use bellhop_agent::sandbox::surface::{NotAComponent, Surface};
use support::fixtures::Fixture;
use support::{bellhop, plugin_component};
use tempfile::TempDir;

const LOG: &str = "bellhop:guest/log@0.1.0";

fn plugin_with(folder: &Path, component: &[u8], table: &str) -> Result<Plugin, ConfigError> {
    std::fs::write(folder.join("it.wasm"), component).expect("a component can be written");
    let text = format!("[plugins.it]\ncomponent = \"it.wasm\"\n{table}\n");
    let config = Config::parse(&text, &folder.join("agent.toml"))?;
    Ok(config.plugins.into_iter().next().expect("one plugin stands there"))
}

/// Reads and examines a component under a table, as the agent does before it compiles.
fn admit(component: &[u8], table: &str) -> Result<(), Refusal> {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let plugin = plugin_with(folder.path(), component, table).unwrap_or_else(|error| panic!("{error}"));
    let bytes = admission::read(&plugin)?;
    admission::examine(&bytes, &plugin.authority).map(drop)
}

fn mismatches(component: &[u8], table: &str) -> Vec<Mismatch> {
    match admit(component, table) {
        Err(Refusal::Mismatches(mismatches)) => mismatches,
        other => panic!("Mismatches were expected, not {other:?}"),
    }
}

#[test]
fn bytes_that_are_not_webassembly_are_named_by_what_they_begin_with() {
    let error = admit(b"#!/bin/sh\n", "").expect_err("a script is not a component");

    assert_eq!(error.to_string(), "Not WebAssembly: it begins with 23 21 2f 62, not with `\\0asm`");
    assert!(admit(b"", "").expect_err("nothing").to_string().contains("it begins with nothing"));
}

#[test]
fn a_core_module_is_told_apart_from_a_component() {
    let module = wat::parse_str("(module)").expect("a module");

    let error = admit(&module, "").expect_err("a module is not a component");

    assert!(matches!(error, Refusal::NotAComponent(NotAComponent::CoreModule)), "{error}");
    assert!(error.to_string().contains("wasm-component-ld"));
}

#[test]
fn a_component_cut_short_is_refused_wherever_it_is_cut() {
    let whole = Fixture::default().component();
    let surface = Surface::of_component(&whole).expect("the whole is a component");

    for length in 0..whole.len() {
        match admit(&whole[..length], "") {
            Err(Refusal::NotAComponent(_) | Refusal::Mismatches(_)) => {}
            Err(error) => panic!("cut at {length}: {error}"),
            // A component ends where a section does: what is left is whole, and offers no more.
            Ok(()) => {
                let left = Surface::of_component(&whole[..length]).expect("it was admitted");
                assert!(
                    left.exports.keys().all(|name| surface.exports.contains_key(name)),
                    "cut at {length}"
                );
            }
        }
    }
}

#[test]
fn a_component_with_any_byte_changed_never_panics() {
    let whole = Fixture::default().component();

    for index in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[index] ^= 0xa5;
        // Some changes are harmless: a name, a padding. That it returns is what is tested.
        let _ = admit(&bytes, "");
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let plugin = plugin_with(folder.path(), b"", "").unwrap_or_else(|error| panic!("{error}"));
    let file = std::fs::File::create(&plugin.component).expect("the file is there");
    // Sparse: it takes no room.
    file.set_len(200 << 20).expect("a file can have holes");

    let error = admission::read(&plugin).expect_err("200 MiB are too many");

    assert!(error.to_string().contains("larger than 8 MiB"), "{error}");
}

#[test]
fn every_import_that_was_not_granted_is_listed_with_its_grant() {
    let component = std::fs::read(plugin_component("display")).expect("the display plugin was built");

    let found = mismatches(&component, "grants = { requests = [\"guest\"] }");

    let text: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        text,
        [
            "imports bellhop:guest/display@0.1.0, which is not granted: add requests = [\"display\"] to its grants, \
             or denied = [\"display\"] to its table to run it without",
            "imports bellhop:guest/outputs@0.1.0, which is not granted: add desktop = [\"outputs\"] to its grants, \
             or denied = [\"outputs\"] to its table to run it without",
        ]
    );
}

#[test]
fn imports_that_nobody_offers_are_listed_with_what_is_known_of_them() {
    let component = Fixture::default()
        .with_wit("package wasi:cli@0.2.0 { interface environment { get: func(); } }")
        .with_wit("package wasi:http@0.2.0 { interface types { ask: func(); } }")
        .with_wit("package acme:tools@1.0.0 { interface gadget { use-it: func(); } }")
        .importing("wasi:cli/environment@0.2.0", "get", "", "get")
        .importing("wasi:http/types@0.2.0", "ask", "", "ask")
        .importing("acme:tools/gadget@1.0.0", "use-it", "", "use")
        .init("(call $get) (call $ask) (call $use) (unreachable)")
        .component();

    let text: Vec<_> = mismatches(&component, "").iter().map(ToString::to_string).collect();

    assert_eq!(
        text,
        [
            "imports wasi:cli/environment@0.2.0, which is not granted: add wasi = \"minimal\" to its grants",
            "imports acme:tools/gadget@1.0.0: only interfaces of bellhop:guest can be imported",
            "imports wasi:http/types@0.2.0: of WASI only cli, clocks, filesystem, io, random and sockets of 0.2 can be granted",
        ]
    );
}

#[test]
fn a_component_without_lifecycle_is_refused() {
    let component = Fixture::default().exporting(&["host-events"]).component();

    let found = mismatches(&component, "");

    assert_eq!(found, [Mismatch::MissingExport { interface: "bellhop:guest/lifecycle@0.1.0".to_owned() }]);
}

#[test]
fn a_pinned_component_is_run_and_any_other_is_not() {
    let component = Fixture::default().component();
    let other = Fixture::subscribing(4).component();
    let pin = format!("sha256 = \"{}\"", digest(&component).to_uppercase());

    admit(&component, &pin).expect("the pinned one is admitted");
    let error = admit(&other, &pin).expect_err("another one is not");

    assert!(error.to_string().contains(&digest(&other)), "{error}");
    assert!(error.to_string().contains(&digest(&component)), "{error}");
}

#[test]
fn what_is_not_granted_is_not_linked() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let component = Fixture::default()
        .importing(LOG, "write", "(param i32 i32 i32)", "log")
        .init("(call $log (i32.const 2) (i32.const 16) (i32.const 5)) (unreachable)")
        .component();
    let plugin = plugin_with(folder.path(), &component, "").unwrap_or_else(|error| panic!("{error}"));

    let linked: Vec<_> = plugin.authority.linked().map(|interface| interface.name).collect();

    assert_eq!(linked, ["types", "log", "clock", "buffers", "timers"]);
}

fn sandbox(cache: PathBuf) -> std::sync::Arc<Sandbox> {
    let engine = engine::engine(Target::Native).expect("wasmtime runs here");
    let cache = Cache::new(cache, &engine, Compiler::new(bellhop()));
    Sandbox::new(engine, cache).expect("a thread can be had")
}

fn compiled_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the cache is there");
    entries.map(|entry| entry.expect("it can be read").path()).collect()
}

fn quiet_plugin() -> (TempDir, Plugin) {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let plugin = plugin_with(folder.path(), &Fixture::default().component(), "")
        .unwrap_or_else(|error| panic!("{error}"));
    (folder, plugin)
}

#[test]
fn a_component_is_compiled_once() {
    let (folder, plugin) = quiet_plugin();
    let cache = folder.path().join("cache");

    sandbox(cache.clone()).link(&plugin).map(drop).expect("it links");
    let made = std::fs::metadata(&compiled_files(&cache)[0]).and_then(|m| m.modified()).expect("a time");
    sandbox(cache.clone()).link(&plugin).map(drop).expect("it links again");

    let files = compiled_files(&cache);
    assert_eq!(files.len(), 1, "{files:?}");
    assert_eq!(std::fs::metadata(&files[0]).and_then(|m| m.modified()).expect("a time"), made);
}

#[test]
fn a_damaged_cache_entry_is_compiled_anew() {
    let (folder, plugin) = quiet_plugin();
    let cache = folder.path().join("cache");
    sandbox(cache.clone()).link(&plugin).map(drop).expect("it links");
    std::fs::write(&compiled_files(&cache)[0], b"not an ELF file").expect("it can be damaged");

    sandbox(cache.clone()).link(&plugin).map(drop).expect("it links all the same");

    assert!(std::fs::metadata(&compiled_files(&cache)[0]).expect("it is there").len() > 1000);
}

#[test]
fn a_cache_that_others_can_write_to_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, plugin) = quiet_plugin();
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache).expect("a folder");
    std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).expect("a mode");

    let error = sandbox(cache).link(&plugin).map(drop).expect_err("anybody could plant code");

    assert!(error.to_string().contains("chmod go-w"), "{error}");
}

#[test]
fn a_compiler_that_cannot_be_started_is_an_error_with_its_path() {
    let (folder, plugin) = quiet_plugin();
    let engine = engine::engine(Target::Native).expect("wasmtime runs here");
    let cache =
        Cache::new(folder.path().join("cache"), &engine, Compiler::new("/nonexistent/bellhop".into()));
    let sandbox = Sandbox::new(engine, cache).expect("a thread can be had");

    let error = sandbox.link(&plugin).map(drop).expect_err("there is no compiler");

    assert!(format!("{error:#}").contains("/nonexistent/bellhop"), "{error:#}");
}

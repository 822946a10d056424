//! `bellhop plugin` as an author meets it, and then the administrator who is given what the author packed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use support::{bellhop, plugin_component};
use tempfile::TempDir;

/// What an author writes for a plugin that is there already: it is built by being copied.
const MANIFEST: &str = r#"
version = "1.2.3"
description = "Displays that follow the host's wishes"
[build]
run = [["cp", "made.wasm", "built.wasm"]]
makes = "built.wasm"
needs = [{ program = "cp", get = "it comes with every system" }]
[plugins.shown]
component = "shown.wasm"
grants = { events = ["display-change", "restored"], capabilities = ["graphics"], requests = ["display", "guest"], desktop = ["outputs"] }
"#;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(bellhop())
        .args(arguments)
        .current_dir(folder)
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .output()
        .expect("bellhop can be started")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command that has to do well; gives back what it says.
fn well(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// Runs a command that has to end with this status; gives back what it says.
fn ill(folder: &Path, arguments: &[&str], status: i32) -> String {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// A plugin's folder with a manifest, and the display plugin as what its build makes.
fn project(manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::write(folder.path().join("plugin.toml"), manifest).expect("a file");
    std::fs::copy(plugin_component("display"), folder.path().join("made.wasm")).expect("a file");
    folder
}

#[test]
fn what_an_author_packs_is_taken_in_by_an_administrator() {
    let folder = project(MANIFEST);
    let folder = folder.path();

    let built = well(folder, &["plugin", "build"]);
    let packed = well(folder, &["plugin", "pack"]);
    let added = well(folder, &["plugin", "add", "shown-1.2.3.wasm", "--into", "plugins"]);

    assert!(built.contains("$ cp made.wasm built.wasm"), "{built}");
    assert!(built.contains("shown 1.2.3: Displays that follow the host's wishes"), "{built}");
    let digest = packed.lines().last().and_then(|line| line.strip_prefix("sha256 ")).expect("a digest");
    assert!(added.contains(&format!("sha256 = \"{digest}\"")), "{added}");
    // The lines that are to be reviewed are what makes it run.
    let lines: String = added
        .lines()
        .skip_while(|line| !line.starts_with("[plugins.shown"))
        .take_while(|line| !line.starts_with("Then"))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(folder.join("agent.toml"), lines).expect("a file");
    let checked = well(folder, &["check", "--config", "agent.toml"]);
    assert!(checked.contains("shown: fits its grants"), "{checked}");
}

#[test]
fn a_packed_plugin_says_what_it_is_and_is_a_component_like_any_other() {
    let folder = project(MANIFEST);
    let folder = folder.path();
    well(folder, &["plugin", "build"]);
    well(folder, &["plugin", "pack", "--output", "packed.wasm"]);

    let checked = well(folder, &["plugin", "check", "packed.wasm"]);
    let inspected = well(folder, &["plugin", "inspect", "packed.wasm", "--json"]);
    let explained = well(folder, &["explain", "./packed.wasm"]);

    assert!(checked.contains("shown 1.2.3") && checked.contains("May hear"), "{checked}");
    let inspected: serde_json::Value = serde_json::from_str(&inspected).expect("JSON");
    assert_eq!(inspected["manifest"], MANIFEST);
    assert!(inspected["producers"].as_array().is_some_and(|producers| !producers.is_empty()));
    assert!(explained.contains("bellhop:guest/display@"), "{explained}");
}

#[test]
fn a_plugin_that_does_not_fit_its_own_grants_is_not_packed() {
    let folder = project(&MANIFEST.replace("\"outputs\"", ""));
    let folder = folder.path();

    let built = ill(folder, &["plugin", "build"], 78);
    let packed = ill(folder, &["plugin", "pack"], 78);

    assert!(built.contains("desktop = [\"outputs\"]"), "{built}");
    assert!(packed.contains("Not packed"), "{packed}");
    assert!(!folder.join("shown-1.2.3.wasm").exists());
}

#[test]
fn a_damaged_file_and_one_without_a_manifest_are_not_added() {
    let folder = project(MANIFEST);
    let folder = folder.path();
    well(folder, &["plugin", "build"]);
    well(folder, &["plugin", "pack", "--output", "packed.wasm"]);
    let mut bytes = std::fs::read(folder.join("packed.wasm")).expect("a file");
    bytes.truncate(bytes.len() - 1);
    std::fs::write(folder.join("cut.wasm"), bytes).expect("a file");

    let cut = ill(folder, &["plugin", "add", "cut.wasm", "--into", "plugins"], 1);
    let bare = ill(folder, &["plugin", "add", "shown.wasm", "--into", "plugins"], 1);

    assert!(cut.contains("cut.wasm: Not a valid component"), "{cut}");
    assert!(bare.contains("carries no manifest"), "{bare}");
    assert!(!folder.join("plugins").exists());
}

#[test]
fn another_plugin_of_the_same_name_is_replaced_only_when_that_is_wanted() {
    let folder = project(MANIFEST);
    let folder = folder.path();
    well(folder, &["plugin", "build"]);
    well(folder, &["plugin", "pack", "--output", "packed.wasm"]);
    let add = ["plugin", "add", "packed.wasm", "--into", "plugins"];
    std::fs::create_dir(folder.join("plugins")).expect("a folder");
    std::fs::write(folder.join("plugins/shown.wasm"), "something else").expect("a file");

    let refused = ill(folder, &add, 1);
    assert!(refused.contains("--force"), "{refused}");
    let kept = std::fs::read(folder.join("plugins/shown.wasm")).expect("a file");
    assert_eq!(kept, b"something else");

    well(folder, &[&add[..], &["--force"]].concat());
    well(folder, &add);
    let placed = std::fs::read(folder.join("plugins/shown.wasm")).expect("a file");
    assert_eq!(placed, std::fs::read(folder.join("packed.wasm")).expect("a file"));
}

#[test]
fn a_build_says_what_is_missing_and_how_to_get_it() {
    let folder = project(&MANIFEST.replace("program = \"cp\"", "program = \"no-such-program\""));
    let said = ill(folder.path(), &["plugin", "build"], 1);
    assert!(said.contains("no-such-program: it comes with every system"), "{said}");

    let folder = project(&MANIFEST.replace("\"made.wasm\"", "\"not-there.wasm\""));
    let said = ill(folder.path(), &["plugin", "build"], 1);
    assert!(said.contains("`cp not-there.wasm built.wasm` failed"), "{said}");

    let folder = project("version = \"1.0.0\"\n[plugins.shown]\ncomponent = \"shown.wasm\"\n");
    let said = ill(folder.path(), &["plugin", "build"], 1);
    assert!(said.contains("does not say how to build shown"), "{said}");
}

#[test]
fn a_manifest_that_is_wrong_is_shown_with_its_place() {
    let folder = project(&MANIFEST.replace("\"restored\"", "\"restord\""));

    let said = ill(folder.path(), &["plugin", "check"], 78);

    assert!(said.starts_with("./plugin.toml:10:40:"), "{said}");
    assert!(said.contains("restord"), "{said}");
}

#[test]
fn a_folder_without_scenarios_is_no_folder_that_passes() {
    let folder = project(MANIFEST);

    let none = ill(folder.path(), &["plugin", "test"], 1);
    std::fs::create_dir(folder.path().join("scenarios")).expect("a folder");
    let empty = ill(folder.path(), &["plugin", "test"], 1);

    assert!(none.contains("has no scenarios"), "{none}");
    assert!(empty.contains("there is no TOML file"), "{empty}");
}

#[test]
fn a_folder_that_is_in_use_and_a_name_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    std::fs::create_dir(folder.path().join("taken")).expect("a folder");
    std::fs::write(folder.path().join("taken/work"), "of days").expect("a file");

    let taken = ill(folder.path(), &["plugin", "new", "taken"], 1);
    let named = ill(folder.path(), &["plugin", "new", "../up"], 1);

    assert!(taken.contains("not empty"), "{taken}");
    assert!(named.contains("cannot be a plugin's name"), "{named}");
    assert_eq!(std::fs::read_dir(folder.path().join("taken")).expect("a folder").count(), 1);
}

#[test]
fn a_plugin_that_is_written_anew_replaces_the_one_that_runs() {
    let folder = project(MANIFEST);
    let folder = folder.path();
    well(folder, &["plugin", "build"]);
    let mut process = Command::new(bellhop())
        .args(["plugin", "run"])
        .current_dir(folder)
        .env_remove("DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("bellhop can be started");
    let output = std::io::BufReader::new(process.stdout.take().expect("it was piped"));
    let mut lines = std::io::BufRead::lines(output).map(|line| line.expect("text"));
    let mut until = |text: &str| {
        let line = lines.find(|line| line.contains(text) || line.contains("All stays as it is"));
        assert!(line.as_ref().is_some_and(|line| line.contains(text)), "{text}: {line:?}");
    };

    until("Plugins  1 of 1 run");
    let changed = MANIFEST.replace("[plugins.shown]", "[plugins.shown]\nlimits = { timers = 3 }");
    std::fs::write(folder.join("plugin.toml"), changed).expect("a file");
    until("shown: replaced");
    process.stdin.take().expect("it was piped").write_all(b"quit\n").expect("it reads");
    until("Agent stopped");

    assert!(process.wait().expect("it ends").success());
}

/// The project that `new` begins is built as it stands, which takes a compiler for WebAssembly.
#[test]
fn a_new_project_builds_and_passes_its_tests_and_scenarios() {
    const TEST: &str = "a_new_project_builds_and_passes_its_tests_and_scenarios";
    let target = "wasm32-unknown-unknown";
    let libraries = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output();
    let libraries = libraries.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    if !libraries.is_ok_and(|folder| Path::new(&folder).is_dir()) {
        println!("SKIPPED {TEST}: there is no standard library for {target}; `rustup target add` has it");
        return;
    }
    let folder = tempfile::tempdir().expect("there is room for a folder");
    well(folder.path(), &["plugin", "new", "first-one"]);
    let project = folder.path().join("first-one");
    // What is compiled of others' code is kept from run to run.
    let kept = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/authoring");
    std::fs::create_dir_all(&kept).expect("a folder");
    std::os::unix::fs::symlink(kept.canonicalize().expect("it is there"), project.join("target"))
        .expect("a link");

    let built = well(&project, &["plugin", "build"]);
    let played = well(folder.path(), &["plugin", "test", "first-one"]);
    let tested = Command::new("cargo")
        .args(["test", "--quiet"])
        .current_dir(&project)
        .env_remove("CARGO_TARGET_DIR")
        .output();

    assert!(built.contains("granted by requests = [\"guest\"]"), "{built}");
    assert!(played.contains("2 scenarios, 0 failed"), "{played}");
    let tested = tested.expect("cargo can be started");
    assert!(tested.status.success(), "{}", said(&tested));
}

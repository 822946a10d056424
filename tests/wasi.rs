//! What a plugin finds of WASI where `wasi = "minimal"` is granted: by the plugin `wasi-probe`, which tries
//! what it is told to and says what came of it.

use support::{Rig, Setup, lines_of, plugin_component, says};

/// A rig with the probe, told to try this, and the display plugin beside it.
fn probe(name: &str, tries: &[&str]) -> Rig {
    let table = format!("grants = {{ wasi = \"minimal\" }}\nconfig.tries = {tries:?}");
    let rig = Setup::new().rig().component(name, plugin_component("wasi-probe"), &table);
    rig.display(&format!("{name}-neighbour")).start()
}

/// Whatever it tried, the display plugin beside it goes on.
fn harmed_itself_alone(name: &str, tries: &[&str], fault: &str) {
    let rig = probe(name, tries);

    says(name, fault);
    rig.follows(1001);
}

#[test]
fn there_is_no_environment_no_file_and_no_socket() {
    let rig = probe("wasi-nothing", &["environment", "files", "sockets", "read"]);

    assert_eq!(rig.running(), (2, 2));
    says("wasi-nothing", "Environment: [] []");
    says("wasi-nothing", "Files: 0 open folders");
    let denied = "Err(\"access-denied\")";
    let unresolved = "Err(\"permanent-resolver-failure\")";
    says("wasi-nothing", &format!("Sockets: {denied} {denied} {unresolved}"));
    says("wasi-nothing", "Read: Err(StreamError::Closed)");
}

#[test]
fn clocks_and_random_numbers_are_real() {
    let _rig = probe("wasi-real", &["clocks", "random"]);

    says("wasi-real", "Clocks: true true");
    says("wasi-real", "Random: true");
}

#[test]
fn what_is_printed_stands_in_the_log_line_by_line() {
    let rig = probe("wasi-print", &["print"]);
    says("wasi-print", "Print: Ok(()) Ok(()) Ok(())");
    drop(rig);

    let lines = lines_of("wasi-print");
    for line in ["INFO one line", "INFO and another", "WARN no line yet"] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
}

#[test]
fn what_is_ready_is_told_and_a_wait_ends_the_plugin() {
    let _rig = probe("wasi-ready", &["ready"]);
    says("wasi-ready", "Ready: [1] true false");

    harmed_itself_alone("wasi-wait", &["wait"], "It would have to wait");
}

#[test]
fn an_exit_ends_the_plugin_and_nobody_else() {
    harmed_itself_alone("wasi-exit", &["exit"], "Exited with i32 exit status 1");
}

#[test]
fn what_a_plugin_hoards_is_bounded() {
    harmed_itself_alone("wasi-random", &["much-random"], "Fault:");
    harmed_itself_alone("wasi-hoard", &["hoard"], "Fault:");
}

#[test]
fn without_the_grant_it_is_not_admitted() {
    let table = "config.tries = []";
    let rig = Setup::new().rig().component("wasi-refused", plugin_component("wasi-probe"), table).start();

    assert_eq!(rig.running(), (0, 1));
    says("wasi-refused", "add wasi = \"minimal\" to its grants");
}

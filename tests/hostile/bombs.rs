//! Components that are small as files and large for whoever looks at them, compiles them or loads them.

use bellhop_agent::sandbox::cache::Cache;
use bellhop_agent::sandbox::compile::Compiler;
use bellhop_agent::sandbox::engine::{self, Target};
use support::fixtures::Fixture;
use support::{bellhop, says};

use super::{EVENTS, component_beside_display};

/// A component that subscribes to nothing, with further fields before its own.
fn with_fields(fields: &str) -> Vec<u8> {
    let component = format!(
        r#"(component $top
          {fields}
          (core module $main
            (memory (export "memory") 1)
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
            (func (export "init") (param i32 i32) (result i32) (i32.const 1024)))
          (core instance $main (instantiate $main))
          (type $wanted (record (field "events" u32) (field "capabilities" u32)))
          (func $init (param "config" string) (result (result $wanted (error string)))
            (canon lift (core func $main "init") (memory (core memory $main "memory"))
              (realloc (core func $main "realloc"))))
          (component $lifecycle
            (type $wanted (record (field "events" u32) (field "capabilities" u32)))
            (import "wanted" (type $given (eq $wanted)))
            (import "given-init" (func $init (param "config" string) (result (result $given (error string)))))
            (export $told "subscription" (type $wanted))
            (export "init" (func $init)
              (func (param "config" string) (result (result $told (error string))))))
          (instance $lifecycle (instantiate $lifecycle
            (with "wanted" (type $wanted)) (with "given-init" (func $init))))
          (export "bellhop:guest/lifecycle@0.1.0" (instance $lifecycle)))"#
    );
    wat::parse_str(component).expect("the component parses")
}

/// A line for each number.
fn lines(numbers: std::ops::Range<usize>, line: impl Fn(usize) -> String) -> String {
    numbers.map(line).collect()
}

/// Runs a component beside the display plugin, with a compiler that has a second. Whether it runs is returned.
fn runs(name: &str, component: &[u8]) -> bool {
    let compiler = Compiler::new(bellhop()).with_cpu_seconds(1);
    let table = format!("{EVENTS}\nlimits = {{ cpu-per-event = \"20 s\", wall-per-event = \"20 s\" }}");
    let rig = component_beside_display(name, component, &table).compiler(compiler).start();
    rig.follows(1001);
    rig.running() == (2, 2)
}

#[test]
fn a_component_made_by_hand_runs() {
    assert!(runs("bomb-none", &with_fields("")));
}

#[test]
fn ten_thousand_functions_are_no_trouble() {
    let functions = lines(0..10_000, |n| {
        format!("(func (param i32) (result i32) (i32.add (local.get 0) (i32.const {n})))\n")
    });
    let component = Fixture::default().with_fields(&functions).component();
    let rig = component_beside_display("bomb-functions", &component, EVENTS).start();

    assert_eq!(rig.running(), (2, 2));
    rig.follows(1001);
}

#[test]
fn what_takes_the_compiler_too_long_is_given_up() {
    // Each block merges all locals, and each local was set in each block.
    let locals = "i64 ".repeat(2000);
    let blocks = lines(0..6000, |n| {
        format!(
            "(if (local.get 0) (then (local.set {} (i64.add (local.get {}) (local.get {})))))\n",
            1 + n % 2000,
            1 + (n * 7) % 2000,
            1 + (n * 13) % 2000
        )
    });
    let slow =
        lines(0..2, |_| format!("(func (param i32) (local {locals}) (loop $again {blocks} (br $again)))"));
    let component = Fixture::default().with_fields(&slow).component();

    assert!(!runs("bomb-slow", &component));
    says("bomb-slow", "Compiling took more than 1 s of processor time");
}

#[test]
fn a_component_that_doubles_itself_is_given_up() {
    let levels = lines(1..40, |n| {
        let below = n - 1;
        format!(
            "(component $c{n} (alias outer $top $c{below} (component $below))
               (instance (instantiate $below)) (instance (instantiate $below)))\n"
        )
    });
    let component = with_fields(&format!(
        "(component $c0 (core module $m (memory 1)) (core instance (instantiate $m)))
         {levels} (instance (instantiate $c39))"
    ));

    assert!(!runs("bomb-doubling", &component));
    says("bomb-doubling", "Not admitted:");
}

#[test]
fn data_at_both_ends_of_a_memory_does_not_become_all_of_it() {
    let modules = lines(0..200, |n| {
        format!(
            r#"(core module $m{n} (memory 200) (data (i32.const 0) "a") (data (i32.const 13000000) "z"))"#
        )
    });
    let component = with_fields(&modules);
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let engine = engine::engine(Target::Native).expect("wasmtime runs here");
    let cache = Cache::new(folder.path().join("cache"), &engine, Compiler::new(bellhop()));

    // None of them is instantiated, so it is as harmless as it is useless.
    let loaded = cache.load(&engine, &component).expect("it compiles");

    let code = loaded.component.image_range();
    assert!(code.end.addr() - code.start.addr() < 4 << 20, "{code:?}");
}

#[test]
fn a_type_that_unfolds_for_ever_is_refused() {
    // Each is the one before twice, and the first has a name of 50 kB: 3 GB, when it is spelled out.
    let name = "a".repeat(50_000);
    let types = lines(1..17, |n| format!("(type $t{n} (tuple $t{below} $t{below}))", below = n - 1));
    let component = with_fields(&format!(
        r#"(import "bellhop:guest/log@0.1.0" (instance
             (type $record (record (field "{name}" u8)))
             (export "record" (type $t0 (eq $record)))
             {types}
             (export "write" (func (param "level" $t16)))))"#
    ));

    assert!(!runs("bomb-types", &component));
    says("bomb-types", "types are too long");
}
#[test]
fn memories_count_together() {
    // Sixty of 16 MiB, each filled at its start.
    let component = with_fields(&format!(
        "(core module $hog
           (memory 256)
           (func $fill (memory.fill (i32.const 0) (i32.const 1) (i32.const 16777216)))
           (start $fill))
         {}",
        "(core instance (instantiate $hog))".repeat(60)
    ));

    assert!(!runs("bomb-memories", &component));
    says("bomb-memories", "Fault:");
}

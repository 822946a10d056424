//! Components made for one test each: what a stranger, or an enemy, might hand in.
//!
//! A fixture is a core module in WebAssembly text, dressed as a component of the contract by the same
//! library that authors' tools use. Only what a test is about is spelled out.

use std::collections::BTreeMap;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component under construction.
#[derive(Debug, Clone)]
pub struct Fixture {
    imports: Vec<Import>,
    exports: Vec<&'static str>,
    extra_wit: String,
    /// Fields of the module beside the usual ones.
    fields: String,
    start: String,
    realloc: String,
    /// The bodies of functions that are exported, by name.
    bodies: BTreeMap<&'static str, String>,
}

#[derive(Debug, Clone, Copy)]
struct Import {
    interface: &'static str,
    function: &'static str,
    signature: &'static str,
    alias: &'static str,
}

/// The functions that a component may export: their interface, and the parameters of the core function.
/// Each gives back a pointer to its result.
const EXPORTS: [(&str, &str, &str); 10] = [
    ("lifecycle", "init", "i32 i32"),
    ("host-events", "on-host-events", "i32"),
    ("hgcm-completions", "on-completion", "i64 i32 i32 i32 i32 i32"),
    ("timer-events", "on-timer", "i64"),
    ("property-events", "on-property-changed", "i64 i32 i32 i32 i32 i32 i64 i32 i32 i32"),
    ("window-events", "on-windows-changed", ""),
    ("clipboard-events", "on-changed", "i32 i32 i32 i32"),
    ("clipboard-events", "on-read", "i64 i32 i64 i32 i32 i32"),
    ("clipboard-events", "on-wanted", "i64 i32 i32 i32"),
    ("clipboard-events", "on-locked", "i32"),
];

/// An allocator that begins anew, at 4096, when it comes to an end.
const REALLOC: &str = "(global.get $heap)
    (global.set $heap (i32.or (i32.const 4096) (i32.and (i32.const 65528)
      (i32.add (global.get $heap) (i32.add (local.get 3) (i32.const 7))))))";

/// Where a fixture's `init` and handler leave their results.
const RESULT: u32 = 1024;

impl Default for Fixture {
    fn default() -> Self {
        Self {
            imports: Vec::new(),
            exports: vec!["lifecycle", "host-events"],
            extra_wit: String::new(),
            fields: String::new(),
            start: String::new(),
            realloc: REALLOC.to_owned(),
            bodies: BTreeMap::from([("init", subscribe(0, 0))]),
        }
    }
}

/// The body of an `init` that subscribes.
#[must_use]
pub fn subscribe(events: u32, capabilities: u32) -> String {
    format!(
        "(i32.store8 (i32.const {RESULT}) (i32.const 0))
         (i32.store offset=4 (i32.const {RESULT}) (i32.const {events}))
         (i32.store offset=8 (i32.const {RESULT}) (i32.const {capabilities}))
         (i32.const {RESULT})"
    )
}

/// The body of a handler that is content.
#[must_use]
pub fn ok() -> String {
    format!("(i32.store8 (i32.const {RESULT}) (i32.const 0)) (i32.const {RESULT})")
}

/// A body that returns an error with the text that stands at `at` in the fixture's memory: see
/// [`Fixture::component`] for what stands where.
#[must_use]
pub fn fail() -> String {
    format!(
        "(i32.store8 (i32.const {RESULT}) (i32.const 1))
         (i32.store offset=4 (i32.const {RESULT}) (i32.const 16))
         (i32.store offset=8 (i32.const {RESULT}) (i32.const 13))
         (i32.const {RESULT})"
    )
}

/// The text that [`fail`] returns.
pub const FAILURE: &str = "it is raining";

impl Fixture {
    /// A plugin that subscribes to `events` and does nothing with them.
    #[must_use]
    pub fn subscribing(events: u32) -> Self {
        Self::default().init(subscribe(events, 0))
    }

    /// Replaces the body of `init` (locals: the configuration's pointer 0 and length 1).
    #[must_use]
    pub fn init(self, body: impl Into<String>) -> Self {
        self.body("init", body)
    }

    /// Replaces the body of `on-host-events` (local 0: the events; the function itself is
    /// `$on-host-events`).
    #[must_use]
    pub fn on_host_events(self, body: impl Into<String>) -> Self {
        self.body("on-host-events", body)
    }

    /// Replaces the body of a function that is exported, by its name in the contract.
    #[must_use]
    pub fn body(mut self, function: &'static str, body: impl Into<String>) -> Self {
        self.bodies.insert(function, body.into());
        self
    }

    /// Adds fields to the module: functions, tables, data. Its memory's first two pages are taken.
    #[must_use]
    pub fn with_fields(mut self, fields: &str) -> Self {
        self.fields.push_str(fields);
        self
    }

    /// Replaces the body of the allocator that the host calls (locals: 0 to 2, and the size 3).
    #[must_use]
    pub fn realloc(mut self, body: impl Into<String>) -> Self {
        self.realloc = body.into();
        self
    }

    /// Exports these handler interfaces and no others.
    #[must_use]
    pub fn exporting(mut self, exports: &[&'static str]) -> Self {
        self.exports = exports.to_vec();
        self
    }

    /// Imports a function, which bodies call as `$alias`. `interface` is a full name with a version;
    /// `signature` is that of the core function.
    #[must_use]
    pub fn importing(
        mut self,
        interface: &'static str,
        function: &'static str,
        signature: &'static str,
        alias: &'static str,
    ) -> Self {
        self.imports.push(Import { interface, function, signature, alias });
        self
    }

    /// Defines packages beside the contract, for imports that it does not have.
    #[must_use]
    pub fn with_wit(mut self, wit: &str) -> Self {
        self.extra_wit.push_str(wit);
        self
    }

    /// Runs this body when the component is instantiated.
    #[must_use]
    pub fn start(mut self, body: &str) -> Self {
        self.start = body.to_owned();
        self
    }

    /// The component's bytes.
    ///
    /// Its memory: at 16 the text [`FAILURE`]; from 1024 results; from 4096 what the host allocates.
    #[must_use]
    pub fn component(&self) -> Vec<u8> {
        let mut resolve = Resolve::default();
        resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")).expect("the contract parses");
        let package = resolve.push_str("fixture.wit", &self.world()).expect("the fixture's world parses");
        let world = resolve.select_world(&[package], Some("fixture")).expect("there is one world");
        let mut module = wat::parse_str(self.module()).expect("the fixture's module parses");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
            .expect("the world can be embedded");
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .and_then(|mut encoder| encoder.encode())
            .expect("the fixture's module fits its world")
    }

    fn world(&self) -> String {
        let mut interfaces: Vec<_> = self.imports.iter().map(|import| import.interface).collect();
        interfaces.dedup();
        let imports: String = interfaces.iter().map(|name| format!("import {name};\n")).collect();
        let exports: String =
            self.exports.iter().map(|name| format!("export bellhop:guest/{name}@0.1.0;\n")).collect();
        format!("package fixture:component;\nworld fixture {{\n{imports}{exports}}}\n{}", self.extra_wit)
    }

    fn module(&self) -> String {
        let imports: String = self
            .imports
            .iter()
            .map(|Import { interface, function, signature, alias }| {
                format!("(import \"{interface}\" \"{function}\" (func ${alias} {signature}))\n")
            })
            .collect();
        let exports: String = EXPORTS
            .iter()
            .filter(|(interface, ..)| self.exports.contains(interface))
            .map(|(interface, function, parameters)| {
                let body = self.bodies.get(function).cloned().unwrap_or_else(ok);
                format!(
                    "(func ${function} (export \"bellhop:guest/{interface}@0.1.0#{function}\")
                       (param {parameters}) (result i32) {body})\n"
                )
            })
            .collect();
        let Self { realloc, fields, .. } = self;
        let start = if self.start.is_empty() {
            String::new()
        } else {
            format!("(func $start {})\n(start $start)\n", self.start)
        };
        format!(
            "(module
               {imports}
               (memory (export \"memory\") 2)
               (data (i32.const 16) \"{FAILURE}\")
               (global $heap (mut i32) (i32.const 4096))
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) {realloc})
               {fields}
               {exports}
               {start})"
        )
    }
}

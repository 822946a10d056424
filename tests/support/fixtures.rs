//! Components made for one test each: what a stranger, or an enemy, might hand in.
//!
//! A fixture is a core module in WebAssembly text, dressed as a component of the contract by the same
//! library that authors' tools use. Only what a test is about is spelled out.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A component under construction.
#[derive(Debug, Clone)]
pub struct Fixture {
    imports: Vec<Import>,
    exports: Vec<&'static str>,
    extra_wit: String,
    start: String,
    init: String,
    on_host_events: String,
}

#[derive(Debug, Clone, Copy)]
struct Import {
    interface: &'static str,
    function: &'static str,
    signature: &'static str,
    alias: &'static str,
}

/// Where a fixture's `init` and handler leave their results.
const RESULT: u32 = 1024;

impl Default for Fixture {
    fn default() -> Self {
        Self {
            imports: Vec::new(),
            exports: vec!["lifecycle", "host-events"],
            extra_wit: String::new(),
            start: String::new(),
            init: subscribe(0, 0),
            on_host_events: ok(),
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
        Self { init: subscribe(events, 0), ..Self::default() }
    }

    /// Replaces the body of `init` (locals: the configuration's pointer 0 and length 1).
    #[must_use]
    pub fn init(mut self, body: impl Into<String>) -> Self {
        self.init = body.into();
        self
    }

    /// Replaces the body of `on-host-events` (local 0: the events; the function itself is `$self`).
    #[must_use]
    pub fn on_host_events(mut self, body: impl Into<String>) -> Self {
        self.on_host_events = body.into();
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
        let mut exports = String::new();
        if self.exports.contains(&"lifecycle") {
            let init = &self.init;
            exports += &format!(
                "(func (export \"bellhop:guest/lifecycle@0.1.0#init\") (param i32 i32) (result i32) {init})\n"
            );
        }
        if self.exports.contains(&"host-events") {
            let body = &self.on_host_events;
            exports += &format!(
                "(func $self (export \"bellhop:guest/host-events@0.1.0#on-host-events\") (param i32) (result i32) {body})\n"
            );
        }
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
               (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32)
                 (global.get $heap)
                 (global.set $heap (i32.and (i32.const 65528)
                   (i32.add (global.get $heap) (i32.add (local.get 3) (i32.const 7))))))
               {exports}
               {start})"
        )
    }
}

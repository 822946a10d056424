//! Plugins that trap, run on, grow, flood, forge and lie, and components that were made to harm whoever
//! looks at them: each harms itself alone.
//!
//! Each runs beside the display plugin, which must go on following the host.

mod authority;
mod bombs;
mod floods;
mod forgery;
mod hogs;
mod loops;
mod mutations;
mod traps;

use support::fixtures::Fixture;
use support::{RigBuilder, Setup, lines_of};

const EVENTS: &str = r#"grants = { events = ["display-change", "restored"], capabilities = ["graphics"] }"#;
/// The same with little processor time.
const HASTY: &str = r#"grants = { events = ["display-change", "restored"] }
limits = { cpu-per-event = "20 ms" }"#;
const ENDLESS: &str = "(loop $again (br $again)) (unreachable)";

const LOG: &str = "bellhop:guest/log@0.1.0";
const BUFFERS: &str = "bellhop:guest/buffers@0.1.0";
const TIMERS: &str = "bellhop:guest/timers@0.1.0";
const HGCM: &str = "bellhop:guest/hgcm@0.1.0";
const PROPERTIES: &str = "bellhop:guest/properties@0.1.0";
const DISPLAY: &str = "bellhop:guest/display@0.1.0";
const SEAMLESS: &str = "bellhop:guest/seamless@0.1.0";
const GUEST: &str = "bellhop:guest/guest@0.1.0";
const OUTPUTS: &str = "bellhop:guest/outputs@0.1.0";
const WINDOWS: &str = "bellhop:guest/windows@0.1.0";
const CLIPBOARD: &str = "bellhop:guest/clipboard@0.1.0";

/// The name of a service, at 64 in a fixture's memory, and the pattern of all properties behind it.
const SERVICE: &str = r#"(data (i32.const 64) "VBoxGuestPropSvc*")"#;

/// A rig with a hostile plugin and, beside it, the display plugin.
fn beside_display(name: &str, fixture: &Fixture, table: &str) -> RigBuilder {
    component_beside_display(name, &fixture.component(), table)
}

/// The same of a component that is no fixture.
fn component_beside_display(name: &str, component: &[u8], table: &str) -> RigBuilder {
    Setup::new().rig().plugin(name, component, table).display(&format!("{name}-neighbour"))
}

fn count(plugin: &str, text: &str) -> usize {
    lines_of(plugin).iter().filter(|line| line.contains(text)).count()
}

/// Calls something so often, for which local `$nth` counts from 0. The results that the calls leave at 2048
/// are looked at: unless so many of them are good, it traps. The body of an `init` or a handler begins with
/// this.
fn counting(times: u32, call: &str, good: u32) -> String {
    format!(
        "(local $nth i32) (local $good i32)
         (loop $again
           (i32.store8 (i32.const 2048) (i32.const 1))
           {call}
           (local.set $good (i32.add (local.get $good) (i32.eqz (i32.load8_u (i32.const 2048)))))
           (local.set $nth (i32.add (local.get $nth) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $nth) (i32.const {times}))))
         (if (i32.ne (local.get $good) (i32.const {good})) (then (unreachable)))"
    )
}

//! What one plugin may use: the limits, their defaults, and what no configuration can exceed.

use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use super::{Bytes, Span};

/// Declares the limits: what each is, its default, and its ceiling.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, at most $ceiling:expr;)+) => {
        /// What one plugin may use.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Limits {
            $($(#[$doc])* pub $name: $type,)+
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// Limits as written: what is absent is inherited.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub(crate) struct LimitsTable {
            $($name: Option<Spanned<$type>>,)+
        }

        impl LimitsTable {
            /// These limits, and of `base` those that are not given. Each beyond its ceiling is a problem.
            pub(crate) fn over(&self, base: Limits, problems: &mut Vec<Spanned<String>>) -> Limits {
                let mut limits = base;
                $(if let Some(given) = &self.$name {
                    limits.$name = *given.get_ref();
                    if limits.$name > $ceiling {
                        let key = stringify!($name).replace('_', "-");
                        problems.push(Spanned::new(
                            given.span(),
                            format!("`{key}` may be {} at most, for any plugin", $ceiling),
                        ));
                    }
                })+
                limits
            }
        }
    };
}

limits! {
    /// Size of its file.
    component_size: Bytes = Bytes(8 << 20), at most Bytes(256 << 20);
    /// Linear memory, all of its memories together.
    memory: Bytes = Bytes(16 << 20), at most Bytes(1 << 30);
    /// Elements of its tables of functions, all together.
    table_elements: u32 = 10_000, at most 1_000_000;
    /// What the agent may allocate for the arguments of one host call.
    host_call_allocation: Bytes = Bytes(2 << 20), at most Bytes(64 << 20);
    /// What its buffers may hold together.
    buffers: Bytes = Bytes(16 << 20), at most Bytes(4 << 30);
    /// Buffers, watches of properties and reads of the clipboard that it may have, all together.
    handles: u32 = 256, at most 65_536;
    /// Timers that may be set.
    timers: u32 = 64, at most 4096;
    /// Connections to services of the host.
    hgcm_clients: u32 = 8, at most 64;
    /// HGCM calls that may be under way, each of which has a thread.
    calls: u32 = 16, at most 256;
    /// Parameters of those calls, all together; what lies in buffers counts as such.
    call_bytes: Bytes = Bytes(16 << 20), at most Bytes(256 << 20);
    /// Requests to the host and the desktop.
    requests_per_second: u32 = 1000, at most 1_000_000;
    /// What it may log.
    log_per_second: Bytes = Bytes(64 << 10), at most Bytes(64 << 20);
    /// What it may hand over to the one that takes its place.
    hand_over: Bytes = Bytes(1 << 20), at most Bytes(16 << 20);
    /// Processor time of its own code for one event, host calls not counted.
    cpu_per_event: Span = Span(Duration::from_millis(200)), at most Span(Duration::from_secs(3600));
    /// Time from the start of an event to its end, host calls included.
    wall_per_event: Span = Span(Duration::from_secs(5)), at most Span(Duration::from_secs(3600));
}

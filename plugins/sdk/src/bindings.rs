//! What `wit-bindgen` makes of the contract: all that can be imported, and each handler on its own.
//!
//! A component exports the whole of each world that is bound into it, so every handler has a world of
//! its own, and [`plugin!`](crate::plugin!) binds those that a plugin names.

#![allow(
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    reason = "generated: the code is the canonical ABI's, the documentation the contract's"
)]

wit_bindgen::generate!({
    path: "wit",
    inline: "
        package bellhop:sdk;
        world imports {
            import bellhop:guest/log@0.1.0;
            import bellhop:guest/clock@0.1.0;
            import bellhop:guest/buffers@0.1.0;
            import bellhop:guest/timers@0.1.0;
            import bellhop:guest/display@0.1.0;
            import bellhop:guest/seamless@0.1.0;
            import bellhop:guest/guest@0.1.0;
            import bellhop:guest/raw-requests@0.1.0;
            import bellhop:guest/hgcm@0.1.0;
            import bellhop:guest/properties@0.1.0;
            import bellhop:guest/outputs@0.1.0;
            import bellhop:guest/windows@0.1.0;
            import bellhop:guest/clipboard@0.1.0;
        }",
    world: "bellhop:sdk/imports",
    // Ours, so that it reads well in a log.
    with: { "bellhop:guest/types@0.1.0": crate::error::types },
    generate_all,
    additional_derives: [PartialEq, Eq],
});

/// A module with the bindings of one exported interface, and of what that borrows of others.
macro_rules! handler {
    ($module:ident: $inline:tt, $world:tt $(, $interface:tt: $bindings:path)*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "wit",
                inline: $inline,
                world: $world,
                pub_export_macro: true,
                with: { $($interface: $bindings),* },
                generate_all,
                additional_derives: [PartialEq, Eq],
            });
        }
    };
}

handler!(lifecycle:
    "package bellhop:sdk; world lifecycle { export bellhop:guest/lifecycle@0.1.0; }", "bellhop:sdk/lifecycle",
    "bellhop:guest/types@0.1.0": crate::error::types);
handler!(host_events:
    "package bellhop:sdk; world host-events { export bellhop:guest/host-events@0.1.0; }", "bellhop:sdk/host-events",
    "bellhop:guest/types@0.1.0": crate::error::types);
handler!(hgcm_completions:
    "package bellhop:sdk; world hgcm-completions { export bellhop:guest/hgcm-completions@0.1.0; }", "bellhop:sdk/hgcm-completions",
    "bellhop:guest/types@0.1.0": crate::error::types);
handler!(timer_events:
    "package bellhop:sdk; world timer-events { export bellhop:guest/timer-events@0.1.0; }", "bellhop:sdk/timer-events",
    "bellhop:guest/types@0.1.0": crate::error::types);
handler!(property_events:
    "package bellhop:sdk; world property-events { export bellhop:guest/property-events@0.1.0; }", "bellhop:sdk/property-events",
    "bellhop:guest/types@0.1.0": crate::error::types);
handler!(window_events:
    "package bellhop:sdk; world window-events { export bellhop:guest/window-events@0.1.0; }", "bellhop:sdk/window-events");
handler!(hand_over:
    "package bellhop:sdk; world hand-over { export bellhop:guest/hand-over@0.1.0; }", "bellhop:sdk/hand-over");
handler!(clipboard_events:
    "package bellhop:sdk; world clipboard-events { export bellhop:guest/clipboard-events@0.1.0; }", "bellhop:sdk/clipboard-events",
    "bellhop:guest/types@0.1.0": crate::error::types,
    "bellhop:guest/clipboard@0.1.0": crate::bindings::bellhop::guest::clipboard);

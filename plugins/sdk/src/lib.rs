//! Write a Bellhop plugin in Rust.
//!
//! A plugin is a WebAssembly component that the agent starts once and then calls with news; between
//! calls it does not run. This crate turns the contract (`wit/bellhop.wit`) into two things to write,
//! a type that implements [`Plugin`] and a line that exports it:
//!
//! ```
//! use bellhop_plugin::{Capabilities, Events, NoConfig, Plugin, Subscription, guest, info};
//!
//! struct Greeter {
//!     restores: u32,
//! }
//!
//! impl Plugin for Greeter {
//!     type Config = NoConfig;
//!
//!     fn start(_: NoConfig) -> Result<(Self, Subscription), String> {
//!         let host = guest::version()?;
//!         info!("Hello, VirtualBox {}.{}", host.major, host.minor);
//!         let subscription = Subscription {
//!             events: Events::RESTORED,
//!             capabilities: Capabilities::empty(),
//!         };
//!         Ok((Greeter { restores: 0 }, subscription))
//!     }
//!
//!     fn on_host_events(&mut self, _: Events) -> Result<(), String> {
//!         self.restores += 1;
//!         info!("Back from a saved state for the {}. time", self.restores);
//!         Ok(())
//!     }
//! }
//!
//! bellhop_plugin::plugin!(Greeter);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`, built for `wasm32-unknown-unknown` and linked by `wasm-component-ld`. What
//! it imports is what it calls: a plugin that never touches [`outputs`] needs no grant for it.
//!
//! Built for any other target, a plugin exports nothing, its log goes to standard error, and calls to
//! the host panic. That is enough for unit tests of everything that decides, which is best kept apart
//! from what asks and acts.

#![deny(missing_docs)]

mod config;
mod error;
pub mod guest;
pub mod log;
mod sets;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;

pub use bindings::bellhop::guest::{clock, display, outputs};
pub use config::NoConfig;
pub use error::Error;
pub use sets::{Capabilities, Events};

/// A plugin: one value that lives from its start to its end, and is called with news.
///
/// Handlers must not wait for anything; they ask and act through calls that answer at once, and
/// return. A plugin that panics or overruns its budget is started anew, without its memory.
pub trait Plugin: Sized + 'static {
    /// Its configuration, as it stands in `agent.toml`. [`NoConfig`] for none.
    type Config: serde::de::DeserializeOwned;

    /// Called once, before anything else.
    ///
    /// # Errors
    /// An error ends the plugin; its text is shown to the administrator. So does a subscription that
    /// exceeds the grants.
    fn start(config: Self::Config) -> Result<(Self, Subscription), String>;

    /// Called with the events that the host raised since the last call: at least one, and only those
    /// subscribed to.
    ///
    /// # Errors
    /// An error is logged, and the plugin goes on.
    fn on_host_events(&mut self, events: Events) -> Result<(), String>;
}

/// What a plugin wants to hear of, and to announce; every bit must have been granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The events to be called for.
    pub events: Events,
    /// The guest capabilities to announce while the plugin runs.
    pub capabilities: Capabilities,
}

/// Exports a [`Plugin`] from this component.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        // Only a component can have exports of these names; elsewhere a linker chokes on them.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings::{
                self,
                exports::bellhop::guest::{host_events, lifecycle},
            };
            use $crate::export::Slot;

            // A component has one thread, so this is the one instance.
            ::std::thread_local! {
                static SLOT: Slot<$plugin> = const { Slot::empty() };
            }

            struct Component;

            impl lifecycle::Guest for Component {
                fn init(
                    config: ::std::string::String,
                ) -> ::std::result::Result<lifecycle::Subscription, ::std::string::String> {
                    SLOT.with(|slot| slot.start(&config))
                }
            }

            impl host_events::Guest for Component {
                fn on_host_events(events: u32) -> ::std::result::Result<(), ::std::string::String> {
                    SLOT.with(|slot| slot.on_host_events(events))
                }
            }

    bindings::export!(Component with_types_in bindings);
        };
    };
}

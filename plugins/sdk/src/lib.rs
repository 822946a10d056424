//! Write a Bellhop plugin in Rust.
//!
//! A plugin is a WebAssembly component that the agent starts once and then calls with news; between
//! calls it does not run. This crate turns the contract (`wit/bellhop.wit`) into what is to be written, a
//! type that implements [`Plugin`] and a trait for each kind of news, and a line that exports them:
//!
//! ```
//! use bellhop_plugin::{Capabilities, Events, HostEvents, NoConfig, Plugin, Subscription, guest, info};
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
//! }
//!
//! impl HostEvents for Greeter {
//!     fn on_host_events(&mut self, _: Events) -> Result<(), String> {
//!         self.restores += 1;
//!         info!("Back from a saved state for the {}. time", self.restores);
//!         Ok(())
//!     }
//! }
//!
//! bellhop_plugin::plugin!(Greeter: HostEvents);
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

mod buffers;
pub mod clipboard;
mod config;
mod error;
pub mod guest;
mod handlers;
pub mod hgcm;
pub mod log;
pub mod properties;
mod sets;
pub mod timers;

#[doc(hidden)]
pub mod bindings;
#[doc(hidden)]
pub mod export;

pub use bindings::bellhop::guest::{clock, display, outputs, raw_requests, seamless, windows};
pub use buffers::{Buffer, LARGEST_READ};
pub use config::NoConfig;
pub use error::Error;
pub use error::types::{Rectangle, Token};
pub use handlers::{
    ClipboardEvents, HandOver, HgcmCompletions, HostEvents, Plugin, PropertyEvents, Subscription,
    TimerEvents, WindowEvents,
};
pub use sets::{Capabilities, Events};

//! What plugins may import: one file an interface, and the table of them all.
//!
//! An interface that was not granted is not linked: there is nothing to call, and so no check to
//! forget. What is finer than an interface, an event bit or a guest capability, is checked at one
//! place, [`Authority`].

mod clock;
mod display;
mod guest;
mod log;
mod outputs;

use std::sync::Arc;
use std::time::Instant;

use bellhop_desktop::Outputs;
use driver_core::Driver;
use wasmtime::component::{HasSelf, Linker};

use crate::dispatch::Dispatcher;
use crate::grants::{Authority, GrantKey};

pub(crate) use log::printable;

/// The contract, as Rust.
pub mod bindings {
    #![allow(missing_docs, reason = "generated; the documentation stands in wit/")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        include_component_type: true,
    });
}

use bindings::bellhop::guest as wit;

/// What host functions act on: the world outside, as far as one plugin reaches it.
pub struct Host {
    /// The plugin's name in `agent.toml`.
    pub plugin: Arc<str>,
    /// What it may hear of and announce.
    pub authority: Authority,
    /// Who keeps the device told of all plugins' capabilities.
    pub dispatcher: Arc<Dispatcher>,
    /// The session with the device that all plugins share.
    pub driver: Arc<dyn Driver>,
    /// The desktop's outputs.
    pub outputs: Arc<dyn Outputs>,
    /// When the agent started: the zero of the plugins' monotonic clock.
    pub started: Instant,
}

/// One interface that plugins may import.
pub struct Interface {
    /// Its name in WIT, and in a grant.
    pub name: &'static str,
    /// The key in a plugin's `grants` under which its name is listed; `None` for what is always there.
    pub key: Option<GrantKey>,
    /// Puts it into a linker.
    pub link: fn(&mut Linker<crate::sandbox::Guest>) -> wasmtime::Result<()>,
}

/// The package that all of them are in.
pub const PACKAGE: &str = "bellhop:guest";

/// All interfaces that this agent offers.
pub const INTERFACES: [Interface; 6] = [
    Interface {
        name: "types",
        key: None,
        link: |linker| wit::types::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
    Interface {
        name: "log",
        key: None,
        link: |linker| wit::log::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
    Interface {
        name: "clock",
        key: None,
        link: |linker| wit::clock::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
    Interface {
        name: "display",
        key: Some(GrantKey::Requests),
        link: |linker| wit::display::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
    Interface {
        name: "guest",
        key: Some(GrantKey::Requests),
        link: |linker| wit::guest::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
    Interface {
        name: "outputs",
        key: Some(GrantKey::Desktop),
        link: |linker| wit::outputs::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
    },
];

impl wit::types::Host for Host {}

impl From<driver_core::Error> for wit::types::Error {
    fn from(error: driver_core::Error) -> Self {
        use driver_core::wire::Status;
        match error.status {
            Status::RESOURCE_BUSY => Self::Busy(error.to_string()),
            Status::NOT_SUPPORTED | Status::NOT_IMPLEMENTED => Self::NotSupported(error.to_string()),
            status => Self::Host((status.0, error.to_string())),
        }
    }
}

impl From<bellhop_desktop::Error> for wit::types::Error {
    fn from(error: bellhop_desktop::Error) -> Self {
        use bellhop_desktop::Error;
        match error {
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Busy(text) => Self::Busy(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::NotSupported(text) => Self::NotSupported(text),
            Error::Failed(text) => Self::Other(text),
        }
    }
}

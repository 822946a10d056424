//! What plugins may import: one file an interface, and the table of them all.
//!
//! An interface that was not granted is not linked: there is nothing to call, and so no check to
//! forget. What is finer than an interface, an event bit or a guest capability, is checked at one
//! place, [`Authority`].

mod buffers;
mod clipboard;
mod clock;
mod denied;
mod display;
mod guest;
mod hgcm;
mod log;
mod outputs;
mod outside;
mod properties;
mod raw_requests;
mod seamless;
mod standing;
pub mod tapped;
mod timers;
mod windows;

use std::sync::Arc;
use std::time::Instant;

use bellhop_desktop::Desktop;
use driver_core::Driver;
use driver_core::wire::Capabilities;
use wasmtime::component::HasSelf;

use crate::config::Limits;
use crate::dispatch::Dispatcher;
use crate::grants::{Authority, GrantKey};
use crate::mailbox::{Poster, Token};
use crate::observe::{Board, Tap, Watched};
use crate::plugin::{Record, Used};

pub(crate) use buffers::LARGEST_READ;
pub(crate) use clipboard::{ClipboardRead, ClipboardWanted, told};
pub(crate) use hgcm::HgcmEnd;
pub(crate) use log::{LONGEST_LINE, log_line, printable};
pub(crate) use properties::PropertyNews;
pub use tapped::component::Linker;

/// The contract, as Rust.
pub mod bindings {
    #![allow(missing_docs, reason = "generated; the documentation stands in wit/")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "plugin",
        include_component_type: true,
        // So that a trace can show values of any type, and listen at one place.
        additional_derives: [serde::Serialize],
        wasmtime_crate: crate::host::tapped,
    });
}

use bindings::bellhop::guest as wit;

/// What host functions act on: the world outside, as far as one plugin reaches it, and what one
/// incarnation of the plugin has there, which goes with it.
pub struct Host {
    /// The plugin's name in `agent.toml`.
    pub plugin: Arc<str>,
    limits: Limits,
    /// What is known of it outside.
    record: Arc<Record>,
    /// What it may hear of and announce.
    pub authority: Authority,
    /// Who keeps the device told of all plugins' capabilities.
    pub dispatcher: Arc<Dispatcher>,
    /// The host and the desktop.
    outside: outside::Outside,
    /// When the agent started: the zero of the plugins' monotonic clock.
    pub started: Instant,
    /// Where its calls pass by.
    pub tap: Arc<Tap>,
    /// Where news of what it begins is left.
    poster: Poster,
    last_token: Token,
    buffers: buffers::Buffers,
    hgcm: hgcm::Hgcm,
    properties: properties::Properties,
    standing: standing::Standing,
    /// Guest capabilities that it announced by itself, beside its subscription.
    announced: Capabilities,
    window_watch: Option<Box<dyn Send>>,
    clip: clipboard::Clip,
}

/// The world outside, from which a [`Host`] is made.
#[derive(Clone)]
pub struct World {
    /// Who keeps the device told of all plugins' capabilities.
    pub dispatcher: Arc<Dispatcher>,
    /// The session with the device that all plugins share.
    pub driver: Arc<dyn Driver>,
    /// The desktop.
    pub desktop: Desktop,
    /// When the agent started.
    pub started: Instant,
    /// Who listens to plugins.
    pub board: Arc<Board>,
}

impl Host {
    /// What an incarnation of a plugin acts on.
    #[must_use]
    pub fn new(record: Arc<Record>, plugin: &crate::config::Plugin, world: &World, poster: Poster) -> Self {
        let World { dispatcher, driver, desktop, started, board } = world.clone();
        let tap = board.tap(record.plugin());
        let driver: Arc<dyn Driver> = Arc::new(Watched::new(driver, tap.clone()));
        let limits = plugin.limits;
        Self {
            plugin: record.plugin().clone(),
            authority: plugin.authority.clone(),
            dispatcher,
            started,
            tap,
            poster,
            last_token: 0,
            buffers: buffers::Buffers::new(limits.buffers.0),
            hgcm: hgcm::Hgcm::new(driver.clone()),
            standing: standing::Standing::new(driver.clone()),
            outside: outside::Outside::new(driver, desktop, record.clone(), limits.requests_per_second),
            limits,
            record,
            properties: properties::Properties::default(),
            announced: Capabilities::empty(),
            window_watch: None,
            clip: clipboard::Clip::default(),
        }
    }

    /// What it uses of its limits.
    #[must_use]
    pub fn used(&self) -> Used {
        Used {
            buffers: self.buffers.used(),
            handles: self.handles() as u64,
            timers: self.poster.timers() as u64,
            hgcm_clients: self.hgcm.clients() as u64,
            calls: self.hgcm.calls() as u64,
            call_bytes: self.hgcm.bytes(),
            ..Used::default()
        }
    }

    /// Guest capabilities that it announced by itself, beside its subscription.
    pub(crate) fn announced(&self) -> Capabilities {
        self.announced
    }

    /// Takes the place of another that is about to be dropped, and must not take back what this one said.
    pub(crate) fn relieve(&mut self, other: &mut Self) {
        self.standing.relieve(&mut other.standing);
    }

    /// Says again what another may have said otherwise that was to take its place.
    pub(crate) fn resume(&self) {
        self.standing.tell();
    }

    /// How many buffers, watches of properties and reads of the clipboard it has.
    fn handles(&self) -> usize {
        self.buffers.count() + self.properties.watches() + self.clip.reads()
    }

    /// Whether it may have one more. A read that ends makes room for its own buffer.
    fn permit_handle(&self) -> Result<(), wit::types::Error> {
        permit_one_more("handles", self.handles(), self.limits.handles)
    }

    /// What is known of the plugin outside.
    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// A number that names nothing else of this incarnation.
    fn token(&mut self) -> Token {
        self.last_token += 1;
        self.last_token
    }
}

/// The check on a limit of things that are counted.
fn permit_one_more(limit: &str, used: usize, most: u32) -> Result<(), wit::types::Error> {
    if used < most as usize {
        return Ok(());
    }
    Err(wit::types::Error::Busy(format!("{used} are in use, as many as the limit `{limit}`")))
}

/// One interface that plugins may import.
pub struct Interface {
    /// Its name in WIT, and in a grant.
    pub name: &'static str,
    /// The key in a plugin's `grants` that links it; `None` for what is always there.
    pub key: Option<GrantKey>,
    /// Puts it into a linker.
    pub link: fn(&mut Linker<crate::sandbox::Guest>) -> wasmtime::Result<()>,
}

/// The package that all of them are in.
pub const PACKAGE: &str = "bellhop:guest";

/// A place in the table: the interface, and the key that grants it.
macro_rules! interface {
    ($name:ident, $key:expr) => {
        interface!($name, stringify!($name), $key)
    };
    ($name:ident, $wit:expr, $key:expr) => {
        Interface {
            name: $wit,
            key: $key,
            link: |linker| wit::$name::add_to_linker::<_, HasSelf<Host>>(linker, |guest| &mut guest.host),
        }
    };
}

/// All interfaces that this agent offers.
pub const INTERFACES: [Interface; 14] = [
    interface!(types, None),
    interface!(log, None),
    interface!(clock, None),
    interface!(buffers, None),
    interface!(timers, None),
    interface!(display, Some(GrantKey::Requests)),
    interface!(seamless, Some(GrantKey::Requests)),
    interface!(guest, Some(GrantKey::Requests)),
    interface!(raw_requests, "raw-requests", Some(GrantKey::RawRequests)),
    interface!(hgcm, Some(GrantKey::Hgcm)),
    interface!(properties, Some(GrantKey::Properties)),
    interface!(outputs, Some(GrantKey::Desktop)),
    interface!(windows, Some(GrantKey::Desktop)),
    interface!(clipboard, Some(GrantKey::Desktop)),
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

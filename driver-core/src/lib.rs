//! The guest's side of the VMMDev wire.
//!
//! - [`wire`]: the bytes: request packets, event bits, guest capabilities, status codes, HGCM parameters.
//! - [`Driver`]: what an agent needs of whoever services the device: one session of it.
//! - [`pci`]: a driver that services the PCI device itself over a small [`pci::Bus`].
//! - [`vboxguest`]: a driver over the kernel's own, by its device node.
//! - [`requests`]: the requests an agent makes, as functions on any [`Driver`]; [`GuestProperties`]: one
//!   service of the host, likewise.
//!
//! This crate knows the protocol. It knows nothing of WebAssembly, desktops, configuration, or of
//! the device model that stands at the other end in tests.

mod cancel;
mod driver;
mod error;
mod guest_properties;
mod outgoing;
mod outgoing_call;
pub mod pci;
pub mod requests;
pub mod vboxguest;
pub mod wire;

pub use cancel::Canceller;
pub use driver::{CapabilityState, Driver, HgcmClient, HgcmParameter, Wake};
pub use error::{Error, Result};
pub use guest_properties::{GuestProperties, Noticed};

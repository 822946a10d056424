//! The host's side of VMMDev: the device that a VirtualBox host shows its guest, and the
//! application above it.
//!
//! - [`Device`]: the device itself: configuration space, registers, the event state and every
//!   request. It knows nothing of what carries it.
//! - [`Host`]: what a person at the host does: set a video mode hint, switch seamless mode, plug a
//!   processor; and what the host knows of its guest.
//! - [`carrier`]: what brings the device to a guest. In process it is a
//!   [`Bus`](driver_core::pci::Bus) for the guest's driver; with the feature `vfio-user` it is a
//!   socket for a machine in QEMU.
//! - [`words`]: what can be said to a host at a prompt or over a socket.
//! - [`Fault`]: a host that misbehaves on purpose.
//!
//! Whatever a guest sends is checked before it is used, every table is bounded, and nothing here
//! panics on it. Times and lengths come from VirtualBox's own device; where that device is known to
//! err, the code says what this one does instead.

pub mod carrier;
pub mod content;
mod device;
mod faults;
mod hgcm;
mod host;
mod journal;
mod memory;
mod report;
mod requests;
mod settings;
mod state;
pub mod words;

pub use device::Device;
pub use faults::{Fault, HgcmFault, Times};
pub use hgcm::{ClientClass, HgcmClientReport, HgcmService, Property, PropertyChange};
pub use host::{
    ClipboardError, ClipboardReport, Counters, Credentials, Hint, Host, NoSuchDisplay, PropertyRefused,
    Saved, Sent, TimedOut, Wire,
};
pub use journal::Seen;
pub use memory::{GuestMemory, MemoryFault, SharedMemory};
pub use report::{
    Additions, Facilities, FacilityReport, GuestInfo, GuestReport, Heartbeat, PointerReport, Rectangle,
    Statistics, UserReport,
};
pub use settings::Settings;

//! The guest's memory as the device reaches it.

use std::sync::{Arc, Mutex};

/// An address that is not memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("No guest memory at {address:#x}, {len} bytes")]
pub struct MemoryFault {
    /// Guest-physical.
    pub address: u64,
    /// How many bytes were wanted there.
    pub len: usize,
}

/// Guest memory by physical address. The carrier of a device brings it along with each request.
pub trait GuestMemory {
    /// Copies bytes out of guest memory.
    ///
    /// # Errors
    /// When any of them is not memory; then `bytes` may be changed in part.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryFault>;

    /// Copies bytes into guest memory.
    ///
    /// # Errors
    /// When any of the range is not memory; then some may have been written.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryFault>;
}

/// Guest memory that a carrier shares with its [`Host`](crate::Host), which writes to it outside of a
/// request when a service completes a call later. It is locked after the device, never before.
pub type SharedMemory = Arc<Mutex<dyn GuestMemory + Send>>;

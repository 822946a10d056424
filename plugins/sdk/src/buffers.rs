//! Bytes that the agent keeps, so that what is large need not fit into the plugin's memory.

use crate::Error;
use crate::bindings::bellhop::guest::buffers as raw;
use crate::error::types;

/// The most bytes that one [`read_at`](Buffer::read_at) can bring.
pub const LARGEST_READ: u32 = 1 << 20;

/// A buffer of the agent's. It is freed when it is dropped.
#[derive(Debug, PartialEq, Eq)]
pub struct Buffer {
    number: types::Buffer,
}

impl Buffer {
    /// Makes an empty buffer.
    ///
    /// # Errors
    /// [`Error::Busy`] beyond the limit `handles`.
    pub fn new() -> Result<Self, Error> {
        raw::create().map(Self::from_number)
    }

    /// How many bytes it holds.
    ///
    /// # Errors
    /// None for a buffer that was made by the agent.
    pub fn size(&self) -> Result<u64, Error> {
        raw::size(self.number)
    }

    /// Its bytes from `offset` on, at most `length` of them and at most [`LARGEST_READ`]; fewer at its
    /// end.
    ///
    /// # Errors
    /// None for a buffer that was made by the agent.
    pub fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        raw::read(self.number, offset, length)
    }

    /// Overwrites its bytes from `offset` on; what lies beyond its end so far is filled with zeros.
    ///
    /// # Errors
    /// [`Error::Invalid`] beyond the limit `buffers`.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        raw::write(self.number, offset, bytes)
    }

    /// The contract's number for it, which stays this buffer's.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The buffer that the agent gave this number, which is the plugin's from now on.
    #[doc(hidden)]
    pub fn from_number(number: types::Buffer) -> Self {
        Self { number }
    }

    /// Gives it to the agent, which frees it.
    pub(crate) fn into_number(self) -> types::Buffer {
        std::mem::ManuallyDrop::new(self).number
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        raw::drop(self.number);
    }
}

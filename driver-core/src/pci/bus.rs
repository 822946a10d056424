//! What the PCI driver needs of whoever carries the device to it.

use std::time::Duration;

/// What [`Bus::wait_interrupt`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interrupt {
    /// The line is up.
    Raised,
    /// The time-out passed first.
    TimedOut,
    /// The machine was reset since the last look: the device has forgotten its guest and whatever that
    /// had under way.
    Reset,
    /// The bus was closed: there will be no more interrupts.
    Closed,
}

/// The device is gone, or an access was outside what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Bus access failed")]
pub struct BusFault;

/// One VMMDev PCI device as its driver reaches it.
///
/// Every method may be called from any thread.
pub trait Bus: Send + Sync {
    /// Writes 32 bits to BAR0 at `offset` bytes. Synchronous: when it returns, the device has handled
    /// the write.
    ///
    /// # Errors
    /// When the device is gone.
    fn write_port(&self, offset: u16, value: u32) -> Result<(), BusFault>;

    /// Reads 32 bits from BAR0 at `offset` bytes.
    ///
    /// # Errors
    /// When the device is gone.
    fn read_port(&self, offset: u16) -> Result<u32, BusFault>;

    /// Reads 32 bits of BAR1, the VMMDevMemory, at `offset` bytes.
    ///
    /// # Errors
    /// When the offset is outside the bar or the device is gone.
    fn read_memory(&self, offset: u32) -> Result<u32, BusFault>;

    /// The length of BAR1 in bytes.
    fn memory_len(&self) -> u32;

    /// Waits until the interrupt line is up. Level triggered: returns at once while it stays up.
    fn wait_interrupt(&self, timeout: Option<Duration>) -> Interrupt;

    /// Ends every [`wait_interrupt`](Bus::wait_interrupt), now and later, with [`Interrupt::Closed`].
    fn close(&self);

    /// The physical address of the memory that the device can always reach, and its length in bytes.
    /// Page aligned, below 4 GiB, and the driver's alone.
    fn dma_range(&self) -> (u32, u32);

    /// More memory that the device can reach: so many [pages](super::PAGE) of zeros, one after the other
    /// and page aligned, whose physical address is returned. `None` when there is no more to be had.
    fn dma_allocate(&self, pages: usize) -> Option<u32>;

    /// Gives back what [`dma_allocate`](Bus::dma_allocate) returned, whole. Whoever the device was told
    /// of it finds no memory there any more.
    fn dma_free(&self, address: u32);

    /// Copies bytes into DMA memory at a physical address.
    ///
    /// # Errors
    /// When any of it is neither in [`dma_range`](Bus::dma_range) nor allocated.
    fn dma_write(&self, address: u32, bytes: &[u8]) -> Result<(), BusFault>;

    /// Copies bytes out of DMA memory at a physical address.
    ///
    /// # Errors
    /// When any of it is neither in [`dma_range`](Bus::dma_range) nor allocated.
    fn dma_read(&self, address: u32, bytes: &mut [u8]) -> Result<(), BusFault>;
}

//! One piece of DMA memory, given back when it is dropped.

use std::sync::Arc;

use crate::pci::{Bus, BusFault, PAGE};

/// See the module. It begins as zeros.
pub(super) struct Dma {
    bus: Arc<dyn Bus>,
    address: u32,
}

impl Dma {
    /// Room for so many bytes, at least one; `None` when there is none.
    pub(super) fn allocate(bus: &Arc<dyn Bus>, length: usize) -> Option<Self> {
        let pages = length.div_ceil(PAGE);
        let dma = Self { bus: bus.clone(), address: bus.dma_allocate(pages)? };
        let last = pages.checked_mul(PAGE)?.checked_sub(1).and_then(|last| u32::try_from(last).ok())?;
        let usable = dma.address.is_multiple_of(PAGE as u32) && dma.address.checked_add(last).is_some();
        usable.then_some(dma)
    }

    /// Where it begins, guest-physical.
    pub(super) fn address(&self) -> u32 {
        self.address
    }

    /// Copies bytes to an offset in it.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), BusFault> {
        self.bus.dma_write(self.at(offset)?, bytes)
    }

    /// Copies bytes from an offset in it.
    pub(super) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.bus.dma_read(self.at(offset)?, bytes)
    }

    fn at(&self, offset: usize) -> Result<u32, BusFault> {
        u32::try_from(offset).ok().and_then(|offset| self.address.checked_add(offset)).ok_or(BusFault)
    }
}

impl Drop for Dma {
    fn drop(&mut self) {
        self.bus.dma_free(self.address);
    }
}

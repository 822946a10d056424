//! Pieces of DMA memory, each given back when it is dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::pci::{Bus, BusFault, PAGE};

/// Where pieces come from: pages that are always there, for what fits one, and the bus for the rest.
pub(super) struct Memory {
    bus: Arc<dyn Bus>,
    /// Those that are free. The one that was given back first is used first, so that a device that
    /// writes to it too late harms nobody for as long as can be.
    pages: Mutex<VecDeque<u32>>,
}

impl Memory {
    /// Memory of a bus, with a range of it that is always there and nobody else's.
    pub(super) fn new(bus: Arc<dyn Bus>, address: u32, length: u32) -> Arc<Self> {
        let pages = (address..address + length).step_by(PAGE).take(length as usize / PAGE).collect();
        Arc::new(Self { bus, pages: Mutex::new(pages) })
    }

    /// Room for so many bytes, at least one; `None` when there is none.
    pub(super) fn allocate(self: &Arc<Self>, length: usize) -> Option<Dma> {
        if length <= PAGE
            && let Some(address) = self.pages().pop_front()
        {
            let dma = Dma { memory: self.clone(), address, lent: false };
            // What an earlier call left there is not the next one's to see.
            return dma.write(0, &[0; PAGE]).is_ok().then_some(dma);
        }
        let pages = length.div_ceil(PAGE);
        let dma = Dma { memory: self.clone(), address: self.bus.dma_allocate(pages)?, lent: true };
        let last = pages.checked_mul(PAGE)?.checked_sub(1).and_then(|last| u32::try_from(last).ok())?;
        let usable = dma.address.is_multiple_of(PAGE as u32) && dma.address.checked_add(last).is_some();
        usable.then_some(dma)
    }

    fn pages(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece. It begins as zeros.
pub(super) struct Dma {
    memory: Arc<Memory>,
    address: u32,
    /// By the bus.
    lent: bool,
}

impl Dma {
    /// Where it begins, guest-physical.
    pub(super) fn address(&self) -> u32 {
        self.address
    }

    /// Copies bytes to an offset in it.
    pub(super) fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), BusFault> {
        self.memory.bus.dma_write(self.at(offset)?, bytes)
    }

    /// Copies bytes from an offset in it.
    pub(super) fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.memory.bus.dma_read(self.at(offset)?, bytes)
    }

    fn at(&self, offset: usize) -> Result<u32, BusFault> {
        u32::try_from(offset).ok().and_then(|offset| self.address.checked_add(offset)).ok_or(BusFault)
    }
}

impl Drop for Dma {
    fn drop(&mut self) {
        if self.lent {
            self.memory.bus.dma_free(self.address);
        } else {
            self.memory.pages().push_back(self.address);
        }
    }
}

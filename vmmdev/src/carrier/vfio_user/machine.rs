//! One machine that has the device: what its client asks, from its first message to its last.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ::vfio_user::{DmaMapFlags, DmaUnmapFlags, ServerBackend};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_INTX_IRQ_INDEX,
};

use super::intx::Intx;
use super::layout::Region;
use super::windows::{Offer, Windows};
use crate::host::Host;
use crate::memory::SharedMemory;

/// See the module's documentation. Dropping it gives the guest's memory and its interrupt back.
#[derive(Debug)]
pub(super) struct Machine {
    host: Host,
    /// Shared with the host, which answers calls in it after their request.
    memory: Arc<Mutex<Windows>>,
    intx: Intx,
    begun: bool,
}

impl Machine {
    /// A machine that has not said anything.
    pub(super) fn new(host: &Host) -> Self {
        Self { host: host.clone(), memory: Arc::default(), intx: Intx::default(), begun: false }
    }

    /// Before the first thing that a machine does: it was just powered on, whatever the last one
    /// did. Somebody who connects and says nothing changes nothing.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            tracing::info!("Machine attached");
            self.host.with_device(crate::Device::reset);
            self.host.wire(Some(Box::new(self.intx.clone())));
            let memory: SharedMemory = self.memory.clone();
            self.host.attach_memory(&memory);
        }
    }

    fn memory(&self) -> MutexGuard<'_, Windows> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks whether an interrupt is to be sent after a change of the pin.
    fn settle(&self) {
        self.host.with_device(|_| ());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.begun {
            self.host.wire(None);
        }
    }
}

impl ServerBackend for Machine {
    fn region_read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<()> {
        self.begin();
        let (region, offset) = place(region, offset, data.len())?;
        self.host.with_device(|device| match region {
            Region::Config => device.config_read(offset, data),
            Region::Memory => device.memory_read(offset, data),
            Region::Ports => match <&mut [u8; 4]>::try_from(&mut *data) {
                Ok(word) => *word = device.port_read(offset as u16).to_le_bytes(),
                // The ports know 32 bits and nothing else.
                Err(_) => data.fill(0xFF),
            },
        });
        Ok(())
    }

    fn region_write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<()> {
        self.begin();
        let (region, offset) = place(region, offset, data.len())?;
        self.host.with_device(|device| match region {
            Region::Config => device.config_write(offset, data),
            // What a guest may write there, the legacy drawing area, is not modelled.
            Region::Memory => {}
            Region::Ports => {
                if let Ok(word) = <[u8; 4]>::try_from(data) {
                    device.port_write(offset as u16, u32::from_le_bytes(word), &mut *self.memory());
                }
            }
        });
        Ok(())
    }

    fn dma_map(
        &mut self,
        flags: DmaMapFlags,
        offset: u64,
        address: u64,
        size: u64,
        fd: Option<File>,
    ) -> Result<()> {
        self.begin();
        tracing::debug!(?flags, address, size, file = fd.is_some(), "Guest memory is mapped");
        self.memory().open(Offer {
            address,
            size,
            readable: flags.contains(DmaMapFlags::READ),
            writable: flags.contains(DmaMapFlags::WRITE),
            file: fd.map(|file| (file, offset)),
        })
    }

    fn dma_unmap(&mut self, flags: DmaUnmapFlags, address: u64, size: u64) -> Result<()> {
        self.begin();
        tracing::debug!(?flags, address, size, "Guest memory is unmapped");
        if flags.contains(DmaUnmapFlags::UNMAP_ALL) {
            self.memory().close_all();
            return Ok(());
        }
        self.memory().close(address, size)
    }

    fn reset(&mut self) -> Result<()> {
        self.begin();
        self.host.with_device(crate::Device::reset);
        Ok(())
    }

    fn set_irqs(&mut self, index: u32, flags: u32, start: u32, count: u32, fds: Vec<File>) -> Result<()> {
        self.begin();
        tracing::trace!(index, flags, start, count, files = fds.len(), "Interrupts are set");
        if index != VFIO_PCI_INTX_IRQ_INDEX {
            // Switching off what is not there is fine.
            return if count == 0 { Ok(()) } else { Err(invalid(format!("no interrupt of kind {index}"))) };
        }
        if start != 0 || count > 1 {
            return Err(invalid(format!("interrupts {start} to {start}+{count}; INTx has one")));
        }
        let with_file = flags & VFIO_IRQ_SET_DATA_EVENTFD != 0;
        let without = flags & VFIO_IRQ_SET_DATA_NONE != 0;
        if flags & VFIO_IRQ_SET_ACTION_TRIGGER != 0 {
            match (with_file, without, count) {
                (true, ..) => self.intx.connect(fds.into_iter().next()),
                (_, true, 0) => self.intx.connect(None),
                (_, true, _) => self.intx.send(),
                _ => return Err(invalid(format!("interrupts triggered by flags {flags:#x}"))),
            }
        } else if with_file {
            return Err(invalid("an eventfd that masks or unmasks; messages do"));
        } else if flags & VFIO_IRQ_SET_ACTION_MASK != 0 {
            self.intx.mask(true);
        } else if flags & VFIO_IRQ_SET_ACTION_UNMASK != 0 {
            self.intx.mask(false);
        }
        self.settle();
        Ok(())
    }
}

/// The region and the place in it of an access, when all of it lies inside.
fn place(index: u32, offset: u64, len: usize) -> Result<(Region, u32)> {
    let outside = || invalid(format!("no {len} bytes at {offset:#x} of region {index}"));
    let region = Region::of(index).ok_or_else(outside)?;
    let end = offset.checked_add(len as u64).ok_or_else(outside)?;
    if end > region.len().into() {
        return Err(outside());
    }
    Ok((region, u32::try_from(offset).map_err(|_| outside())?))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, what.into())
}

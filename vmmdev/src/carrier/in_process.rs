//! The device in the same process as the guest's driver: the demo's and most tests' machine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driver_core::pci::{Bus, BusFault, Interrupt};
use driver_core::wire::device as wire;

use crate::host::Host;
use crate::memory::{GuestMemory, MemoryFault};

/// Where the guest's memory begins, guest-physical.
const MEMORY_BASE: u32 = 0x10_0000;
/// The length of the guest's memory in bytes.
const MEMORY_LEN: u32 = 4 * 1024 * 1024;

/// A guest that is nothing but 4 MiB of memory, and the bus between its driver and the device.
///
/// Two locks: the host's device, then the memory. Only [`write_port`](Bus::write_port) takes both,
/// in that order.
#[derive(Debug)]
pub struct InProcess {
    host: Host,
    memory: Mutex<Memory>,
    closed: AtomicBool,
}

impl InProcess {
    /// A bus to the device of this host.
    pub fn new(host: &Host) -> Self {
        let memory = Memory(vec![0; MEMORY_LEN as usize]);
        Self { host: host.clone(), memory: Mutex::new(memory), closed: AtomicBool::new(false) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bus for InProcess {
    fn write_port(&self, offset: u16, value: u32) -> Result<(), BusFault> {
        check(u32::from(offset), wire::PORT_LEN)?;
        self.host.with_device(|device| device.port_write(offset, value, &mut *self.memory()));
        Ok(())
    }

    fn read_port(&self, offset: u16) -> Result<u32, BusFault> {
        check(u32::from(offset), wire::PORT_LEN)?;
        Ok(self.host.with_device(|device| device.port_read(offset)))
    }

    fn read_memory(&self, offset: u32) -> Result<u32, BusFault> {
        check(offset, wire::MEMORY_LEN)?;
        let mut word = [0; 4];
        self.host.with_device(|device| device.memory_read(offset, &mut word));
        Ok(u32::from_le_bytes(word))
    }

    fn memory_len(&self) -> u32 {
        wire::MEMORY_LEN
    }

    fn wait_interrupt(&self, timeout: Option<Duration>) -> Interrupt {
        // A time-out beyond what the clock can hold is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let line_up = self.host.wait_line(deadline, || self.closed.load(Ordering::Acquire));
        match line_up {
            _ if self.closed.load(Ordering::Acquire) => Interrupt::Closed,
            true => Interrupt::Raised,
            false => Interrupt::TimedOut,
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.host.wake_line_waiters();
    }

    fn dma_range(&self) -> (u32, u32) {
        (MEMORY_BASE, MEMORY_LEN)
    }

    fn dma_write(&self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        self.memory().write(address.into(), bytes).map_err(|_| BusFault)
    }

    fn dma_read(&self, address: u32, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.memory().read(address.into(), bytes).map_err(|_| BusFault)
    }
}

/// Whether 32 bits at `offset` lie inside a bar.
fn check(offset: u32, len: u32) -> Result<(), BusFault> {
    if offset <= len - 4 { Ok(()) } else { Err(BusFault) }
}

/// The guest's memory, beginning at [`MEMORY_BASE`].
#[derive(Debug)]
struct Memory(Vec<u8>);

impl Memory {
    fn range(&self, address: u64, len: usize) -> Result<std::ops::Range<usize>, MemoryFault> {
        let start = address.checked_sub(MEMORY_BASE.into()).and_then(|at| usize::try_from(at).ok());
        let range = start.and_then(|start| Some(start..start.checked_add(len)?));
        range.filter(|range| range.end <= self.0.len()).ok_or(MemoryFault { address, len })
    }
}

impl GuestMemory for Memory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        bytes.copy_from_slice(&self.0[self.range(address, bytes.len())?]);
        Ok(())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        let range = self.range(address, bytes.len())?;
        self.0[range].copy_from_slice(bytes);
        Ok(())
    }
}

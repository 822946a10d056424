//! The device in the same process as the guest's driver: the demo's and most tests' machine.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use driver_core::pci::{Bus, BusFault, Interrupt, PAGE, Pages};
use driver_core::wire::device as wire;

use crate::host::Host;
use crate::memory::{GuestMemory, MemoryFault, SharedMemory};

/// Where the guest's memory begins, guest-physical.
const MEMORY_BASE: u32 = 0x10_0000;
/// The length of the memory that is always there, in bytes.
const MEMORY_LEN: u32 = 4 * 1024 * 1024;
/// Where memory that is allocated begins; it ends below 4 GiB.
const ALLOCATED_BASE: u32 = 0x1000_0000;
/// The most memory that is allocated at any time, in bytes.
const MOST_ALLOCATED: usize = 1 << 30;

/// A guest that is nothing but memory, and the bus between its driver and the device.
///
/// The host locks its device, and then, for a request or to complete one later, the memory that it was
/// given. What is behind that has locks of its own, for a piece and for the table of pieces, which are
/// held while bytes are copied and while one is looked up: nobody takes another lock meanwhile. So a
/// driver that fills a large buffer holds up nobody.
#[derive(Debug)]
pub struct InProcess {
    host: Host,
    memory: Memory,
    /// The same memory, for the host.
    device_memory: Arc<Mutex<Memory>>,
    /// The resets of the machine that the driver knows of.
    resets: AtomicU64,
    closed: AtomicBool,
}

impl InProcess {
    /// A bus to the device of this host.
    pub fn new(host: &Host) -> Self {
        let memory = Memory::new();
        let device_memory = Arc::new(Mutex::new(memory.clone()));
        let shared: SharedMemory = device_memory.clone();
        host.attach_memory(&shared);
        let resets = AtomicU64::new(host.resets());
        Self { host: host.clone(), memory, device_memory, resets, closed: AtomicBool::new(false) }
    }
}

impl Bus for InProcess {
    fn write_port(&self, offset: u16, value: u32) -> Result<(), BusFault> {
        check(u32::from(offset), wire::PORT_LEN)?;
        self.host.with_device(|device| device.port_write(offset, value, &mut *lock(&self.device_memory)));
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
        let known = self.resets.load(Ordering::Acquire);
        let closed = || self.closed.load(Ordering::Acquire);
        let line_up = self.host.wait_line(deadline, |resets| closed() || resets != known);
        let resets = self.host.resets();
        self.resets.store(resets, Ordering::Release);
        match line_up {
            _ if closed() => Interrupt::Closed,
            _ if resets != known => Interrupt::Reset,
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

    fn dma_allocate(&self, pages: usize) -> Option<u32> {
        self.memory.allocate(pages)
    }

    fn dma_free(&self, address: u32) {
        self.memory.free(address);
    }

    fn dma_write(&self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        let copied = self.memory.with(address.into(), bytes.len(), |memory| memory.copy_from_slice(bytes));
        copied.map_err(|_| BusFault)
    }

    fn dma_read(&self, address: u32, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.memory.read(address.into(), bytes).map_err(|_| BusFault)
    }
}

/// Whether 32 bits at `offset` lie inside a bar.
fn check(offset: u32, len: u32) -> Result<(), BusFault> {
    if offset <= len - 4 { Ok(()) } else { Err(BusFault) }
}

/// The guest's memory. A handle: clones are the same memory.
#[derive(Debug, Clone)]
struct Memory(Arc<Mutex<Table>>);

/// The pieces of memory by their addresses. There is no memory between two of them, and an address is
/// used again as late as can be: so what a device writes beyond the end of a piece, or after it was
/// freed, finds no memory rather than somebody else's.
#[derive(Debug)]
struct Table {
    pieces: BTreeMap<u32, Piece>,
    /// In bytes.
    allocated: usize,
    /// Behind the last piece that was allocated.
    next: u32,
}

#[derive(Debug, Clone)]
struct Piece {
    /// In bytes.
    length: usize,
    pages: Arc<Mutex<Pages>>,
}

impl From<Pages> for Piece {
    fn from(pages: Pages) -> Self {
        Self { length: pages.len(), pages: Arc::new(Mutex::new(pages)) }
    }
}

impl Memory {
    fn new() -> Self {
        let always = Pages::new(MEMORY_LEN as usize / PAGE).map(|pages| (MEMORY_BASE, pages.into()));
        // A machine without memory has a driver that fails at its first request, which says so.
        let pieces = always.into_iter().collect();
        Self(Arc::new(Mutex::new(Table { pieces, allocated: 0, next: ALLOCATED_BASE })))
    }

    fn allocate(&self, count: usize) -> Option<u32> {
        let mut table = lock(&self.0);
        let length = count.checked_mul(PAGE).filter(|length| *length <= MOST_ALLOCATED - table.allocated)?;
        let address = table.gap(table.next, length).or_else(|| table.gap(ALLOCATED_BASE, length))?;
        table.pieces.insert(address, Pages::new(count).ok()?.into());
        table.allocated += length;
        table.next = address + (length + PAGE) as u32;
        Some(address)
    }

    fn free(&self, address: u32) {
        if address < ALLOCATED_BASE {
            return;
        }
        let mut table = lock(&self.0);
        // Somebody who is copying still has it; the pages go when the last has done.
        if let Some(piece) = table.pieces.remove(&address) {
            table.allocated -= piece.length;
        }
    }

    /// Does something to a range of bytes, all of which are in one piece.
    fn with<R>(&self, address: u64, len: usize, act: impl FnOnce(&mut [u8]) -> R) -> Result<R, MemoryFault> {
        let fault = MemoryFault { address, len };
        let at = u32::try_from(address).map_err(|_| fault)?;
        let found =
            lock(&self.0).pieces.range(..=at).next_back().map(|(start, piece)| (*start, piece.clone()));
        let (start, piece) = found.ok_or(fault)?;
        let start = (at - start) as usize;
        let end = start.checked_add(len).ok_or(fault)?;
        let mut pages = lock(&piece.pages);
        pages.get_mut(start..end).map(act).ok_or(fault)
    }
}

impl Table {
    /// The first address, at or after one that no piece has, from which so many bytes and a page between
    /// pieces are free.
    fn gap(&self, first: u32, length: usize) -> Option<u32> {
        let needed = (length + PAGE) as u64;
        let mut start = u64::from(first);
        for (address, piece) in self.pieces.range(first..) {
            if u64::from(*address) - start >= needed {
                break;
            }
            start = u64::from(*address) + (piece.length + PAGE) as u64;
        }
        // The end of the last one is an address, too.
        u32::try_from(start).ok().filter(|_| start + needed < 1 << 32)
    }
}

impl GuestMemory for Memory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        self.with(address, bytes.len(), |memory| bytes.copy_from_slice(memory))
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        self.with(address, bytes.len(), |memory| memory.copy_from_slice(bytes))
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocated_memory_is_zero_apart_from_the_rest_and_gone_when_it_is_freed() {
        let bus = InProcess::new(&Host::default());
        let [first, second] = [3, 1].map(|pages| bus.dma_allocate(pages).expect("there is room"));

        let mut bytes = [7; 2];
        bus.dma_read(second + 4094, &mut bytes).expect("the end of the second");
        assert_eq!(bytes, [0; 2]);
        for (address, length) in [(first + 4096 * 3 - 1, 2), (first - 1, 1), (second + 4095, 2)] {
            assert!(bus.dma_write(address, &vec![1; length]).is_err(), "{address:#x}");
        }
        bus.dma_write(first + 4094, &[1, 2, 3, 4]).expect("across two pages of it");
        bus.dma_free(first);
        assert!(bus.dma_read(first, &mut bytes).is_err());

        assert!(bus.dma_allocate(2) > Some(second));
    }

    #[test]
    fn addresses_are_used_again_when_there_are_no_others_left() {
        let bus = InProcess::new(&Host::default());
        let keep = bus.dma_allocate(1).expect("there is room");
        let large = MOST_ALLOCATED / PAGE - 1;
        let addresses: Vec<_> = (0..9)
            .map(|_| {
                let address = bus.dma_allocate(large).expect("all but a page of it is free");
                bus.dma_free(address);
                address
            })
            .collect();

        let [first, second, third, ..] = addresses[..] else { panic!("nine") };
        assert!(keep < first && first < second && second < third);
        assert_eq!(addresses, [first, second, third].repeat(3));
    }

    #[test]
    fn no_more_than_a_gigabyte_is_allocated_and_none_below_its_base_is_freed() {
        let bus = InProcess::new(&Host::default());
        let pages = MOST_ALLOCATED / PAGE;
        assert_eq!(bus.dma_allocate(0), None);
        assert_eq!(bus.dma_allocate(pages + 1), None);
        assert_eq!(bus.dma_allocate(usize::MAX), None);

        let halves = [0; 2].map(|_| bus.dma_allocate(pages / 2).expect("there is room"));
        assert_eq!(bus.dma_allocate(1), None);
        bus.dma_free(halves[0] + 4096);
        assert_eq!(bus.dma_allocate(1), None);
        bus.dma_free(halves[0]);
        assert!(bus.dma_allocate(pages / 2).is_some());
        bus.dma_free(bus.dma_range().0);
        assert!(bus.dma_write(bus.dma_range().0, &[1]).is_ok());
    }

    #[test]
    fn a_reset_is_said_once_and_a_closed_bus_always() {
        let host = Host::default();
        let bus = InProcess::new(&host);
        host.reset();

        assert_eq!(bus.wait_interrupt(None), Interrupt::Reset);
        assert_eq!(bus.wait_interrupt(Some(Duration::ZERO)), Interrupt::TimedOut);
        bus.close();
        host.reset();
        assert_eq!(bus.wait_interrupt(None), Interrupt::Closed);
        assert_eq!(bus.wait_interrupt(None), Interrupt::Closed);
    }
}

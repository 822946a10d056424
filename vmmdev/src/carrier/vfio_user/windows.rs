//! The guest's memory: what the client maps of it into this process.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};

use vm_memory::{Bytes, FileOffset, MmapRegion, VolatileMemory};

use crate::memory::{GuestMemory, MemoryFault};

/// How many windows a client may open. QEMU has some dozens.
const CAPACITY: usize = 512;

/// From `<sys/mman.h>`, the same on every architecture of Linux.
const PROT_READ: i32 = 1;
const PROT_WRITE: i32 = 2;
const MAP_SHARED: i32 = 1;
const MAP_NORESERVE: i32 = 0x4000;

/// Ranges of guest-physical addresses, none of which overlap. Dropping one unmaps it.
///
/// A client that shortens a file which it handed over makes the next access to it a SIGBUS. It
/// could as well kill this process: both belong to whoever owns the socket.
#[derive(Debug, Default)]
pub(super) struct Windows(Vec<Window>);

#[derive(Debug)]
struct Window {
    start: u64,
    /// The address of its last byte: a window may end where addresses do.
    last: u64,
    readable: bool,
    writable: bool,
    /// `None` when the client gave no file, as QEMU does for ROM: known, and out of reach.
    memory: Option<MmapRegion>,
}

/// A range of the guest's memory that a client hands over.
#[derive(Debug)]
pub(super) struct Offer {
    /// Guest-physical.
    pub(super) address: u64,
    /// In bytes.
    pub(super) size: u64,
    /// Whether the device may read it.
    pub(super) readable: bool,
    /// Whether the device may write to it.
    pub(super) writable: bool,
    /// The file that is this memory, and where it begins there, in bytes.
    pub(super) file: Option<(File, u64)>,
}

impl Windows {
    /// Opens a window.
    pub(super) fn open(&mut self, offer: Offer) -> Result<()> {
        let Offer { address: start, size, readable, writable, file } = offer;
        let last = last(start, size)?;
        if self.0.len() >= CAPACITY {
            return Err(invalid(format!("more than {CAPACITY} windows to guest memory")));
        }
        if self.0.iter().any(|window| window.start <= last && start <= window.last) {
            return Err(invalid(format!("guest memory at {start:#x}, {size:#x} bytes, is mapped already")));
        }
        let memory = file.map(|(file, offset)| map(file, offset, size, readable, writable)).transpose()?;
        self.0.push(Window { start, last, readable, writable, memory });
        Ok(())
    }

    /// Closes the windows in a range, which must not cut one.
    pub(super) fn close(&mut self, address: u64, size: u64) -> Result<()> {
        let last = last(address, size)?;
        let meets = |window: &Window| window.start <= last && address <= window.last;
        let within = |window: &Window| address <= window.start && window.last <= last;
        if self.0.iter().any(|window| meets(window) && !within(window)) {
            return Err(invalid(format!("{address:#x}, {size:#x} bytes, is part of a window")));
        }
        self.0.retain(|window| !within(window));
        Ok(())
    }

    /// Closes all windows.
    pub(super) fn close_all(&mut self) {
        self.0.clear();
    }

    /// Goes through the pieces of a range: `piece` is called with the mapped memory, the offset
    /// there, and which of the range's bytes these are.
    fn each(
        &self,
        address: u64,
        len: usize,
        allowed: impl Fn(&Window) -> bool,
        mut piece: impl FnMut(&MmapRegion, usize, std::ops::Range<usize>) -> vm_memory::VolatileMemoryResult<()>,
    ) -> std::result::Result<(), MemoryFault> {
        let fault = MemoryFault { address, len };
        let mut done = 0;
        while done < len {
            let at = address.checked_add(done as u64).ok_or(fault)?;
            let found = self.0.iter().find(|window| (window.start..=window.last).contains(&at));
            let window = found.filter(|window| allowed(window)).ok_or(fault)?;
            let memory = window.memory.as_ref().ok_or(fault)?;
            let offset = usize::try_from(at - window.start).map_err(|_| fault)?;
            let count = (len - done).min(memory.size().saturating_sub(offset));
            if count == 0 {
                return Err(fault);
            }
            piece(memory, offset, done..done + count).map_err(|_| fault)?;
            done += count;
        }
        Ok(())
    }
}

impl GuestMemory for Windows {
    fn read(&self, address: u64, bytes: &mut [u8]) -> std::result::Result<(), MemoryFault> {
        self.each(
            address,
            bytes.len(),
            |window| window.readable,
            |memory, offset, range| {
                let Some(into) = bytes.get_mut(range) else { return Ok(()) };
                memory.get_slice(offset, into.len())?.read_slice(into, 0)
            },
        )
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> std::result::Result<(), MemoryFault> {
        self.each(
            address,
            bytes.len(),
            |window| window.writable,
            |memory, offset, range| {
                let Some(from) = bytes.get(range) else { return Ok(()) };
                memory.get_slice(offset, from.len())?.write_slice(from, 0)
            },
        )
    }
}

fn map(file: File, offset: u64, size: u64, readable: bool, writable: bool) -> Result<MmapRegion> {
    let end = offset.checked_add(size).ok_or_else(|| invalid("a file offset beyond 64 bits"))?;
    // Touching a mapping beyond the end of its file is a SIGBUS.
    let len = file.metadata()?.len();
    if end > len {
        return Err(invalid(format!("memory up to {end:#x} of a file of {len:#x} bytes")));
    }
    let len = usize::try_from(size).map_err(|_| invalid("more memory than there are addresses"))?;
    let mut protection = 0;
    if readable {
        protection |= PROT_READ;
    }
    if writable {
        protection |= PROT_WRITE;
    }
    MmapRegion::build(Some(FileOffset::new(file, offset)), len, protection, MAP_SHARED | MAP_NORESERVE)
        .map_err(Error::other)
}

/// The address of the last byte of a range.
fn last(address: u64, size: u64) -> Result<u64> {
    size.checked_sub(1)
        .and_then(|size| address.checked_add(size))
        .ok_or_else(|| invalid(format!("no range: {size:#x} bytes at {address:#x}")))
}

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;

    fn file(pages: u64) -> File {
        let file = tempfile::tempfile().expect("a file");
        file.set_len(pages * PAGE).expect("room");
        file
    }

    fn window(address: u64, pages: u64) -> Offer {
        let file = Some((file(pages), 0));
        Offer { address, size: pages * PAGE, readable: true, writable: true, file }
    }

    #[test]
    fn what_is_written_across_two_windows_is_read_back() {
        let mut windows = Windows::default();
        windows.open(window(0x1000, 1)).expect("a window");
        windows.open(window(0x2000, 1)).expect("a window");

        windows.write(0x1FFE, &[1, 2, 3, 4]).expect("memory");

        let mut bytes = [0; 4];
        windows.read(0x1FFE, &mut bytes).expect("memory");
        assert_eq!(bytes, [1, 2, 3, 4]);
    }

    #[test]
    fn beyond_the_windows_is_no_memory() {
        let mut windows = Windows::default();
        windows.open(window(0x1000, 1)).expect("a window");

        for (address, len) in [(0xFFF, 2), (0x1FFF, 2), (0x2000, 1), (u64::MAX, 2), (0x1000, 4097)] {
            let mut bytes = vec![0; len];
            assert!(windows.read(address, &mut bytes).is_err(), "{address:#x}");
            assert!(windows.write(address, &bytes).is_err(), "{address:#x}");
        }
    }

    #[test]
    fn a_window_that_is_only_read_is_not_written() {
        let mut windows = Windows::default();
        windows.open(Offer { writable: false, ..window(0, 1) }).expect("a window");

        assert!(windows.read(0, &mut [0]).is_ok());
        assert!(windows.write(0, &[1]).is_err());
    }

    #[test]
    fn a_window_without_a_file_is_taken_and_out_of_reach() {
        let mut windows = Windows::default();
        windows.open(Offer { file: None, ..window(0, 1) }).expect("a window");

        assert!(windows.read(0, &mut [0]).is_err());
        assert!(windows.close(0, PAGE).is_ok());
    }

    #[test]
    fn what_cannot_be_a_window_is_refused() {
        let mut windows = Windows::default();
        windows.open(window(0x4000, 2)).expect("a window");

        for (address, size) in [(0, 0), (u64::MAX, 2), (0x5000, 0x1000), (0x3000, 0x2000), (0, PAGE + 1)] {
            let offer = Offer { address, size, ..window(0, 1) };
            assert!(windows.open(offer).is_err(), "{address:#x} {size:#x}");
        }
        let unaligned = Offer { file: Some((file(2), 1)), ..window(0, 1) };
        assert!(windows.open(unaligned).is_err());
    }

    #[test]
    fn closing_takes_whole_windows_or_none() {
        let mut windows = Windows::default();
        windows.open(window(0x1000, 2)).expect("a window");

        assert!(windows.close(0x1000, PAGE).is_err());
        assert!(windows.read(0x1000, &mut [0]).is_ok());
        windows.close(0, 4 * PAGE).expect("whole");
        assert!(windows.read(0x1000, &mut [0]).is_err());
    }
}

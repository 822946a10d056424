//! Memory by whole pages, from the operating system and back to it.

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use nix::libc;

/// The length of a page in bytes, as the device's lists of pages count it.
pub const PAGE: usize = 4096;

/// The length of a huge page in bytes, on most machines.
const HUGE: usize = 2 << 20;

/// Pages of zeros, which take room as they are written to. Dropping them gives it back at once, which
/// an allocator's memory does not promise: what carries a device in user space makes its DMA memory of
/// them.
#[derive(Debug)]
pub struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it owns its memory, which is reached by its references alone.
unsafe impl Send for Pages {}
// SAFETY: as above; nothing changes by a shared reference.
unsafe impl Sync for Pages {}

impl Pages {
    /// So many pages.
    ///
    /// # Errors
    /// What the system says; `InvalidInput` for none at all or more than there are addresses.
    pub fn new(count: usize) -> io::Result<Self> {
        let length = count.checked_mul(PAGE).filter(|length| *length > 0 && *length <= isize::MAX as usize);
        let length = length.ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping of anonymous memory at an address of the system's choice touches nothing
        // that is there.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut pages = Self { start, length };
        prefer_huge_pages(&mut pages);
        Ok(pages)
    }
}

/// Advises the system to use huge pages for a large buffer that is yet to be filled: it is filled at
/// several times the pace then. A small one is left alone.
pub fn prefer_huge_pages(buffer: &mut [u8]) {
    if buffer.len() < HUGE {
        return;
    }
    // The system takes whole pages only.
    let before = buffer.as_ptr().align_offset(PAGE);
    let Some(whole) = buffer.get_mut(before..) else { return };
    let length = whole.len() / PAGE * PAGE;
    // SAFETY: the range is part of the buffer, of which the advice changes nothing but how it is mapped.
    unsafe { libc::madvise(whole.as_mut_ptr().cast(), length, libc::MADV_HUGEPAGE) };
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping has this length, is readable, began as zeros, and is this value's.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for reading; it is writable, and the reference is the only one.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, whole, and no reference to it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_begin_as_zeros_and_keep_what_is_written() {
        let mut pages = Pages::new(3).expect("three pages");
        assert!(pages.len() == 3 * PAGE && pages.iter().all(|byte| *byte == 0));

        pages[PAGE] = 7;

        assert_eq!(pages.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 7);
    }

    #[test]
    fn no_pages_and_more_than_there_are_addresses_are_refused() {
        for count in [0, usize::MAX / PAGE, usize::MAX] {
            assert!(Pages::new(count).is_err(), "{count}");
        }
    }

    #[test]
    fn advice_changes_no_byte_wherever_a_buffer_begins() {
        let mut buffer: Vec<u8> = (0..2 * HUGE).map(|index| index as u8).collect();
        let before = buffer.clone();

        for first in [0, 1, PAGE - 1, HUGE, 2 * HUGE - 1] {
            prefer_huge_pages(&mut buffer[first..]);
        }

        assert!(buffer == before);
    }
}

//! VMMDevMemory: the few words that the device shows in BAR1.

use driver_core::wire::device as wire;

/// The size of the structure in bytes: 16 for the head, then the legacy drawing area: three words,
/// a ring of 4 MiB less 1 KiB, 64 records and three words.
const SIZE: u32 = 16 + 12 + (4 * 1024 * 1024 - 1024) + 64 * 4 + 12;

const _: () = assert!(SIZE >= wire::MEMORY_SIZE_LEAST && SIZE <= wire::MEMORY_LEN);

/// Reads from `offset` bytes on.
pub(super) fn read(have_events: bool, offset: u32, bytes: &mut [u8]) {
    let mut head = [0; 12];
    head[0..4].copy_from_slice(&SIZE.to_le_bytes());
    head[4..8].copy_from_slice(&wire::MEMORY_VERSION.to_le_bytes());
    head[8] = u8::from(have_events);
    let from = head.get(offset as usize..).unwrap_or_default();
    let len = from.len().min(bytes.len());
    bytes[..len].copy_from_slice(&from[..len]);
    bytes[len..].fill(0);
}

/// Whether a read of `len` bytes from `offset` on sees `fHaveEvents`.
pub(super) fn covers_have_events(offset: u32, len: usize) -> bool {
    let place = u64::from(wire::MEMORY_HAVE_EVENTS);
    (u64::from(offset)..u64::from(offset) + len as u64).contains(&place)
}

//! PCI configuration space of the device.

use driver_core::wire::device as wire;

/// Its length in bytes.
const LEN: usize = 256;
/// Offset of BAR0 in bytes.
const BAR0: usize = 0x10;
/// Offset of BAR1 in bytes.
const BAR1: usize = 0x14;

/// A header of type 0. The subsystem ids stay zero: Linux's driver binds to nothing else.
#[derive(Debug)]
pub(super) struct ConfigSpace {
    bytes: [u8; LEN],
    /// Which bits a guest may change. A BAR answers a write of all ones with its size this way.
    writable: [u8; LEN],
}

impl ConfigSpace {
    pub(super) fn new() -> Self {
        let mut bytes = [0; LEN];
        bytes[0x00..0x02].copy_from_slice(&wire::VENDOR_ID.to_le_bytes());
        bytes[0x02..0x04].copy_from_slice(&wire::DEVICE_ID.to_le_bytes());
        bytes[0x09..0x0C].copy_from_slice(&wire::CLASS_CODE.to_le_bytes()[..3]);
        bytes[BAR0] = 0x01; // an I/O bar
        bytes[0x3D] = 0x01; // INTA

        let mut writable = [0; LEN];
        writable[0x04..0x06].copy_from_slice(&0x0507_u16.to_le_bytes()); // I/O, memory, master, INTx
        writable[0x0C..0x0E].fill(0xFF); // cache line and latency
        writable[BAR0..BAR0 + 4].copy_from_slice(&(!(wire::PORT_LEN - 1)).to_le_bytes());
        writable[BAR1..BAR1 + 4].copy_from_slice(&(!(wire::MEMORY_LEN - 1)).to_le_bytes());
        writable[0x3C] = 0xFF; // interrupt line
        Self { bytes, writable }
    }

    pub(super) fn read(&self, offset: u32, bytes: &mut [u8]) {
        let from = self.bytes.get(offset as usize..).unwrap_or_default();
        let len = from.len().min(bytes.len());
        bytes[..len].copy_from_slice(&from[..len]);
        bytes[len..].fill(0xFF);
    }

    pub(super) fn write(&mut self, offset: u32, bytes: &[u8]) {
        let places = self.bytes.iter_mut().zip(&self.writable).skip(offset as usize);
        for ((byte, writable), new) in places.zip(bytes) {
            *byte = (*byte & !writable) | (new & writable);
        }
    }
}

//! The PCI device itself: its identity, its registers and the memory it shows.

/// PCI vendor id.
pub const VENDOR_ID: u16 = 0x80EE;
/// PCI device id.
pub const DEVICE_ID: u16 = 0xCAFE;
/// PCI class code: base 0x08 (system peripheral), sub 0x80 (other), no programming interface.
pub const CLASS_CODE: u32 = 0x08_80_00;

/// The length of BAR0, the I/O ports, in bytes.
pub const PORT_LEN: u32 = 0x20;
/// The length of BAR1, the VMMDevMemory, in bytes.
pub const MEMORY_LEN: u32 = 4 * 1024 * 1024;

/// Offset in BAR0: writing a physical address makes the request there.
pub const PORT_REQUEST: u16 = 0;
/// Offset in BAR0: writing is as [`PORT_REQUEST`]; reading acknowledges the events and returns them.
pub const PORT_FAST_ACK: u16 = 8;
/// What a read of [`PORT_FAST_ACK`] returns before the guest reported itself.
pub const FAST_ACK_REFUSED: u32 = 0xFFFF_FFFF;

/// Offset in BAR1: the size of the structure, a u32 in bytes.
pub const MEMORY_SIZE: u32 = 0;
/// Offset in BAR1: its version, a u32.
pub const MEMORY_VERSION_OFFSET: u32 = 4;
/// Offset in BAR1: a byte that is not zero while an interrupt waits for its acknowledgement
/// (`fHaveEvents`, interface 1.04).
pub const MEMORY_HAVE_EVENTS: u32 = 8;
/// The version that a guest insists on at [`MEMORY_VERSION_OFFSET`].
pub const MEMORY_VERSION: u32 = 1;
/// The least that a guest insists on at [`MEMORY_SIZE`], in bytes.
pub const MEMORY_SIZE_LEAST: u32 = 32;

//! The ioctls of the kernel's driver: their numbers, and the layout of what goes in and comes out.
//!
//! The driver insists on the exact size of both, and the number carries the larger one.

use std::ptr::NonNull;

use nix::errno::Errno;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Fault, HEADER, header};
use super::node::Node;
use crate::wire::{RequestHeader, Status};

/// The most bytes that an ioctl number can carry as its size.
const LARGEST_SIZED: usize = (1 << 14) - 1;

/// Number 3: a request too large for its size to stand in the number.
const REQUEST_BIG: u32 = 0x5603;

/// The letter of the driver's ioctls, which stands in bits 8 to 15 of each number.
pub const IOCTL_TYPE: u8 = b'V';

/// The number of a read-and-write ioctl, as x86 and ARM make it.
const fn number(nr: u32, size: usize) -> u32 {
    0xC000_0000 | (size as u32) << 16 | (IOCTL_TYPE as u32) << 8 | nr
}

/// The number of the ioctl that carries a request of `size` bytes to the host.
pub(super) const fn request(size: usize) -> u32 {
    if size <= LARGEST_SIZED { number(2, size) } else { REQUEST_BIG }
}

/// The number of the ioctl that carries an HGCM call, `size` bytes with its parameters' table.
pub(super) const fn hgcm_call(size: usize) -> u32 {
    number(7, size)
}

/// What goes into an ioctl of fixed size after the header, and knows what comes out.
pub(super) trait Ask: IntoBytes + Immutable {
    /// The ioctl's number.
    const NUMBER: u32;
    /// What comes out after the header.
    type Answer: FromBytes + KnownLayout + Immutable;
}

/// Declares ioctls of fixed size. Numbers and sizes, headers included, are those of the kernel's
/// headers, and hold or this does not compile.
macro_rules! ioctls {
    ($(
        $(#[$meta:meta])*
        $name:ident = $nr:literal, $number:literal,
        in $size_in:literal { $( $in:ident: $in_type:ty ),* }
        out $size_out:literal { $( $out:ident: $out_type:ty ),* }
    )+) => { $(
        $(#[$meta])*
        pub(super) mod $name {
            use super::*;

            #[repr(C)]
            #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
            pub(in super::super) struct Ask { $( pub $in: $in_type, )* }

            #[repr(C)]
            #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Debug)]
            pub(in super::super) struct Answer { $( pub $out: $out_type, )* }

            impl super::Ask for Ask {
                const NUMBER: u32 = $number;
                type Answer = Answer;
            }

            const SIZES: [usize; 2] = [HEADER + size_of::<Ask>(), HEADER + size_of::<Answer>()];
            const LARGER: usize = if SIZES[0] > SIZES[1] { SIZES[0] } else { SIZES[1] };
            const _: () = assert!(SIZES[0] == $size_in && SIZES[1] == $size_out);
            const _: () = assert!(number($nr, LARGER) == $number);
            const _: () = assert!(LARGER <= LARGEST_FIXED);
        }
    )+ };
}

/// The most bytes that an ioctl of fixed size moves.
const LARGEST_FIXED: usize = 156;

ioctls! {
    /// Agrees on a version of this very interface.
    driver_version_info = 0, 0xC02C_5600,
        in 40 { wanted: U32, least: U32, reserved: [U32; 2] }
        out 44 { session: U32, driver: U32, revision: U32, reserved: [U32; 2] }

    /// Connects to an HGCM service.
    hgcm_connect = 4, 0xC09C_5604,
        in 156 { location: U32, name: [u8; 128] }
        out 28 { client: U32 }

    /// Ends a connection to an HGCM service.
    hgcm_disconnect = 5, 0xC01C_5605,
        in 28 { client: U32 }
        out 24 { }

    /// Waits for one of the bits of a mask, and takes those that are pending.
    wait_for_events = 10, 0xC020_560A,
        in 32 { milliseconds: U32, mask: U32 }
        out 28 { events: U32 }

    /// Ends every wait of the session, for good: those to come as well.
    interrupt_all_waits = 11, 0xC018_560B,
        in 24 { }
        out 24 { }

    /// Adds to and removes from the session's event filter. What is in both is removed.
    change_filter_mask = 12, 0xC020_560C,
        in 32 { or: U32, not: U32 }
        out 24 { }

    /// Acquires guest capabilities for the session alone, and gives others up.
    acquire_guest_capabilities = 13, 0xC024_560D,
        in 36 { flags: U32, or: U32, not: U32 }
        out 24 { }

    /// Sets and clears guest capabilities that may be shared. What is in both is cleared.
    change_guest_capabilities = 14, 0xC020_560E,
        in 32 { or: U32, not: U32 }
        out 32 { session: U32, global: U32 }
}

// The numbers whose size varies, at the ends of their ranges.
const _: () = assert!(request(24) == 0xC018_5602 && request(16383) == 0xFFFF_5602);
const _: () = assert!(request(16384) == 0x0000_5603);
const _: () = assert!(hgcm_call(40) == 0xC028_5607 && hgcm_call(40 + 32 * 16) == 0xC228_5607);

/// Carries out an ioctl of fixed size, and takes a failing status for a fault.
pub(super) fn exchange<A: Ask>(node: &dyn Node, ask: &A) -> Result<A::Answer, Fault> {
    let (status, answer) = transfer(node, ask).map_err(Fault::Refused)?;
    status.ok().map_err(Fault::Answered)?;
    Ok(answer)
}

/// Carries out an ioctl of fixed size. What came out may mean something beside a failing status.
pub(super) fn transfer<A: Ask>(node: &dyn Node, ask: &A) -> Result<(Status, A::Answer), Errno> {
    let (size_in, size_out) = (HEADER + size_of::<A>(), HEADER + size_of::<A::Answer>());
    let mut room = [0; LARGEST_FIXED];
    let buffer = &mut room[..size_in.max(size_out)];
    buffer[..HEADER].copy_from_slice(header(size_in, size_out).as_bytes());
    buffer[HEADER..size_in].copy_from_slice(ask.as_bytes());
    // SAFETY: the buffer is as long as the larger of the sizes in its header, and no ioctl of fixed
    // size has an address in it.
    unsafe { node.ioctl(A::NUMBER, NonNull::from(&mut *buffer)) }?;
    // Neither can fail: the lengths are right by the way the buffer was made.
    let header = RequestHeader::parse(buffer).map_err(|_| Errno::EPROTO)?;
    let answer = A::Answer::read_from_bytes(&buffer[HEADER..size_out]).map_err(|_| Errno::EPROTO)?;
    Ok((header.status(), answer))
}

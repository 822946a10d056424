//! The 24 bytes that every request begins with.

use zerocopy::little_endian::{I32, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Malformed, RequestType, Status};

/// The version of the request header (`VMMDEV_REQUEST_HEADER_VERSION`). A host ignores packets of
/// any other, without a word.
pub const VERSION: u32 = 0x0001_0001;

/// The largest request that a host takes, in bytes (`VMMDEV_MAX_VMMDEVREQ_SIZE`).
pub const MAX_REQUEST_SIZE: u32 = 1024 * 1024;

/// The version of the device interface that a guest reports by request 50
/// (`VMMDEV_VERSION`, 1.04).
pub const INTERFACE_VERSION: u32 = 0x0001_0004;

/// The header of a request (`VMMDevRequestHeader`).
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// The whole request in bytes, this header included.
    pub size: U32,
    /// [`VERSION`].
    pub version: U32,
    /// The [`RequestType`].
    pub request_type: U32,
    /// The host's answer: a [`Status`].
    pub rc: I32,
    /// Zero on the wire; the ioctl ABI keeps the size of the answer here.
    pub reserved: U32,
    /// On whose behalf: a [`Requestor`].
    pub requestor: U32,
}

impl RequestHeader {
    /// The length of a header in bytes.
    pub const SIZE: u32 = 24;

    /// A header for a request of `size` bytes in all.
    ///
    /// The status is preset to a failure because a host that cannot make sense of a packet leaves
    /// it as it is, and that must not read as success.
    pub fn new(request_type: RequestType, size: u32) -> Self {
        Self {
            size: size.into(),
            version: VERSION.into(),
            request_type: request_type.0.into(),
            rc: Status::GENERAL_FAILURE.0.into(),
            reserved: 0.into(),
            requestor: 0.into(),
        }
    }

    /// Reads the header at the start of a packet.
    ///
    /// # Errors
    /// [`Malformed::TooShort`] below 24 bytes.
    pub fn parse(packet: &[u8]) -> Result<Self, Malformed> {
        match Self::read_from_prefix(packet) {
            Ok((header, _)) => Ok(header),
            Err(_) => Err(Malformed::TooShort {
                what: "A request header",
                needed: Self::SIZE as usize,
                found: packet.len(),
            }),
        }
    }

    /// What the host answered.
    pub fn status(&self) -> Status {
        Status(self.rc.get())
    }

    /// Which request this is.
    pub fn kind(&self) -> RequestType {
        RequestType(self.request_type.get())
    }
}

const _: () = assert!(size_of::<RequestHeader>() == RequestHeader::SIZE as usize);

/// A request of fixed size.
pub trait Request: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned + Sized + Send {
    /// Its type.
    const TYPE: RequestType;

    /// The request with its header filled and everything else zero.
    fn new() -> Self;

    /// Its header.
    fn header(&self) -> &RequestHeader;

    /// Its header, to be changed.
    fn header_mut(&mut self) -> &mut RequestHeader;
}

/// On whose behalf a request is made (`VMMDEV_REQUESTOR_*`). Parts of it are numbers, not bits.
///
/// Drivers that pass a user's packet on with the user's own header let this be forged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Requestor(pub u32);

impl Requestor {
    /// Bits 0 to 2: which user.
    pub const USER_MASK: u32 = 0x7;
    /// User not given.
    pub const USER_NOT_GIVEN: Self = Self(0);
    /// The vboxguest driver itself.
    pub const USER_DRIVER: Self = Self(1);
    /// Another kernel driver.
    pub const USER_OTHER_DRIVER: Self = Self(2);
    /// Root or an administrator.
    pub const USER_ROOT: Self = Self(3);
    /// Windows' SYSTEM.
    pub const USER_SYSTEM: Self = Self(4);
    /// A regular user.
    pub const USER_REGULAR: Self = Self(6);
    /// A guest account.
    pub const USER_GUEST: Self = Self(7);
    /// The request came from user mode.
    pub const USER_MODE: Self = Self(0x8);
    /// Bits 4 and 5: whether the user sits at the console; zero is unknown.
    pub const CONSOLE_MASK: u32 = 0x30;
    /// Not at the physical console.
    pub const NOT_ON_CONSOLE: Self = Self(0x10);
    /// At the physical console.
    pub const ON_CONSOLE: Self = Self(0x20);
    /// The user is at the console; whether the process is remains unclear.
    pub const USER_ON_CONSOLE: Self = Self(0x30);
    /// A member of the special vbox group.
    pub const GROUP_VBOX: Self = Self(0x80);
    /// A member of wheel or the administrators.
    pub const GROUP_WHEEL: Self = Self(0x100);
    /// Bits 12 to 14: Windows' integrity level.
    pub const TRUST_MASK: u32 = 0x7000;
    /// The request came through the less trusted device node, `/dev/vboxuser`.
    pub const USER_DEVICE: Self = Self(0x8000);
    /// There is no less trusted device node.
    pub const NO_USER_DEVICE: Self = Self(0x1_0000);

    /// Both together.
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_stand_where_the_device_reads_them() {
        let header = RequestHeader::new(RequestType(0x0A0B), 0x28);
        assert_eq!(
            header.as_bytes(),
            [0x28, 0, 0, 0, 1, 0, 1, 0, 0x0B, 0x0A, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }

    #[test]
    fn a_truncated_header_is_refused_with_both_sizes() {
        assert_eq!(
            RequestHeader::parse(&[0; 23]),
            Err(Malformed::TooShort { what: "A request header", needed: 24, found: 23 })
        );
    }

    #[test]
    fn the_linux_driver_s_requestors_come_out_as_seen_on_the_wire() {
        let root = Requestor::USER_MODE.with(Requestor::USER_ROOT).with(Requestor::GROUP_VBOX);
        let user = Requestor::USER_MODE.with(Requestor::USER_REGULAR).with(Requestor::USER_DEVICE);
        assert_eq!((root.0, user.0), (0x8B, 0x800E));
    }
}

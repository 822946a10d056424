//! The bytes of HGCM, the calls from the guest to services of the host.

use zerocopy::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::requests::request;
use super::values::numbers;
use super::{Request, RequestHeader, RequestType};

numbers! {
    /// What a parameter of a call is (`HGCMFunctionParameterType`).
    pub struct HgcmParameterType {
        U32 = 1, "u32";
        U64 = 2, "u64";
        PHYSICAL_ADDRESS = 3, "physical-address";
        LINEAR = 4, "linear";
        LINEAR_IN = 5, "linear-in";
        LINEAR_OUT = 6, "linear-out";
        LINEAR_KERNEL = 7, "linear-kernel";
        LINEAR_KERNEL_IN = 8, "linear-kernel-in";
        LINEAR_KERNEL_OUT = 9, "linear-kernel-out";
        PAGE_LIST = 10, "page-list";
        EMBEDDED = 11, "embedded";
        CONTIGUOUS_PAGE_LIST = 12, "contiguous-page-list";
        NO_BOUNCE_PAGE_LIST = 13, "no-bounce-page-list";
    }
}

bitflags::bitflags! {
    /// How far an HGCM request is (`VBOX_HGCM_REQ_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct HgcmFlags: u32 {
        /// The host is done with it.
        const DONE = 0x1;
        /// It was cancelled.
        const CANCELLED = 0x2;
    }
}

request! {
    /// Request 60: connects to a service.
    HgcmConnect: HGCM_CONNECT {
        /// From the host: [`HgcmFlags`].
        flags: U32,
        /// From the host: the [`Status`](super::Status) of the connection.
        result: I32,
        /// 2: a service of this host that exists already.
        location: U32,
        /// The service, zero-terminated.
        name: [u8; 128],
        /// From the host: the client.
        client: U32,
    }
}

request! {
    /// Request 61: ends a connection.
    HgcmDisconnect: HGCM_DISCONNECT {
        /// From the host: [`HgcmFlags`].
        flags: U32,
        /// From the host: a [`Status`](super::Status).
        result: I32,
        /// The client.
        client: U32,
    }
}

request! {
    /// Requests 62 and 63: calls a function; parameters follow, of 12 or 16 bytes each.
    HgcmCall: HGCM_CALL_64 {
        /// From the host: [`HgcmFlags`].
        flags: U32,
        /// From the host: the [`Status`](super::Status) of the call.
        result: I32,
        /// The client.
        client: U32,
        /// The service's number for it.
        function: U32,
        /// How many parameters follow; at most 32.
        parameters: U32,
    }
}

request! {
    /// Request 64: cancels the request at the same physical address. Legacy.
    HgcmCancel: HGCM_CANCEL {
        /// From the host: [`HgcmFlags`].
        flags: U32,
        /// From the host: a [`Status`](super::Status).
        result: I32,
    }
}

request! {
    /// Request 65: cancels the request at an address. Hosts from 7.1 take 64 bits there as well.
    HgcmCancel2: HGCM_CANCEL_2 {
        /// The physical address of what is to be cancelled.
        address: U32,
    }
}

/// A parameter of a 64-bit call. What stands in the 12 bytes depends on its type.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
pub struct HgcmParameter64 {
    /// [`HgcmParameterType`].
    pub kind: U32,
    /// A 32-bit value, the low half of a 64-bit one, or a size in bytes.
    pub low: U32,
    /// The high half of a 64-bit value, or an address, or the offset of a [`HgcmPageListInfo`]
    /// from the start of the request.
    pub rest: U64,
}

impl HgcmParameter64 {
    /// The value of a parameter of type [`HgcmParameterType::U64`], which is not aligned.
    pub fn value64(&self) -> u64 {
        u64::from(self.low.get()) | self.rest.get() << 32
    }
}

/// A parameter of a 32-bit call.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
pub struct HgcmParameter32 {
    /// [`HgcmParameterType`].
    pub kind: U32,
    /// A 32-bit value, the low half of a 64-bit one, or a size in bytes.
    pub low: U32,
    /// The high half of a 64-bit value, or an address, or an offset.
    pub rest: U32,
}

/// The head of a page list; the physical addresses of the pages follow, 8 bytes each.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug)]
pub struct HgcmPageListInfo {
    /// 1 to the host, 2 from the host, or both.
    pub flags: U32,
    /// Where the data starts in the first page, in bytes.
    pub offset: U16,
    /// How many pages.
    pub pages: U16,
}

const _: () = assert!(size_of::<HgcmParameter64>() == 16);
const _: () = assert!(size_of::<HgcmParameter32>() == 12);
const _: () = assert!(size_of::<HgcmPageListInfo>() == 8);

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_their_documented_offsets() {
        let cases = [
            (offset_of!(HgcmConnect, flags), 24),
            (offset_of!(HgcmConnect, result), 28),
            (offset_of!(HgcmConnect, location), 32),
            (offset_of!(HgcmConnect, name), 36),
            (offset_of!(HgcmConnect, client), 164),
            (offset_of!(HgcmDisconnect, client), 32),
            (offset_of!(HgcmCall, client), 32),
            (offset_of!(HgcmCall, function), 36),
            (offset_of!(HgcmCall, parameters), 40),
            (offset_of!(HgcmParameter64, rest), 8),
        ];
        for (found, documented) in cases {
            assert_eq!(found, documented);
        }
        assert_eq!(size_of::<HgcmCall>(), 44);
    }

    #[test]
    fn a_64_bit_value_begins_at_offset_4() {
        let mut bytes = [0; 16];
        bytes[0] = 2;
        bytes[4..12].copy_from_slice(&0x1122_3344_5566_7788u64.to_le_bytes());

        let parameter = HgcmParameter64::read_from_bytes(&bytes).expect("16 bytes");

        assert_eq!(parameter.value64(), 0x1122_3344_5566_7788);
    }
}

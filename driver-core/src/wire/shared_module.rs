//! A module of the guest whose pages may be shared with other machines (request 212).

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::packet::{split, start};
use super::{Malformed, RequestHeader, RequestType};

/// How many regions a module may have.
pub const MAX_REGIONS: usize = 32;
/// The least length of the whole request, in bytes: one region has room in it.
const LEAST: usize = 208;

/// Request 212 before its regions (`VMMDevSharedModuleRegistrationRequest`).
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Debug)]
pub struct Head {
    /// What every request begins with.
    pub header: RequestHeader,
    /// The module in bytes.
    pub size: U32,
    /// How many regions follow.
    pub regions: U32,
    /// Guest-virtual address.
    pub base: U64,
    /// The family of the guest's system.
    pub os_family: U32,
    /// Padding.
    pub align: U32,
    /// Zero-terminated.
    pub name: [u8; 128],
    /// Zero-terminated.
    pub version: [u8; 16],
}

/// A region of a module (`VMMDEVSHAREDREGIONDESC`).
#[repr(C)]
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub struct Region {
    /// Guest-virtual address.
    pub address: U64,
    /// In bytes.
    pub size: U32,
    /// Padding.
    pub align: U32,
}

impl Head {
    /// The length in bytes.
    pub const SIZE: usize = 192;

    /// A head with nothing but its header.
    pub fn new() -> Self {
        Self::new_zeroed()
    }
}

impl Default for Head {
    fn default() -> Self {
        Self::new()
    }
}

const _: () = assert!(size_of::<Head>() == Head::SIZE);
const _: () = assert!(size_of::<Region>() == 16);

/// A request 212; header and count of `head` are filled here.
///
/// # Errors
/// [`Malformed::TooLarge`] beyond [`MAX_REGIONS`].
pub fn request(head: &Head, regions: &[Region]) -> Result<Vec<u8>, Malformed> {
    if regions.len() > MAX_REGIONS {
        return Err(Malformed::TooLarge {
            what: "The number of a module's regions",
            limit: MAX_REGIONS,
            found: regions.len(),
        });
    }
    let size = (Head::SIZE + size_of_val(regions)).max(LEAST);
    let mut head = head.clone();
    head.regions = (regions.len() as u32).into();
    let mut packet = start(RequestType::REGISTER_SHARED_MODULE, size);
    packet.extend_from_slice(&head.as_bytes()[RequestHeader::SIZE as usize..]);
    packet.extend_from_slice(regions.as_bytes());
    packet.resize(size, 0);
    Ok(packet)
}

/// Reads a request 212.
///
/// # Errors
/// [`Malformed`] when its length is not what its count asks for, or the count exceeds
/// [`MAX_REGIONS`].
pub fn parse(packet: &[u8]) -> Result<(Head, Vec<Region>), Malformed> {
    let what = "A shared module";
    let (head, regions) = split(packet, Head::SIZE, RequestType::REGISTER_SHARED_MODULE, what)?;
    let Ok(head) = Head::read_from_bytes(head) else {
        return Err(Malformed::TooShort { what, needed: Head::SIZE, found: packet.len() });
    };
    let count = head.regions.get() as usize;
    if count > MAX_REGIONS {
        return Err(Malformed::TooLarge {
            what: "The number of a module's regions",
            limit: MAX_REGIONS,
            found: count,
        });
    }
    let needed = (Head::SIZE + count * size_of::<Region>()).max(LEAST);
    if packet.len() != needed {
        return Err(Malformed::WrongSize { what, needed, found: packet.len() });
    }
    let regions = regions
        .chunks_exact(size_of::<Region>())
        .take(count)
        .filter_map(|region| Region::read_from_bytes(region).ok())
        .collect();
    Ok((head, regions))
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn fields_stand_at_their_documented_offsets() {
        assert_eq!(offset_of!(Head, base), 24 + 8);
        assert_eq!(offset_of!(Head, name), 24 + 24);
        assert_eq!(offset_of!(Head, version), 24 + 152);
        assert_eq!(Head::SIZE, 24 + 168);
    }

    #[test]
    fn a_module_survives_the_wire() {
        for (count, size) in [(0, 208), (1, 208), (2, 224), (32, 704)] {
            let packet = request(&Head::new(), &vec![Region::default(); count]).expect("fits");

            assert_eq!(packet.len(), size);
            assert_eq!(parse(&packet).map(|(_, regions)| regions.len()), Ok(count));
        }
    }

    #[test]
    fn counts_beyond_the_limit_or_the_packet_are_refused() {
        assert!(request(&Head::new(), &[Region::default(); 33]).is_err());
        let mut packet = request(&Head::new(), &[Region::default(); 2]).expect("fits");
        for count in [0u32, 3, 33, u32::MAX] {
            packet[28..32].copy_from_slice(&count.to_le_bytes());
            assert!(parse(&packet).is_err(), "{count}");
        }
    }
}

//! Displays: what the host wants of them (request 81) and where the guest put them (request 222).

use zerocopy::little_endian::{I32, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::packet::{split, start, word};
use super::{Events, Malformed, RequestType};

/// How many displays a machine can have (`VBOX_VIDEO_MAX_SCREENS`).
pub const MAX_DISPLAYS: u32 = 64;

/// The length of a request 81 before its entries, in bytes.
const MULTI_HEAD: usize = 32;
/// The length of a request 222 before its entries, in bytes.
const POSITIONS_HEAD: usize = 28;
/// The length of a position, in bytes.
const POSITION: usize = 8;

bitflags::bitflags! {
    /// What a [`DisplayDef`] says and which of its fields count (`VMMDEV_DISPLAY_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct DisplayFlags: u32 {
        /// This is the primary display.
        const PRIMARY = 0x01;
        /// The display is to be off.
        const DISABLED = 0x02;
        /// `x` and `y` count.
        const ORIGIN = 0x04;
        /// `width` counts.
        const WIDTH = 0x08;
        /// `height` counts.
        const HEIGHT = 0x10;
        /// `bits_per_pixel` counts.
        const DEPTH = 0x20;
    }
}

/// What the host wants of one display (`VMMDevDisplayDef`).
#[repr(C)]
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub struct DisplayDef {
    /// [`DisplayFlags`].
    pub flags: U32,
    /// Which display, from 0.
    pub id: U32,
    /// Left edge, pixels.
    pub x: I32,
    /// Upper edge, pixels.
    pub y: I32,
    /// Pixels.
    pub width: U32,
    /// Pixels.
    pub height: U32,
    /// Depth.
    pub bits_per_pixel: U32,
}

impl DisplayDef {
    /// The length of an entry in bytes.
    pub const SIZE: usize = 28;

    /// The flags, those included that have no name.
    pub fn display_flags(&self) -> DisplayFlags {
        DisplayFlags::from_bits_retain(self.flags.get())
    }
}

const _: () = assert!(size_of::<DisplayDef>() == DisplayDef::SIZE);

/// What the host answered to a request 81.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Displays {
    /// The entries that are really there.
    pub entries: Vec<DisplayDef>,
    /// The count that the host gave. A host may announce more than the packet had room for.
    pub announced: u32,
}

/// A request 81 with room for `capacity` displays (1 to [`MAX_DISPLAYS`]; other values are brought
/// there). `acknowledge` is [`Events::DISPLAY_CHANGE`] to mark what is read as read, or empty to look
/// without consuming.
pub fn multi_request(acknowledge: Events, capacity: u32) -> Vec<u8> {
    let capacity = capacity.clamp(1, MAX_DISPLAYS);
    let size = MULTI_HEAD + capacity as usize * DisplayDef::SIZE;
    let mut packet = start(RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI, size);
    packet.extend_from_slice(&acknowledge.bits().to_le_bytes());
    packet.extend_from_slice(&capacity.to_le_bytes());
    packet.resize(size, 0);
    packet
}

/// Reads an answered request 81: as many entries as were announced, but no more than the packet has
/// room for, nor than [`MAX_DISPLAYS`].
///
/// # Errors
/// [`Malformed`] when it is shorter than its head or is another request.
pub fn parse_multi(packet: &[u8]) -> Result<Displays, Malformed> {
    let (head, entries) =
        split(packet, MULTI_HEAD, RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI, "A display change request")?;
    let announced = word(head, 28);
    let entries = entries
        .chunks_exact(DisplayDef::SIZE)
        .take(announced.min(MAX_DISPLAYS) as usize)
        .filter_map(|entry| DisplayDef::read_from_bytes(entry).ok())
        .collect();
    Ok(Displays { entries, announced })
}

/// A request 222: where the guest put each display, by id. (-1, -1) says that it is not known.
/// Positions beyond [`MAX_DISPLAYS`] are left out.
pub fn positions_request(positions: &[(i32, i32)]) -> Vec<u8> {
    let positions = &positions[..positions.len().min(MAX_DISPLAYS as usize)];
    let size = POSITIONS_HEAD + positions.len() * POSITION;
    let mut packet = start(RequestType::VIDEO_UPDATE_MONITOR_POSITIONS, size);
    packet.extend_from_slice(&(positions.len() as u32).to_le_bytes());
    for (x, y) in positions {
        packet.extend_from_slice(&x.to_le_bytes());
        packet.extend_from_slice(&y.to_le_bytes());
    }
    packet
}

/// Reads a request 222.
///
/// # Errors
/// [`Malformed`] when its length is not what its count asks for, or the count exceeds
/// [`MAX_DISPLAYS`].
pub fn parse_positions(packet: &[u8]) -> Result<Vec<(i32, i32)>, Malformed> {
    let (head, positions) = split(
        packet,
        POSITIONS_HEAD,
        RequestType::VIDEO_UPDATE_MONITOR_POSITIONS,
        "A report of monitor positions",
    )?;
    let count = word(head, 24);
    if count > MAX_DISPLAYS {
        return Err(Malformed::TooLarge {
            what: "The number of monitor positions",
            limit: MAX_DISPLAYS as usize,
            found: count as usize,
        });
    }
    if positions.len() != count as usize * POSITION {
        return Err(Malformed::WrongSize {
            what: "A list of monitor positions",
            needed: count as usize * POSITION,
            found: positions.len(),
        });
    }
    Ok(positions
        .chunks_exact(POSITION)
        .map(|position| (word(position, 0) as i32, word(position, 4) as i32))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_word(packet: &mut [u8], offset: usize, value: u32) {
        packet[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    // The stock client asks with room for 32 displays in 928 bytes.
    #[test]
    fn a_request_for_32_displays_has_928_bytes() {
        let packet = multi_request(Events::DISPLAY_CHANGE, 32);

        assert_eq!(packet.len(), 928);
        assert_eq!(word(&packet, 0), 928);
        assert_eq!(word(&packet, 8), 81);
        assert_eq!(word(&packet, 24), 4);
        assert_eq!(word(&packet, 28), 32);
    }

    #[test]
    fn capacity_is_brought_between_1_and_64() {
        for (asked, granted) in [(0, 1), (1, 1), (64, 64), (65, 64), (u32::MAX, 64)] {
            assert_eq!(word(&multi_request(Events::empty(), asked), 28), granted);
        }
    }

    #[test]
    fn entries_are_read_field_by_field() {
        let mut packet = multi_request(Events::DISPLAY_CHANGE, 2);
        set_word(&mut packet, 28, 1);
        for (index, value) in [0x3D, 1, 0xFFFF_FFFF, 5, 1280, 800, 32].into_iter().enumerate() {
            set_word(&mut packet, 32 + 4 * index, value);
        }

        let displays = parse_multi(&packet).expect("well-formed");

        assert_eq!(displays.announced, 1);
        let [entry] = displays.entries[..] else { panic!("one entry") };
        assert_eq!(entry.display_flags().bits(), 0x3D);
        assert_eq!((entry.id.get(), entry.x.get(), entry.y.get()), (1, -1, 5));
        assert_eq!((entry.width.get(), entry.height.get()), (1280, 800));
        assert_eq!(entry.bits_per_pixel.get(), 32);
    }

    #[test]
    fn an_announced_count_beyond_the_room_is_clamped_and_reported() {
        let mut packet = multi_request(Events::DISPLAY_CHANGE, 3);
        for announced in [4, 65, u32::MAX] {
            set_word(&mut packet, 28, announced);

            let displays = parse_multi(&packet).expect("well-formed");

            assert_eq!((displays.entries.len(), displays.announced), (3, announced));
        }
    }

    #[test]
    fn truncated_and_foreign_packets_are_refused() {
        let packet = multi_request(Events::empty(), 1);
        assert_eq!(
            parse_multi(&packet[..31]),
            Err(Malformed::TooShort { what: "A display change request", needed: 32, found: 31 })
        );
        assert_eq!(
            parse_multi(&positions_request(&[(0, 0)])),
            Err(Malformed::WrongType { needed: 81, found: 222 })
        );
    }

    #[test]
    fn positions_survive_the_wire_with_their_signs() {
        let positions = [(0, 0), (-1, -1), (1280, -200)];
        let packet = positions_request(&positions);

        assert_eq!(packet.len(), 28 + 8 * 3);
        assert_eq!(parse_positions(&packet), Ok(positions.to_vec()));
    }

    #[test]
    fn a_count_of_positions_that_contradicts_the_length_is_refused() {
        let mut packet = positions_request(&[(1, 2)]);
        for count in [0, 2, 65, u32::MAX] {
            set_word(&mut packet, 24, count);
            assert!(parse_positions(&packet).is_err(), "{count}");
        }
    }
}

//! The visible region: which parts of the screen are windows (request 72).

use zerocopy::little_endian::I32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::packet::{split, start, word};
use super::{MAX_REQUEST_SIZE, Malformed, RequestType};

/// The length of the request before its rectangles, in bytes.
const HEAD: usize = 28;

/// How many rectangles fit a request: 65534.
pub const MAX_RECTS: usize = (MAX_REQUEST_SIZE as usize - HEAD) / Rect::SIZE;

/// A rectangle in the coordinates of the virtual desktop, pixels (`RTRECT`).
#[repr(C)]
#[derive(
    FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Copy, Debug, Default, PartialEq, Eq,
)]
pub struct Rect {
    /// Left edge.
    pub left: I32,
    /// Upper edge.
    pub top: I32,
    /// Right edge, exclusive.
    pub right: I32,
    /// Lower edge, exclusive.
    pub bottom: I32,
}

impl Rect {
    /// The length of a rectangle in bytes.
    pub const SIZE: usize = 16;

    /// A rectangle by its edges, right and bottom exclusive.
    pub fn new(left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self { left: left.into(), top: top.into(), right: right.into(), bottom: bottom.into() }
    }
}

const _: () = assert!(size_of::<Rect>() == Rect::SIZE);

/// A request 72. No rectangles is a region too: nothing is visible.
///
/// # Errors
/// [`Malformed::TooLarge`] for more than [`MAX_RECTS`].
pub fn request(rects: &[Rect]) -> Result<Vec<u8>, Malformed> {
    if rects.len() > MAX_RECTS {
        let what = "The number of rectangles of a visible region";
        return Err(Malformed::TooLarge { what, limit: MAX_RECTS, found: rects.len() });
    }
    let size = HEAD + rects.len() * Rect::SIZE;
    let mut packet = start(RequestType::VIDEO_SET_VISIBLE_REGION, size);
    packet.extend_from_slice(&(rects.len() as u32).to_le_bytes());
    packet.extend_from_slice(rects.as_bytes());
    Ok(packet)
}

/// Reads a request 72.
///
/// # Errors
/// [`Malformed`] when its length is not exactly what its count asks for.
pub fn parse(packet: &[u8]) -> Result<Vec<Rect>, Malformed> {
    let what = "A visible region";
    let (head, rects) = split(packet, HEAD, RequestType::VIDEO_SET_VISIBLE_REGION, what)?;
    let count = word(head, 24) as usize;
    let needed = HEAD.saturating_add(count.saturating_mul(Rect::SIZE));
    if packet.len() != needed {
        return Err(Malformed::WrongSize { what, needed, found: packet.len() });
    }
    Ok(rects.chunks_exact(Rect::SIZE).filter_map(|rect| Rect::read_from_bytes(rect).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_survives_the_wire() {
        for rects in [vec![], vec![Rect::new(-5, 0, 100, 200), Rect::new(1, 2, 3, 4)]] {
            let packet = request(&rects).expect("fits");

            assert_eq!(packet.len(), 28 + 16 * rects.len());
            assert_eq!(parse(&packet), Ok(rects));
        }
    }

    #[test]
    fn no_more_than_65534_rectangles_fit() {
        assert_eq!(request(&vec![Rect::default(); 65_534]).map(|packet| packet.len()), Ok(1_048_572));
        let refused = request(&vec![Rect::default(); 65_535]).expect_err("too many");
        assert_eq!(
            refused.to_string(),
            "The number of rectangles of a visible region may be at most 65534, found 65535"
        );
    }

    #[test]
    fn the_length_must_match_the_count_exactly() {
        let packet = request(&[Rect::default(); 2]).expect("fits");
        let mut longer = packet.clone();
        longer.push(0);
        let mut huge = packet.clone();
        huge[24..28].copy_from_slice(&u32::MAX.to_le_bytes());
        for packet in [&packet[..28], &packet[..59], &longer, &huge] {
            assert!(matches!(parse(packet), Err(Malformed::WrongSize { .. })));
        }
    }
}

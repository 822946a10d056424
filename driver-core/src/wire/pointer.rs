//! The shape of the pointer (request 3).

use super::packet::{check_total, split, start, word};
use super::{Malformed, PointerFlags, RequestType};

/// The length of the request before its data, in bytes.
const HEAD: usize = 44;
/// The length of a request that only shows or hides the pointer, in bytes.
const LEAST: usize = 48;
/// The largest width and height of a pointer, in pixels.
pub const MAX_EXTENT: u32 = 8192;

/// What a request 3 says of the pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pointer {
    /// Whether it is shown and whether the pixels have alpha. [`PointerFlags::SHAPE`] goes with
    /// [`shape`](Self::shape) and is set by [`request`].
    pub flags: PointerFlags,
    /// The picture; none when only the visibility changes.
    pub shape: Option<Shape>,
}

/// A picture of the pointer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shape {
    /// The point that points, pixels from the left.
    pub hot_x: u32,
    /// The point that points, pixels from the top.
    pub hot_y: u32,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// One bit a pixel, rows padded to bytes: where it is set the screen shows through.
    pub and_mask: Vec<u8>,
    /// Four bytes a pixel: blue, green, red, alpha.
    pub pixels: Vec<u8>,
}

/// The bytes of the AND mask with and without its padding, and of the pixels.
fn lengths(width: u32, height: u32) -> Result<(usize, usize, usize), Malformed> {
    for (what, extent) in [("A pointer's width", width), ("A pointer's height", height)] {
        if extent > MAX_EXTENT {
            let (limit, found) = (MAX_EXTENT as usize, extent as usize);
            return Err(Malformed::TooLarge { what, limit, found });
        }
    }
    let (width, height) = (width as usize, height as usize);
    let mask = width.div_ceil(8) * height;
    Ok((mask, mask.next_multiple_of(4), width * height * 4))
}

/// A request 3.
///
/// # Errors
/// [`Malformed`] when mask or pixels do not have the length that width and height ask for, or all
/// of it does not fit a request.
pub fn request(pointer: &Pointer) -> Result<Vec<u8>, Malformed> {
    let mut flags = pointer.flags - PointerFlags::SHAPE;
    let Some(shape) = &pointer.shape else {
        let mut packet = start(RequestType::SET_POINTER_SHAPE, LEAST);
        packet.extend_from_slice(&flags.bits().to_le_bytes());
        packet.resize(LEAST, 0);
        return Ok(packet);
    };
    flags |= PointerFlags::SHAPE;
    let (mask, padded, pixels) = lengths(shape.width, shape.height)?;
    for (what, needed, found) in [
        ("A pointer's mask", mask, shape.and_mask.len()),
        ("A pointer's picture", pixels, shape.pixels.len()),
    ] {
        if needed != found {
            return Err(Malformed::WrongSize { what, needed, found });
        }
    }
    let size = (HEAD + padded + pixels).max(LEAST);
    check_total("A pointer in bytes", size)?;
    let mut packet = start(RequestType::SET_POINTER_SHAPE, size);
    for value in [flags.bits(), shape.hot_x, shape.hot_y, shape.width, shape.height] {
        packet.extend_from_slice(&value.to_le_bytes());
    }
    packet.extend_from_slice(&shape.and_mask);
    packet.resize(HEAD + padded, 0);
    packet.extend_from_slice(&shape.pixels);
    packet.resize(size, 0);
    Ok(packet)
}

/// Reads a request 3. One of exactly 48 bytes changes the visibility and nothing else.
///
/// # Errors
/// [`Malformed`] when it is too short for its picture or the picture is too large.
pub fn parse(packet: &[u8]) -> Result<Pointer, Malformed> {
    let what = "A pointer shape";
    if packet.len() < LEAST {
        return Err(Malformed::TooShort { what, needed: LEAST, found: packet.len() });
    }
    let (head, data) = split(packet, HEAD, RequestType::SET_POINTER_SHAPE, what)?;
    let flags = PointerFlags::from_bits_retain(word(head, 24));
    if packet.len() == LEAST {
        return Ok(Pointer { flags: flags - PointerFlags::SHAPE, shape: None });
    }
    let (width, height) = (word(head, 36), word(head, 40));
    let (mask, padded, pixels) = lengths(width, height)?;
    let (Some(and_mask), Some(pixels)) = (data.get(..mask), data.get(padded..padded + pixels)) else {
        return Err(Malformed::TooShort { what, needed: HEAD + padded + pixels, found: packet.len() });
    };
    let shape = Shape {
        hot_x: word(head, 28),
        hot_y: word(head, 32),
        width,
        height,
        and_mask: and_mask.to_vec(),
        pixels: pixels.to_vec(),
    };
    Ok(Pointer { flags, shape: Some(shape) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrow() -> Pointer {
        Pointer {
            flags: PointerFlags::VISIBLE | PointerFlags::ALPHA | PointerFlags::SHAPE,
            shape: Some(Shape {
                hot_x: 1,
                hot_y: 2,
                width: 9,
                height: 3,
                and_mask: vec![0xAA; 6],
                pixels: (0..9 * 3 * 4).collect(),
            }),
        }
    }

    // Nine pixels take two bytes a row; six bytes of mask are padded to eight.
    #[test]
    fn a_shape_survives_the_wire_with_its_mask_padded() {
        let packet = request(&arrow()).expect("fits");

        assert_eq!(packet.len(), 44 + 8 + 108);
        assert_eq!(word(&packet, 24), 7);
        assert_eq!(parse(&packet), Ok(arrow()));
    }

    #[test]
    fn visibility_alone_takes_exactly_48_bytes() {
        let hidden = Pointer::default();
        let packet = request(&hidden).expect("fits");

        assert_eq!(packet.len(), 48);
        assert_eq!(parse(&packet), Ok(hidden));
    }

    #[test]
    fn a_picture_larger_than_the_packet_is_refused() {
        let mut packet = request(&arrow()).expect("fits");
        packet.pop();
        assert!(matches!(parse(&packet), Err(Malformed::TooShort { .. })));
        packet[36..40].copy_from_slice(&8193u32.to_le_bytes());
        assert_eq!(
            parse(&packet),
            Err(Malformed::TooLarge { what: "A pointer's width", limit: 8192, found: 8193 })
        );
    }

    #[test]
    fn a_mask_of_the_wrong_length_is_refused() {
        let mut pointer = arrow();
        pointer.shape.as_mut().expect("a shape").and_mask.pop();
        assert_eq!(
            request(&pointer),
            Err(Malformed::WrongSize { what: "A pointer's mask", needed: 6, found: 5 })
        );
    }
}

//! Device-independent bitmaps: a header, perhaps a palette, and rows of pixels.
//!
//! A `.bmp` file is one with 14 bytes before it. Understood are headers from Windows 3 to 5, pixels of
//! 1, 4, 8, 16, 24 and 32 bits, rows from bottom to top or from top to bottom, and the masks of
//! `BI_BITFIELDS`; not understood are run lengths, and JPEG or PNG within.
//!
//! Whether the fourth byte of 32-bit pixels is alpha is not said: for decades it meant nothing, and
//! most programs leave a zero there, but others have always written alpha there, with and without a
//! mask that says so. So the pixels tell: when that byte is zero in all of them, the picture is opaque,
//! since nobody copies a picture in which nothing is to be seen; otherwise it is alpha.

use super::{Error, check_size};
use crate::bytes::{Bytes, PIECE};

/// The header of Windows 3, in bytes: all that has to be there.
pub const HEADER: u32 = 40;

/// The headers that are understood, by their size in bytes: Windows 3, with three masks, with four,
/// Windows 4 and 5.
const HEADERS: [u32; 5] = [HEADER, 52, 56, 108, 124];

const BI_RGB: u32 = 0;
const BI_BITFIELDS: u32 = 3;
const BI_ALPHABITFIELDS: u32 = 6;

/// The masks of red, green, blue and alpha, where there are none: 5 bits each, or 8 with a byte that
/// may be alpha.
const MASKS_16: [u32; 4] = [0x7c00, 0x03e0, 0x001f, 0];
const MASKS_32: [u32; 4] = [0x00ff_0000, 0x0000_ff00, 0x0000_00ff, 0xff00_0000];

/// What is known of a bitmap before its pixels are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dib {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether its header is that of Windows 3, and its pixels follow at once: what every program
    /// understands.
    pub is_plain: bool,
    /// Where its pixels begin, in bytes from where the file or the bitmap does.
    pub pixels_at: u64,
    /// Where they end.
    pub end: u64,
    top_down: bool,
    /// Bytes from a row to the next one.
    stride: u32,
    pixels: Pixels,
}

/// How pixels are written.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pixels {
    /// So many bits are an index to the palette of red, green and blue.
    Indexed(u32, Vec<[u8; 3]>),
    /// Blue, green, red.
    Bgr,
    /// Blue, green, red, and what may be alpha.
    Bgra,
    /// Masks in two bytes.
    Masked16([Channel; 4]),
    /// Masks in four bytes.
    Masked32([Channel; 4]),
}

/// Where in a pixel one of red, green, blue and alpha is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Channel {
    shift: u32,
    /// The largest value; 0 when it is nowhere.
    max: u32,
}

/// Rows that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Band {
    /// The uppermost of them.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl Dib {
    /// Reads a header that stands at `at`. A file says where its pixels begin. There are `size` bytes
    /// in all, and at most so many pixels are allowed.
    ///
    /// # Errors
    /// When it is not understood, or there is less of it than it says.
    pub fn parse<B: Bytes>(
        bytes: &B,
        at: u32,
        pixels_at: Option<u32>,
        size: u64,
        limit: u64,
    ) -> Result<Self, Error> {
        let header = bytes.read_at(at.into(), 124 + 4)?;
        let header_size = word(&header, 0)?;
        if !HEADERS.contains(&header_size) {
            return Err(wrong(format!("a header of {header_size} bytes, expected {HEADERS:?}")));
        }
        let (width, height) = (word(&header, 4)?.cast_signed(), word(&header, 8)?.cast_signed());
        let Some(positive) = u32::try_from(width).ok().filter(|_| width > 0 && height != 0) else {
            return Err(wrong(format!("a size of {width}x{height}")));
        };
        let (width, top_down, height) = (positive, height < 0, height.unsigned_abs());
        check_size(width, height, limit)?;
        // Two numbers of 16 bits: planes, of which all have one, and the bits of a pixel.
        let bits = word(&header, 12)? >> 16;
        let compression = word(&header, 16)?;
        let colours = word(&header, 32)?;

        // A header of Windows 3 has its masks behind it, later ones have them in them.
        let behind = match (header_size, compression) {
            (HEADER, BI_BITFIELDS) => 12,
            (HEADER, BI_ALPHABITFIELDS) => 16,
            _ => 0,
        };
        let masks = match (compression, bits) {
            (BI_RGB, 1 | 4 | 8 | 16 | 24 | 32) => None,
            (BI_BITFIELDS | BI_ALPHABITFIELDS, 16 | 32) => {
                let has_alpha = compression == BI_ALPHABITFIELDS || header_size >= 56;
                let alpha = if has_alpha { word(&header, 52)? } else { 0 };
                Some([word(&header, 40)?, word(&header, 44)?, word(&header, 48)?, alpha])
            }
            _ => return Err(wrong(format!("compression {compression} of {bits} bits a pixel"))),
        };

        let palette_at = u64::from(at) + u64::from(header_size) + behind;
        let most = if bits <= 8 { 1 << bits } else { u32::MAX };
        let entries = match (colours, bits) {
            (0, ..=8) => most,
            _ if colours <= most => colours,
            _ => return Err(wrong(format!("{colours} colours for {bits} bits a pixel"))),
        };
        let palette_end = palette_at + u64::from(entries) * 4;
        let pixels_at = pixels_at.map_or(palette_end, u64::from);
        if pixels_at < palette_at {
            return Err(wrong(format!("pixels at {pixels_at}, within its header")));
        }
        // Both factors were bounded by the check of the size.
        let stride = (u64::from(width) * u64::from(bits)).div_ceil(32) as u32 * 4;
        let end = pixels_at + u64::from(stride) * u64::from(height);
        if end > size {
            return Err(Error::Short(size, end));
        }

        let pixels = match (bits, masks) {
            (16, masks) => Pixels::Masked16(channels(masks.unwrap_or(MASKS_16), 16)?),
            (24, _) => Pixels::Bgr,
            (32, None) => Pixels::Bgra,
            (32, Some([red, green, blue, alpha])) => {
                let [.., fourth] = MASKS_32;
                if [red, green, blue, fourth] == MASKS_32 && (alpha == 0 || alpha == fourth) {
                    Pixels::Bgra
                } else {
                    Pixels::Masked32(channels([red, green, blue, alpha], 32)?)
                }
            }
            (bits, _) => {
                let there = palette_end.min(pixels_at) - palette_at;
                let palette = bytes.read_at(palette_at, there as u32)?;
                let colours = palette.as_chunks().0.iter();
                Pixels::Indexed(bits, colours.map(|[blue, green, red, _]| [*red, *green, *blue]).collect())
            }
        };
        let is_plain = header_size == HEADER && compression != BI_ALPHABITFIELDS && pixels_at == palette_end;
        Ok(Dib { width, height, is_plain, pixels_at, end, top_down, stride, pixels })
    }

    /// The rows from `first` on that are read at once.
    pub fn band(&self, first: u32) -> Band {
        let together = (PIECE / self.stride).max(1);
        Band { first, count: together.min(self.height.saturating_sub(first)) }
    }

    /// The rows of a band, from the uppermost on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn rows<B: Bytes>(&self, band: Band, bytes: &B) -> Result<Rows, Error> {
        let before = match self.top_down {
            true => band.first,
            false => self.height.saturating_sub(band.first.saturating_add(band.count)),
        };
        let offset = self.pixels_at + u64::from(before) * u64::from(self.stride);
        let length = self.stride.saturating_mul(band.count);
        let bytes = bytes.read_at(offset, length)?;
        if bytes.len() < length as usize {
            return Err(Error::Short(offset + bytes.len() as u64, self.end));
        }
        Ok(Rows { bytes, stride: self.stride as usize, top_down: self.top_down })
    }

    /// Adds the alpha of a row to what is known of the picture's.
    pub fn look_for_alpha(&self, row: &[u8], alpha: &mut Alpha) {
        let (mut any, mut all) = (0, 255);
        match &self.pixels {
            Pixels::Bgra => {
                for [.., value] in row.as_chunks::<4>().0 {
                    any |= value;
                    all &= value;
                }
            }
            Pixels::Masked16([.., channel]) => {
                for pixel in row.as_chunks().0.iter().take(self.width as usize) {
                    let value = channel.of(u16::from_le_bytes(*pixel).into());
                    any |= value;
                    all &= value;
                }
            }
            Pixels::Masked32([.., channel]) => {
                for pixel in row.as_chunks().0 {
                    let value = channel.of(u32::from_le_bytes(*pixel));
                    any |= value;
                    all &= value;
                }
            }
            Pixels::Indexed(..) | Pixels::Bgr => return,
        }
        alpha.any |= any != 0;
        alpha.not_all |= all != 255;
    }

    /// Whether its pixels have a place for alpha.
    pub fn may_have_alpha(&self) -> bool {
        match &self.pixels {
            Pixels::Indexed(..) | Pixels::Bgr => false,
            Pixels::Bgra => true,
            Pixels::Masked16([.., alpha]) | Pixels::Masked32([.., alpha]) => alpha.max != 0,
        }
    }

    /// Appends a row's pixels: red, green, blue, and alpha if that is wanted.
    pub fn decode(&self, row: &[u8], with_alpha: bool, out: &mut Vec<u8>) {
        let width = self.width as usize;
        match &self.pixels {
            Pixels::Indexed(bits, palette) => {
                let per_byte = 8 / *bits as usize;
                let mask = ((1_u32 << bits) - 1) as u8;
                for x in 0..width {
                    let byte = row.get(x / per_byte).copied().unwrap_or_default();
                    let shift = 8 - *bits as usize * (x % per_byte + 1);
                    let index = byte >> shift & mask;
                    // What the palette does not have is black.
                    out.extend_from_slice(&palette.get(usize::from(index)).copied().unwrap_or_default());
                }
            }
            Pixels::Bgr => {
                let pixels = row.as_chunks().0.iter().take(width);
                out.extend(pixels.flat_map(|[blue, green, red]| [*red, *green, *blue]));
            }
            Pixels::Bgra if with_alpha => {
                let pixels = row.as_chunks().0.iter();
                out.extend(pixels.flat_map(|[blue, green, red, alpha]| [*red, *green, *blue, *alpha]));
            }
            Pixels::Bgra => {
                let pixels = row.as_chunks().0.iter();
                out.extend(pixels.flat_map(|[blue, green, red, _]| [*red, *green, *blue]));
            }
            Pixels::Masked16(channels) => {
                for pixel in row.as_chunks().0.iter().take(width) {
                    push_masked(u16::from_le_bytes(*pixel).into(), channels, with_alpha, out);
                }
            }
            Pixels::Masked32(channels) => {
                for pixel in row.as_chunks().0 {
                    push_masked(u32::from_le_bytes(*pixel), channels, with_alpha, out);
                }
            }
        }
    }
}

/// What is known of a picture's alpha.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Alpha {
    /// Some pixel's is not 0.
    any: bool,
    /// Some pixel's is not 255.
    not_all: bool,
}

impl Alpha {
    /// Whether it makes a difference.
    pub fn matters(self) -> bool {
        self.any && self.not_all
    }
}

/// Rows of a bitmap, as they are written there.
#[derive(Debug)]
pub struct Rows {
    bytes: Vec<u8>,
    stride: usize,
    top_down: bool,
}

impl Rows {
    /// From the uppermost on.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rows = self.bytes.chunks_exact(self.stride);
        let top_down = self.top_down;
        std::iter::from_fn(move || if top_down { rows.next() } else { rows.next_back() })
    }
}

impl Channel {
    /// Its value in a pixel, from 0 to 255.
    fn of(self, pixel: u32) -> u8 {
        let value = u64::from(pixel >> self.shift & self.max);
        let max = u64::from(self.max);
        // No more than 255, because the value is no more than the largest.
        (value * 255 + max / 2).checked_div(max).unwrap_or(0) as u8
    }
}

fn channels(masks: [u32; 4], bits: u32) -> Result<[Channel; 4], Error> {
    let mut channels = [Channel { shift: 0, max: 0 }; 4];
    for (mask, channel) in masks.into_iter().zip(&mut channels) {
        if mask == 0 {
            continue;
        }
        let shift = mask.trailing_zeros();
        let max = mask >> shift;
        let is_contiguous = max & max.wrapping_add(1) == 0;
        if !is_contiguous || u64::from(mask) >> bits != 0 {
            return Err(wrong(format!("a mask of {mask:#x} in {bits} bits")));
        }
        *channel = Channel { shift, max };
    }
    Ok(channels)
}

fn push_masked(pixel: u32, [red, green, blue, alpha]: &[Channel; 4], with_alpha: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[red.of(pixel), green.of(pixel), blue.of(pixel)]);
    if with_alpha {
        out.push(alpha.of(pixel));
    }
}

/// The little-endian number that stands at an offset.
pub fn word(header: &[u8], at: usize) -> Result<u32, Error> {
    let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u32::from_le_bytes(*bytes)).ok_or_else(|| wrong("it ends within its header".into()))
}

/// An error that says what was found.
pub fn wrong(found: String) -> Error {
    Error::Bitmap(found)
}

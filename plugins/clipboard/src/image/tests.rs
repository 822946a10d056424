//! Pictures from outside, built here byte by byte, so that nothing under test says what they are.

use std::cell::RefCell;
use std::rc::Rc;

use bellhop_plugin::Error as SdkError;

use super::*;
use crate::convert::{self, Limits};
use crate::formats::Mime;

const LIMITS: Limits = Limits { bytes: 64 << 20, pixels: 64_000_000 };

/// Memory that insists on pieces that an agent would take.
#[derive(Debug, Default)]
struct Agent(RefCell<Vec<u8>>);

impl Bytes for Agent {
    fn size(&self) -> Result<u64, SdkError> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, SdkError> {
        assert!(length <= 1 << 20, "{length} bytes are read at once");
        self.0.read_at(offset, length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SdkError> {
        assert!(bytes.len() <= 1 << 20, "{} bytes are written at once", bytes.len());
        self.0.write_at(offset, bytes)
    }
}

type Start = fn(Mime, Rc<Agent>, u64, Rc<Agent>, Limits) -> Box<dyn Convert>;

fn run(start: Start, mime: Mime, bytes: &[u8], limits: Limits) -> Result<Vec<u8>, Error> {
    let (source, target) = (Rc::new(Agent(RefCell::new(bytes.to_vec()))), Rc::new(Agent::default()));
    let mut conversion = start(mime, source, bytes.len() as u64, target.clone(), limits);
    while conversion.step()? == Step::More {}
    drop(conversion);
    Ok(Rc::into_inner(target).unwrap().0.into_inner())
}

fn to_host(mime: Mime, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run(convert::to_host, mime, bytes, LIMITS)
}

fn to_guest(mime: Mime, bytes: &[u8]) -> Result<Vec<u8>, Error> {
    run(convert::to_guest, mime, bytes, LIMITS)
}

/// Red, green, blue and alpha, from the upper left pixel on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Picture {
    width: u32,
    height: u32,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    fn new(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 4]) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Picture { width, height, pixels: pixels.map(|(x, y)| pixel(x, y)).collect() }
    }

    /// Colours that differ from pixel to pixel and from row to row.
    fn opaque(width: u32, height: u32) -> Self {
        Picture::new(width, height, |x, y| [(x * 7 + y) as u8, (y * 13) as u8, (x ^ y) as u8, 255])
    }

    fn translucent(width: u32, height: u32) -> Self {
        Picture::new(width, height, |x, y| [x as u8, (y * 13) as u8, (x + y) as u8, (x * 5 + y * 3) as u8])
    }

    fn at(&self, x: u32, y: u32) -> [u8; 4] {
        self.pixels[(y * self.width + x) as usize]
    }

    /// The picture in a bitmap as the plugin writes it: 24 bits for what is opaque, else 32.
    fn of_dib(dib: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(dib[at..at + 4].try_into().unwrap());
        let (width, height, depth) = (word(4), word(8), word(12) >> 16);
        assert_eq!((word(0), word(12) & 0xffff, word(16)), (40, 1, 0));
        let bytes = depth as usize / 8;
        let stride = (width as usize * bytes).next_multiple_of(4);
        assert_eq!(dib.len(), 40 + stride * height as usize);
        assert_eq!(word(20) as usize, dib.len() - 40);
        Picture::new(width, height, |x, y| {
            let at = 40 + (height - 1 - y) as usize * stride + x as usize * bytes;
            let alpha = if depth == 32 { dib[at + 3] } else { 255 };
            [dib[at + 2], dib[at + 1], dib[at], alpha]
        })
    }

    /// The picture in a PNG, by the decoder's own way to a whole frame.
    fn of_png(png: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(Transformations::ALPHA | Transformations::STRIP_16);
        let mut reader = decoder.read_info().unwrap();
        let mut frame = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut frame).unwrap();
        assert_eq!(info.color_type, ColorType::Rgba);
        Picture { width: info.width, height: info.height, pixels: frame.as_chunks().0.to_vec() }
    }

    /// A bitmap of 24 or 32 bits, with rows from bottom to top.
    fn dib(&self, bits: u32) -> Vec<u8> {
        let mut dib = header(self.width as i32, self.height as i32, bits, 0, 0);
        for y in (0..self.height).rev() {
            for x in 0..self.width {
                let [red, green, blue, alpha] = self.at(x, y);
                dib.extend_from_slice(&[blue, green, red, alpha][..bits as usize / 8]);
            }
            dib.resize(dib.len().next_multiple_of(4), 0xee);
        }
        dib
    }
}

/// A header of Windows 3.
fn header(width: i32, height: i32, bits: u32, compression: u32, colours: u32) -> Vec<u8> {
    let words = [40, width as u32, height as u32, 1 | bits << 16, compression, 0, 0, 0, colours, 0];
    words.map(u32::to_le_bytes).concat()
}

/// A file of a bitmap, with its pixels where they are said to be.
fn bmp(dib: &[u8], pixels_at: u32) -> Vec<u8> {
    let size = dib.len() as u32 + 14;
    [b"BM", &[size, 0, pixels_at].map(u32::to_le_bytes).concat()[..], dib].concat()
}

/// PNG's five kinds of pixels, and the depths that each has.
const KINDS: [(u8, &[u8]); 5] =
    [(0, &[1, 2, 4, 8, 16]), (2, &[8, 16]), (3, &[1, 2, 4, 8]), (4, &[8, 16]), (6, &[8, 16])];

/// A PNG as the standard has it, without compression or filters.
struct Png {
    width: u32,
    height: u32,
    kind: u8,
    depth: u8,
    interlaced: bool,
    palette: Vec<u8>,
    transparency: Vec<u8>,
}

impl Png {
    fn new(width: u32, height: u32, kind: u8, depth: u8) -> Self {
        let colours = 1_u32 << depth.min(8);
        let palette = if kind == 3 {
            (0..colours).flat_map(|index| [(index * 3) as u8, !index as u8, index as u8 ^ 0x55]).collect()
        } else {
            Vec::new()
        };
        Png { width, height, kind, depth, interlaced: false, palette, transparency: Vec::new() }
    }

    fn channels(&self) -> u32 {
        [1, 0, 3, 1, 2, 0, 4][self.kind as usize]
    }

    /// One sample of a pixel, as deep as they are.
    fn sample(&self, x: u32, y: u32, channel: u32) -> u32 {
        let mixed =
            (x + 1).wrapping_mul(2_654_435_761) ^ (y + 3).wrapping_mul(40_503 << 7) ^ (channel * 0x5bd1);
        (mixed >> 9) & ((1 << self.depth) - 1)
    }

    /// What the standard says that a pixel looks like.
    fn pixel(&self, x: u32, y: u32) -> [u8; 4] {
        let max = (1 << self.depth) - 1;
        let sample = |channel| self.sample(x, y, channel);
        let shown = |channel| match self.depth {
            16 => (sample(channel) >> 8) as u8,
            _ => (sample(channel) * 255 / max) as u8,
        };
        let samples: Vec<u8> =
            (0..self.channels()).flat_map(|channel| (sample(channel) as u16).to_be_bytes()).collect();
        let keyed = if self.transparency == samples && self.kind != 3 { 0 } else { 255 };
        match self.kind {
            0 => [shown(0), shown(0), shown(0), keyed],
            2 => [shown(0), shown(1), shown(2), keyed],
            3 => {
                let index = sample(0) as usize;
                let alpha = self.transparency.get(index).copied().unwrap_or(255);
                [self.palette[index * 3], self.palette[index * 3 + 1], self.palette[index * 3 + 2], alpha]
            }
            4 => [shown(0), shown(0), shown(0), shown(1)],
            _ => [shown(0), shown(1), shown(2), shown(3)],
        }
    }

    fn picture(&self) -> Picture {
        Picture::new(self.width, self.height, |x, y| self.pixel(x, y))
    }

    fn bytes(&self) -> Vec<u8> {
        // Which columns and rows each pass has.
        let passes: &[[u32; 4]] = if self.interlaced {
            &[
                [0, 8, 0, 8],
                [4, 8, 0, 8],
                [0, 4, 4, 8],
                [2, 4, 0, 4],
                [0, 2, 2, 4],
                [1, 2, 0, 2],
                [0, 1, 1, 2],
            ]
        } else {
            &[[0, 1, 0, 1]]
        };
        let mut data = Vec::new();
        for [x, across, y, down] in passes {
            for y in (*y..self.height).step_by(*down as usize) {
                if *x >= self.width {
                    continue;
                }
                data.push(0);
                let (mut bits, mut count) = (0_u32, 0);
                for x in (*x..self.width).step_by(*across as usize) {
                    for channel in 0..self.channels() {
                        bits = bits << self.depth | self.sample(x, y, channel);
                        count += u32::from(self.depth);
                        while count >= 8 {
                            count -= 8;
                            data.push((bits >> count) as u8);
                        }
                    }
                }
                if count > 0 {
                    data.push((bits << (8 - count)) as u8);
                }
            }
        }
        let size = [self.width, self.height].map(u32::to_be_bytes).concat();
        let head = [&size[..], &[self.depth, self.kind, 0, 0, u8::from(self.interlaced)]].concat();
        let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
        chunk(&mut png, b"IHDR", &head);
        for (name, content) in [(b"PLTE", &self.palette), (b"tRNS", &self.transparency)] {
            if !content.is_empty() {
                chunk(&mut png, name, content);
            }
        }
        chunk(&mut png, b"IDAT", &stored(&data));
        chunk(&mut png, b"IEND", &[]);
        png
    }
}

fn chunk(png: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    png.extend_from_slice(&(content.len() as u32).to_be_bytes());
    let start = png.len();
    png.extend_from_slice(name);
    png.extend_from_slice(content);
    let crc = png[start..].iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    });
    png.extend_from_slice(&(!crc).to_be_bytes());
}

/// Deflated, without being compressed.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut zlib = vec![0x78, 0x01];
    let blocks: Vec<_> = data.chunks(60_000).collect();
    for (index, block) in blocks.iter().enumerate() {
        let length = block.len() as u16;
        zlib.push(u8::from(index + 1 == blocks.len()));
        zlib.extend_from_slice(&[length, !length].map(u16::to_le_bytes).concat());
        zlib.extend_from_slice(block);
    }
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    zlib.extend_from_slice(&(high << 16 | low).to_be_bytes());
    zlib
}

#[test]
fn a_png_of_every_kind_and_depth_becomes_the_same_pixels() {
    for (kind, depths) in KINDS {
        for depth in depths {
            for (width, height) in [(1, 1), (2, 3), (3, 2), (5, 5), (8, 9), (17, 4), (33, 31)] {
                for interlaced in [false, true] {
                    let png = Png { interlaced, ..Png::new(width, height, kind, *depth) };
                    let dib = to_host(Mime::Png, &png.bytes()).unwrap();
                    let what =
                        format!("{width}x{height}, kind {kind}, depth {depth}, interlaced {interlaced}");
                    assert_eq!(Picture::of_dib(&dib), png.picture(), "{what}");
                }
            }
        }
    }
}

#[test]
fn transparency_by_colour_and_by_palette_becomes_alpha() {
    for (kind, depth) in [(0, 2), (0, 8), (0, 16), (2, 8), (2, 16), (3, 2), (3, 8)] {
        let mut png = Png::new(19, 21, kind, depth);
        // The colour of one of its pixels, or an alpha for the palette's first colours.
        let transparency = match kind {
            3 => vec![7, 0, 255, 99],
            _ => (0..png.channels())
                .flat_map(|channel| (png.sample(4, 5, channel) as u16).to_be_bytes())
                .collect(),
        };
        png.transparency = transparency;
        for interlaced in [false, true] {
            png.interlaced = interlaced;
            let expected = png.picture();
            assert!(expected.pixels.iter().any(|[.., alpha]| *alpha != 255));
            let dib = to_host(Mime::Png, &png.bytes()).unwrap();
            assert_eq!(Picture::of_dib(&dib), expected, "kind {kind}, depth {depth}");
        }
    }
}

#[test]
fn what_is_opaque_takes_24_bits_and_what_is_not_32() {
    let bits = |dib: Vec<u8>| u16::from_le_bytes([dib[14], dib[15]]);
    let opaque = to_guest(Mime::Png, &Picture::opaque(9, 9).dib(32)).unwrap();
    assert_eq!(bits(to_host(Mime::Png, &opaque).unwrap()), 24);

    // The last pixel alone is not opaque.
    let last = Picture::new(300, 200, |x, y| [1, 2, 3, if (x, y) == (299, 199) { 254 } else { 255 }]);
    let png = to_guest(Mime::Png, &last.dib(32)).unwrap();
    let dib = to_host(Mime::Png, &png).unwrap();
    assert_eq!(Picture::of_dib(&dib), last);
    assert_eq!(bits(dib), 32);
}

#[test]
fn a_screenshot_of_3840_by_2160_comes_back_pixel_by_pixel_and_fits_into_one_call() {
    let screenshot = Picture::opaque(3840, 2160);
    let png = to_guest(Mime::Png, &screenshot.dib(32)).unwrap();
    assert!(Picture::of_png(&png) == screenshot);

    let dib = to_host(Mime::Png, &png).unwrap();
    assert!(Picture::of_dib(&dib) == screenshot);
    assert!(dib.len() <= 24 << 20, "{} bytes", dib.len());
}

#[test]
fn a_translucent_picture_comes_back_pixel_by_pixel() {
    for (width, height) in [(1, 1), (3, 500), (500, 3), (640, 480)] {
        let picture = Picture::translucent(width, height);
        let png = to_guest(Mime::Png, &picture.dib(32)).unwrap();
        // Of one pixel, which is entirely transparent, nothing would be to be seen.
        let expected = if width == 1 { Picture::new(1, 1, |_, _| [0, 0, 0, 255]) } else { picture };
        assert_eq!(Picture::of_png(&png), expected);
        assert_eq!(Picture::of_dib(&to_host(Mime::Png, &png).unwrap()), expected);
    }
}

#[test]
fn the_fourth_byte_is_alpha_unless_it_is_the_same_everywhere_and_says_nothing() {
    let with = |alpha: fn(u32) -> u8| Picture::new(20, 20, |x, y| [x as u8, y as u8, 3, alpha(x + y)]);
    let opaque = with(|_| 255);
    let cases = [
        (with(|_| 0), opaque.clone()),
        (with(|_| 255), opaque),
        (with(|_| 7), with(|_| 7)),
        (with(|sum| (sum == 38) as u8), with(|sum| (sum == 38) as u8)),
    ];
    for (given, expected) in cases {
        let png = to_guest(Mime::Png, &given.dib(32)).unwrap();
        assert_eq!(Picture::of_png(&png), expected);
    }
}

/// A bitmap of indices, whose rows are given from the uppermost on.
fn indexed(width: i32, height: i32, bits: u32, palette: &[[u8; 4]], rows: &[&[u8]]) -> Vec<u8> {
    let colours = if palette.len() == 1 << bits { 0 } else { palette.len() as u32 };
    let mut dib = header(width, height, bits, 0, colours);
    dib.extend_from_slice(&palette.concat());
    let mut rows = rows.to_vec();
    if height > 0 {
        rows.reverse();
    }
    for row in rows {
        dib.extend_from_slice(row);
        dib.resize(dib.len().next_multiple_of(4), 0xff);
    }
    dib
}

#[test]
fn indices_of_1_4_and_8_bits_are_looked_up_in_the_palette() {
    const BLACK: [u8; 4] = [0, 0, 0, 0];
    const WHITE: [u8; 4] = [255, 255, 255, 0];
    const RED: [u8; 4] = [0, 0, 255, 0];
    let colours = |picture: Picture| -> String {
        let name = |[red, green, ..]: &[u8; 4]| match (red, green) {
            (255, 255) => 'w',
            (255, 0) => 'r',
            _ => 'b',
        };
        picture.pixels.iter().map(name).collect()
    };
    let one: [&[u8]; 2] = [&[0b1010_0000, 0b1000_0000], &[0b0111_1111, 0]];
    let four: [&[u8]; 2] = [&[0x01, 0x20], &[0x21, 0x00]];
    let eight: [&[u8]; 2] = [&[2, 1, 0], &[0, 9, 255]];
    let cases = [
        (indexed(9, 2, 1, &[BLACK, WHITE], &one), "wbwbbbbbwbwwwwwwwb"),
        (indexed(9, -2, 1, &[BLACK, WHITE], &one), "wbwbbbbbwbwwwwwwwb"),
        (indexed(3, 2, 4, &[BLACK, WHITE, RED], &four), "bwrrwb"),
        // Indices beyond the palette are black.
        (indexed(3, -2, 8, &[BLACK, WHITE, RED], &eight), "rwbbbb"),
    ];
    for (dib, expected) in cases {
        let png = to_guest(Mime::Png, &dib).unwrap();
        assert_eq!(colours(Picture::of_png(&png)), expected);
    }
}

#[test]
fn pixels_of_16_bits_are_scaled_to_their_full_range() {
    // Red, green, blue, white.
    let of = |compression: u32, masks: &[u32], pixels: [u16; 4]| {
        let mut dib = header(2, -2, 16, compression, 0);
        dib.extend(masks.iter().flat_map(|mask| mask.to_le_bytes()));
        dib.extend(pixels.iter().flat_map(|pixel| pixel.to_le_bytes()));
        dib
    };
    let pure = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 255, 255], [255, 255, 255, 255]];
    let cases = [
        of(0, &[], [0x7c00, 0x03e0, 0x001f, 0x7fff]),
        of(3, &[0xf800, 0x07e0, 0x001f], [0xf800, 0x07e0, 0x001f, 0xffff]),
        of(6, &[0x0f00, 0x00f0, 0x000f, 0xf000], [0xff00, 0xf0f0, 0xf00f, 0xffff]),
    ];
    for dib in cases {
        assert_eq!(Picture::of_png(&to_guest(Mime::Png, &dib).unwrap()).pixels, pure);
    }
    let grey = of(0, &[], [16 << 10 | 16 << 5 | 16; 4]);
    assert_eq!(Picture::of_png(&to_guest(Mime::Png, &grey).unwrap()).pixels, [[132, 132, 132, 255]; 4]);
}

#[test]
fn pixels_of_32_bits_are_taken_apart_by_their_masks() {
    let of = |compression: u32, masks: &[u32], pixel: u32| {
        let mut dib = header(1, 1, 32, compression, 0);
        dib.extend(masks.iter().chain([&pixel]).flat_map(|word| word.to_le_bytes()));
        dib
    };
    let cases = [
        (of(3, &[0xff_0000, 0xff00, 0xff], 0x0012_3456), [0x12, 0x34, 0x56, 255]),
        (of(3, &[0xff_0000, 0xff00, 0xff], 0x8012_3456), [0x12, 0x34, 0x56, 0x80]),
        (of(3, &[0xff, 0xff00, 0xff_0000], 0x8056_3412), [0x12, 0x34, 0x56, 255]),
        (of(6, &[0xff, 0xff00, 0xff_0000, 0xff00_0000], 0x8056_3412), [0x12, 0x34, 0x56, 0x80]),
        // Ten bits a colour.
        (of(3, &[0x3ff0_0000, 0xf_fc00, 0x3ff], 0x3ff8_0200), [255, 128, 128, 255]),
        (of(3, &[0xff_0000, 0, 0xff], 0x0012_3456), [0x12, 0, 0x56, 255]),
    ];
    for (dib, expected) in cases {
        assert_eq!(Picture::of_png(&to_guest(Mime::Png, &dib).unwrap()).pixels, [expected]);
    }
}

#[test]
fn a_bitmap_goes_to_a_file_and_back_without_a_change() {
    let palette = [[1, 2, 3, 0]; 16];
    let masked =
        [&header(1, 1, 32, 3, 0)[..], &[0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0, 1, 2, 3, 4]].concat();
    let bitmaps = [
        (Picture::opaque(7, 5).dib(24), 54),
        (Picture::opaque(640, 480).dib(32), 54),
        (indexed(3, -1, 4, &palette, &[&[0x12, 0x30]]), 54 + 64),
        (masked, 54 + 12),
    ];
    for (dib, pixels_at) in bitmaps {
        let file = to_guest(Mime::Bmp, &dib).unwrap();
        assert_eq!(file, bmp(&dib, pixels_at));
        assert_eq!(to_host(Mime::Bmp, &file).unwrap(), dib);
    }
}

#[test]
fn files_that_others_do_not_understand_are_written_anew() {
    let picture = Picture::translucent(40, 30);
    let pixels = &picture.dib(32)[40..];
    // A header of Windows 5 with masks in it.
    let mut new = header(40, 30, 32, 3, 0);
    new[0] = 124;
    new.extend([0xff_0000_u32, 0xff00, 0xff, 0xff00_0000].iter().flat_map(|mask| mask.to_le_bytes()));
    new.resize(124, 0);
    let new = [&new, pixels].concat();
    assert_eq!(Picture::of_dib(&to_host(Mime::Bmp, &bmp(&new, 14 + 124)).unwrap()), picture);

    // A gap between header and pixels, and rows from top to bottom.
    let opaque = Picture::opaque(2, 2);
    let [a, b, c, d] = [0, 1, 2, 3].map(|index| opaque.pixels[index]);
    let mut gap = header(2, -2, 24, 0, 0);
    gap.resize(60, 0xaa);
    for [[r, g, b, _], [s, h, c, _]] in [[a, b], [c, d]] {
        gap.extend_from_slice(&[b, g, r, c, h, s, 0, 0]);
    }
    assert_eq!(Picture::of_dib(&to_host(Mime::Bmp, &bmp(&gap, 14 + 60)).unwrap()), opaque);
}

#[test]
fn a_large_file_that_is_written_anew_is_the_same_picture() {
    let picture = Picture::opaque(1000, 700);
    let mut gap = picture.dib(24);
    gap.splice(40..40, [0; 8]);
    assert!(Picture::of_dib(&to_host(Mime::Bmp, &bmp(&gap, 14 + 48)).unwrap()) == picture);
}

#[test]
fn what_is_no_bitmap_is_refused_with_a_reason() {
    let with = |at: usize, word: u32| {
        let mut dib = Picture::opaque(4, 4).dib(24);
        dib[at..at + 4].copy_from_slice(&word.to_le_bytes());
        dib
    };
    let cases: &[(Vec<u8>, &str)] = &[
        (vec![], "it ends within its header"),
        (vec![40, 0, 0, 0, 1], "it ends within its header"),
        (header(1, 1, 24, 0, 0), "Only 40 bytes are there, of 44"),
        (with(0, 12), "a header of 12 bytes"),
        (with(0, u32::MAX), "a header of 4294967295 bytes"),
        (with(4, 0), "a size of 0x4"),
        (with(4, -4_i32 as u32), "a size of -4x4"),
        (with(8, 0), "a size of 4x0"),
        (with(4, 65_536), "A picture of 65536x4"),
        (with(8, i32::MIN as u32), "A picture of 4x2147483648"),
        (with(8, i32::MAX as u32), "A picture of 4x2147483647"),
        (with(8, 15_999_999), "Only 88 bytes are there, of 192000028"),
        (with(12, 1 | 5 << 16), "compression 0 of 5 bits"),
        (with(12, 1), "compression 0 of 0 bits"),
        (with(12, 1 | 65_535 << 16), "compression 0 of 65535 bits"),
        (with(16, 1), "compression 1 of 24 bits"),
        (with(16, 3), "compression 3 of 24 bits"),
        (with(16, u32::MAX), "compression 4294967295 of 24 bits"),
        (header(1, 1, 8, 0, 257), "257 colours for 8 bits"),
        (header(1, 1, 1, 0, u32::MAX), "4294967295 colours for 1 bits"),
        ([&header(1, 1, 32, 3, 0)[..], &[5; 16]].concat(), "a mask of 0x5050505 in 32 bits"),
        ([&header(1, 1, 16, 3, 0)[..], &[0, 0, 1, 0], &[0; 12]].concat(), "a mask of 0x10000 in 16 bits"),
        (header(1, 1, 32, 3, 0), "it ends within its header"),
    ];
    for (dib, expected) in cases {
        for mime in [Mime::Png, Mime::Bmp] {
            let error = to_guest(mime, dib).unwrap_err().to_string();
            assert!(error.contains(expected), "{error:?} has no {expected:?}");
        }
    }
}

#[test]
fn a_palette_that_no_pixel_needs_matters_only_where_it_says_where_the_pixels_are() {
    let picture = Picture::opaque(4, 4);
    let mut dib = picture.dib(24);
    dib[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let error = to_guest(Mime::Png, &dib).unwrap_err().to_string();
    assert_eq!(error, "Only 88 bytes are there, of 17179869268");
    assert_eq!(Picture::of_dib(&to_host(Mime::Bmp, &bmp(&dib, 54)).unwrap()), picture);
}

#[test]
fn a_file_that_is_no_bitmap_is_refused() {
    let dib = Picture::opaque(4, 4).dib(24);
    let cases = [
        (b"B".to_vec(), "it does not begin with BM"),
        (b"BM".to_vec(), "it ends within its header"),
        (bmp(&header(1, 1, 8, 0, 257), 54), "257 colours for 8 bits"),
        (bmp(&header(65_536, 1, 8, 0, 0), 54), "A picture of 65536x1"),
        (bmp(&dib, 53), "pixels at 53, within its header"),
        (bmp(&dib, 0), "pixels at 0, within its header"),
        (bmp(&dib, u32::MAX), "Only 102 bytes are there"),
        (bmp(&dib, 55), "Only 102 bytes are there, of 103"),
    ];
    for (file, expected) in cases {
        let error = to_host(Mime::Bmp, &file).unwrap_err().to_string();
        assert!(error.contains(expected), "{error:?} has no {expected:?}");
    }
}

#[test]
fn a_damaged_png_is_refused() {
    let whole = Png::new(50, 50, 6, 8).bytes();
    for length in (0..whole.len() - 12).step_by(7) {
        let result = to_host(Mime::Png, &whole[..length]);
        assert!(matches!(result, Err(Error::Png(_))), "{length} bytes of it: {result:?}");
    }
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    assert!(matches!(to_host(Mime::Png, &flipped), Err(Error::Png(_))));
}

#[test]
fn bytes_that_are_flipped_never_panic() {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    let palette = [[1, 2, 3, 0]; 16];
    let dib = indexed(31, 9, 4, &palette, &[[0x12; 16].as_slice(); 9]);
    let kinds: [(Start, Mime, Vec<u8>); 5] = [
        (convert::to_guest, Mime::Png, Picture::translucent(12, 9).dib(32)),
        (convert::to_guest, Mime::Png, dib.clone()),
        (convert::to_guest, Mime::Bmp, dib.clone()),
        (convert::to_host, Mime::Bmp, bmp(&dib, 54 + 64)),
        (convert::to_host, Mime::Png, Png { interlaced: true, ..Png::new(21, 17, 3, 4) }.bytes()),
    ];
    for (start, mime, bytes) in kinds {
        for _ in 0..600 {
            let mut bytes = bytes.clone();
            for _ in 0..=random() % 3 {
                let at = random() % bytes.len().min(90);
                bytes[at] = random() as u8;
            }
            let limits = Limits { bytes: 1 << 20, pixels: 100_000 };
            let _ = run(start, mime, &bytes, limits);
        }
    }
}

#[test]
fn no_picture_is_larger_than_is_allowed() {
    let limits = |pixels, bytes| Limits { pixels, bytes };
    let dib = Picture::opaque(100, 100).dib(24);
    let png = to_guest(Mime::Png, &dib).unwrap();
    let file = bmp(&dib, 54);
    let kinds: [(Start, Mime, &[u8]); 4] = [
        (convert::to_guest, Mime::Png, &dib),
        (convert::to_guest, Mime::Bmp, &dib),
        (convert::to_host, Mime::Png, &png),
        (convert::to_host, Mime::Bmp, &file),
    ];
    for (start, mime, bytes) in kinds {
        assert!(run(start, mime, bytes, limits(10_000, 1 << 20)).is_ok());
        let error = run(start, mime, bytes, limits(9_999, 1 << 20)).unwrap_err();
        assert!(matches!(error, Error::TooManyPixels(100, 100, 9_999)), "{error}");
        let error = run(start, mime, bytes, limits(10_000, 1000)).unwrap_err().to_string();
        assert!(error.to_lowercase().contains("it would be larger than 1000 bytes"), "{error}");
    }
    // Nothing is allocated for what a header merely claims.
    let claim = Png::new(1, 1, 6, 16).bytes();
    let mut huge = claim.clone();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    huge.truncate(29);
    chunk_check(&mut huge);
    huge.extend_from_slice(&claim[33..]);
    let error = to_host(Mime::Png, &huge).unwrap_err();
    assert!(matches!(error, Error::TooManyPixels(0x7fff_ffff, 0x7fff_ffff, _)), "{error}");
}

/// Ends the header chunk, which lacks its checksum.
fn chunk_check(png: &mut Vec<u8>) {
    let content = png.split_off(16);
    png.truncate(8);
    chunk(png, b"IHDR", &content);
}

#[test]
fn a_picture_is_converted_in_small_steps() {
    let dib = Picture::opaque(1920, 1080).dib(32);
    let size = dib.len() as u64;
    let (source, target) = (Rc::new(Agent(RefCell::new(dib))), Rc::new(Agent::default()));
    let mut conversion = convert::to_guest(Mime::Png, source, size, target, LIMITS);
    let mut steps = 0;
    while conversion.step().unwrap() == Step::More {
        steps += 1;
    }
    assert!(steps > 60, "{steps} steps");
}

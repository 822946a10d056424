//! Pictures.

use super::BadContent;

/// The length of a `.bmp` file's own header, which the wire leaves out.
const FILE_HEADER: usize = 14;
/// The length of a bitmap's head. There are longer ones, which VirtualBox does not take.
const HEAD: usize = 40;
/// The most bytes of pixels, so that they fit a call.
const MOST_PIXEL_BYTES: u64 = 127 << 20;
/// How the pixels stand there: as they are, or with three masks that say where the colours are.
const PLAIN: u32 = 0;
const MASKS: u32 = 3;

/// A `.bmp` file in its form on the wire.
///
/// # Errors
/// [`BadContent::NotBmp`], and [`BadContent::NotBitmap`] for one with a head of another kind.
pub fn bmp(file: &[u8]) -> Result<Vec<u8>, BadContent> {
    let (header, bitmap) = file.split_at_checked(FILE_HEADER).ok_or(BadContent::NotBmp)?;
    if !header.starts_with(b"BM") {
        return Err(BadContent::NotBmp);
    }
    Head::read(bitmap)?;
    Ok(bitmap.to_vec())
}

/// What stands on the wire, as a `.bmp` file.
///
/// # Errors
/// [`BadContent::NotBitmap`].
pub fn bmp_file(wire: &[u8]) -> Result<Vec<u8>, BadContent> {
    let head = Head::read(wire)?;
    let size = u32::try_from(FILE_HEADER + wire.len()).map_err(|_| BadContent::NotBitmap)?;
    let pixels = u32::try_from(FILE_HEADER + head.pixels).map_err(|_| BadContent::NotBitmap)?;
    let mut file = Vec::with_capacity(FILE_HEADER + wire.len());
    file.extend(b"BM");
    file.extend(size.to_le_bytes());
    file.extend([0; 4]);
    file.extend(pixels.to_le_bytes());
    file.extend(wire);
    Ok(file)
}

/// A `.png` file in its form on the wire: 32 bits a pixel, from the lowest row up, the last byte of each
/// being its opacity.
///
/// # Errors
/// [`BadContent::NotPng`] and [`BadContent::TooLarge`].
pub fn png(file: &[u8]) -> Result<Vec<u8>, BadContent> {
    let unreadable = |error: png::DecodingError| BadContent::NotPng(error.to_string());
    let mut decoder = png::Decoder::new(std::io::Cursor::new(file));
    decoder.set_transformations(png::Transformations::ALPHA | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(unreadable)?;
    let (width, height) = (reader.info().width, reader.info().height);
    let too_large = BadContent::TooLarge { width, height };
    if u64::from(width) * u64::from(height) * 4 > MOST_PIXEL_BYTES {
        return Err(too_large);
    }
    let mut pixels = vec![0; reader.output_buffer_size().ok_or(too_large)?];
    let frame = reader.next_frame(&mut pixels).map_err(unreadable)?;
    let grey = frame.color_type == png::ColorType::GrayscaleAlpha;

    let len = width as usize * height as usize * 4;
    let mut wire = Vec::with_capacity(HEAD + len);
    for word in [HEAD as u32, width, height, 1 | 32 << 16, PLAIN, len as u32, 0, 0, 0, 0] {
        wire.extend(word.to_le_bytes());
    }
    for row in pixels.chunks_exact(frame.line_size.max(1)).take(height as usize).rev() {
        if grey {
            for [grey, alpha] in row.as_chunks::<2>().0 {
                wire.extend([*grey, *grey, *grey, *alpha]);
            }
        } else {
            for [red, green, blue, alpha] in row.as_chunks::<4>().0 {
                wire.extend([*blue, *green, *red, *alpha]);
            }
        }
    }
    Ok(wire)
}

/// What stands on the wire, as a `.png` file.
///
/// # Errors
/// [`BadContent::NotBitmap`], and [`BadContent::UnknownBitmap`] for all but 24 and 32 bits a pixel.
pub fn png_file(wire: &[u8]) -> Result<Vec<u8>, BadContent> {
    let head = Head::read(wire)?;
    let Head { width, height, bits, compression, .. } = head;
    let unknown = BadContent::UnknownBitmap { bits, compression };
    let usual = [0x00FF_0000_u32, 0xFF00, 0xFF].map(u32::to_le_bytes).concat();
    let plain = match (bits, compression) {
        (24 | 32, PLAIN) => true,
        (32, MASKS) => wire.get(HEAD..HEAD + 12) == Some(&usual),
        _ => false,
    };
    if !plain {
        return Err(unknown);
    }
    let bytes = usize::from(bits / 8);
    let row = (width as usize * bytes).next_multiple_of(4);
    let pixels = wire.get(head.pixels..).unwrap_or_default();
    let len = row.checked_mul(height as usize).ok_or(BadContent::NotBitmap)?;
    let pixels = pixels.get(..len).ok_or(BadContent::NotBitmap)?;
    let mut rows: Vec<&[u8]> = pixels.chunks_exact(row).collect();
    if !head.from_above {
        rows.reverse();
    }
    // Who does not use the fourth byte leaves it zero everywhere.
    let opaque = pixels.iter().skip(3).step_by(4).all(|alpha| *alpha == 0);
    let mut colours = Vec::with_capacity(width as usize * height as usize * 4);
    for row in rows {
        for pixel in row.chunks_exact(bytes).take(width as usize) {
            match *pixel {
                [blue, green, red, alpha] if !opaque => colours.extend([red, green, blue, alpha]),
                [blue, green, red, ..] => colours.extend([red, green, blue, 0xFF]),
                _ => {}
            }
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&colours)?;
        writer.finish()
    });
    match written {
        Ok(()) => Ok(file),
        // A picture without pixels is none.
        Err(_) => Err(BadContent::NotBitmap),
    }
}

/// What a bitmap's head says.
struct Head {
    width: u32,
    height: u32,
    from_above: bool,
    bits: u16,
    compression: u32,
    /// Where the pixels begin, in bytes.
    pixels: usize,
}

impl Head {
    fn read(bitmap: &[u8]) -> Result<Self, BadContent> {
        let word =
            |at: usize| bitmap.get(at..).and_then(<[u8]>::first_chunk).map(|word| u32::from_le_bytes(*word));
        let words = [0, 4, 8, 12, 16, 32].map(word);
        let [Some(size), Some(width), Some(height), Some(planes), Some(compression), Some(colours)] = words
        else {
            return Err(BadContent::NotBitmap);
        };
        let (width, height) = (width.cast_signed(), height.cast_signed());
        let bits = (planes >> 16) as u16;
        let palette = match (bits, colours) {
            (1 | 4 | 8, 0) => 1 << bits,
            (_, colours) => colours as usize,
        };
        let masks = if compression == MASKS { 12 } else { 0 };
        let pixels = palette.checked_mul(4).and_then(|len| len.checked_add(HEAD + masks));
        let good = size as usize == HEAD && width > 0 && height != 0;
        match pixels.filter(|pixels| good && *pixels <= bitmap.len()) {
            Some(pixels) => Ok(Self {
                width: width.unsigned_abs(),
                height: height.unsigned_abs(),
                from_above: height < 0,
                bits,
                compression,
                pixels,
            }),
            None => Err(BadContent::NotBitmap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two by two: red, half green; blue, white.
    fn colours() -> Vec<u8> {
        vec![255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 255, 255, 255, 255, 255]
    }

    fn png_of(colour: png::ColorType, width: u32, data: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        let height = 2;
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.write_header().and_then(|mut writer| writer.write_image_data(data)).expect("a file");
        file
    }

    /// A bitmap of 2 by 2 pixels.
    fn bitmap(height: i32, bits: u16, compression: u32, pixels: &[u8]) -> Vec<u8> {
        let planes = 1 | u32::from(bits) << 16;
        let words = [40, 2, height.cast_unsigned(), planes, compression, pixels.len() as u32, 0, 0, 0, 0];
        words.into_iter().flat_map(u32::to_le_bytes).chain(pixels.iter().copied()).collect()
    }

    #[test]
    fn a_png_becomes_a_bitmap_from_below_with_blue_first() {
        let wire = png(&png_of(png::ColorType::Rgba, 2, &colours())).expect("a picture");

        let pixels = [255, 0, 0, 255, 255, 255, 255, 255, 0, 0, 255, 255, 0, 255, 0, 128];
        assert_eq!(wire, bitmap(2, 32, 0, &pixels));
    }

    #[test]
    fn every_kind_of_png_is_read() {
        let opaque = png(&png_of(png::ColorType::Rgb, 2, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
        assert_eq!(opaque.expect("a picture")[40..48], [9, 8, 7, 255, 12, 11, 10, 255]);
        let grey = png(&png_of(png::ColorType::Grayscale, 2, &[1, 2, 3, 4])).expect("a picture");
        assert_eq!(grey[40..48], [3, 3, 3, 255, 4, 4, 4, 255]);
    }

    #[test]
    fn a_png_comes_back_as_it_was() {
        let wire = png(&png_of(png::ColorType::Rgba, 2, &colours())).expect("a picture");

        let file = png_file(&wire).expect("a file");

        assert_eq!(png(&file), Ok(wire));
    }

    #[test]
    fn bitmaps_of_guests_become_png() {
        let rgb = [1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0];
        let below = png_file(&bitmap(2, 24, 0, &rgb)).expect("a file");
        assert_eq!(png(&below).expect("a picture")[40..48], [1, 2, 3, 255, 4, 5, 6, 255]);
        let above = png_file(&bitmap(-2, 24, 0, &rgb)).expect("a file");
        assert_eq!(png(&above).expect("a picture")[40..48], [7, 8, 9, 255, 10, 11, 12, 255]);
        let unused = png_file(&bitmap(2, 32, 0, &[1, 2, 3, 0].repeat(4))).expect("a file");
        assert_eq!(png(&unused).expect("a picture")[40..44], [1, 2, 3, 255]);
        let masks = [[0, 0, 255, 0], [0, 255, 0, 0], [255, 0, 0, 0]].concat();
        assert!(png_file(&bitmap(2, 32, 3, &[masks, [9; 16].to_vec()].concat())).is_ok());
    }

    #[test]
    fn a_bmp_loses_its_file_header_and_gets_it_back() {
        let wire = bitmap(2, 32, 0, &[7; 16]);
        let file = bmp_file(&wire).expect("a file");
        assert_eq!(file[..14], [66, 77, 70, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0]);
        assert_eq!(bmp(&file), Ok(wire));

        // A palette of 256 colours, and masks, stand before the pixels.
        let palette = bmp_file(&bitmap(2, 8, 0, &[0; 1024 + 8])).expect("a file");
        assert_eq!(palette[10..14], (14 + 40 + 1024_u32).to_le_bytes());
        let masks = bmp_file(&bitmap(2, 32, 3, &[0; 12 + 16])).expect("a file");
        assert_eq!(masks[10..14], (14 + 40 + 12_u32).to_le_bytes());
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        assert_eq!(bmp(b"BM"), Err(BadContent::NotBmp));
        assert_eq!(bmp(&[0; 100]), Err(BadContent::NotBmp));
        assert!(matches!(png(b"GIF89a"), Err(BadContent::NotPng(_))));
        let good = bitmap(2, 32, 0, &[7; 16]);
        for (at, bytes) in [(0, [12, 0, 0, 0]), (4, [0; 4]), (8, [0; 4]), (4, [255; 4]), (32, [255; 4])] {
            let mut wire = good.clone();
            wire[at..at + 4].copy_from_slice(&bytes);
            assert_eq!(bmp_file(&wire), Err(BadContent::NotBitmap), "{at}");
        }
        assert_eq!(bmp_file(&good[..39]), Err(BadContent::NotBitmap));
        assert_eq!(png_file(&good[..55]), Err(BadContent::NotBitmap));
        let unknown = BadContent::UnknownBitmap { bits: 8, compression: 0 };
        assert_eq!(png_file(&bitmap(2, 8, 0, &[0; 1024 + 8])), Err(unknown));
        let mut huge = good.clone();
        huge[4..12].copy_from_slice(&[255, 255, 255, 127, 255, 255, 255, 127]);
        assert_eq!(png_file(&huge), Err(BadContent::NotBitmap));
    }
}

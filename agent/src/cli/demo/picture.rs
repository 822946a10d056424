//! Pictures of three bytes a pixel, from and to PNG.

use std::io::Cursor;

use anyhow::{Context, Result};
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Transformations};
use vmmdev::Rectangle;

/// Red, green and blue.
pub(super) type Colour = [u8; 3];

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Row by row, from the top.
    pixels: Vec<Colour>,
}

impl Picture {
    /// A picture of these sizes, painted pixel by pixel.
    pub(super) fn paint(width: u32, height: u32, colour: impl Fn(u32, u32) -> Colour) -> Self {
        let row = |y| (0..width).map(move |x| (x, y));
        let pixels = (0..height).flat_map(row).map(|(x, y)| colour(x, y)).collect();
        Self { width, height, pixels }
    }

    /// Reads a PNG file; how opaque its pixels are does not matter.
    pub(super) fn read(file: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let mut reader = decoder.read_info().context("Cannot read a picture")?;
        let mut bytes =
            vec![0; reader.output_buffer_size().context("Cannot read a picture: it is too large")?];
        let frame = reader.next_frame(&mut bytes).context("Cannot read a picture")?;
        let bytes = bytes.get(..frame.buffer_size()).unwrap_or_default();
        let pixels = bytes.chunks_exact(frame.color_type.samples()).map(|pixel| match *pixel {
            [red, green, blue, ..] => [red, green, blue],
            [grey, ..] => [grey; 3],
            [] => [0; 3],
        });
        Ok(Self { width: frame.width, height: frame.height, pixels: pixels.collect() })
    }

    /// The same as a PNG file.
    pub(super) fn file(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Fast);
        let mut writer = encoder.write_header().context("Cannot make a picture")?;
        writer.write_image_data(self.pixels.as_flattened()).context("Cannot make a picture")?;
        writer.finish().context("Cannot make a picture")?;
        Ok(file)
    }

    /// Puts what another picture of the same size has in a rectangle, as far as both have it, in the
    /// same place.
    pub(super) fn take(&mut self, from: &Self, rectangle: &Rectangle) {
        let within = |edge: i32, most: u32| u32::try_from(edge).unwrap_or(0).min(most) as usize;
        let (width, left) = (self.width as usize, within(rectangle.left, self.width));
        let right = within(rectangle.right, self.width);
        for y in within(rectangle.top, self.height)..within(rectangle.bottom, self.height) {
            let row = y * width + left..y * width + right;
            if let (Some(ours), Some(theirs)) = (self.pixels.get_mut(row.clone()), from.pixels.get(row)) {
                ours.copy_from_slice(theirs);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let picture = Picture::paint(5, 3, |x, y| [x as u8, y as u8, 200]);

        let read = Picture::read(&picture.file().expect("a file")).expect("a picture");

        assert_eq!(read, picture);
        assert!(Picture::read(b"GIF89a").is_err());
    }

    #[test]
    fn a_rectangle_is_taken_as_far_as_it_is_there() {
        let mut picture = Picture::paint(3, 2, |_, _| [0; 3]);
        let other = Picture::paint(3, 2, |_, _| [9; 3]);

        picture.take(&other, &Rectangle { left: 1, top: -5, right: 7, bottom: 1 });
        picture.take(&other, &Rectangle { left: 2, top: 1, right: 1, bottom: 2 });

        let taken = Picture::paint(3, 2, |x, y| if x >= 1 && y == 0 { [9; 3] } else { [0; 3] });
        assert_eq!(picture, taken);
    }
}

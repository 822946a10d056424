//! Writing a bitmap of the kind that every program understands: a header of Windows 3, rows from
//! bottom to top, and pixels of 24 bits, or of 32 where there is transparency.

use std::rc::Rc;

use png::ColorType;

use super::Error;
use super::dib::HEADER;
use crate::bytes::{Bytes, PIECE};

/// What a pixel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Blue, green and red: what is opaque, which nobody can mistake, in three quarters of the size.
    Opaque,
    /// Blue, green, red and alpha.
    Alpha,
}

/// A pixel is not opaque, and has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transparent;

/// A bitmap that is being written.
#[derive(Debug)]
pub struct Writer<B> {
    target: Rc<B>,
    height: u32,
    depth: Depth,
    stride: u32,
    /// Rows that are not written yet, from the last on and at its end.
    band: Vec<u8>,
    /// How many are in it.
    gathered: u32,
    /// How many rows were put.
    done: u32,
}

impl Depth {
    const fn bytes(self) -> u32 {
        match self {
            Depth::Opaque => 3,
            Depth::Alpha => 4,
        }
    }
}

impl<B: Bytes> Writer<B> {
    /// Writes the header. The size must have been checked.
    ///
    /// # Errors
    /// When all of it would not fit within `limit` bytes.
    pub fn new(target: Rc<B>, (width, height): (u32, u32), depth: Depth, limit: u64) -> Result<Self, Error> {
        let stride = width.saturating_mul(depth.bytes()).next_multiple_of(4);
        let size = u64::from(stride) * u64::from(height);
        if size + u64::from(HEADER) > limit {
            return Err(Error::TooLarge(limit));
        }
        let bits = depth.bytes() * 8;
        let words = [HEADER, width, height, 1 | bits << 16, 0, size.try_into().unwrap_or(0), 0, 0, 0, 0];
        target.write_at(0, &words.map(u32::to_le_bytes).concat())?;
        let together = (PIECE / stride).clamp(1, height);
        let band = vec![0; stride as usize * together as usize];
        Ok(Writer { target, height, depth, stride, band, gathered: 0, done: 0 })
    }

    /// What pixels it is given when none is to be lost.
    pub fn colour(&self) -> ColorType {
        match self.depth {
            Depth::Opaque => ColorType::Rgb,
            Depth::Alpha => ColorType::Rgba,
        }
    }

    /// Adds the next row, from the uppermost on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, row: &[u8], colour: ColorType) -> Result<Result<(), Transparent>, Error> {
        let stride = self.stride as usize;
        let before = self.band.len().saturating_sub((self.gathered as usize + 1) * stride);
        let place = self.band.get_mut(before..before + stride).unwrap_or_default();
        if let Err(transparent) = store(row, colour, self.depth, place, 0, 1) {
            return Ok(Err(transparent));
        }
        self.gathered += 1;
        self.done += 1;
        if before < stride {
            self.finish()?;
        }
        Ok(Ok(()))
    }

    /// Writes what was put and is not written yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(&mut self) -> Result<(), Error> {
        let length = self.gathered as usize * self.stride as usize;
        let rows = self.band.get(self.band.len().saturating_sub(length)..).unwrap_or_default();
        if let Some(last) = self.done.checked_sub(1) {
            self.target.write_at(self.place_of(last), rows)?;
        }
        self.gathered = 0;
        Ok(())
    }

    /// Puts some pixels of any row, from the one at `x` on and `step` apart.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn put_some(
        &mut self,
        y: u32,
        (x, step): (u32, u32),
        pixels: &[u8],
        colour: ColorType,
    ) -> Result<Result<(), Transparent>, Error> {
        let place = self.place_of(y);
        let mut row = self.target.read_at(place, self.stride)?;
        row.resize(self.stride as usize, 0);
        if let Err(transparent) = store(pixels, colour, self.depth, &mut row, x as usize, step as usize) {
            return Ok(Err(transparent));
        }
        self.target.write_at(place, &row)?;
        Ok(Ok(()))
    }

    fn place_of(&self, y: u32) -> u64 {
        let below = self.height.saturating_sub(y.saturating_add(1));
        u64::from(HEADER) + u64::from(below) * u64::from(self.stride)
    }
}

/// Stores pixels of one of PNG's kinds, of 8 bits each, into a row.
fn store(
    pixels: &[u8],
    colour: ColorType,
    depth: Depth,
    row: &mut [u8],
    x: usize,
    step: usize,
) -> Result<(), Transparent> {
    let alpha = match (colour, depth) {
        (ColorType::Rgb, Depth::Opaque) => copy(pixels, row, x, step, |[r, g, b]| ([b, g, r], 255)),
        (ColorType::Rgb, Depth::Alpha) => copy(pixels, row, x, step, |[r, g, b]| ([b, g, r, 255], 255)),
        (ColorType::Rgba, Depth::Opaque) => copy(pixels, row, x, step, |[r, g, b, a]| ([b, g, r], a)),
        (ColorType::Rgba, Depth::Alpha) => copy(pixels, row, x, step, |[r, g, b, a]| ([b, g, r, a], 255)),
        (ColorType::GrayscaleAlpha, Depth::Opaque) => copy(pixels, row, x, step, |[v, a]| ([v, v, v], a)),
        (ColorType::GrayscaleAlpha, Depth::Alpha) => copy(pixels, row, x, step, |[v, a]| ([v, v, v, a], 255)),
        // What is indexed becomes red, green and blue before.
        (ColorType::Grayscale | ColorType::Indexed, Depth::Opaque) => {
            copy(pixels, row, x, step, |[v]| ([v, v, v], 255))
        }
        (ColorType::Grayscale | ColorType::Indexed, Depth::Alpha) => {
            copy(pixels, row, x, step, |[v]| ([v, v, v, 255], 255))
        }
    };
    if alpha == 255 { Ok(()) } else { Err(Transparent) }
}

/// Copies pixels and answers with the bits that are in the alpha of each.
fn copy<const FROM: usize, const TO: usize>(
    pixels: &[u8],
    row: &mut [u8],
    x: usize,
    step: usize,
    convert: impl Fn([u8; FROM]) -> ([u8; TO], u8),
) -> u8 {
    let mut alpha = 255;
    let places = row.as_chunks_mut().0.iter_mut().skip(x).step_by(step);
    for (pixel, place) in pixels.as_chunks().0.iter().zip(places) {
        let (converted, its) = convert(*pixel);
        *place = converted;
        alpha &= its;
    }
    alpha
}

//! Pictures: PNG and BMP in the guest, a device-independent bitmap at the host.
//!
//! A picture is converted row by row, so that its size does not matter to the plugin's memory; its
//! width is bounded for that, and its pixels by the configuration. What is opaque goes to the host with
//! 24 bits a pixel, what is not with 32: the fourth byte is alpha then.

use std::cell::OnceCell;
use std::io::Write as _;
use std::rc::Rc;

use png::{ColorType, Transformations};

use crate::bytes::{Bytes, Input, Output, PIECE};
use crate::convert::{Convert, Error, Limits, Step};
use dib::{Alpha, Dib, word, wrong};
use write::{Depth, Transparent, Writer};

mod dib;
#[cfg(test)]
mod tests;
mod write;

/// The width that a picture may have, in pixels: what X11 can measure, and some of whose rows fit into
/// memory.
pub const WIDEST: u32 = 65_535;

/// The header of a `.bmp` file, in bytes.
const FILE_HEADER: u32 = 14;

/// What the PNG decoder may allocate beside its rows, in bytes.
const DECODER: usize = 4 << 20;

/// Checks a size before anything is allocated by it.
fn check_size(width: u32, height: u32, limit: u64) -> Result<(), Error> {
    if width > WIDEST || u64::from(width) * u64::from(height) > limit {
        return Err(Error::TooManyPixels(width, height, limit));
    }
    Ok(())
}

/// From a PNG to the host's bitmap.
///
/// It is written as an opaque one. When a pixel turns out not to be opaque, which most pictures that
/// have one show in their first row, it is begun anew with alpha; nothing then is less long than
/// before, so that nothing of the first attempt is left.
pub struct FromPng<B: Bytes> {
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
    depth: Depth,
    rows: Option<PngRows<B>>,
}

/// A PNG that is being read.
struct PngRows<B: Bytes> {
    reader: png::Reader<Input<Rc<B>>>,
    colour: ColorType,
    row: Vec<u8>,
    writer: Writer<B>,
    /// The rows that are still to come, when they do not come from top to bottom.
    interlaced: Option<Box<dyn Iterator<Item = SomeOfRow>>>,
}

/// Which pixels a row of an interlaced PNG holds.
struct SomeOfRow {
    y: u32,
    x: u32,
    step: u32,
    count: u32,
}

impl<B: Bytes> FromPng<B> {
    /// A conversion of the first `size` bytes.
    pub fn new(source: Rc<B>, size: u64, target: Rc<B>, limits: Limits) -> Self {
        FromPng { source, size, target, limits, depth: Depth::Opaque, rows: None }
    }

    fn start(&self) -> Result<PngRows<B>, Error> {
        let input = Input::new(self.source.clone(), self.size);
        let mut decoder = png::Decoder::new_with_limits(input, png::Limits { bytes: DECODER });
        decoder.set_ignore_text_chunk(true);
        decoder.set_ignore_iccp_chunk(true);
        decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
        let (width, height) = decoder.read_header_info()?.size();
        check_size(width, height, self.limits.pixels)?;

        let reader = decoder.read_info()?;
        let (colour, _) = reader.output_color_type();
        let line = reader.output_line_size(width).ok_or(Error::TooLarge(self.limits.bytes))?;
        let is_interlaced = reader.info().interlaced;
        Ok(PngRows {
            reader,
            colour,
            row: vec![0; line],
            writer: Writer::new(self.target.clone(), (width, height), self.depth, self.limits.bytes)?,
            interlaced: is_interlaced.then(|| Box::new(interlaced(width, height)) as _),
        })
    }
}

impl<B: Bytes> Convert for FromPng<B> {
    fn step(&mut self) -> Result<Step, Error> {
        let mut rows = match self.rows.take() {
            Some(rows) => rows,
            None => self.start()?,
        };
        let mut read = 0;
        while read < PIECE as usize {
            match rows.next()? {
                None => {
                    rows.writer.finish()?;
                    return Ok(Step::Done);
                }
                Some(Ok(())) => read += rows.row.len(),
                Some(Err(Transparent)) => {
                    self.depth = Depth::Alpha;
                    return Ok(Step::More);
                }
            }
        }
        self.rows = Some(rows);
        Ok(Step::More)
    }
}

impl<B: Bytes> PngRows<B> {
    fn next(&mut self) -> Result<Option<Result<(), Transparent>>, Error> {
        if self.reader.read_row(&mut self.row)?.is_none() {
            return Ok(None);
        }
        let put = match &mut self.interlaced {
            None => self.writer.put(&self.row, self.colour)?,
            Some(rows) => {
                let Some(SomeOfRow { y, x, step, count }) = rows.next() else { return Ok(None) };
                let length = count as usize * self.colour.samples();
                let pixels = self.row.get(..length).unwrap_or_default();
                self.writer.put_some(y, (x, step), pixels, self.colour)?
            }
        };
        Ok(Some(put))
    }
}

/// The rows of an interlaced PNG, in their order: seven passes, each of which has some columns of some
/// rows, but those that would have none.
fn interlaced(width: u32, height: u32) -> impl Iterator<Item = SomeOfRow> {
    // First column, distance of columns, first row, distance of rows: the standard's table.
    const PASSES: [(u32, u32, u32, u32); 7] =
        [(0, 8, 0, 8), (4, 8, 0, 8), (0, 4, 4, 8), (2, 4, 0, 4), (0, 2, 2, 4), (1, 2, 0, 2), (0, 1, 1, 2)];
    let passes = PASSES.into_iter().filter(move |(x, ..)| *x < width);
    passes.flat_map(move |(x, step, first, apart)| {
        let count = (width - x).div_ceil(step);
        (first..height).step_by(apart as usize).map(move |y| SomeOfRow { y, x, step, count })
    })
}

/// From a `.bmp` file to the host's bitmap.
pub struct FromBmp<B> {
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
    state: Bmp<B>,
}

/// How far a file has come.
enum Bmp<B> {
    Start,
    /// It needs no change: how much was copied.
    Copy(Dib, u64),
    /// It is looked for alpha, and written anew in the form that every program understands.
    Look(Dib, u32, Alpha),
    Write(Dib, u32, Writer<B>),
}

impl<B: Bytes> FromBmp<B> {
    /// A conversion of the first `size` bytes.
    pub fn new(source: Rc<B>, size: u64, target: Rc<B>, limits: Limits) -> Self {
        FromBmp { source, size, target, limits, state: Bmp::Start }
    }

    fn start(&self) -> Result<Bmp<B>, Error> {
        let header = self.source.read_at(0, FILE_HEADER)?;
        if !header.starts_with(b"BM") {
            return Err(wrong("it does not begin with BM".into()));
        }
        let pixels_at = word(&header, 10)?;
        let limit = self.limits.pixels;
        let dib = Dib::parse(&*self.source, FILE_HEADER, Some(pixels_at), self.size, limit)?;
        if !dib.is_plain {
            return Ok(Bmp::Look(dib, 0, Alpha::default()));
        }
        if dib.end - u64::from(FILE_HEADER) > self.limits.bytes {
            return Err(Error::TooLarge(self.limits.bytes));
        }
        Ok(Bmp::Copy(dib, 0))
    }
}

impl<B: Bytes> Convert for FromBmp<B> {
    fn step(&mut self) -> Result<Step, Error> {
        match &mut self.state {
            Bmp::Start => self.state = self.start()?,
            Bmp::Copy(dib, copied) => {
                let from = FILE_HEADER.into();
                return copy(&*self.source, (from, dib.end), &*self.target, 0, copied);
            }
            Bmp::Look(dib, y, alpha) => match look(dib, y, alpha, &*self.source)? {
                Step::More => {}
                Step::Done => {
                    let depth = if alpha.matters() { Depth::Alpha } else { Depth::Opaque };
                    let size = (dib.width, dib.height);
                    let writer = Writer::new(self.target.clone(), size, depth, self.limits.bytes)?;
                    self.state = Bmp::Write(dib.clone(), 0, writer);
                }
            },
            Bmp::Write(dib, y, writer) => {
                let band = dib.band(*y);
                let colour = writer.colour();
                let mut pixels = Vec::new();
                for row in dib.rows(band, &*self.source)?.iter() {
                    pixels.clear();
                    dib.decode(row, colour == ColorType::Rgba, &mut pixels);
                    // It was looked for before.
                    if let Err(Transparent) = writer.put(&pixels, colour)? {
                        return Err(wrong("it changed while it was read".into()));
                    }
                }
                *y += band.count;
                if *y >= dib.height {
                    writer.finish()?;
                    return Ok(Step::Done);
                }
            }
        }
        Ok(Step::More)
    }
}

/// From the host's bitmap to a `.bmp` file: the same with a header.
pub struct ToBmp<B> {
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
    dib: Option<(Dib, u64)>,
}

impl<B: Bytes> ToBmp<B> {
    /// A conversion of the first `size` bytes.
    pub fn new(source: Rc<B>, size: u64, target: Rc<B>, limits: Limits) -> Self {
        ToBmp { source, size, target, limits, dib: None }
    }

    fn start(&self) -> Result<(Dib, u64), Error> {
        let dib = Dib::parse(&*self.source, 0, None, self.size, self.limits.pixels)?;
        let header = u64::from(FILE_HEADER);
        let size = dib.end + header;
        let too_large = || Error::TooLarge(self.limits.bytes);
        if size > self.limits.bytes {
            return Err(too_large());
        }
        let mut file = b"BM".to_vec();
        for word in [size, 0, header + dib.pixels_at] {
            file.extend_from_slice(&u32::try_from(word).map_err(|_| too_large())?.to_le_bytes());
        }
        self.target.write_at(0, &file)?;
        Ok((dib, 0))
    }
}

impl<B: Bytes> Convert for ToBmp<B> {
    fn step(&mut self) -> Result<Step, Error> {
        let Some((dib, copied)) = &mut self.dib else {
            self.dib = Some(self.start()?);
            return Ok(Step::More);
        };
        copy(&*self.source, (0, dib.end), &*self.target, FILE_HEADER.into(), copied)
    }
}

/// From the host's bitmap to a PNG.
pub struct ToPng<B: Bytes> {
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
    state: Png<B>,
    /// Why the PNG could not be written: the encoder keeps to itself what its last piece met.
    failure: Rc<OnceCell<Error>>,
}

/// How far a PNG has come.
enum Png<B: Bytes> {
    Start,
    Look(Dib, u32, Alpha),
    Write(Dib, u32, ColorType, Box<png::StreamWriter<'static, Output<Rc<B>>>>),
    Done,
}

impl<B: Bytes> ToPng<B> {
    /// A conversion of the first `size` bytes.
    pub fn new(source: Rc<B>, size: u64, target: Rc<B>, limits: Limits) -> Self {
        ToPng { source, size, target, limits, state: Png::Start, failure: Rc::default() }
    }

    fn writer(
        &self,
        dib: &Dib,
        colour: ColorType,
    ) -> Result<png::StreamWriter<'static, Output<Rc<B>>>, Error> {
        let output = Output::new(self.target.clone(), self.limits.bytes, self.failure.clone());
        let mut encoder = png::Encoder::new(output, dib.width, dib.height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        // It goes to the next program and no further: time matters, and not size.
        encoder.set_compression(png::Compression::Fastest);
        Ok(encoder.write_header()?.into_stream_writer_with_size(PIECE as usize)?)
    }
}

impl<B: Bytes> Convert for ToPng<B> {
    fn step(&mut self) -> Result<Step, Error> {
        let result = self.go_on();
        match Rc::get_mut(&mut self.failure).and_then(OnceCell::take) {
            Some(failure) => Err(failure),
            None => result,
        }
    }
}

impl<B: Bytes> ToPng<B> {
    fn go_on(&mut self) -> Result<Step, Error> {
        let state = std::mem::replace(&mut self.state, Png::Done);
        self.state = match state {
            Png::Start => {
                let dib = Dib::parse(&*self.source, 0, None, self.size, self.limits.pixels)?;
                Png::Look(dib, 0, Alpha::default())
            }
            Png::Look(dib, mut y, mut alpha) => match look(&dib, &mut y, &mut alpha, &*self.source)? {
                Step::More => Png::Look(dib, y, alpha),
                Step::Done => {
                    let colour = if alpha.matters() { ColorType::Rgba } else { ColorType::Rgb };
                    let writer = self.writer(&dib, colour)?;
                    Png::Write(dib, 0, colour, Box::new(writer))
                }
            },
            Png::Write(dib, y, colour, mut writer) => {
                let band = dib.band(y);
                let mut pixels = Vec::new();
                for row in dib.rows(band, &*self.source)?.iter() {
                    pixels.clear();
                    dib.decode(row, colour == ColorType::Rgba, &mut pixels);
                    writer.write_all(&pixels)?;
                }
                let y = y + band.count;
                if y >= dib.height {
                    writer.finish()?;
                    return Ok(Step::Done);
                }
                Png::Write(dib, y, colour, writer)
            }
            Png::Done => return Ok(Step::Done),
        };
        Ok(Step::More)
    }
}

/// Looks for alpha in the next rows, until it is known whether it matters.
fn look<B: Bytes>(dib: &Dib, y: &mut u32, alpha: &mut Alpha, source: &B) -> Result<Step, Error> {
    if !dib.may_have_alpha() {
        return Ok(Step::Done);
    }
    let band = dib.band(*y);
    for row in dib.rows(band, source)?.iter() {
        dib.look_for_alpha(row, alpha);
    }
    *y += band.count;
    Ok(if alpha.matters() || *y >= dib.height { Step::Done } else { Step::More })
}

/// Copies the next piece of what lies between two offsets of the source to an offset of the target.
fn copy<B: Bytes>(
    source: &B,
    (from, end): (u64, u64),
    target: &B,
    to: u64,
    copied: &mut u64,
) -> Result<Step, Error> {
    let left = end.saturating_sub(from + *copied);
    let piece = source.read_at(from + *copied, left.min(PIECE.into()) as u32)?;
    if piece.is_empty() && left > 0 {
        return Err(Error::Short(from + *copied, end));
    }
    target.write_at(to + *copied, &piece)?;
    *copied += piece.len() as u64;
    Ok(if piece.len() as u64 == left { Step::Done } else { Step::More })
}

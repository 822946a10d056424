//! Conversions: from what the guest's programs have to what the host's have, and back.
//!
//! A conversion is a value that is asked to go on until it is done, so that nothing has to be
//! converted within one call of the plugin, and of two conversions one need not wait for the other.

use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;

use crate::bytes::{Bytes, PIECE};
use crate::formats::Mime;
use crate::{html, image, text};

/// Why a conversion came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A buffer could not be read or written.
    #[error("{0}")]
    Buffer(#[from] bellhop_plugin::Error),
    /// A buffer is shorter than it was said to be.
    #[error("Only {0} bytes are there, of {1}")]
    Short(u64, u64),
    /// It would be larger than is allowed, in bytes.
    #[error("It would be larger than {0} bytes")]
    TooLarge(u64),
    /// UTF-16 with its bytes in the wrong order.
    #[error("Text of big-endian UTF-16, where little-endian is spoken")]
    BigEndian,
    /// Not a bitmap, or one that is not understood.
    #[error("Bitmap: {0}")]
    Bitmap(String),
    /// Not a PNG, or one that is not understood.
    #[error("PNG: {0}")]
    Png(String),
    /// A picture of more pixels than is allowed.
    #[error("A picture of {0}x{1}, and at most {2} pixels are allowed, and a width of {max}", max = image::WIDEST)]
    TooManyPixels(u32, u32, u64),
}

impl From<png::DecodingError> for Error {
    fn from(error: png::DecodingError) -> Self {
        Error::Png(error.to_string())
    }
}

impl From<png::EncodingError> for Error {
    fn from(error: png::EncodingError) -> Self {
        Error::Png(error.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Png(error.to_string())
    }
}

/// How large things may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What a conversion may write, in bytes.
    pub bytes: u64,
    /// Pixels of a picture.
    pub pixels: u64,
}

/// Whether a conversion is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to convert.
    More,
    /// All is converted.
    Done,
}

/// A conversion that is under way.
pub trait Convert {
    /// Converts a piece: a few milliseconds of work.
    ///
    /// # Errors
    /// Then it is over, and what was written is of no use.
    fn step(&mut self) -> Result<Step, Error>;
}

/// A conversion from a guest's format to the host's: of the first `size` bytes of a buffer, into an
/// empty one.
pub fn to_host<B: Bytes>(
    mime: Mime,
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
) -> Box<dyn Convert> {
    match mime {
        Mime::Plain => Box::new(Stream::new(text::ToHost::default(), source, size, target, limits)),
        Mime::Html => Box::new(Stream::new(html::ToHost::default(), source, size, target, limits)),
        Mime::UriList => Box::new(Stream::new(html::ToHost::utf8(), source, size, target, limits)),
        Mime::Png => Box::new(image::FromPng::new(source, size, target, limits)),
        Mime::Bmp => Box::new(image::FromBmp::new(source, size, target, limits)),
    }
}

/// A conversion from the host's format to a guest's: of the first `size` bytes of a buffer, into an
/// empty one.
pub fn to_guest<B: Bytes>(
    mime: Mime,
    source: Rc<B>,
    size: u64,
    target: Rc<B>,
    limits: Limits,
) -> Box<dyn Convert> {
    match mime {
        Mime::Plain => Box::new(Stream::new(text::ToGuest::default(), source, size, target, limits)),
        Mime::Html | Mime::UriList => Box::new(Stream::new(html::ToGuest, source, size, target, limits)),
        Mime::Png => Box::new(image::ToPng::new(source, size, target, limits)),
        Mime::Bmp => Box::new(image::ToBmp::new(source, size, target, limits)),
    }
}

/// What one text becomes while it goes by.
pub trait Transcode {
    /// Converts from the start of a piece, and appends to `out`, which is empty. Says how much of the
    /// piece it took: all but the beginning of something whose end is still to come, which is what the
    /// next piece starts with. Of the last piece it takes everything. [`ControlFlow::Break`] means that
    /// the text ended within the piece.
    ///
    /// # Errors
    /// When it is not what it should be.
    fn piece(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>)
    -> Result<ControlFlow<(), usize>, Error>;

    /// Appends what stands at the end of every text.
    fn end(&self, _out: &mut Vec<u8>) {}
}

/// The conversion of a text.
struct Stream<T, B> {
    transcode: T,
    source: Rc<B>,
    size: u64,
    taken: u64,
    target: Rc<B>,
    written: u64,
    limit: u64,
    /// Kept, so that each piece finds it grown already.
    out: Vec<u8>,
}

impl<T, B> Stream<T, B> {
    fn new(transcode: T, source: Rc<B>, size: u64, target: Rc<B>, limits: Limits) -> Self {
        let limit = limits.bytes;
        Stream { transcode, source, size, taken: 0, target, written: 0, limit, out: Vec::new() }
    }
}

impl<T: Transcode, B: Bytes> Convert for Stream<T, B> {
    fn step(&mut self) -> Result<Step, Error> {
        let left = self.size.saturating_sub(self.taken);
        let piece = self.source.read_at(self.taken, left.min(PIECE.into()) as u32)?;
        let last = piece.len() as u64 == left;
        if !last && piece.len() < PIECE as usize {
            return Err(Error::Short(self.taken + piece.len() as u64, self.size));
        }

        self.out.clear();
        let done = match self.transcode.piece(&piece, last, &mut self.out)? {
            ControlFlow::Continue(taken) => {
                self.taken += taken as u64;
                last
            }
            ControlFlow::Break(()) => true,
        };
        if done {
            self.transcode.end(&mut self.out);
        }

        let written = self.written + self.out.len() as u64;
        if written > self.limit {
            return Err(Error::TooLarge(self.limit));
        }
        if !self.out.is_empty() {
            self.target.write_at(self.written, &self.out)?;
        }
        self.written = written;
        Ok(if done { Step::Done } else { Step::More })
    }
}

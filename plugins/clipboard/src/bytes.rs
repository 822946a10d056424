//! Bytes that may be larger than the plugin's own memory: they are worked on a piece at a time.

use std::cell::{OnceCell, RefCell};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use bellhop_plugin::{Buffer, Error as SdkError};

use crate::convert::Error;

/// How much is read or written at once, in bytes. What a conversion makes of a piece is at most four
/// times as large, which is what the agent takes in one call: 1 MiB.
pub const PIECE: u32 = 128 << 10;

/// Bytes that can be read and written at any place.
///
/// In the component it is a buffer that the agent keeps; in tests it is memory.
pub trait Bytes: 'static {
    /// How many there are.
    ///
    /// # Errors
    /// Whatever their keeper says.
    fn size(&self) -> Result<u64, SdkError>;

    /// Those from `offset` on, at most `length` of them; fewer at the end.
    ///
    /// # Errors
    /// Whatever their keeper says.
    fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, SdkError>;

    /// Overwrites those from `offset` on; what lies beyond the end so far is filled with zeros.
    ///
    /// # Errors
    /// Whatever their keeper says, as that there is no more room.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SdkError>;
}

impl Bytes for Buffer {
    fn size(&self) -> Result<u64, SdkError> {
        self.size()
    }

    fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, SdkError> {
        self.read_at(offset, length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SdkError> {
        self.write_at(offset, bytes)
    }
}

impl<B: Bytes> Bytes for Rc<B> {
    fn size(&self) -> Result<u64, SdkError> {
        (**self).size()
    }

    fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, SdkError> {
        (**self).read_at(offset, length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SdkError> {
        (**self).write_at(offset, bytes)
    }
}

impl Bytes for RefCell<Vec<u8>> {
    fn size(&self) -> Result<u64, SdkError> {
        Ok(self.borrow().len() as u64)
    }

    fn read_at(&self, offset: u64, length: u32) -> Result<Vec<u8>, SdkError> {
        let bytes = self.borrow();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        Ok(rest.iter().take(length as usize).copied().collect())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), SdkError> {
        let no_room = || SdkError::Invalid(format!("offset {offset} is beyond all memory"));
        let mut kept = self.borrow_mut();
        let start = usize::try_from(offset).map_err(|_| no_room())?;
        let end = start.checked_add(bytes.len()).ok_or_else(no_room)?;
        if kept.len() < end {
            kept.resize(end, 0);
        }
        if let Some(place) = kept.get_mut(start..end) {
            place.copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// The first `size` of some bytes, as a file that is read.
#[derive(Debug)]
pub struct Input<B> {
    bytes: B,
    size: u64,
    /// Where the piece begins.
    offset: u64,
    piece: Vec<u8>,
    /// How much of the piece was read.
    read: usize,
}

impl<B: Bytes> Input<B> {
    /// Starts at the first byte.
    pub fn new(bytes: B, size: u64) -> Self {
        Input { bytes, size, offset: 0, piece: Vec::new(), read: 0 }
    }

    fn position(&self) -> u64 {
        self.offset + self.read as u64
    }
}

impl<B: Bytes> BufRead for Input<B> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read >= self.piece.len() {
            self.offset = self.position();
            self.read = 0;
            let left = self.size.saturating_sub(self.offset).min(PIECE.into()) as u32;
            self.piece = self.bytes.read_at(self.offset, left).map_err(io::Error::other)?;
        }
        Ok(self.piece.get(self.read..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.read = self.read.saturating_add(amount).min(self.piece.len());
    }
}

impl<B: Bytes> Read for Input<B> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<B: Bytes> Seek for Input<B> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position().checked_add_signed(offset),
        };
        self.offset = position.ok_or(io::ErrorKind::InvalidInput)?;
        self.piece.clear();
        self.read = 0;
        Ok(self.offset)
    }
}

/// Bytes as a file that is written, up to a limit. It does not gather what is written: who writes
/// writes large pieces.
#[derive(Debug)]
pub struct Output<B> {
    bytes: B,
    written: u64,
    limit: u64,
    failure: Rc<OnceCell<Error>>,
}

impl<B: Bytes> Output<B> {
    /// Starts at the first byte, and ends at `limit` bytes. Why something could not be written is left
    /// in `failure` as well, for those who write through something that loses an error.
    pub fn new(bytes: B, limit: u64, failure: Rc<OnceCell<Error>>) -> Self {
        Output { bytes, written: 0, limit, failure }
    }

    fn put(&self, piece: &[u8]) -> Result<u64, Error> {
        let end = self.written.saturating_add(piece.len() as u64);
        if end > self.limit {
            return Err(Error::TooLarge(self.limit));
        }
        self.bytes.write_at(self.written, piece)?;
        Ok(end)
    }
}

impl<B: Bytes> Write for Output<B> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        match self.put(piece) {
            Ok(end) => {
                self.written = end;
                Ok(piece.len())
            }
            Err(error) => {
                let text = error.to_string();
                // The first one is the reason.
                let _ = self.failure.set(error);
                Err(io::Error::other(text))
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(count: usize) -> Vec<u8> {
        (0..count).map(|number| (number % 251) as u8).collect()
    }

    #[test]
    fn an_input_is_read_across_its_pieces_and_ends_at_its_size() {
        let bytes = counted(PIECE as usize * 2 + 77);
        let size = bytes.len() - 7;
        let mut input = Input::new(RefCell::new(bytes.clone()), size as u64);

        let mut read = Vec::new();
        input.read_to_end(&mut read).unwrap();

        assert_eq!(read, bytes[..size]);
    }

    #[test]
    fn an_input_is_read_from_where_it_was_sought() {
        let bytes = counted(1000);
        let mut input = Input::new(RefCell::new(bytes.clone()), 1000);
        let mut four = [0; 4];
        for (to, position) in
            [(SeekFrom::Start(500), 500), (SeekFrom::Current(-100), 404), (SeekFrom::End(-4), 996)]
        {
            assert_eq!(input.seek(to).unwrap(), position);
            input.read_exact(&mut four).unwrap();
            assert_eq!(four, bytes[position as usize..][..4]);
        }
        assert!(input.seek(SeekFrom::Current(-1001)).is_err());
        input.seek(SeekFrom::Start(u64::MAX)).unwrap();
        assert_eq!(input.read(&mut four).unwrap(), 0);
    }

    #[test]
    fn an_output_ends_at_its_limit_and_keeps_what_it_has() {
        let (kept, failure) = (Rc::new(RefCell::new(Vec::new())), Rc::new(OnceCell::new()));
        let mut output = Output::new(kept.clone(), 10, failure.clone());
        output.write_all(b"12345").unwrap();
        output.write_all(b"67890").unwrap();
        assert!(output.write_all(b"x").is_err());
        assert!(matches!(failure.get(), Some(Error::TooLarge(10))));
        assert_eq!(*kept.borrow(), b"1234567890");
    }

    #[test]
    fn memory_grows_with_zeros() {
        let kept = RefCell::new(vec![1, 2, 3]);
        kept.write_at(5, &[6]).unwrap();
        assert_eq!(*kept.borrow(), [1, 2, 3, 0, 0, 6]);
        assert_eq!(kept.read_at(4, 9).unwrap(), [0, 6]);
        assert!(kept.read_at(9, 9).unwrap().is_empty());
        assert!(kept.write_at(u64::MAX, &[1]).is_err());
    }
}

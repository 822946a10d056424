//! `buffers`: bytes that the agent keeps for a plugin.

use std::collections::BTreeMap;

use super::Host;
use super::bindings::bellhop::guest::buffers;
use super::bindings::bellhop::guest::types::Error;
use crate::mailbox::Token;

/// The most bytes that one call brings.
pub(crate) const LARGEST_READ: u32 = 1 << 20;

/// The buffers of one plugin. What is lent to somebody else, an HGCM call or the clipboard, counts until
/// it is back.
pub struct Buffers {
    held: BTreeMap<u64, Vec<u8>>,
    /// Bytes in all buffers, and those lent.
    used: u64,
    most: u64,
}

impl Buffers {
    /// No buffers, which may become `most` bytes together.
    pub(super) fn new(most: u64) -> Self {
        Self { held: BTreeMap::new(), used: 0, most }
    }

    /// Keeps bytes that were reserved or lent before under a number.
    pub(super) fn keep(&mut self, number: u64, bytes: Vec<u8>) {
        self.held.insert(number, bytes);
    }

    /// Keeps bytes from outside.
    pub(super) fn admit(&mut self, number: u64, bytes: Vec<u8>) -> Result<(), Error> {
        self.reserve(bytes.len() as u64)?;
        self.keep(number, bytes);
        Ok(())
    }

    /// Takes a buffer's bytes, which still count.
    pub(super) fn lend(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        self.held.get_mut(&number).map(std::mem::take).ok_or_else(|| unknown(number))
    }

    /// Takes a buffer and its bytes, which do not count any more.
    pub(super) fn give_away(&mut self, number: u64) -> Result<Vec<u8>, Error> {
        let bytes = self.held.remove(&number).ok_or_else(|| unknown(number))?;
        self.release(bytes.len() as u64);
        Ok(bytes)
    }

    /// Whether there is such a buffer.
    pub(super) fn has(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.held.len()
    }

    /// The bytes in all of them, and those lent.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// Counts bytes that are to come.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<(), Error> {
        let used = self.used.saturating_add(bytes);
        if used > self.most {
            return Err(Error::Invalid(format!(
                "{bytes} bytes more are beyond the limit `buffers`, which is {} and of which {} are in use",
                self.most, self.used
            )));
        }
        self.used = used;
        Ok(())
    }

    /// Does not count bytes any more.
    pub(super) fn release(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    fn get(&self, number: u64) -> Result<&Vec<u8>, Error> {
        self.held.get(&number).ok_or_else(|| unknown(number))
    }
}

fn unknown(number: u64) -> Error {
    Error::Invalid(format!("there is no buffer {number}"))
}

impl buffers::Host for Host {
    fn create(&mut self) -> Result<Token, Error> {
        self.permit_handle()?;
        let number = self.token();
        self.buffers.keep(number, Vec::new());
        Ok(number)
    }

    fn size(&mut self, buffer: u64) -> Result<u64, Error> {
        Ok(self.buffers.get(buffer)?.len() as u64)
    }

    fn read(&mut self, buffer: u64, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let bytes = self.buffers.get(buffer)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let rest = bytes.get(start..).unwrap_or_default();
        Ok(rest[..rest.len().min(length.min(LARGEST_READ) as usize)].to_vec())
    }

    fn write(&mut self, buffer: u64, offset: u64, bytes: Vec<u8>) -> Result<(), Error> {
        let size = self.buffers.get(buffer)?.len() as u64;
        let end = offset.saturating_add(bytes.len() as u64);
        self.buffers.reserve(end.saturating_sub(size))?;
        let Some(held) = self.buffers.held.get_mut(&buffer) else { return Err(unknown(buffer)) };
        // Within the limit `buffers`, so it fits.
        let (start, end) = (offset as usize, end as usize);
        if held.len() < start {
            held.resize(start, 0);
        }
        let overlap = bytes.len().min(held.len() - start);
        held[start..start + overlap].copy_from_slice(&bytes[..overlap]);
        held.extend_from_slice(&bytes[overlap..]);
        debug_assert!(held.len() >= end);
        Ok(())
    }

    fn drop(&mut self, buffer: u64) {
        // One that is unknown is nobody's loss.
        let _ = self.buffers.give_away(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_counts_until_it_is_given_back() {
        let mut buffers = Buffers::new(10);
        buffers.admit(1, vec![0; 6]).expect("room");

        let lent = buffers.lend(1).expect("there");

        assert!(buffers.admit(2, vec![0; 5]).is_err());
        buffers.keep(1, lent);
        buffers.give_away(1).expect("there");
        assert!(buffers.admit(2, vec![0; 10]).is_ok());
    }

    #[test]
    fn a_buffer_beyond_the_limit_is_not_kept() {
        let mut buffers = Buffers::new(10);

        let refused = buffers.admit(1, vec![0; 11]);

        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        assert!(!buffers.has(1));
    }
}

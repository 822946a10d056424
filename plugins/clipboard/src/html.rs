//! HTML, and lists of URIs: UTF-8 on both sides, with one NUL at its end at the host.
//!
//! Some programs give HTML as UTF-16, though nobody asked them to. Since HTML begins with ASCII and
//! has no NUL, that is told by its first two bytes.

use std::ops::ControlFlow;

use crate::convert::{Error, Transcode};
use crate::text;

/// From the guest's to the host's.
#[derive(Debug, Default)]
pub struct ToHost {
    /// Unknown before the first piece.
    encoding: Option<Encoding>,
}

/// From the host's to the guest's: all that stands before the first NUL.
#[derive(Debug)]
pub struct ToGuest;

#[derive(Debug)]
enum Encoding {
    Utf8,
    Utf16(text::ToGuest),
}

impl ToHost {
    /// For what is UTF-8 for certain.
    pub fn utf8() -> Self {
        ToHost { encoding: Some(Encoding::Utf8) }
    }
}

impl Encoding {
    fn of(start: &[u8]) -> Self {
        match start {
            [0xff, 0xfe, ..] | [1..=255, 0, ..] => Encoding::Utf16(text::ToGuest::exactly(false)),
            [0xfe, 0xff, ..] | [0, 1..=255, ..] => Encoding::Utf16(text::ToGuest::exactly(true)),
            _ => Encoding::Utf8,
        }
    }
}

impl Transcode for ToHost {
    fn piece(
        &mut self,
        piece: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<ControlFlow<(), usize>, Error> {
        match self.encoding.get_or_insert_with(|| Encoding::of(piece)) {
            Encoding::Utf8 => Ok(until_nul(piece, out)),
            Encoding::Utf16(transcode) => transcode.piece(piece, last, out),
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.push(0);
    }
}

impl Transcode for ToGuest {
    fn piece(
        &mut self,
        piece: &[u8],
        _last: bool,
        out: &mut Vec<u8>,
    ) -> Result<ControlFlow<(), usize>, Error> {
        Ok(until_nul(piece, out))
    }
}

fn until_nul(piece: &[u8], out: &mut Vec<u8>) -> ControlFlow<(), usize> {
    match piece.iter().position(|byte| *byte == 0) {
        Some(end) => {
            out.extend_from_slice(piece.get(..end).unwrap_or_default());
            ControlFlow::Break(())
        }
        None => {
            out.extend_from_slice(piece);
            ControlFlow::Continue(piece.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(transcode: &mut dyn Transcode, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let _ = transcode.piece(bytes, true, &mut out).unwrap();
        transcode.end(&mut out);
        out
    }

    fn to_host(bytes: &[u8]) -> Vec<u8> {
        converted(&mut ToHost::default(), bytes)
    }

    #[test]
    fn html_has_one_nul_at_its_end_at_the_host() {
        assert_eq!(to_host(b"<b>x</b>"), b"<b>x</b>\0");
        assert_eq!(to_host(b"<b>x</b>\0\0"), b"<b>x</b>\0");
        assert_eq!(to_host(b""), b"\0");
        assert_eq!(converted(&mut ToGuest, b"<b>x</b>\0"), b"<b>x</b>");
        assert_eq!(converted(&mut ToGuest, b"<b>x</b>"), b"<b>x</b>");
    }

    #[test]
    fn lines_stay_as_they_are() {
        let html = "<p>\u{e9}\n\r\n</p>\r".as_bytes();
        let host = to_host(html);
        assert_eq!(converted(&mut ToGuest, &host), html);
        let uris = b"file:///a\r\nfile:///b\r\n";
        assert_eq!(converted(&mut ToHost::utf8(), uris), b"file:///a\r\nfile:///b\r\n\0");
    }

    #[test]
    fn utf_16_of_either_order_and_with_or_without_a_mark_is_told_and_converted() {
        let html = "<p>\u{43f}\u{1f600}\r\n</p>";
        let units = || html.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        let expected = format!("{html}\0");
        for bytes in [&little, &big, &[b"\xff\xfe", &little[..]].concat(), &[b"\xfe\xff", &big[..]].concat()]
        {
            assert_eq!(to_host(bytes), expected.as_bytes(), "{bytes:?}");
        }
    }
}

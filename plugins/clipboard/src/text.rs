//! Text: UTF-8 with line feeds in the guest, UTF-16LE with CR LF and a final NUL at the host.
//!
//! The rules, which are the protocol's:
//! - to the host, a CR is put before each LF that has none; to the guest, CR LF becomes LF;
//! - a CR that stands alone stays, both ways;
//! - a text ends at its first NUL;
//! - a byte order mark at its beginning is skipped;
//! - what is no Unicode becomes U+FFFD: a lone surrogate, a half byte at the end, bytes that are not
//!   UTF-8 (as many replacement characters as the standard library's lossy conversion makes).
//!
//! So every text of Unicode characters comes back byte for byte, but for CR LF in the guest's, which
//! comes back as LF; for a NUL and what follows it; and for a U+FEFF at its beginning.

use std::ops::ControlFlow;
use std::str;

use crate::convert::{Error, Transcode};

const BYTE_ORDER_MARK: char = '\u{feff}';
const LF: u16 = b'\n' as u16;
const CR: u16 = b'\r' as u16;

/// One in each byte, and in each unit of UTF-16.
const BYTES: u64 = 0x0101_0101_0101_0101;
const UNITS: u64 = 0x0001_0001_0001_0001;

/// The first character that stands for nothing but itself and is not far from NUL, LF and CR. Tabs
/// are among those that are looked at one by one, which they can afford.
const PLAIN: u64 = 0x0e;

/// From the guest's text to the host's.
#[derive(Debug, Default)]
pub struct ToHost {
    started: bool,
    after_cr: bool,
}

/// From the host's text to the guest's.
#[derive(Debug)]
pub struct ToGuest {
    started: bool,
    /// Whether CR LF becomes LF.
    lines: bool,
    /// Whether the bytes of each unit come in the other order.
    swapped: bool,
}

impl Default for ToGuest {
    fn default() -> Self {
        ToGuest { started: false, lines: true, swapped: false }
    }
}

impl ToGuest {
    /// From UTF-16 of either byte order to UTF-8, and no other change.
    pub fn exactly(swapped: bool) -> Self {
        ToGuest { started: false, lines: false, swapped }
    }
}

impl Transcode for ToHost {
    fn piece(
        &mut self,
        piece: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<ControlFlow<(), usize>, Error> {
        // What one more character may need is there before it is written, most of the time.
        out.reserve(piece.len() * 2 + 16);
        let mut rest = piece;
        loop {
            let (valid, invalid) = match str::from_utf8(rest) {
                Ok(valid) => (valid, None),
                Err(error) => {
                    let valid = rest.get(..error.valid_up_to()).unwrap_or_default();
                    (str::from_utf8(valid).unwrap_or_default(), Some(error.error_len()))
                }
            };
            if self.characters(valid, out).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            let after = rest.get(valid.len()..).unwrap_or_default();
            let skipped = match invalid {
                None => return Ok(ControlFlow::Continue(piece.len())),
                // The next piece may hold the rest of this character.
                Some(None) if !last => return Ok(ControlFlow::Continue(piece.len() - after.len())),
                Some(length) => length.unwrap_or(after.len()),
            };
            let _ = self.characters("\u{fffd}", out);
            rest = after.get(skipped..).unwrap_or_default();
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }
}

impl ToHost {
    fn characters(&mut self, mut text: &str, out: &mut Vec<u8>) -> ControlFlow<()> {
        if !self.started && !text.is_empty() {
            self.started = true;
            text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        }
        while let Some(first) = text.as_bytes().first() {
            let plain = plain_bytes(text.as_bytes(), out);
            if plain > 0 {
                self.after_cr = false;
                text = text.get(plain..).unwrap_or_default();
                continue;
            }
            if first.is_ascii() {
                match *first {
                    0 => return ControlFlow::Break(()),
                    b'\n' if !self.after_cr => out.extend_from_slice(&[b'\r', 0, b'\n', 0]),
                    other => out.extend_from_slice(&[other, 0]),
                }
                self.after_cr = *first == b'\r';
                text = text.get(1..).unwrap_or_default();
                continue;
            }
            self.after_cr = false;
            let mut length = 0;
            for character in text.chars().take_while(|character| !character.is_ascii()) {
                length += character.len_utf8();
                match u16::try_from(u32::from(character)) {
                    Ok(unit) => out.extend_from_slice(&unit.to_le_bytes()),
                    Err(_) => {
                        for unit in character.encode_utf16(&mut [0; 2]) {
                            out.extend_from_slice(&unit.to_le_bytes());
                        }
                    }
                }
            }
            text = text.get(length..).unwrap_or_default();
        }
        ControlFlow::Continue(())
    }
}

/// Converts the plain ASCII at the beginning of a text, eight bytes at a time. Says how many there
/// were; with fewer than eight bytes left, that may be none of them.
fn plain_bytes(text: &[u8], out: &mut Vec<u8>) -> usize {
    let mut plain = 0;
    while let Some(eight) = text.get(plain..).and_then(|rest| rest.first_chunk()) {
        let eight = u64::from_le_bytes(*eight);
        for four in [eight & 0xffff_ffff, eight >> 32] {
            let two = (four | four << 16) & 0x0000_ffff_0000_ffff;
            let one = (two | two << 8) & (0xff * UNITS);
            out.extend_from_slice(&one.to_le_bytes());
        }
        // The lowest bit that is set here is at the first byte that is not plain; those above may be
        // wrong.
        let not = (eight.wrapping_sub(PLAIN * BYTES) | eight) & (0x80 * BYTES);
        if not != 0 {
            let found = not.trailing_zeros() as usize / 8;
            out.truncate(out.len() - (8 - found) * 2);
            return plain + found;
        }
        plain += 8;
    }
    plain
}

impl Transcode for ToGuest {
    fn piece(
        &mut self,
        piece: &[u8],
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<ControlFlow<(), usize>, Error> {
        out.reserve(piece.len() * 3 / 2 + 16);
        let mut at = 0;
        if !self.started && (piece.len() >= 2 || last) {
            self.started = true;
            match self.unit(piece, 0) {
                Some(0xfeff) => at = 2,
                Some(0xfffe) => return Err(Error::BigEndian),
                _ => {}
            }
        }
        loop {
            let rest = piece.get(at..).unwrap_or_default();
            at += self.plain_units(rest, out);
            let rest = piece.get(at..).unwrap_or_default();
            at += self.wide_units(rest, out);
            let Some(unit) = self.unit(piece, at) else { break };
            let next = self.unit(piece, at + 2);
            let (character, units) = match (unit, next) {
                (0, _) => return Ok(ControlFlow::Break(())),
                // What they become depends on what follows.
                (CR | 0xd800..0xdc00, None) if !last => return Ok(ControlFlow::Continue(at)),
                (CR, Some(LF)) if self.lines => ('\n', 2),
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    let code = 0x1_0000 + (u32::from(unit - 0xd800) << 10) + u32::from(low - 0xdc00);
                    (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 2)
                }
                _ => (char::from_u32(unit.into()).unwrap_or(char::REPLACEMENT_CHARACTER), 1),
            };
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            at += units * 2;
        }
        if last && at < piece.len() {
            out.extend_from_slice("\u{fffd}".as_bytes());
            at = piece.len();
        }
        Ok(ControlFlow::Continue(at))
    }
}

impl ToGuest {
    fn unit(&self, piece: &[u8], at: usize) -> Option<u16> {
        let unit = u16::from_le_bytes(*piece.get(at..)?.first_chunk()?);
        Some(if self.swapped { unit.swap_bytes() } else { unit })
    }

    /// Converts the plain ASCII at the beginning of a text, four units at a time. Says how many bytes
    /// it took; with fewer than eight left, that may be none of them.
    fn plain_units(&self, text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut plain = 0;
        while let Some(four) = text.get(plain..).and_then(|rest| rest.first_chunk()) {
            let mut four = u64::from_le_bytes(*four);
            if self.swapped {
                four = (four >> 8 & (0xff * UNITS)) | (four & (0xff * UNITS)) << 8;
            }
            let two = (four | four >> 8) & 0x0000_ffff_0000_ffff;
            let packed = (two | two >> 16) as u32;
            out.extend_from_slice(&packed.to_le_bytes());
            // As for bytes, but that only the highest bit of a unit tells.
            let wide = four & (0xff80 * UNITS);
            let not = four.wrapping_sub(PLAIN * UNITS) & (0x8000 * UNITS);
            if wide | not != 0 {
                let found = (wide | not).trailing_zeros() as usize / 16;
                out.truncate(out.len() - (4 - found));
                return plain + found * 2;
            }
            plain += 8;
        }
        plain
    }

    /// Converts the characters beyond ASCII at the beginning of a text, up to one that needs two
    /// units. Says how many bytes it took.
    fn wide_units(&self, text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut wide = 0;
        for unit in text.as_chunks().0 {
            let unit = u16::from_le_bytes(*unit);
            let unit = if self.swapped { unit.swap_bytes() } else { unit };
            let last = unit as u8 & 0x3f | 0x80;
            match unit {
                0x80..0x800 => out.extend_from_slice(&[(unit >> 6) as u8 | 0xc0, last]),
                0x800..0xd800 | 0xe000.. => {
                    let middle = (unit >> 6) as u8 & 0x3f | 0x80;
                    out.extend_from_slice(&[(unit >> 12) as u8 | 0xe0, middle, last]);
                }
                _ => break,
            }
            wide += 2;
        }
        wide
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Converts a text in pieces of a size, as it comes out of a buffer.
    pub(crate) fn in_pieces(
        transcode: &mut dyn Transcode,
        text: &[u8],
        size: usize,
    ) -> Result<Vec<u8>, Error> {
        let (mut all, mut at) = (Vec::new(), 0);
        loop {
            let end = text.len().min(at + size);
            let mut out = Vec::new();
            let flow = transcode.piece(&text[at..end], end == text.len(), &mut out)?;
            all.extend(out);
            match flow {
                ControlFlow::Continue(taken) if end < text.len() => at += taken,
                ControlFlow::Continue(taken) => {
                    assert_eq!(taken, end - at, "of the last piece everything is taken");
                    break;
                }
                ControlFlow::Break(()) => break,
            }
        }
        transcode.end(&mut all);
        Ok(all)
    }

    /// The same for pieces of all sizes.
    fn converted<T: Transcode>(start: impl Fn() -> T, text: &[u8]) -> Vec<u8> {
        let whole = in_pieces(&mut start(), text, usize::MAX / 2).unwrap();
        for size in 4..=text.len().min(40) {
            let pieces = in_pieces(&mut start(), text, size).unwrap();
            assert_eq!(pieces, whole, "{text:?} in pieces of {size}");
        }
        whole
    }

    fn to_host(text: &[u8]) -> Vec<u8> {
        converted(ToHost::default, text)
    }

    fn to_guest(text: &[u8]) -> Vec<u8> {
        converted(ToGuest::default, text)
    }

    /// UTF-16 as it is, with the final NUL.
    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn text_to_the_host_is_as_the_protocol_shows_it() {
        assert_eq!(to_host(b"second\n").len(), 18);
        assert_eq!(to_host("a\r\nb\u{e9}".as_bytes()), b"a\0\r\0\n\0b\0\xe9\0\0\0");
        assert_eq!(to_host(b""), b"\0\0");
    }

    #[test]
    fn a_carriage_return_is_put_before_each_line_feed_that_has_none() {
        let cases = [
            ("\n", "\r\n"),
            ("\n\n", "\r\n\r\n"),
            ("\r\n", "\r\n"),
            ("\r", "\r"),
            ("\r\r\n", "\r\r\n"),
            ("\n\r", "\r\n\r"),
            ("a\rb\nc", "a\rb\r\nc"),
            ("\r\u{e9}\n", "\r\u{e9}\r\n"),
            (
                "one line\ntwo lines\nthree lines, of which the last\n",
                "one line\r\ntwo lines\r\nthree lines, of which the last\r\n",
            ),
        ];
        for (guest, host) in cases {
            assert_eq!(to_host(guest.as_bytes()), utf16(host), "{guest:?}");
        }
    }

    #[test]
    fn carriage_return_and_line_feed_become_a_line_feed_and_others_stay() {
        let cases = [
            ("\r\n", "\n"),
            ("\r\n\r\n", "\n\n"),
            ("\n", "\n"),
            ("\r", "\r"),
            ("\r\r\n", "\r\n"),
            ("\n\r", "\n\r"),
            ("a\rb\r\nc", "a\rb\nc"),
            ("\r\u{1f600}\r\n", "\r\u{1f600}\n"),
        ];
        for (host, guest) in cases {
            assert_eq!(to_guest(&utf16(host)), guest.as_bytes(), "{host:?}");
        }
    }

    #[test]
    fn text_of_every_character_comes_back_byte_for_byte() {
        let marks = ['\0', '\r', BYTE_ORDER_MARK];
        let every: String = ('\0'..=char::MAX).filter(|character| !marks.contains(character)).collect();
        let host = in_pieces(&mut ToHost::default(), every.as_bytes(), 100_003).unwrap();
        let guest = in_pieces(&mut ToGuest::default(), &host, 77_777).unwrap();
        assert!(guest == every.as_bytes());
    }

    #[test]
    fn text_of_mixed_scripts_comes_back_whatever_the_pieces() {
        let texts = [
            "ASCII only, and long enough for eights",
            "\ttabs\tand\nlines\n",
            "\u{43f}\u{440}\u{438}\u{432}\u{435}\u{442}, \u{43c}\u{438}\u{440}\n",
            "\u{4f60}\u{597d}\u{ff0c}\u{4e16}\u{754c}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} a \u{10ffff}\u{fffd}",
            "12345678\u{e9}1234567\u{e9}123456\u{e9}12345\n1234\u{e9}123\u{e9}12\u{e9}1",
        ];
        for text in texts {
            let host = to_host(text.as_bytes());
            assert_eq!(host, utf16(&text.replace('\n', "\r\n")), "{text:?}");
            assert_eq!(to_guest(&host), text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn every_byte_and_every_unit_stands_for_itself_wherever_it_stands() {
        for special in 1_u8..128 {
            for before in 0..17 {
                let mut text = "abcdefghijklmnopqrstuvwxyz".to_owned();
                text.insert(before, char::from(special));
                let expected = text.replace('\n', "\r\n");
                let host = in_pieces(&mut ToHost::default(), text.as_bytes(), 100).unwrap();
                assert_eq!(host, utf16(&expected), "{special} after {before}");
                let guest = in_pieces(&mut ToGuest::default(), &utf16(&text), 100).unwrap();
                assert_eq!(guest, text.as_bytes(), "{special} after {before}");
            }
        }
    }

    #[test]
    fn a_text_ends_at_its_first_nul() {
        assert_eq!(to_host(b"\0"), utf16(""));
        assert_eq!(to_host(b"twelve bytes\0more"), utf16("twelve bytes"));
        assert_eq!(to_guest(b"a\0b\0\0\0c\0"), b"ab");
        assert_eq!(to_guest(b"\0\0"), b"");
        assert_eq!(to_guest(b""), b"");
        assert_eq!(to_guest(b"a\0b\0"), b"ab", "or where there is no more of it");
    }

    #[test]
    fn a_byte_order_mark_is_skipped_at_the_beginning_alone() {
        assert_eq!(to_host("\u{feff}a\u{feff}".as_bytes()), utf16("a\u{feff}"));
        assert_eq!(to_host("\u{feff}".as_bytes()), utf16(""));
        assert_eq!(to_guest(&utf16("\u{feff}a\u{feff}")), "a\u{feff}".as_bytes());
        assert_eq!(to_guest(&utf16("\u{feff}\u{feff}")), "\u{feff}".as_bytes());
    }

    #[test]
    fn big_endian_text_is_refused() {
        let result = in_pieces(&mut ToGuest::default(), b"\xfe\xff\0a", 100);
        assert!(matches!(result, Err(Error::BigEndian)));
    }

    #[test]
    fn what_is_no_utf_8_is_replaced_as_the_standard_library_does() {
        let cases: [&[u8]; 9] = [
            b"\xff",
            b"a\x80b",
            b"\xc3",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
            b"\xed\xa0\x80 a surrogate",
            b"\xc0\xaf\xf8\x88\x80\x80\x80",
            b"12345678\xe2\x8212345678\xf0\x9f\n",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ];
        for bytes in cases {
            let expected = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
            assert_eq!(to_host(bytes), utf16(&expected), "{bytes:?}");
        }
    }

    #[test]
    fn lone_surrogates_and_half_units_are_replaced() {
        let bytes = |units: &[u16]| units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>();
        let cases: [(&[u16], &str); 6] = [
            (&[0xd800], "\u{fffd}"),
            (&[0xdc00, 0x61], "\u{fffd}a"),
            (&[0xd800, 0x61], "\u{fffd}a"),
            (&[0xd83d, 0xd83d, 0xde00], "\u{fffd}\u{1f600}"),
            (&[0xd800, 0x0d, 0x0a], "\u{fffd}\n"),
            (&[0x61, 0x62, 0xdfff, 0xd800], "ab\u{fffd}\u{fffd}"),
        ];
        for (units, expected) in cases {
            assert_eq!(to_guest(&bytes(units)), expected.as_bytes(), "{units:?}");
        }
        assert_eq!(to_guest(b"a\0b"), "a\u{fffd}".as_bytes());
        assert_eq!(to_guest(b"a"), "\u{fffd}".as_bytes());
    }

    #[test]
    fn random_bytes_are_converted_as_the_standard_library_does() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for round in 0..2000 {
            // Of few different bytes, so that sequences come about.
            let few = b"a\n\r\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xd8 \t";
            let length = random() % 60;
            let bytes: Vec<u8> = (0..length).map(|_| few[random() as usize % few.len()]).collect();

            let text = String::from_utf8_lossy(&bytes);
            let mut lines = text.replace("\r\n", "\n").replace('\n', "\r\n");
            lines = lines.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&lines).to_owned();
            assert_eq!(to_host(&bytes), utf16(&lines), "round {round}: {bytes:?}");

            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
            let lossy = String::from_utf16_lossy(&units).replace("\r\n", "\n");
            let whole = &bytes[..units.len() * 2];
            assert_eq!(to_guest(whole), lossy.as_bytes(), "round {round}: {units:?}");
        }
    }
}

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

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
const REPLACEMENT: u16 = 0xfffd;
const LF: u16 = b'\n' as u16;
const CR: u16 = b'\r' as u16;

/// One in each byte, and in each unit of UTF-16.
const BYTES: u64 = 0x0101_0101_0101_0101;
const UNITS: u64 = 0x0001_0001_0001_0001;

/// The first character that stands for nothing but itself and is not far from NUL, LF and CR. Tabs
/// are among those that are looked at one by one, which they can afford.
const LOWEST_PLAIN: u16 = 0x0e;
const PLAIN: u64 = LOWEST_PLAIN as u64;

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
        if !self.started && !piece.is_empty() {
            self.started = true;
            rest = piece.strip_prefix(BYTE_ORDER_MARK).unwrap_or(piece);
        }
        loop {
            rest = self.eights(rest, out);
            let (unit, length) = match *rest {
                [] => break,
                [0, ..] => return Ok(ControlFlow::Break(())),
                [b'\n', ..] if !self.after_cr => {
                    out.extend_from_slice(&CR.to_le_bytes());
                    (LF, 1)
                }
                [one @ ..0x80, ..] => (one.into(), 1),
                [one @ 0xc2..0xe0, two @ 0x80..0xc0, ..] => (bits(one, 0x1f) << 6 | bits(two, 0x3f), 2),
                [0xe0, two @ 0xa0..0xc0, three @ 0x80..0xc0, ..] => {
                    (bits(two, 0x3f) << 6 | bits(three, 0x3f), 3)
                }
                [one @ (0xe1..=0xec | 0xee..=0xef), two @ 0x80..0xc0, three @ 0x80..0xc0, ..] => {
                    (bits(one, 0xf) << 12 | bits(two, 0x3f) << 6 | bits(three, 0x3f), 3)
                }
                _ => match first_character(rest) {
                    // The next piece may hold the rest of this character.
                    None if !last => break,
                    None => (REPLACEMENT, rest.len()),
                    Some((character, length)) => {
                        let mut units = [0; 2];
                        let units = character.encode_utf16(&mut units);
                        if let [high, _] = units {
                            out.extend_from_slice(&high.to_le_bytes());
                        }
                        (units.last().copied().unwrap_or(REPLACEMENT), length)
                    }
                },
            };
            self.after_cr = unit == CR;
            out.extend_from_slice(&unit.to_le_bytes());
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(ControlFlow::Continue(piece.len() - rest.len()))
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[0, 0]);
    }
}

impl ToHost {
    /// Converts what begins with plain ASCII or with characters of two bytes, eight bytes at a time: those
    /// are written as if they were all alike, and what follows them is taken off again. Gives what is left.
    fn eights<'a>(&mut self, mut text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        while let Some(eight) = text.first_chunk() {
            let eight = u64::from_le_bytes(*eight);
            // In both, the lowest bit that is set is at the first that is not; those above may be wrong.
            let not_plain = (eight.wrapping_sub(PLAIN * BYTES) | eight) & (0x80 * BYTES);
            let plain = not_plain.trailing_zeros() as usize / 8;
            let taken = if plain > 0 {
                let units = [eight & 0xffff_ffff, eight >> 32].map(|four| {
                    let two = (four | four << 16) & 0x0000_ffff_0000_ffff;
                    (two | two << 8) & (0xff * UNITS)
                });
                out.extend_from_slice(units.map(u64::to_le_bytes).as_flattened());
                out.truncate(out.len() - (8 - plain) * 2);
                plain
            } else {
                let pairs = not_pairs(eight).trailing_zeros() as usize / 16;
                if pairs == 0 {
                    break;
                }
                let units = (eight & (0x1f * UNITS)) << 6 | eight >> 8 & (0x3f * UNITS);
                out.extend_from_slice(&units.to_le_bytes());
                out.truncate(out.len() - (4 - pairs) * 2);
                pairs * 2
            };
            self.after_cr = false;
            text = text.get(taken..).unwrap_or_default();
        }
        text
    }
}

/// The highest bit of each two bytes that are not a character of two bytes.
fn not_pairs(eight: u64) -> u64 {
    let high = 0x8000 * UNITS;
    let wrong = (eight ^ (0x80c0 * UNITS)) & (0xc0e0 * UNITS);
    let wrong = ((wrong & !high) + !high) | wrong;
    // The first bytes 0xc0 and 0xc1 are those of nothing.
    let long_enough = (eight & (0x1e * UNITS)) + 0x7ffe * UNITS;
    (wrong | !long_enough) & high
}

/// Some of the bits of a byte.
fn bits(byte: u8, mask: u8) -> u16 {
    (byte & mask).into()
}

/// The first character, or what stands for bytes that are none, and how many bytes it takes; `None` when it
/// is not all there.
fn first_character(text: &[u8]) -> Option<(char, usize)> {
    let longest = text.get(..4).unwrap_or(text);
    let valid = match str::from_utf8(longest) {
        Ok(valid) => valid,
        Err(error) if error.valid_up_to() == 0 => {
            return error.error_len().map(|length| (char::REPLACEMENT_CHARACTER, length));
        }
        Err(error) => str::from_utf8(longest.get(..error.valid_up_to())?).ok()?,
    };
    valid.chars().next().map(|character| (character, character.len_utf8()))
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
            at += self.fours(piece.get(at..).unwrap_or_default(), out);
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

    /// Converts four units at a time, those that take three bytes at most. Says how many bytes it took; with
    /// fewer than eight left, that is none of them.
    fn fours(&self, text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut taken = self.plain_eights(text, out);
        for four in text.get(taken..).unwrap_or_default().as_chunks().0 {
            let four = self.ordered(u64::from_le_bytes(*four));
            let units = [0, 16, 32, 48].map(|shift| (four >> shift) as u16);
            if four & (0xf800 * UNITS) == 0 && (four + 0x7f80 * UNITS) & (0x8000 * UNITS) == 0x8000 * UNITS {
                let first = ((four >> 6) & (0x1f * UNITS)) | (0xc0 * UNITS);
                let second = ((four & (0x3f * UNITS)) << 8) | (0x8000 * UNITS);
                out.extend_from_slice(&(first | second).to_le_bytes());
            } else if is_plain(four) {
                break;
            } else if units.iter().all(|unit| matches!(unit, 0x800..0xd800 | 0xe000..)) {
                out.extend_from_slice(units.map(three_bytes).as_flattened());
            } else {
                for unit in units {
                    match unit {
                        LOWEST_PLAIN..0x80 => out.push(unit as u8),
                        0x80..0x800 => {
                            out.extend_from_slice(&[(unit >> 6) as u8 | 0xc0, unit as u8 & 0x3f | 0x80])
                        }
                        0x800..0xd800 | 0xe000.. => out.extend_from_slice(&three_bytes(unit)),
                        _ => return taken,
                    }
                    taken += 2;
                }
                continue;
            }
            taken += 8;
        }
        taken
    }

    /// Converts eight units at a time while they are plain ASCII. Says how many bytes it took.
    fn plain_eights(&self, text: &[u8], out: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        for eight in text.as_chunks::<16>().0 {
            let [low, high] = eight.as_chunks().0 else { break };
            let fours = [*low, *high].map(|four| self.ordered(u64::from_le_bytes(four)));
            if !fours.into_iter().all(is_plain) {
                break;
            }
            let packed = fours.map(|four| {
                let two = (four | four >> 8) & 0x0000_ffff_0000_ffff;
                ((two | two >> 16) as u32).to_le_bytes()
            });
            out.extend_from_slice(packed.as_flattened());
            taken += 16;
        }
        taken
    }

    /// Four units, with their bytes as they should be.
    fn ordered(&self, four: u64) -> u64 {
        if self.swapped { four >> 8 & (0xff * UNITS) | (four & (0xff * UNITS)) << 8 } else { four }
    }
}

/// Whether four units are plain ASCII.
fn is_plain(four: u64) -> bool {
    // Of a unit that is ASCII, the highest bit tells whether it is below what was taken off.
    (four & (0xff80 * UNITS) | four.wrapping_sub(PLAIN * UNITS) & (0x8000 * UNITS)) == 0
}

/// A unit from 0x800 on, no surrogate, as UTF-8.
fn three_bytes(unit: u16) -> [u8; 3] {
    [(unit >> 12) as u8 | 0xe0, (unit >> 6) as u8 & 0x3f | 0x80, unit as u8 & 0x3f | 0x80]
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
        let marks = ['\0', '\r', '\u{feff}'];
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
            lines = lines.strip_prefix('\u{feff}').unwrap_or(&lines).to_owned();
            assert_eq!(to_host(&bytes), utf16(&lines), "round {round}: {bytes:?}");

            let units: Vec<u16> =
                bytes.chunks_exact(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
            let lossy = String::from_utf16_lossy(&units).replace("\r\n", "\n");
            let whole = &bytes[..units.len() * 2];
            assert_eq!(to_guest(whole), lossy.as_bytes(), "round {round}: {units:?}");
        }
    }
}

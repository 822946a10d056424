//! Text and HTML.

use super::BadContent;

/// A text in its form on the wire. A carriage return goes before each line feed that has none.
pub fn text(text: &str) -> Vec<u8> {
    let mut wire = Vec::with_capacity(2 * text.len() + 2);
    let mut last = 0;
    for unit in text.encode_utf16() {
        if unit == u16::from(b'\n') && last != u16::from(b'\r') {
            wire.extend(u16::from(b'\r').to_le_bytes());
        }
        wire.extend(unit.to_le_bytes());
        last = unit;
    }
    wire.extend([0; 2]);
    wire
}

/// The text that stands on the wire up to its zero, with line feeds alone.
///
/// # Errors
/// [`BadContent::NotUtf16`].
pub fn text_of(wire: &[u8]) -> Result<String, BadContent> {
    let (units, rest) = wire.as_chunks::<2>();
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit)).take_while(|unit| *unit != 0);
    let text: Result<String, _> = char::decode_utf16(units).collect();
    match text {
        Ok(text) if rest.is_empty() => Ok(text.replace("\r\n", "\n")),
        _ => Err(BadContent::NotUtf16),
    }
}

/// HTML in its form on the wire.
pub fn html(html: &[u8]) -> Vec<u8> {
    [html_of(html), &[0]].concat()
}

/// The HTML that stands on the wire, without what ends it.
pub fn html_of(wire: &[u8]) -> &[u8] {
    let end = wire.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &wire[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_they_were_seen_on_the_wire() {
        assert_eq!(text("second\n").len(), 18);
        assert_eq!(text("a\nb\u{e9}"), [97, 0, 13, 0, 10, 0, 98, 0, 0xE9, 0, 0, 0]);
        assert_eq!(text("a\r\nb\u{e9}"), text("a\nb\u{e9}"));
        assert_eq!(text("\u{1F600}"), [0x3D, 0xD8, 0x00, 0xDE, 0, 0]);
        assert_eq!(text(""), [0, 0]);
    }

    #[test]
    fn texts_come_back_up_to_their_zero() {
        for original in ["", "a\nb\u{e9}\n", "\u{1F600}"] {
            assert_eq!(text_of(&text(original)).as_deref(), Ok(original));
        }
        assert_eq!(text_of(&[97, 0]).as_deref(), Ok("a"));
        assert_eq!(text_of(&[97, 0, 0, 0, 98, 0]).as_deref(), Ok("a"));
        for wire in [&[97][..], &[0x3D, 0xD8], &[0x3D, 0xD8, 97, 0]] {
            assert_eq!(text_of(wire), Err(BadContent::NotUtf16));
        }
    }

    #[test]
    fn html_ends_with_one_zero() {
        assert_eq!(html(b"<b>x</b>").len(), 9);
        assert_eq!(html(b"<b>x</b>\0"), b"<b>x</b>\0");
        assert_eq!(html_of(b"<i>\0\0"), b"<i>");
        assert_eq!(html_of(b"\0"), b"");
    }
}

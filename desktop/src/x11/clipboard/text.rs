//! Text and HTML, as targets write them and as everybody else has them: in UTF-8.

use std::borrow::Cow;
use std::sync::Arc;

use super::targets::Encoding;

/// What the type of an answer says about text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// COMPOUND_TEXT: Latin-1, until an escape sequence says something else.
    Compound,
    /// Nothing that one could rely on.
    Nothing,
}

/// Makes of a target's content that of its format. `None` when it is written in a way that nobody here
/// can read.
pub(super) fn decode(encoding: Encoding, told: Told, content: Vec<u8>) -> Option<Vec<u8>> {
    const ESCAPE: u8 = 0x1b;
    match encoding {
        Encoding::Verbatim => Some(content),
        Encoding::Html => Some(html(content)),
        _ if told == Told::Compound && content.contains(&ESCAPE) => None,
        Encoding::Utf8 | Encoding::Latin1 | Encoding::AnyText => Some(with_line_feeds(text(content))),
    }
}

/// A format's content, and what targets make of it, each once: whoever is given it shares it.
#[derive(Debug)]
pub(super) struct Encodings {
    content: Arc<Vec<u8>>,
    made: Vec<(Encoding, Encoded)>,
}

/// Content as a target writes it.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    pub(super) bytes: Arc<Vec<u8>>,
    /// Whether it is text in Latin-1.
    pub(super) latin1: bool,
}

impl Encodings {
    pub(super) fn of(content: Vec<u8>) -> Self {
        Self { content: Arc::new(content), made: Vec::new() }
    }

    pub(super) fn get(&mut self, encoding: Encoding) -> Encoded {
        if let Some((_, made)) = self.made.iter().find(|(made, _)| *made == encoding) {
            return made.clone();
        }
        let made = self.make(encoding);
        self.made.push((encoding, made.clone()));
        made
    }

    fn make(&self, encoding: Encoding) -> Encoded {
        let latin1 = match encoding {
            Encoding::Verbatim | Encoding::Utf8 | Encoding::Html => None,
            // Who asks for any text is old enough to prefer Latin-1.
            Encoding::AnyText => latin1(&self.content, None),
            Encoding::Latin1 => latin1(&self.content, Some(b'?')),
        };
        match latin1 {
            Some(Cow::Owned(bytes)) => Encoded { bytes: Arc::new(bytes), latin1: true },
            Some(Cow::Borrowed(_)) => Encoded { bytes: Arc::clone(&self.content), latin1: true },
            None => Encoded { bytes: Arc::clone(&self.content), latin1: false },
        }
    }
}

/// UTF-8, whatever the target: few programs write true Latin-1 under its names, and Latin-1 that
/// happens to be UTF-8 is hardly ever meant.
fn text(mut content: Vec<u8>) -> Vec<u8> {
    // C programs count the end of a string in.
    let end = content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    content.truncate(end);
    match String::from_utf8(content) {
        Ok(text) => text.into_bytes(),
        Err(error) => error.as_bytes().iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes(),
    }
}

fn with_line_feeds(text: Vec<u8>) -> Vec<u8> {
    // Most text has none at all, which is found out quickly.
    if !text.contains(&b'\r') || !text.windows(2).any(|pair| pair == b"\r\n") {
        return text;
    }
    let follows = text.iter().skip(1).copied().chain([0]);
    text.iter().copied().zip(follows).filter(|&pair| pair != (b'\r', b'\n')).map(|(byte, _)| byte).collect()
}

/// A byte order mark tells how HTML is written.
fn html(content: Vec<u8>) -> Vec<u8> {
    match content.as_slice() {
        [0xff, 0xfe, units @ ..] => utf16(units, u16::from_le_bytes),
        [0xfe, 0xff, units @ ..] => utf16(units, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => text(rest.to_vec()),
        _ => text(content),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let units = bytes.as_chunks().0.iter().map(|&bytes| unit(bytes));
    let characters = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    text(characters.collect::<String>().into_bytes())
}

/// Latin-1, with a substitute for what it lacks; without one, nothing if it lacks something.
fn latin1(content: &[u8], substitute: Option<u8>) -> Option<Cow<'_, [u8]>> {
    if content.is_ascii() {
        return Some(content.into());
    }
    let text = String::from_utf8_lossy(content);
    let byte = |c: char| u8::try_from(c).ok().or(substitute);
    text.chars().map(byte).collect::<Option<Vec<u8>>>().map(Cow::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_targets_write_becomes_utf_8_with_line_feeds() {
        let cases: [(Encoding, &[u8], &str); 13] = [
            (Encoding::Utf8, "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (Encoding::Utf8, b"gr\xfcn", "gr\u{fc}n"),
            (Encoding::Latin1, b"gr\xfcn", "gr\u{fc}n"),
            (Encoding::Latin1, "gr\u{fc}n".as_bytes(), "gr\u{fc}n"),
            (Encoding::AnyText, b"a\r\nb\rc\r\n\nd", "a\nb\rc\n\nd"),
            (Encoding::Utf8, b"ended\0\0", "ended"),
            (Encoding::Utf8, b"\0", ""),
            (Encoding::Utf8, b"", ""),
            (Encoding::Html, b"<b>\r\n</b>\0", "<b>\r\n</b>"),
            (Encoding::Html, b"\xff\xfe<\0\xfc\0\0\0", "<\u{fc}"),
            (Encoding::Html, b"\xfe\xff\0<\xd8\x3d\xde\0\xd8", "<\u{1f600}"),
            (Encoding::Html, b"\xff\xfe\x3d\xd8<\0", "\u{fffd}<"),
            (Encoding::Html, "\u{feff}<\u{fc}".as_bytes(), "<\u{fc}"),
        ];
        for (encoding, written, read) in cases {
            let decoded = decode(encoding, Told::Nothing, written.to_vec());
            assert_eq!(decoded.as_deref(), Some(read.as_bytes()), "{encoding:?} {written:?}");
        }
    }

    #[test]
    fn other_content_is_left_alone() {
        let content = b"\xff\xfe\r\n\0".to_vec();
        assert_eq!(decode(Encoding::Verbatim, Told::Compound, content.clone()), Some(content));
    }

    #[test]
    fn compound_text_is_read_as_far_as_it_is_latin_1() {
        let decoded = |content: &[u8]| decode(Encoding::AnyText, Told::Compound, content.to_vec());
        assert_eq!(decoded(b"gr\xfcn"), Some("gr\u{fc}n".into()));
        assert_eq!(decoded(b"\x1b$(Bx"), None);
    }

    #[test]
    fn text_is_handed_out_as_the_target_wants_it() {
        let cases: [(Encoding, &[u8], &[u8], bool); 8] = [
            (Encoding::Utf8, "\u{fc}\u{20ac}".as_bytes(), "\u{fc}\u{20ac}".as_bytes(), false),
            (Encoding::Latin1, "\u{fc}\u{20ac}".as_bytes(), b"\xfc?", true),
            (Encoding::AnyText, "\u{fc}\u{20ac}".as_bytes(), "\u{fc}\u{20ac}".as_bytes(), false),
            (Encoding::AnyText, "\u{fc}".as_bytes(), b"\xfc", true),
            (Encoding::AnyText, b"plain", b"plain", true),
            (Encoding::Html, "<\u{fc}".as_bytes(), "<\u{fc}".as_bytes(), false),
            // What is no text is handed out all the same.
            (Encoding::Latin1, b"\xff\xfe", b"??", true),
            (Encoding::Utf8, b"\xff", b"\xff", false),
        ];
        for (encoding, content, written, is_latin1) in cases {
            let Encoded { bytes, latin1 } = Encodings::of(content.to_vec()).get(encoding);
            assert_eq!((bytes.as_slice(), latin1), (written, is_latin1), "{encoding:?} {content:?}");
        }
    }

    #[test]
    fn content_is_not_copied_without_need() {
        let mut plain = Encodings::of(b"plain".to_vec());
        let bytes =
            [Encoding::Utf8, Encoding::Latin1, Encoding::AnyText].map(|encoding| plain.get(encoding).bytes);
        assert!(bytes.iter().all(|bytes| Arc::ptr_eq(bytes, &plain.content)));

        let mut text = Encodings::of("\u{fc}".into());
        assert!(Arc::ptr_eq(&text.get(Encoding::Latin1).bytes, &text.get(Encoding::Latin1).bytes));
    }
}

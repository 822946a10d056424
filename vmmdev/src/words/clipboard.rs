//! The words about the clipboard.
//!
//! What is copied and pasted does not go over the line but through files, which the process reads and
//! writes that serves the words.

use std::fs::{self, File};
use std::io::Read;
use std::time::Duration;

use driver_core::wire::shared_clipboard::{Formats, Mode};

use super::arguments::{Arguments, named};
use super::{Answer, Console, Refused};
use crate::content::{self, BadContent};
use crate::host::LARGEST;

/// How long a guest has for its answer, as VirtualBox has it.
const USUAL: Duration = Duration::from_secs(5);

/// The longest text that is answered on the line, in bytes.
const LONGEST_TEXT: usize = 64 << 10;

/// A format as people know it.
struct Format {
    name: &'static str,
    /// What the wire has for it.
    wire: Formats,
    to_wire: fn(&[u8]) -> Result<Vec<u8>, BadContent>,
    from_wire: fn(&[u8]) -> Result<Vec<u8>, BadContent>,
}

const FORMATS: [Format; 4] = [
    Format {
        name: "text",
        wire: Formats::TEXT,
        to_wire: |file| {
            let text = std::str::from_utf8(file).map_err(|_| BadContent::NotUtf8)?;
            Ok(content::text(text))
        },
        from_wire: |wire| content::text_of(wire).map(String::into_bytes),
    },
    Format {
        name: "html",
        wire: Formats::HTML,
        to_wire: |file| Ok(content::html(file)),
        from_wire: |wire| Ok(content::html_of(wire).to_vec()),
    },
    Format { name: "png", wire: Formats::BITMAP, to_wire: content::png, from_wire: content::png_file },
    Format { name: "bmp", wire: Formats::BITMAP, to_wire: content::bmp, from_wire: content::bmp_file },
];

pub(super) fn clipboard(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    match arguments.next("`put`, `get`, `formats` or `mode`")? {
        "put" => put(console, arguments),
        "get" => get(console, arguments),
        "formats" => {
            arguments.end()?;
            let formats = console.host.clipboard_formats().map(|formats| formats.to_string());
            Ok(Answer::Formats { formats })
        }
        "mode" => {
            let word = arguments.next("a mode")?;
            let word = if word == "both" { "bidirectional" } else { word };
            let mode = named(word, "mode", Mode::from_name)?;
            arguments.end()?;
            console.host.clipboard_mode(mode);
            Ok(Answer::Done {})
        }
        other => Err(Refused::usage(format!("{other:?} is nothing that a clipboard does"))),
    }
}

fn format(word: &str) -> Result<&'static Format, Refused> {
    named(word, "format", |name| FORMATS.iter().find(|format| format.name == name))
}

fn put(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let mut contents = Vec::new();
    while arguments.len() != 0 {
        let format = format(arguments.next("a format")?)?;
        let path = arguments.next("a file")?;
        let bad = |error: BadContent| Refused::File { path: path.to_owned(), error: error.to_string() };
        contents.push((format.wire, (format.to_wire)(&read(path)?).map_err(bad)?));
    }
    console.host.clipboard_put(contents)?;
    Ok(Answer::Done {})
}

fn get(console: &Console, mut arguments: Arguments<'_>) -> Result<Answer, Refused> {
    let timeout = arguments.time_out()?.unwrap_or(USUAL);
    let format = format(arguments.next("a format")?)?;
    let path = if arguments.len() == 0 { None } else { Some(arguments.next("a file")?) };
    arguments.end()?;
    let wire = console.host.clipboard_get(format.wire, timeout)?;
    let file = (format.from_wire)(&wire)?;
    let bytes = file.len();
    let Some(path) = path else {
        // A picture is nothing for a line, and neither is a book.
        let fits = format.wire != Formats::BITMAP && bytes <= LONGEST_TEXT;
        return Ok(Answer::Pasted { bytes, text: String::from_utf8(file).ok().filter(|_| fits) });
    };
    fs::write(path, file)
        .map_err(|error| Refused::File { path: path.to_owned(), error: error.to_string() })?;
    Ok(Answer::Pasted { bytes, text: None })
}

/// Reads a file that the clipboard could hold. What is no file could keep the reader waiting.
fn read(path: &str) -> Result<Vec<u8>, Refused> {
    let refused = |error: String| Refused::File { path: path.to_owned(), error };
    let failed = |error: std::io::Error| refused(error.to_string());
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(refused("it is no file".to_owned()));
    }
    let mut bytes = Vec::new();
    // What becomes of it on the wire may be larger still; the host looks at that.
    let most = LARGEST as u64 + 1;
    let len = File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(failed)?;
    if len as u64 == most {
        return Err(refused(format!("it has more than {LARGEST} bytes")));
    }
    Ok(bytes)
}

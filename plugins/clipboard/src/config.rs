//! What an administrator can set.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};

use crate::convert::Limits;
use crate::formats::{Format, Mask};

/// The most pixels that may be configured: those of a picture whose bytes can still be counted in 32
/// bits.
const MOST_PIXELS: u64 = 1 << 28;

/// The configuration. Every field may be left out.
///
/// ```toml
/// formats = ["text", "html", "image"]
/// largest = "64 MiB"
/// pixels = 64000000
/// primary = false
/// only-with-focus = false
/// not-while-locked = false
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// What is exchanged. A list of URIs is not, unless it is asked for: files of one machine are not
    /// to be found on the other.
    pub formats: Vec<Format>,
    /// The most that is copied or pasted at once, as the guest's programs have it. The grant has its own
    /// bound, and the kernel's driver carries 24 MiB to the host and from it.
    pub largest: Size,
    /// The most pixels of a picture.
    pub pixels: u64,
    /// Whether the host is also offered what is merely selected with the mouse.
    pub primary: bool,
    /// Whether nothing crosses while the machine's window does not have the host's keyboard focus.
    pub only_with_focus: bool,
    /// Whether nothing crosses while the desktop's session is locked.
    pub not_while_locked: bool,
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

impl Default for Config {
    fn default() -> Self {
        Config {
            formats: vec![Format::Text, Format::Html, Format::Image],
            largest: Size(64 << 20),
            pixels: 64_000_000,
            primary: false,
            only_with_focus: false,
            not_while_locked: false,
        }
    }
}

impl Config {
    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// The text names the field, what was found and what was expected.
    pub fn check(&self) -> Result<(), String> {
        if self.formats.is_empty() {
            return Err(wrong(
                "formats",
                "an empty list",
                "at least one of \"text\", \"html\", \"image\", \"uri-list\"",
            ));
        }
        let Size(largest) = self.largest;
        if !(1..=u32::MAX.into()).contains(&largest) {
            return Err(wrong("largest", largest, "1 byte to 4 GiB - 1"));
        }
        if !(1..=MOST_PIXELS).contains(&self.pixels) {
            return Err(wrong("pixels", self.pixels, format_args!("1 to {MOST_PIXELS}")));
        }
        Ok(())
    }

    /// What is exchanged, as the host writes it.
    pub fn allowed(&self) -> Mask {
        self.formats.iter().fold(0, |mask, format| mask | format.bit())
    }

    /// How large things may become for the guest.
    pub fn for_guest(&self) -> Limits {
        Limits { bytes: self.largest.0, pixels: self.pixels }
    }

    /// How large things may become for the host: a line feed becomes two units of UTF-16, and a pixel
    /// has four bytes whatever its file was compressed to.
    pub fn for_host(&self, format: Format) -> Limits {
        let bytes = match format {
            Format::Image => self.pixels * 4 + 2048,
            Format::Text | Format::Html | Format::UriList => self.largest.0 * 4 + 2,
        };
        Limits { bytes: bytes.min(u32::MAX.into()), pixels: self.pixels }
    }
}

fn wrong(field: &str, found: impl fmt::Display, expected: impl fmt::Display) -> String {
    format!("Configuration field `{field}`: found {found}, expected {expected}")
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

/// Reads a size as the agent's own configuration has it, and also a mere number.
struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size in B, KiB, MiB or GiB, as \"64 MiB\", or a number of bytes")
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
        let invalid = || E::invalid_value(de::Unexpected::Str(text), &self);
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let factor = match unit.trim_start() {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(invalid()),
        };
        let number: u64 = number.parse().map_err(|_| invalid())?;
        number.checked_mul(factor).map(Size).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer as _;
    use serde::de::value::{Error, StrDeserializer, U64Deserializer};

    use super::*;

    #[test]
    fn the_default_is_valid_and_exchanges_no_uris() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        assert_eq!(config.allowed(), 0b0111);
    }

    #[test]
    fn what_goes_to_the_host_may_be_larger_than_what_the_guest_has() {
        let config = Config { largest: Size(100), pixels: 1000, ..Config::default() };
        assert_eq!(config.for_guest(), Limits { bytes: 100, pixels: 1000 });
        assert_eq!(config.for_host(Format::Text), Limits { bytes: 402, pixels: 1000 });
        assert_eq!(config.for_host(Format::Image), Limits { bytes: 6048, pixels: 1000 });
        let config = Config { largest: Size(u32::MAX.into()), ..Config::default() };
        assert_eq!(config.for_host(Format::Html).bytes, u64::from(u32::MAX));
    }

    #[test]
    fn an_error_names_the_field_what_was_found_and_what_was_expected() {
        let cases = [
            (
                Config { formats: vec![], ..Config::default() },
                "`formats`: found an empty list, expected at least one of \"text\", \"html\", \"image\", \
                 \"uri-list\"",
            ),
            (
                Config { largest: Size(0), ..Config::default() },
                "`largest`: found 0, expected 1 byte to 4 GiB - 1",
            ),
            (
                Config { largest: Size(4 << 30), ..Config::default() },
                "`largest`: found 4294967296, expected 1 byte to 4 GiB - 1",
            ),
            (
                Config { pixels: 1 << 29, ..Config::default() },
                "`pixels`: found 536870912, expected 1 to 268435456",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(config.check(), Err(format!("Configuration field {expected}")));
        }
    }

    #[test]
    fn a_size_is_a_text_with_a_unit_or_a_number_of_bytes() {
        let parse = |text: &'static str| {
            let text: StrDeserializer<'_, Error> = text.into_deserializer();
            Size::deserialize(text).map_err(|error| error.to_string())
        };
        let cases =
            [("64 MiB", 64 << 20), ("1GiB", 1 << 30), ("12 KiB", 12 << 10), ("0 B", 0), ("100  B", 100)];
        for (text, bytes) in cases {
            assert_eq!(parse(text), Ok(Size(bytes)), "{text}");
        }
        let number: U64Deserializer<Error> = 5_u64.into_deserializer();
        assert_eq!(Size::deserialize(number), Ok(Size(5)));
        for text in ["", "64", "MiB", "64 MB", "-1 B", "1.5 MiB", "99999999999999999999 B", "99999999999 GiB"]
        {
            let error = parse(text).unwrap_err();
            let expected = "expected a size in B, KiB, MiB or GiB, as \"64 MiB\", or a number of bytes";
            assert_eq!(error, format!("invalid value: string {text:?}, {expected}"));
        }
    }
}

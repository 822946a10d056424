//! Quantities with their units, as people write them: `"16 MiB"`, `"50 ms"`.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// A span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const BYTE_UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const SPAN_UNITS: [(&str, u64); 4] = [("ms", 1_000), ("us", 1), ("min", 60_000_000), ("s", 1_000_000)];

impl Bytes {
    /// As a `usize`, as far as it fits.
    #[must_use]
    pub fn get(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = BYTE_UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size));
        let (name, size) = unit.unwrap_or(&("B", 1));
        write!(f, "{} {name}", self.0 / size)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a size with its unit (B, KiB, MiB or GiB), such as \"16 MiB\"";
        deserializer.deserialize_any(Quantity { units: &BYTE_UNITS, expected }).map(Bytes)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a time with its unit (us, ms, s or min), such as \"50 ms\"";
        let micros = deserializer.deserialize_any(Quantity { units: &SPAN_UNITS, expected })?;
        if micros == 0 {
            return Err(D::Error::custom("a plugin needs some time: expected more than none"));
        }
        Ok(Self(Duration::from_micros(micros)))
    }
}

/// Reads a whole number followed by one of a table of units.
struct Quantity {
    units: &'static [(&'static str, u64)],
    expected: &'static str,
}

impl Visitor<'_> for Quantity {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let size = self.units.iter().find(|(name, _)| *name == unit.trim()).map(|(_, size)| *size);
        number
            .parse::<u64>()
            .ok()
            .zip(size)
            .and_then(|(number, size)| number.checked_mul(size))
            .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Result<Bytes, toml::de::Error> {
        Bytes::deserialize(toml::de::ValueDeserializer::parse(text)?)
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, expected) in
            [("\"16 MiB\"", 16 << 20), ("\"1GiB\"", 1 << 30), ("\"0 B\"", 0), ("\"3 KiB\"", 3072)]
        {
            assert_eq!(bytes(text).expect(text), Bytes(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused_with_an_example() {
        for text in [
            "16",
            "\"16\"",
            "\"16 MB\"",
            "\"-1 B\"",
            "\"\"",
            "\"99999999999999999999 B\"",
            "\"20000000000 GiB\"",
            "true",
        ] {
            let error = bytes(text).expect_err(text).to_string();
            assert!(error.contains("such as \"16 MiB\""), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_divides_them() {
        for (value, text) in [(16 << 20, "16 MiB"), (1500, "1500 B"), (0, "0 B"), (2048, "2 KiB")] {
            assert_eq!(Bytes(value).to_string(), text);
        }
    }
}

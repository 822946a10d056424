//! What follows a word.

use std::str::FromStr;
use std::time::Duration;

use super::Refused;

/// How long a line may ask for: whoever speaks may be gone meanwhile.
const LONGEST: Duration = Duration::from_secs(600);

/// The words of a line.
pub(super) fn words(line: &str) -> Result<Vec<&str>, Refused> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or(Refused::Unended)?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    Ok(words)
}

/// The words after the first, taken from the front.
#[derive(Debug)]
pub struct Arguments<'a>(Vec<&'a str>);

impl<'a> Arguments<'a> {
    pub(super) fn new(words: &[&'a str]) -> Self {
        Self(words.to_vec())
    }

    /// How many are left.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the next one, which must be there.
    pub(super) fn next(&mut self, what: &str) -> Result<&'a str, Refused> {
        if self.0.is_empty() {
            Err(Refused::usage(format!("{what} is wanted")))
        } else {
            Ok(self.0.remove(0))
        }
    }

    /// Takes a number.
    pub(super) fn number<N: FromStr>(&mut self) -> Result<N, Refused> {
        number(self.next("a number")?)
    }

    /// Takes an option such as `--since 7` from wherever it stands.
    pub(super) fn option(&mut self, name: &str) -> Result<Option<&'a str>, Refused> {
        let Some(at) = self.0.iter().position(|word| *word == name) else { return Ok(None) };
        self.0.remove(at);
        if at == self.0.len() {
            return Err(Refused::usage(format!("{name} is the last word; its value is wanted after it")));
        }
        Ok(Some(self.0.remove(at)))
    }

    /// Takes `--timeout TIME` from wherever it stands.
    pub(super) fn time_out(&mut self) -> Result<Option<Duration>, Refused> {
        match self.option("--timeout")?.map(time).transpose()? {
            Some(timeout) if timeout > LONGEST => {
                Err(Refused::usage(format!("{timeout:?} is too long, {LONGEST:?} is the most")))
            }
            timeout => Ok(timeout),
        }
    }

    /// Makes sure that nothing is left.
    pub(super) fn end(self) -> Result<(), Refused> {
        match self.0.first() {
            Some(word) => Err(Refused::usage(format!("{word:?} is one word too many"))),
            None => Ok(()),
        }
    }
}

pub(super) fn number<N: FromStr>(word: &str) -> Result<N, Refused> {
    word.parse().map_err(|_| Refused::usage(format!("{word:?} is not a number that fits here")))
}

/// Bits as a hexadecimal number, with or without `0x`.
pub(super) fn bits(word: &str) -> Result<u32, Refused> {
    let digits = word.strip_prefix("0x").unwrap_or(word);
    u32::from_str_radix(digits, 16)
        .map_err(|_| Refused::usage(format!("{word:?} is not a hexadecimal number of 32 bits")))
}

/// `10s`, `500ms` or a bare number of seconds.
pub(super) fn time(word: &str) -> Result<Duration, Refused> {
    let (digits, unit) = match word.strip_suffix("ms") {
        Some(digits) => (digits, Duration::from_millis(1)),
        None => (word.strip_suffix('s').unwrap_or(word), Duration::from_secs(1)),
    };
    digits
        .parse()
        .ok()
        .and_then(|count| unit.checked_mul(count))
        .ok_or_else(|| Refused::usage(format!("{word:?} is not a time such as 10s or 500ms")))
}

/// Something that has names, by its name.
pub(super) fn named<T>(word: &str, what: &str, from_name: impl Fn(&str) -> Option<T>) -> Result<T, Refused> {
    from_name(word).ok_or_else(|| Refused::usage(format!("No {what} is called {word:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_unless_they_say_otherwise() {
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("20ms"), Ok(Duration::from_millis(20)));
        for word in ["", "s", "ms", "1m", "-1", "1.5"] {
            assert!(time(word).is_err(), "{word}");
        }
    }

    #[test]
    fn an_option_is_taken_from_wherever_it_stands() {
        let mut arguments = Arguments::new(&["--since", "7", "81"]);
        assert_eq!(arguments.option("--since"), Ok(Some("7")));
        assert_eq!(arguments.option("--since"), Ok(None));
        assert_eq!(arguments.number(), Ok(81));
        assert!(arguments.end().is_ok());

        assert!(Arguments::new(&["81", "--since"]).option("--since").is_err());
    }

    #[test]
    fn words_have_blanks_between_them_and_quoted_ones_inside() {
        assert_eq!(words("  a  b\n"), Ok(vec!["a", "b"]));
        assert_eq!(words("set /a \"x  y\" \"\""), Ok(vec!["set", "/a", "x  y", ""]));
        assert_eq!(words(""), Ok(vec![]));
        assert_eq!(words("a \"b"), Err(Refused::Unended));
        assert_eq!(words("a\"b"), Ok(vec!["a\"b"]));
    }

    #[test]
    fn bits_are_hexadecimal() {
        assert_eq!(bits("0x7ff"), Ok(0x7FF));
        assert_eq!(bits("10"), Ok(0x10));
        assert!(bits("100000000").is_err());
    }
}

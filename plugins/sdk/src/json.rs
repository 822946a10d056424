//! Reads JSON into any type that serde knows.
//!
//! `serde_json` would do it, and more than double a small plugin: it carries what prints and parses
//! floating-point numbers, whether they occur or not, and its errors know lines and columns, of which
//! an administrator who wrote TOML has never seen any. This reader names the field instead, and a
//! plugin pays for floats when it has some.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, Visitor,
};

/// Reads one value, which must be all of the text.
pub(crate) fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let mut reader = Reader { rest: text };
    let value = T::deserialize(&mut reader)?;
    match reader.peek() {
        None => Ok(value),
        Some(_) => Err(reader.malformed("the end")),
    }
}

/// Why a value was not what was expected, and which one.
#[derive(Debug)]
pub(crate) struct Error {
    /// As `screen.size[1]`; empty for the whole.
    path: String,
    reason: String,
}

impl Error {
    /// Which value: `screen.size[1]`, or nothing for the whole.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The same error, seen from one level further out.
    fn within(mut self, outer: &str) -> Self {
        let separator = if self.path.is_empty() || self.path.starts_with('[') {
            ""
        } else {
            "."
        };
        self.path = format!("{outer}{separator}{}", self.path);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Error {
            path: String::new(),
            reason: reason.to_string(),
        }
    }

    // These two not by the `Display` of what was found, which brings the floats in.

    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(number) => unlike(number, expected),
            Unexpected::Signed(number) => unlike(number, expected),
            Unexpected::Str(text) => unlike(format_args!("{text:?}"), expected),
            _ => unlike("something else", expected),
        }
    }

    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        unlike(format_args!("{length} values"), expected)
    }
}

fn unlike(found: impl fmt::Display, expected: impl fmt::Display) -> Error {
    de::Error::custom(format_args!("found {found}, expected {expected}"))
}

/// What is still to be read.
struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    /// The next character that is not blank.
    fn peek(&mut self) -> Option<char> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.rest.chars().next()
    }

    /// Passes over a word, if it comes next.
    fn eat(&mut self, word: &str) -> bool {
        self.peek();
        match self.rest.strip_prefix(word) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, word: &str) -> Result<(), Error> {
        if self.eat(word) {
            Ok(())
        } else {
            Err(self.malformed(word))
        }
    }

    fn malformed(&self, expected: &str) -> Error {
        let near: String = self.rest.chars().take(20).collect();
        unlike(format_args!("{near:?} in JSON"), expected)
    }

    fn number(&mut self) -> &'t str {
        let of_number = |c: char| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
        let end = self.rest.find(|c| !of_number(c)).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        number
    }

    fn string(&mut self) -> Result<String, Error> {
        self.expect("\"")?;
        let mut text = String::new();
        loop {
            match self.next_char() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(plain) => text.push(plain),
                None => return Err(self.malformed("a closing quote")),
            }
        }
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    fn escaped(&mut self) -> Result<char, Error> {
        match self.next_char() {
            Some(same @ ('"' | '\\' | '/')) => Ok(same),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let first = self.utf16_unit()?;
                // What is beyond 16 bits comes as a pair.
                let second = match first {
                    0xD800..=0xDBFF => match (self.next_char(), self.next_char()) {
                        (Some('\\'), Some('u')) => Some(self.utf16_unit()?),
                        _ => None,
                    },
                    _ => None,
                };
                let mut decoded = char::decode_utf16([first].into_iter().chain(second));
                decoded
                    .next()
                    .and_then(Result::ok)
                    .ok_or_else(|| self.malformed("a UTF-16 pair"))
            }
            _ => Err(self.malformed("an escape")),
        }
    }

    fn utf16_unit(&mut self) -> Result<u16, Error> {
        let unit = self.rest.split_at_checked(4).and_then(|(digits, rest)| {
            self.rest = rest;
            u16::from_str_radix(digits, 16).ok()
        });
        unit.ok_or_else(|| self.malformed("four hexadecimal digits"))
    }

    /// Reads what comes next: a value, or the beginning of a list or a table.
    fn token(&mut self) -> Result<Token<'t>, Error> {
        match self.peek() {
            Some('"') => Ok(Token::Text(self.string()?)),
            Some('-' | '0'..='9') => {
                let number = self.number();
                Ok(match (number.parse(), number.parse()) {
                    (Ok(unsigned), _) => Token::Unsigned(unsigned),
                    (_, Ok(signed)) => Token::Signed(signed),
                    _ => Token::Float(number),
                })
            }
            _ if self.eat("{") => Ok(Token::Table),
            _ if self.eat("[") => Ok(Token::List),
            _ if self.eat("true") => Ok(Token::Flag(true)),
            _ if self.eat("false") => Ok(Token::Flag(false)),
            _ if self.eat("null") => Ok(Token::Nothing),
            _ => Err(self.malformed("a value")),
        }
    }

    fn flag<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Flag(flag) => visitor.visit_bool(flag),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn integer<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Signed(number) => visitor.visit_i64(number),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn text<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Text(text) => visitor.visit_string(text),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn nothing<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Nothing => visitor.visit_unit(),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn list<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::List => self.items("]", |items| visitor.visit_seq(items)),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn table<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Table => self.items("}", |items| visitor.visit_map(items)),
            other => Err(other.unlike(&visitor)),
        }
    }

    fn anything<V: Visitor<'t>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        match self.token()? {
            Token::Table => self.items("}", |items| visitor.visit_map(items)),
            Token::List => self.items("]", |items| visitor.visit_seq(items)),
            Token::Text(text) => visitor.visit_string(text),
            Token::Unsigned(number) => visitor.visit_u64(number),
            Token::Signed(number) => visitor.visit_i64(number),
            Token::Float(number) => match number.parse() {
                Ok(number) => visitor.visit_f64(number),
                Err(_) => Err(unlike(number, "a number")),
            },
            Token::Flag(flag) => visitor.visit_bool(flag),
            Token::Nothing => visitor.visit_unit(),
        }
    }

    /// Reads the items of a list or a table, and sees to it that all of them were read.
    fn items<T>(
        &mut self,
        close: &'static str,
        read: impl FnOnce(&mut Items<'_, 't>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut items = Items {
            reader: self,
            close,
            begun: 0,
            ended: false,
            key: String::new(),
        };
        let value = read(&mut items)?;
        items.end()?;
        Ok(value)
    }
}

/// What may come next.
enum Token<'t> {
    /// The items are still to be read.
    Table,
    /// The items are still to be read.
    List,
    Text(String),
    Unsigned(u64),
    Signed(i64),
    /// Or what only looks like a number.
    Float(&'t str),
    Flag(bool),
    Nothing,
}

impl Token<'_> {
    /// The error that something else was expected.
    fn unlike(&self, expected: &dyn Expected) -> Error {
        match self {
            Token::Table => unlike("a table", expected),
            Token::List => unlike("a list", expected),
            Token::Text(text) => unlike(format_args!("{text:?}"), expected),
            Token::Unsigned(number) => unlike(number, expected),
            Token::Signed(number) => unlike(number, expected),
            Token::Float(number) => unlike(number, expected),
            Token::Flag(flag) => unlike(flag, expected),
            Token::Nothing => unlike("nothing", expected),
        }
    }
}

/// The items of a list or a table.
struct Items<'r, 't> {
    reader: &'r mut Reader<'t>,
    close: &'static str,
    /// How many were begun to be read.
    begun: usize,
    ended: bool,
    /// The name of the one that is being read, in a table.
    key: String,
}

impl Items<'_, '_> {
    /// Goes to the next item, if there is one.
    fn more(&mut self) -> Result<bool, Error> {
        if self.ended || self.reader.eat(self.close) {
            self.ended = true;
            return Ok(false);
        }
        if self.begun > 0 {
            self.reader.expect(",")?;
        }
        self.begun += 1;
        Ok(true)
    }

    /// Errors if there is an item that nobody asked for.
    fn end(&mut self) -> Result<(), Error> {
        let read = self.begun;
        if self.more()? {
            return Err(unlike("more values", format_args!("only {read}")));
        }
        Ok(())
    }
}

impl<'t> MapAccess<'t> for &mut Items<'_, 't> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        self.key = self.reader.string()?;
        self.reader.expect(":")?;
        let key = seed.deserialize(self.key.as_str().into_deserializer());
        key.map(Some)
            .map_err(|error: Error| error.within(&self.key))
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(&mut *self.reader)
            .map_err(|error| error.within(&self.key))
    }
}

impl<'t> SeqAccess<'t> for &mut Items<'_, 't> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let index = self.begun;
        if !self.more()? {
            return Ok(None);
        }
        let element = seed.deserialize(&mut *self.reader);
        element
            .map(Some)
            .map_err(|error| error.within(&format!("[{index}]")))
    }
}

/// Which of a [`Reader`]'s methods serves which hint. What else a hint says is of no use here.
macro_rules! hints {
    ($($hint:ident($($detail:ty),*) => $method:ident;)*) => {
        $(fn $hint<V: Visitor<'t>>(self, $(_: $detail,)* visitor: V) -> Result<V::Value, Error> {
            self.$method(visitor)
        })*
    };
}

impl<'t> Deserializer<'t> for &mut Reader<'t> {
    type Error = Error;

    // Strictly by the hint, so that code for floats is there only for a type that asks for some.
    hints! {
        deserialize_bool() => flag;
        deserialize_i8() => integer;
        deserialize_i16() => integer;
        deserialize_i32() => integer;
        deserialize_i64() => integer;
        deserialize_u8() => integer;
        deserialize_u16() => integer;
        deserialize_u32() => integer;
        deserialize_u64() => integer;
        deserialize_char() => text;
        deserialize_str() => text;
        deserialize_string() => text;
        deserialize_identifier() => text;
        deserialize_unit() => nothing;
        deserialize_unit_struct(&'static str) => nothing;
        deserialize_bytes() => list;
        deserialize_byte_buf() => list;
        deserialize_seq() => list;
        deserialize_tuple(usize) => list;
        deserialize_tuple_struct(&'static str, usize) => list;
        deserialize_map() => table;
        deserialize_struct(&'static str, &'static [&'static str]) => table;
        deserialize_f32() => anything;
        deserialize_f64() => anything;
        deserialize_any() => anything;
        deserialize_ignored_any() => anything;
    }

    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.eat("null") {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        // `"case"`, or `{"case": value}`.
        if self.eat("{") {
            let read =
                |items: &mut Items<'_, 't>| visitor.visit_enum(MapAccessDeserializer::new(items));
            self.items("}", read)
        } else {
            visitor.visit_enum(self.string()?.into_deserializer())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Everything {
        flag: bool,
        small: i8,
        large: u64,
        ratio: f64,
        name: String,
        letter: char,
        maybe: Option<u32>,
        nothing: (),
        pair: (u8, String),
        list: Vec<Case>,
        table: BTreeMap<String, Wrapped>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(i32);

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Case {
        Plain,
        OneValue(u32),
        TwoValues(u32, u32),
        Fields { x: i64 },
    }

    #[test]
    fn it_reads_what_serde_json_reads() {
        let texts = [
            r#"{"flag": true, "small": -128, "large": 18446744073709551615, "ratio": -1.5e3,
                "name": "a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00ü", "letter": "ß", "maybe": null,
                "nothing": null, "pair": [1, ""], "list": [], "table": {}}"#,
            r#" {"flag":false,"small":0,"large":1,"ratio":2,"name":"","letter":"x","maybe":7,
                "nothing":null,"pair":[255,"[]{},:"],
                "list":["plain",{"one-value":3},{"two-values":[4,5]},{"fields":{"x":-6}}],
                "table":{"a":1,"b c":-2},"unknown":[1.5,{"x":[[]]},null,"y"]} "#,
        ];
        for text in texts {
            let expected: Everything = serde_json::from_str(text).unwrap();
            assert_eq!(from_str::<Everything>(text).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_not_json_is_an_error_and_no_panic() {
        let texts = [
            "",
            " ",
            "{",
            "}",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[1 2]",
            "[1]]",
            "[,]",
            "nul",
            "tru",
            "-",
            "[1.2.3]",
            "[\"",
            "[\"\\",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"\\u12é\"]",
            "[\"\\ud800\"]",
            "[\"\\ud800\\u0041\"]",
            "[\"\\ud83d \\ude00\"]",
            "[\"\\udc00\"]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":1 \"b\":2}",
            "é",
            "[\u{0}]",
        ];
        for text in texts {
            assert!(
                serde_json::from_str::<serde_json::Value>(text).is_err(),
                "{text}"
            );
            assert!(from_str::<serde_json::Value>(text).is_err(), "{text}");
        }
    }
}

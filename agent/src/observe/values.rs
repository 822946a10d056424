//! Values of the contract as JSON, whatever their type: what a trace shows and a record keeps.
//!
//! A record is an object, a variant an object of one key, an enum and a string are strings, a list and a
//! tuple are arrays, an option is `null` or what it holds, a result is `{"ok": …}` or `{"err": …}`. Names
//! are those of WIT. A list of bytes is `{"$bytes": "68656c6c6f"}` in hexadecimal or, where contents are
//! not to be shown, `{"$bytes": 5}`; no name in WIT begins with a `$`.
//!
//! The types are those that `bindgen!` made, so that an interface which is added later needs nothing here.

use serde::ser::{self, Serialize};
use serde_json::{Map, Number, Value};

/// The key under which a list of bytes stands.
pub const BYTES: &str = "$bytes";

/// A value as JSON. `contents` says whether bytes are shown, or only how many there are.
pub fn shown<T: Serialize + ?Sized>(value: &T, contents: bool) -> Value {
    match value.serialize(Shaper { contents }) {
        Ok(shape) => shape.json(),
        Err(Unshapable(reason)) => Value::String(format!("(not to be shown: {reason})")),
    }
}

/// A list of bytes as JSON.
#[must_use]
pub fn bytes(bytes: &[u8], contents: bool) -> Value {
    let value = if contents { Value::String(hex(bytes)) } else { bytes.len().into() };
    Value::Object(Map::from_iter([(BYTES.to_owned(), value)]))
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// What [`hex`] was made of, if it is pairs of digits.
#[must_use]
pub fn unhex(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) {
        return None;
    }
    let pairs = hex.as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// A number as JSON, which has no infinity: that is a string.
#[must_use]
pub fn float(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

/// Cuts what is longer than `most` characters.
#[must_use]
pub fn cut(mut text: String, most: usize) -> String {
    if let Some((at, _)) = text.char_indices().nth(most) {
        text.truncate(at);
        text.push('…');
    }
    text
}

/// Takes the contents out of a value that was shown with them.
pub fn redact(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::Object(fields) => {
            for (key, field) in fields {
                match field {
                    Value::String(hex) if key == BYTES => *field = (hex.len() / 2).into(),
                    _ => redact(field),
                }
            }
        }
        _ => {}
    }
}

/// The name in WIT of what `bindgen!` named in Rust: `bits_per_pixel` and `NotSupported` are
/// `bits-per-pixel` and `not-supported`.
fn kebab(rust: &str) -> String {
    let mut name = String::with_capacity(rust.len() + 2);
    for (at, letter) in rust.trim_end_matches('_').char_indices() {
        match letter {
            '_' => name.push('-'),
            _ if letter.is_ascii_uppercase() => {
                if at > 0 {
                    name.push('-');
                }
                name.push(letter.to_ascii_lowercase());
            }
            _ => name.push(letter),
        }
    }
    name
}

/// A value on its way: a byte is told apart from other numbers until it is known whether a list is made
/// of nothing else.
enum Shape {
    Byte(u8),
    Json(Value),
}

impl Shape {
    fn json(self) -> Value {
        match self {
            Self::Byte(byte) => byte.into(),
            Self::Json(value) => value,
        }
    }
}

/// Serde's way to say that a value cannot be had; none of the contract's does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unshapable(String);

impl ser::Error for Unshapable {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Shaped = Result<Shape, Unshapable>;

#[derive(Clone, Copy)]
struct Shaper {
    contents: bool,
}

/// A list under way. Bytes stay bytes until something else comes along, which in a list of one type is
/// never.
struct List {
    shaper: Shaper,
    bytes: Vec<u8>,
    items: Vec<Value>,
}

/// A tuple under way, perhaps inside a case of a variant.
struct Tuple {
    shaper: Shaper,
    items: Vec<Value>,
    case: Option<String>,
}

/// A record under way, perhaps inside a case of a variant.
struct Record {
    shaper: Shaper,
    fields: Map<String, Value>,
    case: Option<String>,
}

fn json(value: impl Into<Value>) -> Shaped {
    Ok(Shape::Json(value.into()))
}

/// A value, inside a case of a variant if there is one.
fn within(case: Option<String>, value: Value) -> Shaped {
    json(match case {
        Some(case) => Value::Object(Map::from_iter([(case, value)])),
        None => value,
    })
}

macro_rules! numbers {
    ($($method:ident: $number:ty),+ $(,)?) => {
        $(fn $method(self, value: $number) -> Shaped {
            json(value)
        })+
    };
}

impl ser::Serializer for Shaper {
    type Ok = Shape;
    type Error = Unshapable;
    type SerializeSeq = List;
    type SerializeTuple = Tuple;
    type SerializeTupleStruct = Tuple;
    type SerializeTupleVariant = Tuple;
    type SerializeMap = ser::Impossible<Shape, Unshapable>;
    type SerializeStruct = Record;
    type SerializeStructVariant = Record;

    numbers! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_str: &str,
    }

    fn serialize_u8(self, value: u8) -> Shaped {
        Ok(Shape::Byte(value))
    }

    fn serialize_f32(self, value: f32) -> Shaped {
        self.serialize_f64(value.into())
    }

    fn serialize_f64(self, value: f64) -> Shaped {
        json(float(value))
    }

    fn serialize_char(self, value: char) -> Shaped {
        json(value.to_string())
    }

    fn serialize_bytes(self, value: &[u8]) -> Shaped {
        json(bytes(value, self.contents))
    }

    fn serialize_none(self) -> Shaped {
        json(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Shaped {
        match value.serialize(self)?.json() {
            // Else an option in an option that is none could not be told from none.
            Value::Null => within(Some("some".to_owned()), Value::Null),
            value => json(value),
        }
    }

    fn serialize_unit(self) -> Shaped {
        json(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Shaped {
        json(Value::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Shaped {
        json(kebab(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Shaped {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Shaped {
        within(Some(kebab(variant)), value.serialize(self)?.json())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List, Unshapable> {
        Ok(List { shaper: self, bytes: Vec::new(), items: Vec::new() })
    }

    fn serialize_tuple(self, _: usize) -> Result<Tuple, Unshapable> {
        Ok(Tuple { shaper: self, items: Vec::new(), case: None })
    }

    fn serialize_tuple_struct(self, _: &'static str, length: usize) -> Result<Tuple, Unshapable> {
        self.serialize_tuple(length)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Tuple, Unshapable> {
        Ok(Tuple { shaper: self, items: Vec::new(), case: Some(kebab(variant)) })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unshapable> {
        Err(Unshapable("the contract has no maps".to_owned()))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Record, Unshapable> {
        Ok(Record { shaper: self, fields: Map::new(), case: None })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Record, Unshapable> {
        Ok(Record { shaper: self, fields: Map::new(), case: Some(kebab(variant)) })
    }
}

impl ser::SerializeSeq for List {
    type Ok = Shape;
    type Error = Unshapable;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unshapable> {
        match value.serialize(self.shaper)? {
            Shape::Byte(byte) => self.bytes.push(byte),
            Shape::Json(value) => self.items.push(value),
        }
        Ok(())
    }

    fn end(self) -> Shaped {
        if self.bytes.is_empty() { json(self.items) } else { json(bytes(&self.bytes, self.shaper.contents)) }
    }
}

impl Tuple {
    fn add<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unshapable> {
        self.items.push(value.serialize(self.shaper)?.json());
        Ok(())
    }

    fn whole(self) -> Shaped {
        within(self.case, self.items.into())
    }
}

impl Record {
    fn add<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Unshapable> {
        let value = value.serialize(self.shaper)?.json();
        self.fields.insert(kebab(key), value);
        Ok(())
    }

    fn whole(self) -> Shaped {
        within(self.case, self.fields.into())
    }
}

/// Serde tells apart by a trait each what is one here.
macro_rules! grows {
    ($($which:ident for $under_way:ty: $add:ident($($key:ident)?)),+ $(,)?) => {
        $(impl ser::$which for $under_way {
            type Ok = Shape;
            type Error = Unshapable;

            fn $add<T: Serialize + ?Sized>(
                &mut self,
                $($key: &'static str,)?
                value: &T,
            ) -> Result<(), Unshapable> {
                self.add($($key,)? value)
            }

            fn end(self) -> Shaped {
                self.whole()
            }
        })+
    };
}

grows! {
    SerializeTuple for Tuple: serialize_element(),
    SerializeTupleStruct for Tuple: serialize_field(),
    SerializeTupleVariant for Tuple: serialize_field(),
    SerializeStruct for Record: serialize_field(key),
    SerializeStructVariant for Record: serialize_field(key),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::host::bindings::bellhop::guest::display::{Change, Position};
    use crate::host::bindings::bellhop::guest::guest::Facility;
    use crate::host::bindings::bellhop::guest::types::Error;

    #[test]
    fn values_of_the_contract_are_spelled_as_the_contract_spells_them() {
        let change = Change {
            id: 1,
            disabled: false,
            primary: true,
            origin: Some(Position { x: -1, y: 2 }),
            width: None,
            height: Some(600),
            bits_per_pixel: Some(32),
        };
        let host: Result<(), Error> = Err(Error::Host((-70, "no".to_owned())));

        assert_eq!(
            shown(&(change, host, Facility::Seamless), false),
            json!([
                {
                    "id": 1, "disabled": false, "primary": true, "origin": {"x": -1, "y": 2},
                    "width": null, "height": 600, "bits-per-pixel": 32
                },
                {"err": {"host": [-70, "no"]}},
                "seamless"
            ])
        );
        assert_eq!(shown(&Error::NotSupported("x".into()), false), json!({"not-supported": "x"}));
        assert_eq!(shown(&Some(None::<u32>), false), json!({"some": null}));
    }

    #[test]
    fn bytes_are_shown_only_where_they_may_be() {
        let value = (vec![0x68_u8, 0x69], Vec::<u8>::new(), 7_u8, vec![1_u32]);

        let mut contents = shown(&value, true);

        assert_eq!(contents, json!([{"$bytes": "6869"}, [], 7, [1]]));
        redact(&mut contents);
        assert_eq!(contents, json!([{"$bytes": 2}, [], 7, [1]]));
        assert_eq!(shown(&value, false), contents);
    }
}

//! Values as scenarios write them: JSON as everywhere in Bellhop, and four strings that begin with a `$`.
//!
//! `"$none"` is an option that is none, which TOML has no word for; `"$any"` is whatever comes; `"$name"` is
//! what an earlier step gave that name, and `"$=name"` gives it to what comes. A string that begins with a `$`
//! itself has two of them. Bytes are `{ "$text" = "hello" }` or `{ "$bytes" = "68656c6c6f" }`, where
//! `{ "$bytes" = 5 }` stands for any five of them, and a number beyond TOML's is
//! `{ "$number" = "18446744073709551615" }`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wasmtime::component::Type;

use crate::observe::values::{BYTES, bytes, unhex};
use crate::replay::values::{Unfit, from_json};

/// Bytes that are text.
const TEXT: &str = "$text";

/// A number that is beyond TOML's.
const NUMBER: &str = "$number";

/// What steps gave names to.
pub(super) type Names = BTreeMap<String, Value>;

/// What a string stands for.
enum Word<'a> {
    None,
    Any,
    Named(&'a str),
    Naming(&'a str),
    Itself(&'a str),
}

impl<'a> Word<'a> {
    fn of(text: &'a str) -> Self {
        match text.strip_prefix('$') {
            None => Self::Itself(text),
            Some("none") => Self::None,
            Some("any") => Self::Any,
            Some(rest) if rest.starts_with('$') => Self::Itself(rest),
            Some(rest) => match rest.strip_prefix('=') {
                Some(name) => Self::Naming(name),
                None => Self::Named(rest),
            },
        }
    }
}

/// A value as written in TOML.
///
/// # Errors
/// Why it is none.
pub(super) fn of_toml(value: &toml::Value) -> Result<Value, String> {
    Ok(match value {
        toml::Value::String(text) if matches!(Word::of(text), Word::None) => Value::Null,
        toml::Value::String(text) => text.as_str().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(value) => (*value).into(),
        toml::Value::Datetime(_) => return Err("the contract has no dates".to_owned()),
        toml::Value::Array(items) => items.iter().map(of_toml).collect::<Result<_, _>>()?,
        toml::Value::Table(fields) => match fields.iter().next() {
            Some((name, toml::Value::String(text))) if name == TEXT && fields.len() == 1 => {
                if text.is_empty() { Value::Array(Vec::new()) } else { bytes(text.as_bytes(), true) }
            }
            Some((name, toml::Value::String(digits))) if name == NUMBER && fields.len() == 1 => {
                digits.parse::<u64>().map_err(|error| format!("`{NUMBER}`: {error}"))?.into()
            }
            _ => {
                let fields = fields.iter().map(|(name, field)| Ok((name.clone(), of_toml(field)?)));
                Value::Object(fields.collect::<Result<_, String>>()?)
            }
        },
    })
}

/// A value with what names stand for.
///
/// # Errors
/// The name that nothing has.
pub(super) fn resolved(value: &Value, names: &Names) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => match Word::of(text) {
            Word::Named(name) => {
                names.get(name).cloned().ok_or_else(|| format!("nothing is named `{name}`"))?
            }
            Word::Itself(text) => text.into(),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(|item| resolved(item, names)).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.clone(), resolved(field, names)?)));
            Value::Object(fields.collect::<Result<_, String>>()?)
        }
        other => other.clone(),
    })
}

/// Whether what came is what was expected: a field that is not spoken of is none. Adds to the names.
pub(super) fn matches(expected: &Value, seen: &Value, names: &mut Names) -> bool {
    match (expected, seen) {
        (Value::String(text), _) => match Word::of(text) {
            Word::Any => true,
            Word::None => seen.is_null(),
            Word::Named(name) => names.get(name) == Some(seen),
            Word::Naming(name) => {
                names.insert(name.to_owned(), seen.clone());
                true
            }
            Word::Itself(text) => seen.as_str() == Some(text),
        },
        (Value::Array(expected), Value::Array(seen)) => {
            expected.len() == seen.len() && expected.iter().zip(seen).all(|(e, s)| matches(e, s, names))
        }
        (Value::Object(expected), Value::Object(seen)) => {
            let counted = |fields: &Map<String, Value>| {
                fields.get(BYTES).map(|bytes| match bytes {
                    Value::String(hex) => hex.len() as u64 / 2,
                    number => number.as_u64().unwrap_or(0),
                })
            };
            if expected.get(BYTES).is_some_and(Value::is_number) {
                return counted(expected) == counted(seen);
            }
            let spoken_of = |name: &String| expected.contains_key(name);
            expected.iter().all(|(name, e)| matches(e, seen.get(name).unwrap_or(&Value::Null), names))
                && seen.iter().all(|(name, s)| s.is_null() || spoken_of(name))
        }
        _ => expected == seen,
    }
}

/// Whether a value can be one of a type, as far as it is no word.
///
/// # Errors
/// Where it cannot, and why.
pub(super) fn fits(value: &Value, ty: &Type) -> Result<(), String> {
    if let Value::String(text) = value
        && !matches!(Word::of(text), Word::Itself(_))
    {
        return Ok(());
    }
    let within = |name: &str, error: String| format!("`{name}`: {error}");
    match (ty, value) {
        (Type::Record(record), Value::Object(fields)) => {
            let known = |name: &str| record.fields().any(|field| field.name == name);
            if let Some(name) = fields.keys().find(|name| !known(name)) {
                let names: Vec<_> = record.fields().map(|field| format!("`{}`", field.name)).collect();
                return Err(format!("there is no field `{name}`; there are {}", names.join(", ")));
            }
            record.fields().try_for_each(|field| {
                let value = fields.get(field.name).unwrap_or(&Value::Null);
                fits(value, &field.ty).map_err(|error| within(field.name, error))
            })
        }
        (Type::List(list), Value::Array(items)) => items.iter().try_for_each(|item| fits(item, &list.ty())),
        (Type::Tuple(tuple), Value::Array(items)) if items.len() == tuple.types().len() => {
            items.iter().zip(tuple.types()).try_for_each(|(item, ty)| fits(item, &ty))
        }
        (Type::Variant(variant), Value::Object(fields)) if fields.len() == 1 => {
            let mut cases = fields.iter().map(|(name, value)| {
                let ty = variant.cases().find(|case| case.name == name).and_then(|case| case.ty);
                (name, value, ty)
            });
            cases.try_for_each(|(name, inner, ty)| match ty {
                Some(ty) => fits(inner, &ty).map_err(|error| within(name, error)),
                None => leaf(value, &Type::Variant(variant.clone())),
            })
        }
        (Type::Option(_), Value::Null) => Ok(()),
        (Type::Option(option), value) => fits(value, &option.ty()),
        (Type::Result(result), Value::Object(fields)) if fields.len() == 1 => {
            let payload = |name: &str, ty: Option<Type>| match (fields.get(name), ty) {
                (Some(inner), Some(ty)) => fits(inner, &ty).map_err(|error| within(name, error)),
                _ => Ok(()),
            };
            payload("ok", result.ok()).and_then(|()| payload("err", result.err()))
        }
        _ => leaf(value, ty),
    }
}

fn leaf(value: &Value, ty: &Type) -> Result<(), String> {
    from_json(value, ty)
        .map(drop)
        .map_err(|Unfit { wanted, found }| format!("found {found}, expected {wanted}"))
}

/// The bytes that a value stands for.
pub(super) fn as_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Array(items) if items.is_empty() => Some(Vec::new()),
        Value::Object(fields) => unhex(fields.get(BYTES)?.as_str()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn toml(text: &str) -> Value {
        let table: toml::Table = toml::from_str(&format!("value = {text}")).expect("TOML");
        of_toml(&table["value"]).expect("a value")
    }

    #[test]
    fn what_toml_has_no_word_for_is_written_with_a_dollar() {
        assert_eq!(
            toml("[\"$none\", { \"$text\" = \"hi\" }, { \"$text\" = \"\" }]"),
            json!([null, {"$bytes": "6869"}, []])
        );
    }

    #[test]
    fn a_field_that_is_not_spoken_of_is_none() {
        let matches = |expected: Value, seen: Value| matches(&expected, &seen, &mut Names::new());

        assert!(matches(json!({"x": 1}), json!({"x": 1, "y": null})));
        assert!(!matches(json!({"x": 1}), json!({"x": 1, "y": 2})));
        assert!(!matches(json!({"x": 1, "y": 2}), json!({"x": 1, "y": null})));
        assert!(matches(json!(["$any", "$$any"]), json!([7, "$any"])));
        assert!(!matches(json!(["$any"]), json!([7, 8])));
    }

    #[test]
    fn what_was_named_is_the_same_later() {
        let mut names = Names::new();

        assert!(matches(&json!({"into-buffer": ["$=b", 5]}), &json!({"into-buffer": [3, 5]}), &mut names));

        assert!(matches(&json!("$b"), &json!(3), &mut names));
        assert!(!matches(&json!("$b"), &json!(4), &mut names));
        assert_eq!(resolved(&json!(["$b"]), &names), Ok(json!([3])));
        assert!(resolved(&json!("$c"), &names).is_err());
    }
}

//! Values of any type, from a record's JSON and back: the spelling is that of [`observe::values`].
//!
//! [`observe::values`]: crate::observe::values

use serde_json::{Map, Value};
use wasmtime::component::{Type, Val};

use crate::observe::values::{BYTES, bytes, cut, float, unhex};

/// The most bytes that a record may stand for without having them.
const MOST_ZEROS: u64 = 128 << 20;

/// The most characters of a value that an error shows.
const LONGEST: usize = 80;

/// Why a record's value cannot be what a component is handed.
#[derive(Debug, thiserror::Error)]
#[error("the record has {found} where the component wants {wanted}")]
pub(crate) struct Unfit {
    pub(crate) wanted: String,
    pub(crate) found: String,
}

/// A component's value as JSON. `contents` says whether bytes are shown, or only how many there are.
pub(crate) fn to_json(value: &Val, contents: bool) -> Value {
    let inner = |value: &Val| to_json(value, contents);
    let optional = |value: &Option<Box<Val>>| value.as_deref().map_or(Value::Null, inner);
    let case = |name: &str, value: Value| Value::Object(Map::from_iter([(name.to_owned(), value)]));
    match value {
        Val::Bool(value) => (*value).into(),
        Val::S8(value) => (*value).into(),
        Val::U8(value) => (*value).into(),
        Val::S16(value) => (*value).into(),
        Val::U16(value) => (*value).into(),
        Val::S32(value) => (*value).into(),
        Val::U32(value) => (*value).into(),
        Val::S64(value) => (*value).into(),
        Val::U64(value) => (*value).into(),
        Val::Float32(value) => float((*value).into()),
        Val::Float64(value) => float(*value),
        Val::Char(value) => value.to_string().into(),
        Val::String(value) | Val::Enum(value) => value.as_str().into(),
        Val::List(items) | Val::FixedLengthList(items) => match all_bytes(items) {
            Some(those) => bytes(&those, contents),
            None => items.iter().map(inner).collect(),
        },
        Val::Tuple(items) => items.iter().map(inner).collect(),
        Val::Record(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), inner(value))).collect())
        }
        Val::Variant(name, None) => name.as_str().into(),
        Val::Variant(name, Some(value)) => case(name, inner(value)),
        Val::Option(None) => Value::Null,
        Val::Option(Some(value)) => match inner(value) {
            Value::Null => case("some", Value::Null),
            value => value,
        },
        Val::Result(Ok(value)) => case("ok", optional(value)),
        Val::Result(Err(value)) => case("err", optional(value)),
        Val::Flags(names) => names.iter().map(String::as_str).collect(),
        Val::Map(_) | Val::Resource(_) | Val::Future(_) | Val::Stream(_) | Val::ErrorContext(_) => {
            "(a handle)".into()
        }
    }
}

/// The bytes of a list of nothing else.
fn all_bytes(items: &[Val]) -> Option<Vec<u8>> {
    let byte = |value: &Val| if let Val::U8(byte) = value { Some(*byte) } else { None };
    if items.is_empty() { None } else { items.iter().map(byte).collect() }
}

/// A record's value as one of a component's type. Bytes that were left out become zeros.
///
/// # Errors
/// When it does not fit the type.
pub(crate) fn from_json(value: &Value, ty: &Type) -> Result<Val, Unfit> {
    let unfit = || Unfit { wanted: description(ty), found: cut(value.to_string(), LONGEST) };
    let items = || value.as_array().ok_or_else(unfit);
    let signed = || value.as_i64().ok_or_else(unfit);
    let unsigned = || value.as_u64().ok_or_else(unfit);
    let text = || value.as_str().ok_or_else(unfit);
    let payload = |value: &Value, ty: Option<Type>| match ty {
        Some(ty) => from_json(value, &ty).map(|value| Some(Box::new(value))),
        None => Ok(None),
    };
    Ok(match ty {
        Type::Bool => Val::Bool(value.as_bool().ok_or_else(unfit)?),
        Type::S8 => Val::S8(signed()?.try_into().map_err(|_| unfit())?),
        Type::U8 => Val::U8(unsigned()?.try_into().map_err(|_| unfit())?),
        Type::S16 => Val::S16(signed()?.try_into().map_err(|_| unfit())?),
        Type::U16 => Val::U16(unsigned()?.try_into().map_err(|_| unfit())?),
        Type::S32 => Val::S32(signed()?.try_into().map_err(|_| unfit())?),
        Type::U32 => Val::U32(unsigned()?.try_into().map_err(|_| unfit())?),
        Type::S64 => Val::S64(signed()?),
        Type::U64 => Val::U64(unsigned()?),
        Type::Float32 => Val::Float32(as_float(value).ok_or_else(unfit)? as f32),
        Type::Float64 => Val::Float64(as_float(value).ok_or_else(unfit)?),
        Type::Char => Val::Char(text()?.chars().next().ok_or_else(unfit)?),
        Type::String => Val::String(text()?.to_owned()),
        Type::List(list) if matches!(list.ty(), Type::U8) => {
            Val::List(as_bytes(value).ok_or_else(unfit)?.into_iter().map(Val::U8).collect())
        }
        Type::List(list) => {
            let element = list.ty();
            Val::List(items()?.iter().map(|item| from_json(item, &element)).collect::<Result<_, _>>()?)
        }
        Type::Tuple(tuple) => {
            let items = items()?;
            if items.len() != tuple.types().len() {
                return Err(unfit());
            }
            let fitted = items.iter().zip(tuple.types()).map(|(item, ty)| from_json(item, &ty));
            Val::Tuple(fitted.collect::<Result<_, _>>()?)
        }
        Type::Record(record) => {
            let fields = value.as_object().ok_or_else(unfit)?;
            let fitted = record.fields().map(|field| {
                let found = fields.get(field.name).unwrap_or(&Value::Null);
                Ok((field.name.to_owned(), from_json(found, &field.ty)?))
            });
            Val::Record(fitted.collect::<Result<_, Unfit>>()?)
        }
        Type::Enum(names) => {
            let name = text()?;
            names.names().find(|known| *known == name).ok_or_else(unfit)?;
            Val::Enum(name.to_owned())
        }
        Type::Variant(variant) => {
            let (name, inner) = match value {
                Value::String(name) => (name, &Value::Null),
                Value::Object(fields) if fields.len() == 1 => fields.iter().next().ok_or_else(unfit)?,
                _ => return Err(unfit()),
            };
            let case = variant.cases().find(|case| case.name == name).ok_or_else(unfit)?;
            Val::Variant(name.clone(), payload(inner, case.ty)?)
        }
        Type::Option(option) => {
            let inner = option.ty();
            // An option in an option that is none.
            let some_none = matches!(inner, Type::Option(_)) && value.get("some").is_some_and(Value::is_null);
            match value {
                Value::Null => Val::Option(None),
                _ if some_none => Val::Option(Some(Box::new(Val::Option(None)))),
                value => Val::Option(Some(Box::new(from_json(value, &inner)?))),
            }
        }
        Type::Result(result) => match (value.get("ok"), value.get("err")) {
            (Some(ok), None) => Val::Result(Ok(payload(ok, result.ok())?)),
            (None, Some(err)) => Val::Result(Err(payload(err, result.err())?)),
            _ => return Err(unfit()),
        },
        Type::Flags(flags) => {
            let names = items()?.iter().map(|name| {
                let name = name.as_str().ok_or_else(unfit)?;
                flags.names().find(|known| *known == name).map(str::to_owned).ok_or_else(unfit)
            });
            Val::Flags(names.collect::<Result<_, Unfit>>()?)
        }
        _ => return Err(unfit()),
    })
}

fn as_float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Bytes as they were shown, or as many zeros as there were.
fn as_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Array(items) => items.iter().map(|item| item.as_u64()?.try_into().ok()).collect(),
        Value::Object(fields) => match fields.get(BYTES)? {
            Value::String(hex) => unhex(hex),
            Value::Number(count) => {
                let count = count.as_u64().filter(|count| *count <= MOST_ZEROS)?;
                Some(vec![0; usize::try_from(count).ok()?])
            }
            _ => None,
        },
        _ => None,
    }
}

/// A type in a word or two.
fn description(ty: &Type) -> String {
    let one_of = |names: Vec<&str>| format!("one of {}", names.join(", "));
    match ty {
        Type::Record(record) => {
            let names: Vec<_> = record.fields().map(|field| field.name).collect();
            format!("a record of {}", names.join(", "))
        }
        Type::Variant(variant) => one_of(variant.cases().map(|case| case.name).collect()),
        Type::Enum(names) => one_of(names.names().collect()),
        Type::List(_) => "a list".to_owned(),
        Type::Tuple(tuple) => format!("a tuple of {}", tuple.types().len()),
        Type::Option(_) => "an option".to_owned(),
        Type::Result(_) => "a result".to_owned(),
        Type::Flags(_) => "flags".to_owned(),
        Type::Own(_) | Type::Borrow(_) => "a handle".to_owned(),
        other => format!("{other:?}").to_ascii_lowercase(),
    }
}

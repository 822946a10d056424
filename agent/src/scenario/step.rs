//! The steps of a scenario, as written and understood.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use driver_core::wire::Events;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use toml::Spanned;
use wasmtime::component::Type;
use wasmtime::component::types::ComponentFunc;

use super::check::STATE;
use super::pattern;
use crate::config::{Bytes, Span};
use crate::grants;
use crate::replay::stage::{Functions, Prompter, Stage};

/// One step.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its line in the file, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Something happens to the plugin.
    Happens(Happening),
    /// The plugin asks for something while that is so.
    Expect(Expected),
    /// What the plugin is answered from now on.
    Answer(Standing),
    /// A buffer of this name has these bytes.
    Buffer(String, Vec<u8>),
    /// Something is so.
    Check(Check),
}

/// Something that happens, and how the plugin is to take it.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) what: What,
    /// The plugin returns an error with this text in it.
    pub(super) fails: Option<String>,
    /// Its call ends with a fault with this text in it.
    pub(super) faults: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) enum What {
    Start,
    Restart,
    Replace,
    Events(Events),
    Hint(Vec<Value>),
    Seamless(Value),
    Windows(Value),
    Call(String, Vec<Value>),
    Advance(Duration),
}

/// A host call that is expected.
#[derive(Debug, Clone)]
pub(super) struct Expected {
    /// The line of its step, from 1.
    pub(super) line: usize,
    pub(super) function: String,
    /// Any, if they are not given.
    pub(super) arguments: Option<Vec<Value>>,
    /// The usual one, if it is not given.
    pub(super) answer: Option<Value>,
    /// A name for what it is answered with.
    pub(super) name: Option<String>,
}

/// An answer to a function whenever it is called.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) function: String,
    pub(super) arguments: Option<Vec<Value>>,
    pub(super) answer: Value,
}

#[derive(Debug, Clone)]
pub(super) enum Check {
    /// None of these functions was called: whole names, or beginnings with a `*`.
    None(Vec<String>),
    /// A line of the log has this text, at this level if one is given.
    Log(String, Option<String>),
    /// No line of the log is of this level or a more important one.
    NoLog(String),
    /// Of the plugin this is known.
    State(Value),
    /// What happened last took no more than this.
    Within(BTreeMap<String, u64>),
    /// A buffer has these bytes.
    Buffer(String, Vec<u8>),
}

/// A step as written: one key that says what it is, and others that say more.
pub(super) type StepTable = BTreeMap<Spanned<String>, Spanned<toml::Value>>;

/// What a step can be, and what more can be said of each.
const KINDS: [(&str, &[&str]); 18] = [
    ("start", &OUTCOME),
    ("restart", &OUTCOME),
    ("replace", &OUTCOME),
    ("events", &OUTCOME),
    ("hint", &OUTCOME),
    ("seamless", &OUTCOME),
    ("windows", &OUTCOME),
    ("call", &["arguments", "fails", "faults"]),
    ("advance", &OUTCOME),
    ("expect", &["arguments", "ok", "err", "as"]),
    ("answer", &["arguments", "ok", "err"]),
    ("buffer", &CONTENT),
    ("expect-none", &[]),
    ("expect-log", &["level"]),
    ("expect-no-log", &[]),
    ("expect-state", &[]),
    ("expect-within", &[]),
    ("expect-buffer", &CONTENT),
];

const OUTCOME: [&str; 2] = ["fails", "faults"];
const CONTENT: [&str; 2] = ["text", "bytes"];

/// The levels of the log, the least important first.
pub(super) const LEVELS: [&str; 5] = ["trace", "debug", "info", "warn", "error"];

/// What can be held to a limit by `expect-within`.
pub(super) const WITHIN: [&str; 6] = ["calls", "host-calls", "requests", "instructions", "memory", "log"];

/// What is wrong, and where.
pub(super) type Wrong = Spanned<String>;

/// A step while it is being understood.
struct Reader<'a> {
    fields: &'a StepTable,
    imports: &'a Functions,
    line: usize,
}

/// Understands a step for a plugin.
///
/// # Errors
/// What is wrong with it.
pub(super) fn understand<P: Prompter>(
    step: &Spanned<StepTable>,
    stage: &Stage<P>,
    line: impl Fn(usize) -> usize,
) -> Result<Step, Wrong> {
    let fields = step.get_ref();
    let known = |key: &Spanned<String>| KINDS.iter().find(|(kind, _)| *kind == key.get_ref());
    let mut kinds = fields.iter().filter_map(|(key, value)| Some((key, value, known(key)?)));
    let Some((key, value, (kind, more))) = kinds.next() else {
        let names: Vec<_> = KINDS.iter().map(|(kind, _)| format!("`{kind}`")).collect();
        return Err(Spanned::new(step.span(), format!("a step is one of {}", names.join(", "))));
    };
    if let Some((second, ..)) = kinds.next() {
        let text = format!("a step is one thing, and this is both `{kind}` and `{}`", second.get_ref());
        return Err(Spanned::new(second.span(), text));
    }
    if let Some(stray) =
        fields.keys().find(|other| *other != key && !more.contains(&other.get_ref().as_str()))
    {
        let also =
            if more.is_empty() { "nothing more".to_owned() } else { format!("`{}`", more.join("`, `")) };
        let text = format!("`{kind}` has no `{}`; it may have {also}", stray.get_ref());
        return Err(Spanned::new(stray.span(), text));
    }
    let line = line(key.span().start);
    let reader = Reader { fields, imports: stage.imports(), line };
    let kind = match *kind {
        "expect" => Kind::Expect(reader.expected(value)?),
        "answer" => Kind::Answer(reader.standing(value)?),
        "buffer" => Kind::Buffer(name(value)?, reader.content(value.span())?),
        "call" => reader.call(value, stage)?,
        kind if kind.starts_with("expect-") => Kind::Check(reader.check(kind, value)?),
        kind => reader.happens(kind, value)?,
    };
    Ok(Step { line, kind })
}

impl Reader<'_> {
    fn field(&self, name: &str) -> Option<&Spanned<toml::Value>> {
        self.fields.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Result<Option<String>, Wrong> {
        self.field(name).map(read).transpose()
    }

    fn happens(&self, kind: &str, value: &Spanned<toml::Value>) -> Result<Kind, Wrong> {
        let what = match kind {
            "start" => flag(value, What::Start)?,
            "restart" => flag(value, What::Restart)?,
            "replace" => flag(value, What::Replace)?,
            "events" => What::Events(events(value)?),
            "hint" => What::Hint(self.hints(value)?),
            "seamless" => What::Seamless(self.result("seamless.fetch", value)?),
            "windows" => What::Windows(self.result("windows.look", value)?),
            _ => What::Advance(read::<Span>(value)?.0),
        };
        self.happening(what)
    }

    fn happening(&self, what: What) -> Result<Kind, Wrong> {
        let (fails, faults) = (self.text("fails")?, self.text("faults")?);
        Ok(Kind::Happens(Happening { what, fails, faults }))
    }

    fn call<P: Prompter>(&self, value: &Spanned<toml::Value>, stage: &Stage<P>) -> Result<Kind, Wrong> {
        let function: String = read(value)?;
        let Some(ty) = stage.export(&function) else {
            let exports: Vec<_> = stage.exports().collect();
            let text = format!("the plugin does not export `{function}`; it exports {}", exports.join(", "));
            return Err(Spanned::new(value.span(), text));
        };
        let arguments = self.arguments(ty, value.span())?;
        self.happening(What::Call(function, arguments))
    }

    /// A function that the plugin imports.
    fn import(&self, value: &Spanned<toml::Value>) -> Result<(String, &ComponentFunc), Wrong> {
        let function: String = read(value)?;
        match self.imports.get(&function) {
            Some(ty) => Ok((function, ty)),
            None => {
                let imports: Vec<_> = self.imports.keys().map(String::as_str).collect();
                let text =
                    format!("the plugin does not import `{function}`; it imports {}", imports.join(", "));
                Err(Spanned::new(value.span(), text))
            }
        }
    }

    fn expected(&self, value: &Spanned<toml::Value>) -> Result<Expected, Wrong> {
        let (function, ty) = self.import(value)?;
        let arguments = self.given_arguments(ty)?;
        let (answer, name) = (self.answer(ty)?, self.text("as")?);
        Ok(Expected { line: self.line, function, arguments, answer, name })
    }

    fn standing(&self, value: &Spanned<toml::Value>) -> Result<Standing, Wrong> {
        let (function, ty) = self.import(value)?;
        let arguments = self.given_arguments(ty)?;
        let answer = self.answer(ty)?.or_else(|| usual(ty)).ok_or_else(|| {
            Spanned::new(value.span(), format!("`{function}` is answered with `ok` or `err`"))
        })?;
        Ok(Standing { function, arguments, answer })
    }

    /// The arguments of a function, at a place where they are missing if they are.
    fn arguments(&self, ty: &ComponentFunc, place: Range<usize>) -> Result<Vec<Value>, Wrong> {
        let (items, place) = match self.field("arguments") {
            Some(field) => (read::<Vec<toml::Value>>(field)?, field.span()),
            None => (Vec::new(), place),
        };
        let wrong = |text: String| Spanned::new(place.clone(), text);
        let wanted: Vec<_> = ty.params().map(|(name, _)| name.to_owned()).collect();
        if items.len() != wanted.len() {
            let wanted = if wanted.is_empty() { "none".to_owned() } else { wanted.join(", ") };
            return Err(wrong(format!("found {} arguments, expected {wanted}", items.len())));
        }
        let values = items.iter().zip(ty.params()).map(|(item, (name, ty))| {
            let value = pattern::of_toml(item)?;
            pattern::fits(&value, &ty).map_err(|error| format!("`{name}`: {error}"))?;
            Ok(value)
        });
        values.collect::<Result<_, String>>().map_err(wrong)
    }

    /// The arguments of a function, if any are given.
    fn given_arguments(&self, ty: &ComponentFunc) -> Result<Option<Vec<Value>>, Wrong> {
        self.field("arguments").map(|field| self.arguments(ty, field.span())).transpose()
    }

    /// What a function is to be answered with, if that is said.
    fn answer(&self, ty: &ComponentFunc) -> Result<Option<Value>, Wrong> {
        let (case, field) = match (self.field("ok"), self.field("err")) {
            (None, None) => return Ok(None),
            (Some(_), Some(err)) => {
                return Err(Spanned::new(err.span(), "an answer is `ok` or `err`, not both".to_owned()));
            }
            (Some(ok), None) => ("ok", ok),
            (None, Some(err)) => ("err", err),
        };
        let value = pattern::of_toml(field.get_ref()).and_then(|value| {
            let answer = json!({ case: value });
            match ty.results().next() {
                // A success without a value has nothing to fit.
                Some(Type::Result(result)) if case == "ok" && result.ok().is_none() => {
                    Ok(json!({"ok": null}))
                }
                Some(ty) => pattern::fits(&answer, &ty).map(|()| answer),
                None => Err("this function returns nothing".to_owned()),
            }
        });
        value.map(Some).map_err(|error| Spanned::new(field.span(), error))
    }

    /// A value that a function of this name succeeds with.
    fn result(&self, function: &str, value: &Spanned<toml::Value>) -> Result<Value, Wrong> {
        self.fitting(function, value.span(), pattern::of_toml(value.get_ref()))
    }

    fn fitting(
        &self,
        function: &str,
        place: Range<usize>,
        value: Result<Value, String>,
    ) -> Result<Value, Wrong> {
        let ty = self.imports.get(function).and_then(|ty| ty.results().next());
        let fitted = ty.ok_or_else(|| format!("the plugin does not import `{function}`")).and_then(|ty| {
            let answer = json!({ "ok": value? });
            pattern::fits(&answer, &ty).map(|()| answer)
        });
        fitted.map_err(|error| Spanned::new(place, error))
    }

    /// What the host wants of one display, or of several.
    fn hints(&self, value: &Spanned<toml::Value>) -> Result<Vec<Value>, Wrong> {
        let wrong = |error: String| Spanned::new(value.span(), error);
        let mut changes = match pattern::of_toml(value.get_ref()).map_err(wrong)? {
            Value::Array(changes) => changes,
            change => vec![change],
        };
        for change in changes.iter_mut().filter_map(Value::as_object_mut) {
            change.entry("id").or_insert(json!(0));
            for flag in ["disabled", "primary"] {
                change.entry(flag).or_insert(json!(false));
            }
        }
        let wishes = json!({ "changes": changes, "announced": changes.len() });
        self.fitting("display.fetch", value.span(), Ok(wishes)).map(|_| changes)
    }

    fn check(&self, kind: &str, value: &Spanned<toml::Value>) -> Result<Check, Wrong> {
        let wrong = |error: String| Spanned::new(value.span(), error);
        Ok(match kind {
            "expect-none" => Check::None(read(value)?),
            "expect-log" => {
                let level = self.field("level").map(level).transpose()?;
                Check::Log(read(value)?, level)
            }
            "expect-no-log" => Check::NoLog(level(value)?),
            "expect-state" => {
                let state = pattern::of_toml(value.get_ref()).map_err(wrong)?;
                let keys = state.as_object().into_iter().flat_map(|fields| fields.keys());
                known(keys, &STATE).map_err(wrong)?;
                Check::State(state)
            }
            "expect-buffer" => Check::Buffer(name(value)?, self.content(value.span())?),
            _ => Check::Within(within(value)?),
        })
    }

    /// The bytes that a step has as `text` or `bytes`.
    fn content(&self, place: Range<usize>) -> Result<Vec<u8>, Wrong> {
        match (self.text("text")?, self.text("bytes")?) {
            (Some(text), None) => Ok(text.into_bytes()),
            (None, Some(hex)) => pattern::as_bytes(&json!({"$bytes": hex}))
                .ok_or_else(|| Spanned::new(place, "`bytes` are pairs of hexadecimal digits".to_owned())),
            _ => Err(Spanned::new(place, "a buffer's content is its `text` or its `bytes`".to_owned())),
        }
    }
}

/// What a function that can succeed with nothing is answered with unless something else is said.
pub(super) fn usual(ty: &ComponentFunc) -> Option<Value> {
    match ty.results().next() {
        None => Some(Value::Null),
        Some(Type::Result(result)) if result.ok().is_none() => Some(json!({"ok": null})),
        Some(_) => None,
    }
}

fn read<T: DeserializeOwned>(value: &Spanned<toml::Value>) -> Result<T, Wrong> {
    T::deserialize(value.get_ref().clone())
        .map_err(|error| Spanned::new(value.span(), error.message().to_owned()))
}

fn flag(value: &Spanned<toml::Value>, what: What) -> Result<What, Wrong> {
    match value.get_ref() {
        toml::Value::Boolean(true) => Ok(what),
        _ => Err(Spanned::new(value.span(), "expected `true`: a step that does nothing can go".to_owned())),
    }
}

fn name(value: &Spanned<toml::Value>) -> Result<String, Wrong> {
    let name: String = read(value)?;
    Ok(name.trim_start_matches('$').to_owned())
}

fn events(value: &Spanned<toml::Value>) -> Result<Events, Wrong> {
    let names: Vec<String> = read(value)?;
    let grantable = grants::event_names();
    known(&names, &grantable).map_err(|error| Spanned::new(value.span(), error))?;
    Ok(names.iter().filter_map(|name| Events::from_name(name)).collect())
}

fn level(value: &Spanned<toml::Value>) -> Result<String, Wrong> {
    let level: String = read(value)?;
    known([&level], &LEVELS).map_err(|error| Spanned::new(value.span(), error))?;
    Ok(level)
}

/// A count, or a size with its unit.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a count, or a size with its unit, such as \"64 KiB\"")]
enum Most {
    Count(u64),
    Size(Bytes),
}

fn within(value: &Spanned<toml::Value>) -> Result<BTreeMap<String, u64>, Wrong> {
    let limits: BTreeMap<String, Most> = read(value)?;
    known(limits.keys(), &WITHIN).map_err(|error| Spanned::new(value.span(), error))?;
    let number = |most| match most {
        Most::Count(count) => count,
        Most::Size(size) => size.0,
    };
    Ok(limits.into_iter().map(|(name, most)| (name, number(most))).collect())
}

fn known<'a>(names: impl IntoIterator<Item = &'a String>, known: &[&str]) -> Result<(), String> {
    match names.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("there is no `{name}`; there are `{}`", known.join("`, `"))),
        None => Ok(()),
    }
}

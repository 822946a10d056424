//! A record as a scenario: what a plugin was called with becomes what happens, what it asked for becomes what is
//! expected, and what it was answered the answers.
//!
//! What is the agent's own is not expected, so that the plugin may come to use it otherwise; but what buffers
//! held is, because a record does not say how they came to hold it. Time passes as it did.

use std::fmt::Write;
use std::io::BufRead;
use std::path::Path;

use driver_core::wire::{Capabilities, Events};
use serde_json::Value;

use crate::control::protocol::Recorded;
use crate::grants::{self, GrantKey};
use crate::observe::values::BYTES;
use crate::replay::record::{Asked, Call, INIT, Record, RecordError};
use crate::sandbox::admission;
use crate::sandbox::surface::Surface;

/// What is not expected: the agent's own, as far as a scenario has it.
const LEFT_OUT: [&str; 6] = ["log.", "clock.", "timers.", "buffers.create", "buffers.write", "buffers.drop"];

/// What the plugin was answered with a number that a scenario gives by itself, in the same order.
const NUMBERED: [&str; 3] = ["hgcm.submit", "properties.watch", "clipboard.read"];

/// Makes a scenario of what a record has of a plugin, for a component that is at a path and has this surface. The
/// grants are what the component needs and the plugin did.
///
/// # Errors
/// When the record is wrong.
pub fn from_record<R: BufRead>(
    record: &mut Record<R>,
    plugin: &Recorded,
    component: &Path,
    surface: &Surface,
) -> Result<String, RecordError> {
    let mut calls = Vec::new();
    while let Some(call) = record.next_call(&plugin.name)? {
        // What comes before belongs to an instance whose beginning was not recorded.
        if call.end.is_some() && (!calls.is_empty() || call.function == INIT) {
            calls.push(call);
        }
    }
    let mut text = format!("# From a record of {}, on {}.\n", plugin.name, record.header.driver);
    let _ = writeln!(text, "[plugins.{}]", plugin.name);
    let _ = writeln!(text, "component = {}", quoted(&component.to_string_lossy()));
    let _ = writeln!(text, "limits = {{ memory = \"{} B\" }}", plugin.memory);
    if plugin.config.as_object().is_some_and(|config| !config.is_empty()) {
        let _ = writeln!(text, "config = {}", toml(&plugin.config));
    }
    let _ = writeln!(text, "\n[plugins.{}.grants]", plugin.name);
    for (key, value) in needed(&calls, surface) {
        let _ = writeln!(text, "{key} = {value}");
    }
    text.push_str("\n[[scenario]]\nname = \"as recorded\"\nsteps = [\n");
    let mut told = Told { text, now: calls.first().map_or(0, |call| call.at / 1000), sequel: Sequel::Start };
    calls.iter().for_each(|call| told.call(call));
    told.text.push_str("]\n");
    Ok(told.text)
}

/// What the next start of an instance is.
enum Sequel {
    /// The first.
    Start,
    /// One that somebody wants.
    Restart,
    /// It comes by itself, after a fault.
    Rebuilt,
    /// It belongs to what is told already.
    Replaced,
}

/// The scenario, as far as it is told.
struct Told {
    text: String,
    /// The time that it has come to, in microseconds.
    now: u64,
    sequel: Sequel,
}

impl Told {
    fn call(&mut self, call: &Call) {
        let end = call.end.as_ref().map(|end| &end.answer);
        let mut outcome = String::new();
        match end {
            Some(Err(_)) => outcome.push_str(", faults = \"\""),
            Some(Ok(said)) => {
                if let Some(reason) = said.get("err").and_then(Value::as_str) {
                    let _ = write!(outcome, ", fails = {}", quoted(reason));
                }
            }
            None => {}
        }
        let passed = (call.at.div_ceil(1000)).saturating_sub(self.now);
        self.now += passed;
        let comes_by_itself = call.function == "timer-events.on-timer"
            || call.function == INIT && matches!(self.sequel, Sequel::Rebuilt);
        if comes_by_itself {
            let _ = writeln!(self.text, "  {{ advance = \"{passed} us\"{outcome} }},");
        } else if passed > 0 {
            let _ = writeln!(self.text, "  {{ advance = \"{passed} us\" }},");
        }
        if !comes_by_itself {
            let step = self.step(call);
            if !step.is_empty() {
                let _ = writeln!(self.text, "  {{ {step}{outcome} }},");
            }
        }
        for asked in call.asked.iter().filter(|asked| is_told(&asked.function)) {
            let _ = writeln!(self.text, "    {{ {} }},", expectation(asked));
        }
        self.sequel = match end {
            Some(Err(_)) => Sequel::Rebuilt,
            _ if call.function == "hand-over.save" => Sequel::Replaced,
            _ => Sequel::Restart,
        };
    }

    /// What happens, but for its outcome; nothing for what belongs to what is told already.
    fn step(&mut self, call: &Call) -> String {
        let bits = call.arguments.first().and_then(Value::as_u64);
        let numbered = match call.function.as_str() {
            INIT => {
                return match self.sequel {
                    Sequel::Start => "start = true".to_owned(),
                    Sequel::Replaced => String::new(),
                    _ => "restart = true".to_owned(),
                };
            }
            "hand-over.save" => return "replace = true".to_owned(),
            "hand-over.restore" => return String::new(),
            "host-events.on-host-events" => {
                let events = Events::from_bits_retain(bits.unwrap_or(0) as u32);
                let names: Vec<_> = events.iter().filter_map(Events::name).collect();
                return format!("events = {}", list(&names));
            }
            "clipboard-events.on-read" => {
                call.arguments.get(1).and_then(|outcome| outcome.get("ok")?.as_u64())
            }
            "clipboard-events.on-wanted" => bits,
            _ => None,
        };
        if let Some(number) = numbered {
            // It has the next number, as it had.
            let _ = writeln!(self.text, "  {{ buffer = \"number-{number}\", bytes = \"\" }},");
        }
        let arguments: Vec<_> = call.arguments.iter().map(toml).collect();
        format!("call = {}, arguments = [{}]", quoted(&call.function), arguments.join(", "))
    }
}

fn is_told(function: &str) -> bool {
    !LEFT_OUT.iter().any(|start| function.starts_with(start))
}

fn expectation(asked: &Asked) -> String {
    let Asked { function, arguments, answer, .. } = asked;
    let arguments: Vec<_> = arguments.iter().map(toml).collect();
    let mut text = format!("expect = {}", quoted(function));
    if !arguments.is_empty() {
        let _ = write!(text, ", arguments = [{}]", arguments.join(", "));
    }
    let Ok(answer) = answer else { return text };
    match (answer.get("ok"), answer.get("err")) {
        (Some(ok), _) if !ok.is_null() && !NUMBERED.contains(&function.as_str()) => {
            let _ = write!(text, ", ok = {}", toml(ok));
        }
        (None, Some(err)) => {
            let _ = write!(text, ", err = {}", toml(err));
        }
        // A success with nothing is what is answered anyway, unless nothing was a choice.
        (Some(Value::Null), _) if function == "properties.get" => text.push_str(", ok = \"$none\""),
        _ => {}
    }
    text
}

/// The grants that the component needs to be admitted, and the plugin for what it did.
fn needed(calls: &[Call], surface: &Surface) -> Vec<(&'static str, String)> {
    let subscription = calls.iter().find_map(|call| call.end.as_ref()?.answer.as_ref().ok()?.get("ok"));
    let bits = |name| subscription.and_then(|all| all.get(name)).and_then(Value::as_u64).unwrap_or(0) as u32;
    let events: Vec<_> = Events::from_bits_truncate(bits("events")).iter().filter_map(Events::name).collect();
    let mut capabilities = Capabilities::from_bits_truncate(bits("capabilities"));
    let mut requests: Vec<&str> = Vec::new();
    let mut services = Vec::new();
    let (mut read, mut write) = (Vec::new(), Vec::new());
    let mut primary = false;
    for asked in calls.iter().flat_map(|call| &call.asked) {
        let first = asked.arguments.first();
        let text = first.and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |index: usize| asked.arguments.get(index).and_then(Value::as_u64).unwrap_or(0) as u32;
        match asked.function.as_str() {
            "guest.change-capabilities" => {
                capabilities |= Capabilities::from_bits_truncate(number(0) | number(1));
            }
            "raw-requests.submit" => {
                let name = driver_core::wire::RequestType(number(0)).name();
                requests.extend(name.filter(|name| grants::request_names().contains(name)));
            }
            "hgcm.connect" => services.push(text),
            "properties.get" | "properties.watch" => read.push(text),
            "properties.set" | "properties.delete" => write.push(text),
            "clipboard.watch" | "clipboard.read" | "clipboard.offer" => primary |= text == "primary",
            _ => {}
        }
    }
    for names in [&mut services, &mut read, &mut write] {
        names.sort();
        names.dedup();
    }
    requests.sort_unstable();
    requests.dedup();
    let imported = |key| {
        let offered = surface.imports.keys().filter_map(admission::offered);
        let names: Vec<_> = offered.filter(|(i, _)| i.key == Some(key)).map(|(i, _)| i.name).collect();
        names
    };
    let capabilities: Vec<_> = capabilities.iter().filter_map(Capabilities::name).collect();
    let mut lines = vec![
        ("events", list(&events)),
        ("capabilities", list(&capabilities)),
        ("requests", list(&imported(GrantKey::Requests))),
        ("desktop", list(&imported(GrantKey::Desktop))),
    ];
    // An interface is linked only where something of it is granted.
    if !imported(GrantKey::RawRequests).is_empty() {
        if requests.is_empty() {
            requests.extend(grants::request_names());
        }
        lines.push(("raw-requests", list(&requests)));
    }
    if !imported(GrantKey::Hgcm).is_empty() {
        if services.is_empty() {
            services.push("VBoxGuestPropSvc".to_owned());
        }
        let services: Vec<_> = services.iter().map(|name| format!("{} = \"all\"", quoted(name))).collect();
        lines.push(("hgcm", format!("{{ {} }}", services.join(", "))));
    }
    if !imported(GrantKey::Properties).is_empty() {
        if read.is_empty() && write.is_empty() {
            read.push("*".to_owned());
        }
        lines.push(("properties", format!("{{ read = {}, write = {} }}", list(&read), list(&write))));
    }
    if primary {
        lines.push(("clipboard", "{ primary = true }".to_owned()));
    }
    lines.retain(|(_, value)| value != "[]");
    lines
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<_> = names.iter().map(|name| quoted(name.as_ref())).collect();
    format!("[{}]", names.join(", "))
}

/// A string of TOML, which escapes as JSON does.
fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string().replace('\u{7f}', "\\u007f")
}

/// A value as scenarios write it, in one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Null => quoted("$none"),
        Value::String(text) if text.starts_with('$') => quoted(&format!("${text}")),
        Value::String(text) => quoted(text),
        // TOML's integers have a sign.
        Value::Number(number) if number.as_i64().is_none() && number.is_u64() => {
            format!("{{ \"$number\" = \"{number}\" }}")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let is_bare = |name: &str| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            };
            let spoken_of = fields.iter().filter(|(_, field)| !field.is_null());
            let fields: Vec<_> = spoken_of
                .map(|(name, field)| match field {
                    Value::String(hex) if name == BYTES => format!("\"{BYTES}\" = {}", quoted(hex)),
                    _ if is_bare(name) => format!("{name} = {}", toml(field)),
                    _ => format!("{} = {}", quoted(name), toml(field)),
                })
                .collect();
            if fields.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", fields.join(", ")) }
        }
    }
}

//! `vmmdev ctl`: says a line to a host that serves, and shows what it answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use super::ControlOption;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    control: ControlOption,
    /// Show the answer as one line of JSON; may also stand after the words
    #[arg(long)]
    json: bool,
    /// What to say; `help` lists the words
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Reply {
    Ok(Value),
    Error(String),
}

pub(super) fn ctl(options: &Options) -> Result<()> {
    let path = options.control.path().context("No socket is known; name the host's with --control PATH")?;
    let (flags, words): (Vec<_>, Vec<_>) = options.words.iter().partition(|word| *word == "--json");
    let mut line = words.into_iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
    if line.contains('\n') {
        bail!("The words contain a line break; say one line at a time");
    }
    line.push('\n');
    let mut stream = UnixStream::connect(&path).with_context(|| {
        format!("No host can be reached at {}; is `vmmdev serve` running with this control", path.display())
    })?;
    stream.write_all(line.as_bytes()).context("Cannot speak to the host")?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).context("Cannot hear the host")?;
    match serde_json::from_str(&reply).context("Host ended before it answered")? {
        Reply::Error(error) => bail!("{error}"),
        Reply::Ok(answer) if options.json || !flags.is_empty() => print(&answer.to_string()),
        Reply::Ok(answer) => print(&readable(&answer)?),
    }
}

/// A word as it is said: in quotes when it has blanks itself.
fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains(char::is_whitespace) {
        format!("\"{word}\"")
    } else {
        word.to_owned()
    }
}

/// Prints without a panic when nobody reads.
fn print(text: &str) -> Result<()> {
    let text = if text.is_empty() { String::new() } else { format!("{text}\n") };
    std::io::stdout().write_all(text.as_bytes()).context("Cannot write to standard output")
}

/// The answer for people: a text as it is, a list line by line, all else spread out.
fn readable(answer: &Value) -> Result<String> {
    if let Some(words) = answer.get("words").and_then(Value::as_array) {
        let text = |word: &Value, at| word.get(at).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lines = words.iter().map(|word| format!("{}\n    {}", text(word, 0), text(word, 1)));
        return Ok(lines.collect::<Vec<_>>().join("\n"));
    }
    for list in ["requests", "properties"] {
        if let Some(lines) = answer.get(list).and_then(Value::as_array) {
            return Ok(lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"));
        }
    }
    if let Some(text) = answer.get("text").and_then(Value::as_str) {
        return Ok(text.to_owned());
    }
    match answer.as_object() {
        Some(fields) if fields.is_empty() => Ok(String::new()),
        _ => serde_json::to_string_pretty(answer).context("Cannot show the answer"),
    }
}

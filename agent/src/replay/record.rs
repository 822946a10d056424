//! A record, as it is read back: the calls of one plugin, each with what it asked for meanwhile.

use std::io::{BufRead, Read};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::control::protocol::{Header, LONGEST_LINE, Line, RECORD_VERSION};
use crate::observe::What;

/// The export with which a record of a plugin begins.
pub(crate) const INIT: &str = "lifecycle.init";

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file cannot be read.
    #[error("Cannot read the record: {0}")]
    Unreadable(#[from] std::io::Error),
    /// It is not a record.
    #[error("Line {line} is not one of a record: {reason}")]
    Wrong {
        /// Which line, from 1.
        line: u64,
        /// Why.
        reason: String,
    },
    /// It is of another version.
    #[error("Record is of version {0}; this program reads {RECORD_VERSION}")]
    Version(u64),
    /// It is not whole.
    #[error("Record has a gap: {lost} lines are missing at line {line}, and nothing after can be replayed")]
    Gap {
        /// Which line says so.
        line: u64,
        /// How many are missing.
        lost: u64,
    },
}

/// A record that is being read.
pub struct Record<R> {
    lines: Lines<R>,
    /// What it says of itself.
    pub header: Header,
}

/// The lines of a record, each a JSON value.
struct Lines<R> {
    reader: R,
    /// The number of the last one.
    number: u64,
}

/// One call of an export.
#[derive(Debug)]
pub(crate) struct Call {
    /// In which line it stands.
    pub(crate) line: u64,
    /// When it began, in nanoseconds since the agent started.
    pub(crate) at: u64,
    pub(crate) function: String,
    pub(crate) arguments: Vec<Value>,
    /// What it asked for.
    pub(crate) asked: Vec<Asked>,
    /// What came of it; nothing if the record ends before.
    pub(crate) end: Option<End>,
}

/// One host call.
#[derive(Debug)]
pub(crate) struct Asked {
    /// In which line it stands.
    pub(crate) line: u64,
    /// When it had ended, in nanoseconds since the agent started.
    pub(crate) at: u64,
    pub(crate) function: String,
    pub(crate) arguments: Vec<Value>,
    /// What it returned, or the trap that ended it.
    pub(crate) answer: Result<Value, String>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct End {
    /// In which line it stands.
    pub(crate) line: u64,
    /// What the plugin returned, or the fault that ended it.
    pub(crate) answer: Result<Value, String>,
}

impl<R: BufRead> Record<R> {
    /// Begins to read a record.
    ///
    /// # Errors
    /// When it has no header of this version.
    pub fn open(reader: R) -> Result<Self, RecordError> {
        let mut lines = Lines { reader, number: 0 };
        let first: Value = lines.next()?.ok_or_else(|| lines.wrong("the file is empty"))?;
        match first.get("bellhop-record").and_then(Value::as_u64) {
            Some(version) if version == u64::from(RECORD_VERSION) => {}
            Some(version) => return Err(RecordError::Version(version)),
            None => return Err(lines.wrong("a record begins with its version, \"bellhop-record\"")),
        }
        let header = serde_json::from_value(first).map_err(|error| lines.wrong(error))?;
        Ok(Self { lines, header })
    }

    /// The next call of a plugin, with all that belongs to it.
    pub(crate) fn next_call(&mut self, plugin: &str) -> Result<Option<Call>, RecordError> {
        let mut current: Option<Call> = None;
        while let Some(line) = self.lines.next()? {
            let notice = match line {
                Line::Lost { lost } => return Err(RecordError::Gap { line: self.lines.number, lost }),
                Line::Notice(notice) if notice.plugin == plugin => notice,
                Line::Notice(_) => continue,
            };
            let (line, at) = (self.lines.number, notice.at);
            match (notice.what, &mut current) {
                (What::Call { function, arguments }, None) => {
                    current = Some(Call { line, at, function, arguments, asked: Vec::new(), end: None });
                }
                (What::Call { .. }, Some(_)) => return Err(self.lines.wrong("a call within a call")),
                (What::Host { function, arguments, result, fault, .. }, Some(call)) => {
                    let answer = fault.map_or(Ok(result), Err);
                    call.asked.push(Asked { line, at, function, arguments, answer });
                }
                (What::Return { result, fault, .. }, Some(_)) => {
                    let end = End { line, answer: fault.map_or(Ok(result), Err) };
                    return Ok(current.map(|call| Call { end: Some(end), ..call }));
                }
                // What a plugin was doing when the record began, and what it reached by its host calls.
                _ => {}
            }
        }
        Ok(current)
    }
}

impl<R: BufRead> Lines<R> {
    fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, RecordError> {
        let mut line = Vec::new();
        (&mut self.reader).take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        // Whoever recorded may have been stopped in the middle of a line.
        if line.last() != Some(&b'\n') && (line.len() as u64) < LONGEST_LINE {
            return Ok(None);
        }
        self.number += 1;
        serde_json::from_slice(&line).map(Some).map_err(|error| self.wrong(error))
    }

    fn wrong(&self, reason: impl ToString) -> RecordError {
        RecordError::Wrong { line: self.number.max(1), reason: reason.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = r#"{"bellhop-record":1,"agent":"0","contract":"c","driver":"d","started":0,"contents":false,"plugins":[]}"#;

    fn read(lines: &[&str]) -> Result<Option<Call>, RecordError> {
        let text = format!("{HEADER}\n{}\n", lines.join("\n"));
        Record::open(text.as_bytes())?.next_call("p")
    }

    #[test]
    fn a_call_has_what_the_plugin_asked_for_meanwhile() {
        let call = read(&[
            r#"{"at":1,"plugin":"p","return":{"function":"old","took":1}}"#,
            r#"{"at":2,"plugin":"p","call":{"function":"f","arguments":[4]}}"#,
            r#"{"at":3,"plugin":"other","call":{"function":"g","arguments":[]}}"#,
            r#"{"at":4,"plugin":"p","host":{"function":"h","arguments":[],"result":{"ok":1},"took":1}}"#,
            r#"{"at":5,"plugin":"p","return":{"function":"f","fault":"trap","took":3}}"#,
        ]);

        let call = call.expect("a record").expect("a call");
        assert_eq!((call.line, call.function.as_str(), call.asked.len()), (3, "f", 1));
        assert_eq!(call.end.expect("an end").answer, Err("trap".to_owned()));
    }

    #[test]
    fn what_is_no_record_is_refused_with_its_place() {
        let error = |text: &str| Record::open(text.as_bytes()).map(drop).expect_err(text).to_string();

        assert!(error("").contains("the file is empty"));
        assert!(error("nonsense\n").starts_with("Line 1 is not one of a record"));
        assert!(error("{}\n").contains("begins with its version"));
        assert!(error("{\"bellhop-record\":7}\n").contains("version 7"));
        let gap = read(&[r#"{"lost":3}"#]).map(drop).expect_err("a gap").to_string();
        assert!(gap.contains("3 lines are missing at line 2"), "{gap}");
        assert!(read(&["{}"]).is_err());
    }
}

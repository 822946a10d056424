//! What is said over the control socket: one JSON object a line, each way.
//!
//! A client asks, as `{"bellhop": 1, "ask": "status"}`, and is answered with one [`Reply`], in the order
//! of its requests. What it asks for by [`Ask::Trace`] and [`Ask::Record`] is answered by a [`Reply`] that
//! says that it begins, and then by one [`Line`] for each thing that happens until it hangs up.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::status::Status;
use crate::observe::Notice;

/// The version of the protocol. An agent answers requests of this one only, and a reply names it.
pub const VERSION: u32 = 1;

/// The version of a record's form.
pub const RECORD_VERSION: u32 = 1;

/// The longest request, in bytes.
pub const LONGEST_REQUEST: usize = 16 << 10;

/// The longest line of a reply or a record, in bytes: a call recorded with contents, and then some.
pub const LONGEST_LINE: u64 = 64 << 20;

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub bellhop: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What a client can ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// How the agent and its plugins are.
    Status,
    /// What happens from now on.
    Trace {
        /// The plugins; none for all, and the agent itself.
        #[serde(default)]
        plugins: BTreeSet<String>,
    },
    /// The same, of plugins that are started anew for it, with what a replay needs.
    Record {
        /// The plugins; none for all.
        #[serde(default)]
        plugins: BTreeSet<String>,
        /// Whether bytes are shown, or only how many there were.
        #[serde(default)]
        contents: bool,
    },
    /// To read the configuration again.
    Reload,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`].
    pub bellhop: u32,
    /// What is answered.
    #[serde(flatten)]
    pub said: Said,
}

/// What an agent answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// How the agent and its plugins are.
    Status(Box<Status>),
    /// Lines follow.
    Tracing(Follows),
    /// Lines follow, of these plugins.
    Recording(Header),
    /// What came of reading the configuration again.
    Reloaded(Reloaded),
    /// The request was not understood, or came to nothing.
    Error(String),
}

/// What came of reading the configuration again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Whether all is as the configuration wants it.
    pub well: bool,
    /// What became of each plugin, and what else is to be known, a line each.
    pub lines: Vec<String>,
}

/// How a trace begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Follows {
    /// When the agent started, in nanoseconds since the Unix epoch: the zero of a notice's time.
    pub started: u64,
}

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// So many are missing here, because the reader was slow.
    Lost {
        /// How many.
        lost: u64,
    },
    /// Something happened.
    Notice(Notice),
}

/// The first line of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Header {
    /// [`RECORD_VERSION`].
    pub bellhop_record: u32,
    /// The agent's version.
    pub agent: String,
    /// The package of the contract, with its version.
    pub contract: String,
    /// The driver and the host.
    pub driver: String,
    /// When the agent started, in nanoseconds since the Unix epoch: the zero of a notice's time.
    pub started: u64,
    /// Whether bytes are shown, or only how many there were.
    pub contents: bool,
    /// The plugins.
    pub plugins: Vec<Recorded>,
}

/// A plugin of a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recorded {
    /// Its name in `agent.toml`.
    pub name: String,
    /// The digest of its component, in hexadecimal.
    pub sha256: String,
    /// What it was told.
    pub config: Value,
    /// What it may do, in words.
    pub grants: Vec<String>,
    /// The memory that it may use, in bytes.
    pub memory: u64,
}

impl Reply {
    /// A reply of this version.
    #[must_use]
    pub fn new(said: Said) -> Self {
        Self { bellhop: VERSION, said }
    }
}

impl Request {
    /// A request of this version.
    #[must_use]
    pub fn new(ask: Ask) -> Self {
        Self { bellhop: VERSION, ask }
    }

    /// Understands a line, or says what is wrong with it.
    ///
    /// # Errors
    /// The text for whoever sent it.
    pub fn parse(line: &[u8]) -> Result<Self, String> {
        // The version first: what else another one says need not be understood.
        let value: Value =
            serde_json::from_slice(line).map_err(|error| format!("Request is not JSON: {error}"))?;
        match value.get("bellhop").and_then(Value::as_u64) {
            Some(version) if version == u64::from(VERSION) => {}
            Some(version) => {
                return Err(format!("Request is of version {version}; this agent speaks {VERSION}"));
            }
            None => return Err(format!("Request has no version; say \"bellhop\": {VERSION}")),
        }
        serde_json::from_value(value).map_err(|error| format!("Cannot understand the request: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_and_others_are_told_why_not() {
        let parse = |line: &str| Request::parse(line.as_bytes());

        assert_eq!(parse(r#"{"bellhop":1,"ask":"status"}"#), Ok(Request::new(Ask::Status)));
        let trace = Ask::Trace { plugins: BTreeSet::from(["display".to_owned()]) };
        assert_eq!(
            parse(r#"{"bellhop":1,"ask":{"trace":{"plugins":["display"]}}}"#),
            Ok(Request::new(trace))
        );
        for (line, reason) in [
            ("", "Request is not JSON"),
            ("\u{0}", "Request is not JSON"),
            ("[]", "Request has no version"),
            (r#"{"ask":"status"}"#, "Request has no version"),
            (r#"{"bellhop":2,"ask":{"sing":[]}}"#, "version 2; this agent speaks 1"),
            (r#"{"bellhop":1,"ask":"sing"}"#, "unknown variant `sing`"),
            (r#"{"bellhop":1,"ask":"status","please":1}"#, "unknown field `please`"),
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.contains(reason), "{line}: {error}");
        }
    }

    #[test]
    fn a_reply_is_read_as_it_was_written() {
        let reply = Reply::new(Said::Error("no".into()));

        let line = serde_json::to_string(&reply).expect("JSON");

        assert_eq!(line, r#"{"bellhop":1,"error":"no"}"#);
        assert_eq!(serde_json::from_str::<Reply>(&line).expect("a reply"), reply);
    }
}

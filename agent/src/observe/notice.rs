//! What is told to those who listen: one JSON object each.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::values;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Nanoseconds since the agent started.
    pub at: u64,
    /// The plugin that it is about; [`AGENT`](super::AGENT) for the agent itself.
    pub plugin: String,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. Times are in nanoseconds, values as [`values`] spells them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// The host raised events, and the agent took them.
    Events(String),
    /// The plugin is called.
    Call {
        /// The export.
        function: String,
        /// What it is called with.
        arguments: Vec<Value>,
    },
    /// The call ended.
    Return {
        /// The export.
        function: String,
        /// What the plugin returned.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        /// The fault that ended it instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
        /// How long it took.
        took: u64,
    },
    /// The plugin called a host function, which returned.
    Host {
        /// The function.
        function: String,
        /// What it was called with.
        arguments: Vec<Value>,
        /// What it returned.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        result: Value,
        /// The trap that ended it instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fault: Option<String>,
        /// How long it took.
        took: u64,
    },
    /// A request went to the host.
    Request {
        /// Its name and number.
        request: String,
        /// The host's word, or why it did not get there.
        status: String,
        /// Whether that is a failure.
        failed: bool,
        /// How long it took.
        took: u64,
    },
    /// A call of a service of the host, or a connection to one.
    Hgcm {
        /// The service.
        service: String,
        /// The function; none for the connection itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        function: Option<u32>,
        /// The service's word, or why it did not get there.
        status: String,
        /// Whether that is a failure.
        failed: bool,
        /// How long it took.
        took: u64,
    },
}

impl Notice {
    /// Takes the contents out.
    pub(super) fn redact(&mut self) {
        match &mut self.what {
            What::Call { arguments, .. } => arguments.iter_mut().for_each(values::redact),
            What::Return { result, .. } => values::redact(result),
            What::Host { arguments, result, .. } => {
                arguments.iter_mut().for_each(values::redact);
                values::redact(result);
            }
            What::Events(_) | What::Request { .. } | What::Hgcm { .. } => {}
        }
    }
}

/// A duration in nanoseconds, as far as they can be counted.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! Calls to services of the host by HGCM. Granted by `hgcm`.

use std::time::Duration;

use crate::bindings::bellhop::guest::hgcm as raw;
use crate::bindings::hgcm_completions::exports::bellhop::guest::hgcm_completions;
use crate::{Buffer, Error, Token};

pub use hgcm_completions::{Completion, Value};
pub use raw::cancel;

/// A connection to a service. It ends when this is dropped, and calls that are under way with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    number: raw::Client,
}

/// A parameter of a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Parameter<'a> {
    /// A 32-bit value; the service may change it.
    Value32(u32),
    /// A 64-bit value; the service may change it.
    Value64(u64),
    /// Bytes for the service.
    Bytes(&'a [u8]),
    /// Room for so many bytes from the service, at most 1 MiB.
    Room(u32),
    /// Bytes for the service, which stay in their buffer. Dropping it before the call ended is fine.
    FromBuffer(&'a Buffer),
    /// Room for so many bytes from the service, which the buffer then holds in the place of its own.
    IntoBuffer(&'a Buffer, u32),
}

/// Connects to a service.
///
/// # Errors
/// [`Error::Denied`] when the grants do not name it, [`Error::Host`] when the host does not serve it,
/// [`Error::Busy`] beyond the limit `hgcm-clients`.
pub fn connect(service: &str) -> Result<Client, Error> {
    raw::connect(service).map(|number| Client { number })
}

impl Client {
    /// Calls a function, with at most 32 parameters. How it went is delivered to
    /// [`HgcmCompletions`](crate::HgcmCompletions) under the token that is returned. Without a time-out
    /// it may take for ever.
    ///
    /// # Errors
    /// [`Error::Denied`] when the grants do not name the function, [`Error::Invalid`] for parameters that
    /// are none, [`Error::Busy`] beyond the limits `calls` and `call-bytes`.
    pub fn submit(
        &self,
        function: u32,
        parameters: &[Parameter<'_>],
        timeout: Option<Duration>,
    ) -> Result<Token, Error> {
        let parameters: Vec<_> = parameters.iter().map(raw::Parameter::from).collect();
        let timeout = timeout.map(|timeout| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        raw::submit(self.number, function, &parameters, timeout)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        raw::disconnect(self.number);
    }
}

impl From<&Parameter<'_>> for raw::Parameter {
    fn from(parameter: &Parameter<'_>) -> Self {
        match *parameter {
            Parameter::Value32(value) => Self::Value32(value),
            Parameter::Value64(value) => Self::Value64(value),
            Parameter::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
            Parameter::Room(size) => Self::Room(size),
            Parameter::FromBuffer(buffer) => Self::FromBuffer(buffer.number()),
            Parameter::IntoBuffer(buffer, size) => Self::IntoBuffer((buffer.number(), size)),
        }
    }
}

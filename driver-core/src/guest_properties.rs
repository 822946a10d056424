//! Guest properties, as functions on any [`Driver`].
//!
//! The service answers all but a wait at once, so those calls have a bound on how long they take.

use std::sync::Arc;
use std::time::Duration;

use crate::wire::guest_property::{self as wire, Change, Function, Property};
use crate::wire::{Malformed, Status};
use crate::{Canceller, Driver, Error, HgcmClient, HgcmParameter, Result};

/// How long the service may take for what it has at hand.
const ANSWER: Duration = Duration::from_secs(2);

/// The first room for an answer, and the most, in bytes: the service names what it needs when that is
/// more.
const ROOM: [usize; 2] = [4 << 10, 1 << 20];

/// A connection to the service of guest properties. It ends when this is dropped.
pub struct GuestProperties {
    driver: Arc<dyn Driver>,
    client: HgcmClient,
}

/// A change that was waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noticed {
    /// What changed.
    pub change: Change,
    /// When, in nanoseconds since the Unix epoch: where the next wait is to begin.
    pub timestamp: u64,
    /// The host has forgotten where this wait was to begin: changes may have gone unheard.
    pub missed: bool,
}

impl GuestProperties {
    /// Connects to the service.
    ///
    /// # Errors
    /// `VERR_HGCM_SERVICE_NOT_FOUND` by a host that has none.
    pub fn connect(driver: &Arc<dyn Driver>) -> Result<Self> {
        Ok(Self { client: driver.hgcm_connect(wire::SERVICE)?, driver: driver.clone() })
    }

    /// One property; `None` when there is none of this name.
    ///
    /// # Errors
    /// `VERR_INVALID_PARAMETER` for what is no name.
    pub fn get(&self, name: &str) -> Result<Option<Property>> {
        const DOING: &str = "get a guest property";
        let parameters = |size| vec![text(name), room(size), HgcmParameter::U64(0), HgcmParameter::U32(0)];
        match self.fetch(DOING, Function::GET, 1, parameters, Some(ANSWER), &Canceller::new()) {
            Ok((_, answer)) => {
                let wire::Value { value, flags } =
                    wire::parse_value(data(answer.get(1))).map_err(|error| nonsense(DOING, error))?;
                let timestamp = number(answer.get(2));
                Ok(Some(Property { name: name.to_owned(), value, timestamp, flags }))
            }
            Err(error) if error.status == Status::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a property. `flags` are words as [`wire::Flags`] has them; usually none.
    ///
    /// # Errors
    /// `VERR_PERMISSION_DENIED` when the host keeps it for itself, `VERR_TOO_MUCH_DATA` when there are too
    /// many or the value is too long.
    pub fn set(&self, name: &str, value: &str, flags: &str) -> Result<()> {
        let mut parameters = vec![text(name), text(value)];
        if !flags.is_empty() {
            parameters.push(text(flags));
        }
        self.call("set a guest property", Function::SET_VALUE, &mut parameters)
    }

    /// Deletes a property; it is no error when there is none.
    ///
    /// # Errors
    /// `VERR_PERMISSION_DENIED` when the host keeps it for itself.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.call("delete a guest property", Function::DELETE, &mut [text(name)])
    }

    /// All properties that match one of the patterns, which have `|` between them.
    ///
    /// # Errors
    /// When the host refuses.
    pub fn enumerate(&self, patterns: &str) -> Result<Vec<Property>> {
        const DOING: &str = "enumerate guest properties";
        let parameters = |size| vec![text(patterns), room(size), HgcmParameter::U32(0)];
        let (_, answer) =
            self.fetch(DOING, Function::ENUMERATE, 1, parameters, Some(ANSWER), &Canceller::new())?;
        wire::parse_list(data(answer.get(1))).map_err(|error| nonsense(DOING, error))
    }

    /// Waits for a change of a property that matches one of the patterns: the first after `since`, or
    /// the next one when that is 0.
    ///
    /// # Errors
    /// `VERR_CANCELLED`; what the host says otherwise.
    pub fn wait(&self, patterns: &str, since: u64, cancel: &Canceller) -> Result<Noticed> {
        const DOING: &str = "wait for a guest property";
        let parameters =
            |size| vec![text(patterns), HgcmParameter::U64(since), room(size), HgcmParameter::U32(0)];
        let (status, answer) = self.fetch(DOING, Function::GET_NOTIFICATION, 2, parameters, None, cancel)?;
        let change = wire::parse_change(data(answer.get(2))).map_err(|error| nonsense(DOING, error))?;
        let missed = status == Status::WARN_NOT_FOUND;
        Ok(Noticed { change, timestamp: number(answer.get(1)), missed })
    }

    fn call(&self, doing: &'static str, function: Function, parameters: &mut [HgcmParameter]) -> Result<()> {
        let cancel = Canceller::new();
        let status = self.driver.hgcm_call(self.client, function.0, parameters, Some(ANSWER), &cancel)?;
        status.ok().map(drop).map_err(|status| Error::new(doing, status))
    }

    /// Calls a function whose data is the `place`-th parameter and the size needed for it the last one,
    /// again with more room when that is what it lacks.
    fn fetch(
        &self,
        doing: &'static str,
        function: Function,
        place: usize,
        parameters: impl Fn(usize) -> Vec<HgcmParameter>,
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<(Status, Vec<HgcmParameter>)> {
        let [mut room, most] = ROOM;
        loop {
            let mut all = parameters(room);
            let status = self.driver.hgcm_call(self.client, function.0, &mut all, timeout, cancel)?;
            let needed = match all.last() {
                Some(HgcmParameter::U32(needed)) => *needed as usize,
                _ => 0,
            };
            match status.ok() {
                Err(Status::BUFFER_OVERFLOW) if needed > room && needed <= most => {
                    // What is there may grow meanwhile.
                    room = needed + (1 << 10);
                }
                Err(status) => return Err(Error::new(doing, status)),
                Ok(_) => {
                    if let Some(HgcmParameter::Out { data, .. }) = all.get_mut(place) {
                        data.truncate(needed);
                    }
                    return Ok((status, all));
                }
            }
        }
    }
}

impl Drop for GuestProperties {
    fn drop(&mut self) {
        if let Err(error) = self.driver.hgcm_disconnect(self.client) {
            tracing::debug!("{error}");
        }
    }
}

fn text(text: &str) -> HgcmParameter {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    HgcmParameter::In(bytes)
}

fn room(size: usize) -> HgcmParameter {
    HgcmParameter::Out { data: vec![0; size], needed: 0 }
}

fn data(parameter: Option<&HgcmParameter>) -> &[u8] {
    match parameter {
        Some(HgcmParameter::Out { data, .. }) => data,
        _ => &[],
    }
}

fn number(parameter: Option<&HgcmParameter>) -> u64 {
    match parameter {
        Some(HgcmParameter::U64(value)) => *value,
        _ => 0,
    }
}

fn nonsense(doing: &str, error: Malformed) -> Error {
    Error::new(format!("{doing} (the host's answer makes no sense: {error})"), Status::PARSE_ERROR)
}

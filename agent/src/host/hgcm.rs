//! `hgcm`: calls to services of the host.
//!
//! A call takes as long as its service likes, and the kernel's driver has only calls that block. So each
//! call has a thread of its own while it lasts, which leaves what came of it in the plugin's mailbox.
//! What a plugin has under way ends with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use driver_core::wire::Status;
use driver_core::{Canceller, Driver, HgcmClient, HgcmParameter};

use super::bindings::bellhop::guest::hgcm::{self, Parameter};
use super::bindings::bellhop::guest::types::Error;
use super::bindings::exports::bellhop::guest::hgcm_completions::{Completion, Value};
use super::buffers::Buffers;
use super::{Host, permit_one_more};
use crate::mailbox::{Item, Token};

/// The most parameters of a call, as the kernel's driver has it.
const MOST_PARAMETERS: usize = 32;

/// The most room for bytes that are handed to the plugin itself.
const LARGEST_ROOM: u32 = 1 << 20;

/// The clients and calls of one plugin.
pub struct Hgcm {
    driver: Arc<dyn Driver>,
    clients: BTreeMap<u32, String>,
    calls: BTreeMap<Token, Call>,
}

/// A call that is under way, or has ended and was not delivered yet.
struct Call {
    client: u32,
    cancel: Canceller,
    /// Bytes of its parameters that lie in no buffer.
    bytes: u64,
    /// What each parameter was made of.
    shapes: Vec<Shape>,
}

/// What a parameter was made of, and where its bytes go.
#[derive(Clone, Copy)]
enum Shape {
    Value,
    Bytes,
    Room,
    From(u64),
    Into(u64, u32),
}

/// A call that ended, as its thread leaves it.
#[derive(Debug)]
pub struct HgcmEnd {
    call: Token,
    status: driver_core::Result<Status>,
    parameters: Vec<HgcmParameter>,
}

impl Hgcm {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver, clients: BTreeMap::new(), calls: BTreeMap::new() }
    }

    /// How many clients there are.
    pub(super) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// How many calls are under way.
    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Bytes of the parameters of all of them that lie in no buffer.
    pub(super) fn bytes(&self) -> u64 {
        self.calls.values().map(|call| call.bytes).sum()
    }

    /// The shapes of a call's parameters, or what is wrong with one. Nothing changes.
    fn shapes(parameters: &[Parameter], buffers: &Buffers) -> Result<Vec<Shape>, Error> {
        if parameters.len() > MOST_PARAMETERS {
            let count = parameters.len();
            return Err(Error::Invalid(format!("{count} parameters are more than {MOST_PARAMETERS}")));
        }
        let shape = |parameter: &Parameter| match parameter {
            Parameter::Value32(_) | Parameter::Value64(_) => Ok(Shape::Value),
            Parameter::Bytes(_) => Ok(Shape::Bytes),
            Parameter::Room(size) if *size > LARGEST_ROOM => {
                Err(Error::Invalid(format!("room for {size} bytes is more than 1 MiB; use a buffer")))
            }
            Parameter::Room(_) => Ok(Shape::Room),
            Parameter::FromBuffer(buffer) | Parameter::IntoBuffer((buffer, _)) if !buffers.has(*buffer) => {
                Err(Error::Invalid(format!("there is no buffer {buffer}")))
            }
            Parameter::FromBuffer(buffer) => Ok(Shape::From(*buffer)),
            Parameter::IntoBuffer((buffer, size)) => Ok(Shape::Into(*buffer, *size)),
        };
        parameters.iter().map(shape).collect()
    }

    /// Ends a client and its calls.
    fn disconnect(&mut self, client: u32) {
        if self.clients.remove(&client).is_none() {
            return;
        }
        for call in self.calls.values().filter(|call| call.client == client) {
            call.cancel.cancel();
        }
        if let Err(error) = self.driver.hgcm_disconnect(HgcmClient(client)) {
            tracing::debug!("{error}");
        }
    }
}

impl Drop for Hgcm {
    fn drop(&mut self) {
        for client in self.clients.keys().copied().collect::<Vec<_>>() {
            self.disconnect(client);
        }
    }
}

impl hgcm::Host for Host {
    fn connect(&mut self, service: String) -> Result<u32, Error> {
        self.authority.permit_service(&service).map_err(Error::Denied)?;
        permit_one_more("hgcm-clients", self.hgcm.clients(), self.limits.hgcm_clients)?;
        let HgcmClient(client) = self.outside.driver()?.hgcm_connect(&service)?;
        tracing::debug!(plugin = &*self.plugin, service, client, "Connected");
        self.hgcm.clients.insert(client, service);
        Ok(client)
    }

    fn submit(
        &mut self,
        client: u32,
        function: u32,
        parameters: Vec<Parameter>,
        timeout: Option<u64>,
    ) -> Result<Token, Error> {
        let service = self.hgcm.clients.get(&client);
        let service = service.ok_or_else(|| Error::Invalid(format!("there is no HGCM client {client}")))?;
        self.authority.permit_function(service, function).map_err(Error::Denied)?;
        permit_one_more("calls", self.hgcm.calls(), self.limits.calls)?;
        let shapes = Hgcm::shapes(&parameters, &self.buffers)?;
        let bytes = parameters.iter().map(bytes_of).sum();
        let (used, most) = (self.hgcm.bytes(), self.limits.call_bytes);
        if bytes > most.0.saturating_sub(used) {
            return Err(Error::Busy(format!(
                "{bytes} bytes more are beyond the limit `call-bytes`, which is {most} and of which {used} are in use"
            )));
        }
        let driver = self.outside.driver()?.clone();
        let room =
            shapes.iter().map(|shape| if let Shape::Into(_, size) = shape { u64::from(*size) } else { 0 });
        self.buffers.reserve(room.sum())?;
        let parameters = parameters.into_iter().map(|parameter| self.parameter(parameter)).collect();
        let call = self.token();
        let cancel = Canceller::new();
        let work = Work {
            driver,
            client: HgcmClient(client),
            function,
            timeout: timeout.map(Duration::from_nanos),
            cancel: cancel.clone(),
            end: HgcmEnd { call, status: Ok(Status::SUCCESS), parameters },
        };
        let poster = self.poster.clone();
        let thread = std::thread::Builder::new().name("hgcm-call".into()).stack_size(64 * 1024);
        let spawned = thread.spawn(move || poster.item(Item::Hgcm(work.run())));
        self.hgcm.calls.insert(call, Call { client, cancel, bytes, shapes });
        if let Err(error) = spawned {
            // The parameters went with the thread that was not to be.
            self.forget(call);
            return Err(Error::Other(format!("no thread for the call: {error}")));
        }
        Ok(call)
    }

    fn cancel(&mut self, call: Token) {
        if let Some(call) = self.hgcm.calls.get(&call) {
            call.cancel.cancel();
        }
    }

    fn disconnect(&mut self, client: u32) {
        self.hgcm.disconnect(client);
    }
}

/// The bytes of a parameter that lie in no buffer.
fn bytes_of(parameter: &Parameter) -> u64 {
    match parameter {
        Parameter::Bytes(bytes) => bytes.len() as u64,
        Parameter::Room(size) => u64::from(*size),
        Parameter::Value32(_) | Parameter::Value64(_) => 0,
        Parameter::FromBuffer(_) | Parameter::IntoBuffer(_) => 0,
    }
}

/// What the thread of a call needs.
struct Work {
    driver: Arc<dyn Driver>,
    client: HgcmClient,
    function: u32,
    timeout: Option<Duration>,
    cancel: Canceller,
    end: HgcmEnd,
}

impl Work {
    fn run(mut self) -> HgcmEnd {
        let parameters = &mut self.end.parameters;
        self.end.status =
            self.driver.hgcm_call(self.client, self.function, parameters, self.timeout, &self.cancel);
        self.end
    }
}

impl Host {
    /// A parameter for the driver. Its buffer exists, and its room is reserved.
    fn parameter(&mut self, parameter: Parameter) -> HgcmParameter {
        match parameter {
            Parameter::Value32(value) => HgcmParameter::U32(value),
            Parameter::Value64(value) => HgcmParameter::U64(value),
            Parameter::Bytes(bytes) => HgcmParameter::In(bytes),
            Parameter::Room(size) => HgcmParameter::Out { data: vec![0; size as usize], needed: 0 },
            Parameter::FromBuffer(buffer) => HgcmParameter::In(self.buffers.lend(buffer).unwrap_or_default()),
            Parameter::IntoBuffer((_, size)) => {
                HgcmParameter::Out { data: vec![0; size as usize], needed: 0 }
            }
        }
    }

    /// Makes what a call's thread left into what the plugin is called with.
    pub(crate) fn completion(&mut self, end: HgcmEnd) -> Option<(Token, Result<Completion, Error>)> {
        let HgcmEnd { call, status, parameters } = end;
        let shapes = self.hgcm.calls.remove(&call)?.shapes;
        let values =
            shapes.into_iter().zip(parameters).map(|(shape, parameter)| self.value(shape, parameter));
        let values: Vec<_> = values.collect();
        let outcome = status.map(|status| Completion { status: status.0, values });
        Some((call, outcome.map_err(|error| Error::Host((error.status.0, error.to_string())))))
    }

    fn value(&mut self, shape: Shape, parameter: HgcmParameter) -> Value {
        match (shape, parameter) {
            (Shape::From(buffer), HgcmParameter::In(bytes)) => {
                self.give_back(buffer, bytes);
                Value::Sent
            }
            (Shape::Into(buffer, room), HgcmParameter::Out { mut data, needed }) => {
                data.shrink_to_fit();
                // What the buffer held before is replaced, and room that was not used is free again.
                let before = self.buffers.lend(buffer).map_or(0, |before| before.len());
                self.buffers.release(before as u64 + u64::from(room).saturating_sub(data.len() as u64));
                self.give_back(buffer, data);
                Value::Buffer(needed)
            }
            (_, HgcmParameter::U32(value)) => Value::Value32(value),
            (_, HgcmParameter::U64(value)) => Value::Value64(value),
            (_, HgcmParameter::Out { data, needed }) => Value::Bytes((data, needed)),
            (_, HgcmParameter::In(_) | HgcmParameter::InOut(_)) => Value::Sent,
        }
    }

    /// Puts bytes that count back into their buffer, if it is still there.
    fn give_back(&mut self, buffer: u64, bytes: Vec<u8>) {
        if self.buffers.has(buffer) {
            self.buffers.keep(buffer, bytes);
        } else {
            self.buffers.release(bytes.len() as u64);
        }
    }

    /// Forgets a call that has no thread, with what it reserved.
    fn forget(&mut self, call: Token) {
        let Some(call) = self.hgcm.calls.remove(&call) else { return };
        for shape in call.shapes {
            if let Shape::Into(_, room) = shape {
                self.buffers.release(room.into());
            }
        }
    }
}

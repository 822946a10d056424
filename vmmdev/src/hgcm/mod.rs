//! HGCM: calls from the guest to services of the host.
//!
//! A call's parameters are copied out of guest memory, a service gets them and answers, at once or
//! when something has happened, and its answer is copied back. Between the two the [`Call`] belongs
//! to the service, and what is known of the guest's memory stays here: so a service cannot write
//! where it should not, nor for a call that was cancelled.

mod call;
mod clipboard;
mod limits;
mod place;
mod properties;

use std::collections::BTreeMap;

use driver_core::wire::{Events, HgcmFlags, Status, guest_property, shared_clipboard};
use serde::Serialize;

use crate::faults::HgcmFault;
use crate::memory::{GuestMemory, MemoryFault};
use crate::state::State;
pub(crate) use call::{Answers, Call, CallId, Parameter};
pub(crate) use clipboard::{Clipboard, Contents};
pub use limits::ClientClass;
use limits::{Limits, MOST_MEMORY};
pub(crate) use place::Width;
use place::{Brought, Place, Target};
pub(crate) use properties::{Properties, Store};
pub use properties::{Property, PropertyChange};

/// Where the flags of an HGCM request stand, in bytes from its start.
const FLAGS_OFFSET: u32 = 24;
/// Where its result stands.
const RESULT_OFFSET: u32 = 28;

/// The locations of a service that mean this host.
const LOCATIONS: [u32; 2] = [1, 2];

/// What a service does for guests. Nothing in it may wait: the device is locked meanwhile.
trait Service {
    /// A client was connected.
    fn connect(&mut self, client: u32);

    /// A client calls. The call is answered now, or kept to be answered later.
    fn call(&mut self, call: Call, session: u64, answers: &mut Answers);

    /// A call was cancelled; answering it is allowed and does nothing.
    fn cancelled(&mut self, call: CallId);

    /// A client was disconnected; its calls must be answered.
    fn disconnect(&mut self, client: u32, answers: &mut Answers);

    /// The machine was reset: there are no clients and no calls any more.
    fn reset(&mut self);

    /// The machine came back from a saved state, in a new session.
    fn restored(&mut self, session: u64, answers: &mut Answers);
}

/// A service of this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HgcmService {
    /// Guest properties.
    Properties,
    /// The shared clipboard.
    Clipboard,
}

impl HgcmService {
    const ALL: [Self; 2] = [Self::Properties, Self::Clipboard];

    /// The name by which a guest connects to it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Properties => guest_property::SERVICE,
            Self::Clipboard => shared_clipboard::SERVICE,
        }
    }

    /// The service of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.name() == name)
    }

    fn limits(self) -> Limits {
        match self {
            Self::Properties => Limits::PROPERTIES,
            Self::Clipboard => Limits::CLIPBOARD,
        }
    }
}

/// The services themselves.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) properties: Properties,
    pub(crate) clipboard: Clipboard,
}

impl Services {
    fn of(&mut self, service: HgcmService) -> &mut dyn Service {
        match service {
            HgcmService::Properties => &mut self.properties,
            HgcmService::Clipboard => &mut self.clipboard,
        }
    }
}

/// A client of a service.
#[derive(Debug, Clone, Copy)]
struct Client {
    service: HgcmService,
    class: ClientClass,
    limits: Limits,
}

/// What is known of the guest's side of a call that is under way.
#[derive(Debug)]
struct Pending {
    client: u32,
    class: ClientClass,
    function: u32,
    /// Of the request, guest-physical.
    address: u64,
    places: Vec<Place>,
    cost: u64,
    fault: Option<HgcmFault>,
    /// What the guest is told whatever the service answers.
    instead: Option<Status>,
    /// The answer that a fault holds back until the call is cancelled.
    held: Option<(Call, Status)>,
}

/// A client as it is shown to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HgcmClientReport {
    /// The number by which the guest calls.
    pub client: u32,
    /// The service it is connected to.
    pub service: &'static str,
    /// On whose behalf.
    pub class: ClientClass,
    /// The functions whose calls are under way, oldest first.
    pub waiting: Vec<u32>,
}

/// All of it: clients, calls and services.
#[derive(Debug, Default)]
pub(crate) struct Hgcm {
    clients: BTreeMap<u32, Client>,
    last_client: u32,
    pending: BTreeMap<CallId, Pending>,
    last_call: u64,
    answers: Answers,
    /// Calls that a fault answers a second time.
    again: Vec<(Pending, Call, Status)>,
    pub(crate) services: Services,
}

impl Hgcm {
    /// Connects to a service; the number of the new client.
    pub(crate) fn connect(
        &mut self,
        name: &[u8],
        location: u32,
        class: ClientClass,
        lowered: bool,
    ) -> Result<u32, Status> {
        let found = std::str::from_utf8(name).ok().and_then(HgcmService::from_name);
        let service = found.ok_or(Status::HGCM_SERVICE_NOT_FOUND)?;
        if !LOCATIONS.contains(&location) {
            return Err(Status::INVALID_PARAMETER);
        }
        let limits = if lowered { service.limits() } else { Limits::USUAL };
        let same = |client: &&Client| client.service == service && client.class == class;
        if self.clients.values().filter(same).count() >= limits.clients(class) {
            return Err(Status::HGCM_TOO_MANY_CLIENTS);
        }
        // There are far fewer clients than numbers.
        loop {
            self.last_client = self.last_client.wrapping_add(1).max(1);
            if !self.clients.contains_key(&self.last_client) {
                break;
            }
        }
        self.clients.insert(self.last_client, Client { service, class, limits });
        self.services.of(service).connect(self.last_client);
        Ok(self.last_client)
    }

    /// Ends a connection. The service answers the calls that are under way.
    pub(crate) fn disconnect(&mut self, client: u32) -> Result<(), Status> {
        let Some(Client { service, .. }) = self.clients.remove(&client) else {
            return Err(Status::HGCM_INVALID_CLIENT_ID);
        };
        self.services.of(service).disconnect(client, &mut self.answers);
        Ok(())
    }

    /// Calls a service.
    pub(crate) fn call(
        &mut self,
        request: CallRequest<'_>,
        packet: &mut [u8],
        session: u64,
    ) -> Result<Called, Status> {
        let CallRequest { client: number, function, width, address, memory, fault } = request;
        let client = self.clients.get(&number).ok_or(Status::HGCM_INVALID_CLIENT_ID)?;
        let Client { service, class, limits } = *client;
        match fault {
            Some(HgcmFault::Vanish) => {
                self.vanish(service);
                return Err(Status::HGCM_INVALID_CLIENT_ID);
            }
            Some(HgcmFault::Answer(status)) => {
                conclude(packet, status);
                return Ok(Called::Answered);
            }
            _ => {}
        }
        let under_way = self.pending.values().filter(|call| call.client == number).count();
        if under_way >= limits.calls(class) {
            return Err(Status::HGCM_TOO_MANY_CLIENT_CALLS);
        }
        let Brought { parameters, places, cost } = place::bring(packet, width, memory)?;
        let used: u64 = self.pending.values().filter(|call| call.class == class).map(|call| call.cost).sum();
        if used + cost > MOST_MEMORY {
            return Err(Status::NO_MEMORY);
        }
        self.last_call += 1;
        let id = CallId(self.last_call);
        let mut call = Call { id, client: number, function, parameters };
        if let Some(HgcmFault::Babble(value)) = fault {
            (0..call.len()).for_each(|at| call.set(at, value));
            let mut target = Target { packet: Some(packet), address, memory };
            let _ = write_back(&mut target, &places, &call.parameters, Status::SUCCESS);
            return Ok(Called::Answered);
        }
        self.services.of(service).call(call, session, &mut self.answers);

        let answered = self.answers.0.iter().position(|(call, _)| call.id == id);
        if let Some(at) = answered.filter(|_| fault.is_none()) {
            let (call, status) = self.answers.0.remove(at);
            let mut target = Target { packet: Some(packet), address, memory };
            // The packet has room for all of it, or the parameters would not have been there.
            let _ = write_back(&mut target, &places, &call.parameters, status);
            return Ok(Called::Answered);
        }
        let (instead, held) = (None, None);
        let pending =
            Pending { client: number, class, function, address, places, cost, fault, instead, held };
        self.pending.insert(id, pending);
        Ok(Called::Waits)
    }

    /// The service that a client is connected to.
    pub(crate) fn service_of(&self, client: u32) -> Option<HgcmService> {
        self.clients.get(&client).map(|client| client.service)
    }

    /// Whether the guest has any connection.
    pub(crate) fn in_use(&self) -> bool {
        !self.clients.is_empty()
    }

    /// Cancels the oldest call whose request is at an address. The guest may use the request's memory
    /// for something else then.
    pub(crate) fn cancel(&mut self, address: u64) -> Status {
        let found = self.pending.iter().find(|(_, call)| call.address == address).map(|(id, _)| *id);
        let Some((id, mut pending)) = found.and_then(|id| Some((id, self.pending.remove(&id)?))) else {
            return Status::NOT_FOUND;
        };
        if let Some((call, status)) = pending.held.take() {
            self.again.push((pending, call, status));
        } else {
            self.answers.0.retain(|(call, _)| call.id != id);
            if let Some(client) = self.clients.get(&pending.client) {
                self.services.of(client.service).cancelled(id);
            }
        }
        Status::SUCCESS
    }

    /// Whether there are answers that the guest has not heard of.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.0.is_empty()
    }

    /// Writes the answers that there are to guest memory, and raises the event that says so.
    pub(crate) fn deliver(&mut self, state: &mut State, memory: &mut dyn GuestMemory) {
        for (pending, call, status) in std::mem::take(&mut self.again) {
            finish(state, memory, &pending, &call, status);
        }
        for (mut call, status) in std::mem::take(&mut self.answers.0) {
            // What was cancelled is not here any more.
            let Some(mut pending) = self.pending.remove(&call.id) else { continue };
            match pending.fault {
                Some(HgcmFault::Never) => {
                    self.pending.insert(call.id, pending);
                    continue;
                }
                Some(HgcmFault::AfterCancel) => {
                    let id = call.id;
                    pending.held = Some((call, status));
                    self.pending.insert(id, pending);
                    continue;
                }
                Some(HgcmFault::Oversize) => call.exaggerate(),
                Some(HgcmFault::Unterminated) => call.fill_zeros(),
                _ => {}
            }
            finish(state, memory, &pending, &call, status);
            if pending.fault == Some(HgcmFault::Twice) {
                self.again.push((pending, call, status));
            }
        }
    }

    /// A service goes, and all its clients with it. Who connects from now on finds it again.
    pub(crate) fn vanish(&mut self, service: HgcmService) {
        let gone = |client: &Client| client.service == service;
        for pending in self.pending.values_mut() {
            if self.clients.get(&pending.client).is_some_and(gone) {
                pending.instead = Some(Status::HGCM_INVALID_CLIENT_ID);
            }
        }
        for (number, client) in self.clients.extract_if(.., |_, client| gone(client)) {
            self.services.of(client.service).disconnect(number, &mut self.answers);
        }
    }

    /// The machine is reset: the guest's memory is no longer what it was, and nothing is written there.
    pub(crate) fn reset(&mut self) {
        self.clients.clear();
        self.pending.clear();
        self.answers.0.clear();
        self.again.clear();
        for service in HgcmService::ALL {
            self.services.of(service).reset();
        }
    }

    /// The machine came back from a saved state. Its guest goes on with the connections and calls that
    /// it had, and services that count sessions tell it so.
    pub(crate) fn restored(&mut self, session: u64) {
        for service in HgcmService::ALL {
            self.services.of(service).restored(session, &mut self.answers);
        }
    }

    /// What people are shown.
    pub(crate) fn report(&self) -> Vec<HgcmClientReport> {
        let waiting = |number| self.pending.values().filter(move |call| call.client == number);
        let report = |(number, client): (&u32, &Client)| HgcmClientReport {
            client: *number,
            service: client.service.name(),
            class: client.class,
            waiting: waiting(*number).map(|call| call.function).collect(),
        };
        self.clients.iter().map(report).collect()
    }

    /// The services, and where their answers go: for the host's own doings.
    pub(crate) fn services(&mut self) -> (&mut Services, &mut Answers) {
        (&mut self.services, &mut self.answers)
    }
}

/// A call as its request has it, the parameters excepted.
pub(crate) struct CallRequest<'a> {
    pub(crate) client: u32,
    pub(crate) function: u32,
    pub(crate) width: Width,
    /// Of the request, guest-physical.
    pub(crate) address: u64,
    pub(crate) memory: &'a mut dyn GuestMemory,
    pub(crate) fault: Option<HgcmFault>,
}

/// How a call went that reached its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// Its packet has the answer.
    Answered,
    /// The answer is written to guest memory when it is there.
    Waits,
}

/// Puts a result into a packet that goes back to the guest, and that it is done.
pub(crate) fn conclude(packet: &mut [u8], status: Status) {
    let fields = packet.get_mut(FLAGS_OFFSET as usize..).and_then(<[u8]>::first_chunk_mut::<8>);
    if let Some([flags, _, _, _, result @ ..]) = fields {
        *flags |= HgcmFlags::DONE.bits() as u8;
        *result = status.0.to_le_bytes();
    }
}

/// Answers a request whose guest waits for an event.
fn finish(state: &mut State, memory: &mut dyn GuestMemory, pending: &Pending, call: &Call, status: Status) {
    let status = pending.instead.unwrap_or(status);
    let mut target = Target { packet: None, address: pending.address, memory };
    if write_back(&mut target, &pending.places, &call.parameters, status).is_err() {
        // The request itself is gone; there is nobody to be told.
        tracing::debug!(address = pending.address, "HGCM request is no memory any more");
        return;
    }
    state.raise(Events::HGCM);
}

/// Writes parameters, the result, and last that it is done.
fn write_back(
    target: &mut Target<'_>,
    places: &[Place],
    parameters: &[Parameter],
    status: Status,
) -> Result<(), MemoryFault> {
    let written =
        places.iter().zip(parameters).try_for_each(|(place, parameter)| target.parameter(place, parameter));
    let status = if written.is_err() { Status::INVALID_POINTER } else { status };
    let flags = target.word(FLAGS_OFFSET)? | HgcmFlags::DONE.bits();
    target.put(RESULT_OFFSET, &status.0.to_le_bytes())?;
    target.put(FLAGS_OFFSET, &flags.to_le_bytes())
}

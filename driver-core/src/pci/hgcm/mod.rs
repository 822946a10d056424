//! HGCM: calls to services of the host.
//!
//! A call is put into DMA memory of its own (`plan`, `dma`) and submitted; a host that cannot answer
//! it at once says so, and announces later by an event that some call is done (`exchange`).

mod dma;
mod exchange;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::Uid;

use super::Bus;
use super::latch::SessionId;
use super::requester::Requester;
use crate::outgoing_call::{self, LOCALHOST_EXISTING, MOST_CLIENTS, MOST_DATA};
use crate::wire::{HgcmConnect, HgcmDisconnect, Request, Requestor, Status};
use crate::{Canceller, Error, HgcmClient, HgcmParameter, Result};
use dma::{Dma, Memory};
use exchange::Exchanges;
use plan::{Plan, Unusable};

/// What stands as the result of a request that the host has not answered. A host that says it is done
/// and leaves this has not answered either.
const UNANSWERED: Status = Status::INTERNAL_ERROR;

/// How long a host may take to connect or to disconnect, which nobody can cancel.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// The HGCM clients and calls of all sessions of a device.
pub(super) struct Hgcm {
    memory: Arc<Memory>,
    exchanges: Exchanges,
    requestor: Requestor,
    sessions: Mutex<BTreeMap<SessionId, Clients>>,
}

/// The clients of one session.
#[derive(Default)]
struct Clients {
    connected: BTreeSet<HgcmClient>,
    /// How many are about to be.
    connecting: usize,
}

impl Hgcm {
    pub(super) fn new(bus: Arc<dyn Bus>, requester: Arc<Requester>) -> Self {
        let (address, length) = requester.rest();
        let memory = Memory::new(bus.clone(), address, length);
        let exchanges = Exchanges::new(bus, requester);
        Self { memory, exchanges, requestor: requestor(), sessions: Mutex::default() }
    }

    /// Connects a session to a service.
    pub(super) fn connect(&self, session: SessionId, service: &str) -> Result<HgcmClient> {
        let name = outgoing_call::name(service)?;
        let doing = format!("connect to the HGCM service {service:?}");
        self.reserve(session, &doing)?;
        let connected = self.connected(&doing, name);
        let mut sessions = self.sessions();
        sessions.entry(session).or_default().connecting -= 1;
        let client = connected?;
        if sessions.values().any(|clients| clients.connected.contains(&client)) {
            let doing = format!("{doing} (the host gave the number {} of another client)", client.0);
            return Err(Error::new(doing, Status::HGCM_INTERNAL));
        }
        sessions.entry(session).or_default().connected.insert(client);
        Ok(client)
    }

    fn connected(&self, doing: &str, name: [u8; 128]) -> Result<HgcmClient> {
        let mut request = HgcmConnect::new();
        request.location.set(LOCALHOST_EXISTING);
        request.name = name;
        request.result.set(UNANSWERED.0);
        match self.submit(doing, request)? {
            // It reads like a failure, and is none to look at.
            (Status::HGCM_CLIENT_REJECTED, _) => {
                Err(Error::new(doing.to_owned(), Status::HGCM_CLIENT_REJECTED))
            }
            (_, answer) => Ok(HgcmClient(answer.client.get())),
        }
    }

    /// Calls a function of a service that the session is connected to.
    pub(super) fn call(
        &self,
        session: SessionId,
        client: HgcmClient,
        function: u32,
        parameters: &mut [HgcmParameter],
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<Status> {
        let doing = format!("call HGCM function {function}");
        outgoing_call::check(&doing, parameters, MOST_DATA)?;
        if !self.sessions().get(&session).is_some_and(|clients| clients.connected.contains(&client)) {
            return Err(Error::new(doing, Status::HGCM_INVALID_CLIENT_ID));
        }
        let gone = |doing: &str| Error::new(format!("{doing} (the device is gone)"), Status::INVALID_STATE);
        let plan = Plan::of(parameters);
        let dma = self.allocate(&doing, plan.length())?;
        plan.fill(&dma, client, function, parameters, self.requestor).map_err(|_| gone(&doing))?;
        let (dma, status) = self.exchanges.carry(&doing, dma, timeout, cancel)?;
        plan.take_back(&dma, parameters).map_err(|unusable| match unusable {
            Unusable::Fault => gone(&doing),
            Unusable::Type { number } => Error::new(
                format!("{doing} (the host changed the type of parameter {number})"),
                Status::INVALID_PARAMETER,
            ),
        })?;
        Ok(status)
    }

    /// Ends a connection.
    pub(super) fn disconnect(&self, session: SessionId, client: HgcmClient) -> Result<()> {
        const DOING: &str = "disconnect from an HGCM service";
        // Before the host forgets it, lest another session is given the same number meanwhile.
        let removed =
            self.sessions().get_mut(&session).is_some_and(|clients| clients.connected.remove(&client));
        if !removed {
            return Err(Error::new(DOING, Status::HGCM_INVALID_CLIENT_ID));
        }
        let mut request = HgcmDisconnect::new();
        request.client.set(client.0);
        request.result.set(UNANSWERED.0);
        self.submit(DOING, request).map(drop)
    }

    /// Ends all connections of a session.
    pub(super) fn close_session(&self, session: SessionId) {
        let clients = self.sessions().get(&session).map(|clients| clients.connected.clone());
        for client in clients.unwrap_or_default() {
            if let Err(error) = self.disconnect(session, client) {
                tracing::debug!("{error}");
            }
        }
        self.sessions().remove(&session);
    }

    /// The host completed some request.
    pub(super) fn completed(&self) {
        self.exchanges.completed();
    }

    /// Ends all that is under way, and forgets every client: the host has.
    pub(super) fn reset(&self) {
        self.sessions().values_mut().for_each(|clients| clients.connected.clear());
        self.exchanges.forgotten();
    }

    /// Ends all that is under way, and all to come: the device is gone.
    pub(super) fn close(&self) {
        self.exchanges.close();
    }

    /// Carries a request of fixed size to its end; a failing status is an error.
    fn submit<R: Request>(&self, doing: &str, mut request: R) -> Result<(Status, R)> {
        let gone = |_| Error::new(format!("{doing} (the device is gone)"), Status::INVALID_STATE);
        request.header_mut().requestor.set(self.requestor.0);
        let dma = self.allocate(doing, size_of::<R>())?;
        dma.write(0, request.as_bytes()).map_err(gone)?;
        let (dma, status) = self.exchanges.carry(doing, dma, Some(CONNECTION_TIMEOUT), &Canceller::new())?;
        status.ok().map_err(|status| Error::new(doing.to_owned(), status))?;
        dma.read(0, request.as_mut_bytes()).map_err(gone)?;
        Ok((status, request))
    }

    fn allocate(&self, doing: &str, length: usize) -> Result<Dma> {
        self.memory.allocate(length).ok_or_else(|| {
            Error::new(format!("{doing} (no DMA memory for {length} bytes)"), Status::NO_MEMORY)
        })
    }

    /// Takes one of a session's places for clients.
    fn reserve(&self, session: SessionId, doing: &str) -> Result<()> {
        let mut sessions = self.sessions();
        let clients = sessions.entry(session).or_default();
        if clients.connected.len() + clients.connecting >= MOST_CLIENTS {
            return Err(Error::new(
                format!("{doing} (at most {MOST_CLIENTS} clients)"),
                Status::HGCM_TOO_MANY_CLIENTS,
            ));
        }
        clients.connecting += 1;
        Ok(())
    }

    fn sessions(&self) -> MutexGuard<'_, BTreeMap<SessionId, Clients>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// On whose behalf this process makes calls.
fn requestor() -> Requestor {
    let user = if Uid::effective().is_root() { Requestor::USER_ROOT } else { Requestor::USER_REGULAR };
    Requestor::USER_MODE.with(user)
}

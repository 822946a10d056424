//! The session for everything but waiting: it is never cancelled, and is opened again only when the
//! device went away and came back.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::header::Fault;
use super::ioctl::{
    Ask, change_filter_mask, change_guest_capabilities, exchange, hgcm_connect, hgcm_disconnect,
};
use super::node::{Node, Nodes};
use super::reopen;
use crate::outgoing_call::{LOCALHOST_EXISTING, MOST_CLIENTS};
use crate::wire::{Capabilities, Events, Status};
use crate::{CapabilityState, Error, HgcmClient, Result};

/// See the module.
pub(super) struct Control {
    state: Mutex<State>,
}

/// The session, and what it takes to make another one equal to it.
struct State {
    node: Option<Arc<dyn Node>>,
    /// The session of the shared capabilities, where they have one of their own.
    announcer: Option<Arc<dyn Node>>,
    filter: Events,
    set: Capabilities,
    clients: BTreeSet<HgcmClient>,
    /// How many clients are about to be connected.
    connecting: usize,
}

impl Control {
    pub(super) fn new(node: Arc<dyn Node>) -> Self {
        let state = State {
            node: Some(node),
            announcer: None,
            filter: Events::empty(),
            set: Capabilities::empty(),
            clients: BTreeSet::new(),
            connecting: 0,
        };
        Self { state: Mutex::new(state) }
    }

    /// Uses the session for something that may take its time.
    pub(super) fn with<T>(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        doing: &str,
        act: impl FnOnce(&dyn Node) -> Result<T, Fault>,
    ) -> Result<T> {
        let node = self.lock().ready(nodes, path)?;
        self.acted(&node, doing, act(&*node))
    }

    /// Changes the event filter. The lock is held throughout, so that the record is what the driver
    /// was told last.
    pub(super) fn change_filter(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        add: Events,
        remove: Events,
    ) -> Result<()> {
        let mut state = self.lock();
        state.tell(nodes, path, "change the event filter", &filter(add, remove))?;
        state.filter = (state.filter - remove) | add;
        Ok(())
    }

    /// Changes the shared capabilities.
    pub(super) fn change_capabilities(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        add: Capabilities,
        remove: Capabilities,
    ) -> Result<CapabilityState> {
        let mut state = self.lock();
        let answer = state.announce(nodes, path, &capabilities(add, remove))?;
        state.set = (state.set - remove) | add;
        Ok(CapabilityState {
            session: Capabilities::from_bits_truncate(answer.session.get()),
            global: Capabilities::from_bits_truncate(answer.global.get()),
        })
    }

    /// Gives the shared capabilities a session of their own, from their first on. What was announced by it
    /// before stays announced until it is taken back.
    pub(super) fn announce_by(&self, announcer: Arc<dyn Node>) {
        self.lock().announcer = Some(announcer);
    }

    /// Connects to an HGCM service.
    pub(super) fn connect(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        doing: &str,
        name: [u8; 128],
    ) -> Result<HgcmClient> {
        let node = {
            let mut state = self.lock();
            if state.clients.len() + state.connecting >= MOST_CLIENTS {
                return Err(Error::new(
                    format!("{doing} (at most {MOST_CLIENTS} clients)"),
                    Status::HGCM_TOO_MANY_CLIENTS,
                ));
            }
            let node = state.ready(nodes, path)?;
            state.connecting += 1;
            node
        };
        // Without the lock: a host may take its time.
        let ask = hgcm_connect::Ask { location: LOCALHOST_EXISTING.into(), name };
        let answer = self.acted(&node, doing, exchange(&*node, &ask));
        let mut state = self.lock();
        state.connecting -= 1;
        let client = HgcmClient(answer?.client.get());
        // A session that went meanwhile took the client with it.
        if state.node.as_ref().is_some_and(|current| Arc::ptr_eq(current, &node)) {
            state.clients.insert(client);
        }
        Ok(client)
    }

    /// Ends a connection.
    pub(super) fn disconnect(
        &self,
        nodes: &dyn Nodes,
        path: &Path,
        doing: &str,
        client: HgcmClient,
    ) -> Result<()> {
        self.own(doing, client)?;
        let ask = hgcm_disconnect::Ask { client: client.0.into() };
        self.with(nodes, path, doing, |node| exchange(node, &ask))?;
        self.lock().clients.remove(&client);
        Ok(())
    }

    /// Refuses a client that is not this session's: of another one the number may be the same.
    pub(super) fn own(&self, doing: &str, client: HgcmClient) -> Result<()> {
        if self.lock().clients.contains(&client) {
            Ok(())
        } else {
            Err(Error::new(doing.to_owned(), Status::HGCM_INVALID_CLIENT_ID))
        }
    }

    fn acted<T>(&self, node: &Arc<dyn Node>, doing: &str, outcome: Result<T, Fault>) -> Result<T> {
        outcome.map_err(|fault| {
            if fault.is_gone() {
                self.lock().lose(node);
            }
            fault.error(doing)
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The session; where it was lost, another one with the same filter and capabilities.
    fn ready(&mut self, nodes: &dyn Nodes, path: &Path) -> Result<Arc<dyn Node>> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let node = reopen(nodes, path)?;
        exchange(&*node, &filter(self.filter, Events::empty()))
            .map_err(|fault| fault.error("set the event filter again"))?;
        exchange(&*node, &capabilities(self.set, Capabilities::empty()))
            .map_err(|fault| fault.error("set guest capabilities again"))?;
        tracing::info!(path = %path.display(), "Device opened again");
        self.node = Some(node.clone());
        Ok(node)
    }

    fn tell<A: Ask>(&mut self, nodes: &dyn Nodes, path: &Path, doing: &str, ask: &A) -> Result<A::Answer> {
        let node = self.ready(nodes, path)?;
        exchange(&*node, ask).map_err(|fault| {
            if fault.is_gone() {
                self.lose(&node);
            }
            fault.error(doing)
        })
    }

    /// Tells the session of the capabilities. When that is lost, they are the other session's.
    fn announce(
        &mut self,
        nodes: &dyn Nodes,
        path: &Path,
        ask: &change_guest_capabilities::Ask,
    ) -> Result<change_guest_capabilities::Answer> {
        const DOING: &str = "change guest capabilities";
        let Some(announcer) = &self.announcer else { return self.tell(nodes, path, DOING, ask) };
        exchange(&**announcer, ask).map_err(|fault| {
            if fault.is_gone() {
                self.announcer = None;
            }
            fault.error(DOING)
        })
    }

    /// Forgets a session whose device is gone, unless another took its place already.
    fn lose(&mut self, node: &Arc<dyn Node>) {
        if self.node.as_ref().is_some_and(|current| Arc::ptr_eq(current, node)) {
            self.node = None;
            self.clients.clear();
        }
    }
}

// The driver removes what is in both masks; our callers are promised that adding wins.

fn filter(add: Events, remove: Events) -> change_filter_mask::Ask {
    change_filter_mask::Ask { or: add.bits().into(), not: (remove - add).bits().into() }
}

fn capabilities(add: Capabilities, remove: Capabilities) -> change_guest_capabilities::Ask {
    change_guest_capabilities::Ask { or: add.bits().into(), not: (remove - add).bits().into() }
}

//! A driver whose requests, services and events are counted and told.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use driver_core::wire::{Capabilities, Events, RequestHeader, RequestType, Status};
use driver_core::{Canceller, CapabilityState, Driver, HgcmClient, HgcmParameter, Result, Wake};

use super::{Counts, Tap, What, nanoseconds};
use crate::sync::lock;

/// A session with the device as one plugin uses it, or the agent itself.
pub struct Watched {
    driver: Arc<dyn Driver>,
    tap: Arc<Tap>,
    /// The services that clients are connected to.
    clients: Mutex<BTreeMap<HgcmClient, Arc<str>>>,
}

impl Watched {
    /// A driver that tells `tap` what is asked of `driver`.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>, tap: Arc<Tap>) -> Self {
        Self { driver, tap, clients: Mutex::default() }
    }

    fn service_called(&self, service: &str, function: Option<u32>, outcome: &Result<Status>, begun: Instant) {
        let took = begun.elapsed();
        let failed = failed(outcome);
        Counts::tally(&mut self.tap.lock().services, service).count(!failed, took);
        if self.tap.is_listened_to() {
            self.tap.tell(What::Hgcm {
                service: service.to_owned(),
                function,
                status: word(outcome),
                failed,
                took: nanoseconds(took),
            });
        }
    }
}

fn failed(outcome: &Result<Status>) -> bool {
    outcome.as_ref().map_or(true, |status| status.is_failure())
}

fn word(outcome: &Result<Status>) -> String {
    match outcome {
        Ok(status) => status.to_string(),
        Err(error) => error.status.to_string(),
    }
}

impl Driver for Watched {
    fn describe(&self) -> String {
        self.driver.describe()
    }

    fn wait(&self, mask: Events, timeout: Option<Duration>) -> Result<Wake> {
        let wake = self.driver.wait(mask, timeout);
        if let Ok(Wake::Events(events)) = wake {
            self.tap.count_events(events.bits());
            if self.tap.is_listened_to() {
                self.tap.tell(What::Events(events.to_string()));
            }
        }
        wake
    }

    fn cancel_waits(&self) {
        self.driver.cancel_waits();
    }

    fn change_filter(&self, add: Events, remove: Events) -> Result<()> {
        self.driver.change_filter(add, remove)
    }

    fn acquire_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<()> {
        self.driver.acquire_capabilities(add, remove)
    }

    fn change_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<CapabilityState> {
        self.driver.change_capabilities(add, remove)
    }

    fn request(&self, packet: &mut [u8]) -> Result<Status> {
        // Looked at before the host has written to it.
        let request = RequestHeader::parse(packet).map_or(RequestType(0), |header| header.kind());
        let begun = Instant::now();
        let outcome = self.driver.request(packet);
        let took = begun.elapsed();
        let failed = failed(&outcome);
        {
            let mut counts = self.tap.lock();
            let name = request.name().map_or_else(|| Cow::Owned(request.to_string()), Cow::Borrowed);
            Counts::tally(&mut counts.requests, &name).count(!failed, took);
        }
        if self.tap.is_listened_to() {
            let (request, status) = (request.to_string(), word(&outcome));
            self.tap.tell(What::Request { request, status, failed, took: nanoseconds(took) });
        }
        outcome
    }

    fn hgcm_connect(&self, service: &str) -> Result<HgcmClient> {
        let begun = Instant::now();
        let outcome = self.driver.hgcm_connect(service);
        let status = outcome.as_ref().map(|_| Status::SUCCESS).map_err(Clone::clone);
        self.service_called(service, None, &status, begun);
        if let Ok(client) = &outcome {
            lock(&self.clients).insert(*client, service.into());
        }
        outcome
    }

    fn hgcm_call(
        &self,
        client: HgcmClient,
        function: u32,
        parameters: &mut [HgcmParameter],
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<Status> {
        let service = lock(&self.clients).get(&client).cloned();
        let begun = Instant::now();
        let outcome = self.driver.hgcm_call(client, function, parameters, timeout, cancel);
        self.service_called(service.as_deref().unwrap_or("unknown"), Some(function), &outcome, begun);
        outcome
    }

    fn hgcm_disconnect(&self, client: HgcmClient) -> Result<()> {
        lock(&self.clients).remove(&client);
        self.driver.hgcm_disconnect(client)
    }
}

//! `properties`: names and values that the host and the guest share.
//!
//! A watch is a thread that is in a call until something changes; all else is answered at once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use driver_core::{Canceller, Driver, GuestProperties, Noticed};

use super::Host;
use super::bindings::bellhop::guest::properties::{self, Property};
use super::bindings::bellhop::guest::types::Error;
use super::bindings::exports::bellhop::guest::property_events::Change;
use crate::mailbox::{Item, Poster, Token};

/// The most watches of one plugin.
const MOST_WATCHES: usize = 8;

/// So many changes may wait for the plugin; it hears that it missed the rest.
const MOST_CHANGES: usize = 64;

/// How long a watch waits after a failure: at first, and at the most.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// The connection of one plugin to the service, made when it is first used, and its watches.
#[derive(Default)]
pub struct Properties {
    service: Option<GuestProperties>,
    watches: BTreeMap<Token, Watch>,
    /// Changes that the plugin was not called for yet.
    waiting: Arc<AtomicUsize>,
}

/// A change, as the thread of a watch leaves it.
#[derive(Debug)]
pub struct PropertyNews {
    watch: Token,
    noticed: Noticed,
}

impl Properties {
    /// How many watches there are.
    pub(super) fn watches(&self) -> usize {
        self.watches.len()
    }
}

impl Host {
    fn property_service(&mut self) -> Result<&GuestProperties, Error> {
        let driver = self.outside.driver()?;
        let service = match self.properties.service.take() {
            Some(service) => service,
            None => GuestProperties::connect(driver)?,
        };
        Ok(self.properties.service.insert(service))
    }

    /// Makes a change into what the plugin is called with, unless it may not hear of it.
    pub(crate) fn property_change(&mut self, news: PropertyNews) -> Option<(Token, Change, bool)> {
        self.properties.waiting.fetch_sub(1, Ordering::Relaxed);
        let PropertyNews { watch, noticed: Noticed { change, timestamp, missed } } = news;
        let known = self.properties.watches.contains_key(&watch);
        let permitted = self.authority.properties.permit_read(&change.name).is_ok();
        let change = Change { name: change.name, value: change.value, timestamp, flags: change.flags };
        (known && permitted).then_some((watch, change, missed))
    }
}

impl properties::Host for Host {
    fn get(&mut self, name: String) -> Result<Option<Property>, Error> {
        self.authority.properties.permit_read(&name).map_err(Error::Denied)?;
        Ok(self.property_service()?.get(&name)?.map(Property::from))
    }

    fn set(&mut self, name: String, value: String, flags: String) -> Result<(), Error> {
        self.authority.properties.permit_write(&name).map_err(Error::Denied)?;
        Ok(self.property_service()?.set(&name, &value, &flags)?)
    }

    fn delete(&mut self, name: String) -> Result<(), Error> {
        self.authority.properties.permit_write(&name).map_err(Error::Denied)?;
        Ok(self.property_service()?.delete(&name)?)
    }

    fn enumerate(&mut self, pattern: String) -> Result<Vec<Property>, Error> {
        let mut all = self.property_service()?.enumerate(&pattern)?;
        all.retain(|property| self.authority.properties.permit_read(&property.name).is_ok());
        Ok(all.into_iter().map(Property::from).collect())
    }

    fn watch(&mut self, pattern: String) -> Result<Token, Error> {
        if self.properties.watches.len() >= MOST_WATCHES {
            return Err(Error::Invalid(format!("a plugin may have {MOST_WATCHES} watches of properties")));
        }
        self.permit_handle()?;
        let driver = self.outside.driver()?.clone();
        let token = self.token();
        let watching = Watching {
            token,
            pattern,
            driver,
            poster: self.poster.clone(),
            waiting: self.properties.waiting.clone(),
            cancel: Canceller::new(),
            ending: Arc::new(AtomicBool::new(false)),
            missed: false,
        };
        let watch = Watch::start(watching)
            .map_err(|error| Error::Other(format!("no thread for the watch: {error}")))?;
        self.properties.watches.insert(token, watch);
        Ok(token)
    }

    fn unwatch(&mut self, watch: Token) {
        self.properties.watches.remove(&watch);
    }
}

impl From<driver_core::wire::guest_property::Property> for Property {
    fn from(property: driver_core::wire::guest_property::Property) -> Self {
        Self {
            name: property.name,
            value: property.value,
            timestamp: property.timestamp,
            flags: property.flags,
        }
    }
}

/// A watch, whose thread ends when this is dropped.
struct Watch {
    cancel: Canceller,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    fn start(watching: Watching) -> std::io::Result<Self> {
        let (cancel, ending) = (watching.cancel.clone(), watching.ending.clone());
        let thread = std::thread::Builder::new().name("property-watch".into()).stack_size(64 * 1024);
        Ok(Self { cancel, ending, thread: Some(thread.spawn(move || watching.run())?) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// What the thread of a watch needs.
struct Watching {
    token: Token,
    pattern: String,
    driver: Arc<dyn Driver>,
    poster: Poster,
    waiting: Arc<AtomicUsize>,
    cancel: Canceller,
    ending: Arc<AtomicBool>,
    missed: bool,
}

impl Watching {
    fn run(mut self) {
        let [mut pause, longest] = PAUSE;
        while !self.ending.load(Ordering::Relaxed) {
            let Err(error) = self.follow();
            if self.ending.load(Ordering::Relaxed) {
                return;
            }
            tracing::debug!("{error}; watched again in {pause:?}");
            // Whatever changes until then is not heard of.
            self.missed = true;
            std::thread::park_timeout(pause);
            pause = (pause * 2).min(longest);
        }
    }

    /// Waits for changes and leaves them in the mailbox, until something fails.
    fn follow(&mut self) -> driver_core::Result<std::convert::Infallible> {
        let service = GuestProperties::connect(&self.driver)?;
        let mut since = 0;
        loop {
            let noticed = service.wait(&self.pattern, since, &self.cancel)?;
            since = noticed.timestamp;
            self.leave(noticed);
        }
    }

    fn leave(&mut self, mut noticed: Noticed) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= MOST_CHANGES {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.missed = true;
            return;
        }
        noticed.missed |= std::mem::take(&mut self.missed);
        self.poster.item(Item::Property(PropertyNews { watch: self.token, noticed }));
    }
}

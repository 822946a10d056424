//! From the device to the plugins: one waiter, one latch a plugin.
//!
//! What happens when the host rings: [`Dispatcher::run`], the only waiter of this process, returns
//! from [`Driver::wait`] with event bits; it OR-s them into the [`Mailbox`] of every plugin that
//! subscribed to one of them, and waits again. It never waits for a plugin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use driver_core::wire::{Capabilities, Events};
use driver_core::{Driver, Result, Wake};

use crate::mailbox::Mailbox;

/// Knows which plugin wants what, keeps the device told, and hands events on.
pub struct Dispatcher {
    driver: Arc<dyn Driver>,
    subscribers: Mutex<BTreeMap<Arc<str>, Subscriber>>,
    stopping: AtomicBool,
}

struct Subscriber {
    events: Events,
    capabilities: Capabilities,
    mailbox: Arc<Mailbox>,
}

/// After a wait that failed, how long until the next one: a device that is gone may come back, and
/// must not keep a processor busy until it does.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// A dispatcher on one session of the device.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver, subscribers: Mutex::default(), stopping: AtomicBool::new(false) }
    }

    /// Makes a plugin known, with nothing subscribed and nothing announced.
    pub fn enrol(&self, plugin: &Arc<str>, mailbox: &Arc<Mailbox>) {
        let subscriber = Subscriber {
            events: Events::empty(),
            capabilities: Capabilities::empty(),
            mailbox: mailbox.clone(),
        };
        self.lock().insert(plugin.clone(), subscriber);
    }

    /// Subscribes a plugin to events, in place of what it subscribed to before.
    ///
    /// # Errors
    /// When the device does not take the event filter; nothing changes then.
    pub fn subscribe(&self, plugin: &str, events: Events) -> Result<()> {
        let mut subscribers = self.lock();
        let Some(subscriber) = subscribers.get_mut(plugin) else { return Ok(()) };
        // Known before the filter changes: an event that was pending is raised by that very change.
        let before = std::mem::replace(&mut subscriber.events, events);
        let told = self.driver.change_filter(wanted(&subscribers), Events::all());
        if let (Err(_), Some(subscriber)) = (&told, subscribers.get_mut(plugin)) {
            subscriber.events = before;
        }
        drop(subscribers);
        // The waiter's mask is the union too: let it look again.
        self.driver.cancel_waits();
        told
    }

    /// Changes the guest capabilities that a plugin announces. What another plugin announces as well
    /// stays announced.
    ///
    /// # Errors
    /// When the device refuses; nothing changes then.
    pub fn change_capabilities(&self, plugin: &str, add: Capabilities, remove: Capabilities) -> Result<()> {
        let mut subscribers = self.lock();
        let Some(subscriber) = subscribers.get_mut(plugin) else { return Ok(()) };
        let before = subscriber.capabilities;
        subscriber.capabilities = (before - remove) | add;
        let told = self.tell_capabilities(&subscribers);
        if let (Err(_), Some(subscriber)) = (&told, subscribers.get_mut(plugin)) {
            subscriber.capabilities = before;
        }
        told
    }

    /// Forgets a plugin, and withdraws all that it subscribed to and announced.
    pub fn dismiss(&self, plugin: &str) {
        let mut subscribers = self.lock();
        if subscribers.remove(plugin).is_none() {
            return;
        }
        let filter = self.driver.change_filter(wanted(&subscribers), Events::all());
        for error in [filter.err(), self.tell_capabilities(&subscribers).err()].into_iter().flatten() {
            tracing::warn!(plugin, "{error}");
        }
    }

    /// Waits for events and hands them on, until [`stop`](Self::stop).
    pub fn run(&self) {
        while !self.stopping.load(Ordering::Relaxed) {
            let mask = wanted(&self.lock());
            match self.driver.wait(mask, None) {
                Ok(Wake::Events(events)) => self.fan_out(events),
                Ok(Wake::Cancelled | Wake::TimedOut) => {}
                Err(error) if self.stopping.load(Ordering::Relaxed) => tracing::debug!("{error}"),
                Err(error) => {
                    tracing::error!("{error}; trying again in {PAUSE_AFTER_FAILURE:?}");
                    std::thread::sleep(PAUSE_AFTER_FAILURE);
                }
            }
        }
    }

    /// Makes [`run`](Self::run) return.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.driver.cancel_waits();
    }

    fn fan_out(&self, events: Events) {
        tracing::trace!(target: "bellhop::ring", step = 4u64, %events, "Events fanned out");
        for subscriber in self.lock().values() {
            let theirs = subscriber.events & events;
            if !theirs.is_empty() {
                subscriber.mailbox.post(theirs);
            }
        }
    }

    fn tell_capabilities(&self, subscribers: &BTreeMap<Arc<str>, Subscriber>) -> Result<()> {
        let all =
            subscribers.values().fold(Capabilities::empty(), |all, subscriber| all | subscriber.capabilities);
        self.driver.change_capabilities(all, Capabilities::all()).map(drop)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Subscriber>> {
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wanted(subscribers: &BTreeMap<Arc<str>, Subscriber>) -> Events {
    subscribers.values().fold(Events::empty(), |all, subscriber| all | subscriber.events)
}

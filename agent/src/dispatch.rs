//! From the device to the plugins: one waiter, one latch a plugin.
//!
//! What happens when the host rings: [`Dispatcher::run`], the only waiter of this process, returns
//! from [`Driver::wait`] with event bits; it OR-s them into the [`Mailbox`] of every plugin that
//! subscribed to one of them, and waits again. It never waits for a plugin.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use driver_core::wire::{Capabilities, Events, Status};
use driver_core::{Driver, Result, Wake};

use crate::mailbox::Mailbox;
use crate::sync::lock;

/// Knows which plugin wants what, keeps the device told, and hands events on.
pub struct Dispatcher {
    driver: Arc<dyn Driver>,
    state: Mutex<State>,
    stopping: AtomicBool,
    /// Nothing is withdrawn any more: it is kept for the next process.
    leaving: AtomicBool,
}

#[derive(Default)]
struct State {
    subscribers: BTreeMap<Arc<str>, Subscriber>,
    /// Capabilities that another agent had for itself once. They can no longer be set, only acquired, and
    /// the events that belong to them are seen by their holder alone.
    exclusive: Capabilities,
    /// What may be withdrawn from the host: what was announced here, and, once all plugins had their chance,
    /// what an earlier process announced.
    ours: Capabilities,
}

struct Subscriber {
    events: Events,
    capabilities: Capabilities,
    /// What it is to announce as soon as no other agent holds it.
    awaited: Capabilities,
    mailbox: Arc<Mailbox>,
}

/// After a wait that failed, how long until the next one: a device that is gone may come back, and
/// must not keep a processor busy until it does.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How long nothing may happen until a capability that another agent holds is tried again, which nobody
/// tells when that one lets go. Doubled each time, up to the second.
const AWAITED_AGAIN: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(256)];

impl Dispatcher {
    /// A dispatcher on one session of the device.
    #[must_use]
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        let [stopping, leaving] = [(); 2].map(|()| AtomicBool::new(false));
        Self { driver, state: Mutex::default(), stopping, leaving }
    }

    /// Makes a plugin known, with nothing subscribed and nothing announced.
    pub fn enrol(&self, plugin: &Arc<str>, mailbox: &Arc<Mailbox>) {
        let subscriber = Subscriber {
            events: Events::empty(),
            capabilities: Capabilities::empty(),
            awaited: Capabilities::empty(),
            mailbox: mailbox.clone(),
        };
        self.lock().subscribers.insert(plugin.clone(), subscriber);
    }

    /// Subscribes a plugin to events, in place of what it subscribed to before.
    ///
    /// # Errors
    /// When the device does not take the event filter; nothing changes then.
    pub fn subscribe(&self, plugin: &str, events: Events) -> Result<()> {
        let mut state = self.lock();
        let Some(subscriber) = state.subscribers.get_mut(plugin) else { return Ok(()) };
        // Known before the filter changes: an event that was pending is raised by that very change.
        let before = std::mem::replace(&mut subscriber.events, events);
        let told = self.driver.change_filter(state.wanted(), Events::all());
        if let (Err(_), Some(subscriber)) = (&told, state.subscribers.get_mut(plugin)) {
            subscriber.events = before;
        }
        drop(state);
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
        let mut state = self.lock();
        let mut added = Capabilities::empty();
        for capability in add.iter() {
            match self.tell_change(&mut state, plugin, capability, Capabilities::empty()) {
                Ok(changed) => added |= changed,
                Err(error) => {
                    let _ = self.tell_change(&mut state, plugin, Capabilities::empty(), added);
                    return Err(error);
                }
            }
        }
        self.tell_change(&mut state, plugin, Capabilities::empty(), remove - add).map(drop)
    }

    /// The guest capabilities that a plugin announces, and those that it waits to.
    #[must_use]
    pub fn capabilities(&self, plugin: &str) -> (Capabilities, Capabilities) {
        let state = self.lock();
        let subscriber = state.subscribers.get(plugin);
        subscriber.map_or(Default::default(), |subscriber| (subscriber.capabilities, subscriber.awaited))
    }

    /// Announces capabilities for a plugin, each on its own. One that another agent holds is tried again
    /// whenever something happens, and now and then.
    pub fn announce(&self, plugin: &str, capabilities: Capabilities) {
        let mut state = self.lock();
        for capability in capabilities.iter() {
            let Err(error) = self.tell_change(&mut state, plugin, capability, Capabilities::empty()) else {
                continue;
            };
            tracing::warn!(plugin, %capability, "{error}; going on without, and trying again");
            if let Some(subscriber) = state.subscribers.get_mut(plugin) {
                subscriber.awaited |= capability;
            }
            // A wait that knows nothing of that would have no end.
            self.driver.cancel_waits();
        }
    }

    /// What plugins wait to announce, when that is all that any of them announces: nothing of what they
    /// are for will happen meanwhile. Otherwise nothing.
    #[must_use]
    pub fn awaited_by_all(&self) -> Capabilities {
        let state = self.lock();
        let idle =
            |subscriber: &Subscriber| subscriber.capabilities.is_empty() && !subscriber.awaited.is_empty();
        let all_idle = state.subscribers.values().all(idle);
        let awaited = state.subscribers.values().map(|subscriber| subscriber.awaited);
        awaited.filter(|_| all_idle).collect()
    }

    /// All plugins had their chance: what is announced now is all that is.
    pub fn settle(&self) {
        let mut state = self.lock();
        state.ours = Capabilities::all();
        if let Err(error) = self.tell_capabilities(&mut state) {
            tracing::warn!("{error}");
        }
    }

    /// Withdraws nothing from now on, whatever becomes of the plugins.
    pub fn leave_capabilities(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Forgets a plugin, and withdraws all that it subscribed to and announced.
    pub fn dismiss(&self, plugin: &str) {
        let mut state = self.lock();
        if state.subscribers.remove(plugin).is_none() {
            return;
        }
        let filter = self.driver.change_filter(state.wanted(), Events::all());
        for error in [filter.err(), self.tell_capabilities(&mut state).err()].into_iter().flatten() {
            tracing::warn!(plugin, "{error}");
        }
    }

    /// Waits for events and hands them on, until [`stop`](Self::stop).
    pub fn run(&self) {
        let [first, longest] = AWAITED_AGAIN;
        let mut pause = first;
        while !self.stopping.load(Ordering::Relaxed) {
            let (mask, awaiting) = self.lock().waits_for();
            match self.driver.wait(mask, awaiting.then_some(pause)) {
                Ok(Wake::Events(events)) => self.fan_out(events),
                Ok(Wake::Cancelled) => {}
                Ok(Wake::TimedOut) => pause = longest.min(2 * pause),
                Err(error) if self.stopping.load(Ordering::Relaxed) => tracing::debug!("{error}"),
                Err(error) => {
                    tracing::error!("{error}; trying again in {PAUSE_AFTER_FAILURE:?}");
                    std::thread::sleep(PAUSE_AFTER_FAILURE);
                }
            }
            if awaiting {
                self.announce_awaited();
            } else {
                pause = first;
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
        for subscriber in self.lock().subscribers.values() {
            let theirs = subscriber.events & events;
            if !theirs.is_empty() {
                subscriber.mailbox.post(theirs);
            }
        }
    }

    /// Announces what other agents held so far.
    fn announce_awaited(&self) {
        let mut state = self.lock();
        let awaited =
            state.subscribers.iter().map(|(plugin, subscriber)| (plugin.clone(), subscriber.awaited));
        for (plugin, awaited) in awaited.collect::<Vec<_>>() {
            for capability in awaited.iter() {
                match self.tell_change(&mut state, &plugin, capability, Capabilities::empty()) {
                    Ok(_) => tracing::info!(plugin = &*plugin, %capability, "Announced now"),
                    Err(error) => tracing::debug!(plugin = &*plugin, "{error}"),
                }
            }
        }
    }

    /// Adds a capability to what a plugin announces, or takes some away, and says what was added.
    fn tell_change(
        &self,
        state: &mut State,
        plugin: &str,
        add: Capabilities,
        remove: Capabilities,
    ) -> Result<Capabilities> {
        let Some(subscriber) = state.subscribers.get_mut(plugin) else { return Ok(Capabilities::empty()) };
        let before = subscriber.capabilities;
        let after = (before - remove) | add;
        if after == before && !subscriber.awaited.intersects(remove) {
            return Ok(Capabilities::empty());
        }
        subscriber.capabilities = after;
        let mut told = self.tell_capabilities(state);
        let busy = told.as_ref().is_err_and(|error| error.status == Status::RESOURCE_BUSY);
        if busy && !state.exclusive.contains(add) {
            // It cannot be set any more. If nobody holds it, it can be acquired.
            state.exclusive |= add;
            told = self.tell_capabilities(state);
        }
        if let Some(subscriber) = state.subscribers.get_mut(plugin) {
            match &told {
                Ok(()) => subscriber.awaited -= add | remove,
                Err(_) => subscriber.capabilities = before,
            }
        }
        told.map(|()| after - before)
    }

    /// Tells the host what is announced, and nothing else.
    fn tell_capabilities(&self, state: &mut State) -> Result<()> {
        let all = state.announced();
        state.ours |= all;
        let leaving = self.leaving.load(Ordering::Relaxed);
        let withdrawn = if leaving { Capabilities::empty() } else { state.ours };
        self.driver.change_capabilities(all - state.exclusive, withdrawn)?;
        if state.exclusive.is_empty() {
            return Ok(());
        }
        self.driver.acquire_capabilities(all & state.exclusive, Capabilities::all())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn wanted(&self) -> Events {
        self.subscribers.values().map(|subscriber| subscriber.events).collect()
    }

    fn announced(&self) -> Capabilities {
        self.subscribers.values().map(|subscriber| subscriber.capabilities).collect()
    }

    /// The events that are waited for, and whether a capability is as well.
    fn waits_for(&self) -> (Events, bool) {
        (self.wanted(), self.subscribers.values().any(|subscriber| !subscriber.awaited.is_empty()))
    }
}

#[cfg(all(test, feature = "simulated"))]
mod tests {
    use driver_core::pci::PciDevice;
    use vmmdev::carrier::InProcess;

    use super::*;

    #[test]
    fn what_an_earlier_process_announced_is_withdrawn_once_all_plugins_had_their_chance() {
        let host = vmmdev::Host::default();
        let device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("a device");
        let driver = Arc::new(device.session());
        let none = Capabilities::empty();
        let told = || driver.change_capabilities(none, none).expect("the state").session;
        let earlier = Capabilities::GRAPHICS | Capabilities::SEAMLESS;
        driver.change_capabilities(earlier, none).expect("it is free");
        let dispatcher = Dispatcher::new(driver.clone());
        let plugin: Arc<str> = "display".into();
        dispatcher.enrol(&plugin, &Arc::new(Mailbox::default()));

        dispatcher.announce(&plugin, Capabilities::GRAPHICS | Capabilities::WINDOW_MAPPING);
        dispatcher.change_capabilities(&plugin, none, Capabilities::WINDOW_MAPPING).expect("it is ours");
        assert_eq!(told(), earlier);
        dispatcher.settle();
        assert_eq!(told(), Capabilities::GRAPHICS);
        dispatcher.leave_capabilities();
        dispatcher.dismiss(&plugin);
        assert_eq!(told(), Capabilities::GRAPHICS);
    }
}

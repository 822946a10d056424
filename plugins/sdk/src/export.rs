//! What [`plugin!`](crate::plugin!) expands to calls of; not for use by hand.

use std::cell::RefCell;

use crate::bindings::exports::bellhop::guest::lifecycle;
use crate::{Events, Plugin, Subscription, config};

/// The place of the component's one plugin: empty until it was started.
pub struct Slot<P>(RefCell<Option<P>>);

impl<P: Plugin> Slot<P> {
    /// A place where no plugin is yet.
    pub const fn empty() -> Self {
        Slot(RefCell::new(None))
    }

    /// Starts the plugin.
    pub fn start(&self, config: &str) -> Result<lifecycle::Subscription, String> {
        // A component has no standard error: without this a panic would be a trap and no word.
        #[cfg(target_arch = "wasm32")]
        std::panic::set_hook(Box::new(|panic| crate::error!("{panic}")));

        let mut slot = self.0.try_borrow_mut().map_err(|_| "Called from within itself")?;
        if slot.is_some() {
            return Err("Already started".into());
        }
        let (plugin, Subscription { events, capabilities }) = P::start(config::parse(config)?)?;
        *slot = Some(plugin);
        Ok(lifecycle::Subscription { events: events.bits(), capabilities: capabilities.bits() })
    }

    /// Hands over events; bits without a name here are from a newer host, and dropped.
    pub fn on_host_events(&self, events: u32) -> Result<(), String> {
        let mut slot = self.0.try_borrow_mut().map_err(|_| "Called from within itself")?;
        let plugin = slot.as_mut().ok_or("Called before it was started")?;
        plugin.on_host_events(Events::from_bits_truncate(events))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, NoConfig};

    struct Recorder(Vec<Events>);

    impl Plugin for Recorder {
        type Config = NoConfig;

        fn start(_: NoConfig) -> Result<(Self, Subscription), String> {
            let subscription = Subscription {
                events: Events::DISPLAY_CHANGE | Events::RESTORED,
                capabilities: Capabilities::GRAPHICS,
            };
            Ok((Recorder(Vec::new()), subscription))
        }

        fn on_host_events(&mut self, events: Events) -> Result<(), String> {
            self.0.push(events);
            Err(format!("{} so far", self.0.len()))
        }
    }

    #[test]
    fn a_plugin_is_started_once_and_keeps_its_state() {
        let slot = Slot::<Recorder>::empty();
        assert!(slot.on_host_events(4).is_err());

        let subscription = slot.start("{}").unwrap();
        assert_eq!((subscription.events, subscription.capabilities), (0x14, 4));
        assert!(slot.start("{}").is_err());

        assert_eq!(slot.on_host_events(4), Err("1 so far".into()));
        assert_eq!(slot.on_host_events(0x8000_0010), Err("2 so far".into()));
        let plugin = slot.0.into_inner().unwrap();
        assert_eq!(plugin.0, [Events::DISPLAY_CHANGE, Events::RESTORED]);
    }

    #[test]
    fn a_wrong_configuration_leaves_the_place_empty() {
        let slot = Slot::<Recorder>::empty();
        assert!(slot.start(r#"{"x": 1}"#).is_err());
        assert!(slot.start("{}").is_ok());
    }
}

//! What [`plugin!`](crate::plugin!) expands to calls of; not for use by hand.

use std::cell::RefCell;

use crate::bindings::lifecycle::exports::bellhop::guest::lifecycle;
use crate::{Plugin, Subscription, config};

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

    /// Calls a handler of the plugin.
    pub fn call<T>(&self, handler: impl FnOnce(&mut P) -> Result<T, String>) -> Result<T, String> {
        let mut slot = self.0.try_borrow_mut().map_err(|_| "Called from within itself")?;
        handler(slot.as_mut().ok_or("Called before it was started")?)
    }
}

/// Exports a [`Plugin`], and the handlers that are named after it, from this component.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty $(: $($handler:ident),+ $(,)?)?) => {
        // Only a component can have exports of these names; elsewhere a linker chokes on them.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::bindings;
            use $crate::export::Slot;

            // A component has one thread, so this is the one instance.
            ::std::thread_local! {
                static SLOT: Slot<$plugin> = const { Slot::empty() };
            }

            struct Component;

            impl bindings::lifecycle::exports::bellhop::guest::lifecycle::Guest for Component {
                fn init(
                    config: ::std::string::String,
                ) -> ::std::result::Result<
                    bindings::lifecycle::exports::bellhop::guest::lifecycle::Subscription,
                    ::std::string::String,
                > {
                    SLOT.with(|slot| slot.start(&config))
                }
            }
            bindings::lifecycle::export!(Component with_types_in bindings::lifecycle);

            $($($crate::__handler!($plugin, SLOT, Component, $handler);)+)?
        };

        // What does not fit is said on every target, by the trait that is missing.
        $($(const _: fn() = || {
            fn implemented<P: $crate::$handler>() {}
            implemented::<$plugin>();
        };)+)?
    };
}

/// Exports one handler. The names are those of the traits in this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __handler {
    ($plugin:ty, $slot:ident, $component:ident, HostEvents) => {
        impl $crate::bindings::host_events::exports::bellhop::guest::host_events::Guest for $component {
            fn on_host_events(events: u32) -> ::std::result::Result<(), ::std::string::String> {
                // Bits without a name here are from a newer host, and dropped.
                let events = $crate::Events::from_bits_truncate(events);
                $slot.with(|slot| slot.call(|plugin| $crate::HostEvents::on_host_events(plugin, events)))
            }
        }
        $crate::bindings::host_events::export!($component with_types_in $crate::bindings::host_events);
    };
    ($plugin:ty, $slot:ident, $component:ident, HgcmCompletions) => {
        impl $crate::bindings::hgcm_completions::exports::bellhop::guest::hgcm_completions::Guest
            for $component
        {
            fn on_completion(
                call: $crate::Token,
                outcome: ::std::result::Result<$crate::hgcm::Completion, $crate::Error>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| {
                    slot.call(|plugin| $crate::HgcmCompletions::on_completion(plugin, call, outcome))
                })
            }
        }
        $crate::bindings::hgcm_completions::export!(
            $component with_types_in $crate::bindings::hgcm_completions
        );
    };
    ($plugin:ty, $slot:ident, $component:ident, TimerEvents) => {
        impl $crate::bindings::timer_events::exports::bellhop::guest::timer_events::Guest for $component {
            fn on_timer(timer: $crate::Token) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| slot.call(|plugin| $crate::TimerEvents::on_timer(plugin, timer)))
            }
        }
        $crate::bindings::timer_events::export!($component with_types_in $crate::bindings::timer_events);
    };
    ($plugin:ty, $slot:ident, $component:ident, PropertyEvents) => {
        impl $crate::bindings::property_events::exports::bellhop::guest::property_events::Guest
            for $component
        {
            fn on_property_changed(
                watch: $crate::Token,
                change: $crate::properties::Change,
                missed: bool,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| {
                    slot.call(|plugin| {
                        $crate::PropertyEvents::on_property_changed(plugin, watch, change, missed)
                    })
                })
            }
        }
        $crate::bindings::property_events::export!(
            $component with_types_in $crate::bindings::property_events
        );
    };
    ($plugin:ty, $slot:ident, $component:ident, HandOver) => {
        impl $crate::bindings::hand_over::exports::bellhop::guest::hand_over::Guest for $component {
            fn save(largest: u64) -> ::std::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                $slot.with(|slot| slot.call(|plugin| $crate::HandOver::save(plugin, largest)))
            }

            fn restore(state: ::std::vec::Vec<u8>) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| slot.call(|plugin| $crate::HandOver::restore(plugin, state)))
            }
        }
        $crate::bindings::hand_over::export!($component with_types_in $crate::bindings::hand_over);
    };
    ($plugin:ty, $slot:ident, $component:ident, WindowEvents) => {
        impl $crate::bindings::window_events::exports::bellhop::guest::window_events::Guest for $component {
            fn on_windows_changed() -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| slot.call($crate::WindowEvents::on_windows_changed))
            }
        }
        $crate::bindings::window_events::export!($component with_types_in $crate::bindings::window_events);
    };
    ($plugin:ty, $slot:ident, $component:ident, ClipboardEvents) => {
        impl $crate::bindings::clipboard_events::exports::bellhop::guest::clipboard_events::Guest
            for $component
        {
            fn on_changed(
                selection: $crate::clipboard::Selection,
                owner: $crate::clipboard::Owner,
                formats: ::std::vec::Vec<::std::string::String>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| {
                    slot.call(|plugin| {
                        $crate::ClipboardEvents::on_changed(plugin, selection, owner, formats)
                    })
                })
            }

            fn on_read(
                read: $crate::Token,
                outcome: ::std::result::Result<u64, $crate::Error>,
            ) -> ::std::result::Result<(), ::std::string::String> {
                let outcome = outcome.map($crate::Buffer::from_number);
                $slot.with(|slot| slot.call(|plugin| $crate::ClipboardEvents::on_read(plugin, read, outcome)))
            }

            fn on_wanted(
                wanted: $crate::Token,
                selection: $crate::clipboard::Selection,
                format: ::std::string::String,
            ) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| {
                    slot.call(|plugin| $crate::ClipboardEvents::on_wanted(plugin, wanted, selection, format))
                })
            }

            fn on_locked(locked: bool) -> ::std::result::Result<(), ::std::string::String> {
                $slot.with(|slot| slot.call(|plugin| $crate::ClipboardEvents::on_locked(plugin, locked)))
            }
        }
        $crate::bindings::clipboard_events::export!(
            $component with_types_in $crate::bindings::clipboard_events
        );
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capabilities, Events, HostEvents, NoConfig};

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
    }

    impl HostEvents for Recorder {
        fn on_host_events(&mut self, events: Events) -> Result<(), String> {
            self.0.push(events);
            Err(format!("{} so far", self.0.len()))
        }
    }

    #[test]
    fn a_plugin_is_started_once_and_keeps_its_state() {
        let slot = Slot::<Recorder>::empty();
        assert!(slot.call(|plugin| plugin.on_host_events(Events::RESTORED)).is_err());

        let subscription = slot.start("{}").unwrap();
        assert_eq!((subscription.events, subscription.capabilities), (0x14, 4));
        assert!(slot.start("{}").is_err());

        let on_host_events = |events| slot.call(|plugin| plugin.on_host_events(events));
        assert_eq!(on_host_events(Events::DISPLAY_CHANGE), Err("1 so far".into()));
        assert_eq!(on_host_events(Events::RESTORED), Err("2 so far".into()));
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

//! The handlers that a component exports, and how news becomes a call of one.

use wasmtime::Store;
use wasmtime::component::{Instance as Linked, InstancePre};

use super::surface::Surface;
use super::{Fault, Guest, Instance};
use crate::host::bindings::exports::bellhop::guest as exports;
use crate::host::told;
use crate::mailbox::{Item, News};

/// Declares the handlers, each an interface that a component may leave out.
macro_rules! handlers {
    ($($name:ident: $interface:literal),+ $(,)?) => {
        /// Where the handlers of a component are.
        pub(super) struct Indices {
            $($name: Option<exports::$name::GuestIndices>,)+
        }

        /// The handlers of an instance.
        #[derive(Clone)]
        pub(super) struct Handlers {
            $(pub(super) $name: Option<exports::$name::Guest>,)+
        }

        impl Indices {
            /// Those that the component exports.
            pub(super) fn new(pre: &InstancePre<Guest>, surface: &Surface) -> wasmtime::Result<Self> {
                let has = |interface| surface.exports.keys().any(|name| name.short() == interface);
                Ok(Self {
                    $($name: has($interface)
                        .then(|| exports::$name::GuestIndices::new(pre))
                        .transpose()?,)+
                })
            }

            pub(super) fn load(&self, store: &mut Store<Guest>, linked: &Linked) -> wasmtime::Result<Handlers> {
                Ok(Handlers {
                    $($name: self.$name
                        .as_ref()
                        .map(|indices| indices.load(&mut *store, linked))
                        .transpose()?,)+
                })
            }
        }
    };
}

handlers! {
    host_events: "host-events",
    hgcm_completions: "hgcm-completions",
    timer_events: "timer-events",
    property_events: "property-events",
    window_events: "window-events",
    clipboard_events: "clipboard-events",
}

/// What a handler said: its own word, inside that of the sandbox.
type Said = Result<Result<(), String>, Fault>;

impl Instance {
    /// Whether the component has a handler for the host's events.
    #[must_use]
    pub fn handles_host_events(&self) -> bool {
        self.handlers.host_events.is_some()
    }

    /// Calls the handler that news is for. Without one, and for news of what the plugin has given up by
    /// now, it does nothing. The inner result is the plugin's own word.
    ///
    /// # Errors
    /// A [`Fault`], after which the instance is of no use.
    pub fn deliver(&mut self, news: News) -> Said {
        match news {
            News::Events(events) => self.handle(
                |handlers| handlers.host_events.clone(),
                |handler, store| handler.call_on_host_events(store, events.bits()),
            ),
            News::Item(item) => self.deliver_item(item),
            News::Locked(locked) => self.handle(
                |handlers| handlers.clipboard_events.clone(),
                |handler, store| handler.call_on_locked(store, locked),
            ),
            News::Clipboard(selection, content) => {
                let (owner, formats) = told(content);
                self.handle(
                    |handlers| handlers.clipboard_events.clone(),
                    |handler, store| handler.call_on_changed(store, selection.into(), owner, &formats),
                )
            }
            News::Windows => self.handle(
                |handlers| handlers.window_events.clone(),
                |handler, store| handler.call_on_windows_changed(store),
            ),
            News::Timer(timer) => self.handle(
                |handlers| handlers.timer_events.clone(),
                |handler, store| handler.call_on_timer(store, timer),
            ),
        }
    }

    fn deliver_item(&mut self, item: Item) -> Said {
        let host = &mut self.store.data_mut().host;
        match item {
            Item::Hgcm(end) => {
                let Some((call, outcome)) = host.completion(end) else { return Ok(Ok(())) };
                self.handle(
                    |handlers| handlers.hgcm_completions.clone(),
                    |handler, store| handler.call_on_completion(store, call, outcome.as_ref()),
                )
            }
            Item::Property(news) => {
                let Some((watch, change, missed)) = host.property_change(news) else { return Ok(Ok(())) };
                self.handle(
                    |handlers| handlers.property_events.clone(),
                    |handler, store| handler.call_on_property_changed(store, watch, &change, missed),
                )
            }
            Item::Read(end) => {
                let Some((read, outcome)) = host.clipboard_read(end) else { return Ok(Ok(())) };
                self.handle(
                    |handlers| handlers.clipboard_events.clone(),
                    |handler, store| {
                        handler.call_on_read(store, read, outcome.as_ref().map(|buffer| *buffer))
                    },
                )
            }
            Item::Wanted(wish) => {
                let (wanted, selection, format) = host.clipboard_wanted(wish);
                self.handle(
                    |handlers| handlers.clipboard_events.clone(),
                    |handler, store| handler.call_on_wanted(store, wanted, selection, &format),
                )
            }
        }
    }

    fn handle<H>(
        &mut self,
        pick: impl FnOnce(&Handlers) -> Option<H>,
        call: impl FnOnce(H, &mut Store<Guest>) -> wasmtime::Result<Result<(), String>>,
    ) -> Said {
        match pick(&self.handlers) {
            Some(handler) => self.call(|store| call(handler, store)),
            None => Ok(Ok(())),
        }
    }
}

//! The handlers that a component exports, and how news becomes a call of one.

use serde::Serialize;
use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance as Linked, InstancePre, Lower, TypedFunc};

use super::surface::Surface;
use super::{Fault, Guest, Instance, Said};
use crate::host::bindings::exports::bellhop::guest as exports;
use crate::host::told;
use crate::mailbox::{Item, News};

/// Declares the handlers, each an interface that a component may leave out.
macro_rules! handlers {
    ($($name:ident: $interface:literal),+ $(,)?) => {
        /// Where the handlers of a component are.
        pub(super) struct Indices {
            $(pub(super) $name: Option<exports::$name::GuestIndices>,)+
        }

        /// The handlers of an instance.
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
    hand_over: "hand-over",
}

/// What a handler said: its own word, inside that of the sandbox.
type Handled = Result<Said<()>, Fault>;

/// What every handler returns.
type Answer = (Said<()>,);

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
    pub fn deliver(&mut self, news: News) -> Handled {
        let Handlers { host_events, timer_events, window_events, clipboard_events, .. } =
            &*self.handlers.clone();
        match news {
            News::Events(events) => {
                self.store.data().host.tap.count_events(events.bits());
                let function = host_events.as_ref().map(|handler| handler.func_on_host_events());
                self.handle("host-events.on-host-events", function, (events.bits(),))
            }
            News::Item(item) => self.deliver_item(item),
            News::Locked(locked) => {
                let function = clipboard_events.as_ref().map(|handler| handler.func_on_locked());
                self.handle("clipboard-events.on-locked", function, (locked,))
            }
            News::Clipboard(selection, content) => {
                let (owner, formats) = told(content);
                let function = clipboard_events.as_ref().map(|handler| handler.func_on_changed());
                let params = (selection.into(), owner, &formats[..]);
                self.handle("clipboard-events.on-changed", function, params)
            }
            News::Windows => {
                let function = window_events.as_ref().map(|handler| handler.func_on_windows_changed());
                self.handle("window-events.on-windows-changed", function, ())
            }
            // Whoever takes it from the mailbox makes another instance.
            News::Again => Ok(Ok(())),
            News::Timer(timer) => {
                let function = timer_events.as_ref().map(|handler| handler.func_on_timer());
                self.handle("timer-events.on-timer", function, (timer,))
            }
        }
    }

    fn deliver_item(&mut self, item: Item) -> Handled {
        let Handlers { hgcm_completions, property_events, clipboard_events, .. } = &*self.handlers.clone();
        let host = &mut self.store.data_mut().host;
        match item {
            Item::Hgcm(end) => {
                let Some((call, outcome)) = host.completion(end) else { return Ok(Ok(())) };
                let function = hgcm_completions.as_ref().map(|handler| handler.func_on_completion());
                self.handle("hgcm-completions.on-completion", function, (call, outcome.as_ref()))
            }
            Item::Property(news) => {
                let Some((watch, change, missed)) = host.property_change(news) else { return Ok(Ok(())) };
                let function = property_events.as_ref().map(|handler| handler.func_on_property_changed());
                self.handle("property-events.on-property-changed", function, (watch, &change, missed))
            }
            Item::Read(end) => {
                let Some((read, outcome)) = host.clipboard_read(end) else { return Ok(Ok(())) };
                let function = clipboard_events.as_ref().map(|handler| handler.func_on_read());
                let params = (read, outcome.as_ref().map(|buffer| *buffer));
                self.handle("clipboard-events.on-read", function, params)
            }
            Item::Wanted(wish) => {
                let (wanted, selection, format) = host.clipboard_wanted(wish);
                let function = clipboard_events.as_ref().map(|handler| handler.func_on_wanted());
                self.handle("clipboard-events.on-wanted", function, (wanted, selection, &format[..]))
            }
        }
    }

    /// What the plugin wants its successor to know: nothing, when it does not hand over.
    ///
    /// # Errors
    /// A [`Fault`], after which the instance is of no use.
    pub fn save(&mut self, largest: u64) -> Result<Option<Said<Vec<u8>>>, Fault> {
        let Handlers { hand_over, .. } = &*self.handlers.clone();
        let Some(function) = hand_over.as_ref().map(|handler| handler.func_save()) else { return Ok(None) };
        // What is too long is to be refused, and not to be a fault: so all that its memory can hold may come.
        let usual = self.limits.host_call_allocation.get();
        self.store.set_hostcall_fuel(usual.saturating_add(self.limits.memory.get()));
        let saved = self.call("hand-over.save", function, (largest,));
        self.store.set_hostcall_fuel(usual);
        saved.map(Some)
    }

    /// Tells the plugin what its predecessor saved.
    ///
    /// # Errors
    /// A [`Fault`], after which the instance is of no use.
    pub fn restore(&mut self, state: &[u8]) -> Handled {
        let Handlers { hand_over, .. } = &*self.handlers.clone();
        let function = hand_over.as_ref().map(|handler| handler.func_restore());
        self.handle("hand-over.restore", function, (state,))
    }

    fn handle<P>(
        &mut self,
        export: &'static str,
        function: Option<TypedFunc<P, Answer>>,
        params: P,
    ) -> Handled
    where
        P: ComponentNamedList + Lower + Serialize,
    {
        match function {
            Some(function) => self.call(export, function, params),
            None => Ok(Ok(())),
        }
    }
}

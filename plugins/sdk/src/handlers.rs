//! What a plugin implements: [`Plugin`], and a trait for each kind of news that it wants.

use crate::clipboard::{Owner, Selection};
use crate::hgcm::Completion;
use crate::properties::Change;
use crate::{Buffer, Capabilities, Error, Events, Token};

/// A plugin: one value that lives from its start to its end, and is called with news.
///
/// Handlers must not wait for anything; they ask and act through calls that answer at once, and
/// return. What a handler returns as an error is logged, and the plugin goes on. A plugin that panics or
/// overruns its budget is started anew, without its memory.
pub trait Plugin: Sized + 'static {
    /// Its configuration, as it stands in `agent.toml`. [`NoConfig`](crate::NoConfig) for none.
    type Config: serde::de::DeserializeOwned;

    /// Called once, before anything else.
    ///
    /// # Errors
    /// An error ends the plugin; its text is shown to the administrator. So does a subscription that
    /// exceeds the grants.
    fn start(config: Self::Config) -> Result<(Self, Subscription), String>;
}

/// What a plugin wants to hear of, and to announce; every bit must have been granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// The events to be called for.
    pub events: Events,
    /// The guest capabilities to announce while the plugin runs.
    pub capabilities: Capabilities,
}

/// A plugin that hears of the host's events.
pub trait HostEvents: Plugin {
    /// Called with the events that the host raised since the last call: at least one, and only those
    /// subscribed to.
    ///
    /// # Errors
    /// For the log.
    fn on_host_events(&mut self, events: Events) -> Result<(), String>;
}

/// A plugin that calls services of the host by [`hgcm`](crate::hgcm).
pub trait HgcmCompletions: Plugin {
    /// A call ended: by its service, or because it did not reach it, timed out or was cancelled.
    ///
    /// # Errors
    /// For the log.
    fn on_completion(&mut self, call: Token, outcome: Result<Completion, Error>) -> Result<(), String>;
}

/// A plugin that sets [`timers`](crate::timers).
pub trait TimerEvents: Plugin {
    /// The time of a timer has come.
    ///
    /// # Errors
    /// For the log.
    fn on_timer(&mut self, timer: Token) -> Result<(), String>;
}

/// A plugin that watches guest [`properties`](crate::properties).
pub trait PropertyEvents: Plugin {
    /// A property changed. `missed` says that earlier changes may have gone unheard.
    ///
    /// # Errors
    /// For the log.
    fn on_property_changed(&mut self, watch: Token, change: Change, missed: bool) -> Result<(), String>;
}

/// A plugin that watches [`windows`](crate::windows).
pub trait WindowEvents: Plugin {
    /// What is to be seen changed since the last call.
    ///
    /// # Errors
    /// For the log.
    fn on_windows_changed(&mut self) -> Result<(), String>;
}

/// A plugin that hands what it knows to the one that takes its place, when its component or its
/// configuration was changed. One that is started anew after a fault is handed nothing.
pub trait HandOver: Plugin {
    /// What the successor is to know, at most so many bytes: the limit `hand-over`. If the successor comes to
    /// nothing, the plugin goes on.
    ///
    /// # Errors
    /// An error keeps the successor from its place; its text is shown to the administrator.
    fn save(&mut self, largest: u64) -> Result<Vec<u8>, String>;

    /// What the predecessor saved, which may be of another version. Called after
    /// [`start`](Plugin::start) and before anything else.
    ///
    /// # Errors
    /// An error keeps the predecessor in its place; its text is shown to the administrator.
    fn restore(&mut self, state: Vec<u8>) -> Result<(), String>;
}

/// A plugin that uses the [`clipboard`](crate::clipboard).
pub trait ClipboardEvents: Plugin {
    /// A watched selection has another owner, or its owner other content. `formats` is what can be read,
    /// when another program owns it.
    ///
    /// # Errors
    /// For the log.
    fn on_changed(&mut self, selection: Selection, owner: Owner, formats: Vec<String>) -> Result<(), String>;

    /// A read ended. [`Error::Busy`] means that the owner changed meanwhile.
    ///
    /// # Errors
    /// For the log.
    fn on_read(&mut self, read: Token, outcome: Result<Buffer, Error>) -> Result<(), String>;

    /// Somebody pastes what this plugin offers: to be answered by
    /// [`clipboard::answer`](crate::clipboard::answer) or
    /// [`clipboard::refuse`](crate::clipboard::refuse) within 30 seconds.
    ///
    /// # Errors
    /// For the log.
    fn on_wanted(&mut self, wanted: Token, selection: Selection, format: String) -> Result<(), String>;

    /// The session of the desktop was locked, or unlocked.
    ///
    /// # Errors
    /// For the log.
    fn on_locked(&mut self, locked: bool) -> Result<(), String>;
}

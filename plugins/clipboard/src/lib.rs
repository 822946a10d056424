//! The clipboard plugin: what is copied in the guest can be pasted at the host, and the other way
//! round.
//!
//! What it *decides* is in [`exchange`], which knows the host's protocol and neither host nor desktop:
//! all that it asks for goes through a trait, which this file implements by the agent's imports. What
//! it *converts* is in [`text`], [`html`] and [`image`], and never in memory as a whole: content lives
//! in the agent's buffers, and goes through the plugin a piece at a time.
//!
//! It needs these grants: `hgcm` for `VBoxSharedClipboard`, `desktop = ["clipboard"]` with `clipboard`
//! for the directions and the size, `properties` to read `/VirtualBox/GuestAdd/GuiOnFocus`,
//! `requests = ["guest"]`, and the event `restored`.

#![deny(missing_docs)]

pub mod bytes;
pub mod config;
pub mod convert;
pub mod exchange;
pub mod formats;
pub mod html;
pub mod image;
pub mod text;

use std::time::Duration;

use bellhop_plugin::clipboard::{Owner, Selection};
use bellhop_plugin::hgcm::{self, Client, Completion};
use bellhop_plugin::log::Level;
use bellhop_plugin::properties::{self, Change};
use bellhop_plugin::{
    Buffer, Capabilities, ClipboardEvents, Error, Events, HgcmCompletions, HostEvents, Plugin,
    PropertyEvents, Subscription, TimerEvents, Token, clipboard, clock, guest, log, plugin, timers,
};

use config::Config;
use exchange::policy::{FOCUS, has_focus};
use exchange::{Agent, Exchange, Parameter, wire};

/// The plugin: an exchange with the agent.
pub struct Clipboard {
    exchange: Exchange<Imports>,
    /// Whether it matters who has the host's keyboard focus.
    only_with_focus: bool,
}

plugin!(Clipboard: HostEvents, HgcmCompletions, TimerEvents, PropertyEvents, ClipboardEvents);

impl Plugin for Clipboard {
    type Config = Config;

    fn start(config: Config) -> Result<(Self, Subscription), String> {
        config.check()?;
        let only_with_focus = config.only_with_focus;
        if only_with_focus {
            // Without it everything would cross all the time, which is what is not wanted.
            properties::watch(FOCUS)
                .map_err(|error| format!("`only-with-focus` is not possible: {error}"))?;
        }
        let mut plugin =
            Clipboard { exchange: Exchange::new(Imports { client: None }, config), only_with_focus };
        plugin.look_for_focus()?;
        plugin.exchange.start();
        Ok((plugin, Subscription { events: Events::RESTORED, capabilities: Capabilities::empty() }))
    }
}

impl Clipboard {
    /// Asks whether the machine's window has the focus.
    fn look_for_focus(&mut self) -> Result<(), Error> {
        if self.only_with_focus {
            let property = properties::get(FOCUS)?;
            self.exchange.focused(has_focus(property.as_ref().map(|property| &*property.value)));
        }
        Ok(())
    }
}

impl HostEvents for Clipboard {
    fn on_host_events(&mut self, events: Events) -> Result<(), String> {
        if events.contains(Events::RESTORED) {
            self.exchange.restored();
            self.look_for_focus()?;
        }
        Ok(())
    }
}

impl HgcmCompletions for Clipboard {
    fn on_completion(&mut self, call: Token, outcome: Result<Completion, Error>) -> Result<(), String> {
        self.exchange.completed(call, outcome);
        Ok(())
    }
}

impl TimerEvents for Clipboard {
    fn on_timer(&mut self, timer: Token) -> Result<(), String> {
        self.exchange.fired(timer);
        Ok(())
    }
}

impl PropertyEvents for Clipboard {
    fn on_property_changed(&mut self, _: Token, change: Change, _: bool) -> Result<(), String> {
        // It is the last change, whatever went unheard before it.
        self.exchange.focused(has_focus(change.value.as_deref()));
        Ok(())
    }
}

impl ClipboardEvents for Clipboard {
    fn on_changed(&mut self, selection: Selection, owner: Owner, formats: Vec<String>) -> Result<(), String> {
        self.exchange.changed(selection, owner, &formats);
        Ok(())
    }

    fn on_read(&mut self, read: Token, outcome: Result<Buffer, Error>) -> Result<(), String> {
        self.exchange.read(read, outcome);
        Ok(())
    }

    fn on_wanted(&mut self, wanted: Token, _: Selection, format: String) -> Result<(), String> {
        self.exchange.wanted(wanted, &format);
        Ok(())
    }

    fn on_locked(&mut self, locked: bool) -> Result<(), String> {
        self.exchange.locked(locked);
        Ok(())
    }
}

/// The agent's imports, and the connection that there is.
struct Imports {
    client: Option<Client>,
}

impl Agent for Imports {
    type Buffer = Buffer;

    fn now(&self) -> Duration {
        Duration::from_nanos(clock::monotonic())
    }

    fn log(&mut self, level: Level, line: &str) {
        log::write(level, line);
    }

    fn create(&mut self) -> Result<Buffer, Error> {
        Buffer::new()
    }

    fn set_timer(&mut self, after: Duration) -> Result<Token, Error> {
        timers::set(after)
    }

    fn cancel_timer(&mut self, timer: Token) {
        timers::cancel(timer);
    }

    fn session(&mut self) -> Result<u64, Error> {
        guest::session_id()
    }

    fn connect(&mut self) -> Result<(), Error> {
        self.client = Some(hgcm::connect(wire::SERVICE)?);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.client = None;
    }

    fn submit(
        &mut self,
        function: u32,
        parameters: &[Parameter<'_, Buffer>],
        timeout: Option<Duration>,
    ) -> Result<Token, Error> {
        let Some(client) = &self.client else {
            return Err(Error::Unavailable("there is no connection".into()));
        };
        let parameters: Vec<_> = parameters.iter().map(hgcm::Parameter::from).collect();
        client.submit(function, &parameters, timeout)
    }

    fn cancel(&mut self, call: Token) {
        hgcm::cancel(call);
    }

    fn watch(&mut self, selection: Selection) -> Result<(), Error> {
        clipboard::watch(selection, true)
    }

    fn read(&mut self, selection: Selection, format: &str) -> Result<Token, Error> {
        clipboard::read(selection, format)
    }

    fn offer(&mut self, formats: &[&str]) -> Result<(), Error> {
        let formats: Vec<String> = formats.iter().map(|format| (*format).to_owned()).collect();
        clipboard::offer(Selection::Clipboard, &formats)
    }

    fn withdraw(&mut self) -> Result<(), Error> {
        clipboard::withdraw(Selection::Clipboard)
    }

    fn answer(&mut self, wanted: Token, content: Buffer) -> Result<(), Error> {
        clipboard::answer(wanted, content)
    }

    fn refuse(&mut self, wanted: Token) {
        clipboard::refuse(wanted);
    }
}

impl<'a> From<&Parameter<'a, Buffer>> for hgcm::Parameter<'a> {
    fn from(parameter: &Parameter<'a, Buffer>) -> Self {
        match *parameter {
            Parameter::Value32(value) => Self::Value32(value),
            Parameter::Value64(value) => Self::Value64(value),
            Parameter::Bytes(bytes) => Self::Bytes(bytes),
            Parameter::Room(size) => Self::Room(size),
            Parameter::FromBuffer(buffer) => Self::FromBuffer(buffer),
            Parameter::IntoBuffer(buffer, size) => Self::IntoBuffer(buffer, size),
        }
    }
}

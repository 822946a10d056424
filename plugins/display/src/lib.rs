//! The display plugin: when somebody resizes the machine's window, the guest's desktop follows.
//!
//! It is also the example to write a plugin after. Read it from top to bottom: what a plugin keeps,
//! how it starts, what it does when the host rings. What it *decides* is in [`layout`], which knows
//! neither host nor desktop and so can be tested anywhere; this file only asks and acts.
//!
//! It needs these grants: `requests = ["display", "guest"]`, `desktop = ["outputs"]`, the events
//! `display-change` and `restored`, and the capability `graphics`.

#![deny(missing_docs)]

pub mod config;
pub mod layout;

use bellhop_plugin::display::{self, Change};
use bellhop_plugin::guest::{self, Facility, Status};
use bellhop_plugin::outputs::{self, Output};
use bellhop_plugin::{
    Capabilities, Error, Events, HostEvents, Plugin, Subscription, debug, error, info, plugin, warn,
};

use config::Config;
use layout::{Layout, Wanted};

// A plugin is one value. The agent makes it once and calls it with news; in between it does not run,
// and nothing else remembers anything for it.

/// The plugin, and all that it remembers.
#[derive(Debug)]
pub struct Display {
    config: Config,
    /// What the host wants, as far as it ever said.
    wanted: Wanted,
    /// Whether `wanted` has all that the host ever wanted: not before we asked, nor after a wish that we
    /// read came to nothing.
    caught_up: bool,
    /// Whether `wanted` is still to be applied, because the desktop was not there.
    owed: bool,
}

// This line makes the component's exports out of the implementations below: each trait that it names is
// one kind of news.
plugin!(Display: HostEvents);

impl Plugin for Display {
    // The table `config` of this plugin in `agent.toml`, already read and typed. An unknown field or
    // a wrong type never gets here.
    type Config = Config;

    fn start(config: Config) -> Result<(Self, Subscription), String> {
        config.check()?;
        let mut plugin = Display { config, wanted: Wanted::default(), caught_up: false, owed: false };

        // A desktop may start after the agent, so that none is there yet is no reason to give up:
        // everything is asked again when the host rings.
        match plugin.catch_up() {
            Ok(outputs) => info!("{} outputs follow the host", outputs.len()),
            Err(error) => warn!("Not ready yet, waiting for the host to ring: {error}"),
        }

        // Only people look at this status; a host that does not keep it is no worse a host.
        if let Err(error) = guest::report_status(Facility::Graphics, Status::Active) {
            warn!("The host does not know that displays are served: {error}");
        }

        // Without the capability a host does not offer its users to resize anything. It is announced
        // for us when this function returned, and withdrawn when the plugin ends.
        let subscription = Subscription {
            events: Events::DISPLAY_CHANGE | Events::RESTORED,
            capabilities: Capabilities::GRAPHICS,
        };
        Ok((plugin, subscription))
    }
}

impl HostEvents for Display {
    fn on_host_events(&mut self, events: Events) -> Result<(), String> {
        let mut changes = Vec::new();
        // After a restore it is another host process, perhaps on another machine: hear all it wants.
        if !self.caught_up || events.contains(Events::RESTORED) {
            changes.extend(everything_wanted()?);
        }
        if events.contains(Events::DISPLAY_CHANGE) {
            changes.extend(fetch(true)?);
        }
        // Bits are a latch, not a queue: what they announced may have been read with an earlier call.
        if changes.is_empty() && !self.owed {
            debug!("The host wants nothing new");
            self.caught_up = true;
            return Ok(());
        }

        // If the desktop is gone, `?` ends the call here, and the agent logs why. What we have just read
        // is then asked for again the next time.
        self.caught_up = false;
        let outputs = self.outputs()?;
        self.caught_up = true;

        self.follow(&changes, &outputs)
    }
}

impl Display {
    /// Learns what the host wanted so far, and which outputs are ours.
    ///
    /// It only learns: the desktop is as its user left it, and stays so until the host speaks.
    fn catch_up(&mut self) -> Result<Vec<Output>, Error> {
        let outputs = self.outputs()?;
        let changes = everything_wanted()?;
        warn_all(self.wanted.merge(&changes, &outputs, &self.config));
        self.caught_up = true;
        Ok(outputs)
    }

    /// Our outputs, as they are now: the first one is the host's display 0, and so on.
    fn outputs(&self) -> Result<Vec<Output>, Error> {
        let outputs = self.config.managed(outputs::enumerate()?);
        if outputs.is_empty() {
            let names = self.config.outputs.join(" or ");
            return Err(Error::Unavailable(format!("no output is named {names}")));
        }
        Ok(outputs)
    }

    /// Adds the changes to what was wanted, and makes the desktop look like it.
    fn follow(&mut self, changes: &[Change], outputs: &[Output]) -> Result<(), String> {
        // On a copy, so that a layout that turns out impossible leaves no trace.
        let mut wanted = self.wanted.clone();
        warn_all(wanted.merge(changes, outputs, &self.config));
        if wanted.is_empty() {
            debug!("Nothing to do: the host wants nothing that can be done");
            return Ok(());
        }
        let layout = match wanted.arrange(outputs) {
            Ok(layout) => layout,
            Err(reason) => {
                warn!("The desktop stays as it is: {reason}");
                return Ok(());
            }
        };

        match outputs::apply(&layout.placements()) {
            Ok(outcome) => {
                let (width, height) = (outcome.width, outcome.height);
                if outcome.changed {
                    info!("{layout}; desktop {width}x{height}");
                } else {
                    debug!("Nothing to change: {layout}; desktop {width}x{height}");
                }
                self.wanted = wanted;
                self.owed = false;
                report_positions(&layout, &outcome.outputs);
                Ok(())
            }
            // The host has told us and will not again, so we must remember.
            Err(error) if error.is_temporary() => {
                self.wanted = wanted;
                self.owed = true;
                error!("{error}. Kept until the host next rings: {layout}");
                Err(format!("Could not lay out the desktop: {error}"))
            }
            // It would fail the next time too, and take a better wish with it.
            Err(error) => {
                error!("{error}. Dropped: {layout}");
                Err(format!("Could not lay out the desktop: {error}"))
            }
        }
    }
}

/// All that the host last wanted. It is not consumed: what is new in it is still signalled.
fn everything_wanted() -> Result<Vec<Change>, Error> {
    let mut changes = fetch(false)?;
    // The host answers for all displays it could have, whether or not it wants anything of them.
    changes.retain(layout::wants_something);
    Ok(changes)
}

/// What the host wants. With `acknowledge`, only what is new, and it counts as read.
fn fetch(acknowledge: bool) -> Result<Vec<Change>, Error> {
    let wishes = display::fetch(acknowledge)?;
    let (announced, received) = (wishes.announced, wishes.changes.len());
    if announced as usize > received {
        warn!("The host announced {announced} displays, and described only {received}");
    }
    Ok(wishes.changes)
}

/// Tells the host where its displays are, so that it points with the mouse at the right place.
fn report_positions(layout: &Layout, outputs: &[Output]) {
    if let Err(error) = display::report_positions(&layout.positions(outputs)) {
        warn!("The host does not know where its displays are: {error}");
    }
}

fn warn_all(remarks: Vec<String>) {
    for remark in remarks {
        warn!("{remark}");
    }
}

//! {{name}}: greets whoever reads the log when the machine came back from a saved state.

use bellhop_plugin::{Capabilities, Events, HostEvents, Plugin, Subscription, guest, info, plugin};
use serde::Deserialize;

/// What agent.toml may say in the plugin's `config`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Config {
    greeting: String,
}

/// The plugin, and all that it remembers.
#[derive(Debug)]
pub struct {{type}} {
    config: Config,
    restored: u32,
}

plugin!({{type}}: HostEvents);

impl Plugin for {{type}} {
    type Config = Config;

    /// Called once, before anything else.
    fn start(config: Config) -> Result<(Self, Subscription), String> {
        let host = guest::version()?;
        info!("The host is VirtualBox {}.{}.{}", host.major, host.minor, host.build);
        let subscription =
            Subscription { events: Events::RESTORED, capabilities: Capabilities::empty() };
        Ok((Self { config, restored: 0 }, subscription))
    }
}

impl HostEvents for {{type}} {
    /// Called for the events of the subscription.
    fn on_host_events(&mut self, _: Events) -> Result<(), String> {
        self.restored += 1;
        info!("{}", greeting(&self.config, self.restored));
        Ok(())
    }
}

/// What decides is best kept apart from what asks and acts: it can be tested anywhere.
fn greeting(config: &Config, times: u32) -> String {
    match times {
        1 => format!("{}!", config.greeting),
        _ => format!("{}, for the {times}. time!", config.greeting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_greeting_is_short() {
        let config = Config { greeting: "Welcome".to_owned() };

        assert_eq!(greeting(&config, 1), "Welcome!");
        assert_eq!(greeting(&config, 2), "Welcome, for the 2. time!");
    }
}

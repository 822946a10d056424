//! What an administrator can set.

use std::ops::RangeInclusive;

use bellhop_plugin::windows::Kind;
use serde::Deserialize;

/// How many reports a second may be configured.
const RATES: RangeInclusive<u32> = 1..=1000;

/// The configuration. Every field may be left out.
///
/// ```toml
/// rate = 60
/// background = false
/// docks = true
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// How many times a second the host is told, at most. It redraws for each.
    pub rate: u32,
    /// Whether the desktop itself is shown: its picture and its icons, behind everything. The host's own
    /// desktop is then no longer to be seen.
    pub background: bool,
    /// Whether panels at the edge of the screen are shown.
    pub docks: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config { rate: 60, background: false, docks: true }
    }
}

impl Config {
    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// The text names the field, what was found and what was expected.
    pub fn check(&self) -> Result<(), String> {
        if RATES.contains(&self.rate) {
            return Ok(());
        }
        let (rate, least, most) = (self.rate, RATES.start(), RATES.end());
        Err(format!("Configuration field `rate`: found {rate}, expected {least} to {most} reports a second"))
    }

    /// Whether windows of this kind are shown among the host's.
    pub fn shows(&self, kind: Kind) -> bool {
        match kind {
            Kind::Application | Kind::Unmanaged => true,
            Kind::Dock => self.docks,
            Kind::Background => self.background,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_rate_is_at_least_one_and_at_most_a_thousand_a_second() {
        let check = |rate| Config { rate, ..Config::default() }.check();

        assert_eq!(check(1), Ok(()));
        assert_eq!(check(1000), Ok(()));
        for rate in [0, 1001, u32::MAX] {
            let expected =
                format!("Configuration field `rate`: found {rate}, expected 1 to 1000 reports a second");
            assert_eq!(check(rate), Err(expected));
        }
    }

    #[test]
    fn what_applications_show_is_always_shown_and_the_rest_as_configured() {
        let shown = |docks, background| {
            let config = Config { docks, background, ..Config::default() };
            [Kind::Application, Kind::Unmanaged, Kind::Dock, Kind::Background].map(|kind| config.shows(kind))
        };

        assert_eq!(shown(true, false), [true, true, true, false]);
        assert_eq!(shown(false, true), [true, true, false, true]);
    }
}

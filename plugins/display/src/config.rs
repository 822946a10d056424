//! What an administrator can set.

use std::num::NonZeroU32;

use bellhop_plugin::outputs::Output;
use serde::Deserialize;

use crate::layout::Size;

/// The largest size that may be configured: X11 measures in 16 bits, of which one is a sign.
const LARGEST: Size = Size { width: 32_767, height: 32_767 };

/// How many displays a host can have.
const DISPLAYS: usize = 64;

/// The configuration. Every field may be left out.
///
/// ```toml
/// minimum = [320, 200]
/// maximum = [16384, 16384]
/// round-width-to = 8
/// outputs = ["Virtual-*", "DUMMY0"]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// The smallest size of a display, as width and height in pixels. What the host wants smaller
    /// becomes this.
    pub minimum: Size,
    /// The largest size of a display. What the host wants larger is refused.
    pub maximum: Size,
    /// Widths become multiples of this, as some graphics hardware needs: 8 is usual then, 1 leaves
    /// them alone.
    pub round_width_to: NonZeroU32,
    /// The outputs to manage, in the order of the host's displays: names, in each of which a `*` may
    /// stand for any text. The others are left to the user.
    pub outputs: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            minimum: Size { width: 320, height: 200 },
            maximum: Size { width: 16_384, height: 16_384 },
            round_width_to: NonZeroU32::MIN,
            outputs: vec!["*".into()],
        }
    }
}

impl Config {
    /// Checks what the types alone do not say.
    ///
    /// # Errors
    /// The text names the field, what was found and what was expected.
    pub fn check(&self) -> Result<(), String> {
        let Config { minimum, maximum, round_width_to, outputs } = self;
        if minimum.is_empty() {
            return Err(wrong("minimum", minimum, "at least 1x1"));
        }
        if maximum.exceeds(LARGEST) {
            return Err(wrong("maximum", maximum, format_args!("at most {LARGEST}")));
        }
        if minimum.exceeds(*maximum) {
            let expected = format_args!("at most `maximum`, which is {maximum}");
            return Err(wrong("minimum", minimum, expected));
        }
        // Otherwise no width at all would do.
        if maximum.width / *round_width_to * round_width_to.get() < minimum.width {
            let expected = format_args!(
                "a number with a multiple from {} to {}, the widths of `minimum` and `maximum`",
                minimum.width, maximum.width
            );
            return Err(wrong("round-width-to", round_width_to, expected));
        }
        if outputs.is_empty() {
            return Err(wrong("outputs", "an empty list", "at least one name, as \"*\""));
        }
        for (index, pattern) in outputs.iter().enumerate() {
            if pattern.is_empty() || pattern.matches('*').count() > 1 {
                let field = format!("outputs[{index}]");
                let expected = "a name with at most one `*`, as \"Virtual-1\" or \"DP-*\"";
                return Err(wrong(&field, format_args!("{pattern:?}"), expected));
            }
        }
        Ok(())
    }

    /// Those of the desktop's outputs that are managed, in the order of the host's displays: the
    /// outputs of the first name, then those of the second, each output once.
    pub fn managed(&self, mut outputs: Vec<Output>) -> Vec<Output> {
        let mut managed = Vec::new();
        for pattern in &self.outputs {
            managed.extend(outputs.extract_if(.., |output| matches(pattern, &output.name)));
        }
        managed.truncate(DISPLAYS);
        managed
    }
}

fn wrong(field: &str, found: impl std::fmt::Display, expected: impl std::fmt::Display) -> String {
    format!("Configuration field `{field}`: found {found}, expected {expected}")
}

/// Whether a name is what the pattern says, in which one `*` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        Some((start, end)) => name.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::default()
    }

    fn managed(patterns: &[&str], names: &[&str]) -> Vec<String> {
        let config = Config { outputs: patterns.iter().map(|p| p.to_string()).collect(), ..config() };
        let outputs = names.iter().map(|name| Output { name: name.to_string(), area: None, primary: false });
        config.managed(outputs.collect()).into_iter().map(|output| output.name).collect()
    }

    #[test]
    fn the_default_is_valid() {
        assert_eq!(config().check(), Ok(()));
    }

    #[test]
    fn an_error_names_the_field_what_was_found_and_what_was_expected() {
        let size = |width, height| Size { width, height };
        let cases = [
            (Config { minimum: size(0, 200), ..config() }, "`minimum`: found 0x200, expected at least 1x1"),
            (
                Config { maximum: size(40_000, 200), ..config() },
                "`maximum`: found 40000x200, expected at most 32767x32767",
            ),
            (
                Config { minimum: size(320, 900), maximum: size(640, 480), ..config() },
                "`minimum`: found 320x900, expected at most `maximum`, which is 640x480",
            ),
            (
                Config {
                    minimum: size(801, 200),
                    maximum: size(807, 480),
                    round_width_to: NonZeroU32::new(8).unwrap(),
                    ..config()
                },
                "`round-width-to`: found 8, expected a number with a multiple from 801 to 807, \
                 the widths of `minimum` and `maximum`",
            ),
            (
                Config { outputs: vec![], ..config() },
                "`outputs`: found an empty list, expected at least one name, as \"*\"",
            ),
            (
                Config { outputs: vec!["*".into(), "".into()], ..config() },
                "`outputs[1]`: found \"\", expected a name with at most one `*`, \
                 as \"Virtual-1\" or \"DP-*\"",
            ),
            (
                Config { outputs: vec!["*-1-*".into()], ..config() },
                "`outputs[0]`: found \"*-1-*\", expected a name with at most one `*`, \
                 as \"Virtual-1\" or \"DP-*\"",
            ),
        ];
        for (config, expected) in cases {
            assert_eq!(config.check(), Err(format!("Configuration field {expected}")));
        }
    }

    #[test]
    fn outputs_are_managed_in_the_order_of_the_patterns_and_once_each() {
        let names = ["DUMMY0", "Virtual-2", "Virtual-1", "DUMMY1"];
        assert_eq!(managed(&["*"], &names), names);
        assert_eq!(managed(&["DUMMY1", "V*", "*-1"], &names), ["DUMMY1", "Virtual-2", "Virtual-1"]);
        assert_eq!(managed(&["HDMI*"], &names), [""; 0]);
    }

    #[test]
    fn no_more_outputs_are_managed_than_a_host_has_displays() {
        assert_eq!(managed(&["*"], &["X"; 100]).len(), 64);
    }

    #[test]
    fn a_star_stands_for_any_text() {
        let cases = [
            ("*", "anything", true),
            ("*", "", true),
            ("DP-1", "DP-1", true),
            ("DP-1", "DP-10", false),
            ("DP-*", "DP-", true),
            ("*-1", "DP-1", true),
            ("*-1", "DP-12", false),
            ("DP-*-1", "DP-2-1", true),
            ("DP-*-1", "DP-1", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}

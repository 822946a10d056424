//! `log`: a plugin's lines in the agent's log.

use super::Host;
use super::bindings::bellhop::guest::log::{self, Level};
use crate::plugin::Record;

/// The longest line that is taken, in bytes.
pub(crate) const LONGEST_LINE: usize = 4096;

impl log::Host for Host {
    fn write(&mut self, level: Level, message: String) {
        log_line(&self.record, level, message);
    }
}

/// Writes a plugin's line to the agent's log.
pub(crate) fn log_line(record: &Record, level: Level, message: String) {
    let plugin = &**record.plugin();
    let line = printable(message);
    // What nobody reads costs nothing of the limit.
    macro_rules! write_at {
        ($level:ident) => {
            if tracing::enabled!(target: "bellhop::plugin", tracing::Level::$level)
                && record.may_log(line.len())
            {
                tracing::event!(target: "bellhop::plugin", tracing::Level::$level, plugin, "{line}");
            }
        };
    }
    match level {
        Level::Trace => write_at!(TRACE),
        Level::Debug => write_at!(DEBUG),
        Level::Info => write_at!(INFO),
        Level::Warn => write_at!(WARN),
        Level::Error => write_at!(ERROR),
    }
}

/// Cuts a plugin's text to one line that cannot forge another, nor steer a terminal.
pub(crate) fn printable(mut text: String) -> String {
    if text.len() > LONGEST_LINE {
        text.truncate(text.floor_char_boundary(LONGEST_LINE));
        text.push('…');
    }
    if text.chars().any(char::is_control) {
        text = text
            .chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
            .collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\nb\u{1b}[2J".into()), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let line = printable("é".repeat(LONGEST_LINE));

        assert_eq!(line.chars().count(), LONGEST_LINE / 2 + 1);
    }
}

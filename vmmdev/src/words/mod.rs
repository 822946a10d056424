//! What can be said to a host, in words: at a prompt, or over a socket.
//!
//! There is one table of them, [`WORDS`]; whoever takes a line hands it to [`Console::say`] and shows
//! the [`Answer`] as it likes.

mod answer;
mod arguments;
mod table;
mod wait;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use answer::{Answer, Refused};
pub use table::WORDS;

use crate::host::{Host, Saved};
use arguments::Arguments;

/// The longest line that is worth reading, in bytes.
pub const MAX_LINE: usize = 1024;

/// Something that can be said.
#[derive(Debug)]
pub struct Word {
    /// What a line begins with.
    pub name: &'static str,
    /// What follows it.
    pub arguments: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    run: fn(&Console, Arguments<'_>) -> Result<Answer, Refused>,
}

/// Where words are said to a host. Any number of threads may speak at once.
#[derive(Debug)]
pub struct Console {
    host: Host,
    /// What `save` saved last.
    saved: Mutex<Option<Saved>>,
}

impl Console {
    /// A console of this host.
    pub fn new(host: &Host) -> Self {
        Self { host: host.clone(), saved: Mutex::new(None) }
    }

    /// Does what a line says. Only a line that begins with `wait` takes long.
    ///
    /// # Errors
    /// [`Refused`]; then nothing was done.
    pub fn say(&self, line: &str) -> Result<Answer, Refused> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let Some(word) = WORDS.iter().find(|word| word.name == name) else {
            return Err(Refused::Unknown(name.to_owned()));
        };
        (word.run)(self, Arguments::new(words)).map_err(|refused| refused.with_usage(word))
    }

    fn saved(&self) -> MutexGuard<'_, Option<Saved>> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_a_name_of_its_own_and_says_what_it_does() {
        for (index, word) in WORDS.iter().enumerate() {
            assert!(!word.help.is_empty(), "{}", word.name);
            assert!(WORDS.iter().skip(index + 1).all(|other| other.name != word.name), "{}", word.name);
        }
    }

    #[test]
    fn a_hint_rings_until_the_guest_has_read_it() {
        let host = Host::default();
        let console = Console::new(&host);

        let answer = console.say("hint 0 1280 800 -5 7").expect("a hint");

        assert!(matches!(answer, Answer::Rang { rang: true }));
        assert_eq!(host.counters().events, 1);
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_usage() {
        let console = Console::new(&Host::default());
        for (line, expected) in [
            ("", "No word is called \"\"; `help` lists them"),
            ("nonsense 1", "No word is called \"nonsense\"; `help` lists them"),
            ("hint 0 1280", "3 or 5 numbers are wanted. Usage: hint DISPLAY WIDTH HEIGHT [X Y]"),
            ("off x", "\"x\" is not a number that fits here. Usage: off DISPLAY"),
            ("seamless maybe", "\"maybe\" is neither `on` nor `off`. Usage: seamless on|off"),
            ("off 64", "Display 64 does not exist: ids are 0 to 63"),
            ("restore", "Nothing was saved; say `save` first"),
            ("counters 1", "\"1\" is one word too many. Usage: counters"),
        ] {
            let refused = console.say(line).expect_err(line);
            assert_eq!(refused.to_string(), expected);
        }
    }

    #[test]
    fn a_state_is_restored_as_it_was_saved() {
        let host = Host::default();
        let console = Console::new(&host);
        console.say("save").expect("saved");
        let session = host.session_id();

        console.say("restore").expect("restored");

        assert_ne!(host.session_id(), session);
    }

    #[test]
    fn waiting_ends_with_its_time() {
        let console = Console::new(&Host::default());
        let refused = console.say("wait guest-capability graphics --timeout 1ms").expect_err("nobody there");
        assert!(matches!(refused, Refused::TimedOut(_)));
    }

    #[test]
    fn answers_have_a_stable_form_in_json() {
        let console = Console::new(&Host::default());
        let json = |line| serde_json::to_value(console.say(line).expect(line)).expect("json");

        assert_eq!(json("seamless on"), serde_json::json!({ "rang": true }));
        assert_eq!(json("stray"), serde_json::json!({}));
        assert_eq!(json("counters"), serde_json::json!({ "events": 1, "strays": 1, "interrupts": 0 }));
        assert_eq!(json("journal"), serde_json::json!({ "next": 0, "requests": [] }));
        assert_eq!(json("state")["guest"]["capabilities"], serde_json::json!("none"));
    }
}

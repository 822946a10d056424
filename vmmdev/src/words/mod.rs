//! What can be said to a host, in words: at a prompt, or over a socket.
//!
//! There is one table of them, [`WORDS`]; whoever takes a line hands it to [`Console::say`] and shows
//! the [`Answer`] as it likes.

mod answer;
mod arguments;
mod clipboard;
mod properties;
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

    /// Does what a line says. Words have blanks between them; one in double quotes may have blanks
    /// itself. Only a line that waits for the guest takes long: `wait`, `property wait` and
    /// `clipboard get`.
    ///
    /// # Errors
    /// [`Refused`]; then nothing was done.
    pub fn say(&self, line: &str) -> Result<Answer, Refused> {
        let words = arguments::words(line)?;
        let (name, rest) = words.split_first().map_or(("", &[][..]), |(name, rest)| (*name, rest));
        let Some(word) = WORDS.iter().find(|word| word.name == name) else {
            return Err(Refused::Unknown(name.to_owned()));
        };
        (word.run)(self, Arguments::new(rest)).map_err(|refused| refused.with_usage(word))
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
            ("property set /a \"b", "A word begins with \" and has no end"),
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
    fn properties_are_set_shown_and_deleted() {
        let console = Console::new(&Host::default());
        let json = |line: &str| serde_json::to_value(console.say(line).expect(line)).expect("json");
        assert_eq!(json("property set /a \"two words\" TRANSIENT,RDONLYGUEST"), serde_json::json!({}));

        let property = json("property get /a");
        assert_eq!(property["value"], "two words");
        assert_eq!(property["flags"], "TRANSIENT, RDONLYGUEST");
        assert_eq!(json("property list /a|/b")["properties"], serde_json::json!([property]));
        assert_eq!(json("property list")["properties"].as_array().map(Vec::len), Some(8));
        assert_eq!(json("property wait /a --since 0")["value"], "two words");

        json("property delete /a");
        assert_eq!(json("property wait /a --since 0")["value"], "two words", "the first of them");
        for (line, expected) in [
            ("property get /a", "No property is called \"/a\""),
            ("property set /a* 1", "Cannot change property \"/a*\": a name has 1 to 63 bytes"),
            ("property set /a 1 sticky", "Cannot change property \"/a\": flags are words of TRANSIENT"),
            ("property set /a", "a value is wanted. Usage: property set NAME VALUE [FLAGS] | get NAME"),
            ("property turn", "\"turn\" is nothing that is done to properties. Usage: property set NAME"),
            ("property wait /z --timeout 1ms", "Guest did not do what was waited for within 1ms"),
            ("property wait /z --timeout 601s", "601s is too long, 600s is the most. Usage: property set"),
        ] {
            let refused = console.say(line).expect_err(line).to_string();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    #[test]
    fn files_are_copied_for_the_guest() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("a.txt"), "one\ntwo").expect("a file");
        std::fs::write(path("a.html"), "<b>x</b>").expect("a file");
        let host = Host::default();
        let console = Console::new(&host);
        let json = |line: &str| serde_json::to_value(console.say(line).expect(line)).expect("json");

        json(&format!("clipboard put text {} html {}", path("a.txt"), path("a.html")));

        let held = serde_json::json!({ "text": 18, "html": 9 });
        assert_eq!(json("state")["clipboard"]["host"], held);
        assert_eq!(json("clipboard formats"), serde_json::json!({ "formats": null }));
        json("clipboard put");
        assert_eq!(json("state")["clipboard"]["host"], serde_json::json!({}));
        json("clipboard mode off");
        assert_eq!(json("state")["clipboard"]["mode"], "off");
        json("clipboard mode both");
        let (text, nowhere) = (path("a.txt"), path("nowhere"));
        for (line, expected) in [
            (
                format!("clipboard put text {nowhere}"),
                format!("Cannot use the file {nowhere:?}: No such file"),
            ),
            (
                "clipboard put text /dev/zero".to_owned(),
                "Cannot use the file \"/dev/zero\": it is no file".into(),
            ),
            (
                format!("clipboard put png {text}"),
                format!("Cannot use the file {text:?}: This is no PNG file that can be read"),
            ),
            (
                format!("clipboard put bmp {text}"),
                format!("Cannot use the file {text:?}: This is no BMP file"),
            ),
            (
                format!("clipboard put text {text} text {text}"),
                "Formats of the clipboard are put one by one, found text".into(),
            ),
            (
                "clipboard put gif x".into(),
                "No format is called \"gif\". Usage: clipboard put [FORMAT".into(),
            ),
            ("clipboard put text".into(), "a file is wanted. Usage: clipboard put".into()),
            ("clipboard get text".into(), "Guest has nothing in the clipboard as text: VERR_SHCLPB".into()),
            ("clipboard mode maybe".into(), "No mode is called \"maybe\". Usage: clipboard".into()),
            ("clipboard".into(), "`put`, `get`, `formats` or `mode` is wanted. Usage: clipboard".into()),
        ] {
            let refused = console.say(&line).expect_err(&line).to_string();
            assert!(refused.starts_with(&expected), "{refused}");
        }
    }

    #[test]
    fn faults_of_calls_are_injected_by_name() {
        let console = Console::new(&Host::default());
        for line in [
            "inject HGCMCall64 twice",
            "inject HGCMCall64 never 2",
            "inject HGCMCall32 after-cancel always",
            "inject HGCMCall64 oversize --function data-read",
            "inject HGCMCall64 -52 always --function get-notification",
            "inject 63 vanish",
            "vanish VBoxSharedClipboard",
        ] {
            console.say(line).expect(line);
        }
        for (line, expected) in [
            ("inject HGCMCall64 ignore --function data-read", "a function is answered, or never. Usage"),
            ("inject HGCMCall64 never --function 3", "No function is called \"3\". Usage"),
            ("inject HGCMCall64 --function", "--function is the last word; its value is wanted"),
            ("vanish clipboard", "No service is called \"clipboard\". Usage: vanish SERVICE"),
        ] {
            let refused = console.say(line).expect_err(line).to_string();
            assert!(refused.starts_with(expected), "{refused}");
        }
    }

    #[test]
    fn answers_have_a_stable_form_in_json() {
        let console = Console::new(&Host::default());
        let json = |line| serde_json::to_value(console.say(line).expect(line)).expect("json");

        assert_eq!(json("seamless on"), serde_json::json!({ "rang": true }));
        assert_eq!(json("stray"), serde_json::json!({}));
        assert_eq!(
            json("counters"),
            serde_json::json!({ "events": 1, "strays": 1, "interrupts": 0, "repeats": 0 })
        );
        assert_eq!(json("journal"), serde_json::json!({ "next": 0, "requests": [] }));
        let state = json("state");
        assert_eq!(state["guest"]["capabilities"], "none");
        assert_eq!(state["guest"]["visible_region"], serde_json::json!(null));
        assert_eq!(state["hgcm"], serde_json::json!([]));
        let clipboard = serde_json::json!({ "mode": "bidirectional", "host": {}, "guest": null });
        assert_eq!(state["clipboard"], clipboard);
    }
}

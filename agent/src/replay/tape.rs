//! What a plugin may ask for while it is replayed, and the answers.

use std::collections::VecDeque;

use serde_json::Value;

use super::Difference;
use super::record::Asked;
use super::stage::{Answer, Prompter};

/// Interfaces whose calls are not compared: what a plugin says in its log, and how often it looks at the
/// clock, is its own affair.
const UNCOMPARED: [&str; 2] = ["log.", "clock."];

/// The host calls of one recorded call, as far as they have not been made again.
#[derive(Default)]
pub(crate) struct Tape {
    asked: VecDeque<Asked>,
    /// How many were made again.
    pub(super) made: u64,
    /// The time, in nanoseconds since the agent started: that of what was answered last.
    now: u64,
    /// When the agent started, in nanoseconds since the Unix epoch.
    started: u64,
    /// The first difference.
    pub(super) difference: Option<Difference>,
}

impl Tape {
    pub(super) fn new(started: u64) -> Self {
        Self { started, ..Self::default() }
    }

    /// Goes on to another call.
    pub(super) fn wind(&mut self, at: u64, asked: Vec<Asked>) {
        self.now = at;
        self.made = 0;
        self.asked = asked.into();
    }

    /// What is left once the plugin has returned: what it did not ask for this time.
    pub(super) fn left(&mut self) -> Option<Difference> {
        let asked = self.next_compared()?;
        Some(self.differs(Some(asked), None))
    }

    /// What the clock said then, if it was looked at now; else what time it is by the record.
    fn time(&mut self, function: &str) -> Value {
        while self.asked.front().is_some_and(is_uncompared) {
            let Some(asked) = self.asked.pop_front() else { break };
            if asked.function == function {
                self.now = asked.at;
                return asked.answer.unwrap_or_default();
            }
        }
        let since = if function == "clock.wall" { self.started } else { 0 };
        since.saturating_add(self.now).into()
    }

    fn next_compared(&mut self) -> Option<Asked> {
        while self.asked.front().is_some_and(is_uncompared) {
            self.asked.pop_front();
        }
        self.asked.pop_front()
    }

    fn differs(&self, then: Option<Asked>, now: Option<String>) -> Difference {
        let nothing = || "(nothing more)".to_owned();
        Difference {
            line: then.as_ref().map(|asked| asked.line),
            after: self.made,
            recorded: then.map_or_else(nothing, |asked| written(&asked.function, &asked.arguments)),
            replayed: now.unwrap_or_else(nothing),
        }
    }
}

impl Prompter for Tape {
    /// Answers a host call as it was answered then.
    fn answer(&mut self, function: &str, arguments: Vec<Value>) -> Answer {
        match function {
            "log.write" => return Answer::Returns(Value::Null),
            "clock.monotonic" | "clock.wall" => return Answer::Returns(self.time(function)),
            _ => {}
        }
        match self.next_compared() {
            Some(asked) if asked.function == function && asked.arguments == arguments => {
                self.made += 1;
                self.now = asked.at;
                asked.answer.map_or_else(Answer::Traps, Answer::Returns)
            }
            other => {
                self.difference = Some(self.differs(other, Some(written(function, &arguments))));
                Answer::Differs
            }
        }
    }
}

fn is_uncompared(asked: &Asked) -> bool {
    UNCOMPARED.iter().any(|interface| asked.function.starts_with(interface))
}

/// A call as it is written.
pub(crate) fn written(function: &str, arguments: &[Value]) -> String {
    let arguments: Vec<_> = arguments.iter().map(Value::to_string).collect();
    format!("{function}({})", arguments.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(line: u64, function: &str, arguments: Value, answer: Value) -> Asked {
        let arguments = arguments.as_array().cloned().unwrap_or_default();
        Asked { line, at: line * 10, function: function.to_owned(), arguments, answer: Ok(answer) }
    }

    fn returned(answer: Answer) -> Value {
        match answer {
            Answer::Returns(value) => value,
            Answer::Traps(reason) => panic!("{reason}"),
            Answer::Differs => panic!("no difference was expected"),
        }
    }

    #[test]
    fn time_is_what_the_record_says_however_often_it_is_asked_for() {
        let mut tape = Tape::new(1000);
        tape.wind(
            5,
            vec![
                asked(2, "clock.monotonic", json!([]), json!(17)),
                asked(3, "log.write", json!(["info", "x"]), Value::Null),
                asked(4, "display.fetch", json!([true]), json!({"ok": 1})),
            ],
        );

        assert_eq!(returned(tape.answer("clock.monotonic", vec![])), 17);
        assert_eq!(returned(tape.answer("clock.monotonic", vec![])), 20);
        assert_eq!(returned(tape.answer("clock.wall", vec![])), 1020);
        assert_eq!(returned(tape.answer("display.fetch", vec![json!(true)])), json!({"ok": 1}));
        assert_eq!(returned(tape.answer("clock.wall", vec![])), 1040);
        assert!(tape.left().is_none());
    }

    #[test]
    fn what_is_asked_otherwise_is_a_difference_with_its_place() {
        let mut tape = Tape::new(0);
        tape.wind(0, vec![asked(7, "display.fetch", json!([true]), Value::Null)]);

        assert!(matches!(tape.answer("display.fetch", vec![json!(false)]), Answer::Differs));

        let difference = tape.difference.expect("a difference");
        assert_eq!((difference.line, difference.after), (Some(7), 0));
        assert_eq!(difference.recorded, "display.fetch(true)");
        assert_eq!(difference.replayed, "display.fetch(false)");
    }
}

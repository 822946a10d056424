//! The host's end, at a prompt: the words that `vmmdev ctl` takes, and what came of each.

use anyhow::{Context, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper, Highlighter, Hinter, Validator};
use vmmdev::words::{Answer, Console, WORDS};

use super::stage::Stage;

/// Reads words until there are no more.
pub(super) fn talk(stage: &Stage) -> Result<()> {
    let console = Console::new(&stage.host);
    let mut editor: Editor<Words, DefaultHistory> = Editor::new().context("Cannot read commands")?;
    editor.set_helper(Some(Words));
    say!("\nYou are the host. `help` lists what you can say.");
    loop {
        let line = match editor.readline("host> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("Cannot read commands"),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        // A history that cannot take a line is no reason to refuse it.
        let _ = editor.add_history_entry(line);
        let watch = stage.watch(line);
        match console.say(line) {
            Ok(Answer::Quit {}) => return Ok(()),
            Ok(Answer::Help { words }) => {
                for (usage, help) in words {
                    say!("  {usage}\n      {help}");
                }
            }
            Ok(Answer::Rang { rang: false }) => {
                say!("  It does not ring: the guest has read the very same before.");
            }
            Ok(Answer::Rang { rang: true } | Answer::Done {}) => {
                if watch.show() {
                    stage.show_screens();
                } else {
                    say!(
                        "  Done. Nothing rang: no plugin is subscribed to it, or there was nothing to hear."
                    );
                }
            }
            Ok(telling) => {
                let text = serde_json::to_string_pretty(&telling).context("Cannot show the answer")?;
                say!("{text}");
                if matches!(telling, Answer::State { .. }) {
                    stage.show_screens();
                }
            }
            Err(refused) => say!("  {refused}"),
        }
    }
}

/// Completes the first word of a line.
#[derive(Helper, Hinter, Highlighter, Validator)]
struct Words;

impl Completer for Words {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or(line);
        let names = WORDS.iter().filter(|word| word.name.starts_with(typed));
        Ok((0, names.map(|word| word.name.to_owned()).collect()))
    }
}

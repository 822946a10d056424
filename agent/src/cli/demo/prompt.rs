//! The host's end, at a prompt: the words that `vmmdev ctl` takes, and what came of each.

use anyhow::{Context, Result};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper, Highlighter, Hinter, Validator};
use vmmdev::Property;
use vmmdev::words::{Answer, Console, WORDS};

use super::stage::{Asked, Stage};

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
        let region = stage.host.guest().visible_region;
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
                match watch.show() {
                    None => say!(
                        "  Done. Nothing rang: no plugin is subscribed to it, or there was nothing to hear."
                    ),
                    Some(Asked::Desktop) => stage.show_screens(),
                    Some(Asked::Nothing) => {}
                }
                if stage.host.guest().visible_region != region {
                    stage.show_region("prompt");
                }
            }
            Ok(telling) => {
                tell(&telling)?;
                if matches!(telling, Answer::State { .. }) {
                    stage.show_screens();
                }
            }
            Err(refused) => say!("  {refused}"),
        }
    }
}

/// Shows an answer: what people ask for often in words, all else as JSON.
fn tell(answer: &Answer) -> Result<()> {
    match answer {
        Answer::Formats { formats: None } => say!("  The guest has not copied anything yet."),
        Answer::Formats { formats: Some(formats) } => say!("  The guest has: {formats}"),
        Answer::Pasted { bytes, text } => {
            say!("  {bytes} bytes");
            text.iter().flat_map(|text| text.lines()).for_each(|line| say!("  | {line}"));
        }
        Answer::Property(property) => tell_property(property),
        Answer::Properties { properties } if properties.is_empty() => say!("  No property is called so."),
        Answer::Properties { properties } => properties.iter().for_each(tell_property),
        Answer::Changed(change) => match &change.value {
            Some(value) => say!("  {} = {value:?}", change.name),
            None => say!("  {} was deleted", change.name),
        },
        other => say!("{}", serde_json::to_string_pretty(other).context("Cannot show the answer")?),
    }
    Ok(())
}

fn tell_property(property: &Property) {
    let flags = property.flags.to_string();
    let flags = if flags.is_empty() { flags } else { format!("  ({flags})") };
    say!("  {} = {:?}{flags}", property.name, property.value);
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

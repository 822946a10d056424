//! The host's end, at a prompt.

use std::borrow::Cow;

use anyhow::{Context, Result, anyhow, bail};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::DefaultHistory;
use rustyline::{Editor, Helper, Highlighter, Hinter, Validator};
use vmmdev::Hint;

use super::stage::Stage;

/// What can be said at the prompt.
struct Word {
    name: &'static str,
    arguments: &'static str,
    help: &'static str,
    run: fn(&Stage, &[&str]) -> Result<Flow>,
}

/// Whether to go on.
enum Flow {
    Next,
    Quit,
}

const WORDS: [Word; 8] = [
    Word {
        name: "hint",
        arguments: "DISPLAY WIDTH HEIGHT [X Y]",
        help: "ask for a size of a display, and perhaps a place",
        run: hint,
    },
    Word { name: "off", arguments: "DISPLAY", help: "ask for a display to be switched off", run: off },
    Word { name: "seamless", arguments: "on|off", help: "ask for seamless windows", run: seamless },
    Word {
        name: "interval",
        arguments: "SECONDS",
        help: "ask for statistics at this pace; 0 for none",
        run: interval,
    },
    Word { name: "restore", arguments: "", help: "save the machine's state and restore it", run: restore },
    Word { name: "state", arguments: "", help: "show what the guest reported, and its screens", run: state },
    Word { name: "help", arguments: "", help: "show this", run: help },
    Word { name: "quit", arguments: "", help: "end the demo (so does the end of input)", run: quit },
];

/// Reads commands until there are no more.
pub(super) fn talk(stage: &Stage) -> Result<()> {
    let mut editor: Editor<Words, DefaultHistory> = Editor::new().context("Cannot read commands")?;
    editor.set_helper(Some(Words));
    say!("\nYou are the host. `help` lists what you can do.");
    loop {
        let line = match editor.readline("host> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted | ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("Cannot read commands"),
        };
        let mut words = line.split_whitespace();
        let Some(name) = words.next() else { continue };
        // A history that cannot take a line is no reason to refuse it.
        let _ = editor.add_history_entry(&line);
        let arguments: Vec<_> = words.collect();
        let outcome = match WORDS.iter().find(|word| word.name == name) {
            Some(word) => (word.run)(stage, &arguments)
                .with_context(|| format!("Usage: {} {}", word.name, word.arguments)),
            None => Err(anyhow!("No command is called {name}; `help` lists them")),
        };
        match outcome {
            Ok(Flow::Next) => {}
            Ok(Flow::Quit) => return Ok(()),
            Err(error) => say!("  {error:#}"),
        }
    }
}

fn hint(stage: &Stage, arguments: &[&str]) -> Result<Flow> {
    let hint = match arguments {
        [display, width, height] => Hint::new(number(display)?, number(width)?, number(height)?),
        [display, width, height, x, y] => {
            Hint::new(number(display)?, number(width)?, number(height)?).at(number(x)?, number(y)?)
        }
        _ => bail!("three or five numbers are wanted, {} words were given", arguments.len()),
    };
    let place = hint.origin.map(|(x, y)| format!(" at {x},{y}")).unwrap_or_default();
    let (width, height) = (hint.width.unwrap_or_default(), hint.height.unwrap_or_default());
    let wish = format!("\"Display {} should be {width}x{height}{place}.\"", hint.display);
    stage.ask(&wish, &[hint])?;
    stage.show_screens();
    Ok(Flow::Next)
}

fn off(stage: &Stage, arguments: &[&str]) -> Result<Flow> {
    let [display] = arguments else { bail!("the number of a display is wanted") };
    let display = number(display)?;
    stage.ask(&format!("\"Display {display} should be off.\""), &[Hint::off(display)])?;
    stage.show_screens();
    Ok(Flow::Next)
}

fn seamless(stage: &Stage, arguments: &[&str]) -> Result<Flow> {
    let on = match arguments {
        ["on"] => true,
        ["off"] => false,
        _ => bail!("`on` or `off` is wanted"),
    };
    let rang = stage.host.set_seamless(on);
    unheard(stage, rang, driver_core::wire::Events::SEAMLESS_MODE_CHANGE);
    Ok(Flow::Next)
}

fn interval(stage: &Stage, arguments: &[&str]) -> Result<Flow> {
    let [seconds] = arguments else { bail!("a number of seconds is wanted") };
    let rang = stage.host.set_statistics_interval(number(seconds)?);
    unheard(stage, rang, driver_core::wire::Events::STATISTICS_INTERVAL_CHANGE);
    Ok(Flow::Next)
}

/// For events that a plugin may or may not have subscribed to: the host cannot know that it will be
/// answered.
fn unheard(stage: &Stage, rang: bool, event: driver_core::wire::Events) {
    if !rang {
        say!("  It does not ring: the guest has read the very same before.");
    } else if stage.host.guest().filter.contains(event) {
        say!("  The event {event} was raised.");
    } else {
        say!("  The event {event} is pending: no plugin subscribed to it.");
    }
}

fn restore(stage: &Stage, _: &[&str]) -> Result<Flow> {
    let saved = stage.host.save();
    stage.ring("\"Here is your saved state again.\"", || {
        stage.host.restore(&saved);
        Ok(true)
    })?;
    Ok(Flow::Next)
}

fn state(stage: &Stage, _: &[&str]) -> Result<Flow> {
    let report = serde_json::to_string_pretty(&stage.host.guest()).context("Cannot show the report")?;
    say!("{report}");
    stage.show_screens();
    Ok(Flow::Next)
}

fn help(_: &Stage, _: &[&str]) -> Result<Flow> {
    for Word { name, arguments, help, .. } in &WORDS {
        say!("  {:36}  {help}", format!("{name} {arguments}"));
    }
    Ok(Flow::Next)
}

fn quit(_: &Stage, _: &[&str]) -> Result<Flow> {
    Ok(Flow::Quit)
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N> {
    word.parse().map_err(|_| anyhow!("{word} is not a number that fits here"))
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
        let typed: Cow<'_, str> = line.get(..position).unwrap_or(line).into();
        let names = WORDS.iter().filter(|word| word.name.starts_with(&*typed));
        Ok((0, names.map(|word| word.name.to_owned()).collect()))
    }
}

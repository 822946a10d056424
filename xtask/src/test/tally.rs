//! Counting tests, from what their harnesses print.
//!
//! A harness prints a line for each test and a result line for each set of them. A test that could
//! not do its work on this machine prints `SKIPPED name: reason` and passes, or is ignored with a
//! reason. Either way it is counted as skipped, once, and not as passed.

use std::mem;

/// What became of many tests.
#[derive(Debug, Default)]
pub struct Tally {
    /// How many did their work and passed.
    pub passed: usize,
    /// Which failed, by name.
    pub failed: Vec<String>,
    /// Which could not do their work here.
    pub skipped: Vec<Skipped>,
    /// The set that is being printed.
    set: Set,
}

/// A test that could not do its work here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name, as the harness or the test gives it.
    pub name: String,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Default)]
struct Set {
    ignored: Vec<Skipped>,
    said: Vec<Skipped>,
    failed: Vec<String>,
    /// Within the list of successes with their output, which nobody asked for.
    successes: bool,
}

impl Tally {
    /// Takes one line, and returns whether it is worth showing.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(skipped) = said(line) {
            let new = !self.set.said.contains(&skipped);
            if new {
                self.set.said.push(skipped);
            }
            return new;
        }
        if let Some((passed, failed)) = result(line) {
            self.close(passed, failed);
            return true;
        }
        match line {
            "successes:" => self.set.successes = true,
            "failures:" => self.set.successes = false,
            _ => {}
        }
        if let Some((name, outcome)) = test(line) {
            match outcome.split_once(", ").unwrap_or((outcome, "")) {
                ("FAILED", _) => self.set.failed.push(name.to_owned()),
                ("ignored", reason) => self.set.ignored.push(Skipped {
                    name: name.to_owned(),
                    reason: if reason.is_empty() { "ignored" } else { reason }.to_owned(),
                }),
                _ => {}
            }
        }
        !self.set.successes
    }

    /// A result line ends its set.
    fn close(&mut self, passed: usize, failed: usize) {
        let mut set = mem::take(&mut self.set);
        let ignored = |said: &Skipped| {
            set.ignored
                .iter()
                .any(|i| i.name == said.name || i.name.ends_with(&format!("::{}", said.name)))
        };
        // What the harness counts as ignored it does not count as passed.
        let passed_but_skipped = set.said.iter().filter(|said| !ignored(said)).cloned();
        let passed_but_skipped: Vec<Skipped> = passed_but_skipped.collect();
        self.passed += passed.saturating_sub(passed_but_skipped.len());
        set.failed.resize_with(failed, || {
            "a test that its harness does not name".to_owned()
        });
        self.failed.append(&mut set.failed);
        self.skipped.append(&mut set.ignored);
        self.skipped.extend(passed_but_skipped);
    }
}

/// `SKIPPED name: reason`, as a test says it. Names of tests may hold colons, but no space follows
/// those.
fn said(line: &str) -> Option<Skipped> {
    let (name, reason) = line
        .trim_start()
        .strip_prefix("SKIPPED ")?
        .split_once(": ")?;
    Some(Skipped {
        name: name.to_owned(),
        reason: reason.to_owned(),
    })
}

/// `test name ... outcome`, as a harness says it.
fn test(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end(), outcome))
}

/// `test result: ok. 3 passed; 0 failed; …`: how many passed and failed.
fn result(line: &str) -> Option<(usize, usize)> {
    let counts = line.strip_prefix("test result: ")?;
    let count = |noun: &str| {
        let before = counts.split(noun).next()?;
        before
            .rsplit(' ')
            .find(|word| !word.is_empty())?
            .parse()
            .ok()
    };
    Some((count(" passed;")?, count(" failed;")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(text: &str) -> (Tally, Vec<&str>) {
        let mut tally = Tally::default();
        let shown = text.lines().filter(|line| tally.line(line)).collect();
        (tally, shown)
    }

    fn skipped(name: &str, reason: &str) -> Skipped {
        Skipped {
            name: name.to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn sets_are_summed() {
        let (tally, _) = tally(
            "running 2 tests\n\
             test a ... ok\n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test b ... FAILED\n\
             test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );

        assert_eq!(tally.passed, 5);
        assert_eq!(tally.failed, ["b"]);
    }

    #[test]
    fn a_test_that_passed_and_says_it_was_skipped_counts_as_skipped() {
        let (tally, shown) = tally(
            "test x ... ok\n\
             \n\
             successes:\n\
             \n\
             ---- x stdout ----\n\
             SKIPPED x: no X server: Xorg is missing\n\
             noise\n\
             \n\
             successes:\n    x\n\
             \n\
             test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );

        assert_eq!(tally.passed, 1);
        assert_eq!(
            tally.skipped,
            [skipped("x", "no X server: Xorg is missing")]
        );
        assert_eq!(shown.len(), 4, "{shown:?}");
    }

    #[test]
    fn a_test_that_is_ignored_and_says_so_counts_once() {
        let (tally, _) = tally(
            "SKIPPED y: no X server\n\
             test m::y ... ignored, no X server\n\
             test z ... ignored\n\
             test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );

        assert_eq!(tally.passed, 1);
        assert_eq!(
            tally.skipped,
            [skipped("m::y", "no X server"), skipped("z", "ignored")]
        );
    }

    #[test]
    fn failures_keep_their_output() {
        let (_, shown) = tally("successes:\n\n    a\n\nfailures:\n\n---- b stdout ----\nwhy\n");

        assert_eq!(shown, ["failures:", "", "---- b stdout ----", "why"]);
    }
}

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

/// What a result line counts.
struct Outcome {
    passed: usize,
    failed: usize,
    ignored: usize,
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
        if let Some(result) = result(line) {
            self.close(result);
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
    fn close(&mut self, result: Outcome) {
        let Set { ignored: mut skipped, said, mut failed, .. } = mem::take(&mut self.set);
        for said in said {
            let within = format!("::{}", said.name);
            let known = |s: &Skipped| s.name == said.name || s.name.ends_with(&within);
            if !skipped.iter().any(known) {
                skipped.push(said);
            }
        }
        // What the harness counts as ignored it does not count as passed.
        let passed_but_skipped = skipped.len().saturating_sub(result.ignored);
        self.passed += result.passed.saturating_sub(passed_but_skipped);
        failed.resize_with(result.failed, || "a test that its harness does not name".to_owned());
        self.failed.append(&mut failed);
        self.skipped.append(&mut skipped);
    }
}

/// `SKIPPED name: reason`, as a test says it, on a line of its own or where its harness waits for the
/// outcome. Names of tests may hold colons, but no space follows those.
fn said(line: &str) -> Option<Skipped> {
    let text = test(line).map_or(line.trim_start(), |(_, outcome)| outcome);
    let (name, reason) = text.strip_prefix("SKIPPED ")?.split_once(": ")?;
    Some(Skipped { name: name.to_owned(), reason: reason.to_owned() })
}

/// `test name ... outcome`, as a harness says it.
fn test(line: &str) -> Option<(&str, &str)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    Some((name.trim_end(), outcome))
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; …`
fn result(line: &str) -> Option<Outcome> {
    let counts = line.strip_prefix("test result: ")?;
    let count = |noun: &str| {
        let (before, _) = counts.split_once(noun)?;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some(Outcome { passed: count(" passed;")?, failed: count(" failed;")?, ignored: count(" ignored;")? })
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
        Skipped { name: name.to_owned(), reason: reason.to_owned() }
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
        assert_eq!(tally.skipped, [skipped("x", "no X server: Xorg is missing")]);
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
        assert_eq!(tally.skipped, [skipped("m::y", "no X server"), skipped("z", "ignored")]);
    }

    #[test]
    fn a_harness_that_runs_one_test_at_a_time_is_understood() {
        let (tally, _) = tally(
            "test x ... SKIPPED x: no X server\n\
             ignored\n\
             test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
        );

        assert_eq!(tally.passed, 2);
        assert_eq!(tally.skipped, [skipped("x", "no X server")]);
    }

    #[test]
    fn failures_keep_their_output() {
        let (_, shown) = tally("successes:\n\n    a\n\nfailures:\n\n---- b stdout ----\nwhy\n");

        assert_eq!(shown, ["failures:", "", "---- b stdout ----", "why"]);
    }
}

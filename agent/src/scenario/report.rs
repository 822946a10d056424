//! What came of scenarios, as it is told to people.

use std::fmt;
use std::path::PathBuf;

/// What came of a file of scenarios. It prints itself, a failure with its place.
#[derive(Debug, Clone)]
pub struct Report {
    /// The file.
    pub path: PathBuf,
    /// Its scenarios, in their order.
    pub scenarios: Vec<Played>,
    /// What the plugin's handlers took in all of them.
    pub cost: super::cost::Cost,
}

/// What came of one scenario.
#[derive(Debug, Clone)]
pub struct Played {
    /// Its name.
    pub name: String,
    /// How many steps there were, up to the failure if there is one.
    pub steps: usize,
    /// How often the plugin was called.
    pub calls: u64,
    /// The step that failed.
    pub failure: Option<Failure>,
}

/// Why a scenario failed: what was expected, and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The line of the step, from 1.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
}

impl Report {
    /// Whether all scenarios passed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.scenarios.iter().all(|played| played.failure.is_none())
    }

    /// How many did not.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.scenarios.iter().filter(|played| played.failure.is_some()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        for (index, Played { name, steps, calls, failure }) in self.scenarios.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            match failure {
                None => write!(f, "{separator}{path}: {name}: passed, {steps} steps and {calls} calls")?,
                Some(failure) => {
                    let line = failure.line.map_or_else(String::new, |line| format!("{line}:"));
                    write!(f, "{separator}{path}:{line} {name}: {failure}")?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, seen, .. } = self;
        // Under the place from which on they differ.
        let same = expected.chars().zip(seen.chars()).take_while(|(e, s)| e == s).count();
        write!(f, "{what}\n  expected  {expected}\n  seen      {seen}\n            {:same$}^", "")
    }
}

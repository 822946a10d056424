//! A table of figures, each beside its goal.

use std::fmt;

/// A table with a heading.
pub struct Table {
    heading: String,
    rows: Vec<Row>,
}

/// One figure.
pub struct Row {
    name: String,
    measured: String,
    goal: &'static str,
}

impl Table {
    /// A table of these rows.
    pub fn new(heading: &str, rows: Vec<Row>) -> Self {
        Self { heading: heading.to_owned(), rows }
    }

    /// Puts rows before the others.
    pub fn prepend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.splice(..0, rows);
    }
}

impl Row {
    /// One figure with its goal; an empty goal is none.
    pub fn new(name: &str, measured: impl Into<String>, goal: &'static str) -> Self {
        Self { name: name.to_owned(), measured: measured.into(), goal }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<28}{:>14}{:>14}", self.heading, "measured", "goal")?;
        for Row { name, measured, goal } in &self.rows {
            let line = format!("{name:<28}{measured:>14}{goal:>14}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

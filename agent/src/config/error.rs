//! What is wrong with an `agent.toml`, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;

/// Why a configuration is of no use.
#[derive(Debug)]
pub enum ConfigError {
    /// The file could not be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file was read and is wrong: all that was found.
    Wrong {
        /// The file.
        path: PathBuf,
        /// At least one.
        problems: Vec<Problem>,
    },
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, and what would be right.
    pub message: String,
    /// The line itself.
    excerpt: String,
    /// How many characters of it are meant.
    width: usize,
}

impl Problem {
    /// A problem at a range of bytes of `text`.
    fn at(text: &str, span: Range<usize>, message: String) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.floor_char_boundary(span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message,
            excerpt: text[line_start..line_end].trim_end().to_owned(),
            width: text[start..end.min(line_end).max(start)].chars().count().max(1),
        }
    }
}

impl ConfigError {
    /// A file whose text is not TOML, or not of the right form.
    pub(crate) fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let place = error.span().unwrap_or(0..0);
        Self::wrong(path, text, vec![Spanned::new(place, error.message().to_owned())])
    }

    /// A file in whose text this was found, at these places.
    pub(crate) fn wrong(path: &Path, text: &str, found: Vec<Spanned<String>>) -> Self {
        let problems = found.into_iter().map(|at| Problem::at(text, at.span(), at.into_inner()));
        let mut problems: Vec<_> = problems.collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Self::Wrong { path: path.to_owned(), problems }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => {
                write!(f, "Cannot read the configuration {}: {error}", path.display())?;
                if error.kind() == std::io::ErrorKind::NotFound {
                    write!(f, "\n  give its place with --config FILE; a commented one comes with Bellhop")?;
                }
                Ok(())
            }
            Self::Wrong { path, problems } => {
                for (index, problem) in problems.iter().enumerate() {
                    let Problem { line, column, message, excerpt, width } = problem;
                    let separator = if index > 0 { "\n" } else { "" };
                    write!(f, "{separator}{}:{line}:{column}: {message}", path.display())?;
                    if !excerpt.is_empty() {
                        let margin = " ".repeat(column - 1);
                        write!(f, "\n  | {excerpt}\n  | {margin}{}", "^".repeat(*width))?;
                    }
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

//! What ARCHITECTURE.md promises, as far as a program can tell.
//!
//! Each check is a module that is given the workspace or its files, and returns what it found wrong.

mod architecture;
mod dependencies;
mod lexer;
mod notes;
mod places;
mod unsafety;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cargo::Workspace;
use crate::{process, say};

/// A file of the tree, by its path from the root.
pub struct Source {
    /// Its path from the root, with `/` between its parts.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// Something that is not as it must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// `file:line`, or a file alone.
    pub place: String,
    /// What is wrong there.
    pub wrong: String,
    /// What to do about it.
    pub remedy: String,
}

/// One check: its name, as ARCHITECTURE.md refers to it, what it holds, and itself.
struct Check {
    name: &'static str,
    holds: &'static str,
    find: fn(&Workspace, &[Source]) -> Vec<Finding>,
}

const CHECKS: &[Check] = &[
    Check {
        name: "dependencies",
        holds: "crates depend on each other in one direction",
        find: |workspace, _| dependencies::check(workspace),
    },
    Check {
        name: "unsafe",
        holds: "unsafe code stands in few places, each with its reason",
        find: |_, sources| unsafety::check(sources),
    },
    Check {
        name: "architecture",
        holds: "ARCHITECTURE.md names every crate, and states what is checked",
        find: |workspace, sources| architecture::check(workspace, sources),
    },
    Check {
        name: "places",
        holds: "no file names a network host or a place on one machine",
        find: |_, sources| places::check(sources),
    },
    Check {
        name: "notes",
        holds: "a note of work to be done names who will do it",
        find: |_, sources| notes::check(sources),
    },
];

/// The checks that hold the structure, each an invariant of ARCHITECTURE.md by the same name. The
/// others hold the habits of the tree.
const STRUCTURE: &[&str] = &["dependencies", "unsafe"];

/// Runs every check, and prints which there are and what they found.
pub fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let sources = sources(&workspace.root)?;
    let mut findings = Vec::new();
    for check in CHECKS {
        let mut found = (check.find)(workspace, &sources);
        let outcome = if found.is_empty() { "ok".to_owned() } else { say::count(found.len(), "finding") };
        println!("      {:<14}{:<68}{outcome}", check.name, check.holds);
        findings.append(&mut found);
    }
    let unchecked = architecture::unchecked(&sources);
    if !unchecked.is_empty() {
        println!("      left to the reader: {}", unchecked.join("; "));
    }
    for Finding { place, wrong, remedy } in &findings {
        println!("\n{place}: {wrong}\n  {remedy}");
    }
    if findings.is_empty() {
        return Ok(());
    }
    bail!("{} in {}", say::count(findings.len(), "finding"), say::count(sources.len(), "file"))
}

/// The text files that belong to the tree: what git knows, or would with the next `git add`. Without
/// git, as in an archive of the sources, all but what is built.
fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let mut paths: Vec<String> = match process::ask(Command::new("git").current_dir(root).args(arguments)) {
        Ok(list) => list.split_terminator('\0').map(str::to_owned).collect(),
        Err(_) => walk(root, "")?,
    };
    paths.sort();
    paths.dedup();
    let read = |path: String| {
        // A picture is no text, and a file that was deleted is still known until the next commit.
        let text = fs::read_to_string(root.join(&path)).ok()?;
        Some(Source { path, text })
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

fn walk(root: &Path, folder: &str) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    let here = root.join(folder);
    for entry in fs::read_dir(&here).with_context(|| format!("Reading {}", here.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if path == "target" || path == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() {
            paths.append(&mut walk(root, &path)?);
        } else {
            paths.push(path);
        }
    }
    Ok(paths)
}

/// Where in a text a word stands alone: not as a part of a longer one.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let joins = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(at, _)| at)
        .find(|&at| !text[..at].ends_with(joins) && !text[at + word.len()..].starts_with(joins))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_found_within_another() {
        assert_eq!(find_word("unsafe_code, not_unsafe", "unsafe"), None);
        assert_eq!(find_word("#![deny(unsafe_code)] unsafe {", "unsafe"), Some(22));
        assert_eq!(find_word("ééunsafe unsafe", "unsafe"), Some(11));
    }
}

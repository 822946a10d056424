//! ARCHITECTURE.md names what there is.

use super::{Finding, STRUCTURE, Source};
use crate::cargo::Workspace;

const FILE: &str = "ARCHITECTURE.md";

/// How an invariant starts there; its name ends with a full stop.
const MARK: &str = "**Invariant: ";

/// Holds the document against the workspace and the list of checks.
pub fn check(workspace: &Workspace, sources: &[Source]) -> Vec<Finding> {
    let Some(document) = document(sources) else {
        return vec![Finding {
            place: FILE.to_owned(),
            wrong: "there is no such file".to_owned(),
            remedy: "Write down what each folder is and what must always hold".to_owned(),
        }];
    };
    let folders = workspace.packages.iter().map(|package| workspace.folder(package));
    let mut findings = unnamed(document, folders);
    findings.extend(unstated(document));
    findings
}

/// The invariants that no check is named after: they are for the reader to keep.
pub fn unchecked(sources: &[Source]) -> Vec<&str> {
    let stated = document(sources).map(stated).unwrap_or_default();
    stated.into_iter().filter(|name| !STRUCTURE.contains(name)).collect()
}

fn document(sources: &[Source]) -> Option<&str> {
    sources.iter().find(|source| source.path == FILE).map(|source| source.text.as_str())
}

/// The folders that the document does not name, neither alone nor at the start of a path.
fn unnamed(text: &str, folders: impl Iterator<Item = String>) -> Vec<Finding> {
    let named = |folder: &str| ["`", "/"].iter().any(|end| text.contains(&format!("`{folder}{end}")));
    folders
        .filter(|folder| !named(folder))
        .map(|folder| Finding {
            place: FILE.to_owned(),
            wrong: format!("it does not name the crate in {folder}/"),
            remedy: format!("Say there what `{folder}/` is, and what it must never know"),
        })
        .collect()
}

/// The checks of the structure that no invariant is named after: the reader would not know of them.
fn unstated(text: &str) -> Vec<Finding> {
    let stated = stated(text);
    STRUCTURE
        .iter()
        .filter(|name| !stated.contains(name))
        .map(|name| Finding {
            place: FILE.to_owned(),
            wrong: format!("it does not state the invariant `{name}`, which is checked"),
            remedy: format!("Write \"{MARK}{name}.**\" there, and what it says"),
        })
        .collect()
}

/// The names of the invariants.
fn stated(text: &str) -> Vec<&str> {
    let after = text.match_indices(MARK).map(|(at, mark)| &text[at + mark.len()..]);
    after.filter_map(|rest| Some(rest.split_once(".**")?.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_backticks_alone_or_in_a_path() {
        let folders = ["plugins/sdk", "tests", "xtask", "agent"].map(str::to_owned);

        let findings = unnamed("`plugins/sdk/` `tests` `xtask/src/main.rs` agent/", folders.into_iter());

        let wrong: Vec<&str> = findings.iter().map(|found| found.wrong.as_str()).collect();
        assert_eq!(wrong, ["it does not name the crate in agent/"]);
    }

    #[test]
    fn what_is_checked_is_stated() {
        let all: String = STRUCTURE.iter().map(|n| format!("- **Invariant: {n}.** So.\n")).collect();

        assert_eq!(unstated(&all), []);
        assert_eq!(unstated("").len(), STRUCTURE.len());
    }

    #[test]
    fn an_invariant_without_a_check_is_for_the_reader() {
        let text = "- **Invariant: unsafe.** x\n- **Invariant: one waiter.** y\n".to_owned();

        assert_eq!(unchecked(&[Source { path: FILE.to_owned(), text }]), ["one waiter"]);
    }
}

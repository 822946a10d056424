//! ARCHITECTURE.md names what there is.

use super::{Finding, Source, names};
use crate::cargo::Workspace;

const FILE: &str = "ARCHITECTURE.md";

/// How a sentence of it refers to a check: "(checked by `unsafe`)".
const REFERENCE: &str = "checked by `";

/// Holds the document against the workspace and the list of checks.
pub fn check(workspace: &Workspace, sources: &[Source]) -> Vec<Finding> {
    let Some(document) = sources.iter().find(|source| source.path == FILE) else {
        return vec![Finding {
            place: FILE.to_owned(),
            wrong: "there is no such file".to_owned(),
            remedy: "Write down what each folder is and what must always hold".to_owned(),
        }];
    };
    let folders = workspace
        .packages
        .iter()
        .map(|package| workspace.folder(package));
    let mut findings = unnamed(&document.text, folders);
    findings.extend(invariants(&document.text));
    findings
}

/// The folders that the document does not name.
fn unnamed(text: &str, folders: impl Iterator<Item = String>) -> Vec<Finding> {
    let named = |folder: &str| {
        [format!("`{folder}`"), format!("`{folder}/`")]
            .iter()
            .any(|name| text.contains(name))
    };
    folders
        .filter(|folder| !named(folder))
        .map(|folder| Finding {
            place: FILE.to_owned(),
            wrong: format!("it does not name the crate in {folder}/"),
            remedy: format!("Say there what `{folder}/` is, and what it must never know"),
        })
        .collect()
}

/// Invariants whose check does not exist, and checks that no invariant speaks of.
fn invariants(text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut spoken_of = Vec::new();
    for (line, paragraph) in paragraphs(text) {
        for (at, _) in paragraph.match_indices(REFERENCE) {
            let Some((name, _)) = paragraph[at + REFERENCE.len()..].split_once('`') else {
                continue;
            };
            if names().any(|known| known == name) {
                spoken_of.push(name.to_owned());
            } else {
                findings.push(Finding {
                    place: format!("{FILE}:{line}"),
                    wrong: format!("there is no check `{name}`"),
                    remedy: format!("Checks are: {}", names().collect::<Vec<_>>().join(", ")),
                });
            }
        }
    }
    for name in names().filter(|name| !spoken_of.iter().any(|spoken| spoken == name)) {
        findings.push(Finding {
            place: FILE.to_owned(),
            wrong: format!("no invariant speaks of the check `{name}`"),
            remedy: format!("Write an **Invariant:** that ends with \"({REFERENCE}{name}`)\""),
        });
    }
    findings
}

/// The paragraphs that state an invariant, each as one line, with the number of its first.
fn paragraphs(text: &str) -> Vec<(usize, String)> {
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut within = false;
    for (index, line) in text.lines().enumerate() {
        if line.contains("**Invariant:**") {
            paragraphs.push((index + 1, line.trim().to_owned()));
            within = true;
        } else if line.trim().is_empty() {
            within = false;
        } else if let (true, Some((_, paragraph))) = (within, paragraphs.last_mut()) {
            paragraph.push(' ');
            paragraph.push_str(line.trim());
        }
    }
    paragraphs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_named_in_backticks_as_a_whole() {
        let folders = ["plugins/sdk", "tests", "agent"]
            .map(str::to_owned)
            .into_iter();

        let findings = unnamed(
            "`plugins/sdk/` is the SDK, `tests` tests, agent/ and `agent/src` …",
            folders,
        );

        assert_eq!(findings.len(), 1);
        assert!(findings[0].wrong.contains("agent/"));
    }

    #[test]
    fn an_unknown_check_is_found_by_its_line() {
        let findings = invariants("# A\n\n**Invariant:** never\nthat (checked by `nobody`).\n");

        assert!(
            findings
                .iter()
                .any(|found| found.place == "ARCHITECTURE.md:3"
                    && found.wrong == "there is no check `nobody`")
        );
    }

    #[test]
    fn every_check_is_spoken_of() {
        let all: String = names()
            .map(|n| format!("**Invariant:** x (checked by `{n}`).\n\n"))
            .collect();

        assert_eq!(invariants(&all), []);
        assert_eq!(invariants("").len(), names().count());
    }
}

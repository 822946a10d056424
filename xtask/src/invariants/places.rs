//! The tree works on any machine: it names no network host, and no folder of one machine.
//!
//! A document, a comment or a manifest's description may link to a page for the reader. What is run
//! may not name a host: where packages come from is the machine's own configuration.

use super::lexer;
use super::{Finding, Source};

/// Folders of one machine, without their slashes, so that this file does not name them either.
const FOLDERS: &[&str] = &["work", "root"];

/// Kinds of files that are run or that configure what is run, and what starts their comments.
const RUN: &[(&str, &str)] = &[
    (".toml", "#"),
    (".sh", "#"),
    (".yml", "#"),
    (".yaml", "#"),
    (".ci/run", "#"),
    (".wit", "//"),
    (".service", "#"),
];

/// Looks at every line.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    // Cargo writes its lock file, and names its registry there.
    sources.iter().filter(|source| source.path != "Cargo.lock").flat_map(in_file).collect()
}

fn in_file(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        if let Some(folder) = FOLDERS.iter().find(|folder| names_folder(line, folder)) {
            findings.push(Finding {
                place: format!("{}:{}", source.path, index + 1),
                wrong: format!("it names /{folder}/, a folder of one machine"),
                remedy: "Name the place relative to the repository, or ask the environment for it".to_owned(),
            });
        }
    }
    for (index, text) in run(source).into_iter().enumerate() {
        if let Some(host) = host(&text) {
            findings.push(Finding {
                place: format!("{}:{}", source.path, index + 1),
                wrong: format!("it names the network host {host}"),
                remedy: "Leave it to the configuration of the machine's own tools".to_owned(),
            });
        }
    }
    findings
}

/// What is run of each line: of Rust, its strings; of a script or a configuration, all but comments.
fn run(source: &Source) -> Vec<String> {
    if source.path.ends_with(".rs") {
        return lexer::lines(&source.text).into_iter().map(|line| line.strings).collect();
    }
    let Some((_, comment)) = RUN.iter().find(|(end, _)| source.path.ends_with(end)) else {
        return Vec::new();
    };
    source.text.lines().map(|line| before_comment(line, comment).to_owned()).collect()
}

/// A line without its comment. A `#` or `//` within a word starts none: it belongs to a link.
fn before_comment<'a>(line: &'a str, comment: &str) -> &'a str {
    let starts = |at: usize| line[..at].trim_end().is_empty() || line[..at].ends_with([' ', '\t']);
    let at = line.match_indices(comment).map(|(at, _)| at).find(|&at| starts(at));
    at.map_or(line, |at| &line[..at])
}

/// Whether a line names an absolute path through a folder: after what may stand before a path, and
/// not as the middle of a longer one.
fn names_folder(line: &str, folder: &str) -> bool {
    let path = format!("/{folder}/");
    line.match_indices(&path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| c.is_whitespace() || "\"'`(=:<[,|".contains(c))
    })
}

/// The host of a link, unless it is a name that is reserved for examples or never left the machine.
fn host(text: &str) -> Option<&str> {
    let after = text.match_indices("://").map(|(at, mark)| &text[at + mark.len()..]);
    after
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !".-".contains(c));
            end.map_or(rest, |end| &rest[..end])
        })
        .find(|host| {
            let reserved = [".example", "example.com", "example.org", ".invalid", ".test", "localhost"];
            host.contains('.') && !reserved.iter().any(|name| host.ends_with(name))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&[source]).into_iter().map(|found| format!("{} {}", found.place, found.wrong)).collect()
    }

    #[test]
    fn absolute_paths_of_one_machine_are_found() {
        let path = |folder: &str| format!("see \"/{folder}/x\"\n");

        assert_eq!(
            findings("README.md", &path("root")),
            [format!("README.md:1 it names /{}/, a folder of one machine", "root")]
        );
        assert_eq!(findings("README.md", &path("etc")), Vec::<String>::new());
        assert_eq!(findings("README.md", "target/root/x and ~/work/x"), Vec::<String>::new());
    }

    #[test]
    fn a_host_in_what_is_run_is_found_and_a_link_for_the_reader_is_not() {
        let link = &format!("https:{}pages.real/x", "//");

        assert_eq!(findings("a.rs", &format!("// {link}\n")), Vec::<String>::new());
        assert_eq!(findings("README.md", link), Vec::<String>::new());
        assert_eq!(findings("x.sh", &format!("# {link}\n")), Vec::<String>::new());
        assert_eq!(
            findings("a.rs", &format!("\nf(\"{link}\")")),
            ["a.rs:2 it names the network host pages.real"]
        );
        assert_eq!(
            findings(".ci/run", &format!("curl {link} # why")),
            [".ci/run:1 it names the network host pages.real"]
        );
    }

    #[test]
    fn reserved_names_are_no_hosts() {
        for link in ["http://localhost/", "https://www.example.com", "unix://socket", "a://{}"] {
            assert_eq!(host(link), None, "{link}");
        }
    }
}

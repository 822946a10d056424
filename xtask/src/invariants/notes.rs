//! A note of work to be done names who will do it: a note that is nobody's is never done.

use super::lexer;
use super::{Finding, Source, find_word};

/// The words that mark such a note. An owner follows in parentheses.
const WORDS: &[&str] = &["TODO", "FIXME"];

/// Looks at every comment of Rust, and at every line of all else.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in sources {
        for (index, text) in texts(source).into_iter().enumerate() {
            if let Some(word) = WORDS.iter().find(|word| is_ownerless(&text, word)) {
                findings.push(Finding {
                    place: format!("{}:{}", source.path, index + 1),
                    wrong: format!("a {word} without an owner"),
                    remedy: format!("Do it now, or write {word}(name) with who will"),
                });
            }
        }
    }
    findings
}

fn texts(source: &Source) -> Vec<String> {
    if source.path.ends_with(".rs") {
        lexer::lines(&source.text).into_iter().map(|line| line.comment).collect()
    } else {
        source.text.lines().map(str::to_owned).collect()
    }
}

fn is_ownerless(text: &str, word: &str) -> bool {
    let Some(at) = find_word(text, word) else {
        return false;
    };
    let owner = text[at + word.len()..].strip_prefix('(').and_then(|rest| rest.split_once(')'));
    owner.is_none_or(|(owner, _)| owner.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_notes_without_an_owner_are_found() {
        for (text, expected) in [
            ("// TODO: later", true),
            ("// TODO() later", true),
            ("// TODO(ada): later", false),
            ("let x = \"TODO\";", false),
            ("// TODOS", false),
        ] {
            let source = Source { path: "a.rs".to_owned(), text: text.to_owned() };
            assert_eq!(!check(&[source]).is_empty(), expected, "{text}");
        }
    }
}

//! Unsafe code stands in few places, and each has its reason beside it.

use super::lexer::{self, Line};
use super::{Finding, Source, find_word};

/// Where it may stand: the guest's side of the wire, what carries the device to another process, and
/// the two places that load code and let go of it.
const ROOMS: &[&str] =
    &["driver-core/src/", "vmmdev/src/carrier/", "agent/src/footprint.rs", "agent/src/sandbox/load.rs"];

/// How many lines of code a statement may start before its unsafe block.
const REACH: usize = 3;

/// Looks at every use of the word in code.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    sources.iter().filter(|source| source.path.ends_with(".rs")).flat_map(in_file).collect()
}

fn in_file(source: &Source) -> Vec<Finding> {
    let lines = lexer::lines(&source.text);
    let allowed = ROOMS.iter().any(|room| source.path.starts_with(room));
    let mut findings = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if find_word(&line.code, "unsafe").is_none() {
            continue;
        }
        let place = format!("{}:{}", source.path, index + 1);
        if !allowed {
            findings.push(Finding {
                place,
                wrong: "`unsafe` outside the places that may hold it".to_owned(),
                remedy: format!("Use a safe function, or move it to one of: {}", ROOMS.join(", ")),
            });
        } else if !explained(&lines, index) {
            findings.push(Finding {
                place,
                wrong: "`unsafe` without its reason".to_owned(),
                remedy: "Say above it, in a comment that starts with `SAFETY:`, why it is sound; \
                         of an unsafe function, say under `# Safety` what its caller must do"
                    .to_owned(),
            });
        }
    }
    findings
}

/// Whether a reason is on the line, or in the comments above the statement that it is part of.
fn explained(lines: &[Line], index: usize) -> bool {
    let mut code_lines = 0;
    for line in lines[..=index].iter().rev() {
        if line.comment.contains("SAFETY:") || line.comment.contains("# Safety") {
            return true;
        }
        if line.is_between_code() {
            continue;
        }
        code_lines += 1;
        // Beyond the line itself, only what leads up to it: a statement that ended is another's.
        let ended = line.code.trim_end().ends_with([';', '}']);
        if code_lines > 1 && (ended || code_lines > REACH) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&[source]).into_iter().map(|found| format!("{} {}", found.place, found.wrong)).collect()
    }

    #[test]
    fn unsafe_code_elsewhere_is_found() {
        assert_eq!(
            findings("agent/src/main.rs", "fn f() {\n    // SAFETY: it is.\n    unsafe { g() }\n}"),
            ["agent/src/main.rs:3 `unsafe` outside the places that may hold it"]
        );
    }

    #[test]
    fn the_word_in_comments_strings_and_lints_is_no_code() {
        let text = "#![forbid(unsafe_code)]\n// unsafe\nlet x = \"unsafe {\"; /* unsafe */\n";

        assert_eq!(findings("agent/src/main.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_reason_close_above_is_seen() {
        for text in [
            "// SAFETY: a.\nunsafe { f() }",
            "// SAFETY: a\n// and b.\n#[allow(x)]\nlet y =\n    unsafe { f() };",
            "/// Does.\n///\n/// # Safety\n/// The caller must.\npub unsafe fn f() {}",
            "unsafe { f() } // SAFETY: a.",
        ] {
            assert_eq!(findings("driver-core/src/pci/bus.rs", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn the_reason_of_another_statement_does_not_count() {
        let text = "// SAFETY: a.\nunsafe { f() };\nunsafe { g() };";

        assert_eq!(
            findings("vmmdev/src/carrier/mod.rs", text),
            ["vmmdev/src/carrier/mod.rs:3 `unsafe` without its reason"]
        );
    }
}

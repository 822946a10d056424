//! As much of Rust's grammar as it takes to tell code, comments and strings apart.

/// One line of a source file, taken apart. Each part keeps the words in their order; what belongs to
/// another part is left out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Line {
    /// Code, with its strings empty.
    pub code: String,
    /// What its comments say, with the slashes.
    pub comment: String,
    /// What its strings say, with a space between two.
    pub strings: String,
}

impl Line {
    /// Whether the line holds nothing but comments, attributes or white space.
    pub fn is_between_code(&self) -> bool {
        let code = self.code.trim();
        code.is_empty() || (code.starts_with('#') && code.ends_with(']'))
    }
}

/// Where in the grammar a character stands.
#[derive(Clone, Copy)]
enum State {
    Code,
    LineComment,
    /// Within so many block comments.
    BlockComment(usize),
    String,
    /// Within a string that ends with a quote and so many hashes.
    RawString(usize),
}

/// Takes a source file apart, line by line.
pub fn lines(source: &str) -> Vec<Line> {
    let chars: Vec<char> = source.chars().collect();
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let rest = &chars[at..];
        if c == '\n' {
            if matches!(state, State::LineComment) {
                state = State::Code;
            }
            lines.push(Line::default());
            at += 1;
            continue;
        }
        let Some(line) = lines.last_mut() else { break };
        let (part, taken) = match state {
            State::Code => {
                let (next, taken) = in_code(rest, at.checked_sub(1).and_then(|i| chars.get(i)));
                state = next;
                if matches!(next, State::String | State::RawString(_)) && !line.strings.is_empty() {
                    line.strings.push(' ');
                }
                let part = match next {
                    State::LineComment | State::BlockComment(_) => &mut line.comment,
                    _ => &mut line.code,
                };
                (part, taken)
            }
            State::LineComment => (&mut line.comment, 1),
            State::BlockComment(depth) => {
                let taken = match rest {
                    ['/', '*', ..] => {
                        state = State::BlockComment(depth + 1);
                        2
                    }
                    ['*', '/', ..] => {
                        state = if depth > 1 { State::BlockComment(depth - 1) } else { State::Code };
                        2
                    }
                    _ => 1,
                };
                (&mut line.comment, taken)
            }
            State::String => match rest {
                // An escaped end of line is left to be counted as a line.
                ['\\', next, ..] if *next != '\n' => (&mut line.strings, 2),
                ['"', ..] => {
                    state = State::Code;
                    (&mut line.code, 1)
                }
                _ => (&mut line.strings, 1),
            },
            State::RawString(hashes) => {
                if c == '"' && rest[1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes {
                    state = State::Code;
                    (&mut line.code, 1 + hashes)
                } else {
                    (&mut line.strings, 1)
                }
            }
        };
        part.extend(&rest[..taken]);
        at += taken;
    }
    lines
}

/// What follows in code: the state after it, and how many characters it takes.
fn in_code(rest: &[char], before: Option<&char>) -> (State, usize) {
    let within_word = before.is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match rest {
        ['/', '/', ..] => (State::LineComment, 2),
        ['/', '*', ..] => (State::BlockComment(1), 2),
        ['"', ..] => (State::String, 1),
        // The letter of a raw string, unless it ends a name. A raw name, as r#type, has no quote.
        ['r', ..] if !within_word || matches!(before, Some('b' | 'c')) => {
            let hashes = rest[1..].iter().take_while(|c| **c == '#').count();
            match rest.get(1 + hashes) {
                Some('"') => (State::RawString(hashes), 2 + hashes),
                _ => (State::Code, 1),
            }
        }
        // A character, which may be a quote; else it is a lifetime.
        ['\'', '\\', _, tail @ ..] => {
            let end = tail.iter().position(|c| *c == '\'').map_or(tail.len(), |end| end + 1);
            (State::Code, 3 + end)
        }
        ['\'', _, '\'', ..] => (State::Code, 3),
        _ => (State::Code, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The code, the comments and the strings of a source.
    fn parts(source: &str) -> (String, String, String) {
        let lines = lines(source);
        let join = |part: fn(&Line) -> &String| {
            lines.iter().map(|line| part(line).as_str()).collect::<Vec<_>>().join("|")
        };
        (join(|l| &l.code), join(|l| &l.comment), join(|l| &l.strings))
    }

    fn code(source: &str) -> String {
        parts(source).0
    }

    #[test]
    fn comments_are_told_from_code() {
        assert_eq!(parts("a // b\nc"), ("a |c".into(), "// b|".into(), "|".into()));
        assert_eq!(code("a /* b /* c */ d */ e"), "a  e");
        assert_eq!(code("a /* b\nc */ d"), "a | d");
        assert_eq!(code("a / b"), "a / b");
    }

    #[test]
    fn strings_are_told_from_code() {
        assert_eq!(parts(r#"f("a // b \" c") // d"#).2, r#"a // b \" c"#);
        assert_eq!(parts(r#"f("a // b \" c") // d"#).1, "// d");
        assert_eq!(parts(r#"f("a", "b")"#).2, "a b");
        assert_eq!(code("\"one\\\n two\" x"), "\"|\" x");
        assert_eq!(code(r#"b"x\\" y"#), r#"b"" y"#);
    }

    #[test]
    fn raw_strings_end_with_as_many_hashes() {
        assert_eq!(code(r###"r#"a " b"# c"###), r###"r#""# c"###);
        assert_eq!(code(r#"br"a\" c"#), r#"br"" c"#);
        assert_eq!(code("r#type x"), "r#type x");
        assert_eq!(code(r#"for"a" x"#), r#"for"" x"#);
    }

    #[test]
    fn characters_are_told_from_lifetimes() {
        assert_eq!(code("'\"' x"), "'\"' x");
        assert_eq!(code(r"'\'' x // y"), r"'\'' x ");
        assert_eq!(code(r"'\u{1F600}' x // y"), r"'\u{1F600}' x ");
        assert_eq!(code("fn f<'a>(x: &'a str) // y"), "fn f<'a>(x: &'a str) ");
    }

    #[test]
    fn an_unfinished_file_is_no_trouble() {
        for source in ["\"", "r#\"", "/*", "'\\", "'", "r", "\"\\"] {
            assert_eq!(lines(source).len(), 1, "{source}");
        }
    }
}

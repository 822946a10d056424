//! What X calls the formats: targets, and how each of them writes its content.

use std::collections::HashSet;

use crate::clipboard::{LONGEST_FORMAT, MOST_FORMATS};

/// How a target writes content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// As it is.
    Verbatim,
    /// Text in UTF-8.
    Utf8,
    /// Text in Latin-1.
    Latin1,
    /// Text as its owner likes it best; the answer's type tells how.
    AnyText,
    /// HTML in UTF-8, or in UTF-16 with a byte order mark.
    Html,
}

/// A target, and the format that it stands for.
struct Row {
    target: &'static str,
    format: &'static str,
    encoding: Encoding,
}

const fn row(target: &'static str, format: &'static str, encoding: Encoding) -> Row {
    Row { target, format, encoding }
}

/// The targets that are not simply called like their format. Of one format's, the first is the best to
/// ask for; whoever asks us may have any. COMPOUND_TEXT is missing because nobody who has it lacks the
/// rest.
const TABLE: &[Row] = &[
    row("UTF8_STRING", "text/plain", Encoding::Utf8),
    row("text/plain;charset=utf-8", "text/plain", Encoding::Utf8),
    row("text/plain;charset=UTF-8", "text/plain", Encoding::Utf8),
    row("text/plain", "text/plain", Encoding::Utf8),
    row("STRING", "text/plain", Encoding::Latin1),
    row("TEXT", "text/plain", Encoding::AnyText),
    row("text/html", "text/html", Encoding::Html),
    row("text/html;charset=utf-8", "text/html", Encoding::Html),
    row("image/bmp", "image/bmp", Encoding::Verbatim),
    row("image/x-bmp", "image/bmp", Encoding::Verbatim),
    row("image/x-MS-bmp", "image/bmp", Encoding::Verbatim),
];

/// A target to ask for, or to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) encoding: Encoding,
}

/// Whether a format can be told and offered: a MIME type, in what characters such have.
pub(super) fn is_format(name: &str) -> bool {
    name.len() <= LONGEST_FORMAT
        && name.split_once('/').is_some_and(|(kind, rest)| !kind.is_empty() && !rest.is_empty())
        && name.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// What was meant to be a format, to be shown: escaped, and cut.
pub(super) fn shown(name: &str) -> String {
    name.escape_debug().take(LONGEST_FORMAT).collect()
}

/// The formats behind an owner's targets, in its order.
pub(super) fn formats(targets: &[String]) -> Vec<String> {
    let mut told = HashSet::new();
    let formats = targets.iter().filter_map(|target| meaning(target)).map(|(format, _)| format);
    formats.filter(|format| told.insert(*format)).take(MOST_FORMATS).map(str::to_owned).collect()
}

/// The targets by which to ask for a format, the best first, of an owner who has these; when nobody
/// knows what it has, all that come into question.
pub(super) fn to_ask(format: &str, owners: Option<&[String]>) -> Vec<Target> {
    let Some(owners) = owners else {
        return to_offer(format);
    };
    let mut targets: Vec<(usize, Target)> = Vec::new();
    for name in owners {
        if let Some((meant, encoding)) = meaning(name)
            && meant == format
        {
            targets.push((rank(name), Target { name: name.clone(), encoding }));
        }
    }
    targets.sort_by_key(|(rank, _)| *rank);
    targets.into_iter().map(|(_, target)| target).collect()
}

/// The targets under which to offer a format.
pub(super) fn to_offer(format: &str) -> Vec<Target> {
    let rows = TABLE.iter().filter(|row| row.format == format);
    let mut targets: Vec<Target> =
        rows.map(|row| Target { name: row.target.to_owned(), encoding: row.encoding }).collect();
    if targets.is_empty() {
        targets.push(Target { name: format.to_owned(), encoding: Encoding::Verbatim });
    }
    targets
}

/// The format that a target stands for, and how it is written; `None` for what is X's own, as TARGETS.
fn meaning(target: &str) -> Option<(&str, Encoding)> {
    match TABLE.get(rank(target)) {
        Some(row) => Some((row.format, row.encoding)),
        None => is_format(target).then_some((target, Encoding::Verbatim)),
    }
}

/// A target's place in the table; beyond its end when it has none. X's own names are written in one
/// way, MIME types in any case.
fn rank(target: &str) -> usize {
    let same = |row: &&Row| match is_format(target) {
        true => row.target.eq_ignore_ascii_case(target),
        false => row.target == target,
    };
    TABLE.iter().position(|row| same(&row)).unwrap_or(TABLE.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn names(targets: &[Target]) -> Vec<&str> {
        targets.iter().map(|target| target.name.as_str()).collect()
    }

    #[test]
    fn formats_are_told_in_the_owners_order_and_once() {
        let targets = [
            "TIMESTAMP",
            "TARGETS",
            "MULTIPLE",
            "SAVE_TARGETS",
            "text/html",
            "UTF8_STRING",
            "COMPOUND_TEXT",
            "TEXT",
            "STRING",
            "text/plain;charset=Utf-8",
            "text/plain",
            "image/x-MS-bmp",
            "image/png",
            "text/uri-list",
            "x-special/gnome-copied-files",
            "application/x-thing;a=b",
            "_QT_SELECTION",
        ];

        let told = formats(&owned(&targets));

        let expected = [
            "text/html",
            "text/plain",
            "image/bmp",
            "image/png",
            "text/uri-list",
            "x-special/gnome-copied-files",
            "application/x-thing;a=b",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_no_mime_type_is_not_told() {
        let long = format!("a/{}", "b".repeat(LONGEST_FORMAT));
        assert!(formats(&owned(&[&long, "/", "a/", "/b", "a/\n", "a/\u{e9}", ""])).is_empty());
        assert_eq!(formats(&owned(&[&long[..LONGEST_FORMAT]])).len(), 1);
    }

    #[test]
    fn no_more_formats_are_told_than_agreed() {
        let many: Vec<String> = (0..10 * MOST_FORMATS).map(|number| format!("a/{number}")).collect();
        assert_eq!(formats(&many), many[..MOST_FORMATS]);
    }

    #[test]
    fn the_best_target_that_an_owner_has_is_asked_for_first() {
        let cases: [(&str, &[&str], &[&str]); 5] = [
            ("text/plain", &["STRING", "UTF8_STRING", "TEXT"], &["UTF8_STRING", "STRING", "TEXT"]),
            ("text/plain", &["TEXT", "text/plain;charset=uTf-8"], &["text/plain;charset=uTf-8", "TEXT"]),
            ("image/bmp", &["image/x-bmp"], &["image/x-bmp"]),
            ("a/b", &["text/html", "a/b"], &["a/b"]),
            ("text/html", &["text/plain"], &[]),
        ];
        for (format, has, asked) in cases {
            assert_eq!(names(&to_ask(format, Some(&owned(has)))), asked, "{format} of {has:?}");
        }
    }

    #[test]
    fn an_owner_who_does_not_tell_is_asked_for_everything() {
        assert_eq!(to_ask("text/plain", None), to_offer("text/plain"));
        assert_eq!(names(&to_ask("a/b", None)), ["a/b"]);
    }

    #[test]
    fn text_is_offered_under_every_name_but_compound_text() {
        let expected = [
            "UTF8_STRING",
            "text/plain;charset=utf-8",
            "text/plain;charset=UTF-8",
            "text/plain",
            "STRING",
            "TEXT",
        ];
        assert_eq!(names(&to_offer("text/plain")), expected);
        assert_eq!(names(&to_offer("image/png")), ["image/png"]);
    }
}

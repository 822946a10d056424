//! The service of the guest properties, `VBoxGuestPropSvc`: names and values that host and guest share.
//!
//! | function | parameters | its answer |
//! |---|---|---|
//! | 1 get | name; out data; out u64 timestamp; out u32 size | [`Value`] |
//! | 2, 3 set | name; value; perhaps flags | |
//! | 4 delete | name | |
//! | 5 enumerate | patterns; out data; out u32 size | [`Property`], many |
//! | 6 get notification | patterns; in and out u64 timestamp; out data; out u32 size | [`Change`] |
//!
//! Texts are UTF-8 and go with the zero byte that ends them. The size is that of the data, or the one
//! that would have been needed when the status is `VERR_BUFFER_OVERFLOW`; what stands in the data
//! beyond it means nothing, so a reader cuts the data there first.

use std::fmt;
use std::str::FromStr;

use super::Malformed;
use super::values::numbers;

/// The name by which a guest connects to the service.
pub const SERVICE: &str = "VBoxGuestPropSvc";

/// The longest name of a property in bytes, its zero not counted.
pub const LONGEST_NAME: usize = 63;
/// The longest value of a property in bytes, its zero not counted.
pub const LONGEST_VALUE: usize = 1023;
/// The longest patterns in bytes, their zero not counted.
pub const LONGEST_PATTERNS: usize = 1023;
/// The longest flags in bytes, their zero not counted: `TRANSIENT, RDONLYGUEST, TRANSRESET`.
pub const LONGEST_FLAGS: usize = 34;
/// How many properties a machine has at most.
pub const MOST_PROPERTIES: usize = 256;
/// How many changes a host remembers for those who ask for what they missed.
pub const MOST_CHANGES: usize = 256;
/// How many calls of one client may wait for a change; one more is refused with
/// `VERR_OUT_OF_RESOURCES`.
pub const MOST_WAITS: usize = 16;

/// The beginnings of the names that only a host sets and deletes.
pub const RESERVED: [&str; 6] = [
    "/VirtualBox/GuestAdd/VBoxService/",
    "/VirtualBox/GuestAdd/PAM/",
    "/VirtualBox/GuestAdd/Greeter/",
    "/VirtualBox/GuestAdd/SharedFolders/",
    "/VirtualBox/HostInfo/",
    "/VirtualBox/VMInfo/",
];

numbers! {
    /// What a guest may call.
    pub struct Function {
        GET = 1, "get";
        SET = 2, "set";
        // A host tells 2 and 3 apart by nothing: whether there are flags is told by the count of parameters.
        SET_VALUE = 3, "set-value";
        DELETE = 4, "delete";
        ENUMERATE = 5, "enumerate";
        GET_NOTIFICATION = 6, "get-notification";
    }
}

bitflags::bitflags! {
    /// What is special about a property (`GUEST_PROP_F_*`). On the wire it is a text.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Flags: u32 {
        /// It goes when the machine is switched off.
        const TRANSIENT = 0x02;
        /// The guest may not change it.
        const READ_ONLY_GUEST = 0x04;
        /// The host's users may not change it.
        const READ_ONLY_HOST = 0x08;
        /// It goes when the machine is reset, too.
        const TRANSIENT_RESET = 0x10;
    }
}

impl Flags {
    /// Nobody may change it.
    pub const READ_ONLY: Self = Self::READ_ONLY_GUEST.union(Self::READ_ONLY_HOST);

    /// Every word for flags, in the order in which they are written: the one for two before those for one.
    const WORDS: [(&'static str, Self); 5] = [
        ("TRANSIENT", Self::TRANSIENT),
        ("READONLY", Self::READ_ONLY),
        ("RDONLYGUEST", Self::READ_ONLY_GUEST),
        ("RDONLYHOST", Self::READ_ONLY_HOST),
        ("TRANSRESET", Self::TRANSIENT_RESET),
    ];
}

/// Flags that are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Property flags are words of TRANSIENT, READONLY, RDONLYGUEST, RDONLYHOST and TRANSRESET, with commas"
)]
pub struct UnknownFlags;

impl FromStr for Flags {
    type Err = UnknownFlags;

    /// Reads words with commas between them, in either case; no word at all is no flag.
    fn from_str(text: &str) -> Result<Self, UnknownFlags> {
        if text.trim().is_empty() {
            return Ok(Self::empty());
        }
        text.split(',').try_fold(Self::empty(), |flags, word| {
            let known = Self::WORDS.iter().find(|(name, _)| word.trim().eq_ignore_ascii_case(name));
            known.map(|(_, flag)| flags | *flag).ok_or(UnknownFlags)
        })
    }
}

impl fmt::Display for Flags {
    /// As hosts write them. What goes with a reset is said to go with the machine as well, for readers
    /// who do not know the newer word.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = *self;
        if left.contains(Self::TRANSIENT_RESET) {
            left |= Self::TRANSIENT;
        }
        let mut separator = "";
        for (word, flag) in Self::WORDS {
            if left.contains(flag) {
                write!(f, "{separator}{word}")?;
                separator = ", ";
                left -= flag;
            }
        }
        Ok(())
    }
}

/// The answer to function 1, without the timestamp, which comes by a parameter of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Value {
    /// At most [`LONGEST_VALUE`] bytes.
    pub value: String,
    /// As [`Flags`] are written. A later host may know words that are no [`Flags`] yet.
    pub flags: String,
}

/// One of the answers to function 5.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Property {
    /// 1 to [`LONGEST_NAME`] bytes.
    pub name: String,
    /// At most [`LONGEST_VALUE`] bytes.
    pub value: String,
    /// When it was last changed: nanoseconds since the Unix epoch, no two the same.
    pub timestamp: u64,
    /// As in a [`Value`].
    pub flags: String,
}

/// The answer to function 6, without the timestamp, which comes by a parameter of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// 1 to [`LONGEST_NAME`] bytes.
    pub name: String,
    /// Its value now; `None` when it was deleted. A host before 6.1 does not say so: there, the value
    /// of a property that was deleted is empty.
    pub value: Option<String>,
    /// As in a [`Value`].
    pub flags: String,
}

/// Reads the data of an answer to function 1.
///
/// # Errors
/// [`Malformed`] when a text is missing or too long.
pub fn parse_value(data: &[u8]) -> Result<Value, Malformed> {
    let mut texts = Texts(data);
    Ok(Value { value: texts.value()?, flags: texts.flags()? })
}

/// Writes the data of an answer to function 1.
pub fn pack_value(value: &str, flags: Flags) -> Vec<u8> {
    packed(&[value, &flags.to_string()])
}

/// Reads the data of an answer to function 5.
///
/// # Errors
/// [`Malformed`] when a text is missing or too long, the list has no end or more than
/// [`MOST_PROPERTIES`], or a timestamp is no number.
pub fn parse_list(data: &[u8]) -> Result<Vec<Property>, Malformed> {
    let mut texts = Texts(data);
    let mut list = Vec::new();
    loop {
        let name = texts.next("A property's name", LONGEST_NAME)?;
        if name.is_empty() {
            return Ok(list);
        }
        if list.len() == MOST_PROPERTIES {
            let what = "The number of properties";
            return Err(Malformed::TooLarge { what, limit: MOST_PROPERTIES, found: MOST_PROPERTIES + 1 });
        }
        list.push(Property {
            name: name.to_owned(),
            value: texts.value()?,
            timestamp: texts.timestamp()?,
            flags: texts.flags()?,
        });
    }
}

/// Writes the data of an answer to function 5.
pub fn pack_list<'a>(properties: impl IntoIterator<Item = (&'a str, &'a str, u64, Flags)>) -> Vec<u8> {
    let mut data = Vec::new();
    for (name, value, timestamp, flags) in properties {
        data.extend(packed(&[name, value, &timestamp.to_string(), &flags.to_string()]));
    }
    data.extend(packed(&[""; 4]));
    data
}

/// Reads the data of an answer to function 6.
///
/// # Errors
/// [`Malformed`] when a text is missing or too long, or there is no name.
pub fn parse_change(data: &[u8]) -> Result<Change, Malformed> {
    let mut texts = Texts(data);
    let name = texts.next("A property's name", LONGEST_NAME)?.to_owned();
    if name.is_empty() {
        return Err(Malformed::NotText { what: "A property's name" });
    }
    let (value, flags) = (texts.value()?, texts.flags()?);
    let deleted = !texts.0.is_empty() && texts.next("A property's deletion", 1)? == "1";
    Ok(Change { name, value: (!deleted).then_some(value), flags })
}

/// Writes the data of an answer to function 6; a `value` of `None` is a property that was deleted.
pub fn pack_change(name: &str, value: Option<&str>, flags: Flags) -> Vec<u8> {
    let deleted = if value.is_none() { "1" } else { "0" };
    packed(&[name, value.unwrap_or_default(), &flags.to_string(), deleted])
}

/// Reads a name as a guest sends it: a text that ends with its only zero.
///
/// # Errors
/// [`Malformed`] when it has no byte or too many, or one of `*`, `?` and `|`, which are for patterns.
pub fn parse_name(data: &[u8]) -> Result<&str, Malformed> {
    let what = "A property's name";
    let name = whole(data, what, LONGEST_NAME)?;
    if name.is_empty() || name.contains(['*', '?', '|']) {
        Err(Malformed::NotText { what })
    } else {
        Ok(name)
    }
}

/// Reads a new value as a guest sends it.
///
/// # Errors
/// [`Malformed`] when it is too long or no text.
pub fn parse_new_value(data: &[u8]) -> Result<&str, Malformed> {
    whole(data, "A property's value", LONGEST_VALUE)
}

/// Reads flags as a guest sends them; `Ok(None)` when they are a text but no flags.
///
/// # Errors
/// [`Malformed`] when they are too long or no text.
pub fn parse_new_flags(data: &[u8]) -> Result<Option<Flags>, Malformed> {
    // Blanks and repetition may make them longer than a host would write them.
    Ok(whole(data, "A property's flags", LONGEST_VALUE)?.parse().ok())
}

/// Reads patterns as a guest sends them: with `|` between them, or a zero byte, and any number of
/// those at the end. Gives them with `|`.
///
/// # Errors
/// [`Malformed`] when they are too long or no text.
pub fn parse_patterns(data: &[u8]) -> Result<String, Malformed> {
    let what = "Property patterns";
    let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (patterns, zeros) = data.split_at(end);
    if zeros.is_empty() {
        return Err(Malformed::NotText { what });
    }
    limited(what, patterns.len(), LONGEST_PATTERNS)?;
    let patterns = std::str::from_utf8(patterns).map_err(|_| Malformed::NotText { what })?;
    Ok(patterns.replace('\0', "|"))
}

/// Whether a name matches one of the patterns, which have `|` between them: `*` stands for any text,
/// `?` for one character. No pattern at all matches everything.
pub fn matches(patterns: &str, name: &str) -> bool {
    patterns.is_empty() || patterns.split('|').any(|pattern| matches_one(pattern, name))
}

/// Whether a name matches one pattern, in which `|` is a character as any other.
pub fn matches_one(pattern: &str, name: &str) -> bool {
    // Goes back to the last `*` only: an earlier one cannot help where that one did not. So the time is
    // at most the product of both lengths, whatever a guest makes up.
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let before = name.clone();
        let matched = match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = before;
                star = Some((pattern.clone(), name.clone()));
                continue;
            }
            // What is left of the pattern wants more than there is, and going back leaves less.
            (Some(_), None) => return false,
            (Some(wanted), Some(found)) => wanted == '?' || wanted == found,
            (None, Some(_)) => false,
        };
        if !matched {
            // The last star takes one character more.
            let Some((after, rest)) = &mut star else { return false };
            rest.next();
            (pattern, name) = (after.clone(), rest.clone());
        }
    }
}

/// Zero-terminated texts one after the other; what is left of them.
struct Texts<'a>(&'a [u8]);

impl<'a> Texts<'a> {
    fn next(&mut self, what: &'static str, limit: usize) -> Result<&'a str, Malformed> {
        let malformed = Malformed::NotText { what };
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(malformed)?;
        limited(what, end, limit)?;
        let text = std::str::from_utf8(&self.0[..end]).map_err(|_| malformed)?;
        self.0 = &self.0[end + 1..];
        Ok(text)
    }

    fn value(&mut self) -> Result<String, Malformed> {
        self.next("A property's value", LONGEST_VALUE).map(str::to_owned)
    }

    fn flags(&mut self) -> Result<String, Malformed> {
        // As roomy as a value, for words that are yet to come.
        self.next("A property's flags", LONGEST_VALUE).map(str::to_owned)
    }

    fn timestamp(&mut self) -> Result<u64, Malformed> {
        let what = "A property's timestamp";
        self.next(what, 20)?.parse().map_err(|_| Malformed::NotNumber { what })
    }
}

/// A text that ends with the only zero of all the data.
fn whole<'a>(data: &'a [u8], what: &'static str, limit: usize) -> Result<&'a str, Malformed> {
    let mut texts = Texts(data);
    let text = texts.next(what, limit)?;
    if texts.0.is_empty() { Ok(text) } else { Err(Malformed::NotText { what }) }
}

fn limited(what: &'static str, found: usize, limit: usize) -> Result<(), Malformed> {
    if found > limit { Err(Malformed::TooLarge { what, limit, found }) } else { Ok(()) }
}

fn packed(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| text.bytes().chain([0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_have_their_documented_numbers() {
        let names = ["get", "set", "set-value", "delete", "enumerate", "get-notification"];
        for (number, name) in (1..).zip(names) {
            assert_eq!(Function::from_name(name), Some(Function(number)));
        }
    }

    #[test]
    fn flags_are_read_in_either_case_and_written_as_hosts_do() {
        let cases = [
            ("", 0, ""),
            ("  ", 0, ""),
            ("transient", 0x02, "TRANSIENT"),
            ("RDONLYGUEST", 0x04, "RDONLYGUEST"),
            ("RdOnlyHost", 0x08, "RDONLYHOST"),
            ("READONLY", 0x0C, "READONLY"),
            ("RDONLYHOST,RDONLYGUEST", 0x0C, "READONLY"),
            ("TRANSRESET", 0x10, "TRANSIENT, TRANSRESET"),
            (" transreset , rdonlyguest,TRANSIENT", 0x16, "TRANSIENT, RDONLYGUEST, TRANSRESET"),
        ];
        for (text, bits, written) in cases {
            let flags: Flags = text.parse().expect(text);
            assert_eq!((flags.bits(), flags.to_string().as_str()), (bits, written), "{text}");
        }
        for text in ["READ", "TRANSIENT RDONLYHOST", "TRANSIENT,,READONLY", ",", "TRANSIENT;"] {
            assert_eq!(text.parse::<Flags>(), Err(UnknownFlags), "{text}");
        }
    }

    #[test]
    fn no_flags_are_written_longer_than_the_limit() {
        let longest = (0..0x20).map(|bits| Flags::from_bits_retain(bits).to_string().len()).max();
        assert_eq!(longest, Some(LONGEST_FLAGS));
    }

    #[test]
    fn a_value_is_two_texts_and_what_follows_means_nothing() {
        let data = pack_value("7.2.22", Flags::READ_ONLY_GUEST);
        assert_eq!(data, b"7.2.22\0RDONLYGUEST\0");

        let value = Value { value: "7.2.22".into(), flags: "RDONLYGUEST".into() };
        assert_eq!(parse_value(&data), Ok(value.clone()));
        assert_eq!(parse_value(&[&data[..], &[0xFF; 9]].concat()), Ok(value));
        for cut in 0..data.len() {
            assert!(parse_value(&data[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_list_ends_with_four_empty_texts() {
        let data = pack_list([("/a", "1", 18, Flags::TRANSIENT), ("/b/c", "", u64::MAX, Flags::empty())]);
        assert_eq!(data, b"/a\x001\x0018\0TRANSIENT\0/b/c\0\x0018446744073709551615\0\0\0\0\0\0");

        let list = parse_list(&data).expect("a list");
        assert_eq!(
            list,
            [
                Property { name: "/a".into(), value: "1".into(), timestamp: 18, flags: "TRANSIENT".into() },
                Property { name: "/b/c".into(), timestamp: u64::MAX, ..Property::default() },
            ]
        );
        assert_eq!(pack_list([]), [0; 4]);
        assert_eq!(parse_list(&[0; 4]), Ok(Vec::new()));
    }

    #[test]
    fn a_list_that_no_host_makes_is_refused() {
        let list = |text: &str| parse_list(text.as_bytes());
        assert_eq!(list(""), Err(Malformed::NotText { what: "A property's name" }));
        assert_eq!(list("/a\x001\x001\0\0"), Err(Malformed::NotText { what: "A property's name" }));
        for timestamp in ["", "x", "-1", "18446744073709551616"] {
            assert_eq!(
                list(&format!("/a\x001\0{timestamp}\0\0\0\0\0\0")),
                Err(Malformed::NotNumber { what: "A property's timestamp" })
            );
        }
        let long = "x".repeat(64);
        let found = list(&format!("{long}\0\x001\0\0\0\0\0\0"));
        assert_eq!(found, Err(Malformed::TooLarge { what: "A property's name", limit: 63, found: 64 }));
        assert!(parse_list(&pack_list([("/a", "", 1, Flags::empty()); 256])).is_ok());
        assert!(parse_list(&pack_list([("/a", "", 1, Flags::empty()); 257])).is_err());
    }

    #[test]
    fn a_change_says_whether_the_property_is_gone_unless_the_host_is_old() {
        let changed = pack_change("/a", Some("1"), Flags::TRANSIENT);
        let deleted = pack_change("/a", None, Flags::empty());
        assert_eq!(changed, b"/a\x001\0TRANSIENT\x000\0");
        assert_eq!(deleted, b"/a\0\0\x001\0");

        let value = |data: &[u8]| parse_change(data).expect("a change").value;
        assert_eq!(value(&changed).as_deref(), Some("1"));
        assert_eq!(value(&deleted), None);
        assert_eq!(value(b"/a\0\0\0").as_deref(), Some(""));
        for data in [&b"/a\0\0"[..], b"\0\0\x000\0", b"/a\0\0\x000", b"/a\0\0\x0010\0", b"/\xFF\0\0\0"] {
            assert!(parse_change(data).is_err(), "{data:?}");
        }
    }

    #[test]
    fn names_and_values_of_guests_keep_their_limits() {
        let text = |length: usize| [vec![b'x'; length], vec![0]].concat();
        assert_eq!(parse_name(&text(63)).map(str::len), Ok(63));
        assert_eq!(parse_new_value(&text(1023)).map(str::len), Ok(1023));
        assert_eq!(parse_new_value(&text(0)), Ok(""));
        for name in [&b""[..], b"\0", b"a", b"a\0b\0", b"a*\0", b"a?\0", b"a|b\0", b"\xFF\0", &text(64)] {
            assert!(parse_name(name).is_err(), "{name:?}");
        }
        assert!(matches!(parse_new_value(&text(1024)), Err(Malformed::TooLarge { limit: 1023, .. })));
        assert_eq!(parse_new_flags(b"transient\0"), Ok(Some(Flags::TRANSIENT)));
        assert_eq!(parse_new_flags(b"sticky\0"), Ok(None));
        assert!(parse_new_flags(b"TRANSIENT").is_err());
    }

    #[test]
    fn patterns_are_divided_by_bars_or_zeros() {
        for (data, patterns) in
            [(&b"\0"[..], ""), (b"/a*\0", "/a*"), (b"/a*|/b?\0", "/a*|/b?"), (b"/a*\0/b?\0\0", "/a*|/b?")]
        {
            assert_eq!(parse_patterns(data).as_deref(), Ok(patterns));
        }
        for data in [&b""[..], b"/a", b"\xFF\0"] {
            assert!(parse_patterns(data).is_err(), "{data:?}");
        }
        let longest = [vec![b'*'; 1023], vec![0]].concat();
        assert!(parse_patterns(&longest).is_ok());
        assert!(parse_patterns(&[vec![b'*'; 1024], vec![0]].concat()).is_err());
    }

    #[test]
    fn patterns_match_by_star_and_question_mark() {
        let cases = [
            ("", "/anything", true),
            ("*", "", true),
            ("/a", "/a", true),
            ("/a", "/A", false),
            ("/a", "/ab", false),
            ("/a?", "/a", false),
            ("/a?", "/aß", true),
            ("/a*", "/a", true),
            ("*/b", "/a/b", true),
            ("*/b", "/a/b/c", false),
            ("/*/Net/*/IP", "/GuestInfo/Net/0/V4/IP", true),
            ("*ab", "aab", true),
            ("a*b*c", "abbcc", true),
            ("a*b*c", "abbc-", false),
            ("**", "x", true),
            ("/a|/b*", "/bc", true),
            ("/a|/b*", "/c", false),
        ];
        for (patterns, name, expected) in cases {
            assert_eq!(matches(patterns, name), expected, "{patterns} {name}");
        }
        // An exponential matcher would not come back.
        assert!(!matches(&"a*".repeat(500), &format!("{}b", "a".repeat(62))));
    }
}

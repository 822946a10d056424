//! Guest properties: values, lists, changes, names and patterns.

use driver_core::wire::guest_property as wire;

use super::Target;

pub const TARGET: Target = Target {
    name: "properties",
    about: "what the property service says, and what it is asked",
    run,
    seeds,
    tries: 20_000,
};

fn run(bytes: &[u8]) {
    let _ = wire::parse_value(bytes);
    let _ = wire::parse_list(bytes);
    let _ = wire::parse_change(bytes);
    let _ = wire::parse_new_value(bytes);
    let _ = wire::parse_new_flags(bytes);
    let name = wire::parse_name(bytes);
    let patterns = wire::parse_patterns(bytes);
    if let (Ok(name), Ok(patterns)) = (name, patterns) {
        let _ = wire::matches(&patterns, name);
    }
    // A pattern of stars and a name that nearly matches it.
    let (pattern, name) = bytes.split_at(bytes.len() / 2);
    let _ = wire::matches(&String::from_utf8_lossy(pattern), &String::from_utf8_lossy(name));
}

fn seeds() -> Vec<Vec<u8>> {
    let flags = wire::Flags::TRANSIENT;
    vec![
        wire::pack_value("a value", flags),
        wire::pack_list([("/A/B", "1", 7, flags), ("/C", "", 8, wire::Flags::empty())]),
        wire::pack_change("/A", Some("new"), flags),
        wire::pack_change("/A", None, flags),
        b"/VirtualBox/*\0/A?\0\0".to_vec(),
        b"*a*a*a*a*a*a*a*aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab".to_vec(),
        b"TRANSIENT, RDONLYGUEST\0".to_vec(),
    ]
}

//! What a plugin may do with the interfaces that it is granted, in words.

use bellhop_agent::grants::{All, Authority, Clipboard, Direction, Functions, Wasi};

/// What a plugin may do, each as a verb and its objects. What was not granted is left out, but for events
/// and capabilities, which are there for every plugin.
pub(super) fn in_words(authority: &Authority) -> Vec<(&'static str, String)> {
    let mut words =
        vec![("hear", authority.events.to_string()), ("announce", authority.capabilities.to_string())];
    if !authority.raw_requests.is_empty() {
        let requests: Vec<_> = authority.raw_requests.iter().map(ToString::to_string).collect();
        words.push(("make", requests.join(", ")));
    }
    let services: Vec<_> = authority.hgcm.iter().map(|(name, functions)| service(name, functions)).collect();
    if !services.is_empty() {
        words.push(("call", services.join("; ")));
    }
    let properties = [("read", &authority.properties.read), ("write", &authority.properties.write)];
    for (verb, patterns) in properties.into_iter().filter(|(_, patterns)| !patterns.is_empty()) {
        words.push((verb, format!("guest properties {}", patterns.join(", "))));
    }
    if authority.has_interface("clipboard") {
        words.push(("carry", clipboard(&authority.clipboard)));
    }
    if authority.wasi == Some(Wasi::Minimal) {
        words.push(("use", "WASI: clocks, random numbers, standard output to the log".to_owned()));
    }
    words
}

fn service(name: &str, functions: &Functions) -> String {
    match functions {
        Functions::All(All::All) => format!("{name}, all functions"),
        Functions::Some(numbers) if numbers.is_empty() => format!("{name}, no function"),
        Functions::Some(numbers) => {
            let numbers: Vec<_> = numbers.iter().map(u32::to_string).collect();
            format!("{name}, functions {}", numbers.join(", "))
        }
    }
}

fn clipboard(clipboard: &Clipboard) -> String {
    let copied = match clipboard.direction {
        Direction::Both => "what host or guest copied",
        Direction::HostToGuest => "what the host copied",
        Direction::GuestToHost => "what the guest copied",
    };
    let selected = if clipboard.primary { "selected or " } else { "" };
    let copied = copied.replace("copied", &format!("{selected}copied"));
    format!("{copied}, up to {}", clipboard.largest)
}

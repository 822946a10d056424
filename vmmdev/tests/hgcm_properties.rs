//! The service of guest properties, from the protocol's tables.

mod guest;

use std::time::Duration;

use driver_core::wire::{Status, guest_property as wire};
use guest::hgcm::{Answer, Give, Made};
use guest::{Guest, SOON, TO_FALL_ASLEEP};
use wire::{Change, Function, Property};

/// A guest with a client of the service.
struct Client {
    guest: Guest,
    number: u32,
}

/// A text with the zero that ends it.
fn zero(text: &str) -> Vec<u8> {
    [text.as_bytes(), &[0]].concat()
}

impl Client {
    fn new() -> Self {
        let guest = Guest::reported();
        let number = guest.client(wire::SERVICE);
        Self { guest, number }
    }

    fn call(&self, function: Function, parameters: &[Give<'_>]) -> Answer {
        self.guest.call(self.number, function.0, parameters)
    }

    /// Sets a property, with flags when they are given.
    fn set(&self, name: &str, value: &str, flags: Option<&str>) -> Status {
        let texts = [Some(name), Some(value), flags].map(|text| text.map(zero));
        let parameters: Vec<Give<'_>> = texts.iter().flatten().map(|text| Give::In(text)).collect();
        self.call(Function::SET_VALUE, &parameters).status
    }

    fn get(&self, name: &str, room: u32) -> Answer {
        self.call(Function::GET, &[Give::In(&zero(name)), Give::Both(&[], room), Give::U64(0), Give::U32(0)])
    }

    /// The value and the flags of a property.
    fn value(&self, name: &str) -> Option<(String, String)> {
        let answer = self.get(name, 2083);
        if answer.status == Status::NOT_FOUND {
            return None;
        }
        assert_eq!(answer.status, Status::SUCCESS);
        let value = wire::parse_value(answer.bytes(1, answer.u32(3))).expect("a value");
        Some((value.value, value.flags))
    }

    fn delete(&self, name: &str) -> Status {
        self.call(Function::DELETE, &[Give::In(&zero(name))]).status
    }

    fn list(&self, patterns: &[u8]) -> Vec<Property> {
        let answer = self.call(Function::ENUMERATE, &[Give::In(patterns), Give::Out(8192), Give::U32(0)]);
        assert_eq!(answer.status, Status::SUCCESS);
        wire::parse_list(answer.bytes(1, answer.u32(2))).expect("a list")
    }

    fn names(&self, patterns: &[u8]) -> Vec<String> {
        self.list(patterns).into_iter().map(|property| property.name).collect()
    }

    fn waiting<'a>(patterns: &'a [u8], since: u64, room: u32) -> [Give<'a>; 4] {
        [Give::In(patterns), Give::U64(since), Give::Out(room), Give::U32(0)]
    }

    fn wait(&self, slot: u32, patterns: &str) -> Made {
        let function = Function::GET_NOTIFICATION.0;
        self.guest.wait(slot, self.number, function, &Self::waiting(&zero(patterns), 0, 2147))
    }

    /// The change after a time that is in the past.
    fn after(&self, since: u64, patterns: &str) -> (Status, Change, u64) {
        let answer = self.call(Function::GET_NOTIFICATION, &Self::waiting(&zero(patterns), since, 2147));
        change(&answer)
    }

    fn status(&self, made: &Made) -> Option<Status> {
        self.guest.answer(made).map(|answer| answer.status)
    }
}

/// What an answer to function 6 says, and when it happened.
fn change(answer: &Answer) -> (Status, Change, u64) {
    let change = wire::parse_change(answer.bytes(2, answer.u32(3))).expect("a change");
    (answer.status, change, answer.u64(1))
}

#[test]
fn a_property_is_set_read_and_deleted() {
    let client = Client::new();
    assert_eq!(client.value("/a"), None);

    assert_eq!(client.set("/a", "one", None), Status::SUCCESS);
    assert_eq!(client.value("/a"), Some(("one".into(), "".into())));
    assert_eq!(client.set("/a", "", Some(" transreset,RdOnlyHost ")), Status::SUCCESS);
    assert_eq!(client.value("/a"), Some(("".into(), "TRANSIENT, RDONLYHOST, TRANSRESET".into())));
    assert_eq!(client.set("/a", "two", None), Status::SUCCESS, "without flags there are none");
    assert_eq!(client.value("/a"), Some(("two".into(), "".into())));

    assert_eq!(client.delete("/a"), Status::SUCCESS);
    assert_eq!(client.value("/a"), None);
    assert_eq!(client.delete("/a"), Status::SUCCESS, "it is gone either way");
}

#[test]
fn functions_2_and_3_are_the_same() {
    let client = Client::new();
    for function in [Function::SET, Function::SET_VALUE] {
        let with = client.call(function, &[Give::In(b"/a\0"), Give::In(b"1\0"), Give::In(b"TRANSIENT\0")]);
        assert_eq!(
            (with.status, client.value("/a").expect("set").1.as_str()),
            (Status::SUCCESS, "TRANSIENT")
        );
        let without = client.call(function, &[Give::In(b"/a\0"), Give::In(b"1\0")]);
        assert_eq!((without.status, client.value("/a").expect("set").1.as_str()), (Status::SUCCESS, ""));
    }
}

#[test]
fn names_values_and_flags_keep_their_limits() {
    let client = Client::new();
    let long = |length: usize| "x".repeat(length);
    for (name, value, flags, expected) in [
        (long(63).as_str(), "", None, Status::SUCCESS),
        (&long(64), "", None, Status::INVALID_PARAMETER),
        ("", "", None, Status::INVALID_PARAMETER),
        ("/a*", "", None, Status::INVALID_PARAMETER),
        ("/a?", "", None, Status::INVALID_PARAMETER),
        ("/a|", "", None, Status::INVALID_PARAMETER),
        ("/a", &long(1023), None, Status::SUCCESS),
        ("/a", &long(1024), None, Status::TOO_MUCH_DATA),
        ("/a", "", Some("sticky"), Status::PARSE_ERROR),
        ("/a", "", Some("TRANSIENT RDONLYHOST"), Status::PARSE_ERROR),
        ("/a", "", Some(""), Status::SUCCESS),
    ] {
        assert_eq!(client.set(name, value, flags), expected, "{name} {} {flags:?}", value.len());
    }
}

#[test]
fn what_is_no_text_or_not_what_is_wanted_is_an_invalid_parameter() {
    let client = Client::new();
    let get = |give: &[Give<'_>]| client.call(Function::GET, give).status;
    let set = |give: &[Give<'_>]| client.call(Function::SET, give).status;
    let list = |give: &[Give<'_>]| client.call(Function::ENUMERATE, give).status;
    let wait = |give: &[Give<'_>]| client.call(Function::GET_NOTIFICATION, give).status;
    let (name, data, time, size) = (Give::In(b"/a\0"), Give::Out(100), Give::U64(1), Give::U32(0));
    for (index, status) in [
        get(&[name, data, time]),
        get(&[name, data, time, size, size]),
        get(&[name, data, size, size]),
        get(&[name, data, time, time]),
        get(&[name, size, time, size]),
        get(&[size, data, time, size]),
        get(&[Give::In(b"/a"), data, time, size]),
        get(&[Give::In(b"/a\0/b\0"), data, time, size]),
        get(&[Give::In(b"\xFF\0"), data, time, size]),
        get(&[Give::In(b""), data, time, size]),
        set(&[name]),
        set(&[name, name, name, name]),
        set(&[name, size]),
        set(&[name, Give::In(b"unended")]),
        set(&[name, name, size]),
        client.call(Function::DELETE, &[]).status,
        client.call(Function::DELETE, &[name, name]).status,
        client.call(Function::DELETE, &[Give::In(b"/a*\0")]).status,
        list(&[name, data]),
        list(&[name, data, time]),
        list(&[name, size, size]),
        list(&[Give::In(b"*"), data, size]),
        wait(&[name, time, data]),
        wait(&[name, size, data, size]),
        wait(&[name, time, time, size]),
        wait(&[name, time, data, time]),
        wait(&[Give::In(b"*"), time, data, size]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(status, Status::INVALID_PARAMETER, "case {index}");
    }
    let long = zero(&"*".repeat(1024));
    assert_eq!(list(&[Give::In(&long), data, size]), Status::TOO_MUCH_DATA);
    for function in [0, 7, u32::MAX] {
        assert_eq!(client.call(Function(function), &[]).status, Status::NOT_IMPLEMENTED);
    }
}

#[test]
fn too_little_room_says_how_much_is_needed() {
    let client = Client::new();
    client.set("/a", "value", Some("TRANSIENT"));
    for (room, expected) in [(0, -41), (15, -41), (16, 0), (17, 0)] {
        let answer = client.get("/a", room);
        assert_eq!((answer.status, answer.u32(3)), (Status(expected), 16), "{room}");
    }
    let short = [Give::In(b"/a\0"), Give::Out(20), Give::U32(0)];
    let answer = client.call(Function::ENUMERATE, &short);
    assert_eq!(answer.status, Status::BUFFER_OVERFLOW);
    let needed = answer.u32(2);
    let enough = [short[0], Give::Out(needed), short[2]];
    assert_eq!(client.call(Function::ENUMERATE, &enough).status, Status::SUCCESS);
    let answer = client.call(Function::GET_NOTIFICATION, &Client::waiting(b"/a\0", 1, 10));
    assert_eq!((answer.status, answer.u32(3)), (Status::BUFFER_OVERFLOW, 3 + 6 + 10 + 2));
}

#[test]
fn a_list_has_what_matches_any_pattern() {
    let client = Client::new();
    for name in ["/a/1", "/a/2", "/b/1"] {
        client.set(name, name, None);
    }
    for (patterns, expected) in [
        (&b"/a/*\0"[..], &["/a/1", "/a/2"][..]),
        (b"/?/1\0", &["/a/1", "/b/1"]),
        (b"/a/2|/b/*\0", &["/a/2", "/b/1"]),
        (b"/a/2\0/b/*\0\0", &["/a/2", "/b/1"]),
        (b"/c\0", &[]),
    ] {
        assert_eq!(client.names(patterns), expected, "{patterns:?}");
    }
    let all = client.list(b"\0");
    assert_eq!(all.len(), 10);
    let mut times: Vec<u64> = all.iter().map(|property| property.timestamp).collect();
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 10, "no two are the same");
}

#[test]
fn the_host_maintains_what_it_says_of_itself() {
    let client = Client::new();
    let read_only = |value: &str| Some((value.to_owned(), "TRANSIENT, RDONLYGUEST".to_owned()));
    for (name, value) in [
        ("/VirtualBox/HostInfo/VBoxVer", "7.2.22"),
        ("/VirtualBox/HostInfo/VBoxVerExt", "7.2.22"),
        ("/VirtualBox/HostInfo/VBoxRev", "170000"),
        ("/VirtualBox/VMInfo/ResetCounter", "0"),
        ("/VirtualBox/VMInfo/ResumeCounter", "0"),
        ("/VirtualBox/HostGuest/SysprepExec", ""),
        ("/VirtualBox/HostGuest/SysprepArgs", ""),
    ] {
        assert_eq!(client.value(name), read_only(value), "{name}");
        assert_eq!(client.set(name, "x", None), Status::PERMISSION_DENIED);
        assert_eq!(client.delete(name), Status::PERMISSION_DENIED);
    }

    client.guest.host.configure(|settings| settings.version = (7, 1, 6));
    let saved = client.guest.host.save();
    client.guest.host.restore(&saved);
    assert_eq!(client.value("/VirtualBox/HostInfo/VBoxVer"), read_only("7.1.6"));
    assert_eq!(client.value("/VirtualBox/VMInfo/ResumeCounter"), read_only("1"));
    client.guest.host.reset();
    let counter = client.guest.host.property("/VirtualBox/VMInfo/ResetCounter").expect("maintained");
    assert_eq!(counter.value, "1");
}

#[test]
fn a_guest_may_not_write_what_is_the_host_s() {
    let client = Client::new();
    for prefix in wire::RESERVED {
        let name = format!("{prefix}x");
        assert_eq!(client.set(&name, "1", None), Status::PERMISSION_DENIED, "{name}");
        client.guest.host.set_property(&name, "1", "TRANSIENT").expect("the host may");
        assert_eq!(client.value(&name), Some(("1".into(), "TRANSIENT, RDONLYGUEST".into())));
        assert_eq!(client.delete(&name), Status::PERMISSION_DENIED);
    }
    client.guest.host.set_property("/a", "1", "RDONLYGUEST").expect("the host may");
    assert_eq!(client.set("/a", "2", None), Status::PERMISSION_DENIED);
    assert_eq!(client.set("/VirtualBox/HostInfo", "2", None), Status::SUCCESS, "no such prefix");
}

#[test]
fn a_host_s_user_may_not_write_what_is_the_guest_s() {
    let client = Client::new();
    client.set("/a", "1", Some("RDONLYHOST"));
    let host = &client.guest.host;

    let refused = host.set_property("/a", "2", "").expect_err("read only");
    assert_eq!(refused.status, Status::PERMISSION_DENIED);
    assert!(host.delete_property("/a").is_err());

    client.set("/a", "1", Some("READONLY"));
    assert_eq!(client.set("/a", "2", None), Status::PERMISSION_DENIED, "nobody may");
    assert!(host.delete_property("/a").is_err());
    for (name, value, flags, status) in [
        ("", "", "", Status::INVALID_PARAMETER),
        ("/a|b", "", "", Status::INVALID_PARAMETER),
        ("/b\0", "", "", Status::INVALID_PARAMETER),
        ("/b", &"x".repeat(1024), "", Status::TOO_MUCH_DATA),
        ("/b", "", "sticky", Status::PARSE_ERROR),
    ] {
        assert_eq!(host.set_property(name, value, flags).expect_err(name).status, status);
    }
    assert_eq!(
        host.set_property("/b", "", "sticky").expect_err("flags").to_string(),
        "Cannot change property \"/b\": flags are words of TRANSIENT, RDONLYGUEST, RDONLYHOST, READONLY and \
         TRANSRESET, with commas"
    );
}

#[test]
fn a_store_that_the_guest_only_reads_says_so_by_a_remark() {
    let client = Client::new();
    client.set("/a", "1", None);
    client.guest.host.protect_properties(true);

    assert_eq!(client.set("/a", "2", None), Status::INFO_PERMISSION_DENIED);
    assert_eq!(client.delete("/a"), Status::INFO_PERMISSION_DENIED);

    assert_eq!(client.value("/a").expect("kept").0, "1");
    client.guest.host.protect_properties(false);
    assert_eq!(client.set("/a", "2", None), Status::SUCCESS);
}

#[test]
fn there_are_256_properties_and_no_more() {
    let client = Client::new();
    let maintained = client.names(b"\0").len();
    for number in maintained..256 {
        assert_eq!(client.set(&format!("/{number}"), "", None), Status::SUCCESS);
    }

    assert_eq!(client.set("/more", "", None), Status::TOO_MUCH_DATA);
    assert_eq!(client.set("/255", "changed", None), Status::SUCCESS);
    client.delete("/255");
    assert_eq!(client.set("/more", "", None), Status::SUCCESS);
}

#[test]
fn flags_say_what_goes_with_a_reset_and_what_with_a_saved_state() {
    let client = Client::new();
    let host = &client.guest.host;
    for (name, flags) in [("/stays", ""), ("/machine", "TRANSIENT"), ("/reset", "TRANSRESET")] {
        assert_eq!(client.set(name, "1", Some(flags)), Status::SUCCESS);
    }
    let saved = host.save();
    let names = || -> Vec<String> {
        host.properties("/stays|/machine|/reset").into_iter().map(|property| property.name).collect()
    };

    host.reset();
    assert_eq!(names(), ["/machine", "/stays"]);
    host.restore(&saved);
    assert_eq!(names(), ["/stays"]);
}

#[test]
fn waiting_hears_of_the_next_change_that_matches() {
    let client = Client::new();
    let waits = ["/a*", "/b|/a", "\0", "/c"];
    let [star, either, all, other] = [2, 3, 4, 5].map(|slot| client.wait(slot, waits[slot as usize - 2]));
    client.set("/d", "", None);
    assert!(client.status(&star).is_none() && client.status(&either).is_none());
    assert_eq!(client.status(&all), Some(Status::SUCCESS));

    client.set("/a", "1", Some("TRANSIENT"));

    let (status, change, time) = change(&client.guest.answer(&star).expect("answered"));
    assert_eq!(status, Status::SUCCESS);
    let expected = Change { name: "/a".into(), value: Some("1".into()), flags: "TRANSIENT".into() };
    assert_eq!(change, expected);
    assert_eq!(time, client.list(b"/a\0")[0].timestamp);
    assert_eq!(client.status(&either), Some(Status::SUCCESS));
    assert_eq!(client.status(&other), None);
}

#[test]
fn a_deletion_is_a_change_without_a_value() {
    let client = Client::new();
    client.set("/a", "1", None);
    let made = client.wait(2, "/a");

    client.guest.host.delete_property("/a").expect("the host may");

    let (_, change, _) = change(&client.guest.answer(&made).expect("answered"));
    assert_eq!(change, Change { name: "/a".into(), value: None, flags: "".into() });
}

#[test]
fn what_happened_after_a_time_is_told_at_once() {
    let client = Client::new();
    client.set("/a", "1", None);
    let time = client.list(b"/a\0")[0].timestamp;
    client.set("/b", "1", None);
    client.set("/a", "2", None);
    client.delete("/b");

    let (status, first, time) = client.after(time, "/b|/a");
    assert_eq!((status, first.name.as_str()), (Status::SUCCESS, "/b"));
    let (_, second, time) = client.after(time, "/b|/a");
    assert_eq!((second.name.as_str(), second.value.as_deref()), ("/a", Some("2")));
    let (_, third, time) = client.after(time, "/b|/a");
    assert_eq!(third, Change { name: "/b".into(), value: None, flags: "".into() });

    let function = Function::GET_NOTIFICATION.0;
    let made = client.guest.wait(2, client.number, function, &Client::waiting(b"*\0", time, 2147));
    client.set("/c", "", None);
    assert_eq!(client.status(&made), Some(Status::SUCCESS));
}

#[test]
fn a_time_that_is_not_remembered_gets_a_warning() {
    let client = Client::new();
    client.set("/a", "1", None);
    let (status, change, _) = client.after(1, "/a");
    assert_eq!((status, change.name.as_str()), (Status::WARN_NOT_FOUND, "/a"));

    // When nothing matches, it comes with the change that is waited for.
    let function = Function::GET_NOTIFICATION.0;
    let made = client.guest.wait(2, client.number, function, &Client::waiting(b"/b\0", 1, 2147));
    client.set("/b", "1", None);
    assert_eq!(client.status(&made), Some(Status::WARN_NOT_FOUND));
}

#[test]
fn the_latest_256_changes_are_remembered() {
    let client = Client::new();
    client.set("/first", "", None);
    let first = client.list(b"/first\0")[0].timestamp;
    for round in 0..255 {
        client.set("/a", &round.to_string(), None);
    }
    assert_eq!(client.after(first, "*").0, Status::SUCCESS, "it is the oldest of 256");

    client.set("/a", "255", None);

    let (status, change, _) = client.after(first, "*");
    assert_eq!((status, change.value.as_deref()), (Status::WARN_NOT_FOUND, Some("0")));
}

#[test]
fn the_same_wait_again_ends_the_earlier_one() {
    let client = Client::new();
    let other = client.guest.client(wire::SERVICE);
    let earlier = client.wait(2, "/a");
    let elsewhere =
        client.guest.wait(3, other, Function::GET_NOTIFICATION.0, &Client::waiting(b"/a\0", 0, 2147));

    let later = client.wait(4, "/a");

    assert_eq!(client.status(&earlier), Some(Status::INTERRUPTED));
    assert!(client.status(&later).is_none() && client.status(&elsewhere).is_none());
}

#[test]
fn sixteen_waits_of_a_client_are_the_most() {
    let client = Client::new();
    client.guest.host.configure(|settings| settings.lowered_limits = false);
    let number = client.guest.client(wire::SERVICE);
    let function = Function::GET_NOTIFICATION.0;
    let wait = |slot: u32| {
        let patterns = zero(&format!("/{slot}"));
        client.guest.make(slot, number, function, &Client::waiting(&patterns, 0, 100))
    };
    let made: Vec<Made> = (1..=16).map(wait).collect();
    assert!(made.iter().all(|made| made.rc == Status::HGCM_ASYNC_EXECUTE));

    let more = wait(17);
    assert_eq!(client.status(&more), Some(Status::OUT_OF_RESOURCES));

    client.guest.cancel(&made[3]);
    assert_eq!(wait(17).rc, Status::HGCM_ASYNC_EXECUTE);
}

#[test]
fn a_host_waits_for_a_change_by_either_side() {
    let client = Client::new();
    let host = &client.guest.host;
    std::thread::scope(|threads| {
        let waiter = threads.spawn(|| host.wait_property("/a|/b", None, SOON));
        std::thread::sleep(TO_FALL_ASLEEP);
        host.set_property("/c", "", "").expect("set");
        client.set("/a", "1", None);
        let change = waiter.join().expect("no panic").expect("in time");
        assert_eq!((change.name.as_str(), change.value.as_deref()), ("/a", Some("1")));

        client.delete("/a");
        let deleted = host.wait_property("/a", Some(change.timestamp), SOON).expect("it was");
        assert_eq!(deleted.value, None);
    });
    let short = Duration::from_millis(5);
    assert!(host.wait_property("*", None, short).is_err());
}

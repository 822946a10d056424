//! Those who ask for what is offered: by the book, by an older book, and by none.

use bellhop_desktop::{Content, Selection};
use libtest_mimic::Failed;
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, PropMode};
use x11rb::wrapper::ConnectionExt as _;

use crate::desk::{Desk, noise, strings};
use crate::peer::Peer;
use crate::programs::Paster;
use crate::{Test, same, same_bytes};

pub const TESTS: &[(&str, Test)] = &[
    ("an_owner_tells_of_itself", an_owner_tells_of_itself),
    ("who_asks_at_once_shares_one_answer", who_asks_at_once),
    ("multiple_gets_what_there_is_and_none_for_the_rest", multiple_gets),
    ("multiple_with_a_bad_list_is_refused", multiple_with_a_bad_list),
    ("who_names_no_property_gets_it_by_the_targets_name", who_names_no_property),
    ("who_asks_for_an_earlier_time_is_refused", who_asks_for_an_earlier_time),
    ("who_never_deletes_a_part_is_given_up", who_never_deletes),
    ("who_dies_between_parts_is_forgotten", who_dies_between_parts),
    ("who_is_not_answered_in_time_is_refused", who_is_not_answered),
    ("more_askers_than_agreed_are_refused", more_askers),
    ("more_bytes_than_agreed_are_refused", more_bytes),
    ("what_was_asked_before_a_loss_is_still_answered", what_was_asked_before),
    ("an_asker_with_our_own_window_is_refused", an_asker_with_our_window),
    ("wrong_formats_are_not_offered", wrong_formats),
];

const MIB: usize = 1024 * 1024;

fn start(formats: &[&str]) -> Result<(Desk, Peer), Failed> {
    let desk = Desk::start()?;
    desk.offer(formats)?;
    let peer = Peer::connect(desk.display())?;
    Ok((desk, peer))
}

/// The numbers in a property.
fn numbers(peer: &Peer, property: &str) -> Result<Vec<u32>, Failed> {
    Ok(peer.take(property)?.value32().ok_or("not in units of 32 bits")?.collect())
}

fn an_owner_tells_of_itself() -> Result<(), Failed> {
    let (_desk, peer) = start(&["image/png"])?;

    peer.ask("TIMESTAMP", "A")?;
    let (_, property) = peer.answered()?;
    same(property, Some(peer.atom("A")?))?;
    let since = numbers(&peer, "A")?;
    // The time is the server's, and not the 0 that stands for any.
    let now = peer.time()?;
    same(since.len() == 1 && since[0] > 0 && since[0] <= now, true)?;

    peer.ask("TARGETS", "A")?;
    peer.answered()?;
    let expected = peer.atoms(&["TARGETS", "TIMESTAMP", "MULTIPLE", "image/png"])?;
    same(numbers(&peer, "A")?, expected)?;

    peer.ask("SAVE_TARGETS", "A")?;
    peer.answered()?;
    let saved = peer.take("A")?;
    same((saved.type_, saved.value.len()), (peer.atom("NULL")?, 0))?;

    for target in ["DELETE", "UTF8_STRING", "COMPOUND_TEXT", "image/jpeg"] {
        peer.ask(target, "A")?;
        same(peer.answered()?.1, None)?;
    }
    Ok(())
}

fn who_asks_at_once() -> Result<(), Failed> {
    let (desk, peer) = start(&["text/plain"])?;

    for (target, property) in [("UTF8_STRING", "A"), ("STRING", "B"), ("TEXT", "C"), ("UTF8_STRING", "D")] {
        peer.ask(target, property)?;
    }
    let (wanted, _, _) = desk.wanted()?;
    // The last was taken in before this is answered.
    peer.ask("image/png", "E")?;
    same(peer.answered()?, (peer.atom("image/png")?, None))?;
    desk.clipboard.answer(wanted, Some("gr\u{fc}n".into()));

    let utf8 = peer.atom("UTF8_STRING")?;
    let cases: [(&str, Atom, &[u8]); 4] = [
        ("A", utf8, "gr\u{fc}n".as_bytes()),
        ("B", AtomEnum::STRING.into(), b"gr\xfcn"),
        ("C", AtomEnum::STRING.into(), b"gr\xfcn"),
        ("D", utf8, "gr\u{fc}n".as_bytes()),
    ];
    for (property, kind, text) in cases {
        same(peer.answered()?.1, Some(peer.atom(property)?))?;
        let found = peer.take(property)?;
        same((found.type_, found.format, found.value.as_slice()), (kind, 8, text))?;
    }
    same(desk.ear.rest(), Vec::new())
}

/// Writes the list that MULTIPLE means.
fn list(peer: &Peer, kind: &str, atoms: &[Atom]) -> Result<(), Failed> {
    let (property, kind) = (peer.atom("LIST")?, peer.atom(kind)?);
    peer.x.change_property32(PropMode::REPLACE, peer.window, property, kind, atoms)?;
    Ok(())
}

fn multiple_gets() -> Result<(), Failed> {
    let (desk, peer) = start(&["text/plain", "image/png"])?;
    let names = ["UTF8_STRING", "A", "DELETE", "B", "TIMESTAMP", "C", "image/png", "D", "MULTIPLE", "E"];
    let mut atoms = peer.atoms(&names)?;
    atoms.extend([peer.atom("STRING")?, 0]);
    list(&peer, "ATOM_PAIR", &atoms)?;
    let content = noise(2 * MIB);

    peer.ask("MULTIPLE", "LIST")?;
    for _ in 0..2 {
        let (wanted, _, format) = desk.wanted()?;
        let content = if format == "image/png" { content.clone() } else { b"text".to_vec() };
        desk.clipboard.answer(wanted, Some(content));
    }

    same(peer.answered()?.1, Some(peer.atom("LIST")?))?;
    let mut expected = atoms;
    for refused in [2, 8, 10] {
        expected[refused] = 0;
    }
    same(numbers(&peer, "LIST")?, expected)?;
    same(peer.take("A")?.value, b"text".to_vec())?;
    same(numbers(&peer, "C")?.len(), 1)?;
    same_bytes(&peer.receive("D")?, &content)
}

fn multiple_with_a_bad_list() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let refused = |peer: &Peer| -> Result<(), Failed> {
        peer.ask("MULTIPLE", "LIST")?;
        same(peer.answered()?.1, None)
    };

    // None at all, an odd number, too many, and no atoms.
    refused(&peer)?;
    list(&peer, "ATOM_PAIR", &peer.atoms(&["image/png", "A", "image/png"])?)?;
    refused(&peer)?;
    list(&peer, "ATOM_PAIR", &[1; 1000])?;
    refused(&peer)?;
    let property = peer.atom("LIST")?;
    peer.x.change_property8(PropMode::REPLACE, peer.window, property, AtomEnum::STRING, &[1; 16])?;
    refused(&peer)?;

    // An empty list is all there.
    list(&peer, "ATOM_PAIR", &[])?;
    peer.ask("MULTIPLE", "LIST")?;
    same(peer.answered()?.1, Some(property))?;
    same(desk.ear.rest(), Vec::new())
}

fn who_names_no_property() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let [clipboard, png] = [peer.atom("CLIPBOARD")?, peer.atom("image/png")?];

    peer.x.convert_selection(peer.window, clipboard, png, x11rb::NONE, x11rb::CURRENT_TIME)?.check()?;
    desk.serve(b"old")?;

    same(peer.answered()?.1, Some(png))?;
    same(peer.take("image/png")?.value, b"old".to_vec())
}

fn who_asks_for_an_earlier_time() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    let before = peer.time()?;
    // The server's clock counts milliseconds.
    while peer.time()? == before {}
    desk.offer(&["image/png"])?;
    let after = peer.time()?;

    peer.ask_at("TARGETS", "A", before)?;
    same(peer.answered()?.1, None)?;
    peer.ask_at("TARGETS", "A", after)?;
    same(peer.answered()?.1, Some(peer.atom("A")?))
}

fn who_never_deletes() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let content = noise(3 * MIB);

    peer.ask("image/png", "A")?;
    desk.serve(&content)?;
    same(peer.answered()?.1, Some(peer.atom("A")?))?;

    // Others are served meanwhile.
    let xclip = Paster::xclip(desk.display(), &["-t", "image/png"])?;
    desk.serve(&content)?;
    same_bytes(&xclip.pasted()?.unwrap_or_default(), &content)?;

    // A part that is taken too late is the last.
    peer.given_up()?;
    peer.take("A")?;
    peer.ask("TIMESTAMP", "B")?;
    peer.answered()?;
    same(peer.take("A")?.type_, x11rb::NONE)
}

fn who_dies_between_parts() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let content = noise(3 * MIB);
    for _ in 0..100 {
        let other = Peer::connect(desk.display())?;
        other.ask("image/png", "A")?;
        desk.serve(&content)?;
        other.answered()?;
        other.take("A")?;
    }

    peer.ask("image/png", "A")?;
    desk.serve(&content)?;
    peer.answered()?;
    same_bytes(&peer.receive("A")?, &content)
}

fn who_is_not_answered() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;

    peer.ask("image/png", "A")?;
    let (wanted, _, _) = desk.wanted()?;
    same(peer.answered()?.1, None)?;

    // The answer comes too late, and does no harm.
    desk.clipboard.answer(wanted, Some(b"late".to_vec()));
    peer.ask("image/png", "A")?;
    desk.serve(b"in time")?;
    same(peer.answered()?.1, Some(peer.atom("A")?))?;
    same(peer.take("A")?.value, b"in time".to_vec())
}

fn more_askers() -> Result<(), Failed> {
    const MOST: usize = 64;
    let (desk, peer) = start(&["image/png"])?;

    for _ in 0..MOST + 3 {
        peer.ask("image/png", "A")?;
    }
    for _ in 0..3 {
        same(peer.answered()?.1, None)?;
    }
    desk.serve(b"at last")?;
    for _ in 0..MOST {
        same(peer.answered()?.1, Some(peer.atom("A")?))?;
    }
    Ok(())
}

fn more_bytes() -> Result<(), Failed> {
    const HELD: usize = 100 * MIB;
    let (desk, peer) = start(&["image/png"])?;
    let another = |property: &str| -> Result<Option<Atom>, Failed> {
        peer.ask("image/png", property)?;
        desk.serve(&vec![0; HELD])?;
        Ok(peer.answered()?.1)
    };

    same(another("A")?, Some(peer.atom("A")?))?;
    same(another("B")?, Some(peer.atom("B")?))?;
    same(another("C")?, None)?;

    // With one of them gone there is room.
    same(peer.receive("A")?.len(), HELD)?;
    same(another("C")?, Some(peer.atom("C")?))
}

fn what_was_asked_before() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let content = noise(3 * MIB);
    peer.ask("image/png", "A")?;
    let (wanted, _, _) = desk.wanted()?;

    let other = Peer::connect(desk.display())?;
    other.own_and_tell(&["UTF8_STRING"])?;
    desk.becomes(Selection::Clipboard, &crate::desk::theirs(&["text/plain"]))?;
    desk.clipboard.answer(wanted, Some(content.clone()));

    same(peer.answered()?.1, Some(peer.atom("A")?))?;
    same_bytes(&peer.receive("A")?, &content)
}

fn an_asker_with_our_window() -> Result<(), Failed> {
    let (desk, peer) = start(&["image/png"])?;
    let [clipboard, target, property] = [peer.atom("CLIPBOARD")?, peer.atom("image/png")?, peer.atom("A")?];
    let ours = peer.x.get_selection_owner(clipboard)?.reply()?.owner;

    peer.x.convert_selection(ours, clipboard, target, property, x11rb::CURRENT_TIME)?.check()?;
    peer.ask("TIMESTAMP", "B")?;
    peer.answered()?;

    same(desk.ear.rest(), Vec::new())
}

fn wrong_formats() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    let formats = strings(&["TARGETS", "", "image/png", "a/\n", "image/png"]);
    desk.clipboard.offer(Selection::Clipboard, &formats);
    desk.becomes(Selection::Clipboard, &Content::Ours)?;
    let peer = Peer::connect(desk.display())?;

    peer.ask("TARGETS", "A")?;
    peer.answered()?;

    let expected = peer.atoms(&["TARGETS", "TIMESTAMP", "MULTIPLE", "image/png"])?;
    same(numbers(&peer, "A")?, expected)
}

//! Owners that are slow, wrong, dying or malicious: none of them keeps a later read from its content.

use bellhop_desktop::{Content, Error, Selection};
use libtest_mimic::Failed;
use x11rb::protocol::xproto::{AtomEnum, ConnectionExt as _, PropMode};
use x11rb::wrapper::ConnectionExt as _;

use crate::desk::{Desk, LIMIT, noise, theirs};
use crate::peer::Peer;
use crate::programs::Copier;
use crate::{Test, busy, failed, invalid, same, same_bytes};

pub const TESTS: &[(&str, Test)] = &[
    ("an_owner_that_never_answers_counts_as_nothing", an_owner_that_never_answers),
    ("targets_that_come_late_are_asked_for_again", targets_that_come_late),
    ("an_owner_that_refuses_everything_counts_as_nothing", an_owner_that_refuses),
    ("targets_of_a_wrong_type_will_do_but_not_of_a_wrong_unit", targets_of_a_wrong_type),
    ("targets_may_come_in_parts", targets_may_come_in_parts),
    ("a_read_that_fails_does_not_block_the_next", a_read_that_fails),
    ("the_next_best_target_is_asked_for_after_a_refusal", the_next_best_target),
    ("text_in_units_of_32_bits_is_no_text", text_in_units),
    ("an_answer_without_a_property_is_a_failure", an_answer_without_a_property),
    ("compound_text_is_read_while_it_is_latin_1", compound_text),
    ("an_owner_that_dies_between_parts_ends_the_read", an_owner_that_dies),
    ("an_owner_that_hangs_between_parts_ends_the_read", an_owner_that_hangs),
    ("parts_without_end_are_cut_off_at_the_limit", parts_without_end),
    ("more_than_the_limit_is_refused", more_than_the_limit),
    ("a_tiny_limit_is_kept_in_parts", a_tiny_limit),
    ("a_wrong_size_is_no_harm", a_wrong_size),
    ("a_change_in_the_middle_of_a_read_is_told", a_change_in_the_middle),
    ("an_owner_that_offers_anew_is_told_anew", an_owner_that_offers_anew),
    ("reads_go_on_side_by_side_up_to_the_agreed_number", reads_side_by_side),
    ("ten_thousand_changes_end_in_the_last_state", ten_thousand_changes),
    ("forged_events_change_nothing", forged_events),
];

/// A desk that watches the clipboard, and another client.
fn start() -> Result<(Desk, Peer), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    let peer = Peer::connect(desk.display())?;
    Ok((desk, peer))
}

/// The same, where the other client owns the clipboard, with text.
fn start_with_text() -> Result<(Desk, Peer), Failed> {
    let (desk, peer) = start()?;
    peer.own_and_tell(&["UTF8_STRING"])?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain"]))?;
    Ok((desk, peer))
}

/// Reads the text of an owner that now behaves.
fn reads_well(desk: &Desk, peer: &Peer) -> Result<(), Failed> {
    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request_for("UTF8_STRING")?;
    peer.answer(&request, request.target, b"well")?;
    same(desk.ended(read)?, Ok(b"well".to_vec()))
}

fn an_owner_that_never_answers() -> Result<(), Failed> {
    let (desk, peer) = start()?;

    peer.own()?;
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;

    // It wakes up, and is asked anew because it owns anew.
    peer.own_and_tell(&["UTF8_STRING"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["text/plain"]))?;
    reads_well(&desk, &peer)
}

fn targets_that_come_late() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own()?;

    let first = peer.request_for("TARGETS")?;
    peer.answer_atoms(&first, AtomEnum::ATOM, &[])?;
    let second = peer.request_for("TARGETS")?;
    peer.refuse(&second)?;
    let third = peer.request_for("TARGETS")?;
    peer.answer_atoms(&third, AtomEnum::ATOM, &peer.atoms(&["TARGETS", "TIMESTAMP"])?)?;
    peer.tell(&["TARGETS", "text/html"])?;

    same(desk.changed(Selection::Clipboard)?, theirs(&["text/html"]))
}

fn an_owner_that_refuses() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own()?;

    for _ in 0..4 {
        let request = peer.request_for("TARGETS")?;
        peer.refuse(&request)?;
    }

    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    for _ in 0..6 {
        let request = peer.request()?;
        peer.refuse(&request)?;
    }
    failed(desk.ended(read)?, "it refused")?;
    reads_well(&desk, &peer)
}

fn targets_of_a_wrong_type() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own()?;

    let first = peer.request_for("TARGETS")?;
    peer.answer(&first, AtomEnum::ATOM.into(), b"UTF8_STRING")?;
    let second = peer.request_for("TARGETS")?;
    // 0 and the last number of all are no atoms.
    let mut atoms = peer.atoms(&["image/png", "UTF8_STRING"])?;
    atoms.extend([0, u32::MAX]);
    peer.answer_atoms(&second, second.target, &atoms)?;

    same(desk.changed(Selection::Clipboard)?, theirs(&["image/png", "text/plain"]))
}

fn targets_may_come_in_parts() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own()?;

    let request = peer.request_for("TARGETS")?;
    peer.announce(&request, 8)?;
    for name in ["UTF8_STRING", "image/png"] {
        // Each part is one atom.
        wait_for_deletion(&peer, &request)?;
        let (window, property) = (request.requestor, request.property);
        let atom = peer.atom(name)?;
        peer.x.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &[atom])?;
    }
    wait_for_deletion(&peer, &request)?;
    let (window, property) = (request.requestor, request.property);
    peer.x.change_property32(PropMode::REPLACE, window, property, AtomEnum::ATOM, &[])?;
    peer.sync()?;

    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain", "image/png"]))
}

fn wait_for_deletion(
    peer: &Peer,
    request: &x11rb::protocol::xproto::SelectionRequestEvent,
) -> Result<(), Failed> {
    use x11rb::protocol::Event;
    use x11rb::protocol::xproto::Property;
    loop {
        if let Event::PropertyNotify(event) = peer.event()?
            && event.window == request.requestor
            && event.state == Property::DELETE
        {
            return Ok(());
        }
    }
}

fn a_read_that_fails() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    failed(desk.read("image/png")?, "has no image/png")?;
    invalid(desk.read("UTF8_STRING")?, "no format")?;
    invalid(desk.read(&"a/".repeat(200))?, "no format")?;
    let hung = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    reads_well_beside(&desk, &peer)?;

    failed(desk.ended(hung)?, "silent")?;
    reads_well(&desk, &peer)
}

/// Leaves the first request alone, and answers the second.
fn reads_well_beside(desk: &Desk, peer: &Peer) -> Result<(), Failed> {
    peer.request_for("UTF8_STRING")?;
    reads_well(desk, peer)
}

fn the_next_best_target() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own_and_tell(&["STRING", "text/plain;charset=UTF-8", "TEXT"])?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain"]))?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let first = peer.request()?;
    same(first.target, peer.atom("text/plain;charset=UTF-8")?)?;
    peer.refuse(&first)?;
    let second = peer.request()?;
    same(second.target, AtomEnum::STRING.into())?;
    peer.answer(&second, second.target, b"gr\xfcn")?;

    same(desk.ended(read)?, Ok("gr\u{fc}n".into()))
}

fn text_in_units() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.answer_atoms(&request, request.target, &[1, 2, 3])?;

    failed(desk.ended(read)?, "units of 32 bits")?;
    reads_well(&desk, &peer)
}

fn an_answer_without_a_property() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.notify(&request, request.property)?;

    failed(desk.ended(read)?, "had not")?;
    reads_well(&desk, &peer)
}

fn compound_text() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    peer.own_and_tell(&["TEXT"])?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain"]))?;
    let compound = peer.atom("COMPOUND_TEXT")?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    peer.answer(&peer.request()?, compound, b"gr\xfcn")?;
    same(desk.ended(read)?, Ok("gr\u{fc}n".into()))?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    peer.answer(&peer.request()?, compound, b"\x1b$(B\x30\x21")?;
    failed(desk.ended(read)?, "not known here")
}

fn an_owner_that_dies() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.announce(&request, 8)?;
    peer.part(&request, request.target, b"part")?;
    drop(peer);

    busy(desk.ended(read)?, "changed while its text/plain was read")?;
    desk.becomes(Selection::Clipboard, &Content::Nothing)?;
    let other = Peer::connect(desk.display())?;
    other.own_and_tell(&["UTF8_STRING"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["text/plain"]))?;
    reads_well(&desk, &other)
}

fn an_owner_that_hangs() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.announce(&request, 8)?;
    peer.part(&request, request.target, b"part")?;

    failed(desk.ended(read)?, "silent")?;
    // What it still sends goes nowhere.
    peer.put(&request, request.target, b"late")?;
    reads_well(&desk, &peer)
}

fn parts_without_end() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;
    let part = noise(1000);

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 10 * part.len() + 1);
    let request = peer.request()?;
    peer.announce(&request, 0)?;
    for _ in 0..11 {
        peer.part(&request, request.target, &part)?;
    }

    invalid(desk.ended(read)?, "more than 10001 bytes")?;
    reads_well(&desk, &peer)
}

fn more_than_the_limit() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let announced = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    peer.announce(&peer.request()?, 101)?;
    invalid(desk.ended(announced)?, "more than 100 bytes")?;

    let at_once = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.answer(&request, request.target, &noise(101))?;
    invalid(desk.ended(at_once)?, "more than 100 bytes")?;

    // 60 bytes of Latin-1 are 120 of UTF-8.
    let grown = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.answer(&request, request.target, &[0xfc; 60])?;
    invalid(desk.ended(grown)?, "more than 100 bytes")?;

    let just_enough = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.answer(&request, request.target, &[b'x'; 100])?;
    same(desk.ended(just_enough)?, Ok(vec![b'x'; 100]))
}

/// The announcement of parts is no content, however small the limit.
fn a_tiny_limit() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 2);
    let request = peer.request()?;
    peer.announce(&request, 2)?;
    peer.part(&request, request.target, b"ok")?;
    peer.part(&request, request.target, b"")?;

    same(desk.ended(read)?, Ok(b"ok".to_vec()))
}

fn a_wrong_size() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;
    for announced in [0, 1, 100_000_000] {
        let read = desk.clipboard.read(Selection::Clipboard, "text/plain", LIMIT);
        let request = peer.request()?;
        peer.announce(&request, announced)?;
        for part in [&b"in "[..], b"parts", b""] {
            peer.part(&request, request.target, part)?;
        }
        same(desk.ended(read)?, Ok(b"in parts".to_vec()))?;
    }
    Ok(())
}

fn a_change_in_the_middle() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;
    let other = Peer::connect(desk.display())?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    peer.announce(&request, 8)?;
    peer.part(&request, request.target, b"old")?;
    other.own_and_tell(&["UTF8_STRING"])?;

    busy(desk.ended(read)?, "changed")?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain"]))?;
    reads_well(&desk, &other)
}

fn an_owner_that_offers_anew() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;

    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    peer.request()?;
    peer.own_and_tell(&["UTF8_STRING"])?;

    busy(desk.ended(read)?, "changed")?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["text/plain"]))
}

fn reads_side_by_side() -> Result<(), Failed> {
    const MOST: usize = bellhop_desktop::clipboard::MOST_READS;
    let (desk, peer) = start_with_text()?;

    let reads: Vec<_> =
        (0..MOST).map(|_| desk.clipboard.read(Selection::Clipboard, "text/plain", 1 << 20)).collect();
    busy(desk.read("text/plain")?, "under way already")?;
    let requests = reads.iter().map(|_| peer.request()).collect::<Result<Vec<_>, _>>()?;
    // The last first, each with content of its own, every other in parts.
    for (number, request) in requests.iter().enumerate().rev() {
        let content = noise(1000 * number).iter().map(|byte| byte & 0x7f | 1).collect::<Vec<_>>();
        if number % 2 == 0 {
            peer.answer(request, request.target, &content)?;
        } else {
            peer.announce(request, 1)?;
            peer.part(request, request.target, &content)?;
            peer.part(request, request.target, b"")?;
        }
    }

    for (number, read) in reads.into_iter().enumerate() {
        let content = noise(1000 * number).iter().map(|byte| byte & 0x7f | 1).collect::<Vec<_>>();
        same_bytes(&desk.ended(read)??, &content)?;
    }
    reads_well(&desk, &peer)
}

fn ten_thousand_changes() -> Result<(), Failed> {
    let (desk, peer) = start()?;
    let clipboard = peer.atom("CLIPBOARD")?;
    let before = peer.windows()?.len();

    for _ in 0..10_000 {
        peer.x.set_selection_owner(peer.window, clipboard, x11rb::CURRENT_TIME)?;
    }
    peer.sync()?;
    let arguments = ["-selection", "clipboard", "-t", "text/html"];
    let _xclip = Copier::xclip(desk.display(), &arguments, b"last")?;

    desk.becomes(Selection::Clipboard, &theirs(&["text/html"]))?;
    // The last owner can be told before all changes are through, and a read then comes in between.
    let mut read = desk.read("text/html")?;
    while matches!(read, Err(Error::Busy(_))) {
        read = desk.read("text/html")?;
    }
    same(read, Ok(b"last".to_vec()))?;
    // Nothing is left of what was asked meanwhile: there is one window more, which is xclip's.
    peer.windows_become(before + 1)
}

fn forged_events() -> Result<(), Failed> {
    let (desk, peer) = start_with_text()?;
    let read = desk.clipboard.read(Selection::Clipboard, "text/plain", 100);
    let request = peer.request()?;
    use x11rb::protocol::xproto::{
        DESTROY_NOTIFY_EVENT, DestroyNotifyEvent, EventMask, PROPERTY_NOTIFY_EVENT, Property,
        PropertyNotifyEvent, SELECTION_CLEAR_EVENT, SelectionClearEvent,
    };
    let (window, atom) = (request.requestor, request.property);
    let written = PropertyNotifyEvent {
        response_type: PROPERTY_NOTIFY_EVENT,
        sequence: 0,
        window,
        atom,
        time: u32::MAX,
        state: Property::NEW_VALUE,
    };
    let cleared = SelectionClearEvent {
        response_type: SELECTION_CLEAR_EVENT,
        sequence: 0,
        time: 0,
        owner: window,
        selection: request.selection,
    };
    let destroyed =
        DestroyNotifyEvent { response_type: DESTROY_NOTIFY_EVENT, sequence: 0, event: window, window };
    peer.x.send_event(false, window, EventMask::NO_EVENT, written)?;
    peer.x.send_event(false, window, EventMask::NO_EVENT, cleared)?;
    peer.x.send_event(false, window, EventMask::NO_EVENT, destroyed)?;
    peer.sync()?;

    peer.answer(&request, request.target, b"true")?;
    same(desk.ended(read)?, Ok(b"true".to_vec()))
}

//! From the beginning of a clipboard to its end, and through the end of its server.

use std::sync::Arc;

use bellhop_desktop::clipboard::{Listener, ReadId, WantedId};
use bellhop_desktop::headless::Headless;
use bellhop_desktop::x11::X11Clipboards;
use bellhop_desktop::{Clipboards as _, Content, Error, Selection};
use bellhop_xserver::XServer;
use libtest_mimic::Failed;
use x11rb::protocol::xproto::ConnectionExt as _;

use crate::desk::{Desk, News, open, strings, theirs};
use crate::peer::Peer;
use crate::programs::xset;
use crate::{Test, invalid, same};

pub const TESTS: &[(&str, Test)] = &[
    ("a_headless_desktop_has_no_clipboard", a_headless_desktop),
    ("no_server_is_unavailable", no_server),
    ("ours_is_told_and_not_read", ours_is_told),
    ("only_what_is_ours_is_withdrawn", only_what_is_ours),
    ("an_offer_replaces_an_offer", an_offer_replaces),
    ("a_watch_begins_and_ends", a_watch_begins),
    ("a_server_that_ends_ends_everything_until_it_is_back", a_server_that_ends),
    ("what_is_offered_while_there_is_no_server_is_offered_when_there_is", is_offered_meanwhile),
    ("a_clipboard_whose_windows_are_destroyed_begins_anew", windows_are_destroyed),
    ("a_clipboard_that_is_killed_begins_anew", is_killed),
    ("a_dropped_clipboard_is_given_up_and_silent", a_dropped_clipboard),
    ("a_dropped_clipboard_does_not_wait_for_a_hung_server", a_dropped_clipboard_does_not_wait),
    ("an_idle_clipboard_does_not_wake_up", an_idle_clipboard),
    ("the_screen_saver_is_told", the_screen_saver),
    ("nobody_to_read_from_is_a_failure", nobody_to_read_from),
    ("too_many_orders_lose_no_read", too_many_orders),
];

/// Listens to nothing.
struct Deaf;

impl Listener for Deaf {
    fn changed(&self, _: Selection, _: Content) {}
    fn read(&self, _: ReadId, _: Result<Vec<u8>, Error>) {}
    fn wanted(&self, _: WantedId, _: Selection, _: &str) {}
}

fn a_headless_desktop() -> Result<(), Failed> {
    let opened = Headless::new(1).open(Box::new(Deaf));

    same(matches!(opened, Err(Error::NotSupported(_))), true)
}

fn no_server() -> Result<(), Failed> {
    for display in [Some(":54321"), Some("seven"), None] {
        let opened = X11Clipboards::new(display).open(Box::new(Deaf));
        same(matches!(opened, Err(Error::Unavailable(_))), true)?;
    }
    Ok(())
}

fn ours_is_told() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/plain"])?;

    invalid(desk.read("text/plain")?, "offered here")?;

    // A watch that begins while it is ours tells so.
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Ours)?;
    same(desk.ear.rest(), Vec::new())
}

fn only_what_is_ours() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    let clipboard = peer.atom("CLIPBOARD")?;
    desk.offer(&["text/plain"])?;

    desk.clipboard.withdraw(Selection::Clipboard);
    desk.becomes(Selection::Clipboard, &Content::Nothing)?;
    same(peer.x.get_selection_owner(clipboard)?.reply()?.owner, x11rb::NONE)?;

    desk.offer(&["text/plain"])?;
    peer.own_and_tell(&["image/png"])?;
    desk.clipboard.withdraw(Selection::Clipboard);
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;
    desk.clipboard.withdraw(Selection::Clipboard);
    desk.offer_primary()?;
    same(peer.x.get_selection_owner(clipboard)?.reply()?.owner, peer.window)
}

impl Desk {
    /// Something that is done after all that was asked for before.
    fn offer_primary(&self) -> Result<(), Failed> {
        self.clipboard.watch(Selection::Primary, true);
        self.clipboard.offer(Selection::Primary, &strings(&["text/plain"]));
        self.becomes(Selection::Primary, &Content::Ours)
    }
}

fn an_offer_replaces() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.offer(&["text/plain"])?;
    peer.ask("UTF8_STRING", "A")?;
    let (first, _, _) = desk.wanted()?;

    for format in ["a/b", "c/d", "image/png"] {
        desk.clipboard.offer(Selection::Clipboard, &strings(&[format]));
    }
    desk.becomes(Selection::Clipboard, &Content::Ours)?;
    desk.offer_primary()?;

    peer.ask("a/b", "B")?;
    same(peer.answered()?, (peer.atom("a/b")?, None))?;
    peer.ask("image/png", "B")?;
    let (second, _, format) = desk.wanted()?;
    same(format.as_str(), "image/png")?;
    desk.clipboard.answer(second, Some(b"new".to_vec()));
    desk.clipboard.answer(first, Some(b"old".to_vec()));
    same(peer.answered()?.1, Some(peer.atom("B")?))?;
    same(peer.answered()?.1, Some(peer.atom("A")?))?;
    same((peer.take("A")?.value, peer.take("B")?.value), (b"old".to_vec(), b"new".to_vec()))
}

fn a_watch_begins() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    desk.clipboard.watch(Selection::Clipboard, false);
    desk.offer_primary()?;

    peer.own()?;
    desk.offer_primary()?;
    // Of what was offered meanwhile it may be told twice.
    let mut heard = desk.ear.rest();
    heard.retain(|news| !matches!(news, News::Changed(Selection::Primary, _)));
    same(heard, Vec::new())?;

    desk.clipboard.watch(Selection::Clipboard, true);
    peer.tell(&["image/png"])?;
    same(desk.changed(Selection::Clipboard)?, theirs(&["image/png"]))
}

fn a_server_that_ends() -> Result<(), Failed> {
    let mut desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    peer.own_and_tell(&["image/png"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;
    desk.offer_primary()?;
    let read = desk.clipboard.read(Selection::Clipboard, "image/png", 100);
    peer.request()?;

    desk.server.kill();

    same(matches!(desk.ended(read)?, Err(Error::Unavailable(_))), true)?;
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    same(desk.changed(Selection::Primary)?, Content::Nothing)?;
    same(matches!(desk.read("image/png")?, Err(Error::Unavailable(_))), true)?;

    desk.server.restart()?;
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    let peer = Peer::connect(desk.display())?;
    peer.own_and_tell(&["image/bmp"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/bmp"]))?;
    let read = desk.clipboard.read(Selection::Clipboard, "image/bmp", 100);
    let request = peer.request()?;
    peer.answer(&request, request.target, b"BM")?;
    same(desk.ended(read)?, Ok(b"BM".to_vec()))
}

fn is_offered_meanwhile() -> Result<(), Failed> {
    let mut desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;
    desk.server.kill();
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;

    desk.clipboard.offer(Selection::Clipboard, &["text/plain".to_owned()]);
    desk.server.restart()?;

    desk.becomes(Selection::Clipboard, &Content::Ours)
}

fn windows_are_destroyed() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.offer(&["text/plain"])?;

    for window in peer.windows()? {
        if window != peer.window {
            peer.x.destroy_window(window)?;
        }
    }
    peer.sync()?;

    desk.becomes(Selection::Clipboard, &Content::Nothing)?;
    peer.own_and_tell(&["image/png"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))
}

fn is_killed() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.offer(&["text/plain"])?;
    let owner = peer.x.get_selection_owner(peer.atom("CLIPBOARD")?)?.reply()?.owner;

    peer.x.kill_client(owner)?.check()?;

    desk.becomes(Selection::Clipboard, &Content::Nothing)?;
    peer.own_and_tell(&["image/png"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))
}

fn a_dropped_clipboard() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let peer = Peer::connect(desk.display())?;
    desk.offer(&["text/plain"])?;
    peer.ask("UTF8_STRING", "A")?;
    desk.wanted()?;
    let Desk { clipboard, ear, server: _server } = desk;

    drop(clipboard);

    // Nobody is left who could call it.
    same(Arc::strong_count(&ear), 1)?;
    let owned = peer.atom("CLIPBOARD")?;
    while peer.x.get_selection_owner(owned)?.reply()?.owner != x11rb::NONE {}
    Ok(())
}

fn a_dropped_clipboard_does_not_wait() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let Desk { clipboard, ear, server } = desk;
    server.suspend();
    clipboard.offer(Selection::Clipboard, &strings(&["text/plain"]));

    drop(clipboard);

    same(Arc::strong_count(&ear), 1)?;
    server.resume();
    Ok(())
}

fn an_idle_clipboard() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/plain"])?;
    let peer = Peer::connect(desk.display())?;
    peer.ask("UTF8_STRING", "A")?;
    desk.serve(b"text")?;
    peer.answered()?;
    desk.offer_primary()?;
    let thread = desk.ear.thread().ok_or("nothing was told")?;
    let switches = || -> Result<String, Failed> {
        let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status"))?;
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"));
        Ok(line.ok_or("no count of switches")?.to_owned())
    };
    // The last of what it did may still be on its way.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let before = switches()?;

    std::thread::sleep(std::time::Duration::from_secs(2));

    same(switches()?, before)
}

fn the_screen_saver() -> Result<(), Failed> {
    let desk = Desk::start()?;

    xset(desk.display(), &["s", "activate"])?;
    same(desk.locked()?, true)?;
    let (late, ear) = open(desk.display())?;
    xset(desk.display(), &["s", "reset"])?;
    same(desk.locked()?, false)?;

    // Who comes while it is on is told at once, and who does not hear of it comes when it is off.
    let late = Desk { clipboard: late, ear, server: desk.server };
    same((late.locked()?, late.locked()?), (true, false))
}

fn nobody_to_read_from() -> Result<(), Failed> {
    let desk = Desk::on(XServer::virtual_framebuffer(64, 64)?)?;

    crate::failed(desk.read("text/plain")?, "nobody owns")
}

fn too_many_orders() -> Result<(), Failed> {
    const ORDERS: usize = 3000;
    let desk = Desk::start()?;

    let reads: Vec<_> =
        (0..ORDERS).map(|_| desk.clipboard.read(Selection::Clipboard, "text/plain", 100)).collect();

    for read in reads {
        same(desk.ended(read)?.is_err(), true)?;
    }
    Ok(())
}

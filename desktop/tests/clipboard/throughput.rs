//! Long content, there and back: that it arrives, and for the curious how fast.

use std::time::{Duration, Instant};

use bellhop_desktop::Selection;
use libtest_mimic::Failed;

use crate::desk::{Desk, LIMIT, noise, theirs};
use crate::peer::Peer;
use crate::programs::{Copier, Paster};
use crate::{Test, same, same_bytes};

pub const TESTS: &[(&str, Test)] = &[
    ("long_content_of_xclip_is_read", long_content_of_xclip),
    ("long_content_of_a_client_is_read", long_content_of_a_client),
    ("long_content_is_pasted_by_xclip", long_content_by_xclip),
    ("long_content_is_pasted_by_a_client", long_content_by_a_client),
    ("short_content_is_read_many_times", short_content),
];

const MIB: usize = 1024 * 1024;

const LONG: usize = 64 * MIB;

fn report(what: &str, took: Duration) {
    let rate = LONG as f64 / 1e6 / took.as_secs_f64();
    eprintln!("{what}: 64 MiB in {took:.0?}, {rate:.0} MB/s");
}

/// A desk that is told of an owner of an image, who says that it is there.
fn watching() -> Result<Desk, Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    Ok(desk)
}

fn long_content_of_xclip() -> Result<(), Failed> {
    let desk = watching()?;
    let content = noise(LONG);
    let arguments = ["-selection", "clipboard", "-t", "image/png"];
    let _xclip = Copier::xclip(desk.display(), &arguments, &content)?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;

    let begun = Instant::now();
    let read = desk.read("image/png")??;

    report("read from xclip", begun.elapsed());
    same_bytes(&read, &content)
}

fn long_content_of_a_client() -> Result<(), Failed> {
    let desk = watching()?;
    let content = noise(LONG);
    let peer = Peer::connect(desk.display())?;
    peer.own_and_tell(&["image/png"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;

    let begun = Instant::now();
    let read = desk.clipboard.read(Selection::Clipboard, "image/png", LIMIT);
    let request = peer.request()?;
    peer.announce(&request, u32::try_from(LONG)?)?;
    for part in content.chunks(MIB).chain([&[][..]]) {
        peer.part(&request, request.target, part)?;
    }
    let read = desk.ended(read)??;

    report("read from a client", begun.elapsed());
    same_bytes(&read, &content)
}

fn long_content_by_xclip() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["image/png"])?;
    let content = noise(LONG);

    let begun = Instant::now();
    let xclip = Paster::xclip(desk.display(), &["-t", "image/png"])?;
    desk.serve(&content)?;
    let pasted = xclip.pasted()?.unwrap_or_default();

    report("pasted by xclip", begun.elapsed());
    same_bytes(&pasted, &content)
}

fn long_content_by_a_client() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["image/png"])?;
    let content = noise(LONG);
    let peer = Peer::connect(desk.display())?;

    let begun = Instant::now();
    peer.ask("image/png", "A")?;
    desk.serve(&content)?;
    peer.answered()?;
    let pasted = peer.receive("A")?;

    report("pasted by a client", begun.elapsed());
    same_bytes(&pasted, &content)
}

fn short_content() -> Result<(), Failed> {
    const READS: u32 = 1000;
    let desk = watching()?;
    let content = noise(1024);
    let peer = Peer::connect(desk.display())?;
    peer.own_and_tell(&["image/png"])?;
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;

    let begun = Instant::now();
    for _ in 0..READS {
        let read = desk.clipboard.read(Selection::Clipboard, "image/png", LIMIT);
        let request = peer.request()?;
        peer.answer(&request, request.target, &content)?;
        same(desk.ended(read)?.as_ref() == Ok(&content), true)?;
    }

    eprintln!("a read of 1 KiB takes {:?}", begun.elapsed() / READS);
    Ok(())
}

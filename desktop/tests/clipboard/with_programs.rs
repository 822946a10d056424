//! Copying and pasting with xclip and xsel.

use bellhop_desktop::{Content, Selection};
use libtest_mimic::Failed;

use crate::desk::{Desk, News, noise, strings, theirs};
use crate::programs::{Copier, Paster};
use crate::{Test, same, same_bytes};

pub const TESTS: &[(&str, Test)] = &[
    ("what_xclip_copies_is_told_and_read", what_xclip_copies),
    ("what_xsel_copies_is_told_and_read", what_xsel_copies),
    ("an_owner_from_before_the_watch_is_told", an_owner_from_before),
    ("formats_are_called_by_their_mime_types", formats_are_called),
    ("html_in_utf_16_is_read_as_utf_8", html_in_utf_16),
    ("what_is_offered_is_pasted_in_every_encoding", what_is_offered_is_pasted),
    ("images_and_markup_are_pasted_as_they_are", images_and_markup),
    ("what_has_no_content_is_refused", what_has_no_content),
    ("xsel_pastes_both_selections", xsel_pastes),
    ("many_paste_at_once", many_paste_at_once),
    ("ownership_goes_back_and_forth", ownership_goes_back_and_forth),
    ("an_empty_text_is_a_text", an_empty_text),
];

const MIB: usize = 1024 * 1024;

fn xclip(desk: &Desk, target: &str, content: &[u8]) -> Result<Copier, Failed> {
    Copier::xclip(desk.display(), &["-selection", "clipboard", "-t", target], content)
}

fn what_xclip_copies() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    same(desk.changed(Selection::Clipboard)?, Content::Nothing)?;

    let _xclip = Copier::xclip(desk.display(), &["-selection", "clipboard"], "gr\u{fc}n\n".as_bytes())?;

    desk.becomes(Selection::Clipboard, &theirs(&["text/plain"]))?;
    same(desk.read("text/plain")?, Ok("gr\u{fc}n\n".into()))
}

fn what_xsel_copies() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Primary, true);
    same(desk.changed(Selection::Primary)?, Content::Nothing)?;

    let _xsel = Copier::xsel(desk.display(), &["-p"], "gr\u{fc}n".as_bytes())?;

    desk.becomes(Selection::Primary, &theirs(&["text/plain"]))?;
    let read = desk.clipboard.read(Selection::Primary, "text/plain", 100);
    same(desk.ended(read)?, Ok("gr\u{fc}n".into()))
}

fn an_owner_from_before() -> Result<(), Failed> {
    let desk = Desk::start()?;
    let _xclip = xclip(&desk, "image/png", b"\x89PNG")?;
    desk.clipboard.watch(Selection::Clipboard, true);
    desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;

    let (late, ear) = crate::desk::open(desk.display())?;
    let late = Desk { clipboard: late, ear, server: desk.server };
    late.clipboard.watch(Selection::Clipboard, true);

    same(late.changed(Selection::Clipboard)?, theirs(&["image/png"]))?;
    same(late.read("image/png")?, Ok(b"\x89PNG".to_vec()))
}

fn formats_are_called() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    let cases = [
        ("text/html", "text/html"),
        ("text/plain;charset=utf-8", "text/plain"),
        ("image/x-MS-bmp", "image/bmp"),
        ("text/uri-list", "text/uri-list"),
        ("application/x-special+thing", "application/x-special+thing"),
    ];
    for (target, format) in cases {
        let _xclip = xclip(&desk, target, b"content")?;
        desk.becomes(Selection::Clipboard, &theirs(&[format]))?;
        same(desk.read(format)?, Ok(b"content".to_vec()))?;
    }
    Ok(())
}

fn html_in_utf_16() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.clipboard.watch(Selection::Clipboard, true);
    let html = "\u{feff}<b>gr\u{fc}n \u{1f600}</b>".encode_utf16().flat_map(u16::to_le_bytes);

    let _xclip = xclip(&desk, "text/html", &html.collect::<Vec<_>>())?;

    desk.becomes(Selection::Clipboard, &theirs(&["text/html"]))?;
    same(desk.read("text/html")?, Ok("<b>gr\u{fc}n \u{1f600}</b>".into()))
}

fn what_is_offered_is_pasted() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/plain"])?;
    let text = "gr\u{fc}n \u{20ac}\n";

    let listed = Paster::xclip(desk.display(), &["-t", "TARGETS"])?.pasted()?.unwrap_or_default();
    let expected = "TARGETS\nTIMESTAMP\nMULTIPLE\nUTF8_STRING\ntext/plain;charset=utf-8\n\
                    text/plain;charset=UTF-8\ntext/plain\nSTRING\nTEXT\n";
    same(String::from_utf8_lossy(&listed).as_ref(), expected)?;

    let cases: [(&str, &[u8]); 4] = [
        ("UTF8_STRING", text.as_bytes()),
        ("text/plain;charset=utf-8", text.as_bytes()),
        ("STRING", b"gr\xfcn ?\n"),
        ("TEXT", text.as_bytes()),
    ];
    for (target, expected) in cases {
        let xclip = Paster::xclip(desk.display(), &["-t", target])?;
        let (wanted, selection, format) = desk.wanted()?;
        same((selection, format.as_str()), (Selection::Clipboard, "text/plain"))?;
        desk.clipboard.answer(wanted, Some(text.into()));
        same(xclip.pasted()?, Some(expected.to_vec()))?;
    }
    Ok(())
}

fn images_and_markup() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/html", "image/png", "image/bmp"])?;
    let cases = [("text/html", "text/html"), ("image/png", "image/png"), ("image/x-bmp", "image/bmp")];
    for (target, expected) in cases {
        let xclip = Paster::xclip(desk.display(), &["-t", target])?;
        let (wanted, _, format) = desk.wanted()?;
        same(format.as_str(), expected)?;
        desk.clipboard.answer(wanted, Some(noise(100_000)));
        same_bytes(&xclip.pasted()?.unwrap_or_default(), &noise(100_000))?;
    }
    Ok(())
}

fn what_has_no_content() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["image/png"])?;

    let other = Paster::xclip(desk.display(), &["-t", "text/html"])?.pasted()?;
    same(other, None)?;

    let xclip = Paster::xclip(desk.display(), &["-t", "image/png"])?;
    let (wanted, _, _) = desk.wanted()?;
    desk.clipboard.answer(wanted, None);
    same(xclip.pasted()?, None)
}

fn xsel_pastes() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/plain"])?;
    desk.clipboard.watch(Selection::Primary, true);
    desk.clipboard.offer(Selection::Primary, &strings(&["text/plain"]));
    desk.becomes(Selection::Primary, &Content::Ours)?;
    for (selection, argument) in [(Selection::Clipboard, "-b"), (Selection::Primary, "-p")] {
        let xsel = Paster::xsel(desk.display(), &[argument])?;
        let (wanted, of, _) = desk.wanted()?;
        same(of, selection)?;
        desk.clipboard.answer(wanted, Some(argument.into()));
        same(xsel.pasted()?, Some(argument.into()))?;
    }
    Ok(())
}

fn many_paste_at_once() -> Result<(), Failed> {
    const PASTERS: usize = 12;
    let desk = Desk::start()?;
    desk.offer(&["image/png", "text/plain"])?;
    let content = noise(5 * MIB + 3);

    let targets = ["image/png", "UTF8_STRING"].into_iter().cycle().take(PASTERS);
    let pasters = targets.map(|target| Paster::xclip(desk.display(), &["-t", target]));
    let pasters = pasters.collect::<Result<Vec<_>, _>>()?;
    let collector = std::thread::spawn(|| pasters.into_iter().map(Paster::pasted).collect::<Vec<_>>());
    // Those that ask while another waits share one answer, so nobody knows how many there will be.
    while !collector.is_finished() {
        for news in desk.ear.rest() {
            if let News::Wanted(wanted, _, _) = news {
                desk.clipboard.answer(wanted, Some(content.clone()));
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }

    for pasted in collector.join().map_err(|_| "a paster panicked")? {
        same_bytes(&pasted?.unwrap_or_default(), &content)?;
    }
    Ok(())
}

fn ownership_goes_back_and_forth() -> Result<(), Failed> {
    let desk = Desk::start()?;
    for round in 0..3_u8 {
        desk.offer(&["text/plain"])?;
        let xclip = xclip(&desk, "image/png", &[round])?;
        desk.becomes(Selection::Clipboard, &theirs(&["image/png"]))?;
        same(desk.read("image/png")?, Ok(vec![round]))?;
        drop(xclip);
        desk.becomes(Selection::Clipboard, &Content::Nothing)?;
    }
    Ok(())
}

fn an_empty_text() -> Result<(), Failed> {
    let desk = Desk::start()?;
    desk.offer(&["text/plain"])?;

    let xclip = Paster::xclip(desk.display(), &["-t", "UTF8_STRING"])?;
    desk.serve(b"")?;

    same(xclip.pasted()?, Some(Vec::new()))
}

//! The acts in which text and pictures are copied at one end and pasted at the other.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use driver_core::wire::shared_clipboard::{Formats, SERVICE};
use vmmdev::content;

use super::picture::Picture;
use super::programs::{IMPORT, XCLIP};
use super::stage::{PATIENCE, Stage};

const OF_HOST: &str = "Good evening, guest: grüezi, 晚上好, 🛎";
const OF_GUEST: &str = "And a good night, host: à demain, おやすみ, 🌙";

/// The names that programs of an X desktop have for text and for pictures.
const TEXT: &str = "UTF8_STRING";
const PNG: &str = "image/png";

/// How often the guest's clipboard is looked at, while something is expected there.
const LOOK: Duration = Duration::from_millis(5);

/// Plays them.
pub(super) fn play(stage: &Stage) -> Result<()> {
    let reason = if !stage.is_x11() {
        Some("the desktop is headless, it has no clipboard".to_owned())
    } else if !stage.host.hgcm_clients().iter().any(|client| client.service == SERVICE) {
        Some("no plugin is connected to the host's clipboard".to_owned())
    } else {
        XCLIP.find().err().map(|missing| missing.to_string())
    };
    if let Some(reason) = reason {
        say!("\nSKIPPED text and pictures by the clipboard: {reason}");
        return Ok(());
    }
    text_to_guest(stage)?;
    text_to_host(stage)?;
    picture_to_host(stage)?;
    picture_to_guest(stage)
}

fn text_to_guest(stage: &Stage) -> Result<()> {
    say!("\nThe host copies \"{OF_HOST}\"");
    let wire = content::text(OF_HOST);
    offered(TEXT, || Ok(stage.host.clipboard_put([(Formats::TEXT, wire)])?))?;
    let (text, took) = timed(|| paste(TEXT))?;
    let text = String::from_utf8(text).context("What was pasted is no text")?;
    say!("  In the guest, xclip pastes, in {}: \"{text}\"", millis(took));
    ensure!(text == OF_HOST, "The guest pasted another text than was copied");
    Ok(())
}

fn text_to_host(stage: &Stage) -> Result<()> {
    say!("\nIn the guest, xclip copies \"{OF_GUEST}\"");
    copy(stage, TEXT, OF_GUEST.as_bytes(), Formats::TEXT)?;
    let (wire, took) = timed(|| Ok(stage.host.clipboard_get(Formats::TEXT, PATIENCE)?))?;
    let text = content::text_of(&wire)?;
    say!("  The host pastes {} bytes of UTF-16, in {}: \"{text}\"", wire.len(), millis(took));
    ensure!(text == OF_GUEST, "The host pasted another text than was copied");
    Ok(())
}

fn picture_to_host(stage: &Stage) -> Result<()> {
    if let Err(missing) = IMPORT.find() {
        say!("\nSKIPPED a picture of the guest's: {missing}");
        return Ok(());
    }
    let file = stage.screenshot()?;
    let screen = Picture::read(&file)?;
    say!("\nIn the guest, xclip copies a picture: its own screen, {}x{}", screen.width, screen.height);
    copy(stage, PNG, &file, Formats::BITMAP)?;
    let (wire, took) = timed(|| Ok(stage.host.clipboard_get(Formats::BITMAP, PATIENCE)?))?;
    let pasted = content::png_file(&wire)?;
    let picture = Picture::read(&pasted)?;
    say!(
        "  The host pastes a bitmap of {} bytes, in {}: {}x{}",
        wire.len(),
        millis(took),
        picture.width,
        picture.height
    );
    ensure!(picture == screen, "The host pasted another picture than was copied");
    say!("  Each pixel is as it was copied.");
    stage.keep("8-pasted-at-the-host", &pasted);
    Ok(())
}

fn picture_to_guest(stage: &Stage) -> Result<()> {
    let picture = evening();
    say!("\nThe host copies a picture: an evening, {}x{}", picture.width, picture.height);
    let wire = content::png(&picture.file()?)?;
    offered(PNG, || Ok(stage.host.clipboard_put([(Formats::BITMAP, wire)])?))?;
    let (pasted, took) = timed(|| paste(PNG))?;
    let found = Picture::read(&pasted)?;
    say!(
        "  In the guest, xclip pastes a PNG file of {} bytes, in {}: {}x{}",
        pasted.len(),
        millis(took),
        found.width,
        found.height
    );
    ensure!(found == picture, "The guest pasted another picture than was copied");
    say!("  Each pixel is as it was copied.");
    stage.keep("9-pasted-in-the-guest", &pasted);
    Ok(())
}

/// Copies in the guest, and waits until the host is told.
fn copy(stage: &Stage, format: &str, content: &[u8], expected: Formats) -> Result<()> {
    let began = Instant::now();
    XCLIP.feed(&["-selection", "clipboard", "-i", "-t", format], content)?;
    let found = stage
        .host
        .wait_clipboard(PATIENCE, |formats| formats == expected)
        .context("The host was not told what was copied")?;
    say!("  The host is told what there is, {found}, {} after xclip was started.", millis(began.elapsed()));
    Ok(())
}

/// Pastes in the guest.
fn paste(format: &str) -> Result<Vec<u8>> {
    XCLIP.run(&["-selection", "clipboard", "-o", "-t", format])
}

/// Has the host copy something, and waits until the guest's programs are offered it.
fn offered(format: &str, put: impl FnOnce() -> Result<()>) -> Result<()> {
    // A program of the guest may still own the very format; another list of formats is another owner's.
    let before = targets();
    let began = Instant::now();
    put()?;
    loop {
        let now = targets();
        if now != before && now.lines().any(|target| target == format) {
            break;
        }
        ensure!(began.elapsed() < PATIENCE, "The guest's programs are not offered {format}");
        std::thread::sleep(LOOK);
    }
    say!("  The guest's programs are offered {format}, within {}.", millis(began.elapsed()));
    Ok(())
}

/// The formats in which something can be pasted in the guest, a line each; none when nobody has anything.
fn targets() -> String {
    paste("TARGETS").map(|names| String::from_utf8_lossy(&names).into_owned()).unwrap_or_default()
}

fn timed<T>(act: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    let began = Instant::now();
    Ok((act()?, began.elapsed()))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// The sun goes down over the sea.
fn evening() -> Picture {
    const HORIZON: u32 = 110;
    Picture::paint(240, 160, |x, y| {
        let shade = |from: [u32; 3], to: [u32; 3], part: u32, whole: u32| {
            [0, 1, 2].map(|i| ((from[i] * (whole - part) + to[i] * part) / whole) as u8)
        };
        let sun = x.abs_diff(150).pow(2) + y.abs_diff(96).pow(2) < 30_u32.pow(2);
        match y {
            HORIZON.. => shade([196, 104, 72], [24, 36, 72], y - HORIZON, 50),
            _ if sun => [255, 214, 120],
            _ => shade([40, 44, 96], [244, 132, 84], y, HORIZON),
        }
    })
}

//! The acts in which the guest's windows become regions of the host's screen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use driver_core::wire::{Capabilities, RequestType};
use vmmdev::Seen;

use super::programs::{XDOTOOL, XEYES};
use super::stage::{PATIENCE, Stage};

/// The wish to which the last act comes.
const OFF: &str = "\"Keep your windows to yourself again.\"";

/// The window's name for programs that look for it.
const NAME: &str = "bellhop-demo";
/// Its size and place, and where it goes, in pixels.
const PLACE: &str = "300x200+700+90";
const ELSEWHERE: [&str; 2] = ["330", "150"];
/// Once the host was told nothing for so long, windows are where they were wanted: each report comes a
/// sixtieth of a second after the one before, and a window manager takes a few steps.
const QUIET: Duration = Duration::from_millis(400);

/// Plays them.
pub(super) fn play(stage: &Stage) -> Result<()> {
    let host = &stage.host;
    if !stage.is_x11() {
        say!("\nSKIPPED windows that become regions: the desktop is headless, it has no windows");
        return Ok(());
    }
    if !host.guest().capabilities.contains(Capabilities::SEAMLESS) {
        say!("\nSKIPPED windows that become regions: no plugin offers seamless mode");
        return Ok(());
    }
    stage.ask("\"Show your windows among mine.\" (seamless mode)", |host| Ok(host.set_seamless(true)))?;
    settle(stage);
    stage.show_region("5-seamless");

    if let Err(missing) = XEYES.find().and_then(|()| XDOTOOL.find()) {
        say!("\nSKIPPED a window that opens and is moved: {missing}");
        return stage.ask(OFF, |host| Ok(host.set_seamless(false)));
    }
    say!("\nIn the guest, somebody opens a window that is no rectangle (xeyes)");
    let began = Instant::now();
    let mut eyes = None;
    told_of(stage, began, || {
        eyes = Some(XEYES.start(&["-name", NAME, "-title", "Eyes", "-geometry", PLACE])?);
        Ok(())
    })?;
    stage.show_region("6-opened");

    let found = XDOTOOL.run(&["search", "--sync", "--onlyvisible", "--classname", NAME])?;
    let found = String::from_utf8_lossy(&found);
    let window = found.lines().next().context("xdotool found no window")?;
    let [x, y] = ELSEWHERE;
    say!("\nIn the guest, somebody moves it to {x},{y} (xdotool)");
    let began = Instant::now();
    told_of(stage, began, || XDOTOOL.run(&["windowmove", window, x, y]).map(drop))?;
    stage.show_region("7-moved");

    stage.ask(OFF, |host| Ok(host.set_seamless(false)))?;
    let since = host.journal_position();
    drop(eyes);
    match host.wait_request(since, QUIET, is_region) {
        Ok(_) => say!("  The window closes, and the host is told, though it wants to hear no more."),
        Err(_) => say!("  The window closes; the host, which wants to hear no more, is told nothing."),
    }
    Ok(())
}

/// Has something done to the windows, and waits until the host is told.
fn told_of(stage: &Stage, began: Instant, act: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = stage.host.guest().visible_region;
    act()?;
    stage
        .host
        .wait_guest(PATIENCE, |guest| guest.visible_region != before)
        .context("The host was not told of a window")?;
    let told = began.elapsed();
    settle(stage);
    say!("  The host is told {:.1} ms after the program was started.", told.as_secs_f64() * 1e3);
    Ok(())
}

/// Waits until the host is told nothing new.
fn settle(stage: &Stage) {
    let mut since = stage.host.journal_position();
    while let Ok(seen) = stage.host.wait_request(since, QUIET, is_region) {
        since = seen.number + 1;
    }
}

fn is_region(seen: &Seen) -> bool {
    seen.request_type == RequestType::VIDEO_SET_VISIBLE_REGION
}

//! From one arrangement to another, or back: a layout is applied as a whole or not at all.

use x11rb::connection::RequestConnection as _;
use x11rb::protocol::randr::{self, ConnectionExt as _, Rotation, SetConfig};
use x11rb::protocol::xproto::ConnectionExt as _;

use super::arrangement::{Arrangement, Head};
use super::connection::{Failure, Server};
use super::modes::{Added, tidy};
use super::snapshot::Snapshot;
use crate::layout::resolve;
use crate::{Error, Outcome, Placement};

/// Applies a layout.
pub(super) fn apply(server: &Server, layout: &[Placement]) -> Result<Outcome, Failure> {
    // First without a grab: a layout that changes nothing, or that is refused, disturbs nobody.
    let snapshot = Snapshot::take(server)?;
    if Arrangement::of(&snapshot) == wanted(&snapshot, layout)? {
        return Ok(outcome(false, &snapshot));
    }
    refuse_xwayland(server, &snapshot)?;
    // Then nobody else's change may come between ours, and no client sees a half of it.
    server.x.grab_server()?.check()?;
    let outcome = change(server, layout);
    if !matches!(outcome, Err(Failure::Lost(_))) {
        server.x.ungrab_server()?.check()?;
    }
    outcome
}

/// Xwayland takes a layout and pretends to each client that it was applied; the monitors are the
/// compositor's.
fn refuse_xwayland(server: &Server, snapshot: &Snapshot) -> Result<(), Failure> {
    // Older ones lack the extension, and name their outputs like this.
    let named = snapshot.outputs.iter().any(|output| output.name.starts_with("XWAYLAND"));
    if !named && server.x.extension_information("XWAYLAND")?.is_none() {
        return Ok(());
    }
    let text = format!(
        "X server {} is Xwayland; its outputs are the Wayland compositor's to arrange",
        server.display()
    );
    Err(Error::NotSupported(text).into())
}

fn wanted(snapshot: &Snapshot, layout: &[Placement]) -> Result<Arrangement, Failure> {
    let resolved = resolve(&snapshot.outputs(), layout, snapshot.limits)?;
    Arrangement::wanted(snapshot, &resolved)
}

/// Makes the change, or restores what was there.
fn change(server: &Server, layout: &[Placement]) -> Result<Outcome, Failure> {
    let before = Snapshot::take(server)?;
    let mut to = wanted(&before, layout)?;
    let mut added = Added::default();
    let done = added
        .provide(server, &before, &mut to)
        .and_then(|()| travel(server, before.config_time, &Arrangement::of(&before), &to))
        .and_then(|()| Snapshot::take(server));
    match done {
        Ok(after) => {
            tidy(server, &after)?;
            Ok(outcome(true, &after))
        }
        Err(lost @ Failure::Lost(_)) => Err(lost),
        Err(failure) => {
            let restored = restore(server, &before);
            added.withdraw(server);
            match restored {
                Ok(()) => Err(failure),
                Err(why) => Err(unrestored(server, &failure, &why)),
            }
        }
    }
}

/// Goes back to where it was, from wherever it is now.
fn restore(server: &Server, before: &Snapshot) -> Result<(), Failure> {
    let now = Snapshot::take(server)?;
    travel(server, now.config_time, &Arrangement::of(&now), &Arrangement::of(before))
}

/// Goes from one arrangement to another, in the only order that servers accept: what would not fit is
/// switched off, then the screen gets its size, then all is set up on it.
fn travel(server: &Server, config_time: u32, from: &Arrangement, to: &Arrangement) -> Result<(), Failure> {
    for head in &from.heads {
        if !may_stay_on(head, to) {
            switch_off(server, config_time, head)?;
        }
    }
    if from.size != to.size {
        let (width, height) = to.size;
        let answer = server.x.randr_set_screen_size(
            server.root,
            width,
            height,
            millimetres(width),
            millimetres(height),
        )?;
        answer.check()?;
    }
    for head in &to.heads {
        if from.head(head.crtc) != Some(head) {
            switch_on(server, config_time, head)?;
        }
    }
    if from.primary != to.primary {
        server.x.randr_set_output_primary(server.root, to.primary)?.check()?;
    }
    Ok(())
}

/// Whether a CRTC can stay on, if perhaps with another mode, until its turn comes: less flickers.
fn may_stay_on(head: &Head, to: &Arrangement) -> bool {
    let next = to.head(head.crtc);
    head.fits(to.size) && next.is_some_and(|next| next.outputs == head.outputs)
}

fn switch_off(server: &Server, config_time: u32, head: &Head) -> Result<(), Failure> {
    let off = x11rb::NONE;
    set_crtc(server, config_time, head, (0, 0), off, Rotation::ROTATE0, &[])
}

fn switch_on(server: &Server, config_time: u32, head: &Head) -> Result<(), Failure> {
    let mode = head.mode.unwrap_or(x11rb::NONE);
    set_crtc(server, config_time, head, (head.x, head.y), mode, head.rotation, &head.outputs)
}

fn set_crtc(
    server: &Server,
    config_time: u32,
    head: &Head,
    (x, y): (i16, i16),
    mode: randr::Mode,
    rotation: Rotation,
    outputs: &[randr::Output],
) -> Result<(), Failure> {
    let answer = server.x.randr_set_crtc_config(
        head.crtc,
        x11rb::CURRENT_TIME,
        config_time,
        x,
        y,
        mode,
        rotation,
        outputs,
    )?;
    let why = match answer.reply()?.status {
        SetConfig::SUCCESS => return Ok(()),
        SetConfig::INVALID_CONFIG_TIME | SetConfig::INVALID_TIME => "outputs changed meanwhile",
        _ => "the driver did not take it",
    };
    let (width, height) = head.mode_size();
    Err(Failure::Refused(format!("mode {width}x{height} at {x},{y}: {why}")))
}

/// As many millimetres as a monitor of 96 dots an inch has for these pixels.
fn millimetres(pixels: u16) -> u32 {
    (u32::from(pixels) * 254 / 960).max(1)
}

fn outcome(changed: bool, now: &Snapshot) -> Outcome {
    let (width, height) = now.size;
    Outcome { changed, width: width.into(), height: height.into(), outputs: now.outputs() }
}

fn unrestored(server: &Server, failure: &Failure, why: &Failure) -> Failure {
    Error::Failed(format!(
        "X server {} refused: {}; and what was there before could not be restored: {}",
        server.display(),
        failure.words(),
        why.words()
    ))
    .into()
}

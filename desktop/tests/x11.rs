//! Layouts on a real X server, judged by what `xrandr` says of it.
//!
//! Each test has an X server of its own. Where there is none, the tests are shown as ignored, with the
//! reason.

use std::fmt::Display;
use std::time::{Duration, Instant};

use bellhop_desktop::x11::X11;
use bellhop_desktop::{Area, Error, Outcome, Outputs, Placement};
use bellhop_xserver::{Missing, XServer, outputs_by_xrandr};
use libtest_mimic::{Arguments, Failed, Trial};
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::{ConnectionExt as _, NotifyMask};
use x11rb::protocol::xproto::ConnectionExt as _;

type Test = fn() -> Result<(), Failed>;

const ON_XORG: &[(&str, Test)] = &[
    ("an_odd_size_gets_a_mode", an_odd_size_gets_a_mode),
    ("two_outputs_stand_side_by_side", two_outputs_stand_side_by_side),
    ("an_output_is_switched_off_and_on", an_output_is_switched_off_and_on),
    ("gaps_and_origins_are_kept", gaps_and_origins_are_kept),
    ("negative_origins_move_everything", negative_origins_move_everything),
    ("the_screen_shrinks", the_screen_shrinks),
    ("the_primary_output_moves", the_primary_output_moves),
    ("outputs_swap_places", outputs_swap_places),
    ("all_sixteen_outputs_work_at_once", all_sixteen_outputs_work_at_once),
    ("outputs_that_are_not_named_stay", outputs_that_are_not_named_stay),
    ("a_wrong_layout_is_refused_and_changes_nothing", a_wrong_layout_is_refused),
    ("a_failure_in_the_middle_restores_what_was", a_failure_restores),
    ("what_another_client_arranged_is_respected", what_another_client_arranged),
    ("a_server_that_comes_late_is_found", a_server_that_comes_late_is_found),
    ("a_killed_server_is_unavailable_until_it_is_back", a_killed_server),
    ("a_hung_server_is_unavailable_within_a_bound", a_hung_server),
    ("many_resizes_leave_few_modes", many_resizes_leave_few_modes),
    ("nothing_to_change_sends_no_events", nothing_to_change_sends_no_events),
];

const ON_XVFB: &[(&str, Test)] = &[
    ("xvfb_shrinks_and_says_how_large_it_can_be", xvfb_shrinks),
    ("a_server_that_wants_a_cookie_is_told_of_as_such", a_server_that_wants_a_cookie),
];

const ANYWHERE: &[(&str, Test)] = &[
    ("no_server_is_unavailable", no_server_is_unavailable),
    ("a_display_that_is_none_is_unavailable", a_display_that_is_none),
];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    trials.extend(suite(ON_XORG, lacking(XServer::dummy)));
    trials.extend(suite(ON_XVFB, lacking(|| XServer::virtual_framebuffer(64, 64))));
    trials.extend(suite(ANYWHERE, None));
    libtest_mimic::run(&arguments, trials).exit();
}

/// What this machine lacks to start such a server and to look at it.
fn lacking(start: impl FnOnce() -> Result<XServer, bellhop_xserver::Error>) -> Option<Missing> {
    let seen = start().and_then(|server| outputs_by_xrandr(server.display()));
    seen.err()?.missing().cloned()
}

fn suite(tests: &[(&str, Test)], lacking: Option<Missing>) -> Vec<Trial> {
    let trial = |&(name, test): &(&str, Test)| {
        if let Some(missing) = &lacking {
            eprintln!("SKIPPED {name}: {missing}");
        }
        Trial::test(name, test).with_ignored_flag(lacking.is_some())
    };
    tests.iter().map(trial).collect()
}

fn an_odd_size_gets_a_mode() -> Result<(), Failed> {
    let (server, desktop) = start()?;

    let outcome = desktop.apply(&[on(0, (0, 0), (1366, 777))])?;

    same(size(&outcome), (true, 1366, 777))?;
    sees(&server, (1366, 777), &["DUMMY0 1366x777+0+0 primary"])
}

fn two_outputs_stand_side_by_side() -> Result<(), Failed> {
    let (server, desktop) = start()?;

    let outcome = desktop.apply(&[on(0, (0, 0), (1366, 777)), on(1, (1366, 0), (1024, 768))])?;

    same(size(&outcome), (true, 2390, 777))?;
    let both = ["DUMMY0 1366x777+0+0 primary", "DUMMY1 1024x768+1366+0"];
    sees(&server, (2390, 777), &both)?;
    same(outcome.outputs, desktop.enumerate()?)
}

fn an_output_is_switched_off_and_on() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (800, 600)), on(1, (800, 0), (640, 481))])?;

    desktop.apply(&[off(0), on(1, (0, 0), (640, 481))])?;
    sees(&server, (640, 481), &["DUMMY1 640x481+0+0 primary"])?;

    desktop.apply(&[on(0, (640, 0), (800, 600))])?;
    let both = ["DUMMY0 800x600+640+0", "DUMMY1 640x481+0+0 primary"];
    sees(&server, (1440, 600), &both)
}

fn gaps_and_origins_are_kept() -> Result<(), Failed> {
    let (server, desktop) = start()?;

    desktop.apply(&[on(0, (100, 50), (800, 600)), on(3, (1001, 333), (333, 222))])?;

    let both = ["DUMMY0 800x600+100+50 primary", "DUMMY3 333x222+1001+333"];
    sees(&server, (1334, 650), &both)
}

fn negative_origins_move_everything() -> Result<(), Failed> {
    let (server, desktop) = start()?;

    let outcome = desktop.apply(&[on(0, (0, 0), (800, 600)), on(1, (-640, -120), (640, 480))])?;

    let both = ["DUMMY0 800x600+640+120 primary", "DUMMY1 640x480+0+0"];
    sees(&server, (1440, 720), &both)?;
    same(outcome.outputs, desktop.enumerate()?)
}

fn the_screen_shrinks() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (3840, 2160)), on(1, (3840, 0), (1920, 1200))])?;

    desktop.apply(&[on(0, (0, 0), (640, 480)), off(1)])?;

    sees(&server, (640, 480), &["DUMMY0 640x480+0+0 primary"])
}

fn the_primary_output_moves() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    let left = on(0, (0, 0), (800, 600));
    let right = Placement { primary: true, ..on(1, (800, 0), (800, 600)) };

    desktop.apply(&[left, right])?;

    let both = ["DUMMY0 800x600+0+0", "DUMMY1 800x600+800+0 primary"];
    sees(&server, (1600, 600), &both)
}

fn outputs_swap_places() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (801, 601)), on(1, (801, 0), (401, 301))])?;

    desktop.apply(&[on(0, (401, 0), (801, 601)), on(1, (0, 0), (401, 301))])?;

    let both = ["DUMMY0 801x601+401+0 primary", "DUMMY1 401x301+0+0"];
    sees(&server, (1202, 601), &both)
}

fn all_sixteen_outputs_work_at_once() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    let layout: Vec<_> = (0..16).map(|n| on(n, ((n % 4) * 301, (n / 4) * 203), (301, 203))).collect();

    let outcome = desktop.apply(&layout)?;

    same(size(&outcome), (true, 1204, 812))?;
    let seen = outputs_by_xrandr(server.display())?.on();
    same(seen.len(), 16)?;
    same(seen.last().map(String::as_str), Some("DUMMY15 301x203+903+609"))
}

fn outputs_that_are_not_named_stay() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (801, 601)), on(1, (801, 0), (401, 301))])?;

    desktop.apply(&[on(1, (801, 0), (402, 302))])?;

    let both = ["DUMMY0 801x601+0+0 primary", "DUMMY1 402x302+801+0"];
    sees(&server, (1203, 601), &both)
}

fn a_wrong_layout_is_refused() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    let before = outputs_by_xrandr(server.display())?;
    let unknown = Placement { name: "VGA-1".into(), ..on(0, (0, 0), (800, 600)) };
    let good = on(1, (0, 0), (801, 601));
    let wrong: [&[Placement]; 5] = [
        &[good.clone(), unknown],
        &[good.clone(), on(0, (0, 0), (0, 600))],
        &[good.clone(), on(0, (0, 0), (40_000, 600))],
        &[good, on(0, (i32::MAX, 0), (800, 600))],
        &[off(0)],
    ];
    for layout in wrong {
        let refused = desktop.apply(layout);
        let fits = matches!(refused, Err(Error::Invalid(_) | Error::NotSupported(_)));
        same((fits, layout), (true, layout))?;
    }
    same(outputs_by_xrandr(server.display())?, before)
}

fn a_failure_restores() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (801, 601)), on(1, (801, 0), (401, 301))])?;
    let before = outputs_by_xrandr(server.display())?;

    // RandR allows a screen this large, but the driver has no memory for it: known only after DUMMY1
    // was switched off and a mode was made.
    let refused = desktop.apply(&[on(0, (0, 0), (32_000, 32_000)), off(1)]);

    same(matches!(refused, Err(Error::Failed(_))), true)?;
    same(outputs_by_xrandr(server.display())?, before)?;
    same(desktop.apply(&[on(0, (0, 0), (802, 602))])?.changed, true)
}

fn what_another_client_arranged() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (1024, 768)), on(1, (1024, 0), (401, 301))])?;
    xrandr(&server, &["--output", "DUMMY0", "--mode", "800x600", "--refresh", "75"])?;

    // DUMMY0 keeps its size, so it keeps the mode that somebody chose for it.
    desktop.apply(&[on(0, (401, 0), (800, 600)), on(1, (0, 0), (401, 301))])?;

    let both = ["DUMMY0 800x600+401+0 primary", "DUMMY1 401x301+0+0"];
    sees(&server, (1201, 600), &both)?;
    let raw = outputs_by_xrandr(server.display())?.raw;
    same(raw.contains("75.00*"), true)
}

fn a_server_that_comes_late_is_found() -> Result<(), Failed> {
    let mut server = XServer::dummy()?;
    server.kill();
    let desktop = X11::new(Some(server.display()));
    unavailable(desktop.enumerate(), "No X server")?;

    server.restart()?;

    same(desktop.enumerate()?.len(), 16)
}

fn a_killed_server() -> Result<(), Failed> {
    let (mut server, desktop) = start()?;
    desktop.apply(&[on(0, (0, 0), (1366, 777))])?;

    server.kill();
    unavailable(desktop.apply(&[on(0, (0, 0), (800, 600))]), "No X server")?;

    server.restart()?;
    desktop.apply(&[on(0, (0, 0), (1366, 777))])?;
    sees(&server, (1366, 777), &["DUMMY0 1366x777+0+0 primary"])?;

    // Gone and back between two calls: nobody notices.
    server.restart()?;
    same(desktop.apply(&[on(0, (0, 0), (1366, 777))])?.changed, true)
}

fn a_hung_server() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    desktop.enumerate()?;
    server.suspend();

    // The first by the connection that was there, the second by one of its own.
    for _ in 0..2 {
        let begun = Instant::now();
        unavailable(desktop.apply(&[on(0, (0, 0), (800, 600))]), "hangs")?;
        same(begun.elapsed() < Duration::from_secs(3), true)?;
    }

    server.resume();
    desktop.apply(&[on(0, (0, 0), (801, 601))])?;
    sees(&server, (801, 601), &["DUMMY0 801x601+0+0 primary"])
}

fn many_resizes_leave_few_modes() -> Result<(), Failed> {
    const RESIZES: u32 = 200;
    let (server, desktop) = start()?;

    let begun = Instant::now();
    for step in 1..=RESIZES {
        desktop.apply(&[on(0, (0, 0), (1000 + step, 700 + step / 3)), on(1, (0, 0), (801, 601))])?;
    }
    let each = begun.elapsed() / RESIZES;
    desktop.apply(&[on(0, (0, 0), (800, 600)), on(1, (0, 0), (801, 601))])?;

    eprintln!("an apply with a new mode takes {each:?}");
    let raw = outputs_by_xrandr(server.display())?.raw;
    let ours: Vec<&str> = raw.lines().filter(|line| line.contains("_bellhop")).collect();
    same(ours.len(), 1)?;
    same(ours[0].trim_start().starts_with("801x601_bellhop"), true)
}

fn nothing_to_change_sends_no_events() -> Result<(), Failed> {
    let (server, desktop) = start()?;
    let layout = [on(0, (0, 0), (1366, 777)), on(1, (1366, 0), (1024, 768)), off(2)];
    desktop.apply(&layout)?;
    let (watcher, screen) = x11rb::connect(Some(server.display()))?;
    let all = NotifyMask::SCREEN_CHANGE | NotifyMask::CRTC_CHANGE | NotifyMask::OUTPUT_CHANGE;
    watcher.randr_select_input(watcher.setup().roots[screen].root, all)?.check()?;
    let events = || -> Result<usize, Failed> {
        watcher.get_input_focus()?.reply()?;
        Ok(std::iter::from_fn(|| watcher.poll_for_event().transpose()).count())
    };

    let again = desktop.apply(&layout)?;
    desktop.enumerate()?;
    same((again.changed, again.width, again.height, events()?), (false, 2390, 777, 0))?;

    // The watcher does see what there is to be seen.
    desktop.apply(&[on(0, (0, 0), (1366, 778))])?;
    same(events()? > 0, true)
}

fn xvfb_shrinks() -> Result<(), Failed> {
    let server = XServer::virtual_framebuffer(800, 600)?;
    let desktop = X11::new(Some(server.display()));
    let sized = |width, height| {
        let area = Some(Area { x: 0, y: 0, width, height });
        [Placement { name: "screen".into(), area, primary: false }]
    };

    desktop.apply(&sized(641, 481))?;
    sees(&server, (641, 481), &["screen 641x481+0+0"])?;

    let refused = desktop.apply(&sized(1024, 768));
    let told = matches!(&refused, Err(Error::NotSupported(text)) if text.contains("800x600"));
    same(told, true)?;
    sees(&server, (641, 481), &["screen 641x481+0+0"])
}

fn a_server_that_wants_a_cookie() -> Result<(), Failed> {
    let server = XServer::with_cookie()?;

    let desktop = X11::new(Some(server.display()));

    unavailable(desktop.enumerate(), "XAUTHORITY")
}

fn no_server_is_unavailable() -> Result<(), Failed> {
    unavailable(X11::new(Some(":54321")).enumerate(), "No X server on :54321")?;
    unavailable(X11::new(None).enumerate(), "set DISPLAY")
}

fn a_display_that_is_none() -> Result<(), Failed> {
    for name in ["", "seven", ":", ":x", ":60000", "/nowhere/at/all"] {
        unavailable(X11::new(Some(name)).enumerate(), "names no X server")?;
    }
    Ok(())
}

fn start() -> Result<(XServer, X11), Failed> {
    let server = XServer::dummy()?;
    let desktop = X11::new(Some(server.display()));
    Ok((server, desktop))
}

fn on(number: i32, (x, y): (i32, i32), (width, height): (u32, u32)) -> Placement {
    let area = Some(Area { x, y, width, height });
    Placement { name: format!("DUMMY{number}"), area, primary: false }
}

fn off(number: i32) -> Placement {
    Placement { name: format!("DUMMY{number}"), area: None, primary: false }
}

fn size(outcome: &Outcome) -> (bool, u32, u32) {
    (outcome.changed, outcome.width, outcome.height)
}

fn xrandr(server: &XServer, arguments: &[&str]) -> Result<(), Failed> {
    let mut command = std::process::Command::new("xrandr");
    let output = command.args(["--display", server.display()]).args(arguments).output()?;
    same((output.status.success(), String::from_utf8_lossy(&output.stderr)), (true, "".into()))
}

/// The screen's size and the outputs that are on, as `xrandr` sees them.
fn sees(server: &XServer, screen: (u32, u32), outputs: &[&str]) -> Result<(), Failed> {
    let seen = outputs_by_xrandr(server.display())?;
    let on = seen.on();
    same((seen.screen, on.iter().map(String::as_str).collect()), (screen, outputs.to_vec()))
}

fn unavailable<T: std::fmt::Debug>(outcome: Result<T, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Unavailable(text)) if text.contains(told) => Ok(()),
        other => Err(wrong(other, format!("unavailable, with '{told}'"))),
    }
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(wrong(found, format!("{expected:?}"))) }
}

fn wrong(found: impl std::fmt::Debug, expected: impl Display) -> Failed {
    format!("found {found:?}, expected {expected}").into()
}

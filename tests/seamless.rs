//! Seamless mode on a real X server with real windows: what the host sees is what `xwininfo` says.
//!
//! Without the programs for it, every test is shown as ignored, with the reason.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::X11Windows;
use bellhop_xserver::{Geometry, Missing, Program, Running, XServer, openbox, windows_by_xwininfo};
use driver_core::wire::{Capabilities, Facility, FacilityStatus, RequestType};
use libtest_mimic::Failed;
use support::{PATIENCE, Rig, Setup, eventually, suite};
use vmmdev::{GuestReport, Host, Rectangle};

const TESTS: [suite::Named; 9] = [
    ("the_region_is_what_the_windows_cover", the_region_is_what_the_windows_cover),
    ("a_moved_window_moves_the_region", a_moved_window_moves_the_region),
    ("overlapping_windows_are_told_once", overlapping_windows_are_told_once),
    ("nothing_is_reported_while_nothing_changes", nothing_is_reported_while_nothing_changes),
    ("nothing_is_reported_once_it_is_off", nothing_is_reported_once_it_is_off),
    ("a_storm_of_moves_is_reported_at_the_pace_and_ends_right", a_storm_of_moves_is_paced),
    ("a_restored_machine_reports_anew", a_restored_machine_reports_anew),
    ("an_x_server_that_comes_back_is_watched_again", an_x_server_that_comes_back_is_watched_again),
    ("a_stopped_agent_withdraws_the_capability", a_stopped_agent_withdraws_the_capability),
];

const NEEDED: [Program; 6] = [
    Program::XTERM,
    Program::OPENBOX,
    Program::XDOTOOL,
    Program::XWININFO,
    Program::XPROP,
    Program::of("Xvfb", "xvfb"),
];

/// The screen, in pixels.
const SCREEN: (u32, u32) = (1024, 768);

fn main() {
    let lacking: Option<Missing> = NEEDED.into_iter().find_map(|program| program.find().err());
    suite::run(&TESTS, lacking.as_ref(), None)
}

/// A screen with a window manager and one terminal, and an agent with the seamless plugin.
struct Scene {
    server: XServer,
    rig: Rig,
    terminal: String,
    _clients: Vec<Running>,
}

impl Scene {
    fn new(name: &str, changes: &str) -> Result<Self, Failed> {
        let server = XServer::virtual_framebuffer(SCREEN.0, SCREEN.1)?;
        let mut clients = vec![openbox(server.display(), &[])?];
        clients.push(Program::XTERM.start(server.display(), &["-geometry", "40x10+100+120"])?);
        let terminal = Program::XDOTOOL
            .run(server.display(), &["search", "--sync", "--onlyvisible", "--class", "xterm"])?
            .trim()
            .to_owned();
        let desktop =
            Desktop { windows: Arc::new(X11Windows::new(Some(server.display()))), ..Desktop::headless(1) };
        let rig = Setup::new().rig().desktop(desktop).reference("seamless", name, changes).start();
        Ok(Self { server, rig, terminal, _clients: clients })
    }

    /// The frame of a client window, as `xwininfo` tells.
    fn frame(&self, client: &str) -> Result<Geometry, Failed> {
        let client: u32 = client.parse()?;
        let windows = windows_by_xwininfo(self.server.display())?;
        let frame = windows.iter().find(|window| window.id == client || window.inside.contains(&client));
        Ok(frame.ok_or("the window is not there")?.geometry)
    }

    fn xdotool(&self, arguments: &[&str]) -> Result<String, Failed> {
        Ok(Program::XDOTOOL.run(self.server.display(), arguments)?.trim().to_owned())
    }

    fn regions(&self, since: u64) -> usize {
        regions(&self.rig.host, since)
    }

    /// Waits until the host sees what these windows cover.
    fn shows(&self, clients: &[&str]) -> Result<(), Failed> {
        eventually("the host sees what xwininfo says", || {
            let frames: Result<Vec<_>, _> = clients.iter().map(|client| self.frame(client)).collect();
            frames.is_ok_and(|frames| seen(&self.rig.host.guest()) == Some(covered(&frames)))
        });
        Ok(())
    }
}

/// How many regions the guest reported since.
fn regions(host: &Host, since: u64) -> usize {
    let requests = host.journal().into_iter().filter(|seen| seen.number >= since);
    requests.filter(|seen| seen.request_type == RequestType::VIDEO_SET_VISIBLE_REGION).count()
}

/// The pixels that windows cover, as far as they are on the screen.
fn covered(frames: &[Geometry]) -> BTreeSet<(i32, i32)> {
    let all = frames.iter().flat_map(|frame| {
        let (right, bottom) = (frame.x + frame.width as i32, frame.y + frame.height as i32);
        let rows = frame.y.max(0)..bottom.min(SCREEN.1 as i32);
        rows.flat_map(move |y| (frame.x.max(0)..right.min(SCREEN.0 as i32)).map(move |x| (x, y)))
    });
    all.collect()
}

/// The pixels that the guest told its host to show.
fn seen(guest: &GuestReport) -> Option<BTreeSet<(i32, i32)>> {
    let rows = |rect: &Rectangle| {
        let (left, right) = (rect.left, rect.right);
        (rect.top..rect.bottom).flat_map(move |y| (left..right).map(move |x| (x, y)))
    };
    Some(guest.visible_region.as_ref()?.iter().flat_map(rows).collect())
}

fn the_region_is_what_the_windows_cover() -> Result<(), Failed> {
    let scene = Scene::new("seamless-region", "")?;
    scene.rig.wait_guest("seamless mode is offered", |guest| {
        guest.capabilities.contains(Capabilities::SEAMLESS)
            && guest.facility(Facility::SEAMLESS) == Some(FacilityStatus::ACTIVE)
    });

    scene.rig.host.set_seamless(true);

    scene.shows(&[&scene.terminal])
}

fn a_moved_window_moves_the_region() -> Result<(), Failed> {
    let scene = Scene::new("seamless-move", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;

    scene.xdotool(&["windowmove", &scene.terminal, "700", "500"])?;
    scene.shows(&[&scene.terminal])?;
    scene.xdotool(&["windowminimize", &scene.terminal])?;
    scene.rig.wait_guest("nothing is to be seen", |guest| guest.visible_region.as_deref() == Some(&[]));
    scene.xdotool(&["windowmap", &scene.terminal])?;

    scene.shows(&[&scene.terminal])
}

fn overlapping_windows_are_told_once() -> Result<(), Failed> {
    let scene = Scene::new("seamless-overlap", "")?;
    let _second =
        Program::XTERM.start(scene.server.display(), &["-name", "second", "-geometry", "40x10+160+180"])?;
    let second = scene.xdotool(&["search", "--sync", "--onlyvisible", "--classname", "second"])?;

    scene.rig.host.set_seamless(true);

    scene.shows(&[&scene.terminal, &second])?;
    let region = scene.rig.host.guest().visible_region.unwrap_or_default();
    let area: i64 =
        region.iter().map(|rect| i64::from(rect.right - rect.left) * i64::from(rect.bottom - rect.top)).sum();
    let union = covered(&[scene.frame(&scene.terminal)?, scene.frame(&second)?]);
    assert_eq!(area, union.len() as i64, "rectangles overlap: {region:?}");
    assert!(region.len() <= 3, "two overlapping windows are three bands: {region:?}");
    Ok(())
}

fn nothing_is_reported_while_nothing_changes() -> Result<(), Failed> {
    let scene = Scene::new("seamless-same", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;
    let since = scene.rig.host.journal_position();

    // The stack changes, and what is covered does not.
    scene.xdotool(&["windowraise", &scene.terminal, "mousemove", "500", "600"])?;
    scene.xdotool(&["windowmove", &scene.terminal, "300", "310"])?;
    scene.shows(&[&scene.terminal])?;

    assert_eq!(scene.regions(since), 1);
    Ok(())
}

fn nothing_is_reported_once_it_is_off() -> Result<(), Failed> {
    let scene = Scene::new("seamless-off", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;
    let since = scene.rig.host.journal_position();
    scene.rig.host.set_seamless(false);
    scene.rig.host.wait_request(since, PATIENCE, |seen| {
        seen.request_type == RequestType::GET_SEAMLESS_CHANGE_REQUEST
    })?;
    support::says("seamless-off", "Seamless mode is off");
    let since = scene.rig.host.journal_position();

    scene.xdotool(&["windowmove", &scene.terminal, "500", "400"])?;
    // On again, it is told anew; by then a report of the move would have been seen.
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;

    assert_eq!(scene.regions(since), 1);
    Ok(())
}

fn a_storm_of_moves_is_paced() -> Result<(), Failed> {
    let scene = Scene::new("seamless-storm", "config.rate = 10")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;
    let (since, began) = (scene.rig.host.journal_position(), std::time::Instant::now());

    let moves: Vec<String> = (0..1000)
        .flat_map(|step| {
            let (x, y) = ((step * 7 % 600).to_string(), (step * 3 % 400).to_string());
            ["windowmove".to_owned(), scene.terminal.clone(), x, y]
        })
        .collect();
    scene.xdotool(&moves.iter().map(String::as_str).collect::<Vec<_>>())?;
    scene.shows(&[&scene.terminal])?;

    let most = began.elapsed().as_millis() / 100 + 2;
    let reports = scene.regions(since);
    assert!((1..=most as usize).contains(&reports), "{reports} reports, at most {most}");
    Ok(())
}

fn a_restored_machine_reports_anew() -> Result<(), Failed> {
    let scene = Scene::new("seamless-restored", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;
    let saved = scene.rig.host.save();
    let since = scene.rig.host.journal_position();

    scene.rig.host.restore(&saved);

    eventually("the region is reported to the new host", || scene.regions(since) == 1);
    scene.shows(&[&scene.terminal])
}

fn an_x_server_that_comes_back_is_watched_again() -> Result<(), Failed> {
    let mut scene = Scene::new("seamless-gone", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;

    scene.server.kill();
    scene.server.restart()?;
    let _manager = openbox(scene.server.display(), &[])?;
    let _terminal = Program::XTERM.start(scene.server.display(), &["-geometry", "30x8+10+20"])?;
    let terminal = scene.xdotool(&["search", "--sync", "--onlyvisible", "--class", "xterm"])?;

    scene.shows(&[&terminal])
}

fn a_stopped_agent_withdraws_the_capability() -> Result<(), Failed> {
    let mut scene = Scene::new("seamless-stop", "")?;
    scene.rig.host.set_seamless(true);
    scene.shows(&[&scene.terminal])?;

    scene.rig.stop();

    scene.rig.wait_guest("seamless mode is not offered any more", |guest| {
        !guest.capabilities.contains(Capabilities::SEAMLESS)
    });
    Ok(())
}

//! The whole system on a real X server, judged by another client of it.
//!
//! Without an X server to start, every test is shown as ignored, with the reason.

use std::sync::Arc;

use bellhop_desktop::x11::X11;
use bellhop_xserver::{Missing, XServer, outputs_by_xrandr};
use libtest_mimic::Failed;
use support::{Rig, Setup, eventually, lines_of, suite};
use vmmdev::Hint;

const TESTS: [suite::Named; 5] = [
    ("a_wish_becomes_the_x_server_s_screen", a_wish_becomes_the_x_server_s_screen),
    ("monitors_come_and_go", monitors_come_and_go),
    ("an_absurd_wish_leaves_the_screen_alone", an_absurd_wish_leaves_the_screen_alone),
    (
        "an_x_server_that_is_not_there_yet_is_used_when_it_is",
        an_x_server_that_is_not_there_yet_is_used_when_it_is,
    ),
    (
        "an_x_server_that_goes_away_and_comes_back_is_used_again",
        an_x_server_that_goes_away_and_comes_back_is_used_again,
    ),
];

fn main() {
    let lacking = XServer::dummy().and_then(|server| outputs_by_xrandr(server.display())).err();
    let lacking: Option<Missing> = lacking.and_then(|error| error.missing().cloned());
    suite::run(&TESTS, lacking.as_ref(), None)
}

fn rig(name: &str, server: &XServer) -> Rig {
    let desktop = Arc::new(X11::new(Some(server.display())));
    Setup::new().rig().display(name).outputs(desktop).start()
}

/// Waits until xrandr sees exactly these outputs that are on.
fn sees(server: &XServer, wanted: &[&str]) -> Result<(), Failed> {
    let mut last = Ok(Vec::new());
    eventually(&format!("xrandr sees {wanted:?}"), || {
        last = outputs_by_xrandr(server.display()).map(|seen| seen.on());
        matches!(&last, Ok(on) if on == wanted)
    });
    Ok(())
}

fn a_wish_becomes_the_x_server_s_screen() -> Result<(), Failed> {
    let server = XServer::dummy()?;
    let rig = rig("x11-wish", &server);

    rig.host.set_video_mode_hint(Hint::new(0, 1281, 801))?;

    sees(&server, &["DUMMY0 1281x801+0+0 primary"])?;
    rig.wait_guest("the place is reported", |guest| guest.monitor_positions == [(0, 0)]);
    Ok(())
}

fn monitors_come_and_go() -> Result<(), Failed> {
    let server = XServer::dummy()?;
    let rig = rig("x11-monitors", &server);

    rig.host
        .set_video_mode_hints(&[Hint::new(0, 1366, 777).at(0, 0), Hint::new(1, 1024, 768).at(1366, 0)])?;
    sees(&server, &["DUMMY0 1366x777+0+0 primary", "DUMMY1 1024x768+1366+0"])?;
    rig.host.set_video_mode_hint(Hint::off(1))?;

    sees(&server, &["DUMMY0 1366x777+0+0 primary"])?;
    eventually("the screen shrank", || {
        outputs_by_xrandr(server.display()).is_ok_and(|seen| seen.screen == (1366, 777))
    });
    Ok(())
}

fn an_absurd_wish_leaves_the_screen_alone() -> Result<(), Failed> {
    let server = XServer::dummy()?;
    let rig = rig("x11-absurd", &server);
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800))?;
    sees(&server, &["DUMMY0 1280x800+0+0 primary"])?;

    rig.host.set_video_mode_hint(Hint::new(0, 1 << 31, 800))?;

    eventually("a line that says so", || {
        lines_of("x11-absurd").iter().any(|line| line.contains("2147483648x800 is larger"))
    });
    sees(&server, &["DUMMY0 1280x800+0+0 primary"])
}

fn an_x_server_that_is_not_there_yet_is_used_when_it_is() -> Result<(), Failed> {
    let mut server = XServer::dummy()?;
    server.kill();
    let rig = rig("x11-late", &server);
    assert_eq!(rig.running(), (1, 1));

    server.restart()?;
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800))?;

    sees(&server, &["DUMMY0 1280x800+0+0 primary"])
}

fn an_x_server_that_goes_away_and_comes_back_is_used_again() -> Result<(), Failed> {
    let mut server = XServer::dummy()?;
    let rig = rig("x11-gone", &server);
    rig.host.set_video_mode_hint(Hint::new(0, 1280, 800))?;
    sees(&server, &["DUMMY0 1280x800+0+0 primary"])?;

    server.kill();
    rig.host.set_video_mode_hint(Hint::new(0, 1300, 810))?;
    eventually("a line that says what happened", || {
        lines_of("x11-gone").iter().any(|line| line.contains("Handler returned"))
    });
    server.restart()?;
    rig.host.set_video_mode_hint(Hint::new(0, 1310, 820))?;

    sees(&server, &["DUMMY0 1310x820+0+0 primary"])
}

//! What a window's move costs in seamless mode: from the request of who moves it to the host's region.
//!
//! Beside it stands how long another program of the desktop takes to be told of the same move, which is what
//! the X server and the window manager have to themselves. The plugin's pace is set to its fastest, and each
//! move begins when there was quiet for longer, so that what is measured is no pause.

mod measure;

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::X11Windows;
use bellhop_xserver::{Program, XServer, openbox};
use measure::{Outcome, median};
use serde_json::{Value, json};
use support::{PATIENCE, Rig, Setup};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, EventMask, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;

const NEEDED: [Program; 3] = [Program::of("Xvfb", "xvfb"), Program::OPENBOX, Program::XPROP];

/// How long there is quiet before a move; the fastest pace is a report a millisecond.
const QUIET: Duration = Duration::from_millis(10);

fn main() -> Outcome<()> {
    measure::main("seamless", &NEEDED, |quick| {
        let moves = if quick { 100 } else { 500 };
        Ok(json!({ "bare": moved(false, moves)?, "managed": moved(true, moves)? }))
    })
}

/// A window on a screen, and an agent in seamless mode.
struct Scene {
    rig: Rig,
    x: RustConnection,
    root: Window,
    window: Window,
    place: i32,
}

/// Measures moves, with a window manager or without.
fn moved(managed: bool, moves: usize) -> Outcome<Value> {
    let server = XServer::virtual_framebuffer(1920, 1080)?;
    let _manager = if managed { Some(openbox(server.display(), &[])?) } else { None };
    let mut scene = Scene::new(&server, if managed { "seamless-managed" } else { "seamless-bare" })?;
    let region = median(moves, || scene.move_until_the_region())?;
    let other = scene.another_client(&server)?;
    let client = median(moves, || scene.move_until_another_client(&other))?;
    Ok(json!({ "region": region, "client": client }))
}

impl Scene {
    fn new(server: &XServer, name: &str) -> Outcome<Self> {
        let (x, screen) = x11rb::connect(Some(server.display()))?;
        let root = x.setup().roots.get(screen).ok_or("no screen")?.root;
        let window = x.generate_id()?;
        let class = WindowClass::INPUT_OUTPUT;
        x.create_window(0, window, root, 50, 60, 400, 300, 0, class, 0, &CreateWindowAux::new())?.check()?;
        x.map_window(window)?.check()?;
        let desktop =
            Desktop { windows: Arc::new(X11Windows::new(Some(server.display()))), ..Desktop::headless(1) };
        let rig =
            Setup::new().rig().desktop(desktop).reference("seamless", name, "config.rate = 1000").start();
        rig.host.set_seamless(true);
        rig.wait_guest("the window is in the region", |guest| {
            guest.visible_region.as_ref().is_some_and(|region| !region.is_empty())
        });
        Ok(Self { rig, x, root, window, place: 0 })
    }

    /// Moves the window somewhere else, once nothing else is under way.
    fn move_on(&mut self) -> Outcome<Instant> {
        self.place = (self.place + 7) % 700;
        let aux = ConfigureWindowAux::new().x(100 + self.place).y(80 + self.place / 2);
        let began = Instant::now();
        self.x.configure_window(self.window, &aux)?;
        self.x.flush()?;
        Ok(began)
    }

    fn move_until_the_region(&mut self) -> Outcome<Duration> {
        sleep(QUIET);
        let before = self.rig.host.guest().visible_region;
        let began = self.move_on()?;
        self.rig.host.wait_guest(PATIENCE, |guest| guest.visible_region != before)?;
        Ok(began.elapsed())
    }

    /// A client that is told of moves.
    fn another_client(&self, server: &XServer) -> Outcome<RustConnection> {
        let (other, _) = x11rb::connect(Some(server.display()))?;
        let events = ChangeWindowAttributesAux::new().event_mask(EventMask::SUBSTRUCTURE_NOTIFY);
        other.change_window_attributes(self.root, &events)?.check()?;
        Ok(other)
    }

    fn move_until_another_client(&mut self, other: &RustConnection) -> Outcome<Duration> {
        sleep(QUIET);
        while other.poll_for_event()?.is_some() {}
        let began = self.move_on()?;
        while !matches!(other.wait_for_event()?, Event::ConfigureNotify(_)) {}
        Ok(began.elapsed())
    }
}

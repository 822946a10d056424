//! A host that errs, lies, floods and resets as it likes: no thread of the agent panics, none runs on, and
//! once the host behaves the last state is the right one.
//!
//! All three first-party plugins run, on an X server with a window where there is one, and headless.

mod panics;
mod schedule;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::{X11Clipboards, X11Windows};
use bellhop_xserver::{Missing, Program, XServer};
use driver_core::wire::RequestType;
use driver_core::wire::shared_clipboard::{Formats, Function};
use libtest_mimic::Failed;
use schedule::Schedule;
use support::{Rig, Setup, eventually, lines_of, says, suite};
use vmmdev::{Fault, HgcmFault, HgcmService, Hint, Times, content};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;

const HEADLESS: [suite::Named; 5] = [
    ("seeds_that_failed_once_are_survived", seeds_that_failed_once),
    ("a_host_at_random_is_survived", a_host_at_random),
    ("a_flood_of_events_is_a_latch", a_flood_of_events),
    ("an_acknowledgement_that_fails_for_ever_is_tried_at_a_slow_pace", acknowledgements_that_fail),
    ("messages_of_unknown_kind_for_ever_are_heard_at_a_slow_pace", messages_of_unknown_kind),
];

const ON_X11: [suite::Named; 2] = [
    ("seeds_that_failed_once_are_survived_on_x11", seeds_that_failed_once_on_x11),
    ("a_host_at_random_is_survived_on_x11", a_host_at_random_on_x11),
];

/// Schedules that something was found by, headless.
const FAILED_ONCE: [u64; 3] = [1, 3, 12];

/// Schedules that something was found by, on an X server.
const FAILED_ONCE_ON_X11: [u64; 1] = [1];

/// How many things happen in a schedule.
const STEPS: u32 = 300;

/// How long the agent may take to recover: it connects anew at a pace that slows down.
const RECOVERY: Duration = Duration::from_secs(60);

/// The most requests of a schedule. An agent that tries again without a pause makes more in a second.
const MOST_REQUESTS: u64 = 20_000;

fn main() {
    panics::count();
    let needed = [Program::of("Xvfb", "xvfb"), Program::of("xclip", "xclip")];
    let lacking: Option<Missing> = needed.into_iter().find_map(|program| program.find().err());
    let mut arguments = libtest_mimic::Arguments::from_args();
    // One after the other, so that a panic is its own schedule's.
    arguments.test_threads = Some(1);
    let trials = suite::trials(&HEADLESS, None).into_iter().chain(suite::trials(&ON_X11, lacking.as_ref()));
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn seeds() -> Vec<u64> {
    // Others are tried with BELLHOP_SEEDS=FIRST..END.
    let given = std::env::var("BELLHOP_SEEDS").ok();
    let range = given.as_deref().and_then(|range| range.split_once("..")).unwrap_or(("20", "23"));
    let number = |text: &str| text.parse().expect("a number");
    (number(range.0)..number(range.1)).collect()
}

fn seeds_that_failed_once() -> Result<(), Failed> {
    FAILED_ONCE.into_iter().try_for_each(headless)
}

fn a_host_at_random() -> Result<(), Failed> {
    seeds().into_iter().try_for_each(headless)
}

fn seeds_that_failed_once_on_x11() -> Result<(), Failed> {
    FAILED_ONCE_ON_X11.into_iter().try_for_each(on_x11)
}

fn a_host_at_random_on_x11() -> Result<(), Failed> {
    seeds().into_iter().try_for_each(on_x11)
}

/// An agent with all three plugins.
fn rig(name: &str, desktop: Desktop) -> Rig {
    Setup::new()
        .rig()
        .desktop(desktop)
        .display(&format!("{name}-display"))
        .reference("seamless", &format!("{name}-seamless"), "")
        .reference("clipboard", &format!("{name}-clipboard"), "")
        .start()
}

fn headless(seed: u64) -> Result<(), Failed> {
    let rig = rig(&format!("host-{seed}"), Desktop::headless(4));
    torment(&rig, seed)?;
    // What cannot be had on this desktop has given up; the display has not.
    recovers(&rig, seed);
    panics::none(seed)
}

fn on_x11(seed: u64) -> Result<(), Failed> {
    let server = XServer::virtual_framebuffer(800, 600)?;
    let window = Window::new(&server)?;
    let desktop = Desktop {
        windows: Arc::new(X11Windows::new(Some(server.display()))),
        clipboards: Arc::new(X11Clipboards::new(Some(server.display()))),
        ..Desktop::headless(4)
    };
    let rig = rig(&format!("host-x11-{seed}"), desktop);
    torment(&rig, seed)?;
    recovers(&rig, seed);

    rig.host.set_seamless(false);
    rig.host.set_seamless(true);
    window.stands_at(300, 200)?;
    within_recovery(&rig, seed, "the host is shown the window", || {
        let shown = rig.host.guest().visible_region.unwrap_or_default();
        shown.iter().any(|part| (part.left, part.top, part.right, part.bottom) == (300, 200, 400, 280))
    });

    let text = format!("the host's last word {seed}");
    rig.host.clipboard_put([(Formats::TEXT, content::text(&text))])?;
    within_recovery(&rig, seed, "the last word is pasted", || {
        let pasted = Program::of("xclip", "xclip")
            .run(server.display(), &["-o", "-selection", "clipboard", "-t", "UTF8_STRING"]);
        pasted.is_ok_and(|pasted| pasted == text)
    });
    panics::none(seed)
}

/// Lets the host misbehave, and sees to it that the agent does not do so as well.
fn torment(rig: &Rig, seed: u64) -> Result<(), Failed> {
    let since = rig.host.journal_position();
    let mut schedule = Schedule::new(seed);
    for _ in 0..STEPS {
        schedule.step(&rig.host);
    }
    schedule.end(&rig.host);
    let requests = rig.host.journal_position() - since;
    println!("seed {seed}: {requests} requests");
    match requests {
        0..=MOST_REQUESTS => Ok(()),
        _ => Err(format!("Seed {seed}: the agent made {requests} requests in {STEPS} steps").into()),
    }
}

/// The host behaves, and asks for a size: it gets it.
fn recovers(rig: &Rig, seed: u64) {
    rig.host.set_video_mode_hint(Hint::new(0, 1234, 765).at(0, 0)).expect("display 0 exists");
    within_recovery(rig, seed, "the display has the last size", || {
        let outputs = rig.desktop.outputs.enumerate().unwrap_or_default();
        let first = outputs.first().and_then(|output| output.area);
        first.is_some_and(|area| (area.width, area.height) == (1234, 765))
    });
    within_recovery(rig, seed, "the host knows of the guest", || rig.host.guest().info.is_some());
}

fn within_recovery(rig: &Rig, seed: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + RECOVERY;
    while !condition() {
        assert!(
            Instant::now() < end,
            "Seed {seed}, not within {RECOVERY:?}: {what}. The agent says {:#?}, of plugins {:#?}",
            lines_of(""),
            rig.names.iter().map(|name| (name, lines_of(name))).collect::<Vec<_>>()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A window of another program.
struct Window {
    x: RustConnection,
    id: u32,
}

impl Window {
    fn new(server: &XServer) -> Result<Self, Failed> {
        let (x, screen) = x11rb::connect(Some(server.display()))?;
        let root = x.setup().roots[screen].root;
        let id = x.generate_id()?;
        let look = CreateWindowAux::new().override_redirect(1);
        x.create_window(0, id, root, 10, 10, 100, 80, 0, WindowClass::INPUT_OUTPUT, 0, &look)?;
        x.map_window(id)?;
        x.flush()?;
        Ok(Self { x, id })
    }

    fn stands_at(&self, left: i32, top: i32) -> Result<(), Failed> {
        self.x.configure_window(self.id, &ConfigureWindowAux::new().x(left).y(top))?;
        Ok(self.x.flush()?)
    }
}

fn a_flood_of_events() -> Result<(), Failed> {
    let rig = Rig::with_display("host-flood");
    let since = rig.host.journal_position();
    let began = Instant::now();

    // 100,000 a second, for a second.
    for number in 0..100_000_u32 {
        rig.host.force_events(1 << (number % 32));
        while began.elapsed() < Duration::from_micros(10) * number {
            std::hint::spin_loop();
        }
    }
    rig.follows(1001);

    // An interrupt each is acknowledged by one request each at the most, and the plugin asks for none of
    // the bits but two.
    let requests = rig.host.journal_position() - since;
    println!("{requests} requests");
    if requests > 120_000 {
        return Err(format!("{requests} requests for 100,000 events").into());
    }
    panics::none(0)
}

fn acknowledgements_that_fail() -> Result<(), Failed> {
    let faults = [Fault::Fail(driver_core::wire::Status::NO_MEMORY), Fault::Ignore];
    for (name, fault) in ["host-ack-fails", "host-ack-silent"].into_iter().zip(faults) {
        let rig = Rig::with_display(name);
        let since = rig.host.journal_position();
        rig.host.inject(RequestType::ACKNOWLEDGE_EVENTS, fault, Times::Always);

        rig.host.set_video_mode_hint(Hint::new(0, 1001, 700))?;
        std::thread::sleep(Duration::from_millis(500));

        let requests = rig.host.journal_position() - since;
        println!("{requests} requests");
        if requests > 1000 {
            return Err(format!("{requests} requests in half a second").into());
        }
        rig.host.clear_faults();
        eventually("the output has the width", || {
            let outputs = rig.desktop.outputs.enumerate().unwrap_or_default();
            outputs[0].area.is_some_and(|area| area.width == 1001)
        });
        rig.follows(1002);
    }
    panics::none(0)
}

fn messages_of_unknown_kind() -> Result<(), Failed> {
    let server = XServer::virtual_framebuffer(320, 200);
    // Without an X server there is no clipboard to be had.
    let Ok(server) = server else { return Ok(()) };
    let desktop =
        Desktop { clipboards: Arc::new(X11Clipboards::new(Some(server.display()))), ..Desktop::headless(1) };
    let rig = Setup::new().rig().desktop(desktop).reference("clipboard", "host-babbles", "").start();
    let calls = RequestType::HGCM_CALL_64;
    for function in [Function::MESSAGE_PEEK_WAIT, Function::MESSAGE_PEEK_NO_WAIT] {
        let function = Some((HgcmService::Clipboard, function.0));
        let fault = Fault::Hgcm { function, fault: HgcmFault::Babble(999) };
        rig.host.inject(calls, fault, Times::Always);
    }
    // It begins anew, and hears of nothing else any more.
    rig.host.drop_service(HgcmService::Clipboard);
    says("host-babbles", "which is tried again");
    let since = rig.host.journal_position();
    std::thread::sleep(Duration::from_secs(3));

    let requests = rig.host.journal_position() - since;
    println!("{requests} requests");
    if requests > 3000 {
        return Err(format!("{requests} requests in three seconds").into());
    }
    rig.host.clear_faults();
    rig.host.clipboard_put([(Formats::TEXT, content::text("sense"))])?;
    within_recovery(&rig, 0, "sense is heard", || {
        let pasted = Program::of("xclip", "xclip")
            .run(server.display(), &["-o", "-selection", "clipboard", "-t", "UTF8_STRING"]);
        pasted.is_ok_and(|pasted| pasted == "sense")
    });
    panics::none(0)
}

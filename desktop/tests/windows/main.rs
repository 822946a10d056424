//! What is told of the windows of a real X server, judged by what `xwininfo` says of them.
//!
//! Each test has an X server of its own. Where a program is missing, the tests that need it are shown as
//! ignored, with the reason.
//!
//! | file | is |
//! |---|---|
//! | `told` | what is told of a window, and which windows are told |
//! | `stack` | which window is above which, whatever clients do |
//! | `life` | a watch from its beginning to its end: idle, flooded, without a server |
//! | `with_programs` | what a window manager and its clients do |
//! | `watch` | a watch, and waiting for what it brings |
//! | `painter` | a client that makes windows |
//! | `look` | the same windows by `xwininfo` and others |

mod life;
mod look;
mod painter;
mod stack;
mod told;
mod watch;
mod with_programs;

use std::fmt::{Debug, Display};
use std::time::{Duration, Instant};

use bellhop_xserver::{Missing, Program, XServer};
use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn() -> Result<(), Failed>;

/// How long something may take that takes a few milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() {
    let arguments = Arguments::from_args();
    let xvfb = lacking(|| XServer::virtual_framebuffer(64, 64), &[Program::XWININFO]);
    let xorg = lacking(XServer::dummy, &[]);
    let programs = [Program::XTERM, Program::XEYES, Program::OPENBOX, Program::XDOTOOL, Program::XPROP];
    let programs = xvfb.clone().or_else(|| programs.iter().find_map(|program| program.find().err()));
    let suites = [
        (told::TESTS, &xvfb),
        (told::ON_XORG, &xorg),
        (stack::TESTS, &xvfb),
        (life::TESTS, &xvfb),
        (life::ANYWHERE, &None),
        (with_programs::TESTS, &programs),
    ];
    let trials = suites.into_iter().flat_map(|(tests, lacking)| suite(tests, lacking.as_ref())).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// What this machine lacks to start such a server, or of these programs.
fn lacking(
    start: impl FnOnce() -> Result<XServer, bellhop_xserver::Error>,
    programs: &[Program],
) -> Option<Missing> {
    let server = start().err().and_then(|error| error.missing().cloned());
    server.or_else(|| programs.iter().find_map(|program| program.find().err()))
}

fn suite(tests: &[(&str, Test)], lacking: Option<&Missing>) -> Vec<Trial> {
    let trial = |&(name, test): &(&str, Test)| {
        if let Some(missing) = lacking {
            eprintln!("SKIPPED {name}: {missing}");
        }
        Trial::test(name, test).with_ignored_flag(lacking.is_some())
    };
    tests.iter().map(trial).collect()
}

/// Tries something until it gives something.
fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Result<Option<T>, Failed>) -> Result<T, Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = attempt()? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            return Err(format!("no sign of {what}").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn same<T: PartialEq<U> + Debug, U: Debug>(found: T, expected: U) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(wrong(found, format!("{expected:?}"))) }
}

fn wrong(found: impl Debug, expected: impl Display) -> Failed {
    format!("found {found:?}, expected {expected}").into()
}

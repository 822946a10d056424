//! The clipboard of a real X server, used together with programs that are not ours, and with clients that
//! do all the wrong things.
//!
//! Each test has an X server of its own. Where something is not installed, the tests are shown as
//! ignored, with the reason.

mod desk;
mod hostile_askers;
mod hostile_owners;
mod life;
mod peer;
mod programs;
mod throughput;
mod with_programs;

use std::fmt::Debug;

use bellhop_desktop::Error;
use bellhop_xserver::{Missing, XServer};
use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn() -> Result<(), Failed>;

fn main() {
    let mut arguments = Arguments::from_args();
    // They wait most of the time.
    arguments.test_threads.get_or_insert(8);
    let lacking = lacking();
    let suites =
        [with_programs::TESTS, hostile_owners::TESTS, hostile_askers::TESTS, life::TESTS, throughput::TESTS];
    let trial = |&(name, test): &(&str, Test)| {
        if let Some(missing) = &lacking {
            eprintln!("SKIPPED {name}: {missing}");
        }
        Trial::test(name, test).with_ignored_flag(lacking.is_some())
    };
    let trials = suites.into_iter().flatten().map(trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// What this machine lacks.
fn lacking() -> Option<Missing> {
    let server = XServer::virtual_framebuffer(64, 64);
    server.err().and_then(|error| error.missing().cloned()).or_else(programs::missing)
}

fn same<T: PartialEq + Debug>(found: T, expected: T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}").into()) }
}

/// Like [`same`], for what is too long to be shown.
fn same_bytes(found: &[u8], expected: &[u8]) -> Result<(), Failed> {
    if found == expected {
        return Ok(());
    }
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected);
    Err(format!("{} bytes instead of {}; the first wrong one: {at:?}", found.len(), expected.len()).into())
}

/// Whether a read failed as it should.
fn failed(outcome: Result<Vec<u8>, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Failed(text)) if text.contains(told) => Ok(()),
        other => Err(format!("found {:?}, expected a failure, with '{told}'", brief(other)).into()),
    }
}

fn busy(outcome: Result<Vec<u8>, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Busy(text)) if text.contains(told) => Ok(()),
        other => Err(format!("found {:?}, expected busy, with '{told}'", brief(other)).into()),
    }
}

fn invalid(outcome: Result<Vec<u8>, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Invalid(text)) if text.contains(told) => Ok(()),
        other => Err(format!("found {:?}, expected invalid, with '{told}'", brief(other)).into()),
    }
}

fn brief(outcome: Result<Vec<u8>, Error>) -> Result<usize, Error> {
    outcome.map(|content| content.len())
}

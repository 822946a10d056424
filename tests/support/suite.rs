//! Tests that need programs of the machine's: run, or shown as ignored with the reason.

use bellhop_xserver::Missing;
use libtest_mimic::{Arguments, Failed, Trial};

/// A test, by the name that it is shown with.
pub type Named = (&'static str, fn() -> Result<(), Failed>);

/// Runs the tests and ends the process. What is lacking keeps all of them from running; `threads` of
/// `None` is as many as the machine has processors.
pub fn run(tests: &[Named], lacking: Option<&Missing>, threads: Option<usize>) -> ! {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = threads.or(arguments.test_threads);
    libtest_mimic::run(&arguments, trials(tests, lacking)).exit()
}

/// The tests, to be run with others.
#[must_use]
pub fn trials(tests: &[Named], lacking: Option<&Missing>) -> Vec<Trial> {
    let trial = |(name, test): &Named| {
        if let Some(missing) = lacking {
            eprintln!("SKIPPED {name}: {missing}");
        }
        Trial::test(*name, *test).with_ignored_flag(lacking.is_some())
    };
    tests.iter().map(trial).collect()
}

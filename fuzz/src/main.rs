//! Runs targets for as long as one likes: `fuzz [--minutes N] [--seed N] [TARGET]…`.
//!
//! An input by which something was found is left in the target's corpus: by a panic, or by taking long. One
//! that ends the process is found again by its seed.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bellhop_fuzz::{Mutator, TARGETS, Target, target};

/// An input must be done within this. Those here take microseconds.
const SLOW: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let (mut minutes, mut seed, mut targets) = (1.0, 1, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|number| number.parse::<f64>().ok());
        match (argument.as_str(), target(&argument)) {
            ("--minutes", _) => minutes = number().unwrap_or(minutes),
            ("--seed", _) => seed = number().unwrap_or(1.0) as u64,
            (_, Some(target)) => targets.push(target),
            _ => {
                eprintln!("No target is called {argument:?}; there are:");
                TARGETS.iter().for_each(|target| eprintln!("  {:<12} {}", target.name, target.about));
                return ExitCode::from(2);
            }
        }
    }
    if targets.is_empty() {
        targets.extend(&TARGETS);
    }
    let time = Duration::from_secs_f64(minutes * 60.0);
    let found: u32 = targets.into_iter().map(|target| run(target, time, seed)).sum();
    if found == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How many inputs were found that a target does not hold against.
fn run(target: &Target, time: Duration, seed: u64) -> u32 {
    let corpus = target.corpus().expect("the corpus can be read");
    let mut mutator = Mutator::new(seed);
    let (began, mut tried, mut found, mut slowest) = (Instant::now(), 0_u64, 0, Duration::ZERO);
    while began.elapsed() < time && found < 10 {
        let input = mutator.make(&corpus);
        let before = Instant::now();
        let outcome = std::panic::catch_unwind(|| (target.run)(&input));
        let took = before.elapsed();
        (tried, slowest) = (tried + 1, slowest.max(took));
        if outcome.is_err() || took > SLOW {
            found += 1;
            let file = target.folder().join(format!("found-{seed}-{tried}"));
            let kept = std::fs::create_dir_all(target.folder()).and_then(|()| std::fs::write(&file, &input));
            println!("{}: {} took {took:?} ({kept:?})", target.name, file.display());
        }
    }
    println!(
        "{:<12} {tried} inputs in {:.0} s, of which the slowest took {slowest:?}; {found} found",
        target.name,
        began.elapsed().as_secs_f64()
    );
    found
}

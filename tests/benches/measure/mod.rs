//! What the benchmarks of the plugins share: times, the memory of this process, and where figures go.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

pub mod programs;

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use bellhop_xserver::{Missing, Program};
use serde_json::Value;

/// What a measurement comes to.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Runs a benchmark, and leaves its figures where `BELLHOP_FIGURES` says, as `NAME.json` in that folder, or
/// else on standard output. Without the programs for it, it says so, and there are none.
pub fn main(name: &str, needed: &[Program], measure: impl FnOnce(bool) -> Outcome<Value>) -> Outcome<()> {
    if let Some(missing) = lacking(needed) {
        eprintln!("SKIPPED {name}: {missing}");
        return Ok(());
    }
    let quick = env::args().any(|argument| argument == "--quick");
    let figures = format!("{:#}", measure(quick)?);
    match env::var_os("BELLHOP_FIGURES") {
        Some(folder) => fs::write(PathBuf::from(folder).join(name).with_extension("json"), figures)?,
        None => println!("{figures}"),
    }
    Ok(())
}

fn lacking(needed: &[Program]) -> Option<Missing> {
    needed.iter().find_map(|program| program.find().err())
}

/// Measures several times, and gives the time in the middle, in seconds; of an even number, the upper one.
pub fn median(times: usize, mut once: impl FnMut() -> Outcome<Duration>) -> Outcome<f64> {
    let mut measured: Vec<Duration> = (0..times).map(|_| once()).collect::<Outcome<_>>()?;
    measured.sort();
    Ok(measured.get(times / 2).ok_or("nothing was measured")?.as_secs_f64())
}

/// How long something takes.
pub fn timed<T>(what: impl FnOnce() -> Outcome<T>) -> Outcome<(Duration, T)> {
    let began = Instant::now();
    let done = what()?;
    Ok((began.elapsed(), done))
}

/// Memory that is resident, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Resident {
    /// Now.
    pub now: u64,
    /// The most since [`forget_peak`].
    pub peak: u64,
}

/// What this process has in memory.
pub fn resident() -> Outcome<Resident> {
    let status = fs::read_to_string("/proc/self/status")?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| format!("The kernel names no {name}"))
    };
    Ok(Resident { now: bytes("VmRSS:")?, peak: bytes("VmHWM:")? })
}

/// Lets the peak of what is resident begin anew.
pub fn forget_peak() -> Outcome<()> {
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

//! What the display plugin's work takes beside a hostile plugin: from the host's wish to the guest's
//! report, which is two requests and a layout later.
//!
//! A neighbour that uses a processor holds up whoever is on the same one, in a sandbox or not. What that
//! alone costs is measured beside a thread that does nothing else.

mod measure;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driver_core::requests;
use driver_core::wire::{RequestType, Status};
use measure::Outcome;
use serde_json::{Map, Value, json};
use support::fixtures::{Fixture, ok, subscribe};
use support::{PATIENCE, Rig, Setup};
use vmmdev::Hint;

/// So many wishes are followed beside one incarnation of everything. A plugin that is at fault all the time
/// is given up after a while, so that there have to be several.
const WISHES: u32 = 100;

/// Between two wishes, so that they come at any time of the neighbour's.
const PAUSE: Duration = Duration::from_millis(3);

const TIMERS: &str = "bellhop:guest/timers@0.1.0";

/// Does this in every call, and has itself called at once.
fn busy(interface: &'static str, function: &'static str, signature: &'static str, call: &str) -> Fixture {
    let set = "(call $set-timer (i64.const 0) (i32.const 2048))";
    Fixture::default()
        .exporting(&["lifecycle", "timer-events"])
        .importing(TIMERS, "set", "(param i64 i32)", "set-timer")
        .importing(interface, function, signature, function)
        .init(format!("{set} {}", subscribe(0, 0)))
        .body("on-timer", format!("{set} {call} {}", ok()))
}

/// The neighbours, by what they do.
fn neighbours() -> [(&'static str, Fixture); 4] {
    let drop = "(param i64)";
    let write = "(call $write (i32.const 2) (i32.const 16) (i32.const 13))";
    [
        ("loops", busy("bellhop:guest/buffers@0.1.0", "drop", drop, "(loop $again (br $again))")),
        (
            "storms",
            busy(
                "bellhop:guest/buffers@0.1.0",
                "drop",
                drop,
                "(loop $again (call $drop (i64.const 7)) (br $again))",
            ),
        ),
        (
            "floods",
            busy(
                "bellhop:guest/log@0.1.0",
                "write",
                "(param i32 i32 i32)",
                &format!("(loop $again {write} (br $again))"),
            ),
        ),
        // Never at fault, and so never stopped.
        ("nags", busy("bellhop:guest/buffers@0.1.0", "drop", drop, "")),
    ]
}

/// How long each of some wishes took, in seconds.
fn follow(rig: &Rig) -> Outcome<Vec<f64>> {
    let session = rig.device.session();
    // The device's clock by ours: what it says of a request that was made just now.
    let mut ahead = f64::MAX;
    let began = Instant::now();
    for _ in 0..100 {
        let since = rig.host.journal_position();
        requests::session_id(&session)?;
        let after = began.elapsed().as_secs_f64();
        let seen = rig
            .host
            .wait_request(since, PATIENCE, |seen| seen.request_type == RequestType::GET_SESSION_ID)?;
        ahead = ahead.min(after - seen.at.as_secs_f64());
    }
    let mut times = Vec::new();
    for wish in 0..WISHES {
        std::thread::sleep(PAUSE);
        let since = rig.host.journal_position();
        let asked = began.elapsed().as_secs_f64();
        rig.host.set_video_mode_hint(Hint::new(0, 1000 + wish % 2, 700))?;
        let seen = rig.host.wait_request(since, PATIENCE, |seen| {
            seen.request_type == RequestType::VIDEO_UPDATE_MONITOR_POSITIONS
                && seen.status == Some(Status::SUCCESS)
        })?;
        times.push((seen.at.as_secs_f64() + ahead - asked).max(0.0));
    }
    Ok(times)
}

/// The same beside a thread that is busy with nothing.
fn follow_beside_thread(rig: &Rig) -> Outcome<Vec<f64>> {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        let times = follow(rig);
        done.store(true, Ordering::Relaxed);
        times
    })
}

/// The one in the middle, and the one that a hundredth is above.
fn told(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get((times.len() as f64 * part) as usize).copied().unwrap_or_default();
    json!({ "median": at(0.5), "p99": at(0.99) })
}

fn measure(quick: bool) -> Outcome<Value> {
    let rounds = if quick { 5 } else { 20 };
    let neighbours = neighbours();
    let mut times = vec![Vec::new(); neighbours.len() + 2];
    // In turn, so that whatever else the machine does falls on all of them.
    for round in 0..rounds {
        let alone = Setup::new().rig().display(&format!("alone-{round}")).start();
        times[0].extend(follow(&alone)?);
        times[1].extend(follow_beside_thread(&alone)?);
        for (index, (name, fixture)) in neighbours.iter().enumerate() {
            let name = format!("{name}-{round}");
            let rig =
                Setup::new().rig().plugin(&name, &fixture.component(), "").display(&format!("{name}-it"));
            times[index + 2].extend(follow(&rig.start())?);
        }
    }
    let names = ["alone", "thread"].into_iter().chain(neighbours.iter().map(|(name, _)| *name));
    Ok(Value::Object(names.map(str::to_owned).zip(times.into_iter().map(told)).collect::<Map<_, _>>()))
}

fn main() -> Outcome<()> {
    measure::main("neighbours", &[], measure)
}

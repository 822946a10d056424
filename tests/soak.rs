//! A long life, shortened: events, restarts, reloads, faults and X servers that end, over all plugins, and at
//! the end of it the process takes no more than near its beginning, and every last state is right.
//!
//! `BELLHOP_SOAK=EVENTS` says how many events there are; `cargo xtask soak` does.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::{X11Clipboards, X11Windows};
use bellhop_xserver::{Missing, Program, XServer};
use driver_core::wire::shared_clipboard::Formats;
use driver_core::wire::{RequestType, Status};
use libtest_mimic::Failed;
use support::fixtures::{Fixture, fail};
use support::numbers::Numbers;
use support::process::Process;
use support::{Rig, Setup, suite};
use vmmdev::{Fault, HgcmFault, HgcmService, Hint, Host, Times, content};

const TESTS: [suite::Named; 1] = [("a_long_life_takes_no_more_than_a_short_one", a_long_life)];

/// So many events, unless there are to be others.
const EVENTS: u64 = 20_000;

/// So many parts of a life: the agent is started anew for each, and its X server now and then.
const PARTS: u64 = 20;

/// So many events are between two reloads, which take place while events go on.
const RELOADS: u64 = 250;

/// What a reload changes, or changes back: a plugin's configuration, its authority, whether it is there; the
/// last of them is wrong, and changes nothing.
const CHANGES: [(&str, &str); 6] = [
    ("rate = 60", "rate = 30"),
    ("round-width-to = 1", "round-width-to = 8"),
    ("direction = \"both\"", "direction = \"guest-to-host\""),
    ("enabled = true", "enabled = false"),
    ("events = [\"restored\", \"vrdp\"]", "events = [\"restored\"]"),
    ("cache = ", "limits.timers = 5000\ncache = "),
];

/// How long the last states may take.
const SETTLES: Duration = Duration::from_secs(60);

const XCLIP: Program = Program::of("xclip", "xclip");

fn main() {
    let lacking: Option<Missing> =
        [Program::of("Xvfb", "xvfb"), XCLIP].into_iter().find_map(|program| program.find().err());
    suite::run(&TESTS, lacking.as_ref(), Some(1))
}

fn a_long_life() -> Result<(), Failed> {
    let events = std::env::var("BELLHOP_SOAK").ok().and_then(|events| events.parse().ok()).unwrap_or(EVENTS);
    let mut server = XServer::virtual_framebuffer(800, 600)?;
    let mut numbers = Numbers(5);
    let mut early = None;
    let began = Instant::now();
    for part in 0..PARTS {
        life(&mut server, part, events / PARTS, &mut numbers)?;
        let now = Process::now();
        println!("{} events, {:.1?}: {now:?}", (part + 1) * events / PARTS, began.elapsed());
        // What is made once is made in the first tenth.
        if part + 1 == PARTS / 10 {
            early = Some(now);
        }
    }

    let early = early.ok_or("there was no beginning")?;
    // A call that its plugin let go of ends by itself, a while after the agent.
    let end = Instant::now() + SETTLES;
    while Process::now().threads > early.threads && Instant::now() < end {
        thread::sleep(Duration::from_millis(20));
    }
    let late = Process::now();
    let few = late.descriptors <= early.descriptors && late.threads <= early.threads;
    // The C library keeps some of what was freed, more for more threads that it was freed by.
    if few && late.resident < early.resident + (32 << 20) {
        Ok(())
    } else {
        Err(format!("It takes more and more: {early:?} became {late:?}").into())
    }
}

/// One agent's life.
fn life(server: &mut XServer, part: u64, events: u64, numbers: &mut Numbers) -> Result<(), Failed> {
    let rig = rig(server, part);
    let (host, agent_toml) = (&rig.host, rig.agent_toml());
    thread::scope(|scope| {
        let (due, dues) = mpsc::sync_channel(1);
        let mut changes = Numbers(part + 1);
        let (rig, agent_toml) = (&rig, &agent_toml);
        scope.spawn(move || dues.into_iter().for_each(|()| reload(rig, agent_toml, &mut changes)));
        for event in 0..events {
            one(host, numbers);
            // As fast as it goes it would all be one event.
            if event % 64 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            if event % RELOADS == 0 {
                // One that is under way is enough.
                let _ = due.try_send(());
            }
            if event == events / 2 && part % 4 == 3 {
                server.restart()?;
            }
        }
        Ok::<_, Failed>(())
    })?;
    host.clear_faults();
    let reloaded = rig.reload(&agent_toml)?;
    if !reloaded.is_well() {
        return Err(format!("It cannot be what it was: {reloaded:?}").into());
    }
    eventually(&rig, "all plugins run", || rig.running() == (PLUGINS, PLUGINS))?;
    // A host that is itself again tells so by a restore; what was lost to faults is asked for anew.
    host.restore(&host.save());
    last_states(&rig, server, part)
}

/// So many plugins a rig has.
const PLUGINS: usize = 4;

/// All first-party plugins, and one that is at fault now and then.
fn rig(server: &XServer, part: u64) -> Rig {
    let desktop = Desktop {
        windows: Arc::new(X11Windows::new(Some(server.display()))),
        clipboards: Arc::new(X11Clipboards::new(Some(server.display()))),
        ..Desktop::headless(4)
    };
    let body = format!("(if (i32.and (local.get 0) (i32.const 0x100)) (then (unreachable))) {}", fail());
    let trapping = Fixture::subscribing(0x110).on_host_events(body).component();
    let table = r#"grants = { events = ["restored", "vrdp"] }"#;
    Setup::new()
        .rig()
        .desktop(desktop)
        .plugin(&format!("soak-{part}-trapping"), &trapping, table)
        .display(&format!("soak-{part}-display"))
        .reference("seamless", &format!("soak-{part}-seamless"), "")
        .reference("clipboard", &format!("soak-{part}-clipboard"), "")
        .start()
}

/// Has the configuration read with one change. What comes of it is the host's affair, which may be at fault
/// just then.
fn reload(rig: &Rig, agent_toml: &str, numbers: &mut Numbers) {
    let (from, to) = *numbers.pick(&CHANGES);
    assert!(agent_toml.contains(from), "{from} does not stand in {agent_toml}");
    let _ = rig.reload(&agent_toml.replacen(from, to, 1));
}

/// One event of the host's, and sometimes a misdeed.
fn one(host: &Host, numbers: &mut Numbers) {
    match numbers.below(100) {
        0..=39 => {
            let (width, height) = (640 + numbers.below(800) as u32, 480 + numbers.below(600) as u32);
            let _ = host.set_video_mode_hint(Hint::new(0, width, height));
        }
        40..=59 => drop(host.set_seamless(numbers.below(2) == 0)),
        60..=69 => {
            let text = format!("text {}", numbers.draw());
            let _ = host.clipboard_put([(Formats::TEXT, content::text(&text))]);
        }
        70..=79 => host.force_events(1 << numbers.below(11)),
        80..=89 => drop(host.set_property("/Soak/It", &numbers.draw().to_string(), "")),
        90 => host.inject(
            *numbers.pick(&[
                RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI,
                RequestType::GET_SEAMLESS_CHANGE_REQUEST,
                RequestType::VIDEO_SET_VISIBLE_REGION,
                RequestType::ACKNOWLEDGE_EVENTS,
            ]),
            *numbers.pick(&[Fault::Fail(Status::NO_MEMORY), Fault::Ignore, Fault::Rubbish { seed: 1 }]),
            Times::Next(1),
        ),
        91 => {
            let fault = *numbers.pick(&[
                HgcmFault::Answer(Status::NO_MEMORY),
                HgcmFault::Twice,
                HgcmFault::Oversize,
                HgcmFault::Unterminated,
                HgcmFault::Babble(999),
            ]);
            host.inject(RequestType::HGCM_CALL_64, Fault::Hgcm { function: None, fault }, Times::Next(1));
        }
        92 if numbers.below(50) == 0 => host.drop_service(HgcmService::Clipboard),
        93 if numbers.below(50) == 0 => host.reset(),
        94 => host.restore(&host.save()),
        _ => host.raise_stray_interrupt(),
    }
}

/// Whatever was before, the last wish counts.
fn last_states(rig: &Rig, server: &XServer, part: u64) -> Result<(), Failed> {
    let width = 1000 + part as u32;
    rig.host.set_video_mode_hint(Hint::new(0, width, 700).at(0, 0))?;
    eventually(rig, "the display has the last size", || {
        let outputs = rig.desktop.outputs.enumerate().unwrap_or_default();
        outputs.first().and_then(|output| output.area).is_some_and(|area| area.width == width)
    })?;
    rig.host.set_seamless(false);
    rig.host.set_seamless(true);
    eventually(rig, "the host is told what to show", || rig.host.guest().visible_region.is_some())?;
    let text = format!("last {part}");
    rig.host.clipboard_put([(Formats::TEXT, content::text(&text))])?;
    eventually(rig, "the last text is pasted", || {
        let arguments = ["-o", "-selection", "clipboard", "-t", "UTF8_STRING"];
        XCLIP.run(server.display(), &arguments).is_ok_and(|pasted| pasted == text)
    })
}

fn eventually(rig: &Rig, what: &str, mut condition: impl FnMut() -> bool) -> Result<(), Failed> {
    let end = Instant::now() + SETTLES;
    while !condition() {
        if Instant::now() > end {
            let lines: Vec<_> = rig
                .names
                .iter()
                .map(|name| (name, support::lines_of(name).into_iter().rev().take(8).collect::<Vec<_>>()))
                .collect();
            return Err(format!("Not within {SETTLES:?}: {what}. Of plugins it says {lines:#?}").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

//! A watch from its beginning to its end: idle, flooded, without a server.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bellhop_desktop::x11::X11Windows;
use bellhop_desktop::{Error, Windows};
use libtest_mimic::Failed;
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConfigureWindowAux, ConnectionExt as _, PropMode, WindowClass};
use x11rb::wrapper::ConnectionExt as _;

use crate::painter::{Painter, Sketch};
use crate::watch::{News, Watch, watched};
use crate::{PATIENCE, Test, eventually, same, wrong};

/// On any server.
pub const TESTS: &[(&str, Test)] = &[
    ("what_changes_nothing_is_not_told", what_changes_nothing_is_not_told),
    ("an_idle_watch_sleeps", an_idle_watch_sleeps),
    ("a_flood_of_events_keeps_nobody_waiting", a_flood_of_events),
    ("a_move_is_told_soon", a_move_is_told_soon),
    ("watchers_share_one_thread_which_ends_with_the_last", watchers_share_one_thread),
    ("a_killed_server_is_told_and_found_again", a_killed_server),
    ("a_watch_of_a_hung_server_ends_at_once", a_watch_of_a_hung_server),
    ("a_watch_that_waits_for_an_answer_ends_at_once", a_watch_that_waits_for_an_answer),
];

/// Without a server.
pub const ANYWHERE: &[(&str, Test)] = &[("no_server_is_unavailable", no_server_is_unavailable)];

fn what_changes_nothing_is_not_told() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let beyond = painter.create(Sketch::at(-200, 5))?;
    let window = painter.create(Sketch::at(10, 10))?;
    painter.map(&[beyond, window])?;
    watch.until("a window", |view| view.windows.len() == 1)?;
    let told = watch.told();

    for step in 0..50 {
        painter.move_to(beyond, -200 - step, 5)?;
        painter.move_to(window, 10, 10)?;
        let title = format!("title {step}");
        let (name, text) = (painter.atom("WM_NAME")?, painter.atom("STRING")?);
        painter.x.change_property8(PropMode::REPLACE, window, name, text, title.as_bytes())?;
        painter.set_types(window, &["_NET_WM_WINDOW_TYPE_NORMAL"])?;
        let hidden = painter.create(Sketch { class: WindowClass::INPUT_ONLY, ..Sketch::at(0, 0) })?;
        painter.map(&[hidden])?;
        painter.x.destroy_window(hidden)?;
    }
    painter.move_to(window, 11, 10)?;

    watch.until("the move", |view| view.windows.iter().any(|it| it.area.x == 11))?;
    same(watch.told() - told, 1)
}

fn an_idle_watch_sleeps() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    painter.many(10)?;
    watch.until("ten windows", |view| view.windows.len() == 10)?;
    let thread = watch.thread();
    let quiet = || -> Result<u64, Failed> {
        let before = switches(thread)?;
        std::thread::sleep(Duration::from_secs(2));
        Ok(switches(thread)? - before)
    };
    // The last events may still be on their way.
    watch.agrees(&server)?;

    same(quiet()?, 0)?;

    // It is the right thread.
    let before = switches(thread)?;
    painter.many(1)?;
    watch.until("one more", |view| view.windows.len() == 11)?;
    same(switches(thread)? > before, true)
}

fn a_flood_of_events() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch::at(10, 10))?;
    painter.map(&[window])?;
    watch.until("a window", |view| view.windows.len() == 1)?;
    let over = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let over = Arc::clone(&over);
        move || -> Result<Painter, x11rb::errors::ConnectionError> {
            let mut x = 0;
            while !over.load(Ordering::Relaxed) {
                x = (x + 1) % 500;
                painter.x.configure_window(window, &ConfigureWindowAux::new().x(x))?;
            }
            Ok(painter)
        }
    });

    // It is told again and again in the middle of it, and ends in the middle of it.
    let told = watch.told();
    eventually("much told", || Ok((watch.told() > told + 100).then_some(())))?;
    let again = Watch::begin(X11Windows::new(Some(server.display())))?;
    drop(watch);
    over.store(true, Ordering::Relaxed);
    let painter = flood.join().map_err(|_| "the flood panicked")??;
    painter.sync()?;

    again.agrees(&server)?;
    Ok(())
}

fn a_move_is_told_soon() -> Result<(), Failed> {
    const MOVES: u32 = 500;
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let windows = painter.many(50)?;
    watch.until("fifty windows", |view| view.windows.len() == 50)?;
    let mut took = Vec::new();
    for step in 0..MOVES {
        let told = watch.told();
        let begun = Instant::now();
        let x = i32::try_from(step)?;
        painter.x.configure_window(windows[25], &ConfigureWindowAux::new().x(x + 400))?;
        painter.x.flush()?;
        while watch.told() == told {
            same(begun.elapsed() < PATIENCE, true)?;
            std::hint::spin_loop();
        }
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    eprintln!(
        "a move is told within {:?} (median), {:?} (the slowest)",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    watch.agrees(&server)?;
    Ok(())
}

fn watchers_share_one_thread() -> Result<(), Failed> {
    let (server, first) = watched()?;
    let painter = Painter::on(&server)?;
    let second = Arc::new(News::default());
    let guard = first.desktop.watch(second.hear())?;
    let window = painter.create(Sketch::at(10, 10))?;
    painter.map(&[window])?;
    eventually("both told", || Ok((first.told() > 0 && second.told() > 0).then_some(())))?;
    same(Some(first.thread()), second.thread())?;

    drop(guard);
    let told = second.told();
    painter.move_to(window, 20, 20)?;
    painter.sync()?;
    first.until("the move", |view| view.windows.iter().any(|it| it.area.x == 20))?;
    same(second.told(), told)?;

    let thread = first.thread();
    same(switches(thread).is_ok(), true)?;
    drop(first);
    eventually("the thread's end", || Ok(switches(thread).is_err().then_some(())))
}

fn a_killed_server() -> Result<(), Failed> {
    let (mut server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    painter.many(3)?;
    watch.until("three windows", |view| view.windows.len() == 3)?;
    let told = watch.told();

    server.kill();
    eventually("the loss told", || Ok((watch.told() > told).then_some(())))?;
    unavailable(watch.desktop.look(), "went away")?;
    unavailable(X11Windows::new(Some(server.display())).look(), "No X server")?;

    server.restart()?;
    let view = watch.until("an empty screen", |view| view.windows.is_empty())?;
    same((view.width, view.height), (1024, 768))?;
    Painter::on(&server)?.many(2)?;
    // Whoever painted is gone by now, and the windows with him.
    let painter = Painter::on(&server)?;
    painter.many(4)?;
    watch.until("four windows", |view| view.windows.len() == 4)?;
    Ok(())
}

fn a_watch_of_a_hung_server() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    painter.many(1)?;
    watch.until("a window", |view| view.windows.len() == 1)?;
    server.suspend();

    // What is known is told, without asking.
    let view = watch.desktop.look()?;
    let begun = Instant::now();
    drop(watch);
    let took = begun.elapsed();

    server.resume();
    same((view.windows.len(), took < Duration::from_secs(1)), (1, true))
}

fn a_watch_that_waits_for_an_answer() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let windows = [painter.create(Sketch::at(10, 10))?, painter.create(Sketch::at(20, 20))?];
    painter.map(&windows[..1])?;
    watch.until("a window", |view| view.windows.len() == 1)?;
    let before = switches(watch.thread())?;

    // The server serves nobody else now, so what is asked about the second window is not answered.
    painter.x.grab_server()?;
    painter.map(&windows[1..])?;
    eventually("a question", || Ok((switches(watch.thread())? > before).then_some(())))?;
    let begun = Instant::now();
    drop(watch);

    same(begun.elapsed() < Duration::from_secs(1), true)
}

fn no_server_is_unavailable() -> Result<(), Failed> {
    let nowhere = X11Windows::new(Some(":54321"));
    unavailable(nowhere.look(), "No X server on :54321")?;
    unavailable(nowhere.watch(Box::new(|| ())).map(|_| ()), "No X server on :54321")?;
    unavailable(X11Windows::new(None).look(), "set DISPLAY")
}

/// How often a thread of this process went to sleep.
fn switches(thread: i32) -> Result<u64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status"))?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(count.ok_or("no count of switches")?.trim().parse()?)
}

fn unavailable<T: Debug>(outcome: Result<T, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Unavailable(text)) if text.contains(told) => Ok(()),
        other => Err(wrong(other, format!("unavailable, with '{told}'"))),
    }
}

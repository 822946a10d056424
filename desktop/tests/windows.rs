//! What is told of the windows of a real X server, judged by what `xwininfo` says of them.
//!
//! Each test has an X server of its own. Where a program is missing, the tests that need it are shown as
//! ignored, with the reason.

use std::collections::BTreeSet;
use std::fmt::{Debug, Display};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bellhop_desktop::windows::{FINEST_SHAPE, Kind, MOST_WINDOWS};
use bellhop_desktop::x11::{X11, X11Windows};
use bellhop_desktop::{Area, Error, Outputs, Placement, View, Window, Windows};
use bellhop_xserver::{Geometry, Missing, Program, Running, SeenWindow, XServer, windows_by_xwininfo};
use libtest_mimic::{Arguments, Failed, Trial};
use x11rb::connection::Connection as _;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::shape::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    Circulate, ClipOrdering, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, EventMask, PropMode,
    Rectangle, StackMode, UNMAP_NOTIFY_EVENT, UnmapNotifyEvent, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

type Test = fn() -> Result<(), Failed>;

/// How long something may take that takes a few milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

const ALONE: &[(&str, Test)] = &[
    ("nothing_is_told_of_what_is_not_to_be_seen", nothing_is_told_of_what_is_not_to_be_seen),
    ("a_menu_is_told_while_it_is_open", a_menu_is_told_while_it_is_open),
    ("borders_belong_to_a_window", borders_belong_to_a_window),
    ("a_type_is_believed_without_a_window_manager", a_type_is_believed),
    ("the_stack_is_that_of_the_server_whatever_is_done", the_stack_is_that_of_the_server),
    ("a_look_or_watch_begun_in_a_commotion_is_right", a_watch_begun_in_a_commotion),
    ("a_number_that_is_used_again_is_another_window", a_number_that_is_used_again),
    ("what_clients_claim_to_have_happened_is_not_believed", what_clients_claim),
    ("a_compositing_managers_overlay_is_not_told", a_compositing_managers_overlay),
    ("a_thousand_windows_are_told", a_thousand_windows_are_told),
    ("of_too_many_windows_the_topmost_are_told", of_too_many_windows),
    ("shapes_are_told_in_the_screens_coordinates", shapes_are_told),
    ("a_shape_that_is_too_fine_is_told_as_its_bounds", a_shape_that_is_too_fine),
    ("a_screen_that_shrinks_is_told", a_screen_that_shrinks),
    ("what_changes_nothing_is_not_told", what_changes_nothing_is_not_told),
    ("an_idle_watch_sleeps", an_idle_watch_sleeps),
    ("a_flood_of_events_keeps_nobody_waiting", a_flood_of_events),
    ("a_move_is_told_soon", a_move_is_told_soon),
    ("watchers_share_one_thread_which_ends_with_the_last", watchers_share_one_thread),
    ("a_killed_server_is_told_and_found_again", a_killed_server),
    ("a_watch_of_a_hung_server_ends_at_once", a_watch_of_a_hung_server),
];

const WITH_CLIENTS: &[(&str, Test)] = &[
    ("a_window_without_window_manager_is_an_application", a_window_without_window_manager),
    ("eyes_are_told_with_their_shape", eyes_are_told_with_their_shape),
    ("frames_are_told_and_followed", frames_are_told_and_followed),
    ("windows_rise", windows_rise),
    ("hidden_windows_are_not_told", hidden_windows_are_not_told),
    ("docks_and_the_background_are_told_apart", docks_and_the_background),
    ("a_frame_takes_the_shape_of_what_is_in_it", a_frame_takes_the_shape),
    ("a_window_manager_may_die_and_come_back", a_window_manager_may_die),
    ("a_window_manager_may_replace_another", a_window_manager_may_replace_another),
];

const ANYWHERE: &[(&str, Test)] = &[("no_server_is_unavailable", no_server_is_unavailable)];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = Vec::new();
    let alone = lacking(&[Program::XWININFO]);
    let with_clients = alone.clone().or_else(|| {
        lacking(&[Program::XTERM, Program::XEYES, Program::OPENBOX, Program::XDOTOOL, Program::XPROP])
    });
    trials.extend(suite(ALONE, alone));
    trials.extend(suite(WITH_CLIENTS, with_clients));
    trials.extend(suite(ANYWHERE, None));
    libtest_mimic::run(&arguments, trials).exit();
}

/// What this machine lacks of an X server and these programs.
fn lacking(programs: &[Program]) -> Option<Missing> {
    let server = XServer::virtual_framebuffer(64, 64).err();
    let server = server.as_ref().and_then(bellhop_xserver::Error::missing).cloned();
    server.or_else(|| programs.iter().find_map(|program| program.find().err()))
}

fn suite(tests: &[(&str, Test)], lacking: Option<Missing>) -> Vec<Trial> {
    let trial = |&(name, test): &(&str, Test)| {
        if let Some(missing) = &lacking {
            eprintln!("SKIPPED {name}: {missing}");
        }
        Trial::test(name, test).with_ignored_flag(lacking.is_some())
    };
    tests.iter().map(trial).collect()
}

fn nothing_is_told_of_what_is_not_to_be_seen() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    painter.create(Sketch::at(10, 10))?;
    let input_only = painter.create(Sketch { class: WindowClass::INPUT_ONLY, ..Sketch::at(20, 20) })?;
    let beyond = painter.create(Sketch::at(-200, 5))?;
    let told = painter.create(Sketch::at(-50, 5))?;

    painter.map(&[input_only, beyond, told])?;

    let view = watch.until("one window", |view| view.windows.len() == 1)?;
    same((view.width, view.height), (1024, 768))?;
    same(view.windows[0].id, told.into())?;
    same(view.windows[0].area, Area { x: -50, y: 5, width: 100, height: 80 })?;
    painter.x.unmap_window(told)?.check()?;
    watch.until("no window", |view| view.windows.is_empty())?;
    Ok(())
}

fn a_menu_is_told_while_it_is_open() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let menu = painter.create(Sketch { override_redirect: true, ..Sketch::at(10, 10) })?;

    painter.map(&[menu])?;

    let view = watch.until("a menu", |view| view.windows.len() == 1)?;
    same(view.windows[0].kind, Kind::Unmanaged)?;
    painter.x.destroy_window(menu)?.check()?;
    watch.until("no menu", |view| view.windows.is_empty())?;
    Ok(())
}

fn borders_belong_to_a_window() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;

    let window = painter.create(Sketch { border: 7, ..Sketch::at(10, 20) })?;
    painter.map(&[window])?;

    let view = watch.agrees(&server)?;
    same(view.windows[0].area, Area { x: 10, y: 20, width: 114, height: 94 })
}

fn a_type_is_believed() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch { override_redirect: true, ..Sketch::at(10, 10) })?;
    painter.map(&[window])?;
    let cases: [(&[&str], Kind); 6] = [
        (&["_NET_WM_WINDOW_TYPE_DOCK"], Kind::Dock),
        (&["_NET_WM_WINDOW_TYPE_DESKTOP"], Kind::Background),
        (&["_NET_WM_WINDOW_TYPE_TOOLTIP"], Kind::Unmanaged),
        // The first known one counts.
        (&["_KDE_NET_WM_WINDOW_TYPE_OVERRIDE", "_NET_WM_WINDOW_TYPE_DOCK"], Kind::Dock),
        (&["_NET_WM_WINDOW_TYPE_NORMAL", "_NET_WM_WINDOW_TYPE_DESKTOP"], Kind::Unmanaged),
        (&["_NET_WM_WINDOW_TYPE_DOCK", "_NET_WM_WINDOW_TYPE_NORMAL"], Kind::Dock),
    ];
    for (types, kind) in cases {
        painter.set_types(window, types)?;

        watch.until(&format!("{types:?}"), |view| kinds(view) == [kind])?;
    }
    painter.x.delete_property(window, painter.atom("_NET_WM_WINDOW_TYPE")?)?.check()?;
    watch.until("no type", |view| kinds(view) == [Kind::Unmanaged])?;
    Ok(())
}

fn the_stack_is_that_of_the_server() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let mut commotion = Commotion::on(&server)?;
    for _ in 0..20 {
        commotion.step(200)?;

        watch.agrees(&server)?;
    }
    Ok(())
}

fn a_watch_begun_in_a_commotion() -> Result<(), Failed> {
    let server = server()?;
    let mut commotion = Commotion::on(&server)?;
    let over = Arc::new(AtomicBool::new(false));
    let going_on = std::thread::spawn({
        let over = Arc::clone(&over);
        move || -> Result<(), String> {
            while !over.load(Ordering::Relaxed) {
                commotion.step(50).map_err(|error| format!("{error:?}"))?;
            }
            Ok(())
        }
    });
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(Watch::begin(X11Windows::new(Some(server.display())))?);
        X11Windows::new(Some(server.display())).look()?;
    }
    over.store(true, Ordering::Relaxed);
    going_on.join().map_err(|_| "the commotion panicked")??;
    for watch in watches {
        watch.agrees(&server)?;
    }
    Ok(())
}

fn a_number_that_is_used_again() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let first = Sketch { override_redirect: true, ..Sketch::at(10, 10) };
    let number = painter.create(first)?;
    painter.set_types(number, &["_NET_WM_WINDOW_TYPE_DOCK"])?;
    painter.map(&[number])?;
    watch.until("the first", |view| kinds(view) == [Kind::Dock])?;

    // In one go, so that what was known of the first is still to hand.
    painter.x.destroy_window(number)?;
    painter.create_as(number, Sketch { override_redirect: true, ..Sketch::at(300, 300) })?;
    painter.map(&[number])?;

    let view = watch.until("the second", |view| kinds(view) == [Kind::Unmanaged])?;
    same((view.windows[0].id, view.windows[0].area.x), (number.into(), 300))
}

fn what_clients_claim() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch::at(10, 10))?;
    painter.map(&[window])?;
    watch.until("a window", |view| view.windows.len() == 1)?;
    let told = watch.told();

    let (event, from_configure) = (painter.root, false);
    let claim =
        UnmapNotifyEvent { response_type: UNMAP_NOTIFY_EVENT, sequence: 0, event, window, from_configure };
    painter.x.send_event(false, painter.root, EventMask::SUBSTRUCTURE_NOTIFY, claim)?.check()?;
    painter.move_to(window, 11, 11)?;

    let view = watch.until("the window elsewhere", |view| view.windows.iter().any(|it| it.area.x == 11))?;
    same((view.windows.len(), watch.told() - told), (1, 1))
}

fn a_compositing_managers_overlay() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch::at(10, 10))?;
    painter.x.composite_query_version(0, 3)?.reply()?;

    let overlay = painter.x.composite_get_overlay_window(painter.root)?.reply()?.overlay_win;
    painter.map(&[window])?;

    let view = watch.until("the window alone", |view| ids(view) == [u64::from(window)])?;
    same(view.windows[0].kind, Kind::Application)?;
    same(viewable(&server, overlay)?, Some(area((0, 0, 1024, 768))))
}

fn a_thousand_windows_are_told() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let windows = painter.many(1000)?;

    watch.until("a thousand windows", |view| view.windows.len() == 1000)?;
    for window in windows.iter().step_by(2) {
        painter.move_to(*window, 500, 500)?;
    }
    for window in windows.iter().step_by(3) {
        painter.x.configure_window(*window, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?;
    }
    painter.sync()?;

    let seen: Vec<_> = windows_by_xwininfo(server.display())?.iter().map(outer).collect();
    watch.until("all where they were put", |view| areas(view) == seen)?;
    same(areas(&X11Windows::new(Some(server.display())).look()?), seen)
}

fn of_too_many_windows() -> Result<(), Failed> {
    let server = server()?;
    let painter = Painter::on(&server)?;
    let windows = painter.many(MOST_WINDOWS + 100)?;

    let watch = Watch::begin(X11Windows::new(Some(server.display())))?;

    let topmost: Vec<u64> = windows.iter().skip(100).map(|&id| id.into()).collect();
    watch.until("the topmost", |view| ids(view) == topmost)?;
    painter.x.destroy_window(windows[MOST_WINDOWS])?.check()?;
    watch.until("one more from below", |view| view.windows[0].id == u64::from(windows[99]))?;
    Ok(())
}

fn shapes_are_told() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch { border: 2, ..Sketch::at(10, 20) })?;
    painter.map(&[window])?;
    watch.until("no shape", |view| view.windows.iter().any(|it| it.shape.is_empty()))?;
    let shaped = |rectangles: &[(i16, i16, u16, u16)], told: &[(i32, i32, u32, u32)]| -> Result<(), Failed> {
        painter.shape(window, rectangles)?;
        let told: Vec<Area> = told.iter().map(|&it| area(it)).collect();
        watch.until(&format!("{rectangles:?}"), |view| view.windows.iter().any(|it| it.shape == told))?;
        Ok(())
    };

    // The corner from which a shape is placed is inside the border.
    shaped(&[(0, 0, 10, 10), (20, 30, 40, 5)], &[(12, 22, 10, 10), (32, 52, 40, 5)])?;
    // What it claims beyond its border it does not get.
    shaped(&[(-50, 50, 30_000, 20)], &[(10, 72, 104, 20)])?;
    // All of it is no shape.
    shaped(&[(-2, -2, 104, 84)], &[])?;

    // Moved and sized anew, it keeps its shape, in the new bounds.
    shaped(&[(5, 5, 1000, 3)], &[(17, 27, 97, 3)])?;
    painter.x.configure_window(window, &ConfigureWindowAux::new().x(100).width(300))?.check()?;
    let there = [area((107, 27, 297, 3))];
    watch.until("its shape elsewhere", |view| view.windows.iter().any(|it| it.shape == there))?;

    painter.shape(window, &[])?;
    watch.until("nothing of it", |view| view.windows.is_empty())?;
    painter.x.shape_mask(shape::SO::SET, shape::SK::BOUNDING, window, 0, 0, x11rb::NONE)?.check()?;
    watch.until("all of it", |view| view.windows.iter().any(|it| it.shape.is_empty()))?;
    Ok(())
}

fn a_shape_that_is_too_fine() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch { size: (300, 300), ..Sketch::at(10, 20) })?;
    painter.map(&[window])?;
    // Every other pixel of so many rows, so that none can be joined.
    let dots = |rows: i16| -> Vec<(i16, i16, u16, u16)> {
        (0..rows).flat_map(|y| (0..64).map(move |x| (3 + 2 * x, 5 + 2 * y, 1, 1))).collect()
    };

    painter.shape(window, &dots(16))?;
    let view = watch.until("dots", |view| view.windows.iter().any(|it| !it.shape.is_empty()))?;
    same(view.windows[0].shape.len(), FINEST_SHAPE)?;

    painter.shape(window, &dots(17))?;
    let bounds = [area((13, 25, 127, 33))];
    watch.until("their bounds", |view| view.windows.iter().any(|it| it.shape == bounds))?;
    Ok(())
}

fn a_screen_that_shrinks() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let windows = [painter.create(Sketch::at(10, 10))?, painter.create(Sketch::at(700, 10))?];
    painter.map(&windows)?;
    watch.until("both", |view| view.windows.len() == 2)?;

    let area = Some(Area { x: 0, y: 0, width: 640, height: 480 });
    X11::new(Some(server.display())).apply(&[Placement { name: "screen".into(), area, primary: false }])?;

    let view = watch.until("the smaller screen", |view| (view.width, view.height) == (640, 480))?;
    same(ids(&view), [u64::from(windows[0])])
}

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

fn a_window_without_window_manager() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _xterm = Program::XTERM.start(server.display(), &["-geometry", "40x10+30+40", "-e", "sleep 1000"])?;

    let view = watch.until("an xterm", |view| view.windows.len() == 1)?;

    same(view.windows[0].kind, Kind::Application)?;
    watch.agrees(&server)?;
    Ok(())
}

fn eyes_are_told_with_their_shape() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _eyes = Program::XEYES.start(server.display(), &["-bw", "0", "-geometry", "200x120+30+40"])?;
    let shaped = |view: &View| view.windows.iter().any(|it| !it.shape.is_empty());
    let view = watch.until("eyes", shaped)?;
    let id = view.windows[0].id;
    let number = id.to_string();

    // Without a border, so that its corner is that of its shape.
    let looks_right = || -> Result<Option<View>, Failed> {
        let view = watch.desktop.look()?;
        let Window { area, shape, .. } = &view.windows[0];
        let same = *shape == shape_of(&server, u32::try_from(id)?)?;
        let extents = Program::XWININFO.run(server.display(), &["-id", &number, "-shape"])?;
        let extents = extents.lines().find_map(|line| line.split_once("Window shape extents:"));
        let extents = extents.map(|(_, text)| text.trim().to_owned()).unwrap_or_default();
        let Area { x, y, width, height } = bounds(shape);
        let told = format!("{width}x{height}+{}+{}", x - area.x, y - area.y);
        Ok((same && extents == told).then_some(view))
    };
    let small = eventually("the shape of the eyes", looks_right)?;
    xdotool(&server, &["windowsize", &number, "400", "300"])?;
    let large = eventually("the shape of larger eyes", || {
        Ok(looks_right()?.filter(|view| view.windows[0].area.width == 400))
    })?;
    same(bounds(&large.windows[0].shape).width > bounds(&small.windows[0].shape).width, true)
}

fn frames_are_told_and_followed() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _openbox = openbox(&server, &[])?;
    let (_xterm, client) = xterm(&server, "framed")?;

    let (id, _) = framed(&server, &watch, client)?;
    for (x, y) in [(100, 120), (300, 50), (700, 600)] {
        xdotool(&server, &["windowmove", &client.to_string(), &x.to_string(), &y.to_string()])?;
        let (still, area) = framed(&server, &watch, client)?;
        same((still, (area.x, area.y)), (id, (x, y)))?;
    }
    xdotool(&server, &["windowsize", &client.to_string(), "333", "222"])?;
    let resized = |view: &View| view.windows.iter().any(|it| it.area.width > 300 && it.area.width < 360);
    watch.until("another size", resized)?;
    framed(&server, &watch, client)?;
    Ok(())
}

fn windows_rise() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _openbox = openbox(&server, &[])?;
    let mut clients = Vec::new();
    for name in ["one", "two", "three"] {
        let (xterm, client) = xterm(&server, name)?;
        framed(&server, &watch, client)?;
        clients.push((xterm, client));
    }
    for round in [0, 2, 1, 1, 0] {
        let client = clients[round].1;

        xdotool(&server, &["windowraise", &client.to_string()])?;

        watch.until("it on top", |view| {
            let frame = frame_of(&server, client).ok().flatten().map(|frame| u64::from(frame.id));
            let top = view.windows.iter().rfind(|it| it.kind == Kind::Application);
            frame.is_some() && top.map(|it| it.id) == frame
        })?;
        watch.agrees(&server)?;
    }
    Ok(())
}

fn hidden_windows_are_not_told() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _openbox = openbox(&server, &[])?;
    let (_xterm, client) = xterm(&server, "hide and seek")?;
    let number = client.to_string();
    framed(&server, &watch, client)?;
    let hide_and_seek: [(&[&str], &[&str]); 3] = [
        (&["windowminimize", &number], &["windowmap", &number]),
        (&["windowunmap", &number], &["windowmap", &number]),
        (&["set_desktop", "1"], &["set_desktop", "0"]),
    ];
    xdotool(&server, &["set_num_desktops", "2"])?;
    for (hide, seek) in hide_and_seek {
        xdotool(&server, hide)?;
        watch
            .until(&format!("no window after {hide:?}"), |view| !kinds(view).contains(&Kind::Application))?;
        watch.agrees(&server)?;

        xdotool(&server, seek)?;
        framed(&server, &watch, client)?;
    }
    Ok(())
}

fn docks_and_the_background() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let painter = Painter::on(&server)?;
    let typed = |kind: &str| -> Result<u32, Failed> {
        let window = painter.create(Sketch { size: (1024, 40), ..Sketch::at(0, 0) })?;
        painter.set_types(window, &[kind])?;
        painter.map(&[window])?;
        Ok(window)
    };
    let _openbox = openbox(&server, &[])?;
    let (_xterm, client) = xterm(&server, "between")?;
    framed(&server, &watch, client)?;

    let background = typed("_NET_WM_WINDOW_TYPE_DESKTOP")?;
    let dock = typed("_NET_WM_WINDOW_TYPE_DOCK")?;
    let menu = painter.create(Sketch { override_redirect: true, ..Sketch::at(500, 500) })?;
    painter.map(&[menu])?;

    let view = watch.until("one of each", |view| {
        let found = kinds(view);
        [Kind::Background, Kind::Application, Kind::Dock, Kind::Unmanaged]
            .iter()
            .all(|kind| found.contains(kind))
    })?;
    let of = |kind| view.windows.iter().find(|it| it.kind == kind).map(|it| it.id);
    let frame = |window| Ok::<_, Failed>(frame_of(&server, window)?.map(|frame| u64::from(frame.id)));
    same(of(Kind::Background), frame(background)?)?;
    same(of(Kind::Dock), frame(dock)?)?;
    same(of(Kind::Application), frame(client)?)?;
    let place = |kind| kinds(&view).iter().position(|&it| it == kind);
    same(place(Kind::Background) < place(Kind::Application), true)?;
    same(place(Kind::Application) < place(Kind::Dock), true)?;

    // One that becomes a dock later, as some panels do.
    let number = client.to_string();
    let becomes =
        ["-f", "_NET_WM_WINDOW_TYPE", "32a", "-set", "_NET_WM_WINDOW_TYPE", "_NET_WM_WINDOW_TYPE_DOCK"];
    Program::XPROP.run(server.display(), &[&["-id", &number], &becomes[..]].concat())?;
    watch.until("two docks", |view| kinds(view).iter().filter(|&&kind| kind == Kind::Dock).count() == 2)?;
    Ok(())
}

fn a_frame_takes_the_shape() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _openbox = openbox(&server, &[])?;
    let _eyes = Program::XEYES.start(server.display(), &["-geometry", "200x120+30+40"])?;
    let client = client_named(&server, "xeyes")?;

    eventually("a frame with the eyes in it", || {
        let Some(frame) = frame_of(&server, client)? else { return Ok(None) };
        let view = watch.desktop.look()?;
        let told = view.windows.iter().find(|it| it.id == u64::from(frame.id) && it.shape.len() > 100);
        Ok(told.filter(|it| shape_of(&server, frame.id).is_ok_and(|shape| shape == it.shape)).map(|_| ()))
    })?;
    watch.agrees(&server)?;
    Ok(())
}

fn a_window_manager_may_die() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let mut manager = openbox(&server, &[])?;
    let (_one, one) = xterm(&server, "one")?;
    let (_two, two) = xterm(&server, "two")?;
    framed(&server, &watch, one)?;
    framed(&server, &watch, two)?;

    manager.kill();

    let bare = |view: &View| {
        let clients: BTreeSet<u64> = [one.into(), two.into()].into();
        ids(view).into_iter().collect::<BTreeSet<_>>() == clients && kinds(view) == [Kind::Application; 2]
    };
    watch.until("the clients without frames", bare)?;
    watch.agrees(&server)?;

    let _openbox = openbox(&server, &[])?;
    framed(&server, &watch, one)?;
    framed(&server, &watch, two)?;
    watch.agrees(&server)?;
    Ok(())
}

fn a_window_manager_may_replace_another() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let _openbox = openbox(&server, &[])?;
    let (_xterm, client) = xterm(&server, "kept")?;
    let (before, _) = framed(&server, &watch, client)?;

    let _another = openbox(&server, &["--replace"])?;

    watch.until("another frame", |view| {
        view.windows
            .iter()
            .any(|it| it.kind == Kind::Application && it.id != before && it.id != u64::from(client))
    })?;
    framed(&server, &watch, client)?;
    watch.agrees(&server)?;
    Ok(())
}

fn no_server_is_unavailable() -> Result<(), Failed> {
    let nowhere = X11Windows::new(Some(":54321"));
    unavailable(nowhere.look(), "No X server on :54321")?;
    unavailable(nowhere.watch(Box::new(|| ())).map(|_| ()), "No X server on :54321")?;
    unavailable(X11Windows::new(None).look(), "set DISPLAY")
}

/// An X server whose screen is 1024 by 768 pixels.
fn server() -> Result<XServer, Failed> {
    Ok(XServer::virtual_framebuffer(1024, 768)?)
}

fn watched() -> Result<(XServer, Watch), Failed> {
    let server = server()?;
    let watch = Watch::begin(X11Windows::new(Some(server.display())))?;
    Ok((server, watch))
}

/// A watch, and what came of it.
struct Watch {
    // Ends before the news do that it brings.
    _guard: Box<dyn Send>,
    desktop: X11Windows,
    news: Arc<News>,
}

/// How often something was told, and by which thread.
#[derive(Default)]
struct News {
    told: AtomicU64,
    thread: Mutex<Option<i32>>,
}

impl News {
    fn hear(self: &Arc<Self>) -> Box<dyn Fn() + Send + Sync> {
        let news = Arc::clone(self);
        Box::new(move || {
            *news.thread.lock().expect("not poisoned") = Some(nix::unistd::gettid().as_raw());
            news.told.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    fn thread(&self) -> Option<i32> {
        *self.thread.lock().expect("not poisoned")
    }
}

impl Watch {
    fn begin(desktop: X11Windows) -> Result<Self, Failed> {
        let news = Arc::new(News::default());
        let guard = desktop.watch(news.hear())?;
        Ok(Self { _guard: guard, desktop, news })
    }

    fn told(&self) -> u64 {
        self.news.told()
    }

    fn thread(&self) -> i32 {
        self.news.thread().unwrap_or_default()
    }

    /// Waits for a view, looking again only when told to.
    fn until(&self, what: &str, fits: impl Fn(&View) -> bool) -> Result<View, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.told();
            let seen = self.desktop.look();
            if let Ok(view) = &seen
                && fits(view)
            {
                return Ok(view.clone());
            }
            while self.told() == told {
                if Instant::now() > deadline {
                    return Err(wrong(seen, what));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits until the view is what `xwininfo` sees.
    fn agrees(&self, server: &XServer) -> Result<View, Failed> {
        let mut last = String::new();
        let agreed = eventually("the view of xwininfo", || {
            let seen = seen(server)?;
            let view = self.desktop.look()?;
            last = format!("{:?}, expected {seen:?}", areas(&view));
            Ok((areas(&view) == seen).then_some(view))
        });
        agreed.map_err(|_| format!("found {last}").into())
    }
}

/// A client that makes windows and does things to them.
struct Painter {
    x: RustConnection,
    root: u32,
}

/// A window to be made: 100 by 80 pixels, unless it says otherwise.
#[derive(Clone, Copy)]
struct Sketch {
    place: (i16, i16),
    size: (u16, u16),
    border: u16,
    class: WindowClass,
    override_redirect: bool,
}

impl Sketch {
    fn at(x: i16, y: i16) -> Self {
        let class = WindowClass::INPUT_OUTPUT;
        Self { place: (x, y), size: (100, 80), border: 0, class, override_redirect: false }
    }
}

impl Painter {
    fn on(server: &XServer) -> Result<Self, Failed> {
        let (x, screen) = x11rb::connect(Some(server.display()))?;
        let root = x.setup().roots[screen].root;
        Ok(Self { x, root })
    }

    fn create(&self, sketch: Sketch) -> Result<u32, Failed> {
        let id = self.x.generate_id()?;
        self.create_as(id, sketch)?;
        Ok(id)
    }

    fn create_as(&self, id: u32, sketch: Sketch) -> Result<(), Failed> {
        let Sketch { place: (x, y), size: (width, height), border, class, override_redirect } = sketch;
        let aux = CreateWindowAux::new().override_redirect(u32::from(override_redirect));
        let depth = if class == WindowClass::INPUT_ONLY { 0 } else { x11rb::COPY_DEPTH_FROM_PARENT };
        self.x.create_window(depth, id, self.root, x, y, width, height, border, class, 0, &aux)?;
        Ok(())
    }

    /// So many windows, here and there, mapped.
    fn many(&self, count: usize) -> Result<Vec<u32>, Failed> {
        let sketch = |number: usize| -> Result<Sketch, Failed> {
            Ok(Sketch::at(i16::try_from(number % 37 * 20)?, i16::try_from(number % 23 * 30)?))
        };
        let windows = (0..count).map(|number| self.create(sketch(number)?)).collect::<Result<Vec<_>, _>>()?;
        self.map(&windows)?;
        Ok(windows)
    }

    fn map(&self, windows: &[u32]) -> Result<(), Failed> {
        for window in windows {
            self.x.map_window(*window)?;
        }
        self.sync()
    }

    fn move_to(&self, window: u32, x: i32, y: i32) -> Result<(), Failed> {
        self.x.configure_window(window, &ConfigureWindowAux::new().x(x).y(y))?;
        Ok(self.x.flush()?)
    }

    fn shape(&self, window: u32, rectangles: &[(i16, i16, u16, u16)]) -> Result<(), Failed> {
        let rectangle = |&(x, y, width, height): &(i16, i16, u16, u16)| Rectangle { x, y, width, height };
        let rectangles: Vec<_> = rectangles.iter().map(rectangle).collect();
        let (set, bounding, any) = (shape::SO::SET, shape::SK::BOUNDING, ClipOrdering::UNSORTED);
        Ok(self.x.shape_rectangles(set, bounding, any, window, 0, 0, &rectangles)?.check()?)
    }

    fn set_types(&self, window: u32, types: &[&str]) -> Result<(), Failed> {
        let types = types.iter().map(|name| self.atom(name)).collect::<Result<Vec<_>, _>>()?;
        let (property, atom) = (self.atom("_NET_WM_WINDOW_TYPE")?, self.atom("ATOM")?);
        Ok(self.x.change_property32(PropMode::REPLACE, window, property, atom, &types)?.check()?)
    }

    fn atom(&self, name: &str) -> Result<u32, Failed> {
        Ok(self.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    /// Waits until the server did all that was asked.
    fn sync(&self) -> Result<(), Failed> {
        self.x.get_input_focus()?.reply()?;
        Ok(())
    }
}

/// Everything that can be done to windows, in a random order that is always the same.
struct Commotion {
    painter: Painter,
    windows: Vec<u32>,
    dice: u64,
}

impl Commotion {
    fn on(server: &XServer) -> Result<Self, Failed> {
        Ok(Self { painter: Painter::on(server)?, windows: Vec::new(), dice: 1 })
    }

    /// A number below `sides`.
    fn throw(&mut self, sides: usize) -> Result<usize, Failed> {
        // The generator of POSIX's drand48, of whose numbers the high bits are the good ones.
        self.dice = self.dice.wrapping_mul(0x5_deec_e66d).wrapping_add(11) & 0xffff_ffff_ffff;
        Ok(usize::try_from(self.dice >> 20)? % sides)
    }

    fn step(&mut self, times: usize) -> Result<(), Failed> {
        for _ in 0..times {
            let number = self.throw(self.windows.len().max(1))?;
            let other = self.throw(self.windows.len().max(1))?;
            let (x, y) = (i16::try_from(self.throw(1200)?)? - 100, i16::try_from(self.throw(900)?)? - 100);
            let deed = if self.windows.len() < 5 { 0 } else { self.throw(14)? };
            let Painter { x: server, root } = &self.painter;
            let (window, sibling) = match (self.windows.get(number), self.windows.get(other)) {
                (Some(&window), Some(&other)) => (window, other),
                _ => (x11rb::NONE, x11rb::NONE),
            };
            let configure = ConfigureWindowAux::new();
            match deed {
                0 if self.windows.len() < 30 => {
                    let window =
                        self.painter.create(Sketch { border: number as u16 % 3, ..Sketch::at(x, y) })?;
                    server.map_window(window)?;
                    self.windows.push(window);
                }
                0 | 1 if self.windows.len() > 5 => {
                    server.destroy_window(window)?;
                    self.windows.swap_remove(number);
                }
                2 => server.map_window(window)?.ignore_error(),
                3 => server.unmap_window(window)?.ignore_error(),
                4 => server
                    .configure_window(window, &configure.x(i32::from(x)).y(i32::from(y)))?
                    .ignore_error(),
                5 => server.configure_window(window, &configure.stack_mode(StackMode::ABOVE))?.ignore_error(),
                6 => server.configure_window(window, &configure.stack_mode(StackMode::BELOW))?.ignore_error(),
                7 | 8 if window != sibling => {
                    let mode = if deed == 7 { StackMode::ABOVE } else { StackMode::BELOW };
                    let configure = configure.sibling(sibling).stack_mode(mode).width(50 + number as u32);
                    server.configure_window(window, &configure)?.ignore_error();
                }
                9 => server.circulate_window(Circulate::RAISE_LOWEST, *root)?.ignore_error(),
                10 => server.circulate_window(Circulate::LOWER_HIGHEST, *root)?.ignore_error(),
                11 if window != sibling => server.reparent_window(window, sibling, 5, 5)?.ignore_error(),
                12 => server.reparent_window(window, *root, x, y)?.ignore_error(),
                _ => server.map_subwindows(*root)?.ignore_error(),
            }
        }
        self.painter.sync()?;
        // Those that went with the window that they were in.
        let alive = |&window: &u32| -> Result<bool, Failed> {
            Ok(self.painter.x.get_geometry(window)?.reply().is_ok())
        };
        let mut left = Vec::new();
        for window in &self.windows {
            if alive(window)? {
                left.push(*window);
            }
        }
        self.windows = left;
        Ok(())
    }
}

/// A terminal of this title, and its window.
fn xterm(server: &XServer, title: &str) -> Result<(Running, u32), Failed> {
    let arguments = ["-T", title, "-geometry", "40x10", "-e", "sleep 1000"];
    let running = Program::XTERM.start(server.display(), &arguments)?;
    Ok((running, client_named(server, title)?))
}

/// A window manager that manages: what is mapped while it starts may be overlooked for ever.
fn openbox(server: &XServer, arguments: &[&str]) -> Result<Running, Failed> {
    static STARTED: AtomicU64 = AtomicU64::new(0);
    let mark = format!("STARTED_{}", STARTED.fetch_add(1, Ordering::SeqCst));
    let startup = format!("xprop -root -f {mark} 8s -set {mark} yes");
    let arguments = [&["--sm-disable", "--startup", &startup], arguments].concat();
    let running = Program::OPENBOX.start(server.display(), &arguments)?;
    eventually("a window manager", || {
        let read = Program::XPROP.run(server.display(), &["-root", &mark])?;
        Ok(read.contains("yes").then_some(()))
    })?;
    Ok(running)
}

/// The visible window of a client with this title.
fn client_named(server: &XServer, title: &str) -> Result<u32, Failed> {
    eventually(title, || {
        // It fails when it finds nothing.
        let found = xdotool(server, &["search", "--onlyvisible", "--name", title]).unwrap_or_default();
        Ok(found.lines().next().and_then(|number| number.parse().ok()))
    })
}

fn xdotool(server: &XServer, arguments: &[&str]) -> Result<String, Failed> {
    Ok(Program::XDOTOOL.run(server.display(), arguments)?)
}

/// The child of the root in which a window is.
fn frame_of(server: &XServer, window: u32) -> Result<Option<SeenWindow>, Failed> {
    let seen = windows_by_xwininfo(server.display())?;
    Ok(seen.into_iter().find(|seen| seen.id == window || seen.inside.contains(&window)))
}

/// Waits until a client's frame is told, of the size that the window manager says it has.
fn framed(server: &XServer, watch: &Watch, client: u32) -> Result<(u64, Area), Failed> {
    let number = client.to_string();
    eventually("the frame of a client", || {
        let extents = Program::XPROP.run(server.display(), &["-id", &number, "_NET_FRAME_EXTENTS"])?;
        let Some((_, extents)) = extents.split_once(" = ") else { return Ok(None) };
        let extents = extents.split(',').map(|number| number.trim().parse());
        let extents: Vec<i32> = extents.collect::<Result<_, _>>()?;
        let Some(inner) = viewable(server, client)? else { return Ok(None) };
        let Some(frame) = frame_of(server, client)?.filter(|frame| frame.id != client) else {
            return Ok(None);
        };
        let expected = Area {
            x: inner.x - extents[0],
            y: inner.y - extents[2],
            width: inner.width + u32::try_from(extents[0] + extents[1])?,
            height: inner.height + u32::try_from(extents[2] + extents[3])?,
        };
        let view = watch.desktop.look()?;
        let told = view.windows.iter().find(|it| it.id == u64::from(frame.id));
        let fits = |it: &&Window| it.area == expected && it.kind == Kind::Application;
        Ok(told.filter(fits).map(|it| (it.id, it.area)))
    })
}

/// Where a window is on the screen with its border, if it is to be seen, as `xwininfo` has it.
fn viewable(server: &XServer, window: u32) -> Result<Option<Area>, Failed> {
    // A window that is gone by now is not to be seen.
    let Ok(stats) = Program::XWININFO.run(server.display(), &["-id", &window.to_string(), "-stats"]) else {
        return Ok(None);
    };
    let value = |name: &str| {
        let line = stats.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim).ok_or_else(|| Failed::from(format!("no '{name}' in {stats}")))
    };
    if value("Class:")? != "InputOutput" || value("Map State:")? != "IsViewable" {
        return Ok(None);
    }
    let borders = 2 * value("Border width:")?.parse::<u32>()?;
    Ok(Some(Area {
        x: value("Absolute upper-left X:")?.parse()?,
        y: value("Absolute upper-left Y:")?.parse()?,
        width: value("Width:")?.parse::<u32>()? + borders,
        height: value("Height:")?.parse::<u32>()? + borders,
    }))
}

/// What is to be seen, from the bottom to the top, as `xwininfo` has it.
fn seen(server: &XServer) -> Result<Vec<(u64, Area)>, Failed> {
    let mut seen = Vec::new();
    for window in windows_by_xwininfo(server.display())? {
        let Some(area) = viewable(server, window.id)? else { continue };
        let (right, bottom) = (area.x + i32::try_from(area.width)?, area.y + i32::try_from(area.height)?);
        if area.x < 1024 && area.y < 768 && right > 0 && bottom > 0 {
            seen.push((window.id.into(), area));
        }
    }
    Ok(seen)
}

/// A window without border as it is told.
fn outer(seen: &SeenWindow) -> (u64, Area) {
    let Geometry { width, height, x, y } = seen.geometry;
    (seen.id.into(), Area { x, y, width, height })
}

/// A window's shape on the screen, as a client of our own has it.
fn shape_of(server: &XServer, window: u32) -> Result<Vec<Area>, Failed> {
    let painter = Painter::on(server)?;
    let at = painter.x.get_geometry(window)?.reply()?;
    let shape = painter.x.shape_get_rectangles(window, shape::SK::BOUNDING)?.reply()?;
    // A shape is placed from the corner inside the border.
    let inside = |at: i16, border: u16| i32::from(at) + i32::from(border);
    let on_screen = |it: &Rectangle| {
        let (x, y) = (
            i32::from(it.x) + inside(at.x, at.border_width),
            i32::from(it.y) + inside(at.y, at.border_width),
        );
        Area { x, y, width: it.width.into(), height: it.height.into() }
    };
    Ok(shape.rectangles.iter().map(on_screen).collect())
}

fn bounds(shape: &[Area]) -> Area {
    let x = shape.iter().map(|it| it.x).min().unwrap_or_default();
    let y = shape.iter().map(|it| it.y).min().unwrap_or_default();
    let right = shape.iter().map(|it| it.x + it.width as i32).max().unwrap_or_default();
    let bottom = shape.iter().map(|it| it.y + it.height as i32).max().unwrap_or_default();
    Area { x, y, width: (right - x) as u32, height: (bottom - y) as u32 }
}

/// How often a thread of this process went to sleep.
fn switches(thread: i32) -> Result<u64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status"))?;
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    Ok(count.ok_or("no count of switches")?.trim().parse()?)
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

fn area((x, y, width, height): (i32, i32, u32, u32)) -> Area {
    Area { x, y, width, height }
}

fn areas(view: &View) -> Vec<(u64, Area)> {
    view.windows.iter().map(|window| (window.id, window.area)).collect()
}

fn ids(view: &View) -> Vec<u64> {
    view.windows.iter().map(|window| window.id).collect()
}

fn kinds(view: &View) -> Vec<Kind> {
    view.windows.iter().map(|window| window.kind).collect()
}

fn unavailable<T: Debug>(outcome: Result<T, Error>, told: &str) -> Result<(), Failed> {
    match outcome {
        Err(Error::Unavailable(text)) if text.contains(told) => Ok(()),
        other => Err(wrong(other, format!("unavailable, with '{told}'"))),
    }
}

fn same<T: PartialEq<U> + Debug, U: Debug>(found: T, expected: U) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(wrong(found, format!("{expected:?}"))) }
}

fn wrong(found: impl Debug, expected: impl Display) -> Failed {
    format!("found {found:?}, expected {expected}").into()
}

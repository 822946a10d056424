//! What a window manager and its clients do.

use std::collections::BTreeSet;

use bellhop_desktop::windows::Kind;
use bellhop_desktop::{Area, View, Window, Windows};
use bellhop_xserver::{Program, Running, XServer};
use libtest_mimic::Failed;

use crate::look::{bounds, frame_of, shape_of, viewable};
use crate::painter::{Painter, Sketch};
use crate::watch::{Watch, ids, kinds, watched};
use crate::{Test, eventually, same};

/// With all programs.
pub const TESTS: &[(&str, Test)] = &[
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

/// A terminal of this title, and its window.
fn xterm(server: &XServer, title: &str) -> Result<(Running, u32), Failed> {
    let arguments = ["-T", title, "-geometry", "40x10", "-e", "sleep 1000"];
    let running = Program::XTERM.start(server.display(), &arguments)?;
    Ok((running, client_named(server, title)?))
}

fn openbox(server: &XServer, arguments: &[&str]) -> Result<Running, Failed> {
    Ok(bellhop_xserver::openbox(server.display(), arguments)?)
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

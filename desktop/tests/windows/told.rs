//! What is told of a window, and which windows are told.

use bellhop_desktop::windows::{FINEST_SHAPE, Kind, MOST_WINDOWS};
use bellhop_desktop::x11::{X11, X11Windows};
use bellhop_desktop::{Area, Outputs, Placement, Windows};
use bellhop_xserver::XServer;
use libtest_mimic::Failed;
use x11rb::protocol::composite::ConnectionExt as _;
use x11rb::protocol::shape::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    ConfigureWindowAux, ConnectionExt as _, EventMask, PropMode, UNMAP_NOTIFY_EVENT, UnmapNotifyEvent,
    WindowClass,
};
use x11rb::wrapper::ConnectionExt as _;

use crate::look::{area, viewable};
use crate::painter::{Painter, Sketch};
use crate::watch::{Watch, ids, kinds, server, watched};
use crate::{Test, same};

/// On any server.
pub const TESTS: &[(&str, Test)] = &[
    ("nothing_is_told_of_what_is_not_to_be_seen", nothing_is_told_of_what_is_not_to_be_seen),
    ("a_menu_is_told_while_it_is_open", a_menu_is_told_while_it_is_open),
    ("borders_belong_to_a_window", borders_belong_to_a_window),
    ("a_type_is_believed_without_a_window_manager", a_type_is_believed),
    ("a_window_deep_in_a_frame_tells_what_the_frame_is", a_window_deep_in_a_frame),
    ("a_number_that_is_used_again_is_another_window", a_number_that_is_used_again),
    ("what_clients_claim_to_have_happened_is_not_believed", what_clients_claim),
    ("a_compositing_managers_overlay_is_not_told", a_compositing_managers_overlay),
    ("of_too_many_windows_the_topmost_are_told", of_too_many_windows),
    ("shapes_are_told_in_the_screens_coordinates", shapes_are_told),
    ("a_shape_that_is_too_fine_is_told_as_its_bounds", a_shape_that_is_too_fine),
    ("a_screen_that_shrinks_is_told", a_screen_that_shrinks),
];

/// Where screens can grow.
pub const ON_XORG: &[(&str, Test)] =
    &[("a_screen_that_grows_to_a_second_monitor_is_told", a_screen_that_grows)];

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

fn a_window_deep_in_a_frame() -> Result<(), Failed> {
    const STATES: [(&str, u32); 3] = [("withdrawn", 0), ("normal", 1), ("iconic", 3)];
    let server = server()?;
    let painter = Painter::on(&server)?;
    let frame = painter.create(Sketch { override_redirect: true, ..Sketch::at(10, 10) })?;
    let clip = painter.create_in(frame, Sketch::at(0, 20))?;
    let client = painter.create_in(clip, Sketch::at(0, 0))?;
    painter.x.map_subwindows(clip)?;
    painter.x.map_subwindows(frame)?;
    painter.map(&[frame])?;
    // Begun before there is a mark.
    let watch = Watch::begin(X11Windows::new(Some(server.display())))?;
    watch.until("a frame", |view| kinds(view) == [Kind::Unmanaged])?;
    let cases: [(&str, &[&str], &[Kind]); 7] = [
        ("normal", &[], &[Kind::Application]),
        ("normal", &["_NET_WM_WINDOW_TYPE_DIALOG"], &[Kind::Application]),
        ("normal", &["_NET_WM_WINDOW_TYPE_DOCK"], &[Kind::Dock]),
        // Some window managers leave it mapped, for a picture of it.
        ("iconic", &["_NET_WM_WINDOW_TYPE_DOCK"], &[]),
        ("normal", &["_NET_WM_WINDOW_TYPE_DESKTOP"], &[Kind::Background]),
        ("normal", &["_NET_WM_WINDOW_TYPE_NORMAL"], &[Kind::Application]),
        ("withdrawn", &["_NET_WM_WINDOW_TYPE_NORMAL"], &[Kind::Unmanaged]),
    ];
    for (state, types, told) in cases {
        let number = STATES.iter().find_map(|&(name, number)| (name == state).then_some(number));
        let wm_state = painter.atom("WM_STATE")?;
        let value = [number.ok_or("no such state")?, x11rb::NONE];
        painter.x.change_property32(PropMode::REPLACE, client, wm_state, wm_state, &value)?.check()?;
        painter.set_types(client, types)?;

        watch.until(&format!("{state} {types:?}"), |view| kinds(view) == told)?;
        let looked = X11Windows::new(Some(server.display())).look()?;
        same((ids(&looked), kinds(&looked)), (vec![u64::from(frame); told.len()], told.to_vec()))?;
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
    painter.create_as(number, painter.root, Sketch { override_redirect: true, ..Sketch::at(300, 300) })?;
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

fn a_screen_that_grows() -> Result<(), Failed> {
    let server = XServer::dummy()?;
    let watch = Watch::begin(X11Windows::new(Some(server.display())))?;
    let painter = Painter::on(&server)?;
    let window = painter.create(Sketch::at(2000, 10))?;
    painter.map(&[window])?;
    let place = |number: i32, width, height| {
        let area = Some(Area { x: number * 1366, y: 0, width, height });
        Placement { name: format!("DUMMY{number}"), area, primary: false }
    };

    let outputs = X11::new(Some(server.display()));
    outputs.apply(&[place(0, 1366, 777)])?;
    let view = watch.until("one monitor", |view| (view.width, view.height) == (1366, 777))?;
    same(view.windows.len(), 0)?;
    outputs.apply(&[place(0, 1366, 777), place(1, 1024, 768)])?;

    let view = watch.until("two monitors", |view| (view.width, view.height) == (2390, 777))?;
    same(ids(&view), [u64::from(window)])
}

//! The windows of a server by `xwininfo`, and what else is known of them without Bellhop.

use bellhop_desktop::Area;
use bellhop_xserver::{Geometry, Program, SeenWindow, XServer, windows_by_xwininfo};
use libtest_mimic::Failed;
use x11rb::protocol::shape::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Rectangle};

use crate::painter::Painter;

/// Where a window is on the screen with its border, if it is to be seen, as `xwininfo` has it.
pub fn viewable(server: &XServer, window: u32) -> Result<Option<Area>, Failed> {
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
pub fn seen(server: &XServer) -> Result<Vec<(u64, Area)>, Failed> {
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
pub fn outer(seen: &SeenWindow) -> (u64, Area) {
    let Geometry { width, height, x, y } = seen.geometry;
    (seen.id.into(), Area { x, y, width, height })
}

/// The child of the root in which a window is.
pub fn frame_of(server: &XServer, window: u32) -> Result<Option<SeenWindow>, Failed> {
    let seen = windows_by_xwininfo(server.display())?;
    Ok(seen.into_iter().find(|seen| seen.id == window || seen.inside.contains(&window)))
}

/// A window's shape on the screen, as a client of our own has it.
pub fn shape_of(server: &XServer, window: u32) -> Result<Vec<Area>, Failed> {
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

pub fn bounds(shape: &[Area]) -> Area {
    let x = shape.iter().map(|it| it.x).min().unwrap_or_default();
    let y = shape.iter().map(|it| it.y).min().unwrap_or_default();
    let right = shape.iter().map(|it| it.x + it.width as i32).max().unwrap_or_default();
    let bottom = shape.iter().map(|it| it.y + it.height as i32).max().unwrap_or_default();
    Area { x, y, width: (right - x) as u32, height: (bottom - y) as u32 }
}

pub fn area((x, y, width, height): (i32, i32, u32, u32)) -> Area {
    Area { x, y, width, height }
}

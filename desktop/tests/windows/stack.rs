//! Which window is above which, whatever clients do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bellhop_desktop::Windows;
use bellhop_desktop::x11::X11Windows;
use bellhop_xserver::{XServer, windows_by_xwininfo};
use libtest_mimic::Failed;
use x11rb::protocol::xproto::{Circulate, ConfigureWindowAux, ConnectionExt as _, StackMode};

use crate::look::outer;
use crate::painter::{Painter, Sketch};
use crate::watch::{Watch, areas, server, watched};
use crate::{Test, same};

/// On any server.
pub const TESTS: &[(&str, Test)] = &[
    ("the_stack_is_that_of_the_server_whatever_is_done", the_stack_is_that_of_the_server),
    ("a_look_or_watch_begun_in_a_commotion_is_right", a_watch_begun_in_a_commotion),
    ("a_thousand_windows_are_told", a_thousand_windows_are_told),
];

fn the_stack_is_that_of_the_server() -> Result<(), Failed> {
    let (server, watch) = watched()?;
    let mut commotion = Commotion::on(&server)?;
    for _ in 0..20 {
        commotion.step(200)?;

        let view = watch.agrees(&server)?;
        same(view.windows.len() > 10, true)?;
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
            let deed = if self.windows.len() < 5 { 0 } else { self.throw(16)? };
            let Painter { x: server, root } = &self.painter;
            let (window, sibling) = match (self.windows.get(number), self.windows.get(other)) {
                (Some(&window), Some(&other)) => (window, other),
                _ => (x11rb::NONE, x11rb::NONE),
            };
            let configure = ConfigureWindowAux::new();
            match deed {
                0 | 14 | 15 if self.windows.len() < 30 => {
                    let window =
                        self.painter.create(Sketch { border: number as u16 % 3, ..Sketch::at(x, y) })?;
                    server.map_window(window)?;
                    self.windows.push(window);
                }
                0 | 1 => {
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

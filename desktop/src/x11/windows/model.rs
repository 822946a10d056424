//! The windows of a screen as the server's events tell of them: what is known without asking.
//!
//! A window whose parent is the root is what others cover and what covers others, so it is what is told.
//! Where a window manager puts frames around windows, that is the frame.

use std::collections::{HashMap, HashSet};

use x11rb::protocol::Event;
use x11rb::protocol::shape::SK;
use x11rb::protocol::xproto::{ConfigureNotifyEvent, CreateNotifyEvent, Place, Rectangle, Window};

use crate::windows::{self, FINEST_SHAPE, Kind, MOST_RECTANGLES, MOST_WINDOWS};
use crate::{Area, Error, View};

/// How many children of the root are followed. All must be, also those that are not to be seen: each may
/// be what another one is stacked upon.
const MOST_CHILDREN: usize = 65536;

/// A screen's windows.
#[derive(Debug)]
pub(super) struct Model {
    root: Window,
    size: (u16, u16),
    /// The children of the root, from the bottom to the top.
    stack: Vec<Window>,
    children: HashMap<Window, Child>,
    questions: Questions,
    changed: bool,
}

/// A child of the root.
#[derive(Debug, Default)]
struct Child {
    geometry: Geometry,
    mapped: bool,
    /// `None` for what is not to be seen even if it is mapped, and while that is not known.
    kind: Option<Kind>,
    /// What it fills, from its origin inside its border; `None` when that is all of it.
    shape: Option<Vec<Rectangle>>,
}

/// Where a window stands: the corner of its border, its size inside it, and the border's width.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) x: i16,
    pub(super) y: i16,
    pub(super) width: u16,
    pub(super) height: u16,
    pub(super) border: u16,
}

/// What events raise but do not answer.
#[derive(Debug, Default)]
pub(super) struct Questions {
    /// Children of the root whose geometry is not known.
    pub(super) geometries: HashSet<Window>,
    /// Children of the root whose kind may be another.
    pub(super) kinds: HashSet<Window>,
    /// Children of the root whose shape may be another.
    pub(super) shapes: HashSet<Window>,
    /// Windows inside a child of the root, whose kind they may tell.
    pub(super) inside: HashSet<Window>,
}

impl Model {
    /// A screen of this size, with these children of its root from the bottom to the top.
    pub(super) fn new(root: Window, size: (u16, u16), stack: Vec<Window>) -> Result<Self, Error> {
        let mut model = Self {
            root,
            size,
            stack: Vec::new(),
            children: HashMap::new(),
            questions: Questions::default(),
            changed: true,
        };
        for window in stack {
            model.add(window, Geometry::default())?;
        }
        Ok(model)
    }

    /// Follows an event. What another client sent is not followed: only the server knows.
    pub(super) fn follow(&mut self, event: &Event) -> Result<(), Error> {
        if event.sent_event() {
            return Ok(());
        }
        match event {
            Event::CreateNotify(event) if event.parent == self.root => {
                self.add(event.window, Geometry::from(event))?;
            }
            Event::DestroyNotify(event) if event.event == self.root => self.remove(event.window),
            Event::MapNotify(event) if event.event == self.root => self.map(event.window),
            Event::UnmapNotify(event) if event.event == self.root => {
                self.change(event.window, |child| child.mapped = false);
            }
            Event::ConfigureNotify(event) if event.window == self.root => {
                self.size = (event.width, event.height);
                self.changed = true;
            }
            Event::ConfigureNotify(event) if event.event == self.root => {
                self.place(event.window, Geometry::from(event));
                self.restack(event.window, event.above_sibling);
            }
            Event::CirculateNotify(event) if event.event == self.root => {
                let top = self.stack.last().copied().filter(|_| event.place == Place::ON_TOP);
                self.restack(event.window, top.unwrap_or(x11rb::NONE));
            }
            // One that comes to the root, or leaves it. If it is mapped, events tell that as well.
            Event::ReparentNotify(event) if event.event == self.root => {
                self.remove(event.window);
                if event.parent == self.root {
                    self.add(event.window, Geometry { x: event.x, y: event.y, ..Geometry::default() })?;
                    self.questions.geometries.insert(event.window);
                } else {
                    self.questions.inside.insert(event.window);
                }
            }
            Event::ShapeNotify(event) if event.shape_kind == SK::BOUNDING => {
                self.questions.shapes.insert(event.affected_window);
            }
            _ => {}
        }
        Ok(())
    }

    /// A property that tells a window's kind changed; the window may be any.
    pub(super) fn doubt(&mut self, window: Window) {
        let Questions { kinds, inside, .. } = &mut self.questions;
        let asked = if self.children.contains_key(&window) { kinds } else { inside };
        asked.insert(window);
    }

    /// Begins to know a window, on top of all others and not mapped.
    fn add(&mut self, window: Window, geometry: Geometry) -> Result<(), Error> {
        if self.children.len() >= MOST_CHILDREN {
            return Err(Error::Failed(format!("The screen has more than {MOST_CHILDREN} windows")));
        }
        self.remove(window);
        self.children.insert(window, Child { geometry, ..Child::default() });
        self.stack.push(window);
        Ok(())
    }

    fn remove(&mut self, window: Window) {
        if let Some(child) = self.children.remove(&window) {
            self.stack.retain(|&other| other != window);
            self.changed |= child.mapped;
        }
    }

    /// A window is mapped. What is to be known of it beyond that has to be asked: it may have changed
    /// while nobody saw it.
    pub(super) fn map(&mut self, window: Window) {
        self.change(window, |child| child.mapped = true);
        self.questions.kinds.insert(window);
        self.questions.shapes.insert(window);
    }

    pub(super) fn place(&mut self, window: Window, geometry: Geometry) {
        self.change(window, |child| child.geometry = geometry);
    }

    pub(super) fn set_kind(&mut self, window: Window, kind: Option<Kind>) {
        self.change(window, |child| child.kind = kind);
    }

    pub(super) fn set_shape(&mut self, window: Window, shape: Option<Vec<Rectangle>>) {
        let shape = shape.map(|shape| if shape.len() > FINEST_SHAPE { vec![bounds(&shape)] } else { shape });
        self.change(window, |child| child.shape = shape);
    }

    /// Changes a window, which matters to others if it is mapped before or after.
    fn change(&mut self, window: Window, change: impl FnOnce(&mut Child)) {
        if let Some(child) = self.children.get_mut(&window) {
            self.changed |= child.mapped;
            change(child);
            self.changed |= child.mapped;
        }
    }

    /// Puts a window right above another; right at the bottom, if there is no other.
    fn restack(&mut self, window: Window, below: Window) {
        let at = |stack: &[Window], window| stack.iter().position(|&other| other == window);
        let Some(from) = at(&self.stack, window) else { return };
        // Most often it stays where it is.
        let now = from.checked_sub(1).and_then(|under| self.stack.get(under)).copied();
        if window == below || now.unwrap_or(x11rb::NONE) == below {
            return;
        }
        self.stack.remove(from);
        let to = at(&self.stack, below).map_or(0, |under| under + 1);
        self.stack.insert(to, window);
        self.changed |= self.is_mapped(window);
    }

    pub(super) fn is_mapped(&self, window: Window) -> bool {
        self.children.get(&window).is_some_and(|child| child.mapped)
    }

    /// Whether a window is a child of the root.
    pub(super) fn has(&self, window: Window) -> bool {
        self.children.contains_key(&window)
    }

    /// What is to be asked, which is asked no more after this.
    pub(super) fn take_questions(&mut self) -> Questions {
        std::mem::take(&mut self.questions)
    }

    /// Whether there was any change since the last time, be it one that is not to be seen.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// What is to be seen: of what is not wholly beyond the screen, the topmost.
    pub(super) fn view(&self) -> View {
        let (width, height) = (u32::from(self.size.0), u32::from(self.size.1));
        let screen = Area { x: 0, y: 0, width, height };
        // A shape for which there is no room is one rectangle all the same.
        let mut room = MOST_RECTANGLES - MOST_WINDOWS;
        let from_the_top = self.stack.iter().rev().filter_map(|&id| {
            let child = self.children.get(&id).filter(|child| child.mapped)?;
            let area = child.geometry.area();
            let kind = child.kind?;
            intersection(area, screen)?;
            let shape = child.visible_shape(room)?;
            room = room.saturating_sub(shape.len());
            Some(windows::Window { id: id.into(), kind, area, shape })
        });
        let mut windows: Vec<_> = from_the_top.take(MOST_WINDOWS).collect();
        windows.reverse();
        View { width, height, windows }
    }
}

impl Child {
    /// Its shape in the desktop's coordinates, empty if it has none; `None` if there is nothing in it. If
    /// it has more rectangles than there is room for, their bounding box.
    fn visible_shape(&self, room: usize) -> Option<Vec<Area>> {
        let Some(shape) = &self.shape else {
            return Some(Vec::new());
        };
        let area = self.geometry.area();
        let cut = |shape: &[Rectangle]| -> Vec<Area> {
            let moved = shape.iter().map(|rectangle| self.geometry.on_screen(rectangle));
            moved.filter_map(|rectangle| intersection(rectangle, area)).collect()
        };
        let shape = if shape.len() > room { cut(&[bounds(shape)]) } else { cut(shape) };
        match shape.as_slice() {
            [] => None,
            [all] if *all == area => Some(Vec::new()),
            _ => Some(shape),
        }
    }
}

impl Geometry {
    /// Its area with its border.
    fn area(self) -> Area {
        let borders = 2 * u32::from(self.border);
        Area {
            x: self.x.into(),
            y: self.y.into(),
            width: u32::from(self.width) + borders,
            height: u32::from(self.height) + borders,
        }
    }

    /// A rectangle whose place is given from the corner inside the border.
    fn on_screen(self, rectangle: &Rectangle) -> Area {
        Area {
            x: i32::from(self.x) + i32::from(self.border) + i32::from(rectangle.x),
            y: i32::from(self.y) + i32::from(self.border) + i32::from(rectangle.y),
            width: rectangle.width.into(),
            height: rectangle.height.into(),
        }
    }
}

impl From<&CreateNotifyEvent> for Geometry {
    fn from(event: &CreateNotifyEvent) -> Self {
        let &CreateNotifyEvent { x, y, width, height, border_width: border, .. } = event;
        Self { x, y, width, height, border }
    }
}

impl From<&ConfigureNotifyEvent> for Geometry {
    fn from(event: &ConfigureNotifyEvent) -> Self {
        let &ConfigureNotifyEvent { x, y, width, height, border_width: border, .. } = event;
        Self { x, y, width, height, border }
    }
}

/// What two areas have in common, if anything.
fn intersection(a: Area, b: Area) -> Option<Area> {
    let common = |a: i32, a_length: u32, b: i32, b_length: u32| {
        let from = a.max(b);
        let to = (i64::from(a) + i64::from(a_length)).min(i64::from(b) + i64::from(b_length));
        let length = u32::try_from(to - i64::from(from)).ok().filter(|&length| length > 0)?;
        Some((from, length))
    };
    let (x, width) = common(a.x, a.width, b.x, b.width)?;
    let (y, height) = common(a.y, a.height, b.y, b.height)?;
    Some(Area { x, y, width, height })
}

/// The smallest rectangle around all of them.
fn bounds(rectangles: &[Rectangle]) -> Rectangle {
    let end = |from: i16, length: u16| i32::from(from) + i32::from(length);
    let x = rectangles.iter().map(|rectangle| rectangle.x).min().unwrap_or(0);
    let y = rectangles.iter().map(|rectangle| rectangle.y).min().unwrap_or(0);
    let right = rectangles.iter().map(|rectangle| end(rectangle.x, rectangle.width)).max();
    let bottom = rectangles.iter().map(|rectangle| end(rectangle.y, rectangle.height)).max();
    let length = |from: i16, to: Option<i32>| {
        u16::try_from(to.map_or(0, |to| to - i32::from(from))).unwrap_or(u16::MAX)
    };
    Rectangle { x, y, width: length(x, right), height: length(y, bottom) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: Window = 1;

    #[test]
    fn a_screen_with_too_many_windows_is_refused() {
        let windows = |count: usize| (2..).take(count).collect();

        assert!(Model::new(ROOT, (64, 64), windows(MOST_CHILDREN)).is_ok());
        assert!(matches!(Model::new(ROOT, (64, 64), windows(MOST_CHILDREN + 1)), Err(Error::Failed(_))));
    }

    #[test]
    fn the_uppermost_shapes_are_told_as_long_as_there_is_room() {
        let windows: Vec<Window> = (2..102).collect();
        let mut model = Model::new(ROOT, (64, 64), windows.clone()).expect("few windows");
        let pixel = |number| Rectangle { x: 0, y: number, width: 1, height: 1 };
        for &window in &windows {
            model.place(window, Geometry { width: 5, height: 5000, ..Geometry::default() });
            model.map(window);
            model.set_kind(window, Some(Kind::Application));
            model.set_shape(window, Some((0..1000).map(pixel).collect()));
        }

        let view = model.view();

        let counts: Vec<usize> = view.windows.iter().map(|window| window.shape.len()).collect();
        let whole = (MOST_RECTANGLES - MOST_WINDOWS) / 1000;
        assert_eq!(counts, [vec![1; 100 - whole], vec![1000; whole]].concat());
        assert_eq!(view.windows[0].shape, [Area { x: 0, y: 0, width: 1, height: 1000 }]);
    }
}

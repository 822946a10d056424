//! Windows: what of the desktop is to be seen.

use crate::{Area, Error};

/// The most windows of a [`View`]; of more, the topmost are told.
pub const MOST_WINDOWS: usize = 4096;

/// The most rectangles of a [`Window::shape`]; a finer shape is told as the smallest rectangle around it.
pub const FINEST_SHAPE: usize = 1024;

/// The most rectangles of all shapes of a [`View`]; where there is no room for more, from the top of the
/// stack to its bottom, a shape is told as the smallest rectangle around it.
pub const MOST_RECTANGLES: usize = 65536;

/// What a window is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An application's: with a frame, if its window manager gives it one.
    Application,
    /// A menu, tooltip, or whatever else stands outside the window manager's care.
    Unmanaged,
    /// A panel at the edge of the screen.
    Dock,
    /// The desktop itself, behind everything.
    Background,
}

/// A window that is to be seen, as far as others do not cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The desktop's number for it.
    pub id: u64,
    /// What it is for.
    pub kind: Kind,
    /// Where it stands, its frame included, in pixels; it may reach beyond the screen, but does not stand
    /// wholly beyond it.
    pub area: Area,
    /// What of its area it fills, in the desktop's coordinates; empty when it fills all of it.
    pub shape: Vec<Area>,
}

/// What is to be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The screen's width in pixels.
    pub width: u32,
    /// The screen's height in pixels.
    pub height: u32,
    /// From the bottom of the stack to its top, at most [`MOST_WINDOWS`].
    pub windows: Vec<Window>,
}

/// The windows of one desktop.
pub trait Windows: Send + Sync {
    /// Which desktop this is, for people.
    fn describe(&self) -> String;

    /// What is to be seen now. While a [`watch`](Self::watch) lives this costs the desktop nothing.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the desktop cannot be reached, [`Error::NotSupported`] when it does
    /// not tell.
    fn look(&self) -> Result<View, Error>;

    /// Calls `changed` whenever [`look`](Self::look) would answer something else, or not any more, until
    /// the guard that is returned is dropped. `changed` is called from a thread of the desktop's, must
    /// not wait, and must not call this desktop. What there is at the start is looked at after this.
    ///
    /// A desktop that goes away is looked for until it is back, at a slow pace; nothing else here polls.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    fn watch(&self, changed: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Send>, Error>;
}

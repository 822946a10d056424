//! `windows`: what of the desktop is to be seen.

use super::Host;
use super::bindings::bellhop::guest::types::{Error, Rectangle};
use super::bindings::bellhop::guest::windows::{self, Kind, View, Window};

impl windows::Host for Host {
    fn look(&mut self) -> Result<View, Error> {
        Ok(self.outside.desktop()?.windows.look()?.into())
    }

    fn watch(&mut self, on: bool) -> Result<(), Error> {
        if !on {
            self.window_watch = None;
        } else if self.window_watch.is_none() {
            let poster = self.poster.clone();
            self.window_watch =
                Some(self.outside.desktop()?.windows.watch(Box::new(move || poster.windows()))?);
        }
        Ok(())
    }
}

impl From<bellhop_desktop::View> for View {
    fn from(view: bellhop_desktop::View) -> Self {
        Self {
            width: view.width,
            height: view.height,
            windows: view.windows.into_iter().map(Window::from).collect(),
        }
    }
}

impl From<bellhop_desktop::Window> for Window {
    fn from(window: bellhop_desktop::Window) -> Self {
        use bellhop_desktop::windows::Kind as Theirs;
        Self {
            id: window.id,
            kind: match window.kind {
                Theirs::Application => Kind::Application,
                Theirs::Unmanaged => Kind::Unmanaged,
                Theirs::Dock => Kind::Dock,
                Theirs::Background => Kind::Background,
            },
            area: window.area.into(),
            shape: window.shape.into_iter().map(Rectangle::from).collect(),
        }
    }
}

impl From<bellhop_desktop::Area> for Rectangle {
    fn from(area: bellhop_desktop::Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}

//! A client that makes windows and does things to them.

use bellhop_xserver::XServer;
use libtest_mimic::Failed;
use x11rb::connection::Connection as _;
use x11rb::protocol::shape::{self, ConnectionExt as _};
use x11rb::protocol::xproto::{
    ClipOrdering, ConfigureWindowAux, ConnectionExt as _, CreateWindowAux, PropMode, Rectangle, WindowClass,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

/// A client that makes windows and does things to them.
pub struct Painter {
    pub x: RustConnection,
    pub root: u32,
}

/// A window to be made: 100 by 80 pixels, unless it says otherwise.
#[derive(Clone, Copy)]
pub struct Sketch {
    pub place: (i16, i16),
    pub size: (u16, u16),
    pub border: u16,
    pub class: WindowClass,
    pub override_redirect: bool,
}

impl Sketch {
    pub fn at(x: i16, y: i16) -> Self {
        let class = WindowClass::INPUT_OUTPUT;
        Self { place: (x, y), size: (100, 80), border: 0, class, override_redirect: false }
    }
}

impl Painter {
    pub fn on(server: &XServer) -> Result<Self, Failed> {
        let (x, screen) = x11rb::connect(Some(server.display()))?;
        let root = x.setup().roots[screen].root;
        Ok(Self { x, root })
    }

    pub fn create(&self, sketch: Sketch) -> Result<u32, Failed> {
        self.create_in(self.root, sketch)
    }

    pub fn create_in(&self, parent: u32, sketch: Sketch) -> Result<u32, Failed> {
        let id = self.x.generate_id()?;
        self.create_as(id, parent, sketch)?;
        Ok(id)
    }

    pub fn create_as(&self, id: u32, parent: u32, sketch: Sketch) -> Result<(), Failed> {
        let Sketch { place: (x, y), size: (width, height), border, class, override_redirect } = sketch;
        let aux = CreateWindowAux::new().override_redirect(u32::from(override_redirect));
        let depth = if class == WindowClass::INPUT_ONLY { 0 } else { x11rb::COPY_DEPTH_FROM_PARENT };
        self.x.create_window(depth, id, parent, x, y, width, height, border, class, 0, &aux)?;
        Ok(())
    }

    /// So many windows, here and there, mapped.
    pub fn many(&self, count: usize) -> Result<Vec<u32>, Failed> {
        let sketch = |number: usize| -> Result<Sketch, Failed> {
            Ok(Sketch::at(i16::try_from(number % 37 * 20)?, i16::try_from(number % 23 * 30)?))
        };
        let windows = (0..count).map(|number| self.create(sketch(number)?)).collect::<Result<Vec<_>, _>>()?;
        self.map(&windows)?;
        Ok(windows)
    }

    pub fn map(&self, windows: &[u32]) -> Result<(), Failed> {
        for window in windows {
            self.x.map_window(*window)?;
        }
        self.sync()
    }

    pub fn move_to(&self, window: u32, x: i32, y: i32) -> Result<(), Failed> {
        self.x.configure_window(window, &ConfigureWindowAux::new().x(x).y(y))?;
        Ok(self.x.flush()?)
    }

    pub fn shape(&self, window: u32, rectangles: &[(i16, i16, u16, u16)]) -> Result<(), Failed> {
        let rectangle = |&(x, y, width, height): &(i16, i16, u16, u16)| Rectangle { x, y, width, height };
        let rectangles: Vec<_> = rectangles.iter().map(rectangle).collect();
        let (set, bounding, any) = (shape::SO::SET, shape::SK::BOUNDING, ClipOrdering::UNSORTED);
        Ok(self.x.shape_rectangles(set, bounding, any, window, 0, 0, &rectangles)?.check()?)
    }

    pub fn set_types(&self, window: u32, types: &[&str]) -> Result<(), Failed> {
        let types = types.iter().map(|name| self.atom(name)).collect::<Result<Vec<_>, _>>()?;
        let (property, atom) = (self.atom("_NET_WM_WINDOW_TYPE")?, self.atom("ATOM")?);
        Ok(self.x.change_property32(PropMode::REPLACE, window, property, atom, &types)?.check()?)
    }

    pub fn atom(&self, name: &str) -> Result<u32, Failed> {
        Ok(self.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
    }

    /// Waits until the server did all that was asked.
    pub fn sync(&self) -> Result<(), Failed> {
        self.x.get_input_focus()?.reply()?;
        Ok(())
    }
}

//! The windows of a server, kept in a model: what events tell at once, and what they only raise by asking.

use std::collections::HashSet;

use x11rb::connection::{Connection as _, RequestConnection as _};
use x11rb::protocol::Event;
use x11rb::protocol::shape::{self, ConnectionExt as _, SK};
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState, Window};

use super::ask::ask;
use super::kind::{Properties, listen};
use super::model::{Geometry, Model};
use crate::View;
use crate::x11::connection::{Failure, Server};

/// How far up from a window the child of the root is looked for that it is in.
const DEEPEST: usize = 8;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Survey {
    model: Model,
    properties: Properties,
    has_shapes: bool,
}

impl Survey {
    /// Takes all windows up, and asks for the events that tell what becomes of them.
    pub(super) fn begin(server: &Server) -> Result<Self, Failure> {
        let (x, root) = (&server.x, server.root);
        let has_shapes = x.extension_information(shape::X11_EXTENSION_NAME)?.is_some();
        let properties = Properties::intern(server)?;
        let events = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::STRUCTURE_NOTIFY;
        let select = ChangeWindowAttributesAux::new().event_mask(events);
        x.change_window_attributes(root, &select)?.ignore_error();
        let size = x.get_geometry(root)?;
        let tree = x.query_tree(root)?;
        let stacked = tree.sequence_number();
        let size = size.reply()?;
        let stack = tree.reply()?.children;
        let model = Model::new(root, (size.width, size.height), stack.clone())?;
        let mut survey = Self { model, properties, has_shapes };
        // A change of the stack is told from where the window was before it, so those that the tree has
        // in it must not be followed once more.
        while let Some((event, sequence)) = x.poll_for_event_with_sequence()? {
            if sequence >= stacked {
                survey.event(&event)?;
            }
        }
        survey.place(server, &stack)?;
        let attributes = ask(&stack, |&window| x.get_window_attributes(window))?;
        for (window, attributes) in stack.into_iter().zip(attributes) {
            if attributes.is_some_and(|attributes| attributes.map_state != MapState::UNMAPPED) {
                survey.model.map(window);
            }
        }
        survey.settle(server)?;
        Ok(survey)
    }

    /// Follows an event.
    pub(super) fn event(&mut self, event: &Event) -> Result<(), Failure> {
        match event {
            Event::PropertyNotify(event) if self.properties.tell(event.atom) => {
                self.model.doubt(event.window)
            }
            event => self.model.follow(event)?,
        }
        Ok(())
    }

    /// Asks what the events since the last time raised.
    pub(super) fn settle(&mut self, server: &Server) -> Result<(), Failure> {
        let mut questions = self.model.take_questions();
        self.place(server, &Vec::from_iter(questions.geometries))?;
        questions.kinds.extend(self.outermost(server, questions.inside)?);
        let kinds = self.properties.kinds(server, self.mapped(questions.kinds))?;
        for (window, kind) in kinds {
            self.model.set_kind(window, kind);
        }
        if self.has_shapes {
            self.shape(server, &self.mapped(questions.shapes))?;
        }
        Ok(())
    }

    /// Whether the view may be another than the last time.
    pub(super) fn take_changed(&mut self) -> bool {
        self.model.take_changed()
    }

    pub(super) fn view(&self) -> View {
        self.model.view()
    }

    /// Those of these that are worth a question: of the others it is asked when they are mapped.
    fn mapped(&self, windows: HashSet<Window>) -> Vec<Window> {
        windows.into_iter().filter(|&window| self.model.is_mapped(window)).collect()
    }

    fn place(&mut self, server: &Server, windows: &[Window]) -> Result<(), Failure> {
        let geometries = ask(windows, |&window| server.x.get_geometry(window))?;
        for (&window, reply) in windows.iter().zip(geometries) {
            let Some(reply) = reply else { continue };
            let border = reply.border_width;
            let (x, y, width, height) = (reply.x, reply.y, reply.width, reply.height);
            self.model.place(window, Geometry { x, y, width, height, border });
        }
        Ok(())
    }

    fn shape(&mut self, server: &Server, windows: &[Window]) -> Result<(), Failure> {
        for &window in windows {
            server.x.shape_select_input(window, true)?.ignore_error();
        }
        let extents = ask(windows, |&window| server.x.shape_query_extents(window))?;
        let mut shaped = Vec::new();
        for (&window, extents) in windows.iter().zip(extents) {
            match extents {
                Some(extents) if extents.bounding_shaped => shaped.push(window),
                _ => self.model.set_shape(window, None),
            }
        }
        let rectangles = ask(&shaped, |&window| server.x.shape_get_rectangles(window, SK::BOUNDING))?;
        for (window, reply) in shaped.into_iter().zip(rectangles) {
            self.model.set_shape(window, reply.map(|reply| reply.rectangles));
        }
        Ok(())
    }

    /// The children of the root in which these windows are, as far as they are not gone.
    fn outermost(&self, server: &Server, windows: HashSet<Window>) -> Result<HashSet<Window>, Failure> {
        let mut inside = Vec::from_iter(windows);
        listen(server, inside.iter().copied())?;
        let mut outermost = HashSet::new();
        for _ in 0..DEEPEST {
            let trees = ask(&inside, |&window| server.x.query_tree(window))?;
            let parents = trees.into_iter().flatten().map(|tree| tree.parent);
            let parents: HashSet<Window> = parents.filter(|&parent| parent != server.root).collect();
            let (found, further) = parents.into_iter().partition(|&parent| self.model.has(parent));
            outermost.extend::<Vec<_>>(found);
            inside = further;
        }
        Ok(outermost)
    }
}

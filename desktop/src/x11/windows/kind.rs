//! What a window is for, which its properties tell, or those of a window inside it.
//!
//! A window manager marks the windows that it manages with `WM_STATE`, and most put a frame around them,
//! a window of their own that says nothing. So a child of the root is what the window inside it says that
//! has the mark; one that has none inside says it itself.

use std::collections::HashMap;

use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, GetPropertyReply, Window,
    WindowClass,
};

use super::ask::ask;
use crate::windows::Kind;
use crate::x11::connection::{Failure, Server};

/// Frame, a window for clipping in it, and then the client is what is found; one more cannot hurt.
const DEEPEST: usize = 3;

/// How many windows at one depth are looked at in one child of the root. A frame has some twenty
/// decorations.
const WIDEST: usize = 128;

/// How many types of one window are looked at; they are in the order of its preference.
const MOST_TYPES: u32 = 16;

/// The types of windows that there are (EWMH 1.5), and what those with a kind of their own are.
const TYPES: [(&str, Option<Kind>); 14] = [
    ("_NET_WM_WINDOW_TYPE_DESKTOP", Some(Kind::Background)),
    ("_NET_WM_WINDOW_TYPE_DOCK", Some(Kind::Dock)),
    ("_NET_WM_WINDOW_TYPE_TOOLBAR", None),
    ("_NET_WM_WINDOW_TYPE_MENU", None),
    ("_NET_WM_WINDOW_TYPE_UTILITY", None),
    ("_NET_WM_WINDOW_TYPE_SPLASH", None),
    ("_NET_WM_WINDOW_TYPE_DIALOG", None),
    ("_NET_WM_WINDOW_TYPE_DROPDOWN_MENU", None),
    ("_NET_WM_WINDOW_TYPE_POPUP_MENU", None),
    ("_NET_WM_WINDOW_TYPE_TOOLTIP", None),
    ("_NET_WM_WINDOW_TYPE_NOTIFICATION", None),
    ("_NET_WM_WINDOW_TYPE_COMBO", None),
    ("_NET_WM_WINDOW_TYPE_DND", None),
    ("_NET_WM_WINDOW_TYPE_NORMAL", None),
];

/// The server's numbers for the properties that tell a kind.
#[derive(Debug)]
pub(super) struct Properties {
    wm_state: Atom,
    window_type: Atom,
    types: HashMap<Atom, Option<Kind>>,
}

/// Whether a window manager shows a window that it manages (ICCCM 4.1.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Normal,
    Iconic,
}

impl Properties {
    pub(super) fn intern(server: &Server) -> Result<Self, Failure> {
        let named = TYPES.iter().map(|&(name, _)| name);
        let names: Vec<&str> = ["WM_STATE", "_NET_WM_WINDOW_TYPE"].into_iter().chain(named).collect();
        let atoms = ask(&names, |name| server.x.intern_atom(false, name.as_bytes()))?;
        let mut atoms = atoms.into_iter().map(|reply| reply.map_or(x11rb::NONE, |reply| reply.atom));
        let mut next = || atoms.next().unwrap_or(x11rb::NONE);
        let (wm_state, window_type) = (next(), next());
        let types = TYPES.iter().map(|&(_, kind)| (next(), kind)).collect();
        Ok(Self { wm_state, window_type, types })
    }

    /// Whether a property is one that tells a kind.
    pub(super) fn tell(&self, property: Atom) -> bool {
        property == self.wm_state || property == self.window_type
    }

    /// The kinds of those of these children of the root that are still there; `None` for what is not to
    /// be seen. A change of what tells it comes as a `PropertyNotify` from now on.
    pub(super) fn kinds(
        &self,
        server: &Server,
        windows: Vec<Window>,
    ) -> Result<Vec<(Window, Option<Kind>)>, Failure> {
        let attributes = ask(&windows, |&window| server.x.get_window_attributes(window))?;
        let here = windows.into_iter().zip(attributes).filter_map(|(window, reply)| Some((window, reply?)));
        let here: Vec<_> = here.collect();
        let searched = here.iter().map(|&(window, _)| window).collect();
        let clients = self.clients(server, searched)?;
        let tellers: Vec<Window> = here
            .iter()
            .map(|&(window, _)| clients.get(&window).map_or(window, |&(client, _)| client))
            .collect();
        let types = ask(&tellers, |&teller| {
            server.x.get_property(false, teller, self.window_type, AtomEnum::ATOM, 0, MOST_TYPES)
        })?;
        let kinds = here.into_iter().zip(types).map(|((window, attributes), types)| {
            let state = clients.get(&window).map(|&(_, state)| state);
            let drawn = attributes.class == WindowClass::INPUT_OUTPUT && !is_servers_own(server, window);
            let visible = drawn && state != Some(State::Iconic);
            let other = match (state, attributes.override_redirect) {
                (None, true) => Kind::Unmanaged,
                _ => Kind::Application,
            };
            (window, visible.then(|| types.and_then(|types| self.own_kind(&types)).unwrap_or(other)))
        });
        Ok(kinds.collect())
    }

    /// The kind that the first type known has for itself.
    fn own_kind(&self, types: &GetPropertyReply) -> Option<Kind> {
        types.value32()?.find_map(|atom| self.types.get(&atom).copied()).flatten()
    }

    /// Finds, in each of these, the window that a window manager manages, and whether it shows it.
    fn clients(
        &self,
        server: &Server,
        windows: Vec<Window>,
    ) -> Result<HashMap<Window, (Window, State)>, Failure> {
        let mut found: HashMap<Window, (Window, State)> = HashMap::new();
        // All windows of one depth, each with the one that it is in.
        let mut level: Vec<(Window, Window)> = windows.into_iter().map(|window| (window, window)).collect();
        for depth in 0..=DEEPEST {
            // Before they are asked: who has no mark yet may get it right after the answer.
            listen(server, level.iter().map(|&(_, inside)| inside))?;
            let states = ask(&level, |&(_, inside)| {
                server.x.get_property(false, inside, self.wm_state, self.wm_state, 0, 1)
            })?;
            for (&(window, inside), reply) in level.iter().zip(states) {
                let Some(state) = reply.as_ref().and_then(state) else { continue };
                let first = found.entry(window).or_insert((inside, state));
                // Where a frame has several, as tabs, one of them is shown.
                if first.1 == State::Iconic && state == State::Normal {
                    *first = (inside, state);
                }
            }
            level.retain(|(window, _)| !found.contains_key(window));
            if depth == DEEPEST || level.is_empty() {
                break;
            }
            let trees = ask(&level, |&(_, inside)| server.x.query_tree(inside))?;
            let mut next = Vec::new();
            let mut counts: HashMap<Window, usize> = HashMap::new();
            for (&(window, _), tree) in level.iter().zip(trees) {
                let count = counts.entry(window).or_default();
                // The client tends to be above the decorations.
                let children = tree.into_iter().flat_map(|tree| tree.children.into_iter().rev());
                let before = next.len();
                next.extend(children.take(WIDEST - *count).map(|child| (window, child)));
                *count += next.len() - before;
            }
            level = next;
        }
        Ok(found)
    }
}

/// Asks for a `PropertyNotify` of each change of these windows' properties. Windows keep that wherever
/// they are put.
pub(super) fn listen(server: &Server, windows: impl IntoIterator<Item = Window>) -> Result<(), Failure> {
    let properties = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
    for window in windows {
        // It may be gone by now.
        server.x.change_window_attributes(window, &properties)?.ignore_error();
    }
    Ok(())
}

/// `WM_STATE` of a managed window; withdrawn ones, whose state is 0, are not managed.
fn state(property: &GetPropertyReply) -> Option<State> {
    match property.value32()?.next()? {
        1 => Some(State::Normal),
        3 => Some(State::Iconic),
        _ => None,
    }
}

/// Whether a window was made by the server, as the one in which a compositing manager composes: that one
/// covers everything, and is nobody's. The numbers of windows begin with that of their client, and the
/// server's is 0.
fn is_servers_own(server: &Server, window: Window) -> bool {
    window & !server.x.setup().resource_id_mask == 0
}

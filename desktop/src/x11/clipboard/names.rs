//! Atoms: the numbers that the server has for names.

use std::collections::HashMap;

use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{Atom, ConnectionExt as _};

use crate::clipboard::LONGEST_FORMAT;
use crate::x11::connection::{Failure, Server};

x11rb::atom_manager! {
    /// The names that the protocol of selections is made of, and two of our own for properties.
    pub(super) Atoms: AtomsCookie {
        _BELLHOP_CONTENT,
        _BELLHOP_TIME,
        ATOM_PAIR,
        CLIPBOARD,
        COMPOUND_TEXT,
        INCR,
        MULTIPLE,
        NULL,
        SAVE_TARGETS,
        TARGETS,
        TIMESTAMP,
        UTF8_STRING,
    }
}

/// The most names that are kept; then it begins anew.
const MOST_KEPT: usize = 4096;

/// The names of atoms, kept because they never change.
#[derive(Debug, Default)]
pub(super) struct Names {
    kept: HashMap<Atom, String>,
}

impl Names {
    /// The names of these atoms; what is no atom has none.
    pub(super) fn of(&mut self, server: &Server, atoms: &[Atom]) -> Result<Vec<String>, Failure> {
        if self.kept.len() + atoms.len() > MOST_KEPT {
            self.kept.clear();
        }
        let unknown = atoms.iter().filter(|&atom| !self.kept.contains_key(atom));
        let asked = unknown.map(|&atom| Ok((atom, server.x.get_atom_name(atom)?)));
        for (atom, answer) in asked.collect::<Result<Vec<_>, Failure>>()? {
            match answer.reply() {
                Ok(answer) => {
                    // A name that is too long for a format is as good as none.
                    let name = Some(answer.name).filter(|name| name.len() <= LONGEST_FORMAT);
                    let name = String::from_utf8_lossy(&name.unwrap_or_default()).into_owned();
                    self.kept.insert(atom, name);
                }
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
                Err(ReplyError::X11Error(_)) => {}
            }
        }
        Ok(atoms.iter().filter_map(|atom| self.kept.get(atom).cloned()).collect())
    }
}

/// The atom of a name.
pub(super) fn intern(server: &Server, name: &str) -> Result<Atom, Failure> {
    Ok(server.x.intern_atom(false, name.as_bytes())?.reply()?.atom)
}

/// The atoms of many names, which take no longer than one.
pub(super) fn intern_all(server: &Server, names: &[String]) -> Result<Vec<Atom>, Failure> {
    let asked = names.iter().map(|name| server.x.intern_atom(false, name.as_bytes()));
    let asked = asked.collect::<Result<Vec<_>, _>>()?;
    asked.into_iter().map(|answer| Ok(answer.reply()?.atom)).collect()
}

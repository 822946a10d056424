//! The clipboard of the guest's desktop. Granted by `desktop = ["clipboard"]`, and bounded by the grant
//! `clipboard`.

use crate::bindings::bellhop::guest::clipboard as raw;
use crate::bindings::clipboard_events::exports::bellhop::guest::clipboard_events;
use crate::{Buffer, Error, Token};

pub use clipboard_events::Owner;
pub use raw::{Selection, offer, read, refuse, watch, withdraw};

/// Answers a [`ClipboardEvents::on_wanted`](crate::ClipboardEvents::on_wanted). Who asked may be gone by
/// now, which is no error.
///
/// # Errors
/// [`Error::Denied`] when the content is larger than the grant allows.
pub fn answer(wanted: Token, content: Buffer) -> Result<(), Error> {
    raw::answer(wanted, content.into_number())
}

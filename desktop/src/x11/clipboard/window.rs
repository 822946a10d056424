//! Windows that nobody sees: selections are owned and asked for by windows.

use x11rb::connection::Connection as _;
use x11rb::errors::ReplyOrIdError;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, EventMask, Window, WindowClass};

use crate::x11::connection::{Failure, Server, refusal};

/// Makes a window, and asks for events at it.
pub(super) fn create(server: &Server, events: EventMask) -> Result<Window, Failure> {
    let window = server.x.generate_id().map_err(|error| match error {
        ReplyOrIdError::ConnectionError(error) => Failure::Lost(error),
        ReplyOrIdError::X11Error(error) => Failure::Refused(refusal(&error)),
        ReplyOrIdError::IdsExhausted => Failure::Refused("another window: it has no ids left".to_owned()),
    })?;
    let attributes = CreateWindowAux::new().override_redirect(1).event_mask(events);
    let class = WindowClass::INPUT_ONLY;
    server.x.create_window(0, window, server.root, -1, -1, 1, 1, 0, class, 0, &attributes)?;
    Ok(window)
}

/// Destroys one of ours, with its properties and the selections that it owns.
pub(super) fn destroy(server: &Server, window: Window) -> Result<(), Failure> {
    server.x.destroy_window(window)?;
    Ok(())
}

/// Whether this is a window of this connection.
pub(super) fn is_ours(server: &Server, window: Window) -> bool {
    let setup = server.x.setup();
    window & !setup.resource_id_mask == setup.resource_id_base
}

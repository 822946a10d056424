//! What the guest says of itself and asks of the host. Granted by `requests = ["guest"]`.

use crate::bindings::bellhop::guest::guest as raw;
use crate::{Capabilities, Error};

pub use raw::{Facility, HostVersion, Status, host_time, report_status, session_id, version};

/// Announces guest capabilities and withdraws others, within those granted. What a plugin announced
/// is withdrawn when it stops.
///
/// # Errors
/// [`Error::Denied`] beyond the grants, [`Error::Busy`] while another session holds one of them.
pub fn change_capabilities(add: Capabilities, remove: Capabilities) -> Result<(), Error> {
    raw::change_capabilities(add.bits(), remove.bits())
}

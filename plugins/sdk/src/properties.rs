//! Guest properties: names and values that the host and the guest share. Granted by `properties`.

use crate::bindings::bellhop::guest::properties as raw;
use crate::bindings::property_events::exports::bellhop::guest::property_events;

pub use property_events::Change;
pub use raw::{Property, delete, enumerate, get, set, unwatch, watch};

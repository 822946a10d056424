//! News at a time of the plugin's choosing, delivered to [`TimerEvents`](crate::TimerEvents). Always
//! there.

use std::time::Duration;

use crate::bindings::bellhop::guest::timers as raw;
use crate::{Error, Token};

pub use raw::cancel;

/// Asks to be called once, not before `after` has passed.
///
/// # Errors
/// [`Error::Busy`] beyond the limit `timers`.
pub fn set(after: Duration) -> Result<Token, Error> {
    raw::set(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX))
}

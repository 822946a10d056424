//! Asking the same of many windows, without a round trip for each.

use x11rb::connection::RequestConnection;
use x11rb::cookie::Cookie;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::x11_utils::TryParse;

use crate::x11::connection::Failure;

/// How many requests are made before the first answer is read.
const AT_ONCE: usize = 256;

/// Asks something about each of these, and gives the answers in the same order: `None` where the server
/// refused, as it does for a window that is gone by now.
pub(super) fn ask<'c, T, C, R>(
    about: &[T],
    request: impl Fn(&T) -> Result<Cookie<'c, C, R>, ConnectionError>,
) -> Result<Vec<Option<R>>, Failure>
where
    C: RequestConnection + 'c,
    R: TryParse,
{
    let mut answers = Vec::with_capacity(about.len());
    for some in about.chunks(AT_ONCE) {
        let asked = some.iter().map(&request).collect::<Result<Vec<_>, _>>()?;
        for cookie in asked {
            answers.push(match cookie.reply() {
                Ok(reply) => Some(reply),
                Err(ReplyError::X11Error(_)) => None,
                Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
            });
        }
    }
    Ok(answers)
}

//! `timers`: news at a time of the plugin's choosing.

use std::time::{Duration, Instant};

use super::Host;
use super::bindings::bellhop::guest::timers;
use super::bindings::bellhop::guest::types::Error;
use crate::mailbox::Token;

/// The most timers of one plugin.
const MOST: usize = 64;

/// A timer that is further off is as good as none, and the clock cannot hold it for certain.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl timers::Host for Host {
    fn set(&mut self, after: u64) -> Result<Token, Error> {
        let timer = self.token();
        let at = Instant::now() + Duration::from_nanos(after).min(FURTHEST);
        if self.poster.set_timer(at, timer, MOST) {
            Ok(timer)
        } else {
            Err(Error::Invalid(format!("a plugin may have {MOST} timers")))
        }
    }

    fn cancel(&mut self, timer: Token) {
        self.poster.cancel_timer(timer);
    }
}

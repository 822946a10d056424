//! `timers`: news at a time of the plugin's choosing.

use std::time::{Duration, Instant};

use super::bindings::bellhop::guest::timers;
use super::bindings::bellhop::guest::types::Error;
use super::{Host, permit_one_more};
use crate::mailbox::Token;

/// A timer that is further off is as good as none, and the clock cannot hold it for certain.
const FURTHEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl timers::Host for Host {
    fn set(&mut self, after: u64) -> Result<Token, Error> {
        permit_one_more("timers", self.poster.timers(), self.limits.timers)?;
        let timer = self.token();
        self.poster.set_timer(Instant::now() + Duration::from_nanos(after).min(FURTHEST), timer);
        Ok(timer)
    }

    fn cancel(&mut self, timer: Token) {
        self.poster.cancel_timer(timer);
    }
}

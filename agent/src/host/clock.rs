//! `clock`: time.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Host;
use super::bindings::bellhop::guest::clock;
use crate::observe::nanoseconds;

impl clock::Host for Host {
    fn monotonic(&mut self) -> u64 {
        nanoseconds(self.started.elapsed())
    }

    fn wall(&mut self) -> u64 {
        nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

//! `clock`: time.

use std::time::{SystemTime, UNIX_EPOCH};

use super::Host;
use super::bindings::bellhop::guest::clock;

impl clock::Host for Host {
    fn monotonic(&mut self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn wall(&mut self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

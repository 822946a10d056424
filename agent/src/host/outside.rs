//! The host and the desktop, as far as a plugin may ask anything of them now.
//!
//! Every use of them goes through here, and is paid for out of the limit `requests-per-second`: what
//! does not pay has no driver and no desktop in its hands. Only what ends something is free, so that it
//! can always be ended.

use std::sync::Arc;

use bellhop_desktop::Desktop;
use driver_core::Driver;

use super::bindings::bellhop::guest::types::Error;
use crate::plugin::Record;

/// What one plugin reaches of the world.
pub(super) struct Outside {
    driver: Arc<dyn Driver>,
    desktop: Desktop,
    record: Arc<Record>,
}

impl Outside {
    pub(super) fn new(driver: Arc<dyn Driver>, desktop: Desktop, record: Arc<Record>) -> Self {
        Self { driver, desktop, record }
    }

    /// Pays for one request.
    pub(super) fn pay(&self) -> Result<(), Error> {
        if self.record.may_request() {
            return Ok(());
        }
        let rate = self.record.state().limits.requests_per_second;
        Err(Error::Busy(format!(
            "more than {rate} requests a second, as many as the limit `requests-per-second`"
        )))
    }

    /// The driver, for one request.
    pub(super) fn driver(&self) -> Result<&Arc<dyn Driver>, Error> {
        self.pay().map(|()| &self.driver)
    }

    /// The desktop, for one request.
    pub(super) fn desktop(&self) -> Result<&Desktop, Error> {
        self.pay().map(|()| &self.desktop)
    }
}

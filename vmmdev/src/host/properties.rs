//! Guest properties at the host.

use std::fmt;
use std::time::Duration;

use driver_core::wire::Status;

use super::{Host, TimedOut};
use crate::hgcm::{Property, PropertyChange};

/// A property was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PropertyRefused {
    /// Its name, as it was given.
    pub name: String,
    /// What the service of guest properties says.
    pub status: Status,
}

impl fmt::Display for PropertyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.status {
            Status::INVALID_PARAMETER => {
                "a name has 1 to 63 bytes, none of them *, ? or |, and neither has a name nor a value a zero"
            }
            Status::TOO_MUCH_DATA => "a value has at most 1023 bytes, and a machine at most 256 properties",
            Status::PARSE_ERROR => {
                "flags are words of TRANSIENT, RDONLYGUEST, RDONLYHOST, READONLY and TRANSRESET, with commas"
            }
            Status::PERMISSION_DENIED => "its flags say that the host may not",
            _ => return write!(f, "Cannot change property {:?}: {}", self.name, self.status),
        };
        write!(f, "Cannot change property {:?}: {why}", self.name)
    }
}

impl Host {
    /// Sets a guest property, with flags such as `TRANSIENT, RDONLYGUEST`; an empty text for none.
    ///
    /// # Errors
    /// [`PropertyRefused`]; then nothing was set.
    pub fn set_property(&self, name: &str, value: &str, flags: &str) -> Result<(), PropertyRefused> {
        self.with_device(|device| {
            let (services, answers) = device.hgcm.services();
            services.properties.set_by_host(name, value, flags, answers)
        })
        .map_err(|status| PropertyRefused { name: name.to_owned(), status })
    }

    /// Deletes a guest property; one that is not there is no error.
    ///
    /// # Errors
    /// [`PropertyRefused`]; then nothing was deleted.
    pub fn delete_property(&self, name: &str) -> Result<(), PropertyRefused> {
        self.with_device(|device| {
            let (services, answers) = device.hgcm.services();
            services.properties.delete_by_host(name, answers)
        })
        .map_err(|status| PropertyRefused { name: name.to_owned(), status })
    }

    /// A guest property; `None` when there is none of this name.
    pub fn property(&self, name: &str) -> Option<Property> {
        self.lock().device.hgcm.services.properties.store.get(name).cloned()
    }

    /// The guest properties whose names match, in their order: `*` stands for any text, `?` for one
    /// character, `|` divides alternatives, and an empty text matches all.
    pub fn properties(&self, patterns: &str) -> Vec<Property> {
        self.lock().device.hgcm.services.properties.store.list(patterns).into_iter().cloned().collect()
    }

    /// Waits until a guest property whose name matches is changed, by whomever, after a time in
    /// nanoseconds since the Unix epoch; `None` is now. The 256 latest changes are remembered.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_property(
        &self,
        patterns: &str,
        since: Option<u64>,
        timeout: Duration,
    ) -> Result<PropertyChange, TimedOut> {
        let mut since = since;
        self.wait_acted(timeout, |device| {
            let store = &device.hgcm.services.properties.store;
            let since = *since.get_or_insert_with(|| store.latest());
            store.change_after(since, patterns).cloned()
        })
    }

    /// Lets the guest only read guest properties, or change them again.
    pub fn protect_properties(&self, guest_reads_only: bool) {
        self.with_device(|device| {
            device.hgcm.services.properties.store.guest_reads_only = guest_reads_only;
        });
    }
}

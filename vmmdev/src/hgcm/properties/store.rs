//! The guest properties themselves, and the changes that are remembered.

use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use driver_core::wire::Status;
use driver_core::wire::guest_property::{self as wire, Flags};
use serde::{Serialize, Serializer};

use crate::settings::Settings;

/// What the host maintains itself: which host it is, how often the machine was reset and brought back
/// from a saved state, and a program that Windows runs when it is set up.
const MAINTAINED: [&str; 7] = [
    "/VirtualBox/HostInfo/VBoxVer",
    "/VirtualBox/HostInfo/VBoxVerExt",
    "/VirtualBox/HostInfo/VBoxRev",
    RESETS,
    RESUMES,
    "/VirtualBox/HostGuest/SysprepExec",
    "/VirtualBox/HostGuest/SysprepArgs",
];
const RESETS: &str = "/VirtualBox/VMInfo/ResetCounter";
const RESUMES: &str = "/VirtualBox/VMInfo/ResumeCounter";

/// A guest property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Property {
    /// 1 to 63 bytes.
    pub name: String,
    /// At most 1023 bytes.
    pub value: String,
    /// When it was last changed, in nanoseconds since the Unix epoch. No two are the same.
    pub timestamp: u64,
    /// What is special about it; as text where it is written down.
    #[serde(serialize_with = "as_text")]
    pub flags: Flags,
}

fn as_text<S: Serializer>(flags: &Flags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(flags)
}

/// A change of a guest property.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PropertyChange {
    /// Which property.
    pub name: String,
    /// Its new value; `None` when it was deleted.
    pub value: Option<String>,
    /// When, in nanoseconds since the Unix epoch.
    pub timestamp: u64,
    /// Its flags now; as text where they are written down.
    #[serde(serialize_with = "as_text")]
    pub flags: Flags,
}

/// Who changes a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    Guest,
    /// A person at the host.
    Host,
}

/// The properties of a machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    properties: BTreeMap<String, Property>,
    changes: VecDeque<PropertyChange>,
    /// The latest timestamp.
    last: u64,
    /// The guest may read and no more.
    pub(crate) guest_reads_only: bool,
}

impl Store {
    /// Says which host this is, and whatever else a host maintains that is not there yet.
    pub(crate) fn announce(&mut self, settings: &Settings) {
        let (major, minor, build) = settings.version;
        let version = format!("{major}.{minor}.{build}");
        let fixed = [&version, &version, &settings.revision.to_string()];
        for (name, value) in MAINTAINED.into_iter().zip(fixed) {
            if self.get(name).is_none_or(|property| property.value != *value) {
                self.maintain(name, value);
            }
        }
        for (name, value) in MAINTAINED.into_iter().zip(["", "", "", "0", "0", "", ""]) {
            if self.get(name).is_none() {
                self.maintain(name, value);
            }
        }
    }

    /// A property by its name.
    pub(crate) fn get(&self, name: &str) -> Option<&Property> {
        self.properties.get(name)
    }

    /// Those that match patterns, in the order of their names.
    pub(crate) fn list(&self, patterns: &str) -> Vec<&Property> {
        self.properties.values().filter(|property| wire::matches(patterns, &property.name)).collect()
    }

    /// Sets a property whose name and value keep their limits.
    pub(crate) fn set(
        &mut self,
        writer: Writer,
        name: &str,
        value: &str,
        flags: Flags,
    ) -> Result<Option<PropertyChange>, Status> {
        let old = self.properties.get(name);
        self.permit(writer, old.map_or(Flags::empty(), |property| property.flags))?;
        let reserved = wire::RESERVED.iter().any(|prefix| name.starts_with(prefix));
        if reserved && writer == Writer::Guest {
            return Err(Status::PERMISSION_DENIED);
        }
        if old.is_none() && self.properties.len() >= wire::MOST_PROPERTIES {
            return Err(Status::TOO_MUCH_DATA);
        }
        let flags = if reserved { flags | Flags::READ_ONLY_GUEST } else { flags };
        Ok(Some(self.put(name, value, flags)))
    }

    /// Deletes a property; one that is not there is no change.
    pub(crate) fn delete(&mut self, writer: Writer, name: &str) -> Result<Option<PropertyChange>, Status> {
        let Some(old) = self.properties.get(name) else { return Ok(None) };
        self.permit(writer, old.flags)?;
        self.properties.remove(name);
        let timestamp = self.timestamp();
        let change = PropertyChange { name: name.to_owned(), value: None, timestamp, flags: Flags::empty() };
        Ok(Some(self.remember(change)))
    }

    /// The first remembered change after a time that matches patterns, and whether the change of that
    /// time is remembered. When it is not, the search begins with the oldest that is.
    pub(crate) fn change_since(&self, since: u64, patterns: &str) -> (bool, Option<&PropertyChange>) {
        let known = self.changes.iter().position(|change| change.timestamp == since);
        let from = known.map_or(0, |at| at + 1);
        let found = self.changes.iter().skip(from).find(|change| wire::matches(patterns, &change.name));
        (known.is_some(), found)
    }

    /// The first change later than a time that matches patterns.
    pub(crate) fn change_after(&self, time: u64, patterns: &str) -> Option<&PropertyChange> {
        self.changes.iter().find(|change| change.timestamp > time && wire::matches(patterns, &change.name))
    }

    /// The latest timestamp that was given out.
    pub(crate) fn latest(&self) -> u64 {
        self.last
    }

    /// The machine is reset.
    pub(crate) fn reset(&mut self) {
        self.drop_those_with(Flags::TRANSIENT_RESET);
        self.count(RESETS);
    }

    /// The machine came back from a saved state.
    pub(crate) fn resumed(&mut self) -> PropertyChange {
        self.count(RESUMES)
    }

    /// What a saved state has of it: what goes with the machine is the host's own, or gone.
    pub(crate) fn saved(&self) -> Self {
        let mut saved = self.clone();
        saved.drop_those_with(Flags::TRANSIENT | Flags::TRANSIENT_RESET);
        saved
    }

    /// Takes the properties of a saved state, besides those that the host maintains. The time goes on.
    pub(crate) fn restore(&mut self, saved: &Self) {
        let mut properties = saved.properties.clone();
        let old = std::mem::take(&mut self.properties);
        properties.extend(old.into_iter().filter(|(name, _)| MAINTAINED.contains(&name.as_str())));
        self.properties = properties;
        self.guest_reads_only = saved.guest_reads_only;
    }

    fn permit(&self, writer: Writer, flags: Flags) -> Result<(), Status> {
        let (forbidden, all) = match writer {
            Writer::Guest => (Flags::READ_ONLY_GUEST, self.guest_reads_only),
            Writer::Host => (Flags::READ_ONLY_HOST, false),
        };
        if flags.contains(forbidden) {
            Err(Status::PERMISSION_DENIED)
        } else if all {
            Err(Status::INFO_PERMISSION_DENIED)
        } else {
            Ok(())
        }
    }

    fn drop_those_with(&mut self, flags: Flags) {
        self.properties.retain(|name, property| {
            !property.flags.intersects(flags) || MAINTAINED.contains(&name.as_str())
        });
    }

    /// Adds one to a number that the host maintains.
    fn count(&mut self, name: &str) -> PropertyChange {
        let number = self.get(name).and_then(|property| property.value.parse().ok()).unwrap_or(0_u64);
        self.maintain(name, &number.saturating_add(1).to_string())
    }

    fn maintain(&mut self, name: &str, value: &str) -> PropertyChange {
        self.put(name, value, Flags::TRANSIENT | Flags::READ_ONLY_GUEST)
    }

    fn put(&mut self, name: &str, value: &str, flags: Flags) -> PropertyChange {
        let (name, value, timestamp) = (name.to_owned(), value.to_owned(), self.timestamp());
        let property = Property { name: name.clone(), value: value.clone(), timestamp, flags };
        self.properties.insert(name.clone(), property);
        self.remember(PropertyChange { name, value: Some(value), timestamp, flags })
    }

    fn remember(&mut self, change: PropertyChange) -> PropertyChange {
        if self.changes.len() == wire::MOST_CHANGES {
            self.changes.pop_front();
        }
        self.changes.push_back(change.clone());
        change
    }

    /// Now, or the nanosecond after the last timestamp.
    fn timestamp(&mut self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(0);
        self.last = now.max(self.last.saturating_add(1));
        self.last
    }
}

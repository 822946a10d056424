//! Authority: what `agent.toml` lets one plugin hear, announce and import.

use std::collections::{BTreeMap, BTreeSet};

use driver_core::wire::{Capabilities, Events, RequestType, guest_property};
use serde::Deserialize;
use toml::Spanned;

use crate::config::Bytes;
use crate::host::{INTERFACES, Interface};
use crate::sandbox::admission;

/// A key of a plugin's `grants` that links interfaces, grouped by what they reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantKey {
    /// Typed requests to the host, listed by name.
    Requests,
    /// Any other request, listed by its type's name: the interface `raw-requests`, when any is named.
    RawRequests,
    /// Objects of the guest's desktop, listed by name.
    Desktop,
    /// Services of the host: the interface `hgcm`, when any is named.
    Hgcm,
    /// Guest properties: the interface `properties`, when any pattern is named.
    Properties,
}

impl GrantKey {
    /// The key as it stands in `agent.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::RawRequests => "raw-requests",
            Self::Desktop => "desktop",
            Self::Hgcm => "hgcm",
            Self::Properties => "properties",
        }
    }
}

/// The `grants` table of a plugin, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GrantsTable {
    /// Names of event bits.
    #[serde(default)]
    pub events: Vec<Spanned<String>>,
    /// Names of guest capabilities.
    #[serde(default)]
    pub capabilities: Vec<Spanned<String>>,
    /// Names of request interfaces.
    #[serde(default)]
    pub requests: Vec<Spanned<String>>,
    /// Names of types of requests.
    #[serde(default)]
    pub raw_requests: Vec<Spanned<String>>,
    /// Names of desktop interfaces.
    #[serde(default)]
    pub desktop: Vec<Spanned<String>>,
    /// Functions of the host's services, by the services' names.
    #[serde(default)]
    pub hgcm: BTreeMap<String, Functions>,
    /// Patterns of guest properties.
    #[serde(default)]
    pub properties: Properties,
    /// The bounds of the interface `clipboard`.
    #[serde(default)]
    pub clipboard: Clipboard,
    /// How much of WASI there is, if any.
    pub wasi: Option<Wasi>,
}

/// How much of WASI a plugin may import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wasi {
    /// Clocks, random numbers, and what it prints to the log. All the rest is there and inert.
    Minimal,
}

/// Which functions of a service a plugin may call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "expected \"all\" or a list of function numbers")]
pub enum Functions {
    /// Every one.
    All(All),
    /// Those of these numbers.
    Some(Vec<u32>),
}

/// The word `all`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum All {
    /// It.
    All,
}

/// Which guest properties a plugin may read and write: patterns in which `*` stands for any text and
/// `?` for one character.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Properties {
    /// Those that it may get, enumerate and watch.
    pub read: Vec<String>,
    /// Those that it may set and delete.
    pub write: Vec<String>,
}

/// What may cross by the clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Clipboard {
    /// Whose content may cross.
    pub direction: Direction,
    /// The largest content, as the desktop has it.
    pub largest: Bytes,
    /// Whether what is selected with the mouse counts as well.
    pub primary: bool,
}

impl Default for Clipboard {
    fn default() -> Self {
        Self { direction: Direction::Both, largest: Bytes(64 << 20), primary: false }
    }
}

/// Whose clipboard may be read by whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Either's by the other.
    #[default]
    Both,
    /// The host's by the guest.
    HostToGuest,
    /// The guest's by the host.
    GuestToHost,
}

/// What one plugin may do: the grants, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// Event bits that it may subscribe to.
    pub events: Events,
    /// Guest capabilities that it may announce.
    pub capabilities: Capabilities,
    /// Types of requests that it may make as bytes.
    pub raw_requests: BTreeSet<RequestType>,
    /// Services that it may connect to, and their functions that it may call.
    pub hgcm: BTreeMap<String, Functions>,
    /// Guest properties that it may read and write.
    pub properties: Properties,
    /// What may cross by the clipboard.
    pub clipboard: Clipboard,
    /// How much of WASI it may import.
    pub wasi: Option<Wasi>,
    /// Indices into [`INTERFACES`] of those that it may import, beside what is always there.
    interfaces: Vec<usize>,
    /// Indices of those that it may import and whose calls all fail.
    denied: Vec<usize>,
}

/// A name that nothing provides, or that is out of place: what to say, and where it stands in the file.
pub type Misnamed = Spanned<String>;

impl Authority {
    /// Understands a table of grants and a list of interfaces that are denied, or lists every name in them
    /// that means nothing, and every interface that is both.
    ///
    /// # Errors
    /// All names that nothing provides, or that say two things.
    pub fn resolve(table: &GrantsTable, denied: &[Spanned<String>]) -> Result<Self, Vec<Misnamed>> {
        let mut authority = Self {
            hgcm: table.hgcm.clone(),
            properties: table.properties.clone(),
            clipboard: table.clipboard,
            wasi: table.wasi,
            ..Self::default()
        };
        let mut misnamed = Vec::new();
        let mut each =
            |names: &[Spanned<String>], kind: &str, known: &[&str], take: &mut dyn FnMut(&str) -> bool| {
                for name in names {
                    if !take(name.get_ref()) {
                        let text =
                            format!("no {kind} is called `{}`; there are {}", name.get_ref(), list(known));
                        misnamed.push(Spanned::new(name.span(), text));
                    }
                }
            };
        each(&table.events, "event that plugins may hear", &event_names(), &mut |name| {
            Events::from_name(name)
                .filter(|event| !Events::KERNEL.contains(*event))
                .map(|event| authority.events |= event)
                .is_some()
        });
        each(&table.capabilities, "guest capability", &capability_names(), &mut |name| {
            Capabilities::from_name(name).map(|found| authority.capabilities |= found).is_some()
        });
        each(&table.raw_requests, "request that plugins may make", &request_names(), &mut |name| {
            let free = RequestType::from_name(name).filter(|found| found.spec().is_some_and(|s| s.is_free()));
            free.map(|found| authority.raw_requests.insert(found)).is_some()
        });
        for (key, names) in [(GrantKey::Requests, &table.requests), (GrantKey::Desktop, &table.desktop)] {
            let kind = format!("interface under `{}`", key.name());
            each(names, &kind, &interface_names(key), &mut |name| {
                INTERFACES
                    .iter()
                    .position(|interface| interface.key == Some(key) && interface.name == name)
                    .map(|index| authority.interfaces.push(index))
                    .is_some()
            });
        }
        each(denied, "interface that can be denied", &deniable_names(), &mut |name| {
            INTERFACES
                .iter()
                .position(|interface| interface.key.is_some() && interface.name == name)
                .map(|index| authority.denied.push(index))
                .is_some()
        });
        for name in denied {
            if let Some(both) =
                authority.linked().find(|linked| linked.key.is_some() && linked.name == name.get_ref())
            {
                let text = format!(
                    "`{}` is denied here and granted by {}; leave out one",
                    both.name,
                    admission::grant(both)
                );
                misnamed.push(Spanned::new(name.span(), text));
            }
        }
        if misnamed.is_empty() { Ok(authority) } else { Err(misnamed) }
    }

    /// The interfaces that a plugin with these grants is linked to.
    pub fn linked(&self) -> impl Iterator<Item = &'static Interface> + '_ {
        INTERFACES
            .iter()
            .enumerate()
            .filter(|(index, interface)| match interface.key {
                None => true,
                Some(GrantKey::Requests | GrantKey::Desktop) => self.interfaces.contains(index),
                Some(GrantKey::RawRequests) => !self.raw_requests.is_empty(),
                Some(GrantKey::Hgcm) => !self.hgcm.is_empty(),
                Some(GrantKey::Properties) => self.properties != Properties::default(),
            })
            .map(|(_, interface)| interface)
    }

    /// The interfaces that a plugin may import nevertheless, and whose calls all fail.
    pub fn denied(&self) -> impl Iterator<Item = &'static Interface> + '_ {
        let indexed = INTERFACES.iter().enumerate();
        indexed.filter(|(index, _)| self.denied.contains(index)).map(|(_, interface)| interface)
    }

    /// Whether an interface is denied.
    #[must_use]
    pub fn denies(&self, name: &str) -> bool {
        self.denied().any(|interface| interface.name == name)
    }

    /// Whether an interface is linked.
    #[must_use]
    pub fn has_interface(&self, name: &str) -> bool {
        self.linked().any(|interface| interface.name == name)
    }

    /// The check on event bits.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_events(&self, wanted: Events) -> Result<(), String> {
        let name = |bit| Events::from_bits(bit).and_then(Events::name);
        missing("events", (wanted - self.events).bits(), name)
    }

    /// The check on guest capabilities.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_capabilities(&self, wanted: Capabilities) -> Result<(), String> {
        let name = |bit| Capabilities::from_bits(bit).and_then(Capabilities::name);
        missing("capabilities", (wanted - self.capabilities).bits(), name)
    }

    /// The check on a type of request.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_request(&self, request: RequestType) -> Result<(), String> {
        match self.raw_requests.contains(&request) {
            true => Ok(()),
            false => Err(match request.name() {
                Some(name) => format!("not granted: raw-requests = [{name:?}]"),
                None => format!("not granted, and cannot be: {request} has no name"),
            }),
        }
    }

    /// The check on a service.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_service(&self, service: &str) -> Result<(), String> {
        match self.hgcm.contains_key(service) {
            true => Ok(()),
            false => Err(format!("not granted: hgcm = {{ {service:?} = \"all\" }}")),
        }
    }

    /// The check on a service's function.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_function(&self, service: &str, function: u32) -> Result<(), String> {
        match self.hgcm.get(service) {
            Some(Functions::All(All::All)) => Ok(()),
            Some(Functions::Some(numbers)) if numbers.contains(&function) => Ok(()),
            _ => Err(format!("not granted: hgcm = {{ {service:?} = [{function}] }}")),
        }
    }
}

impl Properties {
    /// The check on reading a property.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_read(&self, name: &str) -> Result<(), String> {
        matching("read", &self.read, name)
    }

    /// The check on writing a property.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit_write(&self, name: &str) -> Result<(), String> {
        matching("write", &self.write, name)
    }
}

fn matching(key: &str, patterns: &[String], name: &str) -> Result<(), String> {
    match patterns.iter().any(|pattern| guest_property::matches_one(pattern, name)) {
        true => Ok(()),
        false => Err(format!("not granted: properties = {{ {key} = [{name:?}] }}")),
    }
}

impl Clipboard {
    /// The check on a use of the clipboard: whether the guest's may be read for the host, or the host's
    /// offered to the guest.
    ///
    /// # Errors
    /// Which grant is missing.
    pub fn permit(&self, to_host: bool, primary: bool) -> Result<(), String> {
        match (self.direction, to_host) {
            (Direction::HostToGuest, true) | (Direction::GuestToHost, false) => {
                Err("not granted: clipboard = { direction = \"both\" }".to_owned())
            }
            _ if primary && !self.primary => Err("not granted: clipboard = { primary = true }".to_owned()),
            _ => Ok(()),
        }
    }
}

fn missing(key: &str, missing: u32, name: impl Fn(u32) -> Option<&'static str>) -> Result<(), String> {
    if missing == 0 {
        return Ok(());
    }
    let bits = (0..u32::BITS).map(|bit| 1_u32 << bit).filter(|bit| missing & bit != 0);
    let names: Vec<_> = bits
        .map(|bit| match name(bit) {
            Some(name) => format!("\"{name}\""),
            None => format!("bit {bit:#x}, which has no name"),
        })
        .collect();
    Err(format!("not granted: {key} = [{}]", names.join(", ")))
}

/// The event bits that can be granted, by name.
#[must_use]
pub fn event_names() -> Vec<&'static str> {
    (Events::all() - Events::KERNEL).iter().filter_map(Events::name).collect()
}

/// The guest capabilities that can be granted, by name.
#[must_use]
pub fn capability_names() -> Vec<&'static str> {
    Capabilities::all().iter().filter_map(Capabilities::name).collect()
}

/// The types of requests that can be granted, by name.
#[must_use]
pub fn request_names() -> Vec<&'static str> {
    RequestType::ALL.iter().filter(|spec| spec.is_free()).map(|spec| spec.name).collect()
}

/// The interfaces that can be granted under a key, by name.
#[must_use]
pub fn interface_names(key: GrantKey) -> Vec<&'static str> {
    INTERFACES.iter().filter(|interface| interface.key == Some(key)).map(|interface| interface.name).collect()
}

/// The interfaces that can be denied, by name.
fn deniable_names() -> Vec<&'static str> {
    INTERFACES.iter().filter(|interface| interface.key.is_some()).map(|interface| interface.name).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(grants: &str) -> Authority {
        let table: GrantsTable = toml::from_str(grants).expect("the grants are TOML");
        Authority::resolve(&table, &[]).expect("the grants are known")
    }

    #[test]
    fn a_service_is_granted_with_its_functions_or_not_at_all() {
        let authority = authority("hgcm = { Whole = \"all\", Part = [1, 2] }");
        let permitted = |service, function| {
            authority.permit_service(service).and_then(|()| authority.permit_function(service, function))
        };

        let cases =
            [("Whole", 99, true), ("Part", 2, true), ("Part", 3, false), ("None", 1, false), ("", 0, false)];
        for (service, function, expected) in cases {
            assert_eq!(permitted(service, function).is_ok(), expected, "{service} {function}");
        }
    }

    #[test]
    fn a_property_is_read_and_written_by_its_own_patterns() {
        let Authority { properties, .. } =
            authority("properties = { read = [\"/A/*\"], write = [\"/A/?\"] }");

        assert!(properties.permit_read("/A/bc").is_ok());
        assert!(properties.permit_read("/B").is_err());
        assert!(properties.permit_write("/A/b").is_ok());
        assert!(properties.permit_write("/A/bc").is_err());
        // A bar divides patterns in a request of the host's; here it stands for itself.
        assert!(authority("properties = { read = [\"/A|/B\"] }").properties.permit_read("/B").is_err());
    }

    #[test]
    fn the_clipboard_crosses_as_granted() {
        let cases = [
            ("", true, true),
            ("direction = \"host-to-guest\"", false, true),
            ("direction = \"guest-to-host\"", true, false),
        ];
        for (grant, to_host, to_guest) in cases {
            let Authority { clipboard, .. } = authority(&format!("clipboard = {{ {grant} }}"));
            assert_eq!(clipboard.permit(true, false).is_ok(), to_host, "{grant}");
            assert_eq!(clipboard.permit(false, false).is_ok(), to_guest, "{grant}");
            assert!(clipboard.permit(true, true).is_err(), "{grant}");
        }
    }

    #[test]
    fn interfaces_of_services_and_properties_are_linked_when_anything_of_them_is_granted() {
        let none = authority("");
        let some = authority("hgcm = { S = [] }\nproperties = { write = [\"*\"] }");

        for interface in ["hgcm", "properties"] {
            assert!(!none.has_interface(interface));
            assert!(some.has_interface(interface));
        }
    }
}

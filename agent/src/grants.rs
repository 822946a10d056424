//! Authority: what `agent.toml` lets one plugin hear, announce and import.

use driver_core::wire::{Capabilities, Events};
use serde::Deserialize;
use toml::Spanned;

use crate::host::{INTERFACES, Interface};

/// A key of a plugin's `grants` that lists interfaces, grouped by what they reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantKey {
    /// Typed requests to the host.
    Requests,
    /// Objects of the guest's desktop.
    Desktop,
}

impl GrantKey {
    /// The key as it stands in `agent.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Desktop => "desktop",
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
    /// Names of desktop interfaces.
    #[serde(default)]
    pub desktop: Vec<Spanned<String>>,
}

/// What one plugin may do: the grants, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Authority {
    /// Event bits that it may subscribe to.
    pub events: Events,
    /// Guest capabilities that it may announce.
    pub capabilities: Capabilities,
    /// Indices into [`INTERFACES`] of those that it may import, beside what is always there.
    interfaces: Vec<usize>,
}

/// A granted name that nothing provides: what to say, and where it stands in the file.
pub type Misnamed = Spanned<String>;

impl Authority {
    /// Understands a table of grants, or lists every name in it that means nothing.
    ///
    /// # Errors
    /// All names that nothing provides.
    pub fn resolve(table: &GrantsTable) -> Result<Self, Vec<Misnamed>> {
        let mut authority = Self::default();
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
        if misnamed.is_empty() { Ok(authority) } else { Err(misnamed) }
    }

    /// The interfaces that a plugin with these grants is linked to.
    pub fn linked(&self) -> impl Iterator<Item = &'static Interface> + '_ {
        INTERFACES
            .iter()
            .enumerate()
            .filter(|(index, interface)| interface.key.is_none() || self.interfaces.contains(index))
            .map(|(_, interface)| interface)
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

/// The interfaces that can be granted under a key, by name.
#[must_use]
pub fn interface_names(key: GrantKey) -> Vec<&'static str> {
    INTERFACES.iter().filter(|interface| interface.key == Some(key)).map(|interface| interface.name).collect()
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

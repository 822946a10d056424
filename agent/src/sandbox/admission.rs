//! Whether a component may become a plugin: what it needs, held against what it was granted.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use super::surface::{Functions, InterfaceName, NotAComponent, Surface};
use super::wasi;
use crate::config::{Bytes, Plugin};
use crate::grants::{Authority, Clipboard, GrantKey};
use crate::host::{INTERFACES, Interface, PACKAGE, bindings};

/// The most mismatches that are listed.
const MOST_LISTED: usize = 64;

/// Why a component is not admitted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file cannot be read.
    #[error("Cannot read the component: {0}")]
    Unreadable(std::io::Error),
    /// The file is larger than this plugin's limit.
    #[error("Component is larger than {0}; raise `component-size` in its `limits` if that is right")]
    TooLarge(Bytes),
    /// The file is not the one that was pinned.
    #[error("Component's SHA-256 digest is {found}, not {pinned} as `sha256` pins it")]
    OtherDigest {
        /// The digest of the file.
        found: String,
        /// The digest in `agent.toml`.
        pinned: String,
    },
    /// The file is not a component.
    #[error(transparent)]
    NotAComponent(#[from] NotAComponent),
    /// What it needs is not what it gets.
    #[error("{}", list(.0))]
    Mismatches(Vec<Mismatch>),
}

/// One way in which a component does not fit its grants or the contract.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mismatch {
    /// It imports an interface that exists and was not granted.
    NotGranted {
        /// The interface.
        interface: String,
        /// The line that would grant it.
        grant: String,
        /// The line that would have it run without, if it can.
        denial: Option<String>,
    },
    /// It imports something that this agent does not have.
    Unknown {
        /// What it imports.
        import: String,
        /// What is known of it.
        hint: String,
    },
    /// It imports a function that this version of an interface does not have.
    NoSuchFunction {
        /// Interface and function.
        function: String,
    },
    /// A function has another type than the contract's.
    OtherType {
        /// Interface and function.
        function: String,
        /// The component's type for it.
        found: String,
        /// The contract's.
        expected: String,
    },
    /// It does not export what every plugin must.
    MissingExport {
        /// The interface.
        interface: String,
    },
}

/// Reads a plugin's component from its file, within its limit, and checks its digest.
///
/// # Errors
/// When it cannot be read, is too large, or is not the pinned one.
pub fn read(plugin: &Plugin) -> Result<Vec<u8>, Refusal> {
    let bytes = read_capped(&plugin.component, plugin.limits.component_size)?;
    if let Some(pinned) = &plugin.sha256 {
        let found = super::cache::digest(&bytes);
        if found != *pinned {
            return Err(Refusal::OtherDigest { found, pinned: pinned.clone() });
        }
    }
    Ok(bytes)
}

fn read_capped(path: &Path, cap: Bytes) -> Result<Vec<u8>, Refusal> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(Refusal::Unreadable)?;
    // The size is looked at first, so that a huge file is not read, and held to while reading, so
    // that a growing one is not either.
    if file.metadata().is_ok_and(|metadata| metadata.len() > cap.0) {
        return Err(Refusal::TooLarge(cap));
    }
    let mut bytes = Vec::new();
    file.take(cap.0.saturating_add(1)).read_to_end(&mut bytes).map_err(Refusal::Unreadable)?;
    if bytes.len() as u64 > cap.0 { Err(Refusal::TooLarge(cap)) } else { Ok(bytes) }
}

/// Reads a component's type and holds it against the contract and the grants.
///
/// # Errors
/// [`Refusal::NotAComponent`], or [`Refusal::Mismatches`] with every one of them.
pub fn examine(bytes: &[u8], authority: &Authority) -> Result<Surface, Refusal> {
    let surface = Surface::of_component(bytes)?;
    match mismatches(&surface, authority) {
        found if found.is_empty() => Ok(surface),
        found => Err(Refusal::Mismatches(found)),
    }
}

/// Every way in which a component's surface does not fit the contract or the grants.
#[must_use]
pub fn mismatches(surface: &Surface, authority: &Authority) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for (name, functions) in &surface.imports {
        if wasi::offers(name) {
            if authority.wasi.is_none() {
                let grant = "wasi = \"minimal\"".to_owned();
                found.push(Mismatch::NotGranted { interface: name.to_string(), grant, denial: None });
            }
            continue;
        }
        match offered(name) {
            None => found.push(Mismatch::Unknown { import: name.to_string(), hint: hint(name) }),
            Some((interface, offer)) => {
                if !authority.has_interface(interface.name) && !authority.denies(interface.name) {
                    let denial = Some(denial(interface));
                    let (interface, grant) = (name.to_string(), grant(interface));
                    found.push(Mismatch::NotGranted { interface, grant, denial });
                }
                compare(name, functions, offer, &mut found);
            }
        }
    }
    for (name, expected) in &contract().exports {
        match surface.exports.iter().find(|(exported, _)| name.serves(exported)) {
            // A handler that is not exported is not called; only `lifecycle` must be there.
            None if name.short() == "lifecycle" => {
                found.push(Mismatch::MissingExport { interface: name.to_string() });
            }
            None => {}
            Some((_, functions)) => {
                for (function, expected) in expected {
                    let exported = functions.get(function).map_or("nothing", String::as_str);
                    if exported != expected {
                        found.push(Mismatch::OtherType {
                            function: format!("{name}#{function}"),
                            found: exported.to_owned(),
                            expected: expected.clone(),
                        });
                    }
                }
            }
        }
    }
    found.sort();
    found
}

fn compare(name: &InterfaceName, functions: &Functions, offer: &Functions, found: &mut Vec<Mismatch>) {
    for (function, wanted) in functions {
        let function = || format!("{name}#{function}");
        match offer.get(function().rsplit('#').next().unwrap_or_default()) {
            None => found.push(Mismatch::NoSuchFunction { function: function() }),
            Some(expected) if expected != wanted => found.push(Mismatch::OtherType {
                function: function(),
                found: wanted.clone(),
                expected: expected.clone(),
            }),
            Some(_) => {}
        }
    }
}

/// The interface of ours that serves an import, and its functions.
#[must_use]
pub fn offered(name: &InterfaceName) -> Option<(&'static Interface, &'static Functions)> {
    let (contract_name, functions) = contract().imports.iter().find(|(ours, _)| ours.serves(name))?;
    let interface = INTERFACES.iter().find(|interface| interface.name == contract_name.short())?;
    Some((interface, functions))
}

/// The contract that this agent was built with.
pub fn contract() -> &'static Surface {
    static CONTRACT: LazyLock<Surface> =
        LazyLock::new(|| Surface::of_world(bindings::COMPONENT_TYPE).unwrap_or_default());
    &CONTRACT
}

/// The package of the contract, with its version: `bellhop:guest@0.1.0`.
#[must_use]
pub fn contract_name() -> String {
    let version = contract().exports.keys().find_map(|name| name.version.as_deref());
    format!("{PACKAGE}@{}", version.unwrap_or_default())
}

/// The line in a plugin's grants that links an interface.
#[must_use]
pub fn grant(interface: &Interface) -> String {
    match interface.key {
        None => String::new(),
        Some(key @ (GrantKey::Requests | GrantKey::Desktop)) => {
            format!("{} = [\"{}\"]", key.name(), interface.name)
        }
        Some(GrantKey::RawRequests) => "raw-requests = [\"TYPE\"]".to_owned(),
        Some(GrantKey::Hgcm) => "hgcm = { SERVICE = \"all\" }".to_owned(),
        Some(GrantKey::Properties) => "properties = { read = [\"PATTERN\"] }".to_owned(),
    }
}

/// The line in a plugin's table that has it run without an interface.
#[must_use]
pub fn denial(interface: &Interface) -> String {
    format!("denied = [\"{}\"]", interface.name)
}

/// What a plugin hears that calls a function of an interface which is denied to it.
#[must_use]
pub fn refusal(interface: &Interface) -> String {
    format!("not granted: {}", grant(interface))
}

/// Interfaces that are denied to a component which does not import them, by name.
#[must_use]
pub fn denied_for_nothing(surface: &Surface, authority: &Authority) -> Vec<&'static str> {
    let denied = authority.denied().map(|interface| interface.name);
    denied.filter(|denied| !surface.imports.keys().any(|name| name.short() == *denied)).collect()
}

/// Grants that a component has no use for, as lines or as the key of what could go as a whole.
#[must_use]
pub fn unused(surface: &Surface, authority: &Authority) -> Vec<String> {
    let imports = |wanted: &str| surface.imports.keys().any(|name| name.short() == wanted);
    let unused = |interface: &&Interface| interface.key.is_some() && !imports(interface.name);
    let mut lines: Vec<_> = authority
        .linked()
        .filter(unused)
        .map(|interface| match interface.key {
            Some(key @ (GrantKey::RawRequests | GrantKey::Hgcm | GrantKey::Properties)) => {
                key.name().to_owned()
            }
            _ => grant(interface),
        })
        .collect();
    // It can subscribe to nothing that it does not export a handler for.
    if !authority.events.is_empty() && !surface.exports.keys().any(|name| name.short() == "host-events") {
        lines.push("events".to_owned());
    }
    if authority.wasi.is_some() && !surface.imports.keys().any(wasi::offers) {
        lines.push("wasi".to_owned());
    }
    if authority.clipboard != Clipboard::default() && !imports("clipboard") {
        lines.push("clipboard".to_owned());
    }
    lines
}

fn hint(name: &InterfaceName) -> String {
    if name.path.starts_with("wasi:") {
        return "of WASI only cli, clocks, filesystem, io, random and sockets of 0.2 can be granted"
            .to_owned();
    }
    match contract().imports.keys().find(|ours| ours.path == name.path) {
        Some(ours) => format!("this agent has {ours}"),
        None if name.path.starts_with(PACKAGE) => "this agent has no such interface".to_owned(),
        None => format!("only interfaces of {PACKAGE} can be imported"),
    }
}

fn list(mismatches: &[Mismatch]) -> String {
    let lines: String =
        mismatches.iter().take(MOST_LISTED).map(|mismatch| format!("\n  - {mismatch}")).collect();
    let more = match mismatches.len().saturating_sub(MOST_LISTED) {
        0 => String::new(),
        more => format!("\n  and {more} more"),
    };
    format!("Component does not fit its grants or the contract:{lines}{more}")
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted { interface, grant, denial } => {
                write!(f, "imports {interface}, which is not granted: add {grant} to its grants")?;
                let Some(denial) = denial else { return Ok(()) };
                write!(f, ", or {denial} to its table to run it without")
            }
            Self::Unknown { import, hint } => write!(f, "imports {import}: {hint}"),
            Self::NoSuchFunction { function } => {
                write!(
                    f,
                    "imports {function}, which this agent does not have: it may be too old for the plugin"
                )
            }
            Self::OtherType { function, found, expected } => {
                write!(f, "{function} is {found}; the contract says {expected}")
            }
            Self::MissingExport { interface } => {
                write!(f, "does not export {interface}, which every plugin must")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_lists_each_interface_that_can_be_linked() {
        for interface in &INTERFACES {
            let listed = contract().imports.keys().any(|name| name.short() == interface.name);
            assert!(listed || interface.name == "types", "{}", interface.name);
        }
        let exports: Vec<_> = contract().exports.keys().map(InterfaceName::short).collect();
        let expected = [
            "clipboard-events",
            "hand-over",
            "hgcm-completions",
            "host-events",
            "lifecycle",
            "property-events",
            "timer-events",
            "window-events",
        ];
        assert_eq!(exports, expected);
    }

    #[test]
    fn a_signature_is_spelled_out_to_the_last_field() {
        let (_, functions) =
            contract().imports.iter().find(|(name, _)| name.short() == "outputs").expect("outputs");

        assert_eq!(
            functions["enumerate"],
            "func() -> result<list<record {name: string, area: option<record {x: s32, y: s32, width: u32, \
             height: u32}>, primary: bool}>, variant {denied(string), busy(string), not-supported(string), \
             invalid(string), unavailable(string), host(tuple<s32, string>), other(string)}>"
        );
    }
}

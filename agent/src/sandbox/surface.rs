//! What a component imports and exports, read from its type without running or compiling it.

use std::collections::BTreeMap;
use std::fmt;

use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType, ComponentInstanceTypeId};
use wasmparser::{Encoding, Parser, Payload, Validator, WasmFeatures};

use super::spelling::Spelling;

/// All signatures of a component together, in bytes; the contract's are 20 KiB. A type of a few hundred
/// bytes can be made to unfold to gigabytes.
const LONGEST_SIGNATURES: usize = 1 << 20;

/// The functions of an interface, by name, each with its signature spelled out to the last field.
pub type Functions = BTreeMap<String, String>;

/// The imports and exports of a component or of a WIT world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surface {
    /// Imported interfaces.
    pub imports: BTreeMap<InterfaceName, Functions>,
    /// Exported interfaces.
    pub exports: BTreeMap<InterfaceName, Functions>,
}

/// Why bytes are not a component that can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAComponent {
    /// Not WebAssembly at all.
    #[error("Not WebAssembly: it begins with {0}, not with `\\0asm`")]
    NotWasm(String),
    /// WebAssembly, but a core module.
    #[error(
        "A core module, not a component: link it with `wasm-component-ld`, or wrap it with `wasm-tools component new`"
    )]
    CoreModule,
    /// Damaged, or of a kind that is not accepted.
    #[error("Not a valid component: {message} (at byte {offset} of {length})")]
    Invalid {
        /// What the validator found.
        message: String,
        /// Where it found it.
        offset: usize,
        /// How long the file is.
        length: usize,
    },
    /// The component defines resource types of its own, whose handles nothing would bound.
    #[error("Defines resource types of its own, which plugins may not")]
    DefinesResources,
    /// What it imports and exports has types of more text than could be of use.
    #[error("Its types are too long to be looked at: more than {LONGEST_SIGNATURES} bytes, spelled out")]
    TypesTooLong,
}

/// An interface's name, taken apart: `bellhop:guest/display@0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InterfaceName {
    /// The name without its version: `bellhop:guest/display`.
    pub path: String,
    /// The version, if it has one: `0.1.0`.
    pub version: Option<String>,
}

impl Surface {
    /// Reads a component, validating all of it.
    ///
    /// # Errors
    /// When the bytes are not a valid component.
    pub fn of_component(bytes: &[u8]) -> Result<Self, NotAComponent> {
        if !bytes.starts_with(b"\0asm") {
            let start: Vec<_> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            let start = if start.is_empty() { "nothing".to_owned() } else { start.join(" ") };
            return Err(NotAComponent::NotWasm(start));
        }
        if !Parser::is_component(bytes) {
            // A file cut within its first eight bytes is neither.
            return Err(if bytes.len() < 8 {
                invalid("cut short", 0, bytes)
            } else {
                NotAComponent::CoreModule
            });
        }
        let (mut imports, mut exports) = (Vec::new(), Vec::new());
        let mut depth = 0_u32;
        let failed = |error: wasmparser::BinaryReaderError| invalid(error.message(), error.offset(), bytes);
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(failed)? {
                Payload::Version { encoding: Encoding::Component | Encoding::Module, .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 1 => {
                    for import in section {
                        imports.push(import.map_err(failed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 1 => {
                    for export in section {
                        exports.push(export.map_err(failed)?.name.name.to_owned());
                    }
                }
                Payload::ComponentTypeSection(section) => {
                    for ty in section {
                        if matches!(ty.map_err(failed)?, wasmparser::ComponentType::Resource { .. }) {
                            return Err(NotAComponent::DefinesResources);
                        }
                    }
                }
                _ => {}
            }
        }
        let types = validator().validate_all(bytes).map_err(failed)?;
        let types = types.as_ref();
        let mut spelling = Spelling::new(types, LONGEST_SIGNATURES);
        let mut surface = Self::default();
        for name in imports {
            let item = types.component_item_for_import(&name);
            surface.imports.extend(item.and_then(|item| interface(&mut spelling, &name, &item.ty)));
        }
        for name in exports {
            let item = types.component_item_for_export(&name);
            surface.exports.extend(item.and_then(|item| interface(&mut spelling, &name, &item.ty)));
        }
        if spelling.exhausted() { Err(NotAComponent::TypesTooLong) } else { Ok(surface) }
    }

    /// Reads the world that the host's bindings were generated from: the contract itself, in the form
    /// that `bindgen!` embeds (a component that exports the world as a component type).
    ///
    /// # Errors
    /// Never, for what `bindgen!` embeds; a test holds it to that.
    pub fn of_world(bytes: &[u8]) -> Result<Self, NotAComponent> {
        let types = validator()
            .validate_all(bytes)
            .map_err(|error| invalid(error.message(), error.offset(), bytes))?;
        let types = types.as_ref();
        let mut spelling = Spelling::new(types, LONGEST_SIGNATURES);
        let mut surface = Self::default();
        for payload in Parser::new(0).parse_all(bytes).flatten() {
            let Payload::ComponentExportSection(section) = payload else { continue };
            for export in section.into_iter().flatten() {
                let Some(outer) = types.component_item_for_export(export.name.name) else { continue };
                surface.add_worlds_in(&mut spelling, &outer.ty);
            }
        }
        Ok(surface)
    }

    fn add_worlds_in(&mut self, spelling: &mut Spelling<'_>, entity: &ComponentEntityType) {
        let id = match entity {
            ComponentEntityType::Component(id)
            | ComponentEntityType::Type { referenced: ComponentAnyTypeId::Component(id), .. } => *id,
            _ => return,
        };
        let types = spelling.types;
        let component = &types[id];
        for (name, item) in &component.imports {
            self.imports.extend(interface(spelling, name, &item.ty));
        }
        for (name, item) in &component.exports {
            match item.ty {
                // The embedding nests the world one level deeper than its own name.
                ComponentEntityType::Component(_) => self.add_worlds_in(spelling, &item.ty),
                _ => self.exports.extend(interface(spelling, name, &item.ty)),
            }
        }
    }
}

impl InterfaceName {
    fn parse(name: &str) -> Self {
        match name.split_once('@') {
            Some((path, version)) => Self { path: path.to_owned(), version: Some(version.to_owned()) },
            None => Self { path: name.to_owned(), version: None },
        }
    }

    /// Whether an interface of version `self` serves one that asks for `wanted`, by the rules of
    /// semantic versions: same path, and the same major version (the same minor one, below 1).
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        self.path == wanted.path && self.generation() == wanted.generation()
    }

    /// The last part of the path: `display` of `bellhop:guest/display`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn generation(&self) -> Option<(&str, Option<&str>)> {
        let version = self.version.as_deref()?;
        let mut numbers = version.split('.');
        let major = numbers.next()?;
        Some((major, if major == "0" { numbers.next() } else { None }))
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}@{version}", self.path),
            None => f.write_str(&self.path),
        }
    }
}

fn invalid(message: &str, offset: impl TryInto<usize>, bytes: &[u8]) -> NotAComponent {
    NotAComponent::Invalid {
        message: message.to_owned(),
        offset: offset.try_into().unwrap_or(usize::MAX),
        length: bytes.len(),
    }
}

/// The features that the engine has; what needs more is refused here, with a reason.
fn validator() -> Validator {
    Validator::new_with_features(WasmFeatures::WASM2 | WasmFeatures::COMPONENT_MODEL)
}

/// One import or export as an interface: an instance with its functions. A bare function counts as an
/// interface of its own name, so that it cannot slip past a check. `None` for types.
fn interface(
    spelling: &mut Spelling<'_>,
    name: &str,
    entity: &ComponentEntityType,
) -> Option<(InterfaceName, Functions)> {
    let functions = match entity {
        ComponentEntityType::Instance(id) => instance_functions(spelling, *id),
        ComponentEntityType::Func(id) => BTreeMap::from([(name.to_owned(), spelling.signature(*id))]),
        ComponentEntityType::Type { .. } => return None,
        // A module, component or value import has no function that a linker could offer.
        _ => BTreeMap::from([(name.to_owned(), "not a function".to_owned())]),
    };
    Some((InterfaceName::parse(name), functions))
}

fn instance_functions(spelling: &mut Spelling<'_>, id: ComponentInstanceTypeId) -> Functions {
    let types = spelling.types;
    types[id]
        .exports
        .iter()
        .filter_map(|(name, item)| match item.ty {
            ComponentEntityType::Func(id) => Some((name.clone(), spelling.signature(id))),
            _ => None,
        })
        .collect()
}

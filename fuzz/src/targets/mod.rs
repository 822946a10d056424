//! The targets, one file each.

mod admission;
mod config;
mod control;
mod conversions;
mod device;
mod hgcm;
mod properties;
mod wire;

/// Something that takes bytes apart.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it takes apart, for people.
    pub about: &'static str,
    /// Takes bytes apart, whatever they are.
    pub run: fn(&[u8]),
    /// Bytes that it gets far with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// So many mutations are tried in the test.
    pub tries: u32,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    wire::TARGET,
    hgcm::TARGET,
    properties::TARGET,
    conversions::TARGET,
    config::TARGET,
    control::TARGET,
    admission::TARGET,
    device::TARGET,
];

/// The one of a name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

//! A packed plugin: a component that carries its manifest.
//!
//! The manifest is a custom section at the component's end, which engines skip, so that a packed plugin is
//! a component like any other. Before the text stands the SHA-256 digest of all that precedes the section:
//! it tells a damaged file, and does not vouch for anybody. That is what the digest of the whole file is
//! for, which `agent.toml` pins.

use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload};

/// The custom section's name.
pub const SECTION: &str = "bellhop:plugin";

/// The longest manifest, in bytes.
const LONGEST_MANIFEST: usize = 1 << 20;

/// The length of a digest, in bytes.
const DIGEST: usize = 32;

/// Why a file is not a packed plugin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotPacked {
    /// It has no manifest.
    #[error("It carries no manifest: `bellhop plugin pack` gives it one")]
    NoManifest,
    /// It is not WebAssembly, or cut short.
    #[error("Not a valid component: {0}")]
    Invalid(String),
    /// The section is not as it is written.
    #[error("Its manifest is damaged: {0}")]
    Damaged(&'static str),
}

/// Packs a component with its manifest. One that it carries already is replaced.
///
/// # Errors
/// When the component carries a manifest that is damaged, or is no WebAssembly.
pub fn pack(component: &[u8], manifest: &str) -> Result<Vec<u8>, NotPacked> {
    if manifest.len() > LONGEST_MANIFEST {
        return Err(NotPacked::Damaged("it is longer than 1 MiB"));
    }
    let component = match unpack(component) {
        Ok((bare, _)) => bare,
        Err(NotPacked::NoManifest) => component,
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    leb128(SECTION.len(), &mut content);
    content.extend(SECTION.as_bytes());
    content.extend(Sha256::digest(component));
    content.extend(manifest.as_bytes());
    let mut packed = component.to_vec();
    packed.push(0);
    leb128(content.len(), &mut packed);
    packed.extend(content);
    Ok(packed)
}

/// The component without its manifest, and the manifest.
///
/// # Errors
/// When there is none, or it does not belong to the component.
pub fn unpack(packed: &[u8]) -> Result<(&[u8], &str), NotPacked> {
    let mut depth = 0_u32;
    let mut found = None;
    for payload in Parser::new(0).parse_all(packed) {
        match payload.map_err(|error| NotPacked::Invalid(error.message().to_owned()))? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if depth == 1 && section.name() == SECTION => {
                found = Some((section.range(), section.data()));
            }
            _ => {}
        }
    }
    let (range, data) = found.ok_or(NotPacked::NoManifest)?;
    if range.end != packed.len() {
        return Err(NotPacked::Damaged("it is not the last section"));
    }
    // Before its content stand the section's number and its length.
    let mut header = vec![0];
    leb128(range.len(), &mut header);
    let bare = range.start.checked_sub(header.len()).and_then(|start| packed.get(..start));
    let (Some(bare), Some((digest, text))) = (bare, data.split_at_checked(DIGEST)) else {
        return Err(NotPacked::Damaged("it is cut short"));
    };
    if digest != &Sha256::digest(bare)[..] {
        return Err(NotPacked::Damaged("the component is not the one that was packed"));
    }
    let text = str::from_utf8(text).map_err(|_| NotPacked::Damaged("it is not UTF-8 text"))?;
    Ok((bare, text))
}

/// A number as WebAssembly writes one: seven bits a byte, the lowest first.
fn leb128(mut number: usize, bytes: &mut Vec<u8>) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    /// One with a core module in it, of a custom section `x`.
    const NESTED: &[u8] = b"\0asm\x0d\0\x01\0\x01\x0c\0asm\x01\0\0\0\0\x02\x01x";

    #[test]
    fn what_was_packed_is_unpacked() {
        let long = "# a comment\n".repeat(1000);
        for (component, manifest) in [(EMPTY, "version = \"1.0.0\""), (NESTED, ""), (NESTED, &long)] {
            let packed = pack(component, manifest).expect("it is a component");

            assert_eq!(unpack(&packed), Ok((component, manifest)));
            assert!(packed.starts_with(component));
        }
    }

    #[test]
    fn packing_again_replaces_the_manifest() {
        let packed = pack(EMPTY, "old").expect("it is a component");

        let again = pack(&packed, "new").expect("it is a component");

        assert_eq!(unpack(&again), Ok((EMPTY, "new")));
    }

    #[test]
    fn what_was_changed_or_cut_is_told() {
        let packed = pack(NESTED, "text").expect("it is a component");

        let mut changed = packed.clone();
        changed[NESTED.len() - 1] = b'y';
        assert_eq!(unpack(&changed), Err(NotPacked::Damaged("the component is not the one that was packed")));
        for length in 0..packed.len() {
            assert!(unpack(&packed[..length]).is_err(), "{length}");
        }
        let followed = [&packed[..], b"\0\x02\x01x"].concat();
        assert_eq!(unpack(&followed), Err(NotPacked::Damaged("it is not the last section")));
        assert_eq!(unpack(EMPTY), Err(NotPacked::NoManifest));
    }
}

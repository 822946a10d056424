//! The linker that makes components: `wasm-component-ld`, which calls `wasm-ld`.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::process;

/// Both halves of the linker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linker {
    /// `wasm-component-ld`.
    pub component: PathBuf,
    /// `wasm-ld`.
    pub module: PathBuf,
}

impl Linker {
    /// Both ship with Rust's own toolchains, for the host; a distribution's may have them on the
    /// search path.
    pub fn find(sysroot: &Path, host: &str) -> anyhow::Result<Self> {
        let folder = sysroot.join("lib/rustlib").join(host).join("bin");
        let shipped = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
        let component = shipped("wasm-component-ld").or_else(|| process::find("wasm-component-ld"));
        let module = shipped("gcc-ld/wasm-ld").or_else(|| process::find("wasm-ld"));
        match (component, module) {
            (Some(component), Some(module)) => Ok(Self { component, module }),
            (component, _) => bail!(
                "A component needs {} as its linker, which is neither in {} nor on the search path: \
                 use a toolchain of rustup's, or `cargo install wasm-component-ld` and the \
                 distribution's lld",
                if component.is_none() { "wasm-component-ld" } else { "wasm-ld" },
                folder.display()
            ),
        }
    }
}

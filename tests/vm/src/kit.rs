//! What `cargo xtask vm setup` brings: QEMU, kernels and busybox, in a cache folder of the user's.
//!
//! One file of the folder says what is there, and is written last: without it there is no kit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// The file that says what the folder holds.
pub const CONTENTS: &str = "kit.json";

/// The environment's word from `cargo xtask` on why there is no kit.
pub const LACKING: &str = "BELLHOP_VM_LACKING";

/// The environment's word from `cargo xtask` that the tests on a desktop are wanted, and no others.
pub const DESKTOP: &str = "BELLHOP_VM_DESKTOP";

/// A kernel's image as its package brings it, in the kernel's folder.
pub const PACKED: &str = "vmlinuz";

/// The same without the program around it that unpacks it.
pub const UNPACKED: &str = "vmlinux";

/// A complete kit.
#[derive(Debug, Clone)]
pub struct Kit {
    folder: PathBuf,
    contents: Contents,
}

/// What a kit holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// QEMU's version, as its distribution counts.
    pub qemu: String,
    /// The kernels, the oldest first.
    pub kernels: Vec<Kernel>,
}

/// A kernel, by its release: what `uname -r` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kernel(pub String);

impl Kit {
    /// Where a kit is kept.
    ///
    /// # Errors
    /// When the environment does not say where the user's cache is.
    pub fn folder() -> anyhow::Result<PathBuf> {
        let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .context("neither XDG_CACHE_HOME nor HOME says where a cache may be")?;
        Ok(base.join("bellhop/vm"))
    }

    /// Finds the user's kit.
    ///
    /// # Errors
    /// When there is none, with the reason for that as far as it is known.
    pub fn find() -> anyhow::Result<Self> {
        if let Ok(reason) = env::var(LACKING) {
            anyhow::bail!(reason);
        }
        Self::open(&Self::folder()?)
    }

    /// Opens the kit of a folder.
    ///
    /// # Errors
    /// When it is not there, or is not complete.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let file = folder.join(CONTENTS);
        let text = fs::read_to_string(&file)
            .with_context(|| format!("no kit in {}: run `cargo xtask vm setup`", folder.display()))?;
        let contents = serde_json::from_str(&text).with_context(|| {
            format!("{} is not understood: run `cargo xtask vm setup --renew`", file.display())
        })?;
        Ok(Self { folder: folder.to_owned(), contents })
    }

    /// Says that a folder now holds all of this.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn close(folder: &Path, contents: Contents) -> anyhow::Result<Self> {
        let (file, partial) = (folder.join(CONTENTS), folder.join("kit.json.partial"));
        let text = serde_json::to_string_pretty(&contents)?;
        fs::write(&partial, text).with_context(|| format!("Writing {}", partial.display()))?;
        fs::rename(&partial, &file).with_context(|| format!("Writing {}", file.display()))?;
        Ok(Self { folder: folder.to_owned(), contents })
    }

    /// What it holds.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Its kernels, the oldest first.
    #[must_use]
    pub fn kernels(&self) -> &[Kernel] {
        &self.contents.kernels
    }

    /// QEMU, which runs through the loader that it was unpacked with: its libraries are newer than
    /// the system's.
    #[must_use]
    pub fn qemu(&self) -> Command {
        let tree = qemu_tree(&self.folder);
        let mut command = Command::new(tree.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(tree.join("usr/lib/x86_64-linux-gnu"));
        command.arg(tree.join("usr/bin/qemu-system-x86_64"));
        for data in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(tree.join(data));
        }
        command
    }

    /// A busybox without libraries, which is all of the guest's user space but the agent.
    #[must_use]
    pub fn busybox(&self) -> PathBuf {
        busybox(&self.folder)
    }

    /// The files of a guest with an X server.
    ///
    /// # Errors
    /// When they were not brought: they are no part of every kit.
    pub fn desktop(&self) -> anyhow::Result<PathBuf> {
        let tree = desktop_tree(&desktop(&self.folder));
        anyhow::ensure!(
            tree.is_dir(),
            "no desktop in {}: run `cargo xtask vm desktop`",
            self.folder.display()
        );
        Ok(tree)
    }

    /// A kernel's image, unpacked if that could be done: an emulated processor takes seconds for it.
    #[must_use]
    pub fn image(&self, kernel: &Kernel) -> PathBuf {
        let folder = kernel_folder(&self.folder, kernel);
        let unpacked = folder.join(UNPACKED);
        if unpacked.is_file() { unpacked } else { folder.join(PACKED) }
    }

    /// A kernel's own driver for the VMMDev device.
    #[must_use]
    pub fn module(&self, kernel: &Kernel) -> PathBuf {
        kernel_folder(&self.folder, kernel).join("vboxguest.ko")
    }
}

impl Kernel {
    /// The first two parts of its version, by which people know it: `6.12`.
    #[must_use]
    pub fn series(&self) -> &str {
        let mut dots = self.0.match_indices('.').map(|(at, _)| at);
        dots.nth(1).map_or(&self.0, |end| &self.0[..end])
    }
}

/// Where a kit's QEMU is unpacked.
#[must_use]
pub fn qemu_tree(folder: &Path) -> PathBuf {
    folder.join("qemu")
}

/// Where a kit's busybox is: it comes unpacked with QEMU.
#[must_use]
pub fn busybox(folder: &Path) -> PathBuf {
    qemu_tree(folder).join("usr/bin/busybox")
}

/// Where a kit's desktop is, with its sums. It is complete when it is there.
#[must_use]
pub fn desktop(folder: &Path) -> PathBuf {
    folder.join("desktop")
}

/// Where the files of a desktop are, each where a guest has it.
#[must_use]
pub fn desktop_tree(desktop: &Path) -> PathBuf {
    desktop.join("tree")
}

/// Where a kit's kernel is, and its module.
#[must_use]
pub fn kernel_folder(folder: &Path, kernel: &Kernel) -> PathBuf {
    folder.join("kernels").join(&kernel.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_known_by_its_series() {
        for (release, series) in
            [("6.1.0-50-amd64", "6.1"), ("6.12.107+deb13-amd64", "6.12"), ("strange", "strange")]
        {
            assert_eq!(Kernel(release.to_owned()).series(), series);
        }
    }

    #[test]
    fn a_kit_is_there_once_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let lacking = Kit::open(folder.path()).unwrap_err().to_string();
        assert!(lacking.ends_with("run `cargo xtask vm setup`"), "{lacking}");
        let contents = Contents { qemu: "11.1".to_owned(), kernels: vec![Kernel("6.1.0".to_owned())] };

        Kit::close(folder.path(), contents.clone()).unwrap();

        assert_eq!(Kit::open(folder.path()).unwrap().contents(), &contents);
    }
}

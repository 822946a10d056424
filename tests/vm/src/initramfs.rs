//! The guest's first and only file system.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::cpio::Archive;
use crate::stripped::Stripped;

/// A guest's files, which are kept in memory.
#[derive(Debug)]
pub struct Initramfs {
    archive: Archive,
    /// The names of the files that came as trees.
    brought: BTreeSet<OsString>,
}

impl Initramfs {
    /// The files of a guest that runs commands, and of `rc`, which it runs first.
    pub fn new(busybox: &Path, module: &Path, rc: &str) -> anyhow::Result<Self> {
        let mut archive = Archive::default();
        for folder in ["dev", "proc", "sys", "run", "tmp", "var"] {
            archive.folder(folder);
        }
        // Without a console the first process would have nowhere to write to.
        archive.device("dev/console", (5, 1));
        archive.file("bin/busybox", 0o755, &read(busybox)?);
        archive.file("init", 0o755, include_bytes!("init.sh"));
        archive.file("lib/vboxguest.ko", 0o644, &read(module)?);
        archive.file("etc/rc", 0o644, rc.as_bytes());
        archive.file("etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/tmp:/bin/sh\n");
        archive.file("etc/group", 0o644, b"root:x:0:\nuser:x:1000:\n");
        Ok(Self { archive, brought: BTreeSet::new() })
    }

    /// Adds a file.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.archive.file(path, permissions, content);
    }

    /// Adds all files of a folder, each where it is in there. What a link leads to is a file of its own.
    pub fn tree(&mut self, tree: &Path) -> anyhow::Result<()> {
        let mut folders = vec![tree.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("Reading {}", folder.display()))? {
                let file = entry?.path();
                let kind = fs::metadata(&file).with_context(|| format!("Reading {}", file.display()))?;
                if kind.is_dir() {
                    folders.push(file);
                    continue;
                }
                let path = file.strip_prefix(tree).ok().and_then(Path::to_str);
                let path = path.with_context(|| format!("{} has a strange name", file.display()))?;
                self.archive.file(path, kind.permissions().mode() & 0o777, &read(&file)?);
                self.brought.extend(file.file_name().map(ToOwned::to_owned));
            }
        }
        Ok(())
    }

    /// Adds a program of this machine, with the libraries that it is linked to, each where the loader
    /// finds it here. Those that came with a tree go before: libraries of two systems do not mix.
    pub fn program(&mut self, path: &str, program: &Path, stripped: &Stripped) -> anyhow::Result<()> {
        self.archive.file(path, 0o755, &stripped.read(program)?);
        for library in libraries(program)? {
            if Path::new(&library).file_name().is_some_and(|name| self.brought.contains(name)) {
                continue;
            }
            self.archive.file(&library, 0o755, &read(Path::new(&library))?);
        }
        Ok(())
    }

    /// Writes it all into a file.
    pub fn write(self, file: &Path) -> anyhow::Result<()> {
        fs::write(file, self.archive.finish()).with_context(|| format!("Writing {}", file.display()))
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("Reading {}", file.display()))
}

/// What a program is linked to, its loader included.
fn libraries(program: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("ldd").arg(program).output().context("Starting `ldd`")?;
    if !output.status.success() {
        bail!("`ldd {}` failed: {}", program.display(), String::from_utf8_lossy(&output.stderr).trim());
    }
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads what `ldd` says. The kernel's own library is in no file.
fn parse(text: &str) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.ends_with("not found") {
            bail!("a library is missing here: {line}");
        }
        let file = line.split_once(" => ").map_or(line, |(_, file)| file);
        files.extend(file.split(' ').next().filter(|file| file.starts_with('/')).map(str::to_owned));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_files_and_the_loader_is_one() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";

        assert_eq!(parse(text).unwrap(), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(parse("libx.so => not found\n").is_err());
    }
}

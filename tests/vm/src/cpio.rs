//! An archive as the kernel unpacks it into its first file system: cpio, in the format "newc".
//!
//! Everything in it belongs to root, and device nodes need no rights to be written here.

use std::collections::BTreeSet;
use std::path::Path;

/// An archive that is being written.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
    folders: BTreeSet<String>,
}

/// The kinds of entries, as the upper bits of a file's mode.
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

impl Archive {
    /// Adds a folder, and those that it lies in.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if let Some(parent) = Path::new(path).parent().and_then(Path::to_str).filter(|p| !p.is_empty()) {
            self.folder(parent);
        }
        if self.folders.insert(path.to_owned()) {
            self.entry(path, FOLDER | 0o755, (0, 0), &[]);
        }
    }

    /// Adds a file, and the folders that it lies in.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        self.parents(path);
        self.entry(path, FILE | permissions, (0, 0), content);
    }

    /// Adds the node of a character device.
    pub fn device(&mut self, path: &str, numbers: (u32, u32)) {
        self.parents(path);
        self.entry(path, CHARACTER_DEVICE | 0o600, numbers, &[]);
    }

    /// The finished archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.trim_start_matches('/').rsplit_once('/') {
            self.folder(parent);
        }
    }

    fn entry(&mut self, path: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        let path = path.trim_start_matches('/');
        let size = u32::try_from(content.len()).expect("a file of a guest is below 4 GiB");
        let name = u32::try_from(path.len() + 1).expect("a path is short");
        self.entries += 1;
        // Serial number, mode, owner, group, links, time, size, the archive's device and the node's,
        // the length of the name, and a sum that this format does not use.
        let header = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name, 0];
        self.bytes.extend(b"070701");
        for field in header {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_a_content_each_padded_to_four_bytes() {
        let mut archive = Archive::default();
        archive.file("a", 0o755, b"hello");

        let bytes = archive.finish();

        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with("07070100000001000081ed"), "{text}");
        assert_eq!(&bytes[110..112], b"a\0");
        assert_eq!(&bytes[112..120], b"hello\0\0\0");
        assert_eq!(&bytes[120..126], b"070701");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::default();
        archive.file("/usr/lib/a", 0o644, b"");
        archive.device("/usr/lib/b", (5, 1));

        let text = String::from_utf8_lossy(&archive.finish()).into_owned();

        let names: Vec<&str> = text.split('\0').filter_map(|part| part.rsplit("00000000").next()).collect();
        let found: Vec<&&str> = names.iter().filter(|name| name.starts_with("usr")).collect();
        assert_eq!(found, [&"usr", &"usr/lib", &"usr/lib/a", &"usr/lib/b"]);
    }
}

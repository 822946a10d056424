//! What the daemon opens again while it runs.

use std::path::{Path, PathBuf};

/// What a confined daemon may still reach. A file in a folder that is named may come and go; one that is
/// named itself is lost once another takes its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Files that are read, and folders with all that is in them.
    pub read: Vec<PathBuf>,
    /// Folders in which files and sockets are made, written and removed.
    pub write: Vec<PathBuf>,
    /// Device nodes that are driven.
    pub devices: Vec<PathBuf>,
    /// Sockets of the file system that are connected to, and folders of such.
    pub sockets: Vec<PathBuf>,
    /// TCP ports of other machines that are connected to.
    pub ports: Vec<u16>,
    /// Whether memory is made executable: for code that was compiled for this processor.
    pub executable_memory: bool,
}

impl Needs {
    /// Adds the folder in which a file stands, so that the file may be replaced; of a symbolic link, that
    /// of the link and that of the file.
    pub fn read_beside(&mut self, file: &Path) {
        let folder = |file: &Path| match file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
            Some(folder) => folder.to_owned(),
            None => file.to_owned(),
        };
        let real = file.canonicalize().ok();
        for folder in [Some(folder(file)), real.as_deref().map(folder)].into_iter().flatten() {
            if !self.read.contains(&folder) {
                self.read.push(folder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_be_replaced_where_it_stands_and_where_a_link_leads() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let [real, linked] = ["real", "linked"].map(|name| folder.path().join(name));
        std::fs::create_dir(&real).expect("a folder");
        std::fs::create_dir(&linked).expect("a folder");
        std::fs::write(real.join("a"), "").expect("a file");
        std::os::unix::fs::symlink(real.join("a"), linked.join("a")).expect("a link");
        let mut needs = Needs::default();

        needs.read_beside(&linked.join("a"));
        needs.read_beside(&real.join("a"));
        needs.read_beside(Path::new("agent.toml"));

        let real = real.canonicalize().expect("it is there");
        assert!(needs.read.contains(&linked) && needs.read.contains(&real), "{needs:?}");
        assert_eq!(needs.read.last().map(PathBuf::as_path), Some(Path::new(".")));
    }
}

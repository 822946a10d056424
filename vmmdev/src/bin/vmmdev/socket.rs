//! A socket that is its owner's alone, and goes when the process goes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at a path. A socket that nobody listens to any more is replaced.
    pub(super) fn bind(path: &Path) -> Result<Self> {
        make_room(path)?;
        // Under another name until only the owner can connect, so that nobody else ever can; and
        // whoever waits for the path to appear finds a socket that listens.
        let mut name = path.file_name().context("A socket's path ends with its name")?.to_owned();
        name.push(format!(".{}", std::process::id()));
        let early = path.with_file_name(name);
        let listener =
            UnixListener::bind(&early).with_context(|| format!("Cannot listen at {}", early.display()))?;
        let owned = fs::set_permissions(&early, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&early, path))
            .with_context(|| format!("Cannot listen at {}", path.display()));
        if owned.is_err() {
            let _ = fs::remove_file(&early);
        }
        owned.map(|()| Self { listener, path: path.to_owned() })
    }

    /// The socket, for whoever accepts.
    pub(super) fn listener(&self) -> Result<UnixListener> {
        self.listener.try_clone().context("Cannot share a socket")
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Somebody may have been faster, and there is nobody left to be told.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes sure that nothing is lost when a socket takes this path.
fn make_room(path: &Path) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        bail!("{} exists and is no socket; name another path, or remove it", path.display());
    }
    if UnixStream::connect(path).is_ok() {
        bail!("Somebody listens at {} already; name another path, or end it", path.display());
    }
    Ok(())
}

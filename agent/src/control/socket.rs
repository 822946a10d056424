//! Where the control socket is, and who may have it.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::geteuid;

/// A socket that is this agent's alone while it lives.
pub(super) struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Held for as long as the agent lives: how another one knows that it does.
    _lock: Flock<fs::File>,
}

/// Where the socket is if nobody says otherwise: in the folder that a service manager made for it, else the
/// machine's for root, one's own in the session's folder, and nowhere for a user without a session.
#[must_use]
pub fn default_path() -> Option<PathBuf> {
    if let Some(made) = std::env::var_os("RUNTIME_DIRECTORY").filter(|made| !made.is_empty()) {
        return Some(PathBuf::from(made).join("control.sock"));
    }
    let folder = if geteuid().is_root() {
        PathBuf::from("/run")
    } else {
        std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty())?.into()
    };
    Some(folder.join("bellhop/control.sock"))
}

impl Socket {
    /// Makes the socket, in the place of one that a dead agent left behind.
    ///
    /// # Errors
    /// When another agent has it, its folder is not this user's alone, or it cannot be made.
    pub(super) fn bind(path: &Path) -> Result<Self> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        open_folder(folder.unwrap_or(Path::new(".")))?;
        let lock = lock(path)?;
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("Cannot remove the old control socket {}", path.display()));
            }
            _ => {}
        }
        let made = UnixListener::bind(path).and_then(|listener| {
            listener.set_nonblocking(true)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            Ok(listener)
        });
        let listener = made.with_context(|| format!("Cannot make the control socket {}", path.display()))?;
        Ok(Self { listener, path: path.to_owned(), _lock: lock })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that cannot be removed is stale, and the next agent's to replace.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether a client is the agent's own user, or root.
pub(super) fn admits(stream: &UnixStream) -> bool {
    getsockopt(stream, PeerCredentials).is_ok_and(|peer| peer.uid() == geteuid().as_raw() || peer.uid() == 0)
}

/// Makes the folder if need be, and refuses one that somebody else could put a socket into.
fn open_folder(folder: &Path) -> Result<()> {
    let name = folder.display();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("Cannot make the control socket's folder {name}"))?;
    let metadata =
        fs::metadata(folder).with_context(|| format!("Cannot look at the control socket's folder {name}"))?;
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        bail!(
            "Folder {name} of the control socket belongs to user {}, not to this process's user {user}; set \
             another `control`",
            metadata.uid()
        );
    }
    if metadata.mode() & 0o022 != 0 {
        bail!(
            "Folder {name} of the control socket can be written by others (mode {:o}); run `chmod go-w \
             {name}` or set another `control`",
            metadata.mode() & 0o7777
        );
    }
    Ok(())
}

/// Takes the lock beside the socket, which says that an agent lives, whatever became of its socket.
fn lock(path: &Path) -> Result<Flock<fs::File>> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&name)
        .with_context(|| format!("Cannot make {}", Path::new(&name).display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        anyhow::anyhow!(
            "Another agent has the control socket {} ({error}); stop it, or set another `control`",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_agent_s_socket_is_replaced_and_a_living_one_s_is_not() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let path = folder.path().join("own/control.sock");
        let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o7777;

        let living = Socket::bind(&path).expect("nobody has it");
        assert_eq!((mode(&path), mode(&folder.path().join("own"))), (0o600, 0o700));
        let refused = Socket::bind(&path).map(drop).expect_err("it is taken").to_string();
        assert!(refused.contains("Another agent has the control socket"), "{refused}");
        assert!(UnixStream::connect(&path).is_ok(), "the living one still has it");
        drop(living);
        assert!(!path.exists());

        // As a killed agent leaves it: the socket is there, and nobody listens.
        drop(UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists());
        let _next = Socket::bind(&path).expect("a dead one is replaced");
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_refused() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("it is ours");

        let refused = Socket::bind(&folder.path().join("control.sock")).map(drop).expect_err("refused");

        assert!(refused.to_string().contains("chmod go-w"), "{refused}");
    }
}

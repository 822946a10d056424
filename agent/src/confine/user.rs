//! Another user than the one that started the daemon.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use nix::unistd::{User, chown, geteuid, initgroups, setresgid, setresuid};

/// Why the daemon cannot run as the user that `agent.toml` names.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody is called that.
    #[error(
        "Cannot run as `{0}`, the user in agent.toml: there is no such user. Packages make it by \
         sysusers.d; `useradd --system {0}` does too"
    )]
    Unknown(String),
    /// Only root may become somebody else.
    #[error(
        "Cannot run as `{name}`, the user in agent.toml: this is user {this}, and only root can become another. \
         Start it as root or as `{name}`, or leave `user` out"
    )]
    NotRoot {
        /// The user that was asked for.
        name: String,
        /// The user that this process is.
        this: u32,
    },
    /// The system refuses.
    #[error("Cannot run as `{name}`, the user in agent.toml: cannot {doing}: {error}")]
    Refused {
        /// The user that was asked for.
        name: String,
        /// What failed.
        doing: &'static str,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Becomes this user for good, with the groups that it is in, after the cache was made its own.
///
/// # Errors
/// When there is no such user, or this process may not become it.
pub fn switch_to(name: &str, cache: &Path) -> Result<(), UserError> {
    let refused = |doing| move |error| UserError::Refused { name: name.to_owned(), doing, error };
    let user = User::from_name(name)
        .map_err(|error| refused("look it up")(error.into()))?
        .ok_or_else(|| UserError::Unknown(name.to_owned()))?;
    if geteuid() == user.uid {
        return Ok(());
    }
    if !geteuid().is_root() {
        return Err(UserError::NotRoot { name: name.to_owned(), this: geteuid().as_raw() });
    }
    hand_over(cache, &user).map_err(refused("give it the cache"))?;
    let groups = CString::new(name).map_err(|error| refused("take its groups")(error.into()))?;
    initgroups(&groups, user.gid).map_err(|error| refused("take its groups")(error.into()))?;
    setresgid(user.gid, user.gid, user.gid).map_err(|error| refused("take its group")(error.into()))?;
    setresuid(user.uid, user.uid, user.uid).map_err(|error| refused("become it")(error.into()))
}

/// Makes the cache, in places where only root may, and gives it away if it is root's own. What a cache
/// already has is not trusted with its folder: files that are another's are compiled anew.
fn hand_over(cache: &Path, user: &User) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(cache)?;
    let metadata = std::fs::symlink_metadata(cache)?;
    if metadata.is_dir() && metadata.uid() == 0 && !user.uid.is_root() {
        chown(cache, Some(user.uid), Some(user.gid))?;
    }
    Ok(())
}

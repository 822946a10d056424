//! What lets us in to an X server: a cookie, from the file that `XAUTHORITY` names, else `~/.Xauthority`.
//!
//! The file is read for each connection, since a server that comes back may want another cookie. Where it
//! cannot be read any more, because this process gave up files and the file was replaced, the cookie that
//! it had last is shown: that of a server that still runs has not changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use x11rb::reexports::x11rb_protocol::xauth::{Family, get_auth};

/// The cookies that were read, by the number of the display, which is one in most processes.
static READ: Mutex<BTreeMap<u16, Cookie>> = Mutex::new(BTreeMap::new());

/// What to show a server to be let in.
pub(super) struct Authorization {
    pub(super) name: Vec<u8>,
    pub(super) data: Vec<u8>,
    /// What may be wrong with it, if the server does not let us in.
    pub(super) doubt: String,
}

/// The name of a way to be let in, and what to show.
type Cookie = (Vec<u8>, Vec<u8>);

/// What to show the server of a display; a family and an address are how the file names its machine.
pub(super) fn authorization((family, address): (Family, Vec<u8>), display: u16) -> Authorization {
    let name = match std::env::var_os("XAUTHORITY") {
        Some(file) => format!("{} (XAUTHORITY)", file.display()),
        None => "~/.Xauthority (XAUTHORITY is not set)".to_owned(),
    };
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let (cookie, doubt) = match get_auth(family, &address, display) {
        Ok(Some(cookie)) => {
            read.insert(display, cookie.clone());
            (cookie, format!("the cookie in {name} may be an old one"))
        }
        Ok(None) => (Cookie::default(), format!("{name} has no cookie for it")),
        Err(error) => {
            let cookie = read.get(&display).cloned().unwrap_or_default();
            (cookie, format!("{name} cannot be read: {error}"))
        }
    };
    Authorization { name: cookie.0, data: cookie.1, doubt }
}

/// Reads the cookie of a display of this machine, to have it later.
pub(super) fn read_ahead(display: u16) {
    let machine = nix::unistd::gethostname().unwrap_or_default();
    let _ = authorization((Family::LOCAL, machine.into_encoded_bytes()), display);
}

/// The file.
pub(super) fn file() -> Option<PathBuf> {
    let own = || home().map(|home| home.join(".Xauthority"));
    std::env::var_os("XAUTHORITY").map(PathBuf::from).or_else(own)
}

/// What of the file system must be readable for the file to be found again when it was replaced: its
/// folder, where that is made for such things, and not a home or one of everybody's.
pub(super) fn place(file: &Path) -> PathBuf {
    use std::os::unix::fs::MetadataExt;
    const EVERYBODY: u32 = 0o022;
    let Some(folder) = file.parent() else { return file.to_owned() };
    let is_home = home().is_some_and(|home| home == folder);
    let is_ours = std::fs::metadata(folder).is_ok_and(|metadata| metadata.mode() & EVERYBODY == 0);
    if is_ours && !is_home { folder.to_owned() } else { file.to_owned() }
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_folder_of_the_user_s_own_is_the_place_of_its_file() {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let file = folder.path().join("cookies");
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), mode).expect("it is ours");
        };

        mode(0o700);
        assert_eq!(place(&file), folder.path());
        mode(0o1777);
        assert_eq!(place(&file), file);
        assert_eq!(place(Path::new("/nonexistent/cookies")), Path::new("/nonexistent/cookies"));
    }
}

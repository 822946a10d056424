//! Open files that a service manager kept while this process was not there, and hands down at its start.
//!
//! `LISTEN_FDS` says how many there are, from number 3 on; `LISTEN_PID` for whom; `LISTEN_FDNAMES` has their
//! names, with colons between them: sd_listen_fds(3).

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::fcntl::{F_GETFD, F_SETFD, FdFlag, fcntl};

/// The number of the first.
const FIRST: RawFd = 3;

/// So many are looked at. The manager keeps no more than the unit says, which is one.
const MOST: usize = 64;

/// Takes all files that were handed down, and gives back those that have this name; the others are closed.
/// The second time there are none.
pub(super) fn take(name: &str) -> Vec<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        return Vec::new();
    }
    let variable = |name| std::env::var(name).unwrap_or_default();
    let names = named(
        &variable("LISTEN_PID"),
        std::process::id(),
        &variable("LISTEN_FDS"),
        &variable("LISTEN_FDNAMES"),
    );
    let files = names.into_iter().filter_map(|(number, called)| Some((own(number)?, called)));
    files.filter(|(_, called)| called == name).map(|(file, _)| file).collect()
}

/// The numbers and the names of files that were handed down to this process.
fn named(process: &str, this: u32, count: &str, names: &str) -> Vec<(RawFd, String)> {
    if process.parse() != Ok(this) {
        return Vec::new();
    }
    let count = count.parse::<usize>().unwrap_or(0).min(MOST);
    let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
    (FIRST..).zip(names).take(count).collect()
}

/// An open file by its number, which children do not get.
fn own(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the manager opened it for this process, which it named; nobody here has it yet, since it is
    // asked for once. The number is tried below, and let go without being closed if it is nobody's.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    match fcntl(&file, F_GETFD) {
        Ok(flags) => {
            let flags = FdFlag::from_bits_retain(flags) | FdFlag::FD_CLOEXEC;
            fcntl(&file, F_SETFD(flags)).ok().map(|_| file)
        }
        Err(_) => {
            std::mem::forget(file);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_numbered_from_three_and_those_of_another_process_are_not_ours() {
        let files = |process, count, names| named(process, 7, count, names);

        assert_eq!(files("7", "2", "a:b"), [(3, "a".to_owned()), (4, "b".to_owned())]);
        assert_eq!(files("7", "2", "a"), [(3, "a".to_owned()), (4, String::new())]);
        assert_eq!(files("7", "99999999", "").len(), MOST);
        for (process, count) in [("8", "1"), ("", "1"), ("7", ""), ("7", "-1"), ("7", "none")] {
            assert_eq!(files(process, count, "a"), [], "{process} {count}");
        }
    }
}

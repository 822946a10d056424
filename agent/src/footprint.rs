//! What the daemon keeps of itself in memory.
//!
//! Of a program that reads its configuration, holds components against their grants and links them, little
//! is needed again once all of that is done. The kernel leaves its pages mapped all the same, in clusters
//! around each that was ever touched.

use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;

use nix::sys::mman::{MmapAdvise, madvise};

/// The program's own code and constants, in memory.
pub struct Start(Vec<(NonNull<c_void>, usize)>);

impl Start {
    /// Takes note of where they are, which a confined process cannot look up.
    #[must_use]
    pub fn noted() -> Self {
        match (std::env::current_exe(), std::fs::read_to_string("/proc/self/maps")) {
            (Ok(program), Ok(maps)) => Self(unwritten(&maps, &program)),
            _ => Self(Vec::new()),
        }
    }

    /// Lets go of them. What is needed again comes back by itself, page by page, from the kernel's cache of
    /// the file.
    ///
    /// It is a courtesy to small machines: where it cannot be done, nothing is amiss.
    pub fn forget(self) {
        for (start, length) in self.0 {
            // SAFETY: the range is a whole mapping of this program's file that the kernel itself listed,
            // private and without write permission since it was made: the linker keeps what is written at
            // start, and made read-only then, behind the code. So each page is as in the file, which nobody
            // can write to while it runs, and is there again when it is next touched.
            if let Err(error) = unsafe { madvise(start, length, MmapAdvise::MADV_DONTNEED) } {
                tracing::debug!("What only the start needed stays in memory: {error}");
            }
        }
    }
}

/// The mappings of this file up to its code, with their sizes: what is behind it has been written to.
fn unwritten(maps: &str, program: &Path) -> Vec<(NonNull<c_void>, usize)> {
    let is_own = |line: &&str| line.find('/').is_some_and(|at| Path::new(&line[at..]) == program);
    let own: Vec<_> = maps.lines().filter(is_own).collect();
    let Some(code) = own.iter().position(|line| line.contains(" r-xp ")) else { return Vec::new() };
    own.into_iter().take(code + 1).filter_map(range).collect()
}

/// The range that a line of `/proc/self/maps` begins with.
fn range(line: &str) -> Option<(NonNull<c_void>, usize)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let [start, end] = [start, end].map(|address| usize::from_str_radix(address, 16).ok());
    let (start, end) = (start?, end?);
    Some((NonNull::new(std::ptr::without_provenance_mut(start))?, end.checked_sub(start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_never_written_is_let_go() {
        let maps = "\
            5500000-5500400 r--p 00000000 fe:00 1   /bin/bellhop\n\
            5501000-5503000 r-xp 00001000 fe:00 1   /bin/bellhop\n\
            5503000-5504000 r--p 00003000 fe:00 1   /bin/bellhop\n\
            5504000-5505000 rw-p 00004000 fe:00 1   /bin/bellhop\n\
            7f00000-7f01000 r-xp 00000000 fe:00 2   /lib/libc.so.6\n";

        let ranges = unwritten(maps, Path::new("/bin/bellhop"));

        let ranges: Vec<_> = ranges.iter().map(|(start, length)| (start.as_ptr().addr(), *length)).collect();
        assert_eq!(ranges, [(0x550_0000, 0x400), (0x550_1000, 0x2000)]);
    }

    #[test]
    fn a_program_goes_on_without_its_start() {
        Start::noted().forget();

        only_what_was_never_written_is_let_go();
    }
}

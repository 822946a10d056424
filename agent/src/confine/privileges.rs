//! Capabilities, new privileges, and core dumps.

use std::path::Path;

use caps::{CapSet, Capability, CapsHashSet};
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{AccessFlags, faccessat};

use super::{Lacking, Needs};

/// Gives up all capabilities, and all ways to new ones. A root that must read what belongs to others
/// keeps the one that reads.
pub(super) fn drop_all(needs: &Needs) -> Result<(), Lacking> {
    let lacking = |error: &dyn std::fmt::Display| Lacking(format!("cannot give up privileges: {error}"));
    prctl::set_no_new_privs().map_err(|error| lacking(&error))?;
    if held(CapSet::Permitted)?.is_empty() {
        return Ok(());
    }
    caps::clear(None, CapSet::Effective).map_err(|error| lacking(&error))?;
    let kept: CapsHashSet =
        if is_readable(needs) { CapsHashSet::new() } else { [Capability::CAP_DAC_READ_SEARCH].into() };
    // A process without CAP_SETPCAP cannot lower the bound; without new privileges it is of no use anyway.
    if held(CapSet::Permitted)?.contains(&Capability::CAP_SETPCAP) {
        caps::raise(None, CapSet::Effective, Capability::CAP_SETPCAP).map_err(|error| lacking(&error))?;
        caps::clear(None, CapSet::Bounding).map_err(|error| lacking(&error))?;
    }
    caps::clear(None, CapSet::Inheritable).map_err(|error| lacking(&error))?;
    for set in [CapSet::Effective, CapSet::Permitted] {
        caps::set(None, set, &kept).map_err(|error| lacking(&error))?;
    }
    if !kept.is_empty() {
        tracing::info!("CAP_DAC_READ_SEARCH is kept: what the agent reads belongs to another user");
    }
    Ok(())
}

/// Leaves no copy of this process's memory anywhere, and keeps debuggers of the same user out of it.
/// Its entries in `/proc` become root's by that.
pub(super) fn no_core_dumps() -> Result<(), Lacking> {
    let lacking = |error| Lacking(format!("cannot switch core dumps off: {error}"));
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(lacking)?;
    // A collector of core dumps that is a program is not held back by the limit.
    prctl::set_dumpable(false).map_err(lacking)
}

fn held(set: CapSet) -> Result<CapsHashSet, Lacking> {
    caps::read(None, set).map_err(|error| Lacking(format!("cannot read its own capabilities: {error}")))
}

/// Whether everything can be read by the user alone. What is not there cannot be read by anybody.
fn is_readable(needs: &Needs) -> bool {
    let reads = |path: &Path| {
        let may = faccessat(AT_FDCWD, path, AccessFlags::R_OK, AtFlags::AT_EACCESS);
        !matches!(may, Err(nix::errno::Errno::EACCES | nix::errno::Errno::EPERM))
    };
    needs.read.iter().all(|path| reads(path))
}

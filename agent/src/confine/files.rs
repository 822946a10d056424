//! Files, ports, sockets and processes: what Landlock keeps a process from.
//!
//! A connection to a socket by its path, to the X server or the journal, is bound only by kernels with
//! Landlock's ninth interface; a connection that is there already is not affected by any.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::{Lacking, Needs};

/// The newest of Landlock's interfaces that is made use of. Older kernels do as much of it as they can.
const NEWEST: ABI = ABI::V10;

/// What a process may do with a folder that is only read.
const READ: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// What it may do in a folder of its own. A file that is replaced is renamed within the folder.
const WRITE: BitFlags<AccessFs> = landlock::make_bitflags!(
    AccessFs::{ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeSock | RemoveFile}
);

/// What it may do with a device.
const DRIVE: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | WriteFile | IoctlDev});

/// What it may do with a program and what that is loaded from.
const RUN: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{ReadFile | Execute});

/// What is there whatever the daemon needs: its own entries in `/proc`, and what the loader looks at
/// before it starts the compiler.
const ALWAYS_READ: [&str; 3] = ["/proc/self", "/etc/ld.so.cache", "/etc/ld.so.preload"];

/// What the standard library gives a child for what it is not to read or write.
const NOWHERE: &str = "/dev/null";

/// What name lookups read, for an X server on another machine.
const NAMES: [&str; 6] = [
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/services",
];

/// The port of name servers.
const DNS: u16 = 53;

/// Something that newer kernels can take away, and rules that only those can make.
type Offer = (&'static str, fn() -> Ruleset);

const OFFERS: [Offer; 6] = [
    ("files", || with(AccessFs::MakeReg.into(), BitFlags::EMPTY, BitFlags::EMPTY)),
    ("TCP ports", || with(BitFlags::EMPTY, AccessNet::ConnectTcp.into(), BitFlags::EMPTY)),
    ("devices", || with(AccessFs::IoctlDev.into(), BitFlags::EMPTY, BitFlags::EMPTY)),
    ("abstract sockets and signals", || {
        with(BitFlags::EMPTY, BitFlags::EMPTY, Scope::AbstractUnixSocket | Scope::Signal)
    }),
    ("sockets by path", || with(AccessFs::ResolveUnix.into(), BitFlags::EMPTY, BitFlags::EMPTY)),
    ("UDP ports", || with(BitFlags::EMPTY, AccessNet::BindUdp.into(), BitFlags::EMPTY)),
];

/// Keeps this process to what it needs, and to the program that it is.
pub(super) fn restrict(needs: &Needs) -> Result<(), Lacking> {
    restrict_to(&loaded_from(), needs)
}

/// Keeps this process to what it needs, and to executing these files.
pub(super) fn restrict_to(run: &[PathBuf], needs: &Needs) -> Result<(), Lacking> {
    let status = ruleset(run, needs).map_err(|error| Lacking(format!("cannot give up files: {error}")))?;
    match status {
        RulesetStatus::NotEnforced => {
            Err(Lacking("this kernel has no Landlock, which files and networks are given up by".to_owned()))
        }
        RulesetStatus::PartiallyEnforced => {
            let lacks = offers().filter(|(_, offered)| !offered).map(|(name, _)| name);
            tracing::debug!(
                lacks = lacks.collect::<Vec<_>>().join(", "),
                "This kernel's Landlock is not the newest"
            );
            Ok(())
        }
        RulesetStatus::FullyEnforced => Ok(()),
    }
}

fn ruleset(run: &[PathBuf], needs: &Needs) -> Result<RulesetStatus, RulesetError> {
    let lookups = if needs.ports.is_empty() { &[][..] } else { &NAMES[..] };
    let always = if run.is_empty() { &[][..] } else { &ALWAYS_READ[..] };
    let nowhere = (!run.is_empty()).then_some(NOWHERE);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(&needs.read, READ))?
        .add_rules(path_beneath_rules(&needs.write, WRITE))?
        .add_rules(path_beneath_rules(&needs.devices, DRIVE))?
        .add_rules(path_beneath_rules(&needs.sockets, AccessFs::ResolveUnix))?
        .add_rules(path_beneath_rules(run, RUN))?
        .add_rules(path_beneath_rules(always, READ))?
        .add_rules(path_beneath_rules(nowhere, AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(lookups, READ))?;
    for port in &needs.ports {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    if !needs.ports.is_empty() {
        rules = rules
            .add_rule(NetPort::new(DNS, AccessNet::ConnectTcp | AccessNet::ConnectSendUdp))?
            .add_rule(NetPort::new(0, AccessNet::BindUdp))?;
    }
    Ok(rules.restrict_self()?.ruleset)
}

/// The files that this very program was loaded from: the program itself, the loader, and libraries. A
/// package that replaces one of them keeps the compiler from being started until the daemon is.
fn loaded_from() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    executable(&maps).into_iter().map(Path::to_owned).chain([PathBuf::from("/proc/self/exe")]).collect()
}

/// The files in a `/proc/PID/maps` of which something is mapped to be executed.
fn executable(maps: &str) -> BTreeSet<&Path> {
    let file = |line: &'_ str| {
        let (fields, path) = line.split_once('/')?;
        let executable = fields.split_ascii_whitespace().nth(1)?.contains('x');
        // The line ends with the path, which begins with the slash that was split at.
        executable.then(|| line.len() - path.len() - 1)
    };
    maps.lines().filter_map(|line| file(line).and_then(|start| line.get(start..)).map(Path::new)).collect()
}

/// What of Landlock this kernel has.
pub(super) fn offers() -> impl Iterator<Item = (&'static str, bool)> {
    OFFERS.into_iter().map(|(name, ruleset)| (name, ruleset().create().is_ok()))
}

/// A set of rules that this kernel has wholly, or cannot make.
fn with(files: BitFlags<AccessFs>, net: BitFlags<AccessNet>, scope: BitFlags<Scope>) -> Ruleset {
    let strict = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let handled = match (files.is_empty(), net.is_empty()) {
        (false, _) => strict().handle_access(files),
        (_, false) => strict().handle_access(net),
        _ => strict().scope(scope),
    };
    // One that handles nothing cannot be made either.
    handled.unwrap_or_else(|_| strict())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_was_loaded_from_is_read_from_its_maps() {
        let maps = "\
            55d0c0a00000-55d0c0a10000 r--p 00000000 fe:00 12 /usr/bin/bell hop\n\
            55d0c0a10000-55d0c0b00000 r-xp 00010000 fe:00 12 /usr/bin/bell hop\n\
            7f0000000000-7f0000010000 rw-p 00000000 00:00 0 \n\
            7f0000010000-7f0000020000 r-xp 00000000 fe:00 13 /lib/ld.so\n\
            7f0000020000-7f0000030000 r--p 00000000 fe:00 14 /tmp/data\n\
            7fff00000000-7fff00001000 r-xp 00000000 00:00 0 [vdso]\n";

        let files: Vec<_> = executable(maps).into_iter().collect();

        assert_eq!(files, [Path::new("/lib/ld.so"), Path::new("/usr/bin/bell hop")]);
        assert!(!loaded_from().is_empty());
    }
}

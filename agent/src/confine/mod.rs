//! What the daemon gives up once it has opened what it needs, and what its compiler child does without.
//!
//! A plugin that got out of its sandbox would be in this process. So the process has as little as can be:
//!
//! | part | file | is gone |
//! |---|---|---|
//! | the user | `user` | root, where `agent.toml` names another user |
//! | privileges | `privileges` | capabilities, and what programs with the set-user-id bit would bring |
//! | core dumps | `privileges` | the process's memory, with what was pasted in it, on a disk or in a debugger |
//! | files | `files` | every file, port and socket that [`Needs`] does not name, by Landlock |
//! | calls | `calls` | every system call that the daemon does not make, by seccomp, and with Pulley executable memory |
//!
//! All of it is inherited by the threads that are started afterwards, and by the compiler child, so it is
//! done while there is one thread. Nothing of it can be taken back.
//!
//! What a kernel lacks is said once, and gone without, unless `agent.toml` requires it.

mod calls;
mod files;
mod needs;
mod privileges;
pub mod user;

use serde::Deserialize;

pub use needs::Needs;

/// How far the daemon confines itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confine {
    /// As far as the kernel can.
    #[default]
    Auto,
    /// Wholly, or it does not start.
    Required,
    /// Not at all.
    Off,
}

/// What the daemon can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Capabilities, and new privileges by executing a program.
    Privileges,
    /// Core dumps, and debuggers of the same user.
    CoreDumps,
    /// Files, ports, sockets and processes.
    Files,
    /// System calls.
    Calls,
}

/// The parts, in the order in which they go: what goes first must not be needed for the next.
const PARTS: [(Part, &str, Apply); 4] = [
    (Part::Privileges, "privileges", |needs| privileges::drop_all(needs)),
    (Part::CoreDumps, "core-dumps", |_| privileges::no_core_dumps()),
    (Part::Files, "files", files::restrict),
    (Part::Calls, "calls", |needs| calls::restrict(&calls::daemon(needs))),
];

type Apply = fn(&Needs) -> Result<(), Lacking>;

/// What this kernel cannot do, or somebody else forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Lacking(String);

/// A confinement that was required and is not to be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "Cannot confine the process as `confine = \"required\"` in agent.toml asks: {}. `confine = \"auto\"` \
     goes without what this kernel lacks",
    .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
)]
pub struct Unconfined(Vec<Lacking>);

/// Confines this process, its threads to come, and its children. There must be no other thread yet.
///
/// # Errors
/// When something is lacking that was required.
pub fn confine(how: Confine, leave_out: &[Part], needs: &Needs) -> Result<(), Unconfined> {
    if how == Confine::Off {
        tracing::warn!(
            "Not confined, as agent.toml says: a plugin that got out of its sandbox could do all that this user may"
        );
        return Ok(());
    }
    let wanted = PARTS.iter().filter(|(part, ..)| !leave_out.contains(part));
    let (mut done, mut lacking) = (Vec::new(), Vec::new());
    for (_, name, apply) in wanted {
        match apply(needs) {
            Ok(()) => done.push(*name),
            Err(lack) => lacking.push(lack),
        }
    }
    if how == Confine::Required && !lacking.is_empty() {
        return Err(Unconfined(lacking));
    }
    for lack in &lacking {
        tracing::warn!("Confined without a part: {lack}");
    }
    tracing::info!(parts = done.join(" "), "Confined");
    Ok(())
}

/// Confines a process that compiles: it needs what it was given, memory, and time. What is lacking the
/// daemon has said already.
pub fn confine_compiler() {
    for apply in [
        privileges::no_core_dumps,
        || files::restrict_to(&[], &Needs::default()),
        || calls::restrict(&calls::compiler()),
    ] {
        let _ = apply();
    }
}

/// What this kernel offers and what it lacks, each in words.
#[must_use]
pub fn offer() -> (Vec<&'static str>, Vec<&'static str>) {
    let always = [("capabilities", true), ("core dumps", true)];
    let mut offers: Vec<_> = always.into_iter().chain(files::offers()).collect();
    offers.push(("system calls", calls::offered()));
    let (has, lacks): (Vec<_>, Vec<_>) = offers.into_iter().partition(|(_, offered)| *offered);
    let names = |offers: Vec<(&'static str, bool)>| offers.into_iter().map(|(name, _)| name).collect();
    (names(has), names(lacks))
}

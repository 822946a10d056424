//! Programs for the guest. They are this very program under other names, so that a guest can be given them.

use std::env;
use std::path::Path;

use anyhow::Context as _;
use vm::{Configure, Context, Machine};

use crate::agent::until;
use crate::{bare, hgcm};

/// What this program is under each other name.
const PROGRAMS: &[(&str, fn() -> anyhow::Result<()>)] = &[
    (bare::BARE, bare::wait_and_read),
    (bare::BUSY, bare::read_on),
    (bare::HOLDER, bare::hold),
    (hgcm::NAME, hgcm::run),
];

/// The one as which this program was started.
pub fn meant() -> Option<fn() -> anyhow::Result<()>> {
    let path = env::args_os().next()?;
    let name = Path::new(&path).file_name()?;
    PROGRAMS.iter().find(|(known, _)| name == *known).map(|(_, run)| *run)
}

/// A machine that has this program under a name.
pub fn machine<'a>(context: &'a Context, name: &str) -> anyhow::Result<Configure<'a>> {
    let this = env::current_exe().context("This program knows its own path")?;
    Ok(context.machine().program(&format!("bin/{name}"), &this))
}

/// Starts one that does not end, and waits until it says that it is ready. Its process's number is in
/// `/run/NAME.pid`.
pub fn start(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!("setsid {name} >/run/{name}.log 2>&1 & echo $! >/run/{name}.pid"))?;
    until(machine, name, &format!("grep -q Ready /run/{name}.log"))
}

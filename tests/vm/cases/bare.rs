//! The least programs that do something about wishes. What the agent takes is measured against one.
//!
//! They are this very program under other names, so that a guest can be given them.

use std::env;
use std::path::Path;

use anyhow::Context as _;
use driver_core::vboxguest::{NODES, VboxGuest};
use driver_core::wire::Events;
use driver_core::{Driver as _, Wake, requests};
use vm::{Configure, Context, Machine};

use crate::agent::until;

/// The name under which this program waits for wishes, and reads each one.
pub const BARE: &str = "bare";

/// The name under which it reads wishes without pause, so that its processor is at the device most of the
/// time.
pub const BUSY: &str = "busy";

/// The request that reads a wish.
pub const READ: u64 = 81;

/// What this program is, when it was started under one of the names: it runs until it is killed.
pub fn meant() -> Option<fn() -> anyhow::Result<()>> {
    let path = env::args_os().next()?;
    match Path::new(&path).file_name()?.to_str()? {
        BARE => Some(bare),
        BUSY => Some(busy),
        _ => None,
    }
}

/// A machine that has this program under a name.
pub fn machine<'a>(context: &'a Context, name: &str) -> anyhow::Result<Configure<'a>> {
    let this = env::current_exe().context("A test knows its own path")?;
    Ok(context.machine().program(&format!("bin/{name}"), &this))
}

/// Starts it there, and waits until it is ready. Its process's number is in `/run/NAME.pid`.
pub fn start(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!("setsid {name} >/run/{name}.log 2>&1 & echo $! >/run/{name}.pid"))?;
    until(machine, name, &format!("grep -q Ready /run/{name}.log"))
}

fn bare() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    driver.change_filter(Events::DISPLAY_CHANGE, Events::empty())?;
    println!("Ready");
    loop {
        if let Wake::Events(_) = driver.wait(Events::DISPLAY_CHANGE, None)? {
            requests::display_wishes(&driver, true)?;
        }
    }
}

fn busy() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    println!("Ready");
    loop {
        requests::display_wishes(&driver, false)?;
    }
}

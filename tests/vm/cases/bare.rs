//! The least that a program can do about a wish: wait for it, and read it. What the agent takes is
//! measured against this.
//!
//! It is this very program under another name, so that a guest can be given it.

use std::path::Path;

use driver_core::vboxguest::{NODES, VboxGuest};
use driver_core::wire::Events;
use driver_core::{Driver as _, Wake, requests};

/// The name under which this program is that one.
pub const NAME: &str = "bare";

/// The request that reads a wish.
pub const READ: u64 = 81;

/// Whether this program was started under that name.
pub fn is_meant() -> bool {
    let name = std::env::args_os().next();
    name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == NAME))
}

/// Reads wishes until it is killed.
pub fn run() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    driver.change_filter(Events::DISPLAY_CHANGE, Events::empty())?;
    println!("Ready");
    loop {
        if let Wake::Events(_) = driver.wait(Events::DISPLAY_CHANGE, None)? {
            requests::display_wishes(&driver, true)?;
        }
    }
}

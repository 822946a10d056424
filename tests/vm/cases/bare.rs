//! The least programs that do something about wishes. What the agent takes is measured against one.

use driver_core::vboxguest::{NODES, VboxGuest};
use driver_core::wire::{Capabilities, Events};
use driver_core::{Driver as _, Wake, requests};

/// The name of the one that waits for wishes, and reads each.
pub const BARE: &str = "bare";

/// The name of the one that reads wishes without pause: its processor is at the device most of the time.
pub const BUSY: &str = "busy";

/// The name of the one that has the display for itself, as VirtualBox's own agents do.
pub const HOLDER: &str = "holder";

/// The request that reads a wish.
pub const READ: u64 = 81;

/// Waits for wishes and reads them, until it is killed.
pub fn wait_and_read() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    driver.change_filter(Events::DISPLAY_CHANGE, Events::empty())?;
    println!("Ready");
    loop {
        if let Wake::Events(_) = driver.wait(Events::DISPLAY_CHANGE, None)? {
            requests::display_wishes(&driver, true)?;
        }
    }
}

/// Holds the display until it is killed.
pub fn hold() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    driver.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty())?;
    println!("Ready");
    loop {
        std::thread::park();
    }
}

/// Reads wishes until it is killed.
pub fn read_on() -> anyhow::Result<()> {
    let driver = VboxGuest::open(NODES[0])?;
    println!("Ready");
    loop {
        requests::display_wishes(&driver, false)?;
    }
}

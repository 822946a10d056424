//! Virtual machines whose VMMDev is ours, and whose driver for it is the kernel's own.
//!
//! A [`Kit`] is what `cargo xtask vm setup` brought: QEMU and kernels. [`Programs`] are ours: the
//! device, and the agent. A [`Context`] is what a test is given; it configures and launches a
//! [`Machine`], runs commands in its guest, gives orders to its host, and looks at what the device
//! saw. Whatever a test starts ends with it, and what it logged is kept when it failed.

mod compiled;
mod configure;
mod console;
mod context;
mod cpio;
mod device;
mod initramfs;
pub mod kit;
mod machine;
mod programs;
mod running;
mod stripped;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;

pub use configure::{AGENT_TOML, Configure, reference_toml};
pub use console::Answer;
pub use context::Context;
pub use device::{Device, Happened, Moment};
pub use kit::{Kernel, Kit};
pub use machine::Machine;
pub use programs::Programs;

/// How long a test waits for something that must happen. Generous: it is reached only in failure,
/// and an emulated processor on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer.
///
/// # Errors
/// When there is none within [`PATIENCE`], or when asking fails.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("not within {} s: {what}", PATIENCE.as_secs());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

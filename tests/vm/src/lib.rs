//! Virtual machines whose VMMDev is ours, and whose driver for it is the kernel's own.

pub mod kit;

pub use kit::{Kernel, Kit};

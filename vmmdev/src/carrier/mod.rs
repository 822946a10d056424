//! What brings the device to a guest.

mod in_process;

pub use in_process::InProcess;

//! What brings the device to a guest.

mod in_process;
#[cfg(feature = "vfio-user")]
mod vfio_user;

pub use in_process::InProcess;
#[cfg(feature = "vfio-user")]
pub use vfio_user::{ServeError, VfioUser};

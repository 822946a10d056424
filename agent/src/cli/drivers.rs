//! Which driver services the VMMDev device.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bellhop_agent::config::{Config, DriverChoice};
use driver_core::Driver;
use driver_core::vboxguest::{NODES, OpenError, VboxGuest};

use super::NoDevice;

/// Opens a session with the device that the configuration names.
///
/// # Errors
/// [`NoDevice`] when there is none that can be driven.
pub(super) fn open(config: &Config) -> Result<Arc<dyn Driver>> {
    match config.driver {
        // The kernel's driver is the only one so far that a machine may turn out to have.
        DriverChoice::Auto | DriverChoice::Vboxguest => Ok(Arc::new(kernel(config.device.as_deref())?)),
        #[cfg(feature = "simulated")]
        DriverChoice::Simulated => Ok(simulated()?.1),
        #[cfg(not(feature = "simulated"))]
        DriverChoice::Simulated => {
            Err(NoDevice("Cannot simulate a device: this binary was built without it".to_owned()).into())
        }
    }
}

/// The kernel's driver, by the first of its nodes that can be opened.
fn kernel(device: Option<&Path>) -> Result<VboxGuest, NoDevice> {
    let usual = NODES.map(Path::new);
    let paths = device.as_ref().map_or(&usual[..], std::slice::from_ref);
    let mut failures = Vec::new();
    for path in paths {
        match VboxGuest::open(*path) {
            Ok(driver) => return Ok(driver),
            Err(failure) => failures.push(failure),
        }
    }
    Err(NoDevice(format!(
        "{}\n  To try Bellhop without a device, set `driver = \"simulated\"` in agent.toml, or run \
         `bellhop demo`",
        telling(&failures).map_or_else(|| "Cannot find a device".to_owned(), ToString::to_string)
    )))
}

/// The failure that says most: a node that is there, before one that is not.
fn telling(failures: &[OpenError]) -> Option<&OpenError> {
    let present = failures.iter().find(|failure| !matches!(failure, OpenError::NoDevice { .. }));
    present.or(failures.first())
}

/// A device model in this process, serviced by a driver over its bus: the host's end and the guest's.
#[cfg(feature = "simulated")]
pub(super) fn simulated() -> Result<(vmmdev::Host, Arc<dyn Driver>)> {
    use driver_core::pci::PciDevice;
    let host = vmmdev::Host::default();
    let bus = Arc::new(vmmdev::carrier::InProcess::new(&host));
    let device = PciDevice::probe(bus)?;
    Ok((host, Arc::new(device.session())))
}

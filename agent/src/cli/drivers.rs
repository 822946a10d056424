//! Which driver services the VMMDev device.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use bellhop_agent::config::{Config, DriverChoice};
use bellhop_agent::service::ServiceManager;
use driver_core::Driver;
use driver_core::vboxguest::{KEPT, NODES, OpenError, VboxGuest};

use super::NoDevice;

/// A device that can be driven.
pub(super) enum Device {
    /// The kernel's, with a session by one of its nodes.
    Kernel(VboxGuest),
    /// One inside this process, which begins when it is driven.
    #[cfg(feature = "simulated")]
    Simulated,
}

impl Device {
    /// The nodes by which more sessions are opened.
    pub(super) fn nodes(&self, config: &Config) -> Vec<PathBuf> {
        match self {
            Self::Kernel(_) => match &config.device {
                Some(device) => vec![device.clone()],
                None => NODES.map(PathBuf::from).to_vec(),
            },
            #[cfg(feature = "simulated")]
            Self::Simulated => Vec::new(),
        }
    }

    /// Lets the service manager keep what is announced to the host, so that it outlives this process; says
    /// whether it does.
    pub(super) fn keep_by(&self, manager: &ServiceManager) -> bool {
        if !manager.is_there() {
            return false;
        }
        match self {
            Self::Kernel(driver) => match driver.announce_apart() {
                Ok(session) => {
                    manager.keep(session.as_fd(), KEPT);
                    true
                }
                Err(error) => {
                    tracing::warn!("{error}; a restart will be noticed by the host");
                    false
                }
            },
            #[cfg(feature = "simulated")]
            Self::Simulated => false,
        }
    }

    /// What drives it.
    pub(super) fn driver(self) -> Result<Arc<dyn Driver>> {
        match self {
            Self::Kernel(driver) => Ok(Arc::new(driver)),
            #[cfg(feature = "simulated")]
            Self::Simulated => Ok(simulated()?.1),
        }
    }
}

/// Opens the device that the configuration names.
///
/// # Errors
/// [`NoDevice`] when there is none that can be driven.
pub(super) fn open(config: &Config) -> Result<Device, NoDevice> {
    match config.driver {
        // The kernel's driver is the only one so far that a machine may turn out to have.
        DriverChoice::Auto | DriverChoice::Vboxguest => Ok(Device::Kernel(kernel(config.device.as_deref())?)),
        #[cfg(feature = "simulated")]
        DriverChoice::Simulated => Ok(Device::Simulated),
        #[cfg(not(feature = "simulated"))]
        DriverChoice::Simulated => {
            Err(NoDevice("Cannot simulate a device: this binary was built without it".to_owned()))
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

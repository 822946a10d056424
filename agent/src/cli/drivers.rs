//! Which driver services the VMMDev device.

use std::sync::Arc;

use anyhow::Result;
use bellhop_agent::config::DriverChoice;
use driver_core::Driver;

use super::NoDevice;

/// Opens a session with the device that `choice` names.
///
/// # Errors
/// [`NoDevice`] when there is none.
pub(super) fn open(choice: DriverChoice) -> Result<Arc<dyn Driver>> {
    match choice {
        DriverChoice::Auto => Err(NoDevice(
            "Cannot find a VMMDev device to drive: `driver = \"auto\"` found none that this version \
             knows.\n  To try Bellhop without one, set `driver = \"simulated\"` in agent.toml, or run \
             `bellhop demo`"
                .to_owned(),
        )
        .into()),
        #[cfg(feature = "simulated")]
        DriverChoice::Simulated => Ok(simulated()?.1),
        #[cfg(not(feature = "simulated"))]
        DriverChoice::Simulated => {
            Err(NoDevice("Cannot simulate a device: this binary was built without it".to_owned()).into())
        }
    }
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

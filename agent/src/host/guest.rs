//! `guest`: what a plugin says of itself and asks of the host.

use driver_core::requests;
use driver_core::wire::{Capabilities, Facility, FacilityStatus};

use super::Host;
use super::bindings::bellhop::guest::guest::{self, HostVersion, Status};
use super::bindings::bellhop::guest::types::Error;

impl guest::Host for Host {
    fn report_status(&mut self, facility: guest::Facility, status: Status) -> Result<(), Error> {
        let facility = match facility {
            guest::Facility::Seamless => Facility::SEAMLESS,
            guest::Facility::Graphics => Facility::GRAPHICS,
        };
        let status = match status {
            Status::Inactive => FacilityStatus::INACTIVE,
            Status::Init => FacilityStatus::INIT,
            Status::Active => FacilityStatus::ACTIVE,
            Status::Failed => FacilityStatus::FAILED,
        };
        Ok(requests::report_status(&**self.outside.driver()?, facility, status)?)
    }

    fn change_capabilities(&mut self, add: u32, remove: u32) -> Result<(), Error> {
        let (add, remove) = (Capabilities::from_bits_retain(add), Capabilities::from_bits_retain(remove));
        self.authority.permit_capabilities(add | remove).map_err(Error::Denied)?;
        self.outside.pay()?;
        Ok(self.dispatcher.change_capabilities(&self.plugin, add, remove)?)
    }

    fn version(&mut self) -> Result<HostVersion, Error> {
        let version = requests::host_version(&**self.outside.driver()?)?;
        Ok(HostVersion {
            major: version.major,
            minor: version.minor,
            build: version.build,
            revision: version.revision,
        })
    }

    fn session_id(&mut self) -> Result<u64, Error> {
        Ok(requests::session_id(&**self.outside.driver()?)?)
    }

    fn host_time(&mut self) -> Result<u64, Error> {
        Ok(requests::host_time(&**self.outside.driver()?)?)
    }
}

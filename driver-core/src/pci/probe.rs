//! Is this a VMMDev, and does its host answer? The order is the one hosts have always seen.

use super::Bus;
use super::requester::Requester;
use crate::requests::HostVersion;
use crate::wire::{
    CtlGuestFilterMask, Facility, FacilityStatus, GetHostVersion, GetHypervisorInfo, GuestFeatures,
    HeartbeatConfigure, INTERFACE_VERSION, ReportGuestInfo, ReportGuestInfo2, ReportGuestStatus, Request,
    SetGuestCapabilities, SetMouseStatus, Status,
};
use crate::{Error, Result};

/// VMMDevMemory: the structure's own size, its version, and the version that there is.
const MEMORY_SIZE: u32 = 0;
const MEMORY_VERSION: u32 = 4;
const SUPPORTED_VERSION: u32 = 1;
const SMALLEST_MEMORY: u32 = 32;

/// What the host is told of the guest additions: hosts refuse a major version below 3, and gate
/// features on it. The name must begin with the same numbers.
const ADDITIONS: (u16, u16, u32, &str) = (7, 0, 0, "7.0.0_BELLHOP");

/// Linux 2.6 or later, 64-bit on a 64-bit machine: the operating system types of VirtualBox, which
/// count in steps of 0x100 for the processor.
const OS_TYPE: u32 = if cfg!(target_pointer_width = "64") { 0x53100 } else { 0x53000 };

/// Checks the device memory, introduces the guest, and clears what an earlier driver left behind.
pub(super) fn probe(bus: &dyn Bus, requester: &Requester) -> Result<HostVersion> {
    check_memory(bus)?;
    let host = requester.typed(GetHostVersion::new())?;
    introduce(requester)?;

    let mut filter = CtlGuestFilterMask::new();
    filter.not_mask.set(u32::MAX);
    requester.typed(filter)?;
    let mut capabilities = SetGuestCapabilities::new();
    capabilities.not_mask.set(u32::MAX);
    requester.typed(capabilities)?;
    requester.typed(SetMouseStatus::new())?;

    // The host may decline the rest. The heartbeat stays off: it would be a timer in an idle guest.
    let optional = [
        requester.typed(GetHypervisorInfo::new()).map(drop),
        requester.typed(HeartbeatConfigure::new()).map(drop),
        requester.typed(driver_active()).map(drop),
    ];
    for declined in optional.into_iter().filter_map(Result::err) {
        tracing::debug!("{declined}");
    }
    Ok(HostVersion {
        major: host.major.get(),
        minor: host.minor.get(),
        build: host.build.get(),
        revision: host.revision.get(),
        features: host.features.get(),
    })
}

fn check_memory(bus: &dyn Bus) -> Result<()> {
    let read = |offset| {
        bus.read_memory(offset)
            .map_err(|fault| Error::new(format!("read the device memory ({fault})"), Status::INVALID_STATE))
    };
    let (version, size, bar) = (read(MEMORY_VERSION)?, read(MEMORY_SIZE)?, bus.memory_len());
    if version != SUPPORTED_VERSION || !(SMALLEST_MEMORY..=bar).contains(&size) {
        return Err(Error::new(
            format!(
                "use the device memory (version {version}, {size} bytes of a bar of {bar}; \
                 version {SUPPORTED_VERSION} and {SMALLEST_MEMORY} to {bar} bytes would do)"
            ),
            Status::VERSION_MISMATCH,
        ));
    }
    Ok(())
}

/// Reports the additions and the operating system; hosts before 3.2 want them the other way round.
fn introduce(requester: &Requester) -> Result<()> {
    let mut info = ReportGuestInfo::new();
    info.interface_version.set(INTERFACE_VERSION);
    info.os_type.set(OS_TYPE);
    match requester.typed(additions()) {
        Ok(_) => requester.typed(info).map(drop),
        Err(Error { status: Status::NOT_SUPPORTED | Status::NOT_IMPLEMENTED, .. }) => {
            requester.typed(info)?;
            match requester.typed(additions()) {
                Err(Error { status: Status::NOT_IMPLEMENTED, .. }) => Ok(()),
                other => other.map(drop),
            }
        }
        Err(error) => Err(error),
    }
}

fn additions() -> ReportGuestInfo2 {
    let (major, minor, build, name) = ADDITIONS;
    let mut packet = ReportGuestInfo2::new();
    packet.major.set(major);
    packet.minor.set(minor);
    packet.build.set(build);
    // HGCM requests say on whose behalf they are made.
    packet.features.set(GuestFeatures::REQUESTOR_INFO.bits());
    packet.name[..name.len()].copy_from_slice(name.as_bytes());
    packet
}

fn driver_active() -> ReportGuestStatus {
    let mut packet = ReportGuestStatus::new();
    packet.facility.set(Facility::DRIVER.0);
    packet.status.set(FacilityStatus::ACTIVE.0);
    packet
}

//! What the guest reports of itself.

use driver_core::wire::{
    Capabilities, CtlGuestFilterMask, Events, Facility, FacilityStatus, GetStatisticsChangeRequest,
    INTERFACE_VERSION, ReportGuestCapabilities, ReportGuestInfo, ReportGuestInfo2, ReportGuestStats,
    ReportGuestStatus, SetGuestCapabilities, Status, user_state,
};

use crate::report::{Additions, FacilityReport, GuestInfo, MAX_CPUS, MAX_USERS, Statistics, UserReport};
use crate::state::State;

pub(super) fn report_info(state: &mut State, request: &mut ReportGuestInfo) -> Status {
    let version = request.interface_version.get();
    // The high half is the major version, the low half the minor.
    if version >> 16 != INTERFACE_VERSION >> 16 || version > INTERFACE_VERSION {
        return Status::VERSION_MISMATCH;
    }
    state.guest.info = Some(GuestInfo { interface_version: version, os_type: request.os_type.get() });
    Status::SUCCESS
}

pub(super) fn report_info_2(state: &mut State, request: &mut ReportGuestInfo2) -> Status {
    let version = (request.major.get(), request.minor.get(), request.build.get());
    let end = request.name.iter().position(|byte| *byte == 0);
    let name = end.and_then(|end| std::str::from_utf8(&request.name[..end]).ok());
    let Some(name) = name.filter(|name| names_version(name, version)) else {
        return Status::INVALID_PARAMETER;
    };
    state.guest.additions = Some(Additions {
        version,
        revision: request.revision.get(),
        features: request.features.get(),
        name: name.to_owned(),
    });
    Status::SUCCESS
}

/// Whether the additions' name is their version, perhaps with a tag and a publisher behind it.
fn names_version(name: &str, version: (u16, u16, u32)) -> bool {
    let (major, minor, build) = version;
    let Some(rest) = name.strip_prefix(&format!("{major}.{minor}.{build}")) else {
        return false;
    };
    let in_charset =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+');
    major >= 3 && (rest.is_empty() || rest.starts_with('_') && rest.bytes().all(in_charset))
}

pub(super) fn report_status(state: &mut State, request: &mut ReportGuestStatus) -> Status {
    let status = request.status.get();
    if status > u32::from(u16::MAX) {
        return Status::OUT_OF_RANGE;
    }
    let report = FacilityReport {
        facility: Facility(request.facility.get()),
        status: FacilityStatus(status),
        flags: request.flags.get(),
    };
    match state.guest.facilities.set(report) {
        Some(()) => Status::SUCCESS,
        None => Status::OUT_OF_RESOURCES,
    }
}

pub(super) fn report_user_state(state: &mut State, packet: &mut [u8]) -> Status {
    let Ok(report) = user_state::parse(packet) else {
        return Status::INVALID_PARAMETER;
    };
    if report.user.is_empty() {
        return Status::INVALID_PARAMETER;
    }
    let name =
        if report.domain.is_empty() { report.user } else { format!("{}@{}", report.user, report.domain) };
    let users = &mut state.guest.users;
    if users.len() >= MAX_USERS && !users.contains_key(&name) {
        return Status::OUT_OF_RESOURCES;
    }
    users.insert(name, UserReport { state: report.state, details: report.details });
    Status::SUCCESS
}

pub(super) fn change_filter(state: &mut State, request: &mut CtlGuestFilterMask) -> Status {
    state.change_filter(request.or_mask.get(), request.not_mask.get());
    Status::SUCCESS
}

/// The legacy report replaces all capabilities and implies `graphics`.
pub(super) fn report_capabilities(state: &mut State, request: &mut ReportGuestCapabilities) -> Status {
    state.guest.capabilities =
        Capabilities::from_bits_truncate(request.capabilities.get()) | Capabilities::GRAPHICS;
    Status::SUCCESS
}

pub(super) fn set_capabilities(state: &mut State, request: &mut SetGuestCapabilities) -> Status {
    let add = Capabilities::from_bits_truncate(request.or_mask.get());
    let remove = Capabilities::from_bits_truncate(request.not_mask.get());
    state.guest.capabilities = (state.guest.capabilities | add) - remove;
    Status::SUCCESS
}

pub(super) fn get_statistics_change(state: &mut State, request: &mut GetStatisticsChangeRequest) -> Status {
    if request.acknowledge.get() == Events::STATISTICS_INTERVAL_CHANGE.bits() {
        state.statistics_interval.acknowledge();
    }
    request.interval = state.statistics_interval.wanted.into();
    Status::SUCCESS
}

pub(super) fn report_statistics(state: &mut State, request: &mut ReportGuestStats) -> Status {
    let statistics = &mut state.guest.statistics;
    let cpu = request.cpu.get();
    if statistics.len() >= MAX_CPUS && !statistics.contains_key(&cpu) {
        return Status::OUT_OF_RESOURCES;
    }
    statistics.insert(cpu, Statistics::from(&*request));
    Status::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additions_are_named_after_their_version() {
        let cases = [
            ("7.2.22", (7, 2, 22), true),
            ("7.2.22_Debian", (7, 2, 22), true),
            ("7.2.22_BETA1_Distribution", (7, 2, 22), true),
            ("6.0.0", (6, 0, 0), true),
            ("2.9.9", (2, 9, 9), false),
            ("7.2.2", (7, 2, 22), false),
            ("7.2.22x", (7, 2, 22), false),
            ("7.2.22_a b", (7, 2, 22), false),
            ("", (7, 2, 22), false),
        ];
        for (name, version, good) in cases {
            assert_eq!(names_version(name, version), good, "{name}");
        }
    }
}

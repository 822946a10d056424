//! Every request a guest can make, by number.
//!
//! The table below sends each to its function. A request of fixed size arrives there as its own
//! type; one whose length varies arrives as bytes, and its function checks them before it uses them.

mod credentials;
mod display;
mod guest;
mod hgcm;
mod host;
mod memory;
mod pointer;
mod system;

use driver_core::wire::{self, Request, RequestType, Status};
use zerocopy::FromBytes;

use crate::faults::HgcmFault;
use crate::hgcm::Hgcm;
use crate::memory::GuestMemory;
use crate::state::State;
pub(crate) use hgcm::function_called;

/// Carries a request out on a packet whose length keeps its type's rule.
type Handler = fn(&mut State, &mut [u8]) -> Status;

/// What a guest may ask before it has reported itself.
const BEFORE_REPORT: [RequestType; 4] = [
    RequestType::REPORT_GUEST_INFO,
    RequestType::REPORT_GUEST_INFO_2,
    RequestType::WRITE_CORE_DUMP,
    RequestType::GET_HOST_VERSION,
];

/// A place in the table for a request of fixed size.
macro_rules! fixed {
    ($request:ident, $handler:path) => {
        (<wire::$request as Request>::TYPE, |state, packet| match wire::$request::mut_from_bytes(packet) {
            Ok(request) => $handler(state, request),
            Err(_) => Status::INVALID_PARAMETER,
        })
    };
}

// In ascending order of numbers, because it is searched by halves.
const ROUTES: &[(RequestType, Handler)] = &[
    fixed!(GetMouseStatus, pointer::get_status),
    fixed!(SetMouseStatus, pointer::set_status),
    (RequestType::SET_POINTER_SHAPE, pointer::set_shape),
    fixed!(GetHostVersion, host::version),
    fixed!(Idle, host::idle),
    fixed!(GetHostTime, host::time),
    fixed!(GetHypervisorInfo, memory::get_hypervisor_info),
    fixed!(SetHypervisorInfo, memory::set_hypervisor_info),
    (RequestType::REGISTER_PATCH_MEMORY, memory::patch_memory),
    (RequestType::DEREGISTER_PATCH_MEMORY, memory::patch_memory),
    fixed!(SetPowerStatus, system::set_power_status),
    fixed!(AcknowledgeEvents, host::acknowledge_events),
    fixed!(CtlGuestFilterMask, guest::change_filter),
    fixed!(ReportGuestInfo, guest::report_info),
    fixed!(GetDisplayChangeRequest, display::get_change),
    fixed!(VideoModeSupported, display::mode_supported),
    fixed!(GetHeightReduction, display::height_reduction),
    fixed!(GetDisplayChangeRequest2, display::get_change_2),
    fixed!(ReportGuestCapabilities, guest::report_capabilities),
    fixed!(SetGuestCapabilities, guest::set_capabilities),
    fixed!(VideoModeSupported2, display::mode_supported_2),
    fixed!(ReportGuestInfo2, guest::report_info_2),
    fixed!(ReportGuestStatus, guest::report_status),
    fixed!(VideoAccelEnable, display::accel_enable),
    fixed!(VideoAccelFlush, display::accel_flush),
    (RequestType::VIDEO_SET_VISIBLE_REGION, display::set_visible_region),
    fixed!(GetSeamlessChangeRequest, display::get_seamless_change),
    (RequestType::REPORT_GUEST_USER_STATE, guest::report_user_state),
    fixed!(GetDisplayChangeRequestEx, display::get_change_ex),
    (RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI, display::get_change_multi),
    fixed!(QueryCredentials, credentials::query),
    fixed!(ReportCredentialsJudgement, credentials::judge),
    fixed!(ReportGuestStats, guest::report_statistics),
    fixed!(GetMemBalloonChangeRequest, memory::get_balloon_change),
    fixed!(GetStatisticsChangeRequest, guest::get_statistics_change),
    fixed!(ChangeMemBalloon, memory::change_balloon),
    fixed!(GetVRDPChangeRequest, host::vrdp_change),
    (RequestType::LOG_STRING, host::log_string),
    fixed!(GetCpuHotPlugRequest, system::get_cpu_hot_plug),
    fixed!(SetCpuHotPlugStatus, system::set_cpu_hot_plug_status),
    (RequestType::REGISTER_SHARED_MODULE, memory::register_shared_module),
    (RequestType::UNREGISTER_SHARED_MODULE, memory::sharing_refused),
    (RequestType::CHECK_SHARED_MODULES, memory::sharing_refused),
    fixed!(GetPageSharingStatus, memory::page_sharing_status),
    (RequestType::DEBUG_IS_PAGE_SHARED, memory::debug_is_page_shared),
    fixed!(GetSessionId, host::session_id),
    fixed!(WriteCoreDump, system::write_core_dump),
    fixed!(GuestHeartbeat, system::heartbeat),
    fixed!(HeartbeatConfigure, system::configure_heartbeat),
    (RequestType::NT_BUG_CHECK, system::nt_bug_check),
    (RequestType::VIDEO_UPDATE_MONITOR_POSITIONS, display::update_monitor_positions),
    fixed!(GetMouseStatusEx, pointer::get_status_ex),
];

/// Carries a request out. `packet` is the whole of it, copied from `address` in guest memory.
pub(crate) fn dispatch(
    (state, hgcm): (&mut State, &mut Hgcm),
    kind: RequestType,
    packet: &mut [u8],
    address: u64,
    memory: &mut dyn GuestMemory,
    fault: Option<HgcmFault>,
) -> Status {
    if state.guest.info.is_none() && !BEFORE_REPORT.contains(&kind) {
        return Status::NOT_SUPPORTED;
    }
    let Some(rule) = kind.size_rule() else {
        return Status::NOT_IMPLEMENTED;
    };
    if !rule.admits(packet.len() as u32) {
        return Status::INVALID_PARAMETER;
    }
    if hgcm::handles(kind) {
        return hgcm::handle((state, hgcm), kind, packet, address, memory, fault);
    }
    match ROUTES.binary_search_by_key(&kind, |(number, _)| *number) {
        Ok(index) => ROUTES[index].1(state, packet),
        Err(_) => Status::NOT_IMPLEMENTED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_the_protocol_has_a_place_in_the_table() {
        let routed: Vec<RequestType> = ROUTES.iter().map(|(number, _)| *number).collect();
        let known: Vec<RequestType> = RequestType::ALL
            .iter()
            .map(|spec| spec.request_type)
            .filter(|kind| !hgcm::handles(*kind))
            .collect();
        assert_eq!(routed, known);
    }
}

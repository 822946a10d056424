//! The guest's memory: balloon, page sharing, and what hypervisors once needed.

use driver_core::wire::{
    ChangeMemBalloon, Events, GetHypervisorInfo, GetMemBalloonChangeRequest, GetPageSharingStatus,
    SetHypervisorInfo, Status, shared_module,
};

use crate::state::State;

/// How many pages a balloon request moves: 1 MiB.
const BALLOON_PAGES: u32 = 256;
/// The length of a page in bytes.
const PAGE: u64 = 4096;

pub(super) fn get_hypervisor_info(_: &mut State, request: &mut GetHypervisorInfo) -> Status {
    request.start = 0.into();
    request.size = 0.into();
    Status::SUCCESS
}

/// The host wants no address space, so the guest has none to give.
pub(super) fn set_hypervisor_info(_: &mut State, request: &mut SetHypervisorInfo) -> Status {
    if request.start.get() == 0 { Status::SUCCESS } else { Status::TRY_AGAIN }
}

/// Patches of guest code ended with raw mode.
pub(super) fn patch_memory(_: &mut State, _: &mut [u8]) -> Status {
    Status::NOT_SUPPORTED
}

pub(super) fn get_balloon_change(state: &mut State, request: &mut GetMemBalloonChangeRequest) -> Status {
    request.balloon = state.balloon.wanted.into();
    request.physical = state.settings.memory_mib.into();
    if request.acknowledge.get() == Events::BALLOON_CHANGE.bits() {
        state.balloon.acknowledge();
    }
    Status::SUCCESS
}

pub(super) fn change_balloon(state: &mut State, request: &mut ChangeMemBalloon) -> Status {
    let aligned = request.addresses.iter().all(|address| address.get().is_multiple_of(PAGE));
    if request.pages.get() != BALLOON_PAGES || !aligned {
        return Status::INVALID_PARAMETER;
    }
    let balloon = state.guest.balloon_mib;
    let changed = match request.inflate.get() {
        0 => balloon.checked_sub(1),
        _ => balloon.checked_add(1).filter(|mib| *mib <= state.settings.memory_mib),
    };
    match changed {
        Some(mib) => {
            state.guest.balloon_mib = mib;
            Status::SUCCESS
        }
        None => Status::INVALID_PARAMETER,
    }
}

/// Pages are not shared between machines, but a malformed module is told apart from that.
pub(super) fn register_shared_module(_: &mut State, packet: &mut [u8]) -> Status {
    match shared_module::parse(packet) {
        Ok(_) => Status::NOT_SUPPORTED,
        Err(_) => Status::INVALID_PARAMETER,
    }
}

pub(super) fn sharing_refused(_: &mut State, _: &mut [u8]) -> Status {
    Status::NOT_SUPPORTED
}

pub(super) fn page_sharing_status(_: &mut State, request: &mut GetPageSharingStatus) -> Status {
    request.enabled = 0;
    Status::SUCCESS
}

/// Only debug hosts have this.
pub(super) fn debug_is_page_shared(_: &mut State, _: &mut [u8]) -> Status {
    Status::NOT_IMPLEMENTED
}

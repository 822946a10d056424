//! The pointing device and the pointer's shape.

use driver_core::wire::{GetMouseStatus, GetMouseStatusEx, MouseFeatures, SetMouseStatus, Status, pointer};

use crate::report::PointerReport;
use crate::state::State;

pub(super) fn get_status(state: &mut State, request: &mut GetMouseStatus) -> Status {
    request.features = state.pointer.features.bits().into();
    request.x = state.pointer.x.into();
    request.y = state.pointer.y.into();
    Status::SUCCESS
}

/// Wheel steps are handed out once.
pub(super) fn get_status_ex(state: &mut State, request: &mut GetMouseStatusEx) -> Status {
    request.features = state.pointer.features.bits().into();
    request.x = state.pointer.x.into();
    request.y = state.pointer.y.into();
    request.wheel = std::mem::take(&mut state.pointer.wheel).into();
    request.tilt = std::mem::take(&mut state.pointer.tilt).into();
    request.buttons = state.pointer.buttons.bits().into();
    Status::SUCCESS
}

/// Takes the guest's bits; the host's are not for the guest to change.
pub(super) fn set_status(state: &mut State, request: &mut SetMouseStatus) -> Status {
    let new = MouseFeatures::from_bits_truncate(request.features.get()) & MouseFeatures::GUEST_MASK;
    state.pointer.features = (state.pointer.features - MouseFeatures::GUEST_MASK) | new;
    state.guest.mouse = new;
    Status::SUCCESS
}

pub(super) fn set_shape(state: &mut State, packet: &mut [u8]) -> Status {
    let Ok(shape) = pointer::parse(packet) else {
        return Status::INVALID_PARAMETER;
    };
    state.guest.pointer = Some(PointerReport::updated(state.guest.pointer.take(), shape));
    Status::SUCCESS
}

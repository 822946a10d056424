//! Power, processors, heartbeat and last words.

use driver_core::wire::{
    CpuStatus, GetCpuHotPlugRequest, GuestHeartbeat, HeartbeatConfigure, PowerState, SetCpuHotPlugStatus,
    SetPowerStatus, Status, WriteCoreDump,
};

use crate::state::{CpuRequest, State};

pub(super) fn set_power_status(state: &mut State, request: &mut SetPowerStatus) -> Status {
    let power = PowerState(request.state.get());
    match power {
        PowerState::SAVE_STATE if !state.settings.save_state => Status::ACCESS_DENIED,
        PowerState::PAUSE | PowerState::POWER_OFF | PowerState::SAVE_STATE => {
            state.guest.power = Some(power);
            Status::SUCCESS
        }
        _ => Status::INVALID_PARAMETER,
    }
}

/// Reading clears.
pub(super) fn get_cpu_hot_plug(state: &mut State, request: &mut GetCpuHotPlugRequest) -> Status {
    let CpuRequest { event, core, package } = std::mem::replace(&mut state.cpu, CpuRequest::NONE);
    request.event = event.0.into();
    request.core = core.into();
    request.package = package.into();
    Status::SUCCESS
}

pub(super) fn set_cpu_hot_plug_status(state: &mut State, request: &mut SetCpuHotPlugStatus) -> Status {
    state.guest.cpu_notifications = match CpuStatus(request.status.get()) {
        CpuStatus::ENABLE => true,
        CpuStatus::DISABLE => false,
        _ => return Status::INVALID_PARAMETER,
    };
    Status::SUCCESS
}

pub(super) fn configure_heartbeat(state: &mut State, request: &mut HeartbeatConfigure) -> Status {
    let Some(interval) = state.settings.heartbeat else {
        return Status::NOT_SUPPORTED;
    };
    request.interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).into();
    state.guest.heartbeat.enabled = request.enabled != 0;
    Status::SUCCESS
}

pub(super) fn heartbeat(state: &mut State, _: &mut GuestHeartbeat) -> Status {
    if state.settings.heartbeat.is_none() {
        return Status::NOT_SUPPORTED;
    }
    state.guest.heartbeat.beats += 1;
    Status::SUCCESS
}

/// There is no core to be written.
pub(super) fn write_core_dump(_: &mut State, request: &mut WriteCoreDump) -> Status {
    if request.flags.get() == 0 { Status::ACCESS_DENIED } else { Status::INVALID_PARAMETER }
}

/// Windows' last words are heard and not kept.
pub(super) fn nt_bug_check(_: &mut State, _: &mut [u8]) -> Status {
    Status::SUCCESS
}

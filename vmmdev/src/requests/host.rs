//! What the guest asks of the host itself: version, time, session, events, remote display, log.

use std::time::{SystemTime, UNIX_EPOCH};

use driver_core::wire::{
    AcknowledgeEvents, GetHostTime, GetHostVersion, GetSessionId, GetVRDPChangeRequest, Idle, Status,
    log_string as wire_log_string,
};

use crate::report::MAX_LOG_LINES;
use crate::state::State;

pub(super) fn version(state: &mut State, request: &mut GetHostVersion) -> Status {
    let (major, minor, build) = state.settings.version;
    request.major = major.into();
    request.minor = minor.into();
    request.build = build.into();
    request.revision = state.settings.revision.into();
    request.features = state.settings.features.bits().into();
    Status::SUCCESS
}

/// Would halt the processor until the next interrupt; there is none to be halted here.
pub(super) fn idle(_: &mut State, _: &mut Idle) -> Status {
    Status::SUCCESS
}

pub(super) fn time(state: &mut State, request: &mut GetHostTime) -> Status {
    if !state.settings.host_time {
        return Status::NOT_SUPPORTED;
    }
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    request.milliseconds = u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX).into();
    Status::SUCCESS
}

pub(super) fn session_id(state: &mut State, request: &mut GetSessionId) -> Status {
    request.id = state.session_id.into();
    Status::SUCCESS
}

pub(super) fn acknowledge_events(state: &mut State, request: &mut AcknowledgeEvents) -> Status {
    request.events = state.acknowledge_events().into();
    Status::SUCCESS
}

pub(super) fn vrdp_change(state: &mut State, request: &mut GetVRDPChangeRequest) -> Status {
    let (active, experience) = state.vrdp;
    request.active = u8::from(active);
    request.experience = experience.into();
    Status::SUCCESS
}

pub(super) fn log_string(state: &mut State, packet: &mut [u8]) -> Status {
    if !state.settings.log_strings {
        return Status::NOT_IMPLEMENTED;
    }
    let Ok(line) = wire_log_string::parse(packet) else {
        return Status::INVALID_PARAMETER;
    };
    let log = &mut state.guest.log;
    if log.len() == MAX_LOG_LINES {
        log.remove(0);
    }
    log.push(line.to_owned());
    Status::SUCCESS
}

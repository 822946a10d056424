//! Credentials: for logging on, and to be judged.

use driver_core::wire::{CredentialsFlags, QueryCredentials, ReportCredentialsJudgement, Status};

use crate::host::Credentials;
use crate::state::State;

pub(super) fn query(state: &mut State, request: &mut QueryCredentials) -> Status {
    let asked = CredentialsFlags::from_bits_retain(request.flags.get());
    let mut answer = asked - CredentialsFlags::PRESENT - CredentialsFlags::NO_LOCAL_LOGON;
    if asked.contains(CredentialsFlags::QUERY_PRESENCE) && state.credentials.is_some() {
        answer |= CredentialsFlags::PRESENT;
    }
    if asked.contains(CredentialsFlags::READ) {
        fill(request, state.credentials.as_ref());
        if state.credentials.as_ref().is_some_and(|credentials| !credentials.local_logon) {
            answer |= CredentialsFlags::NO_LOCAL_LOGON;
        }
    }
    if asked.contains(CredentialsFlags::CLEAR) {
        state.credentials = None;
    }
    if asked.contains(CredentialsFlags::READ_JUDGE) {
        fill(request, state.judged.as_ref());
    }
    if asked.contains(CredentialsFlags::CLEAR_JUDGE) {
        state.judged = None;
    }
    request.flags = answer.bits().into();
    Status::SUCCESS
}

/// Denial wins over approval, and approval over no judgement.
pub(super) fn judge(state: &mut State, request: &mut ReportCredentialsJudgement) -> Status {
    let flags = CredentialsFlags::from_bits_retain(request.flags.get());
    let by_weight =
        [CredentialsFlags::JUDGE_DENY, CredentialsFlags::JUDGE_OK, CredentialsFlags::JUDGE_NO_JUDGEMENT];
    match by_weight.into_iter().find(|judgement| flags.contains(*judgement)) {
        Some(judgement) => {
            state.guest.judgement = Some(judgement);
            Status::SUCCESS
        }
        None => Status::INVALID_PARAMETER,
    }
}

/// Puts credentials, or nothing at all, into the request's strings.
fn fill(request: &mut QueryCredentials, credentials: Option<&Credentials>) {
    let texts = credentials.map_or(["", "", ""], |credentials| {
        [&*credentials.user, &*credentials.password, &*credentials.domain]
    });
    let fields = [&mut request.user, &mut request.password, &mut request.domain];
    for (field, text) in fields.into_iter().zip(texts) {
        field.fill(0);
        // One byte is left for the terminating zero.
        for (place, byte) in field.iter_mut().take(127).zip(text.bytes()) {
            *place = byte;
        }
    }
}

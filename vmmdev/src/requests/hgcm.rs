//! HGCM requests (60 to 65).

use driver_core::wire::{
    Events, GuestFeatures, HgcmCall, HgcmConnect, HgcmDisconnect, RequestHeader, RequestType, Status,
};
use zerocopy::FromBytes;

use crate::faults::HgcmFault;
use crate::hgcm::{self, CallRequest, Called, ClientClass, Hgcm, HgcmService, Width};
use crate::memory::GuestMemory;
use crate::state::State;

/// Whether this is an HGCM request.
pub(super) fn handles(kind: RequestType) -> bool {
    (RequestType::HGCM_CONNECT..=RequestType::HGCM_CANCEL_2).contains(&kind)
}

/// The function that a request calls, when it is a call of a client.
pub(crate) fn function_called(hgcm: &Hgcm, kind: RequestType, packet: &[u8]) -> Option<(HgcmService, u32)> {
    if !matches!(kind, RequestType::HGCM_CALL_32 | RequestType::HGCM_CALL_64) {
        return None;
    }
    let (head, _) = HgcmCall::ref_from_prefix(packet).ok()?;
    Some((hgcm.service_of(head.client.get())?, head.function.get()))
}

/// Carries an HGCM request out.
pub(super) fn handle(
    (state, hgcm): (&mut State, &mut Hgcm),
    kind: RequestType,
    packet: &mut [u8],
    address: u64,
    memory: &mut dyn GuestMemory,
    fault: Option<HgcmFault>,
) -> Status {
    // Completions are announced by an event that the guest need not have asked for.
    state.change_filter(Events::HGCM.bits(), 0);
    let outcome = match kind {
        RequestType::HGCM_CONNECT => connect(hgcm, state, packet),
        RequestType::HGCM_DISCONNECT => disconnect(hgcm, packet),
        RequestType::HGCM_CANCEL => return hgcm.cancel(address),
        RequestType::HGCM_CANCEL_2 => return cancel_2(hgcm, packet),
        _ => match call((state, hgcm), kind, packet, address, memory, fault) {
            Ok(Called::Answered) => return Status::SUCCESS,
            Ok(Called::Waits) => return Status::HGCM_ASYNC_EXECUTE,
            Err(refused) => refused,
        },
    };
    hgcm::conclude(packet, outcome);
    outcome
}

fn connect(hgcm: &mut Hgcm, state: &State, packet: &mut [u8]) -> Status {
    let Ok(request) = HgcmConnect::mut_from_bytes(packet) else { return Status::INVALID_PARAMETER };
    let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
    let told = state.guest.additions.as_ref().map_or(0, |additions| additions.features);
    let told = GuestFeatures::from_bits_retain(told).contains(GuestFeatures::REQUESTOR_INFO);
    let class = ClientClass::of(request.header.requestor.get(), told);
    match hgcm.connect(name, request.location.get(), class, state.settings.lowered_limits) {
        Ok(client) => {
            request.client = client.into();
            Status::SUCCESS
        }
        Err(refused) => refused,
    }
}

fn disconnect(hgcm: &mut Hgcm, packet: &[u8]) -> Status {
    let Ok(request) = HgcmDisconnect::ref_from_bytes(packet) else { return Status::INVALID_PARAMETER };
    hgcm.disconnect(request.client.get()).map_or_else(|refused| refused, |()| Status::SUCCESS)
}

fn call(
    (state, hgcm): (&State, &mut Hgcm),
    kind: RequestType,
    packet: &mut [u8],
    address: u64,
    memory: &mut dyn GuestMemory,
    fault: Option<HgcmFault>,
) -> Result<Called, Status> {
    let (head, _) = HgcmCall::ref_from_prefix(packet).map_err(|_| Status::INVALID_PARAMETER)?;
    let width = if kind == RequestType::HGCM_CALL_32 { Width::Bits32 } else { Width::Bits64 };
    let (client, function) = (head.client.get(), head.function.get());
    let request = CallRequest { client, function, width, address, memory, fault };
    hgcm.call(request, packet, state.session_id)
}

/// Hosts from 7.1 take an address of 64 bits as well.
fn cancel_2(hgcm: &mut Hgcm, packet: &[u8]) -> Status {
    let body = packet.get(size_of::<RequestHeader>()..).unwrap_or_default();
    let address = match (body.first_chunk(), body.first_chunk()) {
        (Some(long), _) => u64::from_le_bytes(*long),
        (None, Some(short)) => u32::from_le_bytes(*short).into(),
        (None, None) => return Status::INVALID_PARAMETER,
    };
    if matches!(address, 0 | 0xFFFF_FFFF | u64::MAX) {
        return Status::INVALID_PARAMETER;
    }
    hgcm.cancel(address)
}

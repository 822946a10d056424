//! HGCM requests (60 to 65). No service is there yet, so every one ends at once.

use driver_core::wire::{Events, HgcmFlags, RequestType, Status};

use crate::memory::GuestMemory;
use crate::state::State;

/// Where the flags of an HGCM request stand, in bytes from its start; the result follows them.
const FLAGS_OFFSET: usize = 24;

/// Whether this is an HGCM request.
pub(super) fn handles(kind: RequestType) -> bool {
    (RequestType::HGCM_CONNECT..=RequestType::HGCM_CANCEL_2).contains(&kind)
}

/// Carries an HGCM request out. A service that answers later finds the request again by its
/// `address`; one that takes buffers finds their pages in `memory`.
pub(super) fn handle(
    state: &mut State,
    kind: RequestType,
    packet: &mut [u8],
    _address: u64,
    _memory: &mut dyn GuestMemory,
) -> Status {
    // Completions are announced by an event that the guest need not have asked for.
    state.change_filter(Events::HGCM.bits(), 0);
    let status = match kind {
        RequestType::HGCM_CONNECT => Status::HGCM_SERVICE_NOT_FOUND,
        RequestType::HGCM_CANCEL | RequestType::HGCM_CANCEL_2 => return Status::NOT_FOUND,
        _ => Status::HGCM_INVALID_CLIENT_ID,
    };
    if let Some(fields) = packet.get_mut(FLAGS_OFFSET..FLAGS_OFFSET + 8) {
        let (flags, result) = fields.split_at_mut(4);
        flags.copy_from_slice(&HgcmFlags::DONE.bits().to_le_bytes());
        result.copy_from_slice(&status.0.to_le_bytes());
    }
    status
}

//! What every driver holds a packet against before it leaves.

use zerocopy::FromBytes;

use crate::wire::{RequestHeader, RequestType, Status, VERSION};
use crate::{Error, Result};

const HEADER: usize = size_of::<RequestHeader>();

/// Holds a packet against the header rules, which a device ignores or punishes silently, and presets
/// its status to a failure: a device that ignores a packet leaves it alone.
pub(crate) fn check(packet: &mut [u8], room: usize) -> Result<RequestHeader> {
    let length = packet.len();
    let header = RequestHeader::mut_from_prefix(packet).map_err(|_| malformed(length))?.0;
    if header.size.get() as usize != length || header.version.get() != VERSION {
        return Err(malformed(length));
    }
    if length > room {
        return Err(Error::new(
            format!("submit a request of {length} bytes (at most {room})"),
            Status::OUT_OF_RANGE,
        ));
    }
    header.rc.set(Status::GENERAL_FAILURE.0);
    Ok(header.clone())
}

/// Takes the host's status from an answered packet, and gives the packet back the description of
/// itself that it was sent with, whatever was written over it.
pub(crate) fn finish(packet: &mut [u8], sent: RequestHeader) -> Result<Status> {
    let answer = RequestHeader::mut_from_prefix(packet).map_err(|_| malformed(0))?.0;
    let status = answer.status();
    *answer = sent;
    answer.rc.set(status.0);
    Ok(status)
}

pub(crate) fn failed(request: RequestType, status: Status) -> Error {
    Error::new(format!("submit {request}"), status)
}

fn malformed(length: usize) -> Error {
    Error::new(
        format!("submit a malformed packet ({length} bytes; its {HEADER}-byte header must say so)"),
        Status::INVALID_PARAMETER,
    )
}

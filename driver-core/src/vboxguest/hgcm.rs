//! HGCM calls: the table of parameters, and the memory that it points to.
//!
//! The driver copies that memory in and out itself, and cancels a call at the host before it lets go
//! of one. So the buffers of the caller, which are its alone for as long as the call takes, can be
//! named to it as they are.

use std::ptr::NonNull;
use std::time::Duration;

use nix::errno::Errno;
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::header::{Fault, HEADER, header};
use super::interruption::interruptible;
use super::ioctl;
use super::node::Node;
use crate::wire::{HgcmParameter64, HgcmParameterType, RequestHeader, Status};
use crate::{Canceller, HgcmClient, HgcmParameter};

/// The most bytes of one parameter that the driver carries.
pub(super) const LARGEST_PARAMETER: usize = 24 << 20;

/// What stands between the header and the parameters.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct Head {
    client: U32,
    function: U32,
    milliseconds: U32,
    /// Of no consequence: a call from user space always is.
    interruptible: u8,
    reserved: u8,
    parameters: U16,
}

const HEAD: usize = HEADER + size_of::<Head>();
const PARAMETER: usize = size_of::<HgcmParameter64>();
const _: () = assert!(HEAD == 40 && PARAMETER == 16);

/// Makes a call whose parameters passed [`check`](crate::outgoing_call::check).
pub(super) fn call(
    node: &dyn Node,
    client: HgcmClient,
    function: u32,
    parameters: &mut [HgcmParameter],
    timeout: Option<Duration>,
    cancel: &Canceller,
) -> Result<Status, Fault> {
    let size = HEAD + parameters.len() * PARAMETER;
    let head = Head {
        client: client.0.into(),
        function: function.into(),
        milliseconds: timeout.map_or(u32::MAX, milliseconds).into(),
        interruptible: 1,
        reserved: 0,
        parameters: (parameters.len() as u16).into(),
    };
    let mut buffer = Vec::with_capacity(size);
    buffer.extend_from_slice(header(size, size).as_bytes());
    buffer.extend_from_slice(head.as_bytes());
    for parameter in &mut *parameters {
        buffer.extend_from_slice(described(parameter).as_bytes());
    }
    interruptible(cancel, NonNull::from(&mut buffer[..]), |buffer| {
        // SAFETY: the buffer has the size in its header, and lives until this returns. Each address in it
        // is that of a vector in `parameters` with the length beside it, none of which is touched before;
        // what the host may write to was borrowed as mutable.
        unsafe { node.ioctl(ioctl::hgcm_call(size), buffer) }
    })?;
    let status = RequestHeader::parse(&buffer).map_err(|_| Fault::Refused(Errno::EPROTO))?.status();
    if status == Status::INTERRUPTED && cancel.is_cancelled() {
        return Err(Fault::Answered(Status::CANCELLED));
    }
    for (parameter, bytes) in parameters.iter_mut().zip(buffer[HEAD..].chunks_exact(PARAMETER)) {
        if let Ok(answer) = HgcmParameter64::read_from_bytes(bytes) {
            take_back(parameter, &answer);
        }
    }
    Ok(status)
}

/// A parameter in the table. Its address stays good until the parameter is touched again.
fn described(parameter: &mut HgcmParameter) -> HgcmParameter64 {
    let mut entry = HgcmParameter64::new_zeroed();
    let mut buffer = |kind: HgcmParameterType, address: usize, length: usize| {
        entry.kind.set(kind.0);
        entry.low.set(length as u32);
        // Memory of no length has no address that means anything.
        entry.rest.set(if length == 0 { 0 } else { address as u64 });
    };
    match parameter {
        HgcmParameter::In(data) => {
            buffer(HgcmParameterType::LINEAR_IN, data.as_ptr().expose_provenance(), data.len());
        }
        HgcmParameter::Out { data, .. } => {
            buffer(HgcmParameterType::LINEAR_OUT, data.as_mut_ptr().expose_provenance(), data.len());
        }
        HgcmParameter::InOut(data) => {
            buffer(HgcmParameterType::LINEAR, data.as_mut_ptr().expose_provenance(), data.len());
        }
        HgcmParameter::U32(value) => {
            entry.kind.set(HgcmParameterType::U32.0);
            entry.low.set(*value);
        }
        HgcmParameter::U64(value) => {
            entry.kind.set(HgcmParameterType::U64.0);
            entry.low.set(*value as u32);
            entry.rest.set(*value >> 32);
        }
    }
    entry
}

/// Takes a parameter's result. A size is the host's word: it may exceed the room that there was.
fn take_back(parameter: &mut HgcmParameter, answer: &HgcmParameter64) {
    let size = answer.low.get();
    match parameter {
        HgcmParameter::U32(value) => *value = answer.low.get(),
        HgcmParameter::U64(value) => *value = answer.value64(),
        HgcmParameter::In(_) => {}
        HgcmParameter::Out { data, needed } => {
            *needed = size;
            data.truncate(size as usize);
        }
        HgcmParameter::InOut(data) => data.truncate(size as usize),
    }
}

/// A time-out as the driver takes it. One of its longest, 49 days, cannot be continued.
fn milliseconds(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).map_or(u32::MAX - 1, |ms| ms.min(u32::MAX - 1))
}

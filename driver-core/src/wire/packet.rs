//! Building and reading packets whose length varies.

use zerocopy::IntoBytes;

use super::{MAX_REQUEST_SIZE, Malformed, RequestHeader, RequestType};

/// A packet of `size` bytes that has its header so far.
pub(super) fn start(request_type: RequestType, size: usize) -> Vec<u8> {
    let mut packet = Vec::with_capacity(size);
    packet.extend_from_slice(RequestHeader::new(request_type, size as u32).as_bytes());
    packet
}

/// Divides a packet of a type into its head and what follows.
pub(super) fn split<'a>(
    packet: &'a [u8],
    head: usize,
    request_type: RequestType,
    what: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Malformed> {
    let Some(parts) = packet.split_at_checked(head) else {
        return Err(Malformed::TooShort { what, needed: head, found: packet.len() });
    };
    let found = RequestHeader::parse(packet)?.kind();
    if found != request_type {
        return Err(Malformed::WrongType { needed: request_type.0, found: found.0 });
    }
    Ok(parts)
}

/// The 32 bits at an offset, or 0 where there are none.
pub(super) fn word(bytes: &[u8], offset: usize) -> u32 {
    match bytes.get(offset..).and_then(|rest| rest.first_chunk()) {
        Some(word) => u32::from_le_bytes(*word),
        None => 0,
    }
}

/// Refuses a packet that no host takes.
pub(super) fn check_total(what: &'static str, size: usize) -> Result<(), Malformed> {
    let limit = MAX_REQUEST_SIZE as usize;
    if size > limit { Err(Malformed::TooLarge { what, limit, found: size }) } else { Ok(()) }
}

/// The text before the first zero byte.
pub(super) fn text<'a>(bytes: &'a [u8], what: &'static str) -> Result<&'a str, Malformed> {
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(Malformed::NotText { what })?;
    std::str::from_utf8(&bytes[..end]).map_err(|_| Malformed::NotText { what })
}

//! Where in guest memory a parameter is: read from a request before the call, written to after it.

use driver_core::pci::prefer_huge_pages;
use driver_core::wire::{HgcmCall, HgcmPageListInfo, HgcmParameterType as Kind, Status};
use zerocopy::FromBytes;

use super::call::{Buffer, Parameter};
use crate::memory::{GuestMemory, MemoryFault};

/// The length of a page in bytes.
const PAGE: u32 = 4096;
/// The most bytes of all buffers of a call (`VMMDEV_MAX_HGCM_DATA_SIZE`).
const MOST_DATA: u32 = 128 << 20;
/// The most parameters of a call.
const MOST_PARAMETERS: usize = 32;
/// Which of the two requests for a call it is: they differ in the width of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Request 62.
    Bits32,
    /// Request 63.
    Bits64,
}

impl Width {
    /// The length of a parameter in bytes.
    fn parameter(self) -> usize {
        match self {
            Self::Bits32 => 12,
            Self::Bits64 => 16,
        }
    }
}

/// Where one parameter is.
#[derive(Debug)]
pub(super) struct Place {
    /// Of its value, or of a buffer's size, in bytes from the start of the request.
    offset: u32,
    /// Where a buffer is that takes bytes from the host.
    from_host: Room,
}

/// Where bytes from the host go.
#[derive(Debug)]
enum Room {
    /// Nowhere.
    None,
    /// To pages of guest memory, those that follow each other taken together.
    Pages(Vec<Run>),
    /// Into the request, at so many bytes from its start and not more than so many.
    Embedded(u32, u32),
}

/// A piece of guest memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Guest-physical.
    address: u64,
    /// In bytes.
    len: u32,
}

/// What a call brings along.
#[derive(Debug)]
pub(super) struct Brought {
    pub(super) parameters: Vec<Parameter>,
    pub(super) places: Vec<Place>,
    /// The host's memory that it takes, in bytes, about.
    pub(super) cost: u64,
}

/// Reads the parameters of a call. Everything that the guest says is checked before it is used.
pub(super) fn bring(packet: &[u8], width: Width, memory: &dyn GuestMemory) -> Result<Brought, Status> {
    let Ok((head, rest)) = HgcmCall::ref_from_prefix(packet) else {
        return Err(Status::INVALID_PARAMETER);
    };
    let count = head.parameters.get() as usize;
    if count > MOST_PARAMETERS || count > rest.len() / width.parameter() {
        return Err(Status::INVALID_PARAMETER);
    }
    let reader =
        Reader { packet, end_of_parameters: size_of::<HgcmCall>() + count * width.parameter(), memory };
    let mut brought =
        Brought { parameters: Vec::with_capacity(count), places: Vec::with_capacity(count), cost: 512 };
    let mut data = 0;
    for (index, entry) in rest.chunks_exact(width.parameter()).take(count).enumerate() {
        let (parameter, from_host) = reader.parameter(entry)?;
        if let Parameter::Buffer(buffer) = &parameter {
            data += u64::from(buffer.room);
            brought.cost += buffer.sent.len() as u64;
        }
        if data > u64::from(MOST_DATA) {
            return Err(Status::NO_MEMORY);
        }
        if let Room::Pages(runs) = &from_host {
            brought.cost += size_of_val(runs.as_slice()) as u64;
        }
        // Behind the type, which has 4 bytes.
        let offset = size_of::<HgcmCall>() + index * width.parameter() + 4;
        brought.parameters.push(parameter);
        brought.places.push(Place { offset: offset as u32, from_host });
    }
    Ok(brought)
}

struct Reader<'a> {
    packet: &'a [u8],
    /// Where the parameters end and what they point to may begin.
    end_of_parameters: usize,
    memory: &'a dyn GuestMemory,
}

impl Reader<'_> {
    fn parameter(&self, entry: &[u8]) -> Result<(Parameter, Room), Status> {
        let (low, high) = (word(entry, 4), word(entry, 8));
        match Kind(word(entry, 0)) {
            Kind::U32 => Ok((Parameter::U32(low), Room::None)),
            Kind::U64 => Ok((Parameter::U64(u64::from(low) | u64::from(high) << 32), Room::None)),
            // A driver translates addresses of its own; only of nothing there is nothing to translate.
            Kind::LINEAR | Kind::LINEAR_IN | Kind::LINEAR_OUT if low == 0 => {
                Ok((Parameter::Buffer(Buffer::new(Vec::new(), 0)), Room::None))
            }
            _ if low > MOST_DATA => Err(Status::INVALID_PARAMETER),
            kind @ (Kind::PAGE_LIST | Kind::CONTIGUOUS_PAGE_LIST | Kind::NO_BOUNCE_PAGE_LIST) => {
                self.page_list(kind, low, high as usize)
            }
            Kind::EMBEDDED => self.embedded(low, high & 0xFF, high >> 8),
            _ => Err(Status::INVALID_PARAMETER),
        }
    }

    fn page_list(&self, kind: Kind, size: u32, offset: usize) -> Result<(Parameter, Room), Status> {
        let invalid = Status::INVALID_PARAMETER;
        if offset < self.end_of_parameters {
            return Err(invalid);
        }
        let list = self.packet.get(offset..).ok_or(invalid)?;
        let (info, addresses) = HgcmPageListInfo::ref_from_prefix(list).map_err(|_| invalid)?;
        let pages = info.pages.get() as usize;
        let first = u32::from(info.offset.get());
        let (addresses, _) = addresses.as_chunks::<8>();
        let addresses = addresses.get(..pages).ok_or(invalid)?;
        // At most 128 MiB and 64 KiB, which fits.
        let needed = (first + size).div_ceil(PAGE) as usize;
        let enough = match kind {
            Kind::CONTIGUOUS_PAGE_LIST => pages == 1,
            Kind::NO_BOUNCE_PAGE_LIST => pages == needed,
            _ => pages >= needed,
        };
        if first >= PAGE || pages == 0 || !enough {
            return Err(invalid);
        }
        let (to_host, from_host) = directions(info.flags.get())?;
        let runs = match addresses {
            [address] if kind == Kind::CONTIGUOUS_PAGE_LIST => {
                vec![Run { address: page(address)? + u64::from(first), len: size }]
            }
            _ => runs(addresses.get(..needed).unwrap_or_default(), first, size)?,
        };
        let mut sent = Vec::new();
        if to_host {
            sent = vec![0; size as usize];
            prefer_huge_pages(&mut sent);
            let mut rest = sent.as_mut_slice();
            for run in &runs {
                let (piece, behind) = rest.split_at_mut(rest.len().min(run.len as usize));
                self.memory.read(run.address, piece).map_err(|_| Status::INVALID_POINTER)?;
                rest = behind;
            }
        }
        let room = if from_host { Room::Pages(runs) } else { Room::None };
        Ok((Parameter::Buffer(Buffer::new(sent, size)), room))
    }

    fn embedded(&self, size: u32, flags: u32, offset: u32) -> Result<(Parameter, Room), Status> {
        let (to_host, from_host) = directions(flags)?;
        if (offset as usize) < self.end_of_parameters {
            return Err(Status::INVALID_PARAMETER);
        }
        let bytes = self.packet.get(offset as usize..).and_then(|rest| rest.get(..size as usize));
        let bytes = bytes.ok_or(Status::INVALID_PARAMETER)?;
        let sent = if to_host { bytes.to_vec() } else { Vec::new() };
        let room = if from_host { Room::Embedded(offset, size) } else { Room::None };
        Ok((Parameter::Buffer(Buffer::new(sent, size)), room))
    }
}

impl Buffer {
    fn new(sent: Vec<u8>, room: u32) -> Self {
        Self { sent, room, told: room, answer: None }
    }
}

/// Whether a buffer goes to the host, and whether it comes from there.
fn directions(flags: u32) -> Result<(bool, bool), Status> {
    match flags {
        1..=3 => Ok((flags & 1 != 0, flags & 2 != 0)),
        _ => Err(Status::INVALID_FLAGS),
    }
}

/// A page's address.
fn page(bytes: &[u8; 8]) -> Result<u64, Status> {
    let address = u64::from_le_bytes(*bytes);
    // The last page of all has no end that can be counted.
    let good = address.is_multiple_of(PAGE.into()) && address.checked_add(MOST_DATA.into()).is_some();
    if good { Ok(address) } else { Err(Status::INVALID_POINTER) }
}

/// The pieces of memory that `size` bytes from `first` bytes on in pages make.
fn runs(pages: &[[u8; 8]], first: u32, size: u32) -> Result<Vec<Run>, Status> {
    let mut runs: Vec<Run> = Vec::new();
    let (mut skip, mut left) = (first, size);
    for bytes in pages {
        let address = page(bytes)? + u64::from(skip);
        let len = (PAGE - skip).min(left);
        match runs.last_mut() {
            Some(last) if last.address + u64::from(last.len) == address => last.len += len,
            _ => runs.push(Run { address, len }),
        }
        (skip, left) = (0, left - len);
    }
    Ok(runs)
}

/// What a call's results are written to.
pub(super) struct Target<'a> {
    /// The request while it is being handled; it goes back to the guest as a whole.
    pub(super) packet: Option<&'a mut [u8]>,
    /// Where the request is, guest-physical.
    pub(super) address: u64,
    pub(super) memory: &'a mut dyn GuestMemory,
}

impl Target<'_> {
    /// Writes a parameter, its type excepted. Of a buffer the guest is sent what fits, whatever size
    /// it is told.
    pub(super) fn parameter(&mut self, place: &Place, parameter: &Parameter) -> Result<(), MemoryFault> {
        match parameter {
            Parameter::U32(value) => self.put(place.offset, &value.to_le_bytes()),
            Parameter::U64(value) => self.put(place.offset, &value.to_le_bytes()),
            Parameter::Buffer(buffer) => {
                if let Some(answer) = &buffer.answer {
                    self.bytes(&place.from_host, answer)?;
                }
                self.put(place.offset, &buffer.told.to_le_bytes())
            }
        }
    }

    fn bytes(&mut self, room: &Room, mut bytes: &[u8]) -> Result<(), MemoryFault> {
        match room {
            Room::None => Ok(()),
            Room::Embedded(offset, len) => self.put(*offset, bytes.get(..*len as usize).unwrap_or(bytes)),
            Room::Pages(runs) => {
                for run in runs {
                    let (piece, behind) = bytes.split_at(bytes.len().min(run.len as usize));
                    if piece.is_empty() {
                        break;
                    }
                    self.memory.write(run.address, piece)?;
                    bytes = behind;
                }
                Ok(())
            }
        }
    }

    /// Writes bytes into the request.
    pub(super) fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), MemoryFault> {
        let Some(packet) = &mut self.packet else {
            return self.memory.write(self.address.saturating_add(offset.into()), bytes);
        };
        let place = packet.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
        place.ok_or(MemoryFault { address: self.address, len: bytes.len() })?.copy_from_slice(bytes);
        Ok(())
    }

    /// The 32 bits at an offset of the request.
    pub(super) fn word(&self, offset: u32) -> Result<u32, MemoryFault> {
        if let Some(packet) = &self.packet {
            return Ok(word(packet, offset as usize));
        }
        let mut bytes = [0; 4];
        self.memory.read(self.address.saturating_add(offset.into()), &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

fn word(bytes: &[u8], offset: usize) -> u32 {
    bytes.get(offset..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(addresses: &[u64]) -> Vec<[u8; 8]> {
        addresses.iter().map(|address| address.to_le_bytes()).collect()
    }

    #[test]
    fn pages_that_follow_each_other_are_one_piece() {
        let list = pages(&[0x1000, 0x2000, 0x5000, 0x4000]);

        let runs = runs(&list, 0x800, 0x3000).expect("aligned");

        let expected = [(0x1800, 0x1800), (0x5000, 0x1000), (0x4000, 0x800)];
        assert_eq!(runs, expected.map(|(address, len)| Run { address, len }));
    }

    #[test]
    fn addresses_that_are_no_page_are_refused() {
        for address in [1, 0x1800, u64::MAX, u64::MAX - 0xFFF] {
            assert_eq!(runs(&pages(&[address]), 0, 1), Err(Status::INVALID_POINTER), "{address:#x}");
        }
    }
}

//! A call in DMA memory: the request with its parameters and lists of pages, then the buffers.

use zerocopy::little_endian::U64;
use zerocopy::{FromZeros, IntoBytes};

use super::dma::Dma;
use crate::pci::{BusFault, PAGE, prefer_huge_pages};
use crate::wire::{
    HgcmCall, HgcmPageListInfo, HgcmParameter64, HgcmParameterType as Kind, Request, Requestor,
};
use crate::{HgcmClient, HgcmParameter};

const HEAD: usize = size_of::<HgcmCall>();
const PARAMETER: usize = size_of::<HgcmParameter64>();
const LIST: usize = size_of::<HgcmPageListInfo>();
const ADDRESS: usize = size_of::<U64>();

/// A buffer's directions, in its list of pages.
const TO_HOST: u32 = 1;
const FROM_HOST: u32 = 2;

/// Where everything of one call goes, in bytes from its start.
pub(super) struct Plan {
    places: Vec<Place>,
    /// The length of the request, lists included.
    request: usize,
    /// The length of all.
    length: usize,
}

/// Where a parameter goes.
struct Place {
    kind: Kind,
    /// Of a buffer: its list of pages, its bytes, and how many they are. Elsewhere 0.
    list: usize,
    data: usize,
    length: usize,
}

impl Place {
    /// As many as the bytes fill: no buffer begins in the middle of a page and goes on to another.
    fn pages(&self) -> usize {
        self.length.div_ceil(PAGE)
    }
}

impl Plan {
    /// A plan for a call whose parameters are within their limits, so that nothing here overflows.
    pub(super) fn of(parameters: &[HgcmParameter]) -> Self {
        let mut request = HEAD + parameters.len() * PARAMETER;
        let mut places: Vec<Place> = parameters.iter().map(Place::of).collect();
        for place in places.iter_mut().filter(|place| place.length > 0) {
            place.list = request;
            request += LIST + place.pages() * ADDRESS;
        }
        let mut length = request;
        for place in places.iter_mut().filter(|place| place.length > 0) {
            let begun = length % PAGE;
            // A small buffer shares a page with what is before it.
            if begun + place.length > PAGE {
                length = length.next_multiple_of(PAGE);
            }
            place.data = length;
            length += place.length;
        }
        Self { places, request, length }
    }

    /// How many bytes of DMA memory the call takes.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Puts the call into DMA memory.
    pub(super) fn fill(
        &self,
        dma: &Dma,
        client: HgcmClient,
        function: u32,
        parameters: &[HgcmParameter],
        requestor: Requestor,
    ) -> Result<(), BusFault> {
        let mut head = HgcmCall::new();
        head.header.size.set(self.request as u32);
        head.header.requestor.set(requestor.0);
        head.result.set(super::UNANSWERED.0);
        head.client.set(client.0);
        head.function.set(function);
        head.parameters.set(parameters.len() as u32);

        let mut request = Vec::with_capacity(self.request);
        request.extend_from_slice(head.as_bytes());
        for (place, parameter) in self.places.iter().zip(parameters) {
            request.extend_from_slice(place.described(parameter).as_bytes());
        }
        for (place, parameter) in self.places.iter().zip(parameters) {
            if place.length > 0 {
                let flags = match parameter {
                    HgcmParameter::In(_) => TO_HOST,
                    HgcmParameter::Out { .. } => FROM_HOST,
                    _ => TO_HOST | FROM_HOST,
                };
                place.list(u64::from(dma.address()), flags, &mut request);
            }
        }
        dma.write(0, &request)?;
        for (place, parameter) in self.places.iter().zip(parameters) {
            match parameter {
                HgcmParameter::In(data) | HgcmParameter::InOut(data) if !data.is_empty() => {
                    dma.write(place.data, data)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes the results back, as far as there was room for them. An answer is refused whole, with
    /// nothing changed, when a parameter is of another type than was sent.
    pub(super) fn take_back(&self, dma: &Dma, parameters: &mut [HgcmParameter]) -> Result<(), Unusable> {
        let mut answers = vec![HgcmParameter64::new_zeroed(); parameters.len()];
        dma.read(HEAD, answers.as_mut_slice().as_mut_bytes())?;
        let changed = |(place, answer): (&Place, &HgcmParameter64)| place.kind.0 != answer.kind.get();
        if let Some(number) = self.places.iter().zip(&answers).position(changed) {
            return Err(Unusable::Type { number });
        }
        for ((place, answer), parameter) in self.places.iter().zip(&answers).zip(parameters) {
            let size = answer.low.get();
            match parameter {
                HgcmParameter::U32(value) => *value = size,
                HgcmParameter::U64(value) => *value = answer.value64(),
                HgcmParameter::In(_) => {}
                HgcmParameter::Out { data, needed } => {
                    *needed = size;
                    place.bring(dma, size, data)?;
                }
                HgcmParameter::InOut(data) => place.bring(dma, size, data)?,
            }
        }
        Ok(())
    }
}

impl Place {
    fn of(parameter: &HgcmParameter) -> Self {
        let length = parameter.bytes().len();
        let kind = match parameter {
            HgcmParameter::U32(_) => Kind::U32,
            HgcmParameter::U64(_) => Kind::U64,
            // Of nothing there are no pages to be listed.
            _ if length == 0 => Kind::LINEAR,
            _ => Kind::PAGE_LIST,
        };
        Self { kind, list: 0, data: 0, length }
    }

    fn described(&self, parameter: &HgcmParameter) -> HgcmParameter64 {
        let (low, rest) = match parameter {
            HgcmParameter::U32(value) => (*value, 0),
            HgcmParameter::U64(value) => (*value as u32, *value >> 32),
            _ => (self.length as u32, self.list as u64),
        };
        HgcmParameter64 { kind: self.kind.0.into(), low: low.into(), rest: rest.into() }
    }

    /// Appends the list of a buffer's pages, when the call stands at `base`.
    fn list(&self, base: u64, flags: u32, request: &mut Vec<u8>) {
        let start = base + self.data as u64;
        let offset = start % PAGE as u64;
        let info = HgcmPageListInfo {
            flags: flags.into(),
            offset: (offset as u16).into(),
            pages: (self.pages() as u16).into(),
        };
        request.extend_from_slice(info.as_bytes());
        let pages = (start - offset..).step_by(PAGE).take(self.pages());
        request.extend(pages.flat_map(u64::to_le_bytes));
    }

    /// Brings what the host wrote: as much as it says, but no more than there was room for.
    fn bring(&self, dma: &Dma, size: u32, data: &mut Vec<u8>) -> Result<(), BusFault> {
        data.truncate(size as usize);
        if data.is_empty() {
            return Ok(());
        }
        prefer_huge_pages(data);
        dma.read(self.data, data)
    }
}

/// An answer that cannot be taken.
pub(super) enum Unusable {
    /// A parameter came back as one of another type.
    Type {
        /// Which, from 0.
        number: usize,
    },
    /// The memory is gone.
    Fault,
}

impl From<BusFault> for Unusable {
    fn from(_: BusFault) -> Self {
        Self::Fault
    }
}

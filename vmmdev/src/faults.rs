//! A host that misbehaves on purpose.

use driver_core::wire::{RequestHeader, RequestType, Status};

use crate::hgcm::HgcmService;

/// How many faults can be armed at a time. Arming one more drops the oldest.
const CAPACITY: usize = 64;

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not carried out and fails.
    Fail(Status),
    /// It is not carried out and not answered: the packet stays as it was.
    Ignore,
    /// It is carried out; afterwards 32 bits of the packet are replaced.
    Word {
        /// Bytes from the start of the packet.
        offset: u32,
        /// What stands there instead.
        value: u32,
    },
    /// It is carried out and answered with success and a body of pseudo-random bytes.
    Rubbish {
        /// The same seed gives the same bytes.
        seed: u64,
    },
    /// An HGCM call (requests 62 and 63) goes wrong. On other requests it does nothing.
    Hgcm {
        /// Only calls of this function of a service; `None` is any.
        function: Option<(HgcmService, u32)>,
        /// What goes wrong.
        fault: HgcmFault,
    },
}

/// What goes wrong with an HGCM call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HgcmFault {
    /// It is not carried out, and the service answers this.
    Answer(Status),
    /// It is answered later, and with the guest's next request once more, whatever stands there then.
    Twice,
    /// It is carried out, and never answered.
    Never,
    /// Its answer is held back until the guest has cancelled it, and then written all the same.
    AfterCancel,
    /// It is answered later, with buffers that are said to be larger than the room for them.
    Oversize,
    /// It is answered later, and what is sent in its buffers has no zeros, so that no text in them ends.
    Unterminated,
    /// It is not carried out, and succeeds with this in the place of each value, cut to fit: as a message
    /// that no protocol names, when it is one that is waited for.
    Babble(u64),
    /// Its service is gone: all the service's clients are invalid, and their calls end.
    Vanish,
}

impl Fault {
    /// A request 81 that announces this many displays, whatever there is and whatever fits.
    pub const fn announce_displays(count: u32) -> Self {
        Self::Word { offset: 28, value: count }
    }

    /// What the fault does instead of the request.
    pub(crate) fn before(self) -> Option<Option<Status>> {
        match self {
            Self::Fail(status) => Some(Some(status)),
            Self::Ignore => Some(None),
            Self::Word { .. } | Self::Rubbish { .. } | Self::Hgcm { .. } => None,
        }
    }

    /// What the fault does to an HGCM call.
    pub(crate) fn hgcm(self) -> Option<HgcmFault> {
        match self {
            Self::Hgcm { fault, .. } => Some(fault),
            _ => None,
        }
    }

    /// Whether the fault is for a call of this function.
    fn concerns(self, called: Option<(HgcmService, u32)>) -> bool {
        match self {
            Self::Hgcm { function: Some(function), .. } => called == Some(function),
            _ => true,
        }
    }

    /// What the fault does to the answer.
    pub(crate) fn after(self, packet: &mut [u8], status: Status) -> Status {
        match self {
            Self::Fail(_) | Self::Ignore | Self::Hgcm { .. } => status,
            Self::Word { offset, value } => {
                let place = packet.get_mut(offset as usize..).and_then(|rest| rest.first_chunk_mut());
                if let Some(word) = place {
                    *word = value.to_le_bytes();
                }
                status
            }
            Self::Rubbish { seed } => {
                let mut state = seed;
                for byte in packet.iter_mut().skip(RequestHeader::SIZE as usize) {
                    *byte = next_byte(&mut state);
                }
                Status::SUCCESS
            }
        }
    }
}

/// SplitMix64, of which the top byte is as good as any.
fn next_byte(state: &mut u64) -> u8 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 56) as u8
}

/// How often a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// The next so many requests of the type.
    Next(u32),
    /// All until [`Host::clear_faults`](crate::Host::clear_faults).
    Always,
}

/// The faults that are armed, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<(RequestType, Fault, Times)>,
}

impl Faults {
    pub(crate) fn arm(&mut self, request_type: RequestType, fault: Fault, times: Times) {
        if self.armed.len() == CAPACITY {
            self.armed.remove(0);
        }
        self.armed.push((request_type, fault, times));
    }

    pub(crate) fn clear(&mut self) {
        self.armed.clear();
    }

    /// The oldest fault that strikes this request, which may be a call of a function.
    pub(crate) fn strike(
        &mut self,
        request_type: RequestType,
        function: Option<(HgcmService, u32)>,
    ) -> Option<Fault> {
        if self.armed.is_empty() {
            return None;
        }
        self.armed.retain(|(.., times)| *times != Times::Next(0));
        let strikes = |(wanted, fault, _): &&mut (RequestType, Fault, Times)| {
            *wanted == request_type && fault.concerns(function)
        };
        let (_, fault, times) = self.armed.iter_mut().find(strikes)?;
        if let Times::Next(left) = times {
            *left -= 1;
        }
        Some(*fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: RequestType = RequestType::GET_HOST_TIME;

    #[test]
    fn a_fault_strikes_its_type_as_often_as_armed() {
        let mut faults = Faults::default();
        faults.arm(TYPE, Fault::Ignore, Times::Next(2));

        let struck = [TYPE, RequestType::IDLE, TYPE, TYPE].map(|kind| faults.strike(kind, None).is_some());

        assert_eq!(struck, [true, false, true, false]);
    }

    #[test]
    fn faults_of_one_type_strike_one_after_the_other() {
        let mut faults = Faults::default();
        faults.arm(TYPE, Fault::Ignore, Times::Next(0));
        faults.arm(TYPE, Fault::Fail(Status::TIMEOUT), Times::Next(1));
        faults.arm(TYPE, Fault::Fail(Status::NO_MEMORY), Times::Always);

        let struck = [(); 3].map(|()| faults.strike(TYPE, None));

        assert_eq!(struck[0], Some(Fault::Fail(Status::TIMEOUT)));
        assert_eq!(struck[1], Some(Fault::Fail(Status::NO_MEMORY)));
        assert_eq!(struck[2], struck[1]);
    }

    #[test]
    fn a_fault_of_a_function_strikes_no_other() {
        let mut faults = Faults::default();
        let read = Some((HgcmService::Clipboard, 3));
        let fault = Fault::Hgcm { function: read, fault: HgcmFault::Never };
        faults.arm(RequestType::HGCM_CALL_64, fault, Times::Next(1));

        let others = [None, Some((HgcmService::Clipboard, 4)), Some((HgcmService::Properties, 3))];
        let struck = [others[0], others[1], others[2], read, read]
            .map(|function| faults.strike(RequestType::HGCM_CALL_64, function).is_some());

        assert_eq!(struck, [false, false, false, true, false]);
    }

    #[test]
    fn a_replaced_word_outside_the_packet_is_left_out() {
        let mut packet = [0; 26];
        Fault::Word { offset: 23, value: 1 }.after(&mut packet, Status::SUCCESS);
        Fault::Word { offset: u32::MAX, value: 1 }.after(&mut packet, Status::SUCCESS);
        assert_eq!(packet, [0; 26]);
    }
}

//! HGCM as a driver does it, byte by byte: requests with page lists, and their answers.

use driver_core::pci::Bus;
use driver_core::wire::{
    HgcmConnect, HgcmDisconnect, INTERFACE_VERSION, ReportGuestInfo2, Request, RequestType, Status,
};

use super::{Guest, bare, report_guest_info, set_word, word};

/// Where requests stand in guest memory: a slot each.
pub const SLOT: u32 = 0x1_0000;
/// Where buffers stand: a piece for each slot and parameter, less than half a megabyte.
const BUFFERS: u32 = 0x20_0000;

/// A parameter as the guest has it.
#[derive(Debug, Clone, Copy)]
pub enum Give<'a> {
    U32(u32),
    U64(u64),
    /// Bytes for the host.
    In(&'a [u8]),
    /// Room for bytes from the host.
    Out(u32),
    /// Bytes in both directions, with room for so many.
    Both(&'a [u8], u32),
}

/// How buffers are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    PageList,
    Contiguous,
    NoBounce,
    Embedded,
}

/// A parameter as it came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    U32(u32),
    U64(u64),
    /// The size that the guest was told, and what stands in the room for it.
    Bytes(u32, Vec<u8>),
}

impl Got {
    pub fn u32(&self) -> u32 {
        match self {
            Self::U32(value) => *value,
            other => panic!("{other:?} is no 32 bits"),
        }
    }

    pub fn u64(&self) -> u64 {
        match self {
            Self::U64(value) => *value,
            other => panic!("{other:?} is no 64 bits"),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(_, bytes) => bytes,
            other => panic!("{other:?} is no buffer"),
        }
    }
}

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: Status,
    pub parameters: Vec<Got>,
}

impl Answer {
    pub fn u32(&self, at: usize) -> u32 {
        self.parameters[at].u32()
    }

    pub fn u64(&self, at: usize) -> u64 {
        self.parameters[at].u64()
    }

    /// The first so many bytes of a buffer.
    pub fn bytes(&self, at: usize, len: u32) -> &[u8] {
        &self.parameters[at].bytes()[..len as usize]
    }
}

/// A call that was made.
#[derive(Debug)]
pub struct Made {
    /// Of its request.
    pub address: u32,
    /// What the request was answered with at once.
    pub rc: Status,
    size: usize,
    /// The place of each parameter, the address of its buffer, and the room there.
    places: Vec<(usize, Option<(u32, u32)>)>,
}

impl Guest {
    /// A guest that says on whose behalf it asks.
    pub fn frank() -> Self {
        let guest = Self::silent();
        let mut request = ReportGuestInfo2::new();
        (request.major, request.minor, request.build) = (6.into(), 0.into(), 0.into());
        request.features = 1.into();
        request.name[..5].copy_from_slice(b"6.0.0");
        assert_eq!(guest.ask(request).0, Status::SUCCESS);
        assert_eq!(guest.ask(report_guest_info(INTERFACE_VERSION)).0, Status::SUCCESS);
        guest
    }

    pub fn connect(&self, service: &str) -> (Status, u32) {
        self.connect_as(service, 0)
    }

    pub fn connect_as(&self, service: &str, requestor: u32) -> (Status, u32) {
        let mut request = HgcmConnect::new();
        request.header.requestor = requestor.into();
        request.location = 2.into();
        request.name[..service.len()].copy_from_slice(service.as_bytes());
        let (status, answer) = self.ask(request);
        assert_eq!((answer.flags.get(), answer.result.get()), (1, status.0));
        (status, answer.client.get())
    }

    pub fn client(&self, service: &str) -> u32 {
        let (status, client) = self.connect(service);
        assert_eq!(status, Status::SUCCESS);
        client
    }

    pub fn disconnect(&self, client: u32) -> Status {
        let mut request = HgcmDisconnect::new();
        request.client = client.into();
        self.ask(request).0
    }

    /// Calls a function that answers at once.
    pub fn call(&self, client: u32, function: u32, parameters: &[Give<'_>]) -> Answer {
        let made = self.make(1, client, function, parameters);
        assert_ne!(made.rc, Status::HGCM_ASYNC_EXECUTE, "function {function} waits");
        self.answer(&made).expect("answered at once")
    }

    /// Calls a function that waits; its request stands in a slot of its own, from 1 on.
    pub fn wait(&self, slot: u32, client: u32, function: u32, parameters: &[Give<'_>]) -> Made {
        let made = self.make(slot, client, function, parameters);
        assert_eq!(made.rc, Status::HGCM_ASYNC_EXECUTE, "function {function} does not wait");
        made
    }

    pub fn make(&self, slot: u32, client: u32, function: u32, parameters: &[Give<'_>]) -> Made {
        self.make_in(Form::PageList, slot, client, function, parameters)
    }

    pub fn make_in(&self, form: Form, slot: u32, client: u32, function: u32, give: &[Give<'_>]) -> Made {
        let (base, _) = self.bus.dma_range();
        let address = base + slot * SLOT;
        let mut packet = bare(63, 44 + 16 * give.len() as u32);
        set_word(&mut packet, 32, client);
        set_word(&mut packet, 36, function);
        set_word(&mut packet, 40, give.len() as u32);
        let mut places = Vec::new();
        // Each buffer begins in the middle of a page.
        let mut next = base + BUFFERS + slot * SLOT + 0x800;
        for (index, parameter) in give.iter().enumerate() {
            let at = 44 + 16 * index;
            let (flags, bytes, room) = match *parameter {
                Give::U32(value) => {
                    set_word(&mut packet, at, 1);
                    set_word(&mut packet, at + 4, value);
                    places.push((at, None));
                    continue;
                }
                Give::U64(value) => {
                    set_word(&mut packet, at, 2);
                    packet[at + 4..at + 12].copy_from_slice(&value.to_le_bytes());
                    places.push((at, None));
                    continue;
                }
                Give::In(bytes) => (1, bytes, bytes.len() as u32),
                Give::Out(room) => (2, &[][..], room),
                Give::Both(bytes, room) => (3, bytes, room),
            };
            if room == 0 {
                // As Linux does: an address of nothing.
                set_word(&mut packet, at, 4);
                places.push((at, None));
                continue;
            }
            let behind = packet.len() as u32;
            set_word(&mut packet, at + 4, room);
            if form == Form::Embedded {
                set_word(&mut packet, at, 11);
                set_word(&mut packet, at + 8, behind << 8 | flags);
                packet.resize((behind + room) as usize, 0);
                packet[behind as usize..][..bytes.len()].copy_from_slice(bytes);
                places.push((at, Some((address + behind, room))));
                continue;
            }
            let kind = match form {
                Form::Contiguous => 12,
                Form::NoBounce => 13,
                Form::PageList | Form::Embedded => 10,
            };
            set_word(&mut packet, at, kind);
            set_word(&mut packet, at + 8, behind);
            let pages = if form == Form::Contiguous { 1 } else { (0x800 + room).div_ceil(0x1000) };
            packet.extend(flags.to_le_bytes());
            packet.extend((0x800 | pages << 16).to_le_bytes());
            for page in 0..pages {
                packet.extend(u64::from((next & !0xFFF) + page * 0x1000).to_le_bytes());
            }
            self.bus.dma_write(next, bytes).expect("inside memory");
            places.push((at, Some((next, room))));
            next += (0x800 + room).div_ceil(0x1000) * 0x1000;
        }
        let size = packet.len();
        set_word(&mut packet, 0, size as u32);
        let rc = self.ring(address, &packet);
        Made { address, rc, size, places }
    }

    /// Puts a packet somewhere and rings; what the request was answered with at once.
    pub fn ring(&self, address: u32, packet: &[u8]) -> Status {
        self.bus.dma_write(address, packet).expect("inside memory");
        self.bus.write_port(0, address).expect("a port");
        Status(self.word_at(address + 12) as i32)
    }

    pub fn word_at(&self, address: u32) -> u32 {
        let mut bytes = [0; 4];
        self.bus.dma_read(address, &mut bytes).expect("inside memory");
        u32::from_le_bytes(bytes)
    }

    /// What became of a call; `None` while it is under way.
    pub fn answer(&self, made: &Made) -> Option<Answer> {
        let mut packet = vec![0; made.size];
        self.bus.dma_read(made.address, &mut packet).expect("inside memory");
        if word(&packet, 24) & 1 == 0 {
            return None;
        }
        let got = |&(at, buffer): &(usize, Option<(u32, u32)>)| match (word(&packet, at), buffer) {
            (1, _) => Got::U32(word(&packet, at + 4)),
            (2, _) => Got::U64(u64::from(word(&packet, at + 4)) | u64::from(word(&packet, at + 8)) << 32),
            (_, None) => Got::Bytes(word(&packet, at + 4), Vec::new()),
            (_, Some((address, room))) => {
                let mut bytes = vec![0; room as usize];
                self.bus.dma_read(address, &mut bytes).expect("inside memory");
                Got::Bytes(word(&packet, at + 4), bytes)
            }
        };
        let parameters = made.places.iter().map(got).collect();
        Some(Answer { status: Status(word(&packet, 28) as i32), parameters })
    }

    /// Cancels a call by request 65.
    pub fn cancel(&self, made: &Made) -> Status {
        let mut packet = bare(RequestType::HGCM_CANCEL_2.0, 28);
        set_word(&mut packet, 24, made.address);
        self.ask_bytes(&packet).0
    }
}

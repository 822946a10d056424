//! A guest that sends anything: the device answers or ignores it, and goes on.

mod guest;

use driver_core::pci::Bus;
use driver_core::wire::{GetSessionId, Request, RequestType, Status, guest_property, shared_clipboard};
use guest::hgcm::{Form, Give, SLOT};
use guest::{Guest, bare, set_word};
use vmmdev::Device;

/// SplitMix64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Mostly small numbers and edges, because those get past the first check.
    fn word(&mut self) -> u32 {
        match self.below(6) {
            0 => 0,
            1 => u32::MAX,
            2 => self.below(70) as u32,
            3 => self.below(9000) as u32,
            4 => 1 << self.below(32),
            _ => self.next() as u32,
        }
    }
}

fn random_packet(numbers: &mut Numbers, kind: u32, size: u32) -> Vec<u8> {
    let mut packet = bare(kind, size);
    for place in packet[24..].chunks_exact_mut(4) {
        place.copy_from_slice(&numbers.word().to_le_bytes());
    }
    packet
}

#[test]
fn packets_of_every_type_and_length_leave_the_device_alive() {
    let guest = Guest::reported();
    let mut numbers = Numbers(1);
    for spec in RequestType::ALL {
        for round in 0..200 {
            let least = spec.size.least();
            let size = match round % 4 {
                0 => least,
                1 => 24 + numbers.below(64) as u32,
                2 => least + numbers.below(2048) as u32,
                _ => least + 4 * numbers.below(64) as u32,
            };
            let packet = random_packet(&mut numbers, spec.request_type.0, size);

            let (status, answer) = guest.ask_bytes(&packet);

            assert_eq!(answer.len(), packet.len());
            assert_ne!(status, Status::INTERNAL_ERROR);
        }
    }
    assert_eq!(guest.ask(GetSessionId::new()).0, Status::SUCCESS);
}

#[test]
fn headers_of_random_bytes_leave_the_device_alive() {
    let guest = Guest::reported();
    let mut numbers = Numbers(2);
    for _ in 0..20_000 {
        let mut packet = bare(numbers.below(256) as u32, 64);
        let offset = 4 * numbers.below(6) as usize;
        set_word(&mut packet, offset, numbers.word());
        guest.ask_bytes(&packet);
    }
    assert_eq!(guest.ask(GetSessionId::new()).0, Status::SUCCESS);
}

#[test]
fn addresses_anywhere_leave_the_device_alive() {
    let guest = Guest::reported();
    let mut numbers = Numbers(3);
    for _ in 0..20_000 {
        let address = numbers.next() as u32;
        guest.bus.write_port(0, address).expect("a port");
    }
    assert_eq!(guest.ask(GetSessionId::new()).0, Status::SUCCESS);
}

/// A call that is mostly sound: its types, its page lists, and what they say are what a guest might
/// write, or nearly.
fn random_call(numbers: &mut Numbers, client: u32) -> Vec<u8> {
    let wide = numbers.below(4) != 0;
    let (kind, length) = if wide { (63, 16) } else { (62, 12) };
    let count = numbers.below(6) as u32;
    let lists = 44 + length * count;
    let size = lists + 40 * count + numbers.below(64) as u32;
    let mut packet = bare(kind, size);
    let number = if numbers.below(20) == 0 { numbers.word() } else { client };
    let function = if numbers.below(10) == 0 { numbers.word() } else { numbers.below(30) as u32 };
    let counted = if numbers.below(20) == 0 { numbers.word() } else { count };
    for (offset, value) in [(32, number), (36, function), (40, counted)] {
        set_word(&mut packet, offset, value);
    }
    for index in 0..count {
        let (entry, list) = ((44 + length * index) as usize, lists + 40 * index);
        let kind = [1, 2, 4, 5, 6, 10, 10, 10, 11, 11, 12, 13, numbers.word()][numbers.below(13) as usize];
        set_word(&mut packet, entry, kind);
        let small = numbers.below(9000) as u32;
        let low = [0, small, small, numbers.word()][numbers.below(4) as usize];
        set_word(&mut packet, entry + 4, low);
        let place = if numbers.below(10) == 0 { numbers.word() } else { list };
        let flags = 1 + numbers.below(4) as u32;
        set_word(&mut packet, entry + 8, if kind == 11 { place << 8 | flags } else { place });
        // The list: directions, then an offset and a count, then pages in memory, on top of each other,
        // beyond it, and on the request itself.
        set_word(&mut packet, list as usize, flags);
        set_word(
            &mut packet,
            list as usize + 4,
            numbers.below(4096) as u32 | (numbers.below(6) as u32) << 16,
        );
        for page in 0..4 {
            let address = [0x10_0000, 0x20_0000, 0x20_1000, 0x4F_F000, 0x50_0000, numbers.word()];
            set_word(&mut packet, list as usize + 8 + 8 * page, address[numbers.below(6) as usize]);
        }
    }
    packet
}

/// The parameters that a function of a service takes, nearly.
fn usual_parameters<'a>(
    numbers: &mut Numbers,
    service: &str,
    function: u64,
    bytes: &'a [u8],
) -> Vec<Give<'a>> {
    let name =
        [&b"/a\0"[..], b"/b|/a*\0", b"/VirtualBox/HostInfo/VBoxVer\0", bytes][numbers.below(4) as usize];
    let (data, number) = (Give::Both(b"before", 500), Give::U32(numbers.below(9) as u32));
    let long = Give::U64(numbers.below(2));
    let mut parameters = match (service, function) {
        (guest_property::SERVICE, 1) => vec![Give::In(name), data, long, number],
        (guest_property::SERVICE, 2 | 3) => vec![Give::In(name), Give::In(bytes), Give::In(b"TRANSRESET\0")],
        (guest_property::SERVICE, 4) => vec![Give::In(name)],
        (guest_property::SERVICE, 5) => vec![Give::In(name), Give::Out(5000), number],
        (guest_property::SERVICE, _) => vec![Give::In(name), long, Give::Out(500), number],
        (_, 1 | 8..=10 | 28) => vec![number, Give::U32(0)],
        (_, 2) => vec![number],
        (_, 3) => vec![number, data, number],
        (_, 4) => vec![Give::U64(1 << 32 | numbers.below(3)), number, Give::In(bytes)],
        (_, 6 | 7) => vec![Give::U64(1), Give::U64(1 << 63)],
        _ => vec![],
    };
    if numbers.below(4) == 0 {
        let at = numbers.below(parameters.len() as u64 + 1) as usize;
        let other = [number, long, Give::In(bytes), Give::Out(0), data][numbers.below(5) as usize];
        parameters.truncate(at);
        parameters.push(other);
    }
    parameters
}

#[test]
fn calls_of_every_shape_leave_the_services_alive() {
    let guest = Guest::frank();
    let mut numbers = Numbers(4);
    let services = [guest_property::SERVICE, shared_clipboard::SERVICE];
    let mut clients = services.map(|service| guest.connect_as(service, 0x800E).1);
    for round in 0..40_000_u32 {
        let which = numbers.below(2) as usize;
        let slot = 1 + numbers.below(30) as u32;
        let address = 0x10_0000 + slot * SLOT;
        if numbers.below(2) == 0 {
            guest.ring(address, &random_call(&mut numbers, clients[which]));
        } else {
            let function = 1 + numbers.below(if which == 0 { 6 } else { 28 });
            let bytes = [b"1\0".repeat(numbers.below(3) as usize), vec![b'x'; 1025], vec![0]];
            let bytes = &bytes[numbers.below(3) as usize];
            let parameters = usual_parameters(&mut numbers, services[which], function, bytes);
            let form =
                [Form::PageList, Form::Contiguous, Form::NoBounce, Form::Embedded][numbers.below(4) as usize];
            guest.make_in(form, slot, clients[which], function as u32, &parameters);
        }
        match numbers.below(40) {
            0 => guest.host.set_property("/x", &round.to_string(), "").unwrap_or_default(),
            1 => guest
                .host
                .clipboard_put([(shared_clipboard::Formats::HTML, vec![7; 5000])])
                .unwrap_or_default(),
            2..6 => {
                let mut packet = bare(65, 28);
                set_word(&mut packet, 24, address);
                guest.ask_bytes(&packet);
            }
            6 => {
                guest.disconnect(clients[which]);
                let (status, client) = guest.connect_as(services[which], 0x800E);
                assert_eq!(status, Status::SUCCESS);
                clients[which] = client;
            }
            _ => {}
        }
    }
    assert!(guest.host.hgcm_clients().len() <= 2 && guest.host.properties("").len() <= 256);

    let client = guest.connect_as(services[0], 0).1;
    let answer = guest.call(client, 4, &[Give::In(b"/x\0")]);
    assert_eq!(answer.status, Status::SUCCESS);
    let client = guest.connect_as(services[1], 0).1;
    let answer = guest.call(client, 7, &[Give::U64(0), Give::U64(1 << 63)]);
    assert_eq!(answer.status, Status::SUCCESS);
    assert_eq!(guest.ask(GetSessionId::new()).0, Status::SUCCESS);
}

#[test]
fn messages_that_a_guest_does_not_fetch_do_not_pile_up() {
    let guest = Guest::frank();
    let (_, client) = guest.connect_as(shared_clipboard::SERVICE, 0x800E);
    let html = shared_clipboard::Formats::HTML;
    std::thread::scope(|threads| {
        // Each host waits in vain, and takes its question back.
        for _ in 0..100 {
            threads.spawn(|| guest.host.clipboard_get(html, std::time::Duration::from_millis(100)));
        }
    });
    for _ in 0..100 {
        guest.host.clipboard_put([(html, vec![0])]).expect("put");
    }

    let answer = guest.call(client, 10, &[Give::U32(3), Give::U32(0)]);
    assert_eq!(answer.status, Status::SUCCESS);
    assert_eq!(guest.call(client, 10, &[Give::U32(3), Give::U32(0)]).status, Status::TRY_AGAIN);
}

#[test]
fn tables_do_not_grow_without_end() {
    let guest = Guest::reported();
    guest.host.configure(|settings| settings.log_strings = true);
    for round in 0..500u32 {
        for (kind, size) in [(59, 36), (110, 100)] {
            let mut packet = bare(kind, size);
            set_word(&mut packet, 24, round);
            set_word(&mut packet, 28, 50);
            guest.ask_bytes(&packet);
        }
        let mut user = bare(74, 64);
        for (offset, value) in [(28, 9), (32, 0), (36, 0)] {
            set_word(&mut user, offset, value);
        }
        user[40..48].copy_from_slice(format!("{round:08}").as_bytes());
        guest.ask_bytes(&user);
        guest.ask_bytes(&bare(200, 28));
    }

    let report = guest.host.guest();

    assert_eq!(report.facilities.iter().count(), 32);
    assert_eq!(report.statistics.len(), 256);
    assert_eq!((report.users.len(), report.log.len()), (64, 64));
    assert_eq!(guest.host.journal().len(), 1024);
}

#[test]
fn configuration_space_is_what_the_kernel_s_driver_binds_to() {
    let device = Device::new(Default::default());
    let mut space = [0; 64];

    device.config_read(0, &mut space);

    let half = |offset: usize| u16::from_le_bytes([space[offset], space[offset + 1]]);
    assert_eq!((half(0x00), half(0x02)), (0x80EE, 0xCAFE));
    assert_eq!(space[0x09..0x0C], [0x00, 0x80, 0x08], "class 0x088000");
    assert_eq!(space[0x0E], 0, "header type 0");
    assert_eq!((half(0x2C), half(0x2E)), (0, 0), "subsystem ids");
    assert_eq!(space[0x3D], 1, "INTA");
}

#[test]
fn bars_answer_all_ones_with_their_sizes() {
    let mut device = Device::new(Default::default());
    for (bar, size_mask) in [(0x10, 0xFFFF_FFE1), (0x14, 0xFFC0_0000), (0x18, 0)] {
        device.config_write(bar, &[0xFF; 4]);
        let mut word = [0; 4];
        device.config_read(bar, &mut word);
        assert_eq!(u32::from_le_bytes(word), size_mask, "{bar:#x}");
    }
}

#[test]
fn identity_is_read_only_and_accesses_beyond_the_space_are_harmless() {
    let mut device = Device::new(Default::default());
    device.config_write(0, &[0; 300]);
    device.config_write(u32::MAX, &[0; 4]);
    let mut bytes = [0; 8];
    device.config_read(0, &mut bytes);
    assert_eq!(bytes[..4], [0xEE, 0x80, 0xFE, 0xCA]);
    device.config_read(252, &mut bytes);
    assert_eq!(bytes[4..], [0xFF; 4]);
    device.config_read(u32::MAX, &mut bytes);
    device.memory_read(u32::MAX, &mut bytes);
    device.memory_read(6, &mut bytes);
    assert_eq!(bytes, [0; 8]);
}

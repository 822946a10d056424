//! A guest that sends anything: the device answers or ignores it, and goes on.

mod guest;

use driver_core::pci::Bus;
use driver_core::wire::{GetSessionId, Request, RequestType, Status};
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

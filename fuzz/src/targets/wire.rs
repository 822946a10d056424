//! Packets: what the host answers, and what the guest asks.

use driver_core::wire::{
    Events, RequestHeader, RequestType, display, log_string, pointer, shared_module, user_state,
    visible_region,
};

use super::Target;

pub const TARGET: Target =
    Target { name: "wire", about: "packets of requests, by every parser of them", run, seeds, tries: 20_000 };

fn run(bytes: &[u8]) {
    let _ = RequestHeader::parse(bytes).map(|header| (header.kind(), header.status()));
    let _ = display::parse_multi(bytes).map(|found| format!("{found:?}"));
    let _ = display::parse_positions(bytes);
    let _ = visible_region::parse(bytes);
    let _ = log_string::parse(bytes);
    let _ = pointer::parse(bytes);
    let _ = shared_module::parse(bytes);
    let _ = user_state::parse(bytes);
}

fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        display::multi_request(Events::DISPLAY_CHANGE, 32),
        display::multi_request(Events::empty(), 1),
        display::positions_request(&[(0, 0), (-1, 1024)]),
    ];
    seeds.extend(log_string::request("a line"));
    seeds.extend(visible_region::request(&[visible_region::Rect::new(1, 2, 3, 4)]));
    for spec in RequestType::ALL {
        let mut packet = vec![0; spec.size.least() as usize + 64];
        let size = packet.len() as u32;
        let words = [size, 0x1_0001, spec.request_type.0, u32::MAX];
        for (place, word) in packet.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        seeds.push(packet);
    }
    seeds
}

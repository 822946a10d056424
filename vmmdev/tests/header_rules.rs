//! The rules that every request goes through before it means anything (protocol reference, 1.2).

mod guest;

use driver_core::pci::Bus;
use driver_core::wire::{GetHostTime, GetHostVersion, GetSessionId, Request, RequestType, SizeRule, Status};
use guest::{Guest, bare, report_guest_info, set_word};
use zerocopy::IntoBytes;

const UNTOUCHED: Status = Status::GENERAL_FAILURE;

#[test]
fn a_header_shorter_than_24_bytes_or_of_another_version_is_ignored_without_an_answer() {
    let guest = Guest::reported();
    for (offset, value) in [(0, 0), (0, 23), (4, 0), (4, 0x10000), (4, 0x10002), (4, 0x20001)] {
        let mut packet = GetSessionId::new().as_bytes().to_vec();
        set_word(&mut packet, offset, value);

        let (status, answer) = guest.ask_bytes(&packet);

        assert_eq!(status, UNTOUCHED, "{value:#x} at {offset}");
        assert_eq!(answer, packet);
    }
}

#[test]
fn a_request_over_1_mib_is_not_supported() {
    let guest = Guest::reported();
    for size in [1024 * 1024 + 1, u32::MAX] {
        let mut packet = bare(RequestType::VIDEO_SET_VISIBLE_REGION.0, 28);
        set_word(&mut packet, 0, size);

        assert_eq!(guest.ask_bytes(&packet).0, Status::NOT_SUPPORTED);
    }
}

#[test]
fn a_request_of_exactly_1_mib_is_taken() {
    let guest = Guest::reported();
    // The type's own answer, where one byte more is not supported.
    let packet = bare(RequestType::LOG_STRING.0, 1024 * 1024);
    assert_eq!(guest.ask_bytes(&packet).0, Status::NOT_IMPLEMENTED);
}

#[test]
fn the_largest_visible_region_has_65534_rectangles() {
    let guest = Guest::reported();
    let rects = (1024 * 1024 - 28) / 16;
    let mut packet = bare(RequestType::VIDEO_SET_VISIBLE_REGION.0, 28 + 16 * rects);
    set_word(&mut packet, 24, rects);

    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);

    let region = guest.host.guest().visible_region.expect("a region");
    assert_eq!(region.len(), 65_534);
}

#[test]
fn before_the_guest_reports_itself_only_four_requests_are_taken() {
    for spec in RequestType::ALL {
        let guest = Guest::silent();

        let (status, _) = guest.ask_bytes(&bare(spec.request_type.0, spec.size.least()));

        let taken = [50, 58, 218, 4].contains(&spec.request_type.0);
        assert_eq!(status != Status::NOT_SUPPORTED, taken, "{}", spec.request_type);
    }
}

#[test]
fn after_the_report_the_rest_is_taken() {
    let guest = Guest::silent();
    assert_eq!(guest.ask(GetHostTime::new()).0, Status::NOT_SUPPORTED);
    assert_eq!(guest.ask(report_guest_info(0x0001_0004)).0, Status::SUCCESS);
    assert_eq!(guest.ask(GetHostTime::new()).0, Status::SUCCESS);
}

#[test]
fn an_interface_is_taken_when_its_major_is_equal_and_its_minor_not_newer() {
    let cases = [
        (0x0001_0004, Status::SUCCESS),
        (0x0001_0003, Status::SUCCESS),
        (0x0001_0005, Status::VERSION_MISMATCH),
        (0x0002_0000, Status::VERSION_MISMATCH),
        (0x0000_0004, Status::VERSION_MISMATCH),
    ];
    for (version, answer) in cases {
        assert_eq!(Guest::silent().ask(report_guest_info(version)).0, answer, "{version:#x}");
    }
}

#[test]
fn an_unknown_type_is_not_implemented() {
    let guest = Guest::reported();
    for number in [0, 6, 24, 66, 102, 224, u32::MAX] {
        assert_eq!(guest.ask_bytes(&bare(number, 24)).0, Status::NOT_IMPLEMENTED, "{number}");
    }
}

#[test]
fn a_size_that_breaks_the_type_s_rule_is_an_invalid_parameter() {
    let guest = Guest::reported();
    for spec in RequestType::ALL {
        let wrong = match spec.size {
            SizeRule::Exact(size) | SizeRule::Either(_, size) => [size - 1, size + 1],
            SizeRule::AtLeast(least) => [least - 1, 24],
        };
        for size in wrong.into_iter().filter(|size| !spec.size.admits(*size) && *size >= 24) {
            let (status, _) = guest.ask_bytes(&bare(spec.request_type.0, size));
            assert_eq!(status, Status::INVALID_PARAMETER, "{} of {size}", spec.request_type);
        }
    }
}

#[test]
fn both_request_ports_take_requests_and_the_others_none() {
    let guest = Guest::silent();
    let (address, _) = guest.bus.dma_range();
    for (port, answered) in [(0, true), (8, true), (4, false), (0x1C, false)] {
        let packet = GetHostVersion::new();
        guest.bus.dma_write(address, packet.as_bytes()).expect("inside memory");
        let position = guest.host.journal_position();

        guest.bus.write_port(port, address).expect("a port");

        assert_eq!(guest.host.journal_position() > position, answered, "{port}");
    }
    assert!(guest.bus.write_port(0x20, address).is_err());
}

#[test]
fn an_address_that_is_not_memory_is_ignored() {
    let guest = Guest::reported();
    let (start, len) = guest.bus.dma_range();
    for address in [0, start - 1, start - 24, start + len, start + len - 23, u32::MAX] {
        guest.bus.write_port(0, address).expect("a port");

        let seen = *guest.host.journal().last().expect("seen");
        assert_eq!(seen.status, None, "{address:#x}");
    }
}

#[test]
fn a_packet_that_leaves_memory_is_ignored() {
    let guest = Guest::reported();
    let (start, len) = guest.bus.dma_range();
    let packet = GetSessionId::new();
    let address = start + len - 24;
    guest.bus.dma_write(address, &packet.as_bytes()[..24]).expect("the header fits");

    guest.bus.write_port(0, address).expect("a port");

    let seen = *guest.host.journal().last().expect("seen");
    assert_eq!((seen.request_type, seen.status), (RequestType::GET_SESSION_ID, None));
}

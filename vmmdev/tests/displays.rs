//! The display state machine (protocol reference, 5.2) and seamless mode (5.3).

mod guest;

use driver_core::wire::{
    DisplayDef, Events, GetDisplayChangeRequest, GetDisplayChangeRequest2, GetDisplayChangeRequestEx,
    GetSeamlessChangeRequest, Request, Status, display, visible_region,
};
use guest::{Guest, bare, set_word, word};
use vmmdev::Hint;

const WANTED: Events = Events::DISPLAY_CHANGE;

fn multi(guest: &Guest, acknowledge: Events, capacity: u32) -> display::Displays {
    let (status, packet) = guest.ask_bytes(&display::multi_request(acknowledge, capacity));
    assert_eq!(status, Status::SUCCESS);
    display::parse_multi(&packet).expect("well-formed")
}

fn sizes(entries: &[DisplayDef]) -> Vec<(u32, u32, u32)> {
    entries.iter().map(|def| (def.id.get(), def.width.get(), def.height.get())).collect()
}

fn hint(guest: &Guest, hint: Hint) -> bool {
    guest.host.set_video_mode_hint(hint).expect("a display")
}

#[test]
fn reading_with_acknowledgement_consumes_what_is_pending() {
    let guest = Guest::wanting(WANTED);
    assert!(hint(&guest, Hint::new(0, 1280, 800)));
    guest.acknowledge();

    let first = multi(&guest, WANTED, 64);
    let second = multi(&guest, WANTED, 64);

    assert_eq!((first.announced, sizes(&first.entries)), (1, vec![(0, 1280, 800)]));
    assert_eq!((second.announced, second.entries.len()), (0, 0));
}

#[test]
fn an_entry_carries_every_field_with_its_flag() {
    let guest = Guest::wanting(WANTED);
    let wish = Hint { depth: Some(32), ..Hint::new(3, 1024, 768).at(-10, 20).primary() };
    hint(&guest, wish);

    let [entry] = multi(&guest, WANTED, 64).entries[..] else { panic!("one entry") };

    assert_eq!(entry.flags.get(), 0x3D);
    assert_eq!((entry.id.get(), entry.x.get(), entry.y.get()), (3, -10, 20));
    assert_eq!((entry.width.get(), entry.height.get()), (1024, 768));
    assert_eq!(entry.bits_per_pixel.get(), 32);
}

#[test]
fn several_hints_ring_once_and_arrive_in_order_of_ids() {
    let guest = Guest::wanting(WANTED);
    let hints = [Hint::new(2, 640, 480), Hint::off(1), Hint::new(0, 800, 600)];
    assert_eq!(guest.host.set_video_mode_hints(&hints), Ok(true));
    assert_eq!(guest.acknowledge(), 0x4);
    assert!(!guest.line());

    let read = multi(&guest, WANTED, 64);

    // Display 1 was off before anyone asked, so that is no news.
    assert_eq!(sizes(&read.entries), [(0, 800, 600), (2, 640, 480)]);
}

#[test]
fn a_hint_equal_to_the_last_read_does_not_ring_unless_forced() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    guest.acknowledge();
    multi(&guest, WANTED, 64);

    assert!(!hint(&guest, Hint::new(0, 800, 600)));
    assert!(!guest.line());

    assert_eq!(guest.host.force_video_mode_hints(&[Hint::new(0, 800, 600)]), Ok(true));
    assert!(guest.line());
}

#[test]
fn a_hint_that_was_never_read_rings_again() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    guest.acknowledge();

    assert!(hint(&guest, Hint::new(0, 800, 600)));
    assert!(guest.line());
}

#[test]
fn the_latest_hint_counts() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    multi(&guest, WANTED, 64);
    hint(&guest, Hint::new(0, 1024, 768));
    hint(&guest, Hint::new(0, 800, 600));

    assert_eq!(sizes(&multi(&guest, WANTED, 64).entries), [(0, 800, 600)]);
}

#[test]
fn more_pending_than_fits_is_announced_and_counts_as_read() {
    let guest = Guest::wanting(WANTED);
    let hints: Vec<Hint> = (0..5).map(|id| Hint::new(id, 640, 480)).collect();
    guest.host.set_video_mode_hints(&hints).expect("displays");

    let read = multi(&guest, WANTED, 2);

    assert_eq!(read.announced, 5);
    assert_eq!(sizes(&read.entries), [(0, 640, 480), (1, 640, 480)]);
    assert_eq!(multi(&guest, WANTED, 64).announced, 0);
}

#[test]
fn entries_that_are_not_filled_keep_the_guest_s_bytes() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    let mut packet = display::multi_request(WANTED, 2);
    packet[32..].fill(0xA5);

    let (_, answer) = guest.ask_bytes(&packet);

    assert_eq!(word(&answer, 28), 1);
    assert_eq!(answer[32 + 28..], [0xA5; 28]);
}

#[test]
fn looking_shows_what_is_wanted_until_the_guest_first_acknowledges() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(1, 800, 600));

    let looked = multi(&guest, Events::empty(), 2);

    assert_eq!(looked.announced, 2, "the count is left as the guest passed it");
    assert_eq!(sizes(&looked.entries), [(0, 0, 0), (1, 800, 600)]);
    assert_eq!(looked.entries[0].flags.get(), 2, "display 0 is off");
    assert_eq!(multi(&guest, WANTED, 64).announced, 1, "looking consumed nothing");
}

#[test]
fn looking_shows_what_was_read_from_then_on() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    multi(&guest, WANTED, 64);
    hint(&guest, Hint::new(0, 1024, 768));

    assert_eq!(sizes(&multi(&guest, Events::empty(), 1).entries), [(0, 800, 600)]);
}

#[test]
fn after_a_reset_what_was_read_before_is_news_again() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint::new(0, 800, 600));
    multi(&guest, WANTED, 64);

    guest.host.reset();

    assert!(hint(&guest, Hint::new(0, 800, 600)));
}

#[test]
fn request_80_reads_the_lowest_display_and_reminds_of_the_others() {
    let guest = Guest::wanting(WANTED);
    guest
        .host
        .set_video_mode_hints(&[Hint::new(1, 640, 480).at(800, 0), Hint::new(4, 320, 200)])
        .expect("displays");
    guest.acknowledge();
    let read = || {
        let mut request = GetDisplayChangeRequestEx::new();
        request.acknowledge = WANTED.bits().into();
        guest.ask(request).1
    };

    let first = read();
    assert_eq!((first.display.get(), first.width.get(), first.x.get()), (1, 640, 800));
    assert_eq!((first.enabled, first.change_origin), (1, 1));
    assert_eq!(guest.acknowledge(), 0x4, "display 4 is still pending");

    let second = read();
    assert_eq!((second.display.get(), second.height.get()), (4, 200));
    assert_eq!((second.enabled, second.change_origin), (1, 0));
    assert!(!guest.line());
}

#[test]
fn request_54_reports_unset_values_as_zero() {
    let guest = Guest::wanting(WANTED);
    hint(&guest, Hint { width: None, ..Hint::new(2, 0, 600) });
    let mut request = GetDisplayChangeRequest2::new();
    request.acknowledge = WANTED.bits().into();

    let (_, read) = guest.ask(request);

    assert_eq!(read.display.get(), 2);
    assert_eq!((read.width.get(), read.height.get(), read.bits_per_pixel.get()), (0, 600, 0));
}

#[test]
fn request_51_knows_display_0_alone() {
    let guest = Guest::wanting(WANTED);
    guest.host.set_video_mode_hints(&[Hint::new(0, 800, 600), Hint::new(1, 640, 480)]).expect("displays");
    let mut request = GetDisplayChangeRequest::new();
    request.acknowledge = WANTED.bits().into();

    let (_, read) = guest.ask(request);

    assert_eq!((read.width.get(), read.height.get()), (800, 600));
    assert_eq!(sizes(&multi(&guest, WANTED, 64).entries), [(1, 640, 480)]);
}

#[test]
fn a_capacity_outside_1_to_64_or_beyond_the_packet_is_refused() {
    let guest = Guest::wanting(WANTED);
    for capacity in [0, 3, 64, 65, u32::MAX] {
        let mut packet = display::multi_request(WANTED, 2);
        set_word(&mut packet, 28, capacity);
        assert_eq!(guest.ask_bytes(&packet).0, Status::INVALID_PARAMETER, "{capacity}");
    }
}

#[test]
fn a_display_beyond_63_does_not_exist() {
    let guest = Guest::wanting(WANTED);
    let error = guest.host.set_video_mode_hint(Hint::new(64, 1, 1)).expect_err("no such display");
    assert_eq!(error.to_string(), "Display 64 does not exist: ids are 0 to 63");
    assert!(!guest.line());
}

#[test]
fn monitor_positions_are_kept() {
    let guest = Guest::reported();
    let positions = [(0, 0), (-1, -1), (1280, -20)];
    assert_eq!(guest.ask_bytes(&display::positions_request(&positions)).0, Status::SUCCESS);
    assert_eq!(guest.host.guest().monitor_positions, positions);
}

#[test]
fn a_visible_region_may_be_empty_and_must_match_its_count() {
    let guest = Guest::reported();
    let region = |rects: &[visible_region::Rect]| visible_region::request(rects).expect("fits");
    assert_eq!(guest.ask_bytes(&region(&[])).0, Status::SUCCESS);
    assert_eq!(guest.host.guest().visible_region, Some(vec![]));

    let mut packet = region(&[visible_region::Rect::new(1, 2, 3, 4)]);
    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);
    set_word(&mut packet, 24, 2);
    assert_eq!(guest.ask_bytes(&packet).0, Status::INVALID_PARAMETER);

    let kept = guest.host.guest().visible_region.expect("a region");
    assert_eq!((kept.len(), kept[0].right), (1, 3));
}

#[test]
fn seamless_mode_rings_until_the_guest_acknowledges_it() {
    let guest = Guest::wanting(Events::SEAMLESS_MODE_CHANGE);
    let read = |acknowledge: Events| {
        let mut request = GetSeamlessChangeRequest::new();
        request.mode = u32::MAX.into();
        request.acknowledge = acknowledge.bits().into();
        guest.ask(request).1.mode.get()
    };
    assert!(!guest.host.set_seamless(false), "off is what the guest knows");

    assert!(guest.host.set_seamless(true));
    assert_eq!(read(Events::empty()), 1);
    assert!(guest.host.set_seamless(true), "it was not acknowledged");
    assert_eq!(read(Events::SEAMLESS_MODE_CHANGE), 1);
    assert!(!guest.host.set_seamless(true));
    assert!(guest.host.set_seamless(false));
    assert_eq!(read(Events::SEAMLESS_MODE_CHANGE), 0);
}

#[test]
fn modes_are_supported_within_the_host_s_extent() {
    let guest = Guest::reported();
    for (display, width, supported) in [(0, 1280, 1), (63, 16_384, 1), (64, 1280, 0), (0, 0, 0)] {
        let mut packet = bare(57, 44);
        for (offset, value) in [(24, display), (28, width), (32, 768), (36, 32)] {
            set_word(&mut packet, offset, value);
        }
        assert_eq!(guest.ask_bytes(&packet).1[40], supported, "{display} {width}");
    }
}

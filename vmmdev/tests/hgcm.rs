//! HGCM itself: connections, parameters of every form, answers now and later, and guests that err.

mod guest;

use driver_core::pci::Bus;
use driver_core::wire::{Events, GetHostVersion, HostFeatures, Request, Status};
use guest::hgcm::{Form, Give};
use guest::{Guest, SOON, bare, set_word, word};
use vmmdev::{ClientClass, Fault, HgcmFault, HgcmService, Times};

const PROPERTIES: &str = "VBoxGuestPropSvc";
const GET: u32 = 1;
const SET: u32 = 3;
const WAIT: u32 = 6;

fn set(guest: &Guest, client: u32, name: &str, value: &str) {
    let [name, value] = [name, value].map(|text| format!("{text}\0"));
    let answer = guest.call(client, SET, &[Give::In(name.as_bytes()), Give::In(value.as_bytes())]);
    assert_eq!(answer.status, Status::SUCCESS);
}

/// The parameters of a call that waits for a change of `/a`.
const WAITING: [Give<'static>; 4] = [Give::In(b"/a\0"), Give::U64(0), Give::Out(2147), Give::U32(0)];

#[test]
fn clients_are_numbered_and_gone_after_their_end() {
    let guest = Guest::reported();
    let [first, second] = [(); 2].map(|()| guest.client(PROPERTIES));
    assert!(first != 0 && second != first);

    assert_eq!(guest.disconnect(first), Status::SUCCESS);
    assert_eq!(guest.disconnect(first), Status::HGCM_INVALID_CLIENT_ID);
    assert_eq!(guest.call(first, GET, &[]).status, Status::HGCM_INVALID_CLIENT_ID);
    assert_eq!(guest.connect("VBoxNoSuchSvc").0, Status::HGCM_SERVICE_NOT_FOUND);
    let clients = guest.host.hgcm_clients();
    assert_eq!(clients.len(), 1);
    assert_eq!((clients[0].client, clients[0].service), (second, PROPERTIES));
}

#[test]
fn a_location_that_is_not_this_host_is_refused() {
    let guest = Guest::reported();
    for (location, status) in [(1, 0), (2, 0), (0, -2), (3, -2)] {
        let mut request = driver_core::wire::HgcmConnect::new();
        request.location = location.into();
        request.name[..PROPERTIES.len()].copy_from_slice(PROPERTIES.as_bytes());
        assert_eq!(guest.ask(request).0, Status(status), "{location}");
    }
}

#[test]
fn each_class_of_users_has_its_number_of_clients_and_calls() {
    let guest = Guest::frank();
    guest.host.configure(|settings| settings.lowered_limits = false);
    for (requestor, class, clients) in
        [(0x2, ClientClass::Kernel, 2048), (0x8B, ClientClass::Root, 1024), (0x800E, ClientClass::User, 1024)]
    {
        for _ in 0..clients {
            assert_eq!(guest.connect_as(PROPERTIES, requestor).0, Status::SUCCESS);
        }
        assert_eq!(guest.connect_as(PROPERTIES, requestor).0, Status::HGCM_TOO_MANY_CLIENTS);
        let of_class = guest.host.hgcm_clients().iter().filter(|client| client.class == class).count();
        assert_eq!(of_class, clients);
    }
}

#[test]
fn a_guest_that_never_promised_to_tell_is_a_kernel() {
    let guest = Guest::reported();
    guest.connect_as(PROPERTIES, 0x800E);
    assert_eq!(guest.host.hgcm_clients()[0].class, ClientClass::Kernel);
}

#[test]
fn sixteen_calls_of_a_client_may_be_under_way() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    for slot in 1..=16 {
        let pattern = format!("/{slot}\0");
        guest.wait(slot, client, WAIT, &[Give::In(pattern.as_bytes()), WAITING[1], WAITING[2], WAITING[3]]);
    }

    assert_eq!(guest.make(17, client, GET, &[]).rc, Status::HGCM_TOO_MANY_CLIENT_CALLS);
    assert_eq!(guest.host.hgcm_clients()[0].waiting, [WAIT; 16]);
}

#[test]
fn every_form_of_buffer_carries_data_both_ways() {
    let guest = Guest::reported();
    let features = HostFeatures::from_bits_retain(guest.ask(GetHostVersion::new()).1.features.get());
    assert!(features.contains(HostFeatures::all()), "what is tried here is announced");
    let client = guest.client(PROPERTIES);
    let value = "x".repeat(1000);
    let set = [value.as_bytes(), b"\0"].concat();
    for form in [Form::PageList, Form::Contiguous, Form::NoBounce, Form::Embedded] {
        let made = guest.make_in(form, 1, client, SET, &[Give::In(b"/a\0"), Give::In(&set)]);
        assert_eq!(guest.answer(&made).expect("done").status, Status::SUCCESS, "{form:?}");

        let get = [Give::In(b"/a\0"), Give::Both(b"before", 6000), Give::U64(0), Give::U32(0)];
        let made = guest.make_in(form, 2, client, GET, &get);
        let answer = guest.answer(&made).expect("done");

        assert_eq!((answer.status, answer.u32(3)), (Status::SUCCESS, 1002), "{form:?}");
        assert_eq!(answer.bytes(1, 1001), set, "{form:?}");
        assert_eq!(answer.parameters[1].bytes().len(), 6000);
        assert_eq!(answer.parameters[0].bytes(), b"/a\0", "{form:?}");
    }
}

#[test]
fn a_call_of_32_bits_has_shorter_parameters() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    set(&guest, client, "/a", "b");
    // Four parameters of 12 bytes; the embedded name and data follow at 92.
    let mut packet = bare(62, 92 + 3 + 5);
    for (offset, value) in [(32, client), (36, GET), (40, 4)] {
        set_word(&mut packet, offset, value);
    }
    let parameters = [(11, 3, 92 << 8 | 1), (11, 5, 95 << 8 | 2), (2, 0, 0), (1, 0, 0)];
    for (index, (kind, low, high)) in parameters.into_iter().enumerate() {
        for (place, value) in [kind, low, high].into_iter().enumerate() {
            set_word(&mut packet, 44 + 12 * index + 4 * place, value);
        }
    }
    packet[92..95].copy_from_slice(b"/a\0");

    let (rc, answer) = guest.ask_bytes(&packet);

    assert_eq!((rc, word(&answer, 28)), (Status::SUCCESS, 0));
    assert_eq!(&answer[95..], b"b\0\0\0\0");
    assert_eq!(word(&answer, 44 + 36 + 4), 3, "the size that was needed");
    let kinds: Vec<u32> = (0..4).map(|index| word(&answer, 44 + 12 * index)).collect();
    assert_eq!(kinds, [11, 11, 2, 1]);
}

#[test]
fn a_buffer_that_only_goes_to_the_host_is_not_written() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    set(&guest, client, "/a", "value");

    let answer =
        guest.call(client, GET, &[Give::In(b"/a\0"), Give::In(b"untouched"), Give::U64(0), Give::U32(0)]);

    assert_eq!((answer.status, answer.u32(3)), (Status::SUCCESS, 7));
    assert_eq!(answer.parameters[1].bytes(), b"untouched");
}

#[test]
fn a_call_that_waits_is_answered_later_and_an_event_says_so() {
    let guest = Guest::wanting(Events::DISPLAY_CHANGE);
    let client = guest.client(PROPERTIES);
    let made = guest.wait(2, client, WAIT, &WAITING);
    assert!(guest.answer(&made).is_none() && !guest.line());

    set(&guest, client, "/a", "1");

    assert!(guest.line());
    assert_eq!(guest.acknowledge(), Events::HGCM.bits());
    let answer = guest.answer(&made).expect("done");
    assert_eq!(answer.status, Status::SUCCESS);
    assert_eq!(answer.bytes(2, answer.u32(3)), b"/a\x001\0\x000\0");
}

#[test]
fn a_change_at_the_host_answers_a_call_without_the_guest_s_doing() {
    let guest = Guest::reported();
    let made = guest.wait(2, guest.client(PROPERTIES), WAIT, &WAITING);

    guest.host.set_property("/a", "1", "").expect("a property");

    assert!(guest.line());
    assert!(guest.answer(&made).is_some());
}

#[test]
fn a_host_and_a_guest_in_two_threads_do_not_block_each_other() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for round in 0_u64.. {
                guest.host.set_property("/a", &round.to_string(), "").expect("a property");
                guest.host.hgcm_clients();
                if done.load(order) {
                    break;
                }
            }
        });
        let mut answered = 0;
        for round in 0..500 {
            let made = guest.wait(2, client, WAIT, &WAITING);
            if round % 5 == 0 && guest.cancel(&made) == Status::SUCCESS {
                continue;
            }
            while guest.answer(&made).is_none() {
                guest.bus.wait_interrupt(Some(SOON));
                guest.acknowledge();
            }
            answered += 1;
        }
        done.store(true, order);
        assert!(answered >= 400);
    });
}

#[test]
fn a_cancelled_call_is_never_answered() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let made = guest.wait(2, client, WAIT, &WAITING);

    assert_eq!(guest.cancel(&made), Status::SUCCESS);
    assert_eq!(guest.cancel(&made), Status::NOT_FOUND);
    guest.bus.dma_write(made.address, &[0xEE; 200]).expect("inside memory");
    set(&guest, client, "/a", "1");

    assert_eq!(guest.word_at(made.address + 24), 0xEEEE_EEEE);
    assert!(!guest.line());
    assert!(guest.host.hgcm_clients()[0].waiting.is_empty());
}

#[test]
fn calls_are_cancelled_by_each_of_the_three_requests() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let wait = || guest.wait(2, client, WAIT, &WAITING);

    let made = wait();
    let mut packet = bare(65, 32);
    packet[24..32].copy_from_slice(&u64::from(made.address).to_le_bytes());
    assert_eq!(guest.ask_bytes(&packet).0, Status::SUCCESS);
    packet[28] = 1;
    assert_eq!(guest.ask_bytes(&packet).0, Status::NOT_FOUND, "beyond 4 GiB");

    // The old request stands where the call stands.
    let made = wait();
    assert_eq!(guest.ring(made.address, &bare(64, 32)), Status::SUCCESS);
    assert_eq!(guest.ring(made.address, &bare(64, 32)), Status::NOT_FOUND);

    assert_eq!(guest.cancel(&wait()), Status::SUCCESS);
    for address in [0, u32::MAX] {
        let mut packet = bare(65, 28);
        set_word(&mut packet, 24, address);
        assert_eq!(guest.ask_bytes(&packet).0, Status::INVALID_PARAMETER);
    }
}

#[test]
fn disconnecting_answers_the_calls_that_wait() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let made = guest.wait(2, client, WAIT, &WAITING);

    guest.disconnect(client);

    assert_eq!(guest.answer(&made).expect("done").status, Status::INTERRUPTED);
}

#[test]
fn a_reset_forgets_clients_and_calls_and_writes_nothing() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let made = guest.wait(2, client, WAIT, &WAITING);

    guest.host.reset();
    guest.host.set_property("/a", "1", "").expect("a property");

    assert!(guest.answer(&made).is_none());
    assert!(guest.host.hgcm_clients().is_empty());
    guest.ask(guest::report_guest_info(0x10004));
    assert_eq!(guest.call(client, GET, &[]).status, Status::HGCM_INVALID_CLIENT_ID);
}

#[test]
fn connections_and_calls_go_on_over_a_restore() {
    let guest = Guest::reported();
    let saved = guest.host.save();
    let client = guest.client(PROPERTIES);
    let made = guest.wait(2, client, WAIT, &WAITING);

    // It was saved before the guest wanted to hear of calls.
    guest.host.restore(&saved);

    assert!(guest.answer(&made).is_none());
    guest.host.set_property("/a", "1", "").expect("a property");
    assert!(guest.answer(&made).is_some() && guest.line());
}

/// A sound call with one buffer, to be spoilt: the parameter stands at 44, its page list at 60.
fn with_page_list(client: u32) -> Vec<u8> {
    let mut packet = bare(63, 60 + 8 + 16);
    for (offset, value) in
        [(32, client), (36, 4), (40, 1), (44, 10), (48, 3), (52, 60), (60, 1), (64, 2 << 16), (68, 0x14_0000)]
    {
        set_word(&mut packet, offset, value);
    }
    set_word(&mut packet, 76, 0x14_0000);
    packet
}

#[test]
fn parameters_that_make_no_sense_are_refused() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    guest.bus.dma_write(0x14_0000, b"/a\0").expect("inside memory");
    assert_eq!(guest.ask_bytes(&with_page_list(client)).0, Status::SUCCESS, "pages may be the same");
    let invalid = Status::INVALID_PARAMETER;
    for (offset, value, expected) in [
        // The count.
        (40, 2, invalid),
        (40, 3, invalid),
        (40, 33, invalid),
        (40, u32::MAX, invalid),
        // The type.
        (44, 0, invalid),
        (44, 3, invalid),
        (44, 4, invalid),
        (44, 7, invalid),
        (44, 14, invalid),
        (44, u32::MAX, invalid),
        // Contiguous with two pages, and not copied with one too many.
        (44, 12, invalid),
        (44, 13, invalid),
        // The size against the pages, and against what a call may have.
        (48, 0x2001, invalid),
        (48, (128 << 20) + 1, invalid),
        (48, u32::MAX, invalid),
        // Where the list is: in the parameters, before them, too near the end, and nowhere.
        (52, 59, invalid),
        (52, 0, invalid),
        (52, 80, invalid),
        (52, u32::MAX, invalid),
        // Its directions.
        (60, 0, Status::INVALID_FLAGS),
        (60, 4, Status::INVALID_FLAGS),
        (60, u32::MAX, Status::INVALID_FLAGS),
        // The offset in the first page, and the count of pages.
        (64, 2 << 16 | 0x1000, invalid),
        (64, 2 << 16 | 0xFFFF, invalid),
        (64, 0, invalid),
        (64, 3 << 16, invalid),
        (64, 0xFFFF << 16, invalid),
        // The pages.
        (68, 0x14_0001, Status::INVALID_POINTER),
        (68, 0, Status::INVALID_POINTER),
        (72, 0x1000, Status::INVALID_POINTER),
        (72, u32::MAX, Status::INVALID_POINTER),
    ] {
        let mut packet = with_page_list(client);
        set_word(&mut packet, offset, value);
        let (rc, answer) = guest.ask_bytes(&packet);
        assert_eq!((rc, word(&answer, 28) as i32), (expected, expected.0), "{value:#x} at {offset}");
        assert_eq!(word(&answer, 24), 1, "done");
    }
}

#[test]
fn embedded_buffers_stay_inside_their_request() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let ask = |size: u32, place: u32| {
        let mut packet = bare(63, 64);
        for (offset, value) in [(32, client), (36, 4), (40, 1), (44, 11), (48, size), (52, place)] {
            set_word(&mut packet, offset, value);
        }
        packet[60..63].copy_from_slice(b"/a\0");
        guest.ask_bytes(&packet).0
    };
    assert_eq!(ask(3, 60 << 8 | 1), Status::SUCCESS);
    for (size, place) in [(3, 59 << 8 | 1), (5, 60 << 8 | 1), (3, 62 << 8 | 1), (u32::MAX, 60 << 8 | 1)] {
        assert_eq!(ask(size, place), Status::INVALID_PARAMETER, "{size} at {place:#x}");
    }
    assert_eq!(ask(3, 0xFFFF_FF01), Status::INVALID_PARAMETER);
    for flags in [0, 4, 0xFF] {
        assert_eq!(ask(3, 60 << 8 | flags), Status::INVALID_FLAGS);
    }
}

#[test]
fn a_call_has_128_mib_of_data_at_most() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    // Contiguous pages, which only have to be memory when something is written.
    let ask = |sizes: [u32; 2]| {
        let mut packet = bare(63, 76 + 2 * 16);
        for (offset, value) in [(32, client), (36, 99), (40, 2)] {
            set_word(&mut packet, offset, value);
        }
        for (index, size) in sizes.into_iter().enumerate() {
            let (entry, list) = (44 + 16 * index, 76 + 16 * index);
            for (offset, value) in [(entry, 12), (entry + 4, size), (entry + 8, list as u32)] {
                set_word(&mut packet, offset, value);
            }
            for (offset, value) in [(list, 2), (list + 4, 1 << 16), (list + 8, 0x14_0000)] {
                set_word(&mut packet, offset, value);
            }
        }
        let (rc, answer) = guest.ask_bytes(&packet);
        (rc, Status(word(&answer, 28) as i32))
    };
    assert_eq!(ask([64 << 20, 64 << 20]), (Status::SUCCESS, Status::NOT_IMPLEMENTED));
    assert_eq!(ask([64 << 20, (64 << 20) + 1]).0, Status::NO_MEMORY);
}

#[test]
fn what_cannot_be_written_is_an_invalid_pointer_and_the_rest_is_said() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    set(&guest, client, "/a", "1");
    let mut packet = bare(63, 108 + 16 + 3);
    for (offset, value) in [
        (32, client),
        (36, GET),
        (40, 4),
        (44, 11),
        (48, 3),
        (52, 124 << 8 | 1),
        (60, 10),
        (64, 100),
        (68, 108),
        (76, 2),
        (92, 1),
        (108, 2),
        (112, 1 << 16),
    ] {
        set_word(&mut packet, offset, value);
    }
    // The page that stands at 116 is beyond 4 GiB, where no memory is.
    set_word(&mut packet, 120, 1);
    packet[124..].copy_from_slice(b"/a\0");

    let (rc, answer) = guest.ask_bytes(&packet);

    assert_eq!((rc, Status(word(&answer, 28) as i32)), (Status::SUCCESS, Status::INVALID_POINTER));
}

fn of_any_function(fault: HgcmFault) -> Fault {
    Fault::Hgcm { function: None, fault }
}

#[test]
fn one_function_of_a_service_is_answered_as_wanted() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let fault = Fault::Hgcm {
        function: Some((HgcmService::Properties, GET)),
        fault: HgcmFault::Answer(Status::TRY_AGAIN),
    };
    guest.host.inject(driver_core::wire::RequestType::HGCM_CALL_64, fault, Times::Always);

    set(&guest, client, "/a", "1");

    assert_eq!(guest.call(client, GET, &[Give::U32(7)]).status, Status::TRY_AGAIN);
    guest.host.clear_faults();
    assert_eq!(guest.call(client, GET, &[Give::U32(7)]).status, Status::INVALID_PARAMETER);
}

#[test]
fn a_call_is_answered_twice() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let fault = of_any_function(HgcmFault::Twice);
    guest.host.inject(driver_core::wire::RequestType::HGCM_CALL_64, fault, Times::Next(1));
    let made = guest.wait(2, client, WAIT, &WAITING);
    set(&guest, client, "/a", "1");
    assert!(guest.answer(&made).is_some());
    guest.bus.dma_write(made.address, &[0; 200]).expect("inside memory");

    guest.acknowledge();

    assert_eq!(guest.word_at(made.address + 24), 1);
    assert!(guest.line());
}

#[test]
fn a_call_is_answered_after_it_was_cancelled_or_not_at_all() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    for (fault, late) in [(HgcmFault::AfterCancel, true), (HgcmFault::Never, false)] {
        let kind = driver_core::wire::RequestType::HGCM_CALL_64;
        guest.host.inject(kind, of_any_function(fault), Times::Next(1));
        let made = guest.wait(2, client, GET, &[Give::U32(0)]);
        assert!(guest.answer(&made).is_none(), "{fault:?}");

        assert_eq!(guest.cancel(&made), Status::SUCCESS);

        assert_eq!(guest.answer(&made).is_some(), late, "{fault:?}");
    }
}

#[test]
fn a_buffer_is_said_to_be_larger_than_its_room() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    set(&guest, client, "/a", "1");
    let kind = driver_core::wire::RequestType::HGCM_CALL_64;
    guest.host.inject(kind, of_any_function(HgcmFault::Oversize), Times::Next(1));

    let made = guest.wait(2, client, GET, &[Give::In(b"/a\0"), Give::Out(10), Give::U64(0), Give::U32(0)]);

    let answer = guest.answer(&made).expect("done");
    let guest::hgcm::Got::Bytes(told, bytes) = &answer.parameters[1] else { panic!("a buffer") };
    assert_eq!((*told, bytes.as_slice()), (10 + 4096, &b"1\0\0\0\0\0\0\0\0\0"[..]));
}

#[test]
fn an_unterminated_answer_has_no_zero_that_the_service_sent() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    set(&guest, client, "/a", "1");
    let kind = driver_core::wire::RequestType::HGCM_CALL_64;
    guest.host.inject(kind, of_any_function(HgcmFault::Unterminated), Times::Next(1));

    let made = guest.wait(2, client, GET, &[Give::In(b"/a\0"), Give::Out(10), Give::U64(0), Give::U32(0)]);

    let answer = guest.answer(&made).expect("done");
    let guest::hgcm::Got::Bytes(_, bytes) = &answer.parameters[1] else { panic!("a buffer") };
    assert!(bytes.starts_with(b"1x"), "{bytes:?}");
}

#[test]
fn a_host_that_babbles_succeeds_with_values_of_its_own() {
    let guest = Guest::reported();
    let client = guest.client(PROPERTIES);
    let kind = driver_core::wire::RequestType::HGCM_CALL_64;
    let fault = HgcmFault::Babble(0x1_0000_03e7);
    guest.host.inject(kind, of_any_function(fault), Times::Next(1));

    let answer = guest.call(client, GET, &[Give::In(b"/none\0"), Give::Out(10), Give::U64(1), Give::U32(2)]);

    assert_eq!(answer.status, Status::SUCCESS);
    let guest::hgcm::Got::U64(wide) = &answer.parameters[2] else { panic!("a value") };
    let guest::hgcm::Got::U32(narrow) = &answer.parameters[3] else { panic!("a value") };
    assert_eq!((*wide, *narrow), (0x1_0000_03e7, 999));
}

#[test]
fn a_service_that_vanishes_takes_its_clients_along() {
    let guest = Guest::reported();
    let [one, other] = [(); 2].map(|()| guest.client(PROPERTIES));
    let made = guest.wait(2, one, WAIT, &WAITING);
    let kind = driver_core::wire::RequestType::HGCM_CALL_64;
    guest.host.inject(kind, of_any_function(HgcmFault::Vanish), Times::Next(1));

    assert_eq!(guest.call(other, GET, &[]).status, Status::HGCM_INVALID_CLIENT_ID);

    assert_eq!(guest.answer(&made).expect("done").status, Status::HGCM_INVALID_CLIENT_ID);
    assert_eq!(guest.call(one, GET, &[]).status, Status::HGCM_INVALID_CLIENT_ID);
    let again = guest.client(PROPERTIES);
    let made = guest.wait(2, again, WAIT, &WAITING);
    guest.host.drop_service(HgcmService::Properties);
    assert_eq!(guest.answer(&made).expect("done").status, Status::HGCM_INVALID_CLIENT_ID);
}

//! The whole driver over a fake of the kernel's.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use zerocopy::IntoBytes;

use super::fake::{ACQUIRE, CONNECT, FILTER, Fake, INTERRUPT, SET, Step, VERSION, WAIT, put, word};
use super::{OpenError, VboxGuest};
use crate::requests;
use crate::wire::visible_region::Rect;
use crate::wire::{
    Capabilities, Events, GetHostTime, ReportGuestStats, Request, RequestHeader, RequestType, SeamlessMode,
    Status,
};
use crate::{Canceller, CapabilityState, Driver, HgcmClient, HgcmParameter, Wake};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn open(fake: &Fake) -> Result<VboxGuest, OpenError> {
    VboxGuest::over(Box::new(fake.clone()), PathBuf::from("/dev/vboxguest"))
}

/// An open driver, with what it took to open it forgotten.
fn driver() -> (Fake, VboxGuest) {
    let fake = Fake::default();
    let driver = open(&fake).expect("it opens");
    fake.steps();
    (fake, driver)
}

fn ioctl(session: u32, number: u32, words: &[u32]) -> Step {
    Step::Ioctl(session, number, words.to_vec())
}

fn version(session: u32) -> [Step; 2] {
    [Step::Opened(session), ioctl(session, VERSION, &[0x1_0000, 0x1_0000, 0, 0])]
}

#[test]
fn opening_agrees_on_the_version_first_and_describes_the_driver() {
    let fake = Fake::default();
    let driver = open(&fake).expect("it opens");

    assert_eq!(fake.steps(), version(1));
    assert_eq!(driver.describe(), "the kernel's vboxguest driver, interface 1.0 r127566, by /dev/vboxguest");
    drop(driver);
    assert_eq!(fake.steps(), [Step::Closed(1)]);
}

#[test]
fn what_cannot_be_opened_says_what_to_do() {
    let cases = [
        (Errno::ENOENT, "modprobe vboxguest"),
        (Errno::ENXIO, "modprobe vboxguest"),
        (Errno::EACCES, "udev rule"),
        (Errno::EIO, "dmesg"),
    ];
    for (errno, remedy) in cases {
        let fake = Fake::default();
        fake.refuse_to_open(Some(errno));
        let text = open(&fake).err().expect("it does not open").to_string();
        assert!(text.contains(remedy) && text.contains("/dev/vboxguest"), "{errno}: {text}");
    }
}

#[test]
fn a_path_to_anything_else_is_not_a_device() {
    let fake = Fake::default();
    fake.answer(VERSION, |_| Err(Errno::ENOTTY));
    assert!(matches!(open(&fake), Err(OpenError::NotADevice { .. })));

    assert!(matches!(VboxGuest::open("/dev/null"), Err(OpenError::NotADevice { .. })));
    assert!(matches!(VboxGuest::open("/nonexistent/vboxguest"), Err(OpenError::NoDevice { .. })));
}

#[test]
fn a_driver_of_another_version_is_named_with_its_version() {
    let fake = Fake::default();
    fake.answer(VERSION, |buffer| {
        put(buffer, 12, -11_i32 as u32);
        put(buffer, 24, u32::MAX);
        put(buffer, 28, 0x0002_0003);
        Ok(())
    });

    match open(&fake) {
        Err(OpenError::WrongDriver { version, .. }) => assert_eq!(version.to_string(), "2.3"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn adding_wins_over_removing_although_the_driver_has_it_the_other_way() {
    let (fake, driver) = driver();

    driver.change_filter(Events::VRDP, Events::all()).expect("a filter");
    driver.change_capabilities(Capabilities::GRAPHICS, Capabilities::all()).expect("a capability");
    driver.acquire_capabilities(Capabilities::SEAMLESS, Capabilities::all()).expect("it is free");

    let mut expected = vec![ioctl(1, FILTER, &[0x100, 0x6FF]), ioctl(1, SET, &[4, 3])];
    expected.extend(version(2));
    expected.push(ioctl(2, ACQUIRE, &[0, 1, 6]));
    assert_eq!(fake.steps(), expected);
}

#[test]
fn bits_without_a_meaning_never_reach_the_driver() {
    let (fake, driver) = driver();

    let filter = driver.change_filter(Events::from_bits_retain(0x800), Events::empty());
    let set = driver.change_capabilities(Capabilities::from_bits_retain(8), Capabilities::empty()).map(drop);
    let acquired = driver.acquire_capabilities(Capabilities::empty(), Capabilities::from_bits_retain(8));

    for outcome in [filter, set, acquired] {
        assert_eq!(outcome.expect_err("unknown").status, Status::INVALID_PARAMETER);
    }
    assert_eq!(fake.steps(), []);
}

#[test]
fn a_capability_that_is_acquired_elsewhere_is_busy_and_not_recorded() {
    let (fake, driver) = driver();
    fake.answer(ACQUIRE, |_| Err(Errno::EBUSY));
    let error = driver.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty());
    assert_eq!(error.expect_err("busy").status, Status::RESOURCE_BUSY);

    fake.answer(SET, |buffer| {
        put(buffer, 24, 1);
        put(buffer, 28, 5);
        Ok(())
    });
    let state = driver.change_capabilities(Capabilities::SEAMLESS, Capabilities::empty()).expect("free");
    assert_eq!(
        state,
        CapabilityState {
            session: Capabilities::SEAMLESS,
            global: Capabilities::SEAMLESS | Capabilities::GRAPHICS
        }
    );
}

#[test]
fn a_wait_takes_the_bits_that_are_pending() {
    let (fake, driver) = driver();
    fake.answer(WAIT, |buffer| {
        put(buffer, 24, 0x14);
        Ok(())
    });

    let woken = driver.wait(Events::all(), None).expect("a wait");

    assert_eq!(woken, Wake::Events(Events::DISPLAY_CHANGE | Events::RESTORED));
    assert_eq!(fake.steps().last(), Some(&ioctl(2, WAIT, &[0xFFFF_FFFF, 0x7FF])));
}

#[test]
fn a_zero_time_out_polls_once() {
    let (fake, driver) = driver();

    assert_eq!(driver.wait(Events::VRDP, NOW).expect("a wait"), Wake::TimedOut);

    let mut expected = version(2).to_vec();
    expected.push(ioctl(2, WAIT, &[0, 0x100]));
    assert_eq!(fake.steps(), expected);
}

#[test]
fn a_time_out_longer_than_the_kernel_counts_is_clamped_and_continued() {
    let (fake, driver) = driver();
    let calls = AtomicU32::new(0);
    fake.answer(WAIT, move |buffer| {
        if calls.fetch_add(1, Ordering::Relaxed) < 2 {
            return Err(Errno::ETIMEDOUT);
        }
        put(buffer, 24, 0x100);
        Ok(())
    });

    let woken = driver.wait(Events::VRDP, Some(Duration::from_secs(365 * 86400))).expect("a wait");

    assert_eq!(woken, Wake::Events(Events::VRDP));
    assert_eq!(fake.steps()[2..], vec![ioctl(2, WAIT, &[0x7FFF_FFFF, 0x100]); 3]);
}

#[test]
fn a_signal_does_not_end_a_wait() {
    let (fake, driver) = driver();
    let calls = AtomicU32::new(0);
    fake.answer(WAIT, move |buffer| {
        if calls.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err(Errno::EINTR);
        }
        put(buffer, 24, 0x100);
        Ok(())
    });

    assert_eq!(driver.wait(Events::VRDP, None).expect("a wait"), Wake::Events(Events::VRDP));
}

#[test]
fn a_cancel_that_finds_no_wait_is_kept_for_the_next_and_costs_no_session() {
    let (fake, driver) = driver();

    driver.cancel_waits();
    assert_eq!(driver.wait(Events::VRDP, NOW).expect("a wait"), Wake::Cancelled);
    assert_eq!(fake.steps(), []);

    assert_eq!(driver.wait(Events::VRDP, NOW).expect("a wait"), Wake::TimedOut);
}

#[test]
fn a_cancelled_wait_gives_up_its_session_and_the_next_acquires_again_in_another() {
    let (fake, driver) = driver();
    let driver = Arc::new(driver);
    driver.change_filter(Events::DISPLAY_CHANGE, Events::empty()).expect("a filter");
    driver.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    fake.steps();
    let waiter = std::thread::spawn({
        let driver = driver.clone();
        move || driver.wait(Events::DISPLAY_CHANGE, None)
    });
    fake.until_blocked();

    driver.cancel_waits();
    assert_eq!(waiter.join().expect("no panic").expect("a wait"), Wake::Cancelled);
    assert_eq!(driver.wait(Events::DISPLAY_CHANGE, NOW).expect("a wait"), Wake::TimedOut);

    // The old session is closed before the capability is acquired again, or it would be taken; the
    // session with the filter was never touched.
    let mut expected = vec![ioctl(2, WAIT, &[0xFFFF_FFFF, 4]), ioctl(2, INTERRUPT, &[]), Step::Closed(2)];
    expected.extend(version(3));
    expected.extend([ioctl(3, ACQUIRE, &[0, 4, 0]), ioctl(3, WAIT, &[0, 4])]);
    assert_eq!(fake.steps(), expected);
}

#[test]
fn a_capability_that_was_snatched_away_in_between_does_not_keep_other_events_back() {
    let (fake, driver) = driver();
    driver.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    // The session comes to its end by the other way, which needs no second thread.
    fake.answer(WAIT, |_| Err(Errno::ENODEV));
    driver.wait(Events::VRDP, None).expect_err("it is gone");
    fake.answer(ACQUIRE, |_| Err(Errno::EBUSY));
    fake.answer(WAIT, |buffer| {
        put(buffer, 24, 0x100);
        Ok(())
    });

    assert_eq!(driver.wait(Events::VRDP, None).expect("a wait"), Wake::Events(Events::VRDP));
}

#[test]
fn events_that_came_before_a_cancel_are_delivered_and_the_cancel_after_them() {
    let (fake, driver) = driver();
    let driver = Arc::new(driver);
    fake.answer(WAIT, {
        let driver = Arc::downgrade(&driver);
        move |buffer| {
            // The driver has the bits already, when the cancel comes.
            put(buffer, 24, 0x100);
            driver.upgrade().expect("it waits").cancel_waits();
            Ok(())
        }
    });

    assert_eq!(driver.wait(Events::VRDP, None).expect("a wait"), Wake::Events(Events::VRDP));
    assert_eq!(driver.wait(Events::VRDP, None).expect("a wait"), Wake::Cancelled);
}

#[test]
fn every_wait_under_way_is_cancelled() {
    let (fake, driver) = driver();
    let driver = Arc::new(driver);
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let driver = driver.clone();
            std::thread::spawn(move || driver.wait(Events::VRDP, None))
        })
        .collect();
    fake.until_blocked();

    // Some may only be on their way: they are cancelled by one of those to come.
    while !waiters.iter().all(std::thread::JoinHandle::is_finished) {
        driver.cancel_waits();
        std::thread::yield_now();
    }
    for waiter in waiters {
        assert_eq!(waiter.join().expect("no panic").expect("a wait"), Wake::Cancelled);
    }
}

#[test]
fn a_device_that_is_gone_is_opened_again_with_filter_and_capabilities() {
    let (fake, driver) = driver();
    driver.change_filter(Events::VRDP | Events::RESTORED, Events::empty()).expect("a filter");
    driver.change_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("a capability");
    fake.answer(0xC020_5602, |_| Err(Errno::ENODEV));

    let error = requests::host_time(&driver).expect_err("it is gone");
    assert_eq!(error.status, Status::INVALID_STATE);
    assert!(error.to_string().contains("the device is gone"), "{error}");

    fake.refuse_to_open(Some(Errno::ENOENT));
    let error = requests::host_time(&driver).expect_err("it is still gone");
    assert!(error.to_string().contains("modprobe vboxguest"), "{error}");

    fake.refuse_to_open(None);
    fake.forget(0xC020_5602);
    fake.steps();
    requests::host_time(&driver).expect("it came back");
    let mut expected = version(2).to_vec();
    expected.extend([ioctl(2, FILTER, &[0x110, 0]), ioctl(2, SET, &[4, 0]), ioctl(2, 0xC020_5602, &[0, 0])]);
    assert_eq!(fake.steps(), expected);
}

#[test]
fn a_wait_on_a_device_that_is_gone_fails_and_the_next_opens_it_again() {
    let (fake, driver) = driver();
    fake.answer(WAIT, |_| Err(Errno::ENODEV));
    let error = driver.wait(Events::VRDP, None).expect_err("it is gone");
    assert_eq!(error.status, Status::INVALID_STATE);

    fake.forget(WAIT);
    assert_eq!(driver.wait(Events::VRDP, NOW).expect("a wait"), Wake::TimedOut);
    assert!(fake.steps().contains(&Step::Opened(3)));
}

#[test]
fn a_request_s_status_is_the_host_s_and_its_header_stays_the_caller_s() {
    let (fake, driver) = driver();
    fake.answer(0xC020_5602, |buffer| {
        put(buffer, 24, 0x1234);
        put(buffer, 12, -37_i32 as u32);
        Ok(())
    });
    let mut packet = GetHostTime::new();
    packet.header_mut().requestor.set(3);

    let status = driver.request(packet.as_mut_bytes()).expect("it reached the host");

    assert_eq!(status, Status::NOT_SUPPORTED);
    assert_eq!(packet.milliseconds.get(), 0x1234);
    assert_eq!((packet.header().reserved.get(), packet.header().requestor.get()), (0, 3));
}

#[test]
fn a_large_request_goes_by_the_number_without_a_size() {
    let (fake, driver) = driver();
    for (length, number) in [(16383, 0xFFFF_5602), (16384, 0x5603), (1 << 20, 0x5603)] {
        let mut packet = vec![0; length];
        packet[..24].copy_from_slice(RequestHeader::new(RequestType::LOG_STRING, length as u32).as_bytes());
        driver.request(&mut packet).expect("it goes out");
        assert!(matches!(&fake.steps()[..], [Step::Ioctl(1, sent, _)] if *sent == number), "{length}");
    }
    let length = (1 << 20) + 1;
    let mut packet = vec![0; length];
    packet[..24].copy_from_slice(RequestHeader::new(RequestType::LOG_STRING, length as u32).as_bytes());
    assert_eq!(driver.request(&mut packet).expect_err("too long").status, Status::OUT_OF_RANGE);
    assert_eq!(fake.steps(), []);
}

#[test]
fn the_seamless_mode_is_asked_for_and_a_mode_that_there_is_none_of_is_an_error() {
    let (fake, driver) = driver();
    for (answer, mode) in [(0, SeamlessMode::DISABLED), (1, SeamlessMode::VISIBLE_REGION)] {
        fake.answer(0xC020_5602, move |buffer| {
            put(buffer, 24, answer);
            Ok(())
        });
        assert_eq!(requests::seamless_mode(&driver, answer == 1), Ok(mode));
        assert_eq!(fake.steps(), [ioctl(1, 0xC020_5602, &[u32::MAX, if answer == 1 { 0x20 } else { 0 }])]);
    }

    fake.answer(0xC020_5602, |_| Ok(()));
    let error = requests::seamless_mode(&driver, true).expect_err("the host left it alone");
    assert_eq!(error.status, Status::INVALID_PARAMETER);
}

#[test]
fn a_visible_region_of_many_rectangles_goes_by_the_ioctl_for_large_requests() {
    let (fake, driver) = driver();
    let rect = |index| Rect::new(index, 1, 2, 3);

    for (count, number) in [(0, 0xC01C_5602), (1022, 0xFFFC_5602), (1023, 0x5603), (65_534, 0x5603)] {
        let rects: Vec<_> = (0..count).map(rect).collect();
        requests::report_visible_region(&driver, &rects).expect("it is carried");
        let steps = fake.steps();
        let [Step::Ioctl(1, sent, words)] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!((*sent, words[0], words.len()), (number, count as u32, 1 + 4 * count as usize));
        assert_eq!(words.get(5), (count > 1).then_some(&1));
    }

    let error = requests::report_visible_region(&driver, &vec![rect(0); 65_535]).expect_err("too many");
    assert_eq!(error.status, Status::TOO_MUCH_DATA);
    assert_eq!(
        error.to_string(),
        "Cannot report the visible region (The number of rectangles of a visible region may be at most 65534, \
         found 65535): VERR_TOO_MUCH_DATA (-42)"
    );
    assert_eq!(fake.steps(), []);
}

#[test]
fn what_the_driver_would_refuse_is_not_sent() {
    let fake = Fake::default();
    let driver = VboxGuest::over(Box::new(fake.clone()), PathBuf::from("/dev/vboxuser")).expect("it opens");
    fake.steps();

    let error = driver.request(ReportGuestStats::new().as_mut_bytes()).expect_err("it takes trust");

    assert_eq!(error.status, Status::PERMISSION_DENIED);
    assert_eq!(fake.steps(), []);
}

/// A driver with client 7 connected.
fn connected() -> (Fake, VboxGuest) {
    let (fake, driver) = driver();
    fake.answer(CONNECT, |buffer| {
        put(buffer, 24, 7);
        Ok(())
    });
    assert_eq!(driver.hgcm_connect("VBoxGuestPropSvc").expect("a client"), HgcmClient(7));
    let steps = fake.steps();
    let [Step::Ioctl(1, CONNECT, words)] = &steps[..] else { panic!("{steps:?}") };
    // Location 2, and the name with zeros behind it.
    assert_eq!(
        words[..6],
        [
            2,
            u32::from_le_bytes(*b"VBox"),
            u32::from_le_bytes(*b"Gues"),
            u32::from_le_bytes(*b"tPro"),
            u32::from_le_bytes(*b"pSvc"),
            0
        ]
    );
    (fake, driver)
}

#[test]
fn a_call_lays_out_its_parameters_and_takes_results_back_within_their_room() {
    let (fake, driver) = connected();
    fake.answer(0xC078_5607, |buffer| {
        let buffer: &mut [u8] = buffer;
        assert_eq!(word(buffer, 24), 7);
        assert_eq!(word(buffer, 28), 3);
        assert_eq!(word(buffer, 32), 1500);
        assert_eq!(word(buffer, 36), 0x0005_0001);
        let kinds: Vec<_> = (0..5).map(|index| word(buffer, 40 + 16 * index)).collect();
        assert_eq!(kinds, [1, 2, 5, 6, 4]);
        assert_eq!((word(buffer, 44), word(buffer, 60), word(buffer, 64)), (11, 0x5566_7788, 0x1122_3344));
        let sizes: Vec<_> = (2..5).map(|index| word(buffer, 44 + 16 * index)).collect();
        assert_eq!(sizes, [3, 4, 4]);
        put(buffer, 44, 12);
        put(buffer, 64, 0);
        // The host wants more room for the one, and used half of the other.
        put(buffer, 92, 2083);
        put(buffer, 108, 2);
        put(buffer, 12, -41_i32 as u32);
        Ok(())
    });
    let mut parameters = [
        HgcmParameter::U32(11),
        HgcmParameter::U64(0x1122_3344_5566_7788),
        HgcmParameter::In(b"abc".to_vec()),
        HgcmParameter::Out { data: vec![0; 4], needed: 0 },
        HgcmParameter::InOut(b"wxyz".to_vec()),
    ];

    let status = driver
        .hgcm_call(HgcmClient(7), 3, &mut parameters, Some(Duration::from_millis(1500)), &Canceller::new())
        .expect("it reached the service");

    assert_eq!(status, Status::BUFFER_OVERFLOW);
    assert_eq!(
        parameters,
        [
            HgcmParameter::U32(12),
            HgcmParameter::U64(0x5566_7788),
            HgcmParameter::In(b"abc".to_vec()),
            HgcmParameter::Out { data: vec![0; 4], needed: 2083 },
            HgcmParameter::InOut(b"wx".to_vec()),
        ]
    );
}

#[test]
fn the_address_in_a_call_is_that_of_the_buffer_and_zero_for_none() {
    let (fake, driver) = connected();
    fake.answer(0xC048_5607, |buffer| {
        let address = u64::from(word(buffer, 48)) | u64::from(word(buffer, 52)) << 32;
        let room = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
        // SAFETY: the address of the four bytes of the output parameter, which is the driver's to
        // write to while the call lasts.
        unsafe { room.copy_from_nonoverlapping(b"host".as_ptr(), 4) };
        assert_eq!((word(buffer, 60), word(buffer, 64), word(buffer, 68)), (0, 0, 0));
        Ok(())
    });
    let mut parameters = [HgcmParameter::Out { data: vec![0; 4], needed: 0 }, HgcmParameter::In(Vec::new())];

    driver.hgcm_call(HgcmClient(7), 1, &mut parameters, None, &Canceller::new()).expect("a call");

    assert_eq!(parameters[0], HgcmParameter::Out { data: b"host".to_vec(), needed: 4 });
}

#[test]
fn a_call_that_timed_out_is_an_error_and_is_not_made_twice() {
    let (fake, driver) = connected();
    for (errno, status) in [(Errno::ETIMEDOUT, Status::TIMEOUT), (Errno::EINTR, Status::INTERRUPTED)] {
        fake.answer(0xC028_5607, move |_| Err(errno));
        let error =
            driver.hgcm_call(HgcmClient(7), 1, &mut [], None, &Canceller::new()).expect_err("no answer");
        assert_eq!(error.status, status);
        assert_eq!(fake.steps().len(), 1);
    }
}

#[test]
fn limits_of_hgcm_are_checked_before_the_kernel_sees_anything() {
    let (fake, driver) = connected();
    let client = HgcmClient(7);
    let mut many = vec![HgcmParameter::U32(0); 33];
    let mut large = [HgcmParameter::Out { data: vec![0; (24 << 20) + 1], needed: 0 }];

    let outcomes = [
        (driver.hgcm_call(client, 1, &mut many, None, &Canceller::new()).map(drop), Status::TOO_MUCH_DATA),
        (driver.hgcm_call(client, 1, &mut large, None, &Canceller::new()).map(drop), Status::OUT_OF_RANGE),
        (
            driver.hgcm_call(HgcmClient(8), 1, &mut [], None, &Canceller::new()).map(drop),
            Status::HGCM_INVALID_CLIENT_ID,
        ),
        (driver.hgcm_disconnect(HgcmClient(8)), Status::HGCM_INVALID_CLIENT_ID),
        (driver.hgcm_connect(&"x".repeat(128)).map(drop), Status::INVALID_PARAMETER),
    ];
    for (outcome, status) in outcomes {
        assert_eq!(outcome.expect_err("over a limit").status, status);
    }
    assert_eq!(fake.steps(), []);
}

#[test]
fn a_session_has_sixty_four_clients_and_no_more() {
    let (fake, driver) = driver();
    let next = AtomicU32::new(1);
    fake.answer(CONNECT, move |buffer| {
        put(buffer, 24, next.fetch_add(1, Ordering::Relaxed));
        Ok(())
    });
    for _ in 0..64 {
        driver.hgcm_connect("VBoxSharedClipboard").expect("a client");
    }
    let error = driver.hgcm_connect("VBoxSharedClipboard").expect_err("one too many");
    assert_eq!(error.status, Status::HGCM_TOO_MANY_CLIENTS);

    driver.hgcm_disconnect(HgcmClient(64)).expect("it was connected");
    driver.hgcm_connect("VBoxSharedClipboard").expect("there is room again");
}

#[test]
fn a_service_that_the_host_does_not_serve_is_said_by_the_answer_s_status() {
    let (fake, driver) = driver();
    fake.answer(CONNECT, |buffer| {
        put(buffer, 12, -2900_i32 as u32);
        Ok(())
    });
    let error = driver.hgcm_connect("Nobody").expect_err("nobody serves it");
    assert_eq!(error.status, Status::HGCM_SERVICE_NOT_FOUND);
}

#[test]
fn a_cancelled_call_says_so_and_is_not_made_when_it_was_cancelled_before() {
    let (fake, driver) = connected();
    let cancel = Canceller::new();
    fake.answer(0xC028_5607, {
        let cancel = cancel.clone();
        move |_| {
            cancel.cancel();
            Err(Errno::EINTR)
        }
    });

    for calls in [1, 0] {
        let error = driver.hgcm_call(HgcmClient(7), 1, &mut [], None, &cancel).expect_err("cancelled");
        assert_eq!(error.to_string(), "Cannot call HGCM function 1: VERR_CANCELLED (-70)");
        assert_eq!(fake.steps().len(), calls);
    }
}

#[test]
fn calls_of_one_session_are_under_way_at_the_same_time() {
    let (fake, driver) = connected();
    let all_in = std::sync::Barrier::new(8);
    fake.answer(0xC028_5607, move |_| {
        all_in.wait();
        Ok(())
    });

    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| driver.hgcm_call(HgcmClient(7), 1, &mut [], None, &Canceller::new()));
        }
    });
    assert_eq!(fake.steps().len(), 8);
}

#[test]
fn capabilities_have_a_session_of_their_own_when_somebody_is_to_keep_them() {
    let (fake, driver) = driver();

    driver.apart(std::iter::empty()).expect("it opens");
    driver.change_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("a capability");
    driver.change_filter(Events::VRDP, Events::empty()).expect("a filter");

    let mut expected = version(2).to_vec();
    expected.extend([ioctl(2, SET, &[4, 0]), ioctl(1, FILTER, &[0x100, 0])]);
    assert_eq!(fake.steps(), expected);
}

#[test]
fn a_session_that_was_kept_is_used_again_and_one_that_the_driver_forgot_is_not() {
    let (fake, first) = driver();
    let kept = first.apart(std::iter::empty()).expect("it opens");
    drop(first);
    let second = open(&fake).expect("it opens");
    fake.steps();

    second.apart([kept.clone()].into_iter()).expect("it is known");
    second.change_capabilities(Capabilities::empty(), Capabilities::all()).expect("none");
    let [_, again] = version(2);
    assert_eq!(fake.steps(), [again, ioctl(2, SET, &[0, 7])]);

    fake.answer(VERSION, |buffer| match word(buffer, 24) {
        0x1_0000 => Err(Errno::ENODEV),
        _ => Ok(()),
    });
    assert!(second.apart([kept].into_iter()).is_err(), "neither is there a new one");
}

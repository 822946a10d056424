//! The driver that services the device itself, against the device model.

use std::sync::Arc;
use std::time::Duration;

use driver_core::pci::{Bus, BusFault, Interrupt, PciDevice};
use driver_core::requests::{self};
use driver_core::wire::{Capabilities, Events, GetSessionId, Request, RequestType, Status};
use driver_core::{Driver, Wake};
use support::PATIENCE;
use vmmdev::carrier::InProcess;
use vmmdev::{Fault, Hint, Host, Settings, Times};
use zerocopy::IntoBytes;

fn device() -> (Host, Arc<PciDevice>) {
    let host = Host::default();
    let device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("the device is in order");
    (host, device)
}

const NOW: Option<Duration> = Some(Duration::ZERO);

#[test]
fn the_probe_makes_the_requests_that_hosts_have_always_seen_in_their_order() {
    let (host, _device) = device();

    let seen: Vec<_> = host.journal().iter().map(|seen| seen.request_type.0).collect();

    // As kernel-driver notes list them, without the second 220: the heartbeat stays off.
    assert_eq!(seen, [4, 58, 50, 42, 56, 2, 20, 220, 59]);
    assert!(host.guest().info.is_some());
    assert_eq!(host.guest().additions.expect("additions").name, "7.0.0_BELLHOP");
}

#[test]
fn a_host_that_cannot_be_worked_with_ends_the_probe_with_its_status() {
    for request in [RequestType(4), RequestType(50), RequestType(42), RequestType(56), RequestType(2)] {
        let host = Host::default();
        host.inject(request, Fault::Fail(Status::NO_MEMORY), Times::Always);

        let error = PciDevice::probe(Arc::new(InProcess::new(&host))).err().expect("it must fail");

        assert_eq!(error.status, Status::NO_MEMORY, "{request}: {error}");
    }
}

#[test]
fn what_a_host_may_decline_does_not_end_the_probe() {
    for request in [RequestType(20), RequestType(220), RequestType(59)] {
        let host = Host::default();
        host.inject(request, Fault::Fail(Status::NOT_SUPPORTED), Times::Always);

        assert!(PciDevice::probe(Arc::new(InProcess::new(&host))).is_ok(), "{request}");
    }
}

#[test]
fn an_old_host_is_introduced_the_other_way_round() {
    let host = Host::default();
    host.inject(RequestType(58), Fault::Fail(Status::NOT_SUPPORTED), Times::Next(1));

    let _device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("it is in order");

    let seen: Vec<_> = host.journal().iter().map(|seen| seen.request_type.0).take(4).collect();
    assert_eq!(seen, [4, 58, 50, 58]);
}

/// A device whose memory does not look like a VMMDev's.
struct Stranger {
    words: [u32; 2],
    inner: InProcess,
}

impl Bus for Stranger {
    fn write_port(&self, offset: u16, value: u32) -> Result<(), BusFault> {
        self.inner.write_port(offset, value)
    }
    fn read_port(&self, offset: u16) -> Result<u32, BusFault> {
        self.inner.read_port(offset)
    }
    fn read_memory(&self, offset: u32) -> Result<u32, BusFault> {
        self.words.get(offset as usize / 4).copied().ok_or(BusFault)
    }
    fn memory_len(&self) -> u32 {
        4096
    }
    fn wait_interrupt(&self, timeout: Option<Duration>) -> Interrupt {
        self.inner.wait_interrupt(timeout)
    }
    fn close(&self) {
        self.inner.close();
    }
    fn dma_range(&self) -> (u32, u32) {
        self.inner.dma_range()
    }
    fn dma_allocate(&self, pages: usize) -> Option<u32> {
        self.inner.dma_allocate(pages)
    }
    fn dma_free(&self, address: u32) {
        self.inner.dma_free(address);
    }
    fn dma_write(&self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        self.inner.dma_write(address, bytes)
    }
    fn dma_read(&self, address: u32, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.inner.dma_read(address, bytes)
    }
}

#[test]
fn a_device_whose_memory_is_not_a_vmmdev_s_is_refused_with_what_was_found() {
    // (size, version): the wrong version, too small, larger than the bar.
    for words in [[1040, 2], [31, 1], [4097, 1], [u32::MAX, 1]] {
        let bus = Stranger { words, inner: InProcess::new(&Host::default()) };

        let error = PciDevice::probe(Arc::new(bus)).err().expect("it must be refused");

        assert_eq!(error.status, Status::VERSION_MISMATCH);
        assert!(error.to_string().contains(&format!("version {}, {} bytes", words[1], words[0])), "{error}");
    }
}

#[test]
fn an_event_goes_to_one_waiter_whose_mask_has_it() {
    let (host, device) = device();
    let (a, b) = (device.session(), device.session());
    a.change_filter(Events::DISPLAY_CHANGE | Events::RESTORED, Events::empty()).expect("a filter");

    host.raise_events(Events::DISPLAY_CHANGE | Events::RESTORED);
    let first = a.wait(Events::DISPLAY_CHANGE, Some(PATIENCE)).expect("a wait");
    let second = b.wait(Events::all(), Some(PATIENCE)).expect("a wait");

    assert_eq!(first, Wake::Events(Events::DISPLAY_CHANGE));
    assert_eq!(second, Wake::Events(Events::RESTORED));
    assert_eq!(a.wait(Events::all(), NOW).expect("a wait"), Wake::TimedOut);
}

#[test]
fn waiting_does_not_subscribe_and_subscribing_brings_what_was_pending() {
    let (host, device) = device();
    let session = device.session();
    host.raise_events(Events::VRDP);

    let before = session.wait(Events::VRDP, Some(Duration::from_millis(20))).expect("a wait");
    session.change_filter(Events::VRDP, Events::empty()).expect("a filter");
    let after = session.wait(Events::VRDP, Some(PATIENCE)).expect("a wait");

    assert_eq!((before, after), (Wake::TimedOut, Wake::Events(Events::VRDP)));
}

#[test]
fn the_host_s_filter_is_the_union_and_follows_those_who_leave() {
    let (host, device) = device();
    let (a, b) = (device.session(), device.session());
    a.change_filter(Events::VRDP, Events::empty()).expect("a filter");
    b.change_filter(Events::RESTORED, Events::empty()).expect("a filter");
    assert_eq!(host.guest().filter, Events::VRDP | Events::RESTORED);

    drop(a);

    assert_eq!(host.guest().filter, Events::RESTORED);
}

#[test]
fn a_filter_that_the_host_refuses_is_not_kept() {
    let (host, device) = device();
    let session = device.session();
    host.inject(RequestType::CTL_GUEST_FILTER_MASK, Fault::Fail(Status::NO_MEMORY), Times::Next(1));

    let error = session.change_filter(Events::VRDP, Events::empty()).expect_err("it is refused");
    session.change_filter(Events::RESTORED, Events::empty()).expect("the next is not");

    assert_eq!(error.status, Status::NO_MEMORY);
    assert_eq!(host.guest().filter, Events::RESTORED);
}

#[test]
fn unknown_bits_in_a_filter_or_a_capability_are_refused() {
    let (_host, device) = device();
    let session = device.session();

    let filter = session.change_filter(Events::from_bits_retain(0x800), Events::empty());
    let set = session.change_capabilities(Capabilities::from_bits_retain(8), Capabilities::empty());
    let acquired = session.acquire_capabilities(Capabilities::empty(), Capabilities::from_bits_retain(8));

    for status in
        [filter.map(drop), set.map(drop), acquired].map(|result| result.expect_err("unknown").status)
    {
        assert_eq!(status, Status::INVALID_PARAMETER);
    }
}

#[test]
fn a_wait_is_cancelled_once_and_the_session_stays_usable() {
    let (host, device) = device();
    let session = Arc::new(device.session());
    session.change_filter(Events::VRDP, Events::empty()).expect("a filter");
    let waiter = std::thread::spawn({
        let session = session.clone();
        move || session.wait(Events::VRDP, Some(PATIENCE))
    });

    // Whether the wait has begun or not: it is cancelled.
    session.cancel_waits();
    assert_eq!(waiter.join().expect("no panic").expect("a wait"), Wake::Cancelled);
    host.raise_events(Events::VRDP);

    assert_eq!(session.wait(Events::VRDP, Some(PATIENCE)).expect("a wait"), Wake::Events(Events::VRDP));
}

#[test]
fn an_acquired_capability_is_its_holder_s_alone_and_so_is_its_event() {
    let (host, device) = device();
    let (holder, other) = (device.session(), device.session());
    holder.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    other.change_filter(Events::DISPLAY_CHANGE, Events::empty()).expect("a filter");

    let again = other.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty());
    let set = other.change_capabilities(Capabilities::GRAPHICS, Capabilities::empty());
    host.set_video_mode_hint(Hint::new(0, 800, 600)).expect("display 0 exists");

    assert_eq!(again.expect_err("it is held").status, Status::RESOURCE_BUSY);
    assert_eq!(set.expect_err("it is exclusive").status, Status::RESOURCE_BUSY);
    let short = Some(Duration::from_millis(20));
    assert_eq!(other.wait(Events::DISPLAY_CHANGE, short).expect("a wait"), Wake::TimedOut);
    let taken = holder.wait(Events::DISPLAY_CHANGE, Some(PATIENCE)).expect("a wait");
    assert_eq!(taken, Wake::Events(Events::DISPLAY_CHANGE));
}

#[test]
fn acquiring_seamless_brings_its_event_and_dropping_gives_it_back() {
    let (host, device) = device();
    let session = device.session();

    session.acquire_capabilities(Capabilities::SEAMLESS, Capabilities::empty()).expect("it is free");
    let woken = session.wait(Events::SEAMLESS_MODE_CHANGE, NOW).expect("a wait");
    assert_eq!(woken, Wake::Events(Events::SEAMLESS_MODE_CHANGE));
    assert_eq!(host.guest().capabilities, Capabilities::SEAMLESS);
    drop(session);

    assert_eq!(host.guest().capabilities, Capabilities::empty());
}

#[test]
fn a_capability_that_is_set_cannot_be_acquired() {
    let (_host, device) = device();
    let (setter, other) = (device.session(), device.session());
    let state =
        setter.change_capabilities(Capabilities::GRAPHICS, Capabilities::empty()).expect("it is free");
    assert_eq!((state.session, state.global), (Capabilities::GRAPHICS, Capabilities::GRAPHICS));

    let acquired = other.acquire_capabilities(Capabilities::GRAPHICS, Capabilities::empty());

    assert_eq!(acquired.expect_err("it is set").status, Status::INVALID_PARAMETER);
}

#[test]
fn a_malformed_packet_never_reaches_the_host() {
    let (host, device) = device();
    let session = device.session();
    let before = host.journal_position();
    let mut wrong_size = GetSessionId::new();
    wrong_size.header.size.set(31);
    let mut wrong_version = GetSessionId::new();
    wrong_version.header.version.set(0);
    let mut too_long = vec![0_u8; (4 << 20) + 24];
    too_long[..32].copy_from_slice(zerocopy_bytes(&GetSessionId::new()));
    let length = u32::try_from(too_long.len()).expect("it fits");
    too_long[..4].copy_from_slice(&length.to_le_bytes());

    let mut packets = [
        zerocopy_bytes(&wrong_size).to_vec(),
        zerocopy_bytes(&wrong_version).to_vec(),
        vec![],
        vec![0; 23],
        too_long,
    ];
    let errors: Vec<_> =
        packets.iter_mut().map(|packet| session.request(packet).expect_err("malformed").status).collect();

    let malformed = Status::INVALID_PARAMETER;
    assert_eq!(errors, [malformed, malformed, malformed, malformed, Status::OUT_OF_RANGE]);
    assert_eq!(host.journal_position(), before);
}

fn zerocopy_bytes(packet: &GetSessionId) -> &[u8] {
    packet.as_bytes()
}

#[test]
fn a_host_that_rewrites_a_header_cannot_change_what_the_packet_is() {
    let (host, device) = device();
    let session = device.session();
    let rewritten = Fault::Word { offset: 0, value: u32::MAX };
    host.inject(RequestType::GET_SESSION_ID, rewritten, Times::Next(1));
    let mut packet = GetSessionId::new();

    let status = session.request(packet.as_mut_bytes()).expect("it is answered");

    assert_eq!(status, Status::SUCCESS);
    assert_eq!(packet.header.size.get(), 32);
}

#[test]
fn time_and_session_are_the_host_s() {
    let host = Host::new(Settings { version: (7, 1, 6), ..Settings::default() });
    let device = PciDevice::probe(Arc::new(InProcess::new(&host))).expect("it is in order");
    let session = device.session();

    let version = requests::host_version(&session).expect("a version");
    let id = requests::session_id(&session).expect("an id");
    let time = requests::host_time(&session).expect("a time");

    assert_eq!((version.major, version.minor, version.build), (7, 1, 6));
    assert_eq!(id, host.session_id());
    // Later than the protocol that it is told by.
    assert!(time > 1_700_000_000_000, "{time}");
    host.reset();
    assert_ne!(host.session_id(), id);
}

#[test]
fn ten_thousand_hints_lose_nothing_and_end_in_the_last() {
    let (host, device) = device();
    let session = device.session();
    session.change_filter(Events::DISPLAY_CHANGE, Events::empty()).expect("a filter");
    let hinter = std::thread::spawn({
        let host = host.clone();
        move || {
            for width in 1..=10_000 {
                host.set_video_mode_hint(Hint::new(0, width, 600)).expect("display 0 exists");
            }
        }
    });

    let mut last = 0;
    while last != 10_000 {
        let woken = session.wait(Events::DISPLAY_CHANGE, Some(PATIENCE)).expect("a wait");
        assert_eq!(woken, Wake::Events(Events::DISPLAY_CHANGE), "the last seen was {last}");
        for change in requests::display_wishes(&session, true).expect("the host answers").changes {
            last = last.max(change.width.expect("a hint has a width"));
        }
    }

    hinter.join().expect("no panic");
}

#[test]
fn a_bus_that_closes_ends_every_wait() {
    let host = Host::default();
    let bus = Arc::new(InProcess::new(&host));
    let device = PciDevice::probe(bus.clone()).expect("it is in order");
    let session = device.session();

    bus.close();
    let error = session.wait(Events::all(), Some(PATIENCE)).expect_err("there is nothing left to wait for");

    assert_eq!(error.status, Status::INVALID_STATE);
}

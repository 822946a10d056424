//! HGCM from the guest's side: the driver that services the device itself, and the real services.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use driver_core::pci::{Bus, PciDevice, PciSession};
use driver_core::wire::guest_property::{Function, SERVICE, parse_change, parse_list, parse_value};
use driver_core::wire::shared_clipboard::{
    self, FEATURES_UNANSWERED, Formats, Function as Clipboard, Message,
};
use driver_core::wire::{Events, RequestType, Status};
use driver_core::{Canceller, Driver, Error, HgcmClient, HgcmParameter, Wake};
use vmmdev::carrier::InProcess;
use vmmdev::{Fault, HgcmFault, Host, Times};

const PATIENCE: Duration = Duration::from_secs(20);
const MIB: usize = 1 << 20;

struct Machine {
    host: Host,
    bus: Arc<InProcess>,
    device: Arc<PciDevice>,
}

impl Machine {
    fn new() -> Self {
        let host = Host::default();
        let bus = Arc::new(InProcess::new(&host));
        let device = PciDevice::probe(bus.clone()).expect("it is in order");
        Self { host, bus, device }
    }

    /// A session with a client of the properties' service.
    fn connected(&self) -> (Arc<PciSession>, HgcmClient) {
        let session = Arc::new(self.device.session());
        let client = session.hgcm_connect(SERVICE).expect("a service that is there");
        (session, client)
    }

    /// Returns once so many calls are under way.
    fn until_waiting(&self, calls: usize) {
        loop {
            let since = self.host.journal_position();
            if self.waiting() == calls {
                return;
            }
            self.host.wait_request(since, PATIENCE, |_| true).expect("one more call");
        }
    }

    fn waiting(&self) -> usize {
        self.host.hgcm_clients().iter().map(|client| client.waiting.len()).sum()
    }

    /// Whether all the memory that was lent to the driver was given back.
    fn nothing_is_lent(&self) -> bool {
        let all = self.bus.dma_allocate(1 << 18);
        all.inspect(|address| self.bus.dma_free(*address)).is_some()
    }
}

fn text(text: &str) -> HgcmParameter {
    HgcmParameter::In([text.as_bytes(), &[0]].concat())
}

fn room(bytes: usize) -> HgcmParameter {
    HgcmParameter::Out { data: vec![0; bytes], needed: 0 }
}

fn call(
    session: &PciSession,
    client: HgcmClient,
    function: Function,
    parameters: &mut [HgcmParameter],
) -> driver_core::Result<Status> {
    session.hgcm_call(client, function.0, parameters, Some(PATIENCE), &Canceller::new())
}

/// The parameters of a call that waits for a change.
fn change(patterns: &str) -> [HgcmParameter; 4] {
    [text(patterns), HgcmParameter::U64(0), room(2147), HgcmParameter::U32(0)]
}

/// Waits for a change in another thread.
fn wait_for_change(
    session: &Arc<PciSession>,
    client: HgcmClient,
    patterns: &str,
    timeout: Option<Duration>,
    cancel: &Canceller,
) -> thread::JoinHandle<(driver_core::Result<Status>, [HgcmParameter; 4])> {
    let (session, mut parameters, cancel) = (session.clone(), change(patterns), cancel.clone());
    thread::spawn(move || {
        let function = Function::GET_NOTIFICATION.0;
        let status = session.hgcm_call(client, function, &mut parameters, timeout, &cancel);
        (status, parameters)
    })
}

fn status(outcome: driver_core::Result<Status>) -> Status {
    match outcome {
        Ok(status) => panic!("it came back with {status}"),
        Err(Error { status, .. }) => status,
    }
}

#[test]
fn properties_go_to_the_host_and_come_back_with_their_sizes() {
    let machine = Machine::new();
    let (session, client) = machine.connected();

    let mut set = [text("/a"), text("größer"), text("TRANSIENT")];
    assert_eq!(call(&session, client, Function::SET, &mut set), Ok(Status::SUCCESS));

    let mut get = [text("/a"), room(64), HgcmParameter::U64(0), HgcmParameter::U32(0)];
    assert_eq!(call(&session, client, Function::GET, &mut get), Ok(Status::SUCCESS));
    let [_, HgcmParameter::Out { data, .. }, HgcmParameter::U64(changed), HgcmParameter::U32(size)] = get
    else {
        panic!("{get:?}")
    };
    let value = parse_value(&data[..size as usize]).expect("a value");
    assert_eq!((value.value.as_str(), value.flags.as_str()), ("größer", "TRANSIENT"));

    let mut list = [text("/*"), room(4096), HgcmParameter::U32(0)];
    assert_eq!(call(&session, client, Function::ENUMERATE, &mut list), Ok(Status::SUCCESS));
    let [_, HgcmParameter::Out { data, .. }, HgcmParameter::U32(size)] = list else { panic!("{list:?}") };
    let list = parse_list(&data[..size as usize]).expect("a list");
    let found = list.iter().find(|property| property.name == "/a").expect("it is there");
    assert_eq!((found.value.as_str(), found.timestamp), ("größer", changed));

    let mut little = [text("/a"), room(3), HgcmParameter::U64(0), HgcmParameter::U32(0)];
    assert_eq!(call(&session, client, Function::GET, &mut little), Ok(Status::BUFFER_OVERFLOW));
    assert_eq!(little[3], HgcmParameter::U32(size_of_val("größer\0TRANSIENT\0") as u32));
    assert_eq!(call(&session, client, Function::DELETE, &mut [text("/a")]), Ok(Status::SUCCESS));
    assert_eq!(call(&session, client, Function::GET, &mut little), Ok(Status::NOT_FOUND));
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_service_that_is_not_there_is_said_not_to_be() {
    let machine = Machine::new();
    let session = machine.device.session();

    let error = session.hgcm_connect("VBoxNobody").expect_err("nobody serves it");

    assert_eq!(
        error.to_string(),
        "Cannot connect to the HGCM service \"VBoxNobody\": VERR_HGCM_SERVICE_NOT_FOUND (-2900)"
    );
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_session_s_clients_are_its_own_and_go_with_it() {
    let machine = Machine::new();
    let (first, of_first) = machine.connected();
    let (second, of_second) = machine.connected();
    assert_eq!(machine.host.hgcm_clients().len(), 2);

    let mut get = [text("/a"), room(64), HgcmParameter::U64(0), HgcmParameter::U32(0)];
    let refused = status(call(&first, of_second, Function::GET, &mut get));
    assert_eq!(refused, Status::HGCM_INVALID_CLIENT_ID);
    assert_eq!(call(&second, of_second, Function::GET, &mut get), Ok(Status::NOT_FOUND));

    drop(first);
    let left: Vec<_> = machine.host.hgcm_clients().iter().map(|client| client.client).collect();
    assert_eq!(left, [of_second.0]);
    assert_ne!(of_first, of_second);
}

#[test]
fn sixty_four_mebibytes_go_both_ways_and_their_memory_is_given_back() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let content = numbered(64 * MIB);
    let mut parameters = [HgcmParameter::InOut(content.clone())];
    let before = resident();

    // Nobody serves this function, so the bytes come back as the host found them.
    assert_eq!(call(&session, client, Function(99), &mut parameters), Ok(Status::NOT_IMPLEMENTED));

    let [HgcmParameter::InOut(back)] = parameters else { panic!("it changed") };
    assert!(back == content, "{} bytes came back changed", back.len());
    assert!(machine.nothing_is_lent());
    // Other tests take memory meanwhile, but not for long.
    let deadline = Instant::now() + PATIENCE;
    while resident() > before + 16 * MIB {
        assert!(Instant::now() < deadline, "{before} bytes before, {} now", resident());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_clipboard_of_sixty_four_mebibytes_goes_to_the_guest_and_back() {
    let machine = Machine::new();
    let session = machine.device.session();
    let client = session.hgcm_connect(shared_clipboard::SERVICE).expect("a service that is there");
    let call = |function: shared_clipboard::Function, parameters: &mut [HgcmParameter]| {
        session.hgcm_call(client, function.0, parameters, Some(PATIENCE), &Canceller::new())
    };
    let mut features = [HgcmParameter::U64(1), HgcmParameter::U64(FEATURES_UNANSWERED)];
    assert_eq!(call(Clipboard::REPORT_FEATURES, &mut features), Ok(Status::SUCCESS));
    let text = Formats::TEXT;
    let content = numbered(64 * MIB);

    machine.host.clipboard_put([(text, content.clone())]).expect("it may");
    let mut read = [HgcmParameter::U32(text.bits()), room(64 * MIB + 1), HgcmParameter::U32(0)];
    assert_eq!(call(Clipboard::DATA_READ, &mut read), Ok(Status::SUCCESS));
    let [_, HgcmParameter::Out { mut data, .. }, HgcmParameter::U32(size)] = read else {
        panic!("it changed")
    };
    data.truncate(size as usize);
    assert!(data == content, "{} bytes of another content", data.len());

    // What was announced for the guest to paste is still the first message.
    let mut formats = [Message::FORMATS_REPORT.0, 0].map(HgcmParameter::U32);
    assert_eq!(call(Clipboard::MESSAGE_GET, &mut formats), Ok(Status::SUCCESS));
    let host = machine.host.clone();
    let paste = thread::spawn(move || host.clipboard_get(text, PATIENCE));
    let mut peek = [HgcmParameter::U64(0), HgcmParameter::U32(0)];
    assert_eq!(call(Clipboard::MESSAGE_PEEK_WAIT, &mut peek), Ok(Status::SUCCESS));
    assert_eq!(peek[0], HgcmParameter::U64(Message::READ_DATA_WITH_CONTEXT.0.into()));
    let mut wanted = [peek[0].clone(), HgcmParameter::U32(0)];
    assert_eq!(call(Clipboard::MESSAGE_GET, &mut wanted), Ok(Status::SUCCESS));
    let [context, format] = wanted;
    assert_eq!(format, HgcmParameter::U32(text.bits()));
    let mut write = [context, format, HgcmParameter::In(data)];
    assert_eq!(call(Clipboard::DATA_WRITE, &mut write), Ok(Status::SUCCESS));

    let pasted = paste.join().expect("no panic").expect("the guest answered");
    assert!(pasted == content, "{} bytes of another content", pasted.len());
    assert!(machine.nothing_is_lent());
}

/// So many bytes, in which each page is another one.
fn numbered(length: usize) -> Vec<u8> {
    let mut bytes = vec![7; length];
    for (page, bytes) in (1_u32..).zip(bytes.chunks_exact_mut(4096)) {
        bytes[..4].copy_from_slice(&page.to_le_bytes());
    }
    bytes
}

/// The resident memory of this process in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("a number") * 4096
}

#[test]
fn a_call_that_waits_ends_when_the_host_has_something_to_say() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let waiter = wait_for_change(&session, client, "/a*", None, &Canceller::new());
    machine.until_waiting(1);

    machine.host.set_property("/b", "0", "").expect("a property");
    machine.host.set_property("/abc", "1", "RDONLYGUEST").expect("a property");

    let (status, parameters) = waiter.join().expect("no panic");
    assert_eq!(status, Ok(Status::SUCCESS));
    let [_, HgcmParameter::U64(time), HgcmParameter::Out { data, .. }, HgcmParameter::U32(size)] = parameters
    else {
        panic!("{parameters:?}")
    };
    assert_ne!(time, 0);
    let change = parse_change(&data[..size as usize]).expect("a change");
    assert_eq!((change.name.as_str(), change.value.as_deref()), ("/abc", Some("1")));
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_call_whose_time_is_over_is_forgotten_by_the_host() {
    let machine = Machine::new();
    let (session, client) = machine.connected();

    for timeout in [Duration::ZERO, Duration::from_millis(20)] {
        let waiter = wait_for_change(&session, client, "*", Some(timeout), &Canceller::new());
        assert_eq!(status(waiter.join().expect("no panic").0), Status::TIMEOUT);
        assert_eq!(machine.waiting(), 0);
        assert!(machine.nothing_is_lent());
    }
}

#[test]
fn a_cancelled_call_is_forgotten_by_the_host_and_others_go_on() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let cancel = Canceller::new();
    let cancelled = wait_for_change(&session, client, "/a", None, &cancel);
    let other = wait_for_change(&session, client, "/b", None, &Canceller::new());
    machine.until_waiting(2);

    cancel.cancel();

    assert_eq!(status(cancelled.join().expect("no panic").0), Status::CANCELLED);
    assert_eq!(machine.waiting(), 1);
    machine.host.set_property("/b", "1", "").expect("a property");
    assert_eq!(other.join().expect("no panic").0, Ok(Status::SUCCESS));
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_cancellation_that_races_with_completion_ends_one_way_or_the_other() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let (mut completed, mut cancelled) = (0, 0);
    let together = Arc::new(Barrier::new(2));

    for round in 0..1000 {
        let cancel = Canceller::new();
        let waiter = wait_for_change(&session, client, "/race", Some(PATIENCE), &cancel);
        machine.until_waiting(1);
        let canceller = thread::spawn({
            let together = together.clone();
            move || {
                together.wait();
                cancel.cancel();
            }
        });
        together.wait();
        machine.host.set_property("/race", &round.to_string(), "").expect("a property");
        match waiter.join().expect("no panic") {
            (Ok(Status::SUCCESS), parameters) => {
                let [_, _, HgcmParameter::Out { data, .. }, HgcmParameter::U32(size)] = parameters else {
                    panic!("{parameters:?}")
                };
                let change = parse_change(&data[..size as usize]).expect("a change");
                assert_eq!(change.value, Some(round.to_string()));
                completed += 1;
            }
            (Err(Error { status: Status::CANCELLED, .. }), _) => cancelled += 1,
            (outcome, _) => panic!("{outcome:?}"),
        }
        canceller.join().expect("no panic");
        assert_eq!(machine.waiting(), 0);
    }

    println!("{completed} were completed, {cancelled} cancelled");
    assert_eq!(completed + cancelled, 1000);
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_hundred_calls_are_under_way_at_once_and_each_gets_its_own_answer() {
    let machine = Machine::new();
    let session = Arc::new(machine.device.session());
    // The service lets a client have 16.
    let clients: Vec<_> = (0..10).map(|_| session.hgcm_connect(SERVICE).expect("a client")).collect();
    let waiters: Vec<_> = (0..100)
        .map(|index| {
            let client = clients[index / 10];
            wait_for_change(&session, client, &format!("/{index}/*"), None, &Canceller::new())
        })
        .collect();
    machine.until_waiting(100);
    // The driver is not busy waiting for them: others come through.
    let mut get = [text("/a"), room(64), HgcmParameter::U64(0), HgcmParameter::U32(0)];
    assert_eq!(call(&session, clients[0], Function::GET, &mut get), Ok(Status::NOT_FOUND));

    for index in (0..100).rev() {
        machine.host.set_property(&format!("/{index}/x"), &index.to_string(), "").expect("a property");
    }

    for (index, waiter) in waiters.into_iter().enumerate() {
        let (status, parameters) = waiter.join().expect("no panic");
        assert_eq!(status, Ok(Status::SUCCESS));
        let [_, _, HgcmParameter::Out { data, .. }, HgcmParameter::U32(size)] = parameters else {
            panic!("{parameters:?}")
        };
        let change = parse_change(&data[..size as usize]).expect("a change");
        assert_eq!(change.value, Some(index.to_string()));
    }
    assert!(machine.nothing_is_lent());
}

#[test]
fn disconnecting_ends_the_calls_of_the_client() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let waiter = wait_for_change(&session, client, "*", None, &Canceller::new());
    machine.until_waiting(1);

    session.hgcm_disconnect(client).expect("it is connected");

    assert_eq!(waiter.join().expect("no panic").0, Ok(Status::INTERRUPTED));
    let error = session.hgcm_disconnect(client).expect_err("it was");
    assert_eq!(error.status, Status::HGCM_INVALID_CLIENT_ID);
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_machine_that_is_reset_ends_its_calls_and_goes_on_with_its_driver() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    session.change_filter(Events::VRDP, Events::empty()).expect("a filter");
    let waiters =
        ["/a", "/b", "/c"].map(|name| wait_for_change(&session, client, name, None, &Canceller::new()));
    machine.until_waiting(3);

    machine.host.reset();

    for waiter in waiters {
        assert_eq!(status(waiter.join().expect("no panic").0), Status::INVALID_STATE);
    }
    assert!(machine.nothing_is_lent());
    // The driver introduces itself again, and says what it wants.
    machine.host.wait_guest(PATIENCE, |guest| guest.filter.contains(Events::VRDP)).expect("it is back");
    machine.host.raise_events(Events::VRDP);
    assert_eq!(session.wait(Events::VRDP, Some(PATIENCE)), Ok(Wake::Events(Events::VRDP)));
    let gone = status(call(&session, client, Function::GET, &mut []));
    assert_eq!(gone, Status::HGCM_INVALID_CLIENT_ID);
    let client = session.hgcm_connect(SERVICE).expect("a service that is there");
    let mut set = [text("/a"), text("1")];
    assert_eq!(call(&session, client, Function::SET, &mut set), Ok(Status::SUCCESS));
}

#[test]
fn a_bus_that_closes_ends_its_calls_and_takes_no_more() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let waiter = wait_for_change(&session, client, "/a", None, &Canceller::new());
    machine.until_waiting(1);

    machine.bus.close();

    assert_eq!(status(waiter.join().expect("no panic").0), Status::INVALID_STATE);
    assert_eq!(status(call(&session, client, Function::GET, &mut [])), Status::INVALID_STATE);
    assert!(machine.nothing_is_lent());
}

#[test]
fn a_host_that_answers_never_late_or_too_much_harms_nobody() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    let inject = |fault| {
        machine.host.inject(RequestType::HGCM_CALL_64, Fault::Hgcm { function: None, fault }, Times::Next(1))
    };
    let get = || [text("/a"), room(64), HgcmParameter::U64(0), HgcmParameter::U32(0)];
    machine.host.set_property("/a", "1", "").expect("a property");

    inject(HgcmFault::Oversize);
    let mut parameters = get();
    assert_eq!(call(&session, client, Function::GET, &mut parameters), Ok(Status::SUCCESS));
    let HgcmParameter::Out { data, needed } = &parameters[1] else { panic!("{parameters:?}") };
    assert!(data.len() == 64 && *needed > 64, "{needed}");

    for fault in [HgcmFault::Never, HgcmFault::AfterCancel] {
        inject(fault);
        let timeout = Some(Duration::from_millis(20));
        let outcome = session.hgcm_call(client, Function::GET.0, &mut get(), timeout, &Canceller::new());
        assert_eq!(status(outcome), Status::TIMEOUT, "{fault:?}");
        assert!(machine.nothing_is_lent());
    }

    inject(HgcmFault::Twice);
    for _ in 0..3 {
        assert_eq!(call(&session, client, Function::GET, &mut get()), Ok(Status::SUCCESS));
    }
    inject(HgcmFault::Vanish);
    assert_eq!(call(&session, client, Function::GET, &mut get()), Ok(Status::HGCM_INVALID_CLIENT_ID));
    assert!(machine.nothing_is_lent());
}

#[test]
fn rubbish_for_answers_is_survived() {
    let machine = Machine::new();
    let (session, client) = machine.connected();
    for seed in 0..500 {
        machine.host.inject(RequestType::HGCM_CALL_64, Fault::Rubbish { seed }, Times::Next(1));
        let mut parameters =
            [HgcmParameter::InOut(vec![1; 5000]), room(64), HgcmParameter::U64(0), HgcmParameter::U32(0)];

        let outcome = call(&session, client, Function::GET, &mut parameters);

        let error = outcome.expect_err("the types of its parameters are no types");
        assert_eq!(error.status, Status::INVALID_PARAMETER);
        assert_eq!(parameters[0], HgcmParameter::InOut(vec![1; 5000]));
    }
    machine.host.inject(RequestType::HGCM_CALL_64, Fault::Ignore, Times::Next(1));
    assert_eq!(call(&session, client, Function::GET, &mut []), Ok(Status::GENERAL_FAILURE));
    assert_eq!(call(&session, client, Function::GET, &mut []), Ok(Status::INVALID_PARAMETER));
    assert!(machine.nothing_is_lent());
}

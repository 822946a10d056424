//! HGCM over a bus whose host does what the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Hgcm, Requester};
use crate::pci::{Bus, BusFault, Interrupt};
use crate::wire::Status;
use crate::{Canceller, HgcmClient, HgcmParameter};

const CLIENT: HgcmClient = HgcmClient(7);
const SESSION: u64 = 1;
const ASYNC: i32 = 2903;

/// What a host does with a call: the memory, and the address of the request in it. It returns the
/// status for its header.
type Service = dyn Fn(&mut Memory, u32) -> i32 + Send + Sync;

#[derive(Default)]
struct Host {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    memory: Memory,
    /// The address and the bytes of each request, in order.
    requests: Vec<(u32, Vec<u8>)>,
    service: Option<Arc<Service>>,
    /// The answer to a cancellation.
    cancelled: i32,
    next_client: u32,
    allocated: usize,
    full: bool,
}

#[derive(Default)]
struct Memory(BTreeMap<u32, Vec<u8>>);

impl Memory {
    fn range(&mut self, address: u32, length: usize) -> Option<&mut [u8]> {
        let (start, bytes) = self.0.range_mut(..=address).next_back()?;
        bytes.get_mut((address - start) as usize..)?.get_mut(..length)
    }

    fn word(&mut self, address: u32) -> u32 {
        word(self.range(address, 4).expect("memory"), 0)
    }

    fn long(&mut self, address: u32) -> u64 {
        u64::from(self.word(address)) | u64::from(self.word(address + 4)) << 32
    }

    fn put(&mut self, address: u32, value: u32) {
        self.range(address, 4).expect("memory").copy_from_slice(&value.to_le_bytes());
    }

    /// Completes a request.
    fn finish(&mut self, request: u32, result: i32) {
        self.put(request + 28, result as u32);
        self.put(request + 24, 1);
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Host {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, service: impl Fn(&mut Memory, u32) -> i32 + Send + Sync + 'static) {
        self.lock().service = Some(Arc::new(service));
    }

    /// The types of the requests since the last look.
    fn requests(&self) -> Vec<u32> {
        std::mem::take(&mut self.lock().requests).iter().map(|(_, request)| word(request, 8)).collect()
    }

    /// Returns once so many requests were made since the last look.
    fn until_requests(&self, count: usize) {
        let mut state = self.lock();
        while state.requests.len() < count {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn allocated(&self) -> usize {
        self.lock().allocated
    }
}

impl Bus for Host {
    fn write_port(&self, _: u16, address: u32) -> Result<(), BusFault> {
        let mut state = self.lock();
        let (size, kind) = (state.memory.word(address), state.memory.word(address + 8));
        let request = state.memory.range(address, size as usize).expect("memory").to_vec();
        state.requests.push((address, request));
        self.changed.notify_all();
        let rc = match kind {
            60 => {
                state.next_client += 1;
                let client = state.next_client + 6;
                state.memory.put(address + 164, client);
                state.memory.finish(address, 0);
                0
            }
            61 => {
                state.memory.finish(address, 0);
                0
            }
            63 => match state.service.clone() {
                Some(service) => service(&mut state.memory, address),
                None => ASYNC,
            },
            65 => state.cancelled,
            _ => -12,
        };
        state.memory.put(address + 12, rc as u32);
        Ok(())
    }

    fn read_port(&self, _: u16) -> Result<u32, BusFault> {
        Err(BusFault)
    }

    fn read_memory(&self, _: u32) -> Result<u32, BusFault> {
        Err(BusFault)
    }

    fn memory_len(&self) -> u32 {
        0
    }

    fn wait_interrupt(&self, _: Option<Duration>) -> Interrupt {
        Interrupt::Closed
    }

    fn close(&self) {}

    fn dma_range(&self) -> (u32, u32) {
        (0x1000, self.lock().memory.0[&0x1000].len() as u32)
    }

    fn dma_allocate(&self, pages: usize) -> Option<u32> {
        let mut state = self.lock();
        if state.full {
            return None;
        }
        let last = state.memory.0.last_key_value().expect("there is always some");
        let address = last.0 + last.1.len() as u32 + 0x1000;
        state.memory.0.insert(address, vec![0; pages * 4096]);
        state.allocated += 1;
        Some(address)
    }

    fn dma_free(&self, address: u32) {
        let mut state = self.lock();
        state.memory.0.remove(&address).expect("it was allocated");
        state.allocated -= 1;
    }

    fn dma_write(&self, address: u32, bytes: &[u8]) -> Result<(), BusFault> {
        let mut state = self.lock();
        state.memory.range(address, bytes.len()).ok_or(BusFault)?.copy_from_slice(bytes);
        Ok(())
    }

    fn dma_read(&self, address: u32, bytes: &mut [u8]) -> Result<(), BusFault> {
        let mut state = self.lock();
        bytes.copy_from_slice(state.memory.range(address, bytes.len()).ok_or(BusFault)?);
        Ok(())
    }
}

/// A host, and a driver whose session 1 has the client 7. All memory for calls is allocated.
fn connected() -> (Arc<Host>, Arc<Hgcm>) {
    connected_with(0)
}

/// As [`connected`], with so many pages that are always there for calls.
fn connected_with(pages: usize) -> (Arc<Host>, Arc<Hgcm>) {
    let host = Arc::new(Host::default());
    // One page for the interrupt thread, and as much as a request can take.
    let packets = if pages == 0 { 0x1000 } else { 0x10_0000 };
    host.lock().memory.0.insert(0x1000, vec![0; 0x1000 + packets + pages * 0x1000]);
    let bus: Arc<dyn Bus> = host.clone();
    let requester = Arc::new(Requester::new(bus.clone()).expect("room for packets"));
    let hgcm = Arc::new(Hgcm::new(bus, requester));
    assert_eq!(hgcm.connect(SESSION, "VBoxGuestPropSvc"), Ok(CLIENT));
    host.requests();
    (host, hgcm)
}

fn call(hgcm: &Hgcm, parameters: &mut [HgcmParameter]) -> crate::Result<Status> {
    hgcm.call(SESSION, CLIENT, 3, parameters, None, &Canceller::new())
}

fn out(room: usize) -> HgcmParameter {
    HgcmParameter::Out { data: vec![0; room], needed: 0 }
}

/// Calls a function of no parameters from another thread.
fn call_elsewhere(hgcm: &Arc<Hgcm>, function: u32, cancel: &Canceller) -> JoinHandle<crate::Result<Status>> {
    let (hgcm, cancel) = (hgcm.clone(), cancel.clone());
    std::thread::spawn(move || hgcm.call(SESSION, CLIENT, function, &mut [], None, &cancel))
}

#[test]
fn connecting_names_the_service_and_its_location_and_disconnecting_the_client() {
    let (host, hgcm) = connected();
    hgcm.connect(SESSION, "VBoxSharedClipboard").expect("a client");
    hgcm.disconnect(SESSION, HgcmClient(8)).expect("it is connected");

    let requests = std::mem::take(&mut host.lock().requests);
    let [(_, connect), (_, disconnect)] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!([0, 8, 32].map(|at| word(connect, at)), [168, 60, 2]);
    assert_eq!(&connect[36..57], b"VBoxSharedClipboard\0\0");
    assert_eq!([0, 8, 32].map(|at| word(disconnect, at)), [36, 61, 8]);
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_call_has_its_parameters_as_values_and_lists_of_pages() {
    let (host, hgcm) = connected();
    host.serve(|memory, request| {
        // 44 bytes of head, seven parameters of 16, and four lists of 1, 1, 3 and 2 pages.
        assert_eq!(memory.word(request), 44 + 7 * 16 + 4 * 8 + 7 * 8);
        assert_eq!(memory.word(request + 8), 63);
        assert_eq!([32, 36, 40].map(|at| memory.word(request + at)), [7, 3, 7]);
        let parameter = |index: u32| request + 44 + 16 * index;
        let kinds: Vec<_> = (0..7).map(|index| memory.word(parameter(index))).collect();
        assert_eq!(kinds, [1, 2, 10, 10, 4, 10, 10]);
        assert_eq!(memory.word(parameter(0) + 4), 11);
        assert_eq!(memory.long(parameter(1) + 4), 0x1122_3344_5566_7788);
        assert_eq!((memory.word(parameter(4) + 4), memory.long(parameter(4) + 8)), (0, 0));

        // Direction, offset in the first page, number of pages, and what is there.
        let cases: [(u32, u32, u32, &[u8]); 4] =
            [(2, 1, 1, b"abc"), (3, 2, 1, &[0; 4]), (5, 1, 3, &[5; 3 * 4096]), (6, 3, 2, &[6; 4097])];
        for (index, flags, pages, bytes) in cases {
            let size = memory.word(parameter(index) + 4);
            let list = request + memory.word(parameter(index) + 8);
            assert_eq!(size as usize, bytes.len());
            assert_eq!(memory.word(list), flags);
            let (offset, count) = (memory.word(list + 4) & 0xFFFF, memory.word(list + 4) >> 16);
            assert_eq!(count, pages);
            let mut found = Vec::new();
            for page in 0..count {
                let address = memory.long(list + 8 + 8 * page) as u32;
                assert!(address.is_multiple_of(4096));
                found.extend_from_slice(memory.range(address, 4096).expect("a whole page"));
            }
            let found = &found[offset as usize..][..bytes.len()];
            assert_eq!(found, if flags == 2 { &[0; 4][..] } else { bytes }, "{index}");
        }
        memory.finish(request, 0);
        0
    });
    let mut parameters = [
        HgcmParameter::U32(11),
        HgcmParameter::U64(0x1122_3344_5566_7788),
        HgcmParameter::In(b"abc".to_vec()),
        out(4),
        HgcmParameter::In(Vec::new()),
        HgcmParameter::In(vec![5; 3 * 4096]),
        HgcmParameter::InOut(vec![6; 4097]),
    ];

    assert_eq!(call(&hgcm, &mut parameters), Ok(Status::SUCCESS));
}

#[test]
fn results_are_taken_within_their_room_and_what_was_needed_is_told() {
    let (host, hgcm) = connected();
    host.serve(|memory, request| {
        for (index, low) in (0..).zip([12, 0x99, 3, 2083, 2, 5]) {
            memory.put(request + 48 + 16 * index, low);
        }
        for index in [3, 4] {
            let list = request + memory.word(request + 52 + 16 * index);
            let address = memory.long(list + 8) as u32 + (memory.word(list + 4) & 0xFFFF);
            memory.range(address, 4).expect("memory").copy_from_slice(b"host");
        }
        memory.finish(request, -41);
        0
    });
    let mut parameters = [
        HgcmParameter::U32(11),
        HgcmParameter::U64(1 << 32),
        HgcmParameter::In(b"abc".to_vec()),
        out(4),
        HgcmParameter::InOut(b"wxyz".to_vec()),
        out(0),
    ];

    assert_eq!(call(&hgcm, &mut parameters), Ok(Status::BUFFER_OVERFLOW));
    assert_eq!(
        parameters,
        [
            HgcmParameter::U32(12),
            HgcmParameter::U64(1 << 32 | 0x99),
            HgcmParameter::In(b"abc".to_vec()),
            HgcmParameter::Out { data: b"host".to_vec(), needed: 2083 },
            HgcmParameter::InOut(b"ho".to_vec()),
            HgcmParameter::Out { data: Vec::new(), needed: 5 },
        ]
    );
    assert_eq!(host.allocated(), 0);
}

#[test]
fn an_answer_with_a_parameter_of_another_type_is_refused_and_changes_nothing() {
    let (host, hgcm) = connected();
    host.serve(|memory, request| {
        memory.put(request + 48, 12);
        memory.put(request + 44 + 16, 2);
        memory.finish(request, 0);
        0
    });
    let mut parameters = [HgcmParameter::U32(11), out(4)];
    let before = parameters.clone();

    let error = call(&hgcm, &mut parameters).expect_err("no host does that");

    assert_eq!(
        error.to_string(),
        "Cannot call HGCM function 3 (the host changed the type of parameter 1): VERR_INVALID_PARAMETER (-2)"
    );
    assert_eq!(parameters, before);
    assert_eq!(host.allocated(), 0);
}

#[test]
fn the_host_s_refusal_in_the_header_is_the_status_of_the_call() {
    let (host, hgcm) = connected();
    host.serve(|_, _| -2909);
    assert_eq!(call(&hgcm, &mut []), Ok(Status::HGCM_TOO_MANY_CLIENT_CALLS));

    // Neither done nor to be done later.
    host.serve(|_, _| 0);
    assert_eq!(call(&hgcm, &mut []), Ok(Status::INTERNAL_ERROR));
}

#[test]
fn a_completion_wakes_the_caller_whose_request_is_done() {
    let (host, hgcm) = connected();
    let [second, first] = [2, 1].map(|function| call_elsewhere(&hgcm, function, &Canceller::new()));
    host.until_requests(2);
    let requests = std::mem::take(&mut host.lock().requests);
    let request = |function| requests.iter().find(|(_, bytes)| word(bytes, 36) == function).expect("it").0;

    hgcm.completed();
    host.lock().memory.finish(request(1), 5);
    hgcm.completed();
    assert_eq!(first.join().expect("no panic"), Ok(Status(5)));

    assert!(!second.is_finished());
    host.lock().memory.finish(request(2), 6);
    hgcm.completed();
    assert_eq!(second.join().expect("no panic"), Ok(Status(6)));
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_completion_that_is_faster_than_the_answer_is_not_missed() {
    let (host, hgcm) = connected();
    host.serve(|memory, request| {
        memory.finish(request, 5);
        ASYNC
    });

    assert_eq!(call(&hgcm, &mut []), Ok(Status(5)));
}

#[test]
fn a_call_whose_time_is_over_is_cancelled_at_the_host() {
    let (host, hgcm) = connected();

    let outcome = hgcm.call(SESSION, CLIENT, 3, &mut [], Some(Duration::ZERO), &Canceller::new());

    assert_eq!(outcome.expect_err("no answer").status, Status::TIMEOUT);
    let requests = std::mem::take(&mut host.lock().requests);
    let [(address, _), (_, cancel)] = &requests[..] else { panic!("{requests:?}") };
    assert_eq!([0, 8, 24].map(|at| word(cancel, at)), [28, 65, *address]);
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_call_is_cancelled_from_another_thread_and_before_it_begins() {
    let (host, hgcm) = connected();
    let cancel = Canceller::new();
    let caller = call_elsewhere(&hgcm, 3, &cancel);
    host.until_requests(1);

    cancel.cancel();

    assert_eq!(caller.join().expect("no panic").expect_err("cancelled").status, Status::CANCELLED);
    assert_eq!(host.requests(), [63, 65]);
    let error = hgcm.call(SESSION, CLIENT, 3, &mut [], None, &cancel).expect_err("cancelled");
    assert_eq!(error.status, Status::CANCELLED);
    assert_eq!(host.requests(), []);
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_completion_that_was_faster_than_the_cancellation_counts() {
    let (host, hgcm) = connected();
    host.lock().cancelled = -78;
    let cancel = Canceller::new();
    let caller = call_elsewhere(&hgcm, 3, &cancel);
    host.until_requests(1);
    let request = host.lock().requests[0].0;

    cancel.cancel();
    host.until_requests(2);
    host.lock().memory.finish(request, 5);
    hgcm.completed();

    assert_eq!(caller.join().expect("no panic"), Ok(Status(5)));
}

#[test]
fn memory_that_a_host_does_not_let_go_of_is_not_used_again_before_it_does() {
    let (host, hgcm) = connected();
    host.lock().cancelled = -12;

    let error = hgcm.call(SESSION, CLIENT, 3, &mut [], Some(Duration::ZERO), &Canceller::new());

    assert_eq!(error.expect_err("no answer").status, Status::TIMEOUT);
    assert_eq!(host.allocated(), 1);
    hgcm.completed();
    assert_eq!(host.allocated(), 1);
    let request = host.lock().requests[0].0;
    host.lock().memory.finish(request, 0);
    hgcm.completed();
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_device_that_goes_ends_the_calls_that_are_under_way_and_those_to_come() {
    let (host, hgcm) = connected();
    let caller = call_elsewhere(&hgcm, 3, &Canceller::new());
    host.until_requests(1);

    hgcm.close();

    assert_eq!(caller.join().expect("no panic").expect_err("gone").status, Status::INVALID_STATE);
    assert_eq!(call(&hgcm, &mut []).expect_err("gone").status, Status::INVALID_STATE);
    assert_eq!(host.requests(), [63]);
    assert_eq!(host.allocated(), 0);
}

#[test]
fn a_host_that_forgets_ends_the_calls_that_are_under_way_and_the_connections() {
    let (host, hgcm) = connected();
    let cancel = Canceller::new();
    let caller = call_elsewhere(&hgcm, 3, &cancel);
    host.until_requests(1);

    hgcm.reset();

    assert_eq!(caller.join().expect("no panic").expect_err("forgotten").status, Status::INVALID_STATE);
    assert_eq!(host.allocated(), 0);
    assert_eq!(call(&hgcm, &mut []).expect_err("forgotten").status, Status::HGCM_INVALID_CLIENT_ID);
    assert_eq!(host.requests(), [63]);
    hgcm.connect(SESSION, "VBoxGuestPropSvc").expect("the device is there");
}

#[test]
fn limits_are_checked_before_anything_is_allocated_or_sent() {
    let (host, hgcm) = connected();
    host.lock().full = true;
    let large = |bytes| HgcmParameter::In(vec![0; bytes]);
    let cases = [
        (vec![HgcmParameter::U32(0); 33], Status::TOO_MUCH_DATA),
        (vec![large((128 << 20) + 1)], Status::OUT_OF_RANGE),
        (vec![large(64 << 20), out(64 << 20), large(1)], Status::TOO_MUCH_DATA),
        (vec![out(1)], Status::NO_MEMORY),
    ];
    for (mut parameters, status) in cases {
        assert_eq!(call(&hgcm, &mut parameters).expect_err("over a limit").status, status);
    }
    let names = ["", "a\0b", &"x".repeat(128)];
    for name in names {
        let error = hgcm.connect(SESSION, name).expect_err("no name");
        assert_eq!(error.status, Status::INVALID_PARAMETER);
    }
    assert_eq!(host.requests(), []);
}

#[test]
fn clients_are_a_session_s_own_and_go_with_it() {
    let (host, hgcm) = connected();
    let other = hgcm.connect(2, "VBoxGuestPropSvc").expect("a client");
    host.requests();

    for (session, client) in [(1, other), (2, CLIENT), (3, CLIENT), (1, HgcmClient(99))] {
        let called = hgcm.call(session, client, 3, &mut [], None, &Canceller::new());
        assert_eq!(called.expect_err("not its own").status, Status::HGCM_INVALID_CLIENT_ID);
        let error = hgcm.disconnect(session, client).expect_err("not its own");
        assert_eq!(error.status, Status::HGCM_INVALID_CLIENT_ID);
    }
    assert_eq!(host.requests(), []);

    hgcm.connect(SESSION, "VBoxSharedClipboard").expect("a client");
    hgcm.close_session(SESSION);
    assert_eq!(host.requests(), [60, 61, 61]);
    hgcm.disconnect(2, other).expect("it is another session's");
}

#[test]
fn a_session_has_sixty_four_clients_and_no_more() {
    let (host, hgcm) = connected();
    for _ in 1..64 {
        hgcm.connect(SESSION, "VBoxGuestPropSvc").expect("a client");
    }

    let error = hgcm.connect(SESSION, "VBoxGuestPropSvc").expect_err("one too many");

    assert_eq!(error.status, Status::HGCM_TOO_MANY_CLIENTS);
    assert_eq!(host.requests().len(), 63);
    hgcm.connect(2, "VBoxGuestPropSvc").expect("another session has its own");
    hgcm.disconnect(SESSION, CLIENT).expect("it is connected");
    hgcm.connect(SESSION, "VBoxGuestPropSvc").expect("there is room again");
}

#[test]
fn a_host_that_gives_a_number_twice_is_not_believed() {
    let (host, hgcm) = connected();
    host.lock().next_client = 0;

    let error = hgcm.connect(2, "VBoxGuestPropSvc").expect_err("it is session 1's");

    assert_eq!(error.status, Status::HGCM_INTERNAL);
    host.serve(|memory, request| {
        memory.finish(request, 0);
        0
    });
    assert_eq!(call(&hgcm, &mut []), Ok(Status::SUCCESS));
}

#[test]
fn a_call_that_fits_a_page_takes_one_that_is_always_there_and_leaves_nothing_in_it() {
    let (host, hgcm) = connected_with(2);
    host.lock().full = true;
    host.serve(|memory, request| {
        memory.finish(request, 0);
        0
    });
    let secret = || HgcmParameter::In(b"secret".repeat(500));

    for _ in 0..3 {
        assert_eq!(call(&hgcm, &mut [secret()]), Ok(Status::SUCCESS));
    }
    let mut parameters = [out(3000)];
    assert_eq!(call(&hgcm, &mut parameters), Ok(Status::SUCCESS));
    assert_eq!(parameters, [HgcmParameter::Out { data: vec![0; 3000], needed: 3000 }]);
    assert_eq!(call(&hgcm, &mut [out(4096)]).expect_err("it takes two").status, Status::NO_MEMORY);
    // One after the other, so that none is used again soon.
    let addresses: Vec<_> = host.lock().requests.iter().map(|(address, _)| *address).collect();
    assert_eq!(addresses, [0x10_3000, 0x10_2000, 0x10_3000, 0x10_2000]);
}

#[test]
fn more_calls_than_there_are_pages_take_what_is_allocated() {
    let (host, hgcm) = connected_with(1);
    let callers = [1, 2].map(|function| call_elsewhere(&hgcm, function, &Canceller::new()));
    host.until_requests(2);
    assert_eq!(host.allocated(), 1);

    hgcm.close();
    for caller in callers {
        assert_eq!(caller.join().expect("no panic").expect_err("gone").status, Status::INVALID_STATE);
    }
    assert_eq!(host.allocated(), 0);
}

//! The device behind its vfio-user socket, driven by a client as QEMU drives it, without a machine.

mod guest;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use driver_core::wire::{
    AcknowledgeEvents, CtlGuestFilterMask, Events, GetHostVersion, HgcmConnect, INTERFACE_VERSION, Request,
    RequestType, Status, guest_property,
};
use guest::{SOON, report_guest_info};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK,
    VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
};
use vfio_user::Client;
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};
use vmmdev::carrier::VfioUser;
use vmmdev::{Fault, Host, Times};
use zerocopy::IntoBytes;

const PORTS: u32 = 0;
const MEMORY: u32 = 1;
const CONFIG: u32 = 7;
const INTX: u32 = 0;

/// Where the guest's memory is, guest-physical, and how much of it there is.
const RAM: u64 = 0x10_0000;
const RAM_LEN: u64 = 0x10_0000;

/// A host whose device is served in this process.
struct Served {
    host: Host,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("device");
        let host = Host::default();
        let device = VfioUser::new(&host, UnixListener::bind(&socket).expect("a socket"));
        // It serves as long as the process lives.
        std::thread::spawn(move || device.serve());
        Self { host, socket, _folder: folder }
    }

    /// A machine with memory and an interrupt, whose guest has not done anything.
    fn machine(&self) -> Machine {
        Machine::new(&self.socket)
    }
}

/// A client that does what QEMU does.
struct Machine {
    client: Client,
    ram: File,
    intx: EventFd,
}

impl Machine {
    fn new(socket: &Path) -> Self {
        let mut client = Client::new(socket).expect("a connection");
        let ram = tempfile::tempfile().expect("a file");
        ram.set_len(RAM_LEN).expect("room");
        client.dma_map(0, RAM, RAM_LEN, ram.as_raw_fd()).expect("mapped");
        let intx = EventFd::new(EFD_NONBLOCK).expect("an eventfd");
        let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
        client.set_irqs(INTX, flags, 0, 1, &[intx.as_raw_fd()]).expect("an interrupt");
        Self { client, ram, intx }
    }

    /// A machine whose guest reported itself and wants these events.
    fn wanting(served: &Served, events: Events) -> Self {
        let mut machine = served.machine();
        machine.ask(report_guest_info(INTERFACE_VERSION));
        let mut filter = CtlGuestFilterMask::new();
        filter.or_mask = events.bits().into();
        machine.ask(filter);
        machine
    }

    fn read_word(&mut self, region: u32, offset: u64) -> u32 {
        let mut word = [0; 4];
        self.client.region_read(region, offset, &mut word).expect("a read");
        u32::from_le_bytes(word)
    }

    fn write_word(&mut self, region: u32, offset: u64, value: u32) {
        self.client.region_write(region, offset, &value.to_le_bytes()).expect("a write");
    }

    /// Makes a request in the guest's memory.
    fn ask<R: Request>(&mut self, request: R) -> (Status, R) {
        self.ram.write_all_at(request.as_bytes(), 0).expect("memory");
        self.write_word(PORTS, 0, RAM as u32);
        let mut answer = vec![0; request.as_bytes().len()];
        self.ram.read_exact_at(&mut answer, 0).expect("memory");
        let status = i32::from_le_bytes(answer[12..16].try_into().expect("4 bytes"));
        (Status(status), R::read_from_bytes(&answer).expect("the same length"))
    }

    fn unmask(&mut self) {
        self.set_irqs(VFIO_IRQ_SET_ACTION_UNMASK);
    }

    fn set_irqs(&mut self, action: u32) {
        self.client.set_irqs(INTX, action | VFIO_IRQ_SET_DATA_NONE, 0, 1, &[]).expect("an answer");
    }

    /// How many interrupts came since this was last asked.
    fn interrupts(&self) -> u64 {
        self.intx.read().unwrap_or(0)
    }

    /// What Linux's interrupt handler does, and QEMU around it: `fHaveEvents`, QEMU's unmasking at
    /// that touch, the acknowledgement. The events, or `None` when the interrupt was for nothing.
    fn handle_interrupt(&mut self) -> Option<u32> {
        let have_events = self.read_word(MEMORY, 8) & 0xFF != 0;
        self.unmask();
        have_events.then(|| self.ask(AcknowledgeEvents::new()).1.events.get())
    }
}

#[test]
fn a_guest_finds_the_device_that_linux_binds_to() {
    let served = Served::new();
    let mut machine = served.machine();

    assert_eq!(machine.read_word(CONFIG, 0x00), 0xCAFE_80EE);
    assert_eq!(machine.read_word(CONFIG, 0x08) >> 8, 0x08_80_00, "class");
    assert_eq!(machine.read_word(CONFIG, 0x2C), 0, "subsystem ids");
    assert_eq!(machine.read_word(CONFIG, 0x3C) >> 8 & 0xFF, 1, "INTA");
    assert_eq!(machine.read_word(MEMORY, 4), 1, "version of VMMDevMemory");
    assert!((32..=4 << 20).contains(&machine.read_word(MEMORY, 0)));
}

#[test]
fn bars_answer_all_ones_with_their_sizes() {
    let served = Served::new();
    let mut machine = served.machine();

    machine.write_word(CONFIG, 0x10, u32::MAX);
    machine.write_word(CONFIG, 0x14, u32::MAX);

    assert_eq!(machine.read_word(CONFIG, 0x10), 0xFFFF_FFE1, "32 ports");
    assert_eq!(machine.read_word(CONFIG, 0x14), 0xFFC0_0000, "4 MiB of memory");
}

#[test]
fn nine_regions_and_one_interrupt_that_masks_itself_are_declared() {
    let served = Served::new();
    let mut machine = served.machine();

    let sizes: Vec<_> = (0..9).map(|index| machine.client.region(index).map(|region| region.size)).collect();
    assert_eq!(sizes, [0x20, 4 << 20, 0, 0, 0, 0, 0, 256, 0].map(Some));
    let kinds: Vec<_> = (0..5)
        .map(|index| machine.client.get_irq_info(index).expect("a kind"))
        .map(|kind| (kind.count, kind.flags))
        .collect();
    assert_eq!(kinds, [(1, 0b111), (0, 0), (0, 0), (0, 0), (0, 0)]);
}

#[test]
fn a_request_is_answered_in_the_guest_s_memory_before_the_port_write_returns() {
    let served = Served::new();
    let mut machine = served.machine();

    let (status, version) = machine.ask(GetHostVersion::new());

    assert_eq!(status, Status::SUCCESS);
    assert_eq!((version.major.get(), version.minor.get()), (7, 2));
    assert_eq!(served.host.journal().len(), 1);
}

#[test]
fn a_request_outside_the_guest_s_memory_is_noted_and_does_no_harm() {
    let served = Served::new();
    let mut machine = served.machine();

    for address in [0, RAM - 1, RAM + RAM_LEN - 8, RAM + RAM_LEN, u64::from(u32::MAX)] {
        machine.write_word(PORTS, 0, address as u32);
    }

    assert_eq!(served.host.journal().len(), 5);
    assert!(served.host.journal().iter().all(|seen| seen.status.is_none()));
    assert_eq!(machine.ask(GetHostVersion::new()).0, Status::SUCCESS);
}

#[test]
fn a_request_that_leaves_the_guest_s_memory_is_not_answered() {
    let served = Served::new();
    let mut machine = served.machine();
    let request = GetHostVersion::new();
    let at = RAM_LEN - 32;
    machine.ram.write_all_at(&request.as_bytes()[..32], at).expect("memory");

    machine.write_word(PORTS, 0, (RAM + at) as u32);

    let mut left = [0; 32];
    machine.ram.read_exact_at(&mut left, at).expect("memory");
    assert_eq!(left, request.as_bytes()[..32]);
}

#[test]
fn memory_that_was_unmapped_is_out_of_reach() {
    let served = Served::new();
    let mut machine = served.machine();
    machine.client.dma_unmap(RAM, RAM_LEN).expect("unmapped");

    machine.ask(GetHostVersion::new());

    assert_eq!(served.host.journal()[0].status, None);
}

#[test]
fn ports_know_32_bits_and_nothing_else() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    let asked = served.host.journal_position();
    machine.ram.write_all_at(GetHostVersion::new().as_bytes(), 0).expect("memory");

    machine.client.region_write(PORTS, 0, &(RAM as u16).to_le_bytes()).expect("a write");
    machine.client.region_write(PORTS, 0, &RAM.to_le_bytes()).expect("a write");
    let mut half = [0; 2];
    machine.client.region_read(PORTS, 8, &mut half).expect("a read");

    assert_eq!(served.host.journal_position(), asked);
    assert_eq!(half, [0xFF; 2]);
    assert_eq!(machine.read_word(PORTS, 8), Events::VRDP.bits(), "still there");
}

#[test]
fn an_event_is_one_interrupt_and_a_thousand_are_a_thousand() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    let (mut interrupts, mut unhandled) = (0, 0);

    for _ in 0..1000 {
        served.host.raise_events(Events::VRDP);
        let came = machine.interrupts();
        interrupts += came;
        for _ in 0..came {
            unhandled += u32::from(machine.handle_interrupt() != Some(Events::VRDP.bits()));
        }
    }

    assert_eq!((interrupts, unhandled), (1000, 0));
    assert_eq!(machine.interrupts(), 0);
    let counters = served.host.counters();
    assert_eq!((counters.events, counters.interrupts, counters.repeats), (1000, 1000, 0));
}

#[test]
fn unmasking_before_the_guest_has_looked_sends_the_interrupt_again() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1);

    machine.read_word(CONFIG, 0);
    machine.unmask();

    assert_eq!(machine.interrupts(), 1);
    assert_eq!(machine.handle_interrupt(), Some(Events::VRDP.bits()));
    assert_eq!(machine.interrupts(), 0);
    let counters = served.host.counters();
    assert_eq!((counters.interrupts, counters.repeats), (1, 1));
}

#[test]
fn an_interrupt_that_was_sent_again_and_is_not_read_yet_is_taken_back_when_the_guest_looks() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1);
    machine.read_word(PORTS, 0);
    machine.unmask();

    assert_eq!(machine.read_word(MEMORY, 8), 1);

    assert_eq!(machine.interrupts(), 0);
    assert_eq!(machine.ask(AcknowledgeEvents::new()).1.events.get(), Events::VRDP.bits());
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1, "what was taken back needs no unmasking");
}

#[test]
fn an_interrupt_taken_back_leaves_a_client_s_own_mask_alone() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    machine.set_irqs(VFIO_IRQ_SET_ACTION_MASK);

    machine.read_word(MEMORY, 8);
    machine.ask(AcknowledgeEvents::new());
    served.host.raise_events(Events::VRDP);

    assert_eq!(machine.interrupts(), 0);
    machine.unmask();
    assert_eq!(machine.interrupts(), 1);
}

#[test]
fn an_eventfd_that_cannot_be_read_without_waiting_is_not_read() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    let waiting = EventFd::new(0).expect("an eventfd");
    let flags = VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD;
    machine.client.set_irqs(INTX, flags, 0, 1, &[waiting.as_raw_fd()]).expect("an interrupt");
    served.host.raise_events(Events::VRDP);
    assert_eq!(waiting.read().expect("a count"), 1);

    assert_eq!(machine.handle_interrupt(), Some(Events::VRDP.bits()), "the device has not hung");
}

#[test]
fn whenever_the_main_loop_runs_an_event_is_one_interrupt() {
    let served = Served::new();
    let mut machine = Emulated::new(Machine::wanting(&served, Events::VRDP));

    // Each bit is a place where the main loop may run.
    for schedule in 0..1_u32 << 6 {
        let mut places = (0..6).map(|place| schedule >> place & 1 != 0);
        let mut main_loop = |machine: &mut Emulated| {
            if places.next().unwrap_or(true) {
                machine.main_loop();
            }
        };
        machine.handled.clear();

        served.host.raise_events(Events::VRDP);
        main_loop(&mut machine);
        for _ in 0..2 {
            machine.read_word(PORTS, 0);
            main_loop(&mut machine);
        }
        // Once more than could be needed: the main loop is late, and nothing is lost.
        for _ in 0..3 {
            machine.handle_interrupt(&mut main_loop);
            machine.main_loop();
        }

        assert_eq!(machine.handled, [Some(Events::VRDP.bits())], "{schedule:06b}");
    }
    assert_eq!(served.host.counters().interrupts, 64);
}

/// A machine as QEMU emulates it, with one processor. Its main loop, which reads the eventfd, runs when
/// it is told to: a processor that is at the device holds the lock that it needs.
struct Emulated {
    machine: Machine,
    /// The device's interrupt line as the guest's interrupt controller sees it.
    line: bool,
    /// The controller has handed the processor an interrupt, and has not heard that it is handled.
    requested: bool,
    /// What the guest found at each interrupt: the events, or `None` when it was for nothing.
    handled: Vec<Option<u32>>,
}

impl Emulated {
    fn new(machine: Machine) -> Self {
        Self { machine, line: false, requested: false, handled: Vec::new() }
    }

    fn main_loop(&mut self) {
        self.line |= self.machine.interrupts() > 0;
        self.requested |= self.line;
    }

    /// QEMU lowers the line after any touch of the device, and unmasks then.
    fn touched(&mut self) {
        if std::mem::take(&mut self.line) {
            self.machine.unmask();
        }
    }

    fn read_word(&mut self, region: u32, offset: u64) -> u32 {
        let word = self.machine.read_word(region, offset);
        self.touched();
        word
    }

    /// What Linux's handler does, when there is an interrupt. The main loop may run in between.
    fn handle_interrupt(&mut self, mut main_loop: impl FnMut(&mut Self)) {
        if !self.requested {
            return;
        }
        let have_events = self.read_word(MEMORY, 8) & 0xFF != 0;
        main_loop(self);
        let events = have_events.then(|| {
            let (_, answer) = self.machine.ask(AcknowledgeEvents::new());
            self.touched();
            answer.events.get()
        });
        main_loop(self);
        self.handled.push(events);
        self.requested = self.line;
    }
}

#[test]
fn an_event_between_look_and_acknowledgement_travels_with_the_others() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP | Events::RESTORED);
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1);
    assert_eq!(machine.read_word(MEMORY, 8), 1);
    machine.unmask();

    served.host.raise_events(Events::RESTORED);

    assert_eq!(machine.interrupts(), 0);
    assert_eq!(machine.ask(AcknowledgeEvents::new()).1.events.get(), 0x110);
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1, "the next one is sent");
}

#[test]
fn a_refused_acknowledgement_is_asked_for_again() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    let refused = Fault::Fail(Status::GENERAL_FAILURE);
    served.host.inject(RequestType::ACKNOWLEDGE_EVENTS, refused, Times::Next(1));
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1);

    assert_eq!(machine.handle_interrupt(), Some(0));

    assert_eq!(machine.interrupts(), 1, "the line is still up");
    assert_eq!(machine.handle_interrupt(), Some(Events::VRDP.bits()));
}

#[test]
fn a_masked_interrupt_waits_for_its_unmasking() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    machine.set_irqs(VFIO_IRQ_SET_ACTION_MASK);

    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 0);

    machine.unmask();
    assert_eq!(machine.interrupts(), 1);
}

#[test]
fn a_stray_interrupt_finds_nothing_and_does_not_come_again() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);

    served.host.raise_stray_interrupt();

    assert_eq!(machine.interrupts(), 1);
    assert_eq!(machine.handle_interrupt(), None);
    assert_eq!(machine.interrupts(), 0);
}

#[test]
fn a_state_restored_after_the_guest_s_look_interrupts_it_again() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    assert_eq!(machine.interrupts(), 1);
    assert_eq!(machine.read_word(MEMORY, 8), 1);
    machine.unmask();

    served.host.restore(&served.host.save());

    assert_eq!(machine.interrupts(), 1);
}

#[test]
fn a_reset_makes_the_device_as_after_power_on() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::VRDP);
    machine.write_word(CONFIG, 0x14, 0xFE00_0000);
    let session = served.host.session_id();

    machine.client.reset().expect("reset");

    assert_eq!(served.host.guest().info, None);
    assert_ne!(served.host.session_id(), session);
    assert_eq!(machine.read_word(CONFIG, 0x14), 0);
    assert_eq!(machine.ask(GetHostVersion::new()).0, Status::SUCCESS, "memory stays mapped");
}

#[test]
fn a_machine_that_goes_away_is_followed_by_another() {
    let served = Served::new();
    let first = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);
    let intx = first.intx.try_clone().expect("a copy");
    assert_eq!(first.interrupts(), 1);
    drop(first);

    let mut second = Machine::wanting(&served, Events::VRDP);
    served.host.raise_events(Events::VRDP);

    assert!(intx.read().is_err(), "the first one's interrupt is given back");
    assert_eq!(second.interrupts(), 1);
    assert_eq!(second.handle_interrupt(), Some(Events::VRDP.bits()), "nothing is left of the first");
}

#[test]
fn what_the_last_machine_reported_can_be_read_until_the_next_one_begins() {
    let served = Served::new();
    drop(Machine::wanting(&served, Events::VRDP));
    drop(UnixStream::connect(&served.socket).expect("somebody who says nothing"));
    assert!(served.host.guest().info.is_some());

    served.machine();

    assert_eq!(served.host.guest().info, None);
}

#[test]
fn a_machine_that_dies_in_the_middle_of_a_message_is_followed_by_another() {
    let served = Served::new();
    for bytes in [&[][..], &[0], &HALF_A_WRITE, &RUBBISH, &NOT_A_TEXT] {
        let mut stream = UnixStream::connect(&served.socket).expect("a connection");
        stream.write_all(bytes).expect("room");
    }

    let mut machine = served.machine();

    assert_eq!(machine.ask(GetHostVersion::new()).0, Status::SUCCESS);
}

/// The head of a write to a region, and nothing of what it writes.
const HALF_A_WRITE: [u8; 16] = *b"\x01\0\x0A\0\x24\0\0\0\0\0\0\0\0\0\0\0";
const RUBBISH: [u8; 64] = [0xA5; 64];
/// A version message whose capabilities lack the zero at their end.
const NOT_A_TEXT: [u8; 22] = *b"\x01\0\x01\0\x16\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0{}";

#[test]
fn what_is_outside_a_region_is_refused_and_the_machine_goes_on() {
    let served = Served::new();
    let mut stream = UnixStream::connect(&served.socket).expect("a connection");
    stream.set_read_timeout(Some(SOON)).expect("a time-out");

    for (offset, region, count) in
        [(0x1E_u64, PORTS, 4_u32), (u64::MAX, MEMORY, 4), (0, 2, 4), (0, 9, 4), (0, CONFIG, u32::MAX)]
    {
        assert!(read_region(&mut stream, offset, region, count).is_none(), "{offset:#x} of {region}");
    }

    assert_eq!(read_region(&mut stream, 0, CONFIG, 4), Some(0xCAFE_80EE));
}

/// Reads a region in messages of our own: the crate's client cannot hear a refusal.
fn read_region(stream: &mut UnixStream, offset: u64, region: u32, count: u32) -> Option<u32> {
    let mut message = b"\x01\0\x09\0\x20\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    message.extend(offset.to_le_bytes());
    message.extend(region.to_le_bytes());
    message.extend(count.to_le_bytes());
    stream.write_all(&message).expect("room");
    let mut head = [0; 16];
    stream.read_exact(&mut head).expect("a reply");
    let refused = head[8] & 0x20 != 0;
    (!refused).then(|| {
        let mut rest = [0; 20];
        stream.read_exact(&mut rest).expect("the rest of the reply");
        u32::from_le_bytes(rest[16..].try_into().expect("4 bytes"))
    })
}

/// Puts a call that waits for a change of `/a` at an offset of the guest's memory, with its buffers in
/// itself, and makes it.
fn wait_for_a_change(machine: &mut Machine, client: u32, offset: u64) {
    let mut packet = guest::bare(63, 44 + 4 * 16 + 4 + 100);
    let buffers = 44 + 4 * 16;
    for (place, value) in [(32, client), (36, 6), (40, 4), (44, 11), (48, 3), (52, buffers << 8 | 1)] {
        guest::set_word(&mut packet, place, value);
    }
    for (place, value) in [(60, 2), (76, 11), (80, 100), (84, (buffers + 4) << 8 | 2), (92, 1)] {
        guest::set_word(&mut packet, place, value);
    }
    packet[buffers as usize..][..3].copy_from_slice(b"/a\0");
    machine.ram.write_all_at(&packet, offset).expect("memory");
    machine.write_word(PORTS, 0, (RAM + offset) as u32);
    assert_eq!(machine.ram_word(offset + 12), 2903, "it waits");
}

impl Machine {
    fn ram_word(&self, offset: u64) -> u32 {
        let mut word = [0; 4];
        self.ram.read_exact_at(&mut word, offset).expect("memory");
        u32::from_le_bytes(word)
    }

    fn connect(&mut self, service: &str) -> u32 {
        let mut request = HgcmConnect::new();
        request.location = 2.into();
        request.name[..service.len()].copy_from_slice(service.as_bytes());
        let (status, answer) = self.ask(request);
        assert_eq!(status, Status::SUCCESS);
        answer.client.get()
    }
}

#[test]
fn a_call_is_answered_in_the_guest_s_memory_when_the_host_does_something() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::empty());
    let client = machine.connect(guest_property::SERVICE);
    wait_for_a_change(&mut machine, client, 0x1000);
    assert_eq!(machine.interrupts(), 0);

    served.host.set_property("/a", "1", "").expect("set");

    assert_eq!(machine.ram_word(0x1000 + 24), 1, "done");
    assert_eq!(machine.ram_word(0x1000 + 28), 0, "with success");
    let mut change = [0; 8];
    machine.ram.read_exact_at(&mut change, 0x1000 + 112).expect("memory");
    assert_eq!(&change, b"/a\x001\0\x000\0");
    assert_eq!(machine.interrupts(), 1);
}

#[test]
fn memory_that_is_no_longer_there_is_not_written() {
    let served = Served::new();
    let mut machine = Machine::wanting(&served, Events::empty());
    let client = machine.connect(guest_property::SERVICE);
    wait_for_a_change(&mut machine, client, 0x1000);
    machine.client.dma_unmap(RAM, RAM_LEN).expect("unmapped");

    served.host.set_property("/a", "1", "").expect("set");

    assert_eq!(machine.ram_word(0x1000 + 24), 0);
    drop(machine);
    served.host.set_property("/a", "2", "").expect("nobody is there");
    let mut next = Machine::wanting(&served, Events::empty());
    next.connect(guest_property::SERVICE);
    assert_eq!(served.host.hgcm_clients().len(), 1, "the last machine's are gone");
}

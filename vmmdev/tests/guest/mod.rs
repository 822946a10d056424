//! A guest as small as can be: it puts packets into memory and rings the port.

// Each test file uses a part of it.
#![allow(dead_code)]

pub mod hgcm;

use std::time::Duration;

use driver_core::pci::{Bus, Interrupt};
use driver_core::wire::{
    AcknowledgeEvents, CtlGuestFilterMask, Events, INTERFACE_VERSION, ReportGuestInfo, Request,
    RequestHeader, Status,
};
use vmmdev::Host;
use vmmdev::carrier::InProcess;
use zerocopy::IntoBytes;

/// Long enough for anything that is to happen, and never waited for when it does.
pub const SOON: Duration = Duration::from_secs(10);

/// Long enough for a thread that was started to be waiting. When it is not, a test proves less, but
/// does not fail.
pub const TO_FALL_ASLEEP: Duration = Duration::from_millis(30);

pub struct Guest {
    pub host: Host,
    pub bus: InProcess,
}

impl Guest {
    /// A guest that has not reported itself.
    pub fn silent() -> Self {
        let host = Host::default();
        let bus = InProcess::new(&host);
        Self { host, bus }
    }

    /// A guest that has.
    pub fn reported() -> Self {
        let guest = Self::silent();
        assert_eq!(guest.ask(report_guest_info(INTERFACE_VERSION)).0, Status::SUCCESS);
        guest
    }

    /// A guest that has, and wants these events.
    pub fn wanting(events: Events) -> Self {
        let guest = Self::reported();
        guest.change_filter(events.bits(), 0);
        guest
    }

    /// Makes a request and returns the host's answer.
    pub fn ask<R: Request>(&self, request: R) -> (Status, R) {
        let (status, packet) = self.ask_bytes(request.as_bytes());
        (status, R::read_from_bytes(&packet).expect("the same length"))
    }

    /// Makes a request of any bytes, at least 16 of them.
    pub fn ask_bytes(&self, packet: &[u8]) -> (Status, Vec<u8>) {
        let (address, _) = self.bus.dma_range();
        self.bus.dma_write(address, packet).expect("inside memory");
        self.bus.write_port(0, address).expect("a port");
        let mut answer = packet.to_vec();
        self.bus.dma_read(address, &mut answer).expect("inside memory");
        (Status(word(&answer, 12) as i32), answer)
    }

    pub fn change_filter(&self, or_mask: u32, not_mask: u32) {
        let mut request = CtlGuestFilterMask::new();
        request.or_mask = or_mask.into();
        request.not_mask = not_mask.into();
        assert_eq!(self.ask(request).0, Status::SUCCESS);
    }

    pub fn acknowledge(&self) -> u32 {
        let (status, answer) = self.ask(AcknowledgeEvents::new());
        assert_eq!(status, Status::SUCCESS);
        answer.events.get()
    }

    /// Whether the interrupt line is up now.
    pub fn line(&self) -> bool {
        self.bus.wait_interrupt(Some(Duration::ZERO)) == Interrupt::Raised
    }

    /// `fHaveEvents`.
    pub fn have_events(&self) -> bool {
        self.bus.read_memory(8).expect("inside the bar") & 0xFF != 0
    }
}

pub fn report_guest_info(interface_version: u32) -> ReportGuestInfo {
    let mut request = ReportGuestInfo::new();
    request.interface_version = interface_version.into();
    request.os_type = 0x5_3100.into();
    request
}

/// A packet that is nothing but a header, followed by zeroes up to its size.
pub fn bare(request_type: u32, size: u32) -> Vec<u8> {
    let header = RequestHeader::new(driver_core::wire::RequestType(request_type), size);
    let mut packet = header.as_bytes().to_vec();
    packet.resize((size as usize).max(24), 0);
    packet
}

pub fn word(packet: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(packet[offset..offset + 4].try_into().expect("4 bytes"))
}

pub fn set_word(packet: &mut [u8], offset: usize, value: u32) {
    packet[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
}

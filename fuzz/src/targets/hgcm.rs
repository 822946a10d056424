//! HGCM calls from end to end: what a guest's driver makes of a host's answers, and a host of a guest's
//! calls.

use std::sync::Arc;
use std::time::Duration;

use driver_core::pci::PciDevice;
use driver_core::wire::{RequestType, guest_property, shared_clipboard};
use driver_core::{Canceller, Driver, HgcmParameter};
use vmmdev::carrier::InProcess;
use vmmdev::{Fault, HgcmFault, Host, Times};

use super::Target;

pub const TARGET: Target = Target {
    name: "hgcm",
    about: "calls of services whose answers are spoilt: service, function, fault, then parameters",
    run,
    seeds,
    tries: 1_500,
};

/// No call is waited for any longer.
const TIMEOUT: Duration = Duration::from_millis(2);

fn run(bytes: &[u8]) {
    let [service, function, fault, at, rest @ ..] = bytes else { return };
    let host = Host::default();
    let Ok(device) = PciDevice::probe(Arc::new(InProcess::new(&host))) else { return };
    let session = device.session();
    let name = [guest_property::SERVICE, shared_clipboard::SERVICE][usize::from(*service) % 2];
    let Ok(client) = session.hgcm_connect(name) else { return };
    let word = rest.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
    let hgcm = |fault| Some(Fault::Hgcm { function: None, fault });
    let fault = match fault % 9 {
        0 => None,
        1 => Some(Fault::Word { offset: 4 * u32::from(*at), value: word }),
        2 => Some(Fault::Rubbish { seed: u64::from(word) << 8 | u64::from(*at) }),
        3 => hgcm(HgcmFault::Oversize),
        4 => hgcm(HgcmFault::Unterminated),
        5 => hgcm(HgcmFault::Babble(u64::from(word) << 32 | u64::from(*at))),
        6 => hgcm(HgcmFault::Twice),
        7 => hgcm(HgcmFault::Vanish),
        _ => Some(Fault::Ignore),
    };
    if let Some(fault) = fault {
        host.inject(RequestType::HGCM_CALL_64, fault, Times::Next(1));
    }
    let mut parameters = parameters(rest);
    let function = u32::from(*function);
    let _ = session.hgcm_call(client, function, &mut parameters, Some(TIMEOUT), &Canceller::new());
    for parameter in &parameters {
        if let HgcmParameter::Out { data, .. } = parameter {
            assert!(data.len() <= 1 << 16, "more than there was room for");
        }
    }
    // What was spoilt is over.
    assert!(session.hgcm_connect(name).is_ok(), "the next client cannot connect");
}

/// Parameters: a kind, a length, and as much of what follows.
fn parameters(mut rest: &[u8]) -> Vec<HgcmParameter> {
    let mut parameters = Vec::new();
    while let [kind, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        let number = bytes.first_chunk().map_or(u64::from(*length), |word| u64::from_le_bytes(*word));
        parameters.push(match kind % 4 {
            0 => HgcmParameter::U32(number as u32),
            1 => HgcmParameter::U64(number),
            2 => HgcmParameter::In(bytes.to_vec()),
            _ => HgcmParameter::Out { data: vec![0; usize::from(*length) * 16], needed: 0 },
        });
        rest = tail;
    }
    parameters
}

fn seeds() -> Vec<Vec<u8>> {
    let name = b"/VirtualBox/HostInfo/VBoxVer\0";
    let mut seeds = Vec::new();
    for fault in 0..9 {
        // A property is got: name, room, time, size.
        let mut get = vec![0, 1, fault, 12, 2, name.len() as u8];
        get.extend_from_slice(name);
        get.extend_from_slice(&[3, 60, 1, 0, 0, 0]);
        seeds.push(get);
        // All are enumerated: patterns, room, size.
        seeds.push(vec![0, 5, fault, 14, 2, 3, b'*', 0, 0, 3, 255, 0, 0]);
        // A message is looked for, and the features are told.
        seeds.push(vec![1, 8, fault, 11, 1, 0, 0, 0, 0, 0]);
        seeds.push(vec![1, 3, fault, 11, 1, 8, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
    }
    seeds
}

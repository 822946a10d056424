//! What a host does at random: the same seed, the same misdeeds.

use std::time::Duration;

use driver_core::wire::shared_clipboard::{Formats, Mode};
use driver_core::wire::{RequestType, Status};
use support::numbers::Numbers;
use vmmdev::{Fault, HgcmFault, HgcmService, Hint, Host, Times, content};

/// What the agent asks of its host.
const REQUESTS: [RequestType; 16] = [
    RequestType::ACKNOWLEDGE_EVENTS,
    RequestType::CTL_GUEST_FILTER_MASK,
    RequestType::SET_GUEST_CAPABILITIES,
    RequestType::REPORT_GUEST_STATUS,
    RequestType::REPORT_GUEST_INFO,
    RequestType::GET_HOST_VERSION,
    RequestType::GET_SESSION_ID,
    RequestType::GET_DISPLAY_CHANGE_REQUEST_MULTI,
    RequestType::VIDEO_UPDATE_MONITOR_POSITIONS,
    RequestType::GET_SEAMLESS_CHANGE_REQUEST,
    RequestType::VIDEO_SET_VISIBLE_REGION,
    RequestType::HGCM_CONNECT,
    RequestType::HGCM_DISCONNECT,
    RequestType::HGCM_CALL_64,
    RequestType::HGCM_CALL_64,
    RequestType::HGCM_CANCEL_2,
];

const STATUSES: [Status; 8] = [
    Status::GENERAL_FAILURE,
    Status::INVALID_PARAMETER,
    Status::NO_MEMORY,
    Status::NOT_SUPPORTED,
    Status::OUT_OF_RESOURCES,
    Status::RESOURCE_BUSY,
    Status(1234),
    Status(i32::MIN),
];

/// A host's misdeeds.
pub struct Schedule {
    numbers: Numbers,
}

impl Schedule {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self { numbers: Numbers(seed) }
    }

    /// Does one thing.
    pub fn step(&mut self, host: &Host) {
        let numbers = &mut self.numbers;
        match numbers.below(24) {
            0..=6 => {
                let request = *numbers.pick(&REQUESTS);
                let times = Times::Next(1 + numbers.below(4) as u32);
                host.inject(request, fault(numbers), times);
            }
            7..=9 => {
                let sizes = [0, 1, 320, 800, 1024, 1920, 70_000, u32::MAX];
                let (width, height) = (*numbers.pick(&sizes), *numbers.pick(&sizes));
                let display = numbers.below(4) as u32;
                let hint = match numbers.below(6) {
                    0 => Hint::off(display),
                    1 => Hint::new(display, width, height).at(numbers.word() as i32, numbers.word() as i32),
                    _ => Hint::new(display, width, height),
                };
                let _ = host.set_video_mode_hint(hint);
            }
            10 | 11 => {
                host.set_seamless(numbers.below(2) == 0);
            }
            12 | 13 => {
                let text = "text ".repeat(numbers.below(3000) as usize);
                let _ = host.clipboard_put([(Formats::TEXT, content::text(&text))]);
            }
            14 => {
                let rubbish = (0..numbers.below(500)).map(|byte| byte as u8).collect();
                let formats = [Formats::TEXT, Formats::BITMAP, Formats::HTML];
                let _ = host.clipboard_put([(*numbers.pick(&formats), rubbish)]);
            }
            15 => {
                let _ = host.clipboard_get(Formats::TEXT, Duration::from_millis(5));
            }
            16 => host.force_events(numbers.word()),
            17 => (0..numbers.below(200)).for_each(|_| host.raise_stray_interrupt()),
            18 => (0..numbers.below(2000)).for_each(|bit| host.force_events(1 << (bit % 32))),
            19 => host.drop_service(*numbers.pick(&[HgcmService::Clipboard, HgcmService::Properties])),
            20 if numbers.below(4) == 0 => host.reset(),
            20 => host.clear_faults(),
            // At once, because the guest's memory is not saved along: what the device is to know of its
            // guest would be from another time.
            21 => host.restore(&host.save()),
            22 => host.clipboard_mode(*numbers.pick(&[
                Mode::OFF,
                Mode::HOST_TO_GUEST,
                Mode::GUEST_TO_HOST,
                Mode::BIDIRECTIONAL,
            ])),
            _ => std::thread::sleep(Duration::from_millis(numbers.below(10))),
        }
    }

    /// Does nothing bad any more.
    pub fn end(self, host: &Host) {
        host.clear_faults();
        host.clipboard_mode(Mode::BIDIRECTIONAL);
        for display in 1..4 {
            let _ = host.set_video_mode_hint(Hint::off(display));
        }
    }
}

fn fault(numbers: &mut Numbers) -> Fault {
    match numbers.below(10) {
        0 | 1 => Fault::Fail(*numbers.pick(&STATUSES)),
        2 => Fault::Ignore,
        // Counts, sizes and values behind the header, and the header's own.
        3 => Fault::Word { offset: 4 * numbers.below(24) as u32, value: numbers.word() },
        4 => Fault::announce_displays(numbers.word()),
        5 => Fault::Rubbish { seed: numbers.draw() },
        _ => Fault::Hgcm { function: None, fault: hgcm_fault(numbers) },
    }
}

fn hgcm_fault(numbers: &mut Numbers) -> HgcmFault {
    match numbers.below(8) {
        0 => HgcmFault::Answer(*numbers.pick(&STATUSES)),
        1 => HgcmFault::Twice,
        2 => HgcmFault::Never,
        3 => HgcmFault::AfterCancel,
        4 => HgcmFault::Oversize,
        5 => HgcmFault::Unterminated,
        6 => HgcmFault::Babble(numbers.draw()),
        _ => HgcmFault::Vanish,
    }
}

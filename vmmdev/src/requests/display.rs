//! Displays, seamless mode and the legacy drawing ring.

use driver_core::wire::{
    DisplayDef, DisplayFlags, Events, GetDisplayChangeRequest, GetDisplayChangeRequest2,
    GetDisplayChangeRequestEx, GetHeightReduction, GetSeamlessChangeRequest, MAX_DISPLAYS, SeamlessMode,
    Status, VideoAccelEnable, VideoAccelFlush, VideoModeSupported, VideoModeSupported2, display,
    visible_region,
};
use zerocopy::IntoBytes;
use zerocopy::little_endian::U32;

use crate::report::Rectangle;
use crate::state::State;

/// The length of a request 81 before its entries, in bytes.
const MULTI_HEAD: usize = 32;
/// The only length of the legacy drawing ring, in bytes.
const RING_SIZE: u32 = 4 * 1024 * 1024 - 1024;

/// Whether the guest acknowledges what it reads.
fn acknowledges(acknowledge: U32) -> bool {
    acknowledge.get() == Events::DISPLAY_CHANGE.bits()
}

/// A value, or 0 ("as it is") when its flag does not say that it counts.
fn counted(display: &DisplayDef, flag: DisplayFlags, value: U32) -> U32 {
    if display.display_flags().contains(flag) { value } else { 0.into() }
}

pub(super) fn get_change(state: &mut State, request: &mut GetDisplayChangeRequest) -> Status {
    let display = state.displays.take_first(acknowledges(request.acknowledge));
    request.width = counted(&display, DisplayFlags::WIDTH, display.width);
    request.height = counted(&display, DisplayFlags::HEIGHT, display.height);
    request.bits_per_pixel = counted(&display, DisplayFlags::DEPTH, display.bits_per_pixel);
    Status::SUCCESS
}

/// Reads one display for requests 54 and 80; when more are pending the guest is reminded.
fn take_one(state: &mut State, acknowledge: U32) -> DisplayDef {
    let (display, more) = state.displays.take_one(acknowledges(acknowledge));
    if more {
        state.raise(Events::DISPLAY_CHANGE);
    }
    display
}

pub(super) fn get_change_2(state: &mut State, request: &mut GetDisplayChangeRequest2) -> Status {
    let display = take_one(state, request.acknowledge);
    request.width = counted(&display, DisplayFlags::WIDTH, display.width);
    request.height = counted(&display, DisplayFlags::HEIGHT, display.height);
    request.bits_per_pixel = counted(&display, DisplayFlags::DEPTH, display.bits_per_pixel);
    request.display = display.id;
    Status::SUCCESS
}

pub(super) fn get_change_ex(state: &mut State, request: &mut GetDisplayChangeRequestEx) -> Status {
    let display = take_one(state, request.acknowledge);
    let flags = display.display_flags();
    request.width = counted(&display, DisplayFlags::WIDTH, display.width);
    request.height = counted(&display, DisplayFlags::HEIGHT, display.height);
    request.bits_per_pixel = counted(&display, DisplayFlags::DEPTH, display.bits_per_pixel);
    request.display = display.id;
    // The wire has these two unsigned here and signed in request 81; the bits are the same.
    request.x = (display.x.get() as u32).into();
    request.y = (display.y.get() as u32).into();
    request.change_origin = u8::from(flags.contains(DisplayFlags::ORIGIN));
    request.enabled = u8::from(!flags.contains(DisplayFlags::DISABLED));
    Status::SUCCESS
}

pub(super) fn get_change_multi(state: &mut State, packet: &mut [u8]) -> Status {
    let Some((head, entries)) = packet.split_at_mut_checked(MULTI_HEAD) else {
        return Status::INVALID_PARAMETER;
    };
    let word = |place: usize| {
        head.get(place..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word))
    };
    let (acknowledge, capacity) = (word(24), word(28));
    if !(1..=MAX_DISPLAYS).contains(&capacity) {
        return Status::INVALID_PARAMETER;
    }
    let room = capacity as usize;
    let Some(entries) = entries.get_mut(..room * DisplayDef::SIZE) else {
        return Status::INVALID_PARAMETER;
    };
    if acknowledges(acknowledge.into()) {
        let count = state.displays.take_all(room, |index, display| {
            let place = index * DisplayDef::SIZE;
            entries[place..place + DisplayDef::SIZE].copy_from_slice(display.as_bytes());
        });
        head[28..32].copy_from_slice(&count.to_le_bytes());
    } else {
        let places = entries.chunks_exact_mut(DisplayDef::SIZE);
        for (place, display) in places.zip(state.displays.look(room)) {
            place.copy_from_slice(display.as_bytes());
        }
    }
    Status::SUCCESS
}

fn supported(state: &State, display: u32, width: U32, height: U32) -> u8 {
    let fits = 1..=state.settings.max_extent;
    u8::from(display < MAX_DISPLAYS && fits.contains(&width.get()) && fits.contains(&height.get()))
}

pub(super) fn mode_supported(state: &mut State, request: &mut VideoModeSupported) -> Status {
    request.supported = supported(state, 0, request.width, request.height);
    Status::SUCCESS
}

pub(super) fn mode_supported_2(state: &mut State, request: &mut VideoModeSupported2) -> Status {
    request.supported = supported(state, request.display.get(), request.width, request.height);
    Status::SUCCESS
}

pub(super) fn height_reduction(_: &mut State, request: &mut GetHeightReduction) -> Status {
    request.height_reduction = 0.into();
    Status::SUCCESS
}

/// The ring is not modelled: no guest of this century draws with it.
pub(super) fn accel_enable(_: &mut State, request: &mut VideoAccelEnable) -> Status {
    request.status = 0.into();
    match (request.enable.get(), request.ring_size.get()) {
        (0, _) => Status::SUCCESS,
        (_, RING_SIZE) => Status::NOT_SUPPORTED,
        _ => Status::INVALID_PARAMETER,
    }
}

pub(super) fn accel_flush(_: &mut State, _: &mut VideoAccelFlush) -> Status {
    Status::SUCCESS
}

pub(super) fn set_visible_region(state: &mut State, packet: &mut [u8]) -> Status {
    let Ok(rects) = visible_region::parse(packet) else {
        return Status::INVALID_PARAMETER;
    };
    let rectangle = |rect: visible_region::Rect| Rectangle {
        left: rect.left.get(),
        top: rect.top.get(),
        right: rect.right.get(),
        bottom: rect.bottom.get(),
    };
    state.guest.visible_region = Some(rects.into_iter().map(rectangle).collect());
    Status::SUCCESS
}

pub(super) fn get_seamless_change(state: &mut State, request: &mut GetSeamlessChangeRequest) -> Status {
    let mode = if state.seamless.wanted { SeamlessMode::VISIBLE_REGION } else { SeamlessMode::DISABLED };
    request.mode = mode.0.into();
    if request.acknowledge.get() == Events::SEAMLESS_MODE_CHANGE.bits() {
        state.seamless.acknowledge();
    }
    Status::SUCCESS
}

pub(super) fn update_monitor_positions(state: &mut State, packet: &mut [u8]) -> Status {
    let Ok(positions) = display::parse_positions(packet) else {
        return Status::INVALID_PARAMETER;
    };
    state.guest.monitor_positions = positions;
    Status::SUCCESS
}

//! What the guest has reported of itself.

use std::collections::BTreeMap;
use std::fmt::Display;

use driver_core::wire::pointer::Pointer;
use driver_core::wire::{
    Capabilities, CredentialsFlags, Events, Facility, FacilityStatus, GuestUserState, MouseFeatures,
    PointerFlags, PowerState, ReportGuestStats,
};
use serde::{Serialize, Serializer};

/// How many processors' statistics are kept.
pub(crate) const MAX_CPUS: usize = 256;
/// How many users are kept.
pub(crate) const MAX_USERS: usize = 64;
/// How many log lines are kept; older ones go.
pub(crate) const MAX_LOG_LINES: usize = 64;

/// Everything the guest has reported since it was started or reset.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GuestReport {
    /// What the guest is (request 50). Until it is there, the host takes next to no request.
    pub info: Option<GuestInfo>,
    /// Which guest additions these are (request 58).
    pub additions: Option<Additions>,
    /// What the guest can do (requests 55 and 56).
    #[serde(serialize_with = "as_text")]
    pub capabilities: Capabilities,
    /// Which events the guest wants at present (request 42).
    #[serde(serialize_with = "as_text")]
    pub filter: Events,
    /// How the parts of the guest are (request 59).
    pub facilities: Facilities,
    /// The latest statistics of each processor, by its number (request 110).
    pub statistics: BTreeMap<u32, Statistics>,
    /// Where the guest put its displays, by id, pixels (request 222). (-1, -1) is not known.
    pub monitor_positions: Vec<(i32, i32)>,
    /// Which parts of the screen are windows (request 72); `None` when it was never reported.
    pub visible_region: Option<Vec<Rectangle>>,
    /// The pointer's shape (request 3); `None` when it was never reported.
    pub pointer: Option<PointerReport>,
    /// What the guest can do about the pointer (request 2).
    #[serde(serialize_with = "mouse_bits")]
    pub mouse: MouseFeatures,
    /// What became of users, by `user@domain` or `user` (request 74).
    pub users: BTreeMap<String, UserReport>,
    /// What the guest last wanted of the machine (request 30).
    #[serde(serialize_with = "as_optional_text")]
    pub power: Option<PowerState>,
    /// What the guest thinks of credentials (request 101).
    #[serde(serialize_with = "judgement_bits")]
    pub judgement: Option<CredentialsFlags>,
    /// Whether the guest wants to hear of processors (request 211).
    pub cpu_notifications: bool,
    /// Whether the guest lives (requests 219 and 220).
    pub heartbeat: Heartbeat,
    /// What the guest gave back of its memory, in MiB (request 113).
    pub balloon_mib: u32,
    /// The latest log lines (request 200), oldest first.
    pub log: Vec<String>,
}

impl GuestReport {
    /// How a part of the guest is; `None` when it never said.
    pub fn facility(&self, facility: Facility) -> Option<FacilityStatus> {
        self.facilities.get(facility).map(|report| report.status)
    }
}

/// What the guest is (request 50).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct GuestInfo {
    /// The version of the device interface.
    pub interface_version: u32,
    /// Family in the high bits, architecture in bits 8 and 9.
    pub os_type: u32,
}

/// Which guest additions these are (request 58).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Additions {
    /// Major, minor and build number.
    pub version: (u16, u16, u32),
    /// The source revision.
    pub revision: u32,
    /// [`GuestFeatures`](driver_core::wire::GuestFeatures), unknown bits included.
    pub features: u32,
    /// The version as text, perhaps with a tag and a publisher.
    pub name: String,
}

/// A part of the guest and how it is (request 59).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FacilityReport {
    /// Which part.
    #[serde(serialize_with = "as_text")]
    pub facility: Facility,
    /// How it is.
    #[serde(serialize_with = "as_text")]
    pub status: FacilityStatus,
    /// The part's own.
    pub flags: u32,
}

/// The host's table of facilities: five have a place of their own, the others share what is left of
/// 32. A place whose facility is inactive may be taken over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Facilities(Vec<FacilityReport>);

/// How many places the table has.
const MAX_FACILITIES: usize = 32;
/// Those that have a place of their own.
const FIXED: [Facility; 5] =
    [Facility::DRIVER, Facility::SERVICE, Facility::CLIENT, Facility::SEAMLESS, Facility::GRAPHICS];

impl Default for Facilities {
    fn default() -> Self {
        let inactive = |facility| FacilityReport { facility, status: FacilityStatus::INACTIVE, flags: 0 };
        Self(FIXED.map(inactive).to_vec())
    }
}

impl Facilities {
    /// The report of one facility.
    pub fn get(&self, facility: Facility) -> Option<&FacilityReport> {
        self.0.iter().find(|report| report.facility == facility)
    }

    /// All reports, those with a place of their own first.
    pub fn iter(&self) -> impl Iterator<Item = &FacilityReport> {
        self.0.iter()
    }

    /// Notes a report; `None` when the table is full.
    pub(crate) fn set(&mut self, new: FacilityReport) -> Option<()> {
        if new.facility == Facility::ALL {
            for report in &mut self.0 {
                (report.status, report.flags) = (new.status, new.flags);
            }
            return Some(());
        }
        let free = |report: &FacilityReport| report.status == FacilityStatus::INACTIVE;
        let place = self.0.iter().position(|report| report.facility == new.facility);
        if let Some(report) = place.and_then(|place| self.0.get_mut(place)) {
            *report = new;
        } else if self.0.len() < MAX_FACILITIES {
            self.0.push(new);
        } else {
            *self.0.iter_mut().skip(FIXED.len()).find(|report| free(report))? = new;
        }
        Some(())
    }
}

/// How busy a processor is and how full the memory (request 110). Fields that the guest did not mark
/// as valid are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Percent.
    pub cpu_idle: Option<u32>,
    /// Percent.
    pub cpu_kernel: Option<u32>,
    /// Percent.
    pub cpu_user: Option<u32>,
    /// How many.
    pub threads: Option<u32>,
    /// How many.
    pub processes: Option<u32>,
    /// How many.
    pub handles: Option<u32>,
    /// Percent.
    pub memory_load: Option<u32>,
    /// Bytes.
    pub page_size: u32,
    /// Pages of 4 KiB, as are all that follow.
    pub physical_total: Option<u32>,
    /// Pages.
    pub physical_available: Option<u32>,
    /// Pages.
    pub balloon: Option<u32>,
    /// Pages.
    pub commit_total: Option<u32>,
    /// Pages.
    pub kernel_total: Option<u32>,
    /// Pages.
    pub kernel_paged: Option<u32>,
    /// Pages.
    pub kernel_nonpaged: Option<u32>,
    /// Pages.
    pub system_cache: Option<u32>,
    /// Pages.
    pub page_file: Option<u32>,
}

impl From<&ReportGuestStats> for Statistics {
    fn from(wire: &ReportGuestStats) -> Self {
        let valid = wire.valid.get();
        let field =
            |bit: u32, value: zerocopy::little_endian::U32| (valid & 1 << bit != 0).then(|| value.get());
        Self {
            cpu_idle: field(0, wire.cpu_idle),
            cpu_kernel: field(1, wire.cpu_kernel),
            cpu_user: field(2, wire.cpu_user),
            threads: field(3, wire.threads),
            processes: field(4, wire.processes),
            handles: field(5, wire.handles),
            memory_load: field(6, wire.memory_load),
            page_size: wire.page_size.get(),
            physical_total: field(7, wire.physical_total),
            physical_available: field(8, wire.physical_available),
            balloon: field(9, wire.balloon),
            commit_total: field(10, wire.commit_total),
            kernel_total: field(11, wire.kernel_total),
            kernel_paged: field(12, wire.kernel_paged),
            kernel_nonpaged: field(13, wire.kernel_nonpaged),
            system_cache: field(14, wire.system_cache),
            page_file: field(15, wire.page_file),
        }
    }
}

/// A rectangle of the visible region, pixels; right and bottom are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rectangle {
    /// Left edge.
    pub left: i32,
    /// Upper edge.
    pub top: i32,
    /// Right edge, exclusive.
    pub right: i32,
    /// Lower edge, exclusive.
    pub bottom: i32,
}

/// The pointer's shape (request 3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PointerReport {
    /// Whether it is shown.
    pub visible: bool,
    /// Whether its pixels have an alpha channel.
    pub alpha: bool,
    /// The point that points, pixels from the upper left corner.
    pub hot_spot: (u32, u32),
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// One bit a pixel, rows padded to bytes.
    #[serde(skip)]
    pub and_mask: Vec<u8>,
    /// Four bytes a pixel: blue, green, red, alpha.
    #[serde(skip)]
    pub pixels: Vec<u8>,
}

impl PointerReport {
    /// The report after a further request; one without a shape changes the visibility alone.
    pub(crate) fn updated(previous: Option<Self>, new: Pointer) -> Self {
        let visible = new.flags.contains(PointerFlags::VISIBLE);
        match (new.shape, previous) {
            (Some(shape), _) => Self {
                visible,
                alpha: new.flags.contains(PointerFlags::ALPHA),
                hot_spot: (shape.hot_x, shape.hot_y),
                size: (shape.width, shape.height),
                and_mask: shape.and_mask,
                pixels: shape.pixels,
            },
            (None, Some(previous)) => Self { visible, ..previous },
            (None, None) => Self {
                visible,
                alpha: false,
                hot_spot: (0, 0),
                size: (0, 0),
                and_mask: Vec::new(),
                pixels: Vec::new(),
            },
        }
    }
}

/// What became of a user (request 74).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UserReport {
    /// What happened last.
    #[serde(serialize_with = "as_text")]
    pub state: GuestUserState,
    /// More about it, in a form that depends on the state.
    pub details: Vec<u8>,
}

/// Whether the guest lives (requests 219 and 220).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Heartbeat {
    /// Whether the guest promised to beat.
    pub enabled: bool,
    /// How often it did.
    pub beats: u64,
}

fn as_text<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn as_optional_text<T: Display, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.collect_str(value),
        None => serializer.serialize_none(),
    }
}

fn mouse_bits<S: Serializer>(value: &MouseFeatures, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(value.bits())
}

fn judgement_bits<S: Serializer>(value: &Option<CredentialsFlags>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => serializer.serialize_some(&value.bits()),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active(facility: u32) -> FacilityReport {
        FacilityReport { facility: Facility(facility), status: FacilityStatus::ACTIVE, flags: 0 }
    }

    #[test]
    fn the_table_takes_27_facilities_besides_the_five_fixed() {
        let mut facilities = Facilities::default();
        for facility in 2000..2027 {
            assert!(facilities.set(active(facility)).is_some());
        }
        assert!(facilities.set(active(3000)).is_none());
        assert!(facilities.set(active(1100)).is_some(), "a fixed one always has its place");
    }

    #[test]
    fn inactive_places_are_taken_over_but_never_the_fixed() {
        let mut facilities = Facilities::default();
        for facility in 2000..2027 {
            facilities.set(active(facility));
        }
        let ended = FacilityReport { status: FacilityStatus::INACTIVE, ..active(2005) };
        facilities.set(ended);

        assert!(facilities.set(active(3000)).is_some());

        assert_eq!(facilities.get(Facility(2005)), None);
        assert!(FIXED.iter().all(|fixed| facilities.get(*fixed).is_some()));
        assert_eq!(facilities.iter().count(), 32);
    }
}

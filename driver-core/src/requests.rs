//! The requests that an agent makes, as functions over any [`Driver`].
//!
//! A caller sees plain values; the packets stay in this crate.

use zerocopy::IntoBytes as _;

use crate::wire::display::{self, DisplayDef, DisplayFlags, MAX_DISPLAYS};
use crate::wire::visible_region::{self, Rect};
use crate::wire::{
    Events, Facility, FacilityStatus, GetHostTime, GetHostVersion, GetSeamlessChangeRequest, GetSessionId,
    Malformed, ReportGuestStatus, Request, RequestHeader, RequestSpec, RequestType, SeamlessMode, Status,
};
use crate::{Driver, Error, Result};

/// What the host wants of one display. What is `None` is to stay as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisplayChange {
    /// The display's number, from 0.
    pub id: u32,
    /// It is to be switched off.
    pub disabled: bool,
    /// It is to be the primary one.
    pub primary: bool,
    /// Its upper left corner, in pixels of the virtual desktop.
    pub origin: Option<(i32, i32)>,
    /// Its width in pixels.
    pub width: Option<u32>,
    /// Its height in pixels.
    pub height: Option<u32>,
    /// Its depth in bits a pixel.
    pub bits_per_pixel: Option<u32>,
}

impl From<&DisplayDef> for DisplayChange {
    fn from(def: &DisplayDef) -> Self {
        let flags = DisplayFlags::from_bits_truncate(def.flags.get());
        let valid = |flag: DisplayFlags, value: u32| flags.contains(flag).then_some(value);
        Self {
            id: def.id.get(),
            disabled: flags.contains(DisplayFlags::DISABLED),
            primary: flags.contains(DisplayFlags::PRIMARY),
            origin: flags.contains(DisplayFlags::ORIGIN).then(|| (def.x.get(), def.y.get())),
            width: valid(DisplayFlags::WIDTH, def.width.get()),
            height: valid(DisplayFlags::HEIGHT, def.height.get()),
            bits_per_pixel: valid(DisplayFlags::DEPTH, def.bits_per_pixel.get()),
        }
    }
}

/// What the host wants of its displays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayWishes {
    /// One entry a display, at most [`MAX_DISPLAYS`].
    pub changes: Vec<DisplayChange>,
    /// How many the host announced; more than there are entries when its count was clamped.
    pub announced: u32,
}

/// Which host this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostVersion {
    /// The first number of its version.
    pub major: u16,
    /// The second.
    pub minor: u16,
    /// The third.
    pub build: u32,
    /// The source revision it was built from.
    pub revision: u32,
    /// What it can do: the feature bits of request 4.
    pub features: u32,
}

/// Asks what the host wants of its displays (request 81).
///
/// With `acknowledge` the answer is what changed since the last acknowledged one and counts as read;
/// without, it is all that the host last wanted, entries that say nothing left out.
///
/// # Errors
/// What the host or the driver says; `VERR_INVALID_PARAMETER` for an answer that is malformed.
pub fn display_wishes(driver: &dyn Driver, acknowledge: bool) -> Result<DisplayWishes> {
    const DOING: &str = "fetch the wanted displays";
    let events = if acknowledge { Events::DISPLAY_CHANGE } else { Events::empty() };
    let mut packet = display::multi_request(events, MAX_DISPLAYS);
    submit_bytes(driver, DOING, &mut packet)?;
    let displays = display::parse_multi(&packet)
        .map_err(|malformed| refused(DOING, malformed, Status::INVALID_PARAMETER))?;
    let changes = displays
        .entries
        .iter()
        // Without an acknowledgement the host fills every slot it has; a slot without flags is empty.
        .filter(|def| acknowledge || def.flags.get() != 0)
        .map(DisplayChange::from)
        .collect();
    Ok(DisplayWishes { changes, announced: displays.announced })
}

/// Tells the host where each display ended up (request 222); `None` for one without a place.
///
/// # Errors
/// `VERR_TOO_MUCH_DATA` for more than [`MAX_DISPLAYS`]; what the host or the driver says.
pub fn report_monitor_positions(driver: &dyn Driver, positions: &[Option<(i32, i32)>]) -> Result<()> {
    const DOING: &str = "report the monitor positions";
    if positions.len() > MAX_DISPLAYS as usize {
        return Err(Error::new(DOING, Status::TOO_MUCH_DATA));
    }
    // (-1, -1) is the protocol's word for "not reported".
    let positions: Vec<_> = positions.iter().map(|position| position.unwrap_or((-1, -1))).collect();
    submit_bytes(driver, DOING, &mut display::positions_request(&positions))
}

/// Asks which seamless mode the host wants (request 73). With `acknowledge` the answer counts as read.
///
/// # Errors
/// What the host or the driver says; `VERR_INVALID_PARAMETER` for a mode that there is none of.
pub fn seamless_mode(driver: &dyn Driver, acknowledge: bool) -> Result<SeamlessMode> {
    const DOING: &str = "ask for the seamless mode";
    let mut packet = GetSeamlessChangeRequest::new();
    // No mode, so that a host which leaves it alone is noticed.
    packet.mode.set(u32::MAX);
    if acknowledge {
        packet.acknowledge.set(Events::SEAMLESS_MODE_CHANGE.bits());
    }
    let mode = SeamlessMode(submit(driver, DOING, packet)?.mode.get());
    match mode.name() {
        Some(_) => Ok(mode),
        None => Err(Error::new(format!("{DOING} (the host says {mode})"), Status::INVALID_PARAMETER)),
    }
}

/// Tells the host which parts of its displays are windows (request 72): the union of rectangles in
/// pixels of the virtual desktop. None at all is a region too.
///
/// # Errors
/// `VERR_TOO_MUCH_DATA` for more than 65534 rectangles; what the host or the driver says.
pub fn report_visible_region(driver: &dyn Driver, rects: &[Rect]) -> Result<()> {
    const DOING: &str = "report the visible region";
    let mut packet = visible_region::request(rects)
        .map_err(|malformed| refused(DOING, malformed, Status::TOO_MUCH_DATA))?;
    submit_bytes(driver, DOING, &mut packet)
}

/// Reports the status of a facility (request 59), which the host shows to its users.
///
/// # Errors
/// `VERR_OUT_OF_RESOURCES` when the host's table of facilities is full; what it says otherwise.
pub fn report_status(driver: &dyn Driver, facility: Facility, status: FacilityStatus) -> Result<()> {
    let mut packet = ReportGuestStatus::new();
    packet.facility.set(facility.0);
    packet.status.set(status.0);
    submit(driver, "report a facility's status", packet).map(drop)
}

/// Which host this is (request 4).
///
/// # Errors
/// What the host or the driver says.
pub fn host_version(driver: &dyn Driver) -> Result<HostVersion> {
    let answer = submit(driver, "ask for the host's version", GetHostVersion::new())?;
    Ok(HostVersion {
        major: answer.major.get(),
        minor: answer.minor.get(),
        build: answer.build.get(),
        revision: answer.revision.get(),
        features: answer.features.get(),
    })
}

/// The number that changes with each reset and restore of the machine (request 217).
///
/// # Errors
/// What the host or the driver says.
pub fn session_id(driver: &dyn Driver) -> Result<u64> {
    Ok(submit(driver, "ask for the session id", GetSessionId::new())?.id.get())
}

/// The host's clock in milliseconds since the Unix epoch (request 10).
///
/// # Errors
/// `VERR_NOT_SUPPORTED` when the host was told not to give it; what it says otherwise.
pub fn host_time(driver: &dyn Driver) -> Result<u64> {
    Ok(submit(driver, "ask for the host's time", GetHostTime::new())?.milliseconds.get())
}

/// Submits a request of any type from what follows its header, and gives that back as the host left it.
///
/// # Errors
/// `VERR_NOT_SUPPORTED` for a type that is not [free](RequestSpec::is_free), `VERR_INVALID_PARAMETER` for a
/// body whose length is not the type's; what the host or the driver says otherwise.
pub fn raw(driver: &dyn Driver, request: RequestType, body: &[u8]) -> Result<Vec<u8>> {
    let refused = |why: &str, status| Err(Error::new(format!("make {request} ({why})"), status));
    let Some(spec) = request.spec().filter(RequestSpec::is_free) else {
        return refused("it is the session's or the kernel's, or unknown", Status::NOT_SUPPORTED);
    };
    let header = RequestHeader::SIZE as usize;
    match u32::try_from(header + body.len()) {
        Ok(size) if spec.size.admits(size) => {
            let mut packet = RequestHeader::new(request, size).as_bytes().to_vec();
            packet.extend_from_slice(body);
            submit_bytes(driver, request.name().unwrap_or("make a request"), &mut packet)?;
            Ok(packet.split_off(header))
        }
        _ => {
            let least = spec.size.least() as usize - header;
            let why = format!("its body has {} bytes; {least} are wanted at least", body.len());
            refused(&why, Status::INVALID_PARAMETER)
        }
    }
}

/// Submits a typed packet and gives back the host's answer to it.
///
/// # Errors
/// What the host or the driver says, named by what was being done.
pub fn submit<R: Request>(driver: &dyn Driver, doing: &'static str, mut packet: R) -> Result<R> {
    submit_bytes(driver, doing, packet.as_mut_bytes())?;
    Ok(packet)
}

fn submit_bytes(driver: &dyn Driver, doing: &'static str, packet: &mut [u8]) -> Result<()> {
    let status = driver.request(packet)?;
    if status.is_failure() { Err(Error::new(doing, status)) } else { Ok(()) }
}

fn refused(doing: &str, malformed: Malformed, status: Status) -> Error {
    Error::new(format!("{doing} ({malformed})"), status)
}

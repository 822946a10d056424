//! The bytes of VMMDev: what the guest and the host put in front of each other.
//!
//! Each file is one idea, written from both ends, because the driver and the device model share it.
//! Structures are [`zerocopy`] types of little-endian fields without alignment, so any byte slice
//! of the right length is one of them, and reading one cannot fail on its contents.
//!
//! Every number has its source in VirtualBox's public headers: `VMMDev.h`, `VMMDevCoreTypes.h`,
//! `VBoxGuest.h` and `err.h`.

mod bits;
mod capabilities;
pub mod device;
pub mod display;
mod events;
pub mod guest_property;
mod header;
mod hgcm;
pub mod log_string;
mod malformed;
mod packet;
pub mod pointer;
mod request_type;
mod requests;
pub mod shared_clipboard;
pub mod shared_module;
mod status;
pub mod user_state;
mod values;
pub mod visible_region;

pub use capabilities::Capabilities;
pub use display::{DisplayDef, DisplayFlags, Displays, MAX_DISPLAYS};
pub use events::Events;
pub use header::{INTERFACE_VERSION, MAX_REQUEST_SIZE, Request, RequestHeader, Requestor, VERSION};
pub use hgcm::{
    HgcmCall, HgcmCancel, HgcmCancel2, HgcmConnect, HgcmDisconnect, HgcmFlags, HgcmPageListInfo,
    HgcmParameter32, HgcmParameter64, HgcmParameterType,
};
pub use malformed::Malformed;
pub use request_type::{Permission, RequestSpec, RequestType, SizeRule};
pub use requests::*;
pub use status::Status;
pub use values::{
    CpuEvent, CpuStatus, CredentialsFlags, Facility, FacilityStatus, GuestFeatures, GuestUserState,
    HostFeatures, MouseButtons, MouseFeatures, PointerFlags, PowerState, SeamlessMode, StatisticsMask,
    VrdpExperience,
};

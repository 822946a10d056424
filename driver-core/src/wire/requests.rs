//! Every request of fixed size, as the bytes it is.
//!
//! Fields that the host fills say so; all others are the guest's. Sizes are checked against the
//! table in [`RequestType`] when this is compiled.

use zerocopy::little_endian::{I32, U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{Request, RequestHeader, RequestType};

/// Declares a request: a header, then its fields.
macro_rules! request {
    (
        $(#[$meta:meta])*
        $name:ident: $type:ident { $( $(#[$field_meta:meta])* $field:ident: $field_type:ty, )* }
    ) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned, Clone, Debug)]
        pub struct $name {
            /// What every request begins with.
            pub header: RequestHeader,
            $( $(#[$field_meta])* pub $field: $field_type, )*
        }

        const _: () = assert!(match RequestType::$type.size_rule() {
            Some(rule) => rule.admits(size_of::<$name>() as u32),
            None => false,
        });

        impl Request for $name {
            const TYPE: RequestType = RequestType::$type;

            fn new() -> Self {
                let mut request = Self::new_zeroed();
                request.header = RequestHeader::new(Self::TYPE, size_of::<Self>() as u32);
                request
            }

            fn header(&self) -> &RequestHeader {
                &self.header
            }

            fn header_mut(&mut self) -> &mut RequestHeader {
                &mut self.header
            }
        }
    };
}

pub(super) use request;

request! {
    /// Request 1: where the pointer is and what host and guest agreed on.
    GetMouseStatus: GET_MOUSE_STATUS {
        /// From the host: [`MouseFeatures`](super::MouseFeatures).
        features: U32,
        /// From the host: 0 to 0xFFFF, left to right.
        x: I32,
        /// From the host: 0 to 0xFFFF, top to bottom.
        y: I32,
    }
}

request! {
    /// Request 2: what the guest can do about the pointer.
    SetMouseStatus: SET_MOUSE_STATUS {
        /// [`MouseFeatures`](super::MouseFeatures); the host takes only the guest's bits.
        features: U32,
        /// Unused.
        x: I32,
        /// Unused.
        y: I32,
    }
}

request! {
    /// Request 4: which VirtualBox the host is. Allowed before the guest reported itself.
    GetHostVersion: GET_HOST_VERSION {
        /// From the host.
        major: U16,
        /// From the host.
        minor: U16,
        /// From the host.
        build: U32,
        /// From the host: the source revision.
        revision: U32,
        /// From the host: [`HostFeatures`](super::HostFeatures).
        features: U32,
    }
}

request! {
    /// Request 5: halts the processor until the next interrupt. Not for use.
    Idle: IDLE {}
}

request! {
    /// Request 10: the host's clock.
    GetHostTime: GET_HOST_TIME {
        /// From the host: milliseconds since the Unix epoch, UTC.
        milliseconds: U64,
    }
}

request! {
    /// Request 20: the address space that a hypervisor in the guest would want.
    GetHypervisorInfo: GET_HYPERVISOR_INFO {
        /// From the host.
        start: U32,
        /// From the host, in bytes; modern hosts say 0.
        size: U32,
    }
}

request! {
    /// Request 21: the address space that the guest gives to a hypervisor.
    SetHypervisorInfo: SET_HYPERVISOR_INFO {
        /// Where it is.
        start: U32,
        /// In bytes; modern hosts refuse all but 0.
        size: U32,
    }
}

request! {
    /// Request 22: memory for patches of guest code. Dead.
    RegisterPatchMemory: REGISTER_PATCH_MEMORY {
        /// Guest-virtual address.
        address: U64,
        /// In bytes.
        size: U32,
    }
}

request! {
    /// Request 23: takes such memory back. Dead.
    DeregisterPatchMemory: DEREGISTER_PATCH_MEMORY {
        /// Guest-virtual address.
        address: U64,
        /// In bytes.
        size: U32,
    }
}

request! {
    /// Request 30: pauses, powers off or saves the machine.
    SetPowerStatus: SET_POWER_STATUS {
        /// [`PowerState`](super::PowerState).
        state: U32,
    }
}

request! {
    /// Request 41: takes the events that are pending and wanted. A driver's own: it is destructive.
    AcknowledgeEvents: ACKNOWLEDGE_EVENTS {
        /// From the host: [`Events`](super::Events).
        events: U32,
    }
}

request! {
    /// Request 42: which events raise an interrupt.
    CtlGuestFilterMask: CTL_GUEST_FILTER_MASK {
        /// [`Events`](super::Events) to add.
        or_mask: U32,
        /// [`Events`](super::Events) to remove.
        not_mask: U32,
    }
}

request! {
    /// Request 50: what the guest is. Until it succeeds the host takes next to nothing.
    ReportGuestInfo: REPORT_GUEST_INFO {
        /// [`INTERFACE_VERSION`](super::INTERFACE_VERSION).
        interface_version: U32,
        /// Family in the high bits, architecture in bits 8 and 9.
        os_type: U32,
    }
}

request! {
    /// Request 51: what display 0 should become. Deprecated.
    GetDisplayChangeRequest: GET_DISPLAY_CHANGE_REQUEST {
        /// From the host: pixels; 0 means as it is.
        width: U32,
        /// From the host: pixels; 0 means as it is.
        height: U32,
        /// From the host; 0 means as it is.
        bits_per_pixel: U32,
        /// [`Events::DISPLAY_CHANGE`](super::Events::DISPLAY_CHANGE) to mark it read, or 0.
        acknowledge: U32,
    }
}

request! {
    /// Request 52: whether the host can show a mode on display 0.
    VideoModeSupported: VIDEO_MODE_SUPPORTED {
        /// Pixels.
        width: U32,
        /// Pixels.
        height: U32,
        /// Depth.
        bits_per_pixel: U32,
        /// From the host: not 0 when it can.
        supported: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

request! {
    /// Request 53: how much of the screen's height the host keeps for itself.
    GetHeightReduction: GET_HEIGHT_REDUCTION {
        /// From the host: pixels.
        height_reduction: U32,
    }
}

request! {
    /// Request 54: what one display should become.
    GetDisplayChangeRequest2: GET_DISPLAY_CHANGE_REQUEST_2 {
        /// From the host: pixels; 0 means as it is.
        width: U32,
        /// From the host: pixels; 0 means as it is.
        height: U32,
        /// From the host; 0 means as it is.
        bits_per_pixel: U32,
        /// [`Events::DISPLAY_CHANGE`](super::Events::DISPLAY_CHANGE) to mark it read, or 0.
        acknowledge: U32,
        /// From the host: which display.
        display: U32,
    }
}

request! {
    /// Request 55: what the guest can do, all at once. Legacy; implies `graphics`.
    ReportGuestCapabilities: REPORT_GUEST_CAPABILITIES {
        /// [`Capabilities`](super::Capabilities).
        capabilities: U32,
    }
}

request! {
    /// Request 56: what the guest can and can no longer do.
    SetGuestCapabilities: SET_GUEST_CAPABILITIES {
        /// [`Capabilities`](super::Capabilities) to add.
        or_mask: U32,
        /// [`Capabilities`](super::Capabilities) to remove.
        not_mask: U32,
    }
}

request! {
    /// Request 57: whether the host can show a mode on a display.
    VideoModeSupported2: VIDEO_MODE_SUPPORTED_2 {
        /// Which display.
        display: U32,
        /// Pixels.
        width: U32,
        /// Pixels.
        height: U32,
        /// Depth.
        bits_per_pixel: U32,
        /// From the host: not 0 when it can.
        supported: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

request! {
    /// Request 58: which guest additions these are.
    ReportGuestInfo2: REPORT_GUEST_INFO_2 {
        /// At least 3.
        major: U16,
        /// The additions' own.
        minor: U16,
        /// The additions' own.
        build: U32,
        /// The source revision.
        revision: U32,
        /// [`GuestFeatures`](super::GuestFeatures).
        features: U32,
        /// Begins with "major.minor.build"; zero-terminated.
        name: [u8; 128],
    }
}

request! {
    /// Request 59: how a part of the guest is.
    ReportGuestStatus: REPORT_GUEST_STATUS {
        /// [`Facility`](super::Facility).
        facility: U32,
        /// [`FacilityStatus`](super::FacilityStatus).
        status: U32,
        /// The facility's own.
        flags: U32,
    }
}

request! {
    /// Request 70: drawing through the legacy ring in device memory.
    VideoAccelEnable: VIDEO_ACCEL_ENABLE {
        /// 1 to switch it on, 0 off.
        enable: U32,
        /// In bytes; must be 4 MiB less 1 KiB.
        ring_size: U32,
        /// From the host: 1 accepted, 2 enabled.
        status: U32,
    }
}

request! {
    /// Request 71: draw what stands in the legacy ring.
    VideoAccelFlush: VIDEO_ACCEL_FLUSH {}
}

request! {
    /// Request 73: which seamless mode the host wants.
    GetSeamlessChangeRequest: GET_SEAMLESS_CHANGE_REQUEST {
        /// From the host: [`SeamlessMode`](super::SeamlessMode).
        mode: U32,
        /// [`Events::SEAMLESS_MODE_CHANGE`](super::Events::SEAMLESS_MODE_CHANGE), or 0.
        acknowledge: U32,
    }
}

request! {
    /// Request 80: what one display should become, and where it stands.
    GetDisplayChangeRequestEx: GET_DISPLAY_CHANGE_REQUEST_EX {
        /// From the host: pixels; 0 means as it is.
        width: U32,
        /// From the host: pixels; 0 means as it is.
        height: U32,
        /// From the host; 0 means as it is.
        bits_per_pixel: U32,
        /// [`Events::DISPLAY_CHANGE`](super::Events::DISPLAY_CHANGE) to mark it read, or 0.
        acknowledge: U32,
        /// From the host: which display.
        display: U32,
        /// From the host: pixels.
        x: U32,
        /// From the host: pixels.
        y: U32,
        /// From the host: not 0 when the origin counts.
        change_origin: u8,
        /// From the host: not 0 when the display is on.
        enabled: u8,
        /// Padding.
        reserved: [u8; 2],
    }
}

request! {
    /// Request 100: what the host knows for logging on.
    QueryCredentials: QUERY_CREDENTIALS {
        /// [`CredentialsFlags`](super::CredentialsFlags), in both directions.
        flags: U32,
        /// From the host: zero-terminated.
        user: [u8; 128],
        /// From the host: zero-terminated.
        password: [u8; 128],
        /// From the host: zero-terminated.
        domain: [u8; 128],
    }
}

request! {
    /// Request 101: what the guest thinks of credentials.
    ReportCredentialsJudgement: REPORT_CREDENTIALS_JUDGEMENT {
        /// [`CredentialsFlags`](super::CredentialsFlags).
        flags: U32,
        /// Unused.
        user: [u8; 128],
        /// Unused.
        password: [u8; 128],
        /// Unused.
        domain: [u8; 128],
    }
}

request! {
    /// Request 110: how busy one processor is, and the memory of the machine in pages of 4 KiB.
    ReportGuestStats: REPORT_GUEST_STATS {
        /// Which processor.
        cpu: U32,
        /// [`StatisticsMask`](super::StatisticsMask): which of the rest counts.
        valid: U32,
        /// Percent.
        cpu_idle: U32,
        /// Percent.
        cpu_kernel: U32,
        /// Percent.
        cpu_user: U32,
        /// How many.
        threads: U32,
        /// How many.
        processes: U32,
        /// How many.
        handles: U32,
        /// Percent.
        memory_load: U32,
        /// In bytes.
        page_size: U32,
        /// Pages.
        physical_total: U32,
        /// Pages.
        physical_available: U32,
        /// Pages.
        balloon: U32,
        /// Pages.
        commit_total: U32,
        /// Pages.
        kernel_total: U32,
        /// Pages.
        kernel_paged: U32,
        /// Pages.
        kernel_nonpaged: U32,
        /// Pages.
        system_cache: U32,
        /// Pages.
        page_file: U32,
    }
}

request! {
    /// Request 111: how much memory the host wants back.
    GetMemBalloonChangeRequest: GET_MEM_BALLOON_CHANGE_REQUEST {
        /// From the host: MiB.
        balloon: U32,
        /// From the host: the guest's memory, MiB.
        physical: U32,
        /// [`Events::BALLOON_CHANGE`](super::Events::BALLOON_CHANGE), or 0.
        acknowledge: U32,
    }
}

request! {
    /// Request 112: how often the host wants statistics.
    GetStatisticsChangeRequest: GET_STATISTICS_CHANGE_REQUEST {
        /// From the host: seconds; 0 is off.
        interval: U32,
        /// [`Events::STATISTICS_INTERVAL_CHANGE`](super::Events::STATISTICS_INTERVAL_CHANGE), or 0.
        acknowledge: U32,
    }
}

request! {
    /// Request 113: gives 1 MiB to the host, or takes it back.
    ChangeMemBalloon: CHANGE_MEM_BALLOON {
        /// How many pages: always 256.
        pages: U32,
        /// Not 0 to give, 0 to take back.
        inflate: U32,
        /// The physical address of each page.
        addresses: [U64; 256],
    }
}

request! {
    /// Request 150: whether somebody looks at the machine from afar.
    GetVRDPChangeRequest: GET_VRDP_CHANGE_REQUEST {
        /// From the host: not 0 when somebody does.
        active: u8,
        /// Padding.
        reserved: [u8; 3],
        /// From the host: [`VrdpExperience`](super::VrdpExperience).
        experience: U32,
    }
}

request! {
    /// Request 210: which processor is to come or go. Reading clears it.
    GetCpuHotPlugRequest: GET_CPU_HOT_PLUG_REQUEST {
        /// From the host: [`CpuEvent`](super::CpuEvent).
        event: U32,
        /// From the host; 0xFFFFFFFF when there is none.
        core: U32,
        /// From the host; 0xFFFFFFFF when there is none.
        package: U32,
    }
}

request! {
    /// Request 211: whether the guest wants to hear of processors.
    SetCpuHotPlugStatus: SET_CPU_HOT_PLUG_STATUS {
        /// [`CpuStatus`](super::CpuStatus).
        status: U32,
    }
}

request! {
    /// Request 213: a module is no longer there to be shared.
    UnregisterSharedModule: UNREGISTER_SHARED_MODULE {
        /// In bytes.
        size: U32,
        /// Padding.
        align: U32,
        /// Guest-virtual address.
        base: U64,
        /// Zero-terminated.
        name: [u8; 128],
        /// Zero-terminated.
        version: [u8; 16],
    }
}

request! {
    /// Request 214: look for pages that can be shared.
    CheckSharedModules: CHECK_SHARED_MODULES {}
}

request! {
    /// Request 215: whether pages are shared at all.
    GetPageSharingStatus: GET_PAGE_SHARING_STATUS {
        /// From the host: not 0 when they are.
        enabled: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

request! {
    /// Request 216: whether one page is shared. Debug hosts only.
    DebugIsPageShared: DEBUG_IS_PAGE_SHARED {
        /// Guest-virtual address.
        page: U64,
        /// From the host: the page's flags.
        flags: U64,
        /// From the host: not 0 when it is shared.
        shared: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

request! {
    /// Request 217: a number that changes when the machine is reset or restored.
    GetSessionId: GET_SESSION_ID {
        /// From the host.
        id: U64,
    }
}

request! {
    /// Request 218: the host writes the machine's core. Allowed before the guest reported itself.
    WriteCoreDump: WRITE_CORE_DUMP {
        /// 0.
        flags: U32,
    }
}

request! {
    /// Request 219: the guest lives.
    GuestHeartbeat: GUEST_HEARTBEAT {}
}

request! {
    /// Request 220: whether the host should miss the guest's heartbeat.
    HeartbeatConfigure: HEARTBEAT_CONFIGURE {
        /// From the host: nanoseconds between two beats.
        interval: U64,
        /// Not 0 to switch it on.
        enabled: u8,
        /// Padding.
        reserved: [u8; 3],
    }
}

request! {
    /// Request 221: Windows' last words. May also come without them, 24 bytes long.
    NtBugCheck: NT_BUG_CHECK {
        /// The bug check code and its four parameters.
        values: [U64; 5],
    }
}

request! {
    /// Request 223: the pointer with its wheels and buttons.
    GetMouseStatusEx: GET_MOUSE_STATUS_EX {
        /// From the host: [`MouseFeatures`](super::MouseFeatures).
        features: U32,
        /// From the host: 0 to 0xFFFF, left to right.
        x: I32,
        /// From the host: 0 to 0xFFFF, top to bottom.
        y: I32,
        /// From the host: vertical wheel steps.
        wheel: I32,
        /// From the host: horizontal wheel steps.
        tilt: I32,
        /// From the host: [`MouseButtons`](super::MouseButtons).
        buttons: U32,
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn a_new_request_is_a_failure_until_the_host_says_otherwise() {
        let request = GetHostVersion::new();

        assert_eq!(request.header.size.get(), 40);
        assert_eq!(request.header.version.get(), 0x10001);
        assert_eq!(request.header.request_type.get(), 4);
        assert_eq!(request.header.rc.get(), -1);
        assert!(request.as_bytes()[16..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn fields_stand_at_their_documented_offsets() {
        let cases = [
            (offset_of!(GetHostVersion, features), 24 + 12),
            (offset_of!(ReportGuestInfo2, name), 24 + 16),
            (offset_of!(GetDisplayChangeRequest2, display), 24 + 16),
            (offset_of!(GetDisplayChangeRequestEx, x), 24 + 20),
            (offset_of!(GetDisplayChangeRequestEx, change_origin), 24 + 28),
            (offset_of!(GetDisplayChangeRequestEx, enabled), 24 + 29),
            (offset_of!(VideoModeSupported, supported), 24 + 12),
            (offset_of!(VideoModeSupported2, supported), 24 + 16),
            (offset_of!(QueryCredentials, password), 24 + 132),
            (offset_of!(QueryCredentials, domain), 24 + 260),
            (offset_of!(ChangeMemBalloon, addresses), 24 + 8),
            (offset_of!(GetVRDPChangeRequest, experience), 24 + 4),
            (offset_of!(UnregisterSharedModule, name), 24 + 16),
            (offset_of!(UnregisterSharedModule, version), 24 + 144),
            (offset_of!(DebugIsPageShared, shared), 24 + 16),
            (offset_of!(HeartbeatConfigure, enabled), 24 + 8),
            (offset_of!(GetMouseStatusEx, buttons), 24 + 20),
            (offset_of!(ReportGuestStats, valid), 24 + 4),
            (offset_of!(ReportGuestStats, physical_total), 24 + 4 * 10),
            (offset_of!(ReportGuestStats, page_file), 24 + 4 * 18),
        ];
        for (found, documented) in cases {
            assert_eq!(found, documented);
        }
    }
}

//! Every request by number, with its size and who may make it.

use std::fmt;

/// How long a request of some type must be, in bytes, its header included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeRule {
    /// Exactly this.
    Exact(u32),
    /// One of two.
    Either(u32, u32),
    /// This or more.
    AtLeast(u32),
}

impl SizeRule {
    /// Whether a request of `size` bytes keeps the rule.
    pub const fn admits(self, size: u32) -> bool {
        match self {
            Self::Exact(exact) => size == exact,
            Self::Either(one, other) => size == one || size == other,
            Self::AtLeast(least) => size >= least,
        }
    }

    /// The smallest size that keeps the rule.
    pub const fn least(self) -> u32 {
        match self {
            Self::Exact(least) | Self::Either(least, _) | Self::AtLeast(least) => least,
        }
    }
}

/// Whom the kernel's drivers let make a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// Anyone, through either device node.
    User,
    /// Only through the trusted node, `/dev/vboxguest`.
    Trusted,
    /// Only the kernel's driver itself.
    Kernel,
    /// Never as a packet from user space: it has an ioctl of its own, or none.
    Never,
}

/// What is known about a type of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestSpec {
    /// The type.
    pub request_type: RequestType,
    /// Its name, as VirtualBox's headers have it after `VMMDevReq_`.
    pub name: &'static str,
    /// How long it must be.
    pub size: SizeRule,
    /// Who may make it.
    pub permission: Permission,
}

/// The type of a request (`VMMDevRequestType`). Numbers without a name are carried all the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestType(pub u32);

macro_rules! request_types {
    ($( $constant:ident = $value:literal, $name:literal, $rule:ident($($size:literal),+), $who:ident; )+) => {
        impl RequestType {
            $( #[doc = concat!("`", $name, "`")] pub const $constant: RequestType = RequestType($value); )+

            /// Everything known, by ascending number.
            pub const ALL: &'static [RequestSpec] = &[ $( RequestSpec {
                request_type: RequestType($value),
                name: $name,
                size: SizeRule::$rule($($size),+),
                permission: Permission::$who,
            }, )+ ];

            /// What is known about this type; `None` when it has no name.
            pub const fn spec(self) -> Option<RequestSpec> {
                match self.0 {
                    $( $value => Some(RequestSpec {
                        request_type: self,
                        name: $name,
                        size: SizeRule::$rule($($size),+),
                        permission: Permission::$who,
                    }), )+
                    _ => None,
                }
            }
        }
    };
}

request_types! {
    GET_MOUSE_STATUS = 1, "GetMouseStatus", Exact(36), User;
    SET_MOUSE_STATUS = 2, "SetMouseStatus", Exact(36), User;
    SET_POINTER_SHAPE = 3, "SetPointerShape", AtLeast(48), User;
    GET_HOST_VERSION = 4, "GetHostVersion", Exact(40), User;
    IDLE = 5, "Idle", Exact(24), User;
    GET_HOST_TIME = 10, "GetHostTime", Exact(32), User;
    GET_HYPERVISOR_INFO = 20, "GetHypervisorInfo", Exact(32), Kernel;
    SET_HYPERVISOR_INFO = 21, "SetHypervisorInfo", Exact(32), Kernel;
    REGISTER_PATCH_MEMORY = 22, "RegisterPatchMemory", Exact(36), Kernel;
    DEREGISTER_PATCH_MEMORY = 23, "DeregisterPatchMemory", Exact(36), Kernel;
    SET_POWER_STATUS = 30, "SetPowerStatus", Exact(28), User;
    ACKNOWLEDGE_EVENTS = 41, "AcknowledgeEvents", Exact(28), User;
    CTL_GUEST_FILTER_MASK = 42, "CtlGuestFilterMask", Exact(32), User;
    REPORT_GUEST_INFO = 50, "ReportGuestInfo", Exact(32), Kernel;
    GET_DISPLAY_CHANGE_REQUEST = 51, "GetDisplayChangeRequest", Exact(40), User;
    VIDEO_MODE_SUPPORTED = 52, "VideoModeSupported", Exact(40), User;
    GET_HEIGHT_REDUCTION = 53, "GetHeightReduction", Exact(28), User;
    GET_DISPLAY_CHANGE_REQUEST_2 = 54, "GetDisplayChangeRequest2", Exact(44), User;
    REPORT_GUEST_CAPABILITIES = 55, "ReportGuestCapabilities", Exact(28), Trusted;
    SET_GUEST_CAPABILITIES = 56, "SetGuestCapabilities", Exact(32), Never;
    VIDEO_MODE_SUPPORTED_2 = 57, "VideoModeSupported2", Exact(44), User;
    REPORT_GUEST_INFO_2 = 58, "ReportGuestInfo2", Exact(168), Kernel;
    REPORT_GUEST_STATUS = 59, "ReportGuestStatus", Exact(36), User;
    HGCM_CONNECT = 60, "HGCMConnect", Exact(168), Never;
    HGCM_DISCONNECT = 61, "HGCMDisconnect", Exact(36), Never;
    HGCM_CALL_32 = 62, "HGCMCall32", AtLeast(44), Never;
    HGCM_CALL_64 = 63, "HGCMCall64", AtLeast(44), Never;
    HGCM_CANCEL = 64, "HGCMCancel", Exact(32), Never;
    HGCM_CANCEL_2 = 65, "HGCMCancel2", Either(28, 32), Never;
    VIDEO_ACCEL_ENABLE = 70, "VideoAccelEnable", Exact(36), User;
    VIDEO_ACCEL_FLUSH = 71, "VideoAccelFlush", Exact(24), User;
    VIDEO_SET_VISIBLE_REGION = 72, "VideoSetVisibleRegion", AtLeast(28), User;
    GET_SEAMLESS_CHANGE_REQUEST = 73, "GetSeamlessChangeRequest", Exact(32), User;
    REPORT_GUEST_USER_STATE = 74, "ReportGuestUserState", AtLeast(44), Trusted;
    GET_DISPLAY_CHANGE_REQUEST_EX = 80, "GetDisplayChangeRequestEx", Exact(56), User;
    GET_DISPLAY_CHANGE_REQUEST_MULTI = 81, "GetDisplayChangeRequestMulti", AtLeast(32), User;
    QUERY_CREDENTIALS = 100, "QueryCredentials", Exact(412), Trusted;
    REPORT_CREDENTIALS_JUDGEMENT = 101, "ReportCredentialsJudgement", Exact(412), Trusted;
    REPORT_GUEST_STATS = 110, "ReportGuestStats", Exact(100), Trusted;
    GET_MEM_BALLOON_CHANGE_REQUEST = 111, "GetMemBalloonChangeRequest", Exact(36), Kernel;
    GET_STATISTICS_CHANGE_REQUEST = 112, "GetStatisticsChangeRequest", Exact(32), Trusted;
    CHANGE_MEM_BALLOON = 113, "ChangeMemBalloon", Exact(2080), Kernel;
    GET_VRDP_CHANGE_REQUEST = 150, "GetVRDPChangeRequest", Exact(32), User;
    LOG_STRING = 200, "LogString", AtLeast(28), User;
    GET_CPU_HOT_PLUG_REQUEST = 210, "GetCpuHotPlugRequest", Exact(36), Trusted;
    SET_CPU_HOT_PLUG_STATUS = 211, "SetCpuHotPlugStatus", Exact(28), Trusted;
    REGISTER_SHARED_MODULE = 212, "RegisterSharedModule", AtLeast(208), Trusted;
    UNREGISTER_SHARED_MODULE = 213, "UnregisterSharedModule", Exact(184), Trusted;
    CHECK_SHARED_MODULES = 214, "CheckSharedModules", Exact(24), Trusted;
    GET_PAGE_SHARING_STATUS = 215, "GetPageSharingStatus", Exact(28), Trusted;
    DEBUG_IS_PAGE_SHARED = 216, "DebugIsPageShared", Exact(44), Trusted;
    GET_SESSION_ID = 217, "GetSessionId", Exact(32), User;
    WRITE_CORE_DUMP = 218, "WriteCoreDump", Exact(28), Trusted;
    GUEST_HEARTBEAT = 219, "GuestHeartbeat", Exact(24), Kernel;
    HEARTBEAT_CONFIGURE = 220, "HeartbeatConfigure", Exact(36), Kernel;
    NT_BUG_CHECK = 221, "NtBugCheck", Either(24, 64), Never;
    VIDEO_UPDATE_MONITOR_POSITIONS = 222, "VideoUpdateMonitorPositions", AtLeast(28), User;
    GET_MOUSE_STATUS_EX = 223, "GetMouseStatusEx", Exact(48), Never;
}

impl RequestType {
    /// Its name, when it has one.
    pub const fn name(self) -> Option<&'static str> {
        match self.spec() {
            Some(spec) => Some(spec.name),
            None => None,
        }
    }

    /// How long it must be, when it is known.
    pub const fn size_rule(self) -> Option<SizeRule> {
        match self.spec() {
            Some(spec) => Some(spec.size),
            None => None,
        }
    }

    /// The type of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|spec| spec.name == name).map(|spec| spec.request_type)
    }
}

/// What changes all that a session hears and announces, whoever in it makes the request.
const OF_THE_SESSION: [RequestType; 3] = [
    RequestType::ACKNOWLEDGE_EVENTS,
    RequestType::CTL_GUEST_FILTER_MASK,
    RequestType::REPORT_GUEST_CAPABILITIES,
];

impl RequestSpec {
    /// Whether a part of an agent may make it on its own account: the kernel's drivers let it pass, and it
    /// changes nothing that belongs to the session as a whole.
    pub fn is_free(&self) -> bool {
        let passes = matches!(self.permission, Permission::User | Permission::Trusted);
        passes && !OF_THE_SESSION.contains(&self.request_type)
    }
}

impl fmt::Display for RequestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "request {}", self.0),
        }
    }
}

impl fmt::Debug for RequestType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestType({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers_of(permissions: &[Permission]) -> Vec<u32> {
        RequestType::ALL
            .iter()
            .filter(|spec| permissions.contains(&spec.permission))
            .map(|spec| spec.request_type.0)
            .collect()
    }

    #[test]
    fn the_table_ascends_and_agrees_with_the_lookup() {
        assert!(RequestType::ALL.is_sorted_by(|a, b| a.request_type < b.request_type));
        for spec in RequestType::ALL {
            assert_eq!(spec.request_type.spec(), Some(*spec));
            assert_eq!(RequestType::from_name(spec.name), Some(spec.request_type));
        }
        assert_eq!(RequestType(0).spec(), None);
    }

    // What kernels 6.1, 6.12 and 7.3 were seen to allow, node by node.
    #[test]
    fn permissions_are_what_the_kernel_s_driver_was_seen_to_allow() {
        assert_eq!(
            numbers_of(&[Permission::User]),
            [
                1, 2, 3, 4, 5, 10, 30, 41, 42, 51, 52, 53, 54, 57, 59, 70, 71, 72, 73, 80, 81, 150, 200, 217,
                222
            ]
        );
        assert_eq!(
            numbers_of(&[Permission::Trusted]),
            [55, 74, 100, 101, 110, 112, 210, 211, 212, 213, 214, 215, 216, 218]
        );
    }

    #[test]
    fn what_belongs_to_the_session_or_the_kernel_is_not_free() {
        let free: Vec<_> = RequestType::ALL.iter().filter(|spec| spec.is_free()).collect();

        assert!(free.iter().any(|spec| spec.request_type == RequestType::GET_VRDP_CHANGE_REQUEST));
        assert_eq!(free.len(), 25 + 14 - OF_THE_SESSION.len());
        for owned in [41, 42, 50, 55, 56, 58, 60, 63, 65] {
            assert!(free.iter().all(|spec| spec.request_type.0 != owned), "{owned}");
        }
    }

    #[test]
    fn size_rules_admit_what_they_say() {
        let cases = [
            (SizeRule::Exact(36), 36, true),
            (SizeRule::Exact(36), 37, false),
            (SizeRule::Either(24, 64), 64, true),
            (SizeRule::Either(24, 64), 40, false),
            (SizeRule::AtLeast(28), 27, false),
            (SizeRule::AtLeast(28), 4096, true),
        ];
        for (rule, size, admitted) in cases {
            assert_eq!(rule.admits(size), admitted, "{rule:?} {size}");
        }
    }
}

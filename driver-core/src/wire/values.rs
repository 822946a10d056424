//! The numbers and bits that stand in request bodies.

/// Declares a number whose known values have names. Unknown values are carried all the same.
macro_rules! numbers {
    (
        $(#[$meta:meta])*
        pub struct $type:ident {
            $( $constant:ident = $value:literal, $name:literal; )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(pub u32);

        impl $type {
            $( #[doc = concat!("`", $name, "`")] pub const $constant: $type = $type($value); )+

            /// The name of a known value.
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $( $value => Some($name), )+
                    _ => None,
                }
            }

            /// The value of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $( $name => Some(Self::$constant), )+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }
    };
}

pub(super) use numbers;

numbers! {
    /// A part of the guest that reports its state by request 59 (`VBoxGuestFacilityType`).
    pub struct Facility {
        UNKNOWN = 0, "unknown";
        DRIVER = 20, "driver";
        AUTO_LOGON = 90, "auto-logon";
        SERVICE = 100, "service";
        CLIENT = 101, "client";
        SEAMLESS = 1000, "seamless";
        GRAPHICS = 1100, "graphics";
        MONITOR_ATTACH = 1101, "monitor-attach";
        ALL = 0x7FFF_FFFE, "all";
    }
}

numbers! {
    /// The state of a facility (`VBoxGuestFacilityStatus`); must fit 16 bits.
    pub struct FacilityStatus {
        INACTIVE = 0, "inactive";
        PAUSED = 1, "paused";
        PRE_INIT = 20, "pre-init";
        INIT = 30, "init";
        ACTIVE = 50, "active";
        TERMINATING = 100, "terminating";
        TERMINATED = 101, "terminated";
        FAILED = 800, "failed";
        UNKNOWN = 999, "unknown";
    }
}

numbers! {
    /// What happened to a user of the guest (request 74; `VBoxGuestUserState`).
    pub struct GuestUserState {
        UNKNOWN = 0, "unknown";
        LOGGED_IN = 1, "logged-in";
        LOGGED_OUT = 2, "logged-out";
        LOCKED = 3, "locked";
        UNLOCKED = 4, "unlocked";
        DISABLED = 5, "disabled";
        IDLE = 6, "idle";
        IN_USE = 7, "in-use";
        CREATED = 8, "created";
        DELETED = 9, "deleted";
        SESSION_CHANGED = 10, "session-changed";
        CREDENTIALS_CHANGED = 11, "credentials-changed";
        ROLE_CHANGED = 12, "role-changed";
        GROUP_ADDED = 13, "group-added";
        GROUP_REMOVED = 14, "group-removed";
        ELEVATED = 15, "elevated";
    }
}

numbers! {
    /// Seamless mode (request 73; `VMMDevSeamlessMode`).
    pub struct SeamlessMode {
        DISABLED = 0, "disabled";
        VISIBLE_REGION = 1, "visible-region";
        HOST_WINDOW = 2, "host-window";
    }
}

numbers! {
    /// What is to become of a processor (request 210; `VMMDevCpuEventType`).
    pub struct CpuEvent {
        INVALID = 0, "invalid";
        NONE = 1, "none";
        PLUG = 2, "plug";
        UNPLUG = 3, "unplug";
    }
}

numbers! {
    /// Whether the guest wants to hear of processors (request 211; `VMMDevCpuStatusType`).
    pub struct CpuStatus {
        DISABLE = 1, "disable";
        ENABLE = 2, "enable";
    }
}

numbers! {
    /// What is to become of the machine (request 30; `VMMDevPowerState`).
    pub struct PowerState {
        PAUSE = 1, "pause";
        POWER_OFF = 2, "power-off";
        SAVE_STATE = 3, "save-state";
    }
}

numbers! {
    /// How much a remote display should show (request 150; `VRDP_EXPERIENCE_LEVEL_*`).
    pub struct VrdpExperience {
        ZERO = 0, "zero";
        LOW = 1, "low";
        MEDIUM = 2, "medium";
        HIGH = 3, "high";
        FULL = 4, "full";
    }
}

bitflags::bitflags! {
    /// What host and guest can and want to do about the pointer (requests 1, 2 and 223;
    /// `VMMDEV_MOUSE_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct MouseFeatures: u32 {
        /// The guest takes absolute positions.
        const GUEST_CAN_ABSOLUTE = 0x001;
        /// The host wants to send absolute positions.
        const HOST_WANTS_ABSOLUTE = 0x002;
        /// The guest cannot draw the pointer: the host must.
        const GUEST_NEEDS_HOST_CURSOR = 0x004;
        /// The host cannot draw the pointer in hardware.
        const HOST_CANNOT_HWPOINTER = 0x008;
        /// The guest reads positions when an event says so.
        const NEW_PROTOCOL = 0x010;
        /// The host looks at [`GUEST_NEEDS_HOST_CURSOR`](Self::GUEST_NEEDS_HOST_CURSOR) again.
        const HOST_RECHECKS_NEEDS_HOST_CURSOR = 0x020;
        /// The host has an absolute pointing device.
        const HOST_HAS_ABSOLUTE_DEVICE = 0x040;
        /// The guest reads buttons and wheels as well (request 223).
        const GUEST_USES_FULL_STATE = 0x080;
        /// The host offers buttons and wheels as well.
        const HOST_USES_FULL_STATE = 0x100;
        /// The bits that a guest may change.
        const GUEST_MASK = 0x095;
    }
}

bitflags::bitflags! {
    /// Pointer buttons (request 223; `VMMDEV_MOUSE_BUTTON_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct MouseButtons: u32 {
        /// Left.
        const LEFT = 0x01;
        /// Right.
        const RIGHT = 0x02;
        /// Middle.
        const MIDDLE = 0x04;
        /// First extra.
        const X1 = 0x08;
        /// Second extra.
        const X2 = 0x10;
    }
}

bitflags::bitflags! {
    /// What a request 3 says about the pointer (`VBOX_MOUSE_POINTER_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct PointerFlags: u32 {
        /// The pointer is shown.
        const VISIBLE = 0x1;
        /// The pixels have an alpha channel.
        const ALPHA = 0x2;
        /// A shape follows.
        const SHAPE = 0x4;
    }
}

bitflags::bitflags! {
    /// What the host offers (request 4; `VMMDEV_HVF_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct HostFeatures: u32 {
        /// HGCM takes lists of physical pages. The kernel's driver insists on it.
        const HGCM_PAGE_LISTS = 0x1;
        /// HGCM takes buffers inside the request.
        const HGCM_EMBEDDED_BUFFERS = 0x2;
        /// HGCM takes contiguous page lists.
        const HGCM_CONTIGUOUS_PAGE_LIST = 0x4;
        /// HGCM takes page lists that are not copied.
        const HGCM_NO_BOUNCE_PAGE_LIST = 0x8;
        /// Reading port 8 acknowledges events.
        const FAST_IRQ_ACK = 0x8000_0000;
    }
}

bitflags::bitflags! {
    /// What the guest offers (request 58; `VBOXGSTINFO2_F_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct GuestFeatures: u32 {
        /// The requestor field of headers is to be believed.
        const REQUESTOR_INFO = 0x1;
    }
}

bitflags::bitflags! {
    /// What requests 100 and 101 ask for and answer (`VMMDEV_CREDENTIALS_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct CredentialsFlags: u32 {
        /// Say whether there are credentials.
        const QUERY_PRESENCE = 0x2;
        /// Hand over those for logging on.
        const READ = 0x4;
        /// Forget them.
        const CLEAR = 0x8;
        /// Hand over those to be judged.
        const READ_JUDGE = 0x100;
        /// Forget those.
        const CLEAR_JUDGE = 0x200;
        /// Judgement: good.
        const JUDGE_OK = 0x400;
        /// Judgement: bad. Wins over the others.
        const JUDGE_DENY = 0x800;
        /// Judgement: none.
        const JUDGE_NO_JUDGEMENT = 0x1000;
        /// Answer: there are credentials.
        const PRESENT = 0x1_0000;
        /// Answer: local logon is not allowed.
        const NO_LOCAL_LOGON = 0x2_0000;
    }
}

bitflags::bitflags! {
    /// Which fields of a request 110 are valid (`VBOX_GUEST_STAT_*`).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct StatisticsMask: u32 {
        /// Idle time.
        const CPU_IDLE = 0x0001;
        /// Kernel time.
        const CPU_KERNEL = 0x0002;
        /// User time.
        const CPU_USER = 0x0004;
        /// Threads.
        const THREADS = 0x0008;
        /// Processes.
        const PROCESSES = 0x0010;
        /// Handles.
        const HANDLES = 0x0020;
        /// Memory load.
        const MEMORY_LOAD = 0x0040;
        /// Physical memory.
        const PHYSICAL_TOTAL = 0x0080;
        /// Available physical memory.
        const PHYSICAL_AVAILABLE = 0x0100;
        /// Ballooned memory.
        const BALLOON = 0x0200;
        /// Committed memory.
        const COMMIT_TOTAL = 0x0400;
        /// Kernel memory.
        const KERNEL_TOTAL = 0x0800;
        /// Paged kernel memory.
        const KERNEL_PAGED = 0x1000;
        /// Non-paged kernel memory.
        const KERNEL_NONPAGED = 0x2000;
        /// System cache.
        const SYSTEM_CACHE = 0x4000;
        /// Page file.
        const PAGE_FILE = 0x8000;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facilities_have_their_documented_numbers() {
        let cases = [
            ("driver", 20),
            ("auto-logon", 90),
            ("service", 100),
            ("client", 101),
            ("seamless", 1000),
            ("graphics", 1100),
        ];
        for (name, number) in cases {
            assert_eq!(Facility::from_name(name), Some(Facility(number)));
            assert_eq!(Facility(number).to_string(), name);
        }
        assert_eq!(Facility(77).to_string(), "77");
    }

    #[test]
    fn a_guest_may_change_mouse_bits_0_2_4_and_7() {
        assert_eq!(MouseFeatures::GUEST_MASK.bits(), 1 << 0 | 1 << 2 | 1 << 4 | 1 << 7);
        assert_eq!(MouseFeatures::all().bits(), 0x1FF);
    }

    #[test]
    fn statistics_have_sixteen_valid_bits() {
        assert_eq!(StatisticsMask::all().bits(), 0xFFFF);
    }
}

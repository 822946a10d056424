//! The bits by which the host rings.

use super::bits::named_bits;

named_bits! {
    /// VMMDev event bits (`VMMDEV_EVENT_*`). They are a latch: a bit says that something happened
    /// since it was last acknowledged, never how often.
    pub struct Events {
        /// The host changed one of its mouse capabilities; details by request 1.
        MOUSE_CAPABILITIES_CHANGED = 0x001, "mouse-capabilities-changed";
        /// An asynchronous HGCM request completed; the kernel driver's own.
        HGCM = 0x002, "hgcm";
        /// The host wants another layout of displays; details by request 81 (or 80, 54, 51).
        DISPLAY_CHANGE = 0x004, "display-change";
        /// The host has credentials to be judged; details by request 100.
        JUDGE_CREDENTIALS = 0x008, "judge-credentials";
        /// The machine came back from a saved state; the session id (request 217) changed.
        RESTORED = 0x010, "restored";
        /// The host switched seamless mode; details by request 73.
        SEAMLESS_MODE_CHANGE = 0x020, "seamless-mode-change";
        /// The host wants another balloon size; details by request 111; the kernel driver's own.
        BALLOON_CHANGE = 0x040, "balloon-change";
        /// The host wants statistics at another pace; details by request 112.
        STATISTICS_INTERVAL_CHANGE = 0x080, "statistics-interval-change";
        /// Remote display went on or off; details by request 150.
        VRDP = 0x100, "vrdp";
        /// The absolute pointer moved; the kernel driver's own.
        MOUSE_POSITION_CHANGED = 0x200, "mouse-position-changed";
        /// A processor is to be plugged or unplugged; details by request 210.
        CPU_HOTPLUG = 0x400, "cpu-hotplug";
    }
}

impl Events {
    /// What a kernel driver keeps to itself: no waiter in user space ever sees these.
    pub const KERNEL: Self = Self::HGCM.union(Self::BALLOON_CHANGE).union(Self::MOUSE_POSITION_CHANGED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_valid_mask_is_eleven_bits() {
        assert_eq!(Events::all().bits(), 0x7FF);
        assert_eq!(Events::NAMES.len(), 11);
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let contract = [
            (0x001, "mouse-capabilities-changed"),
            (0x004, "display-change"),
            (0x008, "judge-credentials"),
            (0x010, "restored"),
            (0x020, "seamless-mode-change"),
            (0x080, "statistics-interval-change"),
            (0x100, "vrdp"),
            (0x400, "cpu-hotplug"),
        ];
        for (bits, name) in contract {
            assert_eq!(Events::from_name(name).map(|bit| bit.bits()), Some(bits));
            assert_eq!(Events::from_bits_retain(bits).name(), Some(name));
        }
        assert_eq!(Events::from_name("nonsense"), None);
    }

    #[test]
    fn sets_are_written_by_name_and_unknown_bits_by_number() {
        let cases = [
            (0, "none"),
            (0x14, "display-change|restored"),
            (0x804, "display-change|0x800"),
            (0x8000_0000, "0x80000000"),
        ];
        for (bits, text) in cases {
            assert_eq!(Events::from_bits_retain(bits).to_string(), text);
        }
    }

    #[test]
    fn the_kernel_keeps_hgcm_balloon_and_pointer_position() {
        assert_eq!(Events::KERNEL.bits(), 0x242);
    }
}

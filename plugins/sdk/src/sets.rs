//! The contract's sets of bits, with names.

bitflags::bitflags! {
    /// Events that the host raises, numbered as the VMMDev device numbers them.
    ///
    /// The bits that are missing here are the kernel driver's own.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Events: u32 {
        /// The host changed its mouse capabilities.
        const MOUSE_CAPABILITIES_CHANGED = 1 << 0;
        /// The host wants another layout of displays.
        const DISPLAY_CHANGE = 1 << 2;
        /// The host has credentials to be judged.
        const JUDGE_CREDENTIALS = 1 << 3;
        /// The machine came back from a saved state.
        const RESTORED = 1 << 4;
        /// The host switched seamless mode.
        const SEAMLESS_MODE_CHANGE = 1 << 5;
        /// The host wants statistics at another pace.
        const STATISTICS_INTERVAL_CHANGE = 1 << 7;
        /// Remote display went on or off.
        const VRDP = 1 << 8;
        /// A processor is to be plugged or unplugged.
        const CPU_HOTPLUG = 1 << 10;
    }

    /// What the guest tells the host it can do.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Capabilities: u32 {
        /// Show the guest's windows among the host's.
        const SEAMLESS = 1 << 0;
        /// Map the guest's windows to the host's.
        const WINDOW_MAPPING = 1 << 1;
        /// Resize displays as the host wishes.
        const GRAPHICS = 1 << 2;
    }
}

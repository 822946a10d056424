//! What kind of host this is.

use std::time::Duration;

use driver_core::wire::HostFeatures;

/// The host's configuration. The default is a current VirtualBox with nothing out of the ordinary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Major, minor and build number of the host (request 4).
    pub version: (u16, u16, u32),
    /// The host's source revision (request 4).
    pub revision: u32,
    /// What the host offers (request 4).
    pub features: HostFeatures,
    /// Whether the guest may ask the time (request 10).
    pub host_time: bool,
    /// Between two heartbeats (request 220); `None` refuses them. Refusing is the default: Linux
    /// kernels up to 7.3 pass the interval where a point in time is expected and then beat about
    /// 250 times a second, whatever the interval.
    pub heartbeat: Option<Duration>,
    /// Whether log lines are taken (request 200); release hosts do not implement it.
    pub log_strings: bool,
    /// Whether the guest may save the machine's state (request 30).
    pub save_state: bool,
    /// The guest's memory in MiB (request 111).
    pub memory_mib: u32,
    /// Whether services allow fewer HGCM clients and calls than the host would, as they do since 7.2.
    pub lowered_limits: bool,
    /// The largest width and height of a display in pixels (requests 52 and 57).
    pub max_extent: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: (7, 2, 22),
            revision: 170_000,
            features: HostFeatures::all(),
            host_time: true,
            heartbeat: None,
            log_strings: false,
            save_state: true,
            memory_mib: 1024,
            lowered_limits: true,
            max_extent: 16_384,
        }
    }
}

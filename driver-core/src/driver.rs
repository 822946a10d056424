//! The trait that stands between the agent and whoever services the device.

use std::time::Duration;

use crate::wire::{Capabilities, Events, Status};
use crate::{Canceller, Result};

/// Why [`Driver::wait`] returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// These bits were pending and are now the caller's: nobody else will see them. Never empty.
    Events(Events),
    /// The time-out passed first.
    TimedOut,
    /// [`Driver::cancel_waits`] was called. The session stays usable.
    Cancelled,
}

/// What [`Driver::change_capabilities`] left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapabilityState {
    /// The capabilities that this session holds.
    pub session: Capabilities,
    /// The union over all sessions: what the host was told.
    pub global: Capabilities,
}

/// An HGCM client: a connection of this session to one host service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HgcmClient(pub u32);

/// One parameter of an HGCM call. Results are written back in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HgcmParameter {
    /// A 32-bit value, both directions.
    U32(u32),
    /// A 64-bit value, both directions.
    U64(u64),
    /// Bytes for the host.
    In(Vec<u8>),
    /// Room for bytes from the host; the call shortens it to what was written, or names the size
    /// that would have been needed.
    Out {
        /// The room offered, replaced by the bytes received.
        data: Vec<u8>,
        /// The size that the host gave back, in bytes; may exceed the room offered.
        needed: u32,
    },
    /// Bytes in both directions.
    InOut(Vec<u8>),
}

impl HgcmParameter {
    /// The bytes of a buffer, or the room for them; of a value there are none.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::U32(_) | Self::U64(_) => &[],
            Self::In(data) | Self::Out { data, .. } | Self::InOut(data) => data,
        }
    }
}

/// One session with the driver of the VMMDev device.
///
/// A session has an event filter and a set of guest capabilities of its own; both go when it is
/// dropped. Pending event bits belong to the machine: each goes to the first waiter of any session
/// whose mask has it. So an agent keeps exactly one thread in [`wait`](Driver::wait) and hands the
/// bits on itself.
pub trait Driver: Send + Sync {
    /// Which driver and which host this is, for people.
    fn describe(&self) -> String;

    /// Waits until one of the bits in `mask` is pending and takes those that are.
    ///
    /// Waiting does not subscribe: [`change_filter`](Driver::change_filter) does. `None` waits for
    /// ever; a zero time-out polls.
    ///
    /// # Errors
    /// When the device or its driver went away.
    fn wait(&self, mask: Events, timeout: Option<Duration>) -> Result<Wake>;

    /// Makes every wait of this session that is under way return [`Wake::Cancelled`]; when none is,
    /// the next one does.
    fn cancel_waits(&self);

    /// Adds to and removes from the events that this session wants. `add` wins over `remove`.
    ///
    /// # Errors
    /// `VERR_INVALID_PARAMETER` for bits outside [`Events::all`]; what the host says otherwise.
    fn change_filter(&self, add: Events, remove: Events) -> Result<()>;

    /// Acquires guest capabilities for this session alone, and gives others up. `add` wins.
    ///
    /// A capability that any session ever acquired is in *acquire mode*: from then on only the
    /// session that holds it sees the event that belongs to it.
    ///
    /// # Errors
    /// `VERR_RESOURCE_BUSY` when another session holds one of them; `VERR_INVALID_PARAMETER` when
    /// one is set by [`change_capabilities`](Driver::change_capabilities) or unknown.
    fn acquire_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<()>;

    /// Sets and clears guest capabilities that may be shared between sessions. `add` wins.
    ///
    /// # Errors
    /// `VERR_RESOURCE_BUSY` when one is in acquire mode; `VERR_INVALID_PARAMETER` for unknown bits.
    fn change_capabilities(&self, add: Capabilities, remove: Capabilities) -> Result<CapabilityState>;

    /// Submits a whole request packet, header included, and waits for the host's answer, which
    /// replaces the packet's bytes. The status is the host's word on the request, failures included.
    ///
    /// # Errors
    /// When the packet never reached the host: malformed, too long, refused by the driver, or the
    /// device is gone.
    fn request(&self, packet: &mut [u8]) -> Result<Status>;

    /// Connects to an HGCM service by name (at most 127 bytes).
    ///
    /// # Errors
    /// `VERR_HGCM_SERVICE_NOT_FOUND` for a name that the host does not serve;
    /// `VERR_HGCM_TOO_MANY_CLIENTS` beyond 64 of this session, or as many as the host allows.
    fn hgcm_connect(&self, service: &str) -> Result<HgcmClient>;

    /// Calls a function of a connected service and waits until the call ends, which `cancel` can bring
    /// about from another thread. Any number of threads may be in calls at once. The status is the host's
    /// word on the call, failures included, and the parameters are as the service left them.
    ///
    /// A call has at most 32 parameters and 128 MiB in all of them; the kernel's driver takes 24 MiB in
    /// one. What was cancelled or timed out may have had its effect nevertheless.
    ///
    /// # Errors
    /// When the call never reached the host, timed out (`VERR_TIMEOUT`) or was cancelled
    /// (`VERR_CANCELLED`); `VERR_INVALID_PARAMETER` for an answer that no host gives.
    fn hgcm_call(
        &self,
        client: HgcmClient,
        function: u32,
        parameters: &mut [HgcmParameter],
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<Status>;

    /// Ends a connection.
    ///
    /// # Errors
    /// `VERR_HGCM_INVALID_CLIENT_ID` for a client that is not this session's.
    fn hgcm_disconnect(&self, client: HgcmClient) -> Result<()>;
}

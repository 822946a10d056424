//! How much of a service each class of guest users may have.

use driver_core::wire::Requestor;
use serde::Serialize;

/// On whose behalf a client was connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientClass {
    /// A driver, or a guest whose word on this does not count.
    Kernel,
    /// An administrator.
    Root,
    /// Anybody else.
    User,
}

impl ClientClass {
    /// The class of a requestor. What a guest says that never promised to say it counts for nothing.
    pub(crate) fn of(requestor: u32, told: bool) -> Self {
        if !told {
            return Self::Kernel;
        }
        match Requestor(requestor & Requestor::USER_MASK) {
            Requestor::USER_NOT_GIVEN | Requestor::USER_DRIVER | Requestor::USER_OTHER_DRIVER => Self::Kernel,
            Requestor::USER_ROOT | Requestor::USER_SYSTEM => Self::Root,
            _ => Self::User,
        }
    }
}

/// Limits for kernel, root and users.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    clients: [usize; 3],
    /// Under way at a time, for one client.
    calls: [usize; 3],
}

impl Limits {
    /// What a host allows of a service that says nothing.
    pub(super) const USUAL: Self = Self { clients: [2048, 1024, 1024], calls: [8192, 4096, 2048] };
    /// The service of guest properties, as 7.2.22 was measured.
    pub(super) const PROPERTIES: Self = Self { calls: [16; 3], ..Self::USUAL };
    /// The clipboard, as 7.2.22 was measured.
    pub(super) const CLIPBOARD: Self = Self { clients: [1, 20, 20], calls: [16; 3] };

    pub(super) fn clients(&self, class: ClientClass) -> usize {
        self.clients[class as usize]
    }

    pub(super) fn calls(&self, class: ClientClass) -> usize {
        self.calls[class as usize]
    }
}

/// How much memory the calls of one class may take together, in bytes. A host takes a third of an
/// eighth of the guest's memory, and this at most; the guests of this one are small and their
/// clipboards are not.
pub(super) const MOST_MEMORY: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requestors_as_the_kernel_s_driver_sends_them_have_their_class() {
        let cases = [
            (0x8B, ClientClass::Root),
            (0x808B, ClientClass::Root),
            (0x800E, ClientClass::User),
            (0x2, ClientClass::Kernel),
            (0x0, ClientClass::Kernel),
            (0x5, ClientClass::User),
        ];
        for (requestor, class) in cases {
            assert_eq!(ClientClass::of(requestor, true), class, "{requestor:#x}");
            assert_eq!(ClientClass::of(requestor, false), ClientClass::Kernel);
        }
    }
}

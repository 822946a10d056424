//! INTx: how the device's interrupt line becomes an eventfd.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use crate::host::{Sent, Wire};

/// The pin as a client has set it up. A handle: clones are the same pin.
///
/// The pin masks itself with each interrupt, and the client unmasks it when the guest has touched
/// the device. QEMU cannot know whether that touch was the interrupt handler's last: it unmasks at
/// the handler's first read of `fHaveEvents`, when the line is still up. So an interrupt is not
/// sent because the line is up, but because the guest has not noticed. While it has not, each
/// unmasking sends it again: QEMU lowered its line, perhaps before a processor saw it up.
///
/// That may turn out to be one too many, because the processor had seen it. So what the client has
/// not read from its eventfd by the time the guest notices is taken back. QEMU reads it in its main
/// loop, which is late while processors keep the lock that both need.
#[derive(Debug, Clone, Default)]
pub(super) struct Intx(Arc<Mutex<Pin>>);

#[derive(Debug, Default)]
struct Pin {
    trigger: Option<File>,
    /// The trigger can be read without waiting.
    recallable: bool,
    hold: Hold,
    /// The interrupt that is due was sent, once at least.
    sent: bool,
}

/// Why no interrupt is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Hold {
    /// One is, when it is due.
    #[default]
    Open,
    /// The last one has not been answered by an unmasking.
    Unanswered,
    /// The client wants none.
    Masked,
}

impl Intx {
    /// Takes the eventfd to be written for each interrupt, or none at all. A pin that had none
    /// starts unmasked.
    pub(super) fn connect(&self, trigger: Option<File>) {
        let mut pin = self.lock();
        if pin.trigger.is_none() {
            pin.hold = Hold::Open;
        }
        let flags = trigger.as_ref().and_then(|file| fcntl(file, FcntlArg::F_GETFL).ok());
        pin.recallable = flags.is_some_and(|flags| flags & OFlag::O_NONBLOCK.bits() != 0);
        pin.trigger = trigger;
    }

    /// Holds interrupts back, or no longer.
    pub(super) fn mask(&self, masked: bool) {
        self.lock().hold = if masked { Hold::Masked } else { Hold::Open };
    }

    /// Sends an interrupt whatever the device says: a client tries the eventfd out.
    pub(super) fn send(&self) {
        self.lock().send();
    }

    fn lock(&self) -> MutexGuard<'_, Pin> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pin {
    fn send(&mut self) -> bool {
        let Some(trigger) = &mut self.trigger else { return false };
        match trigger.write_all(&1_u64.to_ne_bytes()) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "Cannot write to the client's eventfd");
                false
            }
        }
    }

    /// Takes an interrupt back, unless the client has it already. It will not be answered then.
    fn recall(&mut self) {
        let Some(trigger) = self.trigger.as_mut().filter(|_| self.recallable) else { return };
        if trigger.read_exact(&mut [0; size_of::<u64>()]).is_ok() && self.hold == Hold::Unanswered {
            self.hold = Hold::Open;
        }
    }
}

impl Wire for Intx {
    fn settle(&mut self, due: bool) -> Sent {
        let mut pin = self.lock();
        if !due {
            if std::mem::take(&mut pin.sent) {
                pin.recall();
            }
            return Sent::Nothing;
        }
        if pin.hold != Hold::Open || !pin.send() {
            return Sent::Nothing;
        }
        pin.hold = Hold::Unanswered;
        let before = std::mem::replace(&mut pin.sent, true);
        if before { Sent::Again } else { Sent::Interrupt }
    }
}

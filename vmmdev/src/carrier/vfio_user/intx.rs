//! INTx: how the device's interrupt line becomes an eventfd.

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::Wire;

/// The pin as a client has set it up. A handle: clones are the same pin.
///
/// The pin masks itself with each interrupt, and the client unmasks it when the guest has touched
/// the device. QEMU cannot know whether that touch was the interrupt handler's last: it unmasks at
/// the handler's first read of `fHaveEvents`, when the line is still up. So an interrupt is not
/// sent because the line is up, but because the guest has not noticed.
#[derive(Debug, Clone, Default)]
pub(super) struct Intx(Arc<Mutex<Pin>>);

#[derive(Debug, Default)]
struct Pin {
    trigger: Option<File>,
    masked: bool,
}

impl Intx {
    /// Takes the eventfd to be written for each interrupt, or none at all. A pin that had none
    /// starts unmasked.
    pub(super) fn connect(&self, trigger: Option<File>) {
        let mut pin = self.lock();
        if pin.trigger.is_none() {
            pin.masked = false;
        }
        pin.trigger = trigger;
    }

    /// Holds interrupts back, or no longer.
    pub(super) fn mask(&self, masked: bool) {
        self.lock().masked = masked;
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
}

impl Wire for Intx {
    fn settle(&mut self, due: bool) -> bool {
        let mut pin = self.lock();
        let sent = due && !pin.masked && pin.send();
        pin.masked |= sent;
        sent
    }
}

//! Requests that the host may answer later: waiting for them, and giving them up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use zerocopy::little_endian::{I32, U32};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::dma::Dma;
use crate::pci::requester::Requester;
use crate::pci::{Bus, BusFault};
use crate::wire::device::PORT_REQUEST;
use crate::wire::{HgcmCancel2, HgcmFlags, Request, RequestHeader, Status};
use crate::{Canceller, Error, Result};

/// How long a host may take to complete a request that it says it can no longer cancel. The kernel's
/// driver gives it as much.
const LAST_WAIT: Duration = Duration::from_millis(500);

/// What a waiter may be woken for; bits, because several may come.
const DONE: u8 = 1;
const CANCELLED: u8 = 2;
const GONE: u8 = 4;

/// Where the flags of a request stand, in bytes from its start.
const FLAGS: u32 = 24;

/// All HGCM requests that are under way.
///
/// A completion says that some request is done, not which. So the interrupt thread looks at each one's
/// flags in DMA memory, and wakes the thread whose request it is.
pub(super) struct Exchanges {
    bus: Arc<dyn Bus>,
    requester: Arc<Requester>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By the address of the request.
    waiting: BTreeMap<u32, Arc<Waiter>>,
    /// Requests that were given up although the host may still write to their memory.
    lost: Vec<Dma>,
    /// There will be no more completions.
    gone: bool,
}

impl State {
    /// Ends all requests; the host will not write to their memory.
    fn end(&mut self) {
        self.lost.clear();
        self.waiting.values().for_each(|waiter| waiter.wake(GONE));
    }
}

/// What every HGCM request begins with.
#[repr(C)]
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct Head {
    header: RequestHeader,
    flags: U32,
    result: I32,
}

impl Head {
    fn is_done(&self) -> bool {
        is_done(self.flags.get())
    }

    /// How the request went, when it is over: its header says why it never began, if it did not.
    fn status(&self) -> Status {
        let begun = self.header.status();
        if begun.is_failure() { begun } else { self.result.into() }
    }
}

fn is_done(flags: u32) -> bool {
    HgcmFlags::from_bits_retain(flags).contains(HgcmFlags::DONE)
}

impl Exchanges {
    pub(super) fn new(bus: Arc<dyn Bus>, requester: Arc<Requester>) -> Self {
        Self { bus, requester, state: Mutex::default() }
    }

    /// Submits the request at the start of `dma` and waits until it is over. Gives the memory back with
    /// the host's word on it; when it does not, the host is done with the memory or will be.
    pub(super) fn carry(
        &self,
        doing: &str,
        dma: Dma,
        timeout: Option<Duration>,
        cancel: &Canceller,
    ) -> Result<(Dma, Status)> {
        let failed = |status| Error::new(doing.to_owned(), status);
        let gone = || Error::new(format!("{doing} (the device is gone or was reset)"), Status::INVALID_STATE);
        // A time-out too long for the clock is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        // Before the request is made: its completion may come before this thread hears of the answer.
        let place = self.enter(dma.address()).ok_or_else(gone)?;
        let armed = cancel.arm({
            let waiter = place.waiter.clone();
            move || waiter.wake(CANCELLED)
        });
        let armed = armed.ok_or_else(|| failed(Status::CANCELLED))?;

        self.bus.write_port(PORT_REQUEST, dma.address()).map_err(|_| gone())?;
        let head = look(&dma).map_err(|_| gone())?;
        if head.is_done() || head.header.status() != Status::HGCM_ASYNC_EXECUTE {
            return Ok((dma, head.status()));
        }
        let woken = place.waiter.wait(DONE | CANCELLED | GONE, deadline);
        drop(armed);

        let (woken, error) = if woken & (DONE | GONE) != 0 {
            (woken, gone())
        } else {
            let error = failed(if woken == CANCELLED { Status::CANCELLED } else { Status::TIMEOUT });
            match self.give_up(&place.waiter, &dma) {
                Some(woken) => (woken, error),
                None => return Err(error),
            }
        };
        match look(&dma) {
            Ok(head) if head.is_done() => Ok((dma, head.status())),
            _ => {
                if woken & GONE == 0 {
                    self.lose(dma);
                }
                Err(error)
            }
        }
    }

    /// Cancels a request at the host. `None` when the host has forgotten it; otherwise what the waiter
    /// was woken for, now that the request should be done.
    fn give_up(&self, waiter: &Waiter, dma: &Dma) -> Option<u8> {
        let mut packet = HgcmCancel2::new();
        packet.address.set(dma.address());
        match self.requester.typed(packet) {
            Ok(_) => return None,
            // It was done before, and that counts.
            Err(Error { status: Status::NOT_FOUND, .. }) => {}
            Err(refused) => tracing::warn!("{refused}"),
        }
        if look(dma).is_ok_and(|head| head.is_done()) {
            return Some(DONE);
        }
        Some(waiter.wait(DONE | GONE, Instant::now().checked_add(LAST_WAIT)))
    }

    /// The host completed some request: wakes whoever made one that is done.
    pub(super) fn completed(&self) {
        let waiting: Vec<_> = {
            let mut state = self.lock();
            state.lost.retain(|dma| look(dma).is_ok_and(|head| !head.is_done()));
            state.waiting.values().cloned().collect()
        };
        for waiter in waiting {
            let mut flags = [0; 4];
            // Of one that has left meanwhile, this is no longer the memory; it will not notice.
            let read = self.bus.dma_read(waiter.address.saturating_add(FLAGS), &mut flags);
            if read.is_ok() && is_done(u32::from_le_bytes(flags)) {
                waiter.wake(DONE);
            }
        }
    }

    /// Ends all requests that are under way: the host has forgotten them.
    pub(super) fn forgotten(&self) {
        self.lock().end();
    }

    /// Ends all requests, those to come as well: the device is gone.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.gone = true;
        state.end();
    }

    /// A place among those who wait; `None` when the device is gone.
    fn enter(&self, address: u32) -> Option<Place<'_>> {
        let waiter = Arc::new(Waiter { address, thread: std::thread::current(), woken: AtomicU8::new(0) });
        let mut state = self.lock();
        if state.gone {
            return None;
        }
        state.waiting.insert(address, waiter.clone());
        Some(Place { exchanges: self, waiter })
    }

    /// Keeps memory that nobody waits for from being used again before the host is done with it.
    fn lose(&self, dma: Dma) {
        tracing::warn!("Host neither cancels a call nor completes it; its memory is set aside");
        let mut state = self.lock();
        if !state.gone {
            state.lost.push(dma);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(dma: &Dma) -> Result<Head, BusFault> {
    let mut head = Head::new_zeroed();
    dma.read(0, head.as_mut_bytes())?;
    Ok(head)
}

/// A thread that waits for a request.
struct Waiter {
    address: u32,
    thread: Thread,
    woken: AtomicU8,
}

impl Waiter {
    fn wake(&self, why: u8) {
        self.woken.fetch_or(why, Ordering::Release);
        self.thread.unpark();
    }

    /// Waits for one of the bits in `mask`; none of them when the time is over.
    fn wait(&self, mask: u8, deadline: Option<Instant>) -> u8 {
        loop {
            let woken = self.woken.load(Ordering::Acquire) & mask;
            if woken != 0 {
                return woken;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => std::thread::park(),
                Some(Duration::ZERO) => return 0,
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }
}

/// A [`Waiter`] among the others, until it is dropped.
struct Place<'a> {
    exchanges: &'a Exchanges,
    waiter: Arc<Waiter>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.exchanges.lock().waiting.remove(&self.waiter.address);
    }
}

//! Ticks while plugins run, so that one that does not stop can be stopped; silence while none does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use wasmtime::Engine;

/// How far apart two ticks are: the grain of both clocks of a budget.
pub const TICK: Duration = Duration::from_millis(5);

/// Advances the engine's epoch once a [`TICK`] while at least one call is under way.
///
/// The timer is armed by the call that finds it unarmed, which costs one system call and wakes no
/// thread, and once more by each tick that still finds a call, or that a call has begun since the last
/// one: where they follow each other, none pays for the timer. An idle daemon has none.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    engine: Engine,
    timer: TimerFd,
    armed: AtomicBool,
    calls: AtomicUsize,
    /// A call has begun since the last tick.
    begun: AtomicBool,
    stopping: AtomicBool,
}

/// A call is under way for as long as this lives.
pub struct Running<'a>(&'a Shared);

impl Ticker {
    /// Starts the thread that ticks `engine`.
    ///
    /// # Errors
    /// When there is no timer or thread to be had.
    pub fn start(engine: Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            engine,
            timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?,
            armed: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        });
        let thread = std::thread::Builder::new().name("ticker".into()).stack_size(64 * 1024).spawn({
            let shared = shared.clone();
            move || shared.tick()
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Says that a call begins.
    pub fn running(&self) -> Running<'_> {
        self.shared.calls.fetch_add(1, SeqCst);
        self.shared.begun.store(true, SeqCst);
        self.shared.arm_once();
        Running(&self.shared)
    }
}

impl Shared {
    fn tick(&self) {
        while !self.stopping.load(SeqCst) {
            if self.timer.wait().is_err() {
                continue;
            }
            self.engine.increment_epoch();
            self.armed.store(false, SeqCst);
            if self.begun.swap(false, SeqCst) || self.calls.load(SeqCst) > 0 {
                self.arm_once();
            }
        }
    }

    fn arm_once(&self) {
        if !self.armed.swap(true, SeqCst) {
            self.arm(TICK);
        }
    }

    fn arm(&self, after: Duration) {
        let once = Expiration::OneShot(TimeSpec::from_duration(after));
        if let Err(error) = self.timer.set(once, TimerSetTimeFlags::empty()) {
            tracing::error!(%error, "Cannot arm the timer that bounds plugins");
        }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, SeqCst);
        self.shared.arm(Duration::from_nanos(1));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

//! Ending an ioctl of another thread.
//!
//! The kernel's driver ends a call when a signal comes for its thread, and cancels it at the host first.
//! A signal that comes before the thread has entered the kernel would change nothing there. So its
//! handler also spoils the header of the ioctl that is about to begin: the driver reads the header's
//! version first of all, and refuses the call instead of making it. Once it has read that, it is in the
//! kernel, and the signal is noticed there.
//!
//! The signal is the highest real-time signal that has no handler when the first call is made, which
//! is `SIGRTMAX` (64) in a program that handles none. It is sent to threads in calls alone, and whoever
//! else sends it changes nothing, but may end a call with `VERR_INTERRUPTED`.

use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use super::header::Fault;
use crate::Canceller;
use crate::wire::Status;

/// Where the version stands in a header, in bytes. None has a zero in its first byte.
const VERSION: usize = 4;

/// How often a signal is sent again while the system has no room for one, and how long it is given.
const TRIES: usize = 1000;
const PAUSE: Duration = Duration::from_millis(1);

thread_local! {
    /// The header of the ioctl that this thread is about to make, or is in.
    static HEADER: AtomicPtr<u8> = const { AtomicPtr::new(std::ptr::null_mut()) };
}

/// Carries out an ioctl on `buffer`, which begins with a header, until it ends or is cancelled.
pub(super) fn interruptible(
    cancel: &Canceller,
    buffer: NonNull<[u8]>,
    ioctl: impl FnOnce(NonNull<[u8]>) -> Result<(), Errno>,
) -> Result<(), Fault> {
    let Some(signal) = signal() else {
        tracing::warn!("No real-time signal is left to cancel HGCM calls by");
        return Err(Fault::Answered(Status::NOT_SUPPORTED));
    };
    let admitted = Admitted::new(signal);
    // SAFETY: the call has no conditions.
    let thread = unsafe { libc::gettid() };
    expose(buffer.as_ptr().cast());
    let outcome = cancel.arm(move || send(thread, signal)).map(|armed| (ioctl(buffer), armed));
    expose(std::ptr::null_mut());
    let Some((outcome, armed)) = outcome else { return Err(Fault::Answered(Status::CANCELLED)) };
    drop(armed);
    if cancel.is_cancelled() {
        // What was sent and has not come yet comes now, and not in the midst of the next call.
        admitted.settle();
        if matches!(outcome, Err(Errno::EINTR | Errno::EINVAL)) {
            return Err(Fault::Answered(Status::CANCELLED));
        }
    }
    outcome.map_err(Fault::Refused)
}

fn expose(header: *mut u8) {
    HEADER.with(|exposed| exposed.store(header, Ordering::SeqCst));
}

/// The handler. It does what a handler may: it reads a thread's own variable that needs no making, and
/// writes to memory.
extern "C" fn spoil(_: libc::c_int) {
    let header = HEADER.with(|exposed| exposed.load(Ordering::SeqCst));
    if !header.is_null() {
        // SAFETY: it is the header of a buffer that lives while it is exposed, at least 24 bytes long,
        // which this thread reaches by nothing but pointers meanwhile, and is not doing so now.
        unsafe { header.add(VERSION).write_volatile(0) };
    }
}

/// The signal, whose handler is installed.
fn signal() -> Option<libc::c_int> {
    static SIGNAL: OnceLock<Option<libc::c_int>> = OnceLock::new();
    *SIGNAL.get_or_init(|| (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|number| install(*number)))
}

/// Installs the handler for a signal that nobody handles.
fn install(number: libc::c_int) -> bool {
    // SAFETY: a `sigaction` is integers and perhaps a pointer, for which zeros are fine.
    let (mut old, mut new): (libc::sigaction, libc::sigaction) = unsafe { std::mem::zeroed() };
    new.sa_sigaction = spoil as *const () as libc::sighandler_t;
    // Not `SA_RESTART`: the ioctl is to end.
    new.sa_flags = libc::SA_ONSTACK;
    // SAFETY: both are a valid `sigaction`, and the handler is one that takes the signal's number.
    unsafe {
        libc::sigaction(number, std::ptr::null(), &mut old) == 0
            && old.sa_sigaction == libc::SIG_DFL
            && libc::sigaction(number, &new, std::ptr::null_mut()) == 0
    }
}

/// Sends a signal to a thread of this process, which is alive.
fn send(thread: libc::pid_t, signal: libc::c_int) {
    for _ in 0..TRIES {
        // SAFETY: the call takes three numbers and has no conditions.
        let sent = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, signal) };
        match Errno::result(sent) {
            Ok(_) => return,
            // The user has too many signals under way.
            Err(Errno::EAGAIN) => std::thread::sleep(PAUSE),
            Err(error) => return tracing::warn!(%error, "Call cannot be cancelled"),
        }
    }
    tracing::warn!("Call cannot be cancelled: no room for a signal");
}

/// Lets a signal come to this thread, even if it blocks it otherwise, until this is dropped.
struct Admitted {
    signal: libc::sigset_t,
    was_blocked: bool,
}

impl Admitted {
    fn new(number: libc::c_int) -> Self {
        let signal = only(number);
        let before = mask(libc::SIG_UNBLOCK, &signal);
        // SAFETY: the set is one that the system filled.
        let was_blocked = unsafe { libc::sigismember(&before, number) } == 1;
        Self { signal, was_blocked }
    }

    /// When this returns, the signal has come if it was sent before: signals are delivered at the latest
    /// when a system call returns.
    fn settle(&self) {
        mask(libc::SIG_UNBLOCK, &self.signal);
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.was_blocked {
            mask(libc::SIG_BLOCK, &self.signal);
        }
    }
}

/// The set of one signal.
fn only(number: libc::c_int) -> libc::sigset_t {
    // SAFETY: a set of signals is integers, and is emptied before anything else is done to it.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, number);
        set
    }
}

/// Changes which signals this thread blocks, and returns those that it did.
fn mask(how: libc::c_int, set: &libc::sigset_t) -> libc::sigset_t {
    // SAFETY: both sets are valid; the call fails for no `how` that is used here.
    unsafe {
        let mut before = std::mem::zeroed();
        libc::pthread_sigmask(how, set, &mut before);
        before
    }
}

#[cfg(test)]
mod tests {
    use std::io::PipeReader;
    use std::os::fd::AsRawFd;
    use std::sync::mpsc;
    use std::thread;

    use zerocopy::IntoBytes;

    use super::super::header;
    use super::*;

    /// Does what the kernel does with an ioctl that waits: it looks at the version, and then waits until
    /// the pipe is closed or a signal comes. Between the two no signal is lost.
    fn wait(buffer: NonNull<[u8]>, pipe: &PipeReader) -> Result<(), Errno> {
        let before = mask(libc::SIG_SETMASK, &every());
        // SAFETY: the header is the caller's to lend; a set that is emptied first, and one pollfd of a
        // pipe that is open.
        let outcome = unsafe {
            if buffer.as_ptr().cast::<u8>().add(VERSION).read_volatile() == 0 {
                Err(Errno::EINVAL)
            } else {
                let mut none = std::mem::zeroed();
                libc::sigemptyset(&mut none);
                let mut pollfd = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
                Errno::result(libc::ppoll(&mut pollfd, 1, std::ptr::null(), &none)).map(drop)
            }
        };
        mask(libc::SIG_SETMASK, &before);
        outcome
    }

    fn every() -> libc::sigset_t {
        // SAFETY: a set that is filled first.
        unsafe {
            let mut every = std::mem::zeroed();
            libc::sigfillset(&mut every);
            every
        }
    }

    fn call(cancel: &Canceller, ioctl: impl FnOnce(NonNull<[u8]>) -> Result<(), Errno>) -> Result<(), Fault> {
        let mut header = header::header(40, 40);
        interruptible(cancel, NonNull::from(header.as_mut_bytes()), ioctl)
    }

    const CANCELLED: Result<(), Fault> = Err(Fault::Answered(Status::CANCELLED));

    #[test]
    fn a_call_is_ended_by_another_thread_while_it_waits_and_others_are_not() {
        let (pipe, end) = std::io::pipe().expect("a pipe");
        let [first, second] = [(); 2].map(|()| Canceller::new());
        let (entered, entries) = mpsc::channel();
        let enter = |cancel: Canceller, entered: mpsc::Sender<()>| {
            let pipe = pipe.try_clone().expect("a pipe");
            thread::spawn(move || {
                call(&cancel, |buffer| {
                    entered.send(()).expect("somebody listens");
                    wait(buffer, &pipe)
                })
            })
        };
        let threads = [enter(first.clone(), entered.clone()), enter(second, entered)];
        entries.iter().take(2).for_each(drop);
        let [cancelled, other] = threads;

        first.cancel();
        assert_eq!(cancelled.join().expect("no panic"), CANCELLED);

        drop(end);
        assert_eq!(other.join().expect("no panic"), Ok(()));
    }

    #[test]
    fn a_call_that_is_cancelled_before_it_is_in_the_kernel_is_not_made() {
        let (pipe, _end) = std::io::pipe().expect("a pipe");
        let cancel = Canceller::new();

        let outcome = call(&cancel, |buffer| {
            let elsewhere = cancel.clone();
            thread::spawn(move || elsewhere.cancel()).join().expect("no panic");
            let outcome = wait(buffer, &pipe);
            assert_eq!(outcome, Err(Errno::EINVAL));
            outcome
        });
        assert_eq!(outcome, CANCELLED);

        assert_eq!(call(&cancel, |_| panic!("it was cancelled before")), CANCELLED);
    }

    #[test]
    fn a_call_that_has_ended_keeps_its_outcome_and_leaves_no_signal_behind() {
        let cancel = Canceller::new();
        let number = signal().expect("a signal is free");

        let outcome = call(&cancel, |_| {
            // So that the signal comes when the ioctl is over.
            mask(libc::SIG_BLOCK, &only(number));
            cancel.cancel();
            Ok(())
        });

        assert_eq!(outcome, Ok(()));
        // SAFETY: the set is the system's to fill.
        let pending = unsafe {
            let mut pending = std::mem::zeroed();
            libc::sigpending(&mut pending);
            libc::sigismember(&pending, number)
        };
        assert_eq!(pending, 0);
    }

    #[test]
    fn a_thread_that_blocks_every_signal_is_reached_and_blocks_them_afterwards() {
        let (pipe, _end) = std::io::pipe().expect("a pipe");
        let number = signal().expect("a signal is free");
        let cancel = Canceller::new();
        let (entered, entries) = mpsc::channel();
        let caller = thread::spawn({
            let cancel = cancel.clone();
            move || {
                let all = every();
                mask(libc::SIG_SETMASK, &all);
                let outcome = call(&cancel, |buffer| {
                    entered.send(()).expect("somebody listens");
                    wait(buffer, &pipe)
                });
                // SAFETY: the set is one that the system filled.
                let blocked = unsafe { libc::sigismember(&mask(libc::SIG_BLOCK, &all), number) };
                (outcome, blocked)
            }
        });
        entries.recv().expect("it is made");

        cancel.cancel();

        assert_eq!(caller.join().expect("no panic"), (CANCELLED, 1));
    }

    #[test]
    fn a_cancellation_is_never_lost_whenever_it_comes() {
        let (pipe, _end) = std::io::pipe().expect("a pipe");
        let (cancellers, cancelled) = mpsc::channel::<Canceller>();
        let canceller = thread::spawn(move || cancelled.iter().for_each(|cancel| cancel.cancel()));
        for _ in 0..2000 {
            let cancel = Canceller::new();
            cancellers.send(cancel.clone()).expect("it cancels");
            assert_eq!(call(&cancel, |buffer| wait(buffer, &pipe)), CANCELLED);
        }
        drop(cancellers);
        canceller.join().expect("no panic");
    }

    #[test]
    fn a_signal_that_has_a_handler_is_not_taken() {
        let number = signal().expect("a signal is free");
        assert!((libc::SIGRTMIN()..=libc::SIGRTMAX()).contains(&number));
        assert!(!install(number));
    }
}

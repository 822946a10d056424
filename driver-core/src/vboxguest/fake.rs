//! A kernel's driver that is none: it holds each ioctl against the documented table of numbers and
//! sizes, writes down what was asked, and answers what the test wants.

use std::collections::BTreeMap;
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;

use super::node::{Node, Nodes};

/// Number, size in, size out: the table of the ioctls of fixed size.
const TABLE: [(u32, u32, u32); 8] = [
    (0xC02C_5600, 40, 44),
    (0xC09C_5604, 156, 28),
    (0xC01C_5605, 28, 24),
    (0xC020_560A, 32, 28),
    (0xC018_560B, 24, 24),
    (0xC020_560C, 32, 24),
    (0xC024_560D, 36, 24),
    (0xC020_560E, 32, 32),
];

pub(super) const VERSION: u32 = 0xC02C_5600;
pub(super) const CONNECT: u32 = 0xC09C_5604;
pub(super) const WAIT: u32 = 0xC020_560A;
pub(super) const INTERRUPT: u32 = 0xC018_560B;
pub(super) const FILTER: u32 = 0xC020_560C;
pub(super) const ACQUIRE: u32 = 0xC024_560D;
pub(super) const SET: u32 = 0xC020_560E;

/// What happened, in order; sessions are numbered from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Opened(u32),
    Ioctl(u32, u32, Vec<u32>),
    Closed(u32),
}

/// What a test answers an ioctl with: it may change the buffer.
pub(super) type Answer = dyn Fn(&mut [u8]) -> Result<(), Errno> + Send + Sync;

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    steps: Vec<Step>,
    sessions: u32,
    cancelled: Vec<u32>,
    answers: BTreeMap<u32, Arc<Answer>>,
    refuse_to_open: Option<Errno>,
    /// Waits that are blocked.
    blocked: usize,
}

impl Fake {
    /// Answers an ioctl by `answer` from now on.
    pub(super) fn answer(
        &self,
        number: u32,
        answer: impl Fn(&mut [u8]) -> Result<(), Errno> + Send + Sync + 'static,
    ) {
        self.lock().answers.insert(number, Arc::new(answer));
    }

    /// Answers an ioctl as if nothing had been said about it.
    pub(super) fn forget(&self, number: u32) {
        self.lock().answers.remove(&number);
    }

    pub(super) fn refuse_to_open(&self, errno: Option<Errno>) {
        self.lock().refuse_to_open = errno;
    }

    /// What happened since the last look.
    pub(super) fn steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.lock().steps)
    }

    /// Returns once a wait is blocked in the driver.
    pub(super) fn until_blocked(&self) {
        let mut state = self.lock();
        while state.blocked == 0 {
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Nodes for Fake {
    fn open(&self) -> io::Result<Arc<dyn Node>> {
        let mut state = self.lock();
        if let Some(errno) = state.refuse_to_open {
            return Err(errno.into());
        }
        state.sessions += 1;
        let session = state.sessions;
        state.steps.push(Step::Opened(session));
        Ok(Arc::new(Session { fake: self.clone(), session }))
    }
}

struct Session {
    fake: Fake,
    session: u32,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.fake.lock().steps.push(Step::Closed(self.session));
    }
}

impl Node for Session {
    // SAFETY: what follows an address is the test's own answer.
    unsafe fn ioctl(&self, number: u32, buffer: NonNull<[u8]>) -> Result<(), Errno> {
        // SAFETY: the buffer is the caller's to lend.
        let buffer = unsafe { &mut *buffer.as_ptr() };
        let (size_in, size_out) = (word(buffer, 0), word(buffer, 16));
        hold_against_the_table(number, buffer);
        let words = (24..size_in as usize / 4 * 4).step_by(4).map(|offset| word(buffer, offset)).collect();
        let mut state = self.fake.lock();
        state.steps.push(Step::Ioctl(self.session, number, words));
        self.fake.0.changed.notify_all();
        // The driver presets the status to success, whatever it found there.
        let before = buffer.to_vec();
        put(buffer, 12, 0);
        let outcome = match (state.answers.get(&number).cloned(), number) {
            (Some(answer), _) => {
                drop(state);
                answer(buffer)
            }
            (None, VERSION) => {
                [0x1_0000, 0x1_0000, 127_566, 0, 0]
                    .iter()
                    .zip((24..).step_by(4))
                    .for_each(|(value, at)| put(buffer, at, *value));
                Ok(())
            }
            (None, INTERRUPT) => {
                state.cancelled.push(self.session);
                Ok(())
            }
            (None, WAIT) if word(buffer, 24) == u32::MAX => {
                state.blocked += 1;
                while !state.cancelled.contains(&self.session) {
                    state = self.fake.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                state.blocked -= 1;
                Err(Errno::EINTR)
            }
            (None, WAIT) => Err(Errno::ETIMEDOUT),
            _ => Ok(()),
        };
        if outcome.is_err() {
            buffer.copy_from_slice(&before);
        }
        assert_eq!((size_in, size_out), (word(&before, 0), word(&before, 16)));
        outcome
    }
}

fn hold_against_the_table(number: u32, buffer: &[u8]) {
    let (size_in, size_out) = (word(buffer, 0), word(buffer, 16));
    assert_eq!(word(buffer, 4), 0x0001_0001, "header version");
    assert_eq!(word(buffer, 20), 0, "reserved");
    assert_eq!(buffer.len() as u32, size_in.max(size_out), "room");
    if let Some(fixed) = TABLE.iter().find(|(fixed, ..)| *fixed == number) {
        assert_eq!((size_in, size_out), (fixed.1, fixed.2), "sizes of {number:#x}");
        assert_eq!(word(buffer, 8), 0, "type");
        return;
    }
    assert_eq!(size_in, size_out, "sizes of {number:#x}");
    match number & 0xffff {
        0x5602 => assert_eq!(number, 0xC000_0000 | size_in << 16 | 0x5602),
        0x5603 => assert_eq!(number, 0x5603),
        0x5607 => assert_eq!(number, 0xC000_0000 | size_in << 16 | 0x5607),
        _ => panic!("ioctl {number:#x} is not in the table"),
    }
    assert_eq!(word(buffer, 8) == 0, number & 0xffff == 0x5607, "only requests have a type");
}

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

pub(super) fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

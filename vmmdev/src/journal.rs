//! What the guest asked and what it was told, for as long as it fits.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use driver_core::wire::{RequestType, Status};
use serde::{Serialize, Serializer};

/// How many requests are remembered. Older ones are forgotten.
const CAPACITY: usize = 1024;

/// A request that the device saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// Its number, counted from 0 and without gaps.
    pub number: u64,
    /// When it was answered, since the device was made; seconds where it is written down.
    #[serde(serialize_with = "seconds")]
    pub at: Duration,
    /// Which request; 0 when there was no header to be read. A number where it is written down.
    #[serde(rename = "request", serialize_with = "request_number")]
    pub request_type: RequestType,
    /// Its size in bytes, as its header had it.
    pub size: u32,
    /// What the guest was told; `None` when it was ignored without an answer. A number where it is
    /// written down.
    #[serde(serialize_with = "status_number")]
    pub status: Option<Status>,
}

fn seconds<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

fn request_number<S: Serializer>(kind: &RequestType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(kind.0)
}

fn status_number<S: Serializer>(status: &Option<Status>, serializer: S) -> Result<S::Ok, S::Error> {
    status.map(|status| status.0).serialize(serializer)
}

/// A ring of [`Seen`].
#[derive(Debug)]
pub(crate) struct Journal {
    began: Instant,
    next: u64,
    entries: VecDeque<Seen>,
}

impl Journal {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), next: 0, entries: VecDeque::with_capacity(CAPACITY) }
    }

    /// The number that the next request will have.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    pub(crate) fn add(&mut self, request_type: RequestType, size: u32, status: Option<Status>) {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        let (number, at) = (self.next, self.began.elapsed());
        self.entries.push_back(Seen { number, at, request_type, size, status });
        self.next += 1;
    }

    /// What is remembered from a number on.
    pub(crate) fn since(&self, number: u64) -> impl Iterator<Item = &Seen> {
        let first = self.next - self.entries.len() as u64;
        self.entries.iter().skip(usize::try_from(number.saturating_sub(first)).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal_of(requests: u32) -> Journal {
        let mut journal = Journal::new();
        for size in 0..requests {
            journal.add(RequestType::GET_SESSION_ID, size, None);
        }
        journal
    }

    #[test]
    fn the_oldest_requests_are_forgotten_and_numbers_go_on() {
        let journal = journal_of(1030);

        let remembered: Vec<u64> = journal.since(0).map(|seen| seen.number).collect();

        assert_eq!(remembered.len(), 1024);
        assert_eq!((remembered[0], remembered[1023]), (6, 1029));
        assert_eq!(journal.next(), 1030);
    }

    #[test]
    fn reading_from_a_number_begins_there() {
        let journal = journal_of(10);

        assert_eq!(journal.since(7).map(|seen| seen.size).collect::<Vec<_>>(), [7, 8, 9]);
        assert_eq!(journal.since(10).count(), 0);
        assert_eq!(journal.since(u64::MAX).count(), 0);
    }
}

//! A token bucket: so much a second, and no more than a second's worth at once.

use std::time::{Duration, Instant};

/// How long an empty bucket takes to fill, whatever its rate.
const FILLS_IN: Duration = Duration::from_secs(1);

/// What is done at once takes so many tokens, or fewer.
const AT_ONCE: u64 = 8;

/// A bucket, and how much it refused since that was last told.
///
/// It keeps the one moment at which it will be full: tokens that are taken put it off.
#[derive(Debug)]
pub struct Bucket {
    /// Tokens a second, and in a full bucket.
    rate: u64,
    full_at: Instant,
    refused: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: u64) -> Self {
        Self { rate, full_at: Instant::now(), refused: 0 }
    }

    /// Has another rate from now on. What was refused is not forgotten.
    pub fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
    }

    /// Takes tokens, or counts a refusal when there are not so many. What a full bucket does not hold
    /// takes all of it.
    #[must_use]
    pub fn take(&mut self, tokens: u64, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.time_for(tokens.min(self.rate));
        let taken = self.rate > 0 && full_at.duration_since(now) <= FILLS_IN;
        if taken {
            self.full_at = full_at;
        } else {
            self.refused += 1;
        }
        taken
    }

    /// When there will be a tenth of a full bucket, and a few tokens at the least, so that what has
    /// begun is not refused half-way: at once for a bucket that never has any.
    #[must_use]
    pub fn usable_at(&self) -> Instant {
        let spare = self.time_for(AT_ONCE).max(FILLS_IN / 10).min(FILLS_IN);
        self.full_at.checked_sub(FILLS_IN - spare).unwrap_or(self.full_at)
    }

    /// When [`settle`](Self::settle) will have something to tell, if ever.
    #[must_use]
    pub fn settles_at(&self) -> Option<Instant> {
        (self.refused > 0).then_some(self.full_at)
    }

    /// How often it refused since the last answer, told once it is full again.
    #[must_use]
    pub fn settle(&mut self, now: Instant) -> Option<u64> {
        (self.refused > 0 && self.full_at <= now).then(|| std::mem::take(&mut self.refused))
    }

    /// How long it takes until so many tokens are there, at most [`FILLS_IN`].
    fn time_for(&self, tokens: u64) -> Duration {
        let nanos = FILLS_IN.as_nanos() * u128::from(tokens.min(self.rate)) / u128::from(self.rate.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn taken(bucket: &mut Bucket, times: u32, now: Instant) -> usize {
        (0..times).filter(|_| bucket.take(1, now)).count()
    }

    #[test]
    fn a_second_s_worth_can_be_taken_at_once_and_then_as_it_comes() {
        for rate in [1, 3, 7, 1000] {
            let mut bucket = Bucket::new(rate);
            let now = Instant::now();

            assert_eq!(taken(&mut bucket, 1001, now), rate as usize);
            assert_eq!(taken(&mut bucket, 1001, now + FILLS_IN / 2), rate as usize / 2);
            assert_eq!(taken(&mut bucket, 1001, now + 3 * FILLS_IN), rate as usize);
        }
    }

    #[test]
    fn what_is_larger_than_the_bucket_takes_all_of_it() {
        let mut bucket = Bucket::new(10);
        let now = Instant::now();

        assert!(bucket.take(1_000_000, now));
        assert!(!bucket.take(1, now));
    }

    #[test]
    fn a_bucket_without_a_rate_gives_nothing_and_keeps_nobody_waiting() {
        let mut bucket = Bucket::new(0);
        let now = Instant::now();

        assert!(!bucket.take(0, now));
        assert!(bucket.usable_at() <= now);
    }

    #[test]
    fn what_was_refused_is_told_once_when_it_is_full_again() {
        let mut bucket = Bucket::new(10);
        let now = Instant::now();
        assert_eq!(taken(&mut bucket, 15, now), 10);

        let settles_at = bucket.settles_at().expect("something was refused");
        assert_eq!(bucket.settle(settles_at - MILLI), None);
        assert_eq!(bucket.settle(settles_at), Some(5));
        assert_eq!(bucket.settle(settles_at), None);
        assert_eq!(bucket.settles_at(), None);
    }

    #[test]
    fn an_empty_bucket_is_usable_when_it_has_a_tenth_and_enough_for_a_call() {
        for (rate, after) in [(1000, FILLS_IN / 10), (10, FILLS_IN * 8 / 10), (2, FILLS_IN), (1, FILLS_IN)] {
            let mut bucket = Bucket::new(rate);
            let now = Instant::now();
            taken(&mut bucket, 1001, now);

            let usable = bucket.usable_at();

            assert!(usable <= now + after && usable + MILLI > now + after, "{rate}");
            assert!(bucket.take(1, usable), "{rate}");
        }
    }
}

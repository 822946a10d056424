//! How fast the host is listened to.
//!
//! A wait that returns at once, again and again, would make the guest spin: some hosts keep returning a
//! message that they do not give away, and two machines that copy from each other never end. A burst
//! goes through as it comes; who does not stop then is heard more and more seldom.

use std::time::Duration;

/// The first pause, and the longest.
const SHORTEST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// How fast the host is listened to.
#[derive(Debug)]
pub struct Pace {
    /// How many go through at once.
    burst: u32,
    /// How long it takes until one more does.
    refill: Duration,
    credit: u32,
    /// Since when credit has grown.
    since: Duration,
    next: Duration,
}

impl Pace {
    /// For messages: as many as a host keeps for a guest that does not listen, which is 4096.
    pub fn of_messages() -> Self {
        Self::new(4096, Duration::from_millis(50))
    }

    /// For whatever else ends a wait.
    pub fn of_trouble() -> Self {
        Self::new(40, Duration::from_millis(500))
    }

    fn new(burst: u32, refill: Duration) -> Self {
        Pace { burst, refill, credit: burst, since: Duration::ZERO, next: SHORTEST }
    }

    /// How long to wait before listening once more.
    pub fn pause(&mut self, now: Duration) -> Duration {
        let grown = now.saturating_sub(self.since).as_nanos() / self.refill.as_nanos().max(1);
        let grown = u32::try_from(grown).unwrap_or(u32::MAX).min(self.burst);
        self.credit = (self.credit + grown).min(self.burst);
        self.since = if self.credit == self.burst { now } else { self.since + self.refill * grown };
        if let Some(left) = self.credit.checked_sub(1) {
            self.credit = left;
            // A short lull does not end an episode.
            if left > self.burst / 2 {
                self.next = SHORTEST;
            }
            return Duration::ZERO;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        // Nothing is gained by the pause itself.
        self.since = now + pause;
        pause
    }

    /// Whether the pause that was just made begins an episode.
    pub fn is_first(&self) -> bool {
        self.next == SHORTEST * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_through_and_then_pauses_grow() {
        let mut pace = Pace::of_trouble();
        let mut now = Duration::from_secs(100);
        for _ in 0..40 {
            assert_eq!(pace.pause(now), Duration::ZERO);
        }
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let pause = pace.pause(now);
            now += pause;
            pauses.push(pause.as_millis());
        }
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    }

    #[test]
    fn who_was_quiet_for_long_may_send_a_burst_again() {
        let mut pace = Pace::of_trouble();
        let mut now = Duration::ZERO;
        for _ in 0..45 {
            now += pace.pause(now);
        }
        now += Duration::from_secs(20);
        for _ in 0..40 {
            assert_eq!(pace.pause(now), Duration::ZERO);
        }
        assert_eq!(pace.pause(now), SHORTEST);
        assert!(pace.is_first());
    }

    #[test]
    fn all_messages_that_a_host_can_keep_go_through_at_once() {
        let mut pace = Pace::of_messages();
        for _ in 0..4096 {
            assert_eq!(pace.pause(Duration::ZERO), Duration::ZERO);
        }
        assert_eq!(pace.pause(Duration::ZERO), SHORTEST);
    }

    #[test]
    fn one_message_a_second_is_never_slowed_down() {
        let mut pace = Pace::of_trouble();
        for second in 0..1000 {
            assert_eq!(pace.pause(Duration::from_secs(second)), Duration::ZERO);
        }
    }
}

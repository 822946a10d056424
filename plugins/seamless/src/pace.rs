//! When to report. Nothing here asks or acts.
//!
//! The first change after a quiet time is reported at once. While reports follow each other, changes
//! wait for a timer, all of them for the same one, and what it finds is the last state. So the host is
//! told of every state that lasts, and not of more states a second than was configured. Where nothing
//! changes, no timer is set.

use std::time::Duration;

use bellhop_plugin::Token;

/// What to do about a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Report now.
    Report,
    /// Set a timer for after this time.
    Wait(Duration),
    /// Nothing: a timer that is set already takes care of it.
    Nothing,
}

/// How far the reports have come. All times are nanoseconds of one clock that never goes back.
#[derive(Debug)]
pub struct Pace {
    /// The least time from one report to the next.
    interval: u64,
    /// When the next report may be made.
    next: u64,
    /// The timer that is set.
    timer: Option<Token>,
}

impl Pace {
    /// At most so many reports a second; none was made yet. A rate of 0 is taken for 1.
    pub fn new(rate: u32) -> Self {
        Pace { interval: 1_000_000_000_u64.div_ceil(u64::from(rate.max(1))), next: 0, timer: None }
    }

    /// Something may have changed.
    pub fn changed(&self, now: u64) -> Step {
        match self.next.saturating_sub(now) {
            // Also when it is late: otherwise it would come after the report, and to nothing.
            _ if self.timer.is_some() => Step::Nothing,
            0 => Step::Report,
            left => Step::Wait(Duration::from_nanos(left)),
        }
    }

    /// The timer of [`Step::Wait`] was set.
    pub fn armed(&mut self, timer: Token) {
        self.timer = Some(timer);
    }

    /// The time of a timer has come. Whether it was ours, so that there is a change to be dealt with.
    pub fn fired(&mut self, timer: Token) -> bool {
        self.timer.take_if(|ours| *ours == timer).is_some()
    }

    /// A report was made.
    pub fn reported(&mut self, now: u64) {
        self.next = now.saturating_add(self.interval);
    }

    /// The timer that is set, to be taken back at the end.
    pub fn timer(&self) -> Option<Token> {
        self.timer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_first_change_after_a_quiet_time_is_reported_at_once() {
        let mut pace = Pace::new(100);
        assert_eq!(pace.changed(0), Step::Report);
        pace.reported(0);

        assert_eq!(pace.changed(10 * MS), Step::Report);
    }

    #[test]
    fn changes_that_come_too_early_wait_for_one_timer_together() {
        let mut pace = Pace::new(100);
        pace.reported(5 * MS);

        assert_eq!(pace.changed(7 * MS), Step::Wait(Duration::from_millis(8)));
        pace.armed(4);
        assert_eq!(pace.changed(8 * MS), Step::Nothing);
        assert_eq!(pace.changed(16 * MS), Step::Nothing);

        assert!(pace.fired(4));
        assert_eq!(pace.changed(16 * MS), Step::Report);
    }

    #[test]
    fn a_timer_that_could_not_be_set_is_asked_for_again() {
        let mut pace = Pace::new(100);
        pace.reported(0);

        assert_eq!(pace.changed(MS), Step::Wait(Duration::from_millis(9)));
        assert_eq!(pace.changed(MS), Step::Wait(Duration::from_millis(9)));
    }

    #[test]
    fn only_the_timer_that_is_set_counts_and_it_counts_once() {
        let mut pace = Pace::new(100);
        assert!(!pace.fired(4));
        pace.armed(4);
        assert!(!pace.fired(3));
        assert_eq!(pace.timer(), Some(4));

        assert!(pace.fired(4));
        assert!(!pace.fired(4));
        assert_eq!(pace.timer(), None);
    }

    #[test]
    fn a_change_that_comes_to_nothing_takes_no_report_from_those_after_it() {
        let pace = Pace::new(1);
        assert_eq!(pace.changed(0), Step::Report);
        assert_eq!(pace.changed(1), Step::Report);
    }

    #[test]
    fn the_end_of_time_and_an_absurd_rate_overflow_nothing() {
        let mut pace = Pace::new(0);
        pace.reported(u64::MAX);
        assert_eq!(pace.changed(0), Step::Wait(Duration::from_nanos(u64::MAX)));
        assert_eq!(Pace::new(u32::MAX).changed(u64::MAX), Step::Report);
    }

    /// A plugin's run through changes at the given times, each a new state: when which state was
    /// reported, and how many timers were set.
    fn run(rate: u32, changes: &[u64]) -> (Vec<(u64, usize)>, usize) {
        let mut pace = Pace::new(rate);
        let mut reports = Vec::new();
        let mut timers = Vec::new();
        let mut changes = changes.iter().copied().enumerate().peekable();
        let mut state = 0;
        loop {
            let due = pace.timer().and_then(|timer| timers.get(timer as usize).copied());
            let change = changes.next_if(|(_, change)| due.is_none_or(|due| *change < due));
            let now = match (change, due) {
                (Some((number, now)), _) => {
                    state = number;
                    now
                }
                (None, Some(due)) => {
                    assert!(pace.fired(pace.timer().unwrap()));
                    due
                }
                (None, None) => return (reports, timers.len()),
            };
            match pace.changed(now) {
                Step::Report => {
                    reports.push((now, state));
                    pace.reported(now);
                }
                Step::Wait(left) => {
                    timers.push(now + left.as_nanos() as u64);
                    pace.armed(timers.len() as u64 - 1);
                }
                Step::Nothing => {}
            }
        }
    }

    #[test]
    fn reports_keep_their_distance_and_the_last_state_is_always_told() {
        for rate in [1, 30, 60, 144, 1000] {
            let interval = 1_000_000_000 / u64::from(rate);
            // Storms, with pauses of every length between them.
            let mut now = 0;
            let changes: Vec<u64> = (0..5000_u64)
                .map(|n| {
                    now += if n % 50 == 0 { n * interval / 1000 } else { (n * 7919) % (interval / 5) };
                    now
                })
                .collect();

            let (reports, timers) = run(rate, &changes);

            let apart = reports.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap();
            assert!(apart >= interval, "{apart} {interval}");
            assert_eq!(reports.last().unwrap().1, changes.len() - 1);
            assert!(reports.is_sorted_by_key(|(_, state)| *state));
            assert!(timers < reports.len(), "{timers} for {}", reports.len());
            let latest = reports.iter().map(|(at, state)| at - changes[*state]).max().unwrap();
            assert!(latest <= interval + 1, "{latest} {interval}");
        }
    }

    #[test]
    fn without_changes_there_are_neither_reports_nor_timers() {
        assert_eq!(run(60, &[]), (vec![], 0));
        assert_eq!(run(60, &[MS]), (vec![(MS, 0)], 0));
    }
}

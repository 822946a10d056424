//! What becomes of a plugin's faults: pauses, events that are masked, and in the end quarantine.

use std::time::{Duration, Instant};

use driver_core::wire::Events;

/// The pause before an instance is rebuilt, doubled with each fault in a row.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// So many faults in a row, and a plugin is quarantined.
pub(crate) const MOST: u32 = 5;

/// This long without a fault, and earlier ones are forgotten.
const HEALTHY: Duration = Duration::from_secs(60);

/// The faults of a plugin since it was last healthy, and what they led to.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) in_a_row: u32,
    last: Option<Instant>,
    /// Events that a fault happened on. From then on each comes alone, so that the next fault tells
    /// which of them it is.
    suspects: Events,
    /// Events that it faulted on twice: it is not called for them.
    pub(crate) masked: Events,
    /// Those of them that came.
    pub(crate) missed: Events,
    /// Events that were masked, and given back once. They are not given back again.
    given_back: Events,
}

/// What is to follow a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sequel {
    /// It is rebuilt after a pause. These events are masked from now on.
    Rebuild { pause: Duration, masked: Events },
    /// It is left off.
    Quarantine,
}

impl Faults {
    /// Records a fault on `events`.
    pub(crate) fn record(&mut self, events: Events, now: Instant) -> Sequel {
        self.last = Some(now);
        self.in_a_row += 1;
        let masked = self.suspects & events;
        self.masked |= masked;
        self.suspects |= events;
        if self.in_a_row < MOST {
            Sequel::Rebuild { pause: FIRST_PAUSE * 2_u32.pow(self.in_a_row - 1), masked }
        } else {
            Sequel::Quarantine
        }
    }

    /// Divides events into those to call the plugin for now, and those to call it for next. Masked ones
    /// are neither.
    pub(crate) fn divide(&mut self, events: Events) -> (Events, Events) {
        self.missed |= events & self.masked;
        let events = events - self.masked;
        match (events & self.suspects).iter().next() {
            Some(suspect) => (suspect, events - suspect),
            None => (events, Events::empty()),
        }
    }

    /// When earlier faults will be forgotten, if there were any.
    pub(crate) fn healthy_at(&self) -> Option<Instant> {
        self.last.map(|last| last + HEALTHY)
    }

    /// Forgets earlier faults, and gives masked events back unless they were before: those, and those of
    /// them that came meanwhile.
    pub(crate) fn forget(&mut self) -> (Events, Events) {
        let back = self.masked - self.given_back;
        let missed = self.missed & back;
        *self = Self {
            masked: self.masked - back,
            missed: self.missed - back,
            given_back: self.given_back | back,
            ..Self::default()
        };
        (back, missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Events = Events::DISPLAY_CHANGE.union(Events::RESTORED);
    const NONE: Events = Events::empty();

    fn rebuild(millis: u64, masked: Events) -> Sequel {
        Sequel::Rebuild { pause: Duration::from_millis(millis), masked }
    }

    #[test]
    fn an_event_that_stops_a_plugin_twice_is_masked() {
        let (mut faults, now) = (Faults::default(), Instant::now());

        assert_eq!(faults.record(Events::DISPLAY_CHANGE, now), rebuild(100, NONE));
        assert_eq!(faults.record(Events::RESTORED, now), rebuild(200, NONE));
        assert_eq!(faults.record(Events::DISPLAY_CHANGE, now), rebuild(400, Events::DISPLAY_CHANGE));

        assert_eq!(faults.divide(BOTH - Events::RESTORED), (NONE, NONE));
    }

    #[test]
    fn of_events_that_came_together_only_the_one_that_harms_is_masked() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        assert_eq!(faults.divide(BOTH), (BOTH, NONE));
        faults.record(BOTH, now);

        assert_eq!(faults.divide(BOTH), (Events::DISPLAY_CHANGE, Events::RESTORED));
        faults.record(Events::DISPLAY_CHANGE, now);

        assert_eq!(faults.masked, Events::DISPLAY_CHANGE);
        assert_eq!(faults.divide(BOTH), (Events::RESTORED, NONE));
    }

    #[test]
    fn the_pause_doubles_until_the_plugin_is_quarantined() {
        let (mut faults, now) = (Faults::default(), Instant::now());

        let sequels: Vec<_> = (0..MOST).map(|_| faults.record(NONE, now)).collect();

        let pauses = [100, 200, 400, 800].map(|millis| rebuild(millis, NONE));
        assert_eq!(sequels[..4], pauses);
        assert_eq!(sequels[4], Sequel::Quarantine);
    }

    #[test]
    fn a_healthy_minute_gives_all_back_and_masked_events_once() {
        let (mut faults, now) = (Faults::default(), Instant::now());
        for _ in 0..2 {
            faults.record(Events::RESTORED, now);
        }
        faults.divide(BOTH);
        assert_eq!(faults.healthy_at(), Some(now + HEALTHY));

        assert_eq!(faults.forget(), (Events::RESTORED, Events::RESTORED));
        assert_eq!(faults.healthy_at(), None);
        assert_eq!(faults.divide(BOTH), (BOTH, NONE));
        for pause in [100, 200] {
            let masked = if pause == 200 { Events::RESTORED } else { NONE };
            assert_eq!(faults.record(Events::RESTORED, now), rebuild(pause, masked));
        }

        assert_eq!(faults.forget(), (NONE, NONE));
        assert_eq!(faults.divide(Events::RESTORED), (NONE, NONE));
    }
}

//! Event bits, the guest's filter, and the interrupt line.

use driver_core::wire::Events;

/// Who wants what, what is pending, and whether the guest has been told.
///
/// An interrupt is raised when no wanted bit was pending and now one is. Bits that nobody wants stay
/// pending, so that a guest which subscribes late still hears of what happened before.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventState {
    pending: u32,
    filter: u32,
    /// A filter that takes effect with the next acknowledgement, because events of the present one
    /// are still on their way.
    latched_filter: Option<u32>,
    /// Bits that reach the guest whatever it wants: a host's fault.
    forced: u32,
    have_events: bool,
    /// The guest has read `fHaveEvents` as 1 and is about to acknowledge.
    noticed: bool,
    /// An interrupt without a reason: a host's fault.
    pulse: bool,
}

impl EventState {
    /// What the guest wants at present.
    pub(crate) fn filter(&self) -> Events {
        Events::from_bits_retain(self.filter)
    }

    /// `fHaveEvents`.
    pub(crate) fn have_events(&self) -> bool {
        self.have_events
    }

    /// Whether the interrupt line is up.
    pub(crate) fn line(&self) -> bool {
        self.have_events || self.pulse
    }

    /// Whether the line is up and the guest has not noticed yet: it needs an interrupt. Between its
    /// look at `fHaveEvents` and its acknowledgement it needs none, and another one would find
    /// nothing to be done.
    pub(crate) fn interrupt_due(&self) -> bool {
        self.line() && !self.noticed
    }

    /// The guest has read `fHaveEvents`.
    pub(crate) fn notice(&mut self) {
        self.noticed = self.have_events;
        // A guest that has looked and found nothing is done with a stray interrupt.
        self.pulse = false;
    }

    /// The guest has forgotten what it read: it came back from a saved state, or its acknowledgement
    /// came to nothing.
    pub(crate) fn forget_notice(&mut self) {
        self.noticed = false;
    }

    /// Sets bits.
    pub(crate) fn raise(&mut self, bits: u32) {
        self.pending |= bits;
        self.ring_if_wanted();
    }

    /// Brings bits to the guest that it may not have asked for. No bit at all is an interrupt whose
    /// acknowledgement comes back empty.
    pub(crate) fn force(&mut self, bits: u32) {
        self.forced |= bits;
        self.ring();
    }

    /// Raises the line although there is nothing.
    pub(crate) fn pulse(&mut self) {
        self.pulse = true;
    }

    /// Takes what is pending and wanted, and lowers the line.
    pub(crate) fn acknowledge(&mut self) -> u32 {
        let taken = self.wanted() | std::mem::take(&mut self.forced);
        self.pending &= !self.filter;
        self.have_events = false;
        self.noticed = false;
        self.pulse = false;
        if let Some(filter) = self.latched_filter.take() {
            self.filter = filter;
            self.ring_if_wanted();
        }
        taken
    }

    /// Changes the filter. The HGCM bit cannot be removed.
    pub(crate) fn change_filter(&mut self, or_mask: u32, not_mask: u32) {
        let not_mask = not_mask & !Events::HGCM.bits();
        let base = self.latched_filter.unwrap_or(self.filter);
        let filter = (base | or_mask) & !not_mask;
        if self.wanted() == 0 {
            self.filter = filter;
            self.ring_if_wanted();
        } else {
            self.latched_filter = Some(filter);
        }
    }

    /// The machine is reset. A display hint survives: the guest has not seen it.
    pub(crate) fn reset(&mut self) {
        *self = Self { pending: self.pending & Events::DISPLAY_CHANGE.bits(), ..Self::default() };
    }

    fn wanted(&self) -> u32 {
        self.pending & self.filter
    }

    fn ring_if_wanted(&mut self) {
        if self.wanted() != 0 {
            self.ring();
        }
    }

    /// Raises the line; while it is up already, further events travel with those before them.
    fn ring(&mut self) {
        if !self.have_events {
            let bits = self.wanted() | self.forced;
            tracing::trace!(
                target: "bellhop::ring",
                step = 2u64,
                bits,
                events = %Events::from_bits_retain(bits),
                "Host raised the interrupt line"
            );
        }
        self.have_events = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanting(filter: u32) -> EventState {
        let mut events = EventState::default();
        events.change_filter(filter, 0);
        events
    }

    #[test]
    fn a_wanted_event_raises_the_line_until_it_is_acknowledged() {
        let mut events = wanting(0x4);

        events.raise(0x4);

        assert!(events.line() && events.have_events());
        assert_eq!(events.acknowledge(), 0x4);
        assert!(!events.line() && !events.have_events());
        assert_eq!(events.acknowledge(), 0);
    }

    #[test]
    fn an_unwanted_event_waits_for_its_subscription() {
        let mut events = wanting(0x20);

        events.raise(0x4);
        assert!(!events.line());

        events.change_filter(0x4, 0);
        assert!(events.line());
        assert_eq!(events.acknowledge(), 0x4);
    }

    #[test]
    fn acknowledging_leaves_unwanted_bits_pending() {
        let mut events = wanting(0x20);
        events.raise(0x24);

        assert_eq!(events.acknowledge(), 0x20);

        events.change_filter(0x4, 0);
        assert_eq!(events.acknowledge(), 0x4);
    }

    #[test]
    fn a_filter_changed_while_events_are_on_their_way_takes_effect_at_the_acknowledgement() {
        let mut events = wanting(0x4);
        events.raise(0x4 | 0x10);

        events.change_filter(0x10, 0x4);
        events.change_filter(0x20, 0);

        assert_eq!(events.filter().bits(), 0x4);
        assert_eq!(events.acknowledge(), 0x4);
        assert_eq!(events.filter().bits(), 0x30);
        assert!(events.line(), "bit 4 was pending and is wanted now");
        assert_eq!(events.acknowledge(), 0x10);
    }

    #[test]
    fn a_bit_both_added_and_removed_is_removed() {
        let mut events = wanting(0x10);
        events.change_filter(0x14, 0x4);
        assert_eq!(events.filter().bits(), 0x10);
    }

    #[test]
    fn hgcm_cannot_be_removed_from_the_filter() {
        let mut events = wanting(0x2 | 0x4);
        events.change_filter(0, 0x7FF);
        assert_eq!(events.filter().bits(), 0x2);
    }

    #[test]
    fn reset_keeps_a_display_change_and_nothing_else() {
        let mut events = wanting(0x7FF);
        events.raise(0x7FF);

        events.reset();

        assert!(!events.line());
        assert_eq!(events.filter().bits(), 0);
        events.change_filter(0x7FF, 0);
        assert_eq!(events.acknowledge(), 0x4);
    }

    #[test]
    fn forced_bits_reach_a_guest_that_wants_nothing() {
        let mut events = EventState::default();
        events.force(0x8000_0800);
        assert!(events.have_events());
        assert_eq!(events.acknowledge(), 0x8000_0800);
        assert!(!events.line());
    }

    #[test]
    fn a_pulse_raises_the_line_without_events() {
        let mut events = EventState::default();
        events.pulse();
        assert!(events.line() && !events.have_events());
        events.notice();
        assert!(!events.line());
    }

    #[test]
    fn no_interrupt_is_due_between_the_guest_s_look_and_its_acknowledgement() {
        let mut events = wanting(0x34);
        events.raise(0x4);
        assert!(events.interrupt_due());

        events.notice();
        events.raise(0x10);
        assert!(events.line() && !events.interrupt_due());

        assert_eq!(events.acknowledge(), 0x14);
        events.raise(0x20);
        assert!(events.interrupt_due());
    }

    #[test]
    fn events_that_follow_an_acknowledgement_at_once_are_due() {
        let mut events = wanting(0x4);
        events.raise(0x4 | 0x10);
        events.change_filter(0x10, 0);
        events.notice();

        events.acknowledge();

        assert!(events.interrupt_due());
    }

    #[test]
    fn a_look_that_finds_nothing_does_not_hold_back_what_comes_later() {
        let mut events = wanting(0x4);
        events.notice();
        events.raise(0x4);
        assert!(events.interrupt_due());
    }
}

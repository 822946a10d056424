//! What the host wants of each display, and what of that the guest has read.

use driver_core::wire::{DisplayDef, DisplayFlags, MAX_DISPLAYS};

#[derive(Debug, Clone, Copy)]
struct Display {
    /// The guest has not read `current` yet.
    pending: bool,
    current: DisplayDef,
    last_read: DisplayDef,
}

/// The displays of the machine.
#[derive(Debug, Clone)]
pub(crate) struct Displays {
    displays: Vec<Display>,
    /// Whether the guest ever acknowledged. Until then, looking shows what is wanted; from then on,
    /// what was read.
    acknowledged: bool,
}

impl Displays {
    pub(crate) fn new() -> Self {
        let displays = (0..MAX_DISPLAYS)
            .map(|id| Display { pending: false, current: disabled(id), last_read: disabled(id) })
            .collect();
        Self { displays, acknowledged: false }
    }

    /// The guest has forgotten what it read.
    pub(crate) fn reset(&mut self) {
        for (id, display) in (0..).zip(&mut self.displays) {
            display.last_read = disabled(id);
        }
        self.acknowledged = false;
    }

    /// Wants something of a display; whether that is news to the guest. What equals the last that
    /// the guest read is none, unless forced. `None` when there is no such display.
    ///
    /// The latest wish counts, also when it is the one that the guest read before the pending one.
    pub(crate) fn want(&mut self, wish: DisplayDef, forced: bool) -> Option<bool> {
        let display = self.displays.get_mut(wish.id.get() as usize)?;
        let news = forced || wish != display.last_read;
        display.current = wish;
        display.pending |= news;
        Some(news)
    }

    /// Request 81 with acknowledgement: reads everything pending, in order of ids. Only what fits
    /// `room` is handed to `take`; all of it counts as read. Returns how many were pending.
    pub(crate) fn take_all(&mut self, room: usize, mut take: impl FnMut(usize, DisplayDef)) -> u32 {
        self.acknowledged = true;
        let mut count = 0;
        for display in self.displays.iter_mut().filter(|display| display.pending) {
            display.pending = false;
            display.last_read = display.current;
            if count < room {
                take(count, display.current);
            }
            count += 1;
        }
        count as u32
    }

    /// Request 81 without acknowledgement: the first displays, whether they are pending or not.
    pub(crate) fn look(&self, room: usize) -> impl Iterator<Item = DisplayDef> {
        self.displays.iter().take(room).map(|display| self.shown(display))
    }

    /// Requests 54 and 80: reads the pending display of the lowest id when `acknowledge`, else looks
    /// at display 0. Also tells whether more are pending.
    pub(crate) fn take_one(&mut self, acknowledge: bool) -> (DisplayDef, bool) {
        let mut index = 0;
        if acknowledge {
            self.acknowledged = true;
            if let Some(lowest) = self.displays.iter().position(|display| display.pending) {
                index = lowest;
            }
            self.mark_read(index);
        }
        let more = acknowledge && self.displays.iter().any(|display| display.pending);
        (self.shown_at(index), more)
    }

    /// Request 51: as [`take_one`](Self::take_one), but knows display 0 alone.
    pub(crate) fn take_first(&mut self, acknowledge: bool) -> DisplayDef {
        if acknowledge {
            self.acknowledged = true;
            self.mark_read(0);
        }
        self.shown_at(0)
    }

    fn mark_read(&mut self, index: usize) {
        if let Some(display) = self.displays.get_mut(index)
            && display.pending
        {
            display.pending = false;
            display.last_read = display.current;
        }
    }

    fn shown_at(&self, index: usize) -> DisplayDef {
        self.displays.get(index).map_or_else(DisplayDef::default, |display| self.shown(display))
    }

    fn shown(&self, display: &Display) -> DisplayDef {
        if self.acknowledged { display.last_read } else { display.current }
    }
}

fn disabled(id: u32) -> DisplayDef {
    DisplayDef { flags: DisplayFlags::DISABLED.bits().into(), id: id.into(), ..DisplayDef::default() }
}

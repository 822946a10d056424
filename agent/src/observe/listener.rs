//! One who listens: lines wait in a ring that is bounded in bytes, and what did not fit is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::Names;
use crate::sync::lock;

/// Whom a listener hears, and what waits for it. A listener that is slow loses what comes next, and
/// nobody waits for it.
pub struct Listener {
    names: Names,
    /// Whether it may see contents.
    pub(super) contents: bool,
    most: usize,
    wake: Box<dyn Fn() + Send + Sync>,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
    lost: u64,
}

/// What a listener took.
pub struct Taken {
    /// Lines without their ends, in their order.
    pub lines: Vec<Arc<str>>,
    /// How many were lost after the last of them.
    pub lost: u64,
}

impl Listener {
    /// A listener to the plugins of these names, or to all and the agent itself. At most `most` bytes wait;
    /// `wake` is called, on the thread that tells, when something waits where nothing did.
    pub fn new(names: Names, contents: bool, most: usize, wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self { names, contents, most, wake: Box::new(wake), ring: Mutex::default() }
    }

    /// Takes lines of up to about `bytes` bytes. What was lost is told only once all before it was taken,
    /// so that it stands where it is missing.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Taken {
        let mut ring = lock(&self.ring);
        let mut taken = Taken { lines: Vec::new(), lost: 0 };
        let mut size = 0;
        while size < bytes
            && let Some(line) = ring.lines.pop_front()
        {
            size += line.len();
            taken.lines.push(line);
        }
        ring.bytes -= size;
        if ring.lines.is_empty() {
            taken.lost = std::mem::take(&mut ring.lost);
        }
        taken
    }

    /// Whether there is something to take.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let ring = lock(&self.ring);
        !ring.lines.is_empty() || ring.lost > 0
    }

    pub(super) fn hears(&self, plugin: &str) -> bool {
        self.names.is_empty() || self.names.contains(plugin)
    }

    pub(super) fn push(&self, line: &Arc<str>) {
        let mut ring = lock(&self.ring);
        // Once something is lost, what comes after it waits too, or it would stand in the wrong place.
        if ring.lost > 0 || ring.bytes + line.len() > self.most {
            ring.lost += 1;
        } else {
            ring.bytes += line.len();
            ring.lines.push_back(line.clone());
        }
        let first = ring.lines.len() as u64 + ring.lost == 1;
        drop(ring);
        if first {
            (self.wake)();
        }
    }
}

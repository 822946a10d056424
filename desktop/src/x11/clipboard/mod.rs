//! The clipboard of an X server: its selections CLIPBOARD and PRIMARY, by the conventions of ICCCM and
//! the events of XFixes.
//!
//! | file | is |
//! |---|---|
//! | `desk` | the client of the event loop: what the others do, brought together and told |
//! | `holder` | who holds a selection, and what it has to offer |
//! | `reads` | reads under way |
//! | `conversion` | asking an owner for one target |
//! | `incoming` | content as it comes in from an owner, in one piece or many |
//! | `offers` | what we own |
//! | `requests` | who asks for what we own, and what they get |
//! | `sends` | content that is sent in parts |
//! | `targets` | what X calls the formats |
//! | `text` | how targets write text |
//! | `names` | atoms |
//! | `window` | windows that nobody sees |

mod conversion;
mod desk;
mod holder;
mod incoming;
mod names;
mod offers;
mod reads;
mod requests;
mod sends;
mod targets;
mod text;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use desk::{Desk, Order};
use reads::Wish;

use super::event_loop::EventLoop;
use crate::Error;
use crate::clipboard::{Clipboard, Clipboards, Listener, ReadId, Selection, WantedId};

/// The clipboard of an X server.
///
/// Each use of it has a connection and a thread of its own, which sleeps while nothing happens.
#[derive(Debug)]
pub struct X11Clipboards {
    display: Option<String>,
}

impl X11Clipboards {
    /// The clipboard of the X server on this display, as `:0`. Nothing is reached yet.
    #[must_use]
    pub fn new(display: Option<&str>) -> Self {
        Self { display: display.map(str::to_owned) }
    }
}

impl Clipboards for X11Clipboards {
    fn describe(&self) -> String {
        match &self.display {
            Some(display) => format!("X server {display}, by XFixes"),
            None => "X server (no DISPLAY)".to_owned(),
        }
    }

    fn open(&self, listener: Box<dyn Listener>) -> Result<Box<dyn Clipboard>, Error> {
        let overrun = Overrun::default();
        let desk = Desk::new(listener, overrun.clone());
        let event_loop = EventLoop::start("x11-clipboard", self.display.as_deref(), desk)?;
        Ok(Box::new(Handle { event_loop, overrun, last_read: AtomicU64::new(0) }))
    }
}

/// Both of them.
const SELECTIONS: [Selection; 2] = [Selection::Clipboard, Selection::Primary];

/// A clipboard in use. All work is done by the loop's thread.
struct Handle {
    event_loop: EventLoop<Order>,
    overrun: Overrun,
    last_read: AtomicU64,
}

impl Handle {
    /// Leaves an order. False when there is no room for it, and it is lost.
    fn order(&self, order: Order) -> bool {
        let left = self.event_loop.order(order);
        if let Err(order) = &left {
            tracing::warn!("Too much is asked of the clipboard at once; an order {} is lost", order.name());
        }
        left.is_ok()
    }
}

impl Clipboard for Handle {
    fn watch(&self, selection: Selection, on: bool) {
        self.order(Order::Watch(selection, on));
    }

    fn read(&self, selection: Selection, format: &str, limit: usize) -> ReadId {
        let id = self.last_read.fetch_add(1, Ordering::Relaxed) + 1;
        let wish = Wish { id, selection, format: format.to_owned(), limit };
        if !self.order(Order::Read(wish)) {
            self.overrun.add(id);
            // If this does not fit either, one of those before it will do the same.
            let _ = self.event_loop.order(Order::Overrun);
        }
        id
    }

    fn offer(&self, selection: Selection, formats: &[String]) {
        self.order(Order::Offer(selection, formats.to_vec()));
    }

    fn withdraw(&self, selection: Selection) {
        self.order(Order::Withdraw(selection));
    }

    fn answer(&self, wanted: WantedId, content: Option<Vec<u8>>) {
        self.order(Order::Answer(wanted, content));
    }
}

/// Reads for which there was no room among the orders, to be told so.
#[derive(Debug, Clone, Default)]
struct Overrun {
    reads: Arc<Mutex<Vec<ReadId>>>,
}

impl Overrun {
    fn add(&self, read: ReadId) {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).push(read);
    }

    fn take(&self) -> Vec<ReadId> {
        std::mem::take(&mut *self.reads.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Something for each selection.
#[derive(Debug, Default)]
struct Both<T> {
    clipboard: T,
    primary: T,
}

impl<T> Both<T> {
    fn each_mut(&mut self) -> [&mut T; 2] {
        [&mut self.clipboard, &mut self.primary]
    }

    fn of(&self, selection: Selection) -> &T {
        match selection {
            Selection::Clipboard => &self.clipboard,
            Selection::Primary => &self.primary,
        }
    }

    fn of_mut(&mut self, selection: Selection) -> &mut T {
        match selection {
            Selection::Clipboard => &mut self.clipboard,
            Selection::Primary => &mut self.primary,
        }
    }
}

//! The windows of an X server.
//!
//! | file | is |
//! |---|---|
//! | `survey` | a server's windows, kept: events followed, and asked where events do not tell |
//! | `model` | what is known of the windows, and the view that follows from it |
//! | `kind` | what a window is for, from its properties |
//! | `ask` | the same question about many windows at once |

mod ask;
mod kind;
mod model;
mod survey;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;

use super::connection::{Failure, Server};
use super::event_loop::{Client, EventLoop};
use crate::{Error, View, Windows};
use survey::Survey;

/// The windows of an X server.
///
/// What is told are the children of the root: frames, where a window manager puts windows into frames,
/// and else the windows themselves. One that its window manager iconified is not told, nor are those of
/// another virtual desktop, which window managers unmap.
///
/// While somebody watches, there is one connection and one thread, however many watch. Without a watch
/// each look takes a connection of its own.
#[derive(Debug)]
pub struct X11Windows {
    display: Option<String>,
    watched: Mutex<Weak<Watched>>,
}

/// A server's windows while they are watched.
struct Watched {
    board: Arc<Board>,
    _events: EventLoop<Infallible>,
}

/// What is seen, and who wants to hear of it.
struct Board {
    view: Mutex<Result<View, Error>>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    numbered: u64,
    changed: HashMap<u64, Changed>,
}

/// What one who watches wants to be called.
type Changed = Box<dyn Fn() + Send + Sync>;

/// Ends one's watch; the last one's ends all.
struct Watch {
    watched: Arc<Watched>,
    number: u64,
}

impl X11Windows {
    /// The windows of the X server on this display, as `:0`. Nothing is reached yet.
    #[must_use]
    pub fn new(display: Option<&str>) -> Self {
        Self { display: display.map(str::to_owned), watched: Mutex::new(Weak::new()) }
    }
}

impl Windows for X11Windows {
    fn describe(&self) -> String {
        match &self.display {
            Some(display) => format!("X server {display}"),
            None => "X server (no DISPLAY)".to_owned(),
        }
    }

    fn look(&self) -> Result<View, Error> {
        let watched = locked(&self.watched).upgrade();
        if let Some(watched) = watched {
            return locked(&watched.board.view).clone();
        }
        let server = Server::connect(self.display.as_deref(), None)?;
        glance(&server).map_err(|failure| failure.told_by(&server))
    }

    fn watch(&self, changed: Changed) -> Result<Box<dyn Send>, Error> {
        // Held until there is a loop, so that two who begin at once do not begin two.
        let mut slot = locked(&self.watched);
        let watched = match slot.upgrade() {
            Some(watched) => watched,
            None => {
                let nothing = Error::Unavailable("The X server was not reached yet".to_owned());
                let board = Arc::new(Board { view: Mutex::new(Err(nothing)), listeners: Mutex::default() });
                let follower = Follower { board: Arc::clone(&board), survey: None };
                let events = EventLoop::start("x11-windows", self.display.as_deref(), follower)?;
                Arc::new(Watched { board, _events: events })
            }
        };
        *slot = Arc::downgrade(&watched);
        let number = watched.board.add(changed);
        Ok(Box::new(Watch { watched, number }))
    }
}

/// One look, as good as the first of a watch.
fn glance(server: &Server) -> Result<View, Failure> {
    let mut survey = Survey::begin(server)?;
    // What changed while it was asked about.
    while let Some(event) = server.x.poll_for_event()? {
        survey.event(&event)?;
    }
    survey.settle(server)?;
    Ok(survey.view())
}

impl Drop for Watch {
    fn drop(&mut self) {
        locked(&self.watched.board.listeners).changed.remove(&self.number);
    }
}

impl Board {
    fn add(&self, changed: Changed) -> u64 {
        let mut listeners = locked(&self.listeners);
        listeners.numbered += 1;
        let number = listeners.numbered;
        listeners.changed.insert(number, changed);
        number
    }

    /// Shows what is seen now, and tells those who watch if it is something else than before.
    fn show(&self, view: Result<View, Error>) {
        let mut seen = locked(&self.view);
        if *seen == view {
            return;
        }
        *seen = view;
        drop(seen);
        locked(&self.listeners).changed.values().for_each(|changed| changed());
    }
}

/// Keeps the board as the server's events want it.
struct Follower {
    board: Arc<Board>,
    /// Of the server that is connected now.
    survey: Option<Survey>,
}

impl Client for Follower {
    type Order = Infallible;

    fn connected(&mut self, server: &Server) -> Result<(), Failure> {
        self.survey = Some(Survey::begin(server)?);
        self.settle(server)
    }

    fn event(&mut self, _: &Server, event: Event) -> Result<(), Failure> {
        self.survey.as_mut().map_or(Ok(()), |survey| survey.event(&event))
    }

    fn order(&mut self, _: Option<&Server>, order: Infallible) -> Result<(), Failure> {
        match order {}
    }

    fn settle(&mut self, server: &Server) -> Result<(), Failure> {
        let Some(survey) = &mut self.survey else { return Ok(()) };
        survey.settle(server)?;
        if survey.take_changed() {
            self.board.show(Ok(survey.view()));
        }
        Ok(())
    }

    fn lost(&mut self, why: &Error) {
        self.survey = None;
        self.board.show(Err(why.clone()));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is kept in them changes by whole assignments.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! A thread that serves one connection to an X server for as long as somebody wants it.
//!
//! It sleeps until the server sends an event, another thread leaves an order, or the deadline comes that
//! its [`Client`] names; without a deadline it sleeps for as long as nothing happens. A round hands on
//! what came in this order: some events, all orders, the deadline, and then the client may act on them
//! together. Events are counted, so that a flood of them keeps nobody waiting.
//!
//! A server that went away is looked for, at a slow pace, until it is back.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;

use super::connection::{Failure, Server};
use crate::Error;

/// How many orders may wait; whoever leaves more is told.
const MOST_ORDERS: usize = 1024;

/// How long to wait before a server that went away is looked for; each time that it is not there, twice
/// as long as before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest of those waits.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What a connection is for. All of it is called by the loop's thread.
///
/// A failure ends the connection, and another is made. A refusal with which the client can live is
/// therefore its own to swallow; one of a request that nobody waits for comes as [`Event::Error`].
pub(super) trait Client: Send + 'static {
    /// What other threads ask of it.
    type Order: Send + 'static;

    /// How many events one round hands on at most; few where each takes long.
    const EVENTS_A_ROUND: usize = 1024;

    /// There is a server, and it knows nothing of what was said to another or on another connection.
    /// The client starts anew, whatever went before.
    fn connected(&mut self, server: &Server) -> Result<(), Failure>;

    /// The server sent an event.
    fn event(&mut self, server: &Server, event: Event) -> Result<(), Failure>;

    /// Another thread left an order; there may be no server now.
    fn order(&mut self, server: Option<&Server>, order: Self::Order) -> Result<(), Failure>;

    /// When to call [`due`](Self::due); asked for in each round.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The deadline has come, which is none any more after this; there may be no server now.
    fn due(&mut self, server: Option<&Server>) -> Result<(), Failure> {
        let _ = server;
        Ok(())
    }

    /// A round is over: what it brought can be acted upon together.
    fn settle(&mut self, server: &Server) -> Result<(), Failure> {
        let _ = server;
        Ok(())
    }

    /// The server went away.
    fn lost(&mut self, why: &Error);
}

/// A running loop. It ends, and its client with it, before a drop of this returns, which takes no longer
/// than the client's call that is under way, whose waits for the server end; only a connection that is
/// being made by TCP is waited for. A drop by the loop's own thread, in such a call, waits for nothing.
#[derive(Debug)]
pub(super) struct EventLoop<O> {
    shared: Arc<Shared<O>>,
    thread: Option<JoinHandle<()>>,
}

/// What other threads and the loop's share.
#[derive(Debug)]
struct Shared<O> {
    orders: Mutex<VecDeque<O>>,
    /// Not 0 while there may be orders that the loop has not seen.
    ordered: EventFd,
    /// Not 0 once the loop is to end.
    stop: Arc<EventFd>,
}

impl<O: Send + 'static> EventLoop<O> {
    /// Connects, and begins to serve the connection in a thread of this name, of at most 15 bytes.
    ///
    /// # Errors
    /// Those of the first connection, or of the client's [`Client::connected`] on it.
    pub(super) fn start<C>(name: &str, display: Option<&str>, client: C) -> Result<Self, Error>
    where
        C: Client<Order = O>,
    {
        let cannot = |error: &dyn std::fmt::Display| Error::Failed(format!("Cannot start {name}: {error}"));
        let eventfd = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let shared = Arc::new(Shared {
            orders: Mutex::new(VecDeque::new()),
            ordered: eventfd().map_err(|error| cannot(&error))?,
            stop: Arc::new(eventfd().map_err(|error| cannot(&error))?),
        });
        let display = display.map(str::to_owned);
        let runner = Runner { display, shared: Arc::clone(&shared), client };
        let (tell, told) = sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || runner.run(&tell)).map_err(|error| cannot(&error))?;
        let running = Self { shared, thread: Some(thread) };
        told.recv().unwrap_or_else(|_| Err(cannot(&"its thread panicked"))).map(|()| running)
    }

    /// Leaves an order, and wakes the loop.
    ///
    /// # Errors
    /// The order, when so many wait already that the loop must be stuck.
    pub(super) fn order(&self, order: O) -> Result<(), O> {
        let mut orders = self.shared.orders();
        if orders.len() >= MOST_ORDERS {
            return Err(order);
        }
        orders.push_back(order);
        drop(orders);
        // It fails only when the counter is full, and then the loop is woken already.
        let _ = self.shared.ordered.write(1);
        Ok(())
    }
}

impl<O> Drop for EventLoop<O> {
    fn drop(&mut self) {
        let _ = self.shared.stop.write(1);
        if let Some(thread) =
            self.thread.take().filter(|thread| thread.thread().id() != thread::current().id())
        {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl<O> Shared<O> {
    fn orders(&self) -> MutexGuard<'_, VecDeque<O>> {
        // Nothing that holds it can panic half-way.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop itself, in its thread.
struct Runner<C: Client> {
    display: Option<String>,
    shared: Arc<Shared<C::Order>>,
    client: C,
}

/// Why the loop does not go on as it did.
enum Break {
    /// Nobody wants it any more.
    Stopped,
    /// The connection is of no more use.
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Break {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl<C: Client> Runner<C> {
    fn run(mut self, started: &SyncSender<Result<(), Error>>) {
        let (outcome, mut connection) = match self.connect() {
            Ok(server) => (Ok(()), Some(server)),
            Err(error) => (Err(error), None),
        };
        // Whoever started it waits for this.
        let _ = started.send(outcome);
        while let Some(server) = connection {
            let Break::Failed(failure) = self.serve(&server) else {
                return;
            };
            // A stop ends every wait, and so the connection, wherever it finds the client.
            if let Err(Break::Stopped) = self.wait(None, Some(Instant::now())) {
                return;
            }
            let why = failure.told_by(&server);
            drop(server);
            tracing::warn!("{why}; it is tried again until it is back");
            self.client.lost(&why);
            connection = self.reconnect();
        }
    }

    fn connect(&mut self) -> Result<Server, Error> {
        let server = Server::connect(self.display.as_deref(), Some(Arc::clone(&self.shared.stop)))?;
        match self.client.connected(&server) {
            Ok(()) => Ok(server),
            Err(failure) => Err(failure.told_by(&server)),
        }
    }

    /// Serves a connection until it fails or the loop is to end.
    fn serve(&mut self, server: &Server) -> Break {
        let mut event = None;
        loop {
            if let Err(reason) = self.round(server, &mut event) {
                return reason;
            }
        }
    }

    /// Waits until something happens, unless there is an event already, and hands it on.
    fn round(&mut self, server: &Server, event: &mut Option<Event>) -> Result<(), Break> {
        // What was said in the last round is to be on its way before the wait. Both this and the answers
        // to it may have brought events, which wait in memory, where no poll sees them.
        server.x.flush()?;
        if event.is_none() {
            *event = server.x.poll_for_event()?;
        }
        let until = if event.is_some() { Some(Instant::now()) } else { self.client.deadline() };
        self.wait(Some(server), until)?;

        server.x.stream().begin_call();
        for _ in 0..C::EVENTS_A_ROUND {
            let next = match event.take() {
                Some(event) => Some(event),
                None => server.x.poll_for_event()?,
            };
            let Some(next) = next else { break };
            self.client.event(server, next)?;
        }
        self.orders_and_deadline(Some(server))?;
        self.client.settle(server)?;
        Ok(())
    }

    fn orders_and_deadline(&mut self, server: Option<&Server>) -> Result<(), Failure> {
        // In this order: an order that comes between the two wakes the loop once more, for nothing.
        let _ = self.shared.ordered.read();
        let count = self.shared.orders().len();
        for _ in 0..count {
            let Some(order) = self.shared.orders().pop_front() else { break };
            if let Err(failure) = self.client.order(server, order) {
                // Those behind it are for another connection.
                let _ = self.shared.ordered.write(1);
                return Err(failure);
            }
        }
        if self.client.deadline().is_some_and(|deadline| deadline <= Instant::now()) {
            self.client.due(server)?;
        }
        Ok(())
    }

    /// Waits for something to read, an order, or the time.
    fn wait(&self, server: Option<&Server>, until: Option<Instant>) -> Result<(), Break> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut watched = vec![readable(self.shared.stop.as_fd()), readable(self.shared.ordered.as_fd())];
        watched.extend(server.map(|server| readable(server.x.stream().as_fd())));
        match poll(&mut watched, until.map_or(PollTimeout::NONE, timeout)) {
            Ok(_) if watched.first().and_then(PollFd::any) == Some(true) => Err(Break::Stopped),
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(x11rb::errors::ConnectionError::IoError(error.into()).into()),
        }
    }

    /// Looks for a server that went away until it is back, or the loop is to end.
    fn reconnect(&mut self) -> Option<Server> {
        let mut pause = FIRST_PAUSE;
        loop {
            let until = Instant::now() + pause;
            while Instant::now() < until {
                let deadline = self.client.deadline().map_or(until, |deadline| deadline.min(until));
                if let Err(Break::Stopped) = self.wait(None, Some(deadline)) {
                    return None;
                }
                if let Err(failure) = self.orders_and_deadline(None) {
                    tracing::debug!("No X server, and no sense in: {}", failure.words());
                }
            }
            match self.connect() {
                Ok(server) => {
                    tracing::info!("X server {} is back", server.display());
                    return Some(server);
                }
                Err(error) => tracing::debug!("{error}"),
            }
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
}

/// The time that is left, rounded up: a wait that ends too early would be waited again and again.
fn timeout(until: Instant) -> PollTimeout {
    const ALMOST_A_MILLISECOND: Duration = Duration::from_nanos(999_999);
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return PollTimeout::ZERO;
    }
    PollTimeout::try_from(left + ALMOST_A_MILLISECOND).unwrap_or(PollTimeout::MAX)
}

//! The thread that serves the control socket. It sleeps until somebody asks or something is to be told.
//!
//! Nothing that a client does costs more than its connection: requests are bounded, there are only so many
//! connections, of which the one that was silent longest makes room for a new one, and a client is served
//! no further until it has read what it was sent.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::protocol::{LONGEST_REQUEST, Reply, Request, Said};
use super::socket::{Socket, admits};
use super::{Answer, Served};
use crate::observe::Subscription;
use crate::sync::lock;

/// The most connections at a time.
const MOST_CONNECTIONS: usize = 16;

/// About so many bytes of a trace are taken at a time.
const BATCH: usize = 64 << 10;

/// How long connections are not accepted after one could not be, for want of descriptors.
const REST_MILLIS: u16 = 1000;

pub(super) struct Server {
    socket: Socket,
    served: Arc<dyn Served>,
    bell: Arc<Bell>,
    connections: Vec<Connection>,
    /// Accepting failed, and is not tried again at once.
    resting: bool,
}

/// What wakes the server's thread.
pub(super) struct Bell {
    event: EventFd,
    stopping: AtomicBool,
}

/// Where what takes a while to answer is left for the server's thread.
pub(super) type Pending = Arc<Mutex<Option<Reply>>>;

struct Connection {
    stream: UnixStream,
    /// What was read and is no whole request yet.
    input: Vec<u8>,
    /// What is to be written, and how much of it was.
    output: Vec<u8>,
    written: usize,
    source: Source,
    /// The client has no more to ask.
    ended: bool,
    /// It is over once all is written.
    closing: bool,
    /// When it last read or wrote.
    active: Instant,
}

/// Where a connection's next words come from.
enum Source {
    /// Its next request.
    Requests,
    /// An answer that is being worked on.
    Pending(Pending),
    /// What happens.
    Subscription(Subscription),
}

impl Bell {
    pub(super) fn new() -> std::io::Result<Arc<Self>> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Arc::new(Self { event, stopping: AtomicBool::new(false) }))
    }

    pub(super) fn ring(&self) {
        // It fails only when it has rung so often that it is heard anyway.
        let _ = self.event.write(1);
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.ring();
    }
}

impl Server {
    pub(super) fn new(socket: Socket, served: Arc<dyn Served>, bell: Arc<Bell>) -> Self {
        Self { socket, served, bell, connections: Vec::new(), resting: false }
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) {
        while !self.bell.stopping.load(Ordering::Relaxed) {
            let Some(woken) = self.sleep() else { continue };
            if woken.rung {
                let _ = self.bell.event.read();
            }
            for (connection, found) in self.connections.iter_mut().zip(woken.found) {
                if found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
                    connection.give_up();
                } else if woken.rung || !found.is_empty() {
                    connection.step(&*self.served, &self.bell);
                }
            }
            self.connections.retain(Connection::is_open);
            if woken.called {
                self.accept();
            }
        }
    }

    /// Sleeps until there is something to do. `None` when it was woken for nothing.
    fn sleep(&mut self) -> Option<Woken> {
        let mut fds = vec![PollFd::new(self.bell.event.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.connections.iter().map(|each| PollFd::new(each.stream.as_fd(), each.awaits())));
        let timeout = if std::mem::take(&mut self.resting) {
            PollTimeout::from(REST_MILLIS)
        } else {
            fds.push(PollFd::new(self.socket.listener.as_fd(), PollFlags::POLLIN));
            PollTimeout::NONE
        };
        poll(&mut fds, timeout).ok()?;
        let found: Vec<_> = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::POLLERR)).collect();
        let (bell, others) = found.split_first()?;
        let (connections, listener) = others.split_at_checked(self.connections.len())?;
        Some(Woken {
            rung: !bell.is_empty(),
            called: listener.first().is_some_and(|found| !found.is_empty()),
            found: connections.to_vec(),
        })
    }

    fn accept(&mut self) {
        loop {
            let stream = match self.socket.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => {
                    tracing::warn!("Cannot accept a control connection: {error}");
                    self.resting = true;
                    return;
                }
            };
            if !admits(&stream) || stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.connections.len() >= MOST_CONNECTIONS {
                let connections = self.connections.iter().enumerate();
                if let Some((index, _)) = connections.min_by_key(|(_, each)| each.active) {
                    self.connections.swap_remove(index);
                }
            }
            self.connections.push(Connection::new(stream));
        }
    }
}

impl Connection {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            source: Source::Requests,
            ended: false,
            closing: false,
            active: Instant::now(),
        }
    }

    /// What it waits for. One that has something to write, or to say, does not read.
    fn awaits(&self) -> PollFlags {
        if !self.output.is_empty() || self.has_more() {
            PollFlags::POLLOUT
        } else if self.listens() {
            PollFlags::POLLIN
        } else {
            PollFlags::empty()
        }
    }

    /// Whether more is read of what the client says. While an answer is being worked on, it is not: it would
    /// pile up.
    fn listens(&self) -> bool {
        !self.ended && !matches!(self.source, Source::Pending(_))
    }

    /// Whether there is something to say that needs no further word of the client.
    fn has_more(&self) -> bool {
        match &self.source {
            Source::Requests => self.input.contains(&b'\n'),
            Source::Pending(pending) => lock(pending).is_some(),
            Source::Subscription(subscription) => subscription.listener.has_more(),
        }
    }

    fn is_open(&self) -> bool {
        !(self.closing && self.output.is_empty())
    }

    /// Reads if there is nothing to say, says one thing if there is nothing to write, and writes as much as
    /// the client takes. So each connection has its turn.
    fn step(&mut self, served: &dyn Served, bell: &Arc<Bell>) {
        if self.output.is_empty() && !self.closing {
            if self.listens() && !self.has_more() {
                self.read();
            }
            self.speak(served, bell);
        }
        self.write();
        let done = self.ended && matches!(self.source, Source::Requests) && !self.has_more();
        self.closing |= done;
    }

    /// Reads a piece of what the client says.
    fn read(&mut self) {
        let mut piece = [0; 4096];
        match (&self.stream).read(&mut piece) {
            Ok(0) => {
                self.ended = true;
                match self.source {
                    // The last request may lack its end.
                    Source::Requests if !self.input.is_empty() => self.input.push(b'\n'),
                    Source::Subscription(_) => self.closing = true,
                    _ => {}
                }
            }
            Ok(read) => {
                self.active = Instant::now();
                // What a client says while it is told what happens is of no interest.
                if !matches!(self.source, Source::Subscription(_)) {
                    self.input.extend_from_slice(piece.get(..read).unwrap_or_default());
                }
                if self.input.len() > LONGEST_REQUEST && !self.has_more() {
                    self.say(&Reply::new(Said::Error(format!("Request exceeds {LONGEST_REQUEST} bytes"))));
                    self.closing = true;
                }
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.give_up(),
        }
    }

    /// Says what is next: the answer to one request, or a batch of what happened.
    fn speak(&mut self, served: &dyn Served, bell: &Arc<Bell>) {
        match &self.source {
            Source::Requests => self.answer_next(served, bell),
            Source::Pending(pending) => {
                let reply = lock(pending).take();
                if let Some(reply) = reply {
                    self.source = Source::Requests;
                    self.say(&reply);
                }
            }
            Source::Subscription(subscription) => {
                let taken = subscription.listener.take(BATCH);
                for line in taken.lines {
                    self.output.extend_from_slice(line.as_bytes());
                    self.output.push(b'\n');
                }
                if taken.lost > 0 {
                    self.output.extend_from_slice(format!("{{\"lost\":{}}}\n", taken.lost).as_bytes());
                }
            }
        }
    }

    /// Answers the next request, if all of it is there.
    fn answer_next(&mut self, served: &dyn Served, bell: &Arc<Bell>) {
        let Some(end) = self.input.iter().position(|byte| *byte == b'\n') else { return };
        let line: Vec<u8> = self.input.drain(..=end).collect();
        let line = line.trim_ascii();
        if line.is_empty() {
            return;
        }
        match Request::parse(line).map(|request| served.answer(request.ask, bell)) {
            Err(reason) => self.say(&Reply::new(Said::Error(reason))),
            Ok(Answer::Now(reply)) => self.say(&reply),
            Ok(Answer::Later(pending)) => self.source = Source::Pending(pending),
            Ok(Answer::Stream(reply, subscription)) => {
                self.say(&reply);
                self.source = Source::Subscription(subscription);
                self.input = Vec::new();
                self.closing = self.ended;
            }
        }
    }

    fn say(&mut self, reply: &Reply) {
        match serde_json::to_writer(&mut self.output, reply) {
            Ok(()) => self.output.push(b'\n'),
            Err(error) => {
                tracing::error!("Cannot write a control reply: {error}");
                self.give_up();
            }
        }
    }

    /// Writes what the client takes.
    fn write(&mut self) {
        while let Some(rest) = self.output.get(self.written..).filter(|rest| !rest.is_empty()) {
            match (&self.stream).write(rest) {
                Ok(written) => {
                    self.written += written;
                    self.active = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.give_up(),
            }
        }
        // A connection that waits keeps no memory.
        self.output = Vec::new();
        self.written = 0;
    }

    /// Nobody is there any more.
    fn give_up(&mut self) {
        self.closing = true;
        self.output = Vec::new();
        self.written = 0;
    }
}

/// What ended a sleep.
struct Woken {
    /// The bell rang.
    rung: bool,
    /// Somebody wants to connect.
    called: bool,
    /// What was found of each connection.
    found: Vec<PollFlags>,
}

//! Who asks for what we own, and what they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use x11rb::errors::ReplyError;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, EventMask, SELECTION_NOTIFY_EVENT, SelectionNotifyEvent,
    SelectionRequestEvent, Timestamp, Window,
};

use super::names::Atoms;
use super::offers::{Offer, Offered};
use super::sends::{Sends, Written};
use super::targets::Encoding;
use super::text::{Encoded, Encodings};
use super::window;
use crate::clipboard::{ANSWER_WITHIN, Listener, Selection, WantedId};
use crate::x11::connection::{Failure, Server};

/// How many requests can be open at a time; more are refused.
const MOST_REQUESTS: usize = 64;

/// How many targets one request may ask for by MULTIPLE.
const MOST_PAIRS: u32 = 64;

/// Why a request is refused, for the log.
type Refusal = &'static str;

/// The requests under way.
#[derive(Debug)]
pub(super) struct Requests {
    requests: Vec<Request>,
    wanted: Vec<Wanted>,
    pub(super) sends: Sends,
    last_request: u64,
}

/// What somebody asked for; it is notified once all of it is there or refused.
#[derive(Debug)]
struct Request {
    id: u64,
    event: SelectionRequestEvent,
    pairs: Vec<Pair>,
    open: usize,
}

/// A target, and the property to write it to.
#[derive(Debug, Clone, Copy)]
struct Pair {
    /// [`x11rb::NONE`] once it was refused.
    target: Atom,
    property: Atom,
}

/// Content that the listener was asked for.
#[derive(Debug)]
struct Wanted {
    id: WantedId,
    offer: Window,
    selection: Selection,
    format: String,
    until: Instant,
    waiting: Vec<Waiting>,
}

/// Who waits for it.
#[derive(Debug)]
struct Waiting {
    request: u64,
    pair: usize,
    target: Atom,
    encoding: Encoding,
}

impl Requests {
    pub(super) fn new(server: &Server) -> Self {
        Self { requests: Vec::new(), wanted: Vec::new(), sends: Sends::new(server), last_request: 0 }
    }

    /// Somebody asks for what we own, by the window of this offer.
    pub(super) fn asked(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        listener: &dyn Listener,
        offer: Option<&Offer>,
        event: SelectionRequestEvent,
    ) -> Result<(), Failure> {
        let admitted = self.admit(server, offer, &event);
        let pairs = match admitted {
            Ok(offer) => pairs(server, atoms, &event)?.map(|pairs| (offer, pairs)),
            Err(refusal) => Err(refusal),
        };
        match pairs {
            Ok((offer, pairs)) => self.serve(server, atoms, listener, offer, event, pairs),
            Err(refusal) => {
                tracing::debug!("A request of window {:#x} is refused: {refusal}", event.requestor);
                notify(server, &event, x11rb::NONE)
            }
        }
    }

    /// The listener has content for somebody, or has none.
    pub(super) fn answer(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        id: WantedId,
        content: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let Some(at) = self.wanted.iter().position(|wanted| wanted.id == id) else {
            tracing::debug!("An answer came when nobody waited for it any more");
            return Ok(());
        };
        let wanted = self.wanted.swap_remove(at);
        if content.is_none() {
            let Wanted { selection, format, waiting, .. } = &wanted;
            tracing::debug!(
                "{selection:?} has no {format} after all; {} requests are refused",
                waiting.len()
            );
        }
        self.hand_out(server, atoms, wanted, content)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let answer = self.wanted.iter().map(|wanted| wanted.until).min();
        answer.into_iter().chain(self.sends.deadline()).min()
    }

    /// The time has come.
    pub(super) fn due(&mut self, server: &Server, atoms: &Atoms, now: Instant) -> Result<(), Failure> {
        let late: Vec<Wanted> = self.wanted.extract_if(.., |wanted| wanted.until <= now).collect();
        for wanted in late {
            let Wanted { selection, format, waiting, .. } = &wanted;
            let seconds = ANSWER_WITHIN.as_secs();
            tracing::warn!(
                "{selection:?}: its {format} was not there within {seconds} s; {} requests are refused",
                waiting.len()
            );
            self.hand_out(server, atoms, wanted, None)?;
        }
        self.sends.due(server, now)
    }

    fn admit<'a>(
        &self,
        server: &Server,
        offer: Option<&'a Offer>,
        event: &SelectionRequestEvent,
    ) -> Result<&'a Offer, Refusal> {
        let offer = offer.ok_or("what it asks for is no longer ours")?;
        if event.time != x11rb::CURRENT_TIME && is_before(event.time, offer.since) {
            Err("it asks for what was there before it was ours")
        } else if window::is_ours(server, event.requestor) {
            Err("the window is one of ours")
        } else if self.requests.len() >= MOST_REQUESTS {
            Err("too many are under way")
        } else {
            Ok(offer)
        }
    }

    fn serve(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        listener: &dyn Listener,
        offer: &Offer,
        event: SelectionRequestEvent,
        pairs: Vec<Pair>,
    ) -> Result<(), Failure> {
        self.last_request += 1;
        let id = self.last_request;
        // One more than there are, so that it is not done before all of it was begun.
        self.requests.push(Request { id, event, pairs: pairs.clone(), open: pairs.len() + 1 });
        for (at, Pair { target, property }) in pairs.into_iter().enumerate() {
            let offered = offer.targets.iter().find(|offered| offered.target == target);
            match offered.filter(|_| property != x11rb::NONE) {
                Some(offered) => self.want(listener, offer, offered, id, at),
                None => {
                    let known = about(atoms, offer, target).filter(|_| property != x11rb::NONE);
                    self.settle(server, atoms, id, at, known)?;
                }
            }
        }
        self.close(server, atoms, id)
    }

    /// Asks the listener, unless it was asked already.
    fn want(&mut self, listener: &dyn Listener, offer: &Offer, offered: &Offered, request: u64, pair: usize) {
        /// The same clipboard never sees a number twice if nobody does.
        static LAST: AtomicU64 = AtomicU64::new(0);
        let Offered { target, format, encoding } = offered;
        let waiting = Waiting { request, pair, target: *target, encoding: *encoding };
        let same = |wanted: &&mut Wanted| wanted.offer == offer.window && wanted.format == *format;
        if let Some(wanted) = self.wanted.iter_mut().find(same) {
            wanted.waiting.push(waiting);
            return;
        }
        let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        self.wanted.push(Wanted {
            id,
            offer: offer.window,
            selection: offer.selection,
            format: format.clone(),
            until: Instant::now() + ANSWER_WITHIN,
            waiting: vec![waiting],
        });
        listener.wanted(id, offer.selection, format);
    }

    /// Gives content to all who wait for it, or refuses them.
    fn hand_out(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        wanted: Wanted,
        content: Option<Vec<u8>>,
    ) -> Result<(), Failure> {
        let mut content = content.map(Encodings::of);
        for Waiting { request, pair, target, encoding } in wanted.waiting {
            let written = content.as_mut().map(|content| {
                let Encoded { bytes, latin1 } = content.get(encoding);
                let kind = match (encoding, latin1) {
                    (Encoding::AnyText, true) => AtomEnum::STRING.into(),
                    (Encoding::AnyText, false) => atoms.UTF8_STRING,
                    (_, _) => target,
                };
                Written { bytes, kind, unit: 8 }
            });
            self.settle(server, atoms, request, pair, written)?;
        }
        Ok(())
    }

    /// One target of a request is there, or refused.
    fn settle(
        &mut self,
        server: &Server,
        atoms: &Atoms,
        id: u64,
        pair: usize,
        written: Option<Written>,
    ) -> Result<(), Failure> {
        let Some(request) = self.requests.iter_mut().find(|request| request.id == id) else {
            return Ok(());
        };
        if let Some(pair) = request.pairs.get_mut(pair) {
            let place = (request.event.requestor, pair.property);
            let done = match written {
                Some(written) => self.sends.write(server, atoms, place, written)?,
                None => false,
            };
            if !done {
                pair.target = x11rb::NONE;
            }
        }
        self.close(server, atoms, id)
    }

    /// One thing less is open of a request; with the last, who asked is told.
    fn close(&mut self, server: &Server, atoms: &Atoms, id: u64) -> Result<(), Failure> {
        let Some(at) = self.requests.iter().position(|request| request.id == id) else { return Ok(()) };
        if let Some(request) = self.requests.get_mut(at) {
            request.open = request.open.saturating_sub(1);
            if request.open > 0 {
                return Ok(());
            }
        }
        let Request { event, pairs, .. } = self.requests.swap_remove(at);
        let refused = pairs.iter().any(|pair| pair.target == x11rb::NONE);
        match (event.target == atoms.MULTIPLE, refused) {
            (false, false) => notify(server, &event, used(&event)),
            (false, true) => notify(server, &event, x11rb::NONE),
            (true, false) => notify(server, &event, event.property),
            (true, true) => {
                let place = (event.requestor, event.property);
                let list = pairs.iter().flat_map(|pair| [pair.target, pair.property]);
                let bytes = Arc::new(list.flat_map(Atom::to_ne_bytes).collect());
                let list = Written { bytes, kind: atoms.ATOM_PAIR, unit: 32 };
                self.sends.write(server, atoms, place, list)?;
                notify(server, &event, event.property)
            }
        }
    }
}

/// The property to write to. Clients of the time before ICCCM name none, and mean the target's name.
fn used(event: &SelectionRequestEvent) -> Atom {
    if event.property == x11rb::NONE { event.target } else { event.property }
}

/// What somebody asks for: one target, or by MULTIPLE a list of them.
fn pairs(
    server: &Server,
    atoms: &Atoms,
    event: &SelectionRequestEvent,
) -> Result<Result<Vec<Pair>, Refusal>, Failure> {
    if event.target != atoms.MULTIPLE {
        return Ok(Ok(vec![Pair { target: event.target, property: used(event) }]));
    }
    let (window, property) = (event.requestor, event.property);
    let list = server.x.get_property(false, window, property, AtomEnum::ANY, 0, MOST_PAIRS * 2)?;
    let list = match list.reply() {
        Ok(list) => list,
        Err(ReplyError::ConnectionError(error)) => return Err(error.into()),
        Err(ReplyError::X11Error(_)) => return Ok(Err("its list for MULTIPLE is not there")),
    };
    let atoms = list.value.as_chunks().0.iter().map(|&atom| Atom::from_ne_bytes(atom)).collect::<Vec<_>>();
    let (pairs, rest) = atoms.as_chunks();
    if list.format != 32 || list.bytes_after > 0 || !rest.is_empty() {
        return Ok(Err("its list for MULTIPLE is too long, or is none"));
    }
    Ok(Ok(pairs.iter().map(|&[target, property]| Pair { target, property }).collect()))
}

/// What an owner tells of itself.
fn about(atoms: &Atoms, offer: &Offer, target: Atom) -> Option<Written> {
    let (kind, values) = if target == atoms.TARGETS {
        let known = [atoms.TARGETS, atoms.TIMESTAMP, atoms.MULTIPLE];
        let offered = offer.targets.iter().map(|offered| offered.target);
        (AtomEnum::ATOM.into(), known.into_iter().chain(offered).collect())
    } else if target == atoms.TIMESTAMP {
        (AtomEnum::INTEGER.into(), vec![offer.since])
    } else if target == atoms.SAVE_TARGETS {
        // Done: whoever saves asks for what it wants by itself.
        (atoms.NULL, Vec::new())
    } else {
        return None;
    };
    let bytes = Arc::new(values.into_iter().flat_map(u32::to_ne_bytes).collect());
    Some(Written { bytes, kind, unit: 32 })
}

/// Tells whoever asked that the property is there; [`x11rb::NONE`] when it is refused.
fn notify(server: &Server, event: &SelectionRequestEvent, property: Atom) -> Result<(), Failure> {
    let SelectionRequestEvent { time, requestor, selection, target, .. } = *event;
    let response_type = SELECTION_NOTIFY_EVENT;
    let event =
        SelectionNotifyEvent { response_type, sequence: 0, time, requestor, selection, target, property };
    server.x.send_event(false, requestor, EventMask::NO_EVENT, event)?;
    Ok(())
}

/// Whether a time is before another, by clocks of 32 bits that begin anew every 49 days.
pub(super) fn is_before(time: Timestamp, other: Timestamp) -> bool {
    time.wrapping_sub(other) > Timestamp::MAX / 2
}

#[cfg(test)]
mod tests {
    use super::is_before;

    #[test]
    fn times_are_compared_across_the_end_of_their_clock() {
        assert!(is_before(1, 2) && is_before(u32::MAX, 3) && is_before(u32::MAX - 5, u32::MAX));
        assert!(!is_before(2, 2) && !is_before(2, 1) && !is_before(3, u32::MAX));
    }
}

//! What waits for one plugin: latches, deadlines, and a short queue.
//!
//! News of which only the last state counts is latched: event bits are OR-ed, a selection's content
//! replaces the one before. News that answers something the plugin began is queued, so that the queue is
//! bounded by what it may have under way. Nothing else is kept.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bellhop_desktop::{Content, Selection};
use driver_core::wire::Events;

use crate::host::{ClipboardRead, ClipboardWanted, HgcmEnd, PropertyNews};
use crate::plugin::Successor;
use crate::sync::lock;

/// Names something that a plugin began.
pub type Token = u64;

/// What a plugin is called for.
#[derive(Debug)]
pub enum News {
    /// Events since it last looked; never empty.
    Events(Events),
    /// What it began has ended, or somebody asks it for something.
    Item(Item),
    /// The desktop's session was locked or unlocked.
    Locked(bool),
    /// A selection holds something else.
    Clipboard(Selection, Content),
    /// What is to be seen changed.
    Windows,
    /// The time of a timer has come.
    Timer(Token),
    /// An administrator wants it to begin anew.
    Again,
}

/// News of which each counts.
#[derive(Debug)]
pub enum Item {
    /// An HGCM call ended.
    Hgcm(HgcmEnd),
    /// A guest property changed.
    Property(PropertyNews),
    /// A read of the clipboard ended.
    Read(ClipboardRead),
    /// Somebody pastes.
    Wanted(ClipboardWanted),
}

impl News {
    /// The export that is called for it.
    #[must_use]
    pub fn export(&self) -> &'static str {
        match self {
            Self::Events(_) => "on-host-events",
            Self::Item(Item::Hgcm(_)) => "on-completion",
            Self::Item(Item::Property(_)) => "on-property-changed",
            Self::Item(Item::Read(_)) => "on-read",
            Self::Item(Item::Wanted(_)) => "on-wanted",
            Self::Locked(_) => "on-locked",
            Self::Clipboard(..) => "on-changed",
            Self::Windows => "on-windows-changed",
            Self::Timer(_) => "on-timer",
            Self::Again => "init",
        }
    }
}

/// The plugin is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// What a plugin's thread is to do next.
pub enum Turn {
    /// Call the plugin.
    News(News),
    /// Put another in its place.
    Replace(Box<Successor>),
    /// Nothing: the time has come that it waits until.
    Nothing,
}

/// Where news waits for one plugin.
#[derive(Default)]
pub struct Mailbox {
    post: Mutex<Post>,
    changed: Condvar,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct Post {
    inbox: Inbox,
    /// That of an incarnation which is to take the place of the other.
    beside: Option<Inbox>,
    successor: Option<Box<Successor>>,
    /// Nobody looks any more.
    closed: bool,
    /// The number of the last incarnation that was begun.
    incarnations: u64,
}

#[derive(Default)]
struct Inbox {
    /// News of an earlier incarnation is nobody's.
    incarnation: u64,
    events: Events,
    items: VecDeque<Item>,
    locked: Option<bool>,
    selections: BTreeMap<Selection, Content>,
    windows: bool,
    again: bool,
    timers: BTreeSet<(Instant, Token)>,
    /// Whose turn it is, so that no kind of news can keep the others waiting.
    turn: usize,
}

/// Takes news of one kind, if there is any.
type Take = fn(&mut Inbox, Instant) -> Option<News>;

const KINDS: [Take; 7] = [
    |inbox, _| (!inbox.events.is_empty()).then(|| News::Events(std::mem::take(&mut inbox.events))),
    |inbox, _| inbox.items.pop_front().map(News::Item),
    |inbox, _| inbox.locked.take().map(News::Locked),
    |inbox, _| inbox.selections.pop_first().map(|(selection, content)| News::Clipboard(selection, content)),
    |inbox, _| std::mem::take(&mut inbox.again).then_some(News::Again),
    |inbox, _| std::mem::take(&mut inbox.windows).then_some(News::Windows),
    |inbox, now| {
        let due = inbox.timers.first().is_some_and(|(at, _)| *at <= now);
        if due { inbox.timers.pop_first().map(|(_, timer)| News::Timer(timer)) } else { None }
    },
];

impl Mailbox {
    /// Adds events, which concern the plugin whatever its incarnation.
    pub fn post(&self, events: Events) {
        self.lock().inbox.events |= events;
        self.changed.notify_one();
    }

    /// Tells the plugin to end, and whatever call it is in to stop.
    pub fn stop(&self) {
        let guard = self.lock();
        self.stop.store(true, Ordering::Relaxed);
        drop(guard);
        self.changed.notify_all();
    }

    /// Tells the plugin to begin anew, once the call that it is in has ended.
    pub fn begin_anew(&self) {
        self.lock().inbox.again = true;
        self.changed.notify_one();
    }

    /// The flag that ends a call which is under way.
    #[must_use]
    pub fn stop_flag(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// Begins a new incarnation, which hears of nothing that the one before began.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Poster {
        Poster { mailbox: self.clone(), incarnation: self.abandon() }
    }

    /// Ends an incarnation: what it began is nobody's from now on. Gives the number of the next one.
    pub fn abandon(&self) -> u64 {
        let mut post = self.lock();
        let events = post.inbox.events;
        post.inbox = Inbox { events, ..post.next() };
        post.inbox.incarnation
    }

    /// Begins an incarnation beside the one that there is, which goes on to hear of all that it began.
    #[must_use]
    pub fn begin_beside(self: &Arc<Self>) -> Poster {
        let mut post = self.lock();
        let inbox = post.next();
        let incarnation = inbox.incarnation;
        post.beside = Some(inbox);
        Poster { mailbox: self.clone(), incarnation }
    }

    /// Ends the incarnation that there is in favour of the one beside it, which gets the events that it
    /// subscribed to, whenever they came.
    pub fn succeed(&self, subscribed: Events) {
        let mut post = self.lock();
        if let Some(beside) = post.beside.take() {
            let events = post.inbox.events & subscribed;
            post.inbox = Inbox { events, ..beside };
        }
    }

    /// Ends the incarnation that was begun beside the other.
    pub fn abandon_beside(&self) {
        self.lock().beside = None;
    }

    /// Has a successor put in the plugin's place.
    ///
    /// # Errors
    /// When the plugin's thread has ended: the successor.
    pub fn replace(&self, successor: Box<Successor>) -> Result<(), Box<Successor>> {
        let mut post = self.lock();
        if post.closed {
            return Err(successor);
        }
        post.successor = Some(successor);
        drop(post);
        self.changed.notify_all();
        Ok(())
    }

    /// Says that nobody looks any more.
    pub fn close(&self) {
        let mut post = self.lock();
        post.closed = true;
        post.successor = None;
    }

    /// Whether that was said.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits for what is to be done next: news not before a time, and nothing when `until` has come before
    /// any.
    ///
    /// # Errors
    /// [`Stop`], however much news there is.
    pub fn take(&self, not_before: Instant, until: Option<Instant>) -> Result<Turn, Stop> {
        self.wait(|post, now| {
            if let Some(successor) = post.successor.take() {
                return ControlFlow::Break(Turn::Replace(successor));
            }
            let early = now < not_before;
            if !early && let Some(news) = post.inbox.take(now) {
                return ControlFlow::Break(Turn::News(news));
            }
            if until.is_some_and(|until| until <= now) {
                return ControlFlow::Break(Turn::Nothing);
            }
            let next = if early { Some(not_before) } else { post.inbox.timers.first().map(|(at, _)| *at) };
            ControlFlow::Continue(next.into_iter().chain(until).min())
        })
    }

    /// Waits until a time, or for a successor. News waits meanwhile.
    ///
    /// # Errors
    /// [`Stop`], when that was ordered before.
    pub fn pause(&self, until: Instant) -> Result<Option<Box<Successor>>, Stop> {
        self.wait(|post, now| match post.successor.take() {
            None if now < until => ControlFlow::Continue(Some(until)),
            successor => ControlFlow::Break(successor),
        })
    }

    /// Waits until `look` finds something: it looks whenever something changed, and at the time that it
    /// last named.
    fn wait<T>(
        &self,
        mut look: impl FnMut(&mut Post, Instant) -> ControlFlow<T, Option<Instant>>,
    ) -> Result<T, Stop> {
        let mut post = self.lock();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Stop);
            }
            let now = Instant::now();
            let next = match look(&mut post, now) {
                ControlFlow::Break(found) => return Ok(found),
                ControlFlow::Continue(next) => next,
            };
            post = match next.map(|at| at.saturating_duration_since(now)) {
                None => self.changed.wait(post).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.changed.wait_timeout(post, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Post> {
        lock(&self.post)
    }
}

impl Post {
    /// The inbox of another incarnation.
    fn next(&mut self) -> Inbox {
        self.incarnations += 1;
        Inbox { incarnation: self.incarnations, ..Inbox::default() }
    }
}

impl Inbox {
    fn take(&mut self, now: Instant) -> Option<News> {
        for step in 0..KINDS.len() {
            let kind = (self.turn + step) % KINDS.len();
            if let Some(news) = KINDS[kind](self, now) {
                self.turn = kind + 1;
                return Some(news);
            }
        }
        None
    }
}

/// Leaves news for one incarnation of a plugin; for a later one it leaves none.
#[derive(Clone)]
pub struct Poster {
    mailbox: Arc<Mailbox>,
    incarnation: u64,
}

impl Poster {
    /// Adds an item; whoever posts sees to it that there are not too many.
    pub fn item(&self, item: Item) {
        self.leave(|inbox| inbox.items.push_back(item));
    }

    /// The session is locked, or not.
    pub fn locked(&self, locked: bool) {
        self.leave(|inbox| inbox.locked = Some(locked));
    }

    /// A selection holds something else.
    pub fn clipboard(&self, selection: Selection, content: Content) {
        self.leave(|inbox| inbox.selections.insert(selection, content));
    }

    /// What is to be seen changed.
    pub fn windows(&self) {
        self.leave(|inbox| inbox.windows = true);
    }

    /// Sets a timer; whoever does sees to it that there are not too many.
    pub fn set_timer(&self, at: Instant, timer: Token) {
        self.leave(|inbox| inbox.timers.insert((at, timer)));
    }

    /// How many timers are set.
    #[must_use]
    pub fn timers(&self) -> usize {
        let mut set = 0;
        self.leave(|inbox| set = inbox.timers.len());
        set
    }

    /// Takes a timer back.
    pub fn cancel_timer(&self, timer: Token) {
        self.leave(|inbox| inbox.timers.retain(|(_, other)| *other != timer));
    }

    fn leave<T>(&self, change: impl FnOnce(&mut Inbox) -> T) {
        let mut post = self.mailbox.lock();
        let Post { inbox, beside, .. } = &mut *post;
        let mut both = std::iter::once(inbox).chain(beside);
        if let Some(inbox) = both.find(|inbox| inbox.incarnation == self.incarnation) {
            change(inbox);
            drop(post);
            self.mailbox.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(mailbox: &Mailbox) -> String {
        match mailbox.take(Instant::now(), None).expect("not stopped") {
            Turn::News(news) => format!("{news:?}"),
            Turn::Replace(_) | Turn::Nothing => "no news".to_owned(),
        }
    }

    #[test]
    fn events_are_or_ed_and_the_last_content_counts() {
        let mailbox = Arc::new(Mailbox::default());
        let poster = mailbox.begin();

        mailbox.post(Events::DISPLAY_CHANGE);
        mailbox.post(Events::RESTORED);
        poster.clipboard(Selection::Clipboard, Content::Nothing);
        poster.clipboard(Selection::Clipboard, Content::Ours);
        poster.windows();
        poster.windows();

        let both = Events::DISPLAY_CHANGE | Events::RESTORED;
        assert_eq!(taken(&mailbox), format!("{:?}", News::Events(both)));
        assert_eq!(taken(&mailbox), "Clipboard(Clipboard, Ours)");
        assert_eq!(taken(&mailbox), "Windows");
    }

    #[test]
    fn no_kind_of_news_keeps_the_others_waiting() {
        let mailbox = Arc::new(Mailbox::default());
        let poster = mailbox.begin();
        let mut seen = Vec::new();

        poster.windows();
        for _ in 0..2 {
            mailbox.post(Events::RESTORED);
            seen.push(taken(&mailbox));
        }

        assert!(seen.contains(&"Windows".to_owned()), "{seen:?}");
    }

    #[test]
    fn a_new_incarnation_keeps_events_and_nothing_else() {
        let mailbox = Arc::new(Mailbox::default());
        let earlier = mailbox.begin();
        mailbox.post(Events::RESTORED);
        earlier.windows();
        earlier.set_timer(Instant::now(), 1);

        let poster = mailbox.begin();
        earlier.locked(true);
        poster.windows();

        assert_eq!(taken(&mailbox), format!("{:?}", News::Events(Events::RESTORED)));
        assert_eq!(taken(&mailbox), "Windows");
        mailbox.stop();
        assert_eq!(mailbox.take(Instant::now(), None).map(drop), Err(Stop));
    }

    #[test]
    fn a_successor_inherits_the_events_that_it_wants_and_hears_of_what_it_began() {
        let mailbox = Arc::new(Mailbox::default());
        let old = mailbox.begin();
        mailbox.post(Events::DISPLAY_CHANGE | Events::RESTORED);
        old.windows();

        let new = mailbox.begin_beside();
        new.locked(true);
        mailbox.post(Events::VRDP);
        mailbox.succeed(Events::RESTORED | Events::VRDP);
        old.windows();

        let both = Events::RESTORED | Events::VRDP;
        assert_eq!(taken(&mailbox), format!("{:?}", News::Events(both)));
        assert_eq!(taken(&mailbox), "Locked(true)");
        new.set_timer(Instant::now(), 7);
        assert_eq!(taken(&mailbox), "Timer(7)");
    }

    #[test]
    fn a_successor_that_came_to_nothing_leaves_no_trace() {
        let mailbox = Arc::new(Mailbox::default());
        let old = mailbox.begin();
        old.windows();

        let new = mailbox.begin_beside();
        new.locked(true);
        mailbox.abandon_beside();
        let next = mailbox.begin_beside();
        new.locked(true);
        next.locked(false);

        assert_eq!(taken(&mailbox), "Windows");
        mailbox.succeed(Events::empty());
        assert_eq!(taken(&mailbox), "Locked(false)");
    }

    #[test]
    fn who_is_to_rest_gets_all_events_at_once_when_it_has() {
        let mailbox = Arc::new(Mailbox::default());
        let rested = Instant::now() + Duration::from_millis(20);
        mailbox.post(Events::RESTORED);
        let poster = std::thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.post(Events::DISPLAY_CHANGE)
        });

        let turn = mailbox.take(rested, None).expect("not stopped");

        assert!(Instant::now() >= rested);
        assert!(poster.join().is_ok());
        let both = Events::DISPLAY_CHANGE | Events::RESTORED;
        assert!(matches!(turn, Turn::News(News::Events(events)) if events == both));
    }

    #[test]
    fn who_waits_for_a_time_gets_nothing_then() {
        let mailbox = Arc::new(Mailbox::default());
        let poster = mailbox.begin();
        let until = Instant::now() + Duration::from_millis(5);
        poster.set_timer(until + Duration::from_secs(60), 1);

        assert!(matches!(mailbox.take(Instant::now(), Some(until)), Ok(Turn::Nothing)));
        assert!(Instant::now() >= until);
    }

    #[test]
    fn a_timer_comes_in_its_time_and_not_when_it_was_taken_back() {
        let mailbox = Arc::new(Mailbox::default());
        let poster = mailbox.begin();
        let now = Instant::now();

        poster.set_timer(now + Duration::from_millis(20), 3);
        poster.set_timer(now + Duration::from_millis(1), 1);
        poster.set_timer(now, 2);
        assert_eq!(poster.timers(), 3);
        poster.cancel_timer(1);

        assert_eq!(taken(&mailbox), "Timer(2)");
        assert_eq!(taken(&mailbox), "Timer(3)");
        assert!(now.elapsed() >= Duration::from_millis(20));
    }
}

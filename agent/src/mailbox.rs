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
        }
    }
}

/// The plugin is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop;

/// Where news waits for one plugin.
#[derive(Default)]
pub struct Mailbox {
    inbox: Mutex<Inbox>,
    changed: Condvar,
    stop: Arc<AtomicBool>,
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
    timers: BTreeSet<(Instant, Token)>,
    /// Whose turn it is, so that no kind of news can keep the others waiting.
    turn: usize,
}

/// Takes news of one kind, if there is any.
type Take = fn(&mut Inbox, Instant) -> Option<News>;

const KINDS: [Take; 6] = [
    |inbox, _| (!inbox.events.is_empty()).then(|| News::Events(std::mem::take(&mut inbox.events))),
    |inbox, _| inbox.items.pop_front().map(News::Item),
    |inbox, _| inbox.locked.take().map(News::Locked),
    |inbox, _| inbox.selections.pop_first().map(|(selection, content)| News::Clipboard(selection, content)),
    |inbox, _| std::mem::take(&mut inbox.windows).then_some(News::Windows),
    |inbox, now| {
        let due = inbox.timers.first().is_some_and(|(at, _)| *at <= now);
        if due { inbox.timers.pop_first().map(|(_, timer)| News::Timer(timer)) } else { None }
    },
];

impl Mailbox {
    /// Adds events, which concern the plugin whatever its incarnation.
    pub fn post(&self, events: Events) {
        self.lock().events |= events;
        self.changed.notify_one();
    }

    /// Tells the plugin to end, and whatever call it is in to stop.
    pub fn stop(&self) {
        let guard = self.lock();
        self.stop.store(true, Ordering::Relaxed);
        drop(guard);
        self.changed.notify_all();
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
        let mut inbox = self.lock();
        let (incarnation, events) = (inbox.incarnation + 1, inbox.events);
        *inbox = Inbox { incarnation, events, ..Inbox::default() };
        incarnation
    }

    /// Waits for news and takes it, not before a time; none when `until` has come before any.
    ///
    /// # Errors
    /// [`Stop`], however much news there is.
    pub fn take(&self, not_before: Instant, until: Option<Instant>) -> Result<Option<News>, Stop> {
        self.wait(|inbox, now| {
            let early = now < not_before;
            if !early && let Some(news) = inbox.take(now) {
                return ControlFlow::Break(Some(news));
            }
            if until.is_some_and(|until| until <= now) {
                return ControlFlow::Break(None);
            }
            let next = if early { Some(not_before) } else { inbox.timers.first().map(|(at, _)| *at) };
            ControlFlow::Continue(next.into_iter().chain(until).min())
        })
    }

    /// Waits until a time. News waits meanwhile.
    ///
    /// # Errors
    /// [`Stop`], when that was ordered before.
    pub fn pause(&self, until: Instant) -> Result<(), Stop> {
        self.wait(
            |_, now| if until <= now { ControlFlow::Break(()) } else { ControlFlow::Continue(Some(until)) },
        )
    }

    /// Waits until `look` finds something: it looks whenever something changed, and at the time that it
    /// last named.
    fn wait<T>(
        &self,
        mut look: impl FnMut(&mut Inbox, Instant) -> ControlFlow<T, Option<Instant>>,
    ) -> Result<T, Stop> {
        let mut inbox = self.lock();
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Stop);
            }
            let now = Instant::now();
            let next = match look(&mut inbox, now) {
                ControlFlow::Break(found) => return Ok(found),
                ControlFlow::Continue(next) => next,
            };
            inbox = match next.map(|at| at.saturating_duration_since(now)) {
                None => self.changed.wait(inbox).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(inbox, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut inbox = self.mailbox.lock();
        if inbox.incarnation == self.incarnation {
            change(&mut inbox);
            drop(inbox);
            self.mailbox.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(mailbox: &Mailbox) -> String {
        format!("{:?}", mailbox.take(Instant::now(), None).expect("not stopped").expect("waited for"))
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
    fn who_is_to_rest_gets_all_events_at_once_when_it_has() {
        let mailbox = Arc::new(Mailbox::default());
        let rested = Instant::now() + Duration::from_millis(20);
        mailbox.post(Events::RESTORED);
        let poster = std::thread::spawn({
            let mailbox = mailbox.clone();
            move || mailbox.post(Events::DISPLAY_CHANGE)
        });

        let news = mailbox.take(rested, None).expect("not stopped").expect("news");

        assert!(Instant::now() >= rested);
        assert!(poster.join().is_ok());
        let both = Events::DISPLAY_CHANGE | Events::RESTORED;
        assert!(matches!(news, News::Events(events) if events == both), "{news:?}");
    }

    #[test]
    fn who_waits_for_a_time_gets_nothing_then() {
        let mailbox = Arc::new(Mailbox::default());
        let poster = mailbox.begin();
        let until = Instant::now() + Duration::from_millis(5);
        poster.set_timer(until + Duration::from_secs(60), 1);

        assert!(matches!(mailbox.take(Instant::now(), Some(until)), Ok(None)));
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

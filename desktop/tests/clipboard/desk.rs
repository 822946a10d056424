//! Our side: a clipboard on a server of its own, and what its listener was told.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bellhop_desktop::clipboard::{Listener, ReadId, WantedId};
use bellhop_desktop::x11::X11Clipboards;
use bellhop_desktop::{Clipboard, Clipboards as _, Content, Error, Selection};
use bellhop_xserver::XServer;
use libtest_mimic::Failed;

/// How long anything may take that is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Enough for everything that is read in a test.
pub const LIMIT: usize = 128 * 1024 * 1024;

/// What a listener is told.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    Changed(Selection, Content),
    Read(ReadId, Result<Vec<u8>, Error>),
    Wanted(WantedId, Selection, String),
    Locked(bool),
}

/// Keeps what it is told, in order.
#[derive(Default)]
pub struct Ear {
    heard: Mutex<VecDeque<News>>,
    more: Condvar,
    thread: Mutex<Option<nix::unistd::Pid>>,
}

impl Ear {
    fn heard(&self) -> MutexGuard<'_, VecDeque<News>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, news: News) {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(nix::unistd::gettid());
        self.heard().push_back(news);
        self.more.notify_all();
    }

    /// The thread that told the last news.
    pub fn thread(&self) -> Option<nix::unistd::Pid> {
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was told so far and not asked for.
    pub fn rest(&self) -> Vec<News> {
        self.heard().drain(..).collect()
    }

    /// Waits for news of a kind, and takes it; others stay.
    fn wait<T>(&self, what: &str, pick: impl Fn(&News) -> Option<T>) -> Result<T, Failed> {
        let until = Instant::now() + PATIENCE;
        let mut heard = self.heard();
        loop {
            let found = heard.iter().enumerate().find_map(|(at, news)| Some((at, pick(news)?)));
            if let Some((at, picked)) = found {
                heard.remove(at);
                return Ok(picked);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("never told {what}; told: {heard:?}").into());
            }
            heard = self.more.wait_timeout(heard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

struct Mouth(Arc<Ear>);

impl Listener for Mouth {
    fn changed(&self, selection: Selection, content: Content) {
        self.0.hear(News::Changed(selection, content));
    }

    fn read(&self, read: ReadId, outcome: Result<Vec<u8>, Error>) {
        self.0.hear(News::Read(read, outcome));
    }

    fn wanted(&self, wanted: WantedId, selection: Selection, format: &str) {
        self.0.hear(News::Wanted(wanted, selection, format.to_owned()));
    }

    fn locked(&self, locked: bool) {
        self.0.hear(News::Locked(locked));
    }
}

/// A server, and our clipboard on it.
pub struct Desk {
    pub clipboard: Box<dyn Clipboard>,
    pub ear: Arc<Ear>,
    pub server: XServer,
}

impl Desk {
    pub fn start() -> Result<Self, Failed> {
        Self::on(XServer::virtual_framebuffer(64, 64)?)
    }

    pub fn on(server: XServer) -> Result<Self, Failed> {
        let (clipboard, ear) = open(server.display())?;
        Ok(Self { clipboard, ear, server })
    }

    pub fn display(&self) -> &str {
        self.server.display()
    }

    /// The next that is told of a selection.
    pub fn changed(&self, selection: Selection) -> Result<Content, Failed> {
        self.ear.wait(&format!("of a change of {selection:?}"), |news| match news {
            News::Changed(of, content) if *of == selection => Some(content.clone()),
            _ => None,
        })
    }

    /// Waits until a selection is told to hold this.
    pub fn becomes(&self, selection: Selection, content: &Content) -> Result<(), Failed> {
        while self.changed(selection)? != *content {}
        Ok(())
    }

    /// How a read ends.
    pub fn ended(&self, read: ReadId) -> Result<Result<Vec<u8>, Error>, Failed> {
        self.ear.wait(&format!("the end of read {read}"), |news| match news {
            News::Read(id, outcome) if *id == read => Some(outcome.clone()),
            _ => None,
        })
    }

    /// Reads the clipboard, to the end.
    pub fn read(&self, format: &str) -> Result<Result<Vec<u8>, Error>, Failed> {
        self.ended(self.clipboard.read(Selection::Clipboard, format, LIMIT))
    }

    /// Waits until somebody wants something.
    pub fn wanted(&self) -> Result<(WantedId, Selection, String), Failed> {
        self.ear.wait("that something is wanted", |news| match news {
            News::Wanted(id, selection, format) => Some((*id, *selection, format.clone())),
            _ => None,
        })
    }

    pub fn locked(&self) -> Result<bool, Failed> {
        self.ear.wait("whether the screen is locked", |news| match news {
            News::Locked(locked) => Some(*locked),
            _ => None,
        })
    }

    /// Offers these formats, and waits until they are.
    pub fn offer(&self, formats: &[&str]) -> Result<(), Failed> {
        self.clipboard.watch(Selection::Clipboard, true);
        self.clipboard.offer(Selection::Clipboard, &strings(formats));
        self.becomes(Selection::Clipboard, &Content::Ours)
    }

    /// Answers the next who wants something.
    pub fn serve(&self, content: &[u8]) -> Result<(), Failed> {
        let (wanted, _, _) = self.wanted()?;
        self.clipboard.answer(wanted, Some(content.to_vec()));
        Ok(())
    }
}

/// Our clipboard on a display.
pub fn open(display: &str) -> Result<(Box<dyn Clipboard>, Arc<Ear>), Failed> {
    let ear = Arc::new(Ear::default());
    let clipboard = X11Clipboards::new(Some(display)).open(Box::new(Mouth(Arc::clone(&ear))))?;
    Ok((clipboard, ear))
}

pub fn theirs(formats: &[&str]) -> Content {
    Content::Theirs(strings(formats))
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Bytes of which no two parts look the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(byte).take(length).collect()
}

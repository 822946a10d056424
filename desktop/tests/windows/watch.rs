//! A watch, and waiting for what it brings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bellhop_desktop::windows::Kind;
use bellhop_desktop::x11::X11Windows;
use bellhop_desktop::{Area, View, Windows};
use bellhop_xserver::XServer;
use libtest_mimic::Failed;

use crate::look::seen;
use crate::{PATIENCE, eventually, wrong};

/// An X server whose screen is 1024 by 768 pixels.
pub fn server() -> Result<XServer, Failed> {
    Ok(XServer::virtual_framebuffer(1024, 768)?)
}

pub fn watched() -> Result<(XServer, Watch), Failed> {
    let server = server()?;
    let watch = Watch::begin(X11Windows::new(Some(server.display())))?;
    Ok((server, watch))
}

/// A watch, and what came of it.
pub struct Watch {
    // Ends before the news do that it brings.
    _guard: Box<dyn Send>,
    pub desktop: X11Windows,
    news: Arc<News>,
}

/// How often something was told, and by which thread.
#[derive(Default)]
pub struct News {
    told: AtomicU64,
    thread: Mutex<Option<i32>>,
}

impl News {
    pub fn hear(self: &Arc<Self>) -> Box<dyn Fn() + Send + Sync> {
        let news = Arc::clone(self);
        Box::new(move || {
            *news.thread.lock().expect("not poisoned") = Some(nix::unistd::gettid().as_raw());
            news.told.fetch_add(1, Ordering::SeqCst);
        })
    }

    pub fn told(&self) -> u64 {
        self.told.load(Ordering::SeqCst)
    }

    pub fn thread(&self) -> Option<i32> {
        *self.thread.lock().expect("not poisoned")
    }
}

impl Watch {
    pub fn begin(desktop: X11Windows) -> Result<Self, Failed> {
        let news = Arc::new(News::default());
        let guard = desktop.watch(news.hear())?;
        Ok(Self { _guard: guard, desktop, news })
    }

    pub fn told(&self) -> u64 {
        self.news.told()
    }

    pub fn thread(&self) -> i32 {
        self.news.thread().unwrap_or_default()
    }

    /// Waits for a view, looking again only when told to.
    pub fn until(&self, what: &str, fits: impl Fn(&View) -> bool) -> Result<View, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = self.told();
            let seen = self.desktop.look();
            if let Ok(view) = &seen
                && fits(view)
            {
                return Ok(view.clone());
            }
            while self.told() == told {
                if Instant::now() > deadline {
                    return Err(wrong(seen, what));
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Waits until the view is what `xwininfo` sees.
    pub fn agrees(&self, server: &XServer) -> Result<View, Failed> {
        let mut last = String::new();
        let agreed = eventually("the view of xwininfo", || {
            let seen = seen(server)?;
            let view = self.desktop.look()?;
            last = format!("{:?}, expected {seen:?}", areas(&view));
            Ok((areas(&view) == seen).then_some(view))
        });
        agreed.map_err(|_| format!("found {last}").into())
    }
}

pub fn areas(view: &View) -> Vec<(u64, Area)> {
    view.windows.iter().map(|window| (window.id, window.area)).collect()
}

pub fn ids(view: &View) -> Vec<u64> {
    view.windows.iter().map(|window| window.id).collect()
}

pub fn kinds(view: &View) -> Vec<Kind> {
    view.windows.iter().map(|window| window.kind).collect()
}

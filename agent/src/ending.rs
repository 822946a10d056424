//! The end of the agent that a plugin's failure brings about: `on-failure = "exit"`.

use std::sync::Mutex;

use crate::sync::lock;

/// Where a plugin says that the agent is to end, and who ends it hears of it.
#[derive(Default)]
pub struct Ending(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    reason: Option<String>,
    tell: Option<Box<dyn FnOnce() + Send>>,
}

impl Ending {
    /// The agent is to end. The first reason counts.
    pub fn demand(&self, reason: String) {
        let mut heard = lock(&self.0);
        heard.reason.get_or_insert(reason);
        let tell = heard.tell.take();
        drop(heard);
        if let Some(tell) = tell {
            tell();
        }
    }

    /// Has `tell` called once when the agent is to end: at once, if that was said already.
    pub fn on_demand(&self, tell: impl FnOnce() + Send + 'static) {
        let mut heard = lock(&self.0);
        if heard.reason.is_none() {
            heard.tell = Some(Box::new(tell));
            return;
        }
        drop(heard);
        tell();
    }

    /// Why the agent is to end, if it is.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        lock(&self.0).reason.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn who_ends_the_agent_hears_of_it_once_whenever_they_ask() {
        for early in [true, false] {
            let (ending, told) = (Ending::default(), Arc::new(AtomicUsize::new(0)));
            let tell = {
                let told = told.clone();
                move || {
                    told.fetch_add(1, Ordering::Relaxed);
                }
            };

            if early {
                ending.on_demand(tell);
                ending.demand("first".to_owned());
                ending.demand("second".to_owned());
            } else {
                ending.demand("first".to_owned());
                ending.on_demand(tell);
            }

            assert_eq!(told.load(Ordering::Relaxed), 1);
            assert_eq!(ending.reason().as_deref(), Some("first"));
        }
    }
}

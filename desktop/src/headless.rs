//! A desktop that nobody sees: it checks a layout as any desktop does, and writes it down.
//!
//! For servers, where the host's wishes have nobody to show them to, and for tests.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clipboard::Listener;
use crate::layout::{Limits, Resolved, resolve};
use crate::{Area, Clipboard, Clipboards, Error, Outcome, Output, Outputs, Placement, View, Windows};

/// The limits of an X server, so that what works here works there.
const LIMITS: Limits = Limits { min: (1, 1), max: (32767, 32767) };

/// A desktop with outputs `HEADLESS0` and up. At the start the first is on, with 1024x768 pixels, and
/// is the primary one.
#[derive(Debug)]
pub struct Headless {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    outputs: Vec<Output>,
    layouts_applied: u64,
}

impl Headless {
    /// A desktop with this many outputs, at least one.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let first = Area { x: 0, y: 0, width: 1024, height: 768 };
        let output = |number| Output {
            name: format!("HEADLESS{number}"),
            area: (number == 0).then_some(first),
            primary: number == 0,
        };
        let outputs = (0..count.max(1)).map(output).collect();
        Self { state: Mutex::new(State { outputs, layouts_applied: 0 }) }
    }

    /// How many layouts were accepted, with those that changed nothing.
    #[must_use]
    pub fn layouts_applied(&self) -> u64 {
        self.state().layouts_applied
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked while holding it left it whole: it changes by whole assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outputs for Headless {
    fn describe(&self) -> String {
        let count = self.state().outputs.len();
        format!("headless, {count} outputs that nobody sees")
    }

    fn enumerate(&self) -> Result<Vec<Output>, Error> {
        Ok(self.state().outputs.clone())
    }

    fn apply(&self, layout: &[Placement]) -> Result<Outcome, Error> {
        let mut state = self.state();
        let Resolved { outputs, width, height } = resolve(&state.outputs, layout, LIMITS)?;
        let changed = outputs != state.outputs;
        state.outputs.clone_from(&outputs);
        state.layouts_applied += 1;
        Ok(Outcome { changed, width, height, outputs })
    }
}

impl Windows for Headless {
    fn describe(&self) -> String {
        "headless, without windows".to_owned()
    }

    fn look(&self) -> Result<View, Error> {
        Err(nobody("windows"))
    }

    fn watch(&self, _: Box<dyn Fn() + Send + Sync>) -> Result<Box<dyn Send>, Error> {
        Err(nobody("windows"))
    }
}

impl Clipboards for Headless {
    fn describe(&self) -> String {
        "headless, without a clipboard".to_owned()
    }

    fn open(&self, _: Box<dyn Listener>) -> Result<Box<dyn Clipboard>, Error> {
        Err(nobody("a clipboard"))
    }
}

fn nobody(what: &str) -> Error {
    Error::NotSupported(format!("A headless desktop has nobody who would have {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: &str, width: u32, height: u32) -> Placement {
        let area = Some(Area { x: 0, y: 0, width, height });
        Placement { name: name.into(), area, primary: false }
    }

    #[test]
    fn a_layout_is_kept_and_the_second_time_changes_nothing() {
        let desktop = Headless::new(2);
        let layout = [place("HEADLESS0", 1366, 777)];

        let first = desktop.apply(&layout).expect("accepted");
        let second = desktop.apply(&layout).expect("accepted");

        assert_eq!((first.changed, first.width, first.height), (true, 1366, 777));
        assert_eq!(second, Outcome { changed: false, ..first.clone() });
        assert_eq!(desktop.enumerate().expect("here"), first.outputs);
        assert_eq!(desktop.layouts_applied(), 2);
    }

    #[test]
    fn a_refused_layout_leaves_no_trace() {
        let desktop = Headless::new(2);
        let before = desktop.enumerate().expect("here");

        let refused = desktop.apply(&[place("HEADLESS0", 10, 10), place("HEADLESS7", 10, 10)]);

        assert!(matches!(refused, Err(Error::Invalid(_))));
        assert_eq!(desktop.enumerate().expect("here"), before);
        assert_eq!(desktop.layouts_applied(), 0);
    }

    #[test]
    fn nobody_sees_windows() {
        let desktop = Headless::new(1);

        assert!(matches!(desktop.look(), Err(Error::NotSupported(_))));
        assert!(matches!(desktop.watch(Box::new(|| ())).map(|_| ()), Err(Error::NotSupported(_))));
    }
}

//! What agents have compiled in their guests, for the guests that come later.
//!
//! Compiled code is good for the agent that made it and for processors like the one it was made on. All
//! machines of a run have both in common, so that one needs to compile, which takes an emulated processor
//! many seconds. Nothing is kept for another run. An agent that finds the code to be of no use compiles
//! anew, as it does with whatever it finds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Where an agent keeps what it compiled.
pub const CACHE: &str = "/var/cache/bellhop";

/// The components that were compiled in this run, by their content.
#[derive(Debug, Default)]
pub struct Compiled(Mutex<BTreeMap<Vec<u8>, Arc<Code>>>);

/// The code of one component.
#[derive(Debug)]
pub struct Code {
    /// The file in [`CACHE`] that the agent made.
    pub file: String,
    /// What is in it.
    pub content: Vec<u8>,
}

impl Compiled {
    /// What a component was compiled to, if it was.
    pub fn of(&self, component: &[u8]) -> Option<Arc<Code>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(component).cloned()
    }

    /// Keeps what a component was compiled to.
    pub fn keep(&self, component: Vec<u8>, code: Code) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(component, Arc::new(code));
    }
}

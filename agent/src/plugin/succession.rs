//! How one plugin takes the place of another under the same name: made and initialised beside it, handed
//! what it knows, and only then put in its place. Whatever goes wrong until then, the old one stays.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use driver_core::wire::Capabilities;

use super::{Failure, Life};
use crate::config;
use crate::host::printable;
use crate::sandbox::{Fault, Instance, Program};

/// What is to take a plugin's place.
pub struct Successor {
    /// Its configuration.
    pub config: config::Plugin,
    /// Its component, admitted and linked.
    pub program: Program,
    /// Where it is said how that went. It is dropped when nobody will say.
    pub reply: mpsc::Sender<Result<(), String>>,
}

/// Why there is no successor.
enum Failed {
    /// For a reason of its own.
    Successor(String),
    /// The old instance faulted as it handed over.
    Predecessor(Fault),
}

impl Life {
    /// Puts a successor in the place of the instance that there is, if there is one. Gives the new instance
    /// back, or none when all stays as it was.
    ///
    /// # Errors
    /// The fault of the old instance, which is of no use any more.
    pub(super) fn replace(
        &mut self,
        mut old: Option<&mut Instance>,
        program: &mut Program,
        successor: Successor,
    ) -> Result<Option<Instance>, Fault> {
        let plugin = &*self.name.clone();
        let Successor { config, program: next, reply } = successor;
        let dispatcher = &self.surroundings.world.dispatcher;
        let (announced, awaited) = dispatcher.capabilities(plugin);
        let made = self.succeed(old.as_deref_mut(), &config, &next);
        let failed = match made {
            Ok(mut instance) => {
                if let Some(old) = old {
                    instance.host_mut().relieve(old.host_mut());
                }
                self.record.made_of(&config, next.sha256());
                self.record.succeeded();
                self.faults = Default::default();
                (self.config, *program) = (config, next);
                self.surroundings.world.board.enlist(&self.record, &self.mailbox, &self.config);
                let _ = reply.send(Ok(()));
                return Ok(Some(instance));
            }
            Err(failed) => failed,
        };
        self.mailbox.abandon_beside();
        dispatcher.announce(plugin, announced);
        self.withdraw_capabilities(Capabilities::all() - announced - awaited);
        match failed {
            Failed::Successor(reason) => {
                self.record.change(|state| state.attempt = None);
                if let Some(old) = old {
                    old.host_mut().resume();
                }
                let _ = reply.send(Err(reason));
                Ok(None)
            }
            Failed::Predecessor(fault) => {
                let _ = reply.send(Err(format!("The old one faulted as it handed over: {fault}")));
                Err(fault)
            }
        }
    }

    /// Makes a successor, up to where it is the one that is called for news.
    fn succeed(
        &self,
        old: Option<&mut Instance>,
        config: &config::Plugin,
        program: &Program,
    ) -> Result<Instance, Failed> {
        let state = match old {
            Some(old) if program.takes_over() => self.save(old, config)?,
            _ => None,
        };
        let begun = catch_unwind(AssertUnwindSafe(|| {
            let (mut instance, wants) = self.begin(config, program, self.mailbox.begin_beside())?;
            if let Some(state) = state {
                self.record.attempt("restore", Default::default());
                instance.restore(&state)?.map_err(|reason| {
                    Failure::Hopeless(format!("`restore` returned: {}", printable(reason)))
                })?;
            }
            self.settle_in(&mut instance, &wants)?;
            // What stopped the old one is not known to stop this one.
            self.mailbox.post(self.faults.missed);
            self.mailbox.succeed(wants.events);
            Ok(instance)
        }));
        let made = begun.unwrap_or_else(|panic| Err(Fault::of_panic(&*panic).into()));
        made.map_err(|failure: Failure| Failed::Successor(failure.to_string()))
    }

    /// What the old instance wants its successor to know, if it hands over.
    fn save(&self, old: &mut Instance, config: &config::Plugin) -> Result<Option<Vec<u8>>, Failed> {
        let largest = config.limits.hand_over;
        self.record.attempt("save", Default::default());
        match old.save(largest.0).map_err(Failed::Predecessor)? {
            None => Ok(None),
            Some(Ok(state)) if state.len() as u64 > largest.0 => Err(Failed::Successor(format!(
                "{} bytes that the old one hands over are more than the limit `hand-over`, which is {largest}",
                state.len()
            ))),
            Some(Ok(state)) => Ok(Some(state)),
            Some(Err(reason)) => Err(Failed::Successor(format!("`save` returned: {}", printable(reason)))),
        }
    }
}

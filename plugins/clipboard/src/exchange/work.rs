//! What is being converted: a slice of time each, one after the other, so that no call of the plugin
//! takes long and no large picture holds up a small text.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use bellhop_plugin::Token;

use super::{Agent, Exchange};
use crate::convert::{Convert, Error, Step};

/// How long one call of the plugin converts: a quarter of the processor time that it has by default.
const SLICE: Duration = Duration::from_millis(50);

/// Whom a conversion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// The host, by the number of its request.
    Host(u64),
    /// A program of the guest, by the agent's token.
    Guest(Token),
}

/// A conversion that is under way.
struct Job<B> {
    to: For,
    conversion: Box<dyn Convert>,
    target: Rc<B>,
}

/// What is being converted.
pub(super) struct Work<B> {
    jobs: VecDeque<Job<B>>,
    /// Goes on with it.
    pub timer: Option<Token>,
}

impl<B> Default for Work<B> {
    fn default() -> Self {
        Work { jobs: VecDeque::new(), timer: None }
    }
}

impl<B> Work<B> {
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Gives up what is converted for somebody.
    pub fn give_up(&mut self, to: For) {
        self.jobs.retain(|job| job.to != to);
    }
}

impl<A: Agent> Exchange<A> {
    /// Converts, for so long as a call of the plugin may take, and later the rest.
    pub(super) fn convert(&mut self, to: For, conversion: Box<dyn Convert>, target: Rc<A::Buffer>) {
        self.work.jobs.push_back(Job { to, conversion, target });
        // With others under way, its turn comes.
        if self.work.timer.is_none() {
            self.work_on();
        }
    }

    /// Converts for one slice.
    pub(super) fn work_on(&mut self) {
        let until = self.agent.now() + SLICE;
        while let Some(mut job) = self.work.jobs.pop_front() {
            match job.conversion.step() {
                Ok(Step::More) if self.agent.now() < until => self.work.jobs.push_front(job),
                Ok(Step::More) => {
                    self.work.jobs.push_back(job);
                    self.work.timer = self.set_timer(Duration::ZERO);
                    return;
                }
                Ok(Step::Done) => {
                    let Job { to, conversion, target } = job;
                    // It had a share in the target.
                    drop(conversion);
                    let content = Rc::into_inner(target).ok_or_else(|| {
                        Error::Buffer(bellhop_plugin::Error::Other("The buffer is still in use".into()))
                    });
                    self.converted(to, content);
                }
                Err(error) => self.converted(job.to, Err(error)),
            }
        }
    }

    fn converted(&mut self, to: For, content: Result<A::Buffer, Error>) {
        match to {
            For::Host(request) => self.converted_for_host(request, content),
            For::Guest(wanted) => self.converted_for_guest(wanted, content),
        }
    }
}

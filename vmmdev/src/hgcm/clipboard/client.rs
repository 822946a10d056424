//! One client of the clipboard: its messages, and its call that waits for one.

use std::collections::VecDeque;

use driver_core::wire::Status;
use driver_core::wire::shared_clipboard::{Function, GuestFeatures, Message as Id};

use super::message::Message;
use crate::hgcm::{Answers, Call, CallId, Parameter};

/// How many messages wait at most.
const MOST_MESSAGES: usize = 64;
/// The largest piece of data that the host takes, and the one it likes best, in bytes.
const LARGEST_CHUNK: u32 = (128 << 20) - 4096;
const USUAL_CHUNK: u32 = 64 << 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) features: GuestFeatures,
    messages: VecDeque<Message>,
    /// The guest knows of the first one, and will fetch it.
    shown: bool,
    waiting: Option<Waiting>,
}

/// A call that waits for a message.
#[derive(Debug)]
struct Waiting {
    call: Call,
    /// The guest does not hear its answer. It goes on to wait all the same, until the guest ends that by
    /// the service's own function or there is a message: so it is in VirtualBox.
    cancelled: bool,
}

impl Client {
    /// Whether the guest answers with contexts.
    pub(super) fn knows_contexts(&self) -> bool {
        self.features.contains(GuestFeatures::CONTEXT_IDS)
    }

    /// Says something to the client, in place of what was said of the same and not heard. `false` when
    /// too much was not heard.
    pub(super) fn tell(&mut self, message: Message, answers: &mut Answers) -> bool {
        let outdated =
            |old: &&mut Message| matches!((old, message), (Message::Formats(_), Message::Formats(_)));
        if let Some(old) = self.messages.iter_mut().find(outdated) {
            *old = message;
            return true;
        }
        if self.messages.len() >= MOST_MESSAGES {
            return false;
        }
        self.messages.push_back(message);
        if let Some(waiting) = self.waiting.take()
            && !waiting.cancelled
        {
            self.answer(waiting.call, answers);
        }
        true
    }

    /// Takes a message back that the guest does not know of yet.
    pub(super) fn untell(&mut self, message: Message) {
        let known = usize::from(self.shown);
        if let Some(at) = self.messages.iter().skip(known).position(|other| *other == message) {
            self.messages.remove(known + at);
        }
    }

    /// Answers a call that waits, with the first message.
    fn answer(&mut self, mut call: Call, answers: &mut Answers) {
        let Some(first) = self.messages.front().copied() else {
            self.waiting = Some(Waiting { call, cancelled: false });
            return;
        };
        if Function(call.function) == Function::MESSAGE_OLD_GET_WAIT {
            first.show_old(&mut call);
            self.forget_first();
        } else {
            first.show(&mut call);
            self.shown = true;
        }
        answers.give(call, Status::SUCCESS);
    }

    fn forget_first(&mut self) {
        self.messages.pop_front();
        self.shown = false;
    }

    /// Functions 8 and 9: which message is there.
    pub(super) fn peek(&mut self, mut call: Call, session: u64, answers: &mut Answers) {
        if call.len() < 2 {
            return answers.give(call, Status::WRONG_PARAMETER_COUNT);
        }
        let known = call.u64(0);
        let numbers = call.parameters().iter().skip(known.is_some().into());
        if numbers.clone().any(|parameter| !matches!(parameter, Parameter::U32(_))) {
            return answers.give(call, Status::WRONG_PARAMETER_TYPE);
        }
        for index in 0..call.len() {
            call.set(index, 0);
        }
        if known.is_some_and(|known| known != 0 && known != session) {
            call.set(0, session);
            return answers.give(call, Status::VM_RESTORED);
        }
        if self.messages.is_empty() && Function(call.function) == Function::MESSAGE_PEEK_NO_WAIT {
            return answers.give(call, Status::TRY_AGAIN);
        }
        self.wait(call, answers);
    }

    /// Function 1: the message itself, as long as those were all of one shape.
    pub(super) fn old_wait(&mut self, mut call: Call, answers: &mut Answers) {
        if call.len() != 2 {
            return answers.give(call, Status::WRONG_PARAMETER_COUNT);
        }
        if call.u32(0).is_none() || call.u32(1).is_none() {
            return answers.give(call, Status::WRONG_PARAMETER_TYPE);
        }
        call.set(0, 0);
        call.set(1, 0);
        self.wait(call, answers);
    }

    fn wait(&mut self, call: Call, answers: &mut Answers) {
        if self.messages.is_empty() && self.waiting.is_some() {
            return answers.give(call, Status::RESOURCE_BUSY);
        }
        self.answer(call, answers);
    }

    /// Function 10: the message, which is gone then.
    pub(super) fn get(&mut self, mut call: Call, answers: &mut Answers) {
        let outcome = match self.messages.front() {
            Some(message) => message.hand_over(&mut call),
            None => {
                call.set(0, 0);
                call.set(1, 0);
                Err(Status::TRY_AGAIN)
            }
        };
        if outcome.is_ok() {
            self.forget_first();
        }
        answers.give(call, outcome.map_or_else(|refused| refused, |()| Status::SUCCESS));
    }

    /// The guest does not hear the answer to a call any more.
    pub(super) fn cancelled(&mut self, id: CallId) {
        if let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.call.id == id) {
            waiting.cancelled = true;
        }
    }

    /// Ends the wait of a call, if there is any.
    pub(super) fn cancel(&mut self, answers: &mut Answers) -> bool {
        self.end_wait(Id::CANCELED, Status::INFO_TRY_AGAIN, answers)
    }

    /// The connection ends.
    pub(super) fn quit(&mut self, answers: &mut Answers) {
        self.end_wait(Id::QUIT, Status::SUCCESS, answers);
    }

    fn end_wait(&mut self, id: Id, status: Status, answers: &mut Answers) -> bool {
        let Some(Waiting { mut call, .. }) = self.waiting.take() else { return false };
        call.set(0, id.0.into());
        call.set(1, 0);
        let old = Function(call.function) == Function::MESSAGE_OLD_GET_WAIT;
        answers.give(call, if old { Status::SUCCESS } else { status });
        true
    }

    /// The machine came back from a saved state: a call that named the session is answered.
    pub(super) fn restored(&mut self, session: u64, answers: &mut Answers) {
        let names_it = |waiting: &mut Waiting| waiting.call.u64(0).is_some();
        if let Some(Waiting { mut call, .. }) = self.waiting.take_if(names_it) {
            call.set(0, session);
            answers.give(call, Status::VM_RESTORED);
        }
    }

    /// Function 28: how large pieces of data are.
    pub(super) fn negotiate(call: &mut Call) -> Result<(), Status> {
        if call.len() != 2 {
            return Err(Status::WRONG_PARAMETER_COUNT);
        }
        let (Some(largest), Some(preferred)) = (call.u32(0), call.u32(1)) else {
            return Err(Status::WRONG_PARAMETER_TYPE);
        };
        let most = if preferred == 0 { u32::MAX } else { largest };
        call.set(0, most.min(LARGEST_CHUNK).into());
        call.set(1, most.min(USUAL_CHUNK).into());
        Ok(())
    }
}

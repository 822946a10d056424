//! The service of guest properties, `VBoxGuestPropSvc`: what guests call, and who waits for a change.

mod store;

use driver_core::wire::guest_property::{self as wire, Function};
use driver_core::wire::{Malformed, Status};

use super::{Answers, Call, CallId, Service};
pub(crate) use store::Store;
use store::Writer;
pub use store::{Property, PropertyChange};

/// The service, with the guest's calls that wait.
#[derive(Debug, Default)]
pub(crate) struct Properties {
    pub(crate) store: Store,
    waiters: Vec<Waiter>,
}

/// A call that waits for a change.
#[derive(Debug)]
struct Waiter {
    call: Call,
    patterns: String,
    /// What its answer is when it went well: a warning, when changes may have been missed.
    status: Status,
}

impl Service for Properties {
    fn connect(&mut self, _client: u32) {}

    fn call(&mut self, mut call: Call, _session: u64, answers: &mut Answers) {
        let outcome = match Function(call.function) {
            Function::GET => self.get(&mut call),
            Function::SET | Function::SET_VALUE => self.set(&call, answers),
            Function::DELETE => self.delete(&call, answers),
            Function::ENUMERATE => self.enumerate(&mut call),
            Function::GET_NOTIFICATION => return self.notify(call, answers),
            _ => Err(Status::NOT_IMPLEMENTED),
        };
        answers.give(call, outcome.map_or_else(|refused| refused, |()| Status::SUCCESS));
    }

    fn cancelled(&mut self, call: CallId) {
        self.waiters.retain(|waiter| waiter.call.id != call);
    }

    fn disconnect(&mut self, client: u32, answers: &mut Answers) {
        for waiter in self.waiters.extract_if(.., |waiter| waiter.call.client == client) {
            answers.give(waiter.call, Status::INTERRUPTED);
        }
    }

    fn reset(&mut self) {
        self.waiters.clear();
        self.store.reset();
    }

    fn restored(&mut self, _session: u64, answers: &mut Answers) {
        let counted = self.store.resumed();
        self.tell(&counted, answers);
    }
}

/// The status of a text that is too long; one that is no text at all is an invalid parameter.
fn too_long(malformed: Malformed) -> Status {
    match malformed {
        Malformed::TooLarge { .. } => Status::TOO_MUCH_DATA,
        _ => Status::INVALID_PARAMETER,
    }
}

fn sent(call: &Call, at: usize) -> Result<&[u8], Status> {
    call.buffer(at).map(|buffer| buffer.sent.as_slice()).ok_or(Status::INVALID_PARAMETER)
}

fn name(call: &Call) -> Result<&str, Status> {
    wire::parse_name(sent(call, 0)?).map_err(|_| Status::INVALID_PARAMETER)
}

fn patterns(call: &Call) -> Result<String, Status> {
    wire::parse_patterns(sent(call, 0)?).map_err(too_long)
}

/// Sends data when there is room for all of it, and in any case how much it is.
fn send(call: &mut Call, data_at: usize, size_at: usize, data: Vec<u8>) -> Result<(), Status> {
    call.set(size_at, data.len() as u64);
    if call.buffer(data_at).is_none_or(|buffer| (buffer.room as usize) < data.len()) {
        return Err(Status::BUFFER_OVERFLOW);
    }
    call.send(data_at, data);
    Ok(())
}

impl Properties {
    /// Changes a property, and answers who waited for that.
    fn change(
        &mut self,
        answers: &mut Answers,
        change: impl FnOnce(&mut Store) -> Result<Option<PropertyChange>, Status>,
    ) -> Result<(), Status> {
        if let Some(change) = change(&mut self.store)? {
            self.tell(&change, answers);
        }
        Ok(())
    }

    /// Sets a property for a person at the host.
    pub(crate) fn set_by_host(
        &mut self,
        name: &str,
        value: &str,
        flags: &str,
        answers: &mut Answers,
    ) -> Result<(), Status> {
        let terminated = |text: &str| [text.as_bytes(), &[0]].concat();
        wire::parse_name(&terminated(name)).map_err(|_| Status::INVALID_PARAMETER)?;
        wire::parse_new_value(&terminated(value)).map_err(too_long)?;
        let flags = flags.parse().map_err(|_| Status::PARSE_ERROR)?;
        self.change(answers, |store| store.set(Writer::Host, name, value, flags))
    }

    /// Deletes a property for a person at the host.
    pub(crate) fn delete_by_host(&mut self, name: &str, answers: &mut Answers) -> Result<(), Status> {
        self.change(answers, |store| store.delete(Writer::Host, name))
    }

    fn get(&mut self, call: &mut Call) -> Result<(), Status> {
        let shape =
            call.len() == 4 && call.buffer(1).is_some() && call.u64(2).is_some() && call.u32(3).is_some();
        if !shape {
            return Err(Status::INVALID_PARAMETER);
        }
        let property = self.store.get(name(call)?).ok_or(Status::NOT_FOUND)?;
        let (data, timestamp) = (wire::pack_value(&property.value, property.flags), property.timestamp);
        send(call, 1, 3, data)?;
        call.set(2, timestamp);
        Ok(())
    }

    fn set(&mut self, call: &Call, answers: &mut Answers) -> Result<(), Status> {
        if !matches!(call.len(), 2 | 3) {
            return Err(Status::INVALID_PARAMETER);
        }
        let name = name(call)?;
        let value = wire::parse_new_value(sent(call, 1)?).map_err(too_long)?;
        let flags = match call.len() {
            2 => wire::Flags::empty(),
            _ => {
                let flags = wire::parse_new_flags(sent(call, 2)?);
                flags.map_err(|_| Status::INVALID_PARAMETER)?.ok_or(Status::PARSE_ERROR)?
            }
        };
        self.change(answers, |store| store.set(Writer::Guest, name, value, flags))
    }

    fn delete(&mut self, call: &Call, answers: &mut Answers) -> Result<(), Status> {
        if call.len() != 1 {
            return Err(Status::INVALID_PARAMETER);
        }
        let name = name(call)?;
        self.change(answers, |store| store.delete(Writer::Guest, name))
    }

    fn enumerate(&mut self, call: &mut Call) -> Result<(), Status> {
        if call.len() != 3 || call.buffer(1).is_none() || call.u32(2).is_none() {
            return Err(Status::INVALID_PARAMETER);
        }
        let found = self.store.list(&patterns(call)?);
        let listed = found.iter().map(|property| {
            (property.name.as_str(), property.value.as_str(), property.timestamp, property.flags)
        });
        let data = wire::pack_list(listed);
        send(call, 1, 2, data)
    }

    /// Answers with a change after a time that the guest names, or keeps the call until there is one.
    fn notify(&mut self, mut call: Call, answers: &mut Answers) {
        let shape = call.len() == 4 && call.buffer(2).is_some() && call.u32(3).is_some();
        let arguments = match call.u64(1) {
            Some(since) if shape => patterns(&call).map(|patterns| (patterns, since)),
            _ => Err(Status::INVALID_PARAMETER),
        };
        let (patterns, since) = match arguments {
            Ok(arguments) => arguments,
            Err(refused) => return answers.give(call, refused),
        };
        let (remembered, change) = match since {
            0 => (true, None),
            since => self.store.change_since(since, &patterns),
        };
        let status = if remembered { Status::SUCCESS } else { Status::WARN_NOT_FOUND };
        if let Some(change) = change {
            let written = write_change(&mut call, change);
            return answers.give(call, written.map_or_else(|refused| refused, |()| status));
        }
        // Who asks again gave up the earlier call.
        let same = |waiter: &mut Waiter| waiter.call.client == call.client && waiter.patterns == patterns;
        for waiter in self.waiters.extract_if(.., same) {
            answers.give(waiter.call, Status::INTERRUPTED);
        }
        let waiting = self.waiters.iter().filter(|waiter| waiter.call.client == call.client).count();
        if waiting >= wire::MOST_WAITS {
            return answers.give(call, Status::OUT_OF_RESOURCES);
        }
        self.waiters.push(Waiter { call, patterns, status });
    }

    /// Answers the calls that waited for a change like this.
    fn tell(&mut self, change: &PropertyChange, answers: &mut Answers) {
        let wanted = |waiter: &mut Waiter| wire::matches(&waiter.patterns, &change.name);
        for mut waiter in self.waiters.extract_if(.., wanted) {
            let written = write_change(&mut waiter.call, change);
            answers.give(waiter.call, written.map_or_else(|refused| refused, |()| waiter.status));
        }
    }
}

/// Puts a change into the answer to function 6.
fn write_change(call: &mut Call, change: &PropertyChange) -> Result<(), Status> {
    call.set(1, change.timestamp);
    let data = wire::pack_change(&change.name, change.value.as_deref(), change.flags);
    send(call, 2, 3, data)
}

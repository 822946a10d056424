//! A call as a service sees it: a function, and parameters that were copied out of guest memory.

use std::sync::Arc;

use driver_core::wire::Status;

/// How many bytes more than there is room for a host claims that errs.
const EXAGGERATION: u32 = 4096;

/// Names a call; no two of a device have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CallId(pub(super) u64);

/// A call. Whoever has it may answer it, once: by [`Answers::give`].
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    /// Whose call it is.
    pub(crate) client: u32,
    pub(crate) function: u32,
    pub(super) parameters: Vec<Parameter>,
}

/// A parameter, and what has become of it.
#[derive(Debug)]
pub(crate) enum Parameter {
    /// A value in both directions.
    U32(u32),
    /// A value in both directions.
    U64(u64),
    /// Bytes, in the directions that the guest allows.
    Buffer(Buffer),
}

/// The bytes of a parameter.
#[derive(Debug)]
pub(crate) struct Buffer {
    /// What the guest sent; nothing when it only offers room.
    pub(crate) sent: Vec<u8>,
    /// The size that the guest gave, in bytes.
    pub(crate) room: u32,
    /// The size that the guest is told in its place.
    pub(super) told: u32,
    /// What the guest is sent, as far as there is room; shared, because it may be large.
    pub(super) answer: Option<Arc<Vec<u8>>>,
}

impl Call {
    /// How many parameters there are.
    pub(crate) fn len(&self) -> usize {
        self.parameters.len()
    }

    /// The kinds of all parameters, to be matched against what a function takes.
    pub(crate) fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// A 32-bit value, when that is what stands at this place.
    pub(crate) fn u32(&self, at: usize) -> Option<u32> {
        match self.parameters.get(at) {
            Some(Parameter::U32(value)) => Some(*value),
            _ => None,
        }
    }

    /// A 64-bit value, when that is what stands at this place.
    pub(crate) fn u64(&self, at: usize) -> Option<u64> {
        match self.parameters.get(at) {
            Some(Parameter::U64(value)) => Some(*value),
            _ => None,
        }
    }

    /// A buffer, when that is what stands at this place.
    pub(crate) fn buffer(&self, at: usize) -> Option<&Buffer> {
        match self.parameters.get(at) {
            Some(Parameter::Buffer(buffer)) => Some(buffer),
            _ => None,
        }
    }

    /// Takes what the guest sent in a buffer.
    pub(crate) fn take_sent(&mut self, at: usize) -> Option<Vec<u8>> {
        match self.parameters.get_mut(at) {
            Some(Parameter::Buffer(buffer)) => Some(std::mem::take(&mut buffer.sent)),
            _ => None,
        }
    }

    /// Changes a value of either width; one that is too large for its place is cut.
    pub(crate) fn set(&mut self, at: usize, new: u64) {
        match self.parameters.get_mut(at) {
            Some(Parameter::U32(value)) => *value = new as u32,
            Some(Parameter::U64(value)) => *value = new,
            _ => {}
        }
    }

    /// Sends bytes in a buffer, whose size stays as the guest gave it.
    pub(crate) fn send(&mut self, at: usize, bytes: impl Into<Arc<Vec<u8>>>) {
        if let Some(Parameter::Buffer(buffer)) = self.parameters.get_mut(at) {
            buffer.answer = Some(bytes.into());
        }
    }

    /// Sends no zeros: a host's fault.
    pub(super) fn fill_zeros(&mut self) {
        for parameter in &mut self.parameters {
            if let Parameter::Buffer(Buffer { answer: Some(answer), .. }) = parameter {
                let filled = answer.iter().map(|byte| if *byte == 0 { b'x' } else { *byte });
                *answer = Arc::new(filled.collect());
            }
        }
    }

    /// Tells the guest of more bytes than it has room for: a host's fault.
    pub(super) fn exaggerate(&mut self) {
        for parameter in &mut self.parameters {
            if let Parameter::Buffer(buffer) = parameter {
                buffer.told = buffer.room.saturating_add(EXAGGERATION);
            }
        }
    }
}

/// The calls that services have answered and the guest has not heard of.
#[derive(Debug, Default)]
pub(crate) struct Answers(pub(super) Vec<(Call, Status)>);

impl Answers {
    /// Answers a call.
    pub(crate) fn give(&mut self, call: Call, status: Status) {
        self.0.push((call, status));
    }
}

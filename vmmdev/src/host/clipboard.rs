//! The shared clipboard at the host.

use std::collections::BTreeMap;
use std::time::Duration;

use driver_core::wire::Status;
use driver_core::wire::shared_clipboard::{Formats, Mode};
use serde::Serialize;

use super::{Host, TimedOut};
use crate::hgcm::Contents;

/// The most bytes of one format, which is what a guest can fetch at a time.
pub(crate) const LARGEST: usize = (128 << 20) - 4096;

/// The clipboard did not do what was wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClipboardError {
    /// The mode does not allow it.
    #[error("Clipboard is in mode {mode}, which does not go this way")]
    WrongWay {
        /// The mode.
        mode: Mode,
    },
    /// What was put is no single format, or the same twice.
    #[error("Formats of the clipboard are put one by one, found {found}")]
    NotOneFormat {
        /// What was put.
        found: Formats,
    },
    /// What was put is too large.
    #[error("A format of the clipboard has at most {LARGEST} bytes, found {found}")]
    TooLarge {
        /// How much was put, in bytes.
        found: usize,
    },
    /// There is no guest to be asked, or it has nothing in this format, or it said so itself.
    #[error("Guest has nothing in the clipboard as {format}: {status}")]
    Nothing {
        /// What was asked for.
        format: Formats,
        /// How it was said.
        status: Status,
    },
    /// The guest did not answer.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// What is known of the clipboard; contents are not among it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClipboardReport {
    /// Which way it may go.
    #[serde(serialize_with = "as_text")]
    pub mode: Mode,
    /// What the host has: how many bytes of each format, as they go over the wire.
    pub host: BTreeMap<String, usize>,
    /// What the guest reported last; `None` when it did not since something was copied at the host.
    #[serde(serialize_with = "formats_as_text")]
    pub guest: Option<Formats>,
}

fn as_text<S: serde::Serializer>(mode: &Mode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(mode)
}

fn formats_as_text<S: serde::Serializer>(
    formats: &Option<Formats>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match formats {
        Some(formats) => serializer.collect_str(formats),
        None => serializer.serialize_none(),
    }
}

impl Host {
    /// Which way the clipboard may go. VirtualBox begins with `off`, this host with both.
    pub fn clipboard_mode(&self, mode: Mode) {
        self.with_device(|device| device.hgcm.services.clipboard.set_mode(mode));
    }

    /// Copies something at the host, in one format or several, and announces it to the guest, which
    /// fetches it when somebody pastes. The bytes go over the wire as they are: the functions of
    /// [`content`](crate::content) make them. Nothing at all empties the clipboard.
    ///
    /// # Errors
    /// [`ClipboardError`]; then nothing was put.
    pub fn clipboard_put(
        &self,
        contents: impl IntoIterator<Item = (Formats, Vec<u8>)>,
    ) -> Result<(), ClipboardError> {
        let mut taken = Contents::new();
        for (format, bytes) in contents {
            if bytes.len() > LARGEST {
                return Err(ClipboardError::TooLarge { found: bytes.len() });
            }
            let one = format.bits().is_power_of_two();
            if !one || taken.insert(format.bits(), bytes.into()).is_some() {
                return Err(ClipboardError::NotOneFormat { found: format });
            }
        }
        self.with_device(|device| {
            let (services, answers) = device.hgcm.services();
            if !services.clipboard.to_guest() {
                return Err(ClipboardError::WrongWay { mode: services.clipboard.mode() });
            }
            services.clipboard.put(taken, answers);
            Ok(())
        })
    }

    /// Pastes at the host what the guest has in a format: asks the guest, and waits for its answer as
    /// long as `timeout`, for which VirtualBox takes 5 seconds. The bytes are as they came.
    ///
    /// # Errors
    /// [`ClipboardError`].
    pub fn clipboard_get(&self, format: Formats, timeout: Duration) -> Result<Vec<u8>, ClipboardError> {
        let nothing = |status| ClipboardError::Nothing { format, status };
        let event = self.with_device(|device| {
            let (services, answers) = device.hgcm.services();
            if !services.clipboard.to_host() {
                return Err(ClipboardError::WrongWay { mode: services.clipboard.mode() });
            }
            services.clipboard.ask(format, answers).map_err(nothing)
        })?;
        let answer = self.wait_acted(timeout, |device| device.hgcm.services.clipboard.answer(event));
        let answer = answer.inspect_err(|_| {
            self.with_device(|device| device.hgcm.services.clipboard.give_up(event));
        })?;
        match answer {
            Ok((found, bytes)) if !bytes.is_empty() && format.contains(found) => Ok(bytes),
            Ok(_) => Err(nothing(Status::CLIPBOARD_NO_DATA)),
            Err(status) => Err(nothing(status)),
        }
    }

    /// What the guest reported last that its clipboard has; `None` when it did not since something was
    /// copied at the host.
    pub fn clipboard_formats(&self) -> Option<Formats> {
        self.lock().device.hgcm.services.clipboard.reported()
    }

    /// What is known of the clipboard.
    pub fn clipboard(&self) -> ClipboardReport {
        let inner = self.lock();
        let clipboard = &inner.device.hgcm.services.clipboard;
        let sized = |(format, bytes): (&u32, &std::sync::Arc<Vec<u8>>)| {
            (Formats::from_bits_retain(*format).to_string(), bytes.len())
        };
        ClipboardReport {
            mode: clipboard.mode(),
            host: clipboard.contents().iter().map(sized).collect(),
            guest: clipboard.reported(),
        }
    }

    /// Waits until what the guest reported of its clipboard is as wanted, and returns it.
    ///
    /// # Errors
    /// [`TimedOut`].
    pub fn wait_clipboard(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(Formats) -> bool,
    ) -> Result<Formats, TimedOut> {
        self.wait_acted(timeout, |device| {
            device.hgcm.services.clipboard.reported().filter(|formats| wanted(*formats))
        })
    }
}

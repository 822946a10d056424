//! The host's end of a machine: `vmmdev serve`, and its control socket.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::eventually;
use crate::running::Running;

/// How long the device may take to carry out one order, waiting included.
const LIMIT: Duration = Duration::from_secs(40);

/// Something that happened between the host and its guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// When, since the midnight before the device was started.
    pub at: Duration,
    /// What.
    pub what: Happened,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// The host raised the interrupt line.
    Rang,
    /// The host answered a request of this type. Acknowledgements of events are not told of.
    Answered(u64),
}

/// A device that waits for a machine, or has one.
#[derive(Debug)]
pub struct Device {
    socket: PathBuf,
    control: PathBuf,
    log: PathBuf,
    server: Running,
}

impl Device {
    /// Starts the device, its sockets in one folder and its log in another.
    pub(crate) fn start(
        program: &Path,
        options: &[String],
        sockets: &Path,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        let (socket, control) = (sockets.join("vmmdev"), sockets.join("control"));
        let log = logs.join("device.log");
        let mut command = Command::new(program);
        command.arg("serve").arg("--socket").arg(&socket).arg("--control").arg(&control);
        command.arg("--log").arg(&log).args(options);
        let server = Running::start(&mut command, &logs.join("vmmdev.log"))?;
        let mut device = Self { socket, control, log, server };
        eventually("the device listens", || {
            device.alive()?;
            Ok((device.socket.exists() && device.control.exists()).then_some(()))
        })?;
        Ok(device)
    }

    /// Where the machine attaches it.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// An error once it has ended.
    pub(crate) fn alive(&mut self) -> anyhow::Result<()> {
        match self.server.ended()? {
            Some(status) => bail!("the device has ended: {status}"),
            None => Ok(()),
        }
    }

    /// Gives orders to the host, each a line of words, as one would type them after `vmmdev ctl`. The
    /// answers are in the same order.
    ///
    /// # Errors
    /// When an order is refused or not answered in time.
    pub fn orders<'a>(&self, orders: impl IntoIterator<Item = &'a str>) -> anyhow::Result<Vec<Value>> {
        let mut stream = UnixStream::connect(&self.control)
            .with_context(|| format!("Connecting to {}", self.control.display()))?;
        stream.set_read_timeout(Some(LIMIT)).context("Preparing the control socket")?;
        stream.set_write_timeout(Some(LIMIT)).context("Preparing the control socket")?;
        let mut answers = BufReader::new(stream.try_clone().context("Preparing the control socket")?).lines();
        let mut values = Vec::new();
        for order in orders {
            writeln!(stream, "{order}").with_context(|| format!("Ordering `{order}`"))?;
            let answer = answers.next().with_context(|| format!("`{order}` was not answered"))?;
            let answer = answer.with_context(|| format!("Waiting for the answer to `{order}`"))?;
            let value: Value = serde_json::from_str(&answer)
                .with_context(|| format!("`{order}` was answered with {answer:?}, which is not JSON"))?;
            match (value.get("ok"), value.get("error").and_then(Value::as_str)) {
                (Some(answer), _) => values.push(answer.clone()),
                (_, Some(error)) => bail!("the host refused `{order}`: {error}"),
                _ => bail!("`{order}` was answered with {answer:?}, which is neither ok nor an error"),
            }
        }
        Ok(values)
    }

    /// Gives one order.
    ///
    /// # Errors
    /// As for [`Self::orders`].
    pub fn order(&self, order: &str) -> anyhow::Result<Value> {
        Ok(self.orders([order])?.pop().unwrap_or_default())
    }

    /// What the guest has reported.
    ///
    /// # Errors
    /// As for [`Self::orders`].
    pub fn guest(&self) -> anyhow::Result<Value> {
        Ok(self.order("state")?["guest"].take())
    }

    /// The session, which a machine gets anew when it is reset or restored.
    ///
    /// # Errors
    /// As for [`Self::orders`].
    pub fn session(&self) -> anyhow::Result<Value> {
        Ok(self.order("state")?["session_id"].take())
    }

    /// The number that the next request of the guest will have.
    ///
    /// # Errors
    /// As for [`Self::orders`].
    pub fn position(&self) -> anyhow::Result<u64> {
        self.order("journal")?["next"].as_u64().context("the journal's `next` is no number")
    }

    /// The types of the requests that the guest has made since a number, the oldest first, each with
    /// what the guest was told.
    ///
    /// # Errors
    /// As for [`Self::orders`].
    pub fn requests(&self, since: u64) -> anyhow::Result<Vec<(u64, i64)>> {
        let journal = self.order(&format!("journal --since {since}"))?;
        let requests = journal["requests"].as_array().context("the journal's `requests` is no list")?;
        let number = |seen: &Value| Some((seen["request"].as_u64()?, seen["status"].as_i64()?));
        Ok(requests.iter().filter_map(number).collect())
    }

    /// All that happened, by one clock. The journal has the requests alone, and forgets them.
    ///
    /// # Errors
    /// When the device's log cannot be read.
    pub fn history(&self) -> anyhow::Result<Vec<Moment>> {
        let log = fs::read_to_string(&self.log).with_context(|| format!("Reading {}", self.log.display()))?;
        Ok(history(&log))
    }
}

/// Reads a log. Its clock starts anew at midnight.
fn history(log: &str) -> Vec<Moment> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let mut moments: Vec<Moment> = Vec::new();
    for (mut at, what) in log.lines().filter_map(moment) {
        while moments.last().is_some_and(|last| at + DAY / 2 < last.at) {
            at += DAY;
        }
        moments.push(Moment { at, what });
    }
    moments
}

/// What a line of the log tells, and the time of day.
fn moment(line: &str) -> Option<(Duration, Happened)> {
    let (time, text) = line.split_once(' ')?;
    let what = if text.contains(" step=2 ") {
        Happened::Rang
    } else if text.contains(" step=8 ") {
        let (_, number) = text.split_once(" number=")?;
        Happened::Answered(number.split(' ').next()?.parse().ok()?)
    } else {
        return None;
    };
    let (_, time) = time.strip_suffix('Z')?.split_once('T')?;
    let mut parts = time.splitn(3, ':');
    let mut whole = || parts.next()?.parse::<u64>().ok();
    let minutes = whole()? * 60 + whole()?;
    let seconds = Duration::try_from_secs_f64(parts.next()?.parse().ok()?).ok()?;
    Some((Duration::from_secs(minutes * 60) + seconds, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_a_history_across_midnight_too() {
        let log = "2026-11-23T23:59:59.250000Z TRACE bellhop::ring: Host raised the interrupt line step=2 bits=4\n\
                   2026-11-23T23:59:59.500000Z DEBUG vmmdev: Machine attached\n\
                   2026-11-24T00:00:01.500000Z TRACE bellhop::ring: Host answered step=8 request=\"X\" number=81 status=0\n";
        let day = 24 * 60 * 60 * 1000;

        assert_eq!(
            history(log),
            [
                Moment { at: Duration::from_millis(day - 750), what: Happened::Rang },
                Moment { at: Duration::from_millis(day + 1500), what: Happened::Answered(81) },
            ]
        );
    }
}

//! The host's end of a machine: `vmmdev serve`, and its control socket.

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
const LIMIT: Duration = Duration::from_secs(20);

/// A device that waits for a machine, or has one.
#[derive(Debug)]
pub struct Device {
    socket: PathBuf,
    control: PathBuf,
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
        let mut command = Command::new(program);
        command.arg("serve").arg("--socket").arg(&socket).arg("--control").arg(&control);
        command.arg("--log").arg(logs.join("device.log")).args(options);
        let server = Running::start(&mut command, &logs.join("vmmdev.log"))?;
        let mut device = Self { socket, control, server };
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
}

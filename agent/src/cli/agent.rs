//! The running agent, as commands that ask it find it.

use std::path::PathBuf;

use anyhow::Result;
use bellhop_agent::config::DEFAULT_PATH;
use bellhop_agent::control;
use bellhop_agent::control::client::{Client, ClientError};
use bellhop_agent::control::protocol::{Ask, Said};
use bellhop_agent::control::status::Status;
use clap::Args;

/// The agent says something else than it was asked.
#[derive(Debug, thiserror::Error)]
#[error("The agent answered something else than it was asked; it may be of another version")]
struct Confused;

#[derive(Debug, Args)]
pub(super) struct AgentOption {
    /// The agent's control socket, instead of the one that agent.toml names or that is usual
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The configuration file of the agent, of which only `control` is read
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
}

impl AgentOption {
    /// Connects to the agent.
    ///
    /// # Errors
    /// [`ClientError::NoAgent`] when none answers.
    pub(super) fn connect(&self) -> Result<Client> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => control::path_for(&self.config).ok_or_else(|| {
                anyhow::anyhow!(
                    "Cannot ask the agent: {} has no control socket for this user; see `control` there, or \
                     name one by --socket",
                    self.config.display()
                )
            })?,
        };
        Ok(Client::connect(&path)?)
    }
}

/// Asks how the agent is.
pub(super) fn status(client: &mut Client) -> Result<Status> {
    match client.ask(Ask::Status)? {
        Said::Status(status) => Ok(*status),
        _ => Err(confused()),
    }
}

/// That an answer is not one to what was asked.
pub(super) fn confused() -> anyhow::Error {
    Confused.into()
}

/// Whether a failure is that no agent answers.
pub(super) fn is_absent(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::NoAgent { .. }))
}

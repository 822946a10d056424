//! `bellhop reload`: the agent reads its configuration again.

use anyhow::Result;
use bellhop_agent::control::protocol::{Ask, Said};

use super::Verdict;
use super::agent::{self, AgentOption};

pub(super) fn reload(options: &AgentOption) -> Result<Verdict> {
    match options.connect()?.ask(Ask::Reload)? {
        Said::Reloaded(changes) => {
            changes.iter().for_each(|change| say!("{change}"));
            Ok(Verdict::Well)
        }
        _ => Err(agent::confused()),
    }
}

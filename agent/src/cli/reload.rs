//! `bellhop reload`: the agent reads its configuration again.

use anyhow::Result;
use bellhop_agent::control::protocol::{Ask, Said};

use super::Verdict;
use super::agent::{self, AgentOption};

pub(super) fn reload(options: &AgentOption) -> Result<Verdict> {
    match options.connect()?.ask(Ask::Reload)? {
        Said::Reloaded(reloaded) => {
            reloaded.lines.iter().for_each(|line| say!("{line}"));
            Ok(if reloaded.well { Verdict::Well } else { Verdict::Unwell })
        }
        _ => Err(agent::confused()),
    }
}

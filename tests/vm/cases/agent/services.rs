//! Services of the host, as plugins reach them.

use anyhow::ensure;
use vm::{Context, eventually};

use super::{start, until};

/// The plugin for tests, which takes these steps at its start.
const AGENT_TOML: &str = r#"
driver = "vboxguest"
[outputs]
backend = "headless"
# An emulated processor on a busy machine is slow.
[limits]
cpu-per-event = "2 s"
wall-per-event = "20 s"
[plugins.probe]
component = "/etc/probe.wasm"
grants = { hgcm = { None = [] }, properties = { read = ["*"], write = ["*"] } }
config.steps = [{ get = "/Test/Host" }, { set = ["/Test/Guest", "from the guest", ""] }, { watch = "/Test/*" }]
"#;

/// A plugin reads a property of the host's and the host one of the plugin's; a change is told; and of an
/// agent that has ended, nothing is left at the host.
pub fn properties(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().agent(AGENT_TOML).launch()?;
    machine.host()?.order("property set /Test/Host \"from the host\"")?;

    start(&mut machine, "agent")?;

    until(&mut machine, "agent", "grep -q 'Get.*: /Test/Host=from the host' /run/agent.log")?;
    let property = machine.host()?.order("property get /Test/Guest")?;
    ensure!(property["value"] == "from the guest", "{property}");
    eventually("the watch has reached the host", || {
        let state = machine.host()?.order("state")?;
        Ok(state["hgcm"].as_array().is_some_and(|all| all.iter().any(waits)).then_some(()))
    })?;
    machine.host()?.order("property set /Test/Host changed")?;
    until(&mut machine, "agent", "grep -q '/Test/Host is Some(\"changed\") now' /run/agent.log")?;

    machine.run("kill -TERM $(cat /run/agent.pid)")?;
    eventually("nothing is left at the host", || {
        let state = machine.host()?.order("state")?;
        Ok(state["hgcm"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })
}

/// Whether a call of a client is under way.
fn waits(client: &serde_json::Value) -> bool {
    client["waiting"].as_array().is_some_and(|calls| !calls.is_empty())
}

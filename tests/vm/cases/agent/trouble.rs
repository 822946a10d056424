//! What goes wrong, or away, and comes back.

use std::path::Path;

use anyhow::ensure;
use vm::{AGENT_TOML, Context, Machine, eventually};

use super::{at_last, kill, last_is, launch, ready, shows, start, until};
use crate::bare::HOLDER;
use crate::programs;

/// The agent's exit status where there is no device that can be driven.
const NO_DEVICE: i32 = 69;

/// Its exit status where another agent has all that it is for.
const TAKEN: i32 = 75;

/// A second plugin of an `agent.toml`, which has nothing to do with displays.
const SEAMLESS: &str = r#"
[plugins.seamless]
component = "/etc/seamless.wasm"
[plugins.seamless.grants]
events = ["seamless-mode-change", "restored"]
capabilities = ["seamless"]
requests = ["seamless", "guest"]
desktop = ["windows"]
"#;

/// An agent that is killed leaves nothing behind that the next one stumbles over.
pub fn killed(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "first")?;
    ensure!(capabilities(&machine)? == "graphics");

    kill(&mut machine, "first")?;
    eventually("the kernel takes the capability back", || {
        Ok((capabilities(&machine)? == "none").then_some(()))
    })?;
    machine.host()?.order("hint 0 1280 800")?;
    start(&mut machine, "second")?;

    shows(&mut machine, "second", "HEADLESS0 1280x800+0+0")
}

/// Of two agents each can come and go: an event goes to whichever waits first, and the machine has the
/// capability for as long as one is there.
pub fn two_agents(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "first")?;
    start(&mut machine, "second")?;

    for width in [1280, 1290, 1300, 1310] {
        machine.host()?.order(&format!("hint 0 {width} 800"))?;
        let layout = format!("HEADLESS0 {width}x800+0+0");
        let either = format!("{} || {}", last_is("first", &layout), last_is("second", &layout));
        until(&mut machine, "*", &either)?;
    }
    machine.run("kill -0 $(cat /run/first.pid) && kill -0 $(cat /run/second.pid)")?;
    ensure!(capabilities(&machine)? == "graphics");

    kill(&mut machine, "second")?;
    machine.host()?.order("hint 0 1024 768")?;
    shows(&mut machine, "first", "HEADLESS0 1024x768+0+0")?;
    ensure!(capabilities(&machine)? == "graphics");

    kill(&mut machine, "first")?;
    eventually("the kernel takes the capability back", || {
        Ok((capabilities(&machine)? == "none").then_some(()))
    })
}

/// An agent whose only plugin is for what another one has for itself says so and ends. When that one has
/// gone, the agent can be started.
pub fn taken(context: &Context) -> anyhow::Result<()> {
    let mut machine = programs::machine(context, HOLDER)?.agent(AGENT_TOML).launch()?;
    programs::start(&mut machine, HOLDER)?;

    let answer = machine.try_run("bellhop run --config /etc/agent.toml")?;

    ensure!(answer.status == TAKEN && answer.text.contains("Another agent has graphics"), "{answer:?}");
    kill(&mut machine, HOLDER)?;
    start(&mut machine, "agent")?;
    machine.host()?.order("hint 0 1280 800")?;
    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")?;
    ensure!(capabilities(&machine)? == "graphics");
    Ok(())
}

/// An agent that has other things to do goes on without, and follows wishes once the other one has gone.
pub fn let_go(context: &Context) -> anyhow::Result<()> {
    let settings = format!("{AGENT_TOML}\n{SEAMLESS}");
    let mut machine = programs::machine(context, HOLDER)?.agent(&settings).launch()?;
    programs::start(&mut machine, HOLDER)?;
    start(&mut machine, "agent")?;

    machine.host()?.order("hint 0 1280 800")?;
    machine.run("sleep 1; kill -0 $(cat /run/agent.pid)")?;
    kill(&mut machine, HOLDER)?;

    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")
}

/// While an agent has it, the driver cannot be unloaded. Once the agent is asked to stop it can, and the
/// next agent has a driver as good as new.
pub fn reloaded(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "first")?;

    let refused = machine.try_run("rmmod vboxguest")?;
    ensure!(refused.status != 0, "a driver that is in use was unloaded: {refused:?}");
    machine.host()?.order("hint 0 1280 800")?;
    shows(&mut machine, "first", "HEADLESS0 1280x800+0+0")?;

    machine.run("kill -TERM $(cat /run/first.pid)")?;
    until(&mut machine, "first", "rmmod vboxguest 2>/dev/null")?;
    ensure!(machine.try_run("test -e /dev/vboxguest")?.status == 1);
    machine.run("insmod /lib/vboxguest.ko")?;
    start(&mut machine, "second")?;
    machine.host()?.order("hint 0 1366 777")?;

    shows(&mut machine, "second", "HEADLESS0 1366x777+0+0")
}

/// A device that is taken from the driver takes its nodes with it, and these kernels tell nobody who
/// waits: the agent sleeps on. Once the driver has the device again, an agent that is started anew is
/// heard.
///
/// The first agent is left asleep: these kernels free what its session points to, so not even its end
/// would be safe.
pub fn rebound(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "first")?;

    machine.run(
        "cd /sys/bus/pci/drivers/vboxguest && echo 0000:* >/run/device && cat /run/device >unbind
         ! test -e /dev/vboxguest",
    )?;
    machine.run("sleep 2; kill -0 $(cat /run/first.pid)")?;
    let again = machine.try_run("bellhop run --config /etc/agent.toml")?;
    ensure!(again.status == NO_DEVICE, "{again:?}");
    machine.run("cat /run/device >/sys/bus/pci/drivers/vboxguest/bind && test -c /dev/vboxguest")?;
    start(&mut machine, "second")?;
    machine.host()?.order("hint 0 1280 800")?;

    shows(&mut machine, "second", "HEADLESS0 1280x800+0+0")?;
    machine.run("kill -0 $(cat /run/first.pid)").map(drop)
}

/// A device that was reset knows no guest. Only a driver that is loaded anew introduces itself, and
/// then an agent that is started anew is heard.
pub fn host_resets(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "first")?;
    let session = machine.host()?.session()?;

    machine.host()?.order("reset")?;
    ensure!(machine.host()?.session()? != session);
    machine.run("kill -0 $(cat /run/first.pid)")?;
    kill(&mut machine, "first")?;
    machine.run("sleep 1; rmmod vboxguest && insmod /lib/vboxguest.ko")?;
    start(&mut machine, "second")?;
    machine.host()?.order("hint 0 1280 800")?;

    shows(&mut machine, "second", "HEADLESS0 1280x800+0+0")
}

/// A machine that comes back from a saved state is in another session, and its screen is what the state
/// says.
pub fn restored(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;
    machine.host()?.order("hint 0 1280 800")?;
    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")?;
    let session = machine.host()?.session()?;
    machine.host()?.order("save")?;
    machine.host()?.order("hint 0 1024 768")?;
    shows(&mut machine, "agent", "HEADLESS0 1024x768+0+0")?;

    machine.host()?.order("restore")?;

    ensure!(machine.host()?.session()? != session);
    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")
}

/// Each request that the agent makes for a wish may fail once: it goes on, and the next wish is followed.
pub fn refused_once(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;
    for (step, request) in ["41", "81", "222"].into_iter().enumerate() {
        let (refused, next) = (1000 + 10 * step, 1005 + 10 * step);
        machine.host()?.order(&format!("inject {request} -1"))?;
        machine.host()?.order(&format!("hint 0 {refused} 700"))?;
        machine.run("sleep 1; kill -0 $(cat /run/agent.pid)")?;

        machine.host()?.order("heal")?;
        machine.host()?.order(&format!("hint 0 {next} 700"))?;

        shows(&mut machine, "agent", &format!("HEADLESS0 {next}x700+0+0"))?;
    }
    Ok(())
}

/// Any user can be the agent's, by the node that is for users.
pub fn unprivileged(context: &Context) -> anyhow::Result<()> {
    let settings = format!("device = \"/dev/vboxuser\"\ncache = \"/tmp/cache\"\n{AGENT_TOML}");
    let mut machine = context.machine().agent(&settings).launch()?;
    machine.run("chmod 666 /dev/vboxuser; chmod 600 /dev/vboxguest; install -o user -d /run/user")?;

    machine.run(
        "setsid su user -c 'echo $$ >/run/user/pid; id -un >/run/user/name
         exec bellhop run --config /etc/agent.toml >/run/user/agent.log 2>&1' &",
    )?;
    ready(&mut machine, "user/agent")?;
    machine.host()?.order("hint 0 1280 800")?;

    shows(&mut machine, "user/agent", "HEADLESS0 1280x800+0+0")?;
    ensure!(machine.run("cat /run/user/name")?.trim() == "user");
    Ok(())
}

/// Where the kernel lets no memory become executable, an agent whose plugins are bytecode follows wishes, and one
/// whose plugins are native code says what to do.
pub fn not_executable(context: &Context) -> anyhow::Result<()> {
    // `PR_SET_MDWE` with `PR_MDWE_REFUSE_EXEC_GAIN`, by the number of `prctl` on this processor.
    const DENYING: &str = "perl -e 'syscall(157, 65, 1, 0, 0, 0) == 0 or die; exec @ARGV'";
    let perl = Path::new("/usr/bin/perl");
    if !perl.exists() {
        println!("SKIPPED: there is no {}, by which it is asked for", perl.display());
        return Ok(());
    }
    let settings = format!("engine = \"pulley\"\n{AGENT_TOML}");
    let mut machine = context.machine().agent(&settings).program("bin/perl", perl).launch()?;

    machine.run(&format!(
        "setsid {DENYING} bellhop run --config /etc/agent.toml >/run/agent.log 2>&1 & echo $! >/run/agent.pid"
    ))?;
    ready(&mut machine, "agent")?;
    machine.host()?.order("hint 0 1280 800")?;
    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")?;
    ensure!(capabilities(&machine)? == "graphics");

    kill(&mut machine, "agent")?;
    machine.run(&format!(
        "sed -i s/pulley/native/ /etc/agent.toml
         setsid {DENYING} bellhop run --config /etc/agent.toml >/run/native.log 2>&1 &"
    ))?;
    at_last(&mut machine, "native", "grep -q 'Ready running=0' /run/native.log")?;
    let said = machine.run("grep 'Not admitted' /run/native.log")?;
    ensure!(said.contains("Set `engine = \"pulley\"` in agent.toml"), "{said}");
    Ok(())
}

/// Without the kernel's driver, the agent says what is missing and what to do. It does not wait: whoever
/// started it knows when the driver is there, and starts it again.
pub fn no_driver(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().without_driver().agent(AGENT_TOML).launch()?;

    let answer = machine.try_run("bellhop run --config /etc/agent.toml")?;

    ensure!(answer.status == NO_DEVICE && answer.text.contains("modprobe vboxguest"), "{answer:?}");
    machine.run("insmod /lib/vboxguest.ko")?;
    start(&mut machine, "agent")?;
    machine.host()?.order("hint 0 1280 800")?;
    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")
}

/// What the host thinks that the guest can do.
fn capabilities(machine: &Machine) -> anyhow::Result<String> {
    Ok(machine.host()?.guest()?["capabilities"].as_str().unwrap_or_default().to_owned())
}

//! Where components are compiled, and where they need not be.

use anyhow::ensure;
use vm::{AGENT_TOML, Context, Machine};

use super::{kill, start};

/// An agent without compiled code compiles, and the next one finds what it left. So does one in another
/// machine, which is given it.
pub fn once(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().agent(AGENT_TOML).cold().launch()?;
    machine.run("! test -e /var/cache/bellhop")?;

    start(&mut machine, "first")?;
    let compiled = compiled(&mut machine)?;
    kill(&mut machine, "first")?;
    start(&mut machine, "second")?;

    ensure!(self::compiled(&mut machine)? == compiled, "it was compiled again");
    drop(machine);
    let mut other = context.machine().agent(AGENT_TOML).launch()?;
    let brought = self::compiled(&mut other)?;
    start(&mut other, "agent")?;
    ensure!(self::compiled(&mut other)? == brought, "what another machine compiled was compiled again");
    Ok(())
}

/// The only compiled component of a guest, with the number of its file, which a new one does not have.
pub fn compiled(machine: &mut Machine) -> anyhow::Result<String> {
    let files = machine.run("ls -i /var/cache/bellhop")?;
    ensure!(files.lines().count() == 1 && files.trim_end().ends_with(".cwasm"), "compiled: {files}");
    Ok(files)
}

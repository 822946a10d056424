//! The kernel's driver, before there is an agent.

use anyhow::{Context as _, ensure};
use vm::{Context, Machine};

use crate::agent::paced;
use crate::bare::BUSY;
use crate::programs;

/// The module loads anywhere, and finds nothing where there is nothing.
pub fn without_device(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().without_device().launch()?;

    ensure!(machine.run("uname -r")?.trim() == context.kernel().0);
    machine.run("grep -q ^vboxguest /proc/modules")?;
    ensure!(machine.try_run("test -e /dev/vboxguest")?.status == 1);
    Ok(())
}

/// The driver takes the device, makes its nodes, and tells the host who it is.
pub fn binds(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().launch()?;

    machine.run("test -c /dev/vboxguest && test -c /dev/vboxuser")?;
    let guest = machine.host()?.guest()?;
    ensure!(guest["info"]["interface_version"].is_u64(), "no ReportGuestInfo: {guest}");
    let facilities = guest["facilities"].as_array().into_iter().flatten();
    let active: Vec<_> = facilities.filter(|facility| facility["status"] == "active").collect();
    ensure!(active.iter().any(|facility| facility["facility"] == "driver"), "no driver: {guest}");
    Ok(())
}

/// Each interrupt of the device is one that the driver handles.
pub fn interrupts(context: &Context) -> anyhow::Result<()> {
    const EVENTS: usize = 1000;
    let mut machine = context.machine().launch()?;
    let before = handled(&mut machine)?;
    let raised = raised(&machine)?;

    for _ in 0..EVENTS {
        let host = machine.host()?;
        let position = host.position()?;
        host.orders(["force 4", &format!("wait request {ACKNOWLEDGE_EVENTS} --since {position}")])?;
    }

    let (after, raised) = (handled(&mut machine)?, self::raised(&machine)? - raised);
    ensure!(raised == EVENTS as u64, "{raised} interrupts for {EVENTS} events");
    ensure!(after - before == raised, "{} interrupts handled of {raised}", after - before);
    none_was_for_nothing(&mut machine)
}

/// So is each one of a guest whose processor is at the device all the time. The device's line falls at
/// each touch, noticed or not, and is raised again; but the guest sees one interrupt.
pub fn busy(context: &Context) -> anyhow::Result<()> {
    const EVENTS: usize = 1000;
    let mut machine = programs::machine(context, BUSY)?.launch()?;
    programs::start(&mut machine, BUSY)?;
    let before = handled(&mut machine)?;
    let raised = raised(&machine)?;

    paced(&machine, ["force 4"; EVENTS])?;

    machine.run("sleep 1")?;
    let (after, raised) = (handled(&mut machine)?, self::raised(&machine)? - raised);
    ensure!(raised > 0 && after - before == raised, "{} interrupts handled of {raised}", after - before);
    none_was_for_nothing(&mut machine)
}

/// A host that refuses heartbeats gets none, and one that accepts them bears what these kernels make of
/// that: a beat at each of their jiffies.
pub fn heartbeats(context: &Context) -> anyhow::Result<()> {
    for (answer, wanted) in [("refuse", false), ("accept", true)] {
        let mut machine = context.machine().device_option("--heartbeat", answer).launch()?;
        machine.run("test -c /dev/vboxguest && sleep 1")?;

        let beats = machine.host()?.requests(0)?.iter().filter(|(kind, _)| *kind == HEARTBEAT).count();

        ensure!((beats > 0) == wanted, "{beats} heartbeats for a host that answers: {answer}");
    }
    Ok(())
}

/// A request that fails while the driver looks at the device is borne, or ends in a driver that says no;
/// and a host that has come to itself finds a driver that binds.
pub fn refused_once(context: &Context) -> anyhow::Result<()> {
    let mut machine = context.machine().without_driver().launch()?;
    for request in ["4", "58", "50", "42", "56", "2", "20", "220", "59"] {
        machine.host()?.order(&format!("inject {request} -1"))?;
        machine.run("insmod /lib/vboxguest.ko")?;
        let bound = machine.try_run("test -c /dev/vboxguest")?.status == 0;
        let must_succeed = !["20", "220", "59"].contains(&request);
        ensure!(bound != must_succeed, "request {request} failed once, and the driver is bound: {bound}");
        machine.run("rmmod vboxguest")?;
        machine.host()?.order("heal")?;

        machine.run("insmod /lib/vboxguest.ko && test -c /dev/vboxguest && rmmod vboxguest")?;
    }
    Ok(())
}

const ACKNOWLEDGE_EVENTS: u64 = 41;
const HEARTBEAT: u64 = 219;

/// How many interrupts the guest has handled.
pub fn handled(machine: &mut Machine) -> anyhow::Result<u64> {
    let count = machine.run("sed -n 's/^ *[0-9]*: *\\([0-9]*\\).*vboxguest.*/\\1/p' /proc/interrupts")?;
    count.trim().parse().with_context(|| format!("/proc/interrupts has no count of vboxguest: {count:?}"))
}

/// That the driver has found something to do at each of its interrupts, by the kernel's own count.
pub fn none_was_for_nothing(machine: &mut Machine) -> anyhow::Result<()> {
    let line = machine.run("sed -n 's/^ *\\([0-9]*\\):.*vboxguest.*/\\1/p' /proc/interrupts")?;
    let spurious = machine.run(&format!("cat /proc/irq/{}/spurious", line.trim()))?;
    ensure!(spurious.lines().any(|line| line == "unhandled 0"), "an interrupt was for nothing: {spurious}");
    Ok(())
}

/// How many interrupts the device has raised.
fn raised(machine: &Machine) -> anyhow::Result<u64> {
    machine.host()?.order("counters")?["interrupts"].as_u64().context("`counters` has no interrupts")
}

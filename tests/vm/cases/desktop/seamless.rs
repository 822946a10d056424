//! The seamless plugin.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use vm::{Context, Machine, eventually, reference_toml};

use super::{machine, on_desktop, start};
use crate::agent::until;

/// The requests that tell of a region, and that ask for the mode.
pub const REGION: u64 = 72;
const MODE: u64 = 73;

/// While it is on, the host is told where the windows are, as the X server has them; then no more.
pub fn windows(context: &Context) -> anyhow::Result<()> {
    let mut machine = start(machine(context, &reference_toml(&["seamless"])))?;
    machine.host()?.order("wait guest-capability seamless")?;
    open(&mut machine, "one", "200x100+50+60")?;

    machine.host()?.order("seamless on")?;
    shows(&mut machine, &["one"])?;
    open(&mut machine, "two", "300x200+600+400")?;
    shows(&mut machine, &["one", "two"])?;
    let moved = on_desktop("xdotool search --classname '^one$' windowmove 320 300 windowsize 210 90");
    machine.run(&moved)?;
    shows(&mut machine, &["one", "two"])?;
    close(&mut machine, "two")?;
    shows(&mut machine, &["one"])?;
    close(&mut machine, "one")?;
    shows(&mut machine, &[])?;

    let since = machine.host()?.position()?;
    machine.host()?.order("seamless off")?;
    until(&mut machine, "agent", "grep -q 'Seamless mode is off' /run/agent.log")?;
    open(&mut machine, "three", "120x80+10+20")?;
    // On again, it is told anew; by then a report of the window would have been seen.
    machine.host()?.order("seamless on")?;
    shows(&mut machine, &["three"])?;
    let requests = machine.host()?.requests(since)?;
    let times = |wanted| requests.iter().filter(|(kind, _)| *kind == wanted).count();
    ensure!((times(MODE), times(REGION)) == (2, 1), "{requests:?}");
    Ok(())
}

/// Opens a window, and waits until it is there.
pub fn open(machine: &mut Machine, name: &str, place: &str) -> anyhow::Result<()> {
    machine.run(&on_desktop(&format!(
        "setsid xeyes +shape -name {name} -title {name} -geometry {place} >/dev/null 2>&1 &
         echo $! >/run/{name}.pid"
    )))?;
    until(machine, "agent", &on_desktop(&format!("xwininfo -name {name} | grep -q 'Map State: IsViewable'")))
}

/// Closes a window.
fn close(machine: &mut Machine, name: &str) -> anyhow::Result<()> {
    machine.run(&format!("kill $(cat /run/{name}.pid)")).map(drop)
}

/// Waits until the host is shown what these windows cover, as the X server has them, and nothing else. No two
/// of them have a row of the screen in common, so each is a rectangle of the region.
pub fn shows(machine: &mut Machine, names: &[&str]) -> anyhow::Result<()> {
    let mut rectangles = names.iter().map(|name| area(machine, name)).collect::<Result<Vec<_>, _>>()?;
    rectangles.sort_by_key(|rectangle| rectangle["top"].as_i64());
    let wanted = Value::from(rectangles);
    let mut shown = Value::Null;
    let outcome = eventually("the host is shown the windows", || {
        shown = machine.host()?.guest()?["visible_region"].take();
        Ok((shown == wanted).then_some(()))
    });
    outcome.with_context(|| format!("the windows are at {wanted}, and the host is shown {shown}"))
}

/// Where a window is, with its border.
fn area(machine: &mut Machine, name: &str) -> anyhow::Result<Value> {
    let told = machine.run(&on_desktop(&format!("xwininfo -name {name}")))?;
    let number = |label: &str| {
        let value = told.lines().find_map(|line| line.trim().strip_prefix(label));
        value.and_then(|value| value.trim().parse::<i64>().ok()).with_context(|| told.clone())
    };
    let (left, top) = (number("Absolute upper-left X:")?, number("Absolute upper-left Y:")?);
    let border = 2 * number("Border width:")?;
    let (right, bottom) = (left + number("Width:")? + border, top + number("Height:")? + border);
    Ok(json!({ "left": left, "top": top, "right": right, "bottom": bottom }))
}

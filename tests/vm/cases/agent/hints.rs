//! What the host wants of the screen.

use anyhow::ensure;
use vm::{Context, Happened, Machine};

use super::{drag, launch, shows, start};
use crate::bare::READ;
use crate::module::{handled, none_was_for_nothing};

/// A wish from before anybody was there to hear it is followed.
pub fn before_the_start(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    machine.host()?.order("hint 0 1280 800")?;

    start(&mut machine, "agent")?;

    shows(&mut machine, "agent", "HEADLESS0 1280x800+0+0")
}

/// A wish is followed, and where the display ended up is reported.
pub fn after_the_start(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;

    let position = machine.host()?.position()?;
    machine.host()?.order("hint 0 1281 801")?;

    shows(&mut machine, "agent", "HEADLESS0 1281x801+0+0")?;
    machine.host()?.order(&format!("wait request 222 --since {position}"))?;
    let guest = machine.host()?.guest()?;
    ensure!(guest["capabilities"] == "graphics", "{guest}");
    ensure!(guest["monitor_positions"] == serde_json::json!([[0, 0]]), "{guest}");
    Ok(())
}

/// Displays come and go.
pub fn several_displays(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;

    machine.host()?.orders(["hint 0 1366 777 0 0", "hint 1 1024 768 1366 0"])?;
    shows(&mut machine, "agent", "HEADLESS0 1366x777+0+0 primary, HEADLESS1 1024x768+1366+0")?;
    machine.host()?.order("off 1")?;

    shows(&mut machine, "agent", "HEADLESS0 1366x777+0+0 primary, HEADLESS1 off")
}

/// A thousand wishes at once end in the last of them, and then there is peace.
pub fn burst(context: &Context) -> anyhow::Result<()> {
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;
    let position = machine.host()?.position()?;
    let orders: Vec<String> = (1..=1000).map(|step| format!("hint 0 {} 600", 800 + step)).collect();

    machine.host()?.orders(orders.iter().map(String::as_str))?;

    shows(&mut machine, "agent", "HEADLESS0 1800x600+0+0")?;
    let told = |kind| move |requests: Vec<(u64, i64)>| requests.iter().filter(|seen| seen.0 == kind).count();
    let requests = machine.host()?.requests(position)?;
    // A handler that was rung once more while it ran reads once more, and no more often than that.
    let (acknowledged, read) = (told(41)(requests.clone()), told(81)(requests));
    ensure!(read <= acknowledged, "{read} times read for {acknowledged} times rung");
    let settled = machine.host()?.position()?;
    machine.run("sleep 1")?;
    ensure!(machine.host()?.requests(settled)?.iter().all(|seen| seen.0 != 81), "it reads on, unasked");
    Ok(())
}

/// Of a thousand wishes, one after the other, none is lost and none is followed twice: each interrupt is
/// handled, and the guest reads at most once for each time that it was rung.
pub fn stream(context: &Context) -> anyhow::Result<()> {
    const STEPS: u32 = 1000;
    let mut machine = launch(context)?;
    start(&mut machine, "agent")?;
    let before = counters(&machine)?;
    let handled_before = handled(&mut machine)?;
    let history = machine.host()?.history()?.len();

    drag(&machine, STEPS)?;
    shows(&mut machine, "agent", "HEADLESS0 1800x600+0+0")?;

    let after = counters(&machine)?;
    let [events, interrupts, repeats] = [0, 1, 2].map(|which| after[which] - before[which]);
    let handled = handled(&mut machine)? - handled_before;
    let history = machine.host()?.history()?.split_off(history);
    let times = |what| history.iter().filter(|moment| moment.what == what).count() as u64;
    let (rung, read) = (times(Happened::Rang), times(Happened::Answered(READ)));
    let told = format!(
        "{events} events: {rung} times rung by {interrupts} interrupts, {repeats} of them sent again; \
         {handled} handled, {read} times read"
    );
    println!("{told}");
    ensure!(events == u64::from(STEPS), "{told}");
    ensure!(rung <= events && interrupts == rung, "{told}");
    // One that is sent again is one to the guest.
    ensure!(handled == interrupts, "{told}");
    ensure!((1..=rung).contains(&read), "{told}");
    none_was_for_nothing(&mut machine)
}

/// How often the host raised events, sent an interrupt, and sent one again.
fn counters(machine: &Machine) -> anyhow::Result<[u64; 3]> {
    let counters = machine.host()?.order("counters")?;
    Ok(["events", "interrupts", "repeats"].map(|name| counters[name].as_u64().unwrap_or_default()))
}

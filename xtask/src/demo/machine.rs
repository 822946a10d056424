//! The demo in a virtual machine: the kernel's own driver stands between the device and the agent.

use anyhow::Context as _;
use vm::kit::Kit;
use vm::{AGENT_TOML, Context, Machine, Programs};

use crate::cargo::{Profile, Workspace};
use crate::plugins::Choice;
use crate::{build, vm as machines};

/// What the host says, and in which words it says it.
const SCENE: [(&str, &[&str]); 4] = [
    ("\"Make the screen 1280x800.\"", &["hint 0 1280 800"]),
    (
        "\"Two monitors, 1366x777 and 1024x768, side by side.\"",
        &["hint 0 1366 777 0 0", "hint 1 1024 768 1366 0"],
    ),
    ("\"Switch the second one off.\"", &["off 1"]),
    ("\"Make the screen 2147483648 pixels wide.\" (absurd: it must be refused)", &["hint 0 2147483648 800"]),
];

/// The request by which a guest says where its displays are: the end of a ring.
const POSITIONS: u64 = 222;

/// Boots a machine, starts the agent in it, and plays the scene.
pub fn play(workspace: &Workspace, toolchain: Choice) -> anyhow::Result<()> {
    machines::set_up(false)?;
    build::all(workspace, Profile::Dev, toolchain)?;
    machines::build_device(workspace)?;
    let kit = Kit::find()?;
    let kernel = kit.kernels().last().context("The kit has no kernel")?.clone();
    let program = workspace.bellhop(Profile::Dev);
    let programs = Programs::in_folder(program.parent().unwrap_or(&workspace.root).to_owned());
    let logs = tempfile::tempdir().context("Making a folder for logs")?;

    println!("\nBooting Linux {} in QEMU, emulated", kernel.0);
    let context = Context::in_folder(logs.path().to_owned(), kit, kernel, programs);
    let mut machine = context.machine().agent(AGENT_TOML).launch()?;
    println!("Booted in {:.1} s. The kernel says of its driver:", machine.boot().as_secs_f64());
    show(&machine.run("dmesg | grep -i -E 'vboxguest|vmmdev' || true")?);

    println!("Starting the agent; its plugin is compiled in the guest");
    machine.run("setsid bellhop run --config /etc/agent.toml >/run/agent.log 2>&1 &")?;
    machine.run("i=0; until grep -q Ready /run/agent.log; do i=$((i+1)); [ $i -lt 250 ]; sleep 0.1; done")?;
    let mut said = 0;
    tell(&mut machine, &mut said)?;
    for (wish, words) in SCENE {
        ring(&mut machine, wish, words)?;
        tell(&mut machine, &mut said)?;
    }
    println!("\nThe host is left with {}", machine.host()?.guest()?["monitor_positions"]);
    Ok(())
}

/// Says words to the host, and shows what the guest asked until it reported where its displays are.
fn ring(machine: &mut Machine, wish: &str, words: &[&str]) -> anyhow::Result<()> {
    println!("\nThe host: {wish}");
    let host = machine.host()?;
    let since = host.position()?;
    host.orders(words.iter().copied())?;
    host.order(&format!("wait request {POSITIONS} --since {since} --timeout 15s"))?;
    let journal = host.order(&format!("journal --since {since}"))?;
    let mut began = None;
    println!("  ms after the interrupt was acknowledged");
    for seen in journal["requests"].as_array().into_iter().flatten() {
        let (Some(request), Some(at)) = (seen["request"].as_u64(), seen["at"].as_f64()) else { continue };
        let after = (at - *began.get_or_insert(at)) * 1e3;
        let status = seen["status"].as_i64().map_or("no answer".to_owned(), |status| status.to_string());
        println!("  {after:>8.2}  request {request:>3}  status {status:>3}  {}", meaning(request));
    }
    Ok(())
}

/// Shows what the agent has logged since it was last asked.
fn tell(machine: &mut Machine, said: &mut usize) -> anyhow::Result<()> {
    let log = machine.run(&format!("tail -n +{} /run/agent.log", *said + 1))?;
    *said += log.lines().count();
    println!("  The agent says:");
    show(&log);
    Ok(())
}

fn show(text: &str) {
    text.lines().for_each(|line| println!("    {}", line.trim_end()));
}

/// What a request of this scene is for.
fn meaning(request: u64) -> &'static str {
    match request {
        41 => "the kernel's interrupt handler acknowledges",
        42 => "the kernel tells which events are wanted",
        81 => "the plugin asks what is wanted",
        POSITIONS => "the plugin reports where the displays are",
        _ => "",
    }
}

//! Calls to services of the host through the kernel's driver, by a program in the guest.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use driver_core::vboxguest::{NODES, VboxGuest};
use driver_core::wire::Status;
use driver_core::wire::guest_property::{Function, SERVICE, parse_change};
use driver_core::{Canceller, Driver as _, Error, HgcmClient, HgcmParameter};
use vm::Context;

use crate::programs;

/// The name under which this program makes them.
pub const NAME: &str = "hgcm-client";

/// How often a call is cancelled, at another time each.
const CANCELLATIONS: u32 = 300;

/// How many calls are under way at once: as many as the service lets a client have.
const AT_ONCE: usize = 16;

/// The largest buffer that the kernel's driver carries, in bytes.
const LARGEST: usize = 24 << 20;

/// Long enough for calls to be under way. When they are not, the test proves less, but does not fail.
const TO_BE_UNDER_WAY: Duration = Duration::from_millis(300);

/// Calls are answered, wait, time out and are cancelled, and nothing of them is left at the host.
pub fn calls(context: &Context) -> anyhow::Result<()> {
    let mut machine = programs::machine(context, NAME)?.launch()?;

    machine.run(NAME)?;

    let left = machine.host()?.order("state")?["hgcm"].take();
    ensure!(left.as_array().is_some_and(Vec::is_empty), "left at the host: {left}");
    Ok(())
}

/// The program in the guest.
pub fn run() -> anyhow::Result<()> {
    let driver = Arc::new(VboxGuest::open(NODES[0])?);
    let client = driver.hgcm_connect(SERVICE)?;
    set(&driver, client, "/a")?;
    times_out(&driver, client)?;
    are_cancelled(&driver, client)?;
    go_on_at_once(&driver, client)?;
    carry_much(&driver, client)?;
    end_with_their_client(&driver, client)
}

fn times_out(driver: &Arc<VboxGuest>, client: HgcmClient) -> anyhow::Result<()> {
    let timeout = Some(Duration::from_millis(50));
    let (outcome, _) = wait(driver, client, "/never", timeout, &Canceller::new());
    ensure!(failed(&outcome, Status::TIMEOUT), "a call whose time was over: {outcome:?}");
    Ok(())
}

/// Before they are in the kernel, while they enter it, and when they have waited there.
fn are_cancelled(driver: &Arc<VboxGuest>, client: HgcmClient) -> anyhow::Result<()> {
    for round in 0..CANCELLATIONS {
        let cancel = Canceller::new();
        let waiter = waiter(driver, client, "/never", &cancel);
        match round % 3 {
            0 => thread::sleep(Duration::from_micros(u64::from(round) * 20)),
            1 => (0..round).for_each(|_| thread::yield_now()),
            _ => {}
        }
        cancel.cancel();
        let (outcome, _) = joined(waiter)?;
        ensure!(failed(&outcome, Status::CANCELLED), "cancellation {round}: {outcome:?}");
    }
    Ok(())
}

/// Half of them are cancelled, and half are answered.
fn go_on_at_once(driver: &Arc<VboxGuest>, client: HgcmClient) -> anyhow::Result<()> {
    let other = driver.hgcm_connect(SERVICE)?;
    let cancel = [(); AT_ONCE].map(|()| Canceller::new());
    let name = |number| format!("/{number}");
    let start = |(number, cancel)| waiter(driver, client, &name(number), cancel);
    let waiters: Vec<_> = cancel.iter().enumerate().map(start).collect();
    thread::sleep(TO_BE_UNDER_WAY);
    for (number, waiter) in waiters.into_iter().enumerate() {
        let answered = number % 2 == 1;
        if answered {
            set(driver, other, &name(number))?;
        } else {
            cancel[number].cancel();
        }
        match joined(waiter)? {
            (Err(Error { status: Status::CANCELLED, .. }), _) if !answered => {}
            (Ok(Status::SUCCESS), [_, _, HgcmParameter::Out { data, .. }, HgcmParameter::U32(size)])
                if answered =>
            {
                let change = parse_change(data.get(..size as usize).context("it is as long as it says")?)?;
                ensure!(change.name == name(number), "call {number} was answered with {change:?}");
            }
            (outcome, _) => bail!("call {number} of many: {outcome:?}"),
        }
    }
    Ok(driver.hgcm_disconnect(other)?)
}

/// Nobody serves this function, so the bytes come back as they are.
fn carry_much(driver: &VboxGuest, client: HgcmClient) -> anyhow::Result<()> {
    let mut bytes = vec![7; LARGEST];
    for (page, bytes) in (1_u32..).zip(bytes.chunks_exact_mut(4096)) {
        bytes[..4].copy_from_slice(&page.to_le_bytes());
    }
    let mut parameters = [HgcmParameter::InOut(bytes.clone())];
    let status = driver.hgcm_call(client, 99, &mut parameters, None, &Canceller::new())?;
    ensure!(status == Status::NOT_IMPLEMENTED, "a function that is not served: {status}");
    ensure!(parameters == [HgcmParameter::InOut(bytes)], "{LARGEST} bytes came back changed");
    Ok(())
}

fn end_with_their_client(driver: &Arc<VboxGuest>, client: HgcmClient) -> anyhow::Result<()> {
    let waiter = waiter(driver, client, "/never", &Canceller::new());
    thread::sleep(TO_BE_UNDER_WAY);
    driver.hgcm_disconnect(client)?;
    let (outcome, _) = joined(waiter)?;
    let late = failed(&outcome, Status::HGCM_INVALID_CLIENT_ID);
    ensure!(outcome == Ok(Status::INTERRUPTED) || late, "a call whose client was disconnected: {outcome:?}");
    Ok(())
}

fn set(driver: &VboxGuest, client: HgcmClient, name: &str) -> anyhow::Result<()> {
    let mut parameters = [text(name), text("1")];
    let function = Function::SET.0;
    let status = driver.hgcm_call(client, function, &mut parameters, None, &Canceller::new())?;
    ensure!(status == Status::SUCCESS, "setting {name}: {status}");
    Ok(())
}

/// How a call that waits went, and its parameters.
type Waited = (driver_core::Result<Status>, [HgcmParameter; 4]);

/// Waits for a change of properties.
fn wait(
    driver: &VboxGuest,
    client: HgcmClient,
    patterns: &str,
    timeout: Option<Duration>,
    cancel: &Canceller,
) -> Waited {
    let room = HgcmParameter::Out { data: vec![0; 2147], needed: 0 };
    let mut parameters = [text(patterns), HgcmParameter::U64(0), room, HgcmParameter::U32(0)];
    let function = Function::GET_NOTIFICATION.0;
    let outcome = driver.hgcm_call(client, function, &mut parameters, timeout, cancel);
    (outcome, parameters)
}

fn waiter(
    driver: &Arc<VboxGuest>,
    client: HgcmClient,
    patterns: &str,
    cancel: &Canceller,
) -> JoinHandle<Waited> {
    let (driver, patterns, cancel) = (driver.clone(), patterns.to_owned(), cancel.clone());
    thread::spawn(move || wait(&driver, client, &patterns, None, &cancel))
}

fn joined(waiter: JoinHandle<Waited>) -> anyhow::Result<Waited> {
    waiter.join().ok().context("A waiting thread panicked")
}

fn text(text: &str) -> HgcmParameter {
    HgcmParameter::In([text.as_bytes(), &[0]].concat())
}

fn failed(outcome: &driver_core::Result<Status>, status: Status) -> bool {
    outcome.as_ref().is_err_and(|error| error.status == status)
}

//! `wasi = "minimal"`: what the runtimes of other languages cannot do without.
//!
//! Clocks and random numbers are real, and what is printed goes to the log. All the rest that a runtime
//! imports is there and inert: no folder is open, nothing stands in the environment, no socket can be made.
//!
//! Nothing waits: a plugin that would have to is stopped, since its thread would be of no use meanwhile, and
//! neither its budget nor the agent's end could reach it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Runtime;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::bindings::io::poll::HostPollable as Asked;
use wasmtime_wasi::p2::bindings::sync::io::poll;
use wasmtime_wasi::p2::{self, DynPollable, OutputStream, Pollable, StreamResult};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, async_trait};

use super::Guest;
use super::surface::InterfaceName;
use crate::host::bindings::bellhop::guest::log::Level;
use crate::host::{Host, LONGEST_LINE, log_line};
use crate::plugin::Record;
use crate::sync::lock;

/// The packages of which a plugin may import everything, all of the generation 0.2.
const PACKAGES: [&str; 6] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:io", "wasi:random", "wasi:sockets"];

/// So many streams, pollables and other things may a plugin hold at a time.
const MOST_RESOURCES: usize = 1024;

/// So many random bytes are made at once.
const MOST_RANDOM: u64 = 64 * 1024;

/// Whether an interface is among those that the grant links.
#[must_use]
pub fn offers(interface: &InterfaceName) -> bool {
    let package = interface.path.split('/').next().unwrap_or_default();
    let version = interface.version.as_deref().unwrap_or_default();
    PACKAGES.contains(&package) && version.starts_with("0.2.")
}

/// What an incarnation of a plugin has of WASI.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    clock: Clock,
}

/// What timers tick by, which nobody waits for. There is none where WASI was not granted.
pub(super) type Clock = Option<Arc<Runtime>>;

/// Puts all of it into a linker.
///
/// # Errors
/// When there is something of that name already.
pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    p2::add_to_linker_sync(linker)?;
    // Its way to wait gives way to ours.
    linker.allow_shadowing(true);
    poll::add_to_linker::<Guest, Waits>(linker, |guest| NeverWaits(guest.wasi()))?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Makes the clock of a plugin that WASI was granted to.
///
/// # Errors
/// When the kernel has no timer for it.
pub(super) fn clock() -> std::io::Result<Arc<Runtime>> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().map(Arc::new)
}

impl Wasi {
    /// What a new incarnation has.
    pub(super) fn new(host: &Host, clock: Clock) -> Self {
        let lines = |level| Lines { record: host.record().clone(), level, begun: Vec::new() };
        let printed = |level| Printed(Arc::new(Mutex::new(lines(level))));
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_RESOURCES);
        let context = WasiCtxBuilder::new()
            .stdout(printed(Level::Info))
            .stderr(printed(Level::Warn))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .max_random_size(MOST_RANDOM)
            .build();
        Self { context, table, clock }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let Wasi { context, table, .. } = self.wasi();
        WasiCtxView { ctx: context, table }
    }
}

/// `wasi:io/poll`, which tells what is ready, and stops whoever would wait for what is not.
struct NeverWaits<'a>(&'a mut Wasi);

/// Gets it from a store.
struct Waits;

impl HasData for Waits {
    type Data<'a> = NeverWaits<'a>;
}

/// Why a plugin is stopped.
#[derive(Debug, thiserror::Error)]
#[error("It would have to wait, which plugins may not: set a timer, and go on when it fires")]
struct WouldWait;

impl NeverWaits<'_> {
    fn is_ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let Wasi { table, clock, .. } = &mut *self.0;
        let Some(clock) = clock else { return Ok(false) };
        // Timers are looked at only while somebody waits, though it be for no time.
        let waited = async { tokio::time::timeout(Duration::ZERO, Asked::block(table, pollable)).await };
        clock.block_on(waited).map_or(Ok(false), |ready| ready.map(|()| true))
    }
}

impl poll::Host for NeverWaits<'_> {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        let mut ready = Vec::new();
        for (index, pollable) in (0..).zip(pollables) {
            if self.is_ready(pollable)? {
                ready.push(index);
            }
        }
        if ready.is_empty() { Err(WouldWait.into()) } else { Ok(ready) }
    }
}

impl poll::HostPollable for NeverWaits<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        self.is_ready(pollable)
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        if self.is_ready(pollable)? { Ok(()) } else { Err(WouldWait.into()) }
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        Asked::drop(&mut self.0.table, pollable)
    }
}

/// Standard output or standard error: lines in the plugin's log.
#[derive(Clone)]
struct Printed(Arc<Mutex<Lines>>);

/// What of a line is there already.
struct Lines {
    record: Arc<Record>,
    level: Level,
    begun: Vec<u8>,
}

impl Lines {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.end(),
                _ if self.begun.len() >= LONGEST_LINE => {
                    self.end();
                    self.begun.push(*byte);
                }
                _ => self.begun.push(*byte),
            }
        }
    }

    fn end(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned();
        log_line(&self.record, self.level, line);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            self.end();
        }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for this, which is not linked.
        Box::new(tokio::io::sink())
    }
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        lock(&self.0).add(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LONGEST_LINE)
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

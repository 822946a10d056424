//! A plugin for tests: at its start it tries what its configuration names of WASI, and says in the log what
//! came of each.

#![deny(missing_docs)]

use std::time::Duration;

use bellhop_plugin::{Capabilities, Events, Plugin, Subscription, info, plugin};
use serde::Deserialize;

/// WASI, as far as it is tried.
#[allow(missing_docs, unsafe_code, clippy::pedantic, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ path: "wasi.wit", world: "tries", generate_all });
}

use bindings::wasi::cli::{environment, exit, stderr, stdin, stdout};
use bindings::wasi::clocks::{monotonic_clock, wall_clock};
use bindings::wasi::filesystem::preopens;
use bindings::wasi::io::poll;
use bindings::wasi::random::random;
use bindings::wasi::sockets::network::IpAddressFamily;
use bindings::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

/// What to try.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    tries: Vec<Try>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Try {
    Environment,
    Files,
    Sockets,
    Clocks,
    Random,
    MuchRandom,
    Print,
    Read,
    Ready,
    Wait,
    Exit,
    Hoard,
}

/// The plugin.
#[derive(Debug)]
pub struct WasiProbe;

plugin!(WasiProbe);

impl Plugin for WasiProbe {
    type Config = Config;

    fn start(config: Config) -> Result<(Self, Subscription), String> {
        for what in config.tries {
            info!("{what:?}: {}", attempt(what));
        }
        Ok((Self, Subscription { events: Events::empty(), capabilities: Capabilities::empty() }))
    }
}

fn attempt(what: Try) -> String {
    match what {
        Try::Environment => {
            format!("{:?} {:?}", environment::get_environment(), environment::get_arguments())
        }
        Try::Files => format!("{} open folders", preopens::get_directories().len()),
        Try::Sockets => {
            let tcp = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4)
                .map(drop)
                .map_err(|code| code.name());
            let udp = udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6)
                .map(drop)
                .map_err(|code| code.name());
            let network = instance_network::instance_network();
            let name = ip_name_lookup::resolve_addresses(&network, "localhost")
                .map(drop)
                .map_err(|code| code.name());
            format!("{tcp:?} {udp:?} {name:?}")
        }
        Try::Clocks => {
            let is_past = wall_clock::now().seconds > Duration::from_hours(50 * 365 * 24).as_secs();
            let before = monotonic_clock::now();
            format!("{is_past} {}", monotonic_clock::now() >= before)
        }
        Try::Random => format!("{}", random::get_random_bytes(32) != random::get_random_bytes(32)),
        Try::MuchRandom => format!("{} bytes", random::get_random_bytes(1 << 30).len()),
        Try::Print => {
            let printed = stdout::get_stdout().blocking_write_and_flush(b"one line\nand ano");
            let rest = stdout::get_stdout().blocking_write_and_flush(b"ther\n");
            let complaint = stderr::get_stderr().blocking_write_and_flush(b"no line yet");
            format!("{printed:?} {rest:?} {complaint:?}")
        }
        Try::Read => format!("{:?}", stdin::get_stdin().blocking_read(1)),
        Try::Ready => {
            let (now, never) =
                (monotonic_clock::subscribe_duration(0), monotonic_clock::subscribe_duration(u64::MAX));
            format!("{:?} {} {}", poll::poll(&[&never, &now]), now.ready(), never.ready())
        }
        Try::Wait => {
            monotonic_clock::subscribe_duration(1_000_000_000).block();
            "waited".to_owned()
        }
        Try::Exit => {
            exit::exit(Err(()));
            "went on".to_owned()
        }
        Try::Hoard => {
            let hoard: Vec<_> = (0..100_000).map(|_| monotonic_clock::subscribe_duration(u64::MAX)).collect();
            format!("{} things", hoard.len())
        }
    }
}

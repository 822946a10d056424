//! What the shared clipboard costs: from the request of who pastes to the last byte.
//!
//! A paste in the guest begins with its request to the X server, and the host has its content in the wire's form
//! by then; a paste at the host begins with the host's question. Beside each stands the same between two
//! programs of the guest without an agent, and the same conversion as native code.

mod measure;

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use bellhop_desktop::Desktop;
use bellhop_desktop::x11::X11Clipboards;
use bellhop_xserver::{Program, XServer};
use clipboard::convert::{self, Limits, Step};
use clipboard::formats::Mime;
use driver_core::wire::shared_clipboard::Formats;
use measure::programs::{Copier, Kind, Paster};
use measure::{Outcome, forget_peak, median, resident, timed};
use serde_json::{Value, json};
use support::{Rig, Setup, eventually};
use vmmdev::{Host, content};

const NEEDED: [Program; 2] = [Program::of("Xvfb", "xvfb"), Program::of("xclip", "xclip")];

/// How long a host waits for its guest.
const HOST_WAITS: Duration = Duration::from_secs(5);

/// How long what is not needed any more may take to go.
const SETTLES: Duration = Duration::from_millis(500);

const MIB: usize = 1 << 20;

/// What may become of a content in a conversion that stands alone.
const LIMITS: Limits = Limits { bytes: 1 << 30, pixels: 64_000_000 };

fn main() -> Outcome<()> {
    measure::main("clipboard", &NEEDED, |quick| {
        let (pastes, large) = if quick { (100, 3) } else { (1000, 9) };
        let scene = Scene::new()?;
        let short = short(&scene, pastes)?;
        let texts = [
            ("ASCII", text(63 * MIB, "The quick brown fox jumps over the lazy dog, and ")),
            ("two-byte characters", text(64 * MIB, "въчасусталыймирспитспокойно")),
            ("prose of both", text(64 * MIB, "Мороз и солнце; день чудесный! Ещё ты дремлешь, ")),
        ];
        let mut tables = Vec::new();
        for (name, text) in texts {
            tables.push(large_text(&scene, name, &text, large)?);
        }
        Ok(json!({ "short": short, "texts": tables, "picture": picture(&scene, large)? }))
    })
}

/// An agent with the clipboard on an X server, and another X server without an agent.
struct Scene {
    rig: Rig,
    server: XServer,
    alone: XServer,
}

impl Scene {
    fn new() -> Outcome<Self> {
        let (server, alone) =
            (XServer::virtual_framebuffer(640, 480)?, XServer::virtual_framebuffer(640, 480)?);
        let desktop = Desktop {
            clipboards: Arc::new(X11Clipboards::new(Some(server.display()))),
            ..Desktop::headless(1)
        };
        let rig = Setup::new().rig().desktop(desktop).reference("clipboard", "clipboard", "").start();
        eventually("the plugin waits for the host's messages", || {
            rig.host.hgcm_clients().iter().any(|client| client.waiting.len() == 1)
        });
        Ok(Self { rig, server, alone })
    }

    fn host(&self) -> &Host {
        &self.rig.host
    }

    /// Copies at the host, and waits until the guest's programs are offered it.
    fn put(&self, format: Formats, wire: Vec<u8>) -> Outcome<()> {
        let watcher = Paster::connect(self.server.display())?;
        watcher.watch()?;
        self.host().clipboard_put([(format, wire)])?;
        watcher.offered()
    }

    /// Copies text in the guest, and waits until the host gets just that.
    fn copied(&self, text: &Arc<Vec<u8>>, wire: &[u8]) -> Outcome<Copier> {
        let copier = Copier::copy(self.server.display(), Kind::Text, text.clone())?;
        eventually("the host gets what the guest has", || {
            self.host().clipboard_get(Formats::TEXT, HOST_WAITS).is_ok_and(|found| found == wire)
        });
        Ok(copier)
    }
}

/// 1 KiB of text, which takes the way alone.
fn short(scene: &Scene, times: usize) -> Outcome<Value> {
    let text = text(1024, "A line of a text. ");
    let wire = content::text(&text);
    let watcher = Paster::connect(scene.server.display())?;
    watcher.watch()?;
    let offer = median(times, || {
        sleep(Duration::from_millis(2));
        let wire = wire.clone();
        let (took, ()) = timed(|| {
            scene.host().clipboard_put([(Formats::TEXT, wire)])?;
            watcher.offered()
        })?;
        Ok(took)
    })?;

    let text = Arc::new(text.into_bytes());
    let _copier = Copier::copy(scene.alone.display(), Kind::Text, text.clone())?;
    let mut medians = Vec::new();
    for display in [scene.server.display(), scene.alone.display()] {
        let paster = Paster::connect(display)?;
        if paster.pasted(Kind::Text)? != *text {
            return Err("something else is pasted".into());
        }
        let client = median(times, || paster.paste(Kind::Text, drop_bytes))?;
        let xclip = median(times / 5, || Ok(timed(|| xclip(display, &text))?.0))?;
        medians.push(json!({ "client": client, "xclip": xclip }));
    }
    let host = {
        let _copier = scene.copied(&text, &wire)?;
        median(times, || Ok(timed(|| Ok(scene.host().clipboard_get(Formats::TEXT, HOST_WAITS)?))?.0))?
    };
    Ok(json!({ "offer": offer, "agent": medians[0], "alone": medians[1], "host": host }))
}

/// Pastes by xclip, its start included.
fn xclip(display: &str, text: &[u8]) -> Outcome<()> {
    let mut command = Command::new("xclip");
    command.args(["-selection", "clipboard", "-o", "-t", "UTF8_STRING"]).env("DISPLAY", display);
    let output = command.stdin(Stdio::null()).output()?;
    if output.stdout == text { Ok(()) } else { Err("xclip pastes something else".into()) }
}

/// A large text both ways.
fn large_text(scene: &Scene, name: &str, text: &str, times: usize) -> Outcome<Value> {
    eprintln!("{name}: {} bytes", text.len());
    let (wire, text) = (content::text(text), Arc::new(text.as_bytes().to_vec()));
    let native = [
        native(times, convert::to_guest, Mime::Plain, &wire)?,
        native(times, convert::to_host, Mime::Plain, &text)?,
    ];
    let mut ways = both_ways(scene, Kind::Text, Formats::TEXT, &text, wire, native, times)?;
    (ways["name"], ways["bytes"]) = (name.into(), text.len().into());
    Ok(ways)
}

/// A picture of a large screen both ways.
fn picture(scene: &Scene, times: usize) -> Outcome<Value> {
    let png = Arc::new(screenshot(3840, 2160)?);
    eprintln!("a screenshot: {} bytes", png.len());
    let wire = content::png(&png)?;
    let native = [
        native(times, convert::to_guest, Mime::Png, &wire)?,
        native(times, convert::to_host, Mime::Png, &png)?,
    ];
    let mut ways = both_ways(scene, Kind::Png, Formats::BITMAP, &png, wire, native, times)?;
    (ways["name"], ways["bytes"]) = ("screenshot".into(), png.len().into());
    Ok(ways)
}

/// To the guest, and to the host. What arrives is compared once, before the clock runs.
fn both_ways(
    scene: &Scene,
    kind: Kind,
    format: Formats,
    guest: &Arc<Vec<u8>>,
    wire: Vec<u8>,
    [native_to_guest, native_to_host]: [f64; 2],
    times: usize,
) -> Outcome<Value> {
    let alone = {
        let _copier = Copier::copy(scene.alone.display(), kind, guest.clone())?;
        let paster = Paster::connect(scene.alone.display())?;
        median(times, || paster.paste(kind, drop_bytes))?
    };

    scene.put(format, wire.clone())?;
    let paster = Paster::connect(scene.server.display())?;
    let mut to_guest = measured(times, || paster.paste(kind, drop_bytes))?;
    to_guest["native"] = native_to_guest.into();
    // Of a picture there are many writings.
    if matches!(kind, Kind::Text) && paster.pasted(kind)? != **guest {
        return Err("something else is pasted".into());
    }

    let _copier = Copier::copy(scene.server.display(), kind, guest.clone())?;
    let mut found = Vec::new();
    eventually("the host gets what the guest has", || {
        found = scene.host().clipboard_get(format, HOST_WAITS).unwrap_or_default();
        !found.is_empty() && (matches!(kind, Kind::Png) || found == wire)
    });
    drop((found, wire));
    let mut to_host =
        measured(times, || Ok(timed(|| Ok(scene.host().clipboard_get(format, HOST_WAITS)?))?.0))?;
    to_host["native"] = native_to_host.into();
    Ok(json!({ "alone": alone, "to_guest": to_guest, "to_host": to_host }))
}

/// Measures a transfer: its times, and what this process has in memory before, during and after.
fn measured(times: usize, mut once: impl FnMut() -> Outcome<Duration>) -> Outcome<Value> {
    sleep(SETTLES);
    forget_peak()?;
    let before = resident()?.now;
    let mut fastest = f64::INFINITY;
    let seconds = median(times, || {
        let took = once()?;
        fastest = fastest.min(took.as_secs_f64());
        Ok(took)
    })?;
    let peak = resident()?.peak;
    sleep(SETTLES);
    let after = resident()?.now;
    Ok(json!({ "seconds": seconds, "fastest": fastest, "before": before, "peak": peak, "after": after }))
}

/// A conversion of the plugin's.
type Conversion =
    fn(Mime, Rc<RefCell<Vec<u8>>>, u64, Rc<RefCell<Vec<u8>>>, Limits) -> Box<dyn convert::Convert>;

/// How long the plugin's own conversion takes as native code, from memory to memory.
fn native(times: usize, conversion: Conversion, mime: Mime, content: &[u8]) -> Outcome<f64> {
    let source = Rc::new(RefCell::new(content.to_vec()));
    median(times, || {
        let target = Rc::new(RefCell::new(Vec::new()));
        let mut under_way = conversion(mime, source.clone(), content.len() as u64, target, LIMITS);
        let (took, ()) = timed(|| {
            while under_way.step()? == Step::More {}
            Ok(())
        })?;
        Ok(took)
    })
}

fn drop_bytes(_: &[u8]) {}

/// A text of so many bytes, or a few less, in lines that begin with a phrase again and again.
fn text(bytes: usize, phrase: &str) -> String {
    let mut line = phrase.repeat(2);
    line.push('\n');
    let mut text = line.repeat(bytes / line.len());
    // Its rest in characters of one byte.
    text.extend(std::iter::repeat_n('.', bytes - text.len()));
    text
}

/// A picture like that of a screen: windows of one colour with writing in them, before a background that
/// changes from pixel to pixel, as a `.png` file.
fn screenshot(width: u32, height: u32) -> Outcome<Vec<u8>> {
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    let mut noise = 0x2545_f491_u32;
    for y in 0..height {
        for x in 0..width {
            noise ^= noise << 13;
            noise ^= noise >> 17;
            noise ^= noise << 5;
            let window = x % 960 > 80 && y % 720 > 60;
            // A letter is made of few pixels of a cell, and between the lines there is room.
            let (cell, inside) = ((x / 10, y / 20), y % 20 < 12 && x % 10 < 7);
            let shape = cell.0.wrapping_mul(2_654_435_761) ^ cell.1.wrapping_mul(40_503);
            let ink = inside && shape >> (x % 10 * 3 + y % 20 / 4) & 1 == 1 && x % 960 < 700;
            pixels.extend(match (window, ink) {
                (true, true) => [40, 44, 52],
                (true, false) => [250, 250, 248],
                (false, _) => [(x / 16) as u8, (y / 9) as u8, 96 + (noise % 8) as u8],
            });
        }
    }
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(file)
}

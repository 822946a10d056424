//! What the benchmarks of the plugins found out.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::table::{Row, Table};

/// The benchmarks, by the names of their files.
const SEAMLESS: &str = "seamless.json";
const CLIPBOARD: &str = "clipboard.json";
const NEIGHBOURS: &str = "neighbours.json";

/// Times are in seconds, sizes in bytes.
#[derive(Deserialize)]
struct Seamless {
    bare: Move,
    managed: Move,
}

/// How long a window's move takes.
#[derive(Deserialize)]
struct Move {
    /// To the host's region.
    region: f64,
    /// To another program.
    client: f64,
}

#[derive(Deserialize)]
struct Clipboard {
    short: Short,
    texts: Vec<Large>,
    picture: Large,
}

/// 1 KiB of text.
#[derive(Deserialize)]
struct Short {
    /// From the host's copying to the guest's programs being told.
    offer: f64,
    agent: Paste,
    /// Between two programs, without an agent.
    alone: Paste,
    /// The host's pasting.
    host: f64,
}

/// A paste in the guest.
#[derive(Deserialize)]
struct Paste {
    client: f64,
    xclip: f64,
}

/// A large content.
#[derive(Deserialize)]
struct Large {
    name: String,
    bytes: u64,
    /// Between two programs, without an agent.
    alone: f64,
    to_guest: Way,
    to_host: Way,
}

/// A large content's way.
#[derive(Deserialize)]
struct Way {
    seconds: f64,
    fastest: f64,
    /// The conversion alone, as native code.
    native: f64,
    before: u64,
    peak: u64,
    after: u64,
}

/// From the host's wish to the guest's report, beside other plugins.
#[derive(Deserialize)]
struct Neighbours {
    alone: Spread,
    /// Beside a native thread that uses a processor.
    thread: Spread,
    loops: Spread,
    storms: Spread,
    floods: Spread,
    nags: Spread,
}

/// The time in the middle, and the one that a hundredth is above.
#[derive(Deserialize)]
struct Spread {
    median: f64,
    p99: f64,
}

/// Removes the figures of earlier runs.
pub fn forget(figures: &Path) -> anyhow::Result<()> {
    for name in [SEAMLESS, CLIPBOARD, NEIGHBOURS] {
        let file = figures.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("Removing {}", file.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The tables of those benchmarks that ran; the others said why they did not.
pub fn tables(figures: &Path) -> anyhow::Result<Vec<Table>> {
    let mut tables = Vec::new();
    tables.extend(read(&figures.join(SEAMLESS))?.map(seamless));
    if let Some(Clipboard { short, texts, picture }) = read(&figures.join(CLIPBOARD))? {
        tables.push(short_text(&short));
        tables.extend(texts.iter().map(large_text));
        tables.push(screenshot(&picture));
    }
    tables.extend(read(&figures.join(NEIGHBOURS))?.map(neighbours));
    Ok(tables)
}

fn read<T: DeserializeOwned>(file: &Path) -> anyhow::Result<Option<T>> {
    let json = match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        json => json.with_context(|| format!("Reading {}", file.display()))?,
    };
    serde_json::from_str(&json).with_context(|| format!("Understanding {}", file.display()))
}

fn seamless(Seamless { bare, managed }: Seamless) -> Table {
    Table::new(
        "seamless: a window moves",
        vec![
            Row::new("to the host's region", time(bare.region), "< 1 ms"),
            Row::new("to another program", time(bare.client), ""),
            Row::new("by openbox, to the region", time(managed.region), ""),
            Row::new("by openbox, to another", time(managed.client), ""),
        ],
    )
}

fn short_text(Short { offer, agent, alone, host }: &Short) -> Table {
    Table::new(
        "clipboard: 1 KiB of text",
        vec![
            Row::new("host copies, guest is told", time(*offer), ""),
            Row::new("guest pastes, by a client", time(agent.client), "< 3 ms"),
            Row::new("  without an agent", time(alone.client), ""),
            Row::new("guest pastes, by xclip", time(agent.xclip), ""),
            Row::new("  without an agent", time(alone.xclip), ""),
            Row::new("host pastes", time(*host), ""),
        ],
    )
}

fn large_text(text: &Large) -> Table {
    let rate = |seconds: f64| format!("{:.0} MB/s", text.bytes as f64 / 1e6 / seconds);
    let mut rows = Vec::new();
    for (name, way) in [("to the guest", &text.to_guest), ("to the host", &text.to_host)] {
        let times =
            |bytes: u64| format!("{:+.1} times", (bytes as f64 - way.before as f64) / text.bytes as f64);
        rows.extend([
            Row::new(name, rate(way.seconds), "> 200 MB/s"),
            Row::new("  the fastest", rate(way.fastest), ""),
            Row::new("  the conversion, native", rate(way.native), ""),
            Row::new("  resident at its peak", times(way.peak), ""),
            Row::new("  resident after it", times(way.after), ""),
        ]);
    }
    rows.push(Row::new("without an agent", rate(text.alone), ""));
    Table::new(&format!("{} MiB, {}", text.bytes >> 20, text.name), rows)
}

fn screenshot(picture: &Large) -> Table {
    let mut rows = Vec::new();
    for (name, way) in [("to the guest", &picture.to_guest), ("to the host", &picture.to_host)] {
        rows.push(Row::new(name, time(way.seconds), ""));
        rows.push(Row::new("  the conversion, native", time(way.native), ""));
        rows.push(Row::new("  resident at its peak", more(way.peak, way.before), ""));
        rows.push(Row::new("  resident after it", more(way.after, way.before), ""));
    }
    rows.push(Row::new("without an agent", time(picture.alone), ""));
    Table::new("clipboard: a 4K screenshot", rows)
}

fn neighbours(Neighbours { alone, thread, loops, storms, floods, nags }: Neighbours) -> Table {
    let mut rows = vec![
        Row::new("alone", micros(alone.median), ""),
        Row::new("  99 of 100 within", micros(alone.p99), ""),
        Row::new("beside a busy thread", micros(thread.median), ""),
        Row::new("  99 of 100 within", micros(thread.p99), ""),
    ];
    for (name, beside) in [
        ("beside one that loops", loops),
        ("beside one that storms", storms),
        ("beside one that floods", floods),
        ("beside one that nags", nags),
    ] {
        rows.push(Row::new(name, micros(beside.median), ""));
        rows.push(Row::new("  99 of 100 within", micros(beside.p99), ""));
        rows.push(Row::new("  of that alone", times(beside.p99 / alone.p99), ""));
        rows.push(Row::new("  of that by a busy thread", times(beside.p99 / thread.p99), "< 2 times"));
    }
    Table::new("display, beside a hostile plugin", rows)
}

/// How much more there is than before.
fn more(bytes: u64, before: u64) -> String {
    format!("{:+.1} MB", (bytes as f64 - before as f64) / 1e6)
}

fn time(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1e3)
}

fn times(ratio: f64) -> String {
    format!("{ratio:.2} times")
}

fn micros(seconds: f64) -> String {
    format!("{:.0} µs", seconds * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_neighbour_costs_is_told_beside_what_there_is_without() {
        let json = r#"{"alone": {"median": 0.00005, "p99": 0.0001}, "thread": {"median": 1, "p99": 0.0002}, "loops": {"median": 0.00006, "p99": 0.00015},
            "storms": {"median": 1, "p99": 1}, "floods": {"median": 1, "p99": 1}, "nags": {"median": 1, "p99": 1}}"#;

        let text = neighbours(serde_json::from_str(json).unwrap()).to_string();

        for line in
            ["of that alone                 1.50 times", "a busy thread      0.75 times     < 2 times"]
        {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_large_text_is_told_by_its_rates_and_as_multiples_of_itself() {
        let json = r#"{"name": "ASCII", "bytes": 67108864, "alone": 0.1,
            "to_guest": {"seconds": 0.25, "fastest": 0.2, "native": 0.1,
                         "before": 1000, "peak": 134218728, "after": 1000},
            "to_host": {"seconds": 0.5, "fastest": 0.4, "native": 0.1,
                        "before": 67108864, "peak": 67108864, "after": 0}}"#;

        let text = large_text(&serde_json::from_str(json).unwrap()).to_string();

        for line in [
            "64 MiB, ASCII                     measured          goal",
            "to the guest                      268 MB/s    > 200 MB/s",
            "  resident at its peak          +2.0 times",
            "  resident after it             -1.0 times",
        ] {
            assert!(text.contains(line), "{line:?} is not in:\n{text}");
        }
    }

    #[test]
    fn a_benchmark_that_did_not_run_has_no_table() {
        assert!(tables(Path::new("/nonexistent")).unwrap().is_empty());
    }
}

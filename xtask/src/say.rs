//! Numbers for people.

use std::time::Duration;

/// A duration: `12 ms`, `0.8 s`, `1 min 20 s`.
pub fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 {
        format!("{:.0} ms", seconds * 1e3)
    } else if seconds < 60.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = duration.as_secs();
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// A size of a file: `57 KB`, `13.7 MB`; KB are 1000 bytes.
pub fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} KB", (bytes + 500) / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// A count and its noun: `1 crate`, `9 crates`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_that_reads_best() {
        for (milliseconds, expected) in
            [(12, "12 ms"), (840, "0.8 s"), (59_940, "59.9 s"), (80_900, "1 min 20 s")]
        {
            assert_eq!(duration(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn sizes_have_the_unit_that_reads_best() {
        for (bytes, expected) in
            [(999, "999 bytes"), (56_600, "57 KB"), (999_400, "999 KB"), (13_790_000, "13.7 MB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }
}

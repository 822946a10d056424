//! Quantities for people: three digits and a unit.

/// A time in nanoseconds.
pub(super) fn span(nanoseconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    const LONG: [(u64, &str, u64, &str); 3] =
        [(86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")];
    let seconds = nanoseconds / 1_000_000_000;
    if let Some((size, unit, rest, of_rest)) = LONG.iter().find(|(size, ..)| seconds >= *size) {
        return format!("{} {unit} {} {of_rest}", seconds / size, seconds % size / rest);
    }
    match UNITS.iter().find(|(size, _)| nanoseconds >= *size) {
        Some((size, unit)) => scaled(nanoseconds, *size, unit),
        None => format!("{nanoseconds} ns"),
    }
}

/// A size in bytes.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => scaled(bytes, *size, unit),
        None => format!("{bytes} B"),
    }
}

fn scaled(value: u64, size: u64, unit: &str) -> String {
    let scaled = value as f64 / size as f64;
    let digits =
        if value.is_multiple_of(size) || scaled >= 100.0 { 0 } else { usize::from(scaled < 10.0) + 1 };
    format!("{scaled:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_three_digits_and_a_unit() {
        for (nanoseconds, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_500, "1.50 us"),
            (12_340_000, "12.3 ms"),
            (5_000_000_000, "5 s"),
            (61_000_000_000, "1 min 1 s"),
            (7_260_000_000_000, "2 h 1 min"),
            (180_000_000_000_000, "2 d 2 h"),
        ] {
            assert_eq!(span(nanoseconds), text);
        }
        for (size, text) in [(5, "5 B"), (16 << 20, "16 MiB"), (1_153_434, "1.10 MiB"), (200_000, "195 KiB")]
        {
            assert_eq!(bytes(size), text);
        }
    }
}

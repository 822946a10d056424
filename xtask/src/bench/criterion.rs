//! What criterion found out about a ring.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;

use super::table::{Row, Table};

/// The part of criterion's estimates that is read; numbers are nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// The tables of the two benchmark groups, each of which answers the same event by a component, by that on
/// Pulley, by native code in its place, and by the wire alone.
pub fn tables(figures: &Path) -> anyhow::Result<[Table; 2]> {
    let medians = |group: &str| {
        let median = |function: &str| median(&figures.join(group).join(function).join("new/estimates.json"));
        anyhow::Ok([median("component")?, median("pulley")?, median("native")?, median("wire")?])
    };
    Ok([
        table("ring: from the host's wish", medians("ring")?, "< 1.5", "< 3 µs"),
        table("handler: from the event taken", medians("handler")?, "", "< 3 µs"),
    ])
}

fn table(
    title: &str,
    [component, pulley, native, wire]: [f64; 4],
    ratio: &'static str,
    difference: &'static str,
) -> Table {
    Table::new(
        title,
        vec![
            Row::new("by a component", time(component), ""),
            Row::new("by one on Pulley", time(pulley), ""),
            Row::new("by native code", time(native), ""),
            Row::new("the wire alone", time(wire), ""),
            Row::new("component / native", format!("{:.2}", component / native), ratio),
            Row::new("component - native", time(component - native), difference),
            Row::new("Pulley / component", format!("{:.2}", pulley / component), ""),
        ],
    )
}

fn median(file: &Path) -> anyhow::Result<f64> {
    let json = fs::read_to_string(file).with_context(|| format!("Reading {}", file.display()))?;
    let estimates: Estimates =
        serde_json::from_str(&json).with_context(|| format!("Understanding {}", file.display()))?;
    Ok(estimates.median.point_estimate)
}

fn time(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_compares_a_component_with_native_code() {
        let text = table("ring", [7500.0, 15_000.0, 6000.0, 1200.0], "< 1.5", "< 3 µs").to_string();

        assert!(text.contains("component / native                    1.25         < 1.5"), "{text}");
        assert!(text.contains("component - native                 1.50 µs        < 3 µs"), "{text}");
        assert!(text.contains("Pulley / component                    2.00"), "{text}");
    }

    #[test]
    fn the_median_is_read_from_the_estimates() {
        let json = r#"{"mean": {"point_estimate": 1.0}, "median": {"confidence_interval":
            {"lower_bound": 1.0}, "point_estimate": 6543.2, "standard_error": 3.0}}"#;

        let estimates: Estimates = serde_json::from_str(json).unwrap();

        assert!((estimates.median.point_estimate - 6543.2).abs() < f64::EPSILON);
    }
}

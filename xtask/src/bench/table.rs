//! Rows as text and as JSON.

use std::fmt::Write;

use serde::Serialize;

/// One line of the table, and one object of the JSON file.
#[derive(Serialize, Debug)]
pub struct Row {
    pub name: String,
    pub unit: String,
    pub aios: Option<f64>,
    pub linux: Option<f64>,
    pub linux_tuned: Option<f64>,
    /// Tuned Linux by AIOS: above one AIOS needs less.
    pub ratio: Option<f64>,
}

impl Row {
    pub fn new(name: &str, unit: String, aios: Option<f64>, linux: Option<f64>, linux_tuned: Option<f64>) -> Row {
        let ratio = match (linux_tuned, aios) {
            (Some(linux), Some(aios)) if aios > 0.0 => Some((linux / aios * 1000.0).round() / 1000.0),
            _ => None,
        };
        Row { name: name.to_owned(), unit, aios, linux, linux_tuned, ratio }
    }
}

/// The unit to show: time in the guest is instructions where they are counted.
pub fn unit(given: &str, wall: bool) -> String {
    if !wall && (given == "ns" || given == "cycles") { "instructions".to_owned() } else { given.to_owned() }
}

/// The table, with the geometric mean of the ratios of operations.
pub fn render(rows: &[Row], version: &str) -> String {
    let mut text =
        format!("{:<24} {:>12} {:>14} {:>14} {:>14} {:>8}\n", "row", "unit", "AIOS", "Linux", "Linux tuned", "ratio");
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0}"));
    for row in rows {
        let ratio = row.ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<24} {:>12} {:>14} {:>14} {:>14} {:>8}",
            row.name,
            row.unit,
            number(row.aios),
            number(row.linux),
            number(row.linux_tuned),
            ratio
        );
    }
    let ratios: Vec<f64> = rows.iter().filter(|row| row.is_operation()).filter_map(|row| row.ratio).collect();
    if ratios.len() > 1 {
        let mean = (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
        let behind = ratios.iter().filter(|ratio| **ratio < 1.0).count();
        let _ = writeln!(
            text,
            "{} operations against Linux {version}: geometric mean of the ratios {mean:.2}, {behind} behind tuned Linux",
            ratios.len()
        );
    }
    text
}

impl Row {
    /// Whether it is an operation of a running system, rather than its start or its size.
    fn is_operation(&self) -> bool {
        self.unit != "KiB" && self.name != super::BOOT
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, render, unit};

    #[test]
    fn the_ratio_is_above_one_where_aios_needs_less() {
        let row = Row::new("getpid", unit("ns", false), Some(161.0), Some(400.0), Some(322.0));
        assert_eq!((row.ratio, row.unit.as_str()), (Some(2.0), "instructions"));
        assert_eq!(Row::new("x", unit("ns", true), None, None, Some(1.0)).ratio, None);
    }

    #[test]
    fn the_mean_leaves_out_boot_and_sizes() {
        let rows = [
            Row::new("a", unit("ns", false), Some(1.0), None, Some(2.0)),
            Row::new("b", unit("ns", false), Some(1.0), None, Some(8.0)),
            Row::new("boot", unit("cycles", false), Some(1.0), None, Some(1000.0)),
            Row::new("idle-memory", unit("KiB", false), Some(1.0), None, Some(1000.0)),
        ];
        let text = render(&rows, "6.1");
        assert!(text.contains("2 operations") && text.contains("ratios 4.00, 0 behind"), "{text}");
    }
}

//! The reported table: each figure with its target.

use std::fmt::Write as _;

use crate::measure::Values;

/// Target of a figure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// The figure is for information only.
    None,
}

/// A figure from several runs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    pub(crate) values: Values,
    /// Explanation of the figure.
    pub(crate) detail: String,
}

impl Row {
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(most) => Some(self.values.median() <= most),
            Target::AtLeast(least) => Some(self.values.median() >= least),
            Target::None => None,
        }
    }
}

/// The figures as a Markdown table.
pub(crate) fn markdown(rows: &[Row]) -> String {
    let mut text = String::from(
        "| figure | to reach | median | least–most | | what it is made of |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for row in rows {
        let Row {
            figure,
            unit,
            target,
            values,
            detail,
        } = row;
        let target = match target {
            Target::AtMost(most) => format!("≤ {most}{unit}"),
            Target::AtLeast(least) => format!("≥ {least}{unit}"),
            Target::None => String::new(),
        };
        let met = match row.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "",
        };
        let (median, least, most) = (values.median(), values.at(0.0), values.at(1.0));
        writeln!(
            text,
            "| {figure} | {target} | {}{unit} | {}–{} | {met} | {detail} |",
            short(median),
            short(least),
            short(most)
        )
        .unwrap();
    }
    text
}

/// Formats without decimals beyond the third digit, since more digits are not reproducible.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

//! What is told: each figure against what it should be.

use std::fmt::Write as _;

use crate::measure::Values;

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// It is told beside others.
    None,
}

/// A figure of several runs.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) figure: String,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    pub(crate) values: Values,
    /// What it is made of.
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

/// The figures as a table of Markdown.
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

/// Three digits are more than can be measured again.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

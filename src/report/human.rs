//! Human-readable table: one line for each finding, with its hint below. The most severe rows are
//! first in a file or pipe, and last on a terminal.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter, wrap};

use crate::certificate::printable;
use crate::finding::Severity;
use crate::judge::{Judged, Verdict};
use crate::model::Timestamp;
use crate::observation::Outcome;

use super::fix::fix_of;
use super::rows::{Row, rows};
use super::{DAY, Summary};

/// Style of the table.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Maximum width in columns.
    pub width: usize,
    /// True if colours are used.
    pub colour: bool,
    /// Time from which remaining days are counted.
    pub now: Timestamp,
}

/// Indentation of findings below the host, past the column of severities.
const INDENT: &str = "          ";
/// Width of the longest severity name.
const SEVERITY_WIDTH: usize = 8;
const GAP: &str = "  ";
/// Word before the hint of a finding.
const FIX: &str = "fix:";

/// Formats the results as a table, one row for each probe, with a summary as the last line.
pub fn human(results: &[Judged], style: &Style) -> String {
    let all = rows(results);
    let blocks: Vec<Block<'_>> = all.iter().map(|row| vec![row]).collect();
    table(&all, &[], &blocks, style, true)
}

/// Formats the results for a terminal, which shows the last lines: the most severe rows are last.
/// Rows with the same fault are one block. Ok rows are one line, unless `shows_all` is true.
pub fn human_on_terminal(results: &[Judged], style: &Style, shows_all: bool) -> String {
    let all = rows(results);
    let (ok, others): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
        (all.iter()).partition(|row| row.judged.severity() == Severity::Ok);
    // One row is one line already.
    let is_folded = !shows_all && ok.len() > 1;
    let mut blocks = grouped(others);
    if !is_folded {
        blocks.extend(ok.iter().map(|row| vec![*row]));
    }
    // The sort is stable: blocks of the same severity stay in the order of their first rows.
    blocks.sort_by_key(|block| block.first().map(|row| row.judged.severity()));
    let folded_rows = if is_folded { &*ok } else { &[] };
    table(&all, folded_rows, &blocks, style, false)
}

/// Rows with the same fault.
type Block<'a> = Vec<&'a Row<'a>>;

/// Collects the rows with the same findings and errors into blocks, in the order of their first
/// rows.
fn grouped<'a>(rows: Vec<&'a Row<'a>>) -> Vec<Block<'a>> {
    let mut blocks: Vec<Block<'a>> = Vec::new();
    let mut places: HashMap<Fault, usize> = HashMap::new();
    for row in rows {
        let place = *places.entry(Fault::of(row)).or_insert(blocks.len());
        match blocks.get_mut(place) {
            Some(block) => block.push(row),
            None => blocks.push(vec![row]),
        }
    }
    blocks
}

/// The text of a row without its host and address. Rows with equal texts have the same fault.
#[derive(PartialEq, Eq, Hash)]
struct Fault {
    severity: Severity,
    vantage: String,
    error: Option<String>,
    findings: Vec<(Severity, &'static str, String, String)>,
}

impl Fault {
    fn of(row: &Row<'_>) -> Self {
        let findings = row.judged.findings.iter().map(|finding| {
            let text = finding.text();
            let name = finding.code().name();
            (finding.severity, name, text.message, text.hint)
        });
        let error = match &row.judged.verdict {
            Verdict::Inconclusive(error) => Some(format!("{}: {error}", error.kind)),
            Verdict::Conclusive(_) => None,
        };
        Self {
            severity: row.judged.severity(),
            vantage: row.judged.observation.vantage.to_string(),
            error,
            findings: findings.collect(),
        }
    }
}

fn table(
    all: &[Row<'_>],
    ok: &[&Row<'_>],
    blocks: &[Block<'_>],
    style: &Style,
    with_zeros: bool,
) -> String {
    let shown = || blocks.iter().flatten();
    let columns = Columns {
        host: column_width("HOST", shown().map(|r| r.host.as_str()), style.width / 3),
        address: column_width(
            "ADDRESS",
            shown().map(|r| r.address.as_str()),
            style.width / 3,
        ),
    };
    let mut out = String::new();
    if !blocks.is_empty() {
        let (host, address) = (columns.host, columns.address);
        let heading = format!(
            "{:SEVERITY_WIDTH$}{GAP}{:host$}{GAP}{:address$}{GAP}WHAT",
            "SEVERITY", "HOST", "ADDRESS"
        );
        let _ = writeln!(out, "{}", paint(&heading, BOLD, style));
    }
    if !ok.is_empty() {
        let word = format!("{:SEVERITY_WIDTH$}", severity_word(Severity::Ok));
        let word = paint(&word, colour_of(Severity::Ok), style);
        let _ = writeln!(out, "{word}{GAP}{}", folded(ok, style.now));
    }
    for block in blocks {
        write_block(&mut out, block, columns, style);
    }
    let summary = Summary::of(all.iter().map(|row| row.judged)).text(with_zeros);
    for line in wrap(&summary, style.width) {
        let _ = writeln!(out, "{}", coloured_counts(&line, style));
    }
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    for vantage in all.iter().flat_map(|row| &row.agreeing) {
        *same.entry(vantage).or_default() += 1;
    }
    for (vantage, count) in same {
        let _ = writeln!(out, "`{vantage}` sees the same as we do at {count} of them");
    }
    out
}

/// Widths of the columns of the table.
#[derive(Clone, Copy)]
struct Columns {
    host: usize,
    address: usize,
}

impl Columns {
    /// Formats the columns after the host.
    fn address(self, row: &Row<'_>, what: &str) -> String {
        let width = self.address;
        let text = format!("{:width$}{GAP}{what}", row.address);
        text.trim_end().to_owned()
    }

    /// Returns true if the row fits one line.
    fn fits(self, row: &Row<'_>, what: &str, style: &Style) -> bool {
        let host = self.host.max(display_width(&row.host));
        let address = display_width(&self.address(row, what));
        INDENT.len() + host + GAP.len() + address <= style.width
    }
}

/// Writes the rows of a block, then their common findings.
fn write_block(out: &mut String, block: &Block<'_>, columns: Columns, style: &Style) {
    let Some((first, others)) = block.split_first() else {
        return;
    };
    let severity = first.judged.severity();
    let word = format!("{:SEVERITY_WIDTH$}", severity_word(severity));
    let word = paint(&word, colour_of(severity), style);
    let what = what(first, style.now);
    // In a block of several rows, what does not fit beside the first row follows the last row.
    let is_beside = others.is_empty() || columns.fits(first, &what, style);
    let beside = if is_beside { &*what } else { "" };
    write_row(out, &word, first, beside, columns, style);
    for row in others {
        write_row(out, &" ".repeat(SEVERITY_WIDTH), row, "", columns, style);
    }
    if !is_beside {
        write_wrapped(out, &what, style);
    }
    if let Some(error) = first.unreported_error() {
        write_wrapped(out, &error.message, style);
        if let Some(fix) = fix_of(error.kind) {
            write_wrapped(out, &format!("{FIX} {fix}"), style);
        }
    }
    for finding in &first.judged.findings {
        let text = finding.text();
        // The first finding has the severity of the row. The others may be less severe.
        let message = if finding.severity == severity {
            text.message
        } else {
            format!("{}: {}", finding.severity, text.message)
        };
        write_wrapped(out, &message, style);
        if !text.hint.is_empty() {
            write_wrapped(out, &format!("{FIX} {}", text.hint), style);
        }
    }
}

fn write_row(
    out: &mut String,
    word: &str,
    row: &Row<'_>,
    what: &str,
    columns: Columns,
    style: &Style,
) {
    let padding = " ".repeat(columns.host.saturating_sub(display_width(&row.host)));
    let host = paint(&row.host, BOLD, style);
    if columns.fits(row, what, style) {
        let address = columns.address(row, what);
        let _ = writeln!(out, "{word}{GAP}{host}{padding}{GAP}{address}");
    } else if columns.fits(row, "", style) {
        let _ = writeln!(out, "{word}{GAP}{host}{padding}{GAP}{}", row.address);
        write_wrapped(out, what, style);
    } else {
        let _ = writeln!(out, "{word}{GAP}{host}");
        let text = format!("{}{GAP}{what}", row.address);
        write_wrapped(out, text.trim_end(), style);
    }
}

/// Colours each count of a summary by its severity, except zeros.
fn coloured_counts(line: &str, style: &Style) -> String {
    if !style.colour {
        return line.to_owned();
    }
    let paint_part = |part: &str| {
        let severity = [
            Severity::Critical,
            Severity::Unknown,
            Severity::Warning,
            Severity::Ok,
        ]
        .into_iter()
        .find(|severity| part.ends_with(&format!(" {}", severity.name())));
        match severity {
            Some(severity) if !part.starts_with("0 ") => paint(part, colour_of(severity), style),
            _ => part.to_owned(),
        }
    };
    let (before, counts) = line.split_once(": ").unwrap_or(("", line));
    let counts: Vec<String> = counts.split(", ").map(paint_part).collect();
    let gap = if before.is_empty() { "" } else { ": " };
    format!("{before}{gap}{}", counts.join(", "))
}

/// Formats ok rows in one line: their number, and the expiry that is first.
fn folded(ok: &[&Row<'_>], now: Timestamp) -> String {
    let ends = ok
        .iter()
        .filter_map(|row| match &row.judged.observation.outcome {
            Outcome::Served(served) => served.leaf.facts().ok().map(|facts| facts.not_after),
            Outcome::Reported(_) | Outcome::Failed(_) => None,
        });
    let first = ends
        .min()
        .map(|end| format!(", all at least {}", until(end, now)));
    format!("{} ok{}", ok.len(), first.unwrap_or_default())
}

/// Formats one probe in one line, without a width limit.
pub fn line(judged: &Judged, style: &Style) -> String {
    let row = Row::new(judged);
    let severity = judged.severity();
    let word = format!("{:SEVERITY_WIDTH$}", severity_word(severity));
    format!(
        "{}{GAP}{} {}{GAP}{}",
        paint(&word, colour_of(severity), style),
        row.host,
        row.address,
        what(&row, style.now)
    )
}

/// Formats the codes of the findings. Without findings, formats the error or the expiry.
fn what(row: &Row<'_>, now: Timestamp) -> String {
    let mut what = match &row.judged.verdict {
        _ if !row.judged.findings.is_empty() => {
            let codes = row.judged.findings.iter().map(|f| f.code().name());
            let mut codes: Vec<_> = codes.collect();
            codes.dedup();
            codes.join(", ")
        }
        Verdict::Inconclusive(error) => error.kind.name().to_owned(),
        Verdict::Conclusive(_) => match &row.judged.observation.outcome {
            Outcome::Served(served) => served.leaf.facts().map_or_else(
                |malformed| malformed.to_string(),
                |facts| until(facts.not_after, now),
            ),
            Outcome::Reported(_) | Outcome::Failed(_) => "the right certificate".into(),
        },
    };
    if !row.judged.observation.vantage.is_local() {
        let _ = write!(what, " (seen from {})", row.judged.observation.vantage);
    }
    what
}

/// Formats an expiry, with the remaining days if there is at least one.
pub(super) fn until(end: Timestamp, now: Timestamp) -> String {
    match end.seconds_since(now) / DAY {
        0 => format!("until {end}"),
        1 => format!("until {}, 1 day", end.date()),
        days => format!("until {}, {days} days", end.date()),
    }
}

pub(super) fn severity_word(severity: Severity) -> String {
    match severity {
        Severity::Ok | Severity::Info => severity.name().to_owned(),
        Severity::Warning | Severity::Unknown | Severity::Critical => {
            severity.name().to_ascii_uppercase()
        }
    }
}

/// Returns the width of the widest cell. Cells over the maximum are ignored, so that a few long
/// names do not widen the column.
fn column_width<'a>(heading: &str, cells: impl Iterator<Item = &'a str>, most: usize) -> usize {
    let fitting = cells.map(display_width).filter(|width| *width <= most);
    fitting.fold(heading.len(), usize::max)
}

fn write_wrapped(out: &mut String, text: &str, style: &Style) {
    let continued = format!("{INDENT}  ");
    let options = Options::new(style.width)
        .initial_indent(INDENT)
        .subsequent_indent(&continued)
        // A hostname with hyphens must stay on one line, so that users can copy it.
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    // Errors quote the names of files.
    let text = printable(text);
    let text = text.as_str();
    for line in wrap(text, options) {
        // Only hints begin with the word, and it is never alone on a line.
        match line
            .strip_prefix(INDENT)
            .and_then(|rest| rest.strip_prefix(FIX))
        {
            Some(hint) if text.starts_with(FIX) => {
                let _ = writeln!(out, "{INDENT}{}{hint}", paint(FIX, FIX_STYLE, style));
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
}

pub(super) const BOLD: &str = "1";
/// Bold and cyan.
const FIX_STYLE: &str = "1;36";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
const MAGENTA: &str = "35";

pub(crate) fn colour_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok | Severity::Info => GREEN,
        Severity::Warning => YELLOW,
        Severity::Unknown => MAGENTA,
        Severity::Critical => RED,
    }
}

/// Select Graphic Rendition (ECMA-48, section 8.3.117).
pub(crate) fn paint(text: &str, code: &str, style: &Style) -> String {
    if style.colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

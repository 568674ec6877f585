//! Output for GitHub Actions: workflow commands, which make an annotation for each fault in the run
//! and its log, and the job summary.
//!
//! The runner reads both outputs line by line and interprets lines that begin with `::` as
//! commands
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>). Text
//! from servers appears only inside commands and is escaped, so that it cannot begin a command.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write as _;

use crate::certificate::printable;
use crate::finding::Severity;
use crate::judge::Judged;
use crate::model::and_more;

use super::human::severity_word;
use super::rows::{Row, rows};
use super::{Gap, Summary};

/// Maximum places that an annotation names. The log and the job summary have the others.
const MAX_NAMED_PLACES: usize = 20;
/// Maximum faults in the job summary, which GitHub limits to 1 MiB
/// (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits>).
const MAX_SUMMARY_FAULTS: usize = 200;
/// Maximum characters of each cell of the job summary.
const MAX_CELL: usize = 1000;

/// One fault: a finding or an error of a probe, and the places that have it.
struct Fault {
    severity: Severity,
    code: String,
    message: String,
    hint: String,
    places: Vec<String>,
}

/// Collects the faults, in the order of the rows: the most severe rows first.
fn faults(rows: &[Row<'_>]) -> Vec<Fault> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known: HashMap<(Severity, String, String, String), usize> = HashMap::new();
    let mut add = |row: &Row<'_>, severity, code: String, message: String, hint: String| {
        let key = (severity, code.clone(), message.clone(), hint.clone());
        let number = *known.entry(key).or_insert(faults.len());
        match faults.get_mut(number) {
            Some(fault) => fault.places.push(row.place()),
            None => faults.push(Fault {
                severity,
                code,
                message,
                hint,
                places: vec![row.place()],
            }),
        }
    };
    for row in rows {
        if let Some(error) = row.unreported_error() {
            let severity = row.judged.severity();
            let code = error.kind.to_string();
            add(row, severity, code, error.message.clone(), String::new());
        }
        for finding in &row.judged.findings {
            let text = finding.text();
            let code = finding.code().to_string();
            add(row, finding.severity, code, text.message, text.hint);
        }
    }
    faults
}

/// Returns text for the log of a job, in which no line is a command. The runner ignores white space
/// before `::`, and finds the older `##[` within a line
/// (<https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs>).
pub fn without_commands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_start();
        let (space, _) = line.split_at(line.len() - content.len());
        out.push_str(space);
        match content.strip_prefix("::") {
            Some(rest) => {
                out.push_str(": :");
                out.push_str(&rest.replace("##[", "# #["));
            }
            None => out.push_str(&content.replace("##[", "# #[")),
        }
    }
    out
}

/// Formats a command for each fault, in the order of the most severe endpoints, then the summary.
pub fn github(results: &[Judged]) -> String {
    let rows = rows(results);
    let mut out = String::new();
    for fault in faults(&rows) {
        let mut lines = vec![fault.message];
        let title = match &*fault.places {
            [place] => format!("{} {place}", fault.code),
            places => {
                let named = places.iter().take(MAX_NAMED_PLACES).map(String::as_str);
                lines.push(format!("at {}", and_more(named, places.len())));
                format!("{} at {} endpoints", fault.code, places.len())
            }
        };
        if !fault.hint.is_empty() {
            lines.push(format!("fix: {}", fault.hint));
        }
        annotate(&mut out, fault.severity, &title, &lines);
    }
    let _ = writeln!(out, "{}", Summary::of(rows.iter().map(|row| row.judged)));
    out
}

/// Marks the annotations as incomplete. A failed source is an error of the job.
pub fn incomplete(mut text: String, gap: &Gap) -> String {
    match gap {
        Gap::Interrupted => {
            let _ = writeln!(text, "{gap}");
        }
        Gap::Source(_) => annotate(&mut text, Severity::Unknown, "source", &[gap.to_string()]),
    }
    text
}

/// Formats the job summary in GitHub's Markdown: the counts, and a table of the faults, most severe
/// first. Text from servers is escaped, so that it is shown as text.
pub fn github_summary(results: &[Judged], gap: Option<&Gap>) -> String {
    let rows = rows(results);
    let mut faults = faults(&rows);
    faults.sort_by_key(|fault| Reverse(fault.severity));
    let summary = Summary::of(rows.iter().map(|row| row.judged)).text(false);
    let mut out = format!("### Certificates: {summary}\n\n");
    if let Some(gap) = gap {
        let _ = writeln!(out, "{}\n", cell(&gap.to_string()));
    }
    if faults.is_empty() {
        return out;
    }
    out.push_str("| severity | where | what | fix |\n| --- | --- | --- | --- |\n");
    for fault in faults.iter().take(MAX_SUMMARY_FAULTS) {
        let places = fault.places.iter().take(MAX_NAMED_PLACES);
        let mut places: Vec<String> = places.map(|place| cell(place)).collect();
        let more = fault.places.len() - places.len();
        if more > 0 {
            places.push(format!("and {more} more"));
        }
        let _ = writeln!(
            out,
            "| {} | {} | `{}`: {} | {} |",
            severity_word(fault.severity),
            places.join("<br>"),
            fault.code,
            cell(&fault.message),
            cell(&fault.hint)
        );
    }
    let more = faults.len().saturating_sub(MAX_SUMMARY_FAULTS);
    if more > 0 {
        let _ = writeln!(out, "\nand {more} more faults: see the log");
    }
    out.push('\n');
    out
}

/// Formats text for a cell: every character that Markdown or HTML interprets is escaped.
fn cell(text: &str) -> String {
    let text = printable(text);
    let mut out = String::with_capacity(text.len());
    for c in text.chars().take(MAX_CELL) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A character reference is text in every context: it makes no mention, link or emphasis.
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '!' | '#' | '@' | '$' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn annotate(out: &mut String, severity: Severity, title: &str, lines: &[String]) {
    let command = match severity {
        Severity::Critical | Severity::Unknown => "error",
        Severity::Warning => "warning",
        Severity::Info | Severity::Ok => "notice",
    };
    let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
    let title = escaped(title).replace(':', "%3A").replace(',', "%2C");
    // Line ends inside a command are escaped.
    let _ = writeln!(out, "::{command} title={title}::{}", lines.join("%0A"));
}

/// Escapes text for the message of a command. Line ends are removed with the other control
/// characters.
fn escaped(text: &str) -> String {
    printable(text).replace('%', "%25")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::without_commands;

    #[test]
    fn text_for_a_log_has_no_command() {
        for (text, shown) in [
            ("ok [::1]:443\n", "ok [::1]:443\n"),
            ("a\n  ::stop-commands::x\nb", "a\n  : :stop-commands::x\nb"),
            ("\t::add-mask::x", "\t: :add-mask::x"),
            ("a ##[add-mask]b", "a # #[add-mask]b"),
            ("::a ##[b]\n", ": :a # #[b]\n"),
            ("###[x]", "## #[x]"),
            ("", ""),
        ] {
            assert_eq!(without_commands(text), shown);
        }
    }

    proptest! {
        #[test]
        fn no_line_of_a_log_is_a_command(text in "[:#\\[ \ta\n]{0,40}") {
            for line in without_commands(&text).split(['\n', '\r']) {
                prop_assert!(!line.trim_start().starts_with("::"), "{line:?}");
                prop_assert!(!line.contains("##["), "{line:?}");
            }
        }
    }
}

//! JUnit XML for GitLab, Jenkins and the reporters of GitHub Actions: a suite for each certificate,
//! and a test case for each endpoint.
//!
//! There is no standard. The output follows the schema of Jenkins' xUnit plugin (`junit-10.xsd`),
//! with at most one `failure` or `error` in a case, since some readers use only the first.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::finding::Severity;
use crate::judge::Judged;

use super::Gap;
use super::rows::Row;

/// Formats the results as one XML document. Critical findings are failures, inconclusive results
/// are errors. A warning is a failure if `warnings_fail`, otherwise it is output of the case.
pub fn junit(results: &[Judged], warnings_fail: bool) -> String {
    junit_of_run(results, warnings_fail, None)
}

/// Formats the results of a run. If it is incomplete, a suite has the error.
pub fn junit_of_run(results: &[Judged], warnings_fail: bool, gap: Option<&Gap>) -> String {
    let mut suites: BTreeMap<&str, Vec<Case>> = BTreeMap::new();
    if let Some(gap) = gap {
        suites.entry("certvigil").or_default().push(Case {
            name: gap.name().into(),
            time: Duration::ZERO,
            end: CaseResult::Error,
            kind: gap.name(),
            message: gap.to_string(),
            text: gap.to_string(),
        });
    }
    for judged in results {
        let certificate = judged.observation.target.certificate.as_str();
        let suite = suites.entry(certificate).or_default();
        suite.push(Case::new(judged, warnings_fail));
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = Counts::of(suites.values().flatten());
    let _ = writeln!(out, "<testsuites name=\"certvigil\" {all}>");
    for (certificate, cases) in &suites {
        let counts = Counts::of(cases);
        let certificate = quoted(certificate);
        let _ = writeln!(
            out,
            "  <testsuite name=\"{certificate}\" {counts} skipped=\"0\">"
        );
        for case in cases {
            case.write(&mut out, &certificate);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// Outcome of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CaseResult {
    Passed,
    Failure,
    Error,
}

struct Case {
    name: String,
    time: Duration,
    end: CaseResult,
    /// Machine-readable type: the code of the most severe finding, or the kind of error.
    kind: &'static str,
    /// Message of the most severe finding or error.
    message: String,
    /// All findings and errors.
    text: String,
}

impl Case {
    fn new(judged: &Judged, warnings_fail: bool) -> Self {
        let row = Row::new(judged);
        let error = row
            .unreported_error()
            .map(|e| (e.kind.name(), e.message.clone()));
        // Findings are sorted, most severe first.
        let first = judged.findings.first();
        let first = first.map(|f| (f.code().name(), f.message()));
        let severity = judged.severity();
        let worst = if severity == Severity::Unknown {
            error.clone().or(first)
        } else {
            first.or_else(|| error.clone())
        };
        let (kind, message) = worst.unzip();
        let mut text = String::new();
        if let Some((kind, message)) = error {
            let _ = writeln!(text, "{kind}: {message}");
        }
        for finding in &judged.findings {
            let (severity, code) = (finding.severity, finding.code());
            let words = finding.text();
            let _ = writeln!(text, "{severity}: {code}: {}", words.message);
            if !words.hint.is_empty() {
                let _ = writeln!(text, "fix: {}", words.hint);
            }
        }
        let timings = &judged.observation.timings;
        let phases = [
            timings.resolve,
            timings.connect,
            timings.starttls,
            timings.handshake,
        ];
        Self {
            name: row.place(),
            time: phases.into_iter().flatten().sum(),
            end: match severity {
                Severity::Critical => CaseResult::Failure,
                Severity::Unknown => CaseResult::Error,
                Severity::Warning if warnings_fail => CaseResult::Failure,
                Severity::Warning | Severity::Info | Severity::Ok => CaseResult::Passed,
            },
            kind: kind.unwrap_or_default(),
            message: message.unwrap_or_default(),
            text,
        }
    }

    fn write(&self, out: &mut String, certificate: &str) {
        let (name, time) = (quoted(&self.name), self.time.as_secs_f64());
        let _ = write!(
            out,
            "    <testcase classname=\"{certificate}\" name=\"{name}\" time=\"{time:.6}\""
        );
        let text = escaped(self.text.trim_end());
        let (kind, message) = (self.kind, quoted(&self.message));
        let element = match self.end {
            CaseResult::Failure => "failure",
            CaseResult::Error => "error",
            CaseResult::Passed if text.is_empty() => {
                out.push_str("/>\n");
                return;
            }
            CaseResult::Passed => {
                let _ = writeln!(
                    out,
                    ">\n      <system-out>{text}</system-out>\n    </testcase>"
                );
                return;
            }
        };
        let _ = writeln!(
            out,
            ">\n      <{element} type=\"{kind}\" message=\"{message}\">{text}</{element}>\n    </testcase>"
        );
    }
}

struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    time: Duration,
}

impl Counts {
    fn of<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut counts = Self {
            tests: 0,
            failures: 0,
            errors: 0,
            time: Duration::ZERO,
        };
        for case in cases {
            counts.tests += 1;
            counts.failures += usize::from(case.end == CaseResult::Failure);
            counts.errors += usize::from(case.end == CaseResult::Error);
            counts.time += case.time;
        }
        counts
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{:.6}\"",
            self.tests,
            self.failures,
            self.errors,
            self.time.as_secs_f64()
        )
    }
}

/// Escapes text for content. Replaces characters that XML 1.0 does not allow even as references
/// (section 2.2).
fn escaped(text: &str) -> String {
    escape(text, false)
}

/// Escapes text for a value in double quotes. Readers take a line end or tab there for a space, unless
/// it is a reference (section 3.3.3).
fn quoted(text: &str) -> String {
    escape(text, true)
}

fn escape(text: &str, is_value: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' if is_value => out.push_str("&#9;"),
            '\n' if is_value => out.push_str("&#10;"),
            // In content, readers take it for a line feed (section 2.11).
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'.. => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out
}

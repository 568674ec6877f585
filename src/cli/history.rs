//! `certvigil history`: shows recorded certificate changes of each server.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr as _;

use clap::{ValueEnum, ValueHint};
use serde::Serialize;
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter, wrap};

use crate::certificate::printable;
use crate::finding::MaterialChange;
use crate::model::{KeyType, Protocol, Timestamp, Vantage, did_you_mean};
use crate::report::{Style, colour_of, paint};
use crate::store::{Before, Query, Replacement, Seen, Span, Store};

use super::error::{Error, FlagError};
use super::flags::parse_count;
use super::{Code, now, output};

/// Digits of a fingerprint that are shown. They are enough to distinguish certificates by eye.
const SHORT_FINGERPRINT: usize = 8;

/// Show certificate changes recorded by `certvigil serve --state-dir`
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of a certificate or host; without it, all changes
    name: Option<String>,

    /// Path to the state directory of `certvigil serve`
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    state_dir: PathBuf,

    /// Show only changes since this duration ago (7d) or RFC 3339 time
    #[arg(long, value_name = "DURATION|TIME")]
    since: Option<Since>,

    /// Show only changes to a result that needs attention: warning, unknown or critical
    #[arg(long)]
    problems: bool,

    /// Output format
    #[arg(long, value_enum, default_value = "human")]
    format: Format,

    /// Maximum changes to show (the newest)
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse_count)]
    limit: usize,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// One line per change, newest last
    Human,
    /// One JSON object
    Json,
}

/// Start of the period that is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Since {
    Ago(std::time::Duration),
    At(Timestamp),
}

impl std::str::FromStr for Since {
    type Err = FlagError;

    fn from_str(text: &str) -> Result<Self, FlagError> {
        if let Ok(time) = text.parse() {
            return Ok(Self::At(time));
        }
        humantime::parse_duration(text)
            .map(Self::Ago)
            .map_err(|_| FlagError::Since)
    }
}

impl Since {
    fn time(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(duration) => {
                let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
                Timestamp(now.0.saturating_sub(seconds))
            }
            Self::At(time) => time,
        }
    }
}

pub(super) fn run(args: &Args) -> Code {
    match history(args) {
        Ok(text) => output::print(&text, Code::Ok),
        Err(error) => output::fail(&error),
    }
}

fn history(args: &Args) -> Result<String, Error> {
    let store = Store::open_to_read(&args.state_dir)?;
    let query = Query {
        name: args.name.clone(),
        since: args.since.map(|since| since.time(now())),
        // One more row than requested shows whether there are more.
        limit: args.limit.saturating_add(1),
    };
    let mut spans = match args.problems {
        true => store.history_of_problems(&query)?,
        false => store.history(&query)?,
    };
    if spans.is_empty() {
        explain_nothing(&store, args)?;
    }
    if spans.len() > args.limit {
        spans.remove(0);
        output::note(&format!(
            "showing only the newest {} changes; use --limit or --since to see others",
            args.limit
        ));
    }
    Ok(match args.format {
        Format::Human => human(
            &spans,
            &Style {
                width: output::width_of_stdout(),
                colour: output::colour_on_stdout(),
                now: now(),
            },
        ),
        Format::Json => json(&spans),
    })
}

/// Reports on stderr why no changes match, or returns an error if the name is unknown.
fn explain_nothing(store: &Store, args: &Args) -> Result<(), Error> {
    let names = store.names()?;
    if names.is_empty() {
        output::note("the history is empty: nothing has been probed, or all entries were pruned");
        return Ok(());
    }
    if let Some(name) = &args.name {
        let query = Query {
            name: Some(name.clone()),
            since: None,
            limit: 1,
        };
        if store.history(&query)?.is_empty() {
            return Err(Error::NoHistory {
                name: name.clone(),
                near: did_you_mean(name, names.iter().map(String::as_str)),
            });
        }
    }
    output::note(match (args.problems, args.since.is_some()) {
        (false, _) => "no changes since then",
        (true, true) => "no problems since then",
        (true, false) => "no problems",
    });
    Ok(())
}

/// Formats one line for each span: time, place, and the previous and current certificate.
fn human(spans: &[Span], style: &Style) -> String {
    const INDENT: &str = "    ";
    let mut out = String::new();
    for span in spans {
        let time = span.first_seen.to_string();
        let width_of_time = display_width(&time);
        let time = paint(&time, colour_of(span.severity), style);
        let place = place(span);
        let change = change(span);
        if width_of_time + display_width(&place) + display_width(&change) + 4 <= style.width {
            let _ = writeln!(out, "{time}  {place}  {change}");
            continue;
        }
        let _ = writeln!(out, "{time}  {place}");
        let options = Options::new(style.width)
            .initial_indent(INDENT)
            .subsequent_indent(INDENT)
            .word_splitter(WordSplitter::NoHyphenation)
            .break_words(false);
        for line in wrap(&change, options) {
            let _ = writeln!(out, "{line}");
        }
    }
    out
}

fn place(span: &Span) -> String {
    let mut address = match span.ip {
        Some(ip) => SocketAddr::new(ip, span.port).to_string(),
        None if span.protocol == Protocol::File.name() => Protocol::File.name().into(),
        None => format!("port {}", span.port),
    };
    if Protocol::from_str(&span.protocol).is_ok_and(Protocol::is_quic) {
        address.push_str("/udp");
    }
    if span.key_type != KeyType::Any.name() {
        address = format!("{address} {}", span.key_type);
    }
    let mut place = format!("{}  {address}", printable(&span.hostname));
    if span.vantage != Vantage::LOCAL {
        let _ = write!(place, "  from {}", printable(&span.vantage));
    }
    place
}

fn change(span: &Span) -> String {
    let change = results(span);
    match &span.replacement {
        Some(replacement) => format!("{change}; {}", printable(&replacement.to_string())),
        None => change,
    }
}

/// Formats the results before and after a change.
fn results(span: &Span) -> String {
    let is = name(&span.seen);
    let judged = judgement(span.correct, span.chained);
    let together = |name: &str, judged: &str| match judged {
        "" => name.to_owned(),
        _ => format!("{name}, {judged}"),
    };
    match &span.before {
        Before::Nothing => format!("first seen: {}", together(&is, &judged)),
        Before::Forgotten => format!("(no longer known) → {}", together(&is, &judged)),
        Before::Was {
            seen,
            correct,
            chained,
        } => {
            let was = name(seen);
            let before = judgement(*correct, *chained);
            if was == is && !before.is_empty() && !judged.is_empty() {
                return format!("{is}: {before} → {judged}");
            }
            format!("{} → {}", together(&was, &before), together(&is, &judged))
        }
    }
}

/// Formats a short description of a state.
fn name(seen: &Seen) -> String {
    match seen {
        Seen::Served {
            sha256,
            issuer,
            issuer_common_name,
            not_after,
            ..
        } => {
            let mut text: String = sha256.chars().take(SHORT_FINGERPRINT).collect();
            if let Some(issuer) = issuer_common_name.as_ref().or(issuer.as_ref()) {
                let _ = write!(text, " by {}", printable(issuer));
            }
            if let Some(end) = not_after {
                let _ = write!(text, " until {}", end.date());
            }
            text
        }
        Seen::Reported { dummy: true, .. } => "a temporary certificate".into(),
        Seen::Reported { .. } => "a certificate".into(),
        Seen::Failed { error_kind, error } if error.is_empty() => error_kind.clone(),
        Seen::Failed { error, .. } => printable(error),
    }
}

/// Formats whether the certificate was the expected one and its chain complete. Returns an empty
/// text if nothing was judged.
fn judgement(correct: Option<bool>, chained: Option<bool>) -> String {
    let mut words = Vec::new();
    words.extend(correct.map(|correct| if correct { "expected" } else { "unexpected" }));
    words.extend((chained == Some(false)).then_some("chain incomplete"));
    words.join(", ")
}

#[derive(Serialize)]
struct Document<'a> {
    history: Vec<Row<'a>>,
}

/// A change in the JSON output. All keys are always present. Of `served`, `told` and `failed`,
/// exactly one is not null.
#[derive(Serialize)]
struct Row<'a> {
    certificate: &'a str,
    hostname: &'a str,
    ip: Option<String>,
    port: u16,
    protocol: &'a str,
    key_type: &'a str,
    vantage: &'a str,
    first_seen: String,
    last_seen: String,
    severity: &'static str,
    correct: Option<bool>,
    chained: Option<bool>,
    served: Option<ServedRow<'a>>,
    told: Option<ReportedRow>,
    failed: Option<FailedRow<'a>>,
    change: Option<ChangeRow<'a>>,
    labels: &'a BTreeMap<String, String>,
}

/// Comparison of a certificate with the previous one.
#[derive(Serialize)]
struct ChangeRow<'a> {
    kind: &'static str,
    reasons: &'a [MaterialChange],
}

#[derive(Serialize)]
struct ServedRow<'a> {
    sha256: &'a str,
    subject: Option<&'a str>,
    issuer: Option<&'a str>,
    serial: Option<&'a str>,
    not_before: Option<String>,
    not_after: Option<String>,
}

#[derive(Serialize)]
struct ReportedRow {
    correct: bool,
    chained: bool,
    dummy: bool,
}

#[derive(Serialize)]
struct FailedRow<'a> {
    error_kind: &'a str,
    error: &'a str,
}

fn json(spans: &[Span]) -> String {
    let document = Document {
        history: spans.iter().map(row).collect(),
    };
    // The document has only strings, numbers and lists, so serialization cannot fail.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

fn row(span: &Span) -> Row<'_> {
    let (mut served, mut told, mut failed) = (None, None, None);
    match &span.seen {
        Seen::Served {
            sha256,
            subject,
            issuer,
            serial,
            not_before,
            not_after,
            ..
        } => {
            served = Some(ServedRow {
                sha256,
                subject: subject.as_deref(),
                issuer: issuer.as_deref(),
                serial: serial.as_deref(),
                not_before: not_before.map(|t| t.to_string()),
                not_after: not_after.map(|t| t.to_string()),
            });
        }
        &Seen::Reported {
            correct,
            chained,
            dummy,
        } => {
            told = Some(ReportedRow {
                correct,
                chained,
                dummy,
            });
        }
        Seen::Failed { error_kind, error } => failed = Some(FailedRow { error_kind, error }),
    }
    Row {
        certificate: &span.certificate,
        hostname: &span.hostname,
        ip: span.ip.map(|ip| ip.to_string()),
        port: span.port,
        protocol: &span.protocol,
        key_type: &span.key_type,
        vantage: &span.vantage,
        first_seen: span.first_seen.to_string(),
        last_seen: span.last_seen.to_string(),
        severity: span.severity.name(),
        correct: span.correct,
        chained: span.chained,
        served,
        told,
        failed,
        change: span.replacement.as_ref().map(change_row),
        labels: &span.labels,
    }
}

fn change_row(replacement: &Replacement) -> ChangeRow<'_> {
    match replacement {
        Replacement::Renewal => ChangeRow {
            kind: "renewal",
            reasons: &[],
        },
        Replacement::Older => ChangeRow {
            kind: "older_certificate",
            reasons: &[],
        },
        Replacement::MaterialChange(reasons) => ChangeRow {
            kind: "material_change",
            reasons,
        },
    }
}

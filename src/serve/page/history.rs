//! The change history, which is read from the state directory if there is one.

use crate::model::{Protocol, Timestamp};
use crate::observation::Outcome;
use crate::store::{Before, Query, Seen, Span, Store};

use super::super::snapshot::Since;
use super::faults::message;
use super::frame::{moment, relative, table, time};
use super::html::Html;
use super::view::{Certificate, Endpoint, VantageResult, View};

/// Maximum changes that are shown.
const MAX_SHOWN: usize = 30;
/// Maximum changes of one name that are searched for those of an endpoint; the newest.
const MAX_SEARCHED: usize = 2000;
/// Length of a shortened fingerprint, in hexadecimal digits.
const SHORT: usize = 12;

/// Stored history of a certificate or a host.
pub(super) enum History {
    /// There is no state directory.
    NotKept,
    /// Error of reading it.
    Unreadable(String),
    /// Spans, oldest first.
    Spans(Vec<Span>),
}

impl History {
    /// Reads the history of a name.
    pub(super) fn read(view: &View, name: &str) -> Self {
        let Some(folder) = &view.state else {
            return Self::NotKept;
        };
        let query = Query {
            name: Some(name.to_owned()),
            since: None,
            limit: MAX_SEARCHED,
        };
        let spans = Store::open_to_read(folder).and_then(|store| store.history(&query));
        spans.map_or_else(|e| Self::Unreadable(e.to_string()), Self::Spans)
    }

    /// Returns the time since which a result has not changed. The history may contain results from
    /// before the monitor started.
    pub(super) fn since(&self, endpoint: &Endpoint<'_>, result: &VantageResult<'_>) -> Since {
        let mut since = result.since;
        let Self::Spans(spans) = self else {
            return since;
        };
        if since.is_change {
            return since;
        }
        let its = |span: &&Span| is_of(span, endpoint) && span.vantage == result.vantage();
        for span in spans.iter().rev().filter(its) {
            if !is_the_same(&span.seen, result) {
                since.is_change = true;
                break;
            }
            since.at = since.at.min(span.first_seen);
        }
        since
    }

    /// Writes the changes of all endpoints of a certificate.
    pub(super) fn of_certificate(
        &self,
        html: &mut Html,
        view: &View,
        certificate: &Certificate<'_>,
    ) {
        self.write(
            html,
            view,
            |span| span.certificate == certificate.name,
            true,
        );
    }

    /// Writes the changes of one endpoint.
    pub(super) fn of_endpoint(&self, html: &mut Html, view: &View, endpoint: &Endpoint<'_>) {
        self.write(html, view, |span| is_of(span, endpoint), false);
    }

    fn write(
        &self,
        html: &mut Html,
        view: &View,
        is_wanted: impl Fn(&Span) -> bool,
        with_address: bool,
    ) {
        let spans = match self {
            Self::NotKept => {
                let text =
                    "The history is not stored: start certvigil with --state-dir to keep changes.";
                return html.line("p", &[], text);
            }
            Self::Unreadable(error) => {
                return message(html, &format!("cannot read the history: {error}"));
            }
            Self::Spans(spans) => spans,
        };
        let wanted: Vec<&Span> = spans.iter().rev().filter(|span| is_wanted(span)).collect();
        if wanted.is_empty() {
            return html.line("p", &[], "No changes recorded yet.");
        }
        let mut columns = vec!["When", "New result", "Previous result", "Until"];
        if with_address {
            columns.push("Where");
        }
        let caption = match wanted.len() {
            n if n > MAX_SHOWN => format!("The last {MAX_SHOWN} of {n} changes, newest first"),
            _ => "Newest first".into(),
        };
        table(html, &caption, &columns, |rows| {
            for span in wanted.iter().take(MAX_SHOWN) {
                rows.row("", |cells| {
                    cells.head(|html| time(html, span.first_seen, view.now));
                    cells.cell(|html| {
                        html.text(&describe(&span.seen, span.correct, span.chained));
                        if let Some(replacement) = &span.replacement {
                            let text = format!(" {replacement}");
                            html.line("span", &[("class", "relative")], &text);
                        }
                    });
                    cells.cell(|html| {
                        html.text(&match &span.before {
                            Before::Nothing => "the first probe".into(),
                            Before::Forgotten => "no longer kept".into(),
                            Before::Was {
                                seen,
                                correct,
                                chained,
                            } => describe(seen, *correct, *chained),
                        });
                    });
                    cells.cell(|html| until(html, span, view.now));
                    if with_address {
                        cells.cell(|html| html.text(&place(span)));
                    }
                });
            }
        });
        if wanted.len() > MAX_SHOWN {
            let text = "`certvigil history` shows all of them.";
            html.element("p", &[("class", "note")], |html| html.prose(text));
        }
    }
}

/// Returns true if a span is of this endpoint.
fn is_of(span: &Span, endpoint: &Endpoint<'_>) -> bool {
    let target = endpoint.target;
    span.ip == endpoint.ip
        && span.port == target.port
        && span.certificate == target.certificate
        && span.hostname == target.hostname.to_string()
        && span.protocol == target.protocol.name()
        && span.key_type == endpoint.key_type.name()
}

fn is_the_same(seen: &Seen, result: &VantageResult<'_>) -> bool {
    match (seen, &result.judged.observation.outcome) {
        (Seen::Served { sha256, .. }, Outcome::Served(served)) => {
            *sha256 == served.leaf.sha256().to_string()
        }
        (
            Seen::Reported {
                correct,
                chained,
                dummy,
            },
            Outcome::Reported(reported),
        ) => (*correct, *chained, *dummy) == (reported.correct, reported.chained, reported.dummy),
        (Seen::Failed { error_kind, .. }, Outcome::Failed(error)) => {
            error_kind == error.kind.name()
        }
        _ => false,
    }
}

fn until(html: &mut Html, span: &Span, now: Timestamp) {
    moment(html, span.last_seen);
    html.line(
        "span",
        &[("class", "relative")],
        &format!(" ({})", relative(span.last_seen, now)),
    );
}

fn place(span: &Span) -> String {
    if span.protocol == Protocol::File.name() {
        return format!("{}, from {}", span.hostname, span.vantage);
    }
    let ip = span
        .ip
        .map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
    format!(
        "{} at {ip} port {}, from {}",
        span.hostname, span.port, span.vantage
    )
}

fn describe(seen: &Seen, correct: Option<bool>, chained: Option<bool>) -> String {
    match seen {
        Seen::Served {
            sha256,
            issuer_common_name,
            not_after,
            ..
        } => {
            let which = match correct {
                Some(true) => "the expected certificate",
                Some(false) => "an unexpected certificate",
                None => "a certificate",
            };
            let by = issuer_common_name
                .as_ref()
                .map(|name| format!(" by {name}"))
                .unwrap_or_default();
            let end = not_after
                .map(|at| format!(", until {}", at.date()))
                .unwrap_or_default();
            let chain = if chained == Some(false) {
                ", without its chain"
            } else {
                ""
            };
            format!(
                "{which} {}{by}{end}{chain}",
                sha256.get(..SHORT).unwrap_or(sha256)
            )
        }
        Seen::Reported {
            correct: true,
            chained: true,
            ..
        } => "the expected certificate".into(),
        Seen::Reported { correct: true, .. } => {
            "the expected certificate, without its chain".into()
        }
        Seen::Reported { dummy: true, .. } => "the temporary certificate".into(),
        Seen::Reported { .. } => "an unexpected certificate".into(),
        Seen::Failed { error_kind, error } => format!("{error_kind}: {error}"),
    }
}

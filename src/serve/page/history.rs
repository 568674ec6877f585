//! The history of changes, read from the state folder where there is one.

use crate::model::Timestamp;
use crate::store::{Before, Query, Seen, Span, Store};

use super::frame::{moment, relative, table, time};
use super::html::Html;
use super::view::{Certificate, Endpoint, View};

/// Changes that are shown.
const MAX_SHOWN: usize = 30;
/// Changes of one name that are searched for those of an endpoint, the newest.
const MAX_SEARCHED: usize = 2000;
/// Hexadecimal digits of a fingerprint that tell it from its neighbours.
const SHORT: usize = 12;

/// What has changed at any address of a certificate.
pub(super) fn of_certificate(html: &mut Html, view: &View, certificate: &Certificate<'_>) {
    let name = certificate.name;
    write(html, view, name, |span| span.certificate == name, true);
}

/// What has changed at one endpoint.
pub(super) fn of_endpoint(html: &mut Html, view: &View, endpoint: &Endpoint<'_>) {
    let target = endpoint.target;
    let hostname = target.hostname.to_string();
    let is_its = |span: &Span| {
        span.certificate == target.certificate
            && span.hostname == hostname
            && span.ip == endpoint.ip
            && span.port == target.port
            && span.protocol == target.protocol.name()
            && span.key_type == endpoint.key_type.name()
    };
    write(html, view, &hostname, is_its, false);
}

fn write(
    html: &mut Html,
    view: &View,
    name: &str,
    is_wanted: impl Fn(&Span) -> bool,
    with_address: bool,
) {
    let Some(folder) = &view.state else {
        let text =
            "The history is not kept: start certvigil with --state-dir to know who switched when.";
        return html.line("p", &[], text);
    };
    let query = Query {
        name: Some(name.to_owned()),
        since: None,
        limit: MAX_SEARCHED,
    };
    let spans = Store::open_to_read(folder).and_then(|store| store.history(&query));
    let spans = match spans {
        Ok(spans) => spans,
        Err(error) => {
            return html.line(
                "p",
                &[("class", "message")],
                &format!("The history cannot be read: {error}"),
            );
        }
    };
    let wanted: Vec<&Span> = spans.iter().rev().filter(|span| is_wanted(span)).collect();
    if wanted.is_empty() {
        return html.line("p", &[], "Nothing has been noted yet.");
    }
    let mut columns = vec![
        "When",
        "What was seen from then on",
        "What was before",
        "Until",
    ];
    if with_address {
        columns.push("Where");
    }
    let caption = match wanted.len() {
        n if n > MAX_SHOWN => format!("The last {MAX_SHOWN} of {n} changes, the newest first"),
        _ => "The newest first".into(),
    };
    table(html, &caption, &columns, |rows| {
        for span in wanted.iter().take(MAX_SHOWN) {
            rows.row("", |cells| {
                cells.head(|html| time(html, span.first_seen, view.now));
                cells.cell(|html| html.text(&in_words(&span.seen, span.correct, span.chained)));
                cells.cell(|html| {
                    html.text(&match &span.before {
                        Before::Nothing => "the first look".into(),
                        Before::Forgotten => "kept no more".into(),
                        Before::Was {
                            seen,
                            correct,
                            chained,
                        } => in_words(seen, *correct, *chained),
                    });
                });
                cells.cell(|html| until(html, span, view.now));
                if with_address {
                    cells.cell(|html| html.text(&place(span)));
                }
            });
        }
    });
    if with_address && wanted.len() > MAX_SHOWN {
        let text = format!(
            "All of them: certvigil history --state-dir {} {name}",
            folder.display()
        );
        html.line("p", &[("class", "note")], &text);
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
    let ip = span
        .ip
        .map_or_else(|| "no address".to_owned(), |ip| ip.to_string());
    format!(
        "{} at {ip} port {}, from {}",
        span.hostname, span.port, span.vantage
    )
}

fn in_words(seen: &Seen, correct: Option<bool>, chained: Option<bool>) -> String {
    match seen {
        Seen::Served {
            sha256,
            issuer_common_name,
            not_after,
            ..
        } => {
            let which = match correct {
                Some(true) => "the right certificate",
                Some(false) => "another certificate",
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
        Seen::Told {
            correct: true,
            chained: true,
            ..
        } => "the right certificate".into(),
        Seen::Told { correct: true, .. } => "the right certificate, without its chain".into(),
        Seen::Told { dummy: true, .. } => "the temporary certificate".into(),
        Seen::Told { .. } => "another certificate".into(),
        Seen::Failed { error_kind, error } => format!("{error_kind}: {error}"),
    }
}

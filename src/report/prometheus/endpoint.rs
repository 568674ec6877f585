//! What is told of one look at an endpoint, and of all of them.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use crate::judge::{Judged, Verdict};
use crate::model::Timestamp;
use crate::observation::{Outcome, Served, Status};

use super::exposition::{Exposition, Rendered, write_labels};
use super::{Metric, first_end, name_of};

/// The metrics of endpoints, in the order in which they are told.
const METRICS: [Metric; 15] = [
    Metric::EndpointStatus,
    Metric::EndpointCorrect,
    Metric::EndpointChained,
    Metric::EndpointDummy,
    Metric::EndpointTrusted,
    Metric::EndpointHostnameMatch,
    Metric::EndpointRevoked,
    Metric::EndpointError,
    Metric::EndpointFinding,
    Metric::EndpointNotBefore,
    Metric::EndpointNotAfter,
    Metric::EndpointChainNotAfter,
    Metric::EndpointLastCheck,
    Metric::EndpointLastConclusive,
    Metric::EndpointInfo,
];

/// Every `certvigil_endpoint_*` of one look, as text. A look is scraped again and again before the next one: to write
/// this anew for ten thousand of them costs more than all the rest of a scrape.
#[derive(Debug)]
pub struct Lines(Rendered);

impl Lines {
    /// The metrics of a probe that ended at `at`, without earlier ones.
    pub fn new(judged: &Judged, at: Timestamp) -> Self {
        let is_conclusive = matches!(judged.verdict, Verdict::Conclusive(_));
        Self::after(judged, at, is_conclusive.then_some(at))
    }

    /// The metrics of a probe that ended at `at`; the last one that saw a certificate ended at `last_conclusive`.
    pub fn after(judged: &Judged, at: Timestamp, last_conclusive: Option<Timestamp>) -> Self {
        let mut out = Rendered::new(|text| write_endpoint_labels(text, judged));
        let is = judged.status();
        for status in Status::ALL {
            let more = [("status", status.name())];
            out.put(Metric::EndpointStatus, &more, u8::from(status == is));
        }
        match &judged.verdict {
            Verdict::Conclusive(flags) => {
                for (metric, value) in [
                    (Metric::EndpointCorrect, Some(flags.correct)),
                    (Metric::EndpointChained, Some(flags.chained)),
                    (Metric::EndpointDummy, Some(flags.dummy)),
                    (Metric::EndpointTrusted, flags.trusted),
                    (Metric::EndpointHostnameMatch, flags.hostname_match),
                    (Metric::EndpointRevoked, flags.revoked),
                ] {
                    if let Some(value) = value {
                        out.put(metric, &[], u8::from(value));
                    }
                }
            }
            Verdict::Inconclusive(error) => {
                let more = [("error_kind", error.kind.name())];
                out.put(Metric::EndpointError, &more, 1);
            }
        }
        let findings = judged.findings.iter();
        // A code may be found twice, of the leaf and of the chain; a series is there once.
        let findings: BTreeSet<_> = findings.map(|f| (f.code(), f.severity)).collect();
        for (code, severity) in findings {
            let more = [("code", code.name()), ("severity", severity.name())];
            out.put(Metric::EndpointFinding, &more, 1);
        }
        out.put(Metric::EndpointLastCheck, &[], at.0);
        if let Some(last) = last_conclusive {
            out.put(Metric::EndpointLastConclusive, &[], last.0);
        }
        if let Outcome::Served(served) = &judged.observation.outcome {
            put_served(&mut out, judged, served);
        }
        Self(out.done())
    }
}

/// What is known of the certificates themselves.
fn put_served(out: &mut Rendered, judged: &Judged, served: &Served) {
    let facts = served.leaf.facts().ok();
    let validity = facts.and_then(crate::certificate::Facts::validity);
    for (metric, time) in [
        (Metric::EndpointNotBefore, validity.map(|(begin, _)| begin)),
        (Metric::EndpointNotAfter, validity.map(|(_, end)| end)),
        (
            Metric::EndpointChainNotAfter,
            judged.path_expiry.or_else(|| first_end(served)),
        ),
    ] {
        if let Some(time) = time {
            out.put(metric, &[], time.0);
        }
    }
    let more = [
        ("sha256", &*served.leaf.sha256().to_string()),
        ("issuer", facts.map_or("", |f| f.issuer.as_str())),
        ("tls_version", served.tls_version.name()),
        ("cipher_suite", served.cipher_suite.as_str()),
        ("protocol", judged.observation.target.protocol.name()),
    ];
    out.put(Metric::EndpointInfo, &more, 1);
}

/// What is told of these looks. Of two with the same labels the first is told.
pub fn endpoints<'a>(out: &mut Exposition, looks: impl IntoIterator<Item = &'a Lines>) {
    let mut seen = HashSet::new();
    let looks = looks.into_iter().map(|Lines(rendered)| rendered);
    let first: Vec<&Rendered> = looks.filter(|look| seen.insert(look.labels())).collect();
    out.gather(&METRICS, first.iter().copied());
}

fn write_endpoint_labels(text: &mut String, judged: &Judged) {
    let observation = &judged.observation;
    let target = &observation.target;
    let pairs = [
        ("certificate", target.certificate.as_str()),
        ("hostname", &name_of(&target.hostname)),
    ];
    write_labels(text, false, pairs);
    text.push_str(",ip=\"");
    if let Some(ip) = observation.ip {
        let _ = write!(text, "{ip}");
    }
    text.push('"');
    let pairs = [
        ("port", &*target.port_label()),
        ("key_type", observation.key_type.name()),
        ("vantage", observation.vantage.as_str()),
    ];
    write_labels(text, true, pairs);
}

//! Metrics of endpoints.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use crate::judge::{Clients, Judged, Verdict};
use crate::model::Timestamp;
use crate::observation::{Outcome, Served, Status};

use super::exposition::{Exposition, Rendered, write_labels};
use super::{Metric, first_end, name_of, own};

/// Metrics of endpoints, in the order of the output.
const METRICS: [Metric; 18] = [
    Metric::EndpointStatus,
    Metric::EndpointCorrect,
    Metric::EndpointChained,
    Metric::EndpointDummy,
    Metric::EndpointTrusted,
    Metric::EndpointHostnameMatch,
    Metric::EndpointRevoked,
    Metric::EndpointError,
    Metric::EndpointFinding,
    Metric::EndpointClientRefuses,
    Metric::EndpointNotBefore,
    Metric::EndpointNotAfter,
    Metric::EndpointChainNotAfter,
    Metric::EndpointWarn,
    Metric::EndpointCrit,
    Metric::EndpointLastCheck,
    Metric::EndpointLastConclusive,
    Metric::EndpointInfo,
];

/// All `certvigil_endpoint_*` metrics of one probe, as text. A probe is scraped many times before
/// the next one. Formatting ten thousand probes again would cost more than the rest of a scrape.
#[derive(Debug)]
pub struct Lines(Rendered);

impl Lines {
    /// Creates the metrics of a probe that ended at `at`, without earlier probes.
    pub fn new(judged: &Judged, at: Timestamp) -> Self {
        let is_conclusive = matches!(judged.verdict, Verdict::Conclusive(_));
        Self::after(judged, at, is_conclusive.then_some(at))
    }

    /// Creates the metrics of a probe that ended at `at`. The last one that saw a certificate ended
    /// at `last_conclusive`.
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
        // A code may occur twice, for the leaf and for the chain, but a series must be unique.
        let findings: BTreeSet<_> = findings.map(|f| (f.code(), f.severity)).collect();
        for (code, severity) in findings {
            let more = [("code", code.name()), ("severity", severity.name())];
            out.put(Metric::EndpointFinding, &more, 1);
        }
        let opinions = judged.clients.iter().flat_map(Clients::iter);
        for (client, opinion) in opinions {
            if opinion.accepts() == Some(false) {
                out.put(
                    Metric::EndpointClientRefuses,
                    &[("client", client.name())],
                    1,
                );
            }
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

/// Writes the metrics of the served certificates.
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
        (Metric::EndpointWarn, judged.thresholds.map(|t| t.warn)),
        (Metric::EndpointCrit, judged.thresholds.map(|t| t.crit)),
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
        ("subject", facts.map_or("", |f| f.subject.as_str())),
        ("serial", facts.map_or("", |f| f.serial.as_str())),
        (
            "key",
            &*facts.map_or_else(String::new, |f| f.key.to_string()),
        ),
    ];
    out.put(Metric::EndpointInfo, &more, 1);
}

/// Writes the metrics of these probes. If two have the same labels, only the first is written.
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
    write_labels(text, true, own(&judged.notes));
}

//! Metrics of endpoints.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::finding::{Client, Code, EntryNotes, Severity};
use crate::judge::{Clients, Flags, Judged, Thresholds, Verdict};
use crate::model::{KeyType, Target, Timestamp, Vantage};
use crate::observation::{ErrorKind, Outcome, Status, TlsVersion};

use super::exposition::{Exposition, Rendered, write_labels};
use super::{Metric, first_end, name_of, own};

/// Metrics of endpoints, in the order of the output.
const METRICS: [Metric; 19] = [
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
    Metric::EndpointInterval,
    Metric::EndpointLastCheck,
    Metric::EndpointLastConclusive,
    Metric::EndpointInfo,
];

/// All `certvigil_endpoint_*` metrics of one probe, as text. A probe is scraped many times before
/// the next one. Formatting ten thousand probes again would cost more than the rest of a scrape.
#[derive(Clone, Debug)]
pub struct Lines {
    /// The metrics that do not depend on the time. Most probes have the same as the previous one,
    /// and share them with it.
    result: Arc<Rendered>,
    at: Timestamp,
    last_conclusive: Option<Timestamp>,
}

impl Lines {
    /// Creates the metrics of a probe that ended at `at`, without earlier probes.
    pub fn new(judged: &Judged, at: Timestamp) -> Self {
        let is_conclusive = matches!(judged.verdict, Verdict::Conclusive(_));
        Self::after(judged, at, is_conclusive.then_some(at))
    }

    /// Creates the metrics of a probe that ended at `at`. The last one that saw a certificate ended
    /// at `last_conclusive`.
    pub fn after(judged: &Judged, at: Timestamp, last_conclusive: Option<Timestamp>) -> Self {
        Self {
            result: Arc::new(Shown::of(judged).rendered()),
            at,
            last_conclusive,
        }
    }

    /// Creates the metrics as [`Lines::after`] does, from those of a result `was`. They share the
    /// text if it is the same.
    #[must_use]
    pub fn following(
        &self,
        was: &Judged,
        judged: &Judged,
        at: Timestamp,
        last_conclusive: Option<Timestamp>,
    ) -> Self {
        let (before, now) = (Shown::of(was), Shown::of(judged));
        Self {
            result: match before == now {
                true => self.result.clone(),
                false => Arc::new(now.rendered()),
            },
            at,
            last_conclusive,
        }
    }

    fn times(&self) -> impl Iterator<Item = (Metric, i64)> {
        let at = (Metric::EndpointLastCheck, self.at.0);
        let last = self.last_conclusive;
        let last = last.map(|last| (Metric::EndpointLastConclusive, last.0));
        std::iter::once(at).chain(last)
    }
}

/// Everything that the metrics of an endpoint show, except for the times of its probes.
#[derive(PartialEq)]
struct Shown<'a> {
    target: &'a Target,
    ip: Option<IpAddr>,
    key_type: KeyType,
    vantage: &'a Vantage,
    status: Status,
    verdict: Result<Flags, ErrorKind>,
    /// A code may occur twice, for the leaf and for the chain, but a series must be unique.
    findings: BTreeSet<(Code, Severity)>,
    /// Clients that refuse what is served.
    refusing: Vec<Client>,
    notes: &'a EntryNotes,
    certificate: Option<ShownCertificate<'a>>,
}

/// What they show of the served certificates.
#[derive(PartialEq)]
struct ShownCertificate<'a> {
    leaf: &'a Certificate,
    chain_end: Option<Timestamp>,
    thresholds: Option<Thresholds>,
    /// TLS version and cipher suite; `None` for a file.
    session: Option<(TlsVersion, &'a str)>,
}

impl<'a> Shown<'a> {
    fn of(judged: &'a Judged) -> Self {
        let observation = &judged.observation;
        let findings = judged.findings.iter();
        Self {
            target: &observation.target,
            ip: observation.ip,
            key_type: observation.key_type,
            vantage: &observation.vantage,
            status: judged.status(),
            verdict: match &judged.verdict {
                Verdict::Conclusive(flags) => Ok(*flags),
                Verdict::Inconclusive(error) => Err(error.kind),
            },
            findings: findings.map(|f| (f.code(), f.severity)).collect(),
            refusing: {
                let opinions = judged.clients.iter().flat_map(Clients::iter);
                let refusing = opinions.filter(|(_, opinion)| opinion.accepts() == Some(false));
                refusing.map(|(client, _)| client).collect()
            },
            notes: &judged.notes,
            certificate: match &observation.outcome {
                Outcome::Served(served) => Some(ShownCertificate {
                    leaf: &served.leaf,
                    chain_end: judged.path_expiry.or_else(|| first_end(served)),
                    thresholds: judged.thresholds,
                    session: served.session(),
                }),
                Outcome::Reported(_) | Outcome::Failed(_) => None,
            },
        }
    }

    fn rendered(&self) -> Rendered {
        let mut out = Rendered::new(|text| self.write_labels(text));
        for status in Status::ALL {
            let more = [("status", status.name())];
            out.put(
                Metric::EndpointStatus,
                &more,
                u8::from(status == self.status),
            );
        }
        match &self.verdict {
            Ok(flags) => {
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
            Err(kind) => out.put(Metric::EndpointError, &[("error_kind", kind.name())], 1),
        }
        for (code, severity) in &self.findings {
            let more = [("code", code.name()), ("severity", severity.name())];
            out.put(Metric::EndpointFinding, &more, 1);
        }
        for client in &self.refusing {
            let more = [("client", client.name())];
            out.put(Metric::EndpointClientRefuses, &more, 1);
        }
        if let Some(interval) = self.notes.interval {
            out.put(Metric::EndpointInterval, &[], interval.as_secs_f64());
        }
        if let Some(certificate) = &self.certificate {
            certificate.put(&mut out, self.target);
        }
        out.done()
    }

    fn write_labels(&self, text: &mut String) {
        let pairs = [
            ("certificate", self.target.certificate.as_str()),
            ("hostname", &name_of(&self.target.hostname)),
        ];
        write_labels(text, false, pairs);
        text.push_str(",ip=\"");
        if let Some(ip) = self.ip {
            let _ = write!(text, "{ip}");
        }
        text.push('"');
        let pairs = [
            ("port", &*self.target.port_label()),
            ("key_type", self.key_type.name()),
            ("vantage", self.vantage.as_str()),
        ];
        write_labels(text, true, pairs);
        write_labels(text, true, own(self.notes));
    }
}

impl ShownCertificate<'_> {
    fn put(&self, out: &mut Rendered, target: &Target) {
        let facts = self.leaf.facts().ok();
        let validity = facts.and_then(crate::certificate::Facts::validity);
        for (metric, time) in [
            (Metric::EndpointNotBefore, validity.map(|(begin, _)| begin)),
            (Metric::EndpointNotAfter, validity.map(|(_, end)| end)),
            (Metric::EndpointChainNotAfter, self.chain_end),
            (Metric::EndpointWarn, self.thresholds.map(|t| t.warn)),
            (Metric::EndpointCrit, self.thresholds.map(|t| t.crit)),
        ] {
            if let Some(time) = time {
                out.put(metric, &[], time.0);
            }
        }
        let more = [
            ("sha256", &*self.leaf.sha256().to_string()),
            ("issuer", facts.map_or("", |f| f.issuer.as_str())),
            (
                "tls_version",
                self.session.map_or("", |(version, _)| version.name()),
            ),
            ("cipher_suite", self.session.map_or("", |(_, suite)| suite)),
            ("protocol", target.protocol.name()),
            ("subject", facts.map_or("", |f| f.subject.as_str())),
            ("serial", facts.map_or("", |f| f.serial.as_str())),
            (
                "key",
                &*facts.map_or_else(String::new, |f| f.key.to_string()),
            ),
        ];
        out.put(Metric::EndpointInfo, &more, 1);
    }
}

/// Writes the metrics of these probes. If two have the same labels, only the first is written.
pub fn endpoints<'a>(out: &mut Exposition, results: impl IntoIterator<Item = &'a Lines>) {
    let mut seen = HashSet::new();
    let results = results.into_iter();
    let first: Vec<&Lines> = results
        .filter(|result| seen.insert(result.result.labels()))
        .collect();
    let things = first.iter().map(|result| (&*result.result, result.times()));
    out.gather(&METRICS, things);
}

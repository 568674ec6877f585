//! Metrics of endpoints.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::finding::{Client, Code, EntryNotes, Severity};
use crate::judge::{Flags, Judged, Thresholds, Verdict};
use crate::model::{KeyType, Target, Timestamp, Vantage};
use crate::observation::{ErrorKind, Outcome, Status, TlsVersion};

use super::exposition::{Exposition, Rendered, Rendering, write_labels};
use super::gathered::{Gathered, METRICS};
use super::{Metric, first_end, name_of, own};

/// All `certvigil_endpoint_*` metrics of one probe, as text. A probe is scraped many times before
/// the next one. Formatting ten thousand probes again would cost more than the rest of a scrape.
#[derive(Clone, Debug)]
pub struct Lines {
    labels: Arc<Labels>,
    /// The metrics that do not depend on the time. Most probes have the same as the previous one,
    /// and as other endpoints with the same certificate, and share them.
    samples: Arc<Rendered>,
    at: Timestamp,
    last_conclusive: Option<Timestamp>,
}

/// Labels of all samples of an endpoint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Labels {
    /// The labels: those of the certificate, the host, the endpoint and the entry.
    pub(super) text: Box<str>,
    /// End of the label of the certificate.
    certificate: usize,
    /// End of the label of the host.
    pub(super) host: usize,
    /// Start of the labels of the entry.
    pub(super) own: usize,
    pub(super) ip: Option<IpAddr>,
    /// True for the local vantage.
    pub(super) is_local: bool,
    pub(super) is_file: bool,
}

impl Labels {
    /// Returns the label of the certificate.
    pub(super) fn certificate(&self) -> &str {
        self.text.get(..self.certificate).unwrap_or_default()
    }

    /// Returns the labels of the certificate and the host.
    pub(super) fn of_host(&self) -> &str {
        self.text.get(..self.host).unwrap_or_default()
    }

    /// Returns the names of the certificate and the host in an order of names.
    pub(super) fn host_name(&self) -> (&str, &str) {
        // The closing quotes would take part in the order.
        let host = self.text.get(self.certificate..self.host);
        let unquoted = |label: &'_ str| label.len().saturating_sub(1);
        let (certificate, host) = (self.certificate(), host.unwrap_or_default());
        (
            certificate.get(..unquoted(certificate)).unwrap_or_default(),
            host.get(..unquoted(host)).unwrap_or_default(),
        )
    }

    /// Returns the labels of the entry.
    pub(super) fn own(&self) -> &str {
        self.text.get(self.own..).unwrap_or_default()
    }
}

/// Capacity in bytes for the labels of one endpoint.
const USUAL_LABELS: usize = 256;

/// Samples that endpoints share. Those without an endpoint are dropped from time to
/// time.
#[derive(Debug, Default)]
pub struct SharedSamples {
    known: HashSet<Arc<Rendered>>,
    /// Number of samples at which those without an endpoint are dropped.
    sweep_at: usize,
}

/// Minimum number of shared samples before those without an endpoint are dropped.
const MIN_SWEEP: usize = 1024;

impl SharedSamples {
    fn share(&mut self, samples: &mut Arc<Rendered>) {
        if let Some(known) = self.known.get(samples) {
            *samples = known.clone();
            return;
        }
        if self.known.len() >= self.sweep_at {
            self.known.retain(|samples| Arc::strong_count(samples) > 1);
            self.sweep_at = MIN_SWEEP.max(2 * self.known.len());
        }
        self.known.insert(samples.clone());
    }

    /// Returns the number of samples.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns true if there are no samples.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
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
        let shown = Shown::of(judged);
        Self {
            labels: Arc::new(shown.labels()),
            samples: Arc::new(shown.rendered()),
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
        if before == now {
            return Self {
                at,
                last_conclusive,
                ..self.clone()
            };
        }
        let labels = now.labels();
        Self {
            labels: match labels == *self.labels {
                true => self.labels.clone(),
                false => Arc::new(labels),
            },
            samples: Arc::new(now.rendered()),
            at,
            last_conclusive,
        }
    }

    /// Shares the metrics that do not depend on the time with other endpoints, if these have the
    /// same.
    pub fn share(&mut self, shared: &mut SharedSamples) {
        // Those of the previous probe are shared already.
        if Arc::strong_count(&self.samples) == 1 {
            shared.share(&mut self.samples);
        }
    }

    /// Returns true if the samples of two endpoints are in memory once.
    #[cfg(test)]
    pub(in crate::report) fn shares_samples_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.samples, &other.samples)
    }

    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(super) fn samples(&self) -> &Arc<Rendered> {
        &self.samples
    }

    /// Returns the times of the last probe and of the last conclusive one.
    pub(super) fn times(&self) -> (i64, Option<i64>) {
        (self.at.0, self.last_conclusive.map(|last| last.0))
    }
}

/// Everything that the metrics of an endpoint show, except for the times of its probes.
#[derive(PartialEq)]
struct Shown<'a> {
    target: &'a Arc<Target>,
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
                let opinions = judged.clients.iter().flat_map(|clients| clients.iter());
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
        let mut out = Rendering::new();
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

    fn labels(&self) -> Labels {
        let mut text = String::with_capacity(USUAL_LABELS);
        let name = self.target.certificate.as_str();
        write_labels(&mut text, false, [("certificate", name)]);
        let certificate = text.len();
        let name = name_of(&self.target.hostname);
        write_labels(&mut text, true, [("hostname", &*name)]);
        let host = text.len();
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
        write_labels(&mut text, true, pairs);
        let own_labels = text.len();
        write_labels(&mut text, true, own(self.notes));
        Labels {
            text: text.into(),
            certificate,
            host,
            own: own_labels,
            ip: self.ip,
            is_local: self.vantage.is_local(),
            is_file: self.target.is_file(),
        }
    }
}

impl ShownCertificate<'_> {
    fn put(&self, out: &mut Rendering, target: &Target) {
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
    gathered_endpoints(out, &Arc::new(Gathered::new(results)));
}

/// Writes the metrics of gathered probes.
pub fn gathered_endpoints(out: &mut Exposition, gathered: &Arc<Gathered>) {
    for metric in METRICS {
        out.gathered(metric, gathered);
    }
}

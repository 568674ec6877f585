//! Comparison of TLSA records with the served certificates (DANE: RFC 6698, RFC 7671).

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::certificate::{Certificate, Fingerprint, PublicKeyHash};
use crate::finding::{
    Code, Detail, Finding, MAX_LISTED_RECORDS, NoPath, Severity, TlsaMismatch, Wanted,
};
use crate::instance::{Expectation, Expected, Instance, Instances};
use crate::model::{Hostname, Timestamp};
use crate::observation::Outcome;
use crate::tlsa::{Association, Matching, Selector, Tlsa, TlsaRecord, Usage};

use super::links::{Links, Signatures};
use super::{Judged, TrustStore, Verdict, chain, path, sort};

/// The TLSA records of an endpoint, and the result of comparing them with the served certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dane {
    /// The records.
    pub tlsa: Arc<Tlsa>,
    /// True if a usable record matches; `None` if there is no usable record, or no certificate.
    pub matched: Option<bool>,
}

/// Judges a probe by the TLSA records, after [`super::judge`]: adds `dane`, and `tlsa_mismatch` if
/// they do not match. `trust` and `now` are those of the probe's judgement.
pub fn dane(
    judged: &mut Judged,
    tlsa: &Arc<Tlsa>,
    trust: &TrustStore,
    now: Timestamp,
    signatures: &Signatures,
) {
    let mut matched = None;
    if let (Outcome::Served(served), Verdict::Conclusive(flags)) =
        (&judged.observation.outcome, &judged.verdict)
    {
        let question = Question {
            asked: usable(&tlsa.records),
            tlsa,
            hostname: judged.observation.target.sent_name(),
            trust,
            now,
            signatures,
        };
        let served = Shown {
            leaf: &served.leaf,
            rest: served.rest.iter().collect(),
            trusted: flags.trusted,
        };
        let (fulfilled, finding) = question.judge(&served, judged.expected.as_deref());
        let needs_root = question.needs_root(&served);
        matched = fulfilled;
        judged.findings.extend(finding);
        // A root that is a DANE trust anchor must be served (RFC 7671, section 5.2.2).
        judged
            .findings
            .retain(|f| !(needs_root && f.code() == Code::RootIncluded));
        sort(&mut judged.findings);
    }
    judged.dane = Some(Dane {
        tlsa: tlsa.clone(),
        matched,
    });
}

/// Returns the records that clients use: usable ones, and of the digests of one usage and selector
/// only the strongest (RFC 7671, section 9).
fn usable(records: &[TlsaRecord]) -> Vec<Association<'_>> {
    let all: Vec<Association<'_>> = records
        .iter()
        .filter_map(|r| r.association().ok())
        .collect();
    let is_outdone = |one: &Association<'_>| {
        one.matching == Matching::Sha256
            && all.iter().any(|other| {
                other.matching == Matching::Sha512
                    && (other.usage, other.selector) == (one.usage, one.selector)
            })
    };
    all.iter().filter(|a| !is_outdone(a)).copied().collect()
}

/// A leaf with the certificates that are, or would be, served with it.
struct Shown<'a> {
    leaf: &'a Certificate,
    rest: Vec<&'a Certificate>,
    /// True if there is a path to a trusted root; `None` if that is not known yet.
    trusted: Option<bool>,
}

impl<'a> Shown<'a> {
    /// Returns the certificates of a server that serves this instance with its known chain.
    fn of(instance: &'a Instance) -> Self {
        Self {
            leaf: &instance.leaf,
            rest: instance.chain.iter().chain(&instance.root).collect(),
            trusted: None,
        }
    }
}

/// The reason for which no record matches: the closest case.
enum Miss<'a> {
    /// A record matches the leaf or an authority above it, and also requires a trusted path.
    Untrusted(Association<'a>),
    /// A record matches a served authority, to which there is no valid path.
    NoPath(Association<'a>, Box<NoPath>),
    /// No record matches any of the certificates.
    Other,
}

struct Question<'a> {
    asked: Vec<Association<'a>>,
    tlsa: &'a Tlsa,
    hostname: &'a Hostname,
    trust: &'a TrustStore,
    signatures: &'a Signatures,
    now: Timestamp,
}

impl<'a> Question<'a> {
    fn judge(
        &self,
        served: &Shown<'_>,
        expected: Option<&Expected>,
    ) -> (Option<bool>, Option<Finding>) {
        if self.tlsa.records.is_empty() {
            return (None, None);
        }
        if self.asked.is_empty() {
            return (None, Some(self.unusable(expected, served.leaf)));
        }
        match self.fulfilled_by(served) {
            Ok(()) => (Some(true), None),
            Err(miss) => (Some(false), Some(self.mismatch(&miss, expected, served))),
        }
    }

    /// Returns an error if none of the records matches.
    fn fulfilled_by(&self, shown: &Shown<'_>) -> Result<(), Miss<'a>> {
        let of_leaf = self.found_in(&[shown.leaf]);
        let mut miss = Miss::Other;
        for (association, _) in of_leaf {
            match association.usage {
                Usage::DaneEe => return Ok(()),
                Usage::PkixEe if self.is_trusted(shown) => return Ok(()),
                Usage::PkixEe => miss = Miss::Untrusted(association),
                Usage::PkixTa | Usage::DaneTa => {}
            }
        }
        if let Some(association) = self.authority_on_path(shown) {
            if self.is_trusted(shown) {
                return Ok(());
            }
            miss = Miss::Untrusted(association);
        }
        self.by_named_authority(shown).unwrap_or(Err(miss))
    }

    /// Returns a record of usage 0 that matches an authority above the leaf, served or a trusted
    /// root.
    fn authority_on_path(&self, shown: &Shown<'_>) -> Option<Association<'a>> {
        let is_wanted = |a: &Association<'_>| a.usage == Usage::PkixTa;
        if !self.asked.iter().any(is_wanted) {
            return None;
        }
        let links = Links::new(self.trust, self.signatures);
        let mut way = vec![shown.leaf];
        way.extend(&shown.rest);
        let way: Vec<_> = chain::reach(&way, &links).iter().map(|s| s.at).collect();
        let (_, above) = way.split_first()?;
        let mut found = self.found_in(above).into_iter().map(|(a, _)| a);
        let served = found.find(is_wanted);
        // A root that was not given as a certificate is known only by its name and key.
        let issuers = way.iter().filter_map(|c| c.facts().ok());
        let mut parts = issuers.flat_map(|facts| {
            let anchors = self.trust.named(&facts.issuer_normal);
            anchors.flat_map(|anchor| {
                let whole = anchor.certificate().map(|c| (Selector::Cert, c.der()));
                std::iter::once((Selector::Spki, anchor.spki.as_slice())).chain(whole)
            })
        });
        served.or_else(|| {
            parts.find_map(|(selector, part)| {
                let mut asked = self.asked.iter().filter(|a| is_wanted(a));
                let fits = |a: &&Association<'_>| {
                    a.selector == selector && hashed(part, a.matching) == a.record.data
                };
                asked.find(fits).copied()
            })
        })
    }

    /// Validates the path to a shown authority that a record of usage 2 names, as the only trusted
    /// root. Returns `None` if no record names one.
    fn by_named_authority(&self, shown: &Shown<'_>) -> Option<Result<(), Miss<'a>>> {
        let mut anchors = TrustStore::default();
        let mut named = None;
        for (association, authority) in self.found_in(&shown.rest) {
            if association.usage == Usage::DaneTa && anchors.add(authority).is_ok() {
                named = Some(association);
            }
        }
        // A complete certificate in the record need not be served.
        for association in &self.asked {
            let kind = (
                association.usage,
                association.selector,
                association.matching,
            );
            if kind == (Usage::DaneTa, Selector::Cert, Matching::Full)
                && anchors
                    .add(&Certificate::from_der(association.record.data.clone()))
                    .is_ok()
            {
                named = named.or(Some(*association));
            }
        }
        let named = named?;
        let found = self.path(shown, &anchors, self.hostname);
        // For an alias, the name of the TLSA records is acceptable too (RFC 7671, section 7).
        let base = self.base().filter(|base| base != self.hostname);
        if base.is_some_and(|base| self.path(shown, &anchors, &base).is_ok()) {
            return Some(Ok(()));
        }
        Some(found.map_err(|why| Miss::NoPath(named, Box::new(why))))
    }

    fn is_trusted(&self, shown: &Shown<'_>) -> bool {
        shown
            .trusted
            .unwrap_or_else(|| self.path(shown, self.trust, self.hostname).is_ok())
    }

    /// Returns the host to which the records belong.
    fn base(&self) -> Option<Hostname> {
        let (_, base) = self.tlsa.name.split_once("._tcp.")?;
        base.parse().ok()
    }

    fn path(
        &self,
        shown: &Shown<'_>,
        trust: &TrustStore,
        hostname: &Hostname,
    ) -> Result<(), NoPath> {
        let links = Links::new(trust, self.signatures);
        path::validate(shown.leaf, &shown.rest, hostname, trust, &links, self.now)
    }

    /// Returns the records that match one of these certificates, each with the certificate. Each
    /// certificate is hashed once for each selector and matching type.
    fn found_in<'c>(
        &self,
        certificates: &[&'c Certificate],
    ) -> Vec<(Association<'a>, &'c Certificate)> {
        let mut found = Vec::new();
        for &certificate in certificates {
            let mut known: HashMap<(Selector, Matching), Option<Vec<u8>>> = HashMap::new();
            for association in &self.asked {
                let (selector, matching) = (association.selector, association.matching);
                let data = known.entry((selector, matching));
                let data = data.or_insert_with(|| {
                    selected(certificate, selector).map(|part| hashed(part, matching))
                });
                if data.as_ref() == Some(&association.record.data) {
                    found.push((*association, certificate));
                }
            }
        }
        found
    }

    /// Returns true if a record of usage 2 matches a served root.
    fn needs_root(&self, served: &Shown<'_>) -> bool {
        let mut found = self.found_in(&served.rest).into_iter();
        found.any(|(a, c)| a.usage == Usage::DaneTa && c.is_self_signed())
    }

    fn mismatch(
        &self,
        miss: &Miss<'_>,
        expected: Option<&Expected>,
        served: &Shown<'_>,
    ) -> Finding {
        let is_accepted = expected.is_none_or(|e| e.accepts(served.leaf) != Some(false));
        let instances = expected.and_then(Expected::instances);
        let fulfilled_by = |instance: &Instance| self.fulfilled_by(&Shown::of(instance)).is_ok();
        let for_expected = expected.filter(|e| !is_accepted && self.is_for_expected(e));
        let mismatch = match (for_expected, miss) {
            (Some(expected), _) => TlsaMismatch::WrongCertificate {
                expected: Wanted::of(expected),
            },
            (None, Miss::Untrusted(association)) => TlsaMismatch::Untrusted {
                record: association.record.clone(),
            },
            (None, Miss::NoPath(association, reason)) => TlsaMismatch::NoPath {
                record: association.record.clone(),
                reason: NoPath::clone(reason),
                hostname: self.hostname.clone(),
            },
            (None, Miss::Other) => {
                if let Some(missing) = instances.and_then(|i| self.missing_anchor(i, served)) {
                    TlsaMismatch::AuthorityNotServed {
                        authority: missing.clone(),
                    }
                } else if instances.is_some_and(|i| i.pending.iter().any(fulfilled_by)) {
                    TlsaMismatch::PendingOnly
                } else if instances.is_some_and(|i| i.previous.iter().any(fulfilled_by)) {
                    TlsaMismatch::PreviousOnly
                } else {
                    let records = self.asked.iter().take(MAX_LISTED_RECORDS);
                    TlsaMismatch::NoMatch {
                        is_accepted,
                        records: records.map(|a| a.record.clone()).collect(),
                        record_count: self.asked.len(),
                    }
                }
            }
        };
        let publish = self.publish(expected, served.leaf);
        self.finding(Severity::Critical, mismatch, publish)
    }

    /// Returns the finding for records of which none is usable: clients ignore them.
    fn unusable(&self, expected: Option<&Expected>, leaf: &Certificate) -> Finding {
        let mut records = self.tlsa.records.iter();
        let record = records.find(|record| record.association().is_err());
        let mismatch = TlsaMismatch::Unusable {
            record: record.cloned(),
        };
        let publish = self.publish(expected, leaf);
        self.finding(Severity::Warning, mismatch, publish)
    }

    /// Returns a finding. DANE clients ignore records that DNSSEC does not authenticate, so in that
    /// case it is only a warning.
    fn finding(&self, severity: Severity, mismatch: TlsaMismatch, publish: TlsaRecord) -> Finding {
        let severity = if self.tlsa.authenticated {
            severity
        } else {
            Severity::Warning
        };
        Finding::with_severity(
            severity,
            Detail::TlsaMismatch {
                name: self.tlsa.name.clone(),
                is_authenticated: self.tlsa.authenticated,
                mismatch,
                publish,
            },
        )
    }

    /// Returns true if the known facts of the expected certificate match a record.
    fn is_for_expected(&self, expected: &Expected) -> bool {
        let is_for = |record: &TlsaRecord| {
            let is_same = |a: &TlsaRecord| {
                (a.selector, a.matching_type, &a.data)
                    == (record.selector, record.matching_type, &record.data)
            };
            let of_leaf = |usage| matches!(usage, Usage::DaneEe | Usage::PkixEe);
            let mut asked = self.asked.iter();
            asked.any(|a| of_leaf(a.usage) && is_same(a.record))
        };
        match &expected.what {
            Expectation::Instances(instances) => instances
                .accepted()
                .any(|i| self.fulfilled_by(&Shown::of(i)).is_ok()),
            Expectation::Fingerprints(pins) => pins.iter().any(|pin| is_for(&of_fingerprint(*pin))),
            Expectation::PublicKeys(keys) => keys.iter().any(|key| is_for(&of_key(*key))),
            Expectation::TrustOnly => false,
        }
    }

    /// Returns an authority of the accepted instances' chains that matches a record of usage 2 and
    /// is not served.
    fn missing_anchor<'e>(
        &self,
        instances: &'e Instances,
        served: &Shown<'_>,
    ) -> Option<&'e Certificate> {
        let known = instances
            .accepted()
            .filter(|i| i.leaf == *served.leaf)
            .flat_map(|i| i.chain.iter().chain(&i.root));
        let known: Vec<&Certificate> = known.filter(|c| !served.rest.contains(c)).collect();
        let mut found = self.found_in(&known).into_iter();
        found.find_map(|(a, c)| (a.usage == Usage::DaneTa).then_some(c))
    }

    /// Returns the record to publish.
    fn publish(&self, expected: Option<&Expected>, served: &Certificate) -> TlsaRecord {
        match expected {
            Some(expected) if expected.accepts(served) == Some(false) => match &expected.what {
                Expectation::Instances(instances) => of_certificate(&instances.expected.leaf),
                Expectation::Fingerprints(pins) => {
                    let pin = pins.first().copied();
                    of_fingerprint(pin.unwrap_or_else(|| served.sha256()))
                }
                Expectation::PublicKeys(keys) => keys
                    .first()
                    .map_or_else(|| of_certificate(served), |key| of_key(*key)),
                Expectation::TrustOnly => of_certificate(served),
            },
            _ => of_certificate(served),
        }
    }
}

/// Returns the record that stays valid after a renewal with the same key.
fn of_certificate(certificate: &Certificate) -> TlsaRecord {
    match certificate.public_key_hash() {
        Some(key) => of_key(key),
        None => of_fingerprint(certificate.sha256()),
    }
}

fn of_key(key: PublicKeyHash) -> TlsaRecord {
    TlsaRecord {
        usage: 3,
        selector: 1,
        matching_type: 1,
        data: key.as_bytes().to_vec(),
    }
}

fn of_fingerprint(fingerprint: Fingerprint) -> TlsaRecord {
    TlsaRecord {
        usage: 3,
        selector: 0,
        matching_type: 1,
        data: fingerprint.as_bytes().to_vec(),
    }
}

fn selected(certificate: &Certificate, selector: Selector) -> Option<&[u8]> {
    match selector {
        Selector::Cert => Some(certificate.der()),
        Selector::Spki => certificate.facts().ok().map(|facts| &*facts.spki),
    }
}

fn hashed(part: &[u8], matching: Matching) -> Vec<u8> {
    let algorithm = match matching {
        Matching::Full => return part.to_vec(),
        Matching::Sha256 => &digest::SHA256,
        Matching::Sha512 => &digest::SHA512,
    };
    digest::digest(algorithm, part).as_ref().to_vec()
}

//! Findings for TLSA records that do not match, with the record to publish.

use crate::certificate::{Certificate, Fingerprint, PublicKeyHash};
use crate::finding::{Detail, Finding, MAX_LISTED_RECORDS, NoPath, Severity, TlsaMismatch, Wanted};
use crate::instance::{Expectation, Expected, Instance, Instances};
use crate::tlsa::{TlsaRecord, Usage};

use super::{Miss, Question, Shown};

impl Question<'_> {
    /// Returns the finding for records of which none matches.
    pub(super) fn mismatch(
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
    pub(super) fn unusable(&self, expected: Option<&Expected>, leaf: &Certificate) -> Finding {
        let mut records = self.tlsa.records.iter();
        let record = records.find(|record| self.is_mail || record.association().is_err());
        let mismatch = TlsaMismatch::Unusable {
            record: record.cloned(),
            is_mail: self.is_mail,
        };
        let publish = self.publish(expected, leaf);
        let severity = match self.is_required {
            true => Severity::Critical,
            false => Severity::Warning,
        };
        self.finding(severity, mismatch, publish)
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
    pub(super) fn publish(&self, expected: Option<&Expected>, served: &Certificate) -> TlsaRecord {
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

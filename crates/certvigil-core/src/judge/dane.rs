//! Comparison of TLSA records with the served certificates (DANE: RFC 6698, RFC 7671).

mod authority;
mod mismatch;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::certificate::Certificate;
use crate::finding::{Code, Detail, Dummy, Finding, NoPath, Refused, Severity, TlsaMissing};
use crate::instance::{Expectation, Expected, Instance};
use crate::mail::MailDomain;
use crate::model::{Hostname, Timestamp};
use crate::observation::{Outcome, ProbeError};
use crate::tlsa::{
    Association, DaneCheck, Matching, Selector, Tlsa, TlsaLookup, TlsaRecord, Usage,
};

use super::links::{Links, Signatures};
use super::{Flags, Judged, TrustStore, Verdict, mail, path, sort};

/// The TLSA records of an endpoint, and the result of comparing them with the served certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dane {
    /// The records.
    pub tlsa: Arc<Tlsa>,
    /// True if a usable record matches; `None` if there is no usable record, or no certificate.
    pub matched: Option<bool>,
}

/// Facts in DNS about an endpoint, beside its addresses. `Default` means that none were requested.
#[derive(Clone, Debug, Default)]
pub struct DnsFacts {
    /// The requested check of TLSA records.
    pub dane: DaneCheck,
    /// The TLSA records of the endpoint.
    pub tlsa: TlsaLookup,
    /// The mail domains whose mail host the endpoint's host is.
    pub mail: Arc<[Arc<MailDomain>]>,
}

/// Judges a probe by the facts in DNS, after [`super::judge`]: adds `dane` and the findings about
/// TLSA records and MTA-STS. A match of authenticated TLSA records replaces trust and, with usage
/// 3, name and dates (RFC 7671, section 5). `trust` and `now` are those of the probe's judgement.
pub fn judge_by_dns(
    judged: &mut Judged,
    facts: &DnsFacts,
    trust: &TrustStore,
    now: Timestamp,
    signatures: &Signatures,
) {
    // Senders without DANE apply MTA-STS, with trust in public authorities.
    let is_trusted = match &judged.verdict {
        Verdict::Conclusive(flags) => flags.trusted,
        Verdict::Inconclusive(_) => None,
    };
    if facts.dane != DaneCheck::Off {
        by_tlsa(judged, facts, trust, now, signatures);
    }
    mail::by_mta_sts(judged, &facts.mail, is_trusted);
    sort(&mut judged.findings);
}

fn by_tlsa(
    judged: &mut Judged,
    facts: &DnsFacts,
    trust: &TrustStore,
    now: Timestamp,
    signatures: &Signatures,
) {
    let tlsa = match &facts.tlsa {
        TlsaLookup::Known(tlsa) => Some(tlsa),
        TlsaLookup::UnsignedSrv { .. }
        | TlsaLookup::NotApplicable
        | TlsaLookup::Unknown
        | TlsaLookup::Failed(_) => None,
    };
    let mut matched = None;
    let target = &judged.observation.target;
    if let (Outcome::Served(served), Verdict::Conclusive(flags)) =
        (&judged.observation.outcome, &judged.verdict)
    {
        if let Some(tlsa) = tlsa {
            let is_mail = target.protocol.is_mail_transfer();
            let question = Question {
                asked: usable(&tlsa.records, is_mail),
                tlsa,
                hostname: target.sent_name(),
                mail: &facts.mail,
                is_mail,
                is_required: facts.dane == DaneCheck::Required,
                trust,
                now,
                signatures,
            };
            let shown = Shown {
                leaf: &served.leaf,
                rest: served.rest.iter().collect(),
                trusted: flags.trusted,
            };
            let (result, finding) = question.judge(&shown, judged.expected.as_deref());
            let needs_root = question.needs_root(&shown);
            let is_missing = question.missing(&shown, judged.expected.as_deref());
            matched = result.as_ref().map(Option::is_some);
            judged.findings.extend(finding);
            judged.findings.extend(is_missing);
            // A root that is a DANE trust anchor must be served (RFC 7671, section 5.2.2).
            judged
                .findings
                .retain(|f| !(needs_root && f.code() == Code::RootIncluded));
            if let (Some(Some(how)), true) = (result, tlsa.authenticated) {
                replace(judged, how, is_mail);
            }
        } else if facts.dane == DaneCheck::Required && facts.tlsa == TlsaLookup::NotApplicable {
            let missing = TlsaMissing::NotApplicable {
                hostname: target.hostname.clone(),
                protocol: target.protocol,
            };
            judged
                .findings
                .push(missing_finding(Severity::Critical, missing));
        }
    }
    if let TlsaLookup::UnsignedSrv { service } = &facts.tlsa {
        let severity = match facts.dane {
            DaneCheck::Required => Severity::Critical,
            // Clients validate the path to a trusted root instead.
            DaneCheck::Off | DaneCheck::On => Severity::Info,
        };
        let service = service.clone();
        let missing = missing_finding(severity, TlsaMissing::UnsignedSrv { service });
        judged.findings.push(missing);
    }
    mail::by_mx_security(judged, facts);
    if let TlsaLookup::Failed(error) = &facts.tlsa {
        leave_open(judged, error);
    }
    judged.dane = tlsa.map(|tlsa| Dane {
        tlsa: tlsa.clone(),
        matched,
    });
}

pub(super) fn missing_finding(severity: Severity, missing: TlsaMissing) -> Finding {
    Finding::with_severity(severity, Detail::TlsaMissing(missing))
}

/// Leaves the verdict open, because the records are unknown: they may match, and then replace the
/// checks of these findings, or not match.
fn leave_open(judged: &mut Judged, error: &ProbeError) {
    let is_judged = matches!(judged.verdict, Verdict::Conclusive(_));
    if !is_judged || !matches!(judged.observation.outcome, Outcome::Served(_)) {
        return;
    }
    judged.verdict = Verdict::Inconclusive(error.clone());
    for finding in &mut judged.findings {
        let is_replaceable = matches!(finding.detail, Detail::MissingIntermediate { .. })
            || by_any_match(&finding.detail)
            || by_match_of_leaf(&finding.detail);
        if is_replaceable {
            finding.severity = finding.severity.min(Severity::Warning);
        }
    }
}

/// Returns true if a match of a record of usage 2 or 3 replaces the check of a finding.
fn by_any_match(detail: &Detail) -> bool {
    matches!(
        detail,
        Detail::SelfSigned { .. }
            | Detail::UntrustedRoot(_)
            | Detail::InvalidAuthority { .. }
            | Detail::ChainExpired { .. }
            | Detail::RefusedByClients(Refused::Chain { .. })
            | Detail::DummyCertificate {
                dummy: Dummy::ExpectedKey,
                ..
            }
            // With usage 2, a name of RFC 7672, section 3.2.2, matches.
            | Detail::HostnameMismatch { .. }
    )
}

/// Returns true if a match of a record of usage 3 alone replaces the check of a finding.
fn by_match_of_leaf(detail: &Detail) -> bool {
    matches!(
        detail,
        Detail::Expired(_)
            | Detail::NotYetValid(_)
            | Detail::Expiring(_)
            | Detail::ChainExpiring(_)
    )
}

/// Replaces trust, and with usage 3 name and dates, by the match of an authenticated record.
fn replace(judged: &mut Judged, how: Match, is_mail: bool) {
    let Verdict::Conclusive(flags) = &mut judged.verdict else {
        return;
    };
    let is_leaf = match how {
        // The path to a trusted root was valid before.
        Match::Pkix => return,
        Match::Leaf => true,
        Match::Authority => false,
    };
    let is_self_signed = match &judged.observation.outcome {
        Outcome::Served(served) => served.leaf.is_self_signed(),
        Outcome::Reported(_) | Outcome::Failed(_) => false,
    };
    let expectation = judged.expected.as_deref().map(|expected| &expected.what);
    let is_trust_only = matches!(expectation, Some(Expectation::TrustOnly));
    let is_chain_expected = matches!(expectation, Some(Expectation::Instances(_)));
    *flags = Flags {
        trusted: Some(true),
        correct: flags.correct || is_trust_only,
        // Clients need the chain up to the trust anchor; a self-signed leaf has none.
        chained: flags.chained || !is_leaf || is_self_signed,
        ..*flags
    };
    let chained = flags.chained;
    for finding in &mut judged.findings {
        let is_replaced = match &finding.detail {
            Detail::MissingIntermediate { .. } => chained || is_mail || !is_chain_expected,
            other => by_any_match(other) || is_leaf && by_match_of_leaf(other),
        };
        if is_replaced {
            finding.replace();
        }
    }
}

/// Returns the records that clients use: usable ones, and of the digests of one usage and selector
/// only the strongest (RFC 7671, section 9). Mail servers do not use usages 0 and 1 (RFC 7672,
/// section 3.1.3).
fn usable(records: &[TlsaRecord], is_mail: bool) -> Vec<Association<'_>> {
    let is_used =
        |a: &Association<'_>| !is_mail || matches!(a.usage, Usage::DaneTa | Usage::DaneEe);
    let all: Vec<Association<'_>> = records
        .iter()
        .filter_map(|r| r.association().ok())
        .filter(is_used)
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

/// The way in which a record matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// Usage 3, for the leaf.
    Leaf,
    /// Usage 2, for an authority above the leaf.
    Authority,
    /// Usage 0 or 1, with a path to a trusted root.
    Pkix,
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
    mail: &'a [Arc<MailDomain>],
    /// True for mail between servers (RFC 7672).
    is_mail: bool,
    is_required: bool,
    trust: &'a TrustStore,
    signatures: &'a Signatures,
    now: Timestamp,
}

impl<'a> Question<'a> {
    /// Returns the way in which a record matches: `None` without usable records, `Some(None)` if
    /// none of them matches, which is a finding.
    fn judge(
        &self,
        served: &Shown<'_>,
        expected: Option<&Expected>,
    ) -> (Option<Option<Match>>, Option<Finding>) {
        if self.tlsa.records.is_empty() {
            return (None, None);
        }
        if self.asked.is_empty() {
            return (None, Some(self.unusable(expected, served.leaf)));
        }
        match self.fulfilled_by(served) {
            Ok(how) => (Some(Some(how)), None),
            Err(miss) => (Some(None), Some(self.mismatch(&miss, expected, served))),
        }
    }

    /// Returns the finding for required records that are absent, or that DNSSEC does not
    /// authenticate.
    fn missing(&self, served: &Shown<'_>, expected: Option<&Expected>) -> Option<Finding> {
        let name = self.tlsa.name.clone();
        let missing = if self.tlsa.records.is_empty() {
            let publish = self.publish(expected, served.leaf);
            TlsaMissing::NoRecords { name, publish }
        } else if !self.tlsa.authenticated {
            TlsaMissing::NotAuthenticated { name }
        } else {
            return None;
        };
        self.is_required
            .then(|| missing_finding(Severity::Critical, missing))
    }

    /// Returns an error if none of the records matches.
    fn fulfilled_by(&self, shown: &Shown<'_>) -> Result<Match, Miss<'a>> {
        let of_leaf = self.found_in(&[shown.leaf]);
        let of = |usage| of_leaf.iter().find(move |(a, _)| a.usage == usage);
        if of(Usage::DaneEe).is_some() {
            return Ok(Match::Leaf);
        }
        let mut miss = Miss::Other;
        let by_authority = self.by_named_authority(shown);
        if let Some(Ok(())) = by_authority {
            return Ok(Match::Authority);
        }
        let pkix = of(Usage::PkixEe).map(|(association, _)| *association);
        if let Some(association) = pkix.or_else(|| self.authority_on_path(shown)) {
            if self.is_trusted(shown) {
                return Ok(Match::Pkix);
            }
            miss = Miss::Untrusted(association);
        }
        match by_authority {
            Some(Err(closer)) => Err(closer),
            _ => Err(miss),
        }
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

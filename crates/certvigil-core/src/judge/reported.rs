//! Judgement of a remote vantage's report, which does not contain the served certificate.

use crate::finding::{
    ByVantage, Code, Detail, Finding, Missing, Older, RevocationReporter, Severity, Wanted,
};
use crate::instance::{Expected, Instance, State};
use crate::model::{Hostname, Timestamp};
use crate::observation::{PeerFinding, PeerReport, Reported};

use super::served::{matches_all, name_findings};
use super::{Flags, Rules, expiry, identity};

/// Judges a report. The leaf that is correct to serve is known if the source has it, so its validity,
/// names and state are judged without the served certificate. Other properties, such as the path to a
/// root, are those that another certvigil reports; SSLMate reports none.
pub(super) fn judge_reported(
    expected: &Expected,
    reported: &Reported,
    names: &[Hostname],
    rules: &Rules,
    now: Timestamp,
) -> (Flags, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut flags = Flags {
        correct: reported.correct,
        chained: reported.chained,
        dummy: reported.dummy,
        trusted: None,
        hostname_match: None,
        expired: None,
        not_yet_valid: None,
        revoked: None,
    };
    let mut is_expiry_known = false;
    let grace = rules.grace_at(now);
    if reported.dummy {
        findings.push(identity::dummy_finding(reported.correct, expected, grace));
    } else if !reported.correct
        && let Some(grace) = grace
    {
        // It is most likely the previous one during a rollout.
        findings.push(Finding::with_severity(
            Severity::Warning,
            Detail::PreviousInstance {
                older: Older::Reported,
                grace_until: Some(grace.until),
                expected: Wanted::of(expected),
            },
        ));
    } else if !reported.correct {
        findings.push(Finding::new(Detail::WrongCertificate {
            served: None,
            is_newer: false,
            expected: Wanted::of(expected),
        }));
    } else {
        if !reported.chained {
            findings.push(Finding::new(Detail::MissingIntermediate {
                missing: Missing::Reported,
                expected: Wanted::of(expected),
            }));
        }
        if let Some(known) = Known::of(expected, names, rules, now) {
            flags.hostname_match = known.hostname_match;
            flags.expired = known.expired;
            flags.not_yet_valid = known.not_yet_valid;
            flags.revoked = known.revoked;
            is_expiry_known = known.expired.is_some();
            findings.extend(known.findings);
        }
    }
    if let Some(peer) = reported.peer.as_deref() {
        complete(&mut flags, peer);
        let own: Vec<Code> = findings.iter().map(Finding::code).collect();
        let is_new = |finding: &&PeerFinding| match finding.code {
            // The thresholds are those of this configuration.
            Code::Expiring => !is_expiry_known,
            code => !own.contains(&code) && !is_judged_here(code),
        };
        findings.extend(peer.findings.iter().filter(is_new).map(|finding| {
            let finding = Box::new(finding.clone());
            let severity = finding.severity;
            let detail = Detail::ByVantage(ByVantage::ReportedByVantage { finding });
            Finding::with_severity(severity, detail)
        }));
    }
    (flags, findings)
}

/// Adds the properties that only the vantage knows, which received the certificate.
fn complete(flags: &mut Flags, peer: &PeerReport) {
    flags.trusted = peer.trusted;
    flags.hostname_match = flags.hostname_match.or(peer.hostname_match);
    flags.expired = flags.expired.or(peer.expired);
    flags.not_yet_valid = flags.not_yet_valid.or(peer.not_yet_valid);
    flags.revoked = flags.revoked.or(peer.revoked);
}

/// Returns true for codes that are judged from the flags of a report, with the grace period of this
/// configuration, and for those that are about the vantage's own sources and vantages.
fn is_judged_here(code: Code) -> bool {
    matches!(
        code,
        Code::WrongCertificate
            | Code::PreviousInstance
            | Code::SameKeyOtherCertificate
            | Code::DummyCertificate
            | Code::VantagesDisagree
            | Code::SourceStale
    )
}

/// The properties of a certificate that is correct to serve.
struct Known {
    hostname_match: Option<bool>,
    expired: Option<bool>,
    not_yet_valid: Option<bool>,
    revoked: Option<bool>,
    findings: Vec<Finding>,
}

impl Known {
    /// Returns the properties of the correct certificate. If several are correct, any of them may be
    /// served: the one with the mildest findings counts, and properties in which they differ are
    /// unknown. Returns `None` if the certificate is not known, only its hash.
    fn of(expected: &Expected, names: &[Hostname], rules: &Rules, now: Timestamp) -> Option<Self> {
        let accepted = expected.instances()?.accepted();
        let each = accepted.map(|instance| Self::of_instance(instance, names, rules, now));
        each.reduce(|one, other| {
            let common = |a: Option<bool>, b: Option<bool>| a.filter(|_| a == b);
            let mildest = [&one, &other].map(|known| known.severity());
            Self {
                hostname_match: common(one.hostname_match, other.hostname_match),
                expired: common(one.expired, other.expired),
                not_yet_valid: common(one.not_yet_valid, other.not_yet_valid),
                revoked: common(one.revoked, other.revoked),
                findings: match mildest {
                    [first, second] if second < first => other.findings,
                    _ => one.findings,
                },
            }
        })
    }

    fn of_instance(instance: &Instance, names: &[Hostname], rules: &Rules, now: Timestamp) -> Self {
        let leaf = &instance.leaf;
        let mut findings = Vec::new();
        let is_revoked = instance.state == State::Revoked;
        if is_revoked {
            findings.push(Finding::new(Detail::Revoked {
                reported_by: RevocationReporter::Source,
                revoked_at: None,
                reason: None,
            }));
        }
        let facts = leaf.facts().ok();
        if let Some(facts) = facts {
            findings.extend(expiry::of_leaf(leaf, facts, false, rules, now));
            findings.extend(name_findings(facts, names));
        }
        let validity = facts.and_then(|facts| facts.validity());
        Self {
            hostname_match: matches_all(leaf, names),
            expired: validity.map(|(_, not_after)| now > not_after),
            not_yet_valid: validity.map(|(not_before, _)| now < not_before),
            revoked: is_revoked.then_some(true),
            findings,
        }
    }

    fn severity(&self) -> Severity {
        let severities = self.findings.iter().map(|finding| finding.severity);
        severities.max().unwrap_or(Severity::Ok)
    }
}

//! Findings about the expiry of certificates.

use crate::certificate::{Certificate, Facts};
use crate::finding::{ChainValidity, Detail, Finding, LeafValidity, Role, Severity};
use crate::model::{Threshold, Timestamp};

use super::{Rules, Thresholds};

/// Returns the findings about the leaf's validity. If a newer certificate is expected, it must be
/// installed, and the leaf need not be renewed.
pub(super) fn of_leaf(
    leaf: &Certificate,
    facts: &Facts,
    is_newer_expected: bool,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !facts.has_validity {
        return findings;
    }
    let validity = LeafValidity {
        not_after: facts.not_after,
        judged_at: now,
        is_newer_expected,
    };
    // A certificate whose notAfter precedes its notBefore can be both.
    if now < facts.not_before {
        let validity = chain_validity(leaf, facts, Role::Leaf, now);
        findings.push(Finding::new(Detail::NotYetValid(validity)));
    }
    if now > facts.not_after {
        findings.push(Finding::new(Detail::Expired(validity.clone())));
    }
    if !findings.is_empty() {
        return findings;
    }
    let left = facts.not_after.seconds_since(now);
    let lifetime = facts.lifetime();
    let severity = if left < rules.crit.seconds_of(lifetime) {
        Severity::Critical
    } else if left < rules.warn.seconds_of(lifetime) {
        Severity::Warning
    } else {
        return findings;
    };
    findings.push(Finding::with_severity(severity, Detail::Expiring(validity)));
    findings
}

/// Returns the times when a leaf reaches the thresholds of its expiry.
pub(super) fn thresholds(leaf: &Certificate, rules: &Rules) -> Option<Thresholds> {
    let (begin, end) = leaf.facts().ok()?.validity()?;
    let lifetime = end.seconds_since(begin);
    let before =
        |threshold: Threshold| Timestamp(end.0.saturating_sub(threshold.seconds_of(lifetime)));
    Some(Thresholds {
        warn: before(rules.warn),
        crit: before(rules.crit),
    })
}

fn chain_validity(
    certificate: &Certificate,
    facts: &Facts,
    position: Role,
    now: Timestamp,
) -> ChainValidity {
    ChainValidity {
        certificate: certificate.clone(),
        position,
        not_before: facts.not_before,
        not_after: facts.not_after,
        judged_at: now,
    }
}

/// The necessity of a certificate for a path that is valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// The valid path that expires last contains it, or there is no valid path.
    Needed,
    /// The valid path that expires last does not contain it.
    NotNeeded,
}

/// Returns the findings about the validity of an intermediate or a root above a leaf of this
/// lifetime.
pub(super) fn of_authority(
    certificate: &Certificate,
    position: Role,
    need: Need,
    lifetime_of_leaf: i64,
    rules: &Rules,
    now: Timestamp,
) -> Option<Finding> {
    let facts = certificate.facts().ok()?;
    facts.validity()?;
    let validity = || chain_validity(certificate, facts, position, now);
    if now > facts.not_after {
        let (is_needed, severity) = match need {
            Need::Needed => (true, Severity::Critical),
            Need::NotNeeded => (false, Severity::Warning),
        };
        let validity = validity();
        return Some(Finding::with_severity(
            severity,
            Detail::ChainExpired {
                validity,
                is_needed,
            },
        ));
    }
    if need == Need::NotNeeded {
        return None;
    }
    if now < facts.not_before {
        return Some(Finding::new(Detail::NotYetValid(validity())));
    }
    let left = facts.not_after.seconds_since(now);
    // An authority that outlasts a whole leaf is replaced together with it. A share of an
    // authority's ten years would cause warnings for years.
    let soon = rules
        .warn
        .seconds_of(facts.lifetime())
        .min(lifetime_of_leaf);
    (left < soon).then(|| Finding::new(Detail::ChainExpiring(validity())))
}

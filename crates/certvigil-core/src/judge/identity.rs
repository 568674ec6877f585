//! Identification of a certificate that is served instead of the expected one.

use std::collections::BTreeSet;

use crate::certificate::{Certificate, Facts, San};
use crate::finding::{Detail, Dummy, Finding, Older, Severity, Wanted};
use crate::instance::{Expectation, Expected, Instance, Instances, State};

use super::{Flags, Grace};

/// Returns true if the leaf is a temporary certificate: that of a pending instance, or a
/// self-signed one for an expected public key.
pub(super) fn is_dummy(expected: &Expected, leaf: &Certificate) -> bool {
    if let Some(instances) = expected.instances() {
        let pending = instances.accepted().chain(&instances.pending);
        let mut pending = pending.filter(|i| i.state == State::Pending);
        if pending.any(|i| i.leaf == *leaf) {
            return true;
        }
        if instances.accepted().any(|i| i.leaf == *leaf) {
            return false;
        }
        // If the expected certificate is self-signed, another self-signed one is not its
        // placeholder.
        let expected = &instances.expected;
        if expected.state != State::Pending && expected.leaf.is_self_signed() {
            return false;
        }
    }
    let has_expected_key = leaf
        .public_key_hash()
        .is_some_and(|key| expected.has_key(&key));
    has_expected_key && leaf.is_self_signed()
}

/// Returns the known older instance that the leaf is.
pub(super) fn previous<'a>(expected: &'a Expected, leaf: &Certificate) -> Option<&'a Instance> {
    expected
        .instances()?
        .previous
        .iter()
        .find(|i| i.leaf == *leaf)
}

/// Returns the finding for a temporary certificate, which is correct only until another is issued.
pub(super) fn dummy_finding(correct: bool, expected: &Expected, grace: Option<Grace>) -> Finding {
    let (severity, dummy) = if let Expectation::PublicKeys(_) = expected.what {
        (Severity::Critical, Dummy::ExpectedKey)
    } else if correct {
        (Severity::Warning, Dummy::Pending)
    } else {
        let grace_until = grace.map(|grace| grace.until);
        (severity_in(grace), Dummy::Replaced { grace_until })
    };
    let expected = Wanted::of(expected);
    Finding::with_severity(severity, Detail::DummyCertificate { dummy, expected })
}

/// Returns the severity of serving the previous certificate: only a warning during a rollout.
fn severity_in(grace: Option<Grace>) -> Severity {
    grace.map_or(Severity::Critical, |_| Severity::Warning)
}

/// Returns the finding for a leaf that is neither the expected nor a temporary certificate.
pub(super) fn other_finding(
    expected: &Expected,
    leaf: &Certificate,
    flags: &Flags,
    grace: Option<Grace>,
) -> Finding {
    let is_newer = flags.hostname_match == Some(true)
        && flags.expired == Some(false)
        && is_newer(expected, leaf);
    let wrong = || Detail::WrongCertificate {
        served: Some(leaf.clone()),
        is_newer,
        expected: Wanted::of(expected),
    };
    let Ok(facts) = leaf.facts() else {
        return Finding::new(wrong());
    };
    if let Some(instance) = previous(expected, leaf) {
        let grace = grace.filter(|g| g.before == leaf.sha256() && instance.state != State::Revoked);
        return Finding::with_severity(
            severity_in(grace),
            Detail::PreviousInstance {
                older: Older::Known {
                    id: instance.id,
                    state: instance.state,
                    served: leaf.clone(),
                },
                grace_until: grace.map(|grace| grace.until),
                expected: Wanted::of(expected),
            },
        );
    }
    let accepted = expected
        .instances()
        .into_iter()
        .flat_map(Instances::accepted);
    let mut accepted = accepted.filter(|i| i.state != State::Pending);
    if let Some(newer) = accepted.find(|i| i.leaf.facts().is_ok_and(|newer| is_older(facts, newer)))
    {
        let grace = grace.filter(|g| g.before == leaf.sha256());
        return older_finding(leaf, &newer.leaf, expected, grace);
    }
    if expected.has_key(&facts.public_key_hash) {
        return Finding::new(Detail::SameKeyOtherCertificate {
            served: leaf.clone(),
            is_newer,
            expected: Wanted::of(expected),
        });
    }
    Finding::new(wrong())
}

/// Returns true if the leaf has a later notBefore than each expected certificate. It is unknown for
/// pins and temporary certificates.
fn is_newer(expected: &Expected, leaf: &Certificate) -> bool {
    let (Some(instances), Ok(leaf)) = (expected.instances(), leaf.facts()) else {
        return false;
    };
    instances.accepted().all(|instance| {
        let accepted = instance.leaf.facts();
        instance.state != State::Pending && accepted.is_ok_and(|f| f.not_before < leaf.not_before)
    })
}

/// Returns true if `leaf` is an older instance of the same certificate as `newer`: the same names,
/// the same issuer or key, and an earlier notBefore. Authorities sign renewals with different
/// intermediates, so issuers of the same organization are treated as the same issuer.
pub(super) fn is_older(leaf: &Facts, newer: &Facts) -> bool {
    let is_same_issuer = || {
        leaf.issuer_normal == newer.issuer_normal
            || leaf.issuer_organization.is_some()
                && leaf.issuer_organization == newer.issuer_organization
    };
    leaf.not_before < newer.not_before
        && names(leaf) == names(newer)
        && !names(leaf).is_empty()
        && (leaf.public_key_hash == newer.public_key_hash || is_same_issuer())
}

/// Returns the names of a certificate, or its common name if there are no others.
fn names(facts: &Facts) -> BTreeSet<String> {
    let sans = facts.sans.iter().map(|san| match san {
        San::Dns(name) => name.to_ascii_lowercase(),
        other => other.to_string(),
    });
    let sans: BTreeSet<String> = sans.collect();
    if sans.is_empty() {
        return facts.common_name.iter().cloned().collect();
    }
    sans
}

/// Returns the finding for an older instance that is identified only by its content.
pub(super) fn older_finding(
    leaf: &Certificate,
    newer: &Certificate,
    expected: &Expected,
    grace: Option<Grace>,
) -> Finding {
    Finding::with_severity(
        severity_in(grace),
        Detail::PreviousInstance {
            older: Older::SameNames {
                served: leaf.clone(),
                newer: newer.clone(),
            },
            grace_until: grace.map(|grace| grace.until),
            expected: Wanted::of(expected),
        },
    )
}

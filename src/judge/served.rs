//! What is judged of a certificate that was seen: the leaf itself, and all that is above it.

use crate::certificate::{Certificate, Facts, Issuer, NO_SAN};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, Instance, State};
use crate::model::{Hostname, Timestamp};
use crate::observation::Served;

use super::above::{chain_findings, trust_findings};
use super::links::Links;
use super::{Flags, Rules, TrustStore, chain, expiry, handshake, identity, path, revocation};

/// Judges a certificate that was seen, each thing on its own.
pub(super) fn judge_served(
    expected: &Expected,
    served: &Served,
    hostname: &Hostname,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
) -> (Flags, Vec<Finding>) {
    let leaf = &served.leaf;
    let facts = leaf.facts().ok();
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust);
    let chain = chain::examine(leaf, &served.rest, instance, &links);
    let path = path::build(leaf, &chain, hostname, trust, now);

    let dummy = identity::is_dummy(expected, leaf);
    let self_signed = links.issued(leaf, leaf);
    let accepted = expected.accepts(leaf);
    // Nothing is above a self-signed instance.
    let nothing_above = self_signed && accepted == Some(true);
    let revocation = revocation::examine(
        served,
        is_revoked(expected, leaf),
        || issuer_of(served, instance, &links),
        rules.revocation,
        now,
    );
    let flags = Flags {
        correct: accepted.unwrap_or(path.trusted),
        chained: chain.as_expected || chain.complete || nothing_above,
        dummy,
        trusted: Some(path.trusted),
        hostname_match: path::matches_name(leaf, hostname),
        expired: facts.map(|f| now > f.not_after),
        not_yet_valid: facts.map(|f| now < f.not_before),
        revoked: revocation.revoked,
    };

    let mut findings = Vec::new();
    // What its clients hold as a root is no placeholder to them.
    let is_pinned_root = matches!(expected.what, Expectation::PublicKeys(_)) && chain.anchored;
    let told_as_dummy = dummy && !is_pinned_root;
    if told_as_dummy {
        let grace = rules.grace_at(now).filter(|g| g.before == leaf.sha256());
        findings.push(identity::dummy_finding(flags.correct, expected, grace));
    } else if accepted == Some(false) {
        findings.push(identity::other_finding(expected, leaf, rules.grace_at(now)));
    }
    findings.extend(revocation.findings);
    match facts {
        Some(facts) => {
            let is_newer_known = accepted == Some(false);
            findings.extend(expiry::of_leaf(facts, is_newer_known, rules, now));
            findings.extend(weakness(Place::Leaf, facts));
        }
        None => findings.push(nonconformant("the certificate", &unreadable(leaf))),
    }
    // A temporary certificate is told of as such: that it is not a proper one goes without saying.
    if !told_as_dummy {
        findings.extend(facts.and_then(|f| name_finding(f, &flags, hostname)));
        findings.extend(facts.and_then(|f| oddity_finding(f, &path)));
        findings.extend(trust_findings(
            expected,
            leaf,
            self_signed,
            &flags,
            &chain,
            &path,
            trust,
        ));
    }
    findings.extend(handshake::findings(served));
    findings.extend(chain_findings(&chain, &flags, facts, rules, now));
    if !path.trusted && !told_as_dummy {
        findings.extend(unexplained(accepted, &findings, &path));
    }
    (flags, findings)
}

/// What strict clients refuse has to have a reason. With trust as the only expectation it is what
/// makes the leaf incorrect, so the reason is critical then.
fn unexplained(accepted: Option<bool>, findings: &[Finding], path: &path::Path) -> Option<Finding> {
    let reason = path.reason.as_deref().unwrap_or("its names cannot be read");
    if accepted.is_none() {
        return findings
            .iter()
            .all(|f| f.severity < Severity::Critical)
            .then(|| {
                Finding::new(
                    Code::UntrustedRoot,
                    format!(
                        "there is no path to a trusted root that clients would accept: {reason}"
                    ),
                    "replace the certificate by one that clients accept",
                )
            });
    }
    let explains = |f: &Finding| {
        f.severity == Severity::Critical
            || matches!(
                f.code,
                Code::NonconformantCertificate | Code::WeakKey | Code::WeakSignature
            )
    };
    (!findings.iter().any(explains)).then(|| nonconformant("the certificate", reason))
}

/// The instance whose chain belongs to the leaf: the one that it is, else the expected one.
fn instance_for<'a>(expected: &'a Expected, leaf: &Certificate) -> Option<&'a Instance> {
    let instances = expected.instances()?;
    let mut known = instances
        .accepted()
        .chain(&instances.previous)
        .chain(&instances.pending);
    Some(
        known
            .find(|i| i.leaf == *leaf)
            .unwrap_or(&instances.expected),
    )
}

/// Whether the source calls this instance revoked.
fn is_revoked(expected: &Expected, leaf: &Certificate) -> bool {
    let mut known = expected
        .instances()
        .into_iter()
        .flat_map(|instances| instances.accepted().chain(&instances.previous));
    known.any(|i| i.leaf == *leaf && i.state == State::Revoked)
}

pub(super) fn unreadable(certificate: &Certificate) -> String {
    certificate
        .facts()
        .err()
        .map(ToString::to_string)
        .unwrap_or_default()
}

pub(super) fn nonconformant(what: &str, why: &str) -> Finding {
    Finding::new(
        Code::NonconformantCertificate,
        format!("strict clients refuse {what}: {why}"),
        "replace it by one that follows RFC 5280",
    )
}

fn oddity_finding(facts: &Facts, path: &path::Path) -> Option<Finding> {
    let mut reasons = facts.oddities.clone();
    // The path builder stops at the first thing that it refuses, which is told of already where it
    // is a known one. A name is missing to people, not to parsers.
    if reasons.iter().all(|reason| reason == NO_SAN) {
        reasons.extend(path.refused.clone());
    }
    (!reasons.is_empty()).then(|| nonconformant("the certificate", &reasons.join(", ")))
}

/// Where a certificate stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Leaf,
    Intermediate,
    Root,
}

impl Place {
    pub(super) fn describe(self, facts: &Facts) -> String {
        match self {
            Self::Leaf => "the certificate".into(),
            Self::Intermediate => format!("the intermediate `{}`", facts.name()),
            Self::Root => format!("the root `{}`", facts.name()),
        }
    }
}

pub(super) fn weakness(place: Place, facts: &Facts) -> Vec<Finding> {
    let what = place.describe(facts);
    let mut findings = Vec::new();
    if facts.key.is_weak() {
        findings.push(Finding::new(
            Code::WeakKey,
            format!("{what} has a weak key: {}", facts.key),
            match place {
                Place::Leaf => "make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it",
                Place::Intermediate | Place::Root => "have the certificate reissued by an authority with a stronger key",
            },
        ));
    }
    // Nobody relies on the signature that a root makes on itself.
    if facts.signature.is_weak && !facts.is_self_issued() {
        findings.push(Finding::new(
            Code::WeakSignature,
            format!("{what} has a weak signature: {}", facts.signature.name),
            "have the certificate reissued: today's authorities sign with SHA-256 or better",
        ));
    }
    findings
}

fn name_finding(facts: &Facts, flags: &Flags, hostname: &Hostname) -> Option<Finding> {
    /// So many names are told; certificates may have hundreds.
    const TOLD_NAMES: usize = 5;
    if flags.hostname_match != Some(false) {
        return None;
    }
    let names: Vec<_> = facts
        .sans
        .iter()
        .take(TOLD_NAMES)
        .map(ToString::to_string)
        .collect();
    let more = match facts.sans.len().saturating_sub(TOLD_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = if names.is_empty() {
        format!("the certificate is not valid for {hostname}: it has no subject alternative names")
    } else {
        format!(
            "the certificate is not valid for {hostname}, only for {}{more}",
            names.join(", ")
        )
    };
    Some(Finding::new(
        Code::HostnameMismatch,
        message,
        format!("serve a certificate that names {hostname}, or take the name from the inventory"),
    ))
}

/// The issuer that may be asked whether a served leaf has been revoked. Where to ask is written in the leaf, and who
/// made one up could have anything fetched: so it has to be expected, or to lead to a trusted root.
pub fn issuer_to_ask(expected: &Expected, served: &Served, trust: &TrustStore) -> Option<Issuer> {
    let leaf = &served.leaf;
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust);
    let is_vouched_for = expected.accepts(leaf) == Some(true)
        || chain::examine(leaf, &served.rest, instance, &links).anchored;
    is_vouched_for
        .then(|| issuer_of(served, instance, &links))
        .flatten()
}

/// Who issued the leaf, from what was served, what belongs above it, and the trust store.
fn issuer_of(served: &Served, instance: Option<&Instance>, links: &Links<'_>) -> Option<Issuer> {
    let known = instance
        .into_iter()
        .flat_map(|i| i.chain.iter().chain(&i.root));
    links.issuer_of(&served.leaf, served.rest.iter().chain(known))
}

//! What is judged of a certificate that was seen: the leaf itself, and all that is above it.

use std::collections::HashSet;

use crate::certificate::{Certificate, Facts, Issuer, Oddity, San};
use crate::finding::{Code, Finding, Severity};
use crate::instance::{Expectation, Expected, Instance, State};
use crate::model::{Hostname, Timestamp};
use crate::observation::{Served, Staple};

use super::above::{Above, advice, chain_findings, trust_findings};
use super::clients::{self, Clients, Presented};
use super::links::{Links, Signatures};
use super::path::{FaultKind, PathRole};
use super::{
    Flags, Rules, TrustStore, chain, expiry, handshake, identity, path, refusals, revocation,
};

/// The judgement of a certificate that was seen.
pub(super) struct JudgedServed {
    pub(super) flags: Flags,
    pub(super) findings: Vec<Finding>,
    pub(super) clients: Clients,
    /// The expiry of the valid path that lasts longest.
    pub(super) path_expiry: Option<Timestamp>,
}

/// Judges a certificate that was seen, each thing on its own.
pub(super) fn judge_served(
    expected: &Expected,
    served: &Served,
    hostname: &Hostname,
    trust: &TrustStore,
    rules: &Rules,
    now: Timestamp,
    signatures: &Signatures,
) -> JudgedServed {
    let leaf = &served.leaf;
    let facts = leaf.facts().ok();
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust, signatures);
    let above = once_each(leaf, &served.rest);
    let found = path::search(leaf, &above, trust, &links, now);
    let chain = chain::examine(leaf, &served.rest, instance, &links);
    // Where served certificates are missing, the path over the expected chain shows what else is wrong.
    let root = instance.and_then(|i| i.root.as_ref());
    let is_more_known = root.is_some() || !chain.missing.is_empty();
    let with_missing = (!found.is_valid() && is_more_known).then(|| {
        let known = chain.missing.iter().copied().chain(root);
        let all: Vec<_> = above.iter().copied().chain(known).collect();
        path::search(leaf, &all, trust, &links, now)
    });
    let explained = with_missing.as_ref().unwrap_or(&found);

    let dummy = identity::is_dummy(expected, leaf);
    let self_signed = links.issued(leaf, leaf);
    let accepted = expected.accepts(leaf);
    let hostname_match = path::matches_name(leaf, hostname);
    let trusted = found.is_valid() && hostname_match == Some(true);
    // Nothing is above a self-signed instance, and nothing needs to be above a leaf that clients hold themselves.
    let nothing_above = self_signed && accepted == Some(true) || trust.holds(leaf);
    let revocation = revocation::examine(
        served,
        is_revoked(expected, leaf),
        || issuer_of(served, instance, &links),
        rules.revocation,
        now,
    );
    let validity = facts.and_then(Facts::validity);
    // The expected chain is one only if its signatures can be verified.
    let is_unverifiable = explained.best().is_some_and(|path| {
        let mut kinds = path.faults.iter().map(|fault| &fault.kind);
        kinds.any(|kind| matches!(kind, FaultKind::Unverifiable(_)))
    });
    let flags = Flags {
        correct: accepted.unwrap_or(trusted),
        chained: chain.as_expected && !is_unverifiable || chain.complete || nothing_above,
        dummy,
        trusted: Some(trusted),
        hostname_match,
        expired: validity.map(|(_, not_after)| now > not_after),
        not_yet_valid: validity.map(|(not_before, _)| now < not_before),
        revoked: revocation.revoked,
    };

    let mut findings = Vec::new();
    // A certificate that its clients hold as a root is no placeholder to them.
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
    // A temporary certificate is reported as such: that it is not a proper one goes without saying.
    if !told_as_dummy {
        findings.extend(facts.and_then(|f| name_finding(f, &flags, hostname)));
        findings.extend(facts.and_then(|f| oddity_finding(f, explained)));
        findings.extend(trust_findings(&Above {
            expected,
            leaf,
            is_self_signed: self_signed,
            flags: &flags,
            chain: &chain,
            found: explained,
            trust,
        }));
    }
    findings.extend(handshake::findings(served));
    findings.extend(chain_findings(&chain, &flags, facts, explained, rules, now));
    if !trusted && !told_as_dummy {
        findings.extend(unexplained(accepted, &findings, explained));
    }
    let presented = Presented {
        leaf,
        rest: &served.rest,
        hostname,
        hostname_match: hostname_match == Some(true),
        is_stapled: served.revocation.staple != Staple::Absent,
        trust,
        now,
    };
    let clients = clients::opinions(&presented, &found);
    // A weak signature or key is a warning where the leaf is expected, and clients refuse it all the same.
    let is_weak = explained.best().is_some_and(|path| {
        let mut kinds = path.faults.iter().map(|fault| &fault.kind);
        kinds.any(|kind| matches!(kind, FaultKind::WeakSignature(_) | FaultKind::TinyKey(_)))
    });
    let is_explained = findings.iter().any(|f| f.severity == Severity::Critical);
    if !told_as_dummy && (trusted || is_weak && !is_explained) {
        findings.extend(refusals::finding(&clients));
    }
    JudgedServed {
        flags,
        findings,
        clients,
        path_expiry: found.valid().filter_map(path::Path::expiry).max(),
    }
}

/// The served certificates above the leaf, each once.
fn once_each<'a>(leaf: &Certificate, rest: &'a [Certificate]) -> Vec<&'a Certificate> {
    let mut seen = HashSet::from([leaf.sha256()]);
    rest.iter().filter(|c| seen.insert(c.sha256())).collect()
}

/// A leaf that is not trusted needs a reason. With trust as the only expectation it is what makes the leaf incorrect, so
/// the reason is critical then.
fn unexplained(
    accepted: Option<bool>,
    findings: &[Finding],
    found: &path::Found<'_>,
) -> Option<Finding> {
    let best = found.best();
    let reason = || best.map_or_else(|| "the certificate cannot be read".into(), path::reason);
    let hint = || {
        let fault = best.and_then(|path| path.faults.first());
        fault.map_or("replace the certificate by one that clients accept", advice)
    };
    if accepted.is_none() {
        return findings
            .iter()
            .all(|f| f.severity < Severity::Critical)
            .then(|| {
                let message = format!("there is no valid path to a trusted root: {}", reason());
                Finding::new(Code::UntrustedRoot, message, hint())
            });
    }
    let explains = |f: &Finding| {
        f.severity == Severity::Critical
            || matches!(
                f.code,
                Code::NonconformantCertificate | Code::WeakKey | Code::WeakSignature
            )
    };
    (!findings.iter().any(explains)).then(|| {
        let message = format!("there is no valid path to a trusted root: {}", reason());
        Finding::with_severity(
            Code::NonconformantCertificate,
            Severity::Warning,
            message,
            hint(),
        )
    })
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

fn oddity_finding(facts: &Facts, found: &path::Found<'_>) -> Option<Finding> {
    let faults = found.best().map_or(&[][..], |path| &path.faults);
    let is_reported = |oddity: &&Oddity| {
        faults
            .iter()
            .any(|f| f.role == PathRole::Leaf && f.kind.covers(oddity))
    };
    let reasons = facts.oddities.iter().filter(|oddity| !is_reported(oddity));
    let reasons: Vec<_> = reasons.map(ToString::to_string).collect();
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
    if let Some(finding) = address_in_dns_name(facts, hostname) {
        return Some(finding);
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

/// A certificate that has the address, but as a dNSName, with which no client compares an address (RFC 9110, section
/// 4.3.5).
fn address_in_dns_name(facts: &Facts, hostname: &Hostname) -> Option<Finding> {
    let Hostname::Ip(ip) = hostname else {
        return None;
    };
    let is_address = |san: &San| matches!(san, San::Dns(name) if name.parse() == Ok(*ip));
    facts.sans.iter().any(is_address).then(|| {
        Finding::new(
            Code::HostnameMismatch,
            format!("the certificate has the IP address {ip} in a dNSName; clients compare an address with iPAddress only"),
            format!("reissue the certificate with the address as an iPAddress: `subjectAltName=IP:{ip}` in openssl's configuration"),
        )
    })
}

/// The issuer that may be asked whether a served leaf has been revoked. Where to ask is written in the leaf, and who
/// made one up could have anything fetched: so it has to be expected, or to lead to a trusted root.
pub fn issuer_to_ask(
    expected: &Expected,
    served: &Served,
    trust: &TrustStore,
    signatures: &Signatures,
) -> Option<Issuer> {
    let leaf = &served.leaf;
    let instance = instance_for(expected, leaf);
    let links = Links::new(trust, signatures);
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

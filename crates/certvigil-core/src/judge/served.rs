//! Judgement of a served certificate: the leaf itself, and all certificates above it.

use crate::certificate::{Certificate, Facts, Issuer, Oddity, San};
use crate::finding::{
    Client, Code, Detail, FaultKind, Finding, MAX_LISTED_NAMES, NoPath, Nonconformant, Role,
    Severity, Untrusted,
};
use crate::instance::{Expectation, Expected, Instance, State};
use crate::model::{Hostname, Timestamp};
use crate::observation::{FileKey, Served};

use super::above::{Above, chain_findings, is_warned_of, trust_findings};
use super::clients::{self, Clients};
use super::links::{Links, Signatures};
use super::presented::{Context, once_each, presented};
use super::{
    Flags, Rules, TrustStore, chain, ech, expiry, handshake, identity, path, refusals, revocation,
};

/// The judgement of a served certificate.
pub(super) struct JudgedServed {
    pub(super) flags: Flags,
    pub(super) findings: Vec<Finding>,
    pub(super) clients: Clients,
    /// The expiry of the valid path that expires last.
    pub(super) path_expiry: Option<Timestamp>,
}

/// Judges a served certificate, each property independently. It must match all of `names`; without
/// names, whether it matches is unknown.
pub(super) fn judge_served(
    expected: &Expected,
    served: &Served,
    names: &[Hostname],
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
    // If certificates are missing, the path over the expected chain shows the other faults.
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
    let is_expected = accepted == Some(true);
    let hostname_match = matches_all(leaf, names);
    let has_path = found.is_valid() && (names.is_empty() || hostname_match == Some(true));
    // Clients cannot read the message (RFC 8446, section 4.4.2).
    let trusted = has_path && served.rest.iter().all(|c| !c.der().is_empty());
    // A self-signed instance has no issuer, and a leaf in the trust store needs none.
    let nothing_above = self_signed && accepted == Some(true) || trust.holds(leaf);
    let revocation = revocation::examine(
        served,
        is_revoked(expected, leaf),
        || issuer_of(served, instance, &links),
        rules.revocation,
        now,
    );
    let validity = facts.and_then(Facts::validity);
    // The expected chain is complete only if its signatures can be verified.
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
    // Clients with the certificate in their trust store do not treat it as a placeholder.
    let is_pinned_root = matches!(expected.what, Expectation::PublicKeys(_)) && chain.anchored;
    let reported_as_dummy = dummy && !is_pinned_root;
    if reported_as_dummy {
        let grace = rules.grace_at(now).filter(|g| g.before == leaf.sha256());
        findings.push(identity::dummy_finding(flags.correct, expected, grace));
    } else if accepted == Some(false) {
        findings.push(identity::other_finding(
            expected,
            leaf,
            &flags,
            rules.grace_at(now),
        ));
    }
    findings.extend(revocation.findings);
    let (staple_refusals, unknown_by_staple) = (revocation.refusals, revocation.unknown);
    match facts {
        Some(facts) => {
            let is_newer_expected = accepted == Some(false);
            findings.extend(expiry::of_leaf(leaf, facts, is_newer_expected, rules, now));
            findings.extend(weakness(Role::Leaf, leaf, facts, self_signed));
        }
        None => findings.extend(unreadable(leaf)),
    }
    // The finding for a temporary certificate covers its other deficiencies.
    if !reported_as_dummy {
        findings.extend(facts.into_iter().flat_map(|f| name_findings(f, names)));
        findings.extend(facts.and_then(|f| oddity_finding(leaf, f, explained, is_expected)));
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
    findings.extend(key_finding(served));
    findings.extend(chain_findings(&chain, &flags, facts, explained, rules, now));
    if chain.out_of_order.is_none() {
        findings.extend(late_leaf(served));
    }
    if !has_path && !reported_as_dummy {
        findings.extend(unexplained(accepted, &findings, explained));
    }
    let constraints = clients::Constraints::new(leaf, links.comparisons());
    let context = Context {
        trust,
        links: &links,
        signatures,
        now,
    };
    let opinions = |hostname: Option<&Hostname>| {
        let presented = presented(served, hostname, context, &constraints);
        clients::opinions(&presented, &found)
    };
    let mut clients = match names {
        [] => opinions(None),
        [first, others @ ..] => others.iter().fold(opinions(Some(first)), |all, name| {
            all.and(opinions(Some(name)))
        }),
    };
    clients.doubt(&unknown_by_staple);
    // A file is judged as if every client received it.
    if let Some(facts) = facts.filter(|_| served.file().is_none()) {
        clients.doubt(&clients::unknown_for_names(facts, names));
    }
    let mut handshake_refusals = handshake::refusals(served);
    handshake_refusals.extend(staple_refusals);
    // A temporary certificate is reported as such.
    let with_ech =
        (!reported_as_dummy).then(|| ech::refusal(served, names.first(), &clients, context));
    if let Some(with_ech) = with_ech.flatten() {
        handshake_refusals.push((with_ech.clients, with_ech.reason));
        findings.push(with_ech.finding);
    }
    let without_handshake = handshake_refusals.iter().flat_map(|(clients, _)| clients);
    let without_handshake: Vec<Client> = without_handshake.copied().collect();
    // For an expected leaf, a weak signature, a weak key or a deviation is a warning; clients refuse
    // it nevertheless.
    let is_weak = explained.best().is_some_and(|path| {
        path.faults.iter().any(|fault| {
            let kind = &fault.kind;
            matches!(kind, FaultKind::WeakSignature(_) | FaultKind::TinyKey(_))
                || is_warned_of(fault, is_expected)
        })
    });
    let is_explained = findings.iter().any(|f| f.severity == Severity::Critical);
    if !reported_as_dummy && (has_path || is_weak && !is_explained) {
        findings.extend(refusals::finding(&clients, &without_handshake, has_path));
    }
    for (refusing, reason) in &handshake_refusals {
        clients.refuse(refusing, reason);
    }
    JudgedServed {
        flags,
        findings,
        clients,
        path_expiry: found.valid().filter_map(path::Path::expiry).max(),
    }
}

/// Returns a finding with the reason for a leaf that is not trusted. If trust is the only
/// expectation, the reason makes the leaf incorrect, so it is critical.
fn unexplained(
    accepted: Option<bool>,
    findings: &[Finding],
    found: &path::Found<'_>,
) -> Option<Finding> {
    let best = found.best();
    let reason = || best.map_or(NoPath::Unreadable, path::reason);
    let fault = || best.and_then(|path| path.faults.first()).cloned();
    let Some(_) = accepted else {
        let is_explained = findings.iter().any(|f| f.severity >= Severity::Critical);
        return (!is_explained).then(|| {
            let (reason, fault) = (reason(), fault());
            Finding::new(Detail::UntrustedRoot(Untrusted::NoValidPath {
                reason,
                fault,
            }))
        });
    };
    let explains = |f: &Finding| {
        f.severity == Severity::Critical
            || matches!(
                f.code(),
                Code::NonconformantCertificate | Code::WeakKey | Code::WeakSignature
            )
    };
    (!findings.iter().any(explains)).then(|| {
        let (reason, fault) = (reason(), fault());
        Finding::new(Detail::NonconformantCertificate(
            Nonconformant::NoValidPath { reason, fault },
        ))
    })
}

/// Returns the instance to whose chain the leaf belongs: the instance with this leaf, otherwise the
/// expected one.
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

/// Returns true if the source reports this instance as revoked.
fn is_revoked(expected: &Expected, leaf: &Certificate) -> bool {
    let mut known = expected
        .instances()
        .into_iter()
        .flat_map(|instances| instances.accepted().chain(&instances.previous));
    known.any(|i| i.leaf == *leaf && i.state == State::Revoked)
}

/// Returns the finding for a leaf that cannot be read.
fn unreadable(leaf: &Certificate) -> Option<Finding> {
    let malformed = leaf.facts().err()?;
    Some(Finding::new(Detail::NonconformantCertificate(
        Nonconformant::Unreadable {
            certificate: leaf.clone(),
            reason: malformed.to_string(),
        },
    )))
}

/// Returns the finding for deviations that strict clients refuse, if there are any.
pub(super) fn nonconformant(
    certificate: &Certificate,
    position: Role,
    deviations: Vec<Oddity>,
) -> Option<Finding> {
    (!deviations.is_empty()).then(|| {
        Finding::new(Detail::NonconformantCertificate(Nonconformant::Refused {
            certificate: certificate.clone(),
            position,
            deviations,
        }))
    })
}

fn oddity_finding(
    leaf: &Certificate,
    facts: &Facts,
    found: &path::Found<'_>,
    is_expected: bool,
) -> Option<Finding> {
    let faults = found.best().map_or(&[][..], |path| &path.faults);
    let is_reported = |oddity: &&Oddity| {
        faults
            .iter()
            .filter(|f| !is_warned_of(f, is_expected))
            .any(|f| f.role == Role::Leaf && f.kind.covers(oddity))
    };
    let deviations = facts.oddities.iter().filter(|oddity| !is_reported(oddity));
    nonconformant(leaf, Role::Leaf, deviations.cloned().collect())
}

/// Returns the findings about the key and the signature of a certificate. `is_trusted_itself` is
/// true for a root, and for a leaf that its own key signed.
pub(super) fn weakness(
    position: Role,
    certificate: &Certificate,
    facts: &Facts,
    is_trusted_itself: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.key.is_weak() {
        findings.push(Finding::new(Detail::WeakKey {
            certificate: certificate.clone(),
            position,
            key: facts.key.to_string(),
        }));
    }
    // No client relies on a certificate's signature on itself.
    if facts.signature.is_weak && !is_trusted_itself {
        findings.push(Finding::new(Detail::WeakSignature {
            certificate: certificate.clone(),
            position,
            algorithm: facts.signature.name.clone(),
        }));
    }
    findings
}

/// Returns true if the leaf matches all of these names. Returns `None` if there are none, or if it
/// cannot be read.
pub(super) fn matches_all(leaf: &Certificate, names: &[Hostname]) -> Option<bool> {
    let facts = leaf.facts().ok().filter(|_| !names.is_empty())?;
    Some(names.iter().all(|name| facts.matches(name)))
}

/// Returns a finding for each name that the leaf does not match.
pub(super) fn name_findings(facts: &Facts, names: &[Hostname]) -> impl Iterator<Item = Finding> {
    let mismatches = names.iter().filter(|name| !facts.matches(name));
    mismatches.map(|hostname| {
        Finding::new(Detail::HostnameMismatch {
            hostname: hostname.clone(),
            names: {
                let listed = facts.sans.iter().take(MAX_LISTED_NAMES);
                listed.map(ToString::to_string).collect()
            },
            name_count: facts.sans.len(),
            is_address_in_dns_name: has_address_in_dns_name(facts, hostname),
        })
    })
}

/// Returns the finding for a private key that does not belong to the leaf of a file.
fn key_finding(served: &Served) -> Option<Finding> {
    match served.file()?.key {
        FileKey::Differs(key) => Some(Finding::new(Detail::KeyMismatch {
            certificate: served.leaf.clone(),
            pubkey_hash: served.leaf.public_key_hash(),
            key_pubkey_hash: key,
        })),
        FileKey::NotGiven | FileKey::Matches => None,
    }
}

/// Returns the finding for a file with another certificate before the leaf.
fn late_leaf(served: &Served) -> Option<Finding> {
    let first = served.rest.first()?;
    served.file()?.is_leaf_late.then(|| {
        Finding::new(Detail::ChainOutOfOrder {
            certificate: first.clone(),
        })
    })
}

/// Returns true for a certificate that has the address as a dNSName, which no client compares with
/// an address (RFC 9110, section 4.3.5).
fn has_address_in_dns_name(facts: &Facts, hostname: &Hostname) -> bool {
    let Hostname::Ip(ip) = hostname else {
        return false;
    };
    let is_address = |san: &San| matches!(san, San::Dns(name) if name.parse() == Ok(*ip));
    facts.sans.iter().any(is_address)
}

/// Returns the issuer that may be queried about the revocation of a served leaf. The leaf contains
/// the URL, so a forged leaf could cause arbitrary requests. Therefore the leaf must be expected,
/// or lead to a trusted root.
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

/// Returns the issuer of the leaf, from the served certificates, the expected chain and the trust
/// store.
fn issuer_of(served: &Served, instance: Option<&Instance>, links: &Links<'_>) -> Option<Issuer> {
    let known = instance
        .into_iter()
        .flat_map(|i| i.chain.iter().chain(&i.root));
    links.issuer_of(&served.leaf, served.rest.iter().chain(known))
}

//! The rules that need several probes: agreement of a host's addresses, and of the vantages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::certificate::{Certificate, Fingerprint};
use crate::finding::{Code, Detail, Finding, MAX_LISTED_ADDRESSES, Seen};
use crate::instance::{Expectation, Pins};
use crate::model::Hostname;
use crate::observation::{ErrorKind, Outcome, Status};

use super::{Flags, Judged, Verdict, identity, sort};

/// Adds the findings that need several judged probes: `unreachable`, `addresses_disagree` and
/// `vantages_disagree`, and `previous_instance` for fingerprints.
pub fn together(results: &mut [Judged]) {
    for alike in groups(results, pins) {
        previous_of_pins(results, &alike);
    }
    let mut added: Vec<(usize, Finding)> = Vec::new();
    for host in groups(results, |j| {
        let observation = &j.observation;
        Some((&observation.target, &observation.vantage))
    }) {
        added.extend(unreachable(results, &host));
    }
    for host in groups(results, |j| {
        let observation = &j.observation;
        Some((
            &observation.target,
            observation.key_type,
            &observation.vantage,
        ))
    }) {
        added.extend(addresses_disagree(results, &host));
    }
    for endpoint in groups(results, |j| {
        let observation = &j.observation;
        Some((&observation.target, observation.ip?, &observation.vantage))
    }) {
        key_type_missing(results, &endpoint);
    }
    for address in groups(results, |j| {
        let observation = &j.observation;
        Some((&observation.target, observation.ip?, observation.key_type))
    }) {
        added.extend(vantages_disagree(results, &address));
    }
    for (at, finding) in added {
        if let Some(judged) = results.get_mut(at) {
            judged.findings.push(finding);
            sort(&mut judged.findings);
        }
    }
    for judged in results {
        judged.accept();
    }
}

fn groups<'a, K: Ord>(
    results: &'a [Judged],
    key: impl Fn(&'a Judged) -> Option<K>,
) -> Vec<Vec<usize>> {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (at, judged) in results.iter().enumerate() {
        if let Some(key) = key(judged) {
            groups.entry(key).or_default().push(at);
        }
    }
    groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

/// Marks a key type as missing. If a server has a certificate of one kind and refuses a handshake
/// for the other, it has none of the other kind, unless one is expected of it.
fn key_type_missing(results: &mut [Judged], endpoint: &[usize]) {
    let members = endpoint.iter().filter_map(|&at| results.get(at));
    let shown = members
        .filter(|judged| has_answered(judged))
        .map(|judged| judged.observation.key_type)
        .next();
    let Some(shown) = shown else { return };
    for &at in endpoint {
        let Some(judged) = results.get_mut(at) else {
            continue;
        };
        let key_type = judged.observation.key_type;
        let is_refusal = matches!(&judged.verdict, Verdict::Inconclusive(error)
            if matches!(error.kind, ErrorKind::TlsAlert | ErrorKind::TlsClosed));
        let is_wanted = judged
            .expected
            .as_ref()
            .and_then(|e| e.wants_key_of(key_type));
        if key_type == shown || !is_refusal || is_wanted == Some(true) {
            continue;
        }
        judged
            .findings
            .retain(|f| f.code() != Code::HandshakeFailed);
        judged
            .findings
            .push(Finding::new(Detail::KeyTypeMissing { key_type }));
    }
}

/// Returns the findings for unreachable addresses of a responding host. Clients that use such an
/// address fail.
fn unreachable(results: &[Judged], host: &[usize]) -> Vec<(usize, Finding)> {
    let members = || host.iter().filter_map(|&at| Some((at, results.get(at)?)));
    let live: BTreeSet<IpAddr> = members()
        .filter(|(_, judged)| match judged.status() {
            Status::Conclusive | Status::HandshakeError => true,
            Status::ConnectError | Status::InternalError => has_answered(judged),
        })
        .filter_map(|(_, judged)| judged.observation.ip)
        .collect();
    let dead = members().filter_map(|(at, judged)| match &judged.verdict {
        Verdict::Inconclusive(error)
            if error.kind.status() == Status::ConnectError && !has_answered(judged) =>
        {
            Some((at, judged, error))
        }
        _ => None,
    });
    dead.filter_map(|(at, judged, error)| {
        let ip = judged.observation.ip.filter(|ip| !live.contains(ip))?;
        let answering = live.first()?;
        let is_family_dead = !live.iter().any(|live| live.is_ipv6() == ip.is_ipv6());
        let finding = Finding::new(Detail::Unreachable {
            address: ip,
            responding: *answering,
            hostname: judged.observation.target.hostname.clone(),
            is_without_route: error.kind == ErrorKind::ConnectUnreachable && is_family_dead,
            error: error.clone(),
        });
        Some((at, finding))
    })
    .collect()
}

/// Returns true if a certificate was seen, whatever the verdict: the TLSA records may be unknown.
fn has_answered(judged: &Judged) -> bool {
    match judged.observation.outcome {
        Outcome::Served(_) | Outcome::Reported(_) => true,
        Outcome::Failed(_) => false,
    }
}

/// Returns the expected fingerprints, if fingerprints are expected.
fn pins(judged: &Judged) -> Option<&Pins<Fingerprint>> {
    match &judged.expected.as_ref()?.what {
        Expectation::Fingerprints(pins) => Some(pins),
        Expectation::Instances(_) | Expectation::PublicKeys(_) | Expectation::TrustOnly => None,
    }
}

fn leaf(judged: &Judged) -> Option<&Certificate> {
    match &judged.observation.outcome {
        Outcome::Served(served) => Some(&served.leaf),
        Outcome::Reported(_) | Outcome::Failed(_) => None,
    }
}

/// Adds `previous_instance` for fingerprints. A fingerprint contains no names and dates. They are
/// known if another address or host serves the expected certificate, and show that a wrong
/// certificate is an older instance.
fn previous_of_pins(results: &mut [Judged], alike: &[usize]) {
    let is_pinned = |judged: &Judged, leaf: &Certificate| {
        pins(judged).is_some_and(|pins| pins.contains(&leaf.sha256()))
    };
    let members = alike.iter().filter_map(|&at| results.get(at));
    let right = members.filter_map(|j| leaf(j).filter(|leaf| is_pinned(j, leaf)));
    let right: BTreeMap<Fingerprint, Certificate> =
        right.map(|leaf| (leaf.sha256(), leaf.clone())).collect();
    if right.is_empty() {
        return;
    }
    for &at in alike {
        let Some(judged) = results.get_mut(at) else {
            continue;
        };
        let Some(expected) = judged.expected.clone() else {
            continue;
        };
        let Some(leaf) = leaf(judged).cloned() else {
            continue;
        };
        let Ok(facts) = leaf.facts() else { continue };
        let is_older = |newer: &&Certificate| {
            newer
                .facts()
                .is_ok_and(|newer| identity::is_older(facts, newer))
        };
        let newer = right.values().find(is_older);
        let wrong = judged.findings.iter_mut();
        let mut wrong = wrong.filter(|f| f.code() == Code::WrongCertificate);
        if let (Some(newer), Some(finding)) = (newer, wrong.next()) {
            *finding = identity::older_finding(&leaf, newer, &expected, None);
            sort(&mut judged.findings);
        }
    }
}

/// Returns true if the expectation decides for every address whether its certificate is correct. If
/// one is correct, the others have their own findings; or all are correct. Two accepted instances
/// are served during every rollout.
fn is_decided<'a>(members: impl Iterator<Item = &'a Judged>) -> bool {
    let mut members = members.filter_map(|judged| {
        let expected = judged.expected.as_ref()?;
        Some(expected.accepts(leaf(judged)?) == Some(true))
    });
    members.any(|is_right| is_right)
}

fn addresses_disagree(results: &[Judged], host: &[usize]) -> Vec<(usize, Finding)> {
    if is_decided(host.iter().filter_map(|&at| results.get(at))) {
        return Vec::new();
    }
    let mut by_leaf: BTreeMap<Fingerprint, Vec<(usize, IpAddr)>> = BTreeMap::new();
    let mut leaves: BTreeMap<Fingerprint, &Certificate> = BTreeMap::new();
    let mut hostname: Option<&Hostname> = None;
    for (at, judged) in host.iter().filter_map(|&at| Some((at, results.get(at)?))) {
        if let (Outcome::Served(served), Some(ip)) =
            (&judged.observation.outcome, judged.observation.ip)
        {
            by_leaf
                .entry(served.leaf.sha256())
                .or_default()
                .push((at, ip));
            leaves.insert(served.leaf.sha256(), &served.leaf);
            hostname = Some(&judged.observation.target.hostname);
        }
    }
    let Some(hostname) = hostname.filter(|_| by_leaf.len() > 1) else {
        return Vec::new();
    };
    let mut out = Vec::new();
    for (leaf, members) in &by_leaf {
        let mut other_leaves = leaves.iter().filter(|(other, _)| *other != leaf);
        let one_other = other_leaves
            .next()
            .filter(|_| other_leaves.next().is_none());
        let one_other = one_other.map(|(_, other)| (*other).clone());
        let Some(served) = leaves.get(leaf) else {
            continue;
        };
        let others = by_leaf.iter().filter(|(other, _)| *other != leaf);
        let others: BTreeSet<IpAddr> = others
            .flat_map(|(_, m)| m.iter().map(|(_, ip)| *ip))
            .collect();
        let detail = Detail::AddressesDisagree {
            hostname: hostname.clone(),
            served: (*served).clone(),
            other: one_other,
            addresses: others.iter().take(MAX_LISTED_ADDRESSES).copied().collect(),
            address_count: others.len(),
        };
        let members = members.iter().map(|(at, _)| *at);
        out.extend(members.map(|at| (at, Finding::new(detail.clone()))));
    }
    out
}

/// Returns the findings for local and remote probes of one address that differ in the properties
/// that every vantage reports.
fn vantages_disagree(results: &[Judged], address: &[usize]) -> Vec<(usize, Finding)> {
    let members: Vec<(usize, &Judged)> = address
        .iter()
        .filter_map(|&at| Some((at, results.get(at)?)))
        .collect();
    let mut out = Vec::new();
    for &(at, judged) in &members {
        let Some(seen) = seen(judged) else { continue };
        let other = members.iter().find_map(|(_, other)| {
            let other_seen = self::seen(other)?;
            (other.observation.vantage != judged.observation.vantage && other_seen != seen)
                .then_some((&other.observation.vantage, other_seen))
        });
        if let Some((other_vantage, other_seen)) = other {
            let detail = Detail::VantagesDisagree {
                vantage: judged.observation.vantage.clone(),
                seen,
                other_vantage: other_vantage.clone(),
                other_seen,
            };
            out.push((at, Finding::new(detail)));
        }
    }
    out
}

/// Returns true if two probes, from any vantage, have the same result. A probe that failed for its
/// own reasons has no result.
pub fn agree(a: &Judged, b: &Judged) -> bool {
    seen(a).is_some_and(|of_a| seen(b) == Some(of_a))
}

/// Returns the result of a probe, or `None` if it failed for its own reasons.
fn seen(judged: &Judged) -> Option<Seen> {
    match &judged.verdict {
        Verdict::Conclusive(Flags { dummy: true, .. }) => Some(Seen::Temporary),
        Verdict::Conclusive(Flags { correct: false, .. }) => Some(Seen::Unexpected),
        Verdict::Conclusive(Flags { chained: false, .. }) => Some(Seen::ExpectedWithoutChain),
        Verdict::Conclusive(_) => Some(Seen::Expected),
        Verdict::Inconclusive(_) if has_answered(judged) => None,
        Verdict::Inconclusive(error) => match error.kind.status() {
            Status::HandshakeError => Some(Seen::HandshakeFails),
            Status::ConnectError => Some(Seen::Unreachable),
            Status::InternalError | Status::Conclusive => None,
        },
    }
}

//! The served chain: is it complete, in order, and nothing but what is needed.

use crate::certificate::{Certificate, Facts, Link, certifies};
use crate::instance::Instance;

use super::TrustStore;

/// What a served chain amounts to. Time plays no part: an expired intermediate still completes a
/// chain, and is told of on its own.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// Every certificate of the expected instance's chain was served.
    pub(super) as_expected: bool,
    /// What was served leads from the leaf to the instance's root or a trusted one.
    pub(super) complete: bool,
    /// With what is known of the expected chain added, the leaf leads to a trusted root.
    pub(super) anchored: bool,
    /// The certificates of the expected chain above this leaf that were not served.
    pub(super) missing: Vec<&'a Certificate>,
    /// The last certificate that is reached from the leaf, where the served chain breaks off.
    pub(super) top: &'a Certificate,
    /// The served certificates above the leaf that are not roots, once each.
    pub(super) intermediates: Vec<&'a Certificate>,
    /// Served roots that belong to the leaf.
    pub(super) roots: Vec<&'a Certificate>,
    /// Served certificates that do not belong to the leaf.
    pub(super) unrelated: Vec<&'a Certificate>,
    /// Certificates that were served more than once.
    pub(super) duplicates: Vec<&'a Certificate>,
    /// The first served certificate that stands before every certificate it issued.
    pub(super) out_of_order: Option<&'a Certificate>,
}

/// Looks through a served chain, with what is known of the chain that belongs to it.
pub(super) fn examine<'a>(
    leaf: &'a Certificate,
    rest: &'a [Certificate],
    instance: Option<&'a Instance>,
    trust: &TrustStore,
) -> Chain<'a> {
    let mut served = vec![leaf];
    let mut duplicates = Vec::new();
    for certificate in rest {
        if !served.contains(&certificate) {
            served.push(certificate);
        } else if !duplicates.contains(&certificate) {
            duplicates.push(certificate);
        }
    }

    let expected_chain = instance.map_or(&[][..], |i| &i.chain);
    let root = instance.and_then(|i| i.root.as_ref());
    let is_anchored =
        |certificate: &Certificate, facts: &Facts| trust.anchors_certificate(certificate, facts);
    let is_under_root = |certificate: &Certificate| {
        root.is_some_and(|r| r == certificate || certifies(r, certificate) != Link::No)
    };

    let reached_served = reach(&served);
    let complete = reached_served.iter().any(|(certificate, _)| {
        certificate
            .facts()
            .is_ok_and(|facts| is_anchored(certificate, facts))
            || is_under_root(certificate)
    });

    let mut pool = served.clone();
    pool.extend(expected_chain.iter().filter(|c| !served.contains(c)));
    pool.extend(root.iter().filter(|c| !served.contains(c)));
    let reached = reach(&pool);
    let anchored = reached.iter().any(|(certificate, _)| {
        certificate
            .facts()
            .is_ok_and(|facts| is_anchored(certificate, facts))
    });
    let is_reached = |c: &Certificate| reached.iter().any(|(r, _)| *r == c);
    let missing = expected_chain
        .iter()
        .filter(|c| !served.contains(c) && is_reached(c))
        .collect();

    let above_leaf = || served.iter().copied().skip(1);
    let (roots, intermediates): (Vec<_>, Vec<_>) = above_leaf()
        .filter(|c| is_reached(c))
        .partition(|c| c.is_self_signed());
    Chain {
        as_expected: !expected_chain.is_empty()
            && expected_chain.iter().all(|c| served.contains(&c)),
        complete,
        anchored,
        missing,
        top: reached_served
            .last()
            .map_or(leaf, |(certificate, _)| certificate),
        unrelated: above_leaf().filter(|c| !is_reached(c)).collect(),
        out_of_order: first_out_of_order(&served, &reached),
        intermediates,
        roots,
        duplicates,
    }
}

/// What is reached from the first certificate by going from each to its issuers, nearest first,
/// each with the certificate through which it was reached. Every certificate is visited once, so
/// that a hostile chain costs no more than its number squared.
fn reach<'a>(pool: &[&'a Certificate]) -> Vec<(&'a Certificate, Option<&'a Certificate>)> {
    let mut reached: Vec<(&Certificate, Option<&Certificate>)> = Vec::with_capacity(pool.len());
    let mut waiting = pool.to_vec();
    if waiting.is_empty() {
        return reached;
    }
    reached.push((waiting.remove(0), None));
    let mut next = 0;
    while let Some(&(subject, _)) = reached.get(next) {
        next += 1;
        waiting.retain(|candidate| {
            let issued = certifies(candidate, subject) != Link::No;
            if issued {
                reached.push((candidate, Some(subject)));
            }
            !issued
        });
    }
    reached
}

/// TLS 1.2 demands that each certificate directly certifies the one before it (RFC 5246, section
/// 7.4.2); with cross-signed certificates there may be several paths in one list. So: every
/// certificate comes after one that it issued.
fn first_out_of_order<'a>(
    served: &[&'a Certificate],
    reached: &[(&Certificate, Option<&Certificate>)],
) -> Option<&'a Certificate> {
    let related: Vec<_> = served
        .iter()
        .copied()
        .filter(|c| reached.iter().any(|(r, _)| r == c))
        .collect();
    related
        .iter()
        .enumerate()
        .skip(1)
        .find_map(|(at, &issuer)| {
            let certified = |subject: &&Certificate| certifies(issuer, subject) != Link::No;
            let (before, after) = related.split_at(at);
            let early = !before.iter().any(certified) && after.iter().skip(1).any(certified);
            early.then_some(issuer)
        })
}

//! The served chain: its completeness, its order and its superfluous certificates.

use std::collections::HashSet;

use crate::certificate::{Certificate, Fingerprint};
use crate::instance::Instance;

use super::links::Links;

/// Properties of a served chain. Time is not considered: an expired intermediate still completes a
/// chain, and has its own finding.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// True if every certificate of the expected instance's chain is served.
    pub(super) as_expected: bool,
    /// True if the served certificates lead from the leaf to the instance's root or a trusted one.
    pub(super) complete: bool,
    /// True if the leaf leads to a trusted root once the known certificates of the expected chain
    /// are added.
    pub(super) anchored: bool,
    /// Served authorities that lead to a trusted root but not to the leaf: the upper part of a
    /// chain with a gap.
    pub(super) beyond_gap: Vec<&'a Certificate>,
    /// The certificates of the expected chain above this leaf that are not served.
    pub(super) missing: Vec<&'a Certificate>,
    /// The last certificate reached from the leaf, at which the served chain ends.
    pub(super) top: &'a Certificate,
    /// A served certificate with the name of `top`'s issuer that did not issue it.
    pub(super) namesake: Option<&'a Certificate>,
    /// The served certificates above the leaf that are not roots, once each.
    pub(super) intermediates: Vec<&'a Certificate>,
    /// Served roots that belong to the leaf.
    pub(super) roots: Vec<&'a Certificate>,
    /// Served certificates that do not belong to the leaf.
    pub(super) unrelated: Vec<&'a Certificate>,
    /// Certificates that are served more than once.
    pub(super) duplicates: Vec<&'a Certificate>,
    /// The first served certificate that precedes every certificate it issued.
    pub(super) out_of_order: Option<&'a Certificate>,
}

/// Examines a served chain, with the known certificates of the expected chain.
pub(super) fn examine<'a>(
    leaf: &'a Certificate,
    rest: &'a [Certificate],
    instance: Option<&'a Instance>,
    links: &Links<'_>,
) -> Chain<'a> {
    let mut served = vec![leaf];
    let mut seen = HashSet::from([leaf.sha256()]);
    let mut duplicates = Vec::new();
    for certificate in rest {
        if seen.insert(certificate.sha256()) {
            served.push(certificate);
        } else if !duplicates.contains(&certificate) {
            duplicates.push(certificate);
        }
    }
    let is_served = |c: &Certificate| seen.contains(&c.sha256());

    let expected_chain = instance.map_or(&[][..], |i| &i.chain);
    let root = instance.and_then(|i| i.root.as_ref());
    let is_under_root =
        |c: &Certificate| root.is_some_and(|root| root == c || links.issued(root, c));

    // Of several ends of the chain, the choice must not depend on the order in which they are served.
    let mut sorted = served.clone();
    if let Some((_, above)) = sorted.split_first_mut() {
        above.sort_unstable_by_key(|certificate| certificate.sha256());
    }
    let by_served = reach(&sorted, links);
    let mut pool = served.clone();
    pool.extend(expected_chain.iter().filter(|c| !is_served(c)));
    pool.extend(root.iter().filter(|c| !is_served(c)));
    let reached = reach(&pool, links);
    let reached_set: HashSet<Fingerprint> = reached.iter().map(|s| s.at.sha256()).collect();
    let is_reached = |c: &Certificate| reached_set.contains(&c.sha256());

    let is_anchored_by_served = by_served.iter().any(|s| links.is_anchored(s.at));
    let top = by_served.last().map_or(leaf, |step| step.at);
    let above_leaf = || served.iter().copied().skip(1);
    let (roots, intermediates): (Vec<_>, Vec<_>) = above_leaf()
        .filter(|c| is_reached(c))
        .partition(|c| links.issued(c, c));
    let anchored = reached.iter().any(|s| links.is_anchored(s.at));
    // Without a readable leaf, or with signatures left unverified, the certificates that belong to
    // the leaf are unknown.
    let can_decide = leaf.facts().is_ok() && !links.is_exhausted();
    let strangers = above_leaf().filter(|c| can_decide && !is_reached(c));
    let has_gap = !anchored && top.facts().is_ok_and(|f| !f.is_self_issued());
    let (beyond_gap, unrelated): (Vec<_>, Vec<_>) = strangers.partition(|c| {
        let is_authority = c.facts().is_ok_and(|f| f.is_ca && !f.is_self_issued());
        has_gap && is_authority && !is_named_as_issuer(c, top) && links.is_anchored(c)
    });
    let related: Vec<_> = served.iter().copied().filter(|c| is_reached(c)).collect();
    Chain {
        as_expected: !expected_chain.is_empty() && expected_chain.iter().all(is_served),
        complete: is_anchored_by_served || by_served.iter().any(|s| is_under_root(s.at)),
        anchored,
        beyond_gap,
        missing: expected_chain
            .iter()
            .filter(|c| !is_served(c) && is_reached(c))
            .collect(),
        top,
        namesake: (sorted.iter().skip(1).copied())
            .find(|c| !is_reached(c) && is_named_as_issuer(c, top)),
        unrelated,
        out_of_order: first_out_of_order(&related, links),
        intermediates,
        roots,
        duplicates,
    }
}

/// A certificate on the way up, and the position of the one from which it was reached.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    pub(super) at: &'a Certificate,
    from: usize,
}

/// Returns the certificates reached from the first one by going from each to its issuers, nearest
/// first. Each certificate is visited once, so that loops end and a hostile chain costs at most the
/// square of its length.
pub(super) fn reach<'a>(pool: &[&'a Certificate], links: &Links<'_>) -> Vec<Step<'a>> {
    let Some((&first, others)) = pool.split_first() else {
        return Vec::new();
    };
    let mut reached = vec![Step { at: first, from: 0 }];
    let mut waiting = others.to_vec();
    let mut next = 0;
    while let Some(&Step { at: subject, .. }) = reached.get(next) {
        waiting.retain(|candidate| {
            let issued = links.issued(candidate, subject);
            if issued {
                reached.push(Step {
                    at: candidate,
                    from: next,
                });
            }
            !issued
        });
        next += 1;
    }
    reached
}

/// Returns the certificates after the first up to a step, nearest first.
pub(super) fn way_to<'a>(reached: &[Step<'a>], mut at: usize) -> Vec<&'a Certificate> {
    let mut way = Vec::new();
    // A step is reached only from earlier ones, so this ends at the first.
    while let Some(step) = reached.get(at).filter(|_| at > 0) {
        way.push(step.at);
        at = step.from;
    }
    way.reverse();
    way
}

fn is_named_as_issuer(issuer: &Certificate, subject: &Certificate) -> bool {
    match (issuer.facts(), subject.facts()) {
        (Ok(above), Ok(below)) => above.subject_normal == below.issuer_normal,
        _ => false,
    }
}

/// Returns the first certificate that precedes every certificate it issued. TLS 1.2 requires that
/// each certificate directly certifies the preceding one (RFC 5246, section 7.4.2). With
/// cross-certificates one list may contain several paths, so here a certificate must follow one
/// that it issued.
fn first_out_of_order<'a>(
    related: &[&'a Certificate],
    links: &Links<'_>,
) -> Option<&'a Certificate> {
    let mut candidates = related.iter().enumerate().skip(1);
    candidates.find_map(|(at, &issuer)| {
        let certified = |subject: &&Certificate| links.issued(issuer, subject);
        let (before, after) = related.split_at(at);
        let early = !before.iter().any(certified) && after.iter().skip(1).any(certified);
        early.then_some(issuer)
    })
}

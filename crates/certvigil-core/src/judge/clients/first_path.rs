//! The single path that OpenSSL builds, and which of the found paths a client tries. OpenSSL and GnuTLS
//! choose each issuer by its name and key identifier, before they verify any signature, and never
//! backtrack.

use crate::certificate::{Certificate, Facts, Link};
use crate::model::Timestamp;

use super::super::links::Links;
use super::super::path::{Path, issuer_and_serial_match, key_id_matches};
use super::super::trust_store::Anchor;
use super::{Client, Examined, Presented, gnutls_path, java_path};

/// Returns the paths that a client tries, in the order of the search. For [`Client::Openssl`] and
/// [`Client::Gnutls`] these are the paths that begin with the one that the client builds, and for
/// [`Client::Java`] those of the chain in the order received.
pub(super) fn preferred<'p, 'a>(
    client: Client,
    presented: &Presented<'_>,
    paths: &'p [Examined<'a>],
) -> Vec<&'p Examined<'a>> {
    match client {
        Client::Openssl => match openssl(presented) {
            Some(built) => paths.iter().filter(|e| built.is(e.path)).collect(),
            None => Vec::new(),
        },
        Client::Gnutls => gnutls_path::verified(presented, paths),
        Client::Java => java_path::tried(presented, paths),
        Client::Go | Client::Chromium | Client::Rustls => paths.iter().collect(),
    }
}

/// A path as a client builds it.
pub(super) struct Built<'a> {
    pub(super) certificates: Vec<&'a Certificate>,
    /// The trust anchor; `None` if any anchor with the name is acceptable.
    pub(super) anchor: Option<&'a Certificate>,
}

impl Built<'_> {
    /// Returns true if a found path is this one.
    pub(super) fn is(&self, path: &Path<'_>) -> bool {
        let anchor = path.anchor().and_then(Anchor::certificate);
        let is_anchor = match (self.anchor, anchor) {
            (Some(wanted), Some(anchor)) => wanted == anchor,
            _ => true,
        };
        is_anchor && path.certificates == self.certificates
    }
}

/// The refusal of a path of which no other is tried.
pub(super) const NOT_VALID: &str =
    "it follows the first issuer whose name and key identifier fit, and that path is not valid";

/// Builds OpenSSL's path. It searches each issuer in the trust store first, then among the served
/// certificates, and prefers one that is valid now (`X509_verify_cert`, `build_chain`). The path
/// ends at the first stored certificate; `stored_path` continues it.
pub(super) fn openssl<'a>(presented: &Presented<'a>) -> Option<Built<'a>> {
    let mut certificates = vec![presented.leaf];
    let mut top = presented.leaf;
    // Each step adds a new certificate, so the loop ends.
    loop {
        let current = top.facts().ok()?;
        let anchors = presented.trust.named(&current.issuer_normal);
        let anchors = anchors.filter_map(Anchor::certificate);
        if let Some(anchor) = best(anchors, current, presented.now) {
            return Some(Built {
                certificates,
                anchor: Some(anchor),
            });
        }
        if is_below_name_and_key(top, current, presented) {
            return Some(Built {
                certificates,
                anchor: None,
            });
        }
        if is_self_signed(current) {
            return None;
        }
        let served = presented.rest.iter().filter(|c| !certificates.contains(c));
        let next = best(served, current, presented.now);
        let Some(next) = next else {
            let is_stored = presented.trust.holds(presented.leaf);
            return is_stored.then_some(Built {
                certificates: vec![presented.leaf],
                anchor: None,
            });
        };
        certificates.push(next);
        top = next;
    }
}

/// Returns true if a trust anchor without a certificate issued this one. OpenSSL has the anchor's
/// certificate, and compares its key identifier; here the signature decides in its place.
fn is_below_name_and_key(top: &Certificate, facts: &Facts, presented: &Presented<'_>) -> bool {
    let links = Links::new(presented.trust, presented.signatures);
    let mut named = presented.trust.named(&facts.issuer_normal);
    named.any(|anchor| {
        anchor.certificate().is_none() && links.link(&anchor.spki, anchor.hash, top) != Link::No
    })
}

/// Returns true if OpenSSL may choose between several roots that match by name and key identifier
/// but have different keys. The choice depends on the order in its store.
pub(super) fn is_ambiguous(
    client: Client,
    examined: &Examined<'_>,
    presented: &Presented<'_>,
) -> bool {
    let Some(below) = examined.path.top().and_then(|c| c.facts().ok()) else {
        return false;
    };
    let Some(anchor) = examined.path.anchor().filter(|_| client == Client::Openssl) else {
        return false;
    };
    let mut others = presented.trust.named(&below.issuer_normal);
    others.any(|other| {
        let facts = other.certificate().and_then(|c| c.facts().ok());
        other.spki != anchor.spki
            && facts.is_some_and(|facts| {
                key_id_matches(below, facts)
                    && issuer_and_serial_match(below, facts)
                    && (facts.not_before..=facts.not_after).contains(&presented.now)
            })
    })
}

/// Returns the first issuer that is valid now, otherwise the one that expires last.
pub(in crate::judge) fn best<'a>(
    candidates: impl Iterator<Item = &'a Certificate>,
    below: &Facts,
    now: Timestamp,
) -> Option<&'a Certificate> {
    let mut last: Option<(&Certificate, Timestamp)> = None;
    for candidate in candidates {
        let Ok(facts) = candidate.facts() else {
            continue;
        };
        let is_named = facts.subject_normal == below.issuer_normal;
        if !is_named || !key_id_matches(below, facts) || !issuer_and_serial_match(below, facts) {
            continue;
        }
        if (facts.not_before..=facts.not_after).contains(&now) {
            return Some(candidate);
        }
        if last.is_none_or(|(_, expiry)| facts.not_after > expiry) {
            last = Some((candidate, facts.not_after));
        }
    }
    last.map(|(candidate, _)| candidate)
}

/// Returns true for a certificate that clients treat as self-signed before they verify its
/// signature.
pub(in crate::judge) fn is_self_signed(facts: &Facts) -> bool {
    facts.subject_normal == facts.issuer_normal && key_id_matches(facts, facts)
}

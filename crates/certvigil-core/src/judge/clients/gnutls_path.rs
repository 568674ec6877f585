//! The single path that GnuTLS builds (`gnutls_x509_trust_list_verify_crt2`).

use crate::certificate::{Certificate, Facts};

use super::super::path::key_id_matches;
use super::super::trust_store::Anchor;
use super::Presented;
use super::first_path::{Built, is_self_signed};

/// Builds GnuTLS's path: the served chain, cut at the first certificate that has the name and the key
/// of a trust anchor.
pub(super) fn built<'a>(presented: &Presented<'a>) -> Option<Built<'a>> {
    let (list, sorted) = list(presented)?;
    let last = list.last()?.facts().ok()?;
    let is_of_last = |anchor: &Anchor| {
        anchor.normal_name == last.issuer_normal || anchor.normal_name == last.subject_normal
    };
    // A certificate that is itself in the store ends the list, and is verified as any other.
    let stored = list.iter().skip(1).position(|c| presented.trust.holds(c));
    if let Some(at) = stored.map(|at| at + 1)
        && at < sorted
        && let Some(facts) = list.get(at).and_then(|c| c.facts().ok())
        && !facts.is_self_issued()
        && let Some(anchor) = issuer(facts, presented)
    {
        return Some(Built {
            certificates: list.into_iter().take(at + 1).collect(),
            anchor: Some(anchor),
        });
    }
    let has_rest = sorted < list.len();
    let cut = list
        .iter()
        .skip(1)
        .position(|c| anchors_of(c, presented).any(|anchor| !has_rest || is_of_last(anchor)));
    let certificates: Vec<&Certificate> = match cut {
        Some(at) => list.into_iter().take(at + 1).collect(),
        None => list,
    };
    let top = certificates.last()?.facts().ok()?;
    let anchor = match is_self_signed(top) {
        true => None,
        false => issuer(top, presented),
    };
    Some(Built {
        certificates,
        anchor,
    })
}

/// Returns the served certificates as GnuTLS sorts them, and the number of those that issued each
/// other. The others follow if the last of these has no issuer in the trust store: GnuTLS then takes
/// them for a part of the chain.
fn list<'a>(presented: &Presented<'a>) -> Option<(Vec<&'a Certificate>, usize)> {
    let mut list = vec![presented.leaf];
    loop {
        let current = list.last()?.facts().ok()?;
        if is_self_signed(current) {
            break;
        }
        let mut served = presented.rest.iter().filter(|c| !list.contains(c));
        match served.find(|c| c.facts().is_ok_and(|facts| is_issuer(current, facts))) {
            Some(next) => list.push(next),
            None => break,
        }
    }
    let sorted = list.len();
    let top = list.last()?.facts().ok()?;
    if !is_self_signed(top) && presented.trust.named(&top.issuer_normal).next().is_none() {
        for certificate in presented.rest {
            if !list.contains(&certificate) {
                list.push(certificate);
            }
        }
    }
    Some((list, sorted))
}

/// Returns true if the name and the key identifier of an issuer fit. GnuTLS compares the text of a
/// name.
fn is_issuer(below: &Facts, above: &Facts) -> bool {
    let id = above.extensions.subject_key_id.as_ref();
    let is_empty_id = id.is_some_and(|id| id.is_empty());
    above.subject == below.issuer && (is_empty_id || key_id_matches(below, above))
}

/// Returns the stored issuer that GnuTLS takes: the last in the store that is valid now.
fn issuer<'a>(below: &Facts, presented: &Presented<'a>) -> Option<&'a Certificate> {
    let named = presented.trust.named(&below.issuer_normal);
    let named = named.filter_map(Anchor::certificate);
    let is_fitting = |c: &&Certificate| {
        c.facts()
            .is_ok_and(|facts| key_id_matches(below, facts) && presented.now <= facts.not_after)
    };
    let fitting: Vec<&Certificate> = named.filter(is_fitting).collect();
    let is_valid = |c: &&&Certificate| c.facts().is_ok_and(|f| f.not_before <= presented.now);
    let valid = fitting.iter().rev().find(is_valid);
    valid.or_else(|| fitting.last()).copied()
}

/// Returns the trust anchors that are valid now and have the certificate's name and key.
fn anchors_of<'a>(
    certificate: &'a Certificate,
    presented: &Presented<'a>,
) -> impl Iterator<Item = &'a Anchor> {
    let facts = certificate.facts().ok();
    let now = presented.now;
    let trust = presented.trust;
    facts.into_iter().flat_map(move |facts| {
        trust.named(&facts.subject_normal).filter(move |anchor| {
            let read = anchor.certificate().and_then(|c| c.facts().ok());
            let is_valid = read.is_none_or(|f| (f.not_before..=f.not_after).contains(&now));
            anchor.spki == facts.spki && is_valid
        })
    })
}

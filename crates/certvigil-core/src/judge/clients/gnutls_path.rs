//! The paths that GnuTLS verifies (`gnutls_x509_trust_list_verify_crt2`). It verifies the served chain
//! with the trust anchors that have the name of the last certificate's issuer. Only if it finds no
//! signer, or a certificate that has expired or is too weak, it repeats this with the anchors that
//! have the last certificate's own name. An anchor with the name of another certificate is not
//! considered.

use crate::certificate::{Certificate, Facts};
use crate::finding::{Client, Property};
use crate::model::Timestamp;

use super::super::path::key_id_matches;
use super::super::trust_store::Anchor;
use super::first_path::{Built, is_self_signed};
use super::{Examined, Presented, rules};

/// Returns those of the paths that GnuTLS verifies, in its order.
pub(super) fn verified<'p, 'a>(
    presented: &Presented<'_>,
    paths: &'p [Examined<'a>],
) -> Vec<&'p Examined<'a>> {
    let Some(list) = list(presented) else {
        return Vec::new();
    };
    let Some(last) = list.last().and_then(|c| c.facts().ok()) else {
        return Vec::new();
    };
    let first = attempt(&list, &last.issuer_normal, presented);
    let mut verified = of(&first, paths);
    if !last.is_self_issued() && is_old_or_unknown(&first, &verified, presented.now) {
        let second = attempt(&list, &last.subject_normal, presented);
        let others = of(&second, paths);
        verified.extend(others);
    }
    verified
}

/// The result of a search with the trust anchors of one name.
enum Attempt<'a> {
    /// No trust anchor is the issuer of the path's last certificate.
    NoSigner,
    /// The path goes to a trust anchor that has the name and the key of a served certificate but is
    /// not valid now.
    Stopped(&'a Facts),
    /// The leaf is a trust anchor.
    LeafInStore(&'a Certificate),
    Path(Built<'a>),
}

/// Returns the paths that are those of an attempt.
fn of<'p, 'a>(attempt: &Attempt<'_>, paths: &'p [Examined<'a>]) -> Vec<&'p Examined<'a>> {
    let is_of = |examined: &&Examined<'_>| match attempt {
        Attempt::NoSigner | Attempt::Stopped(_) => false,
        Attempt::LeafInStore(leaf) => {
            examined.path.anchor().is_none() && examined.path.certificates == [*leaf]
        }
        Attempt::Path(built) => built.is(examined.path) && examined.path.anchor().is_some(),
    };
    paths.iter().filter(is_of).collect()
}

/// Returns true if GnuTLS makes another attempt after this one (`SIGNER_OLD_OR_UNKNOWN`).
fn is_old_or_unknown(attempt: &Attempt<'_>, paths: &[&Examined<'_>], now: Timestamp) -> bool {
    let has_expired = |c: &Certificate| c.facts().is_ok_and(|facts| facts.not_after < now);
    match attempt {
        Attempt::NoSigner => true,
        Attempt::Stopped(anchor) => anchor.not_after < now,
        Attempt::LeafInStore(leaf) => has_expired(leaf),
        Attempt::Path(built) => {
            // It verifies the last certificate first, and stops at the first that is refused.
            let top = built.certificates.last().copied();
            let is_old = top.into_iter().chain(built.anchor).any(has_expired);
            is_old
                || paths.iter().any(|examined| {
                    let of_all = examined.traits.iter().map(|(of, _)| of);
                    let refused = of_all.filter(|of| rules::refuses(Client::Gnutls, **of));
                    let refused: Vec<_> = refused.collect();
                    !refused.is_empty() && refused.iter().all(|of| is_old_or_weak(of.property))
                })
        }
    }
}

/// Returns true for a property for which GnuTLS makes another attempt.
fn is_old_or_weak(property: Property) -> bool {
    matches!(
        property,
        Property::Expired | Property::TinyRsa | Property::Md5Signature | Property::Sha1Signature
    )
}

/// Searches a path with the trust anchors of this name (`_gnutls_verify_crt_status`).
fn attempt<'a>(list: &[&'a Certificate], name: &[u8], presented: &Presented<'a>) -> Attempt<'a> {
    let list = without_root(list);
    for (at, certificate) in list.iter().enumerate() {
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        let is_same = |anchor: &&Anchor| match at {
            0 => anchor.certificate() == Some(*certificate),
            _ => anchor.normal_name == facts.subject_normal && anchor.spki == facts.spki,
        };
        let Some(anchor) = presented.trust.named(name).find(is_same) else {
            continue;
        };
        let read = anchor.certificate().and_then(|c| c.facts().ok());
        if let Some(read) = read
            && !(read.not_before..=read.not_after).contains(&presented.now)
        {
            return Attempt::Stopped(read);
        }
        return match list.get(..at) {
            Some(below) if at > 0 => with_anchor(below, name, presented),
            _ => Attempt::LeafInStore(certificate),
        };
    }
    with_anchor(list, name, presented)
}

/// Returns the path of these certificates to the trust anchor of this name that GnuTLS takes.
fn with_anchor<'a>(
    certificates: &[&'a Certificate],
    name: &[u8],
    presented: &Presented<'a>,
) -> Attempt<'a> {
    let top = certificates.last().and_then(|c| c.facts().ok());
    let Some(top) = top.filter(|top| top.issuer_normal == name) else {
        return Attempt::NoSigner;
    };
    let anchor = issuer(top, presented);
    // An anchor without a certificate has no key identifier to compare.
    let mut named = presented.trust.named(name);
    if anchor.is_none() && named.all(|anchor| anchor.certificate().is_some()) {
        return Attempt::NoSigner;
    }
    Attempt::Path(Built {
        certificates: certificates.to_vec(),
        anchor,
    })
}

/// Returns the served certificates as GnuTLS sorts them, up to the first whose issuer is a trust
/// anchor and which is followed by none of its issuers. It cuts the list at a self-issued certificate
/// that is in the store (`shorten_clist`, which searches by the name of the certificate's issuer).
fn list<'a>(presented: &Presented<'a>) -> Option<Vec<&'a Certificate>> {
    let mut list = vec![presented.leaf];
    let mut open: Vec<&Certificate> = Vec::new();
    for certificate in presented.rest {
        // A certificate that is served twice is left out.
        if !list.contains(&certificate) && !open.contains(&certificate) {
            open.push(certificate);
        }
    }
    loop {
        sort(&mut list, &mut open);
        let last = list.last()?.facts().ok()?;
        let mut anchors = presented.trust.named(&last.issuer_normal);
        let is_known = anchors.any(|anchor| {
            let read = anchor.certificate().map(Certificate::facts);
            read.is_none_or(|read| read.is_ok_and(|facts| is_issuer(last, facts)))
        });
        if is_known || open.is_empty() {
            break;
        }
        list.push(open.remove(0));
    }
    let kept = without_root(&list);
    let is_stored =
        |c: &&Certificate| c.facts().is_ok_and(Facts::is_self_issued) && presented.trust.holds(c);
    let stored = kept.iter().skip(1).position(is_stored);
    let length = stored.map_or(kept.len(), |at| at + 2);
    list.truncate(length);
    Some(list)
}

/// Moves the issuers of the last certificate from those that are open to the list
/// (`_gnutls_sort_clist`). Each issuer is the first that fits.
fn sort<'a>(list: &mut Vec<&'a Certificate>, open: &mut Vec<&'a Certificate>) {
    let candidates = open.clone();
    let mut used: Vec<usize> = Vec::new();
    while let Some(below) = list.last().copied()
        && let Ok(facts) = below.facts()
        && !is_self_signed(facts)
    {
        let is_next = |(at, c): &(usize, &&Certificate)| {
            used.last() != Some(at) && c.facts().is_ok_and(|above| is_issuer(facts, above))
        };
        let Some((at, next)) = candidates.iter().enumerate().find(is_next) else {
            break;
        };
        if used.contains(&at) {
            break;
        }
        used.push(at);
        list.push(next);
    }
    let mut at = 0;
    open.retain(|_| {
        at += 1;
        !used.contains(&(at - 1))
    });
}

/// Returns the list without a self-signed certificate at its end: GnuTLS takes roots from its store
/// only.
fn without_root<'l, 'a>(list: &'l [&'a Certificate]) -> &'l [&'a Certificate] {
    match list {
        [below @ .., last] if !below.is_empty() && last.facts().is_ok_and(is_self_signed) => below,
        _ => list,
    }
}

/// Returns true if the name and the key identifier of an issuer fit. GnuTLS compares the text of a
/// name.
fn is_issuer(below: &Facts, above: &Facts) -> bool {
    above.subject == below.issuer && is_key_id(below, above)
}

/// Returns true if the key identifier of an issuer fits. An empty one counts as none.
fn is_key_id(below: &Facts, above: &Facts) -> bool {
    let id = above.extensions.subject_key_id.as_ref();
    id.is_some_and(|id| id.is_empty()) || key_id_matches(below, above)
}

/// Returns the stored issuer that GnuTLS takes: the last in the store that is valid now, otherwise
/// the first (`find_issuer`).
fn issuer<'a>(below: &Facts, presented: &Presented<'a>) -> Option<&'a Certificate> {
    let named = presented.trust.named(&below.issuer_normal);
    let named = named.filter_map(Anchor::certificate);
    let fits = |c: &&Certificate| c.facts().is_ok_and(|facts| is_key_id(below, facts));
    let fitting: Vec<&Certificate> = named.filter(fits).collect();
    let is_valid = |c: &&&Certificate| {
        let now = presented.now;
        c.facts()
            .is_ok_and(|f| (f.not_before..=f.not_after).contains(&now))
    };
    let valid = fitting.iter().rev().find(is_valid);
    valid.or_else(|| fitting.first()).copied()
}

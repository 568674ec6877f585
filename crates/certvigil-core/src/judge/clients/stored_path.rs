//! OpenSSL's path above a stored certificate that is no root. OpenSSL continues in the trust store up
//! to a self-signed certificate, and checks the stored certificates below it as intermediates.

use crate::certificate::{Certificate, Facts};
use crate::finding::{Client, Property, Refusal, Trait, TraitPosition};

use super::super::TrustStore;
use super::super::links::Links;
use super::super::path;
use super::super::trust_store::Anchor;
use super::{Opinion, Presented, first_path, rules, traits};

/// Maximum stored chains that are judged. OpenSSL's choice between issuers that fit equally depends
/// on the order in its store.
const MAX_CHAINS: usize = 8;

/// Returns OpenSSL's opinion on a path that continues in the trust store. Returns `None` if the
/// first stored certificate is the last of the path.
pub(super) fn opinion(presented: &Presented<'_>, of_name: Option<Property>) -> Option<Opinion> {
    let served = first_path::openssl(presented)?;
    served.anchor?;
    let served = served.certificates;
    let count = served.len();
    let mut chains: Vec<Vec<&Certificate>> = Vec::new();
    let mut open = vec![served];
    let mut continues = false;
    while let Some(chain) = open.pop() {
        let top = chain.last()?.facts().ok()?;
        let is_stored = chain.len() > count;
        if is_stored && first_path::is_self_signed(top) {
            chains.push(chain);
            continue;
        }
        continues |= is_stored && presented.trust.named(&top.issuer_normal).next().is_some();
        let issuers = issuers(top, &chain, presented);
        if issuers.is_empty() {
            chains.push(chain);
        } else if chains.len() + open.len() + issuers.len() > MAX_CHAINS {
            return Some(Opinion::Unknown);
        } else {
            let longer = |issuer| chain.iter().copied().chain([issuer]).collect();
            open.extend(issuers.into_iter().map(longer));
        }
    }
    if !continues {
        return None;
    }
    let mut opinions = chains.iter().map(|chain| judge(chain, presented, of_name));
    let first = opinions.next()??;
    let is_same = |other: Option<Opinion>| other.is_some_and(|o| o.accepts() == first.accepts());
    Some(match opinions.all(is_same) {
        true => first,
        false => Opinion::Unknown,
    })
}

/// Returns the stored issuers between which OpenSSL may choose: those that are valid now, otherwise
/// the one that expires last.
fn issuers<'a>(
    below: &Facts,
    chain: &[&Certificate],
    presented: &Presented<'a>,
) -> Vec<&'a Certificate> {
    let now = presented.now;
    let stored = || {
        let named = presented.trust.named(&below.issuer_normal);
        let named = named.filter_map(Anchor::certificate);
        named.filter(|c| !chain.contains(c))
    };
    let Some(best) = first_path::best(stored(), below, now) else {
        return Vec::new();
    };
    let others = stored().filter(|c| {
        let is_valid = |f: &Facts| (f.not_before..=f.not_after).contains(&now);
        *c != best
            && c.facts().is_ok_and(is_valid)
            && best.facts().is_ok_and(is_valid)
            && first_path::best(std::iter::once(*c), below, now).is_some()
    });
    std::iter::once(best).chain(others).collect()
}

/// Returns OpenSSL's opinion on this path, whose last certificate is its trust anchor.
fn judge(
    chain: &[&Certificate],
    presented: &Presented<'_>,
    of_name: Option<Property>,
) -> Option<Opinion> {
    let (anchor, below) = chain.split_last()?;
    let (leaf, above) = below.split_first()?;
    let facts = anchor.facts().ok()?;
    let refusal = |place, property: Property, reason| {
        let of = Some(Trait { place, property });
        Some(Opinion::Refuses(Refusal { of, reason }))
    };
    if facts.subject_normal != facts.issuer_normal {
        let property = Property::NotSelfIssued;
        let reason = format!("the root `{}` {}", facts.name(), property.meaning());
        return refusal(TraitPosition::Root, property, reason);
    }
    let mut trust = TrustStore::default();
    trust.add(anchor).ok()?;
    let links = Links::new(&trust, presented.signatures);
    let found = path::search(leaf, above, &trust, &links, presented.now);
    let mut paths = found.paths.iter();
    match paths.find(|path| path.anchor().is_some() && path.certificates == below) {
        Some(path) => Some(rules::verdict(
            Client::Openssl,
            &traits::of(path, presented, of_name),
        )),
        None if found.is_bounded => Some(Opinion::Unknown),
        None => refusal(
            TraitPosition::Chain,
            Property::OtherPathFirst,
            first_path::NOT_VALID.into(),
        ),
    }
}

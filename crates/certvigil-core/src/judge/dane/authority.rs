//! TLSA records of authorities (usages 0 and 2), and the path to them as OpenSSL builds it. Postfix,
//! Exim and other mail servers verify DANE with OpenSSL.

use crate::certificate::{Certificate, Facts};
use crate::finding::{FaultKind, NoPath, Role};
use crate::model::Hostname;
use crate::tlsa::{Association, Matching, Selector, Usage};

use super::super::clients::{best_issuer, has_common_name, is_named_self_signed};
use super::super::links::Links;
use super::super::path::{Found, Path};
use super::super::{TrustStore, path};
use super::{Miss, Question, Shown, hashed};

/// A path from the leaf up to the first authority that a record of usage 2 names.
struct Built<'a, 'c> {
    /// The certificates from the leaf up, without the named authority.
    certificates: Vec<&'c Certificate>,
    /// The record and the authority that it names; `None` if it names none on the path.
    named: Option<(Association<'a>, &'c Certificate)>,
}

impl<'a> Question<'a> {
    /// Returns a record of usage 0 that matches an authority on the path to a trusted root.
    pub(super) fn authority_on_path(&self, shown: &Shown<'_>) -> Option<Association<'a>> {
        let is_wanted = |a: &Association<'_>| a.usage == Usage::PkixTa;
        if !self.asked.iter().any(is_wanted) {
            return None;
        }
        let is_end = |facts: &Facts| self.trust.named(&facts.issuer_normal).next().is_some();
        let way = self.way(shown.leaf, &shown.rest, is_end);
        let (_, above) = way.split_first()?;
        let mut found = self.found_in(above).into_iter().map(|(a, _)| a);
        let served = found.find(is_wanted);
        // A root that was not given as a certificate is known only by its name and key.
        let top = way.last().and_then(|c| c.facts().ok());
        let mut parts = top.into_iter().flat_map(|facts| {
            let anchors = self.trust.named(&facts.issuer_normal);
            anchors.flat_map(|anchor| {
                let whole = anchor.certificate().map(|c| (Selector::Cert, c.der()));
                std::iter::once((Selector::Spki, anchor.spki.as_slice())).chain(whole)
            })
        });
        served.or_else(|| {
            parts.find_map(|(selector, part)| {
                let mut asked = self.asked.iter().filter(|a| is_wanted(a));
                let fits = |a: &&Association<'_>| {
                    a.selector == selector && hashed(part, a.matching) == a.record.data
                };
                asked.find(fits).copied()
            })
        })
    }

    /// Returns the certificates from the leaf up to the first of which `is_end` is true: of each
    /// issuer, the first that is valid now and whose name and key identifier fit.
    fn way<'c>(
        &self,
        leaf: &'c Certificate,
        pool: &[&'c Certificate],
        is_end: impl Fn(&Facts) -> bool,
    ) -> Vec<&'c Certificate> {
        let mut way = vec![leaf];
        // Each step adds a new certificate, so the loop ends.
        while let Some(Ok(current)) = way.last().map(|c| c.facts()) {
            if is_end(current) || is_named_self_signed(current) {
                break;
            }
            let others = pool.iter().copied().filter(|c| !way.contains(c));
            match best_issuer(others, current, self.now) {
                Some(next) => way.push(next),
                None => break,
            }
        }
        way
    }

    /// Validates the path to an authority that a record of usage 2 names, as the only trusted root.
    /// Returns `None` if no record names one.
    pub(super) fn by_named_authority(&self, shown: &Shown<'_>) -> Option<Result<(), Miss<'a>>> {
        let of_usage = |a: &&Association<'_>| a.usage == Usage::DaneTa;
        self.asked.iter().find(of_usage)?;
        // A complete certificate in the record need not be served, and comes first.
        let whole = (Selector::Cert, Matching::Full);
        let given: Vec<Certificate> = self
            .asked
            .iter()
            .filter(of_usage)
            .filter(|a| (a.selector, a.matching) == whole)
            .map(|a| Certificate::from_der(a.record.data.clone()))
            .collect();
        // Usage 2 is for a certificate above the leaf (RFC 7671, section 5.2), which a copy of the
        // leaf is not.
        let pool = given.iter().chain(shown.rest.iter().copied());
        let pool: Vec<&Certificate> = pool.filter(|c| *c != shown.leaf).collect();
        let built = self.built(shown.leaf, &pool);
        if let Some((named, authority)) = built.named {
            let mut anchors = TrustStore::default();
            anchors.add(authority).ok()?;
            return Some(self.validate(&built.certificates, &anchors, named));
        }
        let of_key = self.by_bare_key(&built.certificates);
        if let Some(Ok(())) = of_key {
            return of_key;
        }
        // A named authority that is not on the path.
        let mut found = self.found_in(&pool).into_iter();
        let Some((named, authority)) = found.find(|(a, _)| a.usage == Usage::DaneTa) else {
            return of_key;
        };
        let mut anchors = TrustStore::default();
        anchors.add(authority).ok()?;
        let links = Links::new(&anchors, self.signatures);
        let found = path::search(shown.leaf, &pool, &anchors, &links, self.now);
        let why = match found.best() {
            Some(path) if path.is_valid() => NoPath::OtherIssuerFirst,
            Some(path) => path::reason(path),
            None => NoPath::Unreadable,
        };
        Some(Err(Miss::NoPath(named, Box::new(why))))
    }

    /// Builds the path up to the first authority that a record of usage 2 names.
    fn built<'c>(&self, leaf: &'c Certificate, pool: &[&'c Certificate]) -> Built<'a, 'c> {
        let way = self.way(leaf, pool, |_| false);
        let (_, above) = way.split_first().unwrap_or((&leaf, &[]));
        let mut found = self.found_in(above).into_iter();
        let named = found.find(|(a, _)| a.usage == Usage::DaneTa);
        let is_below = |c: &&Certificate| named.is_none_or(|(_, authority)| *c != authority);
        Built {
            certificates: way.iter().copied().take_while(is_below).collect(),
            named,
        }
    }

    /// Validates the path to a key that a record of usage 2 contains. It belongs to an authority of any
    /// name (OpenSSL's "bare" trust anchor), so to the issuer of the last certificate. Returns `None`
    /// if there is no such record.
    fn by_bare_key(&self, certificates: &[&Certificate]) -> Option<Result<(), Miss<'a>>> {
        let kind = (Usage::DaneTa, Selector::Spki, Matching::Full);
        let keys = self.asked.iter();
        let keys = keys.filter(|a| (a.usage, a.selector, a.matching) == kind);
        let top = certificates.last()?;
        let facts = top.facts().ok()?;
        let mut anchors = TrustStore::default();
        let mut named = None;
        for key in keys {
            // A self-signed leaf is signed with its own key.
            let is_own = certificates.len() == 1 && facts.spki == key.record.data;
            let is_added = match is_own && facts.is_self_issued() {
                true => top.is_self_signed() && anchors.add(top).is_ok(),
                false => anchors.add_key(&facts.issuer_normal, &key.record.data),
            };
            if is_added {
                named = named.or(Some(*key));
            }
        }
        Some(self.validate(certificates, &anchors, named?))
    }

    /// Validates the path of these certificates to one of the anchors, and the leaf's name.
    fn validate(
        &self,
        certificates: &[&Certificate],
        anchors: &TrustStore,
        named: Association<'a>,
    ) -> Result<(), Miss<'a>> {
        let miss = |why| Err(Miss::NoPath(named, Box::new(why)));
        let Some((leaf, above)) = certificates.split_first() else {
            return miss(NoPath::Unreadable);
        };
        let links = Links::new(anchors, self.signatures);
        let found = path::search(leaf, above, anchors, &links, self.now);
        if !is_accepted(&found) {
            return miss(found.best().map_or(NoPath::Unreadable, path::reason));
        }
        // For an alias, the name of the TLSA records is acceptable too (RFC 7671, section 7), and for
        // a mail host the mail domain (RFC 7672, section 3.2.2). The common name counts if there is no
        // alternative name (RFC 7672, section 3.2.3).
        let is_for = |name: &Hostname| {
            path::matches_name(leaf, name) == Some(true) || has_common_name(leaf, name)
        };
        let is_named = is_for(self.hostname)
            || self.base().is_some_and(|base| is_for(&base))
            || self.mail.iter().any(|mail| is_for(&mail.domain));
        if is_named {
            return Ok(());
        }
        let hostname = self.hostname.clone();
        miss(NoPath::Hostname { hostname })
    }
}

/// Returns true if OpenSSL accepts one of the paths. It does not check the dates of a trust anchor that
/// another authority issued (`internal_verify`).
fn is_accepted(found: &Found<'_>) -> bool {
    let is_issued = |path: &Path<'_>| {
        let anchor = path.anchor().and_then(|a| a.certificate());
        anchor.is_some_and(|c| c.facts().is_ok_and(|f| !is_named_self_signed(f)))
    };
    found.paths.iter().any(|path| {
        path.is_anchored()
            && path.faults.iter().all(|fault| {
                fault.role == Role::Anchor
                    && matches!(
                        fault.kind,
                        FaultKind::Expired(_) | FaultKind::NotYetValid(_)
                    )
                    && is_issued(path)
            })
    })
}

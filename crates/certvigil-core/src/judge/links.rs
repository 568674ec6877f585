//! The issuers of certificates: each signature is verified once, within one budget.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::certificate::{
    Certificate, Fingerprint, Issuer, Link, PublicKeyHash, key_signed, remembered_cost,
    verification_cost,
};

use super::path::Comparisons;
use super::trust_store::{Anchor, Root, TrustStore};

/// Budget of signature verifications for one probe. One unit is about one verification with RSA
/// 2048 or P-256; larger keys cost more ([`verification_cost`]). A chain of a hundred certificates
/// with different names costs a hundred.
pub(super) const SIGNATURE_BUDGET: u32 = 300;

/// The signatures verified for one probe, within `SIGNATURE_BUDGET`, and the names compared with
/// name constraints, within `MAX_COMPARISONS`. All judging of the probe shares both budgets.
#[derive(Debug, Default)]
pub struct Signatures {
    /// The results by signing key and signed certificate.
    known: RefCell<HashMap<(PublicKeyHash, Fingerprint), Link>>,
    spent: Cell<u32>,
    is_exhausted: Cell<bool>,
    comparisons: Comparisons,
}

/// The links between certificates, and from them to trust anchors. Time is not considered.
pub(super) struct Links<'t> {
    trust: &'t TrustStore,
    signatures: &'t Signatures,
}

impl<'t> Links<'t> {
    pub(super) fn new(trust: &'t TrustStore, signatures: &'t Signatures) -> Self {
        Self { trust, signatures }
    }

    /// Returns the comparisons of names with name constraints made for the probe.
    pub(super) fn comparisons(&self) -> &'t Comparisons {
        &self.signatures.comparisons
    }

    /// Returns true if `issuer` may issue and its key verifiably signed `subject`.
    pub(super) fn issued(&self, issuer: &Certificate, subject: &Certificate) -> bool {
        match (issuer.facts(), subject.facts()) {
            // A self-signed leaf is its own issuer without being an authority.
            (Ok(above), Ok(below)) => {
                above.subject_normal == below.issuer_normal
                    && (above.is_ca || issuer == subject)
                    && self.signed(&above.spki, above.public_key_hash, subject)
            }
            _ => false,
        }
    }

    /// Returns true if a trust anchor issued the certificate, or has its name and key.
    pub(super) fn is_anchored(&self, certificate: &Certificate) -> bool {
        let Ok(facts) = certificate.facts() else {
            return false;
        };
        self.trust.holds(certificate)
            || self.trust.has(certificate)
            || self
                .trust
                .named(&facts.issuer_normal)
                .any(|anchor| self.signed(&anchor.spki, anchor.hash, certificate))
    }

    /// Returns the root that issued the certificate.
    pub(super) fn root_of(&self, certificate: &Certificate) -> Option<Root> {
        let facts = certificate.facts().ok()?;
        let signed = |anchor: &Anchor| self.signed(&anchor.spki, anchor.hash, certificate);
        self.trust.root(&facts.issuer_normal, signed)
    }

    /// Returns the issuer of a certificate, if it is one of these or a trust anchor.
    pub(super) fn issuer_of<'a>(
        &self,
        certificate: &Certificate,
        mut candidates: impl Iterator<Item = &'a Certificate>,
    ) -> Option<Issuer> {
        let facts = certificate.facts().ok()?;
        let issuer = candidates.find(|c| *c != certificate && self.issued(c, certificate));
        let key = match issuer {
            Some(issuer) => &issuer.facts().ok()?.spki,
            None => {
                let mut anchors = self.trust.named(&facts.issuer_normal);
                &anchors
                    .find(|anchor| self.signed(&anchor.spki, anchor.hash, certificate))?
                    .spki
            }
        };
        Issuer::of(certificate, key)
    }

    /// Returns the units spent so far. A result remembered with the certificate is counted as well:
    /// a judgement must not depend on earlier ones.
    #[cfg(test)]
    pub(super) fn spent(&self) -> u32 {
        self.signatures.spent.get()
    }

    /// Returns true if a signature was not verified because the budget was spent.
    pub(super) fn is_exhausted(&self) -> bool {
        self.signatures.is_exhausted.get()
    }

    fn signed(&self, spki: &[u8], key: PublicKeyHash, certificate: &Certificate) -> bool {
        self.link(spki, key, certificate) == Link::Verified
    }

    /// Returns the result of verifying a certificate's signature with a key: [`Link::No`] if the
    /// budget is spent.
    pub(super) fn link(&self, spki: &[u8], key: PublicKeyHash, certificate: &Certificate) -> Link {
        let pair = (key, certificate.sha256());
        if let Some(&known) = self.signatures.known.borrow().get(&pair) {
            return known;
        }
        let cost = remembered_cost(&key, certificate);
        let cost = cost.unwrap_or_else(|| verification_cost(spki, certificate));
        if self.signatures.spent.get() + cost > SIGNATURE_BUDGET {
            self.signatures.is_exhausted.set(true);
            return Link::No;
        }
        self.signatures
            .spent
            .set(self.signatures.spent.get() + cost);
        let link = key_signed(spki, key, certificate);
        self.signatures.known.borrow_mut().insert(pair, link);
        link
    }
}

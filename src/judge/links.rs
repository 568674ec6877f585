//! Who issued whom, each signature checked once, and not more of them than are good for anything.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::certificate::{
    Certificate, Fingerprint, Issuer, Link, PublicKeyHash, key_signed, may_certify,
};

use super::TrustStore;

/// So many signatures are checked in judging one served chain. A chain of a hundred certificates
/// with different names needs a hundred; only a hundred of one name, made to be hostile, need more.
pub(super) const MAX_SIGNATURE_CHECKS: usize = 2_000;

/// The links between certificates, and from them to trusted roots. Time plays no part.
pub(super) struct Links<'t> {
    trust: &'t TrustStore,
    /// By the key that signed and the certificate that was signed.
    known: RefCell<HashMap<(PublicKeyHash, Fingerprint), bool>>,
    checks: Cell<usize>,
}

impl<'t> Links<'t> {
    pub(super) fn new(trust: &'t TrustStore) -> Self {
        Self {
            trust,
            known: RefCell::default(),
            checks: Cell::new(0),
        }
    }

    /// Whether `issuer` issued `subject`, as far as can be told.
    pub(super) fn issued(&self, issuer: &Certificate, subject: &Certificate) -> bool {
        match issuer.facts() {
            Ok(facts) if may_certify(issuer, subject) => {
                self.signed(&facts.spki, facts.public_key_hash, subject)
            }
            _ => false,
        }
    }

    /// Whether one of the roots issued the certificate, or has its name and key.
    pub(super) fn is_anchored(&self, certificate: &Certificate) -> bool {
        let Ok(facts) = certificate.facts() else {
            return false;
        };
        self.trust
            .keys_of(&facts.subject_der)
            .any(|key| key.spki == facts.spki)
            || self
                .trust
                .keys_of(&facts.issuer_der)
                .any(|key| self.signed(&key.spki, key.hash, certificate))
    }

    /// Who issued a certificate, if it is one of these or a root.
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
                let mut keys = self.trust.keys_of(&facts.issuer_der);
                &keys
                    .find(|key| self.signed(&key.spki, key.hash, certificate))?
                    .spki
            }
        };
        Issuer::of(certificate, key)
    }

    /// How many signatures were checked so far. One that is remembered with the certificate counts as well: what is
    /// judged must not depend on what was judged before.
    pub(super) fn checks(&self) -> usize {
        self.checks.get()
    }

    fn signed(&self, spki: &[u8], key: PublicKeyHash, certificate: &Certificate) -> bool {
        let pair = (key, certificate.sha256());
        if let Some(&known) = self.known.borrow().get(&pair) {
            return known;
        }
        if self.checks() >= MAX_SIGNATURE_CHECKS {
            return false;
        }
        self.checks.set(self.checks() + 1);
        let signed = key_signed(spki, key, certificate) != Link::No;
        self.known.borrow_mut().insert(pair, signed);
        signed
    }
}

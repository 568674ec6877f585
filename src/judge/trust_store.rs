//! The roots that clients hold.

use std::collections::{BTreeSet, HashMap};

use rustls::pki_types::{CertificateDer, Der, TrustAnchor};

use crate::certificate::{Certificate, PublicKeyHash, key_of, name_text, sequence};

use super::Root;

/// A set of trusted roots. A root is a name and a key (RFC 5280, section 6.1.1 (d)): the rest of
/// its certificate, its end too, plays no part.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    anchors: Vec<TrustAnchor<'static>>,
    /// Positions in `keys`, by the root's name as DER.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
    /// Each root's key, in the order of `anchors`.
    keys: Vec<RootKey>,
    /// The roots that were given as certificates, by their position; read only when one is to be shown.
    certificates: HashMap<usize, CertificateDer<'static>>,
}

/// The key of a root.
#[derive(Clone, Debug)]
pub(super) struct RootKey {
    /// The SubjectPublicKeyInfo as DER.
    pub(super) spki: Vec<u8>,
    pub(super) hash: PublicKeyHash,
}

impl TrustStore {
    /// Adds a root, given as a certificate.
    ///
    /// # Errors
    /// Where the certificate cannot be read as a root.
    pub fn add(&mut self, certificate: &Certificate) -> Result<(), String> {
        self.add_der(&CertificateDer::from(certificate.der()))
    }

    /// Adds a root, given as a certificate's bytes.
    ///
    /// # Errors
    /// As [`TrustStore::add`].
    pub fn add_der(&mut self, der: &CertificateDer<'_>) -> Result<(), String> {
        let anchor = webpki::anchor_from_trusted_cert(der)
            .map_err(|e| format!("it cannot be used as a root: {e}"))?
            .to_owned();
        let position = self.keys.len();
        self.certificates.insert(position, der.clone().into_owned());
        self.add_anchor(anchor);
        Ok(())
    }

    /// Adds a root, given as its name and key.
    pub fn add_anchor(&mut self, anchor: TrustAnchor<'static>) {
        let position = self.keys.len();
        let spki = sequence(&anchor.subject_public_key_info);
        let hash = PublicKeyHash::of(&spki);
        self.keys.push(RootKey { spki, hash });
        let name = sequence(&anchor.subject);
        self.by_name.entry(name).or_default().push(position);
        self.anchors.push(anchor);
    }

    /// The roots as the path builder takes them.
    pub fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    /// Those of the roots that have the name of an issuer of one of these certificates, in the same order. The path
    /// builder compares every root with every certificate otherwise, and there are some hundred and fifty.
    pub(super) fn anchors_above(&self, certificates: &[&Certificate]) -> Vec<TrustAnchor<'_>> {
        let mut positions = BTreeSet::new();
        for certificate in certificates {
            match certificate.facts() {
                Ok(facts) => {
                    positions.extend(self.by_name.get(&facts.issuer_der).into_iter().flatten())
                }
                // Whose issuer we cannot read, the path builder may.
                Err(_) => positions.extend(0..self.anchors.len()),
            }
        }
        let anchors = positions.into_iter().filter_map(|at| self.anchors.get(at));
        anchors.map(borrowed).collect()
    }

    /// Whether the certificate is that of a root: has its name and its key.
    pub(super) fn has(&self, certificate: &Certificate) -> bool {
        certificate.facts().is_ok_and(|facts| {
            self.keys_of(&facts.subject_der)
                .any(|key| key.spki == facts.spki)
        })
    }

    /// The root of this name (DER) whose key is the one that is wanted.
    pub(super) fn root(
        &self,
        name: &[u8],
        mut is_wanted: impl FnMut(&RootKey) -> bool,
    ) -> Option<Root> {
        let mut positions = self.by_name.get(name).into_iter().flatten();
        let (position, key) = positions.find_map(|position| {
            let key = self.keys.get(*position)?;
            is_wanted(key).then_some((position, key))
        })?;
        Some(Root {
            name: name_text(name),
            key: key_of(&key.spki),
            certificate: (self.certificates.get(position))
                .map(|der| Certificate::from_der(der.to_vec())),
        })
    }

    /// The roots of this name (DER) that were given as certificates, as DER.
    pub(super) fn certificates_of(&self, name: &[u8]) -> impl Iterator<Item = &[u8]> {
        let positions = self.by_name.get(name).into_iter().flatten();
        positions.filter_map(|position| self.certificates.get(position).map(AsRef::as_ref))
    }

    /// The keys of the roots that have this name (DER).
    pub(super) fn keys_of(&self, name: &[u8]) -> impl Iterator<Item = &RootKey> {
        let positions = self.by_name.get(name).into_iter().flatten();
        positions.filter_map(|&position| self.keys.get(position))
    }
}

/// The same root without a copy of its bytes.
fn borrowed<'a>(anchor: &'a TrustAnchor<'static>) -> TrustAnchor<'a> {
    TrustAnchor {
        subject: Der::from_slice(&anchor.subject),
        subject_public_key_info: Der::from_slice(&anchor.subject_public_key_info),
        name_constraints: anchor.name_constraints.as_deref().map(Der::from_slice),
    }
}

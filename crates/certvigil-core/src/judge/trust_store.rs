//! The trusted roots.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, TrustAnchor};

use crate::certificate::{
    Certificate, Fingerprint, Key, NameConstraints, PublicKeyHash, contents, key_of, name_and_key,
    name_constraints, name_text, normal_name, sequence,
};

/// A set of trust anchors.
#[derive(Clone, Debug, Default)]
pub struct TrustStore {
    anchors: Vec<Arc<Anchor>>,
    /// Positions in `anchors`, by the name in normal form.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
    /// The certificates in the store.
    fingerprints: HashSet<Fingerprint>,
}

/// A root of a trust store: often only its name and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Its name, for messages.
    pub name: String,
    /// Its key.
    pub key: Key,
    /// The certificate, if the trust store has it.
    pub certificate: Option<Certificate>,
}

/// A trust anchor: a name and a key, and their certificate, if any (RFC 5280, section 6.1.1 (d)).
/// RFC 5280 ignores the rest of that certificate. Clients do not, so it is judged.
#[derive(Debug)]
pub(super) struct Anchor {
    /// The subject as DER.
    pub(super) name: Vec<u8>,
    /// The subject in normal form.
    pub(super) normal_name: Vec<u8>,
    /// The SubjectPublicKeyInfo as DER.
    pub(super) spki: Vec<u8>,
    pub(super) hash: PublicKeyHash,
    source: Source,
}

/// The form in which a trust anchor was given.
#[derive(Debug)]
enum Source {
    /// A certificate, read only when needed: a store has about a hundred and fifty.
    Certificate {
        der: CertificateDer<'static>,
        read: OnceLock<Certificate>,
    },
    /// A name and a key, with optional name constraints.
    NameAndKey {
        anchor: TrustAnchor<'static>,
        constraints: Option<Box<NameConstraints>>,
    },
}

impl Anchor {
    /// Returns the certificate, if there is one.
    pub(super) fn certificate(&self) -> Option<&Certificate> {
        match &self.source {
            Source::Certificate { der, read } => {
                Some(read.get_or_init(|| Certificate::from_der(der.to_vec())))
            }
            Source::NameAndKey { .. } => None,
        }
    }

    /// Returns the name constraints of an anchor without a certificate.
    pub(super) fn name_constraints(&self) -> Option<&NameConstraints> {
        match &self.source {
            Source::Certificate { .. } => None,
            Source::NameAndKey { constraints, .. } => constraints.as_deref(),
        }
    }

    /// Returns the kind of the key.
    pub(super) fn key(&self) -> Key {
        key_of(&self.spki)
    }

    /// Returns the name, for messages.
    pub(super) fn name_text(&self) -> String {
        match self.certificate().map(Certificate::facts) {
            Some(Ok(facts)) => facts.name().to_owned(),
            _ => name_text(&self.name),
        }
    }

    /// Returns the anchor in webpki's form. Returns `None` if webpki cannot read the certificate.
    pub(super) fn for_webpki(&self) -> Option<TrustAnchor<'_>> {
        match &self.source {
            Source::Certificate { der, .. } => webpki::anchor_from_trusted_cert(der).ok(),
            Source::NameAndKey { anchor, .. } => Some(anchor.clone()),
        }
    }

    /// Returns a hash of everything that judging uses.
    fn digest(&self) -> Fingerprint {
        match &self.source {
            Source::Certificate { der, .. } => Fingerprint::of(der),
            Source::NameAndKey { anchor, .. } => {
                let constraints = anchor.name_constraints.as_deref().map(sequence);
                let constraints = constraints.unwrap_or_default();
                // Each part is DER, which states its own length.
                Fingerprint::of(&[&self.name[..], &self.spki, &constraints].concat())
            }
        }
    }

    /// Returns the anchor in the form for reports.
    fn root(&self) -> Root {
        Root {
            name: name_text(&self.name),
            key: key_of(&self.spki),
            certificate: self.certificate().cloned(),
        }
    }
}

/// The error for a certificate that cannot be a trust anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it cannot be used as a root: its name or its key cannot be read")]
pub struct UnreadableAnchor;

impl TrustStore {
    /// Adds a root, given as a certificate.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be read as a root.
    pub fn add(&mut self, certificate: &Certificate) -> Result<(), UnreadableAnchor> {
        self.add_der(&CertificateDer::from(certificate.der()))
    }

    /// Adds a root, given as the DER of a certificate.
    ///
    /// # Errors
    /// Returns the error of [`TrustStore::add`].
    pub fn add_der(&mut self, der: &CertificateDer<'_>) -> Result<(), UnreadableAnchor> {
        let (name, spki) = name_and_key(der).ok_or(UnreadableAnchor)?;
        if !self.fingerprints.insert(Fingerprint::of(der)) {
            return Ok(());
        }
        let source = Source::Certificate {
            der: der.clone().into_owned(),
            read: OnceLock::new(),
        };
        self.push(name.to_vec(), spki.to_vec(), source);
        Ok(())
    }

    /// Adds a root, given as its name and key.
    pub fn add_anchor(&mut self, anchor: TrustAnchor<'static>) {
        let name = sequence(&anchor.subject);
        let spki = sequence(&anchor.subject_public_key_info);
        let constraints = anchor.name_constraints.as_deref().map(sequence);
        let constraints = constraints.and_then(|der| name_constraints(&der).map(Box::new));
        let source = Source::NameAndKey {
            anchor,
            constraints,
        };
        self.push(name, spki, source);
    }

    /// Adds a root, given as its name in normal form and its SubjectPublicKeyInfo. Returns false if
    /// one of them is not DER.
    pub(super) fn add_key(&mut self, normal_name: &[u8], spki: &[u8]) -> bool {
        let (Some(name), Some(key)) = (contents(normal_name), contents(spki)) else {
            return false;
        };
        if !self.named(normal_name).any(|a| a.spki == spki) {
            self.add_anchor(TrustAnchor {
                subject: name.to_vec().into(),
                subject_public_key_info: key.to_vec().into(),
                name_constraints: None,
            });
        }
        true
    }

    fn push(&mut self, name: Vec<u8>, spki: Vec<u8>, source: Source) {
        let normal_name = normal_name(&name);
        let position = self.anchors.len();
        let same = self.by_name.entry(normal_name.clone()).or_default();
        same.push(position);
        let hash = PublicKeyHash::of(&spki);
        self.anchors.push(Arc::new(Anchor {
            name,
            normal_name,
            spki,
            hash,
            source,
        }));
    }

    /// Returns a hash of the roots. It is equal for two stores that judge every chain alike, in
    /// whichever order their roots were added.
    pub fn digest(&self) -> Fingerprint {
        let mut roots: Vec<Fingerprint> = self.anchors.iter().map(|a| a.digest()).collect();
        roots.sort_unstable();
        let bytes: Vec<&[u8]> = roots.iter().map(|root| root.as_bytes()).collect();
        Fingerprint::of(&bytes.concat())
    }

    /// Returns true if the store has no root.
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Returns true if exactly this certificate is in the store.
    pub(super) fn holds(&self, certificate: &Certificate) -> bool {
        self.fingerprints.contains(&certificate.sha256())
    }

    /// Returns the anchors with this name in normal form.
    pub(super) fn named(&self, normal_name: &[u8]) -> impl Iterator<Item = &Anchor> {
        let positions = self.by_name.get(normal_name).into_iter().flatten();
        positions.filter_map(|&position| self.anchors.get(position).map(AsRef::as_ref))
    }

    /// Returns the anchors, in webpki's form, with the name of an issuer of one of these
    /// certificates.
    pub(super) fn for_webpki<'s>(&'s self, certificates: &[&Certificate]) -> Vec<TrustAnchor<'s>> {
        let mut names: Vec<&[u8]> = Vec::new();
        for facts in certificates.iter().filter_map(|c| c.facts().ok()) {
            if !names.contains(&facts.issuer_normal.as_slice()) {
                names.push(&facts.issuer_normal);
            }
        }
        let anchors = names.into_iter().flat_map(|name| self.named(name));
        anchors.filter_map(Anchor::for_webpki).collect()
    }

    /// Returns true if the certificate has the name and the key of a root.
    pub(super) fn has(&self, certificate: &Certificate) -> bool {
        certificate.facts().is_ok_and(|facts| {
            self.named(&facts.subject_normal)
                .any(|anchor| anchor.spki == facts.spki)
        })
    }

    /// Returns the root with this name in normal form whose key satisfies the condition.
    pub(super) fn root(
        &self,
        normal_name: &[u8],
        mut is_wanted: impl FnMut(&Anchor) -> bool,
    ) -> Option<Root> {
        self.named(normal_name)
            .find(|anchor| is_wanted(anchor))
            .map(Anchor::root)
    }
}

//! Expected certificates: instances of a certificate, and the looser forms of an expectation.

mod pins;

use std::fmt;
use std::sync::Arc;

use crate::certificate::{
    Certificate, Fingerprint, Interner, Key, LeafError, PublicKeyHash, San, leaf_of,
};
use crate::model::KeyType;

pub use pins::Pins;

/// State of an instance, in SSLMate's terms. Instances from other sources are active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Ordered, not yet issued; its certificate is a temporary, self-signed one.
    Pending,
    /// The expected instance.
    Active,
    /// Expired.
    Expired,
    /// Revoked by its owner or the authority.
    Revoked,
    /// Never issued.
    Canceled,
    /// A state that this version does not know: not active.
    Unknown,
}

impl State {
    /// Returns the name in the API and in labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Canceled => "canceled",
            Self::Unknown => "unknown",
        }
    }
}

/// A concrete X.509 certificate of a certificate object, with its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// SSLMate's identifier of the instance.
    pub id: Option<u64>,
    /// Its state.
    pub state: State,
    /// The certificate itself.
    pub leaf: Certificate,
    /// The intermediates, the leaf's issuer first, without the root. Empty if they are unknown or
    /// if there are none.
    pub chain: Vec<Certificate>,
    /// The root of the chain, if it is known.
    pub root: Option<Certificate>,
}

impl Instance {
    /// Returns an active instance of a leaf and its chain, in any order. A self-signed certificate is
    /// the root, which servers need not send.
    ///
    /// # Errors
    /// The same as [`leaf_of`].
    pub fn from_chain(certificates: Vec<Certificate>) -> Result<Self, LeafError> {
        let leaf = leaf_of(&certificates)?.clone();
        let is_leaf_first = certificates.first() == Some(&leaf);
        let (roots, mut chain): (Vec<_>, Vec<_>) = certificates
            .into_iter()
            .filter(|c| *c != leaf)
            .partition(Certificate::is_self_signed);
        if !is_leaf_first {
            chain = issuers_first(&leaf, chain);
        }
        Ok(Self {
            id: None,
            state: State::Active,
            leaf,
            chain,
            root: roots.into_iter().next(),
        })
    }

    /// Returns the instance with each certificate replaced by its shared copy.
    #[must_use]
    pub fn shared(mut self, certificates: &Interner) -> Self {
        self.share(certificates);
        self
    }

    fn share(&mut self, certificates: &Interner) {
        let above = self.chain.iter_mut().chain(&mut self.root);
        for certificate in std::iter::once(&mut self.leaf).chain(above) {
            *certificate = certificates.share(certificate);
        }
    }

    /// Returns true if its key is of this kind.
    pub fn has_key_of(&self, key_type: KeyType) -> bool {
        let is_rsa = matches!(self.leaf.facts(), Ok(facts) if matches!(facts.key, Key::Rsa(_)));
        match key_type {
            KeyType::Any => true,
            KeyType::Rsa => is_rsa,
            KeyType::Ecdsa => !is_rsa,
        }
    }

    /// Returns the names of the certificate, including wildcards: the common name and the DNS and
    /// IP names.
    pub fn names(&self) -> Vec<String> {
        let Ok(facts) = self.leaf.facts() else {
            return Vec::new();
        };
        let sans = facts.sans.iter().filter_map(|san| match san {
            San::Dns(name) => Some(name.clone()),
            San::Ip(ip) => Some(ip.to_string()),
            _ => None,
        });
        // A common name may be a person's or a device's.
        let common_name = facts.common_name.clone().filter(|name| name.contains('.'));
        common_name.into_iter().chain(sans).collect()
    }
}

/// Sorts a chain by the names of issuers, from the leaf's issuer on. Certificates that are not on that path follow.
pub fn issuers_first(leaf: &Certificate, mut rest: Vec<Certificate>) -> Vec<Certificate> {
    let mut sorted = Vec::with_capacity(rest.len());
    let mut below = leaf.clone();
    while let Ok(facts) = below.facts() {
        let is_issuer = |c: &Certificate| {
            c.facts()
                .is_ok_and(|above| above.subject_normal == facts.issuer_normal)
        };
        let Some(at) = rest.iter().position(is_issuer) else {
            break;
        };
        let issuer = rest.remove(at);
        sorted.push(issuer.clone());
        below = issuer;
    }
    sorted.append(&mut rest);
    sorted
}

/// The instances of one certificate that matter for judging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instances {
    /// The expected instance, which messages and JSON name.
    pub expected: Instance,
    /// Other instances that are correct as well: the other half of an RSA and ECDSA pair, or a
    /// rollover.
    pub also_accepted: Vec<Instance>,
    /// The pending instance. Its temporary certificate must be replaced once another is issued.
    pub pending: Option<Instance>,
    /// Known older instances.
    pub previous: Vec<Instance>,
}

impl Instances {
    /// Creates the instances of a certificate with only one.
    pub fn only(expected: Instance) -> Self {
        Self {
            expected,
            also_accepted: Vec::new(),
            pending: None,
            previous: Vec::new(),
        }
    }

    /// Replaces each certificate with its shared copy.
    pub fn share(&mut self, certificates: &Interner) {
        let others = self.also_accepted.iter_mut();
        let others = others.chain(&mut self.pending).chain(&mut self.previous);
        for instance in std::iter::once(&mut self.expected).chain(others) {
            instance.share(certificates);
        }
    }

    /// Returns the expected instance and the older ones, without temporary certificates.
    pub fn issued(&self) -> impl Iterator<Item = &Instance> {
        let all = std::iter::once(&self.expected).chain(&self.previous);
        all.filter(|instance| instance.state != State::Pending)
    }

    /// Returns every instance that is correct to serve.
    pub fn accepted(&self) -> impl Iterator<Item = &Instance> {
        std::iter::once(&self.expected).chain(&self.also_accepted)
    }
}

/// Source of an expectation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKind {
    /// An SSLMate account.
    Sslmate,
    /// A certificate's `current_download` URL.
    Download,
    /// A PEM file.
    Pem,
    /// SHA-256 fingerprints.
    Fingerprint,
    /// SHA-256 hashes of public keys.
    PublicKey,
    /// No expectation: the certificate must be valid, for the name, and trusted.
    Trust,
}

impl SourceKind {
    /// Returns the name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sslmate => "sslmate",
            Self::Download => "download",
            Self::Pem => "pem",
            Self::Fingerprint => "fingerprint",
            Self::PublicKey => "pubkey",
            Self::Trust => "trust",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The expected certificate, in as much detail as its source knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Complete certificates with their chains.
    Instances(Box<Instances>),
    /// Any certificate with one of these fingerprints; at least one.
    Fingerprints(Pins<Fingerprint>),
    /// Any certificate for one of these public keys; at least one.
    PublicKeys(Pins<PublicKeyHash>),
    /// Any certificate that is valid now, for the name, and trusted.
    TrustOnly,
}

/// An expectation and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The source.
    pub source: SourceKind,
    /// The expectation.
    pub what: Expectation,
}

impl Expected {
    /// Returns the expectation of trust alone.
    pub fn trust_only() -> Self {
        Self {
            source: SourceKind::Trust,
            what: Expectation::TrustOnly,
        }
    }

    /// Returns the same for a probe with a requested kind of key: of several accepted instances,
    /// the one with such a key becomes the expected one, which messages name.
    pub fn for_key_type(self: &Arc<Self>, key_type: KeyType) -> Arc<Self> {
        let Expectation::Instances(instances) = &self.what else {
            return self.clone();
        };
        let fits = |i: &Instance| i.has_key_of(key_type);
        let position = instances.also_accepted.iter().position(fits);
        match position {
            Some(at) if !fits(&instances.expected) => {
                let mut instances = instances.clone();
                if let Some(other) = instances.also_accepted.get_mut(at) {
                    std::mem::swap(&mut instances.expected, other);
                }
                Arc::new(Self {
                    source: self.source,
                    what: Expectation::Instances(instances),
                })
            }
            _ => self.clone(),
        }
    }

    /// Returns true if an instance with a key of this kind is expected. Returns `None` if that is
    /// unknown.
    pub fn wants_key_of(&self, key_type: KeyType) -> Option<bool> {
        let instances = self.instances()?;
        Some(instances.accepted().any(|i| i.has_key_of(key_type)))
    }

    /// Returns the instances, if the source knows complete certificates.
    pub fn instances(&self) -> Option<&Instances> {
        match &self.what {
            Expectation::Instances(instances) => Some(instances),
            _ => None,
        }
    }

    /// Returns true if the expected instance is pending: only its temporary certificate exists yet.
    pub fn is_pending(&self) -> bool {
        self.instances()
            .is_some_and(|i| i.expected.state == State::Pending)
    }

    /// Returns true if this leaf's fingerprint or key is expected. Returns `None` if no particular
    /// certificate is expected.
    pub fn accepts(&self, leaf: &Certificate) -> Option<bool> {
        match &self.what {
            Expectation::Instances(i) => Some(i.accepted().any(|a| a.leaf == *leaf)),
            Expectation::Fingerprints(pins) => Some(pins.contains(&leaf.sha256())),
            Expectation::PublicKeys(keys) => Some(
                leaf.public_key_hash()
                    .is_some_and(|key| keys.contains(&key)),
            ),
            Expectation::TrustOnly => None,
        }
    }

    /// Returns true if an accepted leaf may have this public key.
    pub fn has_key(&self, key: &PublicKeyHash) -> bool {
        match &self.what {
            Expectation::Instances(i) => i
                .accepted()
                .chain(&i.pending)
                .any(|a| a.leaf.public_key_hash() == Some(*key)),
            Expectation::PublicKeys(keys) => keys.contains(key),
            Expectation::Fingerprints(_) | Expectation::TrustOnly => false,
        }
    }
}

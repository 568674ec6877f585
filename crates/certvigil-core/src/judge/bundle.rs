//! The certificate file that a server needs: the certificates and their order.

use crate::certificate::{Certificate, Facts, LeafError, Malformed, leaf_of};
use crate::model::Timestamp;

use super::TrustStore;
use super::chain::reach;
use super::links::{Links, Signatures};
use super::path::search;

/// A leaf and the certificates above it, in the order in which a server sends them (RFC 8446,
/// section 4.4.2), without the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The leaf.
    pub leaf: Certificate,
    /// The intermediates, the leaf's issuer first.
    pub chain: Vec<Certificate>,
    /// The end of the chain.
    pub end: ChainEnd,
}

/// The end of the chain of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainEnd {
    /// A trusted root issued the last certificate, or the leaf is self-signed.
    Complete,
    /// The issuer of this certificate is missing.
    Missing(Certificate),
    /// The chain ends at this root, which is not trusted.
    Untrusted(Certificate),
    /// The certificates issued each other.
    Circle,
}

impl Bundle {
    /// Arranges certificates in order. Certificates that do not belong to the leaf are omitted, and so
    /// are duplicates and roots. The order of the input does not matter: see [`leaf_of`]. The time
    /// decides only which of several issuers of one certificate comes first.
    ///
    /// # Errors
    /// The same as [`leaf_of`]; and an error if any certificate is malformed.
    pub fn arrange(
        certificates: &[Certificate],
        trust: &TrustStore,
        now: Timestamp,
    ) -> Result<Self, LeafError> {
        let leaf = leaf_of(certificates)?;
        // A malformed certificate may be part of the chain, which would lack it.
        if let Some((at, why)) = malformed(certificates) {
            return Err(LeafError::Malformed {
                position: at + 1,
                why: why.to_string(),
            });
        }
        let signatures = Signatures::default();
        let links = Links::new(trust, &signatures);
        let mut pool: Vec<&Certificate> = certificates.iter().collect();
        // The result must not depend on the order of the input.
        pool.sort_by_key(|c| c.sha256());
        pool.dedup();
        let is_root = |c: &Certificate| links.issued(c, c);
        if is_root(leaf) {
            return Ok(Self {
                leaf: leaf.clone(),
                chain: Vec::new(),
                end: ChainEnd::Complete,
            });
        }
        // Of two issuers of one certificate, the one on the best path to a trusted root comes first:
        // clients such as OpenSSL do not try the second one if the first does not allow the leaf.
        let found = search(leaf, &pool, trust, &links, now);
        let best = found.best().filter(|path| path.is_anchored());
        let is_on_best = |c: &&Certificate| {
            best.is_some_and(|path| path.certificates.iter().any(|on_path| on_path == c))
        };
        pool.sort_by_cached_key(|c| (*c != leaf, !is_on_best(c), !links.is_anchored(c)));
        let reached: Vec<&Certificate> = reach(&pool, &links).iter().map(|s| s.at).collect();
        let (roots, path): (Vec<_>, Vec<_>) = reached.iter().copied().partition(|c| is_root(c));
        let end = if path.iter().any(|c| links.is_anchored(c)) {
            ChainEnd::Complete
        } else if let Some(open) = open_end(&path, &reached, &links) {
            ChainEnd::Missing(open.clone())
        } else if let Some(root) = roots.first() {
            ChainEnd::Untrusted((*root).clone())
        } else {
            ChainEnd::Circle
        };
        let chain = path.into_iter().skip(1).cloned().collect();
        Ok(Self {
            leaf: leaf.clone(),
            chain,
            end,
        })
    }

    /// Returns the file: the leaf, then its chain, as PEM.
    pub fn to_pem(&self) -> String {
        let all = std::iter::once(&self.leaf).chain(&self.chain);
        all.map(Certificate::to_pem).collect()
    }
}

fn malformed(certificates: &[Certificate]) -> Option<(usize, &Malformed)> {
    let mut all = certificates.iter().enumerate();
    all.find_map(|(at, c)| c.facts().err().map(|why| (at, why)))
}

/// Returns the certificate on the path whose issuer is missing. If there are several, one with the
/// URL of its issuer is preferred.
fn open_end<'a>(
    path: &[&'a Certificate],
    reached: &[&Certificate],
    links: &Links<'_>,
) -> Option<&'a Certificate> {
    let is_open = |c: &&&Certificate| {
        !reached
            .iter()
            .any(|issuer| *issuer != **c && links.issued(issuer, c))
    };
    let open: Vec<_> = path.iter().filter(is_open).copied().collect();
    let has_url = |c: &&&Certificate| {
        c.facts()
            .ok()
            .and_then(|f: &Facts| f.issuer_url.as_ref())
            .is_some()
    };
    open.iter().find(has_url).or_else(|| open.first()).copied()
}

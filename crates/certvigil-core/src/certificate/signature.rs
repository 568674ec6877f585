//! The link from one certificate to its issuer.

use std::sync::OnceLock;

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::algorithm::{Method, Unfit, Unverifiable};
use super::{Certificate, PublicKeyHash, der};

/// Result of checking that one certificate issued another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It is the issuer: the names match and the signature was verified.
    Verified,
    /// The names match, but certvigil cannot verify this kind of signature, such as Ed448
    /// ([`unverifiable`] names it). Anyone can make such a certificate, so it is never trusted.
    Unverifiable,
    /// It is not the issuer.
    No,
}

/// Checks that `issuer` issued `subject`: the names match, the issuer may issue, and its key made
/// the signature. Time is not considered: an expired issuer is an issuer.
pub fn certifies(issuer: &Certificate, subject: &Certificate) -> Link {
    match issuer.facts() {
        Ok(above) if may_certify(issuer, subject) => {
            key_signed(&above.spki, above.public_key_hash, subject)
        }
        _ => Link::No,
    }
}

/// Returns true if the names match and the issuer may issue. These are all checks of [`certifies`]
/// but the signature, which costs a thousand times as much.
pub(crate) fn may_certify(issuer: &Certificate, subject: &Certificate) -> bool {
    match (issuer.facts(), subject.facts()) {
        // A self-signed leaf is its own issuer without being an authority.
        (Ok(above), Ok(below)) => {
            above.subject_der == below.issuer_der && (above.is_ca || issuer == subject)
        }
        _ => false,
    }
}

/// Checks that the key of this SubjectPublicKeyInfo, which has this hash, signed the certificate.
pub(crate) fn key_signed(spki: &[u8], hash: PublicKeyHash, certificate: &Certificate) -> Link {
    let signers = &certificate.0.signers;
    if let Some(known) = signers.get(&hash) {
        return known;
    }
    let Some(signed) = signed(certificate) else {
        return Link::No;
    };
    let signer = signed.check(spki, hash);
    let link = signer.link;
    signers.remember(signer);
    link
}

/// Returns the reason for which certvigil cannot verify the signature of a certificate with the key
/// of this SubjectPublicKeyInfo. Returns `None` if [`certifies`] is not [`Link::Unverifiable`].
pub fn unverifiable(spki: &[u8], certificate: &Certificate) -> Option<Unverifiable> {
    match signed(certificate)?.method(spki) {
        Err(Unfit::Unverifiable(why)) => Some(why),
        Ok(_) | Err(Unfit::OtherKind) => None,
    }
}

/// Returns the CPU time of [`certifies`] without a remembered result, in units of 40 to 100 µs:
/// about one verification with RSA of 2048 bits or on P-256. From 1 to 70.
pub fn verification_cost(spki: &[u8], certificate: &Certificate) -> u32 {
    let Some(signed) = signed(certificate) else {
        return 1;
    };
    let method = signed.method(spki);
    method.map_or(1, |method| method.cost(signed.message.len()))
}

/// Returns the same for a key with this hash, if the result is remembered with the certificate.
pub(crate) fn remembered_cost(key: &PublicKeyHash, certificate: &Certificate) -> Option<u32> {
    certificate.0.signers.find(key).map(|signer| signer.cost)
}

/// Returns the signature of a certificate.
fn signed(certificate: &Certificate) -> Option<Signed<'_>> {
    let outline = der::outline(certificate.der()).ok()?;
    Some(Signed {
        message: outline.tbs,
        algorithm: outline.signature_algorithm,
        inner_algorithm: inner_algorithm(outline.tbs),
        signature: outline.signature,
    })
}

/// Returns an AlgorithmIdentifier's content without NULL parameters, which mean the same as none.
/// Some signers write NULL in only one of the two fields.
fn without_null(algorithm: &[u8]) -> &[u8] {
    const NULL: [u8; 2] = [5, 0];
    algorithm.strip_suffix(&NULL).unwrap_or(algorithm)
}

/// Returns the content of the AlgorithmIdentifier in a TBSCertificate (RFC 5280, section 4.1.2.3).
fn inner_algorithm(mut tbs: &[u8]) -> Option<&[u8]> {
    const VERSION: u8 = 0xa0;
    let mut fields = der::expect(&mut tbs, der::SEQUENCE)?.content;
    der::optional(&mut fields, VERSION);
    der::expect(&mut fields, der::INTEGER)?;
    Some(der::expect(&mut fields, der::SEQUENCE)?.content)
}

/// Maximum keys remembered with a certificate. Usually the issuer's is the only one; there are more
/// if authorities of one name have several keys.
const REMEMBERED_SIGNERS: usize = 4;

/// Remembered results for a certificate's signature: the keys that made it and those that did not.
/// A result never changes, and computing it costs a thousand times more than remembering it.
#[derive(Default)]
pub(super) struct Signers([OnceLock<Signer>; REMEMBERED_SIGNERS]);

/// A key that the signature was checked with, and the result.
struct Signer {
    key: PublicKeyHash,
    link: Link,
    /// True if the library verifies with this key using its own algorithm.
    is_by_library: bool,
    /// See [`verification_cost`].
    cost: u32,
}

impl Signers {
    fn find(&self, key: &PublicKeyHash) -> Option<&Signer> {
        let mut known = self.0.iter().map_while(OnceLock::get);
        known.find(|signer| signer.key == *key)
    }

    fn get(&self, key: &PublicKeyHash) -> Option<Link> {
        self.find(key).map(|signer| signer.link)
    }

    /// Returns a value without free entries and without results.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let full = Self::default();
        for _ in 0..REMEMBERED_SIGNERS {
            full.remember(Signer {
                key: PublicKeyHash::of(b"no key"),
                link: Link::No,
                is_by_library: false,
                cost: 1,
            });
        }
        full
    }

    /// Remembers a result if there is a free entry. The first entries stay: otherwise an attacker
    /// could evict them.
    fn remember(&self, signer: Signer) {
        let mut signer = Some(signer);
        for slot in &self.0 {
            let Some(one) = signer.take() else { return };
            signer = slot.set(one).err();
        }
    }
}

/// A signature algorithm for the path builder that skips signatures already verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembering<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    certificates: &'a [&'a Certificate],
}

impl<'a> Remembering<'a> {
    /// Returns every algorithm, with the certificates whose signatures it may verify.
    pub(crate) fn all(certificates: &'a [&'a Certificate]) -> Vec<Self> {
        let all = webpki::ALL_VERIFICATION_ALGS.iter();
        all.map(|&algorithm| Self {
            algorithm,
            certificates,
        })
        .collect()
    }

    /// Returns true if [`key_signed`] verified exactly this, with the library's algorithm:
    /// certvigil also verifies with keys that the library refuses. If several algorithms have the
    /// same identifiers, the first verifies what any of them does, and the path builder uses only
    /// the first.
    fn is_known(&self, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm = self.algorithm.signature_alg_id();
        let is_it = |c: &&&Certificate| {
            der::outline(c.der()).is_ok_and(|o| {
                o.tbs == message
                    && o.signature == signature
                    && o.signature_algorithm == algorithm.as_ref()
            })
        };
        let Some(certificate) = self.certificates.iter().find(is_it) else {
            return false;
        };
        let spki = der::subject_public_key_info(&self.algorithm.public_key_alg_id(), key);
        let signers = &certificate.0.signers;
        let signer = signers.find(&PublicKeyHash::of(&spki));
        signer.is_some_and(|signer| signer.link == Link::Verified && signer.is_by_library)
    }
}

impl SignatureVerificationAlgorithm for Remembering<'_> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        if self.is_known(public_key, message, signature) {
            return Ok(());
        }
        self.algorithm
            .verify_signature(public_key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.algorithm.signature_alg_id()
    }
}

/// An object signed as in X.509: a certificate, a revocation list, an OCSP response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// The signed bytes.
    pub(super) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The content of the AlgorithmIdentifier in the signed part, if there is one. It must be the
    /// same.
    pub(super) inner_algorithm: Option<&'a [u8]>,
    /// The signature's bits.
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// Checks that the key of this SubjectPublicKeyInfo made the signature.
    pub(super) fn by(self, spki: &[u8]) -> Link {
        match self.method(spki) {
            Ok(method) if method.verify(self.message, self.signature) => Link::Verified,
            Ok(_) | Err(Unfit::OtherKind) => Link::No,
            Err(Unfit::Unverifiable(_)) => Link::Unverifiable,
        }
    }

    /// Checks the same, and returns the result to remember.
    fn check(self, spki: &[u8], key: PublicKeyHash) -> Signer {
        let method = self.method(spki);
        let cost = method.as_ref();
        let cost = cost.map_or(1, |method| method.cost(self.message.len()));
        let (link, is_by_library) = match method {
            Ok(method) if method.verify(self.message, self.signature) => {
                (Link::Verified, method.is_of_library())
            }
            Ok(_) | Err(Unfit::OtherKind) => (Link::No, false),
            Err(Unfit::Unverifiable(_)) => (Link::Unverifiable, false),
        };
        Signer {
            key,
            link,
            is_by_library,
            cost,
        }
    }

    fn method(self, spki: &[u8]) -> Result<Method<'_>, Unfit> {
        let method = Method::of(self.algorithm, spki)?;
        match self.inner_algorithm {
            Some(inner) if without_null(inner) != without_null(self.algorithm) => {
                Err(Unverifiable::AlgorithmsDiffer.into())
            }
            _ => Ok(method),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::authority::{Authority, Issued, Key, Validity};
    use crate::model::Timestamp;

    fn issue() -> (Authority, Issued) {
        let validity = Validity::around(Timestamp(1_800_000_000), 1, 100);
        let root = Authority::root("Root", validity).unwrap();
        let key = Key::generate().unwrap();
        let leaf = root.issue(&["www.example.com".into()], validity, &key);
        (root, leaf.unwrap())
    }

    fn signed_by(certificate: &Certificate, issuer: &Certificate) -> Link {
        let facts = issuer.facts().unwrap();
        key_signed(&facts.spki, facts.public_key_hash, certificate)
    }

    /// There are two for RSA with SHA-384: one takes any key that the path builder accepts, the
    /// other only longer keys.
    #[test]
    fn first_webpki_rsa_sha384_algorithm_accepts_2048_to_8192_bits() {
        let all = webpki::ALL_VERIFICATION_ALGS.iter();
        let mut by_pair: HashMap<_, Vec<_>> = HashMap::new();
        for (at, a) in all.enumerate() {
            let pair = (
                a.signature_alg_id().to_vec(),
                a.public_key_alg_id().to_vec(),
            );
            by_pair.entry(pair).or_default().push(at);
        }
        by_pair.retain(|_, places| places.len() > 1);
        let [((signature, _), places)] = &by_pair.into_iter().collect::<Vec<_>>()[..] else {
            panic!("other algorithms share their identifiers");
        };
        assert_eq!(
            super::super::algorithm::describe(signature).name,
            "sha384WithRSAEncryption"
        );
        let told = |at: &usize| format!("{:?}", webpki::ALL_VERIFICATION_ALGS[*at]);
        let told: Vec<_> = places.iter().map(told).collect();
        assert!(told[0].contains("2048_8192"), "{told:?}");
    }

    #[test]
    fn verification_result_is_cached_for_each_key() {
        let (root, leaf) = issue();
        let (stranger, _) = issue();
        for _ in 0..2 {
            assert_eq!(
                signed_by(&leaf.certificate, &root.certificate),
                Link::Verified
            );
            assert_eq!(
                signed_by(&leaf.certificate, &stranger.certificate),
                Link::No
            );
        }
        let signers = &leaf.certificate.0.signers;
        let of = |c: &Certificate| signers.get(&c.public_key_hash().unwrap());
        assert_eq!(of(&root.certificate), Some(Link::Verified));
        assert_eq!(of(&stranger.certificate), Some(Link::No));
        assert_eq!(of(&leaf.certificate), None);
    }

    #[test]
    fn signature_cache_is_bounded_and_keeps_the_first_keys() {
        let (root, leaf) = issue();
        signed_by(&leaf.certificate, &root.certificate);
        let others: Vec<_> = (0..REMEMBERED_SIGNERS).map(|_| issue().0).collect();
        for other in &others {
            assert_eq!(signed_by(&leaf.certificate, &other.certificate), Link::No);
        }
        let known = |c: &Certificate| {
            let signers = &leaf.certificate.0.signers;
            signers.get(&c.public_key_hash().unwrap()).is_some()
        };
        assert!(known(&root.certificate));
        let last = &others.last().unwrap().certificate;
        assert!(!known(last));
        assert_eq!(signed_by(&leaf.certificate, last), Link::No);
    }

    #[test]
    fn only_a_verified_signature_skips_verification() {
        let (root, leaf) = issue();
        let (stranger, other) = issue();
        let leaf = leaf.certificate;
        let outline = der::outline(leaf.der()).unwrap();
        let (algorithm, key) = root.certificate.public_key().unwrap();
        let (_, strange_key) = stranger.certificate.public_key().unwrap();
        let shown = [&other.certificate, &leaf];
        let all = Remembering::all(&shown);
        let fits = |a: &&Remembering<'_>| {
            a.signature_alg_id().as_ref() == outline.signature_algorithm
                && a.public_key_alg_id().as_ref() == algorithm
        };
        let one = all.iter().find(fits).unwrap();
        let (tbs, signature) = (outline.tbs, outline.signature);
        assert!(!one.is_known(key, tbs, signature));

        signed_by(&leaf, &root.certificate);
        signed_by(&leaf, &stranger.certificate);
        assert!(one.is_known(key, tbs, signature));
        assert!(!one.is_known(strange_key, tbs, signature));
        assert!(!one.is_known(key, &tbs[1..], signature));
        assert!(!one.is_known(key, tbs, &signature[1..]));
        for (key, tbs, signature, is_right) in [
            (key, tbs, signature, true),
            (strange_key, tbs, signature, false),
            (key, &tbs[1..], signature, false),
            (key, tbs, &signature[1..], false),
        ] {
            let verified = one.verify_signature(key, tbs, signature);
            assert_eq!(verified.is_ok(), is_right);
        }
        let another = all.iter().find(|a| !fits(a)).unwrap();
        assert!(!another.is_known(key, tbs, signature));
    }

    /// The library's algorithm for RSA has the same identifiers, and refuses the key because of its
    /// size.
    #[test]
    fn webpki_does_not_reuse_a_signature_by_a_key_that_it_refuses() {
        let pem = include_bytes!("testdata/rsa1024.pem");
        let all = super::super::parse_certificates(pem).unwrap();
        let issuer = &all[0];
        let (_, key) = issuer.public_key().unwrap();
        for leaf in &all[1..] {
            assert_eq!(certifies(issuer, leaf), Link::Verified);
            let outline = der::outline(leaf.der()).unwrap();
            for one in Remembering::all(&[leaf]) {
                assert!(!one.is_known(key, outline.tbs, outline.signature));
            }
        }
    }

    #[test]
    fn subject_public_key_info_is_reassembled_unchanged() {
        for certificate in [issue().0.certificate, issue().1.certificate] {
            let (algorithm, key) = certificate.public_key().unwrap();
            let spki = der::subject_public_key_info(algorithm, key);
            assert_eq!(spki, certificate.facts().unwrap().spki);
        }
    }
}

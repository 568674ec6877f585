//! Who signed whom: signature algorithms by name, and the link from one certificate to its issuer.

use std::ops::RangeInclusive;
use std::sync::OnceLock;

use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm};

use super::{Certificate, Key, PublicKeyHash, SignatureAlgorithm, der};

/// Whether one certificate issued another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It did: the names fit and the signature was verified.
    Verified,
    /// The names fit, and the signature is of a kind that cannot be verified here (MD5, SHA-1,
    /// RSA keys of an unusual size, rare curves).
    Plausible,
    /// It did not.
    No,
}

/// Whether `issuer` issued `subject`: the names fit, the issuer may issue, and its key made the
/// signature. Time plays no part: an expired issuer is an issuer.
pub fn certifies(issuer: &Certificate, subject: &Certificate) -> Link {
    match issuer.facts() {
        Ok(above) if may_certify(issuer, subject) => {
            key_signed(&above.spki, above.public_key_hash, subject)
        }
        _ => Link::No,
    }
}

/// Whether the names fit and the issuer may issue: all of [`certifies`] but the signature, which
/// costs a thousand times as much.
pub(crate) fn may_certify(issuer: &Certificate, subject: &Certificate) -> bool {
    match (issuer.facts(), subject.facts()) {
        // A self-signed leaf is its own issuer without being an authority.
        (Ok(above), Ok(below)) => {
            above.subject_der == below.issuer_der && (above.is_ca || issuer == subject)
        }
        _ => false,
    }
}

/// Whether the key of this SubjectPublicKeyInfo, which has this hash, signed the certificate.
pub(crate) fn key_signed(spki: &[u8], hash: PublicKeyHash, certificate: &Certificate) -> Link {
    let signers = &certificate.0.signers;
    if let Some(known) = signers.get(&hash) {
        return known;
    }
    let Ok(outline) = der::outline(certificate.der()) else {
        return Link::No;
    };
    let signed = Signed {
        message: outline.tbs,
        algorithm: outline.signature_algorithm,
        signature: outline.signature,
    };
    let link = signed.by(spki);
    signers.remember(hash, link);
    link
}

/// So many keys are remembered with a certificate. Its issuer's is usually the only one that it is held against;
/// there are more where authorities of one name have several keys.
const REMEMBERED_SIGNERS: usize = 4;

/// What has been found out of a certificate's signature: which keys made it and which did not. That is so for ever,
/// and costs a thousand times more to find out than to remember.
#[derive(Default)]
pub(super) struct Signers([OnceLock<(PublicKeyHash, Link)>; REMEMBERED_SIGNERS]);

impl Signers {
    fn get(&self, key: &PublicKeyHash) -> Option<Link> {
        let known = self.0.iter().map_while(OnceLock::get);
        known
            .into_iter()
            .find_map(|(known, link)| (known == key).then_some(*link))
    }

    /// Has no place left, and knows nothing.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let full = Self::default();
        for _ in 0..REMEMBERED_SIGNERS {
            full.remember(PublicKeyHash::of(b"no key"), Link::No);
        }
        full
    }

    /// Those that came first stay: who could put others in their place could have them forgotten.
    fn remember(&self, key: PublicKeyHash, link: Link) {
        let mut slots = self.0.iter();
        let _ = slots.find(|slot| slot.set((key, link)).is_ok());
    }
}

/// An algorithm of the path builder that does not check again what is known to be verified.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remembering<'a> {
    algorithm: &'static dyn SignatureVerificationAlgorithm,
    certificates: &'a [&'a Certificate],
}

impl<'a> Remembering<'a> {
    /// Every algorithm, with the certificates whose signatures it may be asked for.
    pub(crate) fn all(certificates: &'a [&'a Certificate]) -> Vec<Self> {
        let all = webpki::ALL_VERIFICATION_ALGS.iter();
        all.map(|&algorithm| Self {
            algorithm,
            certificates,
        })
        .collect()
    }

    /// Whether [`key_signed`] verified just this. What it verifies with several algorithms of the same identifiers, the
    /// first of them verifies, and the path builder asks no other.
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
        signers.get(&PublicKeyHash::of(&spki)) == Some(Link::Verified)
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

/// Something signed in X.509's manner: a certificate, a revocation list, an OCSP response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signed<'a> {
    /// What the signature is over.
    pub(super) message: &'a [u8],
    /// The content of the AlgorithmIdentifier.
    pub(super) algorithm: &'a [u8],
    /// The signature's bits.
    pub(super) signature: &'a [u8],
}

impl Signed<'_> {
    /// Whether the key of this SubjectPublicKeyInfo made the signature.
    pub(super) fn by(self, spki: &[u8]) -> Link {
        let Some((key_algorithm, key)) = der::public_key(spki) else {
            return Link::No;
        };
        let kind_of_signature = Kind::of(self.algorithm);
        let kind_of_key = Kind::of(key_algorithm);
        if kind_of_signature != kind_of_key
            && kind_of_signature != Kind::Other
            && kind_of_key != Kind::Other
        {
            return Link::No;
        }
        let mut fitting = webpki::ALL_VERIFICATION_ALGS
            .iter()
            .filter(|a| a.signature_alg_id().as_ref() == self.algorithm)
            .filter(|a| a.public_key_alg_id().as_ref() == key_algorithm)
            .peekable();
        let is_verifiable = match super::read_key(spki, &mut Vec::new()) {
            Key::Rsa(bits) => VERIFIABLE_RSA_BITS.contains(&bits),
            Key::RsaPss(_) | Key::Dsa(_) | Key::Ec(..) | Key::Other(_) => true,
        };
        if fitting.peek().is_none() || !is_verifiable {
            return Link::Plausible;
        }
        if fitting.any(|a| {
            a.verify_signature(key, self.message, self.signature)
                .is_ok()
        }) {
            Link::Verified
        } else {
            Link::No
        }
    }
}

/// The library refuses an RSA key of any other size, whatever the signature.
const VERIFIABLE_RSA_BITS: RangeInclusive<usize> = 2048..=8192;

/// What kind of key an algorithm goes with, whatever the curve, the size and the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
    Ed448,
    Other,
}

impl Kind {
    /// From the content of an AlgorithmIdentifier, of a key or of a signature.
    fn of(algorithm: &[u8]) -> Self {
        let oid = oid(algorithm);
        if oid.starts_with("1.2.840.113549.1.1.") {
            return Self::Rsa;
        }
        if oid.starts_with("1.2.840.10045.2.") || oid.starts_with("1.2.840.10045.4.") {
            return Self::Ec;
        }
        match oid.as_str() {
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            _ => Self::Other,
        }
    }
}

fn oid(mut algorithm: &[u8]) -> String {
    der::expect(&mut algorithm, der::OBJECT_IDENTIFIER)
        .map(|tlv| x509_parser::der_parser::oid::Oid::new(tlv.content.into()).to_id_string())
        .unwrap_or_default()
}

/// The algorithm's name, from the content of an AlgorithmIdentifier.
pub(super) fn describe(algorithm: &[u8]) -> SignatureAlgorithm {
    let oid = oid(algorithm);
    let (name, is_weak) = match oid.as_str() {
        "1.2.840.113549.1.1.2" => ("md2WithRSAEncryption", true),
        "1.2.840.113549.1.1.4" => ("md5WithRSAEncryption", true),
        "1.2.840.113549.1.1.5" => ("sha1WithRSAEncryption", true),
        "1.3.14.3.2.29" => ("sha1WithRSA", true),
        "1.2.840.10040.4.3" => ("dsaWithSHA1", true),
        "1.2.840.10045.4.1" => ("ecdsa-with-SHA1", true),
        "1.2.840.113549.1.1.10" => ("rsassaPss", false),
        "1.2.840.113549.1.1.11" => ("sha256WithRSAEncryption", false),
        "1.2.840.113549.1.1.12" => ("sha384WithRSAEncryption", false),
        "1.2.840.113549.1.1.13" => ("sha512WithRSAEncryption", false),
        "1.2.840.113549.1.1.14" => ("sha224WithRSAEncryption", false),
        "1.2.840.10045.4.3.1" => ("ecdsa-with-SHA224", false),
        "1.2.840.10045.4.3.2" => ("ecdsa-with-SHA256", false),
        "1.2.840.10045.4.3.3" => ("ecdsa-with-SHA384", false),
        "1.2.840.10045.4.3.4" => ("ecdsa-with-SHA512", false),
        "1.3.101.112" => ("ED25519", false),
        "1.3.101.113" => ("ED448", false),
        "2.16.840.1.101.3.4.3.17" => ("ML-DSA-44", false),
        "2.16.840.1.101.3.4.3.18" => ("ML-DSA-65", false),
        "2.16.840.1.101.3.4.3.19" => ("ML-DSA-87", false),
        "" => ("(unreadable)", false),
        _ => (oid.as_str(), false),
    };
    SignatureAlgorithm {
        name: name.to_owned(),
        is_weak,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::lab::authority::{Authority, Issued, Key, Validity};
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

    /// There are two for RSA with SHA-384: any key that the path builder takes, and only a longer one.
    #[test]
    fn of_algorithms_with_the_same_identifiers_the_first_takes_the_most() {
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
        assert_eq!(describe(signature).name, "sha384WithRSAEncryption");
        let told = |at: &usize| format!("{:?}", webpki::ALL_VERIFICATION_ALGS[*at]);
        let told: Vec<_> = places.iter().map(told).collect();
        assert!(told[0].contains("2048_8192"), "{told:?}");
    }

    #[test]
    fn a_key_that_signed_and_one_that_did_not_are_remembered() {
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
    fn memory_has_an_end_and_the_first_keys_stay() {
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
    fn only_what_was_verified_is_not_checked_again() {
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

    #[test]
    fn a_public_key_is_put_together_as_it_was() {
        for certificate in [issue().0.certificate, issue().1.certificate] {
            let (algorithm, key) = certificate.public_key().unwrap();
            let spki = der::subject_public_key_info(algorithm, key);
            assert_eq!(spki, certificate.facts().unwrap().spki);
        }
    }
}

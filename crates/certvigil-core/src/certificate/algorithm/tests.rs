//! Signatures that OpenSSL made with every algorithm: see `testdata/make-testdata.sh`.

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair,
};
use proptest::prelude::*;

use super::super::signature::{Link, Signed, certifies, unverifiable, verification_cost};
use super::super::{Certificate, der, parse_certificates};
use super::*;

/// Returns an issuer and the certificates it issued, one for each algorithm.
fn issued(name: &str) -> (Certificate, Vec<Certificate>) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/certificate/testdata");
    let pem = std::fs::read(format!("{folder}/{name}.pem")).expect(name);
    let mut all = parse_certificates(&pem).unwrap();
    let issuer = all.remove(0);
    (issuer, all)
}

/// Files whose signatures are verified, and the number of signatures in each.
const VERIFIED: [(&str, usize); 21] = [
    ("rsa512", 5),
    ("rsa1024", 8),
    ("rsa1025", 3),
    ("rsa2047", 3),
    ("rsa2048", 20),
    ("rsa2049", 7),
    ("rsa2050", 6),
    ("rsa-e3", 3),
    ("rsa-e33", 3),
    ("rsa-e65", 2),
    ("rsa4096", 3),
    ("rsa8192", 2),
    ("rsa8200", 2),
    ("rsa16384", 2),
    ("pss", 5),
    ("pss-sha256", 2),
    ("P-256", 6),
    ("P-384", 6),
    ("P-521", 6),
    ("secp256k1", 6),
    ("ed25519", 1),
];

fn changed(der: &[u8], change: impl FnOnce(&mut [u8])) -> Certificate {
    let mut der = der.to_vec();
    change(&mut der);
    Certificate::from_der(der)
}

#[test]
fn openssl_signatures_are_verified() {
    for (name, count) in VERIFIED {
        let (issuer, leaves) = issued(name);
        assert_eq!(leaves.len(), count, "{name}");
        assert_eq!(certifies(&issuer, &issuer), Link::Verified, "{name}");
        for leaf in leaves {
            let what = format!("{name} {}", leaf.facts().unwrap().signature.name);
            assert_eq!(certifies(&issuer, &leaf), Link::Verified, "{what}");
            let spki = &issuer.facts().unwrap().spki;
            assert_eq!(unverifiable(spki, &leaf), None, "{what}");
        }
    }
}

#[test]
fn a_signature_with_one_bit_flipped_is_not_verified() {
    for (name, _) in VERIFIED {
        let (issuer, leaves) = issued(name);
        for leaf in leaves {
            let what = format!("{name} {}", leaf.facts().unwrap().signature.name);
            let der = leaf.der();
            // The signature is at the end of the DER, and the serial number is in the signed part.
            for at in [der.len() - 1, der.len() - 20] {
                let changed = changed(der, |der| der[at] ^= 0x10);
                assert_eq!(certifies(&issuer, &changed), Link::No, "{what}");
            }
            let serial = der::outline(der).unwrap().serial;
            let at = serial.as_ptr() as usize - der.as_ptr() as usize;
            let changed = changed(der, |der| der[at] ^= 0x40);
            assert_eq!(certifies(&issuer, &changed), Link::No, "{what}");
        }
    }
}

#[test]
fn unverifiable_signature_algorithm_is_named() {
    for (name, words) in [
        ("P-224", "signed with P-224, which certvigil cannot verify"),
        (
            "brainpoolP256r1",
            "signed with brainpoolP256r1, which certvigil cannot verify",
        ),
        (
            "brainpoolP384r1",
            "signed with brainpoolP384r1, which certvigil cannot verify",
        ),
        (
            "explicit",
            "signed with explicit curve parameters, which certvigil cannot verify",
        ),
        ("ed448", "signed with ED448, which certvigil cannot verify"),
        (
            "dsa",
            "signed with dsaWithSHA1, which certvigil cannot verify",
        ),
    ] {
        let (issuer, leaves) = issued(name);
        for leaf in &leaves {
            assert_eq!(certifies(&issuer, leaf), Link::Unverifiable, "{name}");
            assert_eq!(verification_cost(&issuer.facts().unwrap().spki, leaf), 1);
        }
        let why = unverifiable(&issuer.facts().unwrap().spki, &leaves[0]).unwrap();
        assert_eq!(why.to_string(), words);
    }
}

#[test]
fn verification_cost_depends_on_algorithm_and_size() {
    for (name, which, units) in [
        ("rsa2048", 1, 1), // SHA-1, by the library
        ("rsa2048", 3, 1), // SHA-256
        ("rsa2048", 0, 2), // MD5, by our own code
        ("rsa4096", 0, 5), // SHA-224
        ("rsa4096", 1, 3),
        ("rsa16384", 0, 65), // no further work is done
        ("P-256", 2, 1),
        ("P-384", 2, 7),
        ("P-521", 2, 15),
        ("ed25519", 0, 1),
    ] {
        let (issuer, leaves) = issued(name);
        let cost = verification_cost(&spki(&issuer), &leaves[which]);
        assert_eq!(cost, units, "{name} {which}");
    }
    let (issuer, _) = issued("P-521");
    let (_, leaves) = issued("P-521");
    let spki = spki(&issuer);
    let method = Method::of(&algorithm(&leaves[0]), &spki).unwrap();
    assert_eq!(method.cost(64 * 1024), 15 + 4);
}

/// Returns the content of the AlgorithmIdentifier of a certificate's signature.
fn algorithm(certificate: &Certificate) -> Vec<u8> {
    let outline = der::outline(certificate.der()).unwrap();
    outline.signature_algorithm.to_vec()
}

fn spki(certificate: &Certificate) -> Vec<u8> {
    certificate.facts().unwrap().spki.clone()
}

#[test]
fn key_does_not_verify_a_signature_of_another_key_type() {
    let names = ["rsa2048", "P-256", "ed25519", "ed448", "dsa"];
    for signer in names {
        for signed in names.into_iter().filter(|name| *name != signer) {
            let (issuer, _) = issued(signer);
            let (_, leaves) = issued(signed);
            let spki = spki(&issuer);
            let method = Method::of(&algorithm(&leaves[0]), &spki);
            assert_eq!(method.unwrap_err(), Unfit::OtherKind, "{signer} {signed}");
        }
    }
    // A key that is restricted to PSS makes no other signatures (RFC 4055, section 1.2).
    let (_, pkcs1) = issued("rsa2048");
    let (pss, _) = issued("pss");
    let spki = spki(&pss);
    let method = Method::of(&algorithm(&pkcs1[0]), &spki);
    assert_eq!(method.unwrap_err(), Unfit::OtherKind);
}

/// RFC 4055, section 3.3: the hashes must be those of the key, and the salt at least as long.
#[test]
fn rsa_pss_key_restrictions_are_enforced() {
    let (issuer, leaves) = issued("rsa2048");
    let (restricted, _) = issued("pss-sha256");
    let (_, key) = issuer.public_key().unwrap();
    let (restriction, _) = restricted.public_key().unwrap();
    let spki = der::subject_public_key_info(restriction, key);
    let mut allowed = Vec::new();
    for leaf in &leaves {
        let outline = der::outline(leaf.der()).unwrap();
        if leaf.facts().unwrap().signature.name != "rsassaPss" {
            continue;
        }
        let signed = Signed {
            message: outline.tbs,
            algorithm: outline.signature_algorithm,
            inner_algorithm: None,
            signature: outline.signature,
        };
        let (_, parameters) = split(outline.signature_algorithm).unwrap();
        let pss = read_pss(parameters).unwrap();
        match signed.by(&spki) {
            Link::Verified => allowed.push((pss.hash, pss.mask_hash, pss.salt)),
            link => assert_eq!(link, Link::No, "{pss:?}"),
        }
    }
    let (hash, mask) = (Hash::Sha256, Hash::Sha256);
    assert_eq!(allowed, [(hash, mask, 32), (hash, mask, 222)]);
}

#[test]
fn two_different_algorithms_in_one_certificate_are_not_verified() {
    let (issuer, leaves) = issued("P-256");
    let leaf = leaves.iter().find(|leaf| {
        let name = &leaf.facts().unwrap().signature.name;
        name == "ecdsa-with-SHA256"
    });
    let leaf = leaf.unwrap();
    // The last arc of the outer algorithm: ecdsa-with-SHA384.
    let outer = der::outline(leaf.der()).unwrap().signature_algorithm;
    let at = outer.as_ptr() as usize - leaf.der().as_ptr() as usize + outer.len() - 1;
    let other = changed(leaf.der(), |der| der[at] = 3);
    assert_eq!(other.facts().unwrap().signature.name, "ecdsa-with-SHA384");
    assert_eq!(certifies(&issuer, &other), Link::Unverifiable);
    let why = unverifiable(&spki(&issuer), &other);
    assert_eq!(why, Some(Unverifiable::AlgorithmsDiffer));
}

fn rsa_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    let integer = |octets| der::encode(der::INTEGER, octets);
    let key = der::sequence(&[integer(n), integer(e)].concat());
    let (issuer, _) = issued("rsa2048");
    let (algorithm, _) = issuer.public_key().unwrap();
    der::subject_public_key_info(algorithm, &key)
}

#[test]
fn unusual_rsa_keys_verify_no_signature() {
    let (_, leaves) = issued("rsa2048");
    let method = |n: &[u8], e: &[u8]| match Method::of(&algorithm(&leaves[0]), &rsa_key(n, e)) {
        Ok(_) => None,
        Err(Unfit::Unverifiable(why)) => Some(why),
        Err(Unfit::OtherKind) => panic!("RSA is RSA"),
    };
    let odd = |octets: usize| vec![0x7f; octets];
    let e = &[1, 0, 1];
    assert_eq!(method(&odd(256), e), None);
    assert_eq!(method(&odd(2048), e), None);
    let size = |octets: usize| Some(Unverifiable::RsaSize(octets * 8 - 1));
    assert_eq!(method(&odd(2049), e), size(2049));
    assert_eq!(method(&odd(63), e), size(63));
    for (n, e) in [
        (vec![0x7e; 256], &e[..]), // even
        (odd(256), &[1]),          // anyone can sign
        (odd(256), &[0]),
        (odd(256), &[4]),
        (odd(256), &[0x7f; 200]),         // a million multiplications
        (odd(2048), &[1, 0, 0, 0, 0, 1]), // half a second of CPU
    ] {
        assert_eq!(method(&n, e), Some(Unverifiable::RsaNumbers), "{e:?}");
    }
}

/// A modulus without the leading zero octet is negative in DER. It means the same number.
#[test]
fn negative_rsa_modulus_is_read_as_positive() {
    let (issuer, leaves) = issued("rsa2048");
    let (_, key) = issuer.public_key().unwrap();
    let mut fields = der::expect(&mut { key }, der::SEQUENCE).unwrap().content;
    let n = der::expect(&mut fields, der::INTEGER).unwrap().content;
    let e = der::expect(&mut fields, der::INTEGER).unwrap().content;
    let [0, negative @ ..] = n else {
        panic!("a modulus of 2048 bits has its high bit set");
    };
    for leaf in &leaves {
        let outline = der::outline(leaf.der()).unwrap();
        let spki = rsa_key(negative, e);
        let method = Method::of(outline.signature_algorithm, &spki).unwrap();
        assert!(!method.is_of_library());
        assert!(method.verify(outline.tbs, outline.signature));
    }
}

/// OpenSSL 3.0 has no ML-DSA.
#[test]
fn ml_dsa_is_verified() {
    for (arc, algorithm) in [
        (17, &ML_DSA_44_SIGNING),
        (18, &ML_DSA_65_SIGNING),
        (19, &ML_DSA_87_SIGNING),
    ] {
        let pair = PqdsaKeyPair::generate(algorithm).unwrap();
        let mut signature = vec![0; algorithm.signature_len()];
        let length = pair.sign(b"message", &mut signature).unwrap();
        signature.truncate(length);
        let oid = der::encode(
            der::OBJECT_IDENTIFIER,
            &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, arc],
        );
        let spki = der::subject_public_key_info(&oid, pair.public_key().as_ref());
        let signed = Signed {
            message: b"message",
            algorithm: &oid,
            inner_algorithm: None,
            signature: &signature,
        };
        assert_eq!(signed.by(&spki), Link::Verified);
        let message = b"massage";
        assert_eq!(Signed { message, ..signed }.by(&spki), Link::No);
    }
}

#[test]
fn pss_with_a_weak_hash_is_weak() {
    let (_, leaves) = issued("pss");
    let is_weak = leaves.iter().map(|c| c.facts().unwrap().signature.is_weak);
    let is_weak: Vec<_> = is_weak.collect();
    assert_eq!(is_weak, [true, false, false, false, false]);
}

proptest! {
    #[test]
    fn random_signatures_are_never_verified(
        file in prop::sample::select(&VERIFIED[..]),
        which in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..300),
        keeps_length in any::<bool>(),
    ) {
        let (issuer, leaves) = issued(file.0);
        let leaf = which.get(&leaves);
        let outline = der::outline(leaf.der()).unwrap();
        let mut signature = noise.clone();
        if keeps_length && !noise.is_empty() {
            signature = noise.into_iter().cycle().take(outline.signature.len()).collect();
        }
        let signed = Signed {
            message: outline.tbs,
            algorithm: outline.signature_algorithm,
            inner_algorithm: None,
            signature: &signature,
        };
        prop_assert_eq!(signed.by(&spki(&issuer)), Link::No);
    }

    #[test]
    fn changed_algorithm_or_key_never_verifies_or_panics(
        file in prop::sample::select(&VERIFIED[..]),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let (issuer, leaves) = issued(file.0);
        let leaf = which.get(&leaves);
        let outline = der::outline(leaf.der()).unwrap();
        let (mut spki, mut algorithm) = (spki(&issuer), algorithm(leaf));
        for (is_key, at, byte) in changes {
            let bytes = if is_key { &mut spki } else { &mut algorithm };
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let signed = Signed {
            message: b"another message",
            algorithm: &algorithm,
            inner_algorithm: None,
            signature: outline.signature,
        };
        prop_assert_ne!(signed.by(&spki), Link::Verified);
    }
}

#[test]
fn ecdsa_algorithm_with_null_parameters_is_detected() {
    const ECDSA_WITH_SHA256: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
    let with_null = [ECDSA_WITH_SHA256, &[5, 0]].concat();
    assert!(!describe(ECDSA_WITH_SHA256).is_ecdsa_with_null);
    assert!(describe(&with_null).is_ecdsa_with_null);
}

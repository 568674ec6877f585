//! Keys of each size and type at each position.

use super::Corpus;
use crate::clients::der;
use crate::clients::keys::Kind;

pub(super) fn add(corpus: &mut Corpus) {
    for label in ["leaf", "intermediate", "root"] {
        for (id, kind) in [
            ("rsa-512", Kind::Rsa(512)),
            ("rsa-1024", Kind::Rsa(1024)),
            ("rsa-1536", Kind::Rsa(1536)),
            ("rsa-2047", Kind::Rsa(2047)),
            ("rsa-2048", Kind::Rsa(2048)),
            ("rsa-3072", Kind::Rsa(3072)),
            ("rsa-4096", Kind::Rsa(4096)),
            ("rsa-4100", Kind::Rsa(4100)),
            ("rsa-8192", Kind::Rsa(8192)),
            ("rsa-8200", Kind::Rsa(8200)),
            ("rsa-exponent-3", Kind::RsaExponent3),
            ("rsa-pss", Kind::RsaPss),
            ("rsa-pss-bound", Kind::RsaPssSha256),
            ("p192", Kind::Curve("prime192v1")),
            ("p224", Kind::Curve("P-224")),
            ("p256", Kind::P256),
            ("p384", Kind::P384),
            ("p521", Kind::P521),
            ("p256-explicit", Kind::ExplicitP256),
            ("secp256k1", Kind::Curve("secp256k1")),
            ("brainpool", Kind::Curve("brainpoolP256r1")),
            ("ed25519", Kind::Ed25519),
            ("ed448", Kind::Ed448),
        ] {
            corpus.add(format!("key-{id}-{label}"), move |c| {
                c.at(label).kind(kind);
            });
        }
    }
    for label in ["intermediate", "root"] {
        corpus.add(format!("key-rsa-16384-{label}"), move |c| {
            c.at(label).kind(Kind::Rsa(16384));
        });
        for bits in [32, 33, 40, 63] {
            corpus.add(
                format!("key-rsa-exponent-of-{}-bits-{label}", bits + 1),
                move |c| {
                    c.at(label).kind(Kind::RsaExponent(bits));
                },
            );
        }
        corpus.add(format!("key-rsa-exponent-1-{label}"), move |c| {
            c.at(label).kind(Kind::RsaExponent1);
        });
        corpus.add(format!("key-rsa-without-null-{label}"), move |c| {
            c.at(label).kind(Kind::Rsa(2048)).spki = Some(without_null);
        });
    }
    corpus.add("key-rsa-without-null-leaf", |c| {
        c.at("leaf").kind(Kind::Rsa(2048)).spki = Some(without_null);
    });
    for bits in [32, 33, 40, 63] {
        corpus.add(
            format!("key-rsa-exponent-of-{}-bits-leaf", bits + 1),
            move |c| {
                c.at("leaf").kind(Kind::RsaExponent(bits));
            },
        );
    }
    corpus.add("key-rsa-9216-leaf", |c| {
        c.at("leaf").kind(Kind::Rsa(9216));
    });
    corpus.add("key-rsa-trailing-byte-leaf", |c| {
        c.at("leaf").kind(Kind::Rsa(2048)).spki = Some(trailing);
    });
    corpus.add("key-p256-compressed-intermediate", |c| {
        c.at("intermediate").spki = Some(compressed);
    });
    corpus.add("key-p256-compressed-leaf", |c| {
        c.at("leaf").spki = Some(compressed)
    });
    corpus.add("key-p256-off-curve-intermediate", |c| {
        c.at("intermediate").spki = Some(off_curve);
    });
    corpus.add("key-unknown-algorithm-intermediate", |c| {
        c.at("intermediate").spki = Some(unknown);
    });
}

/// The bits of a SubjectPublicKeyInfo, at its end.
fn key_bits(spki: &[u8], algorithm: usize) -> Vec<u8> {
    der::content(spki)[algorithm..].to_vec()
}

/// rsaEncryption whose parameters are absent instead of NULL.
fn without_null(spki: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid("1.2.840.113549.1.1.1")]);
    der::sequence(&[algorithm, key_bits(spki, 15)])
}

/// Appends a byte to the RSAPublicKey, inside the BIT STRING.
fn trailing(spki: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid("1.2.840.113549.1.1.1"), der::null()]);
    let bits = key_bits(spki, 15);
    let key = [der::content(&bits), &[0][..]].concat();
    der::sequence(&[algorithm, der::tlv(3, &key)])
}

const P256_POINT: usize = 65;

/// The point in its compressed form (SEC 1 section 2.3.3).
fn compressed(spki: &[u8]) -> Vec<u8> {
    let (head, point) = spki.split_at(spki.len() - P256_POINT);
    let algorithm = &head[2..head.len() - 3];
    let sign = 2 + (point[P256_POINT - 1] & 1);
    let short = [&[sign], &point[1..33]].concat();
    der::sequence(&[algorithm.to_vec(), der::bits(&short)])
}

fn off_curve(spki: &[u8]) -> Vec<u8> {
    let mut changed = spki.to_vec();
    *changed.last_mut().unwrap() ^= 1;
    changed
}

fn unknown(spki: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid("1.3.6.1.4.1.55555.4")]);
    der::sequence(&[algorithm, der::bits(&spki[spki.len() - P256_POINT..])])
}

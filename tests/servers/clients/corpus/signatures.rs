//! Signature algorithms at each position.

use super::Corpus;
use crate::clients::der;
use crate::clients::keys::Kind;
use crate::clients::spec::Hash::{
    Md5, Sha1, Sha3_256, Sha3_384, Sha3_512, Sha224, Sha256, Sha384, Sha512, Sha512T256,
};
use crate::clients::spec::{Pss, Scheme};

/// Longest salt of RSASSA-PSS with SHA-256 and a key of 2048 bits: the default of `openssl x509`.
const LONGEST_SALT: u64 = 256 - 2 - 32;
const PLACES: [&str; 3] = ["leaf", "intermediate", "root"];

pub(super) fn add(corpus: &mut Corpus) {
    for label in PLACES {
        let mut signed = |id: &str, kind: Kind, scheme: Scheme| {
            corpus.add(format!("sig-{id}-{label}"), move |c| {
                let issuer = c.get(label).issuer.clone();
                c.at(&issuer).kind(kind);
                c.at(label).scheme = Some(scheme);
            });
        };
        let rsa = Kind::Rsa(2048);
        for (id, hash) in [
            ("md5", Md5),
            ("sha1", Sha1),
            ("sha224", Sha224),
            ("sha256", Sha256),
            ("sha384", Sha384),
            ("sha512", Sha512),
        ] {
            signed(&format!("rsa-{id}"), rsa, Scheme::Rsa(hash));
        }
        for (id, hash) in [
            ("sha1", Sha1),
            ("sha256", Sha256),
            ("sha384", Sha384),
            ("sha512", Sha512),
        ] {
            signed(&format!("pss-{id}"), rsa, Scheme::Pss(hash));
        }
        for (id, hash, mask, salt) in [
            ("salt-0", Sha256, Sha256, 0),
            ("salt-20", Sha256, Sha256, 20),
            ("salt-longest", Sha256, Sha256, LONGEST_SALT),
            ("sha384-salt-32", Sha384, Sha384, 32),
            ("sha512-salt-longest", Sha512, Sha512, 256 - 2 - 64),
            ("mask-sha1", Sha256, Sha1, 32),
            ("mask-sha1-salt-20", Sha256, Sha1, 20),
            ("mask-sha512", Sha256, Sha512, 32),
            ("sha384-mask-sha256", Sha384, Sha256, 48),
            ("sha1-salt-longest", Sha1, Sha1, 256 - 2 - 20),
        ] {
            let pss = Pss { hash, mask, salt };
            signed(&format!("pss-{id}"), rsa, Scheme::PssWith(pss));
        }
        let longest = Pss {
            salt: LONGEST_SALT,
            ..Pss::of(Sha256)
        };
        signed(
            "pss-key-salt-longest",
            Kind::RsaPss,
            Scheme::PssWith(longest),
        );
        for (id, hash) in [
            ("sha224", Sha224),
            ("sha512-256", Sha512T256),
            ("sha3-256", Sha3_256),
            ("sha3-384", Sha3_384),
            ("sha3-512", Sha3_512),
        ] {
            signed(&format!("pss-{id}"), rsa, Scheme::Pss(hash));
        }
        for (id, hash) in [
            ("sha512-256", Sha512T256),
            ("sha3-256", Sha3_256),
            ("sha3-384", Sha3_384),
            ("sha3-512", Sha3_512),
        ] {
            signed(&format!("rsa-{id}"), rsa, Scheme::Rsa(hash));
        }
        for (id, hash) in [
            ("sha3-256", Sha3_256),
            ("sha3-384", Sha3_384),
            ("sha3-512", Sha3_512),
        ] {
            signed(&format!("p256-{id}"), Kind::P256, Scheme::Ecdsa(hash));
        }
        for (id, hash) in [
            ("sha1", Sha1),
            ("sha224", Sha224),
            ("sha384", Sha384),
            ("sha512", Sha512),
        ] {
            signed(&format!("p256-{id}"), Kind::P256, Scheme::Ecdsa(hash));
        }
        signed("p384-sha256", Kind::P384, Scheme::Ecdsa(Sha256));
        signed("p384-sha384", Kind::P384, Scheme::Ecdsa(Sha384));
        signed("p384-sha512", Kind::P384, Scheme::Ecdsa(Sha512));
        signed("p521-sha256", Kind::P521, Scheme::Ecdsa(Sha256));
        signed("p521-sha512", Kind::P521, Scheme::Ecdsa(Sha512));
        signed("pss-key", Kind::RsaPss, Scheme::Pss(Sha256));
        signed("pss-key-bound", Kind::RsaPssSha256, Scheme::Pss(Sha256));
        signed("ed25519", Kind::Ed25519, Scheme::Ed25519);
        signed("ed448", Kind::Ed448, Scheme::Ed448);
        signed("secp256k1", Kind::Curve("secp256k1"), Scheme::Ecdsa(Sha256));
        signed(
            "brainpool",
            Kind::Curve("brainpoolP256r1"),
            Scheme::Ecdsa(Sha256),
        );
        signed("dsa", Kind::Dsa, Scheme::Dsa(Sha256));
        corpus.add(format!("sig-bad-{label}"), move |c| {
            c.at(label).bad_signature = true
        });
        corpus.add(format!("sig-bad-rsa-{label}"), move |c| {
            let issuer = c.get(label).issuer.clone();
            c.at(&issuer).kind(rsa);
            c.at(label).bad_signature = true;
        });
        corpus.add(format!("sig-inner-differs-{label}"), move |c| {
            c.at(label).inner = Some(Scheme::Ecdsa(Sha384).identifier());
        });
        corpus.add(format!("sig-outer-differs-{label}"), move |c| {
            c.at(label).outer = Some(Scheme::Ecdsa(Sha384).identifier());
        });
        corpus.add(format!("sig-unknown-algorithm-{label}"), move |c| {
            let unknown = der::sequence(&[der::oid("1.3.6.1.4.1.55555.3")]);
            c.at(label).inner = Some(unknown.clone());
            c.at(label).outer = Some(unknown);
        });
        corpus.add(format!("sig-ecdsa-null-parameters-{label}"), move |c| {
            let odd = der::sequence(&[der::oid("1.2.840.10045.4.3.2"), der::null()]);
            c.at(label).inner = Some(odd.clone());
            c.at(label).outer = Some(odd);
        });
        for (id, null, trailer) in [
            ("no-null", vec![], vec![]),
            ("trailer", der::null(), der::explicit(3, &der::integer(1))),
        ] {
            corpus.add(format!("sig-pss-{id}-{label}"), move |c| {
                let issuer = c.get(label).issuer.clone();
                c.at(&issuer).kind(rsa);
                c.at(label).scheme = Some(Scheme::Pss(Sha256));
                let hashed = der::sequence(&[der::oid("2.16.840.1.101.3.4.2.1"), null.clone()]);
                let masked = der::sequence(&[der::oid("1.2.840.113549.1.1.8"), hashed.clone()]);
                let odd = der::sequence(&[
                    der::oid("1.2.840.113549.1.1.10"),
                    der::sequence(&[
                        der::explicit(0, &hashed),
                        der::explicit(1, &masked),
                        der::explicit(2, &der::integer(32)),
                        trailer.clone(),
                    ]),
                ]);
                c.at(label).inner = Some(odd.clone());
                c.at(label).outer = Some(odd);
            });
        }
        corpus.add(format!("sig-rsa-no-parameters-{label}"), move |c| {
            let issuer = c.get(label).issuer.clone();
            c.at(&issuer).kind(rsa);
            let odd = der::sequence(&[der::oid("1.2.840.113549.1.1.11")]);
            c.at(label).inner = Some(odd.clone());
            c.at(label).outer = Some(odd);
        });
        corpus.add(format!("sig-rsa-parameters-inner-only-{label}"), move |c| {
            let issuer = c.get(label).issuer.clone();
            c.at(&issuer).kind(rsa);
            c.at(label).outer = Some(der::sequence(&[der::oid("1.2.840.113549.1.1.11")]));
        });
    }
}

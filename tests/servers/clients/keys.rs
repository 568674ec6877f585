//! Keys and signatures. OpenSSL generates the keys; they are kept in the target directory between
//! runs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};

use crate::clients::der;
use crate::clients::run::run;
use crate::clients::spec::{Hash, Pss, Scheme};

/// Type of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    P256,
    P384,
    P521,
    /// A curve by its OpenSSL name.
    Curve(&'static str),
    /// P-256 with explicit parameters (X9.62 specifiedCurve).
    ExplicitP256,
    Ed25519,
    Ed448,
    Rsa(u32),
    RsaExponent3,
    /// A public exponent of 2^n + 1.
    RsaExponent(u32),
    /// A public exponent of 1: a signature is the encoded message itself.
    RsaExponent1,
    /// id-RSASSA-PSS as the key's algorithm, without parameters.
    RsaPss,
    /// id-RSASSA-PSS as the key's algorithm, restricted to SHA-256.
    RsaPssSha256,
    Dsa,
}

/// A key: its type, and a name that distinguishes keys of one type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) name: String,
}

/// SHA-256 DigestInfo prefix (RFC 8017 section 9.2), for the key with exponent 1.
const SHA256_DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05,
    0x00, 0x04, 0x20,
];
const EXPONENT_1_BYTES: usize = 256;

#[derive(Default)]
pub(crate) struct Keys {
    folder: PathBuf,
    spkis: Mutex<HashMap<Key, Vec<u8>>>,
    p256: Mutex<HashMap<String, EcdsaKeyPair>>,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients-keys");
        fs::create_dir_all(&folder).unwrap();
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Path of the private key, PKCS #8 in PEM.
    pub(crate) fn pem(&self, key: &Key) -> PathBuf {
        self.path(key, "pem")
    }

    /// The private key, PKCS #8 in DER.
    pub(crate) fn pkcs8(&self, key: &Key) -> Vec<u8> {
        self.spki(key);
        fs::read(self.path(key, "der")).unwrap()
    }

    fn path(&self, key: &Key, extension: &str) -> PathBuf {
        let kind: String = format!("{:?}", key.kind)
            .chars()
            .filter(|c| c.is_ascii_alphanumeric())
            .collect();
        self.folder.join(format!("{kind}-{}.{extension}", key.name))
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self, key: &Key) -> Vec<u8> {
        if let Some(known) = self.spkis.lock().unwrap().get(key) {
            return known.clone();
        }
        let spki = if key.kind == Kind::RsaExponent1 {
            exponent_1()
        } else {
            self.generate(key)
        };
        self.spkis.lock().unwrap().insert(key.clone(), spki.clone());
        spki
    }

    fn generate(&self, key: &Key) -> Vec<u8> {
        let (pem, private, public) = (self.pem(key), self.path(key, "der"), self.path(key, "spki"));
        if !public.exists() {
            let mut command = Command::new("openssl");
            command.arg("genpkey").arg("-out").arg(&pem);
            if key.kind == Kind::Dsa {
                let parameters = self.path(key, "parameters");
                run(Command::new("openssl")
                    .args(["genpkey", "-genparam", "-algorithm", "DSA"])
                    .args(["-pkeyopt", "dsa_paramgen_bits:2048"])
                    .args(["-pkeyopt", "dsa_paramgen_q_bits:256", "-out"])
                    .arg(&parameters));
                command.arg("-paramfile").arg(parameters);
            } else {
                command.args(genpkey(key.kind));
            }
            run(&mut command);
            run(Command::new("openssl")
                .args(["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in"])
                .arg(&pem)
                .arg("-out")
                .arg(&private));
            run(Command::new("openssl")
                .args(["pkey", "-pubout", "-outform", "DER", "-in"])
                .arg(&pem)
                .arg("-out")
                .arg(&public));
        }
        fs::read(public).unwrap()
    }

    /// Signs a TBSCertificate.
    pub(crate) fn sign(&self, key: &Key, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        self.spki(key);
        match (key.kind, scheme) {
            (Kind::P256, Scheme::Ecdsa(Hash::Sha256)) => self.sign_p256(key, message),
            (Kind::RsaExponent1, _) => encoded_message(message),
            _ => self.sign_by_openssl(key, scheme, message),
        }
    }

    fn sign_p256(&self, key: &Key, message: &[u8]) -> Vec<u8> {
        let mut pairs = self.p256.lock().unwrap();
        let pair = pairs.entry(key.name.clone()).or_insert_with(|| {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8(key)).unwrap()
        });
        pair.sign(&SystemRandom::new(), message)
            .unwrap()
            .as_ref()
            .to_vec()
    }

    fn sign_by_openssl(&self, key: &Key, scheme: Scheme, message: &[u8]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join("in"), folder.path().join("out"));
        fs::write(&input, message).unwrap();
        let mut command = Command::new("openssl");
        match scheme {
            Scheme::Ed25519 | Scheme::Ed448 => {
                command.args(["pkeyutl", "-rawin", "-sign", "-inkey"]);
                command.arg(self.pem(key)).arg("-in").arg(&input);
                command.arg("-out").arg(&output);
            }
            Scheme::Pss(hash)
            | Scheme::PssWith(Pss { hash, .. })
            | Scheme::Rsa(hash)
            | Scheme::Ecdsa(hash)
            | Scheme::Dsa(hash) => {
                command.args(["dgst", hash.openssl()]);
                let pss = match scheme {
                    Scheme::Pss(hash) => Some(Pss::of(hash)),
                    Scheme::PssWith(pss) => Some(pss),
                    _ => None,
                };
                if let Some(Pss { mask, salt, .. }) = pss {
                    command.args(["-sigopt", "rsa_padding_mode:pss", "-sigopt"]);
                    command.arg(format!("rsa_pss_saltlen:{salt}"));
                    let mask = mask.openssl().trim_start_matches('-');
                    command.arg("-sigopt").arg(format!("rsa_mgf1_md:{mask}"));
                }
                command.arg("-out").arg(&output);
                command.arg("-sign").arg(self.pem(key)).arg(&input);
            }
        }
        run(&mut command);
        fs::read(output).unwrap()
    }
}

/// Options of `openssl genpkey`.
fn genpkey(kind: Kind) -> Vec<String> {
    let curve = |name: &str, encoding: &str| {
        vec![
            "-algorithm".into(),
            "EC".into(),
            "-pkeyopt".into(),
            format!("ec_paramgen_curve:{name}"),
            "-pkeyopt".into(),
            format!("ec_param_enc:{encoding}"),
        ]
    };
    let rsa = |algorithm: &str, bits: u32| {
        vec![
            "-algorithm".to_owned(),
            algorithm.to_owned(),
            "-pkeyopt".to_owned(),
            format!("rsa_keygen_bits:{bits}"),
        ]
    };
    let with = |mut options: Vec<String>, more: &[&str]| {
        options.extend(more.iter().map(|o| (*o).to_owned()));
        options
    };
    match kind {
        Kind::P256 => curve("P-256", "named_curve"),
        Kind::P384 => curve("P-384", "named_curve"),
        Kind::P521 => curve("P-521", "named_curve"),
        Kind::Curve(name) => curve(name, "named_curve"),
        Kind::ExplicitP256 => curve("P-256", "explicit"),
        Kind::Ed25519 => vec!["-algorithm".into(), "ED25519".into()],
        Kind::Ed448 => vec!["-algorithm".into(), "ED448".into()],
        // Five primes: generating a key of 16384 bits with two takes minutes.
        Kind::Rsa(bits @ 8192..) => with(rsa("RSA", bits), &["-pkeyopt", "rsa_keygen_primes:5"]),
        Kind::Rsa(bits) => rsa("RSA", bits),
        Kind::RsaExponent3 => with(rsa("RSA", 2048), &["-pkeyopt", "rsa_keygen_pubexp:3"]),
        Kind::RsaExponent(bits) => {
            let exponent = format!("rsa_keygen_pubexp:{}", (1_u64 << bits) + 1);
            with(rsa("RSA", 2048), &["-pkeyopt", &exponent])
        }
        Kind::RsaPss => rsa("RSA-PSS", 2048),
        Kind::RsaPssSha256 => with(
            rsa("RSA-PSS", 2048),
            &[
                "-pkeyopt",
                "rsa_pss_keygen_md:sha256",
                "-pkeyopt",
                "rsa_pss_keygen_mgf1_md:sha256",
                "-pkeyopt",
                "rsa_pss_keygen_saltlen:32",
            ],
        ),
        Kind::Dsa | Kind::RsaExponent1 => unreachable!("made elsewhere"),
    }
}

/// A 2048-bit RSA key with exponent 1. Its modulus is an arbitrary number: signatures need no
/// private key.
fn exponent_1() -> Vec<u8> {
    let modulus: Vec<u8> = (0..EXPONENT_1_BYTES)
        .map(|i| if i == 0 { 0xc1 } else { (i * 37 + 1) as u8 | 1 })
        .collect();
    let key = der::sequence(&[der::unsigned(&modulus), der::integer(1)]);
    der::sequence(&[
        der::sequence(&[der::oid("1.2.840.113549.1.1.1"), der::null()]),
        der::bits(&key),
    ])
}

/// EMSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 9.2).
fn encoded_message(message: &[u8]) -> Vec<u8> {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, message);
    let payload = [&SHA256_DIGEST_INFO, digest.as_ref()].concat();
    let mut out = vec![0, 1];
    out.resize(EXPONENT_1_BYTES - payload.len() - 1, 0xff);
    out.push(0);
    out.extend(payload);
    out
}

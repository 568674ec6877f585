//! `openssl s_server`: keys, certificates and versions that other servers no longer support.

use std::path::Path;
use std::process::Command;

use certvigil::certificate::Certificate;
use certvigil::testbed::authority::{self, Key, Validity};

use crate::fixture::check::{Check, Row};
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::process::Process;

/// Starts s_server at 127.0.0.1 with the leaf, the certificates of the file `rest` after it, and
/// more options.
pub(crate) fn s_server(pki: &Pki, leaf: &Leaf, rest: &Path, options: &str) -> Process {
    let certificate = pki.chain(&[&leaf.certificate]);
    Process::start(&["127.0.0.1"], |_, port| {
        let mut command = Command::new("openssl");
        command
            .args(["s_server", "-quiet", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .arg("-cert")
            .arg(&certificate)
            .arg("-key")
            .arg(&leaf.key)
            .arg("-cert_chain")
            .arg(rest)
            .args(options.split(' ').filter(|o| !o.is_empty()));
        command
    })
}

fn look(pki: &Pki, leaf: &Leaf, options: &str) -> Row {
    let server = s_server(pki, leaf, &pki.path("intermediate.pem"), options);
    Check::of(pki, leaf, &["127.0.0.1"], server.port).row()
}

#[test]
#[ignore = "needs openssl"]
fn common_keys_and_cipher_suites_are_supported() {
    let pki = Pki::new();
    let p256 = pki.leaf(&[HOST]);
    let rsa = pki.openssl("rsa:2048", "");
    let p384 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-384");
    let p521 = pki.openssl("ec", "-pkeyopt ec_paramgen_curve:P-521");
    let ed25519 = pki.openssl("ed25519", "");
    for (leaf, options, suite) in [
        (
            &p256,
            "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
        ),
        (
            &p256,
            "-tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256",
            "TLS_AES_128_GCM_SHA256",
        ),
        (
            &rsa,
            "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
            "TLS_AES_256_GCM_SHA384",
        ),
        (
            &rsa,
            "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        ),
        (
            &rsa,
            "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305",
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (
            &p256,
            "-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        ),
        (
            &p256,
            "-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        (&p384, "-tls1_3", ""),
        (&p384, "-tls1_2", ""),
        (&p521, "-tls1_3", ""),
        (&p521, "-tls1_2", ""),
        (&p256, "-tls1_3 -groups P-521", ""),
        (&p256, "-tls1_2 -groups P-521:P-256", ""),
        (&ed25519, "-tls1_3", ""),
        (&ed25519, "-tls1_2", ""),
    ] {
        let row = look(&pki, leaf, options);
        assert_eq!(row.outcome(), "conclusive", "{options}: {row:?}");
        // Chromium supports neither the group nor these keys.
        let has_p521_alone = options.ends_with("-groups P-521");
        let has_rare_key = std::ptr::eq(leaf, &p521) || std::ptr::eq(leaf, &ed25519);
        let codes: &[&str] = match has_p521_alone || has_rare_key {
            true => &["refused_by_clients"],
            false => &[],
        };
        row.assert_right(codes);
        assert_eq!(row.flag("trusted"), Some(true), "{options}: {row:?}");
        let seen = row.text("/served/cipher_suite");
        assert!(seen == suite || suite.is_empty(), "{options}: {seen}");
    }
}

#[test]
#[ignore = "needs openssl"]
fn rsa_pss_key_is_supported() {
    let pki = Pki::new();
    let leaf = pki.openssl("rsa-pss", "-pkeyopt rsa_keygen_bits:2048");
    let row = look(&pki, &leaf, "-tls1_3");
    // Go, Chromium and rustls offer no signature scheme for this key.
    row.assert_right(&["refused_by_clients"]);
    assert_eq!(row.text("/served/key_proof"), "handshake");
}

#[test]
#[ignore = "needs openssl"]
fn nonconformant_certificate_is_probed_and_must_prove_its_key() {
    let pki = Pki::new();
    let old = "-cipher DEFAULT@SECLEVEL=0";
    for (leaf, codes, proof) in [
        (
            pki.openssl("rsa:1024", ""),
            ["weak_key"].as_slice(),
            "bare_key",
        ),
        (
            pki.version_1("rsa:2048"),
            &["nonconformant_certificate"],
            "bare_key",
        ),
        (
            pki.version_1("rsa:1024"),
            &["weak_key", "nonconformant_certificate"],
            "bare_key",
        ),
        (
            pki.openssl("rsa:2048", "-sha1"),
            &["weak_signature"],
            "handshake",
        ),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            let row = look(&pki, &leaf, &format!("{version} {old}"));
            assert_eq!(row.outcome(), "conclusive", "{row:?}");
            assert_eq!(row.flag("correct"), Some(true), "{row:?}");
            assert_eq!(row.text("/served/key_proof"), proof, "{version} {row:?}");
            for code in codes {
                assert!(row.codes().contains(code), "no {code}: {row:?}");
            }
        }
    }
}

/// `count` unrelated certificates, each for `names` names.
fn unrelated_certificates(count: usize, names: usize) -> Vec<Certificate> {
    let key = Key::generate().unwrap();
    let validity = Validity::around(now(), 10, 100);
    let names: Vec<String> = (0..names).map(|n| format!("{n}.example.net")).collect();
    let stranger = |_| {
        authority::self_signed(&names, validity, &key)
            .unwrap()
            .certificate
    };
    (0..count).map(stranger).collect()
}

#[test]
#[ignore = "needs openssl"]
fn chain_over_its_limits_is_too_large() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (unrelated_certificates, seen) in [
        (unrelated_certificates(88, 1), 90),
        (unrelated_certificates(98, 1), 100),
        (unrelated_certificates(99, 1), 101),
        // A few certificates, but more than 64 KiB in one handshake message.
        (unrelated_certificates(20, 200), 0),
    ] {
        let mut chain = vec![&pki.intermediate.certificate];
        chain.extend(&unrelated_certificates);
        let server = s_server(&pki, &leaf, &pki.chain(&chain), "");
        let row = Check::of(&pki, &leaf, &["127.0.0.1"], server.port).row();
        if matches!(seen, 1..=100) {
            // Java rejects a list of more than ten certificates.
            row.assert_right(&["refused_by_clients", "unrelated_certificate"]);
            assert_eq!(row.0["served"]["chain"].as_array().unwrap().len(), seen - 1);
        } else {
            assert_eq!(row.outcome(), "too_large", "{seen}: {row:?}");
            assert_eq!(row.codes(), ["handshake_failed"]);
        }
    }
}

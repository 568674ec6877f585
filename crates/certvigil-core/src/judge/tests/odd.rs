//! Certificates that strict parsers refuse are compared by their bytes, and their oddities are
//! reported.

use super::*;
use crate::observation::Alert;

#[test]
fn nonconformant_certificate_is_compared_and_its_oddities_reported() {
    for (name, codes, words) in [
        (
            "v1",
            &["hostname_mismatch", "nonconformant_certificate"][..],
            "it is X.509 version 1, not 3, it has no subject alternative name",
        ),
        (
            "negative-serial",
            &["nonconformant_certificate"],
            "its serial number is negative",
        ),
        (
            "critical-extension",
            &["untrusted_root"],
            "the certificate has the critical extension 1.3.6.1.4.1.55555.1, which clients do not know",
        ),
    ] {
        let case = Case::of_testdata(&[name], &["root"]);
        assert_eq!(case.codes(), codes, "{name}");
        let (message, _) = case.reported(codes[codes.len() - 1]);
        assert!(message.ends_with(words), "{name}: {message}");
        let flags = case.flags();
        assert!(flags.correct && flags.chained, "{name}");
        assert_eq!(flags.expired, Some(false), "{name}");
        // Some strict clients accept a negative serial number, others do not.
        assert_eq!(flags.trusted, Some(name == "negative-serial"), "{name}");
        let other = Case {
            expected: pin(&testdata("leaf")),
            ..case
        };
        assert_eq!(other.codes()[0], "wrong_certificate");
        assert!(!other.flags().correct);
    }
}

#[test]
fn one_oddity_does_not_hide_another() {
    let case = Case::of_testdata(&["two-faults"], &["root"]);
    let (message, _) = case.reported("nonconformant_certificate");
    for words in ["serial number is negative", "no subject alternative name"] {
        assert!(message.contains(words), "{message}");
    }
    assert!(
        case.reported("untrusted_root")
            .0
            .contains("critical extension")
    );
}

#[test]
fn legacy_tls_version_is_reported_with_the_key_proof() {
    let case = Case::of_testdata(&["leaf"], &["root"]);
    let others = case.codes();
    for (version, proof, message) in [
        (TlsVersion::Tls13, KeyProof::Handshake, None),
        (TlsVersion::Tls12, KeyProof::Handshake, None),
        (TlsVersion::Tls12, KeyProof::None, None),
        (
            TlsVersion::Tls11,
            KeyProof::BareKey,
            Some("nothing newer than TLS 1.1"),
        ),
        (
            TlsVersion::Tls10,
            KeyProof::None,
            Some("nothing newer than TLS 1.0"),
        ),
        (
            TlsVersion::Ssl30,
            KeyProof::None,
            Some("nothing newer than SSL 3.0"),
        ),
    ] {
        let judged = case.judged_in(version, proof);
        let codes = judged.codes();
        let mut without = codes.clone();
        without.retain(|code| code != "legacy_protocol");
        assert_eq!(without, others, "{version}");
        assert_eq!(codes.len() > without.len(), message.is_some(), "{version}");
        if let Some(message) = message {
            let (reported, _) = judged.reported("legacy_protocol");
            assert!(reported.contains(message), "{reported}");
            assert_eq!(reported.contains("not proved"), proof == KeyProof::None);
        }
        assert_eq!(judged.flags(), case.flags(), "{version}");
    }
}

#[test]
fn handshake_refused_by_clients_is_reported() {
    let case = Case::of_testdata(&["leaf"], &["root"]);
    let others = case.codes();
    let parameters = |secure_renegotiation, dh_bits| Parameters {
        secure_renegotiation,
        dh_bits,
        ..Parameters::default()
    };
    let refused = |rare_group, sha1_signature| Parameters {
        rare_group,
        sha1_signature,
        refused_common_offer: true,
        ..Parameters::default()
    };
    for (version, suite, parameters, code, words) in [
        (
            TlsVersion::Tls12,
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            parameters(Some(true), None),
            "legacy_cipher",
            "3DES",
        ),
        (
            TlsVersion::Tls12,
            "TLS_RSA_WITH_NULL_SHA",
            parameters(Some(true), None),
            "legacy_cipher",
            "no encryption",
        ),
        (
            TlsVersion::Tls12,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            parameters(Some(false), None),
            "refused_by_clients",
            "OpenSSL 3",
        ),
        (
            TlsVersion::Tls12,
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            parameters(Some(true), Some(1024)),
            "refused_by_clients",
            "1024 bits",
        ),
        (
            TlsVersion::Tls12,
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            parameters(Some(true), Some(512)),
            "refused_by_clients",
            "Java",
        ),
        (
            TlsVersion::Tls12,
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            parameters(Some(true), Some(2048)),
            "refused_by_clients",
            "rustls refuses the server",
        ),
        (
            TlsVersion::Tls12,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            refused(Some("x448"), false),
            "refused_by_clients",
            "GCM_SHA256 over x448",
        ),
        (
            TlsVersion::Tls12,
            "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
            refused(None, false),
            "refused_by_clients",
            "Go, Chromium and rustls refuse",
        ),
        (
            TlsVersion::Tls13,
            "TLS_AES_128_GCM_SHA256",
            refused(Some("secp521r1"), false),
            "refused_by_clients",
            "Chromium and rustls refuse the server",
        ),
        (
            TlsVersion::Tls12,
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            refused(None, true),
            "refused_by_clients",
            "signed with SHA-1",
        ),
        (
            TlsVersion::Tls13,
            "TLS_AES_128_GCM_SHA256",
            Parameters::default(),
            "",
            "",
        ),
    ] {
        let judged = case.judged_with(version, suite, KeyProof::BareKey, parameters);
        let mut codes = judged.codes();
        codes.retain(|code| !others.contains(code));
        codes.dedup();
        let wanted: Vec<&str> = [code].into_iter().filter(|c| !c.is_empty()).collect();
        assert_eq!(codes, wanted, "{suite}");
        if let Some(code) = wanted.first() {
            let findings = judged.findings.iter();
            let mut messages = findings
                .filter(|f| f.code().name() == *code)
                .map(|f| f.message());
            assert!(messages.any(|m| m.contains(words)), "{suite}: {words}");
        }
        assert_eq!(judged.flags(), case.flags(), "{suite}");
    }
}

/// Parameters of a server that refused what these clients offer: Go with Chromium, Java, and GnuTLS.
fn refusing(
    refused_common_offer: bool,
    refused_java_offer: bool,
    refused_gnutls_offer: bool,
) -> Parameters {
    Parameters {
        refused_common_offer,
        refused_java_offer,
        refused_gnutls_offer,
        ..Parameters::default()
    }
}

#[test]
fn clients_without_a_common_handshake_refuse_the_server() {
    let case = pki().right;
    let brainpool = Parameters {
        rare_group: Some("brainpoolP256r1"),
        ..refusing(true, true, true)
    };
    for (version, suite, parameters, refusing, severity) in [
        (
            "1.3",
            "TLS_AES_128_GCM_SHA256",
            refusing(false, false, false),
            "",
            Severity::Ok,
        ),
        (
            "1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            refusing(false, false, false),
            "",
            Severity::Ok,
        ),
        (
            "1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            refusing(false, false, false),
            "rustls",
            Severity::Warning,
        ),
        (
            "1.2",
            // The leaf's keyUsage has no keyEncipherment.
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            refusing(false, true, false),
            "gnutls java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_RSA_WITH_AES_256_CBC_SHA256",
            refusing(true, true, true),
            "gnutls go java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_RSA_WITH_CAMELLIA_128_CBC_SHA",
            refusing(true, true, true),
            "openssl gnutls go java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            brainpool,
            "openssl gnutls go java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
            refusing(true, true, false),
            "openssl go java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384",
            refusing(true, false, true),
            "gnutls go chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            // It has a suite with CBC and SHA-1 too.
            "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256",
            refusing(true, false, false),
            "go chromium rustls",
            Severity::Warning,
        ),
        (
            "1.2",
            "TLS_RSA_WITH_NULL_SHA256",
            refusing(false, false, false),
            "openssl gnutls go java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.2",
            "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
            refusing(false, false, false),
            "openssl gnutls java chromium rustls",
            Severity::Critical,
        ),
        (
            "1.1",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            refusing(false, false, false),
            "openssl go java chromium rustls",
            Severity::Warning,
        ),
    ] {
        let version = match version {
            "1.1" => TlsVersion::Tls11,
            "1.2" => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        let judged = case.judged_with(version, suite, KeyProof::Handshake, parameters);
        let clients = judged.clients.as_ref().unwrap();
        let names: Vec<_> = clients
            .refusals()
            .map(|(client, _)| client.name())
            .collect();
        assert_eq!(names.join(" "), refusing, "{suite}");
        let findings = judged.findings.iter().map(|f| f.severity);
        let severity_found = findings.filter(|s| *s > Severity::Info).max();
        assert_eq!(severity_found.unwrap_or(Severity::Ok), severity, "{suite}");
    }
}

#[test]
fn clients_refuse_parameters_of_a_handshake_that_they_can_negotiate() {
    let case = pki().right;
    let suite = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let none = Parameters::default();
    for (parameters, refusing, words) in [
        (none, "", ""),
        (
            Parameters {
                secure_renegotiation: Some(false),
                ..none
            },
            "openssl",
            "RFC 5746",
        ),
        (
            Parameters {
                unrecognized_name: true,
                ..none
            },
            "java",
            "`unrecognized_name`",
        ),
        (
            Parameters {
                no_renegotiation: true,
                ..none
            },
            "openssl gnutls java",
            "`no_renegotiation`",
        ),
        (
            Parameters {
                warning: Some(Alert::BAD_CERTIFICATE),
                ..none
            },
            "java",
            "`bad_certificate`",
        ),
        (
            Parameters {
                refused_large_hello: true,
                ..none
            },
            "chromium rustls",
            "one packet",
        ),
        (
            Parameters {
                dh_bits: Some(1024),
                ..none
            },
            "openssl",
            "1024 bits",
        ),
        (
            Parameters {
                dh_bits: Some(768),
                ..none
            },
            "openssl gnutls java",
            "768 bits",
        ),
    ] {
        let judged = case.judged_with(TlsVersion::Tls12, suite, KeyProof::Handshake, parameters);
        let clients = judged.clients.as_ref().unwrap();
        let names: Vec<_> = clients.refusals().map(|(c, _)| c.name()).collect();
        assert_eq!(names.join(" "), refusing, "{parameters:?}");
        let findings = judged.findings.iter();
        let found = findings.filter(|f| f.code().name() == "refused_by_clients");
        let found: Vec<_> = found.map(|f| (f.severity, f.message())).collect();
        assert_eq!(found.len(), usize::from(!refusing.is_empty()), "{found:?}");
        for (severity, message) in &found {
            assert_eq!(*severity, Severity::Warning);
            assert!(message.contains(words), "{message}");
        }
    }
}

#[test]
fn key_usage_is_judged_for_the_key_exchange() {
    use rcgen::KeyUsagePurpose::{DigitalSignature, KeyEncipherment};
    const STATIC: &str = "TLS_RSA_WITH_AES_128_GCM_SHA256";
    const EPHEMERAL: &str = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    for (usage, suite, refusing) in [
        (KeyEncipherment, STATIC, "rustls"),
        (KeyEncipherment, EPHEMERAL, "gnutls java chromium"),
        (DigitalSignature, STATIC, "gnutls java chromium rustls"),
        (DigitalSignature, EPHEMERAL, ""),
    ] {
        let chain = paths::Chain::new(paths::same, paths::same, |params| {
            params.key_usages = vec![usage];
        });
        let parameters = Parameters::default();
        let (version, proof) = (TlsVersion::Tls12, KeyProof::Handshake);
        let judged = chain.case().judged_with(version, suite, proof, parameters);
        let refusals = judged.clients.as_ref().unwrap().refusals();
        let names: Vec<_> = refusals.map(|(client, _)| client.name()).collect();
        assert_eq!(names.join(" "), refusing, "{usage:?} {suite}");
    }
}

#[test]
fn weak_keys_and_signatures_are_warnings() {
    for (served, root, codes, words) in [
        (
            &["rsa1024"][..],
            "root",
            &["weak_key"][..],
            "weak key: RSA 1024",
        ),
        (&["p192"], "root", &["weak_key"], "weak key: EC P-192"),
        (
            &["md5"],
            "rsa-root",
            &["weak_signature"],
            "weak signature: md5WithRSA",
        ),
        (
            &["sha1"],
            "rsa-root",
            &["weak_signature"],
            "weak signature: sha1WithRSA",
        ),
        (
            &["below-sha1", "sha1-intermediate"],
            "rsa-root",
            &["weak_signature"],
            "the intermediate `SHA-1 Intermediate` has a weak signature: sha1WithRSA",
        ),
        (
            &["below-rsa1024", "rsa1024-root"],
            "rsa1024-root",
            &["weak_key", "root_included"],
            "the root `Short Root` has a weak key: RSA 1024",
        ),
    ] {
        let case = Case::of_testdata(served, &[root]);
        let found = case.codes();
        assert!(
            codes.iter().all(|c| found.iter().any(|f| f == c)),
            "{served:?}: {found:?}"
        );
        assert_eq!(case.judged().severity(), Severity::Warning, "{served:?}");
        assert!(
            case.reported(codes[0]).0.contains(words),
            "{:?}",
            case.reported(codes[0])
        );
        assert!(case.flags().correct && case.flags().chained, "{served:?}");
    }
}

/// The subject of such a leaf is its issuer's name, but its own key did not sign it.
#[test]
fn weak_signature_of_an_authority_with_the_leafs_name_is_reported() {
    for leaf in ["namesake-sha1", "namesake-md5"] {
        let case = Case::of_testdata(&[leaf], &["namesake-root"]);
        assert_eq!(case.flags().trusted, Some(false), "{leaf}");
        let (message, _) = case.reported("weak_signature");
        assert!(message.contains("weak signature"), "{message}");
        let judged = case.judged();
        let refusals = judged.clients.iter().flat_map(|clients| clients.refusals());
        let refusing: Vec<_> = refusals.map(|(client, _)| client.name()).collect();
        let expected = match leaf {
            // Java refuses SHA-1 below its own roots only.
            "namesake-sha1" => &["openssl", "gnutls", "go", "chromium", "rustls"][..],
            _ => &["openssl", "gnutls", "go", "java", "chromium", "rustls"],
        };
        assert_eq!(refusing, expected, "{leaf}");
    }
    let own = Case::of_testdata(&["self-sha1"], &["self-sha1"]);
    assert!(!own.codes().contains(&"weak_signature".into()));
}

#[test]
fn self_signature_of_a_root_is_ignored() {
    let case = Case::of_testdata(&["leaf", "intermediate", "root"], &["root"]);
    assert_eq!(case.codes(), ["root_included"]);
    let own = Case::of_testdata(&["selfsigned-ca"], &["root"]);
    assert_eq!(own.codes(), ["self_signed"]);
}

#[test]
fn verifiable_rare_signatures_complete_a_chain() {
    for (served, root) in [
        ("below-pss", "pss-root"),
        ("below-rsa1024", "rsa1024-root"),
        ("sha512-on-p256", "root"),
    ] {
        let case = Case::of_testdata(&[served], &[root]);
        assert!(case.flags().chained, "{served}");
        assert_eq!(case.flags().trusted, Some(true), "{served}");
        // A key of one kind cannot make a signature of another kind.
        let other = if root == "pss-root" {
            "root"
        } else {
            "pss-root"
        };
        let case = Case::of_testdata(&[served, other], &[other]);
        assert!(!case.flags().chained, "{served}");
    }
}

#[test]
fn unverifiable_signature_leaves_the_chain_incomplete_and_untrusted() {
    let brainpool = Case::of_testdata(&["below-brainpool"], &["brainpool-root"]);
    assert_eq!(brainpool.codes(), ["nonconformant_certificate"]);
    assert_eq!(brainpool.flags().trusted, Some(false));
    let (message, _) = brainpool.reported("nonconformant_certificate");
    assert_eq!(
        message,
        "the path cannot be judged: the certificate is signed with brainpoolP256r1, which certvigil cannot verify"
    );
    assert!(!brainpool.flags().chained);
    let leaf = testdata("below-brainpool");
    let known = instance(&leaf, &[testdata("brainpool-root")]);
    let in_full = brainpool
        .serving([leaf, testdata("brainpool-root")])
        .expecting(expect(Instances::only(known)));
    assert!(in_full.flags().correct && !in_full.flags().chained);
    let trust_only = brainpool.expecting(Expected::trust_only());
    assert_eq!(trust_only.codes(), ["untrusted_root"]);
    assert!(!trust_only.flags().correct);
}

/// OpenSSL makes self-signed certificates with CA:TRUE, and clients with one in their store accept
/// it.
#[test]
fn self_signed_authority_in_the_trust_store_is_trusted() {
    let own = Case::of_testdata(&["selfsigned-ca"], &["selfsigned-ca"]);
    assert_eq!(own.flags().trusted, Some(true));
    assert!(own.flags().chained);
}

#[test]
fn nonconformant_intermediate_is_reported() {
    let case = Case::of_testdata(&["below-v1", "v1-intermediate"], &["root"]);
    assert_eq!(
        case.codes(),
        ["invalid_authority", "nonconformant_certificate"]
    );
    let flags = case.flags();
    assert!(flags.correct && flags.chained && flags.trusted == Some(false));
    assert_eq!(
        case.reported("nonconformant_certificate").0,
        "strict clients refuse the intermediate `Old Intermediate`: it is X.509 version 1, not 3"
    );
}

#[test]
fn certificate_with_trailing_bytes_is_another_certificate() {
    let pki = pki();
    let mut der = pki.leaf().der().to_vec();
    der.push(0);
    let longer = Certificate::from_der(der);
    let case = pki.right.serving([longer.clone(), pki.mid.cert()]);
    assert_eq!(
        case.codes(),
        ["same_key_other_certificate", "untrusted_root"]
    );
    let (message, _) = case.reported("untrusted_root");
    assert!(message.contains("bytes after its end"), "{message}");
    assert!(case.expecting(pin(&longer)).flags().correct);
}

/// The server has the certificate that it should have, so what clients think of it is a warning.
#[test]
fn a_deviation_of_an_expected_leaf_is_a_warning() {
    let pki = pki();
    let mut der = pki.leaf().der().to_vec();
    der.push(0);
    let longer = Certificate::from_der(der);
    let case = pki.right.serving([longer.clone(), pki.mid.cert()]);
    let expected = case.expecting(pin(&longer));
    assert_eq!(
        expected.codes(),
        ["refused_by_clients", "nonconformant_certificate"]
    );
    let flags = expected.flags();
    assert!(flags.correct && flags.trusted == Some(false));
    let codes = case.expecting(Expected::trust_only()).codes();
    assert!(codes.contains(&"untrusted_root".to_owned()), "{codes:?}");
}

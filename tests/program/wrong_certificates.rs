//! Leaves that strict parsers refuse, and chains that are expensive to verify, on servers that are
//! otherwise correct.

use certvigil::certificate::Certificate;
use certvigil::testbed::authority::{Authority, Validity};
use rustls::version::{TLS12, TLS13};

use crate::fixture::check::{Check, Row};
use crate::fixture::der::{
    Fields, GENERALIZED_TIME, UNASSIGNED_OID, UTC_TIME, alternative_name, extension, name,
    on_unknown_curve, tlv,
};
use crate::fixture::pki::{HOST, Leaf, Pki, now};
use crate::fixture::tls::{self, Server};

/// The rows for this chain with TLS 1.2 and with TLS 1.3. Its leaf is expected. Another address of
/// the host serves another expected leaf, and is ok.
fn look(pki: &Pki, key: &Leaf, chain: &[&Certificate]) -> Vec<Row> {
    let good = pki.leaf(&[HOST]);
    let bytes: Vec<_> = chain.iter().map(|c| c.der().to_vec()).collect();
    let configs = [&TLS12, &TLS13]
        .map(|version| tls::config_of(bytes.clone(), tls::signing_key(key), &[version]).into());
    let right = tls::config(pki, &good);
    let server = Server::start("0.0.0.0", move |stream| {
        let config = match stream.local_addr().unwrap().ip().to_string().as_str() {
            "127.0.0.2" => &configs[0],
            "127.0.0.3" => &configs[1],
            _ => &right,
        };
        tls::complete_handshake(stream, config);
    });
    let pins = [chain[0].sha256(), good.certificate.sha256()].map(|pin| pin.to_string());
    let addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4"];
    let check = Check::new(pki).args(&["--fingerprint", &pins[0], "--fingerprint", &pins[1]]);
    let check = check.at(HOST, &addresses, server.port());
    // For a busy machine.
    let mut rows = check.args(&["--timeout", "60s"]).rows();
    let right = rows.pop().unwrap();
    assert_eq!(right.flag("trusted"), Some(true), "{right:?}");
    let codes: Vec<_> = right.codes();
    let others = codes.iter().filter(|code| **code != "addresses_disagree");
    assert_eq!(others.count(), 0, "{right:?}");
    rows
}

/// The codes of the findings, except for the disagreement with the other address.
fn codes(row: &Row) -> Vec<&str> {
    // Most of these certificates also violate the rules for public CAs.
    let findings = row.0["findings"].as_array().unwrap();
    let findings = findings.iter().filter(|f| f["severity"] != "info");
    let codes = findings.map(|f| f["code"].as_str().unwrap());
    codes.filter(|code| *code != "addresses_disagree").collect()
}

#[test]
fn nonconformant_leaf_is_compared_and_must_prove_its_key() {
    const ODD: &[&str] = &["nonconformant_certificate"];
    let pki = Pki::new();
    let mut mismatches = Vec::new();
    let key = pki.leaf(&[HOST]);
    let right = Fields::right(&key);
    let at = |tag, text: &str| (tag, text.to_owned());
    for (what, fields, trusted, expected, words) in [
        ("nothing", right.clone(), true, &[][..], ""),
        (
            "an extension of 60 KB",
            Fields {
                extensions: vec![
                    alternative_name(HOST.as_bytes()),
                    extension(UNASSIGNED_OID, false, &[5; 60_000]),
                ],
                ..right.clone()
            },
            true,
            // Java reads messages of at most 32 KiB.
            &["refused_by_clients"],
            "",
        ),
        (
            "a critical extension",
            Fields {
                extensions: vec![
                    alternative_name(HOST.as_bytes()),
                    extension(UNASSIGNED_OID, true, &[5, 0]),
                ],
                ..right.clone()
            },
            false,
            &["untrusted_root"],
            "has the critical extension 1.3.6.1.4.1.55555.1",
        ),
        (
            "no alternative name",
            Fields {
                extensions: vec![],
                ..right.clone()
            },
            false,
            &["hostname_mismatch", "nonconformant_certificate"],
            "it has no subject alternative name",
        ),
        (
            "NUL in the alternative name",
            Fields {
                extensions: vec![alternative_name(b"www.example.com\0.example.net")],
                ..right.clone()
            },
            false,
            &["hostname_mismatch", "nonconformant_certificate"],
            "none of its subject alternative names is a host name",
        ),
        (
            "NUL in the common name",
            Fields {
                subject: name(b"www.example.com\0.example.net"),
                ..right.clone()
            },
            true,
            &[],
            "",
        ),
        (
            "a negative serial",
            Fields {
                serial: vec![0x80, 1],
                ..right.clone()
            },
            true,
            ODD,
            "its serial number is negative",
        ),
        (
            "a serial of 40 bytes",
            Fields {
                serial: vec![1; 40],
                ..right.clone()
            },
            true,
            &[],
            "",
        ),
        (
            "the end of time",
            Fields {
                not_after: at(GENERALIZED_TIME, "99991231235959Z"),
                ..right.clone()
            },
            true,
            &[],
            "",
        ),
        (
            "UTCTime beyond 2050, which is one before 2000",
            Fields {
                not_after: at(UTC_TIME, "500101000000Z"),
                ..right.clone()
            },
            false,
            &["expired", "nonconformant_certificate"],
            "its notAfter is before its notBefore",
        ),
        (
            "GeneralizedTime before 2050",
            Fields {
                not_before: at(GENERALIZED_TIME, "20200101000000Z"),
                ..right.clone()
            },
            true,
            &[],
            "",
        ),
        (
            "no seconds",
            Fields {
                not_after: at(UTC_TIME, "4912312359Z"),
                ..right.clone()
            },
            true,
            &["refused_by_clients", "nonconformant_certificate"],
            "without seconds",
        ),
        (
            "an offset from UTC",
            Fields {
                not_before: at(UTC_TIME, "200101000000-0500"),
                ..right.clone()
            },
            false,
            &["refused_by_clients", "nonconformant_certificate"],
            "with an offset from UTC",
        ),
        (
            "a time that is none",
            Fields {
                not_before: at(UTC_TIME, "201301000000Z"),
                ..right.clone()
            },
            false,
            &["untrusted_root", "nonconformant_certificate"],
            "its validity cannot be read",
        ),
        (
            "a subject that is none",
            Fields {
                subject: tlv(0x30, &[0x31, 0x7f]),
                ..right
            },
            true,
            ODD,
            "a part of its subject cannot be read",
        ),
    ] {
        let leaf = fields.signed(&pki);
        for row in look(&pki, &key, &[&leaf, &pki.intermediate.certificate]) {
            assert_eq!(row.outcome(), "conclusive", "{what}: {row:?}");
            assert_eq!(row.flag("correct"), Some(true), "{what}: {row:?}");
            let seen = (row.flag("trusted"), codes(&row));
            if seen != (Some(trusted), expected.to_vec()) {
                mismatches.push(format!("{what}: {seen:?}"));
            }
            if !words.is_empty() {
                let findings = row.0["findings"].as_array().unwrap();
                let mut findings = findings.iter().filter(|f| f["severity"] != "info");
                let is_said = findings.any(|f| f["message"].as_str().unwrap().contains(words));
                assert!(is_said, "{what}: {row:?}");
            }
            let proof = row.text("/served/key_proof");
            assert!(
                ["handshake", "bare_key"].contains(&proof),
                "{what}: {row:?}"
            );
        }
        // A server with only a copy of the certificate does not pass as its owner.
        let other = pki.leaf(&[HOST]);
        for row in look(&pki, &other, &[&leaf, &pki.intermediate.certificate]) {
            assert_eq!(row.outcome(), "tls_signature", "{what}: {row:?}");
        }
    }
    assert!(mismatches.is_empty(), "{mismatches:#?}");
}

#[test]
fn leaf_with_an_unverifiable_key_proves_nothing() {
    let pki = Pki::new();
    let key = pki.leaf(&[HOST]);
    let fields = Fields {
        spki: on_unknown_curve(),
        ..Fields::right(&key)
    };
    let leaf = fields.signed(&pki);
    let rows = look(&pki, &key, &[&leaf]);
    let [tls12, tls13] = &rows[..] else {
        panic!("{rows:?}");
    };
    // TLS 1.2 has one algorithm for all curves.
    assert_eq!(tls12.outcome(), "conclusive", "{tls12:?}");
    assert_eq!(tls12.text("/served/key_proof"), "none", "{tls12:?}");
    // With TLS 1.3 the algorithm is for a P-256 key, which this is not.
    assert_eq!(tls13.outcome(), "tls_signature", "{tls13:?}");
}

#[test]
fn too_long_leaf_is_refused() {
    let pki = Pki::new();
    let key = pki.leaf(&[HOST]);
    let fields = Fields {
        extensions: vec![extension(UNASSIGNED_OID, false, &[5; 1 << 16])],
        ..Fields::right(&key)
    };
    let leaf = fields.signed(&pki);
    for row in look(&pki, &key, &[&leaf]) {
        assert_eq!(row.outcome(), "too_large", "{row:?}");
        let words = "more certificates than are read";
        assert!(row.text("/error").contains(words), "{row:?}");
    }
}

/// CAs that all signed each other: the leaf of the first, the CAs, and all of their certificates.
fn maze(pki: &Pki, count: usize) -> (Leaf, Vec<Authority>, Vec<Certificate>) {
    let nodes: Vec<_> = (0..count)
        .map(|n| Authority::root(&format!("Node {n}"), long()).unwrap())
        .collect();
    let mut crossed = Vec::new();
    for below in &nodes {
        for above in &nodes {
            if above.certificate != below.certificate {
                crossed.push(above.cross_sign(below, long()).unwrap());
            }
        }
    }
    (pki.leaf_below(&nodes[0], &[HOST]), nodes, crossed)
}

fn long() -> Validity {
    Validity::around(now(), 100, 1000)
}

#[test]
fn path_is_found_among_many_cross_signed_certificates() {
    let pki = Pki::new();
    // Ten CAs that signed each other in every direction. The only path to the root is at the far
    // end.
    let (leaf, nodes, crossed) = maze(&pki, 10);
    let way_out = pki.root.cross_sign(&nodes[9], long()).unwrap();
    let with = |leaf: &Leaf, rest: &[Certificate]| -> Vec<Certificate> {
        std::iter::once(leaf.certificate.clone())
            .chain(rest.iter().cloned())
            .collect()
    };
    // CAs with the same name, each issued by the next, and the last one by the root.
    let mut of_one_name = Vec::new();
    let mut above = pki.root.intermediate("Same", long()).unwrap();
    of_one_name.push(above.certificate.clone());
    for _ in 0..4 {
        above = above.intermediate("Same", long()).unwrap();
        of_one_name.push(above.certificate.clone());
    }
    let below_one_name = pki.leaf_below(&above, &[HOST]);
    // The maximum number of certificates, all with the intermediate's name, and the correct one
    // last.
    let namesakes = (0..98).map(|_| {
        let namesake = pki.root.intermediate("Test Intermediate", long());
        namesake.unwrap().certificate
    });
    let namesakes: Vec<_> = namesakes
        .chain([pki.intermediate.certificate.clone()])
        .collect();
    let plain = pki.leaf(&[HOST]);
    for (what, key, chain, trusted) in [
        (
            "a maze with a way out",
            &leaf,
            with(&leaf, &[&crossed[..], &[way_out]].concat()),
            true,
        ),
        ("a maze without", &leaf, with(&leaf, &crossed), false),
        (
            "authorities of one name",
            &below_one_name,
            with(&below_one_name, &of_one_name),
            true,
        ),
        (
            "a hundred of one name",
            &plain,
            with(&plain, &namesakes),
            true,
        ),
    ] {
        for row in look(&pki, key, &chain.iter().collect::<Vec<_>>()) {
            assert_eq!(row.outcome(), "conclusive", "{what}: {row:?}");
            assert_eq!(row.flag("correct"), Some(true), "{what}: {row:?}");
            assert_eq!(row.flag("trusted"), Some(trusted), "{what}: {row:?}");
            assert_eq!(row.flag("chained"), Some(trusted), "{what}: {row:?}");
        }
    }
}

//! Servers that send hand-written bytes: forged, truncated or endless.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::cleartext::{assert_read, look};
use crate::fixture::check::Check;
use crate::fixture::pki::HOST;
use crate::fixture::pki::Pki;
use crate::fixture::tls::{Server, read_some, send_bytes, stay_silent};
use crate::support::for_each_concurrently;

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 3][..], &length, content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    let records = message.chunks(1 << 14).map(|part| record(22, part));
    records.collect::<Vec<_>>().concat()
}

/// A ServerHello with secure renegotiation (RFC 5746).
fn server_hello(version: u16, suite: u16) -> Vec<u8> {
    server_hello_with(version, suite, &[0xff, 0x01, 0, 1, 0])
}

fn server_hello_with(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([9; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    message(2, &body)
}

fn certificate(list: &[&[u8]]) -> Vec<u8> {
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = list
        .iter()
        .flat_map(|c| [u24(c.len()), c.to_vec()].concat())
        .collect();
    message(11, &[u24(list.len()), list].concat())
}

/// A ServerKeyExchange over P-256 with a forged signature: `ecdsa_secp256r1_sha256`.
fn forged(has_scheme: bool) -> Vec<u8> {
    let mut body = vec![3, 0, 23, 65, 4];
    body.extend([5; 64]);
    if has_scheme {
        body.extend([4, 3]);
    }
    let signature = [0x30, 6, 2, 1, 1, 2, 1, 1];
    body.extend([0, 8]);
    body.extend(signature);
    message(12, &body)
}

const HANDSHAKE_FAILURE: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];
const DONE: [u8; 9] = [22, 3, 3, 0, 4, 14, 0, 0, 0];

/// A server that refuses the first handshake with these bytes, and continues with the second.
fn refusing(
    first: &'static [u8],
    second: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> Server {
    refusing_all(1, first, second)
}

/// A server that refuses `refused` handshakes with these bytes, and continues with the next.
fn refusing_all(
    refused: usize,
    first: &'static [u8],
    next: impl Fn(&mut TcpStream) + Send + Sync + 'static,
) -> Server {
    let count = AtomicUsize::new(0);
    Server::start("127.0.0.1", move |stream| {
        read_some(stream);
        if count.fetch_add(1, Ordering::SeqCst) < refused {
            send_bytes(stream, first);
            if !first.is_empty() {
                stay_silent(stream);
            }
        } else {
            next(stream);
            stay_silent(stream);
        }
    })
}

#[test]
fn copied_certificate_is_conclusive_only_if_no_key_proof_exists() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (what, version, suite, is_signed, outcome, connections) in [
        // ECDHE-ECDSA with AES-GCM: rustls supports it, so rustls must complete the handshake.
        ("a suite of ours", 0x0303, 0xc02b, true, "tls_alert", 2),
        (
            "a suite of ours for another key",
            0x0303,
            0xc02f,
            true,
            "tls_alert",
            2,
        ),
        ("a suite of TLS 1.3", 0x0303, 0x1301, true, "tls_alert", 2),
        ("no encryption", 0x0303, 0x0001, false, "tls_alert", 2),
        ("CBC", 0x0303, 0xc023, true, "tls_signature", 2),
        ("TLS 1.0", 0x0301, 0xc009, true, "tls_signature", 2),
        ("SSL 3.0", 0x0300, 0xc009, true, "tls_signature", 2),
        ("no signature", 0x0303, 0xc009, false, "tls_protocol", 2),
        ("a suite for RSA", 0x0303, 0x002f, false, "tls_protocol", 2),
        // ECDH: the key is the exchange, and nothing is signed. The third ClientHello tests whether
        // the server accepts what Go and Chromium offer, the fourth whether it accepts TLS 1.3, and
        // the others whether it accepts what Java and what GnuTLS offer.
        ("nothing to prove", 0x0303, 0xc004, false, "conclusive", 6),
    ] {
        let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
        let mut flight = server_hello(version, suite);
        flight.extend(certificate(&chain));
        if is_signed {
            flight.extend(forged(version == 0x0303));
        }
        flight.extend(DONE);
        let server = refusing(&HANDSHAKE_FAILURE, move |stream| {
            send_bytes(stream, &flight)
        });
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
        assert_eq!(server.connections(), connections, "{what}");
        if outcome == "conclusive" {
            assert_eq!(row.text("/served/key_proof"), "none");
        }
    }
}

#[test]
fn ssl_3_0_server_is_read_and_reported() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0300, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let server = refusing(&HANDSHAKE_FAILURE, move |stream| {
        send_bytes(stream, &flight)
    });
    let row = look(&pki, &leaf, server.port());
    assert_read(
        &row,
        &["legacy_protocol"],
        "SSL 3.0",
        "TLS_ECDH_ECDSA_WITH_AES_256_CBC_SHA",
        "none",
        "",
    );
    let finding = row.finding("legacy_protocol").to_string();
    assert!(
        finding.contains("newer than SSL 3.0") && finding.contains("not proved"),
        "{finding}"
    );
}

#[test]
fn second_handshake_is_tried_only_without_common_parameters() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0301, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    // A ServerHello of TLS 1.0, and one of TLS 1.2 with a suite that was not offered.
    let old: &'static [u8] = server_hello(0x0301, 0xc005).leak();
    let cbc: &'static [u8] = server_hello(0x0303, 0xc005).leak();
    // The last of three ClientHellos offers TLS 1.3. One more is small, if the server may be unable to
    // read the first.
    for (first, outcome, connections) in [
        (&HANDSHAKE_FAILURE[..], "conclusive", 3),
        (&[21, 3, 1, 0, 2, 2, 70], "conclusive", 3), // protocol_version
        (&[21, 3, 0, 0, 2, 2, 71], "conclusive", 3), // insufficient_security
        (old, "conclusive", 3),
        (cbc, "conclusive", 3),
        (&[], "conclusive", 4),                      // closes the connection
        (&[21, 3, 3, 0, 2, 2, 112], "tls_alert", 1), // unrecognized_name
        (&[21, 3, 3, 0, 2, 2, 80], "tls_alert", 2),  // internal_error
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "tls_protocol", 1),
        (&[22, 3, 3, 0, 0], "tls_protocol", 1),
    ] {
        let flight = flight.clone();
        let server = refusing(first, move |stream| send_bytes(stream, &flight));
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), outcome, "{first:?}: {row:?}");
        assert_eq!(server.connections(), connections, "{first:?}");
    }
}

#[test]
fn every_broken_legacy_handshake_ends_with_its_error_kind() {
    type Serve = fn(&mut TcpStream);
    fn hello(stream: &mut TcpStream) {
        send_bytes(stream, &server_hello(0x0302, 0x002f));
    }
    let nothing: Serve = |_| {};
    let http: Serve = |stream| send_bytes(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let stalled: Serve = hello;
    let empty_record: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &[22, 3, 3, 0, 0]);
    };
    let long_record: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &[22, 3, 3, 0x40, 1]);
    };
    let empty_list: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &certificate(&[]));
    };
    let no_certificate: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &certificate(&[b"nothing that can be read"]));
    };
    let sixteen_mib: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &record(22, &[11, 0xff, 0xff, 0xff]));
    };
    let many: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &certificate(&[&[1][..]; 101]));
    };
    // Endless warnings.
    let endless: Serve = |stream| {
        hello(stream);
        while stream
            .write_all(&record(21, &[1, 112]).repeat(1000))
            .is_ok()
        {}
    };
    let drips: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &[22, 3, 3, 0x40, 0, 11, 0, 0x3f, 0xfc]);
        stream
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        while stream.read(&mut [0]).is_err() {
            send_bytes(stream, &[0]);
        }
    };
    let refuses: Serve = |stream| {
        hello(stream);
        send_bytes(stream, &HANDSHAKE_FAILURE);
    };
    let hangs_up: Serve = |stream| {
        hello(stream);
        let _ = stream.shutdown(std::net::Shutdown::Write);
    };
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let cases = [
        ("nothing", nothing, "tls_alert"),
        ("another protocol", http, "tls_alert"),
        ("stalled", stalled, "tls_timeout"),
        ("an empty record", empty_record, "tls_protocol"),
        ("a long record", long_record, "tls_protocol"),
        ("an empty list", empty_list, "malformed_certificate"),
        ("no certificate", no_certificate, "malformed_certificate"),
        ("16 MiB", sixteen_mib, "too_large"),
        ("many", many, "too_large"),
        ("endless", endless, "too_large"),
        ("drips", drips, "tls_timeout"),
        ("refuses", refuses, "tls_alert"),
        ("hangs up", hangs_up, "tls_closed"),
    ];
    for_each_concurrently(cases, |(what, second, outcome)| {
        let server = refusing(&HANDSHAKE_FAILURE, second);
        let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
        // Long enough for a busy machine, and short where the probe ends at its deadline.
        let timeout = match what {
            "nothing" | "stalled" | "drips" => "5s",
            _ => "30s",
        };
        let row = check.args(&["--timeout", timeout]).row();
        assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
        assert_eq!(row.codes(), ["handshake_failed"], "{what}");
        assert_eq!(server.connections(), 2, "{what}");
    });
}

#[test]
fn legacy_flight_sent_byte_by_byte_is_read() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0302, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let server = refusing(&HANDSHAKE_FAILURE, move |stream| {
        stream.set_nodelay(true).unwrap();
        for byte in &flight {
            send_bytes(stream, &[*byte]);
        }
    });
    look(&pki, &leaf, server.port()).assert_right(&["legacy_protocol"]);
}

#[test]
fn proxy_header_precedes_the_second_client_hello() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0302, 0xc005),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    let count = AtomicUsize::new(0);
    let server = Server::start("127.0.0.1", move |stream| {
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") && stream.read(&mut byte).is_ok_and(|n| n > 0) {
            line.extend(byte);
        }
        read_some(stream);
        if !line.starts_with(b"PROXY TCP4 127.0.0.1 127.0.0.1 ") {
            return;
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => send_bytes(stream, &HANDSHAKE_FAILURE),
            _ => send_bytes(stream, &flight),
        }
        stay_silent(stream);
    });
    let check = Check::of(&pki, &leaf, &["127.0.0.1"], server.port());
    let row = check.args(&["--proxy-protocol", "v1"]).row();
    row.assert_right(&["legacy_protocol"]);
    assert_eq!(server.connections(), 3);
}

/// Returns true if a ClientHello offers TLS 1.3 and 1.2.
fn offers_tls13(hello: &[u8]) -> bool {
    hello.windows(4).any(|bytes| bytes == [3, 4, 3, 3])
}

#[test]
fn server_that_aborts_at_tls_1_3_is_critical() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let junk = &b"junk, which is not TLS"[..];
    for (what, version, suite, refusal, outcome) in [
        (
            "AES-CBC",
            0x0303,
            0xc004,
            &HANDSHAKE_FAILURE[..],
            "tls_alert",
        ),
        (
            "AES-CBC",
            0x0303,
            0xc005,
            &[21, 3, 1, 0, 2, 2, 70],
            "tls_alert",
        ),
        ("TLS 1.0", 0x0301, 0xc004, &HANDSHAKE_FAILURE, "tls_alert"),
        ("a close", 0x0303, 0xc004, &[], "tls_closed"),
    ] {
        let flight = [
            server_hello(version, suite),
            certificate(&chain),
            DONE.to_vec(),
        ]
        .concat();
        for later in [refusal, junk, &[]] {
            let flight = flight.clone();
            let count = AtomicUsize::new(0);
            let server = Server::start("127.0.0.1", move |stream| {
                let mut hello = [0; 4096];
                let length = stream.read(&mut hello).unwrap_or_default();
                let count = count.fetch_add(1, Ordering::SeqCst);
                let response = match offers_tls13(&hello[..length]) {
                    true if count > 0 => later,
                    true => refusal,
                    false => &flight,
                };
                send_bytes(stream, response);
                if !response.is_empty() {
                    stay_silent(stream);
                }
            });
            let row = look(&pki, &leaf, server.port());
            assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
            assert_eq!(row.codes(), ["handshake_failed"], "{what}");
        }
    }
}

#[test]
fn only_a_server_hello_accepts_the_offer_of_clients() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    let flight = [
        server_hello(0x0303, 0xc004),
        certificate(&chain),
        DONE.to_vec(),
    ]
    .concat();
    for (what, common, is_accepted) in [
        ("junk", b"junk, which is not TLS".to_vec(), false),
        ("an alert", HANDSHAKE_FAILURE.to_vec(), false),
        (
            "a suite that was not offered",
            server_hello(0x0303, 0xc004),
            false,
        ),
        ("a common suite", server_hello(0x0303, 0xc009), true),
        ("TLS 1.3", server_hello_13(0x1301, 0x001d), true),
    ] {
        let flight = flight.clone();
        let count = AtomicUsize::new(0);
        let server = Server::start("127.0.0.1", move |stream| {
            read_some(stream);
            match count.fetch_add(1, Ordering::SeqCst) {
                0 => send_bytes(stream, &HANDSHAKE_FAILURE),
                2 => send_bytes(stream, &common),
                // Everything is offered, or what Java offers.
                3 => send_bytes(stream, &server_hello(0x0303, 0xc009)),
                _ => send_bytes(stream, &flight),
            }
            stay_silent(stream);
        });
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), "conclusive", "{what}: {row:?}");
        // rustls, whose hello the server refused first, cannot connect in any case.
        assert_eq!(row.codes(), ["refused_by_clients"], "{what}");
        for (client, accepts) in [
            ("go", is_accepted),
            ("chromium", is_accepted),
            ("rustls", false),
        ] {
            let client = format!("/clients/{client}/accepts");
            assert_eq!(
                row.0.pointer(&client).unwrap(),
                &serde_json::json!(accepts),
                "{what}: {row:?}"
            );
        }
        // The last two are for Java and GnuTLS, which do not offer the suite.
        let connections = if is_accepted { 5 } else { 6 };
        assert_eq!(server.connections(), connections, "{what}");
    }
}

#[test]
fn legacy_suites_are_offered_last_and_prove_no_key() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    for (what, version, suite, is_signed, outcome, codes) in [
        (
            "3DES",
            0x0303,
            0xc008,
            true,
            "tls_signature",
            &["handshake_failed"][..],
        ),
        (
            "AES, which was offered before",
            0x0303,
            0xc004,
            false,
            "tls_alert",
            &["handshake_failed"],
        ),
        (
            "RC4",
            0x0303,
            0xc002,
            false,
            "conclusive",
            &["legacy_cipher"],
        ),
        (
            "no encryption in TLS 1.0",
            0x0301,
            0xc001,
            false,
            "conclusive",
            &["legacy_cipher", "legacy_protocol"],
        ),
        (
            "an anonymous suite",
            0x0303,
            0x00a6,
            false,
            "malformed_certificate",
            &["handshake_failed"],
        ),
    ] {
        let mut flight = server_hello(version, suite);
        flight.extend(certificate(&chain));
        if is_signed {
            flight.extend(forged(version == 0x0303));
        }
        flight.extend(DONE);
        let server = refusing_all(2, &HANDSHAKE_FAILURE, move |stream| {
            send_bytes(stream, &flight)
        });
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), outcome, "{what}: {row:?}");
        assert_eq!(row.codes(), codes, "{what}: {row:?}");
        assert_eq!(server.connections(), 3, "{what}");
        if outcome == "conclusive" {
            assert_eq!(row.text("/served/key_proof"), "none");
            let findings = row.0["findings"].to_string();
            assert!(findings.contains("not proved"), "{findings}");
        }
    }
}

#[test]
fn a_server_without_secure_renegotiation_is_refused_by_clients() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    for version in [0x0300, 0x0301, 0x0302] {
        let flight = [
            server_hello_with(version, 0xc005, &[]),
            certificate(&chain),
            DONE.to_vec(),
        ]
        .concat();
        let server = refusing(&HANDSHAKE_FAILURE, move |stream| {
            send_bytes(stream, &flight)
        });
        let row = look(&pki, &leaf, server.port());
        row.assert_right(&["refused_by_clients", "legacy_protocol"]);
        let finding = row.finding("refused_by_clients").to_string();
        assert!(finding.contains("RFC 5746"), "{finding}");
    }
}

/// A ServerHello of TLS 1.3 with a suite and a group.
fn server_hello_13(suite: u16, group: u16) -> Vec<u8> {
    let [high, low] = group.to_be_bytes();
    server_hello_with(0x0303, suite, &[0, 43, 0, 2, 3, 4, 0, 51, 0, 2, high, low])
}

/// A server over static ECDH, with this end of the random and these extensions. It refuses the first
/// handshake, and responds to TLS 1.3 in one of the others if `has_tls13`.
fn static_ecdh(chain: &[&[u8]], random: &[u8; 8], extensions: &[u8], has_tls13: bool) -> Server {
    let mut hello = server_hello_with(0x0303, 0xc004, extensions);
    // After the headers of record and message, and the version.
    hello[11 + 24..][..8].copy_from_slice(random);
    let flight = [hello, certificate(chain), DONE.to_vec()].concat();
    let tls13 = server_hello_13(0x1301, 0x0017);
    let count = AtomicUsize::new(0);
    refusing(&HANDSHAKE_FAILURE, move |stream| {
        // The second offers TLS 1.3 first.
        match count.fetch_add(1, Ordering::SeqCst) {
            1 if has_tls13 => send_bytes(stream, &tls13),
            _ => send_bytes(stream, &flight),
        }
    })
}

/// OpenSSL, GnuTLS and Java refuse these, and Go all but signature_algorithms.
#[test]
fn faulty_messages_of_a_cleartext_handshake_are_critical() {
    const INFO: [u8; 5] = [0xff, 1, 0, 1, 0];
    const DOWNGRADE: &[u8; 8] = b"DOWNGRD\x01";
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let chain = [leaf.certificate.der(), pki.intermediate.certificate.der()];
    for (random, extensions, has_tls13, words) in [
        (&[9; 8], &INFO[..], false, ""),
        (&[9; 8], &[0xff, 1, 0, 2, 1, 9], false, "renegotiation_info"),
        (&[9; 8], &[0xff, 1, 0, 0], false, "renegotiation_info"),
        (
            &[9; 8],
            &[0, 13, 0, 4, 0, 2, 4, 3],
            false,
            "signature_algorithms",
        ),
        (
            &[9; 8],
            &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'],
            false,
            "not offered",
        ),
        (DOWNGRADE, &INFO, false, "announces TLS 1.3"),
        (DOWNGRADE, &INFO, true, ""),
    ] {
        let server = static_ecdh(&chain, random, extensions, has_tls13);
        let row = look(&pki, &leaf, server.port());
        let failed = row.codes().contains(&"handshake_failed");
        assert_eq!(failed, !words.is_empty(), "{words}: {row:?}");
        if failed {
            assert_eq!(row.text("/severity"), "critical");
            let finding = row.finding("handshake_failed").to_string();
            assert!(finding.contains(words), "{words}: {finding}");
        }
    }
}

#[test]
fn server_with_an_unsupported_algorithm_is_unknown_not_critical() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    for (suite, group, words) in [
        (0x1301, 0x0101, "the group ffdhe3072"),
        (0x1304, 0x0017, "the cipher suite TLS_AES_128_CCM_SHA256"),
    ] {
        let flight = server_hello_13(suite, group);
        let server = refusing_all(2, &HANDSHAKE_FAILURE, move |stream| {
            send_bytes(stream, &flight)
        });
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), "internal", "{row:?}");
        assert_eq!(row.text("/severity"), "unknown");
        assert_eq!(row.codes(), [""; 0]);
        assert!(row.text("/error").contains(words), "{row:?}");
        assert_eq!(server.connections(), 3);
    }
    // The server supports what rustls offers, and refuses it again: the first error remains.
    let flight = server_hello_13(0x1301, 0x0017);
    let count = AtomicUsize::new(0);
    let server = Server::start("127.0.0.1", move |stream| {
        read_some(stream);
        match count.fetch_add(1, Ordering::SeqCst) {
            2 => send_bytes(stream, &flight),
            _ => send_bytes(stream, &HANDSHAKE_FAILURE),
        }
        stay_silent(stream);
    });
    let row = look(&pki, &leaf, server.port());
    assert_eq!(row.outcome(), "tls_alert", "{row:?}");
    assert_eq!(server.connections(), 4);
}

#[test]
fn each_alert_has_its_registered_name_and_own_hint() {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let mut hints = std::collections::BTreeSet::new();
    let alerts = [
        (112, "`unrecognized_name`"),
        (115, "`unknown_psk_identity`"),
        (80, "`internal_error`"),
        (120, "`no_application_protocol`"),
        (70, "`protocol_version`"),
        (116, "`certificate_required`"),
        (49, "`access_denied`"),
        (40, "`handshake_failure`"),
        (200, "alert 200"),
    ];
    for (alert, name) in alerts {
        let record: &'static [u8] = record(21, &[2, alert]).leak();
        let server = refusing_all(usize::MAX, record, |_| {});
        let row = look(&pki, &leaf, server.port());
        assert_eq!(row.outcome(), "tls_alert", "{row:?}");
        assert!(row.text("/error").contains(name), "{row:?}");
        hints.insert(row.finding("handshake_failed")["hint"].to_string());
    }
    assert_eq!(hints.len(), alerts.len(), "{hints:?}");
}

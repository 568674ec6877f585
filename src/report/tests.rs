//! What the reports look like, in inline snapshots of fixed certificates at a fixed time.

mod hostile;

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;

use super::{
    Style, Thresholds, github, human, json, jsonl, junit, nagios, nagios_error, prometheus,
};
use crate::certificate::{Certificate, parse_certificates};
use crate::finding::Severity;
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::judge::{Judged, Rules, TrustStore, judge, together};
use crate::model::{Protocol, Target, Threshold, Timestamp, Timings, Vantage};
use crate::observation::{ErrorKind, KeyProof, LookError, Observation, Outcome, Served, Told};

fn certificate(pem: &str) -> Certificate {
    parse_certificates(pem.as_bytes()).unwrap().remove(0)
}

fn root() -> Certificate {
    certificate(include_str!("../judge/testdata/root.pem"))
}

fn intermediate() -> Certificate {
    certificate(include_str!("../judge/testdata/intermediate.pem"))
}

fn leaf() -> Certificate {
    certificate(include_str!("../judge/testdata/leaf.pem"))
}

fn weak() -> Certificate {
    certificate(include_str!("../judge/testdata/rsa1024.pem"))
}

fn now() -> Timestamp {
    "2030-01-01T00:00:00Z".parse().unwrap()
}

fn expected() -> Expected {
    let mut instance = Instance::from_chain(vec![leaf(), intermediate(), root()]).unwrap();
    instance.id = Some(331);
    Expected {
        source: SourceKind::Sslmate,
        what: Expectation::Instances(Box::new(Instances::only(instance))),
    }
}

fn served(leaf: Certificate, rest: &[Certificate]) -> Outcome {
    Outcome::Served(Box::new(Served {
        leaf,
        rest: rest.to_vec(),
        tls_version: "1.3",
        cipher_suite: "TLS13_AES_256_GCM_SHA384".into(),
        alpn: Some("h2".into()),
        revocation: Default::default(),
        key_proof: KeyProof::Handshake,
    }))
}

fn right() -> Outcome {
    served(leaf(), &[intermediate()])
}

fn failed(kind: ErrorKind, message: &str) -> Outcome {
    Outcome::Failed(LookError::new(kind, message))
}

fn told(correct: bool) -> Outcome {
    Outcome::Told(Told {
        correct,
        chained: true,
        dummy: false,
    })
}

/// `host`, `ip`, `host ip` or `host ip vantage`.
fn look(place: &str, outcome: Outcome) -> Judged {
    let mut words = place.split(' ');
    let host = words.next().unwrap();
    let ip = words.next().filter(|ip| *ip != "-");
    let observation = Observation {
        target: Target {
            certificate: "example.com".into(),
            hostname: host.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
        },
        ip: ip.map(|ip| ip.parse().unwrap()),
        key_type: crate::model::KeyType::Any,
        vantage: words.next().map_or_else(Vantage::local, Vantage::named),
        timings: Timings {
            resolve: Some(Duration::from_micros(1_250)),
            connect: Some(Duration::from_micros(800)),
            starttls: None,
            handshake: Some(Duration::from_micros(9_900)),
        },
        outcome,
    };
    let mut trust = TrustStore::default();
    trust.add(&root()).unwrap();
    judge(
        Some(&Arc::new(expected())),
        observation,
        &trust,
        &Rules::default(),
        now(),
    )
}

fn scan<const N: usize>(looks: [Judged; N]) -> Vec<Judged> {
    let mut looks = looks.to_vec();
    together(&mut looks);
    looks
}

/// One of everything.
fn everything() -> Vec<Judged> {
    scan([
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.1 sslmate", told(true)),
        look("www.example.com 192.0.2.1 eu-west", told(true)),
        look("www.example.com 192.0.2.2", served(weak(), &[])),
        look("www.example.com 192.0.2.2 sslmate", told(false)),
        look(
            "www.example.com 2001:db8::2",
            failed(ErrorKind::ConnectRefused, "connection refused"),
        ),
        look("www.example.com 2001:db8::2 sslmate", told(true)),
        look(
            "nowhere.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
        look(
            "plain.example.com 192.0.2.5",
            failed(ErrorKind::TlsProtocol, "the answer is not TLS"),
        ),
        look(
            "a-very-long-name-of-a-host.in-a-very-long-domain.example.com 2001:db8:85a3:1234:5678:8a2e:370:7334",
            served(leaf(), &[intermediate(), root()]),
        ),
    ])
}

fn table(results: &[Judged], width: usize, colour: bool) -> String {
    human(
        results,
        &Style {
            width,
            colour,
            now: now(),
        },
    )
}

#[test]
fn a_table_for_people_at_80_columns() {
    let text = table(&everything(), 80, false);
    assert_snapshot!(text, @r#"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443
              wrong_certificate, weak_key, addresses_disagree
              another certificate is served: `www.example.com` by `Example Root`,
                from 2026-11-24 to 2046-11-19
              fix: install instance 331 (ends on 2046-11-19), then reload the server
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the
                certificate reissued for it
              warning: 192.0.2.1 serves another certificate for www.example.com
              fix: bring every address of the host to the same certificate
    CRITICAL  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
              this address does not answer, while 192.0.2.1 does: connection refused
              fix: start the server at this address, or take the address out of the
                DNS records of www.example.com
              warning: seen from `sslmate`, the right certificate is served; seen
                from `local`, it cannot be reached
              fix: check whether both reach the same server: split DNS, a load
                balancer or a proxy may stand between
    CRITICAL  plain.example.com    192.0.2.5:443      handshake_failed
              the answer is not TLS
              fix: check that this port speaks TLS from the first byte
    CRITICAL  a-very-long-name-of-a-host.in-a-very-long-domain.example.com
              [2001:db8:85a3:1234:5678:8a2e:370:7334]:443  hostname_mismatch,
                root_included
              the certificate is not valid for
                a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only
                for www.example.com
              fix: serve a certificate that names
                a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or
                take the name from the inventory
              info: the root `Example Root` is served along
              fix: take it out of the server's certificate file: clients have it,
                and the handshake gets smaller
    UNKNOWN   nowhere.example.com  port 443           dns_nxdomain
              the name does not exist
    WARNING   www.example.com      192.0.2.1:443      addresses_disagree
              192.0.2.2 serves another certificate for www.example.com
              fix: bring every address of the host to the same certificate
    WARNING   www.example.com      [2001:db8::2]:443
              vantages_disagree (seen from sslmate)
              seen from `local`, it cannot be reached; seen from `sslmate`, the
                right certificate is served
              fix: check whether both reach the same server: split DNS, a load
                balancer or a proxy may stand between
    7 endpoints: 4 critical, 1 unknown, 2 warning, 0 ok
    `eu-west` sees the same as we do at 1 of them
    `sslmate` sees the same as we do at 2 of them
    "#);
}

#[test]
fn a_table_for_people_at_120_columns() {
    let text = table(&everything(), 120, false);
    assert_snapshot!(text, @r#"
    SEVERITY  HOST                 ADDRESS            WHAT
    CRITICAL  www.example.com      192.0.2.2:443      wrong_certificate, weak_key, addresses_disagree
              another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
              fix: install instance 331 (ends on 2046-11-19), then reload the server
              warning: the certificate has a weak key: RSA 1024
              fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
              warning: 192.0.2.1 serves another certificate for www.example.com
              fix: bring every address of the host to the same certificate
    CRITICAL  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
              this address does not answer, while 192.0.2.1 does: connection refused
              fix: start the server at this address, or take the address out of the DNS records of www.example.com
              warning: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
              fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    CRITICAL  plain.example.com    192.0.2.5:443      handshake_failed
              the answer is not TLS
              fix: check that this port speaks TLS from the first byte
    CRITICAL  a-very-long-name-of-a-host.in-a-very-long-domain.example.com  [2001:db8:85a3:1234:5678:8a2e:370:7334]:443
              hostname_mismatch, root_included
              the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for
                www.example.com
              fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the
                name from the inventory
              info: the root `Example Root` is served along
              fix: take it out of the server's certificate file: clients have it, and the handshake gets smaller
    UNKNOWN   nowhere.example.com  port 443           dns_nxdomain
              the name does not exist
    WARNING   www.example.com      192.0.2.1:443      addresses_disagree
              192.0.2.2 serves another certificate for www.example.com
              fix: bring every address of the host to the same certificate
    WARNING   www.example.com      [2001:db8::2]:443  vantages_disagree (seen from sslmate)
              seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
              fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    7 endpoints: 4 critical, 1 unknown, 2 warning, 0 ok
    `eu-west` sees the same as we do at 1 of them
    `sslmate` sees the same as we do at 2 of them
    "#);
}

#[test]
fn what_is_right_says_until_when() {
    let text = table(
        &scan([look("www.example.com 192.0.2.1", right())]),
        80,
        false,
    );
    assert_snapshot!(text, @r#"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        www.example.com  192.0.2.1:443  until 2046-11-19, 6166 days
    1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok
    "#);
    let text = table(
        &scan([look("www.example.com 192.0.2.1 sslmate", told(true))]),
        80,
        false,
    );
    assert_snapshot!(text, @r#"
    SEVERITY  HOST             ADDRESS        WHAT
    ok        www.example.com  192.0.2.1:443
              the right certificate (seen from sslmate)
    1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok
    "#);
}

#[test]
fn days_are_told_while_there_are_any() {
    let end: Timestamp = leaf().facts().unwrap().not_after;
    let looks = scan([look("www.example.com 192.0.2.1", right())]);
    let until = |left| {
        let style = Style {
            width: 120,
            colour: false,
            now: Timestamp(end.0 - left),
        };
        human(&looks, &style)
            .lines()
            .nth(1)
            .unwrap()
            .rsplit("  ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(until(3 * 86_400), format!("until {}, 3 days", end.date()));
    assert_eq!(
        until(2 * 86_400 - 1),
        format!("until {}, 1 day", end.date())
    );
    assert_eq!(until(86_400 - 1), format!("until {end}"));
}

#[test]
fn colours_mark_the_severity_and_nothing_else() {
    let text = table(&everything(), 80, true);
    let marked: Vec<_> = text.lines().filter(|l| l.contains('\u{1b}')).collect();
    assert_snapshot!(marked.join("\n").replace('\u{1b}', "^["), @r#"
    ^[[1mSEVERITY  HOST                 ADDRESS            WHAT^[[0m
    ^[[31mCRITICAL^[[0m  www.example.com      192.0.2.2:443
    ^[[31mCRITICAL^[[0m  www.example.com      [2001:db8::2]:443  unreachable, vantages_disagree
    ^[[31mCRITICAL^[[0m  plain.example.com    192.0.2.5:443      handshake_failed
    ^[[31mCRITICAL^[[0m  a-very-long-name-of-a-host.in-a-very-long-domain.example.com
    ^[[35mUNKNOWN ^[[0m  nowhere.example.com  port 443           dns_nxdomain
    ^[[33mWARNING ^[[0m  www.example.com      192.0.2.1:443      addresses_disagree
    ^[[33mWARNING ^[[0m  www.example.com      [2001:db8::2]:443
    ^[[31m7 endpoints: 4 critical, 1 unknown, 2 warning, 0 ok^[[0m
    "#);
    let plain = text.replace('\u{1b}', "");
    let plain = ["[0m", "[1m", "[31m", "[32m", "[33m", "[35m"]
        .iter()
        .fold(plain, |t, c| t.replace(c, ""));
    assert_eq!(plain, table(&everything(), 80, false));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 120, 200] {
        for line in table(&everything(), width, false).lines() {
            // What cannot be broken is left whole: a host name is to be copied.
            let longest = line.split_whitespace().map(str::len).max().unwrap_or(0);
            assert!(line.len() <= width.max(12 + longest), "{width}: {line}");
        }
    }
}

#[test]
fn a_remote_look_that_adds_nothing_is_only_named() {
    let rows = |looks: &[Judged]| -> Vec<String> {
        let text = table(looks, 120, false);
        text.lines().skip(1).map(str::to_owned).collect()
    };
    let same = rows(&scan([
        look("www.example.com 192.0.2.1 sslmate", told(true)),
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.1 eu-west", told(true)),
    ]));
    assert!(same[0].ends_with(" days"), "{same:?}");
    assert_eq!(
        same[1..],
        [
            "1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok",
            "`eu-west` sees the same as we do at 1 of them",
            "`sslmate` sees the same as we do at 1 of them",
        ]
    );
    // Elsewhere it is a row of its own.
    let other = rows(&scan([
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.2 sslmate", told(true)),
    ]));
    assert!(
        other[1].ends_with("the right certificate (seen from sslmate)"),
        "{other:?}"
    );
}

#[test]
fn kinds_of_keys_are_told_apart_where_they_were_asked_for() {
    let mut looks = [
        look("www 192.0.2.1", right()),
        look("www 192.0.2.1", right()),
    ];
    looks[0].observation.key_type = crate::model::KeyType::Rsa;
    looks[1].observation.key_type = crate::model::KeyType::Ecdsa;
    let table = table(&scan(looks), 120, false);
    for address in ["192.0.2.1:443 rsa", "192.0.2.1:443 ecdsa"] {
        assert!(table.contains(address), "{table}");
    }
}

#[test]
fn nothing_to_report_is_a_summary() {
    assert_eq!(
        table(&[], 80, false),
        "0 endpoints: 0 critical, 0 unknown, 0 warning, 0 ok\n"
    );
}

#[test]
fn json_has_sslmates_keys_first_and_all_of_ours() {
    let looks = scan([look(
        "www.example.com 192.0.2.1",
        served(leaf(), &[intermediate(), root()]),
    )]);
    assert_snapshot!(json(&looks), @r#"
    {
      "result": [
        {
          "hostname": "www.example.com",
          "ip_address": "192.0.2.1",
          "port": 443,
          "status": "conclusive",
          "correct": true,
          "chained": true,
          "dummy": false,
          "certificate": "example.com",
          "vantage": "local",
          "protocol": "https",
          "key_type": "any",
          "severity": "info",
          "findings": [
            {
              "code": "root_included",
              "severity": "info",
              "message": "the root `Example Root` is served along",
              "hint": "take it out of the server's certificate file: clients have it, and the handshake gets smaller"
            }
          ],
          "trusted": true,
          "hostname_match": true,
          "expired": false,
          "not_yet_valid": false,
          "revoked": null,
          "dane": null,
          "served": {
            "leaf": {
              "sha256_fingerprint": "7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",
              "sha1_fingerprint": "5b534bab5796771fca2b618ab0c8642daee48197",
              "pubkey_hash": "50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e",
              "subject": "CN=www.example.com",
              "issuer": "CN=Example Intermediate",
              "serial": "03",
              "sans": [
                "www.example.com"
              ],
              "not_before": "2026-11-24T19:48:00Z",
              "expiration": 2426269680,
              "key": "EC P-256",
              "signature": "ecdsa-with-SHA256"
            },
            "chain": [
              {
                "sha256_fingerprint": "5d70fc15f36b35289bb2a14d8db16a0dcf0bafac037e8707ee792ff14684d16f",
                "sha1_fingerprint": "f5036f38a71115e0b883a8df84ba7d9f3d7f0725",
                "pubkey_hash": "ed5c90582952643b71f56b88c2872f7546f6d63ddd08866611802b984118ef0f",
                "subject": "CN=Example Intermediate",
                "issuer": "CN=Example Root",
                "serial": "02",
                "sans": [],
                "not_before": "2026-11-24T19:48:00Z",
                "expiration": 2426269680,
                "key": "EC P-256",
                "signature": "ecdsa-with-SHA256"
              },
              {
                "sha256_fingerprint": "16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064",
                "sha1_fingerprint": "fa2369eeabe17dc15a64c1788bf07bbeaa039de3",
                "pubkey_hash": "10c7e92bed2e9f409c5d4c6f7c18b7161a2bc02f3b4f75349e5915b04714be69",
                "subject": "CN=Example Root",
                "issuer": "CN=Example Root",
                "serial": "01",
                "sans": [],
                "not_before": "2026-11-24T19:48:00Z",
                "expiration": 2426269680,
                "key": "EC P-256",
                "signature": "ecdsa-with-SHA256"
              }
            ],
            "tls_version": "1.3",
            "cipher_suite": "TLS13_AES_256_GCM_SHA384",
            "alpn": "h2",
            "ocsp_stapled": false,
            "key_proof": "handshake"
          },
          "expected": {
            "source": "sslmate",
            "id": 331,
            "sha256_fingerprint": "7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",
            "pubkey_hash": "50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e",
            "expiration": 2426269680
          },
          "timings_ms": {
            "resolve": 1.25,
            "connect": 0.8,
            "starttls": null,
            "handshake": 9.9
          }
        }
      ],
      "summary": {
        "endpoints": 1,
        "ok": 1,
        "warning": 0,
        "critical": 0,
        "unknown": 0
      }
    }
    "#);
}

#[test]
fn json_leaves_out_what_is_not_known_where_sslmate_does() {
    let looks = scan([
        look(
            "www.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
        look("www.example.com 192.0.2.1 sslmate", told(false)),
    ]);
    assert_snapshot!(json(&looks), @r#"
    {
      "result": [
        {
          "hostname": "www.example.com",
          "ip_address": null,
          "port": 443,
          "status": "connect_error",
          "error": "the name does not exist",
          "error_kind": "dns_nxdomain",
          "certificate": "example.com",
          "vantage": "local",
          "protocol": "https",
          "key_type": "any",
          "severity": "unknown",
          "findings": [],
          "trusted": null,
          "hostname_match": null,
          "expired": null,
          "not_yet_valid": null,
          "revoked": null,
          "dane": null,
          "served": null,
          "expected": {
            "source": "sslmate",
            "id": 331,
            "sha256_fingerprint": "7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",
            "pubkey_hash": "50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e",
            "expiration": 2426269680
          },
          "timings_ms": {
            "resolve": 1.25,
            "connect": 0.8,
            "starttls": null,
            "handshake": 9.9
          }
        },
        {
          "hostname": "www.example.com",
          "ip_address": "192.0.2.1",
          "port": 443,
          "status": "conclusive",
          "correct": false,
          "chained": true,
          "dummy": false,
          "certificate": "example.com",
          "vantage": "sslmate",
          "protocol": "https",
          "key_type": "any",
          "severity": "critical",
          "findings": [
            {
              "code": "wrong_certificate",
              "severity": "critical",
              "message": "seen from there, another certificate than the expected one is served",
              "hint": "look at this address from there to see which; then install the expected one and reload the server"
            }
          ],
          "trusted": null,
          "hostname_match": null,
          "expired": null,
          "not_yet_valid": null,
          "revoked": null,
          "dane": null,
          "served": null,
          "expected": {
            "source": "sslmate",
            "id": 331,
            "sha256_fingerprint": "7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",
            "pubkey_hash": "50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e",
            "expiration": 2426269680
          },
          "timings_ms": {
            "resolve": 1.25,
            "connect": 0.8,
            "starttls": null,
            "handshake": 9.9
          }
        }
      ],
      "summary": {
        "endpoints": 2,
        "ok": 0,
        "warning": 0,
        "critical": 1,
        "unknown": 1
      }
    }
    "#);
}

#[test]
fn json_tells_an_expectation_as_far_as_it_goes() {
    let pins = |certificates: &[Certificate]| {
        Expectation::Fingerprints(certificates.iter().map(Certificate::sha256).collect())
    };
    let keys = |certificates: &[Certificate]| {
        Expectation::PublicKeys(
            certificates
                .iter()
                .filter_map(Certificate::public_key_hash)
                .collect(),
        )
    };
    let fingerprint = leaf().sha256().to_string();
    let key = leaf().public_key_hash().unwrap().to_string();
    for (source, what, expected) in [
        (
            SourceKind::Fingerprint,
            pins(&[leaf()]),
            serde_json::json!({"source": "fingerprint", "id": null, "sha256_fingerprint": fingerprint, "pubkey_hash": null, "expiration": null}),
        ),
        // Of several that are accepted none is the expected one.
        (
            SourceKind::Fingerprint,
            pins(&[leaf(), root()]),
            serde_json::json!({"source": "fingerprint", "id": null, "sha256_fingerprint": null, "pubkey_hash": null, "expiration": null}),
        ),
        (
            SourceKind::PublicKey,
            keys(&[leaf()]),
            serde_json::json!({"source": "pubkey", "id": null, "sha256_fingerprint": null, "pubkey_hash": key, "expiration": null}),
        ),
        (
            SourceKind::Trust,
            Expectation::TrustOnly,
            serde_json::json!({"source": "trust", "id": null, "sha256_fingerprint": null, "pubkey_hash": null, "expiration": null}),
        ),
    ] {
        let mut judged = look("www.example.com 192.0.2.1", right());
        judged.expected = Some(Arc::new(Expected { source, what }));
        let document: serde_json::Value = serde_json::from_str(&json(&[judged])).unwrap();
        assert_eq!(document["result"][0]["expected"], expected);
    }
}

#[test]
fn json_lines_are_the_rows_of_the_result() {
    let looks = everything();
    let text = jsonl(&looks);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let document: serde_json::Value = serde_json::from_str(&json(&looks)).unwrap();
    assert_eq!(document["result"], serde_json::Value::Array(lines));
    assert!(text.ends_with("}\n"));
    assert_eq!(jsonl(&[]), "");
    // Keys stand in the order of the rows too.
    assert_snapshot!(text.lines().nth(7).unwrap(), @r#"
    {"hostname":"nowhere.example.com","ip_address":null,"port":443,"status":"connect_error","error":"the name does not exist","error_kind":"dns_nxdomain","certificate":"example.com","vantage":"local","protocol":"https","key_type":"any","severity":"unknown","findings":[],"trusted":null,"hostname_match":null,"expired":null,"not_yet_valid":null,"revoked":null,"dane":null,"served":null,"expected":{"source":"sslmate","id":331,"sha256_fingerprint":"7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357","pubkey_hash":"50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e","expiration":2426269680},"timings_ms":{"resolve":1.25,"connect":0.8,"starttls":null,"handshake":9.9}}
    "#);
}

#[test]
fn junit_has_a_suite_for_each_certificate_and_a_case_for_each_look() {
    let mut looks = everything();
    looks[1].observation.target.certificate = "another \"certificate\"".into();
    assert_snapshot!(junit(&looks, true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="10" failures="7" errors="1" time="0.119500">
      <testsuite name="another &quot;certificate&quot;" tests="1" failures="0" errors="0" time="0.011950" skipped="0">
        <testcase classname="another &quot;certificate&quot;" name="www.example.com 192.0.2.1:443 (seen from sslmate)" time="0.011950"/>
      </testsuite>
      <testsuite name="example.com" tests="9" failures="7" errors="1" time="0.107550" skipped="0">
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443" time="0.011950">
          <failure type="addresses_disagree" message="192.0.2.2 serves another certificate for www.example.com">warning: addresses_disagree: 192.0.2.2 serves another certificate for www.example.com
    fix: bring every address of the host to the same certificate</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443 (seen from eu-west)" time="0.011950"/>
        <testcase classname="example.com" name="www.example.com 192.0.2.2:443" time="0.011950">
          <failure type="wrong_certificate" message="another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19">critical: wrong_certificate: another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
    fix: install instance 331 (ends on 2046-11-19), then reload the server
    warning: weak_key: the certificate has a weak key: RSA 1024
    fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    warning: addresses_disagree: 192.0.2.1 serves another certificate for www.example.com
    fix: bring every address of the host to the same certificate</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com 192.0.2.2:443 (seen from sslmate)" time="0.011950">
          <failure type="wrong_certificate" message="seen from there, another certificate than the expected one is served">critical: wrong_certificate: seen from there, another certificate than the expected one is served
    fix: look at this address from there to see which; then install the expected one and reload the server</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443" time="0.011950">
          <failure type="unreachable" message="this address does not answer, while 192.0.2.1 does: connection refused">critical: unreachable: this address does not answer, while 192.0.2.1 does: connection refused
    fix: start the server at this address, or take the address out of the DNS records of www.example.com
    warning: vantages_disagree: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between</failure>
        </testcase>
        <testcase classname="example.com" name="www.example.com [2001:db8::2]:443 (seen from sslmate)" time="0.011950">
          <failure type="vantages_disagree" message="seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served">warning: vantages_disagree: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
    fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between</failure>
        </testcase>
        <testcase classname="example.com" name="nowhere.example.com port 443" time="0.011950">
          <error type="dns_nxdomain" message="the name does not exist">dns_nxdomain: the name does not exist</error>
        </testcase>
        <testcase classname="example.com" name="plain.example.com 192.0.2.5:443" time="0.011950">
          <failure type="handshake_failed" message="the answer is not TLS">critical: handshake_failed: the answer is not TLS
    fix: check that this port speaks TLS from the first byte</failure>
        </testcase>
        <testcase classname="example.com" name="a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001:db8:85a3:1234:5678:8a2e:370:7334]:443" time="0.011950">
          <failure type="hostname_mismatch" message="the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com">critical: hostname_mismatch: the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com
    fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
    info: root_included: the root `Example Root` is served along
    fix: take it out of the server's certificate file: clients have it, and the handshake gets smaller</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn junit_fails_for_warnings_only_where_they_count() {
    let looks = everything();
    assert_snapshot!(junit(&looks[..1], true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="1" failures="1" errors="0" time="0.011950">
      <testsuite name="example.com" tests="1" failures="1" errors="0" time="0.011950" skipped="0">
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443" time="0.011950">
          <failure type="addresses_disagree" message="192.0.2.2 serves another certificate for www.example.com">warning: addresses_disagree: 192.0.2.2 serves another certificate for www.example.com
    fix: bring every address of the host to the same certificate</failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    assert_snapshot!(junit(&looks[..1], false), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="1" failures="0" errors="0" time="0.011950">
      <testsuite name="example.com" tests="1" failures="0" errors="0" time="0.011950" skipped="0">
        <testcase classname="example.com" name="www.example.com 192.0.2.1:443" time="0.011950">
          <system-out>warning: addresses_disagree: 192.0.2.2 serves another certificate for www.example.com
    fix: bring every address of the host to the same certificate</system-out>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
    assert_snapshot!(junit(&[], true), @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="certvigil" tests="0" failures="0" errors="0" time="0.000000">
    </testsuites>
    "#);
}

#[test]
fn github_is_told_each_finding_worst_first() {
    assert_snapshot!(github(&everything()), @r"
    ::error title=wrong_certificate www.example.com 192.0.2.2%3A443::another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19%0Afix: install instance 331 (ends on 2046-11-19), then reload the server
    ::warning title=weak_key www.example.com 192.0.2.2%3A443::the certificate has a weak key: RSA 1024%0Afix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    ::warning title=addresses_disagree www.example.com 192.0.2.2%3A443::192.0.2.1 serves another certificate for www.example.com%0Afix: bring every address of the host to the same certificate
    ::error title=unreachable www.example.com [2001%3Adb8%3A%3A2]%3A443::this address does not answer, while 192.0.2.1 does: connection refused%0Afix: start the server at this address, or take the address out of the DNS records of www.example.com
    ::warning title=vantages_disagree www.example.com [2001%3Adb8%3A%3A2]%3A443::seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached%0Afix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    ::error title=handshake_failed plain.example.com 192.0.2.5%3A443::the answer is not TLS%0Afix: check that this port speaks TLS from the first byte
    ::error title=hostname_mismatch a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001%3Adb8%3A85a3%3A1234%3A5678%3A8a2e%3A370%3A7334]%3A443::the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com%0Afix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
    ::notice title=root_included a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001%3Adb8%3A85a3%3A1234%3A5678%3A8a2e%3A370%3A7334]%3A443::the root `Example Root` is served along%0Afix: take it out of the server's certificate file: clients have it, and the handshake gets smaller
    ::error title=dns_nxdomain nowhere.example.com port 443::the name does not exist
    ::warning title=addresses_disagree www.example.com 192.0.2.1%3A443::192.0.2.2 serves another certificate for www.example.com%0Afix: bring every address of the host to the same certificate
    ::warning title=vantages_disagree www.example.com [2001%3Adb8%3A%3A2]%3A443 (seen from sslmate)::seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served%0Afix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    7 endpoints: 4 critical, 1 unknown, 2 warning, 0 ok
    ");
    let right = scan([look("www.example.com 192.0.2.1", right())]);
    assert_snapshot!(github(&right), @"1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok");
}

/// The defaults of the program.
fn thresholds() -> Thresholds {
    Thresholds {
        warn: Threshold::WARN,
        crit: Threshold::CRIT,
    }
}

#[test]
fn a_plugin_says_in_its_first_line_what_is_worst() {
    let text = nagios(&everything(), Severity::Critical, None, now());
    assert_snapshot!(text, @r"
    CERTVIGIL CRITICAL - 7 endpoints: 4 critical, 1 unknown, 2 warning, 0 ok; wrong_certificate, weak_key, addresses_disagree at www.example.com 192.0.2.2:443 | 'endpoints'=7;;;0 'ok'=0;;;0 'warning'=2;;;0 'critical'=4;;;0 'unknown'=1;;;0 'days_left'=6166.82 'resolve'=0.001250s;;;0 'connect'=0.000800s;;;0 'handshake'=0.009900s;;;0
    CRITICAL www.example.com 192.0.2.2:443: wrong_certificate, weak_key, addresses_disagree
      critical: another certificate is served: `www.example.com` by `Example Root`, from 2026-11-24 to 2046-11-19
      fix: install instance 331 (ends on 2046-11-19), then reload the server
      warning: the certificate has a weak key: RSA 1024
      fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
      warning: 192.0.2.1 serves another certificate for www.example.com
      fix: bring every address of the host to the same certificate
    CRITICAL www.example.com [2001:db8::2]:443: unreachable, vantages_disagree
      critical: this address does not answer, while 192.0.2.1 does: connection refused
      fix: start the server at this address, or take the address out of the DNS records of www.example.com
      warning: seen from `sslmate`, the right certificate is served; seen from `local`, it cannot be reached
      fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    CRITICAL plain.example.com 192.0.2.5:443: handshake_failed
      critical: the answer is not TLS
      fix: check that this port speaks TLS from the first byte
    CRITICAL a-very-long-name-of-a-host.in-a-very-long-domain.example.com [2001:db8:85a3:1234:5678:8a2e:370:7334]:443: hostname_mismatch, root_included
      critical: the certificate is not valid for a-very-long-name-of-a-host.in-a-very-long-domain.example.com, only for www.example.com
      fix: serve a certificate that names a-very-long-name-of-a-host.in-a-very-long-domain.example.com, or take the name from the inventory
      info: the root `Example Root` is served along
      fix: take it out of the server's certificate file: clients have it, and the handshake gets smaller
    UNKNOWN nowhere.example.com port 443: dns_nxdomain
      the name does not exist
    WARNING www.example.com 192.0.2.1:443: addresses_disagree
      warning: 192.0.2.2 serves another certificate for www.example.com
      fix: bring every address of the host to the same certificate
    WARNING www.example.com [2001:db8::2]:443 (seen from sslmate): vantages_disagree
      warning: seen from `local`, it cannot be reached; seen from `sslmate`, the right certificate is served
      fix: check whether both reach the same server: split DNS, a load balancer or a proxy may stand between
    ");
}

#[test]
fn a_plugin_says_until_when_all_is_well() {
    let looks = scan([look("www.example.com 192.0.2.1", right())]);
    let text = nagios(&looks, Severity::Ok, Some(thresholds()), now());
    assert_snapshot!(text, @"CERTVIGIL OK - 1 endpoint: 0 critical, 0 unknown, 0 warning, 1 ok; until 2046-11-19, 6166 days | 'endpoints'=1;;;0 'ok'=1;;;0 'warning'=0;;;0 'critical'=0;;;0 'unknown'=0;;;0 'days_left'=6166.82;30.00:;7.00: 'resolve'=0.001250s;;;0 'connect'=0.000800s;;;0 'handshake'=0.009900s;;;0");
    assert_snapshot!(nagios(&[], Severity::Ok, Some(thresholds()), now()), @"CERTVIGIL OK - 0 endpoints: 0 critical, 0 unknown, 0 warning, 0 ok | 'endpoints'=0;;;0 'ok'=0;;;0 'warning'=0;;;0 'critical'=0;;;0 'unknown'=0;;;0");
}

#[test]
fn a_plugin_that_cannot_look_says_why() {
    let text = nagios_error("first | line\nsecond line", Severity::Unknown);
    assert_eq!(text, "CERTVIGIL UNKNOWN - first / line\n");
}

/// The word of the first line is that of the exit code, whatever was found.
#[test]
fn the_word_of_a_plugin_is_that_of_its_exit_code() {
    for (state, word) in [
        (Severity::Ok, "OK"),
        (Severity::Warning, "WARNING"),
        (Severity::Critical, "CRITICAL"),
        (Severity::Unknown, "UNKNOWN"),
    ] {
        let text = nagios(&everything(), state, None, now());
        let start = format!("CERTVIGIL {word} - 7 endpoints: 4 critical");
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn metrics_for_the_textfile_collector() {
    let looks = scan([
        look("www.example.com 192.0.2.1", right()),
        look("www.example.com 192.0.2.1 sslmate", told(false)),
        look(
            "nowhere.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
    ]);
    let text = prometheus::textfile(&looks, now());
    let samples: Vec<&str> = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.contains("_endpoint_status{"))
        .collect();
    assert_snapshot!(samples.join("\n"), @r#"
    certvigil_endpoint_correct{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_correct{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 0
    certvigil_endpoint_chained{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_chained{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 1
    certvigil_endpoint_dummy{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 0
    certvigil_endpoint_dummy{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 0
    certvigil_endpoint_trusted{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_hostname_match{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1
    certvigil_endpoint_error{certificate="example.com",hostname="nowhere.example.com",ip="",port="443",key_type="any",vantage="local",error_kind="dns_nxdomain"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local",code="vantages_disagree",severity="warning"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate",code="wrong_certificate",severity="critical"} 1
    certvigil_endpoint_finding{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate",code="vantages_disagree",severity="warning"} 1
    certvigil_endpoint_not_before_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1795549680
    certvigil_endpoint_not_after_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2426269680
    certvigil_endpoint_chain_not_after_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 2426269680
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local"} 1893456000
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="sslmate"} 1893456000
    certvigil_endpoint_last_check_timestamp_seconds{certificate="example.com",hostname="nowhere.example.com",ip="",port="443",key_type="any",vantage="local"} 1893456000
    certvigil_endpoint_info{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443",key_type="any",vantage="local",sha256="7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",issuer="CN=Example Intermediate",tls_version="1.3",cipher_suite="TLS13_AES_256_GCM_SHA384",protocol="https"} 1
    certvigil_certificate_not_before_timestamp_seconds{certificate="example.com"} 1795549680
    certvigil_certificate_not_after_timestamp_seconds{certificate="example.com"} 2426269680
    certvigil_certificate_info{certificate="example.com",source="sslmate",instance_id="331",state="active",sha256="7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357"} 1
    certvigil_hostname_addresses{certificate="example.com",hostname="nowhere.example.com",family="ipv4"} 0
    certvigil_hostname_addresses{certificate="example.com",hostname="nowhere.example.com",family="ipv6"} 0
    certvigil_hostname_addresses{certificate="example.com",hostname="www.example.com",family="ipv4"} 1
    certvigil_hostname_addresses{certificate="example.com",hostname="www.example.com",family="ipv6"} 0
    certvigil_vantages_disagree{certificate="example.com",hostname="www.example.com",ip="192.0.2.1",port="443"} 1
    "#);
}

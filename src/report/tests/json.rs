//! JSON, and JSON lines.

use insta::assert_snapshot;

use super::*;
use crate::report::{json, jsonl};

#[test]
fn json_row_starts_with_sslmates_keys() {
    let results = scan([result_of(
        "www.example.com 192.0.2.1",
        served(leaf(), &[intermediate(), root()]),
    )]);
    assert_snapshot!(json(&results), @r#"
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
          "labels": {},
          "severity": "info",
          "findings": [
            {
              "code": "root_included",
              "severity": "info",
              "message": "the root `Example Root` is served along",
              "hint": "take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller",
              "detail": {
                "certificates": [
                  {
                    "sha256_fingerprint": "16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064",
                    "subject": "CN=Example Root",
                    "issuer": "CN=Example Root",
                    "serial": "01",
                    "not_before": "2026-11-24T19:48:00Z",
                    "not_after": "2046-11-19T19:48:00Z"
                  }
                ]
              }
            }
          ],
          "trusted": true,
          "hostname_match": true,
          "expired": false,
          "not_yet_valid": false,
          "revoked": null,
          "clients": {
            "chromium": {
              "accepts": true
            },
            "gnutls": {
              "accepts": true
            },
            "go": {
              "accepts": true
            },
            "java": {
              "accepts": true
            },
            "openssl": {
              "accepts": true
            },
            "rustls": {
              "accepts": true
            }
          },
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
      },
      "complete": true
    }
    "#);
}

#[test]
fn json_omits_unknown_keys_as_sslmate_does() {
    let results = scan([
        result_of(
            "www.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
        result_of("www.example.com 192.0.2.1 sslmate", reported(false)),
    ]);
    assert_snapshot!(json(&results), @r#"
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
          "labels": {},
          "severity": "unknown",
          "findings": [],
          "trusted": null,
          "hostname_match": null,
          "expired": null,
          "not_yet_valid": null,
          "revoked": null,
          "clients": null,
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
          "labels": {},
          "severity": "critical",
          "findings": [
            {
              "code": "wrong_certificate",
              "severity": "critical",
              "message": "seen from there, another certificate than the expected one is served",
              "hint": "probe this address from there to see which; then install the expected one and reload the server",
              "detail": {
                "served": null,
                "is_newer": false,
                "expected": {
                  "kind": "instance",
                  "source": "sslmate",
                  "id": 331,
                  "certificate": {
                    "sha256_fingerprint": "7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357",
                    "subject": "CN=www.example.com",
                    "issuer": "CN=Example Intermediate",
                    "serial": "03",
                    "not_before": "2026-11-24T19:48:00Z",
                    "not_after": "2046-11-19T19:48:00Z"
                  }
                }
              }
            }
          ],
          "trusted": null,
          "hostname_match": null,
          "expired": null,
          "not_yet_valid": null,
          "revoked": null,
          "clients": null,
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
      },
      "complete": true
    }
    "#);
}

#[test]
fn json_expected_has_null_for_unknown_fields() {
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
        // If several certificates are accepted, none is the expected one.
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
        let mut judged = result_of("www.example.com 192.0.2.1", right());
        judged.expected = Some(Arc::new(Expected { source, what }));
        let document: serde_json::Value = serde_json::from_str(&json(&[judged])).unwrap();
        assert_eq!(document["result"][0]["expected"], expected);
    }
}

#[test]
fn json_lines_are_the_rows_of_the_result() {
    let results = everything();
    let text = jsonl(&results);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let document: serde_json::Value = serde_json::from_str(&json(&results)).unwrap();
    assert_eq!(document["result"], serde_json::Value::Array(lines));
    assert!(text.ends_with("}\n"));
    assert_eq!(jsonl(&[]), "");
    // Keys are in the order of the row's fields.
    assert_snapshot!(text.lines().nth(7).unwrap(), @r#"{"hostname":"nowhere.example.com","ip_address":null,"port":443,"status":"connect_error","error":"the name does not exist","error_kind":"dns_nxdomain","certificate":"example.com","vantage":"local","protocol":"https","key_type":"any","labels":{},"severity":"unknown","findings":[],"trusted":null,"hostname_match":null,"expired":null,"not_yet_valid":null,"revoked":null,"clients":null,"dane":null,"served":null,"expected":{"source":"sslmate","id":331,"sha256_fingerprint":"7c1cf595c606ab66d30042d45e097d65b32bd8d06a9488b52874f697db818357","pubkey_hash":"50168b1f1adb8d3baa164eb3844909c4b17287badba77a29d768ff0be1fb624e","expiration":2426269680},"timings_ms":{"resolve":1.25,"connect":0.8,"starttls":null,"handshake":9.9}}"#);
}

//! The JSON of real checks, as dashboards and SSLMate clients read it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::fixture::check::Check;
use crate::fixture::dns::{NXDOMAIN, Responder};
use crate::fixture::pki::{HOST, Pki};
use crate::fixture::tls::{self, Server};
use crate::support::Run;

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

fn set<'a>(words: &[&'a str]) -> BTreeSet<&'a str> {
    words.iter().flat_map(|w| w.split(' ')).collect()
}

const ROW: &str = "hostname ip_address port status certificate vantage protocol key_type labels severity \
                   findings trusted hostname_match expired not_yet_valid revoked clients dane served expected \
                   timings_ms";
const CONCLUSIVE: &str = "correct chained dummy";
const INCONCLUSIVE: &str = "error error_kind";
const CERTIFICATE: &str = "sha256_fingerprint sha1_fingerprint pubkey_hash subject issuer serial sans \
                           not_before expiration key signature";

/// A check with an ok probe, a refused one, and a name that does not exist.
fn run() -> Run {
    let pki = Pki::new();
    let leaf = pki.leaf(&[HOST]);
    let server = Server::tls("127.0.0.2", tls::config(&pki, &leaf));
    let check = Check::of(&pki, &leaf, &["127.0.0.2", "127.0.0.3"], server.port());
    let dns = Responder::start(|_| Err(NXDOMAIN));
    check
        .arg(format!("unknown.example:{}", server.port()))
        .args(&["--dns", &dns.address.to_string()])
        .run()
}

#[test]
fn json_result_has_the_documented_keys() {
    let run = run();
    let json = run.json();
    assert_eq!(keys(&json), set(&["result summary complete"]));
    assert_eq!(
        keys(&json["summary"]),
        set(&["endpoints ok warning critical unknown"])
    );
    let rows = json["result"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        let conclusive = row["status"] == "conclusive";
        let own = if conclusive { CONCLUSIVE } else { INCONCLUSIVE };
        assert_eq!(keys(row), set(&[ROW, own]));
        assert_eq!(
            keys(&row["timings_ms"]),
            set(&["resolve connect starttls handshake"])
        );
        let expected = "source id sha256_fingerprint pubkey_hash expiration";
        assert_eq!(keys(&row["expected"]), set(&[expected]));
        assert_eq!(row["served"].is_null(), !conclusive);
        for finding in row["findings"].as_array().unwrap() {
            assert_eq!(keys(finding), set(&["code severity message hint detail"]));
        }
    }
    let served = &rows
        .iter()
        .find(|r| r["ip_address"] == "127.0.0.2")
        .unwrap()["served"];
    let look = "leaf chain tls_version cipher_suite alpn ocsp_stapled key_proof";
    assert_eq!(keys(served), set(&[look]));
    assert_eq!(keys(&served["leaf"]), set(&[CERTIFICATE]));
    assert_eq!(keys(&served["chain"][0]), set(&[CERTIFICATE]));
    assert!(served["leaf"]["expiration"].is_i64());
}

/// The fields of SSLMate's test response and no others.
#[derive(Deserialize)]
struct Response {
    result: Vec<Tested>,
}

#[derive(Deserialize)]
struct Tested {
    hostname: String,
    ip_address: Option<String>,
    port: u16,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Outcome {
    Conclusive {
        correct: bool,
        chained: bool,
        dummy: bool,
    },
    ConnectError {
        error: String,
    },
}

#[test]
fn json_result_parses_as_an_sslmate_response() {
    let run = run();
    let response: Response = serde_json::from_str(&run.stdout).unwrap();
    let mut refused = 0;
    for tested in response.result {
        assert_ne!(tested.port, 0);
        match (
            tested.hostname.as_str(),
            tested.ip_address.as_deref(),
            tested.outcome,
        ) {
            (HOST, Some("127.0.0.2"), outcome) => {
                let right = Outcome::Conclusive {
                    correct: true,
                    chained: true,
                    dummy: false,
                };
                assert_eq!(outcome, right);
            }
            (HOST, Some("127.0.0.3"), Outcome::ConnectError { error })
            | ("unknown.example", None, Outcome::ConnectError { error }) => {
                assert!(!error.is_empty());
                refused += 1;
            }
            (hostname, ip, outcome) => panic!("{hostname} {ip:?} {outcome:?}"),
        }
    }
    assert_eq!(refused, 2);
}

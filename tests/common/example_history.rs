//! The history of the documentation's examples.

use certvigil::certificate::{Certificate, parse_certificates};
use certvigil::judge::{Flags, Judged, Verdict};
use certvigil::model::{Protocol, Target, Timestamp, Timings, Vantage};
use certvigil::observation::{
    ErrorKind, KeyProof, Observation, Outcome, ProbeError, Served, TlsVersion,
};
use certvigil::store::Store;
use std::path::Path;
use std::sync::Arc;

/// Writes the history that `docs/history.md` describes: a certificate is renewed, and one of two
/// servers still serves the old one.
pub(crate) fn keep_example(folder: &Path) {
    let (first, second) = ("192.0.2.10", "192.0.2.11");
    let story = [
        (
            "2026-03-01T08:00:00Z",
            vec![
                served(first, old(), true, true),
                served(second, old(), true, true),
            ],
        ),
        (
            "2026-03-10T09:05:00Z",
            vec![
                served(first, new(), true, true),
                served(second, old(), false, true),
            ],
        ),
        (
            "2026-03-10T11:20:00Z",
            vec![
                served(first, new(), true, true),
                failed(
                    Some(second),
                    ErrorKind::ConnectRefused,
                    "the connection was refused",
                ),
            ],
        ),
        (
            "2026-03-10T11:25:00Z",
            vec![
                served(first, new(), true, true),
                served(second, new(), true, false),
            ],
        ),
        (
            "2026-03-10T11:40:00Z",
            vec![
                served(first, new(), true, true),
                served(second, new(), true, true),
            ],
        ),
    ];
    let store = Store::open(folder).unwrap();
    for (when, looks) in story {
        store.note(&looks, time(when)).unwrap();
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The first certificate, valid until 2026-04-10. It is fixed, so that the documentation shows its
/// fingerprint.
pub(crate) fn old() -> Certificate {
    read(include_bytes!("testdata/history-old.pem"))
}

/// The certificate that replaced it, valid until 2026-06-08.
pub(crate) fn new() -> Certificate {
    read(include_bytes!("testdata/history-new.pem"))
}

pub(crate) fn served(ip: &str, leaf: Certificate, correct: bool, chained: bool) -> Judged {
    let served = Served {
        leaf,
        rest: Vec::new(),
        tls_version: TlsVersion::Tls13,
        cipher_suite: "TLS_AES_128_GCM_SHA256".into(),
        alpn: None,
        revocation: Default::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
        failure: None,
        ech: None,
    };
    let look = look(Some(ip), Outcome::Served(Box::new(served)));
    judged(look, flags(correct, chained))
}

pub(crate) fn failed(ip: Option<&str>, kind: ErrorKind, message: &str) -> Judged {
    let error = ProbeError::new(kind, message);
    let look = look(ip, Outcome::Failed(error.clone()));
    judged(look, Verdict::Inconclusive(error))
}

pub(crate) fn read(pem: &[u8]) -> Certificate {
    parse_certificates(pem).unwrap().remove(0)
}

pub(crate) fn look(ip: Option<&str>, outcome: Outcome) -> Observation {
    Observation {
        target: Target {
            certificate: "example".into(),
            hostname: "www.example.com".parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
        ip: ip.map(|ip| ip.parse().unwrap()),
        key_type: certvigil::model::KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome,
    }
}

pub(crate) fn judged(observation: Observation, verdict: Verdict) -> Judged {
    Judged {
        observation,
        expected: None,
        verdict,
        findings: Vec::new(),
        clients: None,
        path_expiry: None,
        thresholds: None,
        notes: Arc::default(),
        dane: None,
    }
}

pub(crate) fn flags(correct: bool, chained: bool) -> Verdict {
    Verdict::Conclusive(Flags {
        correct,
        chained,
        dummy: false,
        trusted: None,
        hostname_match: None,
        expired: None,
        not_yet_valid: None,
        revoked: None,
    })
}

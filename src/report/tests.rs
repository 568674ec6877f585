//! Inline snapshots of the output formats, with fixed certificates and a fixed time.

mod formats;
mod gathered;
mod hostile;
mod human;
mod json;

use std::sync::Arc;
use std::time::Duration;

use crate::certificate::{Certificate, parse_certificates};
use crate::finding::{Code, Severity};
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use crate::judge::{Judged, Rules, TrustStore, judge, together};
use crate::model::{Protocol, Target, Threshold, Thresholds, Timestamp, Timings, Vantage};
use crate::observation::{
    ErrorKind, KeyProof, Observation, Outcome, ProbeError, Reported, Served, TlsVersion,
};

fn certificate(pem: &str) -> Certificate {
    parse_certificates(pem.as_bytes()).unwrap().remove(0)
}

fn root() -> Certificate {
    certificate(include_str!(
        "../../crates/certvigil-core/src/judge/testdata/root.pem"
    ))
}

fn intermediate() -> Certificate {
    certificate(include_str!(
        "../../crates/certvigil-core/src/judge/testdata/intermediate.pem"
    ))
}

fn leaf() -> Certificate {
    certificate(include_str!(
        "../../crates/certvigil-core/src/judge/testdata/leaf.pem"
    ))
}

fn weak() -> Certificate {
    certificate(include_str!(
        "../../crates/certvigil-core/src/judge/testdata/rsa1024.pem"
    ))
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
        tls_version: TlsVersion::Tls13,
        cipher_suite: "TLS13_AES_256_GCM_SHA384".into(),
        alpn: Some("h2".into()),
        revocation: Default::default(),
        key_proof: KeyProof::Handshake,
        parameters: Default::default(),
        failure: None,
        ech: None,
    }))
}

fn right() -> Outcome {
    served(leaf(), &[intermediate()])
}

fn failed(kind: ErrorKind, message: &str) -> Outcome {
    Outcome::Failed(ProbeError::new(kind, message))
}

fn reported(correct: bool) -> Outcome {
    Outcome::Reported(Reported {
        correct,
        chained: true,
        dummy: false,
        peer: None,
    })
}

/// Returns a probe of `host`, `ip`, `host ip` or `host ip vantage`.
fn result_of(place: &str, outcome: Outcome) -> Judged {
    let mut words = place.split(' ');
    let host = words.next().unwrap();
    let ip = words.next().filter(|ip| *ip != "-");
    let observation = Observation {
        target: Target {
            certificate: "example.com".into(),
            hostname: host.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
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
    let mut judged = judge(
        Some(&Arc::new(expected())),
        observation,
        &trust,
        &Rules::default(),
        now(),
    );
    // The test certificates deviate from the rules for public authorities.
    judged.findings.retain(|finding| {
        (finding.code(), finding.severity) != (Code::NonconformantCertificate, Severity::Info)
    });
    judged
}

fn scan<const N: usize>(results: [Judged; N]) -> Vec<Judged> {
    let mut results = results.to_vec();
    together(&mut results);
    results
}

/// Returns results of every kind.
fn everything() -> Vec<Judged> {
    scan([
        result_of("www.example.com 192.0.2.1", right()),
        result_of("www.example.com 192.0.2.1 sslmate", reported(true)),
        result_of("www.example.com 192.0.2.1 eu-west", reported(true)),
        result_of("www.example.com 192.0.2.2", served(weak(), &[])),
        result_of("www.example.com 192.0.2.2 sslmate", reported(false)),
        result_of(
            "www.example.com 2001:db8::2",
            failed(ErrorKind::ConnectRefused, "connection refused"),
        ),
        result_of("www.example.com 2001:db8::2 sslmate", reported(true)),
        result_of(
            "nowhere.example.com -",
            failed(ErrorKind::DnsNxdomain, "the name does not exist"),
        ),
        result_of(
            "plain.example.com 192.0.2.5",
            failed(ErrorKind::TlsProtocol, "the answer is not TLS"),
        ),
        result_of(
            "a-very-long-name-of-a-host.in-a-very-long-domain.example.com 2001:db8:85a3:1234:5678:8a2e:370:7334",
            served(leaf(), &[intermediate(), root()]),
        ),
    ])
}

/// Returns the default thresholds of the program.
fn thresholds() -> Thresholds {
    Thresholds {
        warn: Threshold::WARN,
        crit: Threshold::CRIT,
    }
}

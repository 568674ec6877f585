//! Tests of the judge, and their common setup: a small PKI and a probe of a server.

mod bounds;
mod bundle;
mod chains;
mod clients;
mod cost;
mod dane;
mod ech;
mod identities;
mod looks;
mod names;
mod odd;
mod paths;
mod properties;
mod revocation;
mod rollout;
mod served_path;
mod validity;

use std::sync::Arc;

use crate::authority::{Authority, Issued, Key, Validity};
use crate::certificate::{Certificate, parse_certificates};
use crate::finding::Severity;
use crate::instance::{Expectation, Expected, Instance, Instances, SourceKind, State};
use crate::model::{Protocol, Target, Timestamp, Timings, Vantage};
use crate::observation::{
    KeyProof, Observation, Outcome, Parameters, Revocation, Served, TlsVersion,
};

use super::{Flags, Judged, Rules, TrustStore, Verdict, judge};

const DAY: i64 = 86_400;
const HOST: &str = "www.example.com";

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().unwrap()
}

/// Returns the period from `before` days before now to `after` days after it.
fn days(before: i64, after: i64) -> Validity {
    Validity::around(now(), before, after)
}

/// Returns a period so long that it has no influence on a test.
fn long() -> Validity {
    days(400, 3_000)
}

fn key() -> Key {
    Key::generate().unwrap()
}

fn root(name: &str) -> Authority {
    Authority::root(name, long()).unwrap()
}

impl Authority {
    fn below(&self, name: &str) -> Self {
        self.intermediate(name, long()).unwrap()
    }

    fn leaf(&self, name: &str, validity: Validity) -> Issued {
        self.issue(&[name.into()], validity, &key()).unwrap()
    }

    fn cert(&self) -> Certificate {
        self.certificate.clone()
    }
}

fn self_signed(key: &Key) -> Certificate {
    let issued = crate::authority::self_signed(&[HOST.into()], days(1, 200), key);
    issued.unwrap().certificate
}

/// Returns a certificate of `testdata/`. These are judged as of 2030.
fn testdata(name: &str) -> Certificate {
    let path = format!(
        "{}/src/judge/testdata/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    let pem = std::fs::read(&path).expect(&path);
    parse_certificates(&pem).unwrap().remove(0)
}

fn store<'a>(roots: impl IntoIterator<Item = &'a Certificate>) -> TrustStore {
    let mut store = TrustStore::default();
    for root in roots {
        store.add(root).unwrap();
    }
    store
}

fn instance(leaf: &Certificate, chain: &[Certificate]) -> Instance {
    Instance {
        id: None,
        state: State::Active,
        leaf: leaf.clone(),
        chain: chain.to_vec(),
        root: None,
    }
}

fn pending(leaf: &Certificate) -> Instance {
    Instance {
        state: State::Pending,
        ..instance(leaf, &[])
    }
}

fn expect(instances: Instances) -> Expected {
    Expected {
        source: SourceKind::Sslmate,
        what: Expectation::Instances(Box::new(instances)),
    }
}

fn pin(certificate: &Certificate) -> Expected {
    Expected {
        source: SourceKind::Fingerprint,
        what: Expectation::Fingerprints([certificate.sha256()].into()),
    }
}

fn pin_key(certificate: &Certificate) -> Expected {
    Expected {
        source: SourceKind::PublicKey,
        what: Expectation::PublicKeys([certificate.public_key_hash().unwrap()].into()),
    }
}

/// A probe of one server, and its expected certificate. Everything is ok unless a test changes it.
#[derive(Clone, Debug)]
struct Case {
    expected: Expected,
    host: String,
    served: Vec<Certificate>,
    said: Revocation,
    trust: TrustStore,
    rules: Rules,
    now: Timestamp,
}

/// Root, intermediate and leaf, and the case in which they are served correctly.
struct Pki {
    root: Authority,
    mid: Authority,
    leaf: Issued,
    right: Case,
}

fn pki() -> Pki {
    let root = root("Root");
    let mid = root.below("Intermediate");
    let leaf = mid.leaf(HOST, days(100, 200));
    let right = Case {
        expected: expect(Instances::only(instance(&leaf.certificate, &[mid.cert()]))),
        host: HOST.into(),
        served: vec![leaf.certificate.clone(), mid.cert()],
        said: Revocation::default(),
        trust: store([&root.certificate]),
        rules: Rules::default(),
        now: now(),
    };
    Pki {
        root,
        mid,
        leaf,
        right,
    }
}

impl Pki {
    fn leaf(&self) -> Certificate {
        self.leaf.certificate.clone()
    }
}

impl Case {
    /// Returns a case of `testdata/`, under these roots.
    fn of_testdata(served: &[&str], roots: &[&str]) -> Self {
        let served: Vec<_> = served.iter().map(|name| testdata(name)).collect();
        let roots: Vec<_> = roots.iter().map(|name| testdata(name)).collect();
        Self {
            expected: pin(&served[0]),
            host: HOST.into(),
            served,
            said: Revocation::default(),
            trust: store(&roots),
            rules: Rules::default(),
            now: "2030-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn serving(&self, served: impl IntoIterator<Item = Certificate>) -> Self {
        Self {
            served: served.into_iter().collect(),
            ..self.clone()
        }
    }

    fn expecting(&self, expected: Expected) -> Self {
        Self {
            expected,
            ..self.clone()
        }
    }

    fn trusting(&self, trust: TrustStore) -> Self {
        Self {
            trust,
            ..self.clone()
        }
    }

    fn asking_for(&self, host: &str) -> Self {
        Self {
            host: host.into(),
            ..self.clone()
        }
    }

    fn at(&self, now: Timestamp) -> Self {
        Self {
            now,
            ..self.clone()
        }
    }

    /// Returns the same with certificates without remembered signatures.
    fn uncached(&self) -> Self {
        let forget = |c: &Certificate| Certificate::uncached(c.der().to_vec());
        let mut case = self.clone();
        case.served.iter_mut().for_each(|c| *c = forget(c));
        if let Expectation::Instances(instances) = &mut case.expected.what {
            let Instances {
                expected,
                also_accepted,
                pending,
                previous,
            } = instances.as_mut();
            let others = also_accepted.iter_mut().chain(pending).chain(previous);
            for instance in std::iter::once(expected).chain(others) {
                let Instance {
                    leaf, chain, root, ..
                } = instance;
                let all = std::iter::once(leaf).chain(chain).chain(root);
                all.for_each(|c| *c = forget(c));
            }
        }
        case
    }

    fn judged(&self) -> Judged {
        self.judged_in(TlsVersion::Tls13, KeyProof::Handshake)
    }

    /// Judges the case for a handshake with this version and key proof.
    fn judged_in(&self, tls_version: TlsVersion, key_proof: KeyProof) -> Judged {
        let suite = "TLS_AES_256_GCM_SHA384";
        self.judged_with(tls_version, suite, key_proof, Parameters::default())
    }

    /// Judges the case for a handshake with this outcome.
    fn judged_with(
        &self,
        tls_version: TlsVersion,
        suite: &str,
        key_proof: KeyProof,
        parameters: Parameters,
    ) -> Judged {
        let served = Served {
            tls_version,
            cipher_suite: suite.to_owned().into(),
            key_proof,
            parameters,
            failure: None,
            ..self.served()
        };
        self.judged_as(Outcome::Served(Box::new(served)))
    }

    /// Judges the case for this outcome of its probe.
    fn judged_as(&self, outcome: Outcome) -> Judged {
        let expected = Arc::new(self.expected.clone());
        let observation = observation(&self.host, outcome);
        judge(
            Some(&expected),
            observation,
            &self.trust,
            &self.rules,
            self.now,
        )
    }

    /// Returns the certificates and parameters of a TLS 1.3 handshake.
    fn served(&self) -> Served {
        let (leaf, rest) = self.served.split_first().unwrap();
        Served {
            leaf: leaf.clone(),
            rest: rest.to_vec(),
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: self.said.clone(),
            key_proof: KeyProof::Handshake,
            parameters: Parameters::default(),
            failure: None,
            ech: None,
        }
    }

    fn flags(&self) -> Flags {
        self.judged().flags()
    }

    /// Returns `code` or `code!severity` for every finding. The severity is omitted if it is the
    /// usual one of the code.
    fn codes(&self) -> Vec<String> {
        self.judged().codes()
    }

    /// Returns message and hint of the only finding of this code.
    fn reported(&self, code: &str) -> (String, String) {
        self.judged().reported(code)
    }
}

impl Judged {
    fn flags(&self) -> Flags {
        match &self.verdict {
            Verdict::Conclusive(flags) => *flags,
            Verdict::Inconclusive(error) => panic!("inconclusive: {error}"),
        }
    }

    fn codes(&self) -> Vec<String> {
        let code = |f: &crate::finding::Finding| match f.code().severities() {
            [first, ..] if *first == f.severity => f.code().to_string(),
            _ => format!("{}!{}", f.code(), f.severity),
        };
        let mut codes: Vec<String> = self.findings.iter().map(code).collect();
        // Most test certificates deviate from the rules for public authorities; tests/paths.rs
        // tests the remarks.
        codes.retain(|code| code != "nonconformant_certificate!info");
        codes
    }

    fn reported(&self, code: &str) -> (String, String) {
        let is_remark = |f: &crate::finding::Finding| {
            (f.code().name(), f.severity) == ("nonconformant_certificate", Severity::Info)
        };
        let mut findings =
            (self.findings.iter()).filter(|f| f.code().name() == code && !is_remark(f));
        let finding = findings
            .next()
            .unwrap_or_else(|| panic!("no {code}: {self:?}"));
        assert!(findings.next().is_none(), "several {code}: {self:?}");
        let text = finding.text();
        (text.message, text.hint)
    }
}

fn observation(host: &str, outcome: Outcome) -> Observation {
    Observation {
        target: Arc::new(Target {
            certificate: "web".into(),
            hostname: host.parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }),
        ip: Some("192.0.2.1".parse().unwrap()),
        key_type: crate::model::KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome,
    }
}

#[test]
fn correct_endpoint_has_no_findings() {
    let judged = pki().right.judged();
    assert_eq!(judged.codes(), [""; 0]);
    assert_eq!(judged.severity(), Severity::Ok);
    assert_eq!(
        judged.flags(),
        Flags {
            correct: true,
            chained: true,
            dummy: false,
            trusted: Some(true),
            hostname_match: Some(true),
            expired: Some(false),
            not_yet_valid: Some(false),
            revoked: None,
        }
    );
}

#[test]
fn no_fault_hides_another() {
    let pki = pki();
    let wrong = root("Nobody's Root")
        .below("Nobody's Intermediate")
        .leaf("other.example", days(100, -1))
        .certificate;
    let case = pki.right.serving([wrong, pki.root.cert(), pki.root.cert()]);
    assert_eq!(
        case.codes(),
        [
            "wrong_certificate",
            "missing_intermediate",
            "expired",
            "hostname_mismatch",
            "unrelated_certificate",
            "duplicate_certificate"
        ]
    );
    let flags = case.flags();
    assert!(!flags.correct && !flags.chained && flags.trusted == Some(false));
    assert_eq!(
        (flags.expired, flags.hostname_match),
        (Some(true), Some(false))
    );

    let weak = Case::of_testdata(&["rsa1024"], &["root"]);
    let weak = weak
        .asking_for("other.example")
        .at("2050-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(
        weak.codes()[..3],
        ["expired", "chain_expired", "hostname_mismatch"]
    );
    assert!(
        weak.codes().contains(&"weak_key".into()),
        "{:?}",
        weak.codes()
    );
}

//! CPU time of judging one probe, as a ratio to one ECDSA P-256 verification in the same run. It is
//! measured with new certificates, and with certificates from an earlier probe, whose signature
//! results are cached. Then the time of judging the most expensive chains, which the signature
//! budget limits.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and may panic"
)]

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use certvigil::certificate::{Certificate, Interner};
use certvigil::instance::{Expectation, Expected, Instance, Instances, SourceKind};
use certvigil::judge::{Rules, TrustStore, judge};
use certvigil::model::{Protocol, Target, Timestamp, Timings, Vantage};
use certvigil::observation::{KeyProof, Observation, Outcome, Served, TlsVersion};
use certvigil::testbed::authority::{Authority, Key, Validity};

const ROUNDS: usize = 15;
const PER_ROUND: u32 = 200;

fn main() {
    let now = Timestamp(1_800_000_000);
    let validity = Validity::around(now, 10, 80);
    let root = Authority::root("Bench Root", validity).unwrap();
    let issuing = root.intermediate("Bench Issuing", validity).unwrap();
    let key = Key::generate().unwrap();
    let leaf = issuing
        .issue(&["www.example.com".into()], validity, &key)
        .unwrap();
    let mut trust = TrustStore::default();
    trust.add(&root.certificate).unwrap();
    let instance = Instance {
        id: None,
        state: certvigil::instance::State::Active,
        leaf: leaf.certificate.clone(),
        chain: vec![issuing.certificate.clone()],
        root: Some(root.certificate.clone()),
    };
    let expected = Arc::new(Expected {
        source: SourceKind::Pem,
        what: Expectation::Instances(Box::new(Instances::only(instance))),
    });
    let interner = Interner::default();
    let new = |der: &[u8]| Certificate::from_der(der.to_vec());
    let shared = |der: &[u8]| interner.certificate(der);
    let observation = |read: &dyn Fn(&[u8]) -> Certificate| Observation {
        target: Target {
            certificate: "www".into(),
            hostname: "www.example.com".parse().unwrap(),
            port: 443,
            protocol: Protocol::Https,
            names: Box::default(),
        }
        .into(),
        ip: Some(IpAddr::from([192, 0, 2, 1])),
        key_type: certvigil::model::KeyType::Any,
        vantage: Vantage::local(),
        timings: Timings::default(),
        outcome: Outcome::Served(Box::new(Served {
            leaf: read(leaf.certificate.der()),
            rest: vec![read(issuing.certificate.der())],
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: Default::default(),
            key_proof: KeyProof::Handshake,
            parameters: Default::default(),
            failure: None,
            ech: None,
        })),
    };
    let judged = |observation| {
        let rules = Rules::default();
        judge(Some(&expected), observation, &trust, &rules, now)
    };
    assert!(judged(observation(&new)).findings.is_empty());

    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let message = vec![0; 1000];
    let signature = pair.sign(&SystemRandom::new(), &message).unwrap();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref());

    let mut judging = Vec::new();
    let mut again = Vec::new();
    let mut checking = Vec::new();
    let mut ratios = Vec::new();
    let mut ratios_again = Vec::new();
    for _ in 0..ROUNDS {
        let a = time(|| {
            black_box(judged(observation(&new)));
        });
        let c = time(|| {
            black_box(judged(observation(&shared)));
        });
        let b = time(|| {
            public
                .verify(black_box(&message), signature.as_ref())
                .unwrap()
        });
        judging.push(a);
        again.push(c);
        checking.push(b);
        ratios.push(a / b);
        ratios_again.push(c / b);
    }
    println!("{ROUNDS} rounds of {PER_ROUND}, in turn              min   median      max");
    row("parsing and judging one look, us", &mut judging);
    row("the same of what was seen before, us", &mut again);
    row("one P-256 signature check, us", &mut checking);
    row("ratio of what is new", &mut ratios);
    row("ratio of what was seen before", &mut ratios_again);
    println!("\nhostile chains, ms                          min   median      max");
    for (name, served) in hostile::chains() {
        let mut times: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let start = Instant::now();
                black_box(hostile::judge_new(&served, now));
                start.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        row(name, &mut times);
    }
}

/// Chains that a hostile server may send.
mod hostile {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256,
        PKCS_ECDSA_P521_SHA512, SignatureAlgorithm,
    };

    /// Number of certificates that fit into the maximum chain.
    const MANY: usize = 98;

    fn authority(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn keys(count: usize, algorithm: &'static SignatureAlgorithm) -> Vec<KeyPair> {
        (0..count)
            .map(|_| KeyPair::generate_for(algorithm).unwrap())
            .collect()
    }

    /// CAs with the same name, each signed by the next: every key may have signed every
    /// certificate.
    fn one_name(algorithm: &'static SignatureAlgorithm) -> Vec<Vec<u8>> {
        let keys = keys(MANY, algorithm);
        let params = authority("Same");
        let signed = |subject: &KeyPair, issuer: &KeyPair| {
            let issuer = Issuer::from_params(&params, issuer);
            params.signed_by(subject, &issuer).unwrap().der().to_vec()
        };
        let pairs = keys.iter().zip(keys.iter().cycle().skip(1));
        pairs
            .map(|(subject, issuer)| signed(subject, issuer))
            .collect()
    }

    /// Ten CAs that all signed each other: there are more paths than can be tried.
    fn maze() -> Vec<Vec<u8>> {
        let keys = keys(10, &PKCS_ECDSA_P256_SHA256);
        let mut out = Vec::new();
        for (below, key) in keys.iter().enumerate() {
            for (above, signer) in keys.iter().enumerate().filter(|(above, _)| *above != below) {
                let params = authority(&format!("Node {above}"));
                let issuer = Issuer::from_params(&params, signer);
                let subject = authority(&format!("Node {below}"));
                out.push(subject.signed_by(key, &issuer).unwrap().der().to_vec());
            }
        }
        out
    }

    /// Each chain by name.
    pub(super) fn chains() -> Vec<(&'static str, Vec<Vec<u8>>)> {
        vec![
            ("98 of one name, P-256", one_name(&PKCS_ECDSA_P256_SHA256)),
            ("98 of one name, P-521", one_name(&PKCS_ECDSA_P521_SHA512)),
            ("90 of ten names that signed each other", maze()),
        ]
    }

    /// Judges a chain of new certificates.
    pub(super) fn judge_new(served: &[Vec<u8>], now: Timestamp) -> certvigil::judge::Judged {
        let mut all = served.iter().map(|der| Certificate::from_der(der.clone()));
        let served = Served {
            leaf: all.next().unwrap(),
            rest: all.collect(),
            tls_version: TlsVersion::Tls13,
            cipher_suite: "TLS_AES_256_GCM_SHA384".into(),
            alpn: None,
            revocation: Default::default(),
            key_proof: KeyProof::Handshake,
            parameters: Default::default(),
            failure: None,
            ech: None,
        };
        let observation = Observation {
            target: Target {
                certificate: "www".into(),
                hostname: "www.example.com".parse().unwrap(),
                port: 443,
                protocol: Protocol::Https,
                names: Box::default(),
            }
            .into(),
            ip: Some(IpAddr::from([192, 0, 2, 1])),
            key_type: certvigil::model::KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome: Outcome::Served(Box::new(served)),
        };
        let expected = Arc::new(Expected::trust_only());
        judge(
            Some(&expected),
            observation,
            &TrustStore::default(),
            &Rules::default(),
            now,
        )
    }
}

/// Microseconds of one call.
fn time(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..PER_ROUND {
        work();
    }
    let all: Duration = start.elapsed();
    all.as_secs_f64() * 1e6 / f64::from(PER_ROUND)
}

fn row(name: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    println!(
        "{name:38} {:8.2} {:8.2} {:8.2}",
        at(0),
        at(values.len() / 2),
        at(values.len() - 1)
    );
}

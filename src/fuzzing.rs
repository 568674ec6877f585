//! Fuzz targets of `fuzz/`. They are compiled for fuzzing and for the test that replays the seeds,
//! and are not part of the program.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use crate::certificate::{
    Certificate, Crl, Issuer, Revoked, SigningRequest, Status, is_one_line, parse_certificates,
    read_ocsp, read_private_keys,
};
use crate::config;
use crate::finding::{Detail, Finding};
use crate::instance::{Expectation, Expected, Instance, SourceKind};
use crate::judge::{Rules, TrustStore, judge, together};
use crate::model::{Hostname, KeyType, Protocol, Target, Timestamp, Timings, Vantage};
use crate::mta_sts::{StsMode, StsPolicy, announced};
use crate::observation::{KeyProof, Observation, Outcome, Revocation, Served, TlsVersion};
use crate::report;
use crate::{remote, source};

/// A fuzz target: takes any bytes and panics if a parser breaks its contract.
pub type Drive = fn(&[u8]);

/// Fuzz targets by the names of their files in `fuzz/fuzz_targets`.
pub const TARGETS: [(&str, Drive); 7] = [
    ("pem", pem),
    ("csr", csr),
    ("config", config),
    ("sslmate_json", sslmate_json),
    ("certificate", certificate),
    ("revocation", revocation),
    ("mta_sts", mta_sts),
];

/// Parses a response of the SSLMate API.
pub fn sslmate_json(data: &[u8]) {
    match data {
        [kind, body @ ..] if kind % 5 == 3 => remote::fuzz_answer(body),
        _ => source::fuzzing::sslmate_json(data),
    }
}

/// Parses a certificate signing request, in PEM or in DER. It survives a round trip.
pub fn csr(data: &[u8]) {
    use base64::Engine as _;
    let pem = std::str::from_utf8(data).map_or_else(
        |_| {
            let body = base64::engine::general_purpose::STANDARD.encode(data);
            format!(
                "-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
            )
        },
        str::to_owned,
    );
    match SigningRequest::from_pem(&pem) {
        Ok(request) => {
            let again = SigningRequest::from_pem(&request.to_pem());
            let again = again.map(|again| again.public_key_hash());
            assert_eq!(again, Ok(request.public_key_hash()));
            assert!(!request.key_bits().is_empty());
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
}

/// Parses a PEM file. The parsed certificates survive a round trip.
pub fn pem(data: &[u8]) {
    if let Err(error) = read_private_keys(data) {
        assert_one_line(&error.to_string());
    }
    let certificates = match parse_certificates(data) {
        Ok(certificates) => certificates,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    assert!(!certificates.is_empty());
    let written: String = certificates.iter().map(Certificate::to_pem).collect();
    let again = parse_certificates(written.as_bytes());
    assert_eq!(again.as_ref(), Ok(&certificates));
    if let Err(error) = Instance::from_chain(certificates) {
        assert_one_line(&error.to_string());
    }
}

/// Parses a configuration file.
pub fn config(data: &[u8]) {
    const FILE: &str = "dir/certvigil.yml";
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match config::parse(text, Path::new(FILE)) {
        Ok(inventory) => {
            let has_files = !inventory.include.is_empty() || !inventory.file_sd.is_empty();
            assert!(has_files || !inventory.certificates.is_empty());
            let names_ports = inventory.certificates.iter().all(|e| !e.ports.is_empty());
            assert!(names_ports);
            config::describe(&inventory)
                .lines()
                .for_each(assert_one_line);
        }
        Err(errors) => {
            let message = errors.to_string();
            let lines: Vec<&str> = message.split('\n').collect();
            let shown = errors.errors.len().min(yaml_config::MAX_SHOWN);
            // One more line counts the errors that are not shown.
            let has_more = usize::from(errors.errors.len() > shown);
            assert!(shown > 0 && lines.len() == shown + has_more);
            assert!(errors.errors.is_sorted_by_key(|e| e.line));
            // YAML ends lines at a carriage return too. The end of the file may count as a line.
            let last = text.split(['\n', '\r']).count() + 1;
            lines.iter().for_each(|line| assert_one_line(line));
            for (line, error) in lines.iter().take(shown).zip(&errors.errors) {
                assert!(line.starts_with(&format!("{FILE}:{}: ", error.line)));
                assert!((1..=last).contains(&error.line), "{line}");
            }
        }
    }
}

/// Judges a served certificate, first with any trusted certificate expected, then with exactly this
/// one.
pub fn certificate(data: &[u8]) {
    let certificate = Certificate::from_der(data.to_vec());
    match certificate.facts() {
        Ok(facts) => {
            assert_eq!(Some(facts.public_key_hash), certificate.public_key_hash());
            let texts = [&facts.subject, &facts.issuer, &facts.serial];
            let names = [&facts.common_name, &facts.issuer_common_name];
            let urls = [&facts.issuer_url, &facts.ocsp_url];
            let notes = facts.oddities.iter().chain(&facts.remarks);
            let oddities: Vec<_> = notes.map(ToString::to_string).collect();
            let texts = texts.into_iter().chain(&oddities);
            let texts = texts.chain(&facts.crl_urls);
            let texts = texts.chain(names.into_iter().chain(urls).flatten());
            texts.for_each(|text| assert_one_line(text));
            facts
                .sans
                .iter()
                .for_each(|s| assert_one_line(&s.to_string()));
            assert_one_line(&facts.key.to_string());
            assert_one_line(&facts.signature.name);
        }
        Err(malformed) => assert_one_line(&malformed.to_string()),
    }
    let known = known();
    let trusted = Expected {
        source: SourceKind::Trust,
        what: Expectation::TrustOnly,
    };
    let pinned = Expected {
        source: SourceKind::Fingerprint,
        what: Expectation::Fingerprints([certificate.sha256()].into()),
    };
    for expected in [trusted, pinned] {
        let seen = known.observation(&certificate);
        let rules = Rules::default();
        let expected = Arc::new(expected);
        let mut looks = [judge(
            Some(&expected),
            seen,
            &known.trust,
            &rules,
            known.now,
        )];
        together(&mut looks);
        let findings = looks.iter().flat_map(|l| &l.findings);
        findings.for_each(|f| assert_one_line(&f.message()));
        assert_eq!(report::jsonl(&looks).lines().count(), looks.len());
        report::prometheus::textfile(&looks, known.now);
    }
}

/// Parses the policy of MTA-STS, or its records, one a line. Which of them is selected by the first
/// octet.
pub fn mta_sts(data: &[u8]) {
    let [kind, data @ ..] = data else {
        return;
    };
    let fault = if kind % 2 == 0 {
        let records: Vec<Vec<u8>> = data.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        match announced(&records) {
            None => return,
            Some(Ok(id)) => {
                assert!(!id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric()));
                return;
            }
            Some(Err(fault)) => fault,
        }
    } else {
        match StsPolicy::parse(data) {
            Ok(policy) => {
                assert!(policy.mode == StsMode::None || !policy.mx.is_empty());
                for pattern in &policy.mx {
                    assert_one_line(pattern);
                    // The longest names cannot have another label.
                    let host = pattern.replacen('*', "a", 1).parse::<Hostname>();
                    assert!(host.is_ok_and(|host| policy.allows(&host)) || pattern.len() > 250);
                }
                return;
            }
            Err(fault) => fault,
        }
    };
    let detail = Detail::MtaStsUnusable {
        domain: Hostname::Dns("example.com".into()),
        fault,
    };
    assert_one_line(&Finding::new(detail).message());
}

/// Checks a revocation list or an OCSP response, selected by the first octet. Data that the issuer
/// did not sign gives no result, so only the responses in the seeds give one.
pub fn revocation(data: &[u8]) {
    let [kind, data @ ..] = data else {
        return;
    };
    let known = known();
    let answer = match kind % 2 {
        0 => read_ocsp(data, &known.leaf, &known.issuer, known.now),
        _ => Crl::from_der(data.to_vec())
            .and_then(|list| list.status_of(&known.leaf, &known.issuer, known.now)),
    };
    match answer.map(|answer| answer.status) {
        Ok(Status::Good) => {}
        Ok(Status::Revoked(revoked)) => assert_eq!(revoked, known.revoked),
        Err(why) => assert_one_line(&why.to_string()),
    }
}

/// Checks that a text is one line without control characters.
fn assert_one_line(text: &str) {
    assert!(is_one_line(text), "{text:?}");
}

/// Issuer of the revocation test data, and the certificates that it issued and revoked.
struct Known {
    ca: Certificate,
    leaf: Certificate,
    issuer: Issuer,
    trust: TrustStore,
    hostname: Hostname,
    now: Timestamp,
    revoked: Revoked,
}

impl Known {
    fn read() -> Result<Self, Box<dyn Error>> {
        let one = |pem: &str| -> Result<Instance, Box<dyn Error>> {
            let certificates = parse_certificates(pem.as_bytes())?;
            Ok(Instance::from_chain(certificates)?)
        };
        let ca = one(include_str!(
            "../crates/certvigil-core/src/certificate/revocation/testdata/ca.pem"
        ))?
        .leaf;
        let leaf = one(include_str!(
            "../crates/certvigil-core/src/certificate/revocation/testdata/leaf.pem"
        ))?
        .leaf;
        let spki = &ca.facts().map_err(Clone::clone)?.spki;
        let issuer = Issuer::of(&leaf, spki).ok_or("the authority did not issue the leaf")?;
        let mut trust = TrustStore::default();
        trust.add(&ca)?;
        Ok(Self {
            issuer,
            leaf,
            trust,
            ca,
            hostname: "www.example.com".parse()?,
            now: "2026-11-25T12:00:00Z".parse()?,
            revoked: Revoked {
                at: "2026-11-01T12:00:00Z".parse()?,
                reason: Some("keyCompromise"),
            },
        })
    }

    /// Returns the observation of a server with this leaf, issued by the authority.
    fn observation(&self, leaf: &Certificate) -> Observation {
        Observation {
            target: Target {
                certificate: "c".into(),
                hostname: self.hostname.clone(),
                port: 443,
                protocol: Protocol::Https,
                names: Box::default(),
            }
            .into(),
            ip: Some([192, 0, 2, 1].into()),
            key_type: KeyType::Any,
            vantage: Vantage::local(),
            timings: Timings::default(),
            outcome: Outcome::Served(Box::new(Served {
                leaf: leaf.clone(),
                rest: vec![self.ca.clone()],
                tls_version: TlsVersion::Tls13,
                cipher_suite: "TLS13_AES_128_GCM_SHA256".into(),
                alpn: None,
                revocation: Revocation::default(),
                key_proof: KeyProof::Handshake,
                parameters: Default::default(),
                failure: None,
                ech: None,
            })),
        }
    }
}

#[expect(clippy::panic, reason = "nothing can be tried without the testdata")]
fn known() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| Known::read().unwrap_or_else(|error| panic!("the testdata: {error}")))
}

#[cfg(test)]
mod tests;

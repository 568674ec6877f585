//! Tests of the serialization and of the text of each kind of finding.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;
use crate::certificate::{
    Certificate, ExtendedKeyUsage, LeafRecord, NameOf, Oddity, Unusable, parse_certificates,
};
use crate::instance::{SourceKind, State};
use crate::model::{KeyType, Protocol, Timestamp, Vantage};
use crate::mta_sts::{PolicyFault, StsFault, StsMode};
use crate::observation::{Alert, ErrorKind, ProbeError, TlsVersion};
use crate::tlsa::TlsaRecord;

fn testdata(name: &str) -> Certificate {
    let path = format!(
        "{}/src/judge/testdata/{name}.pem",
        env!("CARGO_MANIFEST_DIR")
    );
    parse_certificates(&std::fs::read(path).unwrap())
        .unwrap()
        .remove(0)
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn expected() -> Wanted {
    Wanted::Instance {
        source: SourceKind::Sslmate,
        id: Some(331),
        certificate: testdata("rsa1024"),
    }
}

fn record(usage: u8) -> TlsaRecord {
    TlsaRecord {
        usage,
        selector: 1,
        matching_type: 1,
        data: vec![0xab; 32],
    }
}

fn tlsa(is_authenticated: bool, mismatch: TlsaMismatch) -> Detail {
    Detail::TlsaMismatch {
        name: "_443._tcp.www.example.com.".into(),
        is_authenticated,
        mismatch,
        publish: record(3),
    }
}

fn leaf_validity() -> LeafValidity {
    LeafValidity {
        not_after: time("2027-01-31T00:00:00Z"),
        judged_at: time("2027-02-02T12:00:00Z"),
        is_newer_expected: true,
    }
}

fn validity(position: Role) -> ChainValidity {
    ChainValidity {
        certificate: testdata("root"),
        position,
        not_before: time("2026-01-31T00:00:00Z"),
        not_after: time("2027-01-31T00:00:00Z"),
        judged_at: time("2026-01-01T00:00:00Z"),
    }
}

fn fault(role: Role, kind: FaultKind) -> Fault {
    Fault {
        kind,
        role,
        name: "Example Intermediate".into(),
        certificate: Some(testdata("root").sha256()),
    }
}

fn refusal(property: Property, reason: &str) -> Refusal {
    Refusal {
        of: Some(Trait {
            place: TraitPosition::Leaf,
            property,
        }),
        reason: reason.into(),
    }
}

fn probe_error(kind: ErrorKind) -> ProbeError {
    ProbeError::new(kind, "nothing listens there")
}

fn hostname() -> crate::model::Hostname {
    "www.example.com".parse().unwrap()
}

/// Returns one detail for each case of each code.
fn identity_details() -> Vec<Detail> {
    let grace_until = Some(time("2027-03-01T00:00:00Z"));
    let older = |older| Detail::PreviousInstance {
        older,
        grace_until,
        expected: expected(),
    };
    let dummy = |dummy| Detail::DummyCertificate {
        dummy,
        expected: expected(),
    };
    let mismatch = |names: &[&str], is_address_in_dns_name| Detail::HostnameMismatch {
        hostname: hostname(),
        names: names.iter().map(ToString::to_string).collect(),
        name_count: names.len(),
        is_address_in_dns_name,
    };
    vec![
        Detail::WrongCertificate {
            served: Some(testdata("root")),
            is_newer: false,
            expected: expected(),
        },
        Detail::WrongCertificate {
            served: Some(testdata("root")),
            is_newer: true,
            expected: expected(),
        },
        Detail::WrongCertificate {
            served: None,
            is_newer: false,
            expected: Wanted::Fingerprint,
        },
        older(Older::Known {
            id: Some(330),
            state: State::Revoked,
            served: testdata("root"),
        }),
        older(Older::SameNames {
            served: testdata("root"),
            newer: testdata("rsa1024"),
        }),
        older(Older::Reported),
        Detail::SameKeyOtherCertificate {
            served: testdata("root"),
            is_newer: false,
            expected: Wanted::PublicKey,
        },
        dummy(Dummy::ExpectedKey),
        dummy(Dummy::Pending),
        dummy(Dummy::Replaced { grace_until }),
        mismatch(&["a.example", "b.example"], false),
        mismatch(&[], false),
        mismatch(&["192.0.2.1"], true),
        Detail::KeyMismatch {
            certificate: testdata("root"),
            pubkey_hash: testdata("root").public_key_hash(),
            key_pubkey_hash: crate::certificate::PublicKeyHash::of(b"key"),
        },
        Detail::AddressesDisagree {
            hostname: hostname(),
            served: testdata("root"),
            other: Some(testdata("rsa1024")),
            addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            address_count: 7,
        },
        Detail::VantagesDisagree {
            vantage: Vantage::local(),
            seen: Seen::ExpectedWithoutChain,
            other_vantage: Vantage::named("eu-west"),
            other_seen: Seen::HandshakeFails,
        },
        Detail::MaterialChange {
            before: Box::new(LeafRecord::of(&testdata("root")).unwrap()),
            served: testdata("rsa1024"),
            changes: vec![
                MaterialChange::Issuer {
                    before: "Example CA".into(),
                    after: "Proxy".into(),
                },
                MaterialChange::lost_names(&[
                    "a.example",
                    "b.example",
                    "c.example",
                    "d.example",
                    "e.example",
                ]),
                MaterialChange::WeakerKey {
                    before: "EC P-256".into(),
                    after: "RSA 1024".into(),
                },
            ],
            first_seen: time("2027-01-01T00:00:00Z"),
            until: time("2027-01-02T00:00:00Z"),
        },
        Detail::SourceStale {
            last_success: time("2027-01-01T00:00:00Z"),
        },
        Detail::KeyTypeMissing {
            key_type: KeyType::Ecdsa,
        },
    ]
}

fn chain_details() -> Vec<Detail> {
    let missing = |missing| Detail::MissingIntermediate {
        missing,
        expected: Wanted::Trust,
    };
    let untrusted = Detail::UntrustedRoot;
    let nonconformant = Detail::NonconformantCertificate;
    let reason = NoPath::NoIssuer {
        issuer: "CN=Example Root".into(),
    };
    vec![
        missing(Missing::Known {
            missing: vec![testdata("root")],
            issuer_url: Some("http://ca.example/ca.der".into()),
        }),
        missing(Missing::Unknown {
            below: testdata("rsa1024"),
            position: Role::Leaf,
            issuer: "CN=Example Root".into(),
            issuer_url: None,
            namesake: Some(Namesake::RootWithOtherKey),
        }),
        missing(Missing::Reported),
        Detail::Expired(leaf_validity()),
        Detail::Expiring(LeafValidity {
            judged_at: time("2027-01-30T23:00:00Z"),
            ..leaf_validity()
        }),
        Detail::NotYetValid(validity(Role::Leaf)),
        Detail::NotYetValid(validity(Role::Anchor)),
        Detail::ChainExpired {
            validity: ChainValidity {
                judged_at: time("2027-02-01T00:00:00Z"),
                ..validity(Role::Intermediate)
            },
            is_needed: false,
        },
        Detail::ChainExpiring(validity(Role::Anchor)),
        Detail::InvalidAuthority {
            faults: vec![
                fault(Role::Intermediate, FaultKind::NotCa),
                fault(
                    Role::Intermediate,
                    FaultKind::PathLength {
                        allowed: 0,
                        found: 1,
                    },
                ),
            ],
        },
        untrusted(Untrusted::Root {
            subject: "CN=Example Root".into(),
        }),
        untrusted(Untrusted::Issuer {
            issuer: "CN=Example Root".into(),
            namesake: None,
        }),
        untrusted(Untrusted::Circle),
        untrusted(Untrusted::TooManyCandidates),
        untrusted(Untrusted::InvalidPath {
            fault: fault(
                Role::Leaf,
                FaultKind::NotForServers {
                    usage: ExtendedKeyUsage::default(),
                },
            ),
        }),
        untrusted(Untrusted::Unverifiable {
            fault: fault(Role::Anchor, FaultKind::Unverifiable("Ed448".into())),
        }),
        untrusted(Untrusted::NoValidPath {
            reason: reason.clone(),
            fault: None,
        }),
        Detail::SelfSigned {
            certificate: testdata("root"),
        },
        Detail::ChainOutOfOrder {
            certificate: testdata("root"),
        },
        Detail::UnrelatedCertificate {
            certificates: vec![testdata("root"); 6],
            is_chain_complete: true,
        },
        Detail::RootIncluded {
            certificates: vec![testdata("root")],
        },
        Detail::DuplicateCertificate {
            certificates: vec![testdata("root"), Certificate::from_der(vec![0x30])],
        },
        Detail::AlternateChain {
            not_served: vec![testdata("root")],
        },
        Detail::WeakSignature {
            certificate: testdata("rsa1024"),
            position: Role::Leaf,
            algorithm: "sha1WithRSAEncryption".into(),
        },
        Detail::WeakKey {
            certificate: testdata("rsa1024"),
            position: Role::Leaf,
            key: "RSA 1024".into(),
        },
        nonconformant(Nonconformant::Refused {
            certificate: testdata("rsa1024"),
            position: Role::Leaf,
            deviations: vec![
                Oddity::NegativeSerial,
                Oddity::InvalidString(NameOf::Issuer, "UTF8String"),
            ],
        }),
        nonconformant(Nonconformant::Unreadable {
            certificate: Certificate::from_der(vec![0x30]),
            reason: "it ends too early".into(),
        }),
        nonconformant(Nonconformant::Accepted {
            certificate: testdata("root"),
            position: Role::Anchor,
            deviations: vec![Oddity::AuthorityKeyIdWithoutKey],
            baseline_deviations: vec![Oddity::OddModulusSize(2049)],
        }),
        nonconformant(Nonconformant::MoreFindings { count: 12 }),
        nonconformant(Nonconformant::Unverifiable {
            fault: fault(Role::Leaf, FaultKind::Unverifiable("Ed448".into())),
        }),
        nonconformant(Nonconformant::NoValidPath {
            reason,
            fault: Some(fault(Role::Leaf, FaultKind::Deviation(Oddity::ZeroSerial))),
        }),
    ]
}

fn handshake_details() -> Vec<Detail> {
    let refused = Detail::RefusedByClients;
    vec![
        Detail::Revoked {
            reported_by: RevocationReporter::Crl,
            revoked_at: Some(time("2027-01-31T00:00:00Z")),
            reason: Some("keyCompromise"),
        },
        Detail::Revoked {
            reported_by: RevocationReporter::Source,
            revoked_at: None,
            reason: None,
        },
        Detail::MustStapleMissing { fault: None },
        Detail::MustStapleMissing {
            fault: Some(Unusable::Outdated(time("2027-01-31T00:00:00Z"))),
        },
        Detail::BadOcspStaple {
            fault: Unusable::WrongSignature,
            responder: Some("http://ocsp.example".into()),
        },
        Detail::Unreachable {
            address: "2001:db8::1".parse().unwrap(),
            responding: "192.0.2.1".parse().unwrap(),
            hostname: hostname(),
            is_without_route: true,
            error: probe_error(ErrorKind::ConnectUnreachable),
        },
        Detail::HandshakeFailed {
            hostname: hostname(),
            port: 25,
            protocol: Protocol::Https,
            error: ProbeError {
                seems: Some(Protocol::Smtp),
                ..ProbeError::of_alert("the server ended it", Alert::HANDSHAKE_FAILURE)
            },
            is_key_proved: false,
        },
        refused(Refused::Chain {
            refusals: vec![ClientRefusal {
                clients: vec![Client::Go, Client::Chromium],
                refusal: refusal(Property::Ed448, "the certificate has an Ed448 key"),
            }],
            accepted_by: vec![Client::Openssl],
        }),
        refused(Refused::NoSecureRenegotiation),
        refused(Refused::UnrecognizedName),
        refused(Refused::NoRenegotiationAlert),
        refused(Refused::WarningAlert {
            alert: Alert::BAD_CERTIFICATE,
        }),
        refused(Refused::LargeHello),
        refused(Refused::EchRejected {
            public_name: "cover.example".parse().unwrap(),
            refusals: vec![ClientRefusal {
                clients: vec![Client::Chromium],
                refusal: refusal(Property::NameMismatch, "the certificate is for other names"),
            }],
        }),
        refused(Refused::EchAccepted {
            refusals: vec![ClientRefusal {
                clients: vec![Client::Chromium],
                refusal: refusal(Property::Expired, "the certificate has expired"),
            }],
        }),
        refused(Refused::EchFailed {
            refused_by: vec![Client::Chromium],
            public_name: "cover.example".parse().unwrap(),
            reason: "the server broke off the handshake with unrecognized_name".into(),
        }),
        refused(Refused::EchMalformed {
            refused_by: vec![Client::Chromium],
        }),
        refused(Refused::SmallDhPrime {
            refused_by: vec![Client::Openssl],
            bits: 1024,
            required_bits: 2048,
        }),
        refused(Refused::NoCommonOffer {
            refused_by: vec![Client::Go, Client::Chromium],
            cipher_suite: "TLS_DHE_RSA_WITH_AES_128_CBC_SHA".into(),
            group: Some("secp256k1"),
            is_signed_with_sha1: true,
        }),
        Detail::LegacyProtocol {
            tls_version: TlsVersion::Tls11,
            is_key_proved: false,
        },
        Detail::LegacyCipher {
            cipher_suite: "TLS_RSA_WITH_3DES_EDE_CBC_SHA".into(),
            weakness: CipherWeakness::TripleDes,
            tls_version: TlsVersion::Tls12,
            is_key_proved: true,
        },
        tlsa(
            true,
            TlsaMismatch::WrongCertificate {
                expected: expected(),
            },
        ),
        tlsa(true, TlsaMismatch::Untrusted { record: record(1) }),
        tlsa(
            true,
            TlsaMismatch::NoPath {
                record: record(2),
                reason: NoPath::Circle,
                hostname: hostname(),
            },
        ),
        tlsa(
            true,
            TlsaMismatch::AuthorityNotServed {
                authority: testdata("root"),
            },
        ),
        tlsa(true, TlsaMismatch::PendingOnly),
        tlsa(false, TlsaMismatch::PreviousOnly),
        tlsa(
            true,
            TlsaMismatch::NoMatch {
                is_accepted: false,
                records: vec![record(3)],
                record_count: 2,
            },
        ),
        tlsa(
            true,
            TlsaMismatch::Unusable {
                record: Some(record(7)),
                is_mail: false,
            },
        ),
        tlsa(
            true,
            TlsaMismatch::Unusable {
                record: Some(record(1)),
                is_mail: true,
            },
        ),
        Detail::TlsaMissing(TlsaMissing::NoRecords {
            name: "_25._tcp.mail.example.com.".into(),
            publish: record(3),
        }),
        Detail::TlsaMissing(TlsaMissing::NotAuthenticated {
            name: "_25._tcp.mail.example.com.".into(),
        }),
        unsigned_mx(true),
        unsigned_mx(false),
        Detail::TlsaMissing(TlsaMissing::UnsignedSrv {
            service: "_imaps._tcp.example.com".into(),
        }),
        Detail::TlsaMissing(TlsaMissing::NotApplicable {
            hostname: hostname(),
            protocol: Protocol::H3,
        }),
        sts_mismatch(
            StsMode::Enforce,
            StsMismatch::Host {
                patterns: vec!["mx1.example.com".into(), "*.example.net".into()],
                pattern_count: 3,
            },
        ),
        sts_mismatch(StsMode::Testing, StsMismatch::Certificate),
        sts_unusable(StsFault::SeveralRecords { count: 2 }),
        sts_unusable(StsFault::InvalidRecord {
            record: "v=STSv1;".into(),
        }),
        sts_unusable(StsFault::Fetch {
            reason: "the request timed out".into(),
        }),
        sts_unusable(StsFault::HttpStatus { status: 301 }),
        sts_unusable(StsFault::MediaType {
            content_type: "text/html".into(),
        }),
        sts_unusable(StsFault::InvalidPolicy {
            reason: PolicyFault::Missing { field: "mode" },
        }),
    ]
}

fn unsigned_mx(is_host_protected: bool) -> Detail {
    Detail::TlsaMissing(TlsaMissing::UnsignedMx {
        domain: "example.com".parse().unwrap(),
        is_host_protected,
    })
}

fn sts_mismatch(mode: StsMode, mismatch: StsMismatch) -> Detail {
    Detail::MtaStsMismatch {
        domain: "example.com".parse().unwrap(),
        hostname: "mail.example.com".parse().unwrap(),
        id: "20260101".into(),
        mode,
        mismatch,
    }
}

fn sts_unusable(fault: StsFault) -> Detail {
    Detail::MtaStsUnusable {
        domain: "example.com".parse().unwrap(),
        fault,
    }
}

#[test]
fn a_replaced_finding_names_what_replaces_it() {
    let mut finding = Finding::new(Detail::SelfSigned {
        certificate: testdata("root"),
    });
    assert_eq!(finding.severity, Severity::Critical);
    let before = finding.text();
    finding.replace();
    let Text { message, hint } = finding.text();
    assert_eq!(
        (finding.severity, finding.code()),
        (Severity::Info, Code::SelfSigned)
    );
    assert_eq!(
        message,
        format!("{}; a TLSA record authenticates the server", before.message)
    );
    assert!(
        hint.ends_with(&before.hint) && hint.contains("DANE"),
        "{hint}"
    );
}

/// Returns each detail as JSON, and its text.
fn written(details: &[Detail]) -> String {
    let mut out = String::new();
    for detail in details {
        let Text { message, hint } = text::of(detail);
        let json = serde_json::to_string(detail).unwrap();
        let _ = writeln!(
            out,
            "{}\n  {json}\n  {message}\n  fix: {hint}",
            detail.code()
        );
    }
    out
}

#[test]
fn each_code_has_a_detail_among_the_snapshots() {
    let all = [identity_details(), chain_details(), handshake_details()].concat();
    let codes: BTreeSet<Code> = all.iter().map(Detail::code).collect();
    assert!(
        codes
            .iter()
            .eq(&Code::ALL.iter().copied().collect::<BTreeSet<_>>())
    );
}

#[test]
fn a_detail_is_an_object_with_snake_case_keys() {
    fn assert_keys(value: &serde_json::Value) {
        match value {
            serde_json::Value::Object(object) => {
                for (key, value) in object {
                    let is_snake =
                        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                    assert!(key.chars().all(is_snake), "{key}");
                    assert_keys(value);
                }
            }
            serde_json::Value::Array(values) => values.iter().for_each(assert_keys),
            _ => {}
        }
    }
    for detail in [identity_details(), chain_details(), handshake_details()].concat() {
        let value = serde_json::to_value(&detail).unwrap();
        assert!(value.is_object(), "{value}");
        assert_keys(&value);
    }
}

#[test]
fn leaf_identity_details_render_as_json_and_text() {
    insta::assert_snapshot!(written(&identity_details()), @r#"
    wrong_certificate
      {"served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"is_newer":false,"expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      another certificate is served: `Example Root` by `Example Root`, from 2026-11-24 to 2046-11-19
      fix: install instance 331 (expires on 2046-11-19), then reload the server
    wrong_certificate
      {"served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"is_newer":true,"expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      another certificate is served: `Example Root` by `Example Root`, from 2026-11-24 to 2046-11-19; it is newer than the expected one
      fix: if it was renewed, give its file as the expected one (--cert, or `pem` of the entry), as the SSLMate account does not have it; otherwise install instance 331 (expires on 2046-11-19), then reload the server
    wrong_certificate
      {"served":null,"is_newer":false,"expected":{"kind":"fingerprint"}}
      seen from there, another certificate than the expected one is served
      fix: probe this address from there to see which; then install the expected one and reload the server
    previous_instance
      {"kind":"known","id":330,"state":"revoked","served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"grace_until":"2027-03-01T00:00:00Z","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      the previous instance 330 is still served (revoked, it expires on 2046-11-19), serial 01; a rollout is under way until 2027-03-01T00:00:00Z
      fix: reload the server, so that it reads its certificate file again; if the older one stays, install instance 331 (expires on 2046-11-19) and reload again
    previous_instance
      {"kind":"same_names","served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"newer":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"grace_until":"2027-03-01T00:00:00Z","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      an older instance of the expected certificate is still served: `Example Root`, from 2026-11-24 to 2046-11-19, serial 01; the expected one is from 2026-11-24 to 2046-11-19, serial 07; a rollout is under way until 2027-03-01T00:00:00Z
      fix: reload the server, so that it reads its certificate file again; if the older one stays, install instance 331 (expires on 2046-11-19) and reload again
    previous_instance
      {"kind":"reported","grace_until":"2027-03-01T00:00:00Z","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      seen from there, the expected certificate is not served yet; it has time until 2027-03-01T00:00:00Z
      fix: install the expected certificate and reload the server
    same_key_other_certificate
      {"served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"is_newer":false,"expected":{"kind":"public_key"}}
      another certificate for the same key is served: `Example Root` by `Example Root`, from 2026-11-24 to 2046-11-19
      fix: install a certificate for the expected public key, then reload the server
    dummy_certificate
      {"kind":"expected_key","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      a self-signed certificate for the expected public key is served
      fix: install the certificate that an authority issued for this key; if its clients hold this one, give it as --ca-file
    dummy_certificate
      {"kind":"pending","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      the temporary, self-signed certificate is served, and nothing better has been issued yet
      fix: approve the order, and install the certificate when it is issued
    dummy_certificate
      {"kind":"replaced","grace_until":"2027-03-01T00:00:00Z","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}}
      the temporary, self-signed certificate is still served; a rollout is under way until 2027-03-01T00:00:00Z
      fix: install instance 331 (expires on 2046-11-19) and reload the server
    hostname_mismatch
      {"hostname":"www.example.com","names":["a.example","b.example"],"name_count":2,"is_address_in_dns_name":false}
      the certificate is not valid for www.example.com, only for a.example, b.example
      fix: serve a certificate that names www.example.com, or take the name from the inventory
    hostname_mismatch
      {"hostname":"www.example.com","names":[],"name_count":0,"is_address_in_dns_name":false}
      the certificate is not valid for www.example.com: it has no subject alternative names
      fix: serve a certificate that names www.example.com, or take the name from the inventory
    hostname_mismatch
      {"hostname":"www.example.com","names":["192.0.2.1"],"name_count":1,"is_address_in_dns_name":true}
      the certificate has the IP address www.example.com in a dNSName; clients compare an address with iPAddress only
      fix: reissue the certificate with the address as an iPAddress: `subjectAltName=IP:www.example.com` in openssl's configuration
    key_mismatch
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"pubkey_hash":"10c7e92bed2e9f409c5d4c6f7c18b7161a2bc02f3b4f75349e5915b04714be69","key_pubkey_hash":"2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"}
      the private key (public key 2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683) does not belong to `Example Root` (public key 10c7e92bed2e9f409c5d4c6f7c18b7161a2bc02f3b4f75349e5915b04714be69)
      fix: give the key with which this certificate was requested, or have the certificate reissued for this key; a server does not start with the two
    addresses_disagree
      {"hostname":"www.example.com","served":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"other":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"addresses":["192.0.2.1","2001:db8::1"],"address_count":7}
      192.0.2.1, 2001:db8::1 and 5 more serve another certificate for www.example.com (serial 07) than this address (serial 01)
      fix: bring every address of the host to the same certificate
    vantages_disagree
      {"vantage":"local","seen":"expected_without_chain","other_vantage":"eu-west","other_seen":"handshake_fails"}
      seen from `eu-west`, the handshake fails; seen from `local`, the right certificate is served without its chain
      fix: check whether both reach the same server: split DNS, a load balancer or a proxy may redirect one of them
    material_change
      {"before":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"served":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"changes":[{"kind":"issuer","before":"Example CA","after":"Proxy"},{"kind":"lost_names","names":["a.example","b.example","c.example","d.example","e.example"],"name_count":5},{"kind":"weaker_key","before":"EC P-256","after":"RSA 1024"}],"first_seen":"2027-01-01T00:00:00Z","until":"2027-01-02T00:00:00Z"}
      the certificate 41d8c030 by `Example Root` until 2046-11-19 has replaced 16152417 by `Example Root` until 2046-11-19, and it is not a renewal: the issuer is `Proxy`, it was `Example CA`; it is no longer valid for `a.example`, `b.example`, `c.example`, `d.example` and 1 more; the key is RSA 1024, it was EC P-256
      fix: if the change was planned, nothing is to be done: the finding ends on 2027-01-02T00:00:00Z; otherwise find out which server or proxy responds, and who requested the certificate
    source_stale
      {"last_success":"2027-01-01T00:00:00Z"}
      the source has not reported the expected certificate since 2027-01-01T00:00:00Z; judged by its last report
      fix: see certvigil's log for why the source fails, and fix its endpoint, credentials or file
    key_type_missing
      {"key_type":"ecdsa"}
      the server has no ecdsa certificate here, but one with another key
      fix: nothing is broken; to probe for the other key, leave out --key-type or name that kind
    "#);
}

#[test]
fn chain_details_render_as_json_and_text() {
    insta::assert_snapshot!(written(&chain_details()), @r#"
    missing_intermediate
      {"kind":"known","missing":[{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}],"issuer_url":"http://ca.example/ca.der","expected":{"kind":"trust"}}
      the intermediate `CN=Example Root` is not served
      fix: append the PEM of `CN=Example Root` (DER at http://ca.example/ca.der) to the server's certificate file, after the leaf (nginx ssl_certificate, Apache SSLCertificateFile, HAProxy crt), and reload the server; `certvigil chain --cert FILE` writes the whole file (add --ca-file ROOT if the system does not have the root)
    missing_intermediate
      {"kind":"unknown","below":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"leaf","issuer":"CN=Example Root","issuer_url":null,"namesake":"root_with_other_key","expected":{"kind":"trust"}}
      the certificate was issued by `CN=Example Root`, which is not served; the trusted root of that name has another key
      fix: append the PEM of `CN=Example Root` to the server's certificate file, after the leaf (nginx ssl_certificate, Apache SSLCertificateFile, HAProxy crt), and reload the server; if it is a root that clients hold, give it as --ca-file
    missing_intermediate
      {"kind":"reported","expected":{"kind":"trust"}}
      seen from there, the chain is not complete
      fix: append the missing intermediates to the server's certificate file and reload the server; `certvigil chain --cert FILE` writes the whole file (add --ca-file ROOT if the system does not have the root)
    expired
      {"not_after":"2027-01-31T00:00:00Z","judged_at":"2027-02-02T12:00:00Z","is_newer_expected":true}
      the certificate expired on 2027-01-31 (2 days ago)
      fix: install the expected certificate and reload the server
    expiring
      {"not_after":"2027-01-31T00:00:00Z","judged_at":"2027-01-30T23:00:00Z","is_newer_expected":true}
      the certificate expires on 2027-01-31 (in 60 minutes)
      fix: install the expected certificate before then and reload the server
    not_yet_valid
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"leaf","not_before":"2026-01-31T00:00:00Z","not_after":"2027-01-31T00:00:00Z","judged_at":"2026-01-01T00:00:00Z"}
      the certificate is not valid before 2026-01-31T00:00:00Z (in 30 days)
      fix: check the clock here, or serve the certificate before it until then
    not_yet_valid
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"root","not_before":"2026-01-31T00:00:00Z","not_after":"2027-01-31T00:00:00Z","judged_at":"2026-01-01T00:00:00Z"}
      the root `Example Root` is not valid before 2026-01-31T00:00:00Z
      fix: check the clock here; until then, have the certificate issued below a root that is valid now
    chain_expired
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"intermediate","not_before":"2026-01-31T00:00:00Z","not_after":"2027-01-31T00:00:00Z","judged_at":"2027-02-01T00:00:00Z","is_needed":false}
      the intermediate `Example Root` expired on 2027-01-31 (24 hours ago); clients that build the path without it accept the chain
      fix: remove it from the server's certificate file: some old clients try it first and fail
    chain_expiring
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"root","not_before":"2026-01-31T00:00:00Z","not_after":"2027-01-31T00:00:00Z","judged_at":"2026-01-01T00:00:00Z"}
      the root `Example Root` expires on 2027-01-31 (in 395 days)
      fix: have the certificate issued below a root that lasts, and give that root to clients before then
    invalid_authority
      {"faults":[{"kind":"not_ca","position":"intermediate","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"},{"kind":"path_length","value":{"allowed":0,"found":1},"position":"intermediate","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"}]}
      the intermediate `Example Intermediate` is no certificate authority (basicConstraints: CA:FALSE), and allows 0 intermediates below it (pathlen:0), and there is 1
      fix: have the certificate issued by an authority that may issue it, and serve its chain
    untrusted_root
      {"kind":"root","subject":"CN=Example Root"}
      the chain ends at `CN=Example Root`, which is not a trusted root
      fix: serve the chain that belongs to the certificate; if its clients hold that root, give it as --ca-file
    untrusted_root
      {"kind":"issuer","issuer":"CN=Example Root","namesake":null}
      the chain ends below `CN=Example Root`, which is neither served nor a trusted root
      fix: serve the chain that belongs to the certificate; if its clients hold that root, give it as --ca-file
    untrusted_root
      {"kind":"circle"}
      the served authorities issued each other, and none of them is a trusted root
      fix: serve the chain that belongs to the certificate
    untrusted_root
      {"kind":"too_many_candidates"}
      the server sends more certificates of one name than are tried: no valid path was found among the first
      fix: serve the leaf and its chain, and nothing else
    untrusted_root
      {"kind":"invalid_path","fault":{"kind":"not_for_servers","value":{"usage":{"server_auth":false,"client_auth":false,"ocsp_signing":false,"any":false,"server_gated":false,"is_empty":false}},"position":"leaf","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"}}
      the path to the root is not valid: the certificate is not for TLS servers (extended key usage without serverAuth)
      fix: have the certificate reissued for TLS servers (extended key usage serverAuth)
    untrusted_root
      {"kind":"unverifiable","fault":{"kind":"unverifiable","value":"Ed448","position":"root","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"}}
      the path cannot be judged: the root `Example Intermediate` is Ed448
      fix: test with a client that knows this algorithm, or have the certificate reissued with RSA or ECDSA (P-256, P-384)
    untrusted_root
      {"kind":"no_valid_path","reason":{"kind":"no_issuer","issuer":"CN=Example Root"},"fault":null}
      there is no valid path to a trusted root: the issuer `CN=Example Root` is neither served nor a trusted root
      fix: replace the certificate by one that clients accept
    self_signed
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}
      the certificate is self-signed, and no client trusts it by itself
      fix: install a certificate from an authority, or give this one as --ca-file if its clients hold it
    chain_out_of_order
      {"certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}}
      `Example Root` is served before the certificate that it issued
      fix: order the server's certificate file: the leaf first, then each issuer after what it issued
    unrelated_certificate
      {"certificates":[{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}],"is_chain_complete":true}
      `Example Root`, `Example Root`, `Example Root`, `Example Root` and 2 more are served, but on no path from the certificate
      fix: take what is not needed out of the server's certificate file
    root_included
      {"certificates":[{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}]}
      the root `Example Root` is served along
      fix: take it out of the server's certificate file: clients use their own copy, and the handshake gets smaller
    duplicate_certificate
      {"certificates":[{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},{"sha256_fingerprint":"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9","subject":null,"issuer":null,"serial":null,"not_before":null,"not_after":null}]}
      `Example Root`, (unreadable: it is not a DER sequence, or is cut short) are served more than once
      fix: take the copy out of the server's certificate file
    alternate_chain
      {"not_served":[{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}]}
      the chain is complete by another path than the expected one
      fix: nothing is broken; serve the chain that came with the certificate to reach the most clients
    weak_signature
      {"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"leaf","algorithm":"sha1WithRSAEncryption"}
      the certificate has a weak signature: sha1WithRSAEncryption
      fix: have the certificate reissued: today's authorities sign with SHA-256 or better
    weak_key
      {"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"leaf","key":"RSA 1024"}
      the certificate has a weak key: RSA 1024
      fix: make a new key (RSA 2048, EC P-256 or stronger) and have the certificate reissued for it
    nonconformant_certificate
      {"kind":"refused","certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"leaf","deviations":[{"kind":"negative_serial"},{"kind":"invalid_string","value":["issuer","UTF8String"]}]}
      strict clients refuse the certificate: its serial number is negative, its issuer has bytes that its string type does not allow
      fix: replace it by one that follows RFC 5280
    nonconformant_certificate
      {"kind":"unreadable","certificate":{"sha256_fingerprint":"5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9","subject":null,"issuer":null,"serial":null,"not_before":null,"not_after":null},"reason":"it ends too early"}
      strict clients refuse the certificate: it ends too early
      fix: replace it by one that follows RFC 5280
    nonconformant_certificate
      {"kind":"accepted","certificate":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"position":"root","deviations":[{"kind":"authority_key_id_without_key"}],"baseline_deviations":[{"kind":"odd_modulus_size","value":2049}]}
      the root `Example Root` deviates from RFC 5280, which only strict validators check: its authorityKeyIdentifier has no keyIdentifier; and from the rules for public authorities: the size of its RSA key, 2049 bits, is no multiple of 8
      fix: nothing is broken for most clients; have it reissued for strict ones, such as Python's ssl module since 3.13
    nonconformant_certificate
      {"kind":"more_findings","count":12}
      the served certificates have 12 more findings, which are not listed
      fix: fix the listed ones first; nearly all certificates of such a chain are faulty
    nonconformant_certificate
      {"kind":"unverifiable","fault":{"kind":"unverifiable","value":"Ed448","position":"leaf","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"}}
      the path cannot be judged: the certificate is Ed448
      fix: test with a client that knows this algorithm, or have the certificate reissued with RSA or ECDSA (P-256, P-384)
    nonconformant_certificate
      {"kind":"no_valid_path","reason":{"kind":"no_issuer","issuer":"CN=Example Root"},"fault":{"kind":"deviation","value":{"kind":"zero_serial"},"position":"leaf","name":"Example Intermediate","sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064"}}
      there is no valid path to a trusted root: the issuer `CN=Example Root` is neither served nor a trusted root
      fix: have the certificate reissued by an authority whose chain clients accept, and serve that chain
    "#);
}

#[test]
fn handshake_details_render_as_json_and_text() {
    insta::assert_snapshot!(written(&handshake_details()), @r#"
    revoked
      {"reported_by":"crl","revoked_at":"2027-01-31T00:00:00Z","reason":"keyCompromise"}
      the served certificate has been revoked on 2027-01-31 (keyCompromise), according to its issuer's revocation list
      fix: install the newest certificate and reload the server
    revoked
      {"reported_by":"source","revoked_at":null,"reason":null}
      the served certificate has been revoked
      fix: install the newest certificate and reload the server
    must_staple_missing
      {"fault":null}
      the certificate obliges the server to staple an OCSP response (TLS feature, RFC 7633), and none was sent
      fix: turn stapling on (nginx ssl_stapling, Apache SSLUseStapling, HAProxy ocsp-update), or have the certificate reissued without that obligation
    must_staple_missing
      {"fault":{"kind":"outdated","value":"2027-01-31T00:00:00Z"}}
      the certificate obliges the server to staple an OCSP response (TLS feature, RFC 7633), and the one that was sent does not count: it ended at 2027-01-31T00:00:00Z
      fix: have the server staple a valid response for this certificate, or have the certificate reissued without that obligation
    bad_ocsp_staple
      {"fault":{"kind":"wrong_signature"},"responder":"http://ocsp.example"}
      the stapled OCSP response is of no use: its signature is wrong
      fix: have the server fetch its response from the responder http://ocsp.example, or renew the file that it is taken from; then reload it
    unreachable
      {"address":"2001:db8::1","responding":"192.0.2.1","hostname":"www.example.com","is_without_route":true,"error":{"error_kind":"connect_unreachable","error":"nothing listens there","alert":null,"seems":null}}
      this address does not answer, while 192.0.2.1 does: nothing listens there
      fix: check the route to this address and the DNS records of www.example.com; where this machine has no IPv6, check with -4
    handshake_failed
      {"hostname":"www.example.com","port":25,"protocol":"https","error":{"error_kind":"tls_alert","error":"the server ended it with the alert `handshake_failure`","alert":"handshake_failure","seems":"smtp"},"is_key_proved":false}
      the server ended it with the alert `handshake_failure`
      fix: this is probably smtp, which starts without TLS: probe with --starttls smtp, or `protocol: smtp` in the configuration
    refused_by_clients
      {"kind":"chain","refusals":[{"clients":["go","chromium"],"trait":{"place":"leaf","property":"ed448"},"reason":"the certificate has an Ed448 key"}],"accepted_by":["openssl"]}
      Go and Chromium refuse the certificate: the certificate has an Ed448 key; OpenSSL accepts it
      fix: serve a certificate with an RSA or a P-256 key, or one beside this: servers choose by what the client offers
    refused_by_clients
      {"kind":"no_secure_renegotiation"}
      OpenSSL 3 and the clients that use it, such as curl, Python and Node.js, refuse the server: it does not support secure renegotiation (RFC 5746), and their error is `unsafe legacy renegotiation disabled`
      fix: update the server's TLS library or firmware, or enable TLS 1.3, which has no renegotiation
    refused_by_clients
      {"kind":"unrecognized_name"}
      Java refuses the server: it warns with the alert `unrecognized_name` that it does not know the name in the handshake, and then continues with a default
      fix: configure a virtual host for the name on the server: nginx `server_name`, Apache `ServerName` or `ServerAlias`
    refused_by_clients
      {"kind":"no_renegotiation_alert"}
      OpenSSL, and clients that use it, GnuTLS and Java refuse the server: it sends the alert `no_renegotiation` during the handshake, where it has no meaning
      fix: update the TLS library or the firmware of the server, or of the load balancer or firewall in front of it
    refused_by_clients
      {"kind":"warning_alert","alert":"bad_certificate"}
      Java refuses the server: it sends the alert `bad_certificate` as a warning during the handshake
      fix: update the TLS library or the firmware of the server, or of the load balancer or firewall in front of it
    refused_by_clients
      {"kind":"large_hello"}
      current browsers refuse the server, and so do Go since 1.24, OpenSSL since 3.5 and rustls: it cannot read their ClientHello, which is larger than one packet because of its ML-KEM key share; certvigil connected with a smaller one
      fix: update the TLS library or the firmware of the server, or of the load balancer or firewall in front of it: it must read until it has the whole message (https://tldr.fail)
    refused_by_clients
      {"kind":"ech_rejected","public_name":"cover.example","refusals":[{"clients":["chromium"],"trait":{"place":"leaf","property":"name_mismatch"},"reason":"the certificate is for other names"}]}
      browsers that use Encrypted Client Hello, such as Chromium and Firefox, refuse the server: it does not accept the `ech` parameter of its HTTPS record, and they refuse its certificate for the public name cover.example: the certificate is for other names
      fix: update the `ech` parameter of the HTTPS record to the present keys of the server, or remove it; or serve a certificate that is valid for cover.example too
    refused_by_clients
      {"kind":"ech_accepted","refusals":[{"clients":["chromium"],"trait":{"place":"leaf","property":"expired"},"reason":"the certificate has expired"}]}
      browsers that use Encrypted Client Hello, such as Chromium and Firefox, refuse the server: with it, the server has another certificate, which they refuse: the certificate has expired
      fix: install the same certificate for connections with and without Encrypted Client Hello, or remove the `ech` parameter of the HTTPS record
    refused_by_clients
      {"kind":"ech_failed","refused_by":["chromium"],"public_name":"cover.example","reason":"the server broke off the handshake with unrecognized_name"}
      browsers that use Encrypted Client Hello, such as Chromium and Firefox, cannot connect: handshakes with the `ech` parameter of the HTTPS record fail, in which the server name is cover.example: the server broke off the handshake with unrecognized_name
      fix: remove the `ech` parameter of the HTTPS record, or make the server accept the name cover.example and decrypt with the present keys
    refused_by_clients
      {"kind":"ech_malformed","refused_by":["chromium"]}
      Chromium refuses the server: the `ech` parameter of its HTTPS record cannot be decoded
      fix: correct the `ech` parameter of the HTTPS record, an ECHConfigList of RFC 9849, or remove it
    refused_by_clients
      {"kind":"small_dh_prime","refused_by":["openssl"],"bits":1024,"required_bits":2048}
      OpenSSL at its current security level refuses the server: its Diffie-Hellman prime has 1024 bits, less than 2048
      fix: enable ECDHE cipher suites on the server, or give it Diffie-Hellman parameters of 2048 bits or more, such as ffdhe2048 of RFC 7919
    refused_by_clients
      {"kind":"no_common_offer","refused_by":["go","chromium"],"cipher_suite":"TLS_DHE_RSA_WITH_AES_128_CBC_SHA","group":"secp256k1","is_signed_with_sha1":true}
      Go and Chromium refuse the server: it has no cipher suite, group and signature algorithm that they offer, only TLS_DHE_RSA_WITH_AES_128_CBC_SHA over secp256k1, signed with SHA-1
      fix: allow TLS 1.3, or for TLS 1.2 cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305, the groups X25519 and P-256, and signatures with SHA-256, on the server
    legacy_protocol
      {"tls_version":"1.1","is_key_proved":false}
      the server speaks nothing newer than TLS 1.1, which current clients refuse; that it has the certificate's key is not proved, for this handshake has no signature that can be checked
      fix: allow TLS 1.2 and 1.3 on the server
    legacy_cipher
      {"cipher_suite":"TLS_RSA_WITH_3DES_EDE_CBC_SHA","weakness":"triple_des","tls_version":"1.2","is_key_proved":true}
      the server offers no better cipher suite than TLS_RSA_WITH_3DES_EDE_CBC_SHA (3DES, blocks of 64 bits: CVE-2016-2183), which current clients refuse
      fix: allow cipher suites with ECDHE and AES-GCM or ChaCha20-Poly1305 on the server, and disable the old ones
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"wrong_certificate","expected":{"kind":"instance","source":"sslmate","id":331,"certificate":{"sha256_fingerprint":"41d8c0301ad038d44d1678e496fafecc425fafd03e0b97636b4cb0d0a9b538bc","subject":"CN=www.example.com","issuer":"CN=Example Root","serial":"07","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"}},"publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA records at `_443._tcp.www.example.com.` are for the expected certificate, and another is served
      fix: install instance 331 (expires on 2046-11-19) and reload the server
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"untrusted","record":"1 1 1 abababababababababababababababababababababababababababababababab","publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA record 1 1 1 abababababababab… at `_443._tcp.www.example.com.` is for what is served, and demands a trusted root above it too, to which there is no valid path
      fix: make the path to the root valid; if its clients need none, publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"no_path","record":"2 1 1 abababababababababababababababababababababababababababababababab","reason":{"kind":"circle"},"hostname":"www.example.com","publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA record 2 1 1 abababababababab… at `_443._tcp.www.example.com.` names an authority, and there is no valid path to it: the authorities issued each other, and none is a trusted root
      fix: serve the certificates up to that authority, with itself, and a leaf that is valid now for www.example.com
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"authority_not_served","authority":{"sha256_fingerprint":"16152417e086283afa5810306c2aff3c0676d2c69907d8c25f34165c3f6ae064","subject":"CN=Example Root","issuer":"CN=Example Root","serial":"01","not_before":"2026-11-24T19:48:00Z","not_after":"2046-11-19T19:48:00Z"},"publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA records at `_443._tcp.www.example.com.` name the authority `CN=Example Root`, which is not served along
      fix: append the PEM of `CN=Example Root` to the server's certificate file, though it be a root, and reload the server (RFC 7671, section 5.2.2)
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"pending_only","publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA records at `_443._tcp.www.example.com.` are for the pending instance only, which is not there yet
      fix: publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":false,"kind":"previous_only","publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      the TLSA records at `_443._tcp.www.example.com.` are for the previous instance: they were not renewed with the certificate; the name server does not report them as authenticated by DNSSEC, and clients of DANE ignore such records
      fix: publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more; sign the zone, or use a name server that validates DNSSEC
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"no_match","is_accepted":false,"records":["3 1 1 abababababababababababababababababababababababababababababababab"],"record_count":2,"publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      neither the served certificate nor the expected one fits the TLSA records at `_443._tcp.www.example.com.`: 3 1 1 abababababababab… and 1 more
      fix: publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"unusable","record":"7 1 1 abababababababababababababababababababababababababababababababab","is_mail":false,"publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      no TLSA record at `_443._tcp.www.example.com.` can be used, so that clients of DANE go on as if there were none: of 7 1 1 abababababababab…, its usage is unknown
      fix: publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more
    tlsa_mismatch
      {"name":"_443._tcp.www.example.com.","is_authenticated":true,"kind":"unusable","record":"1 1 1 abababababababababababababababababababababababababababababababab","is_mail":true,"publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      no TLSA record at `_443._tcp.www.example.com.` can be used, so that mail servers that use DANE encrypt and do not authenticate the host: of 1 1 1 abababababababab…, mail servers use usages 2 and 3 only (RFC 7672, section 3.1.3)
      fix: publish `_443._tcp.www.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab` beside what is there, and take out what is for no certificate any more
    tlsa_missing
      {"kind":"no_records","name":"_25._tcp.mail.example.com.","publish":"3 1 1 abababababababababababababababababababababababababababababababab"}
      DANE is required, and there are no TLSA records at `_25._tcp.mail.example.com.`
      fix: publish `_25._tcp.mail.example.com. IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab`
    tlsa_missing
      {"kind":"not_authenticated","name":"_25._tcp.mail.example.com."}
      DANE is required, and DNSSEC does not authenticate the TLSA records at `_25._tcp.mail.example.com.`, or the addresses of the host
      fix: sign the zones of the host and of the records, check the DS records in the parent zone, and ask a name server that validates (--dns)
    tlsa_missing
      {"kind":"unsigned_mx","domain":"example.com","is_host_protected":true}
      DNSSEC does not authenticate the MX records of example.com: an attacker can replace them, and the TLSA records of the mail host then have no effect
      fix: sign the zone of example.com, check its DS records in the parent zone, and ask a name server that validates (--dns)
    tlsa_missing
      {"kind":"unsigned_mx","domain":"example.com","is_host_protected":false}
      DNSSEC does not authenticate the MX records of example.com: senders do not use DANE securely for this domain
      fix: sign the zone of example.com, check its DS records in the parent zone, and ask a name server that validates (--dns)
    tlsa_missing
      {"kind":"unsigned_srv","service":"_imaps._tcp.example.com"}
      DNSSEC does not authenticate the SRV records of `_imaps._tcp.example.com`: clients do not use the TLSA records of its hosts
      fix: sign the zone of the SRV records, check its DS records in the parent zone, and ask a name server that validates (--dns)
    tlsa_missing
      {"kind":"not_applicable","hostname":"www.example.com","protocol":"h3"}
      DANE is required, and certvigil checks no TLSA records of www.example.com with h3
      fix: name the host instead of its address, and check it over TCP; or do not require DANE here
    mta_sts_mismatch
      {"domain":"example.com","hostname":"mail.example.com","id":"20260101","mode":"enforce","kind":"host","patterns":["mx1.example.com","*.example.net"],"pattern_count":3}
      the MTA-STS policy of example.com (id 20260101) does not allow the mail host mail.example.com, and senders do not deliver to it (mode enforce); it allows mx1.example.com, *.example.net and 1 more
      fix: add `mx: mail.example.com` to https://mta-sts.example.com/.well-known/mta-sts.txt and change the id in `_mta-sts.example.com`, or remove the host from the MX records
    mta_sts_mismatch
      {"domain":"example.com","hostname":"mail.example.com","id":"20260101","mode":"testing","kind":"certificate"}
      the MTA-STS policy of example.com (id 20260101) requires a trusted certificate for mail.example.com, and senders report it and deliver (mode testing), although a TLSA record matches
      fix: install a certificate of a public authority for the host; senders that do not use DANE apply MTA-STS
    mta_sts_unusable
      {"domain":"example.com","kind":"several_records","count":2}
      senders cannot use the MTA-STS policy of example.com: `_mta-sts.example.com` has 2 records
      fix: publish exactly one record `_mta-sts.example.com IN TXT "v=STSv1; id=1;"`, with a new id for each change of the policy (RFC 8461, section 3.1)
    mta_sts_unusable
      {"domain":"example.com","kind":"invalid_record","record":"v=STSv1;"}
      senders cannot use the MTA-STS policy of example.com: the record `v=STSv1;` at `_mta-sts.example.com` is invalid
      fix: publish exactly one record `_mta-sts.example.com IN TXT "v=STSv1; id=1;"`, with a new id for each change of the policy (RFC 8461, section 3.1)
    mta_sts_unusable
      {"domain":"example.com","kind":"fetch","reason":"the request timed out"}
      senders cannot use the MTA-STS policy of example.com: https://mta-sts.example.com/.well-known/mta-sts.txt cannot be fetched: the request timed out
      fix: serve the policy at that URL, with a certificate of a public authority for mta-sts.example.com
    mta_sts_unusable
      {"domain":"example.com","kind":"http_status","status":301}
      senders cannot use the MTA-STS policy of example.com: https://mta-sts.example.com/.well-known/mta-sts.txt has the HTTP status 301
      fix: serve the policy at that URL with status 200, without a redirect (RFC 8461, section 3.3)
    mta_sts_unusable
      {"domain":"example.com","kind":"media_type","content_type":"text/html"}
      senders cannot use the MTA-STS policy of example.com: https://mta-sts.example.com/.well-known/mta-sts.txt has the media type `text/html`
      fix: serve the policy with the media type text/plain (RFC 8461, section 3.2)
    mta_sts_unusable
      {"domain":"example.com","kind":"invalid_policy","reason":"it has no `mode`"}
      senders cannot use the MTA-STS policy of example.com: the policy at https://mta-sts.example.com/.well-known/mta-sts.txt is invalid: it has no `mode`
      fix: write the lines `version: STSv1`, `mode: enforce`, `mx: HOST` for each mail host, and `max_age: 604800`
    "#);
}

/// Returns a row of the table in docs/json.md: a code, the keys of its details, and the values of
/// `kind`.
fn row(code: Code, details: &[Detail]) -> String {
    let objects: Vec<serde_json::Value> = (details.iter())
        .filter(|detail| detail.code() == code)
        .map(|detail| serde_json::to_value(detail).unwrap())
        .collect();
    let keys = objects.iter().flat_map(|o| o.as_object().unwrap().keys());
    let keys: BTreeSet<&String> = keys.filter(|key| *key != "kind").collect();
    let kinds: BTreeSet<&str> = objects.iter().filter_map(|o| o["kind"].as_str()).collect();
    let listed = |words: Vec<String>| words.join(", ");
    let keys = listed(keys.iter().map(|key| format!("`{key}`")).collect());
    let kinds = listed(kinds.iter().map(|kind| format!("`{kind}`")).collect());
    format!("| [`{code}`](findings/{code}.md) | {keys} | {kinds} |")
}

#[test]
fn the_documentation_lists_the_keys_of_each_detail() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json.md");
    let page = std::fs::read_to_string(page).unwrap();
    let details = [identity_details(), chain_details(), handshake_details()].concat();
    let rows: Vec<String> = Code::ALL.iter().map(|code| row(*code, &details)).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !page.contains(*row)).collect();
    assert!(missing.is_empty(), "docs/json.md lacks:\n{rows:#?}");
}

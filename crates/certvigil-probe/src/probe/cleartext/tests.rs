//! Transcripts of OpenSSL servers, complete, in pieces and damaged, and responses that no server
//! may send.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use proptest::prelude::*;
use rustls::ProtocolVersion;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::RSAPublicKey;

use crate::model::KeyType;
use crate::observation::{Alert, KeyProof};

use super::first_bytes::Notable;
use super::reader::Signed;
use super::*;

/// Client random that `testdata/make-testdata.py` sends.
const CLIENT_RANDOM: hello::Random = [7; 32];

struct Transcript {
    name: &'static str,
    version: &'static str,
    suite: &'static str,
    proof: KeyProof,
    bytes: &'static [u8],
}

macro_rules! transcripts {
    ($($name:literal $version:literal $suite:literal $proof:ident;)+) => {
        const TRANSCRIPTS: &[Transcript] = &[$(Transcript {
            name: $name,
            version: $version,
            suite: $suite,
            proof: KeyProof::$proof,
            bytes: include_bytes!(concat!("testdata/", $name, ".bin")),
        },)+];
    };
}

transcripts! {
    "tls10-ecdhe-rsa2048" "1.0" "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls10-dhe-rsa1024" "1.0" "TLS_DHE_RSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls11-ecdhe-rsa2048" "1.1" "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls10-ecdhe-p256" "1.0" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls11-ecdhe-p384" "1.1" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls10-ecdhe-p521" "1.0" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls10-ecdhe-secp256k1" "1.0" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" None;
    "tls10-dhe-dsa" "1.0" "TLS_DHE_DSS_WITH_AES_128_CBC_SHA" None;
    "tls12-dhe-dsa" "1.2" "TLS_DHE_DSS_WITH_AES_128_CBC_SHA" None;
    "tls12-static-rsa2048" "1.2" "TLS_RSA_WITH_AES_128_CBC_SHA" None;
    "tls12-dhe-rsa2048" "1.2" "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256" Handshake;
    "tls12-dhe-rsa1024" "1.2" "TLS_DHE_RSA_WITH_AES_128_CBC_SHA256" BareKey;
    "tls12-ecdhe-rsa2048-sha1" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" BareKey;
    "tls12-ecdhe-p256" "1.2" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" Handshake;
    "tls12-ecdhe-p384-sha1" "1.2" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" BareKey;
    "tls12-ecdhe-ed25519" "1.2" "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA" Handshake;
    "tls12-ecdhe-rsapss2048" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" Handshake;
    "tls12-null-rsa2048" "1.2" "TLS_RSA_WITH_NULL_SHA256" None;
    "tls12-gcm-rsapss2048" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" Handshake;
    "tls12-gcm-ed448" "1.2" "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" None;
    "tls12-gcm-brainpool256" "1.2" "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" None;
    "tls12-gcm-x448" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" Handshake;
    "tls12-gcm-rsa2048-sha1" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" BareKey;
    "tls12-gcm-rsa2048" "1.2" "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" Handshake;
}

/// Parses bytes in pieces of these sizes, which are repeated.
fn read_in(bytes: &[u8], sizes: &[usize]) -> (Reader, Result<bool, Fault>) {
    let mut reader = Reader::new(Offer::Both, KeyType::Any);
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        match reader.take(now) {
            Ok(false) if !later.is_empty() => rest = later,
            end => return (reader, end),
        }
    }
    unreachable!("there is at least one size")
}

fn read_all(bytes: &[u8]) -> (Reader, Result<bool, Fault>) {
    read_in(bytes, &[usize::MAX])
}

fn outcome(reader: &Reader) -> Result<Served, ProbeError> {
    let algorithms = default_provider().signature_verification_algorithms;
    let chosen = reader.hello.as_ref().unwrap();
    served(&algorithms, &CLIENT_RANDOM, chosen, reader)
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[kind, 3, 1][..], &length, content].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// Returns messages in records of this size.
fn handshake(messages: &[Vec<u8>], size: usize) -> Vec<u8> {
    let all = messages.concat();
    let records = all.chunks(size).map(|chunk| record(22, chunk));
    records.collect::<Vec<_>>().concat()
}

fn server_hello(version: u16, suite: u16, extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend([9; 32]);
    body.push(0);
    body.extend(suite.to_be_bytes());
    body.push(0);
    if !extensions.is_empty() {
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
    }
    message(2, &body)
}

fn certificate(list: &[Vec<u8>]) -> Vec<u8> {
    let u24 = |n: usize| u32::try_from(n).unwrap().to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = list
        .iter()
        .flat_map(|c| [u24(c.len()), c.clone()].concat())
        .collect();
    message(11, &[u24(list.len()), list].concat())
}

const STATIC_RSA: u16 = 0x002f;
const ECDHE_ECDSA: u16 = 0xc009;
const DONE: [u8; 4] = [14, 0, 0, 0];
/// Extension that announces a CertificateStatus.
const STAPLES: [u8; 4] = [0, 5, 0, 0];

#[test]
fn openssl_handshakes_are_read_and_their_key_proof_verified() {
    for transcript in TRANSCRIPTS {
        let (reader, end) = read_all(transcript.bytes);
        assert_eq!(end, Ok(true), "{}", transcript.name);
        let served = outcome(&reader).unwrap_or_else(|e| panic!("{}: {e}", transcript.name));
        assert_eq!(
            served.tls_version.name(),
            transcript.version,
            "{}",
            transcript.name
        );
        assert_eq!(served.cipher_suite, transcript.suite, "{}", transcript.name);
        assert_eq!(served.key_proof, transcript.proof, "{}", transcript.name);
        let facts = served.leaf.facts().unwrap();
        assert_eq!(facts.common_name.as_deref(), Some("www.example.com"));
    }
}

fn judged(reader: &Reader, end: Result<bool, Fault>) -> Answer {
    let algorithms = default_provider().signature_verification_algorithms;
    let end = match end {
        Ok(true) => Ok(()),
        Ok(false) => Err(End::Closed),
        Err(fault) => Err(End::Fault(fault)),
    };
    judge(
        end,
        &algorithms,
        &CLIENT_RANDOM,
        reader,
        Duration::ZERO,
        false,
    )
}

#[test]
fn handshake_possible_with_rustls_is_not_used() {
    for transcript in TRANSCRIPTS {
        let (reader, end) = read_all(transcript.bytes);
        let answer = judged(&reader, end);
        let counts = transcript.name != "tls12-gcm-rsa2048";
        let is_read = matches!(answer, Answer::Read(Ok(_)));
        assert_eq!(is_read, counts, "{}", transcript.name);
        assert!(
            counts || matches!(answer, Answer::Nothing),
            "{}",
            transcript.name
        );
    }
}

#[test]
fn copied_certificate_is_refused_with_a_rustls_cipher_suite() {
    let of = |name| TRANSCRIPTS.iter().find(|t| t.name == name).unwrap();
    let (mut liar, end) = read_all(of("tls12-gcm-rsapss2048").bytes);
    let (copied, _) = read_all(of("tls12-gcm-rsa2048").bytes);
    liar.certificates = copied.certificates;
    let Answer::Read(Err(error)) = judged(&liar, end) else {
        panic!("it counts");
    };
    assert_eq!(error.kind, ErrorKind::TlsSignature);
    // Without a signature, the kind of key is unknown.
    let hello = server_hello(0x0303, 0xc02b, &[]);
    let (reader, end) = read_all(&handshake(&[hello], 100));
    assert!(matches!(judged(&reader, end), Answer::Nothing));
}

#[test]
fn tls_1_3_key_proof_is_optional_only_for_unknown_key_types() {
    let algorithms = default_provider().signature_verification_algorithms;
    for transcript in TRANSCRIPTS {
        let (reader, _) = read_all(transcript.bytes);
        let leaf = CertificateDer::from(reader.certificates.unwrap()[0].clone());
        let proof = super::super::key_proof::of_unknown_kind(&algorithms, &leaf);
        let kinds = ["ed448", "brainpool256", "secp256k1", "dsa"];
        let is_unknown = kinds.iter().any(|kind| transcript.name.ends_with(kind));
        assert_eq!(
            proof.ok(),
            is_unknown.then_some(KeyProof::None),
            "{}",
            transcript.name
        );
    }
}

#[test]
fn handshake_parameters_refused_by_clients_are_read() {
    let parameters = |name| {
        let transcript = TRANSCRIPTS.iter().find(|t| t.name == name).unwrap();
        let (reader, _) = read_all(transcript.bytes);
        outcome(&reader).unwrap()
    };
    let x448 = parameters("tls12-gcm-x448");
    assert_eq!(x448.parameters.rare_group, Some("x448"));
    assert_eq!(x448.parameters.secure_renegotiation, Some(false));
    assert!(may_be_common(&x448));
    let sha1 = parameters("tls12-gcm-rsa2048-sha1");
    assert!(sha1.parameters.sha1_signature && may_be_common(&sha1));
    let dhe = parameters("tls12-dhe-rsa2048");
    assert!(dhe.parameters.dh_bits >= Some(1024) && may_be_common(&dhe));
    assert_eq!(dhe.parameters.rare_group, None);
    assert!(!dhe.parameters.sha1_signature);
    // The judge models which clients support a kind of key or an old version.
    for name in [
        "tls12-gcm-brainpool256",
        "tls12-gcm-ed448",
        "tls12-gcm-rsapss2048",
        "tls10-dhe-rsa1024",
    ] {
        assert!(!may_be_common(&parameters(name)), "{name}");
    }
    for name in ["tls12-static-rsa2048", "tls12-ecdhe-p256"] {
        assert!(may_be_common(&parameters(name)), "{name}");
    }
}

#[test]
fn support_of_secure_renegotiation_is_read_from_the_first_bytes() {
    const INFO: [u8; 5] = [0xff, 0x01, 0, 1, 0];
    let with = server_hello(0x0303, 0xc02b, &[&STAPLES[..], &INFO].concat());
    let without = server_hello(0x0303, 0xc02b, &STAPLES);
    let bare = server_hello(0x0303, 0xc02b, &[]);
    let warning = record(21, &[1, 112]);
    for (hello, expected) in [(&with, true), (&without, false), (&bare, false)] {
        for size in [1, 7, 1000] {
            let flight = handshake(&[hello.clone(), certificate(&[vec![1; 300]])], size);
            assert_eq!(secure_renegotiation(&flight), Some(expected));
            let flight = [warning.clone(), flight].concat();
            assert_eq!(secure_renegotiation(&flight), Some(expected));
        }
        // The kept data may end anywhere after the ServerHello.
        let whole = handshake(&[hello.clone(), certificate(&[vec![1; 300]])], 1000);
        let length = 5 + hello.len();
        for end in 0..whole.len() {
            let read = secure_renegotiation(&whole[..end]);
            assert_eq!(read, (end >= length).then_some(expected), "{end}");
        }
        let (reader, _) = read_all(&handshake(&[server_hello(0x0302, 0xc009, &INFO)], 100));
        assert!(reader.hello.unwrap().secure_renegotiation);
    }
    assert_eq!(secure_renegotiation(b"HTTP/1.1 400 Bad Request\r\n"), None);
}

/// Returns a message like that of [`server_hello`], with this random and session ID.
fn hello_with(version: u16, random: &[u8], session: &[u8], extensions: &[u8]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    body.extend(random);
    body.push(u8::try_from(session.len()).unwrap());
    body.extend(session);
    body.extend([0x13, 0x01, 0]);
    body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    body.extend(extensions);
    message(2, &body)
}

/// Returns the random of a HelloRetryRequest (RFC 8446, section 4.1.3).
fn random_of_retry() -> Vec<u8> {
    let random = [
        0xCF21_AD74_E59A_6111_u64,
        0xBE1D_8C02_1E65_B891,
        0xC2A2_1116_7ABB_8C5E,
        0x079E_09E2_C8A8_339C,
    ];
    random.into_iter().flat_map(u64::to_be_bytes).collect()
}

/// Faults of TLS 1.2 (RFC 5746, section 3.4; RFC 8446, section 4.2). OpenSSL and GnuTLS refuse each.
const FAULTS_OF_TLS12: [(&[u8], Option<HelloFault>); 11] = [
    (&[0xff, 1, 0, 1, 0], None),
    (
        &[0xff, 1, 0, 3, 2, b'a', b'b'],
        Some(HelloFault::Renegotiating),
    ),
    (&[0xff, 1, 0, 0], Some(HelloFault::Renegotiating)),
    (&[0xff, 1, 0, 2, 0, 0], Some(HelloFault::Renegotiating)),
    // Some load balancers send supported_groups.
    (&[0, 10, 0, 4, 0, 2, 0, 23], None),
    (
        &[0, 0, 0, 0, 0, 13, 0, 4, 0, 2, 4, 3],
        Some(HelloFault::Misplaced(13)),
    ),
    (&[0, 45, 0, 2, 1, 1], Some(HelloFault::Misplaced(45))),
    (
        &[0, 51, 0, 5, 0, 23, 0, 1, b'a'],
        Some(HelloFault::Misplaced(51)),
    ),
    (&[0, 43, 0, 2, 3, 3], Some(HelloFault::Misplaced(43))),
    (&STAPLES, None),
    (&[], None),
];

#[test]
fn faults_of_hellos_are_found_in_the_first_bytes() {
    use HelloFault::{LegacyVersion, Misplaced, SessionId};
    const ID: [u8; 32] = [3; 32];
    const TLS13: [u8; 6] = [0, 43, 0, 2, 3, 4];
    const SHARE: [u8; 8] = [0, 51, 0, 4, 0, 23, 0, 0];
    const COOKIE: [u8; 7] = [0, 44, 0, 3, 0, 1, b'x'];
    let retry = random_of_retry();
    let random = &[9; 32][..];
    let good = [&TLS13[..], &SHARE].concat();
    let and = |more: &[u8]| [&good[..], more].concat();
    let asks = hello_with(0x0303, &retry, &ID, &and(&COOKIE));
    for (before, version, random, session, extensions, expected) in [
        (None, 0x0303, random, &ID[..], good.clone(), None),
        (Some(&asks), 0x0303, random, &ID, good.clone(), None),
        (
            None,
            0x0304,
            random,
            &ID,
            good.clone(),
            Some(LegacyVersion(0x0304)),
        ),
        (
            None,
            0x0304,
            random,
            &ID,
            SHARE.to_vec(),
            Some(LegacyVersion(0x0304)),
        ),
        (
            None,
            0x0304,
            &retry,
            &ID,
            good.clone(),
            Some(LegacyVersion(0x0304)),
        ),
        (None, 0x0303, &retry, &ID, and(&[0xfe, 0x0d, 0, 1, 8]), None),
        (None, 0x0303, random, &[], good.clone(), Some(SessionId)),
        (None, 0x0303, random, &[3; 5], good.clone(), Some(SessionId)),
        (
            None,
            0x0303,
            &retry,
            &[4; 32],
            good.clone(),
            Some(SessionId),
        ),
        (
            Some(&asks),
            0x0303,
            random,
            &ID,
            and(&COOKIE),
            Some(Misplaced(44)),
        ),
        (
            None,
            0x0303,
            random,
            &ID,
            and(&[0, 10, 0, 4, 0, 2, 0, 23]),
            Some(Misplaced(10)),
        ),
        (
            None,
            0x0303,
            random,
            &ID,
            and(&[0, 13, 0, 0]),
            Some(Misplaced(13)),
        ),
        (
            None,
            0x0303,
            random,
            &ID,
            and(&[0, 45, 0, 2, 1, 1]),
            Some(Misplaced(45)),
        ),
        (None, 0x0303, random, &ID, and(&[0, 41, 0, 2, 0, 0]), None),
        (
            None,
            0x0303,
            &retry,
            &ID,
            and(&[0, 41, 0, 2, 0, 0]),
            Some(Misplaced(41)),
        ),
    ] {
        let hello = hello_with(version, random, session, &extensions);
        let mut flight =
            before.map_or(vec![], |before| handshake(std::slice::from_ref(before), 20));
        flight.extend(record(20, &[1]));
        flight.extend(handshake(&[hello], 1000));
        flight.extend(record(23, &[0; 40]));
        let what = format!("{version:x} {session:?} {extensions:?}");
        assert_eq!(hello_fault(&flight, &ID), expected, "{what}");
        // The kept bytes end anywhere.
        for end in 0..flight.len() {
            let fault = hello_fault(&flight[..end], &ID);
            assert!(fault.is_none() || fault == expected, "{end}: {what}");
        }
    }
    for (extensions, expected) in FAULTS_OF_TLS12 {
        let hello = hello_with(0x0303, random, &[], extensions);
        let flight = handshake(&[hello, certificate(&[vec![1; 300]])], 1000);
        assert_eq!(hello_fault(&flight, &ID), expected, "{extensions:?}");
    }
    assert_eq!(hello_fault(b"HTTP/1.1 400 Bad Request\r\n", &ID), None);
}

#[test]
fn request_for_a_share_of_ml_kem_is_found() {
    let retry = random_of_retry();
    for (random, group, expected) in [
        (&retry[..], 0x11ec_u16, true),
        (&retry[..], 0x0201, true),
        (&retry[..], 0x0017, false),
        // A ServerHello.
        (&[9; 32][..], 0x11ec, false),
    ] {
        let share = [&[0, 51, 0, 2][..], &group.to_be_bytes()].concat();
        let flight = record(22, &hello_with(0x0303, random, &[], &share));
        assert_eq!(asks_for_ml_kem(&flight), expected, "{group:#x}");
        assert!(!asks_for_ml_kem(&flight[..20]));
    }
}

#[test]
fn session_id_is_that_of_the_client_hello() {
    let hello = message(1, &[&[3, 3][..], &[7; 32], &[2, 5, 6, 0, 2]].concat());
    assert_eq!(session_id(&record(22, &hello)), Some(&[5, 6][..]));
    assert_eq!(session_id(&record(22, &hello)[..44]), None);
    assert_eq!(session_id(&record(22, &message(16, &[0; 80]))), None);
    assert_eq!(session_id(&record(20, &[1])), None);
}

#[test]
fn faults_of_a_server_hello_in_cleartext_fail_the_handshake() {
    let hello_of = |offer, offers_alpn, random: [u8; 32], extensions: &[u8]| {
        let mut body = [&[3, 3][..], &random, &[0, 0, 0x2f, 0]].concat();
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut reader = Reader::new(offer, KeyType::Any).offering_alpn(offers_alpn);
        let flight = [message(2, &body), certificate(&[vec![1]]), DONE.to_vec()];
        let _ = reader.take(&handshake(&flight, 1000));
        reader.hello.unwrap().fault
    };
    let random = [9; 32];
    for (extensions, expected) in FAULTS_OF_TLS12 {
        let fault = hello_of(Offer::Current, true, random, extensions);
        assert_eq!(fault, expected, "{extensions:?}");
    }
    let alpn = [0, 16, 0, 5, 0, 3, 2, b'h', b'2'];
    let unsolicited = Some(HelloFault::Unsolicited(16));
    for (is_offered, expected) in [(true, None), (false, unsolicited)] {
        let fault = hello_of(Offer::Current, is_offered, random, &alpn);
        assert_eq!(fault, expected);
    }
    // It is right in a response to an offer without TLS 1.3.
    for (offer, end, expected) in [
        (Offer::Current, b"DOWNGRD\x01", None),
        (Offer::Both, b"DOWNGRD\x00", None),
        (Offer::Common, b"DOWNGRD\x01", Some(HelloFault::Downgrade)),
        (
            Offer::Everything,
            b"DOWNGRD\x00",
            Some(HelloFault::Downgrade),
        ),
        (Offer::Everything, b"DOWNGRD\x02", None),
    ] {
        let mut random = [9; 32];
        random[24..].copy_from_slice(end);
        assert_eq!(hello_of(offer, true, random, &[]), expected, "{offer:?}");
    }
    // The certificates remain known.
    let transcript = TRANSCRIPTS.iter().find(|t| t.name == "tls12-ecdhe-p256");
    let (mut reader, _) = read_all(transcript.unwrap().bytes);
    reader.hello.as_mut().unwrap().fault = Some(HelloFault::Renegotiating);
    let Answer::Read(Ok(served)) = judged(&reader, Ok(true)) else {
        panic!("it counts");
    };
    assert_eq!(served.failure.unwrap().kind, ErrorKind::TlsProtocol);
}

#[test]
fn algorithm_unsupported_by_certvigil_is_an_internal_error() {
    /// Returns the outcome for a HelloRetryRequest. A real one has a fixed random, which is
    /// irrelevant here.
    fn answer(suite: u16, group: u16) -> Answer {
        let [high, low] = group.to_be_bytes();
        let extensions = [0, 43, 0, 2, 3, 4, 0, 51, 0, 2, high, low];
        let hello = handshake(&[server_hello(0x0303, suite, &extensions)], 1000);
        let mut reader = Reader::new(Offer::LastResort, KeyType::Any);
        let end = reader.take(&hello);
        judged(&reader, end)
    }
    for (suite, group, words) in [
        (0x1301, 0x0100, "the group ffdhe2048"),
        (0x1304, 0x001d, "TLS_AES_128_CCM_SHA256"),
        (0x1302, 0x001f, "brainpoolP256r1tls13"),
        (0x00c6, 0x0029, "TLS_SM4_GCM_SM3"),
    ] {
        let Answer::Read(Err(error)) = answer(suite, group) else {
            panic!("{words}");
        };
        assert_eq!(error.kind, ErrorKind::Internal, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    assert!(matches!(answer(0x1301, 0x001d), Answer::Tls13));
}

#[test]
fn server_with_only_anonymous_suites_has_no_certificate() {
    let hello = handshake(&[server_hello(0x0303, 0x00a6, &[])], 1000);
    let mut reader = Reader::new(Offer::LastResort, KeyType::Any);
    let end = reader.take(&hello);
    let Answer::Read(Err(error)) = judged(&reader, end) else {
        panic!("it counts");
    };
    assert_eq!(error.kind, ErrorKind::MalformedCertificate);
    assert!(
        error
            .message
            .contains("TLS_DH_anon_WITH_AES_128_GCM_SHA256")
    );
}

#[test]
fn ephemeral_key_of_an_export_suite_is_signed_or_absent() {
    const EXPORT: u16 = 0x0008;
    let list = || certificate(&[vec![1]]);
    // Modulus, exponent and signature.
    let temporary = message(12, &[0, 1, 5, 0, 1, 3, 0, 2, 9, 9]);
    for (messages, is_signed) in [
        (vec![list(), temporary], true),
        (vec![list(), DONE.to_vec()], false),
    ] {
        let messages = [vec![server_hello(0x0301, EXPORT, &[])], messages].concat();
        let (reader, end) = read_all(&handshake(&messages, 1000));
        assert_eq!(end, Ok(true));
        assert_eq!(reader.signed.is_some(), is_signed);
    }
}

#[test]
fn changed_signature_or_random_does_not_prove_the_key() {
    let algorithms = default_provider().signature_verification_algorithms;
    let mut proved = 0;
    for transcript in TRANSCRIPTS {
        let (reader, _) = read_all(transcript.bytes);
        let chosen = reader.hello.as_ref().unwrap();
        let Some(signed) = reader.signed.as_ref() else {
            continue;
        };
        let leaf = Certificate::from_der(reader.certificates.as_ref().unwrap()[0].clone());
        let check = |random: &hello::Random, signed: &Signed| {
            proof::check(&algorithms, random, chosen, &leaf, Some(signed))
        };
        if transcript.proof == KeyProof::None {
            continue;
        }
        proved += 1;
        assert_eq!(check(&CLIENT_RANDOM, signed), Ok(transcript.proof));
        // Random of another handshake.
        assert_eq!(
            check(&[8; 32], signed),
            Err(Wrong::Signature),
            "{}",
            transcript.name
        );
        for at in [0, signed.signature.len() / 2, signed.signature.len() - 1] {
            let mut changed = signed.clone();
            changed.signature[at] ^= 1;
            assert_eq!(check(&CLIENT_RANDOM, &changed), Err(Wrong::Signature));
        }
        let mut changed = signed.clone();
        *changed.parameters.last_mut().unwrap() ^= 1;
        assert_eq!(check(&CLIENT_RANDOM, &changed), Err(Wrong::Signature));
        changed = signed.clone();
        changed.signature.clear();
        assert_eq!(check(&CLIENT_RANDOM, &changed), Err(Wrong::Signature));
        // A scheme that cannot be verified, or of another kind of key, is not accepted.
        for scheme in [0x0101, 0x0301, 0x0202, 0x0402, 0x0840, 0] {
            let mut changed = signed.clone();
            changed.scheme = changed.scheme.map(|_| scheme);
            if changed.scheme.is_some() {
                assert_eq!(check(&CLIENT_RANDOM, &changed), Err(Wrong::Signature));
            }
        }
        assert_eq!(
            proof::check(&algorithms, &CLIENT_RANDOM, chosen, &leaf, None),
            Err(Wrong::Signature)
        );
    }
    assert_eq!(proved, 17);
}

#[test]
fn certificate_key_type_must_match_the_cipher_suite() {
    let of = |name| TRANSCRIPTS.iter().find(|t| t.name == name).unwrap();
    let (mut rsa, _) = read_all(of("tls12-static-rsa2048").bytes);
    let (curve, _) = read_all(of("tls12-ecdhe-p256").bytes);
    // A copied ECDSA certificate with a suite that needs no signature.
    rsa.certificates = curve.certificates;
    assert_eq!(outcome(&rsa).unwrap_err().kind, ErrorKind::TlsProtocol);
    rsa.certificates = Some(vec![b"no certificate".to_vec()]);
    let error = outcome(&rsa).unwrap_err();
    assert_eq!(error.kind, ErrorKind::MalformedCertificate);
}

#[test]
fn handshake_messages_may_be_split_across_records() {
    let chain = vec![vec![1; 300], vec![2; 200]];
    let messages = [
        server_hello(0x0300, STATIC_RSA, &[]),
        certificate(&chain),
        DONE.to_vec(),
    ];
    for size in [1, 2, 5, 300, hello::MAX_RECORD] {
        for piece in [1, 3, usize::MAX] {
            let (reader, end) = read_in(&handshake(&messages, size), &[piece]);
            assert_eq!(end, Ok(true), "{size} {piece}");
            assert_eq!(reader.certificates.as_ref(), Some(&chain));
            assert_eq!(reader.hello.unwrap().version, Version::Ssl3);
        }
    }
}

#[test]
fn reading_ends_after_certificate_and_status_without_key_exchange() {
    let plain = server_hello(0x0302, STATIC_RSA, &[]);
    let staples = server_hello(0x0302, STATIC_RSA, &STAPLES);
    let list = certificate(&[vec![1]]);
    let status = message(22, &[1, 0, 0, 2, 5, 5]);
    let empty = message(22, &[1, 0, 0, 0]);
    let asks = message(13, &[1, 1, 0, 0]);
    for (messages, end, stapled) in [
        (vec![&plain, &list], Ok(true), false),
        (vec![&staples, &list], Ok(false), false),
        (vec![&staples, &list, &status], Ok(true), true),
        (vec![&staples, &list, &empty], Ok(true), false),
        (vec![&staples, &list, &asks], Ok(true), false),
    ] {
        let messages: Vec<Vec<u8>> = messages.into_iter().cloned().collect();
        let (reader, seen) = read_all(&handshake(&messages, hello::MAX_RECORD));
        assert_eq!((seen, !reader.staple.is_empty()), (end, stapled));
    }
}

#[test]
fn completable_handshake_is_read_to_its_end() {
    let hello = server_hello(0x0303, STATIC_RSA, &[]);
    let unsupported = server_hello(0x0303, 0xc09c, &[]); // AES-CCM
    let list = certificate(&[vec![1]]);
    let asks = message(13, &[1, 1, 0, 2, 4, 1, 0, 0]);
    let done = DONE.to_vec();
    for (messages, end, asked) in [
        (vec![&hello, &list], Ok(false), false),
        (vec![&hello, &list, &done], Ok(true), false),
        (vec![&hello, &list, &asks], Ok(false), true),
        (vec![&hello, &list, &asks, &done], Ok(true), true),
        (vec![&hello, &list, &asks, &asks], Err(()), true),
        (vec![&hello, &list, &list], Err(()), false),
        (vec![&hello, &done], Err(()), false),
        (vec![&unsupported, &list], Ok(true), false),
    ] {
        let is_completable = messages[0] == &hello;
        let messages: Vec<Vec<u8>> = messages.into_iter().cloned().collect();
        let (reader, seen) = read_all(&handshake(&messages, 100));
        assert_eq!(seen.map_err(|_| ()), end, "{messages:?}");
        assert_eq!(reader.is_client_asked, asked);
        if end == Ok(true) {
            let kept = if is_completable {
                messages.concat()
            } else {
                Vec::new()
            };
            assert_eq!(reader.messages, kept);
        }
    }
}

#[test]
fn unrecognized_name_warning_is_ignored_and_other_alerts_are_reported() {
    // `unrecognized_name`, which Java and Apache have sent.
    let warning = record(21, &[1, 112]);
    let messages = [
        server_hello(0x0301, STATIC_RSA, &[]),
        certificate(&[vec![1]]),
    ];
    let rest = handshake(&messages, hello::MAX_RECORD);
    let (reader, end) = read_all(&[warning.clone(), rest.clone()].concat());
    let mut parameters = Parameters::default();
    reader.warnings.add_to(&mut parameters);
    assert_eq!((end, parameters.unrecognized_name), (Ok(true), true));
    assert_eq!(read_all(&rest).0.warnings, Warnings::default());
    let (reader, _) = read_all(&[record(21, &[1, 100]), rest].concat());
    let mut parameters = Parameters::default();
    reader.warnings.add_to(&mut parameters);
    assert!(parameters.no_renegotiation && !parameters.unrecognized_name);
    for (alert, name) in [([2, 40], 40), ([1, 0], 0), ([2, 112], 112)] {
        let bytes = [warning.clone(), record(21, &alert)].concat();
        assert_eq!(read_all(&bytes).1, Err(Fault::Alert(name)));
    }
}

/// Returns an encrypted record with this version and length.
fn encrypted(major: u8, minor: u8, length: u8) -> Vec<u8> {
    [&[23, major, minor, 0, length][..], &vec![0; length.into()]].concat()
}

/// Returns the notable records, which arrive in parts of this size.
fn notable(flight: &[u8], size: usize) -> Vec<Notable> {
    let mut records = Records::default();
    let mut found = Vec::new();
    let mut seen: Vec<u8> = Vec::new();
    for mut part in flight.chunks(size) {
        while !part.is_empty() {
            let (record, notable) = records.split(&mut part);
            assert!(!record.is_empty());
            seen.extend(record);
            found.extend(notable);
        }
    }
    assert_eq!(seen, flight);
    found
}

#[test]
fn alerts_and_empty_records_are_found_anywhere_in_a_flight() {
    let flight = [
        record(21, &[1, 112]),
        record(22, &[21, 3, 3, 0, 2, 1, 90]),
        record(20, &[]),
        record(21, &[1, 0]),
        // An encrypted alert, and two in one record.
        record(21, &[0; 26]),
        record(21, &[1, 90, 1, 0]),
        encrypted(3, 3, 2),
        encrypted(3, 3, 17),
        encrypted(3, 3, 18),
        encrypted(3, 4, 18),
        encrypted(3, 1, 17),
        encrypted(0, 2, 17),
        vec![22, 0, 2, 0, 1, 0],
        vec![99, 0, 2, 0, 1, 0],
        record(21, &[2, 40]),
        record(21, &[1, 100])[..6].to_vec(),
    ]
    .concat();
    for size in [1, 2, 5, 6, 7, 8, flight.len()] {
        let expected = [
            Notable::Alert([1, 112]),
            Notable::OtherVersion,
            Notable::OtherVersion,
            Notable::Alert([1, 0]),
            Notable::Empty,
            Notable::OtherVersion,
            Notable::Empty,
            Notable::OtherProtocol,
            Notable::OtherProtocol,
            Notable::Alert([2, 40]),
        ];
        assert_eq!(notable(&flight, size), expected, "{size}");
    }
    for garbage in [&b"HTTP/1.1 400 Bad Request"[..], &[21], &[0; 5], &[0xff; 7]] {
        assert_eq!(notable(garbage, 3), []);
    }
}

#[test]
fn warnings_are_fatal_by_their_place_or_end_some_clients() {
    use FatalWarning::{Closed, ClosedFirst, Empty, NotEncrypted, Version};
    let v12 = Some(ProtocolVersion::TLSv1_2);
    let v13 = Some(ProtocolVersion::TLSv1_3);
    let none = Parameters::default();
    let named = Parameters {
        unrecognized_name: true,
        ..none
    };
    let renegotiating = Parameters {
        no_renegotiation: true,
        ..none
    };
    let warned = |warning| Parameters {
        warning: Some(warning),
        ..none
    };
    for (alert, hello, fatal, expected) in [
        ([1, 0], None, Some(ClosedFirst), none),
        ([1, 0], v12, Some(Closed), none),
        ([1, 90], v13, Some(NotEncrypted), none),
        ([1, 90], v12, None, none),
        ([1, 90], None, None, none),
        ([1, 112], None, None, named),
        ([1, 112], v12, None, named),
        ([1, 100], v12, None, renegotiating),
        ([1, 42], None, None, warned(Alert::BAD_CERTIFICATE)),
        ([1, 41], v12, None, warned(Alert::NO_CERTIFICATE)),
        ([1, 80], v12, None, none),
        ([2, 0], v12, None, none),
    ] {
        let mut warnings = Warnings::default();
        warnings.add(&alert, hello);
        let mut parameters = none;
        warnings.add_to(&mut parameters);
        assert_eq!((warnings.fatal, parameters), (fatal, expected), "{alert:?}");
    }
    for (record, hello, fatal) in [
        (Notable::Empty, v13, Some(Empty)),
        (Notable::Empty, v12, None),
        (Notable::Empty, None, None),
        (Notable::OtherVersion, v13, Some(Version)),
        (Notable::OtherVersion, v12, Some(Version)),
        (Notable::OtherVersion, None, None),
        (Notable::OtherProtocol, v13, Some(Version)),
        (Notable::OtherProtocol, v12, Some(Version)),
        (Notable::OtherProtocol, None, Some(Version)),
    ] {
        let mut warnings = Warnings::default();
        warnings.note(record, hello);
        assert_eq!(warnings.fatal, fatal, "{record:?}");
    }
}

#[test]
fn server_hello_must_select_an_offered_version_and_suite() {
    for (version, suite, counts) in [
        (0x0303, 0xc02f, true), // a suite of rustls
        (0x0303, 0xcca9, true),
        (0x0303, 0x1301, false), // a suite of TLS 1.3
        (0x0304, 0xc013, false), // a version that was not offered
        (0x0305, 0xc013, false),
        (0x0200, 0xc013, false),
        (0x0303, 0x0000, false), // the null suite
        (0x0303, 0x0034, false), // no authentication
        (0x0303, 0x0001, true),  // no encryption
        (0x0303, 0x00ff, false), // no suite
        (0x0303, 0xc013, true),
        (0x0302, 0xc02f, true),
        (0x0303, 0x009e, true),
        (0x0300, 0x000a, true),
    ] {
        let (reader, end) = read_all(&handshake(&[server_hello(version, suite, &[])], 100));
        assert_eq!(reader.hello.is_some(), counts, "{version:x} {suite:x}");
        assert_eq!(end.is_ok(), counts);
    }
    // 3DES is only in the last offer, and AES only in the first.
    for (offer, suite, counts) in [
        (Offer::Current, 0x000a, false),
        (Offer::Current, 0x002f, true),
        (Offer::LastResort, 0x000a, true),
        (Offer::LastResort, 0x002f, false),
        (Offer::Common, 0x002f, true),
        (Offer::Common, 0x009e, false),
    ] {
        let mut reader = Reader::new(offer, KeyType::Any);
        let hello = handshake(&[server_hello(0x0303, suite, &[])], 100);
        assert_eq!(reader.take(&hello).is_ok(), counts, "{offer:?} {suite:x}");
    }
    // If ECDSA was requested, the server must not select RSA.
    let mut reader = Reader::new(Offer::Both, KeyType::Ecdsa);
    let rsa = handshake(&[server_hello(0x0301, STATIC_RSA, &[])], 100);
    assert!(reader.take(&rsa).is_err() && reader.hello.is_none());
}

#[test]
fn cleartext_chain_over_its_limits_is_refused() {
    let end = |list: &[Vec<u8>]| {
        let messages = [server_hello(0x0301, STATIC_RSA, &[]), certificate(list)];
        let (reader, end) = read_all(&handshake(&messages, hello::MAX_RECORD));
        (end, reader.certificates.map_or(0, |c| c.len()))
    };
    assert_eq!(end(&vec![vec![1; 2600]; 100]), (Ok(true), 100));
    assert_eq!(end(&vec![vec![1]; 101]), (Err(Fault::TooLarge), 0));
    let most = super::super::MAX_CHAIN_BYTES;
    assert_eq!(end(&[vec![1; most]]), (Ok(true), 1));
    assert_eq!(end(&[vec![1; most + 1]]), (Err(Fault::TooLarge), 0));
    assert_eq!(end(&[]), (Err(Fault::NoCertificate), 0));
    // A message of 16 MiB is refused before it is received.
    let hello = server_hello(0x0301, STATIC_RSA, &[]);
    let endless = [hello, vec![11, 0xff, 0xff, 0xff]];
    assert_eq!(read_all(&handshake(&endless, 100)).1, Err(Fault::TooLarge));
}

#[test]
fn server_hello_done_is_empty() {
    for (done, is_refused) in [(DONE.to_vec(), false), (message(14, &[0]), true)] {
        let hello = server_hello(0x0303, STATIC_RSA, &[]);
        let (_, end) = read_all(&handshake(&[hello, certificate(&[vec![1]]), done], 1000));
        let fault = Fault::Malformed("its ServerHelloDone is not empty");
        assert_eq!(end, if is_refused { Err(fault) } else { Ok(true) });
    }
}

#[test]
fn malformed_handshake_is_refused() {
    let hello = || server_hello(0x0301, STATIC_RSA, &[]);
    let signs = || server_hello(0x0301, ECDHE_ECDSA, &[]);
    let list = || certificate(&[vec![1]]);
    let flight = |messages: &[Vec<u8>]| handshake(messages, hello::MAX_RECORD);
    // The second octet of the list's length makes the list longer than the data.
    let mut long = list();
    long[5] = 1;
    let explicit = message(12, &[1, 0, 0, 0]);
    let unsigned = message(12, &[3, 0, 23, 1, 4]);
    let compressed = {
        let mut hello = hello();
        *hello.last_mut().unwrap() = 1;
        hello
    };
    for (what, bytes) in [
        ("an empty record", record(22, &[])),
        ("a long record", vec![22, 3, 1, 0x40, 0x01]),
        ("application data", record(23, &[1])),
        ("change cipher spec", record(20, &[1])),
        ("another protocol", b"HTTP/1.1 400 Bad Request\r\n".to_vec()),
        ("SSL 2.0", vec![0x80, 0x2e, 4, 0, 1, 0, 2]),
        ("an alert of three octets", record(21, &[2, 40, 0])),
        ("no hello", flight(&[list()])),
        ("two hellos", flight(&[hello(), hello()])),
        ("compression", flight(&[compressed])),
        ("a hello of one octet", flight(&[message(2, &[3])])),
        (
            "extensions of one octet",
            flight(&[server_hello(0x0301, STATIC_RSA, &[0])]),
        ),
        ("no certificate", flight(&[hello(), DONE.to_vec()])),
        ("two lists", flight(&[signs(), list(), list()])),
        ("a long list", flight(&[hello(), long])),
        ("no signature", flight(&[signs(), list(), DONE.to_vec()])),
        ("a curve of its own", flight(&[signs(), list(), explicit])),
        ("half a signature", flight(&[signs(), list(), unsigned])),
        (
            "a status that was not announced",
            flight(&[signs(), list(), message(22, &[1, 0, 0, 0])]),
        ),
        (
            "a key update",
            flight(&[signs(), list(), message(24, &[0])]),
        ),
    ] {
        let end = read_all(&bytes).1;
        assert!(matches!(end, Err(Fault::Malformed(_))), "{what}: {end:?}");
    }
}

#[test]
fn ecdsa_sha1_verification_refuses_a_sha256_signature() {
    // Zero padding of a hash must not make a signature valid for another hash.
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    let pkcs8 = pkcs8.unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
    let key = pair.public_key().as_ref();
    assert!(!proof::ecdsa_sha1(
        proof::Kind::P256,
        key,
        b"message",
        signature.as_ref()
    ));
}

/// Damage to a transcript: changed octets, a removed or repeated part, or truncation.
#[derive(Clone, Debug)]
enum Damage {
    Change(usize, u8),
    Cut(usize, usize),
    Twice(usize, usize),
    End(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = 0..1700usize;
    prop_oneof![
        4 => (at.clone(), any::<u8>()).prop_map(|(at, b)| Damage::Change(at, b)),
        // Lengths and types are in the first octets.
        2 => (0..120usize, any::<u8>()).prop_map(|(at, b)| Damage::Change(at, b)),
        1 => (at.clone(), 1..40usize).prop_map(|(at, n)| Damage::Cut(at, n)),
        1 => (at.clone(), 1..40usize).prop_map(|(at, n)| Damage::Twice(at, n)),
        1 => at.prop_map(Damage::End),
    ]
}

fn damaged(bytes: &[u8], damages: &[Damage]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for damage in damages {
        let length = out.len();
        match *damage {
            Damage::Change(at, octet) if at < length => out[at] = octet,
            Damage::Cut(at, count) if at < length => {
                out.drain(at..(at + count).min(length));
            }
            Damage::Twice(at, count) if at < length => {
                let again = out[at..(at + count).min(length)].to_vec();
                out.splice(at..at, again);
            }
            Damage::End(at) => out.truncate(at),
            Damage::Change(..) | Damage::Cut(..) | Damage::Twice(..) => {}
        }
    }
    out
}

/// Asserts that parsing in pieces has the same result as parsing at once.
fn same_in_pieces(bytes: &[u8], sizes: &[usize]) -> (Reader, Result<bool, Fault>) {
    let (whole, end) = read_all(bytes);
    let (pieces, piecewise) = read_in(bytes, sizes);
    assert_eq!(end, piecewise);
    assert_eq!(format!("{:?}", whole.hello), format!("{:?}", pieces.hello));
    assert_eq!(whole.certificates, pieces.certificates);
    assert_eq!(whole.staple, pieces.staple);
    (whole, end)
}

/// Returns the significant part of a key: the numbers of an RSA key, regardless of damage to its
/// DER, or the whole key.
fn numbers(certificate: &Certificate) -> Vec<Vec<u8>> {
    let (_, key) = certificate.public_key().unwrap();
    match RSAPublicKey::from_der(key) {
        Ok((_, rsa)) => vec![rsa.modulus.to_vec(), rsa.exponent.to_vec()],
        Err(_) => vec![key.to_vec()],
    }
}

// For more cases, run `PROPTEST_CASES=1000000 cargo test --lib cleartext`.
proptest! {
    #[test]
    fn arbitrary_handshake_bytes_are_read_without_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
        sizes in proptest::collection::vec(1..50usize, 1..4),
    ) {
        let signs = server_hello(0x0303, ECDHE_ECDSA, &[]);
        let staples = server_hello(0x0303, ECDHE_ECDSA, &STAPLES);
        let list = certificate(&[vec![1]]);
        // As the content of messages, the bytes get further into the parser.
        for bytes in [
            bytes.clone(),
            handshake(&[message(2, &bytes)], 90),
            handshake(&[signs.clone(), message(11, &bytes)], 90),
            handshake(&[staples, list.clone(), message(22, &bytes)], 90),
            handshake(&[signs, list, message(12, &bytes)], 90),
        ] {
            let (reader, end) = same_in_pieces(&bytes, &sizes);
            prop_assert!(end != Ok(true) || reader.certificates.is_some());
        }
    }

    #[test]
    fn damaged_handshake_never_proves_another_key(
        which in 0..TRANSCRIPTS.len(),
        damages in proptest::collection::vec(damage(), 0..5),
        sizes in proptest::collection::vec(1..500usize, 1..4),
    ) {
        let transcript = &TRANSCRIPTS[which];
        let bytes = damaged(transcript.bytes, &damages);
        let (reader, end) = same_in_pieces(&bytes, &sizes);
        if end != Ok(true) {
            return Ok(());
        }
        // A proof is only possible for the original parameters and key.
        if let Ok(served) = outcome(&reader) && served.key_proof != KeyProof::None {
            let (right, _) = read_all(transcript.bytes);
            let leaf = Certificate::from_der(right.certificates.unwrap()[0].clone());
            prop_assert_eq!(numbers(&served.leaf), numbers(&leaf));
            let (signed, first) = (reader.signed.unwrap(), right.signed.unwrap());
            prop_assert_eq!(signed.parameters, first.parameters);
            prop_assert_eq!(reader.hello.unwrap().random, right.hello.unwrap().random);
        }
    }

    #[test]
    fn arbitrary_rsa_input_is_never_verified(
        key in proptest::collection::vec(any::<u8>(), 0..300),
        info in proptest::collection::vec(any::<u8>(), 0..80),
        signature in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        // No input may cause a panic. An empty signature decrypts to zeros, which are no valid
        // encoding.
        prop_assert!(!super::super::rsa::verify_info(&key, &info, &signature));
    }
}

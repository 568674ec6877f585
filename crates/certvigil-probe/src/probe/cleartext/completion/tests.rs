//! Handshakes with a server that performs its side with the same primitives, correctly and with one
//! fault. The module `known` has values of another implementation, and `tests/servers/cleartext.rs`
//! real servers.

mod known;

use std::time::Duration;

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use num_bigint::BigUint;
use proptest::prelude::*;

use rustls::crypto::aws_lc_rs::default_provider;

use crate::model::KeyType;
use crate::observation::{ErrorKind, ProbeError, Served};

use super::super::suites::{self, Exchange, Key, Offer};
use super::super::{End, completed, served};
use super::*;

const CERTIFICATE: &[u8] = include_bytes!("testdata/rsa2048.crt");
const KEY: &[u8] = include_bytes!("testdata/rsa2048.pk8");
const CLIENT_RANDOM: Random = [7; 32];
const SERVER_RANDOM: Random = [9; 32];
/// A ClientHello, whose content is irrelevant here.
const HELLO: &[u8] = &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0];
const EXTENDED_MASTER_SECRET: [u8; 4] = [0, 23, 0, 0];
const DONE: [u8; 4] = [14, 0, 0, 0];
/// 2^255 - 19.
const PRIME: &[u8] = &{
    let mut prime = [0xff; 32];
    prime[0] = 0x7f;
    prime[31] = 0xed;
    prime
};
const DH_SECRET: u8 = 200;

/// Private key of the server for the key exchange.
enum Private {
    Rsa,
    Curve(&'static agreement::Algorithm, EphemeralPrivateKey),
    Dh,
}

/// Server after its first flight.
struct Server {
    reader: Reader,
    private: Private,
}

fn sent() -> Sent<'static> {
    Sent {
        random: &CLIENT_RANDOM,
        record: HELLO,
    }
}

fn leaf() -> Certificate {
    Certificate::from_der(CERTIFICATE.to_vec())
}

fn vector(octets: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&length[4 - octets..], content].concat()
}

/// Kinds of first flights.
#[derive(Clone, Copy, Debug, Default)]
struct Flight {
    extended_master_secret: bool,
    asks_client: bool,
    group: u16,
}

impl Server {
    /// Sends the first flight of a handshake with this suite.
    fn start(suite: suites::Suite, flight: Flight) -> Self {
        let mut hello = [&[3, 3][..], &SERVER_RANDOM, &[0]].concat();
        hello.extend(u16::from(suite.id).to_be_bytes());
        hello.push(0);
        if flight.extended_master_secret {
            hello.extend(vector(2, &EXTENDED_MASTER_SECRET));
        }
        let list = vector(3, CERTIFICATE);
        let mut messages = message(2, &hello).unwrap();
        messages.extend(message(11, &vector(3, &list)).unwrap());
        let private = match suite.exchange {
            Exchange::Ecdhe => {
                let algorithm = match flight.group {
                    29 => &agreement::X25519,
                    23 => &agreement::ECDH_P256,
                    24 => &agreement::ECDH_P384,
                    _ => &agreement::ECDH_P521,
                };
                let random = SystemRandom::new();
                let private = EphemeralPrivateKey::generate(algorithm, &random).unwrap();
                let public = private.compute_public_key().unwrap();
                let point = vector(1, public.as_ref());
                let body = [&[3], &flight.group.to_be_bytes()[..], &point].concat();
                messages.extend(signed(&body));
                Private::Curve(algorithm, private)
            }
            Exchange::Dhe => {
                let prime = BigUint::from_bytes_be(PRIME);
                let public = BigUint::from(2u8).modpow(&DH_SECRET.into(), &prime);
                let fields = [PRIME, &[2], &public.to_bytes_be()].map(|f| vector(2, f));
                messages.extend(signed(&fields.concat()));
                Private::Dh
            }
            _ => Private::Rsa,
        };
        if flight.asks_client {
            messages.extend(message(13, &[1, 1, 0, 2, 4, 1, 0, 0]).unwrap());
        }
        messages.extend(DONE);
        let mut reader = Reader::new(Offer::Both, KeyType::Any);
        assert_eq!(reader.take(&record(22, &messages).unwrap()), Ok(true));
        assert_eq!(reader.messages, messages);
        assert_eq!(reader.is_client_asked, flight.asks_client);
        Self { reader, private }
    }

    fn client(&self) -> (Completion, Vec<u8>) {
        let started = Completion::start(sent(), &self.reader, &leaf());
        started.unwrap().unwrap()
    }
}

/// Reads the client's flight. Returns the premaster secret that the server derives.
fn premaster(Server { reader, private }: &mut Server, flight: &[u8]) -> Vec<u8> {
    let (messages, _) = split(flight);
    let mut input = Cursor(&messages);
    if reader.is_client_asked {
        assert_eq!(input.take(7).unwrap(), [11, 0, 0, 3, 0, 0, 0]);
    }
    assert_eq!(input.u8(), Some(16));
    let mut body = Cursor(input.u24_vector().unwrap());
    match std::mem::replace(private, Private::Rsa) {
        Private::Rsa => {
            let key = PrivateDecryptingKey::from_pkcs8(KEY).unwrap();
            let key = Pkcs1PrivateDecryptingKey::new(key).unwrap();
            let mut plain = vec![0; key.min_output_size()];
            let encrypted = body.u16_vector().unwrap();
            key.decrypt(encrypted, &mut plain).unwrap().to_vec()
        }
        Private::Curve(algorithm, private) => {
            let peer = UnparsedPublicKey::new(algorithm, body.u8_vector().unwrap());
            agreement::agree_ephemeral(private, peer, (), |s| Ok(s.to_vec())).unwrap()
        }
        Private::Dh => {
            let public = BigUint::from_bytes_be(body.u16_vector().unwrap());
            let prime = BigUint::from_bytes_be(PRIME);
            public.modpow(&DH_SECRET.into(), &prime).to_bytes_be()
        }
    }
}

fn signed(parameters: &[u8]) -> Vec<u8> {
    let body = [parameters, &[4, 1], &vector(2, &[1; 256])].concat();
    message(12, &body).unwrap()
}

/// Splits the client's flight into its cleartext messages and the protected Finished.
fn split(flight: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut input = Cursor(flight);
    let mut next = |kind| {
        assert_eq!(input.take(3).unwrap(), [kind, 3, 3]);
        input.u16_vector().unwrap().to_vec()
    };
    let messages = next(22);
    assert_eq!(next(20), [1]);
    (messages, next(22))
}

/// Answer of a server to the client's flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Finished,
    WrongFinished,
    Alert,
    EmptyTicket,
}

/// Returns the second flight of a server that derives this premaster secret.
fn second_flight(reader: &Reader, premaster: &[u8], flight: &[u8], then: Then) -> Vec<u8> {
    let hello = reader.hello.as_ref().unwrap();
    let (cipher, hash) = Cipher::of(hello.suite.id).unwrap();
    let (cleartext, protected) = split(flight);
    let mut messages = [&HELLO[5..], &reader.messages, &cleartext].concat();
    let master = Master::derive(hash, premaster, &CLIENT_RANDOM, hello, &messages).unwrap();
    let finished = master.finished();
    let mut client = Protection::derive(cipher, &master, Side::Client).unwrap();
    if let Some(plain) = client.unprotect(22, &protected) {
        let data = finished.of(Side::Client, &messages).unwrap();
        assert_eq!(plain, message(20, &data).unwrap());
        messages.extend(plain);
    }
    let mut out = Vec::new();
    if then == Then::EmptyTicket {
        let ticket = message(4, &[0; 6]).unwrap();
        out.extend(record(22, &ticket).unwrap());
        messages.extend(ticket);
    }
    out.extend(record(20, &[1]).unwrap());
    let mut server = Protection::derive(cipher, &master, Side::Server).unwrap();
    let (kind, content) = match then {
        Then::Alert => (21, vec![2, 40]),
        Then::Finished | Then::WrongFinished | Then::EmptyTicket => {
            let mut data = finished.of(Side::Server, &messages).unwrap();
            data[0] ^= u8::from(then == Then::WrongFinished);
            (22, message(20, &data).unwrap())
        }
    };
    out.extend(record(kind, &server.protect(kind, &content).unwrap()).unwrap());
    out
}

fn take_in(completion: &mut Completion, bytes: &[u8], size: usize) -> Result<bool, Fault> {
    for piece in bytes.chunks(size) {
        let result = completion.take(piece);
        completion.assert_bounded();
        if result != Ok(false) {
            return result;
        }
    }
    Ok(false)
}

/// Returns the suites that can be completed.
fn completable() -> impl Iterator<Item = suites::Suite> {
    let all = suites::offered(Offer::Both, KeyType::Any);
    all.filter(|suite| {
        let is_static_curve = suite.exchange == Exchange::Static && suite.key != Key::Rsa;
        Cipher::of(suite.id).is_some() && !is_static_curve
    })
}

#[test]
fn every_common_cipher_suite_completes_the_handshake() {
    let mut count = 0;
    for suite in completable() {
        for (extended_master_secret, asks_client, group, size, then) in [
            (false, false, 29, usize::MAX, Then::Finished),
            (true, false, 23, 1, Then::Finished),
            (false, true, 24, 7, Then::EmptyTicket),
            (true, true, 25, usize::MAX, Then::EmptyTicket),
        ] {
            let flight = Flight {
                extended_master_secret,
                asks_client,
                group,
            };
            let mut server = Server::start(suite, flight);
            let (mut completion, out) = server.client();
            let is_static = suite.exchange == Exchange::Static;
            assert_eq!(completion.lacks_proof(), is_static);
            let premaster = premaster(&mut server, &out);
            let answer = second_flight(&server.reader, &premaster, &out, then);
            let result = take_in(&mut completion, &answer, size);
            assert_eq!(result, Ok(true), "{suite:?} {flight:?}");
            let proof = is_static.then_some(KeyProof::Handshake);
            assert_eq!(completion.proof(), proof, "{suite:?}");
            assert!(completion.close().is_some());
            count += 1;
        }
    }
    assert_eq!(count, 4 * 33);
}

fn static_rsa() -> impl Iterator<Item = suites::Suite> {
    completable().filter(|suite| suite.exchange == Exchange::Static)
}

#[test]
fn server_that_derives_another_secret_does_not_prove_its_key() {
    for suite in static_rsa() {
        let server = Server::start(suite, Flight::default());
        let (mut completion, _) = server.client();
        for then in [Then::Finished, Then::Alert] {
            let (mut completion, out) = server.client();
            let answer = second_flight(&server.reader, &[1; 48], &out, then);
            let result = completion.take(&answer);
            assert_eq!(result, Err(Fault::Unauthentic), "{suite:?}");
            assert!(completion.lacks_proof());
        }
        let bad_record_mac = record(21, &[2, 20]).unwrap();
        assert_eq!(completion.take(&bad_record_mac), Err(Fault::Alert(20)));
        assert!(completion.lacks_proof() && completion.proof().is_none());
    }
}

#[test]
fn wrong_finished_fails_after_the_proof_of_the_key() {
    for suite in completable() {
        let flight = Flight {
            group: 23,
            ..Flight::default()
        };
        for (then, fault) in [
            (
                Then::WrongFinished,
                Fault::Malformed("its Finished is wrong"),
            ),
            (Then::Alert, Fault::Alert(40)),
        ] {
            let mut server = Server::start(suite, flight);
            let (mut completion, out) = server.client();
            let premaster = premaster(&mut server, &out);
            let answer = second_flight(&server.reader, &premaster, &out, then);
            assert_eq!(completion.take(&answer), Err(fault), "{suite:?}");
            assert!(!completion.lacks_proof());
        }
    }
}

/// Returns the result of a probe whose handshake ended so after the first flight.
fn result_of(
    server: &Server,
    completion: &Completion,
    end: Result<(), End>,
) -> Result<Box<Served>, ProbeError> {
    let algorithms = default_provider().signature_verification_algorithms;
    let hello = server.reader.hello.as_ref().unwrap();
    let first = served(&algorithms, &CLIENT_RANDOM, hello, &server.reader).unwrap();
    assert_eq!(first.key_proof, KeyProof::None);
    let asks_client = server.reader.is_client_asked;
    completed(
        Box::new(first),
        Some(completion),
        end,
        asks_client,
        Duration::ZERO,
    )
}

#[test]
fn rsa_key_is_proved_only_by_a_record_of_the_server() {
    let suite = static_rsa().next().unwrap();
    let alert = |number| End::Fault(Fault::Alert(number));
    for asks_client in [false, true] {
        let flight = Flight {
            asks_client,
            ..Flight::default()
        };
        for (end, kind, may_lack_certificate) in [
            (
                End::Fault(Fault::Unauthentic),
                ErrorKind::TlsSignature,
                false,
            ),
            (alert(20), ErrorKind::TlsSignature, false),
            (alert(21), ErrorKind::TlsSignature, false),
            (alert(51), ErrorKind::TlsSignature, false),
            (alert(40), ErrorKind::TlsAlert, true),
            (End::Closed, ErrorKind::TlsClosed, true),
            (End::Timeout, ErrorKind::TlsTimeout, false),
            (End::TooLarge, ErrorKind::TooLarge, false),
        ] {
            let server = Server::start(suite, flight);
            let (completion, _) = server.client();
            match result_of(&server, &completion, Err(end)) {
                Ok(served) => {
                    assert!(asks_client && may_lack_certificate, "{kind:?}");
                    assert_eq!((served.key_proof, served.failure), (KeyProof::None, None));
                }
                Err(error) => {
                    assert!(!(asks_client && may_lack_certificate), "{kind:?}");
                    assert_eq!(error.kind, kind);
                }
            }
        }
        for then in [Then::Finished, Then::WrongFinished, Then::Alert] {
            let mut server = Server::start(suite, flight);
            let (mut completion, out) = server.client();
            let premaster = premaster(&mut server, &out);
            let answer = second_flight(&server.reader, &premaster, &out, then);
            let end = completion.take(&answer).map(|_| ()).map_err(End::Fault);
            let served = result_of(&server, &completion, end).unwrap();
            assert_eq!(served.key_proof, KeyProof::Handshake);
            let kind = match then {
                Then::WrongFinished => Some(ErrorKind::TlsProtocol),
                // The server refuses a client without a certificate.
                Then::Alert if !asks_client => Some(ErrorKind::TlsAlert),
                _ => None,
            };
            assert_eq!(served.failure.map(|failure| failure.kind), kind, "{then:?}");
        }
    }
}

#[test]
fn protocol_violations_after_the_first_flight_are_faults() {
    let suite = static_rsa().next().unwrap();
    let server = Server::start(suite, Flight::default());
    let change = record(20, &[1]).unwrap();
    let finished = record(22, &message(20, &[0; 12]).unwrap()).unwrap();
    for (what, bytes) in [
        ("cleartext Finished", finished.clone()),
        (
            "two ChangeCipherSpec",
            [change.clone(), change.clone()].concat(),
        ),
        ("malformed ChangeCipherSpec", record(20, &[2]).unwrap()),
        ("ChangeCipherSpec in a message", {
            [record(22, &[4, 0, 0]).unwrap(), change.clone()].concat()
        }),
        (
            "cleartext after ChangeCipherSpec",
            [change, finished].concat(),
        ),
        ("application data", record(23, &[0; 40]).unwrap()),
        ("long message", record(22, &[4, 1, 0, 9]).unwrap()),
        ("long record", vec![22, 3, 3, 0x48, 1]),
        ("empty record", vec![22, 3, 3, 0, 0]),
        ("no TLS", b"HTTP/1.1 400".to_vec()),
    ] {
        let (mut completion, _) = server.client();
        let result = completion.take(&bytes);
        assert!(result.is_err(), "{what}: {result:?}");
        assert!(completion.lacks_proof(), "{what}");
    }
}

#[test]
fn invalid_parameters_of_the_key_exchange_are_faults() {
    let of = |exchange| {
        completable()
            .find(|suite| suite.exchange == exchange)
            .unwrap()
    };
    let start = |exchange, parameters: Vec<u8>| {
        let flight = Flight {
            group: 23,
            ..Flight::default()
        };
        let mut server = Server::start(of(exchange), flight);
        server.reader.signed.as_mut().unwrap().parameters = parameters;
        Completion::start(sent(), &server.reader, &leaf()).map(|started| started.is_some())
    };
    let curve = |point: &[u8]| [&[3, 0, 23][..], &vector(1, point)].concat();
    let off_the_curve = [&[4][..], &[5; 64]].concat();
    for point in [&[][..], &[0], &[2; 33], &off_the_curve] {
        assert!(start(Exchange::Ecdhe, curve(point)).is_err(), "{point:?}");
    }
    let group = |prime: &[u8], generator: &[u8], public: &[u8]| {
        [prime, generator, public].map(|f| vector(2, f)).concat()
    };
    for parameters in [
        group(PRIME, &[2], &[0]),
        group(PRIME, &[2], &[1]),
        group(PRIME, &[2], PRIME),
        group(PRIME, &[1], &[9]),
        group(&[], &[2], &[9]),
        group(&[16], &[2], &[9]),
    ] {
        assert!(
            start(Exchange::Dhe, parameters.clone()).is_err(),
            "{parameters:?}"
        );
    }
    assert_eq!(start(Exchange::Dhe, group(PRIME, &[2], &[9])), Ok(true));
    // A prime that costs too much time is no fault of the server.
    let long = group(&[0xff; 513], &[2], &[9]);
    assert_eq!(start(Exchange::Dhe, long), Ok(false));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_complete_a_handshake(
        suite in 0..completable().count(),
        kinds in proptest::collection::vec((20..24u8, proptest::collection::vec(any::<u8>(), 0..80)), 0..6),
        size in 1..40usize,
    ) {
        let suite = completable().nth(suite).unwrap();
        let flight = Flight { group: 29, ..Flight::default() };
        let (mut completion, _) = Server::start(suite, flight).client();
        let records = kinds.iter().filter_map(|(kind, content)| record(*kind, content));
        let bytes = [record(20, &[1]).unwrap(), records.collect::<Vec<_>>().concat()].concat();
        prop_assert!(take_in(&mut completion, &bytes, size) != Ok(true));
        prop_assert_eq!(completion.proof(), None);
    }
}

//! Fuzz target of the parser of the first flight.

#![cfg_attr(
    fuzzing,
    expect(
        clippy::indexing_slicing,
        reason = "an error of the harness must panic, as in a test"
    )
)]

use rustls::crypto::aws_lc_rs::default_provider;

use crate::certificate::is_one_line;
use crate::model::KeyType;
use crate::observation::KeyProof;

use super::super::bounds::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use super::*;

/// Client random that the seeds respond to.
const CLIENT_RANDOM: hello::Random = [7; 32];

/// Parses a server's flight at once and in pieces. Asserts that both have the same result, within
/// the limits. The first octet selects the requested kind of key and the offer, the second one the
/// size of the pieces.
pub(in crate::probe) fn cleartext_reader(data: &[u8]) {
    let [kind, size, flight @ ..] = data else {
        return;
    };
    let key_type = match kind % 3 {
        0 => KeyType::Any,
        1 => KeyType::Rsa,
        _ => KeyType::Ecdsa,
    };
    let offer = match kind / 3 % 3 {
        0 => Offer::Both,
        1 => Offer::Current,
        _ => Offer::LastResort,
    };
    let (whole, end) = read_in(flight, flight.len().max(1), offer, key_type);
    let (cut, cut_end) = read_in(flight, usize::from(*size).max(1), offer, key_type);
    assert_eq!(end, cut_end);
    assert_eq!(whole.certificates, cut.certificates);
    assert_eq!(whole.staple, cut.staple);
    assert_eq!(format!("{:?}", whole.hello), format!("{:?}", cut.hello));
    assert_eq!(format!("{:?}", whole.signed), format!("{:?}", cut.signed));
    judge_of(&whole, end);
    complete_with(&whole, end, flight, usize::from(*size).max(1));
    let _ = secure_renegotiation(flight);
    let _ = hello_fault(flight, &[]);
    let _ = session_id(flight);
}

fn read_in(
    flight: &[u8],
    size: usize,
    offer: Offer,
    key_type: KeyType,
) -> (Reader, Result<bool, Fault>) {
    let mut reader = Reader::new(offer, key_type);
    for piece in flight.chunks(size) {
        let end = reader.take(piece);
        reader.assert_bounded();
        if end != Ok(false) {
            return (reader, end);
        }
    }
    (reader, Ok(false))
}

/// Continues the handshake with the bytes after the last ServerHelloDone. Asserts that a server
/// without the keys never completes it.
fn complete_with(reader: &Reader, end: Result<bool, Fault>, flight: &[u8], size: usize) {
    const SERVER_HELLO_DONE: [u8; 4] = [14, 0, 0, 0];
    let chain = reader.certificates.iter().flatten();
    let Some(leaf) = chain.map(|der| Certificate::from_der(der.clone())).next() else {
        return;
    };
    let sent = Sent {
        random: &CLIENT_RANDOM,
        record: &[22, 3, 1, 0, 4, 1, 0, 0, 0],
    };
    if end != Ok(true) {
        return;
    }
    let Ok(Some((mut completion, _))) = Completion::start(sent, reader, &leaf) else {
        return;
    };
    let mut windows = flight.windows(SERVER_HELLO_DONE.len());
    let before = windows.rposition(|bytes| bytes == SERVER_HELLO_DONE);
    let rest = before.and_then(|at| flight.get(at + SERVER_HELLO_DONE.len()..));
    let rest = rest.unwrap_or(flight);
    for piece in rest.chunks(size) {
        let result = completion.take(piece);
        completion.assert_bounded();
        assert_ne!(result, Ok(true));
        assert_eq!(completion.proof(), None);
        if result.is_err() {
            return;
        }
    }
}

/// Checks the parsed data and the outcome that is reported.
fn judge_of(reader: &Reader, end: Result<bool, Fault>) {
    if let Some(chain) = &reader.certificates {
        assert!((1..=MAX_CHAIN_CERTIFICATES).contains(&chain.len()));
        assert!(chain.iter().map(Vec::len).sum::<usize>() <= MAX_CHAIN_BYTES);
    }
    let end = match end {
        Ok(true) => Ok(()),
        Ok(false) => return,
        Err(fault) => Err(End::Fault(fault)),
    };
    let algorithms = default_provider().signature_verification_algorithms;
    match judge(
        end,
        &algorithms,
        &CLIENT_RANDOM,
        reader,
        Duration::ZERO,
        false,
    ) {
        Answer::Read(Ok(served)) => {
            let is_signed = reader.signed.is_some();
            assert!(is_signed || served.key_proof == KeyProof::None);
            // With rustls' own TLS 1.2 suites, the result requires a proof, or a kind of key whose
            // signatures cannot be verified.
            let chosen = reader.hello.as_ref();
            if chosen.is_some_and(|h| h.version == Version::Tls12 && h.suite.is_of_rustls()) {
                let kind = served.leaf.public_key();
                let kind = kind.and_then(|(algorithm, _)| proof::Kind::of(algorithm));
                assert!(is_signed);
                let is_unknown = matches!(kind, Some(proof::Kind::OtherCurve | proof::Kind::Dsa));
                assert!(is_unknown || served.key_proof != KeyProof::None);
            }
        }
        Answer::Read(Err(error)) => assert!(is_one_line(&error.message), "{error:?}"),
        Answer::Tls13 | Answer::Refused | Answer::Nothing => {}
    }
}

//! The reader of the first flight, for `fuzz/`.

#![allow(clippy::indexing_slicing)] // a slip of the harness has to be seen, as in a test

use rustls::crypto::aws_lc_rs::default_provider;

use crate::model::KeyType;

use super::super::setup::{MAX_CHAIN_BYTES, MAX_CHAIN_CERTIFICATES};
use super::*;

/// The random of the hello that the seeds answer.
const CLIENT_RANDOM: hello::Random = [7; 32];

/// Reads a server's flight at once and in pieces: both have to come to the same, within the bounds. The first octet
/// says which kind of key was asked for, the second how long the pieces are.
pub(in crate::look) fn cleartext_reader(data: &[u8]) {
    let [kind, size, flight @ ..] = data else {
        return;
    };
    let key_type = match kind % 3 {
        0 => KeyType::Any,
        1 => KeyType::Rsa,
        _ => KeyType::Ecdsa,
    };
    let (whole, end) = read_in(flight, flight.len().max(1), key_type);
    let (cut, cut_end) = read_in(flight, usize::from(*size).max(1), key_type);
    assert_eq!(end, cut_end);
    assert_eq!(whole.certificates, cut.certificates);
    assert_eq!(whole.staple, cut.staple);
    assert_eq!(format!("{:?}", whole.hello), format!("{:?}", cut.hello));
    assert_eq!(format!("{:?}", whole.signed), format!("{:?}", cut.signed));
    judge_of(&whole, end);
}

fn read_in(flight: &[u8], size: usize, key_type: KeyType) -> (Reader, Result<bool, Fault>) {
    let mut reader = Reader::new(key_type);
    for piece in flight.chunks(size) {
        let end = reader.take(piece);
        reader.assert_bounded();
        if end != Ok(false) {
            return (reader, end);
        }
    }
    (reader, Ok(false))
}

/// What is told of it, and what is kept.
fn judge_of(reader: &Reader, end: Result<bool, Fault>) {
    if let Some(chain) = &reader.certificates {
        assert!((1..=MAX_CHAIN_CERTIFICATES).contains(&chain.len()));
        assert!(chain.iter().map(Vec::len).sum::<usize>() <= MAX_CHAIN_BYTES);
    }
    let result = match (end, &reader.hello) {
        (Ok(true), Some(chosen)) => {
            let algorithms = default_provider().signature_verification_algorithms;
            served(&algorithms, &CLIENT_RANDOM, chosen, reader)
        }
        (Ok(true), None) => unreachable!("there is no end without a hello"),
        (Ok(false), _) => return,
        (Err(fault), _) => Err(explain(End::Fault(fault), Duration::ZERO)),
    };
    match result {
        Ok(served) => {
            // rustls' own suites of TLS 1.2 are for rustls, which insists on a proof.
            let chosen = reader
                .hello
                .as_ref()
                .map(|h| (h.version, h.suite.is_of_rustls()));
            assert!(chosen != Some((Version::Tls12, true)));
            let is_signed = reader.signed.is_some();
            assert!(is_signed || served.key_proof == crate::observation::KeyProof::None);
        }
        Err(error) => crate::fuzzing::assert_one_line(&error.message),
    }
}

//! Client's part of the key exchange: the ClientKeyExchange, and the premaster secret (RFC 5246,
//! section 7.4.7; RFC 8422, section 5.7).

use aws_lc_rs::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use aws_lc_rs::rand::{self, SystemRandom};
use aws_lc_rs::rsa::{Pkcs1PublicEncryptingKey, PublicEncryptingKey};
use num_bigint::BigUint;
use rustls::NamedGroup;

use crate::certificate::Certificate;
use crate::certificate::rsa::PublicKey;
use crate::observation::KeyProof;

use super::super::cursor::Cursor;
use super::super::hello::TLS_1_2;
use super::super::proof::Kind;
use super::super::reader::{Fault, Signed};
use super::super::suites::{Exchange, Suite};

/// Maximum size of a Diffie-Hellman prime, in bits. With this size, the two exponentiations take a
/// few milliseconds.
const MAX_DH_BITS: u64 = 4096;
/// Length of the secret exponent of Diffie-Hellman, in bytes.
const DH_SECRET: usize = 32;
/// Length of the random part of the premaster secret of RSA, in bytes.
const RSA_RANDOM: usize = 46;

/// Result of the client's part.
pub(super) struct Exchanged {
    /// Content of the ClientKeyExchange.
    pub(super) body: Vec<u8>,
    pub(super) premaster: Vec<u8>,
    /// Proof of the key that the server gives if it derives the same secret. `None` if its
    /// signature is the proof.
    pub(super) proof: Option<KeyProof>,
}

/// Returns true if the key exchange is implemented. The group and the prime are known from the
/// ServerKeyExchange.
pub(super) fn is_possible(suite: Suite, signed: Option<&Signed>) -> bool {
    let group = signed.and_then(|signed| signed.group);
    let bits = signed.and_then(|signed| signed.dh_bits);
    match suite.exchange {
        Exchange::Static => matches!(suite.key, super::super::suites::Key::Rsa),
        Exchange::Ecdhe => group.is_none_or(|group| agreement_of(group).is_some()),
        Exchange::Dhe => bits.is_none_or(|bits| bits <= MAX_DH_BITS),
        Exchange::RsaExport => false,
    }
}

/// Performs the client's part. Returns `None` if it cannot be performed here.
///
/// # Errors
/// If the server's parameters are not valid.
pub(super) fn exchange(
    suite: Suite,
    leaf: &Certificate,
    signed: Option<&Signed>,
) -> Result<Option<Exchanged>, Fault> {
    match (suite.exchange, signed) {
        (Exchange::Static, _) => Ok(rsa(leaf)),
        (Exchange::Ecdhe, Some(signed)) => ecdhe(&signed.parameters),
        (Exchange::Dhe, Some(signed)) => dhe(&signed.parameters),
        (Exchange::Ecdhe | Exchange::Dhe, None) | (Exchange::RsaExport, _) => Ok(None),
    }
}

fn agreement_of(group: u16) -> Option<&'static agreement::Algorithm> {
    match NamedGroup::from(group) {
        NamedGroup::X25519 => Some(&agreement::X25519),
        NamedGroup::secp256r1 => Some(&agreement::ECDH_P256),
        NamedGroup::secp384r1 => Some(&agreement::ECDH_P384),
        NamedGroup::secp521r1 => Some(&agreement::ECDH_P521),
        _ => None,
    }
}

/// Encrypts a premaster secret for the certificate's key, which is then the only one that can
/// derive the keys of the handshake.
fn rsa(leaf: &Certificate) -> Option<Exchanged> {
    let (algorithm, key) = leaf.public_key()?;
    if Kind::of(algorithm) != Some(Kind::Rsa) {
        return None;
    }
    let mut random = [0; RSA_RANDOM];
    rand::fill(&mut random).ok()?;
    let premaster = [&TLS_1_2[..], &random].concat();
    let public = PublicKey::read(key)?;
    let (encrypted, proof) = if public.is_for_library() {
        let spki = &leaf.facts().ok()?.spki;
        let library = PublicEncryptingKey::from_der(spki).ok()?;
        let library = Pkcs1PublicEncryptingKey::new(library).ok()?;
        let mut encrypted = vec![0; library.ciphertext_size()];
        library.encrypt(&premaster, &mut encrypted).ok()?;
        (encrypted, KeyProof::Handshake)
    } else {
        let block = padded(&premaster, public.bits().div_ceil(8))?;
        (public.apply(&block)?, KeyProof::BareKey)
    };
    let length = u16::try_from(encrypted.len()).ok()?.to_be_bytes();
    Some(Exchanged {
        body: [&length[..], &encrypted].concat(),
        premaster,
        proof: Some(proof),
    })
}

/// Pads a message for the encryption of RSAES-PKCS1-v1_5 (RFC 8017, section 7.2.1).
fn padded(message: &[u8], length: usize) -> Option<Vec<u8>> {
    /// Minimum length of the padding, in bytes.
    const PADDING: usize = 8;
    let padding = length.checked_sub(message.len() + 3)?;
    if padding < PADDING {
        return None;
    }
    let mut random = vec![0; padding];
    rand::fill(&mut random).ok()?;
    // No octet of the padding may be zero.
    let random = random.into_iter().map(|octet| octet.max(1));
    let start = [0, 2].into_iter().chain(random).chain([0]);
    Some(start.chain(message.iter().copied()).collect())
}

fn ecdhe(parameters: &[u8]) -> Result<Option<Exchanged>, Fault> {
    const INVALID: Fault = Fault::Malformed("its point of the key exchange is not on the curve");
    /// First octet of an uncompressed point.
    const UNCOMPRESSED: u8 = 4;
    let mut input = Cursor(parameters);
    let (Some(_), Some(group), Some(point)) = (input.u8(), input.u16(), input.u8_vector()) else {
        return Ok(None);
    };
    let Some(algorithm) = agreement_of(group) else {
        return Ok(None);
    };
    if *algorithm != agreement::X25519 && point.first() != Some(&UNCOMPRESSED) {
        return Err(INVALID);
    }
    let Ok(private) = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()) else {
        return Ok(None);
    };
    let Ok(public) = private.compute_public_key() else {
        return Ok(None);
    };
    let peer = UnparsedPublicKey::new(algorithm, point);
    let premaster =
        agreement::agree_ephemeral(private, peer, INVALID, |secret| Ok(secret.to_vec()))?;
    let public = public.as_ref();
    let Ok(length) = u8::try_from(public.len()) else {
        return Ok(None);
    };
    Ok(Some(Exchanged {
        body: [&[length], public].concat(),
        premaster,
        proof: None,
    }))
}

fn dhe(parameters: &[u8]) -> Result<Option<Exchanged>, Fault> {
    const INVALID: Fault = Fault::Malformed("its Diffie-Hellman parameters are not valid");
    let mut input = Cursor(parameters);
    let mut next = || input.u16_vector().map(BigUint::from_bytes_be);
    let (Some(prime), Some(generator), Some(public)) = (next(), next(), next()) else {
        return Ok(None);
    };
    if prime.bits() > MAX_DH_BITS {
        return Ok(None);
    }
    // RFC 7919, section 5.1: 1 < public value < p - 1. An even number is no prime.
    let one = BigUint::from(1u8);
    if !prime.bit(0) || public <= one || &public + &one >= prime || generator <= one {
        return Err(INVALID);
    }
    let mut secret = [0; DH_SECRET];
    if rand::fill(&mut secret).is_err() {
        return Ok(None);
    }
    let secret = BigUint::from_bytes_be(&secret);
    let sent = generator.modpow(&secret, &prime).to_bytes_be();
    // Leading zeros are removed (RFC 5246, section 8.1.2).
    let premaster = public.modpow(&secret, &prime).to_bytes_be();
    let Ok(length) = u16::try_from(sent.len()) else {
        return Ok(None);
    };
    Ok(Some(Exchanged {
        body: [&length.to_be_bytes()[..], &sent].concat(),
        premaster,
        proof: None,
    }))
}

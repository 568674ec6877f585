//! Record protection of TLS 1.2: AES in CBC mode with HMAC, AES-GCM and ChaCha20-Poly1305 (RFC 5246,
//! section 6.2.3; RFC 5288, section 3; RFC 7905, section 2).

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use rustls::CipherSuite;

use super::secrets::{Hash, Master, Side};

/// Block of AES, in bytes. An initialization vector has this length too.
const BLOCK: usize = cipher::AES_CBC_IV_LEN;
/// Length of the nonce of an AEAD, in bytes.
const NONCE: usize = aead::NONCE_LEN;
/// Length of the part of GCM's nonce that a record contains, in bytes.
const EXPLICIT_NONCE: usize = 8;

/// Cipher of a suite.
#[derive(Clone, Copy)]
pub(super) enum Cipher {
    /// AES in CBC mode.
    Cbc {
        algorithm: &'static cipher::Algorithm,
        key: usize,
        mac: hmac::Algorithm,
    },
    /// AES-GCM.
    Gcm(&'static aead::Algorithm),
    /// ChaCha20-Poly1305.
    ChaCha20,
}

impl Cipher {
    /// Returns the cipher of a suite and the hash of its pseudorandom function. `None` if it is not
    /// implemented.
    pub(super) fn of(suite: CipherSuite) -> Option<(Self, Hash)> {
        use hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY as SHA1, HMAC_SHA256, HMAC_SHA384};
        let cbc_128 = |mac| Self::Cbc {
            algorithm: &cipher::AES_128,
            key: cipher::AES_128_KEY_LEN,
            mac,
        };
        let cbc_256 = |mac| Self::Cbc {
            algorithm: &cipher::AES_256,
            key: cipher::AES_256_KEY_LEN,
            mac,
        };
        let (_, cipher) = suite.as_str()?.split_once("_WITH_")?;
        Some(match cipher {
            "AES_128_CBC_SHA" => (cbc_128(SHA1), Hash::Sha256),
            "AES_256_CBC_SHA" => (cbc_256(SHA1), Hash::Sha256),
            "AES_128_CBC_SHA256" => (cbc_128(HMAC_SHA256), Hash::Sha256),
            "AES_256_CBC_SHA256" => (cbc_256(HMAC_SHA256), Hash::Sha256),
            "AES_256_CBC_SHA384" => (cbc_256(HMAC_SHA384), Hash::Sha384),
            "AES_128_GCM_SHA256" => (Self::Gcm(&aead::AES_128_GCM), Hash::Sha256),
            "AES_256_GCM_SHA384" => (Self::Gcm(&aead::AES_256_GCM), Hash::Sha384),
            "CHACHA20_POLY1305_SHA256" => (Self::ChaCha20, Hash::Sha256),
            _ => return None,
        })
    }

    /// Returns the lengths of the MAC key, of the key and of the implicit nonce, in bytes.
    fn lengths(self) -> (usize, usize, usize) {
        match self {
            Self::Cbc { key, mac, .. } => (mac.digest_algorithm().output_len(), key, 0),
            Self::Gcm(algorithm) => (0, algorithm.key_len(), NONCE - EXPLICIT_NONCE),
            Self::ChaCha20 => (0, aead::CHACHA20_POLY1305.key_len(), NONCE),
        }
    }
}

/// Protection of the records of one side.
pub(super) struct Protection {
    keys: Keys,
    sequence: u64,
}

enum Keys {
    Cbc {
        algorithm: &'static cipher::Algorithm,
        key: Vec<u8>,
        mac: Box<hmac::Key>,
    },
    Gcm(LessSafeKey, Vec<u8>),
    ChaCha20(LessSafeKey, Vec<u8>),
}

impl Protection {
    /// Derives the protection of a side's records.
    pub(super) fn derive(cipher: Cipher, master: &Master<'_>, side: Side) -> Option<Self> {
        let (mac, key, iv) = cipher.lengths();
        let block = master.key_block(2 * (mac + key + iv))?;
        let mut rest = &block[..];
        let mut next = |length: usize| {
            let (client, after) = rest.split_at_checked(length)?;
            let (server, after) = after.split_at_checked(length)?;
            rest = after;
            Some(match side {
                Side::Client => client.to_vec(),
                Side::Server => server.to_vec(),
            })
        };
        let (mac_key, key, iv) = (next(mac)?, next(key)?, next(iv)?);
        let aead = |algorithm| UnboundKey::new(algorithm, &key).ok().map(LessSafeKey::new);
        let keys = match cipher {
            Cipher::Cbc { algorithm, mac, .. } => Keys::Cbc {
                algorithm,
                mac: Box::new(hmac::Key::new(mac, &mac_key)),
                key,
            },
            Cipher::Gcm(algorithm) => Keys::Gcm(aead(algorithm)?, iv),
            Cipher::ChaCha20 => Keys::ChaCha20(aead(&aead::CHACHA20_POLY1305)?, iv),
        };
        Some(Self { keys, sequence: 0 })
    }

    /// Returns the content of a protected record. `None` if the library fails.
    pub(super) fn protect(&mut self, kind: u8, content: &[u8]) -> Option<Vec<u8>> {
        let sequence = self.next();
        let header = header(sequence, kind, content.len())?;
        match &self.keys {
            Keys::Cbc {
                algorithm,
                key,
                mac,
            } => {
                let tag = hmac::sign(mac, &[&header, content].concat());
                let mut body = [content, tag.as_ref()].concat();
                let padding = BLOCK - 1 - body.len() % BLOCK;
                body.resize(body.len() + padding + 1, u8::try_from(padding).ok()?);
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let key = EncryptingKey::cbc(key).ok()?;
                let context = key.encrypt(&mut body).ok()?;
                let iv: &[u8] = (&context).try_into().ok()?;
                Some([iv, &body].concat())
            }
            Keys::Gcm(key, iv) => {
                let explicit = sequence.to_be_bytes();
                let sealed = seal(key, &[iv, &explicit[..]].concat(), &header, content)?;
                Some([&explicit[..], &sealed].concat())
            }
            Keys::ChaCha20(key, iv) => seal(key, &xored(iv, sequence), &header, content),
        }
    }

    /// Returns the plaintext of a protected record. `None` if it is not authentic.
    pub(super) fn unprotect(&mut self, kind: u8, body: &[u8]) -> Option<Vec<u8>> {
        let sequence = self.next();
        match &self.keys {
            Keys::Cbc {
                algorithm,
                key,
                mac,
            } => {
                let (iv, encrypted) = body.split_first_chunk::<BLOCK>()?;
                if encrypted.is_empty() || encrypted.len() % BLOCK != 0 {
                    return None;
                }
                let key = UnboundCipherKey::new(algorithm, key).ok()?;
                let key = DecryptingKey::cbc(key).ok()?;
                let mut plain = encrypted.to_vec();
                let context = DecryptionContext::Iv128(FixedLength::from(iv));
                key.decrypt(&mut plain, context).ok()?;
                let padding = usize::from(*plain.last()?);
                let authentic = plain.len().checked_sub(padding + 1)?;
                let (authentic, padded) = plain.split_at_checked(authentic)?;
                if padded.iter().any(|octet| usize::from(*octet) != padding) {
                    return None;
                }
                let tag = mac.algorithm().digest_algorithm().output_len();
                let (content, tag) =
                    authentic.split_at_checked(authentic.len().checked_sub(tag)?)?;
                let header = header(sequence, kind, content.len())?;
                hmac::verify(mac, &[&header, content].concat(), tag).ok()?;
                Some(content.to_vec())
            }
            Keys::Gcm(key, iv) => {
                let (explicit, sealed) = body.split_at_checked(EXPLICIT_NONCE)?;
                let length = sealed.len().checked_sub(key.algorithm().tag_len())?;
                let header = header(sequence, kind, length)?;
                open(key, &[iv, explicit].concat(), &header, sealed)
            }
            Keys::ChaCha20(key, iv) => {
                let length = body.len().checked_sub(key.algorithm().tag_len())?;
                let header = header(sequence, kind, length)?;
                open(key, &xored(iv, sequence), &header, body)
            }
        }
    }

    fn next(&mut self) -> u64 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }
}

/// Returns the data that is authenticated with the content of a record.
fn header(sequence: u64, kind: u8, length: usize) -> Option<Vec<u8>> {
    let length = u16::try_from(length).ok()?.to_be_bytes();
    Some([&sequence.to_be_bytes()[..], &[kind, 3, 3], &length].concat())
}

/// Returns the nonce of ChaCha20-Poly1305.
fn xored(iv: &[u8], sequence: u64) -> Vec<u8> {
    let zeros = NONCE - size_of_val(&sequence);
    let padded = std::iter::repeat_n(0, zeros).chain(sequence.to_be_bytes());
    iv.iter().zip(padded).map(|(a, b)| a ^ b).collect()
}

fn seal(key: &LessSafeKey, nonce: &[u8], header: &[u8], content: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = content.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(header), &mut body)
        .ok()?;
    Some(body)
}

fn open(key: &LessSafeKey, nonce: &[u8], header: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = sealed.to_vec();
    let content = key
        .open_in_place(nonce, Aad::from(header), &mut body)
        .ok()?;
    Some(content.to_vec())
}

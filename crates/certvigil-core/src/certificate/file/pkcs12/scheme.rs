//! Encryption schemes of PKCS #12 files, and the derivation of their keys (RFC 8018; RFC 7292,
//! appendices B and C).

use std::num::NonZeroU32;

use aws_lc_rs::{cipher, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, InnerIvInit as _, KeyInit as _, KeyIvInit as _};
use secrecy::zeroize::Zeroizing;

use super::{INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, Password, SEQUENCE};
use crate::certificate::file::ber::{expect, optional};
use crate::certificate::hash::Hash;

/// PBES2 and PBKDF2, 1.2.840.113549.1.5.13 and .12 (RFC 8018, appendix A).
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
/// `pbeWithSHAAnd3-KeyTripleDES-CBC` and `pbeWithSHAAnd40BitRC2-CBC` (RFC 7292, appendix C).
const TRIPLE_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 3];
const RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 6];
/// Prefix of `hmacWith…`, 1.2.840.113549.2.
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
/// Prefix of the AES modes, 2.16.840.1.101.3.4.1.
const AES: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];

/// Purpose of derived material (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// An encryption scheme with its parameters.
pub(super) enum Scheme<'a> {
    /// PBES2 with PBKDF2 and AES in CBC mode.
    Aes {
        prf: pbkdf2::Algorithm,
        salt: &'a [u8],
        iterations: NonZeroU32,
        cipher: &'static cipher::Algorithm,
        /// Length of the key in octets.
        key_length: usize,
        iv: [u8; 16],
    },
    /// A scheme of RFC 7292, appendix C.
    Legacy {
        cipher: Legacy,
        salt: &'a [u8],
        iterations: u32,
    },
}

#[derive(Clone, Copy)]
pub(super) enum Legacy {
    TripleDes,
    Rc2With40Bits,
}

impl<'a> Scheme<'a> {
    pub(super) fn read(mut algorithm: &'a [u8]) -> Option<Self> {
        let kind = expect(&mut algorithm, OBJECT_IDENTIFIER)?.content;
        let mut parameters = expect(&mut algorithm, SEQUENCE)?.content;
        let cipher = match kind {
            PBES2 => return Self::read_pbes2(parameters),
            TRIPLE_DES => Legacy::TripleDes,
            RC2_40 => Legacy::Rc2With40Bits,
            _ => return None,
        };
        Some(Self::Legacy {
            cipher,
            salt: expect(&mut parameters, OCTET_STRING)?.content,
            iterations: iterations(&mut parameters)?.get(),
        })
    }

    pub(super) fn read_pbes2(mut parameters: &'a [u8]) -> Option<Self> {
        let mut derivation = expect(&mut parameters, SEQUENCE)?.content;
        if expect(&mut derivation, OBJECT_IDENTIFIER)?.content != PBKDF2 {
            return None;
        }
        let mut pbkdf2 = expect(&mut derivation, SEQUENCE)?.content;
        let salt = expect(&mut pbkdf2, OCTET_STRING)?.content;
        let iterations = iterations(&mut pbkdf2)?;
        optional(&mut pbkdf2, INTEGER);
        let prf = match optional(&mut pbkdf2, SEQUENCE) {
            None => pbkdf2::PBKDF2_HMAC_SHA1,
            Some(prf) => {
                let kind = expect(&mut { prf.content }, OBJECT_IDENTIFIER)?.content;
                match kind.strip_prefix(HMAC)? {
                    [7] => pbkdf2::PBKDF2_HMAC_SHA1,
                    [9] => pbkdf2::PBKDF2_HMAC_SHA256,
                    [10] => pbkdf2::PBKDF2_HMAC_SHA384,
                    [11] => pbkdf2::PBKDF2_HMAC_SHA512,
                    _ => return None,
                }
            }
        };
        let mut encryption = expect(&mut parameters, SEQUENCE)?.content;
        let kind = expect(&mut encryption, OBJECT_IDENTIFIER)?.content;
        let (cipher, key_length) = match kind.strip_prefix(AES)? {
            [2] => (&cipher::AES_128, 16),
            [22] => (&cipher::AES_192, 24),
            [42] => (&cipher::AES_256, 32),
            _ => return None,
        };
        let iv = expect(&mut encryption, OCTET_STRING)?.content;
        Some(Self::Aes {
            prf,
            salt,
            iterations,
            cipher,
            key_length,
            iv: iv.try_into().ok()?,
        })
    }

    pub(super) fn iterations(&self) -> u32 {
        match *self {
            Self::Aes { iterations, .. } => iterations.get(),
            Self::Legacy { iterations, .. } => iterations,
        }
    }

    /// Returns the plain text; `None` if the padding is wrong, as it is with a wrong password.
    pub(super) fn decrypt(
        &self,
        content: &[u8],
        password: &Password,
    ) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(content.to_vec());
        let length = match *self {
            Self::Aes {
                prf,
                salt,
                iterations,
                cipher,
                key_length,
                iv,
            } => {
                let mut key = Zeroizing::new(vec![0; key_length]);
                pbkdf2::derive(prf, iterations, salt, &password.utf8, &mut key);
                let key = cipher::UnboundCipherKey::new(cipher, &key).ok()?;
                let key = cipher::PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
                let context = cipher::DecryptionContext::Iv128(iv.into());
                key.decrypt(&mut text, context).ok()?.len()
            }
            Self::Legacy {
                cipher,
                salt,
                iterations,
            } => {
                let derive = |purpose, length| {
                    derive(
                        Hash::Sha1,
                        purpose,
                        &password.utf16,
                        salt,
                        iterations,
                        length,
                    )
                };
                let iv = derive(Purpose::Iv, 8)?;
                cipher.decrypt(&mut text, &derive(Purpose::Key, cipher.key_length())?, &iv)?
            }
        };
        text.truncate(length);
        Some(text)
    }
}

pub(super) fn iterations(fields: &mut &[u8]) -> Option<NonZeroU32> {
    NonZeroU32::new(expect(fields, INTEGER)?.number()?)
}

impl Legacy {
    fn key_length(self) -> usize {
        match self {
            Self::TripleDes => 24,
            Self::Rc2With40Bits => 5,
        }
    }

    /// Decrypts in place and returns the length of the plain text.
    pub(super) fn decrypt(self, text: &mut [u8], key: &[u8], iv: &[u8]) -> Option<usize> {
        let plain = match self {
            Self::TripleDes => cbc::Decryptor::<des::TdesEde3>::new_from_slices(key, iv)
                .ok()?
                .decrypt_padded::<Pkcs7>(text),
            Self::Rc2With40Bits => {
                // The length of the key is the effective length (RFC 2268, section 2).
                let rc2 = rc2::Rc2::new_from_slice(key).ok()?;
                cbc::Decryptor::inner_iv_slice_init(rc2, iv)
                    .ok()?
                    .decrypt_padded::<Pkcs7>(text)
            }
        };
        Some(plain.ok()?.len())
    }
}

/// Derives key material from a password (RFC 7292, appendix B.2).
pub(super) fn derive(
    hash: Hash,
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    length: usize,
) -> Option<Zeroizing<Vec<u8>>> {
    /// Largest salt that is used; programs write 8 to 20 octets.
    const MAX_SALT_BYTES: usize = 4096;
    // Block length of the hash, `v` of the RFC.
    let block = match hash.length() {
        0..=32 => 64,
        _ => 128,
    };
    if salt.len() > MAX_SALT_BYTES {
        return None;
    }
    let filled = |text: &[u8]| -> Vec<u8> {
        let length = text.len().div_ceil(block) * block;
        text.iter().copied().cycle().take(length).collect()
    };
    let mut input = Zeroizing::new([filled(salt), filled(password)].concat());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    loop {
        let diversifier = vec![purpose as u8; block];
        let mut digest = Zeroizing::new(hash.digest(&[&diversifier, &input]));
        for _ in 1..iterations {
            digest = Zeroizing::new(hash.digest(&[&digest]));
        }
        derived.extend_from_slice(&digest);
        if derived.len() >= length {
            derived.truncate(length);
            return Some(derived);
        }
        // Each block of the input is increased by the digest, repeated, plus one.
        let addend: Vec<u8> = digest.iter().copied().cycle().take(block).collect();
        for part in input.chunks_mut(block) {
            let mut carry = 1u16;
            for (octet, add) in part.iter_mut().zip(&addend).rev() {
                carry += u16::from(*octet) + u16::from(*add);
                *octet = (carry & 0xff) as u8;
                carry >>= 8;
            }
        }
    }
}

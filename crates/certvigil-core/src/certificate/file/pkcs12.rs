//! Certificates of PKCS #12 files (RFC 7292).

use std::borrow::Cow;
use std::cell::Cell;
use std::num::NonZeroU32;

use aws_lc_rs::{cipher, hmac, pbkdf2};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt as _, InnerIvInit as _, KeyInit as _, KeyIvInit as _};
use secrecy::zeroize::Zeroizing;

use super::ber::{Element, elements, expect, optional};
use super::{FileError, pkcs7};
use crate::certificate::hash::Hash;

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const CONTEXT_0: u8 = 0xa0;
/// `[0] IMPLICIT OCTET STRING`, primitive.
const IMPLICIT_0: u8 = 0x80;

/// PKCS #7 `data` and `encryptedData`, 1.2.840.113549.1.7.1 and .6.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
/// `certBag` and `safeContentsBag`, 1.2.840.113549.1.12.10.1.3 and .6.
const CERT_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
const SAFE_CONTENTS_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 6];
/// `x509Certificate`, 1.2.840.113549.1.9.22.1.
const X509_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
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

/// Maximum iterations of key derivation for one file, in total. OpenSSL writes 2048 for each key, Java 10,000; these take
/// several seconds.
const MAX_ITERATIONS: u32 = 10_000_000;
/// The same without a password, which includes files from the network.
const MAX_ITERATIONS_WITHOUT_PASSWORD: u32 = 200_000;
/// Deepest nesting of SafeContents; none is in use.
const MAX_NESTED: usize = 4;

/// Purpose of derived material (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
enum Purpose {
    Key = 1,
    Iv = 2,
    Mac = 3,
}

/// Password of a file, and the iterations of key derivation that remain for it.
pub(super) struct Opening<'a> {
    password: Option<&'a str>,
    iterations: Cell<u32>,
}

impl<'a> Opening<'a> {
    pub(super) fn new(password: Option<&'a str>) -> Self {
        let iterations = match password {
            Some(_) => MAX_ITERATIONS,
            None => MAX_ITERATIONS_WITHOUT_PASSWORD,
        };
        Self::limited(password, iterations)
    }

    pub(super) fn limited(password: Option<&'a str>, iterations: u32) -> Self {
        Self {
            password,
            iterations: Cell::new(iterations),
        }
    }

    /// Takes the iterations of a derivation, or returns an error if fewer remain.
    fn spend(&self, iterations: u32) -> Result<(), FileError> {
        let left = self.iterations.get().checked_sub(iterations);
        self.iterations
            .set(left.ok_or(FileError::Pkcs12Iterations)?);
        Ok(())
    }
}

/// Returns true if the bytes are a PFX.
pub(super) fn is_pfx(der: &[u8]) -> bool {
    pfx(der).is_some()
}

/// Returns the DER of each certificate. The password is UTF-8; without one, the certificates must be unencrypted.
///
/// # Errors
/// Returns an error if the password is missing or wrong, the structure cannot be read, its encryption is of an unknown kind, or
/// the derivation of its keys takes too long.
pub(super) fn certificates(der: &[u8], opening: &Opening<'_>) -> Result<Vec<Vec<u8>>, FileError> {
    let pfx = pfx(der).ok_or(FileError::Pkcs12)?;
    let reader = Reader {
        opening,
        passwords: match opening.password {
            // An empty password and none at all derive different keys, and programs write both.
            None | Some("") => vec![Password::new(""), Password::none()],
            Some(password) => vec![Password::new(password)],
        },
        is_given: opening.password.is_some(),
    };
    let safe = pfx.safe.ok_or(FileError::Pkcs12)?;
    let reader = match pfx.mac {
        Some(mac) => reader.verified(&safe, mac)?,
        None => reader,
    };
    let mut list = &*safe;
    let contents = expect(&mut list, SEQUENCE).ok_or(FileError::Pkcs12)?;
    let mut found = Vec::new();
    for info in elements(contents.content).ok_or(FileError::Pkcs12)? {
        reader.read_info(info, &mut found)?;
    }
    Ok(found)
}

struct Pfx<'a> {
    /// The AuthenticatedSafe; `None` if a public key protects it.
    safe: Option<Cow<'a, [u8]>>,
    mac: Option<Element<'a>>,
}

fn pfx(mut der: &[u8]) -> Option<Pfx<'_>> {
    let mut fields = expect(&mut der, SEQUENCE)?.content;
    let version = expect(&mut fields, INTEGER)?.number()?;
    let info = expect(&mut fields, SEQUENCE)?;
    let mut inner = info.content;
    let kind = expect(&mut inner, OBJECT_IDENTIFIER)?;
    if version != 3 || !(kind.content == DATA || pkcs7::is_signed_data(info.whole)) {
        return None;
    }
    let safe = (kind.content == DATA).then(|| octets(&mut inner)).flatten();
    let mac = optional(&mut fields, SEQUENCE);
    Some(Pfx { safe, mac })
}

/// Returns the octets of an explicitly tagged OCTET STRING.
fn octets<'a>(info: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut content = expect(info, CONTEXT_0)?.content;
    super::ber::split(&mut content)?.octets(OCTET_STRING)
}

/// A password in the two forms that key derivation takes.
struct Password {
    /// UTF-8, for PBES2.
    utf8: Zeroizing<Vec<u8>>,
    /// UTF-16 with a zero at the end (RFC 7292, appendix B.1).
    utf16: Zeroizing<Vec<u8>>,
}

impl Password {
    fn new(password: &str) -> Self {
        let units = password.encode_utf16().chain(std::iter::once(0));
        Self {
            utf8: Zeroizing::new(password.as_bytes().to_vec()),
            utf16: Zeroizing::new(units.flat_map(u16::to_be_bytes).collect()),
        }
    }

    fn none() -> Self {
        Self {
            utf8: Zeroizing::default(),
            utf16: Zeroizing::default(),
        }
    }
}

struct Reader<'a> {
    opening: &'a Opening<'a>,
    passwords: Vec<Password>,
    is_given: bool,
}

impl Reader<'_> {
    /// Keeps the password that the MAC proves. A MAC of an unknown kind proves none.
    fn verified(mut self, safe: &[u8], mac: Element<'_>) -> Result<Self, FileError> {
        let Some(mac) = Mac::read(mac.content) else {
            return Ok(self);
        };
        let mut right = None;
        for (at, password) in self.passwords.iter().enumerate() {
            self.opening.spend(mac.iterations)?;
            if mac.verifies(safe, password) {
                right = Some(at);
                break;
            }
        }
        match right {
            Some(at) => {
                self.passwords = vec![self.passwords.swap_remove(at)];
                Ok(self)
            }
            None => Err(self.wrong_password()),
        }
    }

    fn wrong_password(&self) -> FileError {
        match self.is_given {
            true => FileError::WrongPassword,
            false => FileError::NeedsPassword,
        }
    }

    fn read_info(&self, info: Element<'_>, found: &mut Vec<Vec<u8>>) -> Result<(), FileError> {
        let mut fields = info.content;
        let kind = expect(&mut fields, OBJECT_IDENTIFIER).ok_or(FileError::Pkcs12)?;
        let plain = match kind.content {
            DATA => octets(&mut fields).ok_or(FileError::Pkcs12)?,
            ENCRYPTED_DATA => {
                let data = Encrypted::read(fields).ok_or(FileError::Pkcs12)?;
                Cow::Owned(self.decrypt(&data)?.to_vec())
            }
            // Data for the holder of a private key: RFC 7292, section 4.
            _ => return Err(FileError::Pkcs12Encryption),
        };
        read_safe(&plain, 0, found).ok_or(FileError::Pkcs12)
    }

    fn decrypt(&self, data: &Encrypted<'_>) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let scheme = Scheme::read(data.algorithm).ok_or(FileError::Pkcs12Encryption)?;
        // Even the empty password must be given: other programs ask for it.
        if !self.is_given {
            return Err(FileError::NeedsPassword);
        }
        for password in &self.passwords {
            self.opening.spend(scheme.iterations())?;
            let Some(plain) = scheme.decrypt(&data.content, password) else {
                continue;
            };
            // A wrong key may leave valid padding.
            if expect(&mut plain.as_slice(), SEQUENCE).is_some() {
                return Ok(plain);
            }
        }
        Err(self.wrong_password())
    }
}

/// Adds the certificates of a SafeContents.
fn read_safe(mut safe: &[u8], depth: usize, found: &mut Vec<Vec<u8>>) -> Option<()> {
    let bags = expect(&mut safe, SEQUENCE)?;
    for bag in elements(bags.content)? {
        let mut fields = bag.content;
        let kind = expect(&mut fields, OBJECT_IDENTIFIER)?;
        let mut value = expect(&mut fields, CONTEXT_0)?.content;
        match kind.content {
            CERT_BAG => {
                let mut bag = expect(&mut value, SEQUENCE)?.content;
                if expect(&mut bag, OBJECT_IDENTIFIER)?.content == X509_CERTIFICATE {
                    let octets = octets(&mut bag)?;
                    // Bytes after the certificate are ignored, as in PEM.
                    let certificate = expect(&mut &*octets, SEQUENCE).map(|e| e.whole.to_vec());
                    found.push(certificate.unwrap_or_else(|| octets.to_vec()));
                }
            }
            SAFE_CONTENTS_BAG if depth < MAX_NESTED => read_safe(value, depth + 1, found)?,
            // Keys, revocation lists and secrets.
            _ => {}
        }
    }
    Some(())
}

struct Encrypted<'a> {
    algorithm: &'a [u8],
    content: Cow<'a, [u8]>,
}

impl<'a> Encrypted<'a> {
    /// Reads what follows the object identifier of an EncryptedData (RFC 5652, section 8).
    fn read(mut fields: &'a [u8]) -> Option<Self> {
        let mut explicit = expect(&mut fields, CONTEXT_0)?.content;
        let mut data = expect(&mut explicit, SEQUENCE)?.content;
        expect(&mut data, INTEGER)?;
        let mut info = expect(&mut data, SEQUENCE)?.content;
        expect(&mut info, OBJECT_IDENTIFIER)?;
        let algorithm = expect(&mut info, SEQUENCE)?.content;
        let content = super::ber::split(&mut info)?.octets(IMPLICIT_0)?;
        Some(Self { algorithm, content })
    }
}

/// An encryption scheme with its parameters.
enum Scheme<'a> {
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
enum Legacy {
    TripleDes,
    Rc2With40Bits,
}

impl<'a> Scheme<'a> {
    fn read(mut algorithm: &'a [u8]) -> Option<Self> {
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

    fn read_pbes2(mut parameters: &'a [u8]) -> Option<Self> {
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

    fn iterations(&self) -> u32 {
        match *self {
            Self::Aes { iterations, .. } => iterations.get(),
            Self::Legacy { iterations, .. } => iterations,
        }
    }

    /// Returns the plain text; `None` if the padding is wrong, as it is with a wrong password.
    fn decrypt(&self, content: &[u8], password: &Password) -> Option<Zeroizing<Vec<u8>>> {
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

fn iterations(fields: &mut &[u8]) -> Option<NonZeroU32> {
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
    fn decrypt(self, text: &mut [u8], key: &[u8], iv: &[u8]) -> Option<usize> {
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

/// The MAC over the AuthenticatedSafe (RFC 7292, section 4).
struct Mac<'a> {
    hash: Hash,
    algorithm: hmac::Algorithm,
    value: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
}

impl<'a> Mac<'a> {
    /// Reads the fields of MacData; `None` if its algorithm is unknown.
    fn read(mut fields: &'a [u8]) -> Option<Self> {
        let mut info = expect(&mut fields, SEQUENCE)?.content;
        let mut algorithm = expect(&mut info, SEQUENCE)?.content;
        let hash = Hash::of(expect(&mut algorithm, OBJECT_IDENTIFIER)?.content)?;
        let algorithm = match hash {
            Hash::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Hash::Sha224 => hmac::HMAC_SHA224,
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha384 => hmac::HMAC_SHA384,
            Hash::Sha512 => hmac::HMAC_SHA512,
            _ => return None,
        };
        Some(Self {
            hash,
            algorithm,
            value: expect(&mut info, OCTET_STRING)?.content,
            salt: expect(&mut fields, OCTET_STRING)?.content,
            iterations: match fields {
                [] => 1,
                _ => iterations(&mut fields)?.get(),
            },
        })
    }

    fn verifies(&self, safe: &[u8], password: &Password) -> bool {
        let length = self.hash.length();
        let key = derive(
            self.hash,
            Purpose::Mac,
            &password.utf16,
            self.salt,
            self.iterations,
            length,
        );
        key.is_some_and(|key| {
            let key = hmac::Key::new(self.algorithm, &key);
            hmac::verify(&key, safe, self.value).is_ok()
        })
    }
}

/// Derives key material from a password (RFC 7292, appendix B.2).
fn derive(
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

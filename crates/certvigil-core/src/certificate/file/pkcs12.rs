//! Certificates of PKCS #12 files (RFC 7292).

mod scheme;

use std::borrow::Cow;
use std::cell::Cell;

use aws_lc_rs::hmac;
use secrecy::zeroize::Zeroizing;

use super::ber::{Element, elements, expect, optional};
use super::{FileError, pkcs7};
use crate::certificate::hash::Hash;

use scheme::{Purpose, Scheme, derive, iterations};

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
/// Maximum iterations of key derivation for one file, in total. OpenSSL writes 2048 for each key, Java 10,000; these take
/// several seconds.
const MAX_ITERATIONS: u32 = 10_000_000;
/// The same without a password, which includes files from the network.
const MAX_ITERATIONS_WITHOUT_PASSWORD: u32 = 200_000;
/// Deepest nesting of SafeContents; none is in use.
const MAX_NESTED: usize = 4;

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

//! Files with private keys: PKCS #1, PKCS #8 and SEC 1, in PEM and DER. Only the public keys that
//! belong to them are kept.

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use num_bigint::BigUint;
use secrecy::zeroize::Zeroizing;

use super::super::key::{EC_PUBLIC_KEY, RSA_ENCRYPTION, RSASSA_PSS, named_curve};
use super::super::{Certificate, Key, PublicKeyHash, der, read_key, rsa};
use super::blocks::{Block, blocks};
use super::{FileError, Foreign, layout, text};

/// Ed25519, 1.3.101.112 (RFC 8410).
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
/// `[0]`: the curve of an ECPrivateKey (RFC 5915).
const CONTEXT_0: u8 = 0xa0;
/// `[1]`: the public key of an ECPrivateKey.
const CONTEXT_1: u8 = 0xa1;
/// `[1] IMPLICIT BIT STRING`: the public key of a OneAsymmetricKey (RFC 5958).
const IMPLICIT_1: u8 = 0x81;
/// Maximum keys in one file. A file with the keys of an RSA and ECDSA pair has two.
const MAX_FILE_KEYS: usize = 100;

/// The reason for which a file with a private key cannot be read. Displayed as one line without the
/// file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file has no bytes but white space.
    #[error("the file is empty")]
    Empty,
    /// The blocks of the file cannot be distinguished, or one is not base64.
    #[error(transparent)]
    Pem(#[from] FileError),
    /// The file is of another kind.
    #[error("the file has no private key, only {0}")]
    Only(Foreign),
    /// The file has certificates and no key.
    #[error("the file has no private key, only a certificate")]
    OnlyCertificate,
    /// A password protects the key.
    #[error("{}the private key is encrypted: decrypt it with `openssl pkey -in FILE -out FILE.key`", at(.0))]
    Encrypted(Option<usize>),
    /// The key is in a PKCS #12 file.
    #[error(
        "the file is PKCS #12: extract the key with `openssl pkcs12 -in FILE -nocerts -nodes -out FILE.key`, and with -legacy if OpenSSL 3 does not support the file"
    )]
    Pkcs12,
    /// The key is in the format of OpenSSH.
    #[error(
        "the key is in the format of OpenSSH: convert it with `ssh-keygen -p -m PKCS8 -f FILE`"
    )]
    OpenSsh,
    /// The label promises another structure.
    #[error(
        "line {line}: the block `{label}` has a key in the form of `{wanted}`, so that servers cannot read the file: write `-----BEGIN {wanted}-----` and `-----END {wanted}-----`"
    )]
    WrongLabel {
        /// Line of the block's first boundary, from 1.
        line: usize,
        /// The block's label.
        label: String,
        /// The label of the key's structure.
        wanted: &'static str,
    },
    /// The structure of the key cannot be read.
    #[error("{}the private key is damaged", at(.0))]
    Malformed(Option<usize>),
    /// PKCS #8 with the public key too (RFC 5958, version 1).
    #[error("{}the block has the public key beside the private key, so that servers with OpenSSL 3.0 cannot read it: write the key without its public key", at(.0))]
    WithPublicKey(Option<usize>),
    /// The public key cannot be computed from a key of this kind.
    #[error(
        "{}the private key is of a kind that cannot be compared ({kind}): compare it by hand with `openssl pkey -in FILE -pubout` and `openssl x509 -in CERTIFICATE -noout -pubkey`",
        at(.line)
    )]
    Unsupported {
        /// Line of the block's first boundary, from 1.
        line: Option<usize>,
        /// Name or object identifier of the kind.
        kind: String,
    },
    /// More than `MAX_FILE_KEYS`.
    #[error("the file has more than {MAX_FILE_KEYS} private keys")]
    TooMany,
    /// Neither PEM nor DER.
    #[error("the file has no `-----BEGIN PRIVATE KEY-----` and is not DER")]
    Unknown,
}

fn at(line: &Option<usize>) -> String {
    line.map(|line| format!("line {line}: "))
        .unwrap_or_default()
}

/// The public key of a private key in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOfFile {
    /// DER of its SubjectPublicKeyInfo.
    spki: Vec<u8>,
}

impl KeyOfFile {
    fn new(algorithm: &[u8], key: &[u8]) -> Self {
        Self {
            spki: der::subject_public_key_info(algorithm, key),
        }
    }

    /// Returns the hash of the SubjectPublicKeyInfo.
    pub fn public_key_hash(&self) -> PublicKeyHash {
        PublicKeyHash::of(&self.spki)
    }

    /// Returns the kind and the size.
    pub fn kind(&self) -> Key {
        read_key(&self.spki, &mut Vec::new())
    }

    /// Returns true if the certificate has this key, whatever the encoding of its
    /// SubjectPublicKeyInfo. Returns `None` if the certificate cannot be read.
    pub fn belongs_to(&self, certificate: &Certificate) -> Option<bool> {
        let facts = certificate.facts().ok()?;
        Some(facts.spki == self.spki || same(&facts.spki, &self.spki))
    }
}

/// Compares two public keys by their numbers: the parameters of RSA, and the forms of a point on a
/// curve, have several encodings.
fn same(certificate: &[u8], own: &[u8]) -> bool {
    let compared = || {
        let (theirs_algorithm, theirs) = der::public_key(certificate)?;
        let (own_algorithm, own) = der::public_key(own)?;
        let (theirs_kind, theirs_parameters) = algorithm(theirs_algorithm)?;
        let (own_kind, own_parameters) = algorithm(own_algorithm)?;
        let is_rsa = |kind: &[u8]| matches!(kind, RSA_ENCRYPTION | RSASSA_PSS);
        Some(match own_kind {
            _ if is_rsa(own_kind) => {
                is_rsa(theirs_kind) && rsa_numbers(theirs)? == rsa_numbers(own)?
            }
            EC_PUBLIC_KEY => {
                let is_named = theirs_parameters.first() == Some(&der::OBJECT_IDENTIFIER);
                let is_same_curve = !is_named || theirs_parameters == own_parameters;
                theirs_kind == EC_PUBLIC_KEY && is_same_curve && same_point(theirs, own)
            }
            _ => theirs_kind == own_kind && theirs == own,
        })
    };
    compared().unwrap_or(false)
}

/// Splits the content of an AlgorithmIdentifier into its kind and the DER of its parameters.
fn algorithm(mut content: &[u8]) -> Option<(&[u8], &[u8])> {
    let kind = der::expect(&mut content, der::OBJECT_IDENTIFIER)?.content;
    Some((kind, content))
}

/// Returns the modulus and the exponent of an RSAPublicKey without leading zeros.
fn rsa_numbers(mut key: &[u8]) -> Option<[&[u8]; 2]> {
    let mut fields = der::expect(&mut key, der::SEQUENCE)?.content;
    let modulus = der::expect(&mut fields, der::INTEGER)?.content;
    let exponent = der::expect(&mut fields, der::INTEGER)?.content;
    Some([modulus, exponent].map(super::super::key::without_zeros))
}

/// Compares two points (SEC 1, section 2.3.3), one of which may be compressed.
fn same_point(a: &[u8], b: &[u8]) -> bool {
    let compared = || {
        let ((x, is_odd, y), (other_x, is_other_odd, other_y)) = (coordinates(a)?, coordinates(b)?);
        let is_same_y = y.is_none() || other_y.is_none() || y == other_y;
        Some(x == other_x && is_odd == is_other_odd && is_same_y)
    };
    a == b || compared().unwrap_or(false)
}

/// The x coordinate of a point, true if its y coordinate is odd, and that one if not compressed.
type Coordinates<'a> = (&'a [u8], bool, Option<&'a [u8]>);

fn coordinates(point: &[u8]) -> Option<Coordinates<'_>> {
    let (form, coordinates) = point.split_first()?;
    if matches!(form, 2 | 3) {
        return Some((coordinates, *form == 3, None));
    }
    let (x, y) = coordinates.split_at_checked(coordinates.len() / 2)?;
    let is_odd = y.last()? & 1 == 1;
    // The hybrid forms 6 and 7 repeat the last bit.
    let is_form = *form == 4 || *form == 6 + u8::from(is_odd);
    is_form.then_some((x, is_odd, Some(y)))
}

/// Reads every private key of a file, in its order, and returns their public keys. PEM blocks of
/// other kinds, such as certificates, are passed over.
///
/// # Errors
/// Returns an error if there is no private key, or if one in the file cannot be read.
pub fn read_private_keys(bytes: &[u8]) -> Result<Vec<KeyOfFile>, KeyError> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(KeyError::Empty);
    }
    if super::is_der(bytes) {
        return match Foreign::of_der(bytes) {
            Some(Foreign::PrivateKey) => Ok(vec![of_der(bytes, None)?]),
            Some(Foreign::EncryptedPrivateKey) => Err(KeyError::Encrypted(None)),
            Some(Foreign::Pkcs12) => Err(KeyError::Pkcs12),
            Some(other) => Err(KeyError::Only(other)),
            None if super::is_certificate(bytes) => Err(KeyError::OnlyCertificate),
            None => Err(KeyError::Unknown),
        };
    }
    let text = text::decode(bytes);
    let blocks = blocks(&text)?;
    let is_key = |block: &Block<'_>| block.label.ends_with("PRIVATE KEY");
    if text::is_utf16(bytes) && blocks.iter().any(is_key) {
        return Err(FileError::Utf16.into());
    }
    let mut keys = Vec::new();
    for block in blocks.iter().filter(|block| is_key(block)) {
        keys.push(of_block(block)?);
        if keys.len() > MAX_FILE_KEYS {
            return Err(KeyError::TooMany);
        }
    }
    if !keys.is_empty() {
        return Ok(keys);
    }
    let is_certificate = |block: &Block<'_>| block.label.ends_with("CERTIFICATE");
    Err(match blocks.first() {
        Some(_) if blocks.iter().any(is_certificate) => KeyError::OnlyCertificate,
        Some(block) if block.label == "PKCS12" => KeyError::Pkcs12,
        Some(block) => KeyError::Only(Foreign::of_block(block)),
        None => Foreign::of_file(&text).map_or(KeyError::Unknown, KeyError::Only),
    })
}

fn of_block(block: &Block<'_>) -> Result<KeyOfFile, KeyError> {
    if block.label == "OPENSSH PRIVATE KEY" {
        return Err(KeyError::OpenSsh);
    }
    if block.is_encrypted() {
        return Err(KeyError::Encrypted(Some(block.line)));
    }
    layout::check(block)?;
    let der = Zeroizing::new(block.decode()?);
    let key = of_der(&der, Some(block.line))?;
    match wanted_label(&der) {
        Some(wanted) if !is_loaded(block.label, wanted, &key.kind()) => Err(KeyError::WrongLabel {
            line: block.line,
            label: block.label.to_owned(),
            wanted,
        }),
        _ => Ok(key),
    }
}

const PKCS8_LABEL: &str = "PRIVATE KEY";
const RSA_LABEL: &str = "RSA PRIVATE KEY";
const EC_LABEL: &str = "EC PRIVATE KEY";

/// Returns the label for the structure of a key: PKCS #8 (RFC 7468, section 10), RSAPrivateKey
/// (RFC 8017, appendix A.1.2) or ECPrivateKey (RFC 5915, section 4).
fn wanted_label(mut der: &[u8]) -> Option<&'static str> {
    let mut fields = der::expect(&mut der, der::SEQUENCE)?.content;
    der::expect(&mut fields, der::INTEGER)?;
    match fields.first() {
        Some(&der::SEQUENCE) => Some(PKCS8_LABEL),
        Some(&der::INTEGER) => Some(RSA_LABEL),
        Some(&der::OCTET_STRING) => Some(EC_LABEL),
        _ => None,
    }
}

/// Returns true if OpenSSL loads a key in the form of `wanted` from a block with this label. It
/// accepts PKCS #8 under the label of the key's own algorithm too.
fn is_loaded(label: &str, wanted: &str, kind: &Key) -> bool {
    label == wanted
        || wanted == PKCS8_LABEL
            && match kind {
                Key::Rsa(_) => label == RSA_LABEL,
                Key::Ec(..) => label == EC_LABEL,
                _ => false,
            }
}

/// Splits an INTEGER off that is neither negative nor longer than it needs. OpenSSL and Go refuse
/// another version, and Go other numbers of an RSA key.
fn natural<'a>(input: &mut &'a [u8]) -> Option<der::Tlv<'a>> {
    der::optional(input, der::INTEGER)
        .filter(|n| matches!(n.content, [0] | [1..=0x7f, ..] | [0, 0x80..=0xff, ..]))
}

fn of_der(mut der: &[u8], line: Option<usize>) -> Result<KeyOfFile, KeyError> {
    let malformed = || KeyError::Malformed(line);
    let content = der::expect(&mut der, der::SEQUENCE).ok_or_else(malformed)?;
    let mut fields = content.content;
    let version = natural(&mut fields).ok_or_else(malformed)?.content;
    match fields.first() {
        // PrivateKeyInfo (RFC 5208), OneAsymmetricKey (RFC 5958).
        Some(&der::SEQUENCE) => of_pkcs8(version, fields, line),
        // RSAPrivateKey (RFC 8017, appendix A.1.2), and OpenSSL's DSA key, which has fewer numbers.
        // Go refuses bytes after it in a block.
        Some(&der::INTEGER) if der.is_empty() || line.is_none() => {
            of_numbers(version, fields, line)
        }
        // ECPrivateKey (RFC 5915).
        Some(&der::OCTET_STRING) => of_sec1(content.content, None, line),
        _ => Err(malformed()),
    }
}

fn of_pkcs8(version: &[u8], mut fields: &[u8], line: Option<usize>) -> Result<KeyOfFile, KeyError> {
    let malformed = || KeyError::Malformed(line);
    let identifier = der::expect(&mut fields, der::SEQUENCE).ok_or_else(malformed)?;
    let mut key = der::expect(&mut fields, der::OCTET_STRING)
        .ok_or_else(malformed)?
        .content;
    let (kind, parameters) = algorithm(identifier.content).ok_or_else(malformed)?;
    // The attributes are between the key and its public key, which only version 1 has.
    let attributes = der::optional(&mut fields, CONTEXT_0);
    let public = der::optional(&mut fields, IMPLICIT_1);
    let are_read = attributes.is_none_or(|list| are_sequences(list.content));
    if fields.is_empty() && public.is_some() && version == [1] {
        return Err(KeyError::WithPublicKey(line));
    }
    let is_pss_odd = kind == RSASSA_PSS && !are_sequences(parameters);
    let is_whole = fields.is_empty() && are_read && public.is_none() && !is_pss_odd;
    if !is_whole || der::split(&mut { parameters }).is_some_and(|one| one.whole != parameters) {
        return Err(malformed());
    }
    match kind {
        RSA_ENCRYPTION | RSASSA_PSS => {
            let mut inner = der::expect(&mut key, der::SEQUENCE)
                .ok_or_else(malformed)?
                .content;
            let version = natural(&mut inner).ok_or_else(malformed)?.content;
            match key.is_empty() {
                true => of_numbers(version, inner, line),
                false => Err(malformed()),
            }
        }
        EC_PUBLIC_KEY => {
            let inner = der::expect(&mut key, der::SEQUENCE).ok_or_else(malformed)?;
            of_sec1(inner.content, Some(parameters), line)
        }
        ED25519 if parameters.is_empty() => {
            let seed = der::expect(&mut key, der::OCTET_STRING).ok_or_else(malformed)?;
            let pair =
                Ed25519KeyPair::from_seed_unchecked(seed.content).map_err(|_| malformed())?;
            Ok(KeyOfFile::new(
                identifier.content,
                pair.public_key().as_ref(),
            ))
        }
        ED25519 => Err(malformed()),
        _ => Err(KeyError::Unsupported {
            line,
            kind: KeyOfFile::new(identifier.content, &[]).kind().to_string(),
        }),
    }
}

/// Returns true if the bytes are a list of SEQUENCEs.
fn are_sequences(mut bytes: &[u8]) -> bool {
    while der::optional(&mut bytes, der::SEQUENCE).is_some() {}
    bytes.is_empty()
}

/// Reads the numbers of an RSAPrivateKey after its version.
fn of_numbers(
    version: &[u8],
    mut fields: &[u8],
    line: Option<usize>,
) -> Result<KeyOfFile, KeyError> {
    /// `NULL`, the parameters of `rsaEncryption`.
    const NULL: [u8; 2] = [5, 0];
    let mut numbers = Vec::new();
    while let Some(number) = natural(&mut fields) {
        numbers.push(number);
    }
    // Keys of more than two primes have version 1 and a list of the others, which is not empty.
    let is_of_two_primes = fields.is_empty();
    let others = der::optional(&mut fields, der::SEQUENCE);
    let has_others = others.is_some_and(|list| !list.content.is_empty());
    let is_whole = fields.is_empty() && (version == [0] || version == [1] && has_others);
    match *numbers.as_slice() {
        [modulus, exponent, private, p, q, dp, dq, q_inverse] if is_whole => {
            let key = der::sequence(&[modulus.whole, exponent.whole].concat());
            let is_checked = rsa::PublicKey::read(&key)
                .is_some_and(|key| is_of_two_primes && rsa::MODULUS_BITS.contains(&key.bits()));
            let contents = [modulus, exponent, private, p, q, dp, dq, q_inverse].map(|n| n.content);
            if is_checked && !are_consistent(contents) {
                return Err(KeyError::Malformed(line));
            }
            let kind = der::encode(der::OBJECT_IDENTIFIER, RSA_ENCRYPTION);
            let algorithm = [kind.as_slice(), &NULL].concat();
            Ok(KeyOfFile::new(&algorithm, &key))
        }
        // OpenSSL's form of DSA: p, q, g, y, x.
        [_, _, _, _, _] if fields.is_empty() => Err(KeyError::Unsupported {
            line,
            kind: "DSA".into(),
        }),
        _ => Err(KeyError::Malformed(line)),
    }
}

/// Returns true if the numbers of an RSAPrivateKey of two primes belong together. OpenSSL fails in
/// the handshake with a wrong prime or a too large `qInv`. It computes without the numbers after the
/// primes if they are wrong otherwise, but Go does not load the key from 1.24 on (`crypto/x509`).
fn are_consistent(numbers: [&[u8]; 8]) -> bool {
    let [n, e, d, p, q, dp, dq, q_inverse] = numbers.map(BigUint::from_bytes_be);
    let one = BigUint::from(1_u8);
    if p <= one || q <= one || &p * &q != n {
        return false;
    }
    let belongs = |prime: &BigUint, part: &BigUint| {
        let order = prime - &one;
        &e * &d % &order == one && *part == &d % order
    };
    let is_inverse = q_inverse < p && q_inverse * &q % &p == one;
    belongs(&p, &dp) && belongs(&q, &dq) && is_inverse
}

/// Reads the fields of an ECPrivateKey. `curve` is the DER of the parameters outside of it.
fn of_sec1(
    mut fields: &[u8],
    curve: Option<&[u8]>,
    line: Option<usize>,
) -> Result<KeyOfFile, KeyError> {
    let malformed = || KeyError::Malformed(line);
    let version = natural(&mut fields).ok_or_else(malformed)?;
    let secret = der::expect(&mut fields, der::OCTET_STRING).ok_or_else(malformed)?;
    let own = der::optional(&mut fields, CONTEXT_0).map(|own| own.content);
    let in_file = match der::explicit(&mut fields, CONTEXT_1, der::BIT_STRING) {
        Some(public) => Some(
            public
                .and_then(|p| der::bits(p.content))
                .ok_or_else(malformed)?,
        ),
        None => None,
    };
    let is_one = |mut one: &[u8]| der::split(&mut one).is_some() && one.is_empty();
    let is_curve = own.is_none_or(is_one) && own.is_none_or(|own| curve.is_none_or(|c| c == own));
    // OpenSSL does not load a key with other fields, Go none with another version.
    if version.content != [1] || !fields.is_empty() || !is_curve {
        return Err(malformed());
    }
    let parameters = own
        .or(curve)
        .filter(|parameters| !parameters.is_empty())
        .ok_or_else(malformed)?;
    // Servers compare a key with explicit parameters of a standard curve as one with its name.
    let standard = named_curve(parameters).map(|oid| der::encode(der::OBJECT_IDENTIFIER, oid));
    let parameters = standard.as_deref().unwrap_or(parameters);
    if parameters.first() == Some(&der::SEQUENCE) {
        return Err(KeyError::Unsupported {
            line,
            kind: "EC key with explicit curve parameters".into(),
        });
    }
    let kind = der::encode(der::OBJECT_IDENTIFIER, EC_PUBLIC_KEY);
    let algorithm = [kind.as_slice(), parameters].concat();
    let named = der::expect(&mut { parameters }, der::OBJECT_IDENTIFIER);
    let (library, length) = match named.map(|named| named.content) {
        Some(P256) => (Some(&ECDH_P256), 32),
        Some(P384) => (Some(&ECDH_P384), 48),
        Some(P521) => (Some(&ECDH_P521), 66),
        _ => (None, 0),
    };
    // The public key in the file may be another one, or missing. It is computed where that is possible.
    if let Some(library) = library {
        let digits = super::super::key::without_zeros(secret.content);
        let zeros = usize::checked_sub(length, digits.len()).ok_or_else(malformed)?;
        let mut padded = Zeroizing::new(vec![0; zeros]);
        padded.extend_from_slice(digits);
        let public = agreement::PrivateKey::from_private_key(library, &padded)
            .map_err(|_| malformed())?
            .compute_public_key()
            .map_err(|_| malformed())?;
        // Servers use the public key in the file.
        return match in_file.is_none_or(|in_file| same_point(in_file, public.as_ref())) {
            true => Ok(KeyOfFile::new(&algorithm, public.as_ref())),
            false => Err(malformed()),
        };
    }
    match in_file {
        Some(public) => Ok(KeyOfFile::new(&algorithm, public)),
        None => Err(KeyError::Unsupported {
            line,
            kind: "EC key without its public key".into(),
        }),
    }
}

#[cfg(test)]
mod tests;

//! One X.509 certificate: its bytes, its hashes and its fields.

mod algorithm;
mod der;
mod extensions;
mod file;
mod fingerprint;
pub mod hash;
mod interner;
mod key;
mod leaf_record;
mod name;
mod oddity;
mod oid;
mod profile;
mod read;
mod request;
mod revocation;
pub mod rsa;
mod signature;
mod time;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::{Hostname, Timestamp};
pub use algorithm::Unverifiable;
pub use der::Malformed;
pub(crate) use der::{contents, has_long_length, sequence};
pub(crate) use extensions::name_constraints;
pub use extensions::{
    AuthorityKeyId, BasicConstraints, ExtendedKeyUsage, Extensions, KeyUsage, Kind, Listed,
    MAX_POLICIES, MAX_SUBTREES, NameConstraints, NetscapeType, Oid, PolicyConstraints, Subtree,
};
#[cfg(any(test, fuzzing))]
pub(crate) use file::fuzzing::keystore as fuzz_keystore;
pub use file::{
    FileError, Foreign, KeyError, KeyOfFile, LeafError, MAX_FILE_CERTIFICATES, check_layout,
    is_unordered, leaf_of, may_have_private_key, parse_certificates, parse_root_store, parse_roots,
    read_certificates, read_private_keys,
};
pub use fingerprint::{Fingerprint, FingerprintError, PublicKeyHash, sha1_hex};
pub use interner::{Interner, MAX_RECENT_BYTES, MAX_RECENT_CERTIFICATES};
use key::read_key;
pub use leaf_record::{LeafRecord, MAX_RECORDED_NAMES_BYTES};
pub use name::{email_attributes, has_email_beyond_ia5, normal_name, normal_rdns};
pub use oddity::{NameOf, Oddity, Part};
pub(crate) use oid::dotted;
use read::read;
pub use request::{MAX_REQUEST_BYTES, RequestError, SigningRequest};
#[cfg(test)]
pub(crate) use revocation::tests::made::staple_with_content;
pub use revocation::{
    Answer, Crl, Issuer, MAX_OCSP_BYTES, Revoked, StapleFaults, Status, Unusable,
    ocsp_outdated_from, ocsp_request, ocsp_url, read_ocsp, staple_faults,
};
use signature::Signers;
pub use signature::{Link, certifies, unverifiable, verification_cost};
pub(crate) use signature::{Remembering, key_signed, remembered_cost};

/// A served or given certificate. Cheap to clone. Malformed bytes are hashed and compared too.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    der: Vec<u8>,
    sha256: Fingerprint,
    facts: Result<Facts, Malformed>,
    signers: Signers,
}

/// The fields of a certificate.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Facts {
    /// 1, 2 or 3 as a rule; 0 if it cannot be read.
    pub version: u8,
    /// The subject's distinguished name, for people.
    pub subject: String,
    /// The issuer's distinguished name, for people.
    pub issuer: String,
    /// The subject as DER, for comparison.
    pub subject_der: Vec<u8>,
    /// The issuer as DER, for comparison.
    pub issuer_der: Vec<u8>,
    /// The subject's normal form, for comparison by RFC 5280, section 7.1: see [`normal_name`].
    pub subject_normal: Vec<u8>,
    /// The issuer's normal form.
    pub issuer_normal: Vec<u8>,
    /// The subject's common name, where it has one.
    pub common_name: Option<String>,
    /// The issuer's common name, where it has one.
    pub issuer_common_name: Option<String>,
    /// The issuer's organization, where it has one.
    pub issuer_organization: Option<String>,
    /// The serial number in lower-case hexadecimal, as `openssl x509 -serial` writes it.
    pub serial: String,
    /// The serial number's content octets.
    pub serial_der: Box<[u8]>,
    /// The subject alternative names.
    pub sans: Vec<San>,
    /// The first moment of validity; 1970 if it cannot be read: see [`Facts::validity`].
    pub not_before: Timestamp,
    /// The last moment of validity; 1970 if it cannot be read: see [`Facts::validity`].
    pub not_after: Timestamp,
    /// Both times can be read. Otherwise no client accepts the certificate.
    pub has_validity: bool,
    /// The public key's kind and size.
    pub key: Key,
    /// The hash of the SubjectPublicKeyInfo.
    pub public_key_hash: PublicKeyHash,
    /// The SubjectPublicKeyInfo as DER.
    pub spki: Vec<u8>,
    /// The algorithm that the issuer signed with.
    pub signature: SignatureAlgorithm,
    /// It may issue certificates (basicConstraints; a version 1 certificate may).
    pub is_ca: bool,
    /// URL of the issuer's certificate (authority information access).
    pub issuer_url: Option<String>,
    /// URL of the OCSP responder over HTTP (authority information access).
    pub ocsp_url: Option<String>,
    /// URLs of the issuer's complete revocation list over HTTP (CRL distribution points).
    pub crl_urls: Vec<String>,
    /// Clients must require a stapled OCSP response (TLS feature, RFC 7633).
    pub must_staple: bool,
    /// Its key may sign OCSP responses for its issuer (extended key usage; RFC 6960, section
    /// 4.2.2.2).
    pub may_sign_ocsp: bool,
    /// The extensions that decide whether a path is valid.
    pub extensions: Box<Extensions>,
    /// Faults that strict parsers may refuse; empty for a well-formed certificate.
    pub oddities: Vec<Oddity>,
    /// Deviations from RFC 5280 or from the CA/Browser Forum's requirements that no usual client enforces.
    pub remarks: Vec<Oddity>,
}

impl Facts {
    /// Returns true if subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.subject_der == self.issuer_der
    }

    /// The first and the last moment of validity, if both can be read.
    pub fn validity(&self) -> Option<(Timestamp, Timestamp)> {
        self.has_validity
            .then_some((self.not_before, self.not_after))
    }

    /// From the first to the last moment of validity, in seconds.
    pub fn lifetime(&self) -> i64 {
        self.not_after.seconds_since(self.not_before)
    }

    /// Returns the name to display: the common name, else the subject, else the first SAN.
    pub fn name(&self) -> &str {
        match (&self.common_name, self.sans.first()) {
            (Some(name), _) => name,
            (None, Some(San::Dns(name))) if self.subject.is_empty() => name,
            _ if self.subject.is_empty() => "(no name)",
            _ => &self.subject,
        }
    }

    /// Returns true if the certificate is valid for this name by the rules of RFC 9525, section 6.3:
    /// a wildcard is a whole left-most label and matches exactly one; the common name never counts.
    pub fn matches(&self, hostname: &Hostname) -> bool {
        self.sans.iter().any(|san| match (san, hostname) {
            (San::Dns(pattern), Hostname::Dns(name)) => dns_matches(pattern, name),
            (San::Ip(ip), Hostname::Ip(wanted)) => ip == wanted,
            _ => false,
        })
    }
}

/// Returns true if a name, perhaps a wildcard, covers a host name (RFC 9525, section 6.3).
pub(crate) fn dns_matches(pattern: &str, name: &str) -> bool {
    // RFC 952 allows no hyphen at an end of a label. OpenSSL, GnuTLS and Go accept one at the end.
    if name.starts_with('-') || name.contains(".-") {
        return false;
    }
    if pattern.eq_ignore_ascii_case(name) {
        return true;
    }
    match (pattern.strip_prefix("*."), name.split_once('.')) {
        (Some(suffix), Some((_, parent))) => {
            suffix.contains('.') && suffix.eq_ignore_ascii_case(parent)
        }
        _ => false,
    }
}

/// One subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum San {
    /// A `dNSName`, as it is written, perhaps a wildcard.
    Dns(String),
    /// An `iPAddress`.
    Ip(IpAddr),
    /// An `rfc822Name`: a mailbox.
    Email(String),
    /// A `uniformResourceIdentifier`.
    Uri(String),
    /// A `directoryName`, as DER.
    Directory(Vec<u8>),
    /// An `otherName`: its type.
    OtherName(Oid),
    /// A `registeredID`.
    Registered(Oid),
    /// Any other kind of name, and one that cannot be read, for people.
    Other(String),
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) | Self::Other(name) => {
                f.write_str(name)
            }
            Self::Ip(ip) => ip.fmt(f),
            Self::Directory(der) => f.write_str(&name_text(der)),
            Self::OtherName(oid) => write!(f, "otherName {}", dotted(oid)),
            Self::Registered(oid) => write!(f, "registeredID {}", dotted(oid)),
        }
    }
}

/// A public key's kind and size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// RSA, with the size of its modulus in bits.
    Rsa(usize),
    /// RSA for RSASSA-PSS signatures alone (RFC 4055), with the size of its modulus in bits.
    RsaPss(usize),
    /// DSA, with the size of its prime in bits.
    Dsa(usize),
    /// Elliptic curve, with the curve's usual name and size in bits.
    Ec(String, usize),
    /// Any other kind, by name or object identifier.
    Other(String),
}

impl Key {
    /// Returns true if the key is smaller than any mainstream client accepts: RSA under 1024, EC under 224 bits.
    pub fn is_tiny(&self) -> bool {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) | Self::Dsa(bits) => *bits < 1024,
            Self::Ec(_, bits) => *bits < 224,
            Self::Other(_) => false,
        }
    }

    /// Returns true if the key is weak by today's rules: RSA and DSA under 2048, EC under 256 bits.
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Rsa(bits) | Self::RsaPss(bits) | Self::Dsa(bits) => *bits < 2048,
            Self::Ec(_, bits) => *bits < 256,
            Self::Other(_) => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(bits) => write!(f, "RSA {bits}"),
            Self::RsaPss(bits) => write!(f, "RSA-PSS {bits}"),
            Self::Dsa(bits) => write!(f, "DSA {bits}"),
            Self::Ec(curve, _) => write!(f, "EC {curve}"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A signature algorithm, by its usual name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureAlgorithm {
    /// The name as OpenSSL writes it, or the object identifier.
    pub name: String,
    /// It hashes with MD5 or SHA-1.
    pub is_weak: bool,
    /// ECDSA with a NULL parameter, which RFC 5758, section 3.2, forbids.
    pub is_ecdsa_with_null: bool,
    /// The hash function, if certvigil knows it.
    pub hash: Option<hash::Hash>,
    /// The parameters of RSASSA-PSS, if they can be read.
    pub pss: Option<rsa::Pss>,
    /// The parameters of RSASSA-PSS have the trailer field, which DER leaves out.
    pub has_pss_trailer: bool,
    /// The hash is SHA-256, SHA-384 or SHA-512, and the parameters of RSASSA-PSS are exactly those
    /// of RFC 8446, section 4.2.3: one hash, a salt of its length, nothing left out.
    pub is_common: bool,
}

impl SignatureAlgorithm {
    /// Returns true for a hash that most clients refuse in a signature, although it is strong.
    pub fn has_rare_hash(&self) -> bool {
        use hash::Hash;
        match self.hash {
            Some(Hash::Sha224 | Hash::Sha512T256) => true,
            Some(Hash::Sha3_256 | Hash::Sha3_384 | Hash::Sha3_512) => true,
            Some(Hash::Md5 | Hash::Sha1 | Hash::Sha256 | Hash::Sha384 | Hash::Sha512) => false,
            None => self.name.to_ascii_lowercase().contains("sha224"),
        }
    }
}

impl Certificate {
    /// Creates a certificate from its bytes. [`Certificate::facts`] reports whether they can be read.
    pub fn from_der(der: Vec<u8>) -> Self {
        let sha256 = Fingerprint::of(&der);
        Self::read(der, sha256)
    }

    fn read(mut der: Vec<u8>, sha256: Fingerprint) -> Self {
        // It may be kept for months.
        der.shrink_to_fit();
        Self(Arc::new(Inner {
            facts: read(&der),
            der,
            sha256,
            signers: Signers::default(),
        }))
    }

    /// Returns the name to display, or a replacement for it.
    pub fn subject(&self) -> &str {
        match self.facts() {
            Ok(facts) if facts.subject.is_empty() => facts.name(),
            Ok(facts) => &facts.subject,
            Err(_) => "(unreadable)",
        }
    }

    /// Returns a copy without cached results of signature verification.
    #[cfg(test)]
    pub(crate) fn uncached(der: Vec<u8>) -> Self {
        let sha256 = Fingerprint::of(&der);
        Self(Arc::new(Inner {
            facts: read(&der),
            der,
            sha256,
            signers: Signers::full(),
        }))
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// The SHA-256 of the bytes.
    pub fn sha256(&self) -> Fingerprint {
        self.0.sha256
    }

    /// Returns the fields, or the fault of bytes that cannot be read.
    pub fn facts(&self) -> Result<&Facts, &Malformed> {
        self.0.facts.as_ref()
    }

    /// Returns the hash of the public key, if it can be read.
    pub fn public_key_hash(&self) -> Option<PublicKeyHash> {
        self.facts().ok().map(|f| f.public_key_hash)
    }

    /// Returns the public key: the content of the AlgorithmIdentifier, and the key's bits.
    pub fn public_key(&self) -> Option<(&[u8], &[u8])> {
        der::public_key(&self.facts().ok()?.spki)
    }

    /// Returns true if it names itself as issuer, and its own key made the signature or the signature
    /// cannot be verified here. Used for display and temporary certificates, never for trust.
    pub fn is_self_signed(&self) -> bool {
        self.facts().is_ok_and(Facts::is_self_issued) && certifies(self, self) != Link::No
    }

    /// Returns the certificate as PEM, with a final newline.
    pub fn to_pem(&self) -> String {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(self.der());
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = more;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.sha256() == other.sha256()
    }
}

impl Eq for Certificate {}

impl Hash for Certificate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sha256().hash(state);
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.facts().map_or("(malformed)", Facts::name);
        write!(f, "Certificate({name}, {})", self.sha256())
    }
}

/// The subject and the SubjectPublicKeyInfo of a certificate, both as DER.
pub(crate) fn name_and_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let outline = der::outline(der).ok()?;
    Some((outline.subject, outline.spki))
}

/// A distinguished name (DER), for people.
pub(crate) fn name_text(der: &[u8]) -> String {
    let mut notes = name::Notes {
        oddities: &mut Vec::new(),
        remarks: &mut Vec::new(),
    };
    name::read_name(der, NameOf::Subject, &mut notes).text
}

/// Returns true if two serial numbers are the same number: content octets of INTEGERs, leading zero octets aside.
pub(crate) fn same_serial(a: &[u8], b: &[u8]) -> bool {
    let digits = |octets: &'_ [u8]| octets.iter().position(|o| *o != 0).unwrap_or(octets.len());
    a.get(digits(a)..) == b.get(digits(b)..)
}

/// The kind and size of a public key (SubjectPublicKeyInfo as DER).
pub(crate) fn key_of(spki: &[u8]) -> Key {
    read_key(spki, &mut Vec::new())
}

/// Returns untrusted text for terminals and logs. Control characters could move the cursor, change
/// colours or forge a line, bidirectional controls reorder the text after them (UAX #9, section 2), and
/// invisible characters make two names look the same.
pub fn printable(text: &str) -> String {
    text.chars().map(printable_char).collect()
}

/// Returns true if a text has no control characters: it is one line, and moves no cursor.
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// Returns the character, or the replacement by [`printable`].
pub fn printable_char(c: char) -> char {
    if is_unseen(c) { '\u{fffd}' } else { c }
}

/// Returns true for characters that are invisible or reorder the text around them: control
/// characters, zero-width and bidirectional formatting (UAX #9, section 2), line separators, and
/// the tags of plane 14.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

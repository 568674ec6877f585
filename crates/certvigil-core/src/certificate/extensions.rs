//! The extensions of a certificate (RFC 5280, section 4.2), as data for path validation.
//!
//! Each extension is read separately: a malformed one is recorded and hides no other.

use std::net::IpAddr;

use serde::Serialize;

use super::oid::dotted;
use super::{San, der, printable};

/// Maximum subtrees read from one nameConstraints extension.
pub const MAX_SUBTREES: usize = 4_096;
/// Maximum policies read from one certificatePolicies or policyMappings extension.
pub const MAX_POLICIES: usize = 256;
/// Maximum CRL URLs read from a certificate. One is usual.
const MAX_CRL_URLS: usize = 8;

/// The bit for SSL servers in the Netscape certificate type.
const NETSCAPE_SSL_SERVER: u8 = 0x40;

/// The content octets of an object identifier.
pub type Oid = Box<[u8]>;

/// The extensions of one certificate, for path validation. The values of subjectAltName and of
/// extensions with URLs are fields of [`Facts`](super::Facts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Every extension, in the order of the certificate.
    pub list: Vec<Listed>,
    /// True if the list ends in bytes that are not an extension.
    pub is_cut_short: bool,
    /// True if an entry cannot be read, including its object identifier.
    pub has_unreadable_entry: bool,
    /// basicConstraints (section 4.2.1.9).
    pub basic_constraints: Option<BasicConstraints>,
    /// keyUsage (section 4.2.1.3).
    pub key_usage: Option<KeyUsage>,
    /// extKeyUsage (section 4.2.1.12).
    pub extended_key_usage: Option<ExtendedKeyUsage>,
    /// nameConstraints (section 4.2.1.10).
    pub name_constraints: Option<Box<NameConstraints>>,
    /// certificatePolicies (section 4.2.1.4).
    pub policies: Option<Vec<Oid>>,
    /// policyMappings (section 4.2.1.5): the issuer's policy and the subject's.
    pub policy_mappings: Vec<(Oid, Oid)>,
    /// policyConstraints (section 4.2.1.11).
    pub policy_constraints: Option<PolicyConstraints>,
    /// inhibitAnyPolicy (section 4.2.1.14).
    pub inhibit_any_policy: Option<u32>,
    /// subjectKeyIdentifier (section 4.2.1.2).
    pub subject_key_id: Option<Box<[u8]>>,
    /// The Netscape certificate type.
    pub netscape_type: Option<NetscapeType>,
    /// authorityKeyIdentifier (section 4.2.1.1).
    pub authority_key_id: Option<Box<AuthorityKeyId>>,
}

/// The values of extensions that the program uses outside path validation.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// subjectAltName (section 4.2.1.6).
    pub(super) sans: Vec<San>,
    /// The URL of the issuer's certificate (section 4.2.2.1).
    pub(super) issuer_url: Option<String>,
    /// The URL of an OCSP responder (RFC 6960, section 4.2.2.2).
    pub(super) ocsp_url: Option<String>,
    /// The URLs of complete revocation lists (section 4.2.1.13).
    pub(super) crl_urls: Vec<String>,
    /// True if the TLS feature extension requires a stapled OCSP response (RFC 7633).
    pub(super) must_staple: bool,
}

/// An entry in the list of extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The kind of extension.
    pub kind: Kind,
    /// True if it is critical.
    pub is_critical: bool,
    /// True if its value has the form that its standard requires.
    pub is_readable: bool,
    /// True if bytes follow a well-formed value.
    pub has_trailing_bytes: bool,
}

/// Kind of extension.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 5280")]
pub enum Kind {
    BasicConstraints,
    KeyUsage,
    ExtendedKeyUsage,
    NameConstraints,
    CertificatePolicies,
    PolicyMappings,
    PolicyConstraints,
    InhibitAnyPolicy,
    SubjectKeyIdentifier,
    AuthorityKeyIdentifier,
    SubjectAltName,
    IssuerAltName,
    SubjectDirectoryAttributes,
    CrlDistributionPoints,
    FreshestCrl,
    AuthorityInfoAccess,
    SubjectInfoAccess,
    TlsFeature,
    /// Signed certificate timestamps (RFC 6962).
    Timestamps,
    /// The poison of a precertificate (RFC 6962, section 3.1).
    Poison,
    /// The Netscape certificate type, which old authorities still write.
    NetscapeType,
    /// Any other, by its object identifier in dotted form.
    Unknown(Box<str>),
}

impl Kind {
    fn of(oid: &[u8]) -> Self {
        match oid {
            [0x55, 0x1d, 19] => Self::BasicConstraints,
            [0x55, 0x1d, 15] => Self::KeyUsage,
            [0x55, 0x1d, 37] => Self::ExtendedKeyUsage,
            [0x55, 0x1d, 30] => Self::NameConstraints,
            [0x55, 0x1d, 32] => Self::CertificatePolicies,
            [0x55, 0x1d, 33] => Self::PolicyMappings,
            [0x55, 0x1d, 36] => Self::PolicyConstraints,
            [0x55, 0x1d, 54] => Self::InhibitAnyPolicy,
            [0x55, 0x1d, 14] => Self::SubjectKeyIdentifier,
            [0x55, 0x1d, 35] => Self::AuthorityKeyIdentifier,
            [0x55, 0x1d, 17] => Self::SubjectAltName,
            [0x55, 0x1d, 18] => Self::IssuerAltName,
            [0x55, 0x1d, 9] => Self::SubjectDirectoryAttributes,
            [0x55, 0x1d, 31] => Self::CrlDistributionPoints,
            [0x55, 0x1d, 46] => Self::FreshestCrl,
            [0x2b, 6, 1, 5, 5, 7, 1, 1] => Self::AuthorityInfoAccess,
            [0x2b, 6, 1, 5, 5, 7, 1, 11] => Self::SubjectInfoAccess,
            [0x2b, 6, 1, 5, 5, 7, 1, 24] => Self::TlsFeature,
            [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 2] => Self::Timestamps,
            [0x2b, 6, 1, 4, 1, 0xd6, 0x79, 2, 4, 3] => Self::Poison,
            [0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 1, 1] => Self::NetscapeType,
            other => Self::Unknown(dotted(other).into()),
        }
    }

    /// Returns the name in RFC 5280, or the object identifier.
    pub fn name(&self) -> &str {
        match self {
            Self::BasicConstraints => "basicConstraints",
            Self::KeyUsage => "keyUsage",
            Self::ExtendedKeyUsage => "extKeyUsage",
            Self::NameConstraints => "nameConstraints",
            Self::CertificatePolicies => "certificatePolicies",
            Self::PolicyMappings => "policyMappings",
            Self::PolicyConstraints => "policyConstraints",
            Self::InhibitAnyPolicy => "inhibitAnyPolicy",
            Self::SubjectKeyIdentifier => "subjectKeyIdentifier",
            Self::AuthorityKeyIdentifier => "authorityKeyIdentifier",
            Self::SubjectAltName => "subjectAltName",
            Self::IssuerAltName => "issuerAltName",
            Self::SubjectDirectoryAttributes => "subjectDirectoryAttributes",
            Self::CrlDistributionPoints => "cRLDistributionPoints",
            Self::FreshestCrl => "freshestCRL",
            Self::AuthorityInfoAccess => "authorityInfoAccess",
            Self::SubjectInfoAccess => "subjectInfoAccess",
            Self::TlsFeature => "tlsFeature",
            Self::Timestamps => "signedCertificateTimestampList",
            Self::Poison => "ctPoison",
            Self::NetscapeType => "netscapeCertType",
            Self::Unknown(oid) => oid,
        }
    }

    /// Returns true if path validation processes the extension. Any other critical extension makes
    /// a path invalid (RFC 5280, section 4.2).
    pub fn is_processed(&self) -> bool {
        matches!(
            self,
            Self::BasicConstraints
                | Self::KeyUsage
                | Self::ExtendedKeyUsage
                | Self::NameConstraints
                | Self::CertificatePolicies
                | Self::PolicyMappings
                | Self::PolicyConstraints
                | Self::InhibitAnyPolicy
                | Self::SubjectAltName
                | Self::SubjectKeyIdentifier
                | Self::AuthorityKeyIdentifier
                | Self::CrlDistributionPoints
                | Self::NetscapeType
        )
    }
}

/// basicConstraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BasicConstraints {
    /// True if the certificate may issue others.
    pub is_ca: bool,
    /// Maximum number of intermediates that are not self-issued below it.
    pub path_len: Option<u32>,
}

/// keyUsage: bit 0 (digitalSignature) is the highest of the first octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyUsage(pub u16);

impl KeyUsage {
    /// digitalSignature: signatures of handshakes.
    pub const DIGITAL_SIGNATURE: Self = Self(1 << 15);
    /// keyEncipherment: RSA key exchange.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 13);
    /// keyAgreement: static Diffie-Hellman.
    pub const KEY_AGREEMENT: Self = Self(1 << 11);
    /// keyCertSign: signatures of certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 10);
    /// cRLSign: signatures of revocation lists.
    pub const CRL_SIGN: Self = Self(1 << 9);

    /// Returns true if all of these bits are set.
    pub fn allows(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }
}

/// extKeyUsage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct ExtendedKeyUsage {
    /// id-kp-serverAuth.
    pub server_auth: bool,
    /// id-kp-clientAuth.
    pub client_auth: bool,
    /// id-kp-OCSPSigning.
    pub ocsp_signing: bool,
    /// anyExtendedKeyUsage.
    pub any: bool,
    /// Netscape's or Microsoft's Server Gated Crypto, which some clients treat as serverAuth.
    pub server_gated: bool,
    /// True if it lists no usage.
    pub is_empty: bool,
}

/// The Netscape certificate type, which old authorities still write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetscapeType {
    /// SSL server.
    pub ssl_server: bool,
}

/// nameConstraints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// permittedSubtrees.
    pub permitted: Vec<Subtree>,
    /// excludedSubtrees.
    pub excluded: Vec<Subtree>,
    /// True if a subtree has a minimum other than 0, or a maximum. RFC 5280 forbids both.
    pub has_distance: bool,
    /// True if a subtree encodes a minimum of 0, which DER forbids.
    pub has_encoded_minimum: bool,
    /// True if both lists are absent, or if one is empty. RFC 5280 forbids both.
    pub is_empty: bool,
}

/// The base of a subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subtree {
    /// dNSName: a domain, which includes its subdomains, in lower case.
    Dns(String),
    /// iPAddress: an address and a mask.
    Ip(IpAddr, IpAddr),
    /// An iPAddress that is not an address and a mask.
    BadIp,
    /// rfc822Name: a mailbox, a host, or a domain with a leading dot.
    Email(String),
    /// uniformResourceIdentifier: a host, or a domain with a leading dot.
    Uri(String),
    /// directoryName: a whole Name as DER.
    Directory(Vec<u8>),
    /// Another kind of name: its tag and, for an otherName, its type.
    Other(u8, Oid),
}

/// policyConstraints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyConstraints {
    /// requireExplicitPolicy.
    pub require_explicit: Option<u32>,
    /// inhibitPolicyMapping.
    pub inhibit_mapping: Option<u32>,
}

/// authorityKeyIdentifier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorityKeyId {
    /// keyIdentifier.
    pub key_id: Option<Box<[u8]>>,
    /// The directoryName in authorityCertIssuer, as DER.
    pub issuer: Option<Box<[u8]>>,
    /// authorityCertSerialNumber: content octets.
    pub serial: Option<Box<[u8]>>,
}

impl Extensions {
    /// Reads the content of a list of extensions.
    pub(super) fn read(mut list: &[u8]) -> (Self, Values) {
        let mut out = Self::default();
        let mut values = Values::default();
        while !list.is_empty() {
            let before = list.len();
            let Some(one) = der::extension(&mut list) else {
                out.has_unreadable_entry = true;
                if list.len() == before {
                    out.is_cut_short = true;
                    break;
                }
                continue;
            };
            let kind = Kind::of(one.oid);
            let is_readable = out.take(&kind, one.value, &mut values).is_some();
            let has_trailing_bytes = !is_readable
                && first_value(one.value)
                    .is_some_and(|value| out.take(&kind, value, &mut values).is_some());
            out.list.push(Listed {
                kind,
                is_critical: one.critical,
                is_readable,
                has_trailing_bytes,
            });
        }
        (out, values)
    }

    /// Returns the first listed extension of this kind.
    pub fn listed(&self, kind: &Kind) -> Option<&Listed> {
        self.list.iter().find(|l| l.kind == *kind)
    }

    /// Returns true if there are extensions of this kind and none of them is malformed.
    pub fn is_readable(&self, kind: &Kind) -> bool {
        self.listed(kind).is_some() && self.list.iter().all(|l| l.kind != *kind || l.is_readable)
    }

    /// Returns true if there is a critical extension of this kind.
    pub fn is_critical(&self, kind: &Kind) -> bool {
        self.list.iter().any(|l| l.kind == *kind && l.is_critical)
    }

    /// Returns the extensions that are listed more than once, which RFC 5280, section 4.2, forbids.
    pub fn duplicates(&self) -> impl Iterator<Item = &Kind> {
        let numbered = self.list.iter().enumerate();
        numbered.filter_map(|(at, l)| {
            let mut before = self.list.iter().take(at);
            before.any(|b| b.kind == l.kind).then_some(&l.kind)
        })
    }

    /// Reads one value. Returns `None` if it is malformed.
    fn take(&mut self, kind: &Kind, value: &[u8], values: &mut Values) -> Option<()> {
        match kind {
            Kind::BasicConstraints => {
                let (constraints, is_sound) = basic_constraints(value)?;
                self.basic_constraints = Some(constraints);
                return is_sound.then_some(());
            }
            Kind::KeyUsage => self.key_usage = Some(key_usage(value)?),
            Kind::ExtendedKeyUsage => self.extended_key_usage = Some(extended_key_usage(value)?),
            Kind::NameConstraints => {
                self.name_constraints = Some(Box::new(name_constraints(value)?));
            }
            Kind::CertificatePolicies => {
                let policies = policies(value)?;
                let is_empty = policies.is_empty();
                self.policies = Some(policies);
                // The standard requires at least one.
                return (!is_empty).then_some(());
            }
            Kind::PolicyMappings => self.policy_mappings = policy_mappings(value)?,
            Kind::PolicyConstraints => {
                let constraints = policy_constraints(value)?;
                self.policy_constraints = Some(constraints);
                // The standard requires at least one of the two.
                return (constraints != PolicyConstraints::default()).then_some(());
            }
            Kind::InhibitAnyPolicy => self.inhibit_any_policy = Some(whole(value, number)?),
            Kind::SubjectKeyIdentifier => {
                let id = only(value, der::OCTET_STRING)?;
                self.subject_key_id = Some(id.into());
            }
            Kind::AuthorityKeyIdentifier => {
                self.authority_key_id = Some(Box::new(authority_key_id(value)?));
            }
            Kind::SubjectAltName => return values.names(value),
            Kind::AuthorityInfoAccess => return values.access(value),
            Kind::CrlDistributionPoints => return values.distribution_points(value),
            Kind::NetscapeType => {
                let bits = only(value, der::BIT_STRING)?;
                self.netscape_type = Some(NetscapeType {
                    ssl_server: bits.get(1).is_some_and(|b| b & NETSCAPE_SSL_SERVER != 0),
                });
            }
            Kind::TlsFeature => values.must_staple = demands_staple(value)?,
            _ => {}
        }
        Some(())
    }
}

impl Values {
    /// Reads every name up to the first unreadable one, including malformed names.
    fn names(&mut self, value: &[u8]) -> Option<()> {
        let mut names = only(value, der::SEQUENCE)?;
        let mut is_sound = !names.is_empty();
        while !names.is_empty() {
            let name = der::split(&mut names)?;
            let (san, is_well_formed) = general_name(name);
            is_sound &= is_well_formed;
            self.sans.push(san);
        }
        is_sound.then_some(())
    }

    fn access(&mut self, value: &[u8]) -> Option<()> {
        const CA_ISSUERS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 2];
        const OCSP: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 48, 1];
        let mut descriptions = only(value, der::SEQUENCE)?;
        let is_empty = descriptions.is_empty();
        while !descriptions.is_empty() {
            let mut one = der::expect(&mut descriptions, der::SEQUENCE)?.content;
            let method = der::expect(&mut one, der::OBJECT_IDENTIFIER)?.content;
            let location = der::split(&mut one)?;
            if location.tag != URI {
                continue;
            }
            let url = text(location.content);
            let is_new = |known: &Option<String>| known.as_deref().is_none_or(|k| !is_http(k));
            // Some certificates name a directory (LDAP) first, which few clients can query.
            if method == CA_ISSUERS && is_new(&self.issuer_url) {
                if self.issuer_url.is_none() || is_http(&url) {
                    self.issuer_url = Some(url);
                }
            } else if method == OCSP && self.ocsp_url.is_none() && is_http(&url) {
                self.ocsp_url = Some(url);
            }
        }
        (!is_empty).then_some(())
    }

    /// Reads the URLs of complete lists: issued by the certificate's issuer, for all reasons.
    fn distribution_points(&mut self, value: &[u8]) -> Option<()> {
        const NAME: u8 = 0xa0;
        const FULL_NAME: u8 = 0xa0;
        let mut points = only(value, der::SEQUENCE)?;
        while !points.is_empty() {
            let mut point = der::expect(&mut points, der::SEQUENCE)?.content;
            let name = der::optional(&mut point, NAME);
            // The rest is a list of reasons or another issuer.
            let (Some(name), true) = (name, point.is_empty()) else {
                continue;
            };
            let mut name = name.content;
            let mut names = match der::optional(&mut name, FULL_NAME) {
                Some(names) => names.content,
                None => continue,
            };
            while !names.is_empty() {
                let name = der::split(&mut names)?;
                let url = text(name.content);
                if name.tag == URI && is_http(&url) && self.crl_urls.len() < MAX_CRL_URLS {
                    self.crl_urls.push(url);
                }
            }
        }
        Some(())
    }
}

const OTHER_NAME: u8 = 0xa0;
const RFC822_NAME: u8 = 0x81;
const DNS_NAME: u8 = 0x82;
const DIRECTORY_NAME: u8 = 0xa4;
const URI: u8 = 0x86;
const IP_ADDRESS: u8 = 0x87;
const REGISTERED_ID: u8 = 0x88;

/// Reads a GeneralName (RFC 5280, section 4.2.1.6). The second value is true if it has the form of
/// its kind.
fn general_name(name: der::Tlv<'_>) -> (San, bool) {
    let is_ia5 = name.content.is_ascii();
    match name.tag {
        DNS_NAME => (
            San::Dns(text(name.content)),
            is_ia5 && !name.content.is_empty(),
        ),
        IP_ADDRESS => match address(name.content) {
            Some(ip) => (San::Ip(ip), true),
            None => (San::Other("an unreadable address".into()), false),
        },
        RFC822_NAME => (San::Email(text(name.content)), is_ia5),
        URI => (San::Uri(text(name.content)), is_ia5),
        DIRECTORY_NAME => {
            let is_name = whole(name.content, |input| {
                der::expect(input, der::SEQUENCE).map(|_| ())
            });
            (San::Directory(name.content.to_vec()), is_name.is_some())
        }
        OTHER_NAME => {
            let mut content = name.content;
            let kind = der::expect(&mut content, der::OBJECT_IDENTIFIER);
            let oid = kind.map(|k| k.content).unwrap_or_default();
            (San::OtherName(oid.into()), kind.is_some())
        }
        REGISTERED_ID => (San::Registered(name.content.into()), true),
        tag => (
            San::Other(format!("a name of the kind {}", tag & 0x1f)),
            true,
        ),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

fn text(octets: &[u8]) -> String {
    printable(&String::from_utf8_lossy(octets))
}

fn is_http(url: &str) -> bool {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|s| s.eq_ignore_ascii_case("http") || s.eq_ignore_ascii_case("https"))
}

/// Returns the content of a value that is exactly one element with this tag.
fn only(value: &[u8], tag: u8) -> Option<&[u8]> {
    let mut input = value;
    let content = der::expect(&mut input, tag)?.content;
    input.is_empty().then_some(content)
}

/// Returns the first tag-length-value if bytes follow it.
fn first_value(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    let first = der::split(&mut rest)?.whole;
    (!rest.is_empty()).then_some(first)
}

/// Reads the entire input. Returns `None` if bytes remain.
fn whole<'a, T>(value: &'a [u8], read: impl FnOnce(&mut &'a [u8]) -> Option<T>) -> Option<T> {
    let mut input = value;
    let read = read(&mut input)?;
    input.is_empty().then_some(read)
}

/// Reads a number that is not negative. A number of more than 32 bits is as good as unlimited.
fn unsigned(content: &[u8]) -> Option<u32> {
    let first = content.first()?;
    if first & 0x80 != 0 {
        return None;
    }
    let digits = content.iter().skip_while(|b| **b == 0);
    if digits.clone().count() > size_of::<u32>() {
        return Some(u32::MAX);
    }
    Some(digits.fold(0, |sum, &octet| sum << 8 | u32::from(octet)))
}

fn number(input: &mut &[u8]) -> Option<u32> {
    unsigned(der::expect(input, der::INTEGER)?.content)
}

/// Reads as much as possible. The second value is false if the pathLenConstraint cannot be read.
fn basic_constraints(value: &[u8]) -> Option<(BasicConstraints, bool)> {
    let mut content = only(value, der::SEQUENCE)?;
    let is_ca = match der::optional(&mut content, der::BOOLEAN) {
        Some(b) => *b.content.first()? != 0,
        None => false,
    };
    let path_len = whole(content, number);
    let is_sound = content.is_empty() || path_len.is_some();
    // Only a number at the end is a pathLenConstraint.
    let is_number =
        content.is_empty() || whole(content, |i| der::expect(i, der::INTEGER)).is_some();
    is_number.then_some((BasicConstraints { is_ca, path_len }, is_sound))
}

fn key_usage(value: &[u8]) -> Option<KeyUsage> {
    match only(value, der::BIT_STRING)? {
        [0..=7] => Some(KeyUsage(0)),
        [0..=7, first] => Some(KeyUsage(u16::from(*first) << 8)),
        [0..=7, first, second, ..] => Some(KeyUsage(u16::from_be_bytes([*first, *second]))),
        _ => None,
    }
}

fn extended_key_usage(value: &[u8]) -> Option<ExtendedKeyUsage> {
    let mut usages = only(value, der::SEQUENCE)?;
    let mut out = ExtendedKeyUsage {
        is_empty: usages.is_empty(),
        ..ExtendedKeyUsage::default()
    };
    while !usages.is_empty() {
        match der::expect(&mut usages, der::OBJECT_IDENTIFIER)?.content {
            [0x2b, 6, 1, 5, 5, 7, 3, 1] => out.server_auth = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 2] => out.client_auth = true,
            [0x2b, 6, 1, 5, 5, 7, 3, 9] => out.ocsp_signing = true,
            [0x55, 0x1d, 37, 0] => out.any = true,
            [0x60, 0x86, 0x48, 1, 0x86, 0xf8, 0x42, 4, 1]
            | [0x2b, 6, 1, 4, 1, 0x82, 0x37, 10, 3, 3] => out.server_gated = true,
            _ => {}
        }
    }
    Some(out)
}

/// Reads the value of a nameConstraints extension. Returns `None` if it is malformed.
pub(crate) fn name_constraints(value: &[u8]) -> Option<NameConstraints> {
    const PERMITTED: u8 = 0xa0;
    const EXCLUDED: u8 = 0xa1;
    let mut content = only(value, der::SEQUENCE)?;
    let mut out = NameConstraints {
        is_empty: content.is_empty(),
        ..NameConstraints::default()
    };
    for (tag, is_permitted) in [(PERMITTED, true), (EXCLUDED, false)] {
        let Some(list) = der::optional(&mut content, tag) else {
            continue;
        };
        let mut list = list.content;
        out.is_empty |= list.is_empty();
        while !list.is_empty() {
            let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
            let base = subtree(der::split(&mut one)?);
            // A minimum of 0 is the default, which some issuers encode.
            out.has_distance |= !matches!(one, [] | [0x80, 1, 0]);
            out.has_encoded_minimum |= matches!(one, [0x80, 1, 0]);
            let list = if is_permitted {
                &mut out.permitted
            } else {
                &mut out.excluded
            };
            list.push(base);
            if list.len() > MAX_SUBTREES {
                return None;
            }
        }
    }
    content.is_empty().then_some(out)
}

fn subtree(base: der::Tlv<'_>) -> Subtree {
    let lower = || String::from_utf8_lossy(base.content).to_ascii_lowercase();
    match base.tag {
        DNS_NAME => Subtree::Dns(lower()),
        IP_ADDRESS => {
            let half = base.content.len() / 2;
            let (ip, mask) = base.content.split_at(half);
            match (address(ip), address(mask)) {
                (Some(ip), Some(mask)) => Subtree::Ip(ip, mask),
                _ => Subtree::BadIp,
            }
        }
        RFC822_NAME => Subtree::Email(String::from_utf8_lossy(base.content).into_owned()),
        URI => Subtree::Uri(lower()),
        DIRECTORY_NAME => Subtree::Directory(base.content.to_vec()),
        tag => {
            let mut content = base.content;
            let kind = der::optional(&mut content, der::OBJECT_IDENTIFIER);
            Subtree::Other(tag, kind.map(|k| k.content).unwrap_or_default().into())
        }
    }
}

fn policies(value: &[u8]) -> Option<Vec<Oid>> {
    let mut list = only(value, der::SEQUENCE)?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
        out.push(
            der::expect(&mut one, der::OBJECT_IDENTIFIER)?
                .content
                .into(),
        );
        if out.len() > MAX_POLICIES {
            return None;
        }
    }
    Some(out)
}

fn policy_mappings(value: &[u8]) -> Option<Vec<(Oid, Oid)>> {
    let mut list = only(value, der::SEQUENCE)?;
    let mut out = Vec::new();
    while !list.is_empty() {
        let mut one = der::expect(&mut list, der::SEQUENCE)?.content;
        let mut oid = || der::expect(&mut one, der::OBJECT_IDENTIFIER).map(|t| t.content.into());
        out.push((oid()?, oid()?));
        if out.len() > MAX_POLICIES {
            return None;
        }
    }
    (!out.is_empty()).then_some(out)
}

fn policy_constraints(value: &[u8]) -> Option<PolicyConstraints> {
    const REQUIRE_EXPLICIT: u8 = 0x80;
    const INHIBIT_MAPPING: u8 = 0x81;
    let mut content = only(value, der::SEQUENCE)?;
    let mut field = |tag| match der::optional(&mut content, tag) {
        Some(field) => unsigned(field.content).map(Some),
        None => Some(None),
    };
    let out = PolicyConstraints {
        require_explicit: field(REQUIRE_EXPLICIT)?,
        inhibit_mapping: field(INHIBIT_MAPPING)?,
    };
    content.is_empty().then_some(out)
}

fn authority_key_id(value: &[u8]) -> Option<AuthorityKeyId> {
    const KEY_ID: u8 = 0x80;
    const ISSUER: u8 = 0xa1;
    const SERIAL: u8 = 0x82;
    let mut content = only(value, der::SEQUENCE)?;
    let key_id = der::optional(&mut content, KEY_ID).map(|f| f.content.into());
    let issuer = der::optional(&mut content, ISSUER).and_then(|names| {
        let mut names = names.content;
        std::iter::from_fn(|| der::split(&mut names))
            .find(|name| name.tag == DIRECTORY_NAME)
            .map(|name| name.content.into())
    });
    let serial = der::optional(&mut content, SERIAL).map(|f| f.content.into());
    content.is_empty().then_some(AuthorityKeyId {
        key_id,
        issuer,
        serial,
    })
}

/// Returns true if the list of TLS features contains status_request (RFC 6066, section 8).
fn demands_staple(value: &[u8]) -> Option<bool> {
    const STATUS_REQUEST: &[u8] = &[5];
    let mut features = only(value, der::SEQUENCE)?;
    let mut demands = false;
    while !features.is_empty() {
        demands |= der::expect(&mut features, der::INTEGER)?.content == STATUS_REQUEST;
    }
    Some(demands)
}

//! The extensions of a certificate (RFC 5280, section 4.2), as data for path validation.
//!
//! Each extension is read separately: a malformed one is recorded and hides no other.

mod decode;
mod kind;
mod names;

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Serialize;

use super::der;

pub(crate) use decode::name_constraints;
use decode::{
    authority_key_id, basic_constraints, extended_key_usage, first_value, key_usage, number, only,
    policies, policy_constraints, policy_mappings, tls_features, whole,
};
pub use kind::{Kind, Listed};
pub(super) use names::Values;

/// Maximum subtrees read from one nameConstraints extension.
pub const MAX_SUBTREES: usize = 4_096;
/// Maximum policies read from one certificatePolicies or policyMappings extension.
pub const MAX_POLICIES: usize = 256;

/// The bit for SSL servers in the Netscape certificate type.
const NETSCAPE_SSL_SERVER: u8 = 0x40;

/// The content octets of an object identifier.
pub type Oid = Box<[u8]>;

/// The extensions of one certificate, for path validation. The values of subjectAltName and of
/// extensions with URLs are fields of [`Facts`](super::Facts).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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
    /// The TLS features (RFC 7633): the content octets of the numbers of TLS extensions.
    pub tls_features: Vec<Box<[u8]>>,
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
    /// True if an iPAddress is not an address and a mask.
    pub has_bad_address: bool,
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
    /// directoryName: the relative distinguished names in normal form
    /// ([`normal_rdns`](super::normal_rdns)). `None` if the name cannot be read.
    Directory(Option<Box<[u8]>>),
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
            values.note_encoding(&kind, one.value);
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

    /// Returns the first extension that is listed more than once, which RFC 5280, section 4.2,
    /// forbids.
    pub fn first_duplicate(&self) -> Option<&Kind> {
        /// Maximum extensions of which each is compared with all previous ones.
        const FEW: usize = 32;
        if self.list.len() > FEW {
            let mut seen = HashSet::new();
            let mut kinds = self.list.iter().map(|listed| &listed.kind);
            return kinds.find(|kind| !seen.insert(*kind));
        }
        let mut numbered = self.list.iter().enumerate();
        numbered.find_map(|(at, l)| {
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
            // A SEQUENCE of families, or of the choices of AS numbers and routing domains.
            Kind::AddressBlocks | Kind::AsNumbers => {
                only(value, der::SEQUENCE)?;
            }
            Kind::IssuerAltName => {
                only(value, der::SEQUENCE)?;
            }
            Kind::NetscapeType => {
                let bits = only(value, der::BIT_STRING)?;
                self.netscape_type = Some(NetscapeType {
                    ssl_server: bits.get(1).is_some_and(|b| b & NETSCAPE_SSL_SERVER != 0),
                });
            }
            Kind::TlsFeature => {
                const STATUS_REQUEST: &[u8] = &[5];
                self.tls_features = tls_features(value)?;
                values.must_staple = self.tls_features.iter().any(|f| **f == *STATUS_REQUEST);
            }
            _ => {}
        }
        Some(())
    }
}

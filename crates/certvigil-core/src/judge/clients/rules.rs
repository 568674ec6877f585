//! The table of the client models: one row per property, one column per client, for each position
//! in a path.

use crate::finding::{Client, Property, Refusal, Trait, TraitPosition};

use super::{Opinion, beside};

/// Effect of a property of a path on a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The client refuses the path.
    Refuses,
    /// The client ignores the property.
    Accepts,
    /// The effect depends on facts that the model does not know.
    Unknown,
    /// The property does not occur in this position.
    Absent,
}

/// Effects for OpenSSL, GnuTLS, Go, Java and Chromium, in the order of [`Client::ALL`]. rustls'
/// model is webpki.
pub type Effects = [Effect; 5];

/// A row: a property, and its effect on each client.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The property.
    pub property: Property,
    /// A clause whose subject is the certificate or the chain: "has expired".
    pub meaning: &'static str,
    /// The effects by position: in the leaf or the chain as a whole, in an intermediate, in the
    /// root.
    pub effects: [Effects; 3],
    /// The reason: a section of an RFC, or the client's documentation or source.
    pub source: &'static str,
    /// True if the property is one of the chain as a whole.
    pub is_of_chain: bool,
}

impl Rule {
    /// Returns the effects in this position.
    pub fn at(&self, place: TraitPosition) -> &Effects {
        let [leaf, intermediate, root] = &self.effects;
        match place {
            TraitPosition::Leaf | TraitPosition::Chain => leaf,
            TraitPosition::Intermediate => intermediate,
            TraitPosition::Root => root,
            TraitPosition::Beside => beside::effects(self.property),
        }
    }
}

macro_rules! rules {
    ($($property:ident [$($leaf:ident)+] [$($intermediate:ident)+] [$($root:ident)+] $source:literal;)+) => {
        /// Every rule. docs/clients.md lists the versions for which they hold, and the results of
        /// the real clients.
        pub const RULES: &[Rule] = &[$(Rule {
            property: Property::$property,
            meaning: Property::$property.meaning(),
            effects: [[$($leaf),+], [$($intermediate),+], [$($root),+]],
            source: $source,
            is_of_chain: (Property::$property as usize) >= (Property::ManyServed as usize),
        },)+];
    };
}

use Effect::{Absent as N, Accepts as A, Refuses as R, Unknown as U};

rules! {
    // Time.
    Expired
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (a)(2); Java does not check the dates of a root (PKIXParameters)";
    NotYetValid
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (a)(2); Java does not check the dates of a root (PKIXParameters)";
    StoredLeafExpired
        [R R R A R] [N N N N N] [N N N N N] "Java: a trusted end entity is not checked (EndEntityChecker)";
    StoredLeafNotYetValid
        [R R R A R] [N N N N N] [N N N N N] "Java: a trusted end entity is not checked (EndEntityChecker)";
    UnreadableValidity
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1.2.5";
    UtcTimeWithoutSeconds
        [R A A A R] [R A A A R] [R A A A R] "RFC 5280, section 4.1.2.5.1";
    GeneralizedTimeWithoutSeconds
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.1.2.5.2";
    TimeWithFraction
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.1.2.5.2";
    TimeWithOffset
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.1.2.5";
    TimeWithoutZone
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1.2.5";

    // Authorities.
    NotCa
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 6.1.4 (k)";
    NoBasicConstraints
        [N N N N N] [R R R R R] [A A R R A] "RFC 5280, section 6.1.4 (k); of a root: section 4.2.1.9";
    NoBasicConstraintsOrKeyUsage
        [N N N N N] [R R R R R] [R A R R A] "RFC 5280, section 4.2.1.9; OpenSSL's check_ca";
    OldVersion
        [N N N N N] [R R R R R] [N N N N N] "RFC 5280, section 6.1.4 (k)";
    Version2
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL's check_ca takes version 1 only";
    NoKeyCertSign
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 6.1.4 (n)";
    EmptyKeyUsage
        [R A A R R] [R R A R R] [R R A R R] "RFC 5280, section 4.2.1.3; Go takes it for absent";
    PathLength
        [N N N N N] [R R R R R] [R R R A R] "RFC 5280, section 6.1.4 (l), (m); of a root: section 4.2.1.9";
    HugePathLength
        [N N N N N] [A R A R R] [A R A R R] "RFC 5280, section 4.2.1.9";
    PathLengthWithSelfIssued
        [N N N N N] [A R R A A] [A R R A A] "RFC 5280, section 6.1.4 (l): self-issued ones do not count";
    RootKeyIdsDiffer
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL's X509_check_issued";
    NotSelfIssued
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";

    // Usages.
    NotForServers
        [R R R R R] [R R R A R] [R A R A R] "RFC 5280, section 4.2.1.12; of authorities: CA/Browser Forum Baseline Requirements, section 7.1.2";
    StoredLeafNotForServers
        [R R R A R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.12";
    EmptyExtendedKeyUsage
        [R A A R R] [R A A A R] [R A A A R] "RFC 5280, section 4.2.1.12";
    ServerGatedCrypto
        [A R R A R] [A R R A R] [A A R A R] "OpenSSL: XKU_SGC";
    AnyExtendedKeyUsage
        [R A A A A] [R R A A A] [R A A A A] "RFC 5280, section 4.2.1.12";
    NoTlsKeyUsage
        [R R A R R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.3";
    NoDigitalSignature
        [A R A R R] [N N N N N] [N N N N N] "RFC 8446, section 4.4.2.2";
    NetscapeTypeNotServer
        [R A A R A] [N N N N N] [N N N N N] "Netscape certificate extensions; OpenSSL: NS_SSL_SERVER";
    NoKeyEncipherment
        [A R A R R] [N N N N N] [N N N N N] "RFC 5246, section 7.4.2";
    MustStaple
        [A R A A A] [N N N N N] [N N N N N] "RFC 7633";
    FeatureNotBelow
        [N N N N N] [A R A A A] [A R A A A] "RFC 7633, section 4.2.2";

    // Names under name constraints.
    NameConstraint
        [N N N N N] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (b), (c); Java ignores those of a root";
    DirectoryNotPermitted
        [N N N N N] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.10";
    UriNotPermitted
        [N N N N N] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.10";
    DirectoryConstraint
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: unhandled critical extension";
    DirectoryExcluded
        [N N N N N] [A R R A A] [A R R A A] "GnuTLS: excluded directoryName is not supported; Go: unhandled critical extension";
    UriConstraint
        [N N N N N] [A A A A R] [A A A A R] "Chromium: name constraints on URIs are not supported";
    HostlessUriConstrained
        [N N N N N] [R A R R R] [R A R R R] "RFC 5280, section 4.2.1.10";
    AddressUriConstrained
        [N N N N N] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.10: a host name is required";
    UriExcluded
        [N N N N N] [A R A A R] [A R A A R] "GnuTLS, Chromium: name constraints on URIs are not supported";
    OtherNameConstraint
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: unhandled critical extension";
    RareConstraint
        [N N N N N] [A R R A A] [A R R A A] "GnuTLS, Go: not supported";
    UnknownConstraint
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    OtherNameNotCompared
        [N N N N N] [R A R R R] [R A R R R] "RFC 5280, section 4.2.1.10";
    NameNotCompared
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    EncodedMinimum
        [N N N N N] [A A A A R] [A A A A R] "X.690, section 11.5";
    ConstraintDistance
        [N N N N N] [R A A R R] [R A A R R] "RFC 5280, section 4.2.1.10";
    MaskWithGap
        [N N N N N] [A R R A R] [A R R A R] "RFC 4632, section 3.1";
    BadAddressConstraint
        [N N N N N] [A R R R R] [A R R R R] "RFC 5280, section 4.2.1.10";
    BadAddressConstraintOfAddress
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    AddressOutsideMask
        [N N N N N] [A A A R A] [A A A R A] "Java's IPAddressName";
    EmptyDomainPermitted
        [N N N N N] [A A A R A] [A A A R A] "Java's DNSName";
    UrlConstraint
        [N N N N N] [A A A R A] [A A A R A] "Java's URIName";
    DomainPermittedWithDot
        [N N N N N] [R A R R A] [R A R R A] "RFC 5280, section 4.2.1.6: preferred name syntax";
    DomainExcludedWithDot
        [N N N N N] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.6: preferred name syntax";
    EmptyNameConstraints
        [N N N N N] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.10";
    MalformedDnsNameConstrained
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: cannot parse dnsName";
    CommonNameNotAllowed
        [N N N N N] [R R A R A] [R R A A A] "RFC 5280, section 4.2.1.10, has alternative names only";
    CommonNameLabelNotAllowed
        [N N N N N] [A R A R A] [A R A A A] "OpenSSL: cn2dnsid needs two labels";
    CommonNameHostNotAllowed
        [N N N N N] [R R A A A] [R R A A A] "OpenSSL: cn2dnsid; Java's DNSName has no underscore";
    CommonNameTextNotAllowed
        [N N N N N] [A R A A A] [A R A A A] "GnuTLS compares any text";
    EmailNoIa5String
        [N N N N N] [R A A A A] [R A A A A] "OpenSSL: NAME_CONSTRAINTS_check, whatever the constraints apply to; RFC 2985, section 5.2.1";
    EmailInSubjectNotAllowed
        [N N N N N] [R R A A A] [R R A A A] "RFC 5280, section 4.2.1.10: only where there are no alternative names";
    NameSyntaxConstrained
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: cannot parse dnsName, cannot parse rfc822Name";
    WildcardCoversExcluded
        [N N N N N] [A A A R R] [A A A R R] "RFC 5280, section 4.2.1.10, does not mention wildcards";
    NameConstraintUnclear
        [N N N N N] [U U U U U] [U U U U U] "not covered by the record";

    // Policies.
    NoValidPolicy
        [A A A R R] [A A A R R] [N N N N N] "RFC 5280, section 6.1.5 (g); OpenSSL: X509_V_FLAG_POLICY_CHECK is not set";
    NoValidPolicyOfRoot
        [N N N N N] [N N N N N] [A A A A R] "Chromium applies the policy constraints of a root";
    PolicyConstraints
        [A R R A A] [A R R A A] [A R R A A] "GnuTLS, Go: unhandled critical extension";
    PolicyMappings
        [A R R A A] [A R R A A] [A R R A A] "GnuTLS, Go: unhandled critical extension";
    InhibitAnyPolicy
        [A A R A A] [A A R A A] [A A R A A] "Go: unhandled critical extension";
    AnyPolicyMapped
        [A A A R R] [A A A R R] [N N N N N] "RFC 5280, section 6.1.4 (a)";
    DuplicatePolicy
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.2.1.4";
    EmptyPolicies
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.2.1.4";

    // Extensions.
    UnknownCritical
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 4.2";
    StoredLeafUnknownCritical
        [R A R A R] [N N N N N] [N N N N N] "RFC 5280, section 4.2";
    CriticalNetscapeType
        [A R R R R] [A R R R R] [A R R A R] "RFC 5280, section 4.2; only OpenSSL processes it";
    StoredLeafCriticalNetscapeType
        [A A R A R] [N N N N N] [N N N N N] "RFC 5280, section 4.2; only OpenSSL processes it";
    CriticalDistributionPoints
        [A A A R R] [A A A R R] [A A A A R] "RFC 5280, section 4.2.1.13";
    CriticalIssuerAltName
        [R A R R R] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.7";
    CriticalInformationAccess
        [R A A R R] [R A A R R] [R A A A R] "RFC 5280, section 4.2.2.1";
    CriticalKeyIdentifier
        [R A A R R] [R A A R R] [R A A A R] "RFC 5280, sections 4.2.1.1 and 4.2.1.2";
    DuplicateExtension
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2";
    DuplicateUnknownExtension
        [A R R R R] [A R R R R] [A R R R R] "RFC 5280, section 4.2";
    TrailingExtensionBytes
        [A A A R R] [A R A R R] [A R A R R] "RFC 5280, section 4.2";
    TrailingConstraintBytes
        [N N N N N] [A R R R R] [A R R R R] "RFC 5280, section 4.2";
    MalformedBasicConstraints
        [R A R R R] [R A A R R] [R A A R R] "RFC 5280, section 4.2.1.9";
    MalformedKeyUsage
        [R A R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.3";
    MalformedExtendedKeyUsage
        [R R R A R] [R R R A R] [R A R A R] "RFC 5280, section 4.2.1.12";
    MalformedNameConstraints
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    MalformedPolicies
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.4";
    MalformedPolicyMappings
        [A R R A R] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.5";
    EmptyPolicyConstraints
        [A R R A R] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.11";
    MalformedPolicyConstraints
        [A R R R R] [A R R R R] [A R R R R] "RFC 5280, section 4.2.1.11";
    MalformedInhibitAnyPolicy
        [A A R R R] [A A R R R] [A A R R R] "RFC 5280, section 4.2.1.14";
    MalformedSubjectKeyIdentifier
        [R A R A R] [R A R A R] [R A R R R] "RFC 5280, section 4.2.1.2";
    MalformedAuthorityKeyIdentifier
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.2.1.1";
    MalformedSubjectAltName
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.2.1.6";
    MalformedDirectoryAltName
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.2.1.6";
    MalformedOtherName
        [R R A A A] [R R A A A] [R R A A A] "RFC 5280, section 4.2.1.6";
    UnknownAltName
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.2.1.6";
    NonAsciiAltName
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.6";
    EmptyDnsName
        [A R A A A] [A R A A A] [A R A A A] "RFC 5280, section 4.2.1.6";
    EmptyAltName
        [A R A A A] [A R A A A] [A R A A A] "RFC 5280, section 4.2.1.6";
    EmptyCriticalAltName
        [A R A R A] [A R A R A] [A R A R A] "RFC 5280, section 4.2.1.6; Java's RFC822Name and URIName, of a critical extension";
    UriWithoutScheme
        [A A A R A] [A A A R A] [A A A R A] "Java's URIName, of a critical extension";
    MalformedUri
        [A A R A A] [A A R A A] [A A R A A] "Go's crypto/x509: cannot parse URI";
    MalformedInformationAccess
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.2.1";
    MalformedIssuerAltName
        [A R A A A] [A R A A A] [A R A A A] "RFC 5280, section 4.2.1.7";
    MalformedNetscapeType
        [R A A A A] [R A A A A] [R A A A A] "Netscape certificate extensions; only OpenSSL reads it";
    MalformedResources
        [R A A A A] [R A A A A] [R A A A A] "RFC 3779; only OpenSSL reads them";
    ResourcesNotAbove
        [R A A A A] [N N N N N] [N N N N N] "RFC 3779, section 2.3; only OpenSSL compares them (X509v3_addr_validate_path)";
    ResourcesCompared
        [U A A A A] [N N N N N] [N N N N N] "RFC 3779, section 2.3; certvigil does not compare them";
    ProxyCertificate
        [R A A A A] [R A A A A] [R A A A A] "RFC 3820; OpenSSL: X509_V_FLAG_ALLOW_PROXY_CERTS is not set";
    UnnamedDistributionPoint
        [R A A A A] [R A A A A] [R A A A A] "RFC 5280, section 4.2.1.13; only OpenSSL checks it";
    MalformedDistributionPoints
        [R A R A A] [R A R A A] [R A R A A] "RFC 5280, section 4.2.1.13";
    UnreadableExtensions
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2";

    // Form.
    Unreadable
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1";
    UnknownVersion
        [A A R R R] [A A R R R] [A A R R R] "RFC 5280, section 4.1.2.1";
    ExtensionsBeforeVersion3
        [A R R R R] [A R R R R] [A R A R R] "RFC 5280, section 4.1.2.9";
    EncodedDefaultVersion
        [A A A A R] [A A A A R] [A A A A R] "X.690, section 11.5";
    EncodedNotCritical
        [A A A A R] [A A A A R] [A A A A R] "X.690, section 11.5";
    NonDerBoolean
        [A A R A R] [A A R A R] [A A R A R] "X.690, section 11.1";
    TrailingBytes
        [R R R A R] [R R R A R] [A R R R R] "RFC 5280, section 4.1";
    TrailingFields
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.1";
    LongLength
        [A A R A R] [A A R A R] [A A R A R] "X.690, section 10.1";
    UnusedBitsSet
        [A A R A R] [A A R A R] [A A R A R] "X.690, section 11.2.1";
    LongPathLength
        [N N N N N] [R A R A R] [R A R A R] "X.690, section 8.3.2";
    LongFormSerial
        [R A R A A] [R A R A A] [R A R A R] "X.690, section 8.3.2";
    EmptySerial
        [R A R R A] [R A R R A] [R A R R R] "X.690, section 8.3.1";
    AlgorithmMismatch
        [R R R R R] [R R R R R] [A R R R A] "RFC 5280, section 4.1.1.2";
    AlgorithmParametersDiffer
        [R A R A A] [R A R A A] [A A R A A] "RFC 5280, section 4.1.1.2";
    InvalidUtf8
        [R A R A A] [R A R A A] [R A R A A] "RFC 5280, section 4.1.2.4";
    InvalidBmp
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.1.2.4";
    InvalidPrintable
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.1.2.4";
    NoString
        [R A R A R] [R A R A R] [R A R A A] "RFC 5280, section 4.1.2.4";
    UniversalString
        [A A R A A] [A A R A A] [A A R A A] "RFC 5280, section 4.1.2.4";
    EmptyRdn
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.1.2.4";
    EmptyCaSubject
        [N N N N N] [A A A R A] [A A A R A] "RFC 5280, section 4.1.2.6";
    EmptySubjectWithoutCriticalSan
        [A A A R R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.6";

    // Names and key identifiers of issuers.
    NameEncoding
        [A A R A A] [A A R A A] [N N N N N] "RFC 5280, section 7.1; Go compares byte by byte";
    NameLength
        [A A R A R] [A R R A R] [N N N N N] "X.690, section 10.1; GnuTLS finds a trust anchor by the bytes of its name";
    NameCase
        [A R R A A] [A R R A A] [N N N N N] "RFC 5280, section 7.1; GnuTLS and Go compare byte by byte";
    NameCaseBeyondAscii
        [R R R A R] [R R R A R] [N N N N N] "RFC 5280, section 7.1";
    NameInTeletex
        [A R R R R] [A R R R R] [N N N N N] "RFC 5280, section 7.1";
    NameInBmp
        [A A R R A] [A A R R A] [N N N N N] "RFC 5280, section 7.1";
    KeyIdentifier
        [R R A A A] [R R A R A] [N N N N N] "RFC 5280, section 4.2.1.1";
    KeyIdentifierOfNone
        [R A A A A] [R A A R A] [N N N N N] "RFC 5280, section 4.2.1.1";
    KeyIdentifierIssuer
        [R A A A A] [R A A R A] [N N N N N] "RFC 5280, section 4.2.1.1";

    // Keys and signatures.
    TinyRsa
        [R R R R R] [R R A R R] [R R A R R] "OpenSSL: security level 2; Java: jdk.certpath.disabledAlgorithms";
    WeakRsa
        [R A A A A] [R A A A A] [R A A A A] "OpenSSL: security level 2 (Debian)";
    P192
        [R R R R R] [R A R R R] [R A R R R] "RFC 8422, section 5.1.1";
    P224
        [R R R R R] [A A A R R] [A A A R R] "RFC 8422, section 5.1.1";
    P521
        [A A A A R] [N N N N N] [N N N N N] "Chromium offers no signature scheme for it";
    OtherCurve
        [R R R R R] [A R R R R] [A R R R R] "RFC 8422, section 5.1.1";
    ExplicitCurve
        [R R R R R] [R R R R R] [R R R R R] "RFC 5480, section 2.1.1";
    CompressedPoint
        [A R R R A] [A R R R A] [A R R R A] "RFC 5480, section 2.2";
    Ed25519
        [A A A A R] [A A A A R] [A A A A R] "Chromium: unacceptable signature algorithm";
    Ed448
        [A A R A R] [A A R A R] [A A R A R] "Go and Chromium do not implement it";
    RsaPssKey
        [A A R A R] [A A R A R] [A A R A R] "Go and Chromium do not implement it (RFC 4055)";
    RsaWithoutNull
        [A A R A R] [A A R A R] [A A R A R] "RFC 3279, section 2.3.1";
    UnusedKeyBits
        [A A R A R] [R A R R R] [R A R R R] "RFC 5280, section 4.1.2.7";
    ExponentOfOne
        [A A A R R] [A A A R R] [A A A R R] "RFC 8017, section 3.1";
    LongExponent
        [A A A A R] [A A A A R] [A A A A R] "BoringSSL: at most 33 bits";
    HugeExponent
        [A A R A R] [A A R A R] [A A R A R] "Go reads 63 bits, BoringSSL 33";
    TrailingKeyBytes
        [A R A R R] [A R A R R] [A R A R R] "RFC 8017, appendix A.1.1";
    Dsa
        [N N N N N] [A A R R R] [A A R R R] "RFC 8446, section 4.2.3";
    OtherKey
        [R R R R R] [R R R R R] [R R R R R] "RFC 8446, section 4.2.3";
    Md5Signature
        [R R R R R] [R R R R R] [N N N N N] "RFC 6151";
    Sha1Signature
        [R R R A R] [R R R A R] [N N N N N] "RFC 9155; Java: jdk.certpath.disabledAlgorithms names Java's own roots only";
    Sha224Signature
        [A A R R R] [A A R R R] [N N N N N] "RFC 8446, section 4.2.3";
    Sha3Signature
        [A A R R R] [A A R R R] [N N N N N] "RFC 8446, section 4.2.3";
    EcdsaSha3
        [R A R R R] [R A R R R] [R A A A A] "RFC 8446, section 4.2.3; OpenSSL 3.0 does not know the algorithm";
    TruncatedSha512Signature
        [R R R R R] [R R R R R] [R A A A A] "RFC 8446, section 4.2.3; OpenSSL 3.0 does not know the algorithm";
    PssSalt
        [A R R A R] [A R R A R] [N N N N N] "RFC 8446, section 4.2.3: the salt is as long as the hash";
    PssHashes
        [A R R A R] [A R R A R] [N N N N N] "RFC 8446, section 4.2.3: the hash of MGF1 is that of the message";
    PssRareHash
        [A R R R R] [A R R R R] [N N N N N] "RFC 8446, section 4.2.3";
    PssTrailer
        [A A A A R] [A A A A R] [N N N N N] "X.690, section 11.5";
    EcdsaWithNull
        [A A A A R] [A A A A R] [A A A A A] "RFC 5758, section 3.2";
    UnknownSignature
        [R R R R R] [R R R R R] [R A A A A] "OpenSSL's security level 2 needs to know the hash";
    Unverifiable
        [U U U U U] [U U U U U] [U U U U U] "certvigil does not verify it";

    // Host names.
    NameMismatch
        [R R R R R] [N N N N N] [N N N N N] "RFC 9525, section 6";
    CommonName
        [A A R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.4.4: not allowed any more";
    CommonNameBesideOther
        [A R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.4.4: not allowed any more";
    WildcardBeforeText
        [A A R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    WildcardAfterText
        [A R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    WildcardElsewhere
        [R R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    TopLevelWildcard
        [R R A A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    BareWildcard
        [R R A R R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    PublicSuffixWildcard
        [A A A A R] [N N N N N] [N N N N N] "Chromium: Public Suffix List";
    NameWithDot
        [R R R R A] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.6: preferred name syntax";
    Underscore
        [A A A R A] [N N N N N] [N N N N N] "Java's SNIHostName and DNSName";
    UnderscoreBelowWildcard
        [R A A R A] [N N N N N] [N N N N N] "OpenSSL's X509_check_host: letters, digits and hyphens";
    HyphenAtEnd
        [A A A R A] [N N N N N] [N N N N N] "Java's SNIHostName: no hyphen at an end of a label";
    MappedAddress
        [R R A A R] [N N N N N] [N N N N N] "RFC 4291, section 2.5.5.2";

    // The chain as a whole. All properties from here on are properties of the chain: see
    // `is_of_chain`.
    ManyServed
        [A A A R A] [N N N N N] [N N N N N] "Java: jdk.tls.maxCertificateChainLength";
    MoreServed
        [A R A A A] [N N N N N] [N N N N N] "GnuTLS: DEFAULT_MAX_VERIFY_DEPTH";
    LargeMessage
        [A A A R A] [N N N N N] [N N N N N] "Java: jdk.tls.maxHandshakeMessageSize";
    LargeMessage64
        [A A R A A] [N N N N N] [N N N N N] "Go's crypto/tls: maxHandshake";
    LargeMessage100
        [R A A A R] [N N N N N] [N N N N N] "OpenSSL, BoringSSL: SSL_get_max_cert_list";
    LargeMessage128
        [A R A A A] [N N N N N] [N N N N N] "gnutls_handshake_set_max_packet_length";
    EmptyEntry
        [R R R R R] [N N N N N] [N N N N N] "RFC 5246, section 7.4.2; RFC 8446, section 4.4.2";
    UnreadableEntry
        [R R R R A] [N N N N N] [N N N N N] "OpenSSL, GnuTLS, Go and Java read every certificate of the handshake";
    OtherPathFirst
        [R R A A A] [N N N N N] [N N N N N] "OpenSSL and GnuTLS take the first issuer that fits by name and key identifier";
    StoredLeaf
        [R R A A R] [N N N N N] [N N N N N] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";
    StoredLeafAlone
        [R A A A R] [N N N N N] [N N N N N] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";
    StoredLeafNoAuthority
        [A A A A R] [N N N N N] [N N N N N] "Chromium: a trust anchor is an authority";
}

/// Returns the opinion of a client on a path with these traits.
pub(super) fn verdict(client: Client, traits: &[(Trait, String)]) -> Opinion {
    let mut is_unknown = false;
    for (of, words) in traits {
        match effect(client, *of) {
            Effect::Refuses => {
                return Opinion::Refuses(Refusal {
                    of: Some(*of),
                    reason: words.clone(),
                });
            }
            Effect::Unknown | Effect::Absent => is_unknown = true,
            Effect::Accepts => {}
        }
    }
    if is_unknown {
        Opinion::Unknown
    } else {
        Opinion::Accepts
    }
}

/// Returns the row of a property.
pub(super) fn rule(property: Property) -> Option<&'static Rule> {
    // The rows are in the order of the enum.
    RULES.get(property as usize)
}

/// Returns true if the client refuses a path with this trait.
pub(super) fn refuses(client: Client, of: Trait) -> bool {
    effect(client, of) == Effect::Refuses
}

fn effect(client: Client, of: Trait) -> Effect {
    let column = Client::ALL.iter().position(|c| *c == client);
    let effects = rule(of.property).map(|rule| rule.at(of.place));
    let effect = effects.zip(column).and_then(|(e, at)| e.get(at));
    effect.copied().unwrap_or(Effect::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_their_properties() {
        for (at, row) in RULES.iter().enumerate() {
            assert_eq!(row.property as usize, at, "{:?}", row.property);
        }
    }
}

//! The table of the client models: one row a property, one column a client, for each place in a path.

use super::{Client, Opinion, Place, Refusal, Trait};

/// What a client does with a path that has a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It refuses the path.
    Refuses,
    /// It takes no notice.
    Accepts,
    /// It depends on more than the model knows.
    Unknown,
    /// The property is not looked for in such a place.
    Absent,
}

/// What OpenSSL, GnuTLS, Go, Java and Chromium do, in the order of [`Client::ALL`]. rustls decides by webpki.
pub type Effects = [Effect; 5];

/// One row: a property, and what each client does.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// The property.
    pub property: Property,
    /// A clause whose subject is the certificate or the chain: "has expired".
    pub meaning: &'static str,
    /// The effects by place: in the leaf or the chain as a whole, in an intermediate, in the root.
    pub effects: [Effects; 3],
    /// Why: a section of an RFC, or the client's documentation or source.
    pub source: &'static str,
    /// The property is of the chain as a whole.
    pub is_of_chain: bool,
}

impl Rule {
    /// The effects in this place.
    pub fn at(&self, place: Place) -> &Effects {
        let [leaf, intermediate, root] = &self.effects;
        match place {
            Place::Leaf | Place::Chain => leaf,
            Place::Intermediate => intermediate,
            Place::Root => root,
        }
    }
}

macro_rules! rules {
    ($($property:ident $meaning:literal
        [$($leaf:ident)+] [$($intermediate:ident)+] [$($root:ident)+] $source:literal;)+) => {
        /// A property of a certificate in a path, or of the chain, that some client decides by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Property { $(#[doc = $meaning] $property,)+ }

        /// Every rule. The versions that it holds for are in docs/clients.md, with the record of the real clients.
        pub const RULES: &[Rule] = &[$(Rule {
            property: Property::$property,
            meaning: $meaning,
            effects: [[$($leaf),+], [$($intermediate),+], [$($root),+]],
            source: $source,
            is_of_chain: (Property::$property as usize) >= (Property::ManyServed as usize),
        },)+];
    };
}

use Effect::{Absent as N, Accepts as A, Refuses as R, Unknown as U};

rules! {
    // Time.
    Expired "has expired"
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (a)(2); Java does not check the dates of a root (PKIXParameters)";
    NotYetValid "is not valid yet"
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (a)(2); Java does not check the dates of a root (PKIXParameters)";
    StoredLeafExpired "is in the trust store itself and has expired"
        [R R R A R] [N N N N N] [N N N N N] "Java: a trusted end entity is not checked (EndEntityChecker)";
    StoredLeafNotYetValid "is in the trust store itself and is not valid yet"
        [R R R A R] [N N N N N] [N N N N N] "Java: a trusted end entity is not checked (EndEntityChecker)";
    UnreadableValidity "has a validity that cannot be read"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1.2.5";
    UtcTimeWithoutSeconds "has a UTCTime without seconds"
        [R A A A R] [R A A A R] [R A A A R] "RFC 5280, section 4.1.2.5.1";
    GeneralizedTimeWithoutSeconds "has a GeneralizedTime without seconds"
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.1.2.5.2";
    TimeWithFraction "has a time with fractions of a second"
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.1.2.5.2";
    TimeWithOffset "has a time with an offset from UTC"
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.1.2.5";
    TimeWithoutZone "has a time without a time zone"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1.2.5";

    // Authorities.
    NotCa "is no certificate authority (basicConstraints CA:FALSE)"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 6.1.4 (k)";
    NoBasicConstraints "is an issuer of X.509 version 3 without basicConstraints"
        [N N N N N] [R R R R R] [A A R R A] "RFC 5280, section 6.1.4 (k); of a root: section 4.2.1.9";
    NoBasicConstraintsOrKeyUsage "is an issuer of X.509 version 3 without basicConstraints and keyUsage"
        [N N N N N] [R R R R R] [R A R R A] "RFC 5280, section 4.2.1.9; OpenSSL's check_ca";
    OldVersion "is an issuer of X.509 version 1 or 2"
        [N N N N N] [R R R R R] [N N N N N] "RFC 5280, section 6.1.4 (k)";
    Version2 "is of X.509 version 2 and has no extensions"
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL's check_ca takes version 1 only";
    NoKeyCertSign "may not sign certificates (keyUsage without keyCertSign)"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 6.1.4 (n)";
    EmptyKeyUsage "has a keyUsage without any bit"
        [R A A R R] [R R A R R] [R R A R R] "RFC 5280, section 4.2.1.3; Go takes it for absent";
    PathLength "allows fewer intermediates below it (pathLenConstraint)"
        [N N N N N] [R R R R R] [R R R A R] "RFC 5280, section 6.1.4 (l), (m); of a root: section 4.2.1.9";
    HugePathLength "has a pathLenConstraint that does not fit into 31 bits"
        [N N N N N] [A R A R R] [A R A R R] "RFC 5280, section 4.2.1.9";
    PathLengthWithSelfIssued "allows fewer intermediates below it, if self-issued ones count (pathLenConstraint)"
        [N N N N N] [A R R A A] [A R R A A] "RFC 5280, section 6.1.4 (l): self-issued ones do not count";
    RootKeyIdsDiffer "names another key than its own as its issuer's"
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL's X509_check_issued";
    NotSelfIssued "is a trust anchor that another authority issued"
        [N N N N N] [N N N N N] [R A A A A] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";

    // Usages.
    NotForServers "is not for TLS servers (extended key usage without serverAuth)"
        [R R R R R] [R R R A R] [R A R A R] "RFC 5280, section 4.2.1.12; of authorities: CA/Browser Forum Baseline Requirements, section 7.1.2";
    StoredLeafNotForServers "is in the trust store itself and is not for TLS servers (extended key usage without serverAuth)"
        [R R R A R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.12";
    EmptyExtendedKeyUsage "has an extended key usage that lists nothing"
        [R A A R R] [R A A A R] [R A A A R] "RFC 5280, section 4.2.1.12";
    ServerGatedCrypto "has Server Gated Crypto as its extended key usage instead of serverAuth"
        [A R R A R] [A R R A R] [A A R A R] "OpenSSL: XKU_SGC";
    AnyExtendedKeyUsage "has anyExtendedKeyUsage and not serverAuth"
        [R A A A A] [R R A A A] [R A A A A] "RFC 5280, section 4.2.1.12";
    NoTlsKeyUsage "has a keyUsage that fits no key exchange of TLS"
        [R R A R R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.3";
    NoDigitalSignature "has a keyUsage without digitalSignature"
        [A R A R R] [N N N N N] [N N N N N] "RFC 8446, section 4.4.2.2";
    NetscapeTypeNotServer "has a Netscape certificate type other than SSL server"
        [R A A R A] [N N N N N] [N N N N N] "Netscape certificate extensions; OpenSSL: NS_SSL_SERVER";
    MustStaple "demands a stapled OCSP response, and none is stapled"
        [A R A A A] [N N N N N] [N N N N N] "RFC 7633";

    // Names below name constraints.
    NameConstraint "does not allow a name of a certificate below it (nameConstraints)"
        [N N N N N] [R R R R R] [R R R A R] "RFC 5280, section 6.1.3 (b), (c); Java ignores those of a root";
    DirectoryNotPermitted "does not permit a directoryName of a certificate below it (nameConstraints)"
        [N N N N N] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.10";
    UriNotPermitted "does not permit a URI of a certificate below it (nameConstraints)"
        [N N N N N] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.10";
    DirectoryConstraint "has a critical name constraint on directoryName"
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: unhandled critical extension";
    DirectoryExcluded "excludes a directoryName (critical nameConstraints)"
        [N N N N N] [A R R A A] [A R R A A] "GnuTLS: excluded directoryName is not supported; Go: unhandled critical extension";
    UriConstraint "has a name constraint on URIs, and the leaf has one"
        [N N N N N] [A A A A R] [A A A A R] "Chromium: name constraints on URIs are not supported";
    UriExcluded "excludes URIs (nameConstraints), and the leaf has one"
        [N N N N N] [A R A A R] [A R A A R] "GnuTLS, Chromium: name constraints on URIs are not supported";
    OtherNameConstraint "has a critical name constraint on otherName"
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: unhandled critical extension";
    RareConstraint "has a critical name constraint on x400Address, ediPartyName or registeredID"
        [N N N N N] [A R R A A] [A R R A A] "GnuTLS, Go: not supported";
    UnknownConstraint "has a name constraint on an unknown kind of name"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    OtherNameNotCompared "constrains otherNames, and a certificate below has one"
        [N N N N N] [R A R R R] [R A R R R] "RFC 5280, section 4.2.1.10";
    NameNotCompared "constrains names of a kind that clients cannot compare, and a certificate below has one"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    EncodedMinimum "has a name constraint with a minimum of 0 that is written out"
        [N N N N N] [A A A A R] [A A A A R] "X.690, section 11.5";
    ConstraintDistance "has a name constraint with a minimum or a maximum"
        [N N N N N] [R A A R R] [R A A R R] "RFC 5280, section 4.2.1.10";
    MaskWithGap "has an iPAddress constraint whose mask has a gap"
        [N N N N N] [A R R A R] [A R R A R] "RFC 4632, section 3.1";
    BadAddressConstraint "has an iPAddress constraint of a wrong length"
        [N N N N N] [A R R R R] [A R R R R] "RFC 5280, section 4.2.1.10";
    BadAddressConstraintOfAddress "has an iPAddress constraint of a wrong length, and the leaf has an address"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    AddressOutsideMask "has an iPAddress constraint with bits beyond its mask"
        [N N N N N] [A A A R A] [A A A R A] "Java's IPAddressName";
    EmptyDomainPermitted "permits the empty domain (nameConstraints)"
        [N N N N N] [A A A R A] [A A A R A] "Java's DNSName";
    UrlConstraint "has a name constraint on a URL instead of a host"
        [N N N N N] [A A A R A] [A A A R A] "Java's URIName";
    DomainPermittedWithDot "permits a domain with a trailing dot (nameConstraints)"
        [N N N N N] [R A R R A] [R A R R A] "RFC 5280, section 4.2.1.6: preferred name syntax";
    DomainExcludedWithDot "excludes a domain with a trailing dot (nameConstraints)"
        [N N N N N] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.6: preferred name syntax";
    EmptyNameConstraints "has name constraints without any subtree"
        [N N N N N] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.10";
    MalformedDnsNameConstrained "constrains domains, and a dNSName below is no host name"
        [N N N N N] [A A R A A] [A A R A A] "Go's crypto/x509: cannot parse dnsName";
    CommonNameNotAllowed "does not allow the leaf's common name, which is its only name (nameConstraints)"
        [N N N N N] [R R A R A] [R R A A A] "RFC 5280, section 4.2.1.10, has alternative names only";
    EmailInSubjectNotAllowed "does not allow the emailAddress in the leaf's subject (nameConstraints)"
        [N N N N N] [R R A A A] [R R A A A] "RFC 5280, section 4.2.1.10: only where there are no alternative names";
    WildcardCoversExcluded "excludes a host that a wildcard below it covers (nameConstraints)"
        [N N N N N] [A A A R R] [A A A R R] "RFC 5280, section 4.2.1.10, does not mention wildcards";
    NameConstraintUnclear "has name constraints that cannot be compared with the names below"
        [N N N N N] [U U U U U] [U U U U U] "not covered by the record";

    // Policies.
    NoValidPolicy "demands a certificate policy that the certificates of the path do not share"
        [A A A R R] [A A A R R] [N N N N N] "RFC 5280, section 6.1.5 (g); OpenSSL: X509_V_FLAG_POLICY_CHECK is not set";
    NoValidPolicyOfRoot "demands a certificate policy that the certificates below it do not share"
        [N N N N N] [N N N N N] [A A A A R] "Chromium applies the policy constraints of a root";
    PolicyConstraints "has critical policyConstraints"
        [A R R A A] [A R R A A] [A R R A A] "GnuTLS, Go: unhandled critical extension";
    PolicyMappings "has critical policyMappings"
        [A R R A A] [A R R A A] [A R R A A] "GnuTLS, Go: unhandled critical extension";
    InhibitAnyPolicy "has a critical inhibitAnyPolicy"
        [A A R A A] [A A R A A] [A A R A A] "Go: unhandled critical extension";
    AnyPolicyMapped "maps from or to anyPolicy (policyMappings)"
        [A A A R R] [A A A R R] [N N N N N] "RFC 5280, section 6.1.4 (a)";
    DuplicatePolicy "has a certificate policy twice"
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.2.1.4";
    EmptyPolicies "has a certificatePolicies extension without policies"
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.2.1.4";

    // Extensions.
    UnknownCritical "has a critical extension that clients do not know"
        [R R R R R] [R R R R R] [R R R A R] "RFC 5280, section 4.2";
    StoredLeafUnknownCritical "is in the trust store itself and has a critical extension that clients do not know"
        [R A R A R] [N N N N N] [N N N N N] "RFC 5280, section 4.2";
    CriticalDistributionPoints "has a critical cRLDistributionPoints extension"
        [A A A R R] [A A A R R] [A A A A R] "RFC 5280, section 4.2.1.13";
    CriticalIssuerAltName "has a critical issuerAltName extension"
        [R A R R R] [R A R R R] [R A R A R] "RFC 5280, section 4.2.1.7";
    CriticalInformationAccess "has a critical authorityInfoAccess or subjectInfoAccess extension"
        [R A A R R] [R A A R R] [R A A A R] "RFC 5280, section 4.2.2.1";
    CriticalKeyIdentifier "has a critical key identifier extension"
        [R A A R R] [R A A R R] [R A A A R] "RFC 5280, sections 4.2.1.1 and 4.2.1.2";
    DuplicateExtension "has an extension twice"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2";
    DuplicateUnknownExtension "has an extension twice that clients do not know"
        [A R R R R] [A R R R R] [A R R R R] "RFC 5280, section 4.2";
    TrailingExtensionBytes "has bytes after the value of its basicConstraints or keyUsage extension"
        [A A A R R] [A R A R R] [A R A R R] "RFC 5280, section 4.2";
    TrailingConstraintBytes "has bytes after the value of its nameConstraints extension"
        [N N N N N] [A R R R R] [A R R R R] "RFC 5280, section 4.2";
    MalformedBasicConstraints "has a malformed basicConstraints extension"
        [R A R R R] [R A A R R] [R A A R R] "RFC 5280, section 4.2.1.9";
    MalformedKeyUsage "has a malformed keyUsage extension"
        [R A R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.3";
    MalformedExtendedKeyUsage "has a malformed extKeyUsage extension"
        [R R R A R] [R R R A R] [R A R A R] "RFC 5280, section 4.2.1.12";
    MalformedNameConstraints "has a malformed nameConstraints extension"
        [N N N N N] [R R R R R] [R R R R R] "RFC 5280, section 4.2.1.10";
    MalformedPolicies "has a malformed certificatePolicies extension"
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.4";
    MalformedPolicyMappings "has a malformed policyMappings extension"
        [A R R A R] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.5";
    EmptyPolicyConstraints "has a policyConstraints extension without constraints"
        [A R R A R] [A R R A R] [A R R A R] "RFC 5280, section 4.2.1.11";
    MalformedPolicyConstraints "has a malformed policyConstraints extension"
        [A R R R R] [A R R R R] [A R R R R] "RFC 5280, section 4.2.1.11";
    MalformedInhibitAnyPolicy "has a malformed inhibitAnyPolicy extension"
        [A A R R R] [A A R R R] [A A R R R] "RFC 5280, section 4.2.1.14";
    MalformedSubjectKeyIdentifier "has a malformed subjectKeyIdentifier extension"
        [R A R A R] [R A R A R] [R A R R R] "RFC 5280, section 4.2.1.2";
    MalformedAuthorityKeyIdentifier "has a malformed authorityKeyIdentifier extension"
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.2.1.1";
    MalformedSubjectAltName "has a malformed subjectAltName extension"
        [R R R A R] [R R R A R] [R R R A R] "RFC 5280, section 4.2.1.6";
    MalformedDirectoryAltName "has a malformed directoryName in its subjectAltName extension"
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.2.1.6";
    UnknownAltName "has an unknown kind of name in its subjectAltName extension"
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.2.1.6";
    NonAsciiAltName "has a name beyond ASCII, or an address of a wrong length, in its subjectAltName extension"
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.1.6";
    EmptyDnsName "has an empty dNSName"
        [A R A A A] [A R A A A] [A R A A A] "RFC 5280, section 4.2.1.6";
    MalformedUri "has a URI that cannot be parsed in its subjectAltName extension"
        [A A R A A] [A A R A A] [A A R A A] "Go's crypto/x509: cannot parse URI";
    MalformedInformationAccess "has a malformed authorityInfoAccess extension"
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.2.2.1";
    MalformedDistributionPoints "has a malformed cRLDistributionPoints extension"
        [R A R A A] [R A R A A] [R A R A A] "RFC 5280, section 4.2.1.13";
    UnreadableExtensions "has extensions that cannot be read"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.2";

    // Form.
    Unreadable "cannot be read"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5280, section 4.1";
    UnknownVersion "is of an X.509 version that there is not"
        [A A R R R] [A A R R R] [A A R R R] "RFC 5280, section 4.1.2.1";
    ExtensionsBeforeVersion3 "has extensions and is not of X.509 version 3"
        [A R R R R] [A R R R R] [A R A R R] "RFC 5280, section 4.1.2.9";
    EncodedDefaultVersion "has version 1 written out"
        [A A A A R] [A A A A R] [A A A A R] "X.690, section 11.5";
    EncodedNotCritical "has an extension with `critical: FALSE` written out"
        [A A A A R] [A A A A R] [A A A A R] "X.690, section 11.5";
    NonDerBoolean "has a BOOLEAN that is encoded as another number than 255"
        [A A R A R] [A A R A R] [A A R A R] "X.690, section 11.1";
    TrailingBytes "has bytes after its end"
        [R R R A R] [R R R A R] [A R R R R] "RFC 5280, section 4.1";
    TrailingFields "has unknown fields at the end of its signed part"
        [R R A A R] [R R A A R] [R R A A R] "RFC 5280, section 4.1";
    LongFormSerial "has a serial number with leading zero octets"
        [R A R A A] [R A R A A] [R A R A R] "X.690, section 8.3.2";
    EmptySerial "has a serial number without octets"
        [R A R R A] [R A R R A] [R A R R R] "X.690, section 8.3.1";
    AlgorithmMismatch "names two different signature algorithms"
        [R R R R R] [R R R R R] [A R R R A] "RFC 5280, section 4.1.1.2";
    AlgorithmParametersDiffer "has two signature algorithm fields with different parameters"
        [R A R A A] [R A R A A] [A A R A A] "RFC 5280, section 4.1.1.2";
    InvalidUtf8 "has invalid UTF-8 in its subject"
        [R A R A A] [R A R A A] [R A R A A] "RFC 5280, section 4.1.2.4";
    InvalidBmp "has an invalid BMPString in its subject"
        [R A R A R] [R A R A R] [R A R A R] "RFC 5280, section 4.1.2.4";
    InvalidPrintable "has characters in a PrintableString of its subject that are not allowed there"
        [A A R A R] [A A R A R] [A A R A R] "RFC 5280, section 4.1.2.4";
    NoString "has a value in its subject that is no string"
        [R A R A R] [R A R A R] [R A R A A] "RFC 5280, section 4.1.2.4";
    UniversalString "has a UniversalString in its subject"
        [A A R A A] [A A R A A] [A A R A A] "RFC 5280, section 4.1.2.4";
    EmptyRdn "has an empty part in its subject"
        [A A A A R] [A A A A R] [A A A A R] "RFC 5280, section 4.1.2.4";
    EmptyCaSubject "has an empty subject"
        [N N N N N] [A A A R A] [A A A R A] "RFC 5280, section 4.1.2.6";
    EmptySubjectWithoutCriticalSan "has an empty subject and a subjectAltName extension that is not critical"
        [A A A R R] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.6";

    // Names and key identifiers of issuers.
    NameEncoding "names its issuer in another encoding than the issuer does"
        [A A R A A] [A A R A A] [N N N N N] "RFC 5280, section 7.1; Go compares byte by byte";
    NameCase "names its issuer in other letters, spaces or order than the issuer does"
        [A R R A A] [A R R A A] [N N N N N] "RFC 5280, section 7.1; GnuTLS and Go compare byte by byte";
    NameCaseBeyondAscii "names its issuer in other letters beyond ASCII than the issuer does"
        [R R R A R] [R R R A R] [N N N N N] "RFC 5280, section 7.1";
    NameInTeletex "names its issuer in a TeletexString or in another encoding than the issuer's TeletexString"
        [A R R R R] [A R R R R] [N N N N N] "RFC 5280, section 7.1";
    NameInBmp "names its issuer in a BMPString or in another encoding than the issuer's BMPString"
        [A A R R A] [A A R R A] [N N N N N] "RFC 5280, section 7.1";
    KeyIdentifier "names another key than the issuer's (authorityKeyIdentifier)"
        [R R A A A] [R R A R A] [N N N N N] "RFC 5280, section 4.2.1.1";
    KeyIdentifierOfNone "names a key of its issuer, and the issuer's subjectKeyIdentifier is empty"
        [R A A A A] [R A A R A] [N N N N N] "RFC 5280, section 4.2.1.1";
    KeyIdentifierIssuer "names another certificate of its issuer (authorityKeyIdentifier)"
        [R A A A A] [R A A R A] [N N N N N] "RFC 5280, section 4.2.1.1";

    // Keys and signatures.
    TinyRsa "has an RSA key of fewer than 1024 bits"
        [R R R R R] [R R A R R] [R R A R R] "OpenSSL: security level 2; Java: jdk.certpath.disabledAlgorithms";
    WeakRsa "has a weak RSA key"
        [R A A A A] [R A A A A] [R A A A A] "OpenSSL: security level 2 (Debian)";
    P192 "has a key on P-192"
        [R R R R R] [R A R R R] [R A R R R] "RFC 8422, section 5.1.1";
    P224 "has a key on P-224"
        [R R R R R] [A A A R R] [A A A R R] "RFC 8422, section 5.1.1";
    P521 "has a key on P-521"
        [A A A A R] [N N N N N] [N N N N N] "Chromium offers no signature scheme for it";
    OtherCurve "has a key on a curve that few clients know"
        [R R R R R] [A R R R R] [A R R R R] "RFC 8422, section 5.1.1";
    ExplicitCurve "has a key with explicit curve parameters"
        [R R R R R] [R R R R R] [R R R R R] "RFC 5480, section 2.1.1";
    CompressedPoint "has an EC key in compressed form"
        [A R R R A] [A R R R A] [A R R R A] "RFC 5480, section 2.2";
    Ed25519 "has an Ed25519 key"
        [A A A A R] [A A A A R] [A A A A R] "Chromium: unacceptable signature algorithm";
    Ed448 "has an Ed448 key"
        [A A R A R] [A A R A R] [A A R A R] "Go and Chromium do not implement it";
    RsaPssKey "has an RSA key for RSASSA-PSS only"
        [A A R A R] [A A R A R] [A A R A R] "Go and Chromium do not implement it (RFC 4055)";
    RsaWithoutNull "has an RSA key whose algorithm lacks the NULL parameter"
        [A A R A R] [A A R A R] [A A R A R] "RFC 3279, section 2.3.1";
    ExponentOfOne "has an RSA key with the exponent 1"
        [A A A R R] [A A A R R] [A A A R R] "RFC 8017, section 3.1";
    TrailingKeyBytes "has an RSA key with bytes after its end"
        [A R A R R] [A R A R R] [A R A R R] "RFC 8017, appendix A.1.1";
    Dsa "has a DSA key"
        [N N N N N] [A A R R R] [A A R R R] "RFC 8446, section 4.2.3";
    OtherKey "has a key of a kind that clients do not know"
        [R R R R R] [R R R R R] [R R R R R] "RFC 8446, section 4.2.3";
    Md5Signature "is signed with MD5"
        [R R R R R] [R R R R R] [N N N N N] "RFC 6151";
    Sha1Signature "is signed with SHA-1"
        [R R R A R] [R R R A R] [N N N N N] "RFC 9155; Java: jdk.certpath.disabledAlgorithms names Java's own roots only";
    Sha224Signature "is signed with SHA-224"
        [A A R R R] [A A R R R] [N N N N N] "RFC 8446, section 4.2.3";
    EcdsaWithNull "is signed with ECDSA whose algorithm has a NULL parameter"
        [A A A A R] [A A A A R] [A A A A A] "RFC 5758, section 3.2";
    UnknownSignature "is signed with an unknown algorithm"
        [R R R R R] [R R R R R] [R A A A A] "OpenSSL's security level 2 needs to know the hash";
    Unverifiable "is signed in a way that certvigil cannot verify"
        [U U U U U] [U U U U U] [U U U U U] "certvigil does not verify it";

    // Host names.
    NameMismatch "is not valid for the name"
        [R R R R R] [N N N N N] [N N N N N] "RFC 9525, section 6";
    CommonName "has the name as its common name only"
        [A A R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.4.4: not allowed any more";
    CommonNameBesideOther "has the name as its common name only, and alternative names of another kind, or two common names"
        [A R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.4.4: not allowed any more";
    WildcardBeforeText "has a wildcard before the rest of a label"
        [A A R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    WildcardAfterText "has a wildcard after the rest of a label"
        [A R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    WildcardElsewhere "has a wildcard inside of a label or in another label than the first"
        [R R R A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    TopLevelWildcard "has a wildcard for a top-level domain"
        [R R A A R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    BareWildcard "has a wildcard for all names"
        [R R A R R] [N N N N N] [N N N N N] "RFC 9525, section 6.3";
    PublicSuffixWildcard "has a wildcard for a public suffix"
        [A A A A R] [N N N N N] [N N N N N] "Chromium: Public Suffix List";
    NameWithDot "has the name with a trailing dot"
        [R R R R A] [N N N N N] [N N N N N] "RFC 5280, section 4.2.1.6: preferred name syntax";
    Underscore "has the name with an underscore"
        [A A A R A] [N N N N N] [N N N N N] "Java's SNIHostName and DNSName";
    UnderscoreBelowWildcard "has a wildcard for a name with an underscore"
        [R A A R A] [N N N N N] [N N N N N] "OpenSSL's X509_check_host: letters, digits and hyphens";
    MappedAddress "has the address as an IPv6 address with the IPv4 address inside"
        [R R A A R] [N N N N N] [N N N N N] "RFC 4291, section 2.5.5.2";

    // The chain as a whole. What is below is a property of the chain: see `is_of_chain`.
    ManyServed "has more than ten certificates"
        [A A A R A] [N N N N N] [N N N N N] "Java: jdk.tls.maxCertificateChainLength";
    UnrelatedVersion "has a certificate beside the path of an X.509 version that there is not, or with extensions before version 3"
        [A A R R A] [N N N N N] [N N N N N] "Go and Java read every certificate of the handshake";
    OtherPathFirst "leads to another path first, which is not valid"
        [R R A A A] [N N N N N] [N N N N N] "OpenSSL and GnuTLS take the first issuer that fits by name and key identifier";
    StoredLeaf "has a leaf that is in the trust store itself and that another authority issued"
        [R R A A R] [N N N N N] [N N N N N] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";
    StoredLeafAlone "is a leaf alone that is in the trust store itself and that another authority issued"
        [R A A A R] [N N N N N] [N N N N N] "OpenSSL: X509_V_FLAG_PARTIAL_CHAIN is not set";
    StoredLeafNoAuthority "is a self-signed leaf that is in the trust store itself and is no certificate authority"
        [A A A A R] [N N N N N] [N N N N N] "Chromium: a trust anchor is an authority";
}

/// What a client does with a path that has these traits.
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

/// The row of a property.
pub(super) fn rule(property: Property) -> Option<&'static Rule> {
    // The rows are in the order of the enum.
    RULES.get(property as usize)
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

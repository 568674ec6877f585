//! The modelled clients, and the reasons for which they refuse a chain.

use std::fmt;

use serde::Serialize;

/// The position in a path that a trait concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TraitPosition {
    /// The server's own certificate.
    #[default]
    Leaf,
    /// A certificate between the leaf and the trust anchor.
    Intermediate,
    /// The trust anchor.
    Root,
    /// A served certificate that is not in the path, such as a copy of the root.
    Beside,
    /// The served chain as a whole.
    Chain,
}

impl TraitPosition {
    /// Returns its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Intermediate => "intermediate",
            Self::Root => "root",
            Self::Beside => "beside",
            Self::Chain => "chain",
        }
    }
}

/// A property of a path on which the decision of some client depends, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Trait {
    /// The certificate that has the property.
    pub place: TraitPosition,
    /// The property.
    pub property: Property,
}

impl Trait {
    /// Returns true if a client that refuses the trait refuses only the kind of the leaf's key.
    pub fn is_of_leaf_key(self) -> bool {
        self.place == TraitPosition::Leaf
            && matches!(
                self.property,
                Property::Ed25519 | Property::Ed448 | Property::P521 | Property::RsaPssKey
            )
    }
}

/// A modelled client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    /// OpenSSL's library with its defaults, as `openssl s_client` uses it.
    Openssl,
    /// GnuTLS with the priority NORMAL, as `gnutls-cli` uses it.
    Gnutls,
    /// Go's crypto/tls.
    Go,
    /// Java's default trust manager.
    Java,
    /// Chromium.
    Chromium,
    /// rustls with webpki.
    Rustls,
}

impl Client {
    /// Every client, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Openssl,
        Self::Gnutls,
        Self::Go,
        Self::Java,
        Self::Chromium,
        Self::Rustls,
    ];

    /// Returns the name in JSON and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Openssl => "openssl",
            Self::Gnutls => "gnutls",
            Self::Go => "go",
            Self::Java => "java",
            Self::Chromium => "chromium",
            Self::Rustls => "rustls",
        }
    }

    /// Returns the display name.
    pub fn title(self) -> &'static str {
        match self {
            Self::Openssl => "OpenSSL",
            Self::Gnutls => "GnuTLS",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::Chromium => "Chromium",
            Self::Rustls => "rustls",
        }
    }
}

/// The reason for which a client refuses a chain.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    /// The trait of the path that it refuses, if the trait is in the table.
    #[serde(rename = "trait")]
    pub of: Option<Trait>,
    /// The reason as text: one clause.
    pub reason: String,
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self { of: None, reason }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

macro_rules! properties {
    ($($property:ident $meaning:literal;)+) => {
        /// A property of a certificate in a path, or of the chain, on which the decision of some
        /// client depends. The table of the client models has a row for each, in this order.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Property { $(#[doc = $meaning] $property,)+ }

        impl Property {
            /// Returns a clause whose subject is the certificate or the chain: "has expired".
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$property => $meaning,)+ }
            }
        }
    };
}

properties! {
    // Time.
    Expired "has expired";
    NotYetValid "is not valid yet";
    StoredLeafExpired "is in the trust store itself and has expired";
    StoredLeafNotYetValid "is in the trust store itself and is not valid yet";
    UnreadableValidity "has a validity that cannot be read";
    UtcTimeWithoutSeconds "has a UTCTime without seconds";
    GeneralizedTimeWithoutSeconds "has a GeneralizedTime without seconds";
    TimeWithFraction "has a time with fractions of a second";
    TimeWithOffset "has a time with an offset from UTC";
    TimeWithoutZone "has a time without a time zone";

    // Authorities.
    NotCa "is no certificate authority (basicConstraints CA:FALSE)";
    NoBasicConstraints "is an issuer of X.509 version 3 without basicConstraints";
    NoBasicConstraintsOrKeyUsage "is an issuer of X.509 version 3 without basicConstraints and keyUsage";
    OldVersion "is an issuer of X.509 version 1 or 2";
    Version2 "is of X.509 version 2 and has no extensions";
    NoKeyCertSign "may not sign certificates (keyUsage without keyCertSign)";
    EmptyKeyUsage "has a keyUsage without any bit";
    PathLength "allows fewer intermediates below it (pathLenConstraint)";
    HugePathLength "has a pathLenConstraint that does not fit into 31 bits";
    PathLengthWithSelfIssued "allows fewer intermediates below it, if self-issued ones count (pathLenConstraint)";
    RootKeyIdsDiffer "names another key than its own as its issuer's";
    NotSelfIssued "is a trust anchor that another authority issued";

    // Usages.
    NotForServers "is not for TLS servers (extended key usage without serverAuth)";
    StoredLeafNotForServers "is in the trust store itself and is not for TLS servers (extended key usage without serverAuth)";
    EmptyExtendedKeyUsage "has an extended key usage that lists nothing";
    ServerGatedCrypto "has Server Gated Crypto as its extended key usage instead of serverAuth";
    AnyExtendedKeyUsage "has anyExtendedKeyUsage and not serverAuth";
    NoTlsKeyUsage "has a keyUsage that fits no key exchange of TLS";
    NoDigitalSignature "has a keyUsage without digitalSignature";
    NetscapeTypeNotServer "has a Netscape certificate type other than SSL server";
    NoKeyEncipherment "has a keyUsage without keyEncipherment, which a key exchange with its RSA key needs";
    MustStaple "demands a stapled OCSP response, and none is stapled";

    FeatureNotBelow "demands a TLS feature that a certificate below it does not list";

    // Names under name constraints.
    NameConstraint "does not allow a name of a certificate below it (nameConstraints)";
    DirectoryNotPermitted "does not permit a directoryName of a certificate below it (nameConstraints)";
    UriNotPermitted "does not permit a URI of a certificate below it (nameConstraints)";
    DirectoryConstraint "has a critical name constraint on directoryName";
    DirectoryExcluded "excludes a directoryName (critical nameConstraints)";
    UriConstraint "has a name constraint on URIs, and the leaf has one";
    HostlessUriConstrained "constrains URIs, and a URI of the leaf has no host (nameConstraints)";
    AddressUriConstrained "constrains URIs, and the host in a URI of the leaf is an address (nameConstraints)";
    UriExcluded "excludes URIs (nameConstraints), and the leaf has one";
    OtherNameConstraint "has a critical name constraint on otherName";
    RareConstraint "has a critical name constraint on x400Address, ediPartyName or registeredID";
    UnknownConstraint "has a name constraint on an unknown kind of name";
    OtherNameNotCompared "constrains otherNames, and a certificate below has one";
    NameNotCompared "constrains names of a kind that clients cannot compare, and a certificate below has one";
    EncodedMinimum "has a name constraint with a minimum of 0 that is written out";
    ConstraintDistance "has a name constraint with a minimum or a maximum";
    MaskWithGap "has an iPAddress constraint whose mask has a gap";
    BadAddressConstraint "has an iPAddress constraint of a wrong length";
    BadAddressConstraintOfAddress "has an iPAddress constraint of a wrong length, and the leaf has an address";
    AddressOutsideMask "has an iPAddress constraint with bits beyond its mask";
    EmptyDomainPermitted "permits the empty domain (nameConstraints)";
    UrlConstraint "has a name constraint on a URL instead of a host";
    DomainPermittedWithDot "permits a domain with a trailing dot (nameConstraints)";
    DomainExcludedWithDot "excludes a domain with a trailing dot (nameConstraints)";
    EmptyNameConstraints "has name constraints without any subtree";
    MalformedDnsNameConstrained "constrains domains, and a dNSName below is no host name";
    CommonNameNotAllowed "does not allow the leaf's common name, beside which it has no dNSName (nameConstraints)";
    CommonNameLabelNotAllowed "does not allow the leaf's common name, which is a single label, beside which it has no dNSName (nameConstraints)";
    CommonNameHostNotAllowed "does not allow the leaf's common name, which is an address or has an underscore, beside which it has no dNSName (nameConstraints)";
    CommonNameTextNotAllowed "does not allow the leaf's common name, which is no host name, beside which it has no dNSName (nameConstraints)";
    EmailNoIa5String "has name constraints, and the subject of a certificate below has an emailAddress that is no IA5String";
    EmailInSubjectNotAllowed "does not allow the emailAddress in the leaf's subject (nameConstraints)";
    NameSyntaxConstrained "has name constraints, and a dNSName or rfc822Name of the leaf has an invalid syntax";
    WildcardCoversExcluded "excludes a host that a wildcard below it covers (nameConstraints)";
    NameConstraintUnclear "has name constraints that cannot be compared with the names below";

    // Policies.
    NoValidPolicy "demands a certificate policy that the certificates of the path do not share";
    NoValidPolicyOfRoot "demands a certificate policy that the certificates below it do not share";
    PolicyConstraints "has critical policyConstraints";
    PolicyMappings "has critical policyMappings";
    InhibitAnyPolicy "has a critical inhibitAnyPolicy";
    AnyPolicyMapped "maps from or to anyPolicy (policyMappings)";
    DuplicatePolicy "has a certificate policy twice";
    EmptyPolicies "has a certificatePolicies extension without policies";

    // Extensions.
    UnknownCritical "has a critical extension that clients do not know";
    StoredLeafUnknownCritical "is in the trust store itself and has a critical extension that clients do not know";
    CriticalNetscapeType "has a critical Netscape certificate type";
    StoredLeafCriticalNetscapeType "is in the trust store itself and has a critical Netscape certificate type";
    CriticalDistributionPoints "has a critical cRLDistributionPoints extension";
    CriticalIssuerAltName "has a critical issuerAltName extension";
    CriticalInformationAccess "has a critical authorityInfoAccess or subjectInfoAccess extension";
    CriticalKeyIdentifier "has a critical key identifier extension";
    DuplicateExtension "has an extension twice";
    DuplicateUnknownExtension "has an extension twice that clients do not know";
    TrailingExtensionBytes "has bytes after the value of its basicConstraints or keyUsage extension";
    TrailingConstraintBytes "has bytes after the value of its nameConstraints extension";
    MalformedBasicConstraints "has a malformed basicConstraints extension";
    MalformedKeyUsage "has a malformed keyUsage extension";
    MalformedExtendedKeyUsage "has a malformed extKeyUsage extension";
    MalformedNameConstraints "has a malformed nameConstraints extension";
    MalformedPolicies "has a malformed certificatePolicies extension";
    MalformedPolicyMappings "has a malformed policyMappings extension";
    EmptyPolicyConstraints "has a policyConstraints extension without constraints";
    MalformedPolicyConstraints "has a malformed policyConstraints extension";
    MalformedInhibitAnyPolicy "has a malformed inhibitAnyPolicy extension";
    MalformedSubjectKeyIdentifier "has a malformed subjectKeyIdentifier extension";
    MalformedAuthorityKeyIdentifier "has a malformed authorityKeyIdentifier extension";
    MalformedSubjectAltName "has a malformed subjectAltName extension";
    MalformedDirectoryAltName "has a malformed directoryName in its subjectAltName extension";
    MalformedOtherName "has a malformed otherName or registeredID in its subjectAltName extension";
    UnknownAltName "has an unknown kind of name in its subjectAltName extension";
    NonAsciiAltName "has a name beyond ASCII, or an address of a wrong length, in its subjectAltName extension";
    EmptyDnsName "has an empty dNSName";
    EmptyAltName "has an empty rfc822Name or URI in its subjectAltName extension";
    EmptyCriticalAltName "has an empty rfc822Name or URI in a critical subjectAltName extension";
    UriWithoutScheme "has a URI without a scheme in a critical subjectAltName extension";
    MalformedUri "has a URI that cannot be parsed in its subjectAltName extension";
    MalformedInformationAccess "has a malformed authorityInfoAccess extension";
    MalformedIssuerAltName "has a malformed issuerAltName extension";
    MalformedNetscapeType "has a malformed Netscape certificate type";
    MalformedResources "has a malformed extension for IP addresses or AS numbers";
    ResourcesNotAbove "has IP addresses or AS numbers as resources, and an authority above it does not";
    ResourcesCompared "has IP addresses or AS numbers as resources, as the authorities above it do";
    ProxyCertificate "has a proxyCertInfo extension";
    UnnamedDistributionPoint "has a CRL distribution point without a name";
    MalformedDistributionPoints "has a malformed cRLDistributionPoints extension";
    UnreadableExtensions "has extensions that cannot be read";

    // Form.
    Unreadable "cannot be read";
    UnknownVersion "is of an X.509 version that there is not";
    ExtensionsBeforeVersion3 "has extensions and is not of X.509 version 3";
    EncodedDefaultVersion "has version 1 written out";
    EncodedNotCritical "has an extension with `critical: FALSE` written out";
    NonDerBoolean "has a BOOLEAN that is encoded as another number than 255";
    TrailingBytes "has bytes after its end";
    TrailingFields "has unknown fields at the end of its signed part";
    LongLength "has a length that is not encoded in the shortest form";
    UnusedBitsSet "has a keyUsage with unused bits that are set";
    LongPathLength "has a pathLenConstraint with leading zero octets";
    LongFormSerial "has a serial number with leading zero octets";
    EmptySerial "has a serial number without octets";
    AlgorithmMismatch "names two different signature algorithms";
    AlgorithmParametersDiffer "has two signature algorithm fields with different parameters";
    InvalidUtf8 "has invalid UTF-8 in its subject";
    InvalidBmp "has an invalid BMPString in its subject";
    InvalidPrintable "has characters in a PrintableString of its subject that are not allowed there";
    NoString "has a value in its subject that is no string";
    UniversalString "has a UniversalString in its subject";
    EmptyRdn "has an empty part in its subject";
    EmptyCaSubject "has an empty subject";
    EmptySubjectWithoutCriticalSan "has an empty subject and a subjectAltName extension that is not critical";

    // Names and key identifiers of issuers.
    NameEncoding "names its issuer in another encoding than the issuer does";
    NameLength "names its issuer with other lengths in the encoding than the issuer does";
    NameCase "names its issuer in other letters, spaces or order than the issuer does";
    NameCaseBeyondAscii "names its issuer in other letters beyond ASCII than the issuer does";
    NameInTeletex "names its issuer in a TeletexString or in another encoding than the issuer's TeletexString";
    NameInBmp "names its issuer in a BMPString or in another encoding than the issuer's BMPString";
    KeyIdentifier "names another key than the issuer's (authorityKeyIdentifier)";
    KeyIdentifierOfNone "names a key of its issuer, and the issuer's subjectKeyIdentifier is empty";
    KeyIdentifierIssuer "names another certificate of its issuer (authorityKeyIdentifier)";

    // Keys and signatures.
    TinyRsa "has an RSA key of fewer than 1024 bits";
    WeakRsa "has a weak RSA key";
    P192 "has a key on P-192";
    P224 "has a key on P-224";
    P521 "has a key on P-521";
    OtherCurve "has a key on a curve that few clients know";
    ExplicitCurve "has a key with explicit curve parameters";
    CompressedPoint "has an EC key in compressed form";
    Ed25519 "has an Ed25519 key";
    Ed448 "has an Ed448 key";
    RsaPssKey "has an RSA key for RSASSA-PSS only";
    RsaWithoutNull "has an RSA key whose algorithm lacks the NULL parameter";
    UnusedKeyBits "has a public key with unused bits";
    ExponentOfOne "has an RSA key with the exponent 1";
    LongExponent "has an RSA key with an exponent of more than 33 bits";
    HugeExponent "has an RSA key with an exponent of more than 63 bits";
    TrailingKeyBytes "has an RSA key with bytes after its end";
    Dsa "has a DSA key";
    OtherKey "has a key of a kind that clients do not know";
    Md5Signature "is signed with MD5";
    Sha1Signature "is signed with SHA-1";
    Sha224Signature "is signed with SHA-224";
    Sha3Signature "is signed with RSA and SHA-3";
    EcdsaSha3 "is signed with ECDSA and SHA-3";
    TruncatedSha512Signature "is signed with SHA-512/256";
    PssSalt "is signed with RSASSA-PSS and a salt that is not as long as the hash";
    PssHashes "is signed with RSASSA-PSS and two different hashes";
    PssRareHash "is signed with RSASSA-PSS and SHA-224, SHA-512/256 or SHA-3";
    PssTrailer "is signed with RSASSA-PSS whose trailer field is written out";
    EcdsaWithNull "is signed with ECDSA whose algorithm has a NULL parameter";
    UnknownSignature "is signed with an unknown algorithm";
    Unverifiable "is signed in a way that certvigil cannot verify";

    // Host names.
    NameMismatch "is not valid for the name";
    CommonName "has the name as its common name only";
    CommonNameBesideOther "has the name as its common name only, and alternative names of another kind, or two common names";
    WildcardBeforeText "has a wildcard before the rest of a label";
    WildcardAfterText "has a wildcard after the rest of a label";
    WildcardElsewhere "has a wildcard inside of a label or in another label than the first";
    TopLevelWildcard "has a wildcard for a top-level domain";
    BareWildcard "has a wildcard for all names";
    PublicSuffixWildcard "has a wildcard for a public suffix";
    NameWithDot "has the name with a trailing dot";
    Underscore "has the name with an underscore";
    UnderscoreBelowWildcard "has a wildcard for a name with an underscore";
    HyphenAtEnd "has a name with a hyphen at the end of a label";
    MappedAddress "has the address as an IPv6 address with the IPv4 address inside";

    // The chain as a whole. All properties from here on are properties of the chain: see
    // `is_of_chain`.
    ManyServed "has more than ten certificates";
    MoreServed "has more than sixteen certificates";
    LargeMessage "has more than 32768 octets";
    LargeMessage64 "has more than 65536 octets";
    LargeMessage100 "has more than 102400 octets";
    LargeMessage128 "has more than 131072 octets";
    EmptyEntry "has an empty entry between or after its certificates";
    UnreadableEntry "has an entry that is no readable certificate";
    OtherPathFirst "leads to another path first, which is not valid";
    StoredLeaf "has a leaf that is in the trust store itself and that another authority issued";
    StoredLeafAlone "is a leaf alone that is in the trust store itself and that another authority issued";
    StoredLeafNoAuthority "is a self-signed leaf that is in the trust store itself and is no certificate authority";
}

//! Deviations of a certificate from RFC 5280, as data.

use std::fmt;

use serde::Serialize;

/// A deviation from RFC 5280 or from the CA/Browser Forum's requirements. `Display` writes a clause
/// whose subject is the certificate ("its serial number is negative").
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", content = "value", rename_all = "snake_case")]
pub enum Oddity {
    /// Bytes after the end of the outer SEQUENCE.
    TrailingBytes,
    /// Bytes after the last field of a part that ends with a defined field.
    TrailingFields(Part),
    /// X.509 version other than 3: the encoded value plus one (RFC 5280, section 4.1.2.1).
    Version(u8),
    /// A version that is not a small unsigned INTEGER.
    UnreadableVersion,
    /// A certificate with extensions whose version is not 3 (RFC 5280, section 4.1.2.9).
    ExtensionsBeforeVersion3(u8),
    /// `issuerUniqueID` or `subjectUniqueID`, which RFC 5280, section 4.1.2.8, forbids.
    UniqueIdentifiers,
    /// A signature algorithm in the signed part that differs from the outer one (RFC 5280, section
    /// 4.1.1.2).
    SignatureAlgorithmsDiffer,
    /// Parameters of the signature algorithm in the signed part that differ from the outer ones.
    SignatureParametersDiffer,
    /// A negative serial number (RFC 5280, section 4.1.2.2).
    NegativeSerial,
    /// The serial number zero (RFC 5280, section 4.1.2.2).
    ZeroSerial,
    /// A serial number of more than 20 octets (RFC 5280, section 4.1.2.2).
    LongSerial,
    /// A length with more octets than it needs (X.690, section 10.1).
    LongLength,
    /// A BIT STRING with unused bits that are set (X.690, section 11.2.1): the keyUsage extension.
    UnusedBitsSet,
    /// A public key whose number of bits is not a multiple of 8.
    UnusedKeyBits,
    /// An otherName or registeredID whose value is malformed (RFC 5280, section 4.2.1.6).
    MalformedOtherName,
    /// A distribution point without a name and without an issuer (RFC 5280, section 4.2.1.13).
    UnnamedDistributionPoint,
    /// An INTEGER with superfluous leading octets, or without any (X.690, section 8.3.2).
    NonMinimalInteger(Part),
    /// A name that cannot be read at all.
    UnreadableName(NameOf),
    /// A name with a part that cannot be read.
    PartlyUnreadableName(NameOf),
    /// A name with an empty RelativeDistinguishedName (X.501: `SET SIZE (1..MAX)`).
    EmptyRdn(NameOf),
    /// A value whose bytes are not allowed in its string type, such as invalid UTF-8: the name and
    /// the string type.
    InvalidString(NameOf, &'static str),
    /// A TeletexString, BMPString or UniversalString, which RFC 5280, section 4.1.2.4, forbids in
    /// new names.
    ObsoleteString(NameOf, &'static str),
    /// A value that is not a string.
    NoString(NameOf),
    /// An issuer without attributes (RFC 5280, section 4.1.2.4).
    EmptyIssuer,
    /// A CA certificate with an empty subject (RFC 5280, section 4.1.2.6).
    EmptyCaSubject,
    /// A notBefore or notAfter that cannot be read.
    UnreadableValidity,
    /// A notAfter before notBefore.
    EndsBeforeItBegins,
    /// A GeneralizedTime before 2050, where RFC 5280, section 4.1.2.5, requires UTCTime.
    GeneralizedTimeBefore2050,
    /// A time without seconds.
    TimeWithoutSeconds,
    /// A time with fractions of a second.
    TimeWithFraction,
    /// A time with an offset from UTC.
    TimeWithOffset,
    /// A time without the `Z` that means UTC.
    TimeWithoutZone,
    /// A time before 1970, which some clients cannot read.
    TimeBefore1970,
    /// A signature whose number of bits is not a multiple of 8.
    MalformedSignature,
    /// A public key that cannot be read.
    UnreadableKey,
    /// An RSA modulus or exponent encoded as a negative INTEGER.
    NegativeModulus,
    /// An RSA exponent of 1, with which every signature is valid.
    ExponentOfOne,
    /// Explicit elliptic curve parameters instead of a named curve (RFC 5480, section 2.1.1).
    ExplicitCurve,
    /// No subject alternative name.
    NoSan,
    /// No subject alternative name that a client could compare with a host (RFC 9525, section 6.2):
    /// the names.
    NoHostInSan(String),
    /// An extension list that cannot be read to the end.
    UnreadableExtensions,
    /// An entry of the extension list that cannot be read, including its object identifier.
    UnreadableExtensionEntry,
    /// An extension whose value cannot be read, by its object identifier in dotted form.
    UnreadableExtension(String),
    /// An extension that occurs more than once (RFC 5280, section 4.2), by its object identifier in
    /// dotted form.
    DuplicateExtension(String),
    /// A critical extension that clients do not know, by its object identifier in dotted form.
    UnknownCriticalExtension(String),
    /// An extension that must not be critical but is, by name.
    Critical(&'static str),
    /// An extension that must be critical but is not, by name.
    NotCritical(&'static str),
    /// A subject alternative name that is not critical although the subject is empty (RFC 5280,
    /// section 4.2.1.6).
    SanNotCriticalWithEmptySubject,
    /// A critical subject alternative name although the subject is not empty (RFC 5280, section
    /// 4.2.1.6).
    SanCriticalWithSubject,
    /// A dNSName that is an IP address. No client compares it with an address.
    AddressInDnsName(String),
    /// A dNSName that is not a host name.
    MalformedDnsName(String),
    /// A wildcard that is not the whole left-most label (RFC 9525, section 6.3).
    MisplacedWildcard(String),
    /// An rfc822Name or a uniformResourceIdentifier with characters beyond ASCII.
    NonAsciiName(String),
    /// An iPAddress that is neither 4 nor 16 octets long.
    MalformedAddress,
    /// An underscore in a dNSName (Baseline Requirements, section 7.1.4.2.1).
    UnderscoreInDnsName(String),
    /// A common name that is not among the subject alternative names (Baseline Requirements,
    /// section 7.1.4.3).
    CommonNameNotInSan(String),
    /// An extension that is required but missing, by name.
    Missing(&'static str),
    /// An extension that is not allowed in this kind of certificate, by name.
    NotAllowed(&'static str),
    /// An authorityKeyIdentifier without keyIdentifier (RFC 5280, section 4.2.1.1).
    AuthorityKeyIdWithoutKey,
    /// An authorityKeyIdentifier with authorityCertIssuer or authorityCertSerialNumber (Baseline
    /// Requirements, section 7.1.2.11.1).
    AuthorityKeyIdWithIssuer,
    /// A self-issued authority whose authorityKeyIdentifier differs from its subjectKeyIdentifier.
    KeyIdsDiffer,
    /// A self-issued authority with an extended key usage (Baseline Requirements, section 7.1.2.1.2).
    ExtendedKeyUsageInRoot,
    /// A wildcard for a whole top-level domain, such as `*.com`.
    WildcardBelowTopLevel(String),
    /// The usage anyExtendedKeyUsage (Baseline Requirements, section 7.1.2.7.10).
    AnyExtendedKeyUsage,
    /// An RSA modulus whose number of bits is not a multiple of 8 (Baseline Requirements, section
    /// 6.1.5).
    OddModulusSize(usize),
    /// A NULL parameter in an ECDSA signature algorithm (RFC 5758, section 3.2).
    EcdsaWithNull,
    /// An encoded default value (X.690, section 11.5): the field.
    EncodedDefault(&'static str),
    /// A BOOLEAN that is encoded neither as 0 nor as 255 (X.690, section 11.1).
    NonDerBoolean,
    /// A keyUsage with keyCertSign in a certificate that is not a CA's (RFC 5280, section 4.2.1.9).
    CertSignWithoutCa,
}

/// The browsers' rules for public authorities.
const BASELINE: &str = "CA/Browser Forum Baseline Requirements";

impl Oddity {
    /// Returns true for a rule of the CA/Browser Forum, which does not bind a private authority.
    pub fn concerns_public_authorities(&self) -> bool {
        self.rule() == BASELINE
    }

    /// Returns true for alternative names with which no client finds a host.
    pub fn is_of_no_host(&self) -> bool {
        matches!(self, Self::NoSan | Self::NoHostInSan(_))
    }

    /// Returns the rule that the certificate breaks.
    pub fn rule(&self) -> &'static str {
        match self {
            Self::TrailingBytes
            | Self::TrailingFields(_)
            | Self::UnreadableExtensions
            | Self::UnreadableExtensionEntry
            | Self::MalformedSignature
            | Self::UnreadableName(_)
            | Self::PartlyUnreadableName(_) => "RFC 5280, section 4.1",
            Self::Version(_) | Self::UnreadableVersion => "RFC 5280, section 4.1.2.1",
            Self::ExtensionsBeforeVersion3(_) => "RFC 5280, section 4.1.2.9",
            Self::UniqueIdentifiers => "RFC 5280, section 4.1.2.8",
            Self::SignatureAlgorithmsDiffer | Self::SignatureParametersDiffer => {
                "RFC 5280, section 4.1.1.2"
            }
            Self::NegativeSerial | Self::ZeroSerial | Self::LongSerial => {
                "RFC 5280, section 4.1.2.2"
            }
            Self::LongLength => "X.690, section 10.1",
            Self::UnusedBitsSet => "X.690, section 11.2.1",
            Self::UnnamedDistributionPoint => "RFC 5280, section 4.2.1.13",
            Self::NonMinimalInteger(_) | Self::NegativeModulus => "X.690, section 8.3",
            Self::EmptyRdn(_)
            | Self::InvalidString(..)
            | Self::NoString(_)
            | Self::ObsoleteString(..)
            | Self::EmptyIssuer => "RFC 5280, section 4.1.2.4",
            Self::EmptyCaSubject => "RFC 5280, section 4.1.2.6",
            Self::UnreadableValidity
            | Self::EndsBeforeItBegins
            | Self::GeneralizedTimeBefore2050
            | Self::TimeWithoutSeconds
            | Self::TimeWithFraction
            | Self::TimeWithOffset
            | Self::TimeWithoutZone
            | Self::TimeBefore1970 => "RFC 5280, section 4.1.2.5",
            Self::UnreadableKey | Self::UnusedKeyBits => "RFC 5280, section 4.1.2.7",
            Self::ExplicitCurve => "RFC 5480, section 2.1.1",
            Self::Missing("extKeyUsage") | Self::Critical("extKeyUsage") => BASELINE,
            Self::UnreadableExtension(_)
            | Self::DuplicateExtension(_)
            | Self::UnknownCriticalExtension(_)
            | Self::Critical(_)
            | Self::NotCritical(_)
            | Self::Missing(_)
            | Self::NotAllowed(_) => "RFC 5280, section 4.2",
            Self::AuthorityKeyIdWithoutKey | Self::KeyIdsDiffer => "RFC 5280, section 4.2.1.1",
            Self::ExponentOfOne => "RFC 8017, section 3.1",
            Self::EcdsaWithNull => "RFC 5758, section 3.2",
            Self::EncodedDefault(_) => "X.690, section 11.5",
            Self::NonDerBoolean => "X.690, section 11.1",
            Self::NoSan
            | Self::NoHostInSan(_)
            | Self::SanNotCriticalWithEmptySubject
            | Self::SanCriticalWithSubject
            | Self::AddressInDnsName(_)
            | Self::MalformedDnsName(_)
            | Self::NonAsciiName(_)
            | Self::MalformedOtherName
            | Self::MalformedAddress => "RFC 5280, section 4.2.1.6",
            Self::MisplacedWildcard(_) => "RFC 9525, section 6.3",
            Self::CertSignWithoutCa => "RFC 5280, section 4.2.1.9",
            Self::UnderscoreInDnsName(_)
            | Self::CommonNameNotInSan(_)
            | Self::AuthorityKeyIdWithIssuer
            | Self::ExtendedKeyUsageInRoot
            | Self::WildcardBelowTopLevel(_)
            | Self::AnyExtendedKeyUsage
            | Self::OddModulusSize(_) => BASELINE,
        }
    }
}

/// The subject or the issuer of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NameOf {
    /// The subject.
    Subject,
    /// The issuer.
    Issuer,
}

/// A part of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The outer SEQUENCE, after the signature.
    Certificate,
    /// The signed part, `TBSCertificate`.
    SignedPart,
    /// The version.
    Version,
    /// The serial number.
    Serial,
    /// The RSA modulus.
    Modulus,
    /// The pathLenConstraint.
    PathLength,
    /// The RSA public key.
    PublicKey,
}

impl fmt::Display for NameOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Subject => "subject",
            Self::Issuer => "issuer",
        })
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "outer sequence",
            Self::SignedPart => "signed part",
            Self::Version => "version",
            Self::Serial => "serial number",
            Self::Modulus => "RSA modulus",
            Self::PathLength => "pathLenConstraint",
            Self::PublicKey => "RSA public key",
        })
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrailingBytes => f.write_str("there are bytes after its end"),
            Self::TrailingFields(part) => {
                write!(f, "there are unknown fields at the end of its {part}")
            }
            Self::Version(version) => write!(f, "it is X.509 version {version}, not 3"),
            Self::UnreadableVersion => f.write_str("its X.509 version cannot be read"),
            Self::ExtensionsBeforeVersion3(version) => {
                write!(
                    f,
                    "it has extensions although it is X.509 version {version}"
                )
            }
            Self::UniqueIdentifiers => {
                f.write_str("it has a unique identifier besides its subject or issuer")
            }
            Self::SignatureParametersDiffer => {
                f.write_str("the parameters of its two signature algorithm fields differ")
            }
            Self::SignatureAlgorithmsDiffer => {
                f.write_str("its two signature algorithm fields differ")
            }
            Self::NegativeSerial => f.write_str("its serial number is negative"),
            Self::ZeroSerial => f.write_str("its serial number is zero"),
            Self::LongSerial => f.write_str("its serial number is longer than 20 octets"),
            Self::LongLength => f.write_str("a length in it is not encoded in the shortest form"),
            Self::UnusedBitsSet => f.write_str("unused bits of its key usage are set"),
            Self::UnusedKeyBits => {
                f.write_str("the number of bits of its public key is no multiple of 8")
            }
            Self::MalformedOtherName => {
                f.write_str("it has an otherName or registeredID that cannot be read")
            }
            Self::UnnamedDistributionPoint => {
                f.write_str("it has a CRL distribution point without a name")
            }
            Self::NonMinimalInteger(part) => {
                write!(f, "its {part} is not encoded in the shortest form")
            }
            Self::UnreadableName(name) => write!(f, "its {name} cannot be read"),
            Self::PartlyUnreadableName(name) => write!(f, "a part of its {name} cannot be read"),
            Self::EmptyRdn(name) => write!(f, "a part of its {name} is empty"),
            Self::InvalidString(name, _) => {
                write!(
                    f,
                    "its {name} has bytes that its string type does not allow"
                )
            }
            Self::ObsoleteString(name, kind) => {
                write!(f, "its {name} has a {kind}, which is obsolete")
            }
            Self::NoString(name) => {
                write!(f, "its {name} has a value that is no string")
            }
            Self::EmptyIssuer => f.write_str("its issuer is empty"),
            Self::EmptyCaSubject => {
                f.write_str("it is a certificate authority's and its subject is empty")
            }
            Self::UnreadableValidity => f.write_str("its validity cannot be read"),
            Self::EndsBeforeItBegins => f.write_str("its notAfter is before its notBefore"),
            Self::GeneralizedTimeBefore2050 => {
                f.write_str("it has a GeneralizedTime before 2050, where UTCTime is required")
            }
            Self::TimeWithoutSeconds => f.write_str("it has a time without seconds"),
            Self::TimeWithFraction => f.write_str("it has a time with fractions of a second"),
            Self::TimeWithOffset => f.write_str("it has a time with an offset from UTC"),
            Self::TimeWithoutZone => f.write_str("it has a time without a time zone"),
            Self::TimeBefore1970 => f.write_str("it has a time before 1970"),
            Self::MalformedSignature => f.write_str("its signature is malformed"),
            Self::UnreadableKey => f.write_str("its public key cannot be read"),
            Self::NegativeModulus => f.write_str("its RSA key is encoded as a negative number"),
            Self::ExplicitCurve => {
                f.write_str("its key has explicit curve parameters instead of a curve's name")
            }
            Self::NoSan => f.write_str("it has no subject alternative name"),
            Self::NoHostInSan(names) => write!(
                f,
                "none of its subject alternative names is a host name or an address: {names}"
            ),
            Self::UnreadableExtensions => f.write_str("its extensions cannot be read"),
            Self::UnreadableExtensionEntry => f.write_str("one of its extensions cannot be read"),
            Self::UnreadableExtension(oid) => write!(f, "its extension {oid} cannot be read"),
            Self::DuplicateExtension(oid) => write!(f, "its extension {oid} occurs more than once"),
            Self::UnknownCriticalExtension(oid) => {
                write!(f, "its extension {oid} is critical and not widely known")
            }
            Self::Critical(name) => write!(f, "its extension {name} is critical"),
            Self::NotCritical(name) => write!(f, "its extension {name} is not critical"),
            Self::SanNotCriticalWithEmptySubject => {
                f.write_str("its subject is empty and its subject alternative name is not critical")
            }
            Self::SanCriticalWithSubject => f.write_str(
                "its subject alternative name is critical although its subject is not empty",
            ),
            Self::AddressInDnsName(name) => {
                write!(
                    f,
                    "the IP address {name} is in a dNSName instead of an iPAddress"
                )
            }
            Self::MalformedDnsName(name) => write!(f, "its dNSName `{name}` is no host name"),
            Self::MisplacedWildcard(name) => write!(
                f,
                "the wildcard of its dNSName `{name}` is not the whole left-most label"
            ),
            Self::NonAsciiName(name) => {
                write!(
                    f,
                    "its alternative name `{name}` has characters beyond ASCII"
                )
            }
            Self::MalformedAddress => {
                f.write_str("it has an iPAddress that is neither 4 nor 16 octets long")
            }
            Self::UnderscoreInDnsName(name) => {
                write!(f, "its dNSName `{name}` has an underscore")
            }
            Self::CommonNameNotInSan(name) => {
                write!(
                    f,
                    "its common name `{name}` is none of its subject alternative names"
                )
            }
            Self::Missing(name) => write!(f, "it has no extension {name}"),
            Self::NotAllowed(name) => {
                write!(
                    f,
                    "it has the extension {name}, which only certificate authorities may have"
                )
            }
            Self::AuthorityKeyIdWithoutKey => {
                f.write_str("its authorityKeyIdentifier has no keyIdentifier")
            }
            Self::AuthorityKeyIdWithIssuer => {
                f.write_str("its authorityKeyIdentifier has an issuer or a serial number")
            }
            Self::KeyIdsDiffer => f.write_str(
                "it is self-issued and its authorityKeyIdentifier is not its subjectKeyIdentifier",
            ),
            Self::ExtendedKeyUsageInRoot => f.write_str(
                "it is a self-issued certificate authority's and has an extended key usage",
            ),
            Self::WildcardBelowTopLevel(name) => {
                write!(
                    f,
                    "its dNSName `{name}` is a wildcard for a top-level domain"
                )
            }
            Self::ExponentOfOne => f.write_str("the exponent of its RSA key is 1"),
            Self::EcdsaWithNull => {
                f.write_str("its ECDSA signature algorithm has a NULL parameter")
            }
            Self::EncodedDefault(field) => {
                write!(f, "it has the default value of {field} written out")
            }
            Self::NonDerBoolean => {
                f.write_str("it has a BOOLEAN that is encoded as another number than 255")
            }
            Self::AnyExtendedKeyUsage => {
                f.write_str("its extended key usage has anyExtendedKeyUsage")
            }
            Self::OddModulusSize(bits) => {
                write!(
                    f,
                    "the size of its RSA key, {bits} bits, is no multiple of 8"
                )
            }
            Self::CertSignWithoutCa => f.write_str(
                "its key usage has keyCertSign although it is no certificate authority's",
            ),
        }
    }
}

//! What clients do with a served certificate that is not in the path, such as a copy of the root.
//! OpenSSL, GnuTLS, Go and Java read every certificate of the handshake, each as far as its parser
//! goes; Chromium and rustls read only those of the path.

use crate::finding::Property;

use super::rules::{Effect, Effects};

use Effect::{Accepts as A, Refuses as R, Unknown as U};

/// The properties of a certificate beside the path for which some client refuses the handshake, in
/// the order of the rules, with the effects in their order. Measured with the clients.
pub const BESIDE: &[(Property, Effects)] = &[
    (Property::UnreadableValidity, [A, R, R, R, A]),
    (Property::GeneralizedTimeWithoutSeconds, [A, A, R, A, A]),
    (Property::TimeWithFraction, [A, R, R, A, A]),
    (Property::TimeWithOffset, [A, R, R, A, A]),
    (Property::TimeWithoutZone, [A, R, R, R, A]),
    (Property::HugePathLength, [A, A, A, R, A]),
    (Property::MustStaple, [A, R, A, A, A]),
    (Property::UnknownConstraint, [A, A, A, R, A]),
    (Property::MaskWithGap, [A, A, R, A, A]),
    (Property::BadAddressConstraint, [A, A, R, U, A]),
    (Property::BadAddressConstraintOfAddress, [A, A, R, U, A]),
    (Property::UrlConstraint, [A, A, A, R, A]),
    (Property::DomainPermittedWithDot, [A, A, R, A, A]),
    (Property::DomainExcludedWithDot, [A, A, R, A, A]),
    (Property::EmptyNameConstraints, [A, A, R, A, A]),
    (Property::DuplicateExtension, [A, R, R, R, A]),
    (Property::DuplicateUnknownExtension, [A, R, R, R, A]),
    (Property::TrailingExtensionBytes, [A, A, A, R, A]),
    (Property::TrailingConstraintBytes, [A, A, R, R, A]),
    (Property::MalformedBasicConstraints, [A, A, R, R, A]),
    (Property::MalformedKeyUsage, [A, A, R, R, A]),
    (Property::MalformedExtendedKeyUsage, [A, A, R, A, A]),
    (Property::MalformedNameConstraints, [A, A, R, R, A]),
    (Property::MalformedPolicies, [A, A, R, A, A]),
    (Property::MalformedPolicyConstraints, [A, A, A, R, A]),
    (Property::MalformedInhibitAnyPolicy, [A, A, A, R, A]),
    (Property::MalformedSubjectKeyIdentifier, [A, A, R, A, A]),
    (Property::MalformedAuthorityKeyIdentifier, [A, A, R, A, A]),
    (Property::MalformedSubjectAltName, [A, R, R, A, A]),
    (Property::MalformedDirectoryAltName, [A, R, A, A, A]),
    (Property::MalformedOtherName, [A, R, A, A, A]),
    (Property::UnknownAltName, [A, R, A, A, A]),
    (Property::NonAsciiAltName, [A, A, R, A, A]),
    (Property::EmptyDnsName, [A, R, A, A, A]),
    (Property::EmptyAltName, [A, R, A, A, A]),
    (Property::EmptyCriticalAltName, [A, R, A, R, A]),
    (Property::UriWithoutScheme, [A, A, A, R, A]),
    (Property::MalformedUri, [A, A, R, A, A]),
    (Property::MalformedInformationAccess, [A, A, R, A, A]),
    (Property::MalformedIssuerAltName, [A, R, A, A, A]),
    (Property::MalformedDistributionPoints, [A, A, R, A, A]),
    (Property::UnreadableExtensions, [R, R, R, R, A]),
    (Property::UnknownVersion, [A, A, R, R, A]),
    (Property::ExtensionsBeforeVersion3, [A, R, A, R, A]),
    (Property::NonDerBoolean, [A, A, R, A, A]),
    (Property::TrailingBytes, [R, R, R, A, A]),
    (Property::TrailingFields, [R, R, A, A, A]),
    (Property::LongLength, [A, A, R, A, A]),
    (Property::UnusedBitsSet, [A, A, R, A, A]),
    (Property::LongPathLength, [A, A, R, A, A]),
    (Property::LongFormSerial, [R, A, R, A, A]),
    (Property::EmptySerial, [R, A, R, R, A]),
    (Property::AlgorithmMismatch, [A, R, R, R, A]),
    (Property::AlgorithmParametersDiffer, [A, A, R, A, A]),
    (Property::InvalidUtf8, [R, A, R, A, A]),
    (Property::InvalidBmp, [R, A, R, A, A]),
    (Property::InvalidPrintable, [A, A, R, A, A]),
    (Property::NoString, [R, A, R, A, A]),
    (Property::UniversalString, [A, A, R, A, A]),
    (Property::EmptyCaSubject, [A, A, A, R, A]),
    (Property::P192, [A, A, R, A, A]),
    (Property::OtherCurve, [A, A, R, A, A]),
    (Property::ExplicitCurve, [A, A, R, R, A]),
    (Property::CompressedPoint, [A, A, R, R, A]),
    (Property::RsaWithoutNull, [A, A, R, A, A]),
    (Property::UnusedKeyBits, [A, A, R, A, A]),
    (Property::ExponentOfOne, [A, A, A, R, A]),
    (Property::HugeExponent, [A, A, R, A, A]),
    (Property::TrailingKeyBytes, [A, A, A, R, A]),
];

/// Returns true if some client refuses a certificate with this property beside the path.
pub(super) fn is_refused(property: Property) -> bool {
    BESIDE.iter().any(|(known, _)| *known == property)
}

/// Returns the effects of a property of a certificate beside the path.
pub(super) fn effects(property: Property) -> &'static Effects {
    const NONE: Effects = [A, A, A, A, A];
    let mut known = BESIDE.iter();
    known
        .find(|(known, _)| *known == property)
        .map_or(&NONE, |(_, effects)| effects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_the_order_of_the_properties_and_refuse() {
        let mut pairs = BESIDE.iter().zip(BESIDE.iter().skip(1));
        assert!(pairs.all(|((one, _), (next, _))| (*one as usize) < *next as usize));
        let mut all = BESIDE.iter();
        assert!(all.all(|(_, effects)| effects.contains(&Effect::Refuses)));
    }
}

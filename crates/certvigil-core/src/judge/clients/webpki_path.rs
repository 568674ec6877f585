//! The model of rustls: webpki itself, with which rustls validates paths.

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::certificate::{Certificate, Key, Remembering, printable, rsa};
use crate::finding::{Property, Refusal, TraitPosition};
use crate::model::Hostname;

use super::{Examined, Opinion, Presented};

/// Maximum served certificates that are passed to webpki. It follows every branch of a path, so a
/// maze of cross-certificates could take minutes.
const MAX_GIVEN: usize = 16;
/// Maximum octets of a Certificate message that rustls reads: its buffer has 65535 octets, some of
/// which the headers of the message and of its records take.
const MAX_MESSAGE: usize = 65_421;

/// Returns rustls' opinion on a served chain.
pub(super) fn opinion(presented: &Presented<'_>, paths: &[Examined<'_>]) -> Opinion {
    // The path may be valid, but rustls has no signature scheme for such a key.
    let mut traits = paths.iter().flat_map(|examined| &examined.traits);
    if let Some((of, words)) =
        traits.find(|(of, _)| of.place == TraitPosition::Leaf && is_of_no_scheme(of.property))
    {
        return Opinion::Refuses(Refusal {
            of: Some(*of),
            reason: words.clone(),
        });
    }
    if !is_verifiable(presented.leaf) {
        return Opinion::Refuses(OTHER_RSA.to_owned().into());
    }
    if presented.message_bytes() > MAX_MESSAGE {
        return Opinion::Refuses(LARGE_MESSAGE.to_owned().into());
    }
    if presented.rest.len() > MAX_GIVEN {
        return Opinion::Unknown;
    }
    match verify(presented) {
        Ok(()) => Opinion::Accepts,
        Err(error) => Opinion::Refuses(describe(&error).into()),
    }
}

const OTHER_RSA: &str =
    "rustls verifies only with RSA keys of 2048 to 8192 bits and exponents of at most 33 bits";

const LARGE_MESSAGE: &str = "rustls reads handshake messages of at most 64 KiB";

/// Returns false for an RSA key with which rustls cannot verify a handshake.
fn is_verifiable(leaf: &Certificate) -> bool {
    let is_rsa = leaf.facts().is_ok_and(|f| matches!(f.key, Key::Rsa(_)));
    let key = leaf.public_key().filter(|_| is_rsa);
    key.is_none_or(|(_, key)| rsa::PublicKey::read(key).is_some_and(|key| key.is_for_library()))
}

/// Returns true for a key with which rustls cannot verify a handshake.
fn is_of_no_scheme(property: Property) -> bool {
    matches!(
        property,
        Property::RsaPssKey
            | Property::Ed448
            | Property::Dsa
            | Property::P192
            | Property::P224
            | Property::OtherCurve
            | Property::ExplicitCurve
            | Property::OtherKey
    )
}

fn verify(presented: &Presented<'_>) -> Result<(), Error> {
    let der = CertificateDer::from(presented.leaf.der());
    let end_entity = EndEntityCert::try_from(&der)?;
    let rest = presented.rest;
    let intermediates: Vec<CertificateDer<'_>> = rest.iter().map(|c| c.der().into()).collect();
    let all: Vec<&Certificate> = std::iter::once(presented.leaf).chain(rest).collect();
    let algorithms = Remembering::all(&all);
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
        algorithms.iter().map(|a| a as _).collect();
    let since_epoch = Duration::from_secs(u64::try_from(presented.now.0).unwrap_or(0));
    end_entity.verify_for_usage(
        &algorithms,
        &presented.trust.for_webpki(&all),
        &intermediates,
        UnixTime::since_unix_epoch(since_epoch),
        KeyUsage::server_auth(),
        None,
        None,
    )?;
    let Some(hostname) = presented.hostname else {
        return Ok(());
    };
    let name = match hostname {
        Hostname::Dns(name) => ServerName::try_from(name.as_str()).ok(),
        Hostname::Ip(ip) => Some(ServerName::from(*ip)),
        Hostname::File(_) => None,
    };
    match name {
        Some(name) => end_entity.verify_is_valid_for_subject_name(&name),
        None => Err(Error::MalformedDnsIdentifier),
    }
}

#[expect(deprecated, reason = "the library may still return the old variants")]
fn describe(error: &Error) -> String {
    match error {
        Error::CaUsedAsEndEntity => "the certificate is a certificate authority".into(),
        Error::EndEntityUsedAsCa => "a certificate that may not issue others did so".into(),
        Error::NameConstraintViolation => {
            "an authority in the chain is not allowed to issue for this name".into()
        }
        Error::PathLenConstraintViolated => {
            "an authority in the chain allows fewer certificates below it".into()
        }
        Error::RequiredEkuNotFound
        | Error::RequiredEkuNotFoundContext(_)
        | Error::EmptyEkuExtension => {
            "a certificate in the chain is not for TLS servers (extended key usage)".into()
        }
        Error::UnsupportedCriticalExtension => {
            "a certificate in the chain has a critical extension that rustls does not know".into()
        }
        Error::UnsupportedCertVersion => "a certificate in the chain is not X.509 version 3".into(),
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::InvalidCertValidity => {
            "a certificate in the chain is not well-formed DER".into()
        }
        Error::ExtensionValueInvalid | Error::MalformedExtensions => {
            "an extension of a certificate in the chain is malformed".into()
        }
        Error::InvalidSerialNumber => "a serial number is not allowed".into(),
        Error::UnknownIssuer => "the issuer of a certificate in the chain was not found".into(),
        Error::CertExpired { .. } => "a certificate in the chain has expired".into(),
        Error::CertNotValidYet { .. } => "a certificate in the chain is not valid yet".into(),
        Error::CertNotValidForName(_) => "the certificate is not valid for the name".into(),
        Error::MaximumSignatureChecksExceeded
        | Error::MaximumPathBuildCallsExceeded
        | Error::MaximumPathDepthExceeded
        | Error::MaximumNameConstraintComparisonsExceeded => {
            "the chain has more certificates than rustls tries".into()
        }
        Error::InvalidSignatureForPublicKey => {
            "a signature in the chain is not verified by rustls".into()
        }
        Error::UnsupportedSignatureAlgorithm
        | Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKey
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a signature in the chain is of a kind that rustls does not verify".into()
        }
        Error::SignatureAlgorithmMismatch => {
            "a certificate in the chain names two different signature algorithms".into()
        }
        Error::MalformedNameConstraint | Error::InvalidNetworkMaskConstraint => {
            "a name constraint in the chain is malformed".into()
        }
        Error::MalformedDnsIdentifier => "a name in the certificate is no DNS name".into(),
        _ => printable("the chain is not acceptable to rustls"),
    }
}

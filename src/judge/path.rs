//! The path to a trusted root, by the rules of the web (RFC 5280, section 6, as webpki has them).

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::certificate::Certificate;
use crate::model::{Hostname, Timestamp};

use super::TrustStore;

/// What the path builder says of a served chain.
#[derive(Debug)]
pub(super) struct Path {
    /// There is a path that is valid now, and the name matches.
    pub(super) trusted: bool,
    /// Why there is no path at any time, where that is neither for want of an issuer nor for a
    /// certificate or signature that the path builder does not read at all.
    pub(super) fault: Option<String>,
    /// Why the leaf is refused before any path is looked for.
    pub(super) refused: Option<String>,
}

/// Asks for a path from the leaf over what was served to the trust store.
pub(super) fn build(
    leaf: &Certificate,
    rest: &[Certificate],
    hostname: &Hostname,
    trust: &TrustStore,
    now: Timestamp,
) -> Path {
    let der = CertificateDer::from(leaf.der());
    let end_entity = match EndEntityCert::try_from(&der) {
        Ok(end_entity) => end_entity,
        Err(error) => {
            return Path {
                trusted: false,
                fault: None,
                refused: Some(describe(&error)),
            };
        }
    };
    let intermediates: Vec<_> = rest.iter().map(|c| CertificateDer::from(c.der())).collect();
    let verify = |at: Timestamp| {
        let since_epoch = Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
        end_entity
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                trust.anchors(),
                &intermediates,
                UnixTime::since_unix_epoch(since_epoch),
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ())
    };
    let name_fits = server_name(hostname)
        .is_some_and(|name| end_entity.verify_is_valid_for_subject_name(&name).is_ok());
    let result = verify(now);
    let trusted = result.is_ok() && name_fits;
    let fault = result.err().and_then(|error| {
        if !is_of_time(&error) {
            return fault_of(&error);
        }
        // Time hides what else may be wrong: ask again for a moment when the leaf was valid.
        let facts = leaf.facts().ok()?;
        let then = [facts.not_after, facts.not_before].map(verify);
        let errors: Vec<_> = then.into_iter().filter_map(Result::err).collect();
        match errors.as_slice() {
            [first, second] if !is_of_time(first) && !is_of_time(second) => fault_of(first),
            _ => None,
        }
    });
    Path {
        trusted,
        fault,
        refused: None,
    }
}

/// Whether the leaf is valid for this name, where the path builder can read the leaf.
pub(super) fn matches_name(leaf: &Certificate, hostname: &Hostname) -> bool {
    let der = CertificateDer::from(leaf.der());
    match (EndEntityCert::try_from(&der), server_name(hostname)) {
        (Ok(end_entity), Some(name)) => end_entity.verify_is_valid_for_subject_name(&name).is_ok(),
        _ => leaf.facts().is_ok_and(|facts| facts.matches(hostname)),
    }
}

fn server_name(hostname: &Hostname) -> Option<ServerName<'_>> {
    match hostname {
        Hostname::Dns(name) => ServerName::try_from(name.as_str()).ok(),
        Hostname::Ip(ip) => Some(ServerName::from(*ip)),
    }
}

fn is_of_time(error: &Error) -> bool {
    matches!(
        error,
        Error::CertExpired { .. } | Error::CertNotValidYet { .. } | Error::InvalidCertValidity
    )
}

/// The fault in words, but for those that are judged from the chain itself.
fn fault_of(error: &Error) -> Option<String> {
    let judged_elsewhere = match error {
        Error::UnknownIssuer
        | Error::UnsupportedCertVersion
        | Error::BadDer
        | Error::BadDerTime
        | Error::TrailingData(_)
        | Error::MalformedExtensions
        | Error::MalformedDnsIdentifier => true,
        other => is_signature_unsupported(other),
    };
    (!judged_elsewhere).then(|| describe(error))
}

#[allow(deprecated)] // the old forms may still be what the library answers
fn is_signature_unsupported(error: &Error) -> bool {
    matches!(
        error,
        Error::UnsupportedSignatureAlgorithm
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKey
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
    )
}

#[allow(deprecated)]
fn describe(error: &Error) -> String {
    match error {
        Error::CaUsedAsEndEntity => "the leaf is a certificate authority".into(),
        Error::EndEntityUsedAsCa => "a certificate that may not issue others did so".into(),
        Error::NameConstraintViolation => {
            "an authority in the chain is not allowed to issue for this name".into()
        }
        Error::PathLenConstraintViolated => {
            "an authority in the chain allows fewer certificates below it".into()
        }
        Error::RequiredEkuNotFound | Error::RequiredEkuNotFoundContext(_) => {
            "a certificate in the chain is not for TLS servers (extended key usage)".into()
        }
        Error::UnsupportedCriticalExtension => {
            "it has a critical extension that is not widely known".into()
        }
        Error::UnsupportedCertVersion => "it is not X.509 version 3".into(),
        Error::BadDer | Error::BadDerTime => "it is not well-formed DER".into(),
        Error::ExtensionValueInvalid | Error::MalformedExtensions => {
            "one of its extensions is malformed".into()
        }
        Error::InvalidSerialNumber => "its serial number is not allowed".into(),
        Error::InvalidSignatureForPublicKey => "a signature in the chain is wrong".into(),
        other => crate::certificate::printable(&other.to_string()),
    }
}

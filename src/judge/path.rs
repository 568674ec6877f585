//! The path to a trusted root, by the rules of the web (RFC 5280, section 6, as webpki has them).

use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

use crate::certificate::{Certificate, Remembering};
use crate::model::{Hostname, Timestamp};

use super::TrustStore;
use super::chain::Chain;

/// What the path builder says of a served chain.
#[derive(Debug)]
pub(super) struct Path {
    /// There is a path that is valid now, and the name matches.
    pub(super) trusted: bool,
    /// What is wrong with the path, be the missing certificates served and the time right. None
    /// where it is only for want of an issuer, or for a certificate or signature that the path
    /// builder does not read at all.
    pub(super) fault: Option<String>,
    /// Why the leaf is refused before any path is looked for.
    pub(super) refused: Option<String>,
    /// In the path builder's words, why there is no path now.
    pub(super) reason: Option<String>,
}

/// So many certificates above the leaf are shown to the path builder. It follows a path to all of
/// its ends, so that a maze of cross-signed certificates could keep it busy for minutes.
const MAX_SHOWN: usize = 16;

/// The nearest certificates above the leaf, and in any case the shortest way to a trusted root.
fn shown<'a>(nearest: &[&'a Certificate], chain: &Chain<'a>) -> Vec<&'a Certificate> {
    let mut all = chain.shortest.clone();
    all.extend(nearest.iter().filter(|c| !chain.shortest.contains(c)));
    all.truncate(MAX_SHOWN);
    all
}

/// Asks for a path from the leaf over what was served to the trust store. Only what leads up from
/// the leaf is shown to the path builder: it gives up after a hundred signatures, and the rest of
/// what a server may send would use them up.
pub(super) fn build(
    leaf: &Certificate,
    chain: &Chain<'_>,
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
                reason: Some(describe(&error)),
            };
        }
    };
    let verify_over = |above: Vec<&Certificate>, at: Timestamp| {
        let intermediates: Vec<CertificateDer<'_>> = above.iter().map(|c| c.der().into()).collect();
        let signed: Vec<_> = std::iter::once(leaf).chain(above.iter().copied()).collect();
        let algorithms = Remembering::all(&signed);
        let algorithms: Vec<&dyn SignatureVerificationAlgorithm> =
            algorithms.iter().map(|a| a as _).collect();
        let since_epoch = Duration::from_secs(u64::try_from(at.0).unwrap_or(0));
        end_entity
            .verify_for_usage(
                &algorithms,
                &trust.anchors_above(&signed),
                &intermediates,
                UnixTime::since_unix_epoch(since_epoch),
                KeyUsage::server_auth(),
                None,
                None,
            )
            .map(|_| ())
    };
    // The shortest way stands in front, so that it is tried before the budget is used up.
    let verify = |nearest: &[&Certificate], at| verify_over(shown(nearest, chain), at);
    let result = verify(&chain.above, now);
    let fault = result.clone().err().and_then(|_| {
        let known = |at| verify(&chain.known_above, at);
        let error = known(now).err()?;
        if !is_of_time(&error) {
            return fault_of(&error);
        }
        // Time hides what else may be wrong: ask again for the moments when the leaf was valid.
        let facts = leaf.facts().ok()?;
        let then = [facts.not_after, facts.not_before].map(known);
        if then.iter().any(Result::is_ok) {
            return None;
        }
        let mut errors = then.into_iter().filter_map(Result::err);
        fault_of(&errors.find(|e| !is_of_time(e))?)
    });
    Path {
        trusted: result.is_ok() && fits_name(&end_entity, hostname),
        fault,
        refused: None,
        reason: result.err().map(|e| describe(&e)),
    }
}

/// Whether the leaf is valid for this name; `None` where its names cannot be read. Where the path
/// builder does not read the leaf, our own rules are the same.
pub(super) fn matches_name(leaf: &Certificate, hostname: &Hostname) -> Option<bool> {
    let der = CertificateDer::from(leaf.der());
    let strict = EndEntityCert::try_from(&der).map(|e| fits_name(&e, hostname));
    let own = || leaf.facts().map(|facts| facts.matches(hostname)).ok();
    strict.ok().or_else(own)
}

fn fits_name(end_entity: &EndEntityCert<'_>, hostname: &Hostname) -> bool {
    server_name(hostname)
        .is_some_and(|name| end_entity.verify_is_valid_for_subject_name(&name).is_ok())
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
        // Of what is shown to the path builder, only keys that it refuses for their size are left.
        | Error::InvalidSignatureForPublicKey
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

#[allow(deprecated)] // as above
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
        Error::UnknownIssuer => "the issuer of a certificate in the chain was not found".into(),
        error if is_signature_unsupported(error) => {
            "a signature in the chain is of a kind that is not accepted".into()
        }
        Error::InvalidSignatureForPublicKey => "a signature in the chain cannot be verified".into(),
        other => crate::certificate::printable(&other.to_string()),
    }
}

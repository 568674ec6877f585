//! Revocation of the leaf, as reported by the stapled OCSP response, the issuer, and the source of
//! the expected certificate.

use crate::certificate::{
    Answer, Issuer, StapleFaults, Status, Unusable, read_ocsp, staple_faults,
};
use crate::finding::{Client, Detail, Finding, RevocationReporter};
use crate::model::{RevocationCheck, Timestamp};
use crate::observation::{Fetched, Publication, Served, Staple, TlsVersion};

/// The known revocation status of a leaf.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// True if an authorised reporter reports a revocation, false if one reports that there is
    /// none.
    pub(super) revoked: Option<bool>,
    pub(super) findings: Vec<Finding>,
    /// The clients that refuse the handshake because of the stapled response, each group with its
    /// reason as a clause.
    pub(super) refusals: Vec<(Vec<Client>, String)>,
    /// The clients of which this is not known.
    pub(super) unknown: Vec<Client>,
}

/// Evaluates all reports. `reported_by_source` is true if the source reports this instance as revoked.
/// `issuer` is called only if there is a response of the issuer to verify.
pub(super) fn examine(
    served: &Served,
    reported_by_source: bool,
    issuer: impl FnOnce() -> Option<Issuer>,
    check: RevocationCheck,
    now: Timestamp,
) -> Examined {
    let mut findings = Vec::new();
    let said = &served.revocation;
    let (mut refusals, mut unknown) = (Vec::new(), Vec::new());
    let staple = match &said.staple {
        Staple::NotAsked => None,
        Staple::Absent if check == RevocationCheck::Off => None,
        Staple::Absent => {
            findings.extend(missing_staple(served, None));
            None
        }
        Staple::Sent(response) => {
            let issuer = issuer();
            let faults = staple_faults(response, &served.leaf, issuer.as_ref());
            let answer = issuer.map(|issuer| read_ocsp(response, &served.leaf, &issuer, now));
            refusals = refused_by(&faults, served);
            if faults.gnutls.is_none() && is_unknown_for_gnutls(answer.as_ref()) {
                unknown.push(Client::Gnutls);
            }
            match answer {
                _ if check == RevocationCheck::Off => None,
                // Without the issuer, or without support for the signature, the response cannot be
                // judged.
                None | Some(Err(Unusable::Unverifiable)) => None,
                Some(Ok(Answer { status, .. })) => {
                    if let Some(fault) = &faults.gnutls {
                        findings.extend(missing_staple(served, Some(fault)));
                    }
                    let of_java = faults.java.filter(|_| is_tls13(served));
                    let fault = faults.gnutls.or(of_java);
                    findings.extend(fault.map(|fault| bad_staple(served, &fault)));
                    Some(status)
                }
                Some(Err(fault)) => {
                    findings.extend(missing_staple(served, Some(&fault)));
                    findings.push(bad_staple(served, &fault));
                    None
                }
            }
        }
    };
    let by_issuer = said.fetched.map(|Fetched { by, status }| {
        let reporter = match by {
            Publication::Crl => RevocationReporter::Crl,
            Publication::Ocsp => RevocationReporter::Ocsp,
        };
        (status, reporter)
    });
    let by_server = staple.map(|status| (status, RevocationReporter::Staple));
    let answers = [by_issuer, by_server];
    let mut revoked = answers
        .iter()
        .flatten()
        .filter_map(|(status, reporter)| match status {
            Status::Revoked(revoked) => Some((*reporter, Some(*revoked))),
            Status::Good => None,
        });
    let by_source = reported_by_source.then_some((RevocationReporter::Source, None));
    let revoked = revoked.next().or(by_source);
    let is_good = answers
        .iter()
        .flatten()
        .any(|(status, _)| *status == Status::Good);
    if let Some((reported_by, revoked)) = revoked {
        findings.push(Finding::new(Detail::Revoked {
            reported_by,
            revoked_at: revoked.map(|revoked| revoked.at),
            reason: revoked.and_then(|revoked| revoked.reason),
        }));
    }
    Examined {
        revoked: match revoked {
            Some(_) => Some(true),
            None => is_good.then_some(false),
        },
        findings,
        refusals,
        unknown,
    }
}

/// Returns the clients that cannot read the stapled response.
fn refused_by(faults: &StapleFaults, served: &Served) -> Vec<(Vec<Client>, String)> {
    let of_java = faults.java.as_ref().filter(|_| is_tls13(served));
    let of_gnutls = faults.gnutls.as_ref();
    let reason = |fault: &Unusable| format!("the stapled OCSP response is of no use: {fault}");
    let all = [(Client::Gnutls, of_gnutls), (Client::Java, of_java)];
    let refused = all.into_iter();
    refused
        .filter_map(|(client, fault)| Some((vec![client], reason(fault?))))
        .collect()
}

/// Returns true for TLS 1.3, where Java parses the response as part of the handshake. In TLS 1.2 it
/// keeps the bytes (`CertStatusExtension`).
fn is_tls13(served: &Served) -> bool {
    served.tls_version == TlsVersion::Tls13
}

/// Returns true for a response that GnuTLS may refuse. It accepts some that certvigil does not: an
/// error, the status unknown, and one that is not valid yet.
fn is_unknown_for_gnutls(answer: Option<&Result<Answer, Unusable>>) -> bool {
    match answer {
        Some(Ok(_) | Err(Unusable::Refused(_) | Unusable::Unknown | Unusable::NotYetValid(_))) => {
            false
        }
        None | Some(Err(_)) => true,
    }
}

/// Returns the finding for a certificate that requires a staple, if there is no usable one. Clients
/// that implement the extension refuse an unusable response like a missing one.
fn missing_staple(served: &Served, fault: Option<&Unusable>) -> Option<Finding> {
    let demands = served.leaf.facts().is_ok_and(|facts| facts.must_staple);
    demands.then(|| {
        Finding::new(Detail::MustStapleMissing {
            fault: fault.cloned(),
        })
    })
}

fn bad_staple(served: &Served, fault: &Unusable) -> Finding {
    let facts = served.leaf.facts().ok();
    Finding::new(Detail::BadOcspStaple {
        fault: fault.clone(),
        responder: facts.and_then(|f| f.ocsp_url.clone()),
    })
}

//! Whether the leaf has been revoked: by the stapled OCSP response, by what its issuer was asked, and by what the
//! source of the expected certificate says.

use crate::certificate::{Answer, Issuer, Status, Unusable, read_ocsp};
use crate::finding::{Code, Finding};
use crate::model::{RevocationCheck, Timestamp};
use crate::observation::{Fetched, Publication, Served, Staple};

/// What is known of a leaf's revocation.
#[derive(Debug, Default)]
pub(super) struct Examined {
    /// True if anyone who may say so says that it has been revoked, false if someone says that it has not.
    pub(super) revoked: Option<bool>,
    pub(super) findings: Vec<Finding>,
}

/// Looks at all that was said. `told_by_source` is whether the source calls this instance revoked; the issuer is
/// looked for only where there is a response of its to verify.
pub(super) fn examine(
    served: &Served,
    told_by_source: bool,
    issuer: impl FnOnce() -> Option<Issuer>,
    check: RevocationCheck,
    now: Timestamp,
) -> Examined {
    let mut findings = Vec::new();
    let said = &served.revocation;
    let staple = match &said.staple {
        _ if check == RevocationCheck::Off => None,
        Staple::NotAsked => None,
        Staple::Absent => {
            findings.extend(missing_staple(served, None));
            None
        }
        Staple::Sent(response) => {
            let answer = issuer().map(|issuer| read_ocsp(response, &served.leaf, &issuer, now));
            match answer {
                // Without its issuer, and without the means to verify, nothing can be said against it.
                None | Some(Err(Unusable::Unverifiable)) => None,
                Some(Ok(Answer { status, .. })) => Some(status),
                Some(Err(fault)) => {
                    findings.extend(missing_staple(served, Some(&fault)));
                    findings.push(bad_staple(served, &fault));
                    None
                }
            }
        }
    };
    let by_issuer = said.fetched.map(|Fetched { by, status }| {
        let who = match by {
            Publication::Crl => "its issuer's revocation list",
            Publication::Ocsp => "its issuer's OCSP responder",
        };
        (status, who)
    });
    let by_server = staple.map(|status| (status, "the stapled OCSP response"));
    let answers = [by_issuer, by_server];
    let mut revoked = answers
        .iter()
        .flatten()
        .filter_map(|(status, who)| match status {
            Status::Revoked(revoked) => Some(format!("{revoked}, says {who}")),
            Status::Good => None,
        });
    let revoked = revoked.next().or(told_by_source.then(|| "revoked".into()));
    let is_good = answers
        .iter()
        .flatten()
        .any(|(status, _)| *status == Status::Good);
    if let Some(how) = &revoked {
        findings.push(Finding::new(
            Code::Revoked,
            format!("the served certificate has been {how}"),
            "install the newest certificate and reload the server",
        ));
    }
    Examined {
        revoked: match revoked {
            Some(_) => Some(true),
            None => is_good.then_some(false),
        },
        findings,
    }
}

/// The finding for a certificate that demands a staple, where there is none that counts: clients that honour the
/// extension refuse an unusable response like a missing one.
fn missing_staple(served: &Served, fault: Option<&Unusable>) -> Option<Finding> {
    let demands = served.leaf.facts().is_ok_and(|facts| facts.must_staple);
    let (what, hint) = match fault {
        None => (
            "none was sent".to_owned(),
            "turn stapling on (nginx ssl_stapling, Apache SSLUseStapling, HAProxy ocsp-update), or have the \
             certificate reissued without that obligation",
        ),
        Some(fault) => (
            format!("the one that was sent does not count: {fault}"),
            "have the server staple a valid response for this certificate, or have the certificate reissued without \
             that obligation",
        ),
    };
    demands.then(|| {
        Finding::new(
            Code::MustStapleMissing,
            format!(
                "the certificate obliges the server to staple an OCSP response (TLS feature, RFC 7633), and {what}"
            ),
            hint,
        )
    })
}

fn bad_staple(served: &Served, fault: &Unusable) -> Finding {
    let url = served.leaf.facts().ok().and_then(|f| f.ocsp_url.as_deref());
    let responder = match url {
        Some(url) => format!("the responder {url}"),
        None => "its issuer's responder".into(),
    };
    let hint = match fault {
        Unusable::Outdated(_) | Unusable::NotYetValid(_) => format!(
            "have the server fetch a new response: check its clock, and that it reaches {responder}; then reload it"
        ),
        Unusable::Refused(_) | Unusable::Unknown => format!(
            "ask the certificate's issuer why {responder} does not know it, or turn stapling off"
        ),
        Unusable::Unreadable(_)
        | Unusable::TooLarge
        | Unusable::OtherCertificate
        | Unusable::WrongSignature
        | Unusable::Unverifiable
        | Unusable::NotAuthorised(_)
        | Unusable::OutOfScope(_) => format!(
            "have the server fetch its response from {responder}, or renew the file that it is taken from; then reload it"
        ),
    };
    Finding::new(
        Code::BadOcspStaple,
        format!("the stapled OCSP response is of no use: {fault}"),
        hint,
    )
}

//! Whether the leaf has been revoked: by the stapled OCSP response, by what its issuer was asked, and by what the
//! source of the expected certificate says.

use crate::certificate::{Answer, Issuer, Status, Unusable, read_ocsp};
use crate::finding::{Detail, Finding, RevocationReporter};
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
    let by_source = told_by_source.then_some((RevocationReporter::Source, None));
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
    }
}

/// The finding for a certificate that demands a staple, where there is none that counts: clients that honour the
/// extension refuse an unusable response like a missing one.
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

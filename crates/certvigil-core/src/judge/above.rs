//! Findings about the certificates above a leaf: missing and superfluous ones, and the trusted
//! path.

use crate::certificate::{Certificate, Facts, Oddity};
use crate::finding::{
    Detail, Fault, FaultKind, Finding, Missing, Namesake, Nonconformant, Role, Severity, Untrusted,
    Wanted,
};
use crate::instance::{Expectation, Expected};
use crate::model::Timestamp;

use super::expiry::Need;
use super::served::{nonconformant, weakness};
use super::{Flags, Rules, TrustStore, chain, expiry, path};

/// A leaf and the certificates above it.
pub(super) struct Above<'a> {
    pub(super) expected: &'a Expected,
    pub(super) leaf: &'a Certificate,
    pub(super) is_self_signed: bool,
    pub(super) flags: &'a Flags,
    pub(super) chain: &'a chain::Chain<'a>,
    /// The paths over the served and the missing certificates.
    pub(super) found: &'a path::Found<'a>,
    pub(super) trust: &'a TrustStore,
}

/// Returns the findings about missing issuers, untrusted roots and invalid paths.
pub(super) fn trust_findings(above: &Above<'_>) -> Vec<Finding> {
    let Above {
        expected,
        leaf,
        flags,
        chain,
        trust,
        ..
    } = above;
    let mut findings = Vec::new();
    let (Some(best), Ok(facts)) = (above.found.best(), leaf.facts()) else {
        return findings;
    };
    if above.is_self_signed && !best.is_anchored() {
        findings.push(Finding::new(Detail::SelfSigned {
            certificate: (*leaf).clone(),
        }));
        return findings;
    }
    if !flags.chained && !chain.missing.is_empty() {
        findings.push(missing_known(expected, &chain.missing, chain.top));
    }
    let top = best.top().and_then(|c| c.facts().ok()).unwrap_or(facts);
    let is_missing_reported = !findings.is_empty();
    match best.end {
        path::PathEnd::Anchor(_) | path::PathEnd::LeafInStore => {}
        path::PathEnd::NoIssuer if best.top() == Some(leaf) && !is_missing_reported => {
            findings.push(missing_unknown(above, leaf, facts, Role::Leaf));
        }
        path::PathEnd::NoIssuer if !chain.beyond_gap.is_empty() && !is_missing_reported => {
            let below = best.top().unwrap_or(leaf);
            findings.push(missing_unknown(above, below, top, Role::Intermediate));
        }
        path::PathEnd::NoIssuer | path::PathEnd::SelfSigned => {
            findings.push(untrusted_root(top, chain.namesake, trust));
        }
        path::PathEnd::Loop => findings.push(untrusted(Untrusted::Circle)),
    }
    findings.extend(fault_findings(best, expected, leaf));
    if above.found.is_bounded && !best.is_valid() {
        findings.push(untrusted(Untrusted::TooManyCandidates));
    }
    findings
}

/// Returns the findings for the faults of a path that no other finding reports.
fn fault_findings(path: &path::Path<'_>, expected: &Expected, leaf: &Certificate) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let is_trust_only = matches!(expected.what, Expectation::TrustOnly);
    let is_expected = expected.accepts(leaf) == Some(true);
    let of_authority: Vec<&Fault> = (path.faults.iter())
        .filter(|fault| fault.kind.is_of_authority())
        .collect();
    // One finding for each authority, with all its faults.
    for faults in of_authority.chunk_by(|a, b| a.is_about_the_same(b)) {
        findings.push(Finding::new(Detail::InvalidAuthority {
            faults: faults.iter().copied().cloned().collect(),
        }));
    }
    for fault in &path.faults {
        let fault = fault.clone();
        findings.push(Finding::new(match &fault.kind {
            kind if kind.is_of_authority() || kind.is_of_time() => continue,
            // There are separate warnings for these. Without an expectation they make the leaf
            // incorrect.
            FaultKind::WeakSignature(_) | FaultKind::TinyKey(_) if !is_trust_only => continue,
            _ if is_warned_of(&fault, is_expected) => continue,
            FaultKind::Unverifiable(_) if is_trust_only => {
                Detail::UntrustedRoot(Untrusted::Unverifiable { fault })
            }
            FaultKind::Unverifiable(_) => {
                Detail::NonconformantCertificate(Nonconformant::Unverifiable { fault })
            }
            _ => Detail::UntrustedRoot(Untrusted::InvalidPath { fault }),
        }));
    }
    findings
}

/// Returns true for a deviation of an expected leaf, which is a warning: the server has the
/// certificate that it should have, and some clients accept it.
pub(super) fn is_warned_of(fault: &Fault, is_expected: bool) -> bool {
    is_expected && fault.role == Role::Leaf && matches!(fault.kind, FaultKind::Deviation(_))
}

fn untrusted(untrusted: Untrusted) -> Finding {
    Finding::new(Detail::UntrustedRoot(untrusted))
}

fn untrusted_root(end: &Facts, namesake: Option<&Certificate>, trust: &TrustStore) -> Finding {
    untrusted(if end.is_self_issued() {
        Untrusted::Root {
            subject: end.subject.clone(),
        }
    } else {
        Untrusted::Issuer {
            issuer: end.issuer.clone(),
            namesake: not_the_issuer(end, namesake, trust),
        }
    })
}

/// Returns a certificate with the issuer's name that is not the issuer. An authority that changes
/// its key keeps its name, and its old certificate is easily mistaken for the new one.
fn not_the_issuer(
    below: &Facts,
    namesake: Option<&Certificate>,
    trust: &TrustStore,
) -> Option<Namesake> {
    match namesake.map(|c| c.facts()) {
        Some(Ok(above)) if above.subject_normal == below.issuer_normal => Some(if above.is_ca {
            Namesake::ServedWithOtherKey
        } else {
            Namesake::ServedNoAuthority
        }),
        _ if trust.named(&below.issuer_normal).next().is_some() => Some(Namesake::RootWithOtherKey),
        _ => None,
    }
}

fn missing_known(expected: &Expected, missing: &[&Certificate], top: &Certificate) -> Finding {
    Finding::new(Detail::MissingIntermediate {
        missing: Missing::Known {
            missing: owned(missing),
            issuer_url: top.facts().ok().and_then(|f| f.issuer_url.clone()),
        },
        expected: Wanted::of(expected),
    })
}

/// Returns the finding for a certificate whose issuer is neither served nor known.
fn missing_unknown(
    above: &Above<'_>,
    below: &Certificate,
    facts: &Facts,
    position: Role,
) -> Finding {
    Finding::new(Detail::MissingIntermediate {
        missing: Missing::Unknown {
            below: below.clone(),
            position,
            issuer: facts.issuer.clone(),
            issuer_url: facts.issuer_url.clone(),
            namesake: not_the_issuer(facts, above.chain.namesake, above.trust),
        },
        expected: Wanted::of(above.expected),
    })
}

/// Returns the findings about the served chain itself, and about the validity of the certificates
/// above the leaf.
pub(super) fn chain_findings(
    chain: &chain::Chain<'_>,
    flags: &Flags,
    leaf: Option<&Facts>,
    found: &path::Found<'_>,
    rules: &Rules,
    now: Timestamp,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    // A client that knows several paths needs only the one that expires last.
    let longest = found.valid().max_by_key(|path| path.expiry());
    let of_leaf = leaf.map_or(i64::MAX, Facts::lifetime);
    let anchor = longest
        .or_else(|| found.best())
        .and_then(path::Path::anchor)
        .and_then(|anchor| anchor.certificate());
    for &intermediate in &chain.intermediates {
        if let Ok(facts) = intermediate.facts() {
            let need = match longest {
                Some(path) if path.certificates.contains(&intermediate) => Need::Needed,
                Some(_) => Need::NotNeeded,
                None => Need::Needed,
            };
            let position = Role::Intermediate;
            let is_anchor = anchor == Some(intermediate);
            findings.extend(expiry::of_authority(
                intermediate,
                position,
                need,
                of_leaf,
                rules,
                now,
            ));
            findings.extend(weakness(position, intermediate, facts, is_anchor));
            // No client matches names against an authority's certificate.
            let oddities = facts.oddities.iter().filter(|o| !o.is_of_no_host());
            findings.extend(nonconformant(
                intermediate,
                position,
                oddities.cloned().collect(),
            ));
        }
    }
    if let Some(root) = anchor {
        findings.extend(expiry::of_authority(
            root,
            Role::Anchor,
            Need::Needed,
            of_leaf,
            rules,
            now,
        ));
    }
    findings.extend(remarks(chain, found));
    for root in &chain.roots {
        if let Ok(facts) = root.facts() {
            findings.extend(weakness(Role::Anchor, root, facts, true));
        }
    }
    if let Some(early) = chain.out_of_order {
        findings.push(Finding::new(Detail::ChainOutOfOrder {
            certificate: early.clone(),
        }));
    }
    let best = found.best();
    let is_on_path = |c: &&&Certificate| best.is_some_and(|path| path.certificates.contains(*c));
    let unrelated: Vec<Certificate> = (chain.unrelated.iter())
        .filter(|c| !is_on_path(c))
        .copied()
        .cloned()
        .collect();
    if !unrelated.is_empty() {
        findings.push(Finding::new(Detail::UnrelatedCertificate {
            certificates: unrelated,
            is_chain_complete: flags.chained,
        }));
    }
    if !chain.roots.is_empty() {
        findings.push(Finding::new(Detail::RootIncluded {
            certificates: owned(&chain.roots),
        }));
    }
    if !chain.duplicates.is_empty() {
        findings.push(Finding::new(Detail::DuplicateCertificate {
            certificates: owned(&chain.duplicates),
        }));
    }
    if flags.correct && chain.complete && !chain.missing.is_empty() {
        findings.push(Finding::new(Detail::AlternateChain {
            not_served: owned(&chain.missing),
        }));
    }
    findings
}

fn owned(certificates: &[&Certificate]) -> Vec<Certificate> {
    certificates.iter().copied().cloned().collect()
}

/// Returns one finding for each certificate of the path that deviates from RFC 5280 or the
/// CA/Browser Forum's rules in a way that every mainstream client accepts.
fn remarks(chain: &chain::Chain<'_>, found: &path::Found<'_>) -> Vec<Finding> {
    let Some(best) = found.best() else {
        return Vec::new();
    };
    let anchor = best.anchor().and_then(|anchor| anchor.certificate());
    let above = (chain.intermediates.iter().copied()).filter(|c| !best.certificates.contains(c));
    let all = best.certificates.iter().copied().chain(above).chain(anchor);
    let remark = |(position, certificate): (usize, &Certificate)| {
        let facts = certificate.facts().ok()?;
        let is_anchor = anchor == Some(certificate) && position > 0;
        let role = match (position, is_anchor) {
            (0, _) => Role::Leaf,
            (_, true) => Role::Anchor,
            (_, false) => Role::Intermediate,
        };
        // A certificate in an authority's position that is not a CA has its own finding.
        if position > 0 && !facts.is_ca {
            return None;
        }
        // Clients do not refuse a root because of its oddities, and do not match names against it.
        let odd = facts.oddities.iter();
        let is_reported = |oddity: &Oddity| {
            let mut faults = best.faults.iter().filter(|f| f.role == Role::Anchor);
            faults.any(|fault| fault.kind.covers(oddity))
        };
        let odd = odd.filter(|oddity| is_anchor && !oddity.is_of_no_host() && !is_reported(oddity));
        let all = facts.remarks.iter().chain(odd);
        let (baseline_deviations, deviations): (Vec<Oddity>, Vec<Oddity>) =
            (all.cloned()).partition(Oddity::concerns_public_authorities);
        if baseline_deviations.is_empty() && deviations.is_empty() {
            return None;
        }
        let accepted = Nonconformant::Accepted {
            certificate: certificate.clone(),
            position: role,
            deviations,
            baseline_deviations,
        };
        let detail = Detail::NonconformantCertificate(accepted);
        Some(Finding::with_severity(Severity::Info, detail))
    };
    all.enumerate().filter_map(remark).collect()
}

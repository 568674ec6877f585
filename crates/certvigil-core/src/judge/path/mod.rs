//! Path validation: searches a path from the leaf to the trust store that is valid now (RFC 5280,
//! section 6).

mod checks;
mod comparisons;
mod found;
mod names;
mod policy;
mod search;
mod weight;

pub(super) use checks::{issuer_and_serial_match, key_id_matches};
pub(super) use comparisons::Comparisons;
#[cfg(test)]
pub(super) use comparisons::MAX_COMPARISONS;
pub(super) use found::{Found, Path, PathEnd};
pub(super) use names::{
    WILDCARD, has_trailing_dot, of_common_name, of_subject_email, parent_of_domain,
};
pub(super) use policy::fault as policy_fault;
pub(super) use search::search;

use crate::certificate::Certificate;
use crate::finding::NoPath;
use crate::model::{Hostname, Timestamp};

use super::TrustStore;
use super::links::Links;

/// Returns true if the leaf is valid for this name. Returns `None` if the leaf cannot be read.
pub(super) fn matches_name(leaf: &Certificate, hostname: &Hostname) -> Option<bool> {
    leaf.facts().map(|facts| facts.matches(hostname)).ok()
}

/// Validates the path of a leaf and its name.
///
/// # Errors
/// Returns the first fault of the best attempt, or the name that does not match.
pub(super) fn validate(
    leaf: &Certificate,
    above: &[&Certificate],
    hostname: &Hostname,
    trust: &TrustStore,
    links: &Links<'_>,
    now: Timestamp,
) -> Result<(), NoPath> {
    let found = search(leaf, above, trust, links, now);
    if !found.is_valid() {
        return Err(found.best().map_or(NoPath::Unreadable, reason));
    }
    if matches_name(leaf, hostname) != Some(true) {
        return Err(NoPath::Hostname {
            hostname: hostname.clone(),
        });
    }
    Ok(())
}

/// Returns the reason for which a path is not valid.
pub(super) fn reason(path: &Path<'_>) -> NoPath {
    let top = || path.top().and_then(|c| c.facts().ok());
    match (path.faults.first(), path.end) {
        (_, PathEnd::NoIssuer) => top().map_or(NoPath::Unreadable, |facts| NoPath::NoIssuer {
            issuer: facts.issuer.clone(),
        }),
        (_, PathEnd::SelfSigned) => {
            top().map_or(NoPath::Unreadable, |facts| NoPath::UntrustedRoot {
                subject: facts.subject.clone(),
            })
        }
        (_, PathEnd::Loop) => NoPath::Circle,
        (Some(fault), _) => NoPath::Fault {
            fault: fault.clone(),
        },
        (None, _) => NoPath::GivenUp,
    }
}

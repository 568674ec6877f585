//! Path validation: is there a path from the leaf to the trust store that is valid now (RFC 5280, section 6)?

mod checks;
mod fault;
mod names;
mod policy;
mod search;

pub(super) use checks::{issuer_and_serial_match, key_id_matches};
pub(super) use fault::{Fault, FaultKind, Role as PathRole};
pub(super) use names::{
    WILDCARD, email_is_outside, has_trailing_dot, is_name_outside, wildcard_covers,
};
pub(super) use policy::fault as policy_fault;
pub(super) use search::{End, Found, Path, search};

use crate::certificate::Certificate;
use crate::model::{Hostname, Timestamp};

use super::TrustStore;
use super::links::Links;

/// Returns true if the leaf is valid for this name. `None` if the leaf cannot be read.
pub(super) fn matches_name(leaf: &Certificate, hostname: &Hostname) -> Option<bool> {
    leaf.facts().map(|facts| facts.matches(hostname)).ok()
}

/// Why a leaf is not trusted, in one clause.
///
/// # Errors
/// The first fault of the best attempt, or the name that does not match.
pub(super) fn validate(
    leaf: &Certificate,
    above: &[&Certificate],
    hostname: &Hostname,
    trust: &TrustStore,
    links: &Links<'_>,
    now: Timestamp,
) -> Result<(), String> {
    let found = search(leaf, above, trust, links, now);
    if !found.is_valid() {
        return Err(found.best().map_or_else(String::new, reason));
    }
    if matches_name(leaf, hostname) != Some(true) {
        return Err(format!("the certificate is not valid for {hostname}"));
    }
    Ok(())
}

/// Why a path is not valid, in one clause.
pub(super) fn reason(path: &Path<'_>) -> String {
    match (path.faults.first(), path.end) {
        (_, End::NoIssuer) => match path.top().and_then(|c| c.facts().ok()) {
            Some(facts) => format!(
                "the issuer `{}` is neither served nor a trusted root",
                facts.issuer
            ),
            None => "the certificate cannot be read".into(),
        },
        (_, End::SelfSigned) => match path.top().and_then(|c| c.facts().ok()) {
            Some(facts) => format!("`{}` is not a trusted root", facts.subject),
            None => "the certificate cannot be read".into(),
        },
        (_, End::Loop) => "the authorities issued each other, and none is a trusted root".into(),
        (Some(fault), _) => fault.to_string(),
        (None, _) => "the search for a path was given up at its bounds".into(),
    }
}

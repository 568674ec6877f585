//! The traits of served certificates that are not in the path.

use crate::finding::{Property, TraitPosition};

use super::super::super::path::Path;
use super::super::Presented;
use super::super::beside::is_refused;
use super::Found;

/// Returns the properties of the served certificates that are not in the path, once each, for which
/// some client refuses the handshake. Clients read every certificate of the message.
pub(super) fn properties(path: &Path<'_>, presented: &Presented<'_>) -> Vec<(Property, String)> {
    let mut all: Vec<(Property, String)> = Vec::new();
    for certificate in presented.rest {
        if path.certificates.contains(&certificate) {
            continue;
        }
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        let mut own = Found {
            list: Vec::new(),
            place: TraitPosition::Beside,
            name: facts.name(),
        };
        own.of_certificate(certificate, facts, None, false);
        let path_length = facts.extensions.basic_constraints.and_then(|b| b.path_len);
        if path_length.is_some_and(|allowed| i32::try_from(allowed).is_err()) {
            own.add(Property::HugePathLength);
        }
        own.of_constraints(&presented.constraints.of(certificate, facts));
        if facts.must_staple && !presented.is_stapled {
            own.add(Property::MustStaple);
        }
        for (of, words) in own.list {
            let is_new = all.iter().all(|(known, _)| *known != of.property);
            if is_new && is_refused(of.property) {
                all.push((of.property, words));
            }
        }
    }
    all
}

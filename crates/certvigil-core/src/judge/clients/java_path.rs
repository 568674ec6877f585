//! The path that Java validates (`PKIXValidator.engineValidate`). A chain that is served in order is
//! validated as it is, and ends below the first certificate that has the name and the key of a trust
//! anchor. Java builds paths only of other chains.

use super::super::path::{Path, key_id_matches};
use super::super::trust_store::Anchor;
use super::{Examined, Presented};

/// Returns those of the paths that Java tries.
pub(super) fn tried<'p, 'a>(
    presented: &Presented<'_>,
    paths: &'p [Examined<'a>],
) -> Vec<&'p Examined<'a>> {
    let Some(length) = length(presented) else {
        return paths.iter().collect();
    };
    let served = || std::iter::once(presented.leaf).chain(presented.rest);
    let is_served = |path: &Path<'_>| {
        path.certificates.iter().copied().eq(served().take(length)) && is_of_anchor(path)
    };
    paths.iter().filter(|e| is_served(e.path)).collect()
}

/// Returns true if the key identifier of the path's trust anchor fits. Java compares no others
/// (`AdaptableX509CertSelector`).
fn is_of_anchor(path: &Path<'_>) -> bool {
    let anchor = path.anchor().and_then(Anchor::certificate);
    let anchor = anchor.and_then(|c| c.facts().ok());
    let top = path.top().and_then(|c| c.facts().ok());
    let both = top.zip(anchor);
    both.is_none_or(|(top, anchor)| key_id_matches(top, anchor))
}

/// Returns the number of served certificates of the only path that Java tries. Returns `None` if it
/// builds paths, or accepts the leaf because it is in the store.
fn length(presented: &Presented<'_>) -> Option<usize> {
    if presented.trust.holds(presented.leaf) {
        return None;
    }
    let mut below = presented.leaf.facts().ok()?;
    for (at, certificate) in presented.rest.iter().enumerate() {
        let facts = certificate.facts().ok()?;
        if facts.subject_normal != below.issuer_normal {
            return None;
        }
        if presented.trust.holds(certificate) || presented.trust.has(certificate) {
            return Some(at + 1);
        }
        below = facts;
    }
    let mut anchors = presented.trust.named(&below.issuer_normal);
    anchors.next().map(|_| presented.rest.len() + 1)
}

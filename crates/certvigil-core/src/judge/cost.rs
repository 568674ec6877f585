//! An estimate of the CPU time of judging, for callers that must not block.

use crate::certificate::{Certificate, remembered_cost, verification_cost};
use crate::instance::{Expected, Instance};
use crate::observation::Served;

use super::TrustStore;

/// Maximum certificates of a chain that is cheap to judge. More require a search of paths.
const MAX_CERTIFICATES: usize = 8;
/// Maximum bytes of a chain that is cheap to judge. A leaf with thousands of names has more.
const MAX_BYTES: usize = 32 << 10;
/// Maximum subtrees in the name constraints of a chain that is cheap to judge. Every name below
/// them is compared with each.
const MAX_SUBTREES: usize = 64;
/// Maximum cost of the signatures of a chain that is cheap to judge ([`verification_cost`]): at
/// most about 2 ms.
const MAX_COST: u32 = 20;

/// Returns true if a served chain can be judged in a few milliseconds: it is short, and few of its
/// signatures have not been verified before. It has few name constraints.
pub fn is_cheap(expected: &Expected, served: &Served, trust: &TrustStore) -> bool {
    // Its certificates are judged too, and few hosts have it.
    if served.ech.is_some() {
        return false;
    }
    let served: Vec<&Certificate> = std::iter::once(&served.leaf).chain(&served.rest).collect();
    let bytes: usize = served.iter().map(|c| c.der().len()).sum();
    if served.len() > MAX_CERTIFICATES || bytes > MAX_BYTES {
        return false;
    }
    let mut issuers = served.clone();
    let instances = expected.instances();
    let known = instances.into_iter().flat_map(|instances| {
        let accepted = instances.accepted();
        accepted
            .chain(&instances.previous)
            .chain(&instances.pending)
    });
    for instance in known {
        let Instance { chain, root, .. } = instance;
        for certificate in chain.iter().chain(root) {
            if !issuers.contains(&certificate) {
                issuers.push(certificate);
            }
        }
        if issuers.len() > 2 * MAX_CERTIFICATES {
            return false;
        }
    }
    let subtrees: usize = issuers.iter().map(|c| subtrees(c)).sum();
    if subtrees > MAX_SUBTREES {
        return false;
    }
    let mut cost = 0;
    for &certificate in &issuers {
        let Ok(facts) = certificate.facts() else {
            continue;
        };
        let name = &facts.issuer_normal;
        let keys = issuers.iter().filter_map(|issuer| issuer.facts().ok());
        let keys = keys.filter(|issuer| issuer.subject_normal == *name);
        let keys = keys.map(|issuer| (issuer.public_key_hash, issuer.spki.as_slice()));
        let anchors = trust.named(name);
        let anchors = anchors.map(|anchor| (anchor.hash, anchor.spki.as_slice()));
        for (hash, spki) in keys.chain(anchors) {
            if remembered_cost(&hash, certificate).is_none() {
                cost += verification_cost(spki, certificate);
            }
            if cost > MAX_COST {
                return false;
            }
        }
    }
    true
}

/// Returns the number of subtrees in a certificate's name constraints.
fn subtrees(certificate: &Certificate) -> usize {
    let facts = certificate.facts().ok();
    let constraints = facts.and_then(|facts| facts.extensions.name_constraints.as_ref());
    constraints.map_or(0, |c| c.permitted.len() + c.excluded.len())
}

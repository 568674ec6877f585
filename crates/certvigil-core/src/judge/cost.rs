//! An estimate of the CPU time of judging, for callers that must not block.

use crate::certificate::{Certificate, remembered_cost, verification_cost};
use crate::instance::{Expected, Instance};
use crate::observation::Served;

use super::TrustStore;

/// Maximum certificates of a chain that is cheap to judge. More require a search of paths.
const MAX_CERTIFICATES: usize = 8;
/// Maximum bytes of a chain that is cheap to judge. A leaf with thousands of names has more.
const MAX_BYTES: usize = 32 << 10;
/// Maximum cost of the signatures of a chain that is cheap to judge ([`verification_cost`]): at
/// most about 2 ms.
const MAX_COST: u32 = 20;

/// Returns true if a served chain can be judged in a few milliseconds: it is short, and few of its
/// signatures have not been verified before.
pub fn is_cheap(expected: &Expected, served: &Served, trust: &TrustStore) -> bool {
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

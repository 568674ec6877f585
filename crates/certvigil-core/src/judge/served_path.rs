//! The path from a leaf up to its root, as a client follows it. Time is not considered.

use std::collections::HashSet;

use crate::certificate::Certificate;
use crate::observation::Served;

use super::chain::{reach, way_to};
use super::links::{Links, Signatures};
use super::trust_store::{Root, TrustStore};

/// A served chain in the order in which a client follows it, independent of the order served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedPath {
    /// The certificates from the leaf up; never empty.
    pub entries: Vec<PathEntry>,
    /// The served certificates that are on no rung, each with its position in the served chain.
    pub aside: Vec<(usize, Certificate)>,
}

/// A certificate on the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathEntry {
    /// A served certificate.
    Served {
        /// The certificate.
        certificate: Certificate,
        /// Its position in the served chain, from 1.
        place: usize,
        /// Its role.
        role: Role,
    },
    /// A root of the trust store that is not served.
    Root(Root),
    /// The issuer of the previous rung, by name. It is not served and not a trusted root.
    Missing(String),
}

/// Role of a served certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The server's own certificate.
    Leaf,
    /// A certificate between the leaf and the root.
    Intermediate,
    /// A trusted root.
    TrustedRoot,
    /// A self-signed certificate that is not trusted.
    StrangeRoot,
}

/// Follows the shortest path from the served leaf to a trusted root. If there is none, follows the
/// served certificates as far as they lead.
pub fn served_path(served: &Served, trust: &TrustStore) -> ServedPath {
    let signatures = Signatures::default();
    let links = Links::new(trust, &signatures);
    let mut seen = HashSet::new();
    let all = || std::iter::once(&served.leaf).chain(&served.rest);
    let pool: Vec<&Certificate> = all().filter(|c| seen.insert(c.sha256())).collect();
    let reached = reach(&pool, &links);
    let anchored = reached.iter().position(|step| links.is_anchored(step.at));
    let end = anchored.unwrap_or_else(|| reached.len().saturating_sub(1));
    let way = way_to(&reached, end);

    let place_of = |wanted: &Certificate| 1 + all().position(|c| c == wanted).unwrap_or_default();
    let mut entries = vec![PathEntry::Served {
        certificate: served.leaf.clone(),
        place: 1,
        role: Role::Leaf,
    }];
    entries.extend(way.iter().map(|&certificate| PathEntry::Served {
        certificate: certificate.clone(),
        place: place_of(certificate),
        role: if links.issued(certificate, certificate) {
            Role::StrangeRoot
        } else {
            Role::Intermediate
        },
    }));
    let top = way.last().copied().unwrap_or(&served.leaf);
    let mut sent_root = None;
    if !trust.has(top) && !links.issued(top, top) {
        // The path ends below the root, which clients have; some servers send the root
        // nevertheless.
        let mut roots = pool.iter().copied().filter(|c| trust.has(c));
        sent_root = roots.find(|root| links.issued(root, top));
        entries.extend(match (sent_root, links.root_of(top), top.facts()) {
            (Some(root), ..) => Some(PathEntry::Served {
                certificate: root.clone(),
                place: place_of(root),
                role: Role::TrustedRoot,
            }),
            (None, Some(root), _) => Some(PathEntry::Root(root)),
            (None, None, Ok(facts)) => Some(PathEntry::Missing(facts.issuer.clone())),
            // The issuer of an unreadable certificate is unknown.
            (None, None, Err(_)) => None,
        });
    }

    let is_on_it = |c: &Certificate| *c == served.leaf || way.contains(&c) || sent_root == Some(c);
    let others = served.rest.iter().enumerate().map(|(at, c)| (at + 2, c));
    let aside = others
        .filter(|(place, c)| !is_on_it(c) || place_of(c) != *place)
        .map(|(place, c)| (place, c.clone()));
    ServedPath {
        aside: aside.collect(),
        entries,
    }
}

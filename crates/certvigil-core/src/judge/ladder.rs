//! The way from a leaf up to its root, as a client would go it. Time plays no part.

use std::collections::HashSet;

use crate::certificate::Certificate;
use crate::observation::Served;

use super::chain::{reach, way_to};
use super::links::{Links, Signatures};
use super::trust_store::{Root, TrustStore};

/// A served chain in the order in which a client goes through it, whatever the order that it was served in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ladder {
    /// From the leaf up; never empty.
    pub rungs: Vec<Rung>,
    /// What was served and is on no rung, each with its place among what was served.
    pub aside: Vec<(usize, Certificate)>,
}

/// One certificate on the way up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rung {
    /// One that was served.
    Served {
        /// The certificate.
        certificate: Certificate,
        /// Its place among what was served, from 1.
        place: usize,
        /// What it is to a client.
        role: Role,
    },
    /// A root of the trust store, which was not served.
    Root(Root),
    /// The issuer of the one before, by name: it was not served, and is no trusted root.
    Missing(String),
}

/// What a served certificate is to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the server is known by.
    Leaf,
    /// Something between the leaf and the root.
    Intermediate,
    /// A root that is trusted.
    TrustedRoot,
    /// Signed by itself, and not trusted.
    StrangeRoot,
}

/// Goes from the served leaf to a trusted root by the shortest way that was served; where there is none, as far as what was
/// served leads.
pub fn climb(served: &Served, trust: &TrustStore) -> Ladder {
    let signatures = Signatures::default();
    let links = Links::new(trust, &signatures);
    let mut seen = HashSet::new();
    let all = || std::iter::once(&served.leaf).chain(&served.rest);
    let pool: Vec<&Certificate> = all().filter(|c| seen.insert(c.sha256())).collect();
    let reached = reach(&pool, &links);
    let anchored = reached.iter().position(|step| links.is_anchored(step.at));
    let end = anchored.unwrap_or(reached.len().saturating_sub(1));
    let way = way_to(&reached, end);

    let place_of = |wanted: &Certificate| 1 + all().position(|c| c == wanted).unwrap_or_default();
    let mut rungs = vec![Rung::Served {
        certificate: served.leaf.clone(),
        place: 1,
        role: Role::Leaf,
    }];
    rungs.extend(way.iter().map(|&certificate| Rung::Served {
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
        // The way ends below the root, which clients have; some servers send it even so.
        let mut roots = pool.iter().copied().filter(|c| trust.has(c));
        sent_root = roots.find(|root| links.issued(root, top));
        rungs.extend(match (sent_root, links.root_of(top), top.facts()) {
            (Some(root), ..) => Some(Rung::Served {
                certificate: root.clone(),
                place: place_of(root),
                role: Role::TrustedRoot,
            }),
            (None, Some(root), _) => Some(Rung::Root(root)),
            (None, None, Ok(facts)) => Some(Rung::Missing(facts.issuer.clone())),
            // Of what cannot be read nobody knows the issuer.
            (None, None, Err(_)) => None,
        });
    }

    let is_on_it = |c: &Certificate| *c == served.leaf || way.contains(&c) || sent_root == Some(c);
    let others = served.rest.iter().enumerate().map(|(at, c)| (at + 2, c));
    let aside = others
        .filter(|(place, c)| !is_on_it(c) || place_of(c) != *place)
        .map(|(place, c)| (place, c.clone()));
    Ladder {
        aside: aside.collect(),
        rungs,
    }
}

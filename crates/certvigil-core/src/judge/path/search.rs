//! Searches paths from a leaf over the served certificates to the trust store, best first.
//!
//! The search visits partial paths in the order of their faults. It therefore finds a path without
//! faults first, or the path with the fewest and mildest faults if there is none. A signature is
//! verified only when its path is next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::certificate::{Certificate, Facts, Fingerprint, Link, NameConstraints, unverifiable};
use crate::model::Timestamp;

use super::super::TrustStore;
use super::super::links::Links;
use super::super::trust_store::Anchor;
use super::checks::{authority_faults, differs_in_form, fault, key_ids_match, own_faults};
use super::found::{Found, Path, PathEnd};
use super::names::Names;
use super::policy;
use super::weight::{weight, weight_of};
use crate::finding::{Fault, FaultKind, Role};

/// Maximum partial paths considered for a probe.
const MAX_CANDIDATES: usize = 4_000;
/// Maximum times that the issuers of one certificate are considered, each time by another path to
/// it.
const MAX_VISITS: usize = 4;
/// Maximum paths that are returned.
pub(in crate::judge) const MAX_PATHS: usize = 24;
/// Weight of a path that does not reach the trust store.
const NOT_ANCHORED: u32 = 1_000;

/// Searches for paths from a leaf over these certificates to the trust store.
pub(in crate::judge) fn search<'a>(
    leaf: &'a Certificate,
    above: &[&'a Certificate],
    trust: &'a TrustStore,
    links: &Links<'_>,
    now: Timestamp,
) -> Found<'a> {
    let mut search = Search {
        by_subject: by_subject(leaf, above),
        trust,
        links,
        now,
        names: Names::default(),
        nodes: Vec::new(),
        queue: BinaryHeap::new(),
        visits: HashMap::new(),
        found: Vec::new(),
        is_bounded: false,
    };
    search.start(leaf);
    while search.found.len() < MAX_PATHS
        && let Some(Reverse((_, at))) = search.queue.pop()
    {
        search.visit(at);
    }
    search.is_bounded |= !search.queue.is_empty() || links.is_exhausted();
    Found {
        paths: search.found,
        is_bounded: search.is_bounded,
    }
}

/// Certificates by subject in normal form.
type BySubject<'a> = HashMap<&'a [u8], Vec<&'a Certificate>>;

fn by_subject<'a>(leaf: &'a Certificate, above: &[&'a Certificate]) -> BySubject<'a> {
    let mut out = BySubject::new();
    for &certificate in above.iter().filter(|c| **c != leaf) {
        if let Ok(facts) = certificate.facts() {
            let same = out.entry(facts.subject_normal.as_slice()).or_default();
            if !same.contains(&certificate) {
                same.push(certificate);
            }
        }
    }
    // Of equally good paths, the choice must not depend on the order in which they are served.
    for same in out.values_mut() {
        same.sort_unstable_by_key(|certificate| certificate.sha256());
    }
    out
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Served(&'a Certificate),
    Anchor(&'a Anchor),
    /// The path ends here: no issuer of the previous certificate was found.
    PathEnd(PathEnd<'a>),
}

/// A partial path: its last step, and the previous node.
struct Node<'a> {
    step: Step<'a>,
    below: Option<usize>,
    /// The number of intermediates of the path that are not self-issued.
    intermediates: u32,
    /// The faults that this step adds.
    faults: Vec<Fault>,
    rank: Rank,
    /// True if the signature on the certificate below is verified.
    is_verified: bool,
    /// The number of steps above that may still prove to be issuers.
    open: usize,
}

/// The order of the search: least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    weight: u32,
    /// The number of key identifiers that do not match and of names that are encoded differently.
    doubts: u32,
    is_served: bool,
    length: u32,
}

struct Search<'a, 's> {
    by_subject: BySubject<'a>,
    trust: &'a TrustStore,
    links: &'s Links<'s>,
    now: Timestamp,
    /// The names of certificates, prepared for comparisons with name constraints.
    names: Names<'a>,
    nodes: Vec<Node<'a>>,
    queue: BinaryHeap<Reverse<(Rank, usize)>>,
    visits: HashMap<Fingerprint, usize>,
    found: Vec<Path<'a>>,
    is_bounded: bool,
}

impl<'a> Search<'a, '_> {
    fn start(&mut self, leaf: &'a Certificate) {
        let faults = match leaf.facts() {
            Ok(facts) => {
                // An authority of the leaf's name may have signed it, and clients verify that.
                let is_self_signed = facts.is_self_issued() && self.links.issued(leaf, leaf);
                own_faults(leaf, facts, Role::Leaf, is_self_signed, self.now)
            }
            Err(_) => vec![fault(FaultKind::Unreadable, leaf, Role::Leaf)],
        };
        let at = self.push(Node {
            step: Step::Served(leaf),
            below: None,
            intermediates: 0,
            rank: Rank {
                weight: weight(&faults),
                doubts: 0,
                is_served: true,
                length: 0,
            },
            faults,
            is_verified: true,
            open: 0,
        });
        if self.trust.holds(leaf) {
            self.end(at, PathEnd::LeafInStore, 0);
        }
    }

    fn push(&mut self, node: Node<'a>) -> usize {
        let at = self.nodes.len();
        self.queue.push(Reverse((node.rank, at)));
        self.nodes.push(node);
        at
    }

    /// Ends a path.
    fn end(&mut self, below: usize, end: PathEnd<'a>, weight: u32) {
        let Some(node) = self.nodes.get(below) else {
            return;
        };
        let rank = Rank {
            weight: node.rank.weight + weight,
            is_served: false,
            ..node.rank
        };
        let intermediates = node.intermediates;
        self.push(Node {
            step: Step::PathEnd(end),
            below: Some(below),
            intermediates,
            faults: Vec::new(),
            rank,
            is_verified: true,
            open: 0,
        });
    }

    fn visit(&mut self, at: usize) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let (step, below) = (node.step, node.below);
        if !node.is_verified && !self.verify(at) {
            return;
        }
        match step {
            Step::Served(certificate) => self.expand(at, certificate),
            Step::Anchor(anchor) => self.finish(at, below, PathEnd::Anchor(anchor)),
            Step::PathEnd(end) => self.finish(at, below, end),
        }
    }

    /// Verifies the signature on the certificate below. Returns false if the search must not
    /// continue from the node now.
    fn verify(&mut self, at: usize) -> bool {
        let Some(node) = self.nodes.get(at) else {
            return false;
        };
        let below = node.below;
        let subject = below.and_then(|b| self.served(b));
        let Some((below, subject)) = below.zip(subject) else {
            return false;
        };
        let link = match node.step {
            Step::Served(issuer) => issuer.facts().map_or(Link::No, |f| {
                self.links.link(&f.spki, f.public_key_hash, subject)
            }),
            Step::Anchor(anchor) => self.links.link(&anchor.spki, anchor.hash, subject),
            Step::PathEnd(_) => Link::Verified,
        };
        match link {
            Link::Verified => {
                if let Some(node) = self.nodes.get_mut(at) {
                    node.is_verified = true;
                }
                true
            }
            Link::Unverifiable => {
                let role = self.role(below);
                let why = self.unverifiable(at, subject);
                let added = fault(FaultKind::Unverifiable(why), subject, role);
                if let Some(node) = self.nodes.get_mut(at) {
                    node.is_verified = true;
                    node.rank.weight += weight_of(&added.kind);
                    node.faults.push(added);
                    self.queue.push(Reverse((node.rank, at)));
                }
                false
            }
            Link::No => {
                self.close(below);
                false
            }
        }
    }

    /// Returns the algorithm of a signature that cannot be verified.
    fn unverifiable(&self, at: usize, subject: &Certificate) -> String {
        let spki = match self.nodes.get(at).map(|node| node.step) {
            Some(Step::Served(issuer)) => issuer.facts().map(|f| f.spki.as_slice()).ok(),
            Some(Step::Anchor(anchor)) => Some(anchor.spki.as_slice()),
            Some(Step::PathEnd(_)) | None => None,
        };
        let why = spki.and_then(|spki| unverifiable(spki, subject));
        why.map_or_else(
            || "signed with an unknown algorithm, which certvigil cannot verify".into(),
            |why| why.to_string(),
        )
    }

    /// Removes a step above a node that is not its issuer. The path ends at the node if it was the
    /// last.
    fn close(&mut self, at: usize) {
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        node.open = node.open.saturating_sub(1);
        if node.open == 0 {
            let end = self.end_of(at);
            self.end(at, end, NOT_ANCHORED);
        }
    }

    fn served(&self, at: usize) -> Option<&'a Certificate> {
        match self.nodes.get(at)?.step {
            Step::Served(certificate) => Some(certificate),
            Step::Anchor(_) | Step::PathEnd(_) => None,
        }
    }

    fn role(&self, at: usize) -> Role {
        match self.nodes.get(at) {
            Some(Node { below: Some(_), .. }) => Role::Intermediate,
            _ => Role::Leaf,
        }
    }

    /// Returns the certificates of a path, the last first.
    fn down(&self, at: usize) -> impl Iterator<Item = &'a Certificate> {
        let mut next = Some(at);
        std::iter::from_fn(move || {
            let at = next?;
            next = self.nodes.get(at)?.below;
            Some(self.served(at))
        })
        .flatten()
    }

    fn end_of(&self, at: usize) -> PathEnd<'a> {
        let Some(certificate) = self.served(at) else {
            return PathEnd::NoIssuer;
        };
        let Ok(facts) = certificate.facts() else {
            return PathEnd::NoIssuer;
        };
        if self.links.issued(certificate, certificate) {
            PathEnd::SelfSigned
        } else if self.down(at).skip(1).any(|c| {
            c.facts()
                .is_ok_and(|f| f.subject_normal == facts.issuer_normal)
                && self.links.issued(c, certificate)
        }) {
            PathEnd::Loop
        } else {
            PathEnd::NoIssuer
        }
    }

    /// Adds every step that may be the issuer of the last certificate.
    fn expand(&mut self, at: usize, certificate: &'a Certificate) {
        let visits = self.visits.entry(certificate.sha256()).or_default();
        *visits += 1;
        if *visits > MAX_VISITS || self.nodes.len() > MAX_CANDIDATES {
            self.is_bounded = true;
            return;
        }
        let Ok(facts) = certificate.facts() else {
            self.end(at, PathEnd::NoIssuer, NOT_ANCHORED);
            return;
        };
        let trust = self.trust;
        let anchors = trust.named(&facts.issuer_normal).map(Step::Anchor);
        let served = self.by_subject.get(facts.issuer_normal.as_slice());
        let served = served.into_iter().flatten().map(|c| Step::Served(c));
        let steps: Vec<Step<'a>> = anchors.chain(served).collect();
        let mut open = 0;
        for step in steps {
            if !self.is_on(at, step) {
                self.step(at, facts, step);
                open += 1;
            }
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.open = open;
        }
        if open == 0 {
            let end = self.end_of(at);
            self.end(at, end, NOT_ANCHORED);
        }
    }

    /// Returns true if an authority with the step's name and key is already on the path.
    fn is_on(&self, at: usize, step: Step<'a>) -> bool {
        let (name, spki) = match step {
            Step::Served(c) => match c.facts() {
                Ok(facts) => (&facts.subject_normal, &facts.spki),
                Err(_) => return true,
            },
            Step::Anchor(anchor) => (&anchor.normal_name, &anchor.spki),
            Step::PathEnd(_) => return false,
        };
        self.down(at)
            .filter_map(|c| c.facts().ok())
            .any(|f| f.subject_normal == *name && f.spki == *spki)
    }

    fn step(&mut self, at: usize, below: &'a Facts, step: Step<'a>) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let (rank, count) = (node.rank, node.intermediates);
        let is_leaf_below = node.below.is_none();
        // The leaf is not an intermediate, and self-issued certificates do not count.
        let found = count + u32::from(!is_leaf_below && !below.is_self_issued());
        let (role, issuer) = match step {
            Step::Served(c) => (Role::Intermediate, Some(c)),
            Step::Anchor(anchor) => (Role::Anchor, anchor.certificate()),
            Step::PathEnd(_) => return,
        };
        let mut faults = Vec::new();
        let mut doubts = 0;
        if let Some((issuer, facts)) = issuer.and_then(|c| Some((c, c.facts().ok()?))) {
            faults = own_faults(issuer, facts, role, false, self.now);
            let kinds = authority_faults(facts, found, role);
            let kinds = kinds
                .into_iter()
                .chain(self.constraint_fault(at, issuer, facts));
            faults.extend(kinds.map(|kind| fault(kind, issuer, role)));
            if differs_in_form(below, facts)
                && let Some(certificate) = self.served(at)
            {
                faults.push(fault(FaultKind::NameForm, certificate, self.role(at)));
            }
            doubts += u32::from(facts.subject_der != below.issuer_der);
            doubts += u32::from(!key_ids_match(below, facts));
        } else if let Step::Anchor(anchor) = step
            && let Some(constraints) = anchor.name_constraints()
        {
            faults.extend(self.violations(at, constraints, None).map(|kind| Fault {
                kind,
                role,
                name: anchor.name_text(),
                certificate: None,
            }));
        }
        self.push(Node {
            step,
            below: Some(at),
            intermediates: found,
            rank: Rank {
                weight: rank.weight + weight(&faults),
                doubts: rank.doubts + doubts,
                is_served: matches!(step, Step::Served(_)),
                length: rank.length + 1,
            },
            faults,
            is_verified: false,
            open: 0,
        });
    }

    fn constraint_fault(
        &self,
        at: usize,
        issuer: &Certificate,
        facts: &Facts,
    ) -> Option<FaultKind> {
        let constraints = facts.extensions.name_constraints.as_ref()?;
        self.violations(at, constraints, Some(issuer.sha256()))
    }

    /// Returns the first name on the path so far that the constraints of its next issuer do not
    /// allow. Self-issued intermediates are exempt (section 6.1.3 (b)).
    fn violations(
        &self,
        at: usize,
        constraints: &NameConstraints,
        issuer: Option<Fingerprint>,
    ) -> Option<FaultKind> {
        let mut path: Vec<&'a Certificate> = self.down(at).collect();
        path.reverse();
        let mut checked = path.into_iter().enumerate().filter_map(|(n, c)| {
            let facts = c.facts().ok()?;
            (n == 0 || !facts.is_self_issued()).then_some((c, facts))
        });
        let comparisons = self.links.comparisons();
        checked.find_map(|below| {
            let names = &self.names;
            names.violation(constraints, issuer, below, comparisons)
        })
    }

    /// Adds a complete path to the results, unless its policies add a fault.
    fn finish(&mut self, at: usize, below: Option<usize>, end: PathEnd<'a>) {
        let Some(node) = self.nodes.get(at) else {
            return;
        };
        let rank = node.rank;
        let start = below.unwrap_or(at);
        let mut certificates: Vec<&'a Certificate> = self.down(start).collect();
        if matches!(end, PathEnd::Anchor(_)) && !node.faults.iter().any(is_of_policy) {
            let facts: Vec<&Facts> = certificates.iter().filter_map(|c| c.facts().ok()).collect();
            if let Some((position, kind)) = policy::fault(None, facts.into_iter()) {
                let position = certificates.get(position).copied();
                let role = match certificates.last() {
                    Some(leaf) if position == Some(*leaf) => Role::Leaf,
                    _ => Role::Intermediate,
                };
                if let (Some(certificate), Some(node)) = (position, self.nodes.get_mut(at)) {
                    node.rank.weight = rank.weight + weight_of(&kind);
                    node.faults.push(fault(kind, certificate, role));
                    self.queue.push(Reverse((node.rank, at)));
                    return;
                }
            }
        }
        certificates.reverse();
        let mut faults = Vec::new();
        let mut next = Some(at);
        while let Some(node) = next.and_then(|at| self.nodes.get(at)) {
            faults.splice(0..0, node.faults.iter().cloned());
            next = node.below;
        }
        self.found.push(Path {
            certificates,
            end,
            faults,
        });
    }
}

fn is_of_policy(fault: &Fault) -> bool {
    matches!(
        fault.kind,
        FaultKind::NoValidPolicy | FaultKind::AnyPolicyMapped
    )
}
